//! The tables of docs/control.md: what may be done to a campaign, the board, the dry run; and the two side by side.

use super::*;
use crate::document::{NOW, Table, states};
use crate::{State, UserState, lifecycle};
use base::{DeviceId, ProfileId, Span, TokenId, UserId};

#[test]
fn every_cell_of_what_may_be_done_to_a_campaign_is_as_the_document_says() {
    let table = Table::read("campaign status");
    assert_eq!(table.header[1..], Verb::ALL.map(|verb| format!("`{}`", verb.word())), "the columns are the verbs");
    for status in Status::ALL {
        for verb in Verb::ALL {
            let cell = table.cell(&[status.word().to_owned()], &[format!("`{}`", verb.word())]);
            let found = match next(status, verb) {
                Ok(after) => after.word().to_owned(),
                Err(refusal) => {
                    assert_eq!(refusal.code(), "campaign_state");
                    "–".to_owned()
                }
            };
            assert_eq!(found, cell, "{} × {}", status.word(), verb.word());
        }
        assert_eq!(Status::from_word(status.word()), Some(status));
    }
    table.expect_all_used();
}

/// Every combination that the board tells apart.
fn all_seen(states: &[State]) -> impl Iterator<Item = Seen<'_>> {
    let past = NOW - Span::days(2);
    states.iter().flat_map(move |state| {
        (0..6_144u32).map(move |bits| {
            let bit = |at: u32| bits >> at & 1 == 1;
            let user = if bit(0) {
                UserState::Active
            } else if bit(1) {
                UserState::Locked
            } else {
                UserState::Preserved
            };
            Seen {
                level: Reset::ALL[usize::try_from(bits / 2_048).expect("below three")],
                ended: bit(1),
                deadline: bit(2).then_some(if bit(3) { NOW } else { NOW + Span::ms(1) }),
                reset_at: bit(4).then_some(past),
                done: bit(5) && bit(6) && bit(4),
                vouched: bit(9),
                unproved: bit(9) && bit(4) && !bit(5),
                merged: bit(10),
                excused: bit(5) && !bit(6),
                retired: !bit(5) && bit(6) && bit(7) && bit(8),
                stricter: bit(7),
                state,
                user,
                conflict: bit(8) && !bit(7),
                seen_at: bit(6).then_some(if bit(3) { past } else { past - Span::ms(1) }),
                refused: bit(3) && bit(8),
            }
        })
    })
}

/// Does the condition, as the document words it, hold?
fn board_condition(text: &str, seen: &Seen<'_>) -> bool {
    let reset = seen.reset_at.is_some();
    let word = seen.state.word();
    let quarantined = word == "quarantined" || seen.state.was().is_some_and(|was| was.word() == "quarantined");
    match text {
        "has come back by an admin's word" => seen.done && seen.vouched,
        "has come back" => seen.done,
        "excused" => seen.excused,
        "state pending" => word == "pending",
        "merged into another record" => seen.merged,
        "has come back and proved nothing, and is active" => seen.unproved && word == "active",
        "had no key at its turn" => seen.retired,
        "state decommissioning" => word == "decommissioning",
        "state decommissioned" => word == "decommissioned",
        "state deleted or purged" => word == "deleted" || word == "purged",
        "user preserved or deleted" => matches!(seen.user, UserState::Preserved | UserState::Deleted),
        "open conflict, or quarantined, also beneath" => seen.conflict || quarantined,
        "not reset, campaign ended" => !reset && seen.ended,
        "not reset" => !reset,
        "user locked" => seen.user == UserState::Locked,
        "state suspended" => word == "suspended",
        "last attempt refused" => seen.refused,
        "not heard of since the reset" => seen.seen_at.is_none_or(|at| Some(at) < seen.reset_at),
        "cut off more strictly before" => seen.stricter,
        "level rotate or hold" => seen.level != Reset::Revoke,
        "level revoke" => seen.level == Reset::Revoke,
        other => panic!("no test understands \"{other}\""),
    }
}

#[test]
fn every_device_stands_on_the_board_where_the_document_says() {
    let table = Table::read("campaign board");
    let mut used = vec![false; table.rows.len()];
    let states = states();
    for seen in all_seen(&states) {
        let at = table.rows.iter().position(|row| board_condition(row[0], &seen)).expect("a row for everything");
        used[at] = true;
        let row = &table.rows[at];
        let late = row[3] == "yes" && seen.deadline.is_some_and(|deadline| NOW >= deadline);
        let (place, reason) = place(NOW, &seen);
        let expected = if late { "overdue" } else { row[1] };
        assert_eq!((place.word(), reason.word()), (expected, row[2].trim_matches('`')), "{seen:?}");
    }
    for (row, used) in table.rows.iter().zip(used) {
        assert!(used, "table campaign board: nothing reaches {row:?}");
    }
}

