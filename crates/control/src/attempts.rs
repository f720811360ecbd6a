//! How often something may be tried in one span of time, before whoever tries is told to come again.
//! Refuses to count: `app::rates` does. What is found right is not an attempt here, so that a school behind one
//! address is not punished for its size. Rules: docs/control.md, "Attempts".

use crate::Refusal;
use base::{Count, Span, Timestamp};

/// What is counted, each for one source address (an IPv6 network of 64 bits is one source).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// A wrong password, or an address without an account.
    Password,
    /// A ticket that does not work.
    Ticket,
    /// A link that does not work.
    Link,
    /// A token that does not work here: unknown, expired, from the wrong network, for nobody.
    Token,
    /// A credential of the admin API that there is not.
    Credential,
}

/// So many in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub max: Count,
    /// In which time. Spans begin at whole multiples of themselves.
    pub span: Span,
}

/// Wrong tickets from everywhere together in one span: beyond it, each source has `TICKETS_ALARMED` left.
pub const TICKETS_ALARM: Limit = Limit { max: Count(1_000), span: Span::minutes(10) };
/// What one source may try while tickets are being guessed from many.
pub const TICKETS_ALARMED: Limit = Limit { max: Count(3), span: Span::minutes(10) };

impl Attempt {
    /// Every kind, in the order of docs/control.md.
    pub const ALL: [Attempt; 5] =
        [Attempt::Password, Attempt::Ticket, Attempt::Link, Attempt::Token, Attempt::Credential];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Attempt::Password => "password",
            Attempt::Ticket => "ticket",
            Attempt::Link => "link",
            Attempt::Token => "token",
            Attempt::Credential => "credential",
        }
    }

    /// How many of one source. Never fails.
    pub const fn limit(self) -> Limit {
        let max = match self {
            Attempt::Password => 300,
            Attempt::Ticket => 30,
            Attempt::Link => 30,
            Attempt::Token => 1_000,
            Attempt::Credential => 300,
        };
        Limit { max: Count(max), span: Span::minutes(10) }
    }
}

impl Limit {
    /// When the span that `now` lies in began. Never fails.
    pub fn began(self, now: Timestamp) -> Timestamp {
        let span = self.span.as_ms().max(1).cast_signed();
        Timestamp::from_ms(now.as_ms().div_euclid(span) * span)
    }

    /// How long the span that `now` lies in still lasts. Never fails.
    pub fn left(self, now: Timestamp) -> Span {
        (self.began(now) + self.span).since(now)
    }

    /// May there be one more, when there were `count` in this span? Fails with `too_many_requests`.
    pub fn admits(self, now: Timestamp, count: Count) -> Result<(), Refusal> {
        if count < self.max { Ok(()) } else { Err(Refusal::TooManyRequests { left: self.left(now) }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lists_every_kind_with_its_limit() {
        let expected: Vec<Vec<String>> = Attempt::ALL
            .into_iter()
            .map(|attempt| {
                let Limit { max, span } = attempt.limit();
                vec![format!("`{}`", attempt.word()), format!("{max} in {span}")]
            })
            .collect();
        let rows = crate::document::Table::read("attempts").rows;
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row[..2].iter().map(|&cell| cell.to_owned()).collect()).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_span_begins_at_its_multiples_and_ends_with_the_time_that_is_left() {
        let limit = Limit { max: Count(2), span: Span::minutes(10) };
        let now = Timestamp::from_ms(1_234_567);
        assert_eq!(limit.began(now), Timestamp::from_ms(1_200_000));
        assert_eq!(limit.left(now), Span::ms(565_433));
        assert_eq!(limit.admits(now, Count(1)), Ok(()));
        assert_eq!(limit.admits(now, Count(2)), Err(Refusal::TooManyRequests { left: Span::ms(565_433) }));
        assert_eq!(limit.began(Timestamp::from_ms(-1)), Timestamp::from_ms(-600_000), "before 1970 too");
    }
}
