//! Which snapshots of a device are kept, why, and until when. Pure; removes nothing (see app's job `prune`).
//! Refuses to count: what is kept follows from points in time, so no number of new snapshots pushes an old one out.
//! Rules: docs/control.md, "Retention".

use crate::policy::{EffectivePolicy, Key};
use base::{Planted, Span, Timestamp, is_planted};
use jiff::civil::Date;
use std::fmt;

/// For how long snapshots are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Every one: as long as one of so many days shows it, that is until so many days after the next good one.
    pub days: u16,
    /// The last good one before the end of a week: for so many weeks from that end.
    pub weeks: u16,
    /// The last good one before the end of a month: for so many months from that end.
    pub months: u16,
}

/// What is known of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The server's clock at its commit.
    pub committed_at: Timestamp,
    /// It is of all that its device is to back up, and no scrub has found anything of it lost.
    pub good: bool,
    /// An admin has pinned it.
    pub pinned: bool,
    /// Something of it is lost, and an admin has given it up: only a pin or a hold keeps it.
    pub given_up: bool,
}

/// Why a snapshot is kept. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No younger one of its device is there.
    Newest,
    /// No younger good one of its device is there.
    NewestGood,
    /// There is a legal hold on its device or user.
    Held,
    /// An admin has pinned it.
    Pinned,
    /// It shows its device as it was on one of the last days.
    Days {
        /// Until when.
        until: Timestamp,
    },
    /// It shows its device as it was at the end of a week; counted as ISO 8601 does, by UTC.
    Weekly {
        /// The year of the week.
        year: i16,
        /// Its number.
        week: u8,
        /// Until when.
        until: Timestamp,
    },
    /// It shows its device as it was at the end of a month, by UTC.
    Monthly {
        /// The year.
        year: i16,
        /// The month, from 1.
        month: u8,
        /// Until when.
        until: Timestamp,
    },
}

/// What becomes of a snapshot: it is kept while there is a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Every reason that holds now.
    pub reasons: Vec<Reason>,
}

/// The verdict on each of a device's snapshots, which are given in the order of their commits. Never fails.
pub fn judge(now: Timestamp, rules: Rules, held: bool, snapshots: &[Known]) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict { reasons: Vec::new() }; snapshots.len()];
    let newest = snapshots.iter().rposition(|known| !known.given_up);
    let newest_good = snapshots.iter().rposition(|known| known.good && !known.given_up);
    for (position, (known, verdict)) in snapshots.iter().zip(&mut verdicts).enumerate() {
        let reasons = &mut verdict.reasons;
        if Some(position) == newest && !is_planted(Planted::NewestForgotten) {
            reasons.push(Reason::Newest);
        } else if Some(position) == newest_good && !is_planted(Planted::NewestForgotten) {
            reasons.push(Reason::NewestGood);
        }
        if held {
            reasons.push(Reason::Held);
        }
        if known.pinned && !is_planted(Planted::PinsForgotten) {
            reasons.push(Reason::Pinned);
        }
    }
    for (position, next_at) in successors(snapshots) {
        let known = &snapshots[position];
        if known.given_up {
            continue;
        }
        let timed = if known.good { timed(rules, known.committed_at, next_at) } else { vec![days(rules, next_at)] };
        let holds = |reason: &Reason| reason.until().is_some_and(|until| now < until);
        verdicts[position].reasons.extend(timed.into_iter().filter(holds));
    }
    verdicts
}

/// The time that retention goes by. A clock that jumps ahead by a year would end all that is kept for less: so this
/// time follows the clock, but each time that it is asked for by no more than six times what has passed since, and no
/// more than `STEP_MAX` counts as passed. A clock that is set right within that time has cost nothing. `then` is what
/// this gave last, and `clock_then` what the clock said then. Never fails.
pub fn time(then: Timestamp, clock_then: Timestamp, clock: Timestamp) -> Timestamp {
    let passed = clock.since(clock_then).min(STEP_MAX);
    clock.min(then + Span::ms(passed.as_ms() * FASTER))
}

/// How many times faster than the clock the time of retention may catch up with it.
const FASTER: u64 = 6;
/// The longest time that counts as passed at once: a server that was off for a week is not behind for long, and a
/// clock that jumped by a year is.
const STEP_MAX: Span = Span::hours(1);

impl Rules {
    /// What a policy says. Never fails.
    pub fn of(policy: &EffectivePolicy) -> Self {
        let number = |key| policy.number(key).map_or(u16::MAX, |count| u16::try_from(count.0).unwrap_or(u16::MAX));
        Self {
            days: number(Key::RetentionDays),
            weeks: number(Key::RetentionWeeks),
            months: number(Key::RetentionMonths),
        }
    }
}

impl Verdict {
    /// Whether it is kept. Never fails.
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// When the last of its reasons ends; `None` while one has no end, and where there is none. Never fails.
    pub fn until(&self) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.reasons.iter().map(Reason::until).collect();
        ends?.into_iter().max()
    }
}

