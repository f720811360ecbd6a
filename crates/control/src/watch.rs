//! Whether a device that has come back backs up again as it should, for some days after.
//! Refuses to be content with a first backup: the next ones have to come too. Rules: docs/control.md, "Watch".

use crate::policy::Rhythm;
use base::{Span, Timestamp};

/// For how long a device is watched unless a campaign says otherwise.
pub const WATCH_SPAN: Span = Span::days(7);
/// How much later than planned is still as planned.
pub const GRACE: Span = Span::hours(1);

/// What is known of a device that has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// When it came back.
    pub back_at: Timestamp,
    /// Until when it is watched.
    pub until: Timestamp,
    /// The slot that it was given for what it has missed.
    pub catch_up_at: Option<Timestamp>,
    /// Its newest good snapshot.
    pub last_good_at: Option<Timestamp>,
    /// How its policy has it back up; `None` where it does not.
    pub rhythm: Option<Rhythm>,
}

/// How its backups go. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// It is watched no more.
    Over,
    /// As planned.
    Well,
    /// Its policy has no backup begin by itself, so none can be late.
    Unplanned,
    /// No good snapshot yet since it came back, and none is late.
    FirstPending,
    /// No good snapshot since it came back, though one should be there.
    FirstMissing,
    /// The newest good snapshot is older than the interval: the next one may yet come.
    Missed,
    /// The newest good snapshot is older than twice the interval.
    Overdue,
}

/// How its backups go at `now`. Never fails.
pub fn finding(now: Timestamp, watched: &Watched) -> Finding {
    if now >= watched.until {
        return Finding::Over;
    }
    let Some(Rhythm { interval, closed }) = watched.rhythm else { return Finding::Unplanned };
    let Some(good_at) = watched.last_good_at.filter(|good_at| *good_at >= watched.back_at) else {
        let due = watched.catch_up_at.map_or(watched.back_at, |slot| slot.max(watched.back_at));
        return if now < due + closed + GRACE { Finding::FirstPending } else { Finding::FirstMissing };
    };
    if now >= good_at + interval + interval + closed + GRACE {
        Finding::Overdue
    } else if now >= good_at + interval + closed + GRACE {
        Finding::Missed
    } else {
        Finding::Well
    }
}

impl Finding {
    /// Every finding, in the order of docs/control.md.
    pub const ALL: [Finding; 7] = [
        Finding::Over,
        Finding::Well,
        Finding::Unplanned,
        Finding::FirstPending,
        Finding::FirstMissing,
        Finding::Missed,
        Finding::Overdue,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Finding::Over => "over",
            Finding::Well => "well",
            Finding::Unplanned => "unplanned",
            Finding::FirstPending => "first_pending",
            Finding::FirstMissing => "first_missing",
            Finding::Missed => "missed",
            Finding::Overdue => "overdue",
        }
    }

    /// Should an admin look? Never fails.
    pub const fn is_alarm(self) -> bool {
        matches!(self, Finding::FirstMissing | Finding::Overdue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{NOW, Table};

    #[test]
    fn every_row_of_the_watch_is_as_the_document_says() {
        let table = Table::read("watch");
        let (day, closed) = (Span::days(1), Span::hours(10));
        let (back_at, late) = (NOW - Span::days(2), Span::hours(11));
        let rhythm = Some(Rhythm { interval: day, closed });
        let usual = Watched { back_at, until: NOW + day, catch_up_at: None, last_good_at: Some(NOW - day), rhythm };
        for row in &table.rows {
            let cases: Vec<Watched> = match row[0] {
                "the watch has ended" => vec![Watched { until: NOW, ..usual }],
                "the interval is off, or no hour of the week allows a backup" => {
                    vec![Watched { rhythm: None, ..usual }, Watched { rhythm: None, last_good_at: None, ..usual }]
                }
                "no good snapshot since, and its slot or its return is not late yet" => vec![
                    Watched { last_good_at: None, catch_up_at: Some(NOW), ..usual },
                    Watched { last_good_at: Some(NOW - day), back_at: NOW - late + Span::ms(1), ..usual },
                ],
                "no good snapshot since" => vec![
                    Watched { last_good_at: None, ..usual },
                    Watched { last_good_at: None, catch_up_at: Some(NOW - late), ..usual },
                    Watched { last_good_at: None, catch_up_at: Some(back_at - day), ..usual },
                ],
                "the newest is two intervals old, and late" => {
                    vec![Watched { back_at: NOW - Span::days(3), last_good_at: Some(NOW - day - day - late), ..usual }]
                }
                "the newest is an interval old, and late" => vec![
                    Watched { last_good_at: Some(NOW - day - late), ..usual },
                    Watched {
                        back_at: NOW - Span::days(3),
                        last_good_at: Some(NOW - day - day - late + Span::ms(1)),
                        ..usual
                    },
                ],
                "else" => vec![usual, Watched { last_good_at: Some(NOW - day - late + Span::ms(1)), ..usual }],
                other => panic!("no test understands \"{other}\""),
            };
            for case in cases {
                let found = finding(NOW, &case);
                assert_eq!((found.word(), found.is_alarm()), (row[1].trim_matches('`'), row[2] == "yes"), "{case:?}");
            }
        }
        let documented: Vec<&str> = table.rows.iter().map(|row| row[1].trim_matches('`')).collect();
        assert!(Finding::ALL.iter().all(|finding| documented.contains(&finding.word())), "{documented:?}");
    }
}
