//! How much a user's backups may take: asked when a run begins, sends and commits. Refuses growth past the limit,
//! never a backup that makes it less: who is over must be able to come back. Rules: docs/control.md, "Quota".

use crate::Refusal;
use base::Bytes;

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

/// What packs and trees take beside the content, and what every user may send at least.
pub const UNFINISHED_MIN: Bytes = Bytes::mib(16);

/// May a user's devices send this many bytes more, when they have sent `unfinished` since each one's newest snapshot?
/// Twice the limit: files change while a backup that broke off is made anew. Fails with `quota_exceeded`.
pub fn may_send(limit: Option<Bytes>, unfinished: Bytes, more: Bytes) -> Result<(), Refusal> {
    let (total, twice) = (unfinished + more, |limit: Bytes| limit + limit + UNFINISHED_MIN);
    match limit {
        Some(limit) if total > twice(limit) => Err(Refusal::QuotaExceeded { used: total, limit }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Table;

    #[test]
    fn what_is_sent_and_never_committed_is_bounded_by_the_limit() {
        let (limit, mib) = (Some(Bytes::mib(100)), Bytes::mib);
        assert_eq!(may_send(limit, mib(150), mib(66)), Ok(()));
        let refused = Err(Refusal::QuotaExceeded { used: mib(217), limit: mib(100) });
        assert_eq!(may_send(limit, mib(151), mib(66)), refused);
        assert_eq!(may_send(None, Bytes(u64::MAX), mib(1)), Ok(()), "no limit is no limit");
        assert!(may_send(limit, Bytes(u64::MAX), mib(1)).is_err(), "sums do not wrap");
        assert_eq!(may_send(Some(Bytes(u64::MAX)), mib(1), mib(1)), Ok(()));
    }

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
    fn a_refusal_has_the_numbers() {
        let usage = Usage { others: Bytes(90), own: Some(Bytes(5)) };
        let refused = Err(Refusal::QuotaExceeded { used: Bytes(101), limit: Bytes(100) });
        assert_eq!(may_commit(Some(Bytes(100)), &usage, Bytes(11)), refused);
        assert_eq!(may_commit(Some(Bytes(100)), &usage, Bytes(10)), Ok(()));
        let full = Usage { others: Bytes(u64::MAX), own: Some(Bytes(1)) };
        assert!(may_commit(Some(Bytes(100)), &full, Bytes(u64::MAX)).is_err(), "sums do not wrap");
    }
}