impl Reason {
    /// The stable word. Never fails.
    pub const fn word(&self) -> &'static str {
        match self {
            Reason::Newest => "newest",
            Reason::NewestGood => "newest_good",
            Reason::Held => "held",
            Reason::Pinned => "pinned",
            Reason::Days { .. } => "days",
            Reason::Weekly { .. } => "weekly",
            Reason::Monthly { .. } => "monthly",
        }
    }

    /// When it ends by itself; `None` where it does not. Never fails.
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Reason::Newest | Reason::NewestGood | Reason::Held | Reason::Pinned => None,
            Reason::Days { until } | Reason::Weekly { until, .. } | Reason::Monthly { until, .. } => Some(*until),
        }
    }
}

impl fmt::Display for Reason {
    /// For a person: `weekly, week 43 of 2026`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Newest => f.write_str("newest"),
            Reason::NewestGood => f.write_str("newest that is whole"),
            Reason::Held => f.write_str("legal hold"),
            Reason::Pinned => f.write_str("pinned"),
            Reason::Days { .. } => f.write_str("of the last days"),
            Reason::Weekly { year, week, .. } => write!(f, "weekly, week {week} of {year}"),
            Reason::Monthly { year, month, .. } => write!(f, "monthly, {year}-{month:02}"),
        }
    }
}

/// Every snapshot that another one follows, with the time of that: a good one is followed by the next good one by the
/// clock, and one that is not good by any, or by itself where nothing is younger.
fn successors(snapshots: &[Known]) -> Vec<(usize, Timestamp)> {
    let is_good = |known: &Known| known.good && !known.given_up;
    let mut good: Vec<usize> = (0..snapshots.len()).filter(|position| is_good(&snapshots[*position])).collect();
    good.sort_by_key(|position| snapshots[*position].committed_at);
    let pairs = good.windows(2).map(|pair| (pair[0], snapshots[pair[1]].committed_at));
    let others = (0..snapshots.len()).filter(|position| !is_good(&snapshots[*position]));
    // The last good one has no successor, and counts from its own time on: whatever else keeps it, so do these days.
    let last = good.last().copied().into_iter().chain(others);
    pairs.chain(last.map(|position| (position, snapshots[position].committed_at))).collect()
}

fn days(rules: Rules, next_at: Timestamp) -> Reason {
    Reason::Days { until: next_at + Span::days(rules.days.into()) }
}

/// The reasons of a good snapshot that the next good one follows at `next_at`. It stands for the last end of a week,
/// and of a month, that lies between the two.
fn timed(rules: Rules, committed_at: Timestamp, next_at: Timestamp) -> Vec<Reason> {
    let mut reasons = vec![days(rules, next_at)];
    reasons.extend(weekly(rules, next_at).filter(|(end, _)| committed_at < *end).map(|(_, reason)| reason));
    reasons.extend(monthly(rules, next_at).filter(|(end, _)| committed_at < *end).map(|(_, reason)| reason));
    reasons
}

/// The last end of a week that is not after `at`, and what standing for it gives.
fn weekly(rules: Rules, at: Timestamp) -> Option<(Timestamp, Reason)> {
    let day = at.as_ms().div_euclid(DAY_MS);
    // The first day of 1970 was a Thursday, and a week begins on a Monday.
    let end = Timestamp::from_ms((day - (day + 3).rem_euclid(7)).saturating_mul(DAY_MS));
    let week = date(end)?.yesterday().ok()?.iso_week_date();
    let until = end + Span::days(u64::from(rules.weeks) * 7);
    Some((end, Reason::Weekly { year: week.year(), week: week.week().unsigned_abs(), until }))
}

/// The last end of a month that is not after `at`, and what standing for it gives.
fn monthly(rules: Rules, at: Timestamp) -> Option<(Timestamp, Reason)> {
    let first = date(at)?.first_of_month();
    let month = first.yesterday().ok()?;
    let until = timestamp(first.checked_add(jiff::Span::new().months(rules.months)).ok()?)?;
    let reason = Reason::Monthly { year: month.year(), month: month.month().unsigned_abs(), until };
    Some((timestamp(first)?, reason))
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// The day of a point in time, by UTC; `None` beyond the years that the calendar has.
fn date(at: Timestamp) -> Option<Date> {
    let days = jiff::Span::new().try_days(at.as_ms().div_euclid(DAY_MS)).ok()?;
    EPOCH.checked_add(days).ok()
}

/// When a day begins, by UTC.
fn timestamp(date: Date) -> Option<Timestamp> {
    let days = EPOCH.until((jiff::Unit::Day, date)).ok()?.get_days();
    Some(Timestamp::from_ms(i64::from(days) * DAY_MS))
}

#[cfg(test)]
mod tests;
