//! Ranges of hours on weekdays: `mon-fri 08:00-18:00, sat 09:00-12:30`. In whose time zone, the reader knows.
//! Refuses what no day has, an empty range, and more ranges than a person would write.

use base::Span;
use std::fmt;

/// The most ranges in one value.
const RANGES_MAX: usize = 32;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const EVERY_DAY: u8 = 0b111_1111;
const DAY_MINUTES: u16 = 24 * 60;
const WEEK_MINUTES: usize = 7 * DAY_MINUTES as usize;

/// Hours of a week. Ranges are sorted and none is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hours {
    ranges: Vec<Range>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Range {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes since midnight.
    from: u16,
    /// Minutes since midnight; not after `from` when it ends on the next day.
    to: u16,
}

impl Hours {
    /// Reads ranges, separated by commas; `none` is no hour at all. `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim() == "none" {
            return Some(Self::default());
        }
        let mut ranges = text.split(',').take(RANGES_MAX + 1).map(range).collect::<Option<Vec<Range>>>()?;
        if ranges.len() > RANGES_MAX {
            return None;
        }
        ranges.sort_unstable();
        ranges.dedup();
        Some(Self { ranges })
    }

    /// Is there no hour at all? Never fails.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Is this minute within? `day` counts from 0, Monday; `minute` from midnight. Never fails.
    pub fn covers(&self, day: u8, minute: u16) -> bool {
        let on = |days: u8, day: u8| days >> day & 1 == 1;
        let day_before = (day + 6) % 7;
        self.ranges.iter().any(|range| match range.from < range.to {
            true => on(range.days, day) && (range.from..range.to).contains(&minute),
            // Over midnight: a range belongs to the day on which it begins.
            false => (on(range.days, day) && minute >= range.from) || (on(range.days, day_before) && minute < range.to),
        })
    }

    /// How long it is from this minute until one that is within, in whole minutes; zero where this one is. The weeks
    /// follow each other. `None` where no minute is. Never fails.
    pub fn opens_in(&self, day: u8, minute: u16) -> Option<Span> {
        let week = self.week();
        let at = usize::from(day) * usize::from(DAY_MINUTES) + usize::from(minute);
        (0..WEEK_MINUTES).find(|gone| week[(at + gone) % WEEK_MINUTES]).map(|gone| Span::minutes(gone as u64))
    }

    /// The longest stretch of a week that is not within `self`, or is within `blackout`, in whole minutes; the weeks
    /// follow each other. It is the same in every time zone. `None` where that is the whole week. Never fails.
    pub fn closed_longest(&self, blackout: &Hours) -> Option<Span> {
        let (open, shut) = (self.week(), blackout.week());
        let is_open = |at: usize| open[at % WEEK_MINUTES] && !shut[at % WEEK_MINUTES];
        let first = (0..WEEK_MINUTES).find(|at| is_open(*at))?;
        let (mut longest, mut stretch) = (0, 0);
        for at in first..=first + WEEK_MINUTES {
            stretch = if is_open(at) { 0 } else { stretch + 1 };
            longest = longest.max(stretch);
        }
        Some(Span::minutes(longest))
    }

    /// Every minute of a week: is it within?
    fn week(&self) -> Vec<bool> {
        let mut week = vec![false; WEEK_MINUTES];
        for Range { days, from, to } in &self.ranges {
            let (from, to) = (usize::from(*from), usize::from(*to));
            let len = if from < to { to - from } else { usize::from(DAY_MINUTES) - from + to };
            for day in (0..7).filter(|day| days >> day & 1 == 1) {
                let begin = day * usize::from(DAY_MINUTES) + from;
                (begin..begin + len).for_each(|at| week[at % WEEK_MINUTES] = true);
            }
        }
        week
    }
}

fn range(text: &str) -> Option<Range> {
    let (days, times) = match text.trim().rsplit_once(' ') {
        Some((days, times)) => (day_set(days.trim())?, times),
        None => (EVERY_DAY, text.trim()),
    };
    let (from, to) = times.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from != to && from < DAY_MINUTES && to != 0).then_some(Range { days, from, to })
}

