//! The table of what is due; and that the shipped timer and the watch fit together.
//! Refuses a cadence of systemd that it cannot read.

use super::*;
use crate::document::{NOW, Table};
use crate::policy::{Levels, effective};
use crate::watch::{Finding, WATCH_SPAN, Watched, finding};

#[test]
fn every_row_of_what_is_due_is_as_the_document_says() {
    let table = Table::read("due");
    let (hour, ms) = (Span::hours(1), Span::ms(1));
    let usual = Known { interval: Some(hour), last_good_at: Some(NOW - ms), catch_up_at: None, refused_at: None };
    let refused = [None, Some(NOW), Some(NOW - hour), Some(NOW + ms)];
    for row in &table.rows {
        let slot = NOW + ms;
        let (cases, at): (Vec<Known>, Option<Timestamp>) = match row[0] {
            "the interval is off" => (
                [None, Some(NOW), Some(slot)]
                    .into_iter()
                    .flat_map(|catch_up_at| {
                        [None, usual.last_good_at].map(|last_good_at| Known {
                            interval: None,
                            last_good_at,
                            catch_up_at,
                            refused_at: Some(NOW),
                        })
                    })
                    .collect(),
                None,
            ),
            "a slot for what was missed is still to come" => (
                [None, Some(NOW - ms), Some(NOW - hour), Some(NOW + hour)]
                    .map(|last_good_at| Known { last_good_at, catch_up_at: Some(slot), refused_at: Some(NOW), ..usual })
                    .to_vec(),
                Some(slot),
            ),
            "there was no slot, and the last good one ended less than an interval ago" => (
                refused.map(|refused_at| Known { last_good_at: Some(NOW - hour + ms), refused_at, ..usual }).to_vec(),
                Some(NOW + ms),
            ),
            "a run was refused less than an hour ago, until somebody changes something" => (
                [(None, None), (Some(NOW - hour), None), (Some(NOW + ms), None), (Some(NOW - ms), Some(NOW))]
                    .map(|(last_good_at, catch_up_at)| Known {
                        last_good_at,
                        catch_up_at,
                        refused_at: Some(NOW - REFUSED_PAUSE + ms),
                        ..usual
                    })
                    .to_vec(),
                Some(NOW + ms),
            ),
            "a slot for what was missed has come" => (
                [None, Some(NOW - ms)]
                    .map(|last_good_at| Known { last_good_at, catch_up_at: Some(NOW), ..usual })
                    .to_vec(),
                None,
            ),
            "there is no good backup" => (vec![Known { last_good_at: None, ..usual }], None),
            "the last good one ended in the future: the clock was set back" => {
                (vec![Known { last_good_at: Some(NOW + ms), refused_at: Some(NOW + ms), ..usual }], None)
            }
            "else" => (
                [None, Some(NOW - REFUSED_PAUSE), Some(NOW + ms)]
                    .map(|refused_at| Known { last_good_at: Some(NOW - hour), refused_at, ..usual })
                    .to_vec(),
                None,
            ),
            other => panic!("no test understands \"{other}\""),
        };
        for case in cases {
            let found = due(NOW, &case);
            assert_eq!((found.word(), found.at()), (row[1].trim_matches('`'), at), "{case:?}");
        }
    }
    let now = Known { last_good_at: Some(NOW), ..usual };
    assert_eq!(due(NOW, &now), Due::Later { at: NOW + hour }, "a backup that ends at this moment is good for an hour");
}

#[test]
fn an_interval_that_nobody_understands_is_the_default_and_off_is_none() {
    let four = Some(Span::hours(4));
    for (text, found) in
        [(None, four), (Some("soon"), four), (Some("off"), None), (Some("90m"), Some(Span::minutes(90)))]
    {
        assert_eq!(interval(text), found, "{text:?}");
    }
}

/// How often a timer of systemd starts its unit, and by how much a start may be late.
struct Cadence {
    period: Span,
    late: Span,
}

