//! What is kept, as lines that a person can check against a calendar, and what no flood of snapshots can change.

use super::*;
use proptest::prelude::*;

const RULES: Rules = Rules { days: 7, weeks: 2, months: 3 };

fn at(text: &str) -> Timestamp {
    let (day, hour) = text.split_once(' ').unwrap_or((text, "12"));
    let day: Date = day.parse().expect("a day");
    timestamp(day).expect("within the calendar") + Span::hours(hour.parse().expect("an hour"))
}

fn good(text: &str) -> Known {
    Known { committed_at: at(text), good: true, pinned: false, given_up: false }
}

#[track_caller]
fn check(now: &str, snapshots: &[Known], expected: &str) {
    let lines = judge(at(now), RULES, false, snapshots).into_iter().zip(snapshots).map(|(verdict, known)| {
        let day = date(known.committed_at).expect("within the calendar");
        let reasons: Vec<String> = verdict.reasons.iter().map(Reason::to_string).collect();
        let until = verdict.until().and_then(date).map(|until| format!(" until {until}")).unwrap_or_default();
        format!("{day}: {}{until}\n", if reasons.is_empty() { "-".to_owned() } else { reasons.join(" + ") })
    });
    assert_eq!(lines.collect::<String>(), expected);
}

#[test]
fn a_year_of_daily_backups_leaves_days_weeks_and_months() {
    let first = Date::constant(2026, 1, 1);
    let days: Vec<Known> =
        (0..300).map(|n| good(&first.checked_add(jiff::Span::new().days(n)).expect("a day").to_string())).collect();
    let now = "2026-10-27 13";
    let verdicts = judge(at(now), RULES, false, &days);
    let kept: Vec<String> = verdicts
        .iter()
        .zip(&days)
        .filter(|(verdict, _)| verdict.is_kept())
        .map(|(verdict, known)| {
            let reasons: Vec<String> = verdict.reasons.iter().map(Reason::to_string).collect();
            format!("{} {}", date(known.committed_at).expect("a day"), reasons.join(" + "))
        })
        .collect();
    assert_eq!(
        kept,
        [
            "2026-07-31 monthly, 2026-07",
            "2026-08-31 monthly, 2026-08",
            "2026-09-30 monthly, 2026-09",
            "2026-10-18 weekly, week 42 of 2026",
            // It shows how things were seven days and an hour ago.
            "2026-10-20 of the last days",
            "2026-10-21 of the last days",
            "2026-10-22 of the last days",
            "2026-10-23 of the last days",
            "2026-10-24 of the last days",
            "2026-10-25 of the last days + weekly, week 43 of 2026",
            "2026-10-26 of the last days",
            "2026-10-27 newest + of the last days",
        ]
    );
}

#[test]
fn the_newest_and_the_newest_whole_one_have_no_end() {
    let partial = |text| Known { good: false, ..good(text) };
    check("2029-01-01", &[], "");
    check("2029-01-01", &[good("2026-01-01")], "2026-01-01: newest\n");
    check(
        "2029-01-01",
        &[good("2026-01-01"), good("2026-03-01"), partial("2026-03-02"), partial("2026-03-03")],
        "2026-01-01: -\n2026-03-01: newest that is whole\n2026-03-02: -\n2026-03-03: newest\n",
    );
    let pinned = Known { pinned: true, ..good("2026-01-01") };
    check("2029-01-01", &[pinned, good("2026-03-01")], "2026-01-01: pinned\n2026-03-01: newest\n");
    // What an admin has given up is kept by nothing else, and is the newest of nothing.
    let given_up = |text| Known { good: false, given_up: true, ..good(text) };
    let all = [good("2026-01-01"), given_up("2026-01-02"), Known { pinned: true, ..given_up("2026-01-03") }];
    check("2029-01-01", &all, "2026-01-01: newest\n2026-01-02: -\n2026-01-03: pinned\n");
    let held = judge(at("2029-01-01"), RULES, true, &[good("2026-01-01"), good("2026-03-01")]);
    assert!(held.iter().all(|verdict| verdict.reasons.contains(&Reason::Held) && verdict.until().is_none()));
}

#[test]
fn one_that_came_long_before_the_next_stands_for_the_ends_between_them() {
    // A laptop that lay in a drawer for a year: what it had is kept for months after it came back.
    let before = [good("2025-06-10"), good("2026-06-10")];
    check(
        "2026-06-11",
        &before,
        "2025-06-10: of the last days + weekly, week 23 of 2026 + monthly, 2026-05 until 2026-09-01\n\
         2026-06-10: newest + of the last days\n",
    );
    check("2026-08-31", &before, "2025-06-10: monthly, 2026-05 until 2026-09-01\n2026-06-10: newest\n");
    check("2026-09-01 0", &before, "2025-06-10: -\n2026-06-10: newest\n");
}