/// `mon`, `mon-wed`, `mon+thu-sat`; a run does not go over Sunday.
fn day_set(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    text.split('+').try_fold(0, |set, run| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let (first, last) = (day(first)?, day(last)?);
        (first <= last).then(|| (first..=last).fold(set, |set, day| set | 1 << day))
    })
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?;
    let (hours, minutes): (u16, u16) = (two(hours)?, two(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ranges.is_empty() {
            return f.write_str("none");
        }
        for (number, Range { days, from, to }) in self.ranges.iter().enumerate() {
            let gap = if number == 0 { "" } else { ", " };
            let days = if *days == EVERY_DAY { String::new() } else { format!("{} ", day_text(*days)) };
            write!(f, "{gap}{days}{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        Ok(())
    }
}

fn day_text(set: u8) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for day in (0..7).filter(|day| set >> day & 1 == 1) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == day => *last = day,
            Some(_) | None => runs.push((day, day)),
        }
    }
    let text = |(first, last): (usize, usize)| match last - first {
        0 => DAYS[first].to_owned(),
        1 => format!("{}+{}", DAYS[first], DAYS[last]),
        _ => format!("{}-{}", DAYS[first], DAYS[last]),
    };
    runs.into_iter().map(text).collect::<Vec<String>>().join("+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_one_text_and_nonsense_has_none() {
        let good = [
            ("none", "none"),
            ("00:00-24:00", "00:00-24:00"),
            ("mon-sun 08:00-09:00", "08:00-09:00"),
            ("sat 09:00-12:00, mon-fri 08:00-18:00", "mon-fri 08:00-18:00, sat 09:00-12:00"),
            ("mon+tue+wed 22:00-06:00", "mon-wed 22:00-06:00"),
            ("fri+mon 1:00-02:00", ""),
            ("fri+mon 01:00-02:00", "mon+fri 01:00-02:00"),
            ("mon 01:00-02:00,mon 01:00-02:00", "mon 01:00-02:00"),
        ];
        for (text, canonical) in good {
            let read = Hours::parse(text).map(|hours| hours.to_string()).unwrap_or_default();
            assert_eq!(read, canonical, "{text}");
        }
        for text in [
            "",
            "mon",
            "08:00",
            "08:00-08:00",
            "24:00-01:00",
            "08:60-09:00",
            "25:00-26:00",
            "sun-mon 08:00-09:00",
            "mon- 08:00-09:00",
            "mun 08:00-09:00",
            "08:00-09:00,",
            "-8:00-09:00",
            "08:00-00:00",
            "+ 08:00-09:00",
        ] {
            assert_eq!(Hours::parse(text), None, "{text}");
        }
        assert_eq!(Hours::parse(&["08:00-09:00"; 33].join(",")), None, "more ranges than allowed");
    }

    #[test]
    fn a_range_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let hours = Hours::parse("fri 22:00-06:00").expect("a literal");
        let covered: Vec<(u8, u16)> =
            [(4, 1_319), (4, 1_320), (5, 0), (5, 359), (5, 360), (4, 100), (6, 0)].into_iter().collect();
        let within: Vec<bool> = covered.into_iter().map(|(day, minute)| hours.covers(day, minute)).collect();
        assert_eq!(within, [false, true, true, true, false, false, false]);
        assert!(Hours::parse("00:00-24:00").expect("a literal").covers(6, 1_439));
        assert!(!Hours::default().covers(0, 0));
    }

    #[test]
    fn what_is_shut_opens_with_its_next_range_over_the_end_of_the_week_too() {
        let hours = Hours::parse("mon 08:00-09:00, fri 22:00-06:00").expect("a literal");
        for (day, minute, expected) in [
            (0, 8 * 60, 0),
            (0, 7 * 60 + 59, 1),
            (0, 9 * 60, (4 * 24 + 13) * 60),
            (5, 5 * 60 + 59, 0),
            (5, 6 * 60, (24 + 18 + 8) * 60),
            (6, 23 * 60 + 59, 8 * 60 + 1),
        ] {
            assert_eq!(hours.opens_in(day, minute), Some(Span::minutes(expected)), "{day} {minute}");
        }
        assert_eq!(Hours::default().opens_in(0, 0), None);
    }

    #[test]
    fn the_longest_closed_stretch_goes_over_midnight_and_over_sunday_and_agrees_with_every_minute() {
        let hours = |text: &str| Hours::parse(text).expect("hours");
        let cases = [
            ("00:00-24:00", "none", Some(0)),
            ("08:00-18:00", "none", Some(14 * 60)),
            ("mon-fri 08:00-18:00", "none", Some((6 + 24 + 24 + 8) * 60)),
            ("mon-fri 08:00-18:00", "mon 08:00-09:00", Some((6 + 24 + 24 + 9) * 60)),
            ("22:00-06:00", "none", Some(16 * 60)),
            ("00:00-24:00", "12:00-12:01", Some(1)),
            ("00:00-24:00", "sun 23:00-24:00, mon 00:00-01:00", Some(120)),
            ("mon 08:00-09:00", "mon 07:00-10:00", None),
        ];
        for (start, blackout, minutes) in cases {
            let (start, blackout) = (hours(start), hours(blackout));
            assert_eq!(start.closed_longest(&blackout), minutes.map(Span::minutes), "{start} without {blackout}");
            for (at, open) in start.week().into_iter().enumerate() {
                let (day, minute) = (at / usize::from(DAY_MINUTES), at % usize::from(DAY_MINUTES));
                assert_eq!(open, start.covers(day as u8, minute as u16), "{start}: day {day}, minute {minute}");
            }
        }
    }
}