impl Cadence {
    fn read(timer: &str) -> Self {
        let value = |name: &str| timer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let period = match value("OnCalendar").expect("a calendar") {
            "daily" => Span::days(1),
            text => {
                let minutes = text.strip_prefix("*:0/").and_then(|minutes| minutes.parse().ok());
                Span::minutes(minutes.filter(|minutes| 60 % minutes == 0).expect("a part of an hour, as *:0/15"))
            }
        };
        let span = |name: &str, otherwise| match value(name).map(|text| text.split_at(text.len() - 1)) {
            None => otherwise,
            Some((hours, "h")) => Span::hours(hours.parse().expect("hours")),
            Some((_, "n")) => {
                let minutes = value(name).and_then(|text| text.strip_suffix("min")).expect("minutes");
                Span::minutes(minutes.parse().expect("a number"))
            }
            Some(other) => panic!("no test understands {other:?}"),
        };
        // One minute is what systemd takes where a timer does not say it.
        let late = [span("RandomizedDelaySec", Span::ZERO), span("AccuracySec", Span::minutes(1))];
        Self { period, late: Span::ms(late.map(Span::as_ms).iter().sum()) }
    }

    /// Every start within the watch; the first, third, … or the second, fourth, … are as late as they may be.
    fn starts(&self, late_first: bool) -> impl Iterator<Item = Timestamp> + '_ {
        let nth = move |n: u64| {
            let late = if n.is_multiple_of(2) == late_first { self.late } else { Span::ZERO };
            NOW + Span::ms(n * self.period.as_ms()) + late
        };
        (1..).map(nth).take_while(|at| *at < NOW + WATCH_SPAN)
    }
}

/// The alarms of the watch about a device that came back at `NOW` and whose every backup succeeds in ten minutes.
fn alarms(cadence: &Cadence, interval: Span, late_first: bool, asks: bool) -> Vec<Finding> {
    let rhythm = effective(&Levels::default()).rhythm().map(|rhythm| crate::policy::Rhythm { interval, ..rhythm });
    let mut catch_up_at = Some(NOW + Span::minutes(60));
    let (mut last_good_at, mut looked, mut alarms) = (None, NOW, Vec::new());
    for start in cadence.starts(late_first) {
        if last_good_at.is_some_and(|good_at| start < good_at) {
            continue; // The unit runs still.
        }
        let known = Known { interval: Some(interval), last_good_at, catch_up_at, refused_at: None };
        let begins = match due(start, &known) {
            Due::InSlot { at } => at,
            Due::Now => start,
            Due::Off | Due::Later { .. } | Due::Refused { .. } if asks => continue,
            Due::Off | Due::Later { .. } | Due::Refused { .. } => start,
        };
        let ends = begins + Span::minutes(10);
        while looked < ends {
            let watched = Watched { back_at: NOW, until: NOW + WATCH_SPAN, catch_up_at, last_good_at, rhythm };
            alarms.extend(Some(finding(looked, &watched)).filter(|found| found.is_alarm()));
            looked = looked + Span::minutes(1);
        }
        (last_good_at, catch_up_at) = (Some(ends), None);
    }
    alarms
}

#[test]
fn with_the_timer_that_is_shipped_the_watch_never_alarms_for_a_device_whose_backups_succeed() {
    let shipped = [
        include_str!("../../../../packaging/systemd/holdfast-backup.timer"),
        include_str!("../../../../packaging/systemd/user/holdfast-backup.timer"),
    ]
    .map(Cadence::read);
    let default = effective(&Levels::default()).rhythm().expect("the default policy backs up").interval;
    assert!(alarms(&Cadence::read("OnCalendar=daily\nRandomizedDelaySec=4h\n"), default, false, false).len() > 60);
    for cadence in &shipped {
        for interval in [default, Span::minutes(5), Span::hours(1), Span::days(1)] {
            for late_first in [true, false] {
                assert_eq!(alarms(cadence, interval, late_first, true), [], "{interval}");
            }
        }
    }
}