#[test]
fn the_document_lists_every_reason_with_its_sentence_and_explains_every_place() {
    let table = Table::read("campaign reasons");
    let documented: Vec<String> = table.rows.iter().map(|row| row.join(" | ")).collect();
    let coded = Reason::ALL.map(|reason| format!("`{}` | {}", reason.word(), reason.sentence()));
    assert_eq!(documented, coded);
    for place in Place::ALL {
        assert!(crate::document::TEXT.contains(&format!("| `{}` |", place.word())), "{}", place.word());
        assert_eq!(Place::from_word(place.word()), Some(place));
    }
}

fn all_outlooks(states: &[State]) -> impl Iterator<Item = Outlook<'_>> {
    states.iter().flat_map(move |state| {
        (0..384u32).map(move |bits| {
            let bit = |at: u32| bits >> at & 1 == 1;
            Outlook {
                level: Reset::ALL[usize::try_from(bits / 64 % 3).expect("below three")],
                append_until: NOW + Span::days(3),
                state,
                user: if bit(0) || bit(5) { UserState::Active } else { UserState::Locked },
                seen_at: bit(1).then_some(NOW - if bit(2) { Span::days(30) } else { Span::days(31) }),
                duplicate: bit(3),
                merged: bits >= 192,
                token_good: bit(4),
            }
        })
    })
}

fn class_condition(text: &str, outlook: &Outlook<'_>) -> bool {
    let word = outlook.state.word();
    match text {
        "state pending, suspended, decommissioning, decommissioned, deleted or purged" => {
            matches!(word, "pending" | "suspended" | "decommissioning" | "decommissioned" | "deleted" | "purged")
        }
        "merged into another record" => outlook.merged,
        "state quarantined" => word == "quarantined",
        "user not active" => outlook.user != UserState::Active,
        "the level would change nothing or soften" => {
            let level = outlook.state.level();
            match outlook.level {
                Reset::Hold => word == "deactivated",
                Reset::Rotate => level.is_some(),
                Reset::Revoke => level.is_some_and(|level| level != crate::Level::Rotate),
            }
        }
        "another record of the same machine, or an open conflict" => outlook.duplicate,
        "not heard of for more than 30 days" => {
            outlook.seen_at.is_none_or(|at| NOW.since(at).as_ms() > 30 * 24 * 3_600 * 1_000)
        }
        "level rotate or hold" => outlook.level != Reset::Revoke,
        "level revoke, activated by a token that is still good" => outlook.token_good,
        "level revoke" => true,
        other => panic!("no test understands \"{other}\""),
    }
}

#[test]
fn every_device_is_foretold_as_the_document_says() {
    let table = Table::read("campaign dry run");
    let mut used = vec![false; table.rows.len()];
    let states = states();
    for outlook in all_outlooks(&states) {
        let at = table.rows.iter().position(|row| class_condition(row[0], &outlook)).expect("a row for everything");
        used[at] = true;
        assert_eq!(class(NOW, &outlook).word(), table.rows[at][1].trim_matches('`'), "{outlook:?}");
    }
    for (row, used) in table.rows.iter().zip(used) {
        assert!(used, "table campaign dry run: nothing reaches {row:?}");
    }
    for class in Class::ALL {
        assert_eq!(Class::from_word(class.word()), Some(class));
    }
}

