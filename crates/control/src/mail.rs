//! What becomes of a message in the outbox after each attempt, and what may stand in one line of it.
//! Refuses to send anything a second time by itself once the mail server may have taken it. Rules: docs/control.md,
//! "Mail".

use crate::Refusal;
use base::{Count, Span, Timestamp};

/// Where a message stands. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailStatus {
    /// Waits for its time.
    Queued,
    /// The mail server may be hearing of it at this moment.
    Sending,
    /// The mail server has said that it takes care of it.
    Sent,
    /// It was not sent, for sure, and nobody tries any more.
    Failed,
    /// Whether the mail server has it is not known.
    Unclear,
    /// What it asks for was over before it was sent, so it was not.
    Dropped,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailOutcome {
    /// The mail server has said that it takes care of the message.
    Accepted,
    /// The mail server does not have it, and may take it later: 4xx, or no connection before the end of the message.
    Temporary,
    /// The mail server does not have it, and never will: 5xx.
    Permanent,
    /// The end of the message was on its way when the connection broke, and no answer came.
    Unclear,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailPolicy {
    /// The wait after the first attempt; each further one doubles it. Default 1 minute.
    pub wait_first: Span,
    /// The longest wait. Default 1 hour.
    pub wait_max: Span,
    /// How long a message is tried, from when it was queued or an admin sent it again. Default 3 days.
    pub try_span: Span,
    /// How long an attempt may be under way; then it is unclear. Longer than all timeouts of one together.
    /// Default 30 minutes.
    pub sending_span: Span,
    /// How long a message is kept after its end. Default 90 days.
    pub keep_span: Span,
}

/// What an attempt makes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailStep {
    /// Where it stands now.
    pub status: MailStatus,
    /// Queued: when the next attempt is due. Else: when the row may be removed.
    pub due_at: Timestamp,
}

impl MailPolicy {
    /// The defaults.
    pub const USUAL: MailPolicy = MailPolicy {
        wait_first: Span::minutes(1),
        wait_max: Span::hours(1),
        try_span: Span::days(3),
        sending_span: Span::minutes(30),
        keep_span: Span::days(90),
    };

    /// What the `attempts`-th attempt makes of a message that is tried until `give_up_at`. `jitter` is any byte, and
    /// spreads the waits over a quarter to both sides. Never fails.
    pub fn after(
        &self,
        now: Timestamp,
        attempts: Count,
        give_up_at: Timestamp,
        outcome: MailOutcome,
        jitter: u8,
    ) -> MailStep {
        let status = match outcome {
            MailOutcome::Accepted => MailStatus::Sent,
            MailOutcome::Permanent => MailStatus::Failed,
            MailOutcome::Unclear => MailStatus::Unclear,
            MailOutcome::Temporary if now >= give_up_at => MailStatus::Failed,
            MailOutcome::Temporary => {
                let due_at = (now + self.wait(attempts, jitter)).min(give_up_at);
                return MailStep { status: MailStatus::Queued, due_at };
            }
        };
        MailStep { status, due_at: now + self.keep_span }
    }

    /// The wait after that many attempts. Never fails.
    fn wait(&self, attempts: Count, jitter: u8) -> Span {
        let doublings = attempts.0.saturating_sub(1).min(20);
        let whole = (self.wait_first.as_ms() << doublings).min(self.wait_max.as_ms());
        // From three quarters to five quarters of it.
        Span::ms(whole * (768 + u64::from(jitter) * 2) / 1_024)
    }
}

impl MailOutcome {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            MailOutcome::Accepted => "accepted",
            MailOutcome::Temporary => "temporary",
            MailOutcome::Permanent => "permanent",
            MailOutcome::Unclear => "unclear",
        }
    }
}

impl MailStatus {
    /// Every status, in the order of docs/control.md.
    pub const ALL: [MailStatus; 6] = [
        MailStatus::Queued,
        MailStatus::Sending,
        MailStatus::Sent,
        MailStatus::Failed,
        MailStatus::Unclear,
        MailStatus::Dropped,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            MailStatus::Queued => "queued",
            MailStatus::Sending => "sending",
            MailStatus::Sent => "sent",
            MailStatus::Failed => "failed",
            MailStatus::Unclear => "unclear",
            MailStatus::Dropped => "dropped",
        }
    }

    /// The status with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// May an admin have it sent again? `wiped` says that its text is gone. Fails with `mail_not_over` or `mail_wiped`.
    pub fn resend(self, wiped: bool) -> Result<(), Refusal> {
        match self {
            MailStatus::Failed | MailStatus::Unclear if wiped => Err(Refusal::MailWiped),
            MailStatus::Failed | MailStatus::Unclear => Ok(()),
            MailStatus::Queued | MailStatus::Sending | MailStatus::Sent | MailStatus::Dropped => {
                Err(Refusal::MailNotOver { status: self.word() })
            }
        }
    }
}

