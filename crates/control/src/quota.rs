//! How much a user's backups may take: asked when a run begins and when it commits. Refuses growth past the limit,
//! never a backup that makes it less: who is over must be able to come back. Rules: docs/control.md, "Quota".

use crate::Refusal;
use base::{Bytes, Count, Span, Timestamp};

/// A user is told of one thing at most once in this span.
pub const TOLD_SPAN: Span = Span::days(7);

/// What a user's devices take now: the logical bytes of the newest snapshot of each that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of all but the device that asks.
    pub others: Bytes,
    /// Of the device that asks; `None` before its first snapshot.
    pub own: Option<Bytes>,
}

impl Usage {
    /// All together. Never fails.
    pub fn total(&self) -> Bytes {
        self.others + self.own.unwrap_or_default()
    }
}

/// May a device begin a backup? Fails with `quota_exceeded` when its user is over the limit already and the device has
/// no snapshot that a new one could be smaller than.
pub fn may_begin(limit: Option<Bytes>, usage: &Usage) -> Result<(), Refusal> {
    match limit {
        Some(limit) if usage.total() > limit && usage.own.is_none() => {
            Err(Refusal::QuotaExceeded { used: usage.total(), limit })
        }
        Some(_) | None => Ok(()),
    }
}

/// May a backup of this many bytes become the newest snapshot of its device? Fails with `quota_exceeded` when the new
/// total is over the limit and no less than it was.
pub fn may_commit(limit: Option<Bytes>, usage: &Usage, new: Bytes) -> Result<(), Refusal> {
    let total = usage.others + new;
    match limit {
        Some(limit) if total > limit && usage.own.is_none_or(|own| new >= own) => {
            Err(Refusal::QuotaExceeded { used: total, limit })
        }
        Some(_) | None => Ok(()),
    }
}

/// Where a user stands beside the quota. The words are stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// There is room.
    #[default]
    Below,
    /// Little is left.
    Warning,
    /// A backup was refused.
    Over,
}

/// What a user was told of the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Where the user stood at the last look.
    pub standing: Standing,
    /// When the user was last told that little is left.
    pub warned_at: Option<Timestamp>,
    /// When the user was last told that a backup was refused.
    pub over_at: Option<Timestamp>,
}

impl Standing {
    /// Every one, from the best.
    pub const ALL: [Standing; 3] = [Standing::Below, Standing::Warning, Standing::Over];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Standing::Below => "below",
            Standing::Warning => "warning",
            Standing::Over => "over",
        }
    }

    /// The one with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.word() == word)
    }

    /// Where a user stands after a backup that was let in. Never fails.
    pub fn after(limit: Bytes, used: Bytes, warning: Option<Count>) -> Self {
        match warning {
            Some(percent) if used_percent(limit, used) >= percent => Standing::Warning,
            Some(_) | None => Standing::Below,
        }
    }
}

impl Told {
    /// What the user has been told after this look, and of what the user is to be told now. Never fails.
    pub fn look(self, now: Timestamp, standing: Standing) -> (Told, Option<Standing>) {
        let crossed = standing > self.standing;
        let seen = Told { standing, ..self };
        let last = match standing {
            Standing::Below => return (seen, None),
            Standing::Warning => self.warned_at,
            Standing::Over => self.over_at,
        };
        if !crossed || last.is_some_and(|last| now.since(last) < TOLD_SPAN) {
            return (seen, None);
        }
        let told = match standing {
            Standing::Over => Told { over_at: Some(now), ..seen },
            Standing::Below | Standing::Warning => Told { warned_at: Some(now), ..seen },
        };
        (told, Some(standing))
    }
}

/// How much of the limit is taken, in whole percent, rounded down; 100 for a limit of nothing. Never fails.
pub fn used_percent(limit: Bytes, used: Bytes) -> Count {
    let percent = (u128::from(used.0) * 100).checked_div(u128::from(limit.0)).unwrap_or(100);
    Count(u64::try_from(percent).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Table;

    #[test]
    fn the_document_says_what_is_decided() {
        let table = Table::read("quota");
        let size = |text: &str| (text != "–").then(|| Bytes(text.parse::<u64>().expect("a number") * 1_000));
        for row in &table.rows {
            let [limit, others, own, new, begin, commit] = row[..] else { panic!("{row:?} has other columns") };
            let limit = if limit == "none" { None } else { size(limit) };
            let usage = Usage { others: size(others).expect("always there"), own: size(own) };
            let word = |result: Result<(), Refusal>| {
                result.map_or_else(|no| format!("`{}`", no.code()), |()| "yes".to_owned())
            };
            assert_eq!(word(may_begin(limit, &usage)), begin, "{row:?}");
            assert_eq!(word(may_commit(limit, &usage, size(new).expect("always there"))), commit, "{row:?}");
        }
    }

    #[test]
    fn the_document_says_who_is_told_of_what() {
        let table = Table::read("quota told");
        let now = crate::document::NOW;
        let week = now - TOLD_SPAN;
        let lasts = [("never", None), ("7 days ago", Some(week)), ("less than 7 days ago", Some(week + Span::ms(1)))];
        let mut cases = 0;
        for before in Standing::ALL {
            for standing in Standing::ALL {
                for (word, last) in lasts {
                    let told = Told { standing: before, warned_at: last, over_at: last };
                    let (after, message) = told.look(now, standing);
                    let holds = |cell: &str, word: &str| cell == "any" || cell.split(", ").any(|part| part == word);
                    let row = table
                        .rows
                        .iter()
                        .find(|row| holds(row[0], before.word()) && row[1] == standing.word() && holds(row[2], word));
                    let row = row.unwrap_or_else(|| panic!("no row for {before:?} {standing:?} {word}"));
                    let said = match message {
                        None => "–",
                        Some(Standing::Over) => "`quota_refused`",
                        Some(_) => "`quota_warning`",
                    };
                    assert_eq!(said, row[3], "{row:?}");
                    assert_eq!(after.standing, standing);
                    assert_eq!(after.look(now, standing), (after, None), "once");
                    cases += 1;
                }
            }
        }
        assert_eq!(cases, 27);
    }

    #[test]
    fn a_warning_is_at_the_percentage_and_not_before() {
        let after = |limit, used, percent| Standing::after(Bytes(limit), Bytes(used), percent);
        assert_eq!(after(1_000, 899, Some(Count(90))), Standing::Below);
        assert_eq!(after(1_000, 900, Some(Count(90))), Standing::Warning);
        assert_eq!(after(1_000, 5_000, None), Standing::Below);
        assert_eq!(after(u64::MAX, u64::MAX, Some(Count(99))), Standing::Warning, "sums do not wrap");
        assert_eq!(used_percent(Bytes(0), Bytes(1)), Count(100));
        for standing in Standing::ALL {
            assert_eq!(Standing::from_word(standing.word()), Some(standing));
        }
    }

    #[test]
    fn a_refusal_has_the_numbers() {
        let usage = Usage { others: Bytes(90), own: Some(Bytes(5)) };
        let refused = Err(Refusal::QuotaExceeded { used: Bytes(101), limit: Bytes(100) });
        assert_eq!(may_commit(Some(Bytes(100)), &usage, Bytes(11)), refused);
        assert_eq!(may_commit(Some(Bytes(100)), &usage, Bytes(10)), Ok(()));
        let full = Usage { others: Bytes(u64::MAX), own: Some(Bytes(1)) };
        assert!(may_commit(Some(Bytes(100)), &full, Bytes(u64::MAX)).is_err(), "sums do not wrap");
    }
}