#[test]
fn a_device_stands_after_its_reset_where_its_class_said_that_it_may() {
    let states = states();
    for outlook in all_outlooks(&states) {
        let class = class(NOW, &outlook);
        let (state, reset_at, retired, stricter) =
            match lifecycle::step(NOW, outlook.state, &outlook.level.event(outlook.append_until)) {
                Ok((state, _)) => (state, Some(NOW), false, false),
                Err(_) if outlook.state.level().is_some() => (outlook.state.clone(), Some(NOW), false, true),
                Err(_) => (outlook.state.clone(), None, true, false),
            };
        let conflicts: &[bool] = if outlook.duplicate { &[false, true] } else { &[false] };
        let seen = [(None, false), (Some(NOW), false), (Some(NOW), true)];
        for ((seen_at, done), conflict) in seen.into_iter().flat_map(|seen| conflicts.iter().map(move |c| (seen, *c))) {
            // Only a person's sign-in brings back what does not come by itself, and only what is in service.
            let by_itself = class == Class::Automatic;
            if done && (retired || class == Class::OutOfService) || !done && by_itself && seen_at.is_some() {
                continue;
            }
            let seen = Seen {
                level: outlook.level,
                ended: false,
                deadline: None,
                reset_at,
                done,
                vouched: false,
                unproved: false,
                excused: false,
                retired: retired && !matches!(state, State::Quarantined { .. }),
                stricter,
                merged: outlook.merged,
                state: &state,
                user: outlook.user,
                conflict,
                seen_at,
                refused: false,
            };
            let (place, _) = place(NOW, &seen);
            assert!(class.may_end(place), "{class:?} at {place:?}: {outlook:?}");
        }
    }
}

fn subject(agent: &str) -> Subject<'_> {
    Subject {
        device: DeviceId::from_bytes([1; 16]),
        user: UserId::from_bytes([2; 16]),
        profile: Some(ProfileId::from_bytes([3; 16])),
        activated_at: NOW,
        token: Some(TokenId::from_bytes([4; 16])),
        agent,
    }
}

#[test]
fn the_parts_of_a_scope_hold_together_and_what_is_left_out_is_left_out() {
    let subject = subject("1.4.2");
    let all = Scope { everyone: true, ..Scope::default() };
    assert!(all.need_said().is_ok() && all.covers(&subject));
    assert_eq!(Scope::default().need_said(), Err(Refusal::ScopeEmpty));
    let other = UserId::from_bytes([9; 16]);
    let yes = [
        Scope { users: vec![other, subject.user], ..Scope::default() },
        Scope { profiles: vec![ProfileId::from_bytes([3; 16])], devices: vec![subject.device], ..Scope::default() },
        Scope { activated_before: Some(NOW + Span::ms(1)), ..Scope::default() },
        Scope { token: subject.token, ..Scope::default() },
        Scope { agent_below: Release::read("1.5"), ..Scope::default() },
        Scope { without_users: vec![other], ..all.clone() },
    ];
    for scope in &yes {
        assert!(scope.need_said().is_ok() && scope.covers(&subject), "{scope:?}");
    }
    let no = [
        Scope { users: vec![other], ..Scope::default() },
        Scope { users: vec![subject.user], devices: vec![DeviceId::from_bytes([8; 16])], ..Scope::default() },
        Scope { activated_before: Some(NOW), ..Scope::default() },
        Scope { token: Some(TokenId::from_bytes([5; 16])), ..Scope::default() },
        Scope { agent_below: Release::read("1.4.2"), ..Scope::default() },
        Scope { without_profiles: vec![ProfileId::from_bytes([3; 16])], ..all.clone() },
        Scope { without_devices: vec![subject.device], ..all.clone() },
    ];
    for scope in &no {
        assert!(!scope.covers(&subject), "{scope:?}");
    }
    let homeless = Subject { profile: None, ..subject.clone() };
    assert!(all.covers(&homeless) && !yes[1].covers(&homeless));
}

#[test]
fn releases_are_compared_as_numbers_and_what_says_nothing_counts_as_older() {
    let order = ["0.9.9", "1.4.2-rc.1", "1.4.2", "v1.4.10", "holdfast/1.5.0+build.7", "holdfast 2"];
    let read: Vec<Release> = order.iter().map(|text| Release::read(text).expect("a release")).collect();
    assert!(read.windows(2).all(|pair| pair[0] < pair[1]), "{read:?}");
    assert_eq!(read[1].to_string(), "1.4.2-pre");
    for text in ["", "unknown", "1.x", "1.2.3.4", "1.99999999999999999999"] {
        assert_eq!(Release::read(text), None, "{text}");
        assert!(Scope { agent_below: Release::read("1"), ..Scope::default() }.covers(&subject(text)));
    }
}

#[test]
fn the_time_needed_is_the_slower_of_the_pace_and_the_storm() {
    let hour = Span::hours(1);
    assert_eq!(span_needed(1_000, 1_000, 100, hour, 500), Span::hours(10));
    assert_eq!(span_needed(1_001, 0, 100, hour, 500), Span::hours(11));
    assert_eq!(span_needed(10_000, 9_000, 10_000, Span::ZERO, 500), Span::seconds(18));
    assert_eq!(span_needed(0, 0, 0, hour, 0), Span::ZERO);
}