/// `text` as one line of at most `max` characters: whatever breaks a line, controls, or turns the direction of
/// writing becomes a space, and several spaces one; what is longer ends with an ellipsis. Never fails.
pub fn one_line(text: &str, max: usize) -> String {
    let spaced: String = text.chars().map(|letter| if is_plain(letter) { letter } else { ' ' }).collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(max) {
        None => line,
        Some(_) => line.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Whether a character shows itself and nothing else.
fn is_plain(letter: char) -> bool {
    let turns = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    !letter.is_control() && !turns && letter != '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const LATER: Timestamp = Timestamp::from_ms(1_800_000_000_000 + 3 * 86_400_000);

    fn after(attempts: u64, outcome: MailOutcome, give_up_at: Timestamp) -> MailStep {
        MailPolicy::USUAL.after(NOW, Count(attempts), give_up_at, outcome, 128)
    }

    #[test]
    fn only_a_temporary_failure_is_tried_again() {
        let policy = MailPolicy::USUAL;
        for (outcome, status) in [
            (MailOutcome::Accepted, MailStatus::Sent),
            (MailOutcome::Permanent, MailStatus::Failed),
            (MailOutcome::Unclear, MailStatus::Unclear),
        ] {
            for attempts in [1, 7, u64::MAX] {
                let step = MailStep { status, due_at: NOW + policy.keep_span };
                assert_eq!(after(attempts, outcome, LATER), step, "{outcome:?}");
            }
        }
    }

    #[test]
    fn waits_double_up_to_an_hour_and_end_with_the_third_day() {
        let wait = |attempts| {
            let step = after(attempts, MailOutcome::Temporary, LATER);
            assert_eq!(step.status, MailStatus::Queued);
            step.due_at.since(NOW)
        };
        let minutes: Vec<u64> = (1..=9).map(|attempts| wait(attempts).as_ms() / 60_000).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait(u64::MAX), Span::hours(1));
        assert_eq!(after(2, MailOutcome::Temporary, NOW + Span::ms(5)).due_at, NOW + Span::ms(5), "not past the end");
        assert_eq!(after(2, MailOutcome::Temporary, NOW).status, MailStatus::Failed);
    }

    #[test]
    fn jitter_spreads_a_wait_by_a_quarter_to_both_sides() {
        let policy = MailPolicy::USUAL;
        let wait = |jitter| policy.wait(Count(7), jitter);
        assert_eq!(wait(0), Span::minutes(45));
        assert!((Span::minutes(74)..Span::minutes(75)).contains(&wait(255)), "{}", wait(255));
    }

    #[test]
    fn an_admin_sends_again_only_what_is_over_and_was_not_sent_for_sure() {
        for status in MailStatus::ALL {
            let wanted = matches!(status, MailStatus::Failed | MailStatus::Unclear);
            assert_eq!(status.resend(false).is_ok(), wanted, "{}", status.word());
            assert!(status.resend(true).is_err(), "{}", status.word());
            assert_eq!(MailStatus::from_word(status.word()), Some(status));
        }
        assert_eq!(MailStatus::Failed.resend(true), Err(Refusal::MailWiped));
    }

    #[test]
    fn one_line_is_one_line() {
        for (text, line) in [
            ("Anna's laptop", "Anna's laptop"),
            ("a\r\nBcc: all@example.org", "a Bcc: all@example.org"),
            ("  a\t\u{0}b  ", "a b"),
            ("a\u{2028}b\u{85}c", "a b c"),
            ("exe\u{202e}fdp.txt", "exe fdp.txt"),
            ("Grüße, 李", "Grüße, 李"),
            ("123456789 1", "12345678…"),
            ("", ""),
        ] {
            assert_eq!(one_line(text, if text.starts_with('1') { 9 } else { 60 }), line, "{text:?}");
        }
    }

    #[test]
    fn the_document_lists_every_status() {
        for status in MailStatus::ALL {
            let row = format!("| `{}` |", status.word());
            let (_, section) = crate::document::TEXT.split_once("\n## Mail\n").expect("there is a section");
            assert!(section.contains(&row), "docs/control.md, \"Mail\", lacks {row}");
        }
    }
}