#[test]
fn weeks_are_those_of_iso_8601_also_around_a_new_year() {
    check(
        "2027-01-05",
        &[good("2026-12-31"), good("2027-01-03"), good("2027-01-04")],
        "2026-12-31: of the last days + monthly, 2026-12 until 2027-04-01\n\
         2027-01-03: of the last days + weekly, week 53 of 2026 until 2027-01-18\n\
         2027-01-04: newest + of the last days\n",
    );
}

#[test]
fn a_clock_that_jumps_ahead_takes_months_to_matter_and_one_set_back_nothing() {
    let (mut then, mut clock) = (at("2026-01-01"), at("2026-01-01"));
    let jumped = at("2027-01-01");
    let mut minutes = 0;
    while then < jumped {
        let next = jumped + Span::minutes(minutes);
        then = time(then, clock, next);
        clock = next;
        minutes += 1;
        if minutes == 24 * 60 {
            assert!(then < at("2026-01-08"), "a day after the jump: {then:?}");
        }
    }
    assert!(minutes > 50 * 24 * 60, "{minutes}");
    let back = at("2026-01-02");
    assert_eq!(time(then, clock, back), back, "a clock that was set right counts at once");
    let away = at("2026-01-09");
    assert_eq!(time(back, back, away), back + Span::hours(6), "a server that was off catches up by and by");
}

proptest! {
    /// Whoever has a device's key can add any number of snapshots, and only from now on: what was kept is kept for so
    /// many days still, and what stands for weeks and months that are over stands for them as long as it would have.
    #[test]
    fn no_flood_of_snapshots_pushes_an_older_one_out(
        ages in prop::collection::vec(0_u64..500 * 24, 1..60),
        flood in prop::collection::vec((0_u64..20 * 24, any::<bool>()), 1..200),
        later in 0_u64..7 * 24,
    ) {
        let now = at("2026-06-17");
        let mut times: Vec<Timestamp> = ages.iter().map(|hours| now - Span::hours(*hours) - Span::ms(1)).collect();
        times.sort();
        let own: Vec<Known> =
            times.iter().map(|at| Known { committed_at: *at, good: true, pinned: false, given_up: false }).collect();
        let mut bogus: Vec<Known> = flood
            .iter()
            .map(|(hours, is_good)| {
                let committed_at = now + Span::hours(*hours);
                Known { committed_at, good: *is_good, ..good("2026-01-01") }
            })
            .collect();
        bogus.sort_by_key(|known| known.committed_at);
        let all: Vec<Known> = own.iter().chain(&bogus).copied().collect();

        let before = judge(now, RULES, false, &own);
        let soon = judge(now + Span::hours(later), RULES, false, &all);
        let still = judge(now + Span::hours(later), RULES, false, &own);
        for position in 0..own.len() {
            let was_kept = before[position].is_kept() && still[position].is_kept();
            prop_assert!(!was_kept || soon[position].is_kept(), "{:?} of {own:?}", own[position]);
        }
        let much_later = now + Span::days(60);
        let (with, without) = (judge(much_later, RULES, false, &all), judge(much_later, RULES, false, &own));
        for (with, without) in with.iter().zip(&without).take(own.len() - 1) {
            prop_assert_eq!(&with.reasons, &without.reasons, "all but the newest one had its follower already");
        }
    }

    #[test]
    fn there_is_always_a_newest_one_and_a_verdict_for_each(
        snapshots in prop::collection::vec(any::<(i64, bool, bool, bool)>(), 0..40),
        now in any::<i64>(), days in any::<u16>(), weeks in any::<u16>(), months in 0_u16..240,
    ) {
        let known = |(at, good, pinned, given_up): &(i64, bool, bool, bool)| {
            Known { committed_at: Timestamp::from_ms(*at), good: *good, pinned: *pinned, given_up: *given_up }
        };
        let snapshots: Vec<Known> = snapshots.iter().map(known).collect();
        let verdicts = judge(Timestamp::from_ms(now), Rules { days, weeks, months }, false, &snapshots);
        prop_assert_eq!(verdicts.len(), snapshots.len());
        let newest = snapshots.iter().rposition(|known| !known.given_up);
        prop_assert!(newest.is_none_or(|newest| verdicts[newest].is_kept()));
        let good = snapshots.iter().rposition(|known| known.good && !known.given_up);
        prop_assert!(good.is_none_or(|good| verdicts[good].is_kept()));
        for (verdict, known) in verdicts.iter().zip(&snapshots) {
            prop_assert!(!known.pinned || verdict.is_kept());
            prop_assert!(!known.given_up || known.pinned || !verdict.is_kept());
        }
    }
}
