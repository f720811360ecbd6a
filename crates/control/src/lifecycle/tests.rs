//! Walks every state and every event, and compares with the tables in docs/control.md.

use super::*;
use crate::Rights;
use crate::document::{self, NOW, Table};
use base::Span;
use expect_test::{Expect, expect};
use std::collections::BTreeMap;

const TABLES: [&str; 6] = ["activate", "reactivate", "replace", "decide", "conflict", "end"];

#[test]
fn every_cell_of_the_lifecycle_is_as_the_document_says() {
    let tables: BTreeMap<&str, Table> = TABLES.map(|name| (name, Table::read(name))).into();
    for state in document::states() {
        for event in document::events() {
            let (table, column) = document::column(&event);
            let cell = tables[table].cell(&document::labels(&state), &[column]);
            let found = step(NOW, &state, &event).map(|(next, _)| next);
            let expected = expected(cell, &state, &event);
            let found_code = found.as_ref().map_err(Refusal::code);
            assert_eq!(found_code, expected.as_ref().map_err(|code| code.as_str()), "{state} × {event:?}: {cell}");
        }
    }
    tables.values().for_each(Table::expect_all_used);
}

/// What a cell promises: a state, or the code of a refusal.
fn expected(cell: &str, state: &State, event: &Event) -> Result<State, String> {
    if let Some(code) = cell.strip_prefix('`') {
        return Err(code.trim_end_matches('`').to_owned());
    }
    let kept = || state.rights().expect("such a cell stands where there are rights");
    let was = Box::new(state.clone());
    Ok(match (cell, event) {
        ("active full", _) => State::Active { rights: Rights::Full },
        ("active append-only", _) => State::Active { rights: Rights::AppendOnly },
        ("active as before", _) => State::Active { rights: kept() },
        ("held", Event::Hold { append_until }) => State::Held { rights: kept(), append_until: *append_until },
        ("deactivated rotate", _) => State::Deactivated { rights: kept(), level: Level::Rotate },
        ("deactivated distrust", _) => State::Deactivated { rights: kept(), level: Level::Distrust },
        ("deactivated revoke", _) => State::Deactivated { rights: kept(), level: Level::Revoke },
        ("suspended", _) => State::Suspended { was },
        ("quarantined", _) => State::Quarantined { was },
        ("decommissioning", _) => State::Decommissioning { was },
        ("decommissioned", _) => State::Decommissioned,
        ("deleted", Event::Delete { purge_after }) => State::Deleted { was, purge_after: *purge_after },
        ("purged", _) => State::Purged,
        ("what it was", _) => state.was().expect("such a cell stands where a state is covered").clone(),
        ("beneath", _) => {
            let beneath = step(NOW, state.was().expect("such a cell stands where a state is covered"), event);
            let (beneath, _) = beneath.map_err(|refusal| refusal.code().to_owned())?;
            match state {
                State::Suspended { .. } => State::Suspended { was: Box::new(beneath) },
                State::Decommissioning { .. } => State::Decommissioning { was: Box::new(beneath) },
                State::Deleted { purge_after, .. } => {
                    State::Deleted { was: Box::new(beneath), purge_after: *purge_after }
                }
                _ => panic!("{state} does not pass events on"),
            }
        }
        (other, _) => panic!("no test understands the cell \"{other}\""),
    })
}

#[test]
fn every_effect_is_as_the_document_says() {
    let table = Table::read("effects");
    let mut used = vec![false; table.rows.len()];
    for state in document::states() {
        for event in document::events() {
            let Ok((next, effects)) = step(NOW, &state, &event) else { continue };
            let (kind, column) = document::column(&event);
            let exact = if event.proof().is_some() { format!("{kind}: {column}") } else { column };
            let mut labels = vec![exact.clone(), event.word().to_owned()];
            if event.proof().is_some() && next.rights() == Some(Rights::AppendOnly) {
                labels.extend([format!("{exact} to append-only"), format!("{} to append-only", event.word())]);
            }
            let beneath = matches!(document_cell(&state, &event), "beneath");
            let (row, cells) = table
                .rows
                .iter()
                .enumerate()
                .find(|(_, row)| {
                    names(row[0], &labels)
                        && names(row[1], &document::labels(&state))
                        && row[2].starts_with("of the state beneath") == beneath
                })
                .unwrap_or_else(|| panic!("table effects lacks {exact} from {state}"));
            used[row] = true;
            let words: Vec<String> = effects.iter().map(Effect::to_string).collect();
            assert_eq!(words.join(", "), expected_effects(cells[2], &state, &event), "{state} × {event:?}");
        }
    }
    for (row, used) in table.rows.iter().zip(used) {
        assert!(used, "table effects: nothing reaches {row:?}");
    }
}

fn names(cell: &str, labels: &[String]) -> bool {
    cell.split(", ").any(|part| labels.iter().any(|label| label == part))
}

fn document_cell(state: &State, event: &Event) -> &'static str {
    let (table, column) = document::column(event);
    Table::read(table).cell(&document::labels(state), &[column])
}

fn expected_effects(cell: &str, state: &State, event: &Event) -> String {
    let beneath = || {
        let was = state.was().expect("such a row stands where a state is covered");
        let (_, effects) = step(NOW, was, event).expect("granted above means granted beneath");
        effects
    };
    let effects = match cell {
        "nothing" => vec![],
        "of the state beneath" => beneath(),
        "of the state beneath, revoke_credential only" => {
            beneath().into_iter().filter(|effect| *effect == Effect::RevokeCredential).collect()
        }
        words => return words.to_owned(),
    };
    effects.iter().map(Effect::to_string).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_document_explains_every_event_and_every_effect() {
    let explained = |word: &str| {
        let begins = |cells: &str| cells.split(" | ").next().is_some_and(|cell| cell.contains(&format!("`{word}")));
        document::TEXT.lines().filter_map(|line| line.strip_prefix("| ")).any(begins)
    };
    for state in document::states() {
        for event in document::events() {
            assert!(explained(&format!("{}`", event.word())), "{}", event.word());
            for effect in step(NOW, &state, &event).map(|(_, effects)| effects).unwrap_or_default() {
                let text = effect.to_string();
                let word = text.split('(').next().expect("a split has a first part");
                assert!(explained(word), "{word}");
            }
        }
    }
}

#[test]
fn a_second_hold_moves_the_date_and_the_same_date_changes_nothing() {
    let hold = |days| Event::Hold { append_until: NOW + Span::days(days) };
    let (held, _) = step(NOW, &State::Active { rights: Rights::Full }, &hold(3)).expect("an active device is held");
    let moved = step(NOW, &held, &hold(5)).map(|(state, _)| state);
    assert_eq!(moved, Ok(State::Held { rights: Rights::Full, append_until: NOW + Span::days(5) }));
    assert_eq!(step(NOW, &held, &hold(3)), Err(Refusal::NothingToChange { state: "held" }));
}

#[test]
fn what_an_admin_does_and_takes_back_leaves_the_very_state() {
    for state in document::states() {
        for (there, back) in [
            (Event::Delete { purge_after: NOW }, Event::Undelete),
            (Event::Suspend, Event::Enable),
            (Event::Decommission, Event::Enable),
            (Event::Conflict, Event::Resolve { verdict: Verdict::OneMachine }),
        ] {
            let Ok((gone, _)) = step(NOW, &state, &there) else { continue };
            // What was cut off stays so when two machines have its key, and that is not taken back.
            if there == Event::Conflict && state.level().is_some() {
                continue;
            }
            assert_eq!(step(NOW, &gone, &back).map(|(state, _)| state), Ok(state.clone()), "{state} {there:?}");
        }
    }
}

#[test]
fn no_path_gives_full_rights_to_a_device_that_only_keys_and_tokens_have_vouched_for() {
    let weak = |event: &Event| !matches!(event, Event::Approve) && event.proof().is_none_or(is_weak);
    let mut seen = vec![State::Pending];
    let mut at = 0;
    while at < seen.len() {
        for event in document::events().iter().filter(|event| weak(event)) {
            let Ok((next, _)) = step(NOW, &seen[at], event) else { continue };
            assert_ne!(next.rights(), Some(Rights::Full), "{} × {event:?}", seen[at]);
            if depth(&next) < 4 && !seen.contains(&next) {
                seen.push(next);
            }
        }
        at += 1;
    }
    assert!(seen.len() > 20, "the walk went far enough to mean something: {}", seen.len());
}

fn is_weak(proof: Proof) -> bool {
    !matches!(proof.strength(), crate::Strength::Person)
}

fn depth(state: &State) -> usize {
    1 + state.was().map_or(0, depth)
}

#[test]
fn every_credential_that_is_issued_takes_the_place_of_a_revoked_one() {
    for state in document::states() {
        let live = matches!(state, State::Active { .. } | State::Held { .. });
        // It has a key that is in force, whatever covers it.
        let bound = state.rights().is_some() && state.level().is_none();
        for event in document::events() {
            let Ok((next, effects)) = step(NOW, &state, &event) else { continue };
            let first = |wanted| effects.iter().position(|effect| *effect == wanted);
            let issued = first(Effect::IssueCredential).or(first(Effect::RenewCredential));
            if let (true, Some(issued)) = (bound, issued) {
                let revoked = first(Effect::RevokeCredential);
                assert!(revoked.is_some_and(|revoked| revoked < issued), "{state} × {event:?}");
            }
            let ended = matches!(next, State::Decommissioned | State::Purged);
            if (ended && state.was() != Some(&next)) || (live && matches!(next, State::Deactivated { .. })) {
                assert!(first(Effect::RevokeCredential).is_some(), "{state} × {event:?}");
            }
        }
    }
}

fn check(story: &[Event], expected: &Expect) {
    let mut state = State::Pending;
    let mut lines = String::new();
    for event in story {
        let line = match step(NOW, &state, event) {
            Ok((next, _)) => {
                state = next;
                state.to_string()
            }
            Err(refusal) => refusal.code().to_owned(),
        };
        lines.push_str(&format!("{} -> {line}\n", event.word()));
    }
    expected.assert_eq(&lines);
}

#[test]
fn a_device_that_is_revoked_comes_back_by_password_and_not_by_its_key() {
    check(
        &[
            Event::Activate { proof: Proof::Password },
            Event::Deactivate { level: Level::Revoke },
            Event::Reactivate { proof: Proof::OldKey },
            Event::Reactivate { proof: Proof::Password },
        ],
        &expect![[r#"
            activate -> active
            deactivate -> deactivated (revoke)
            reactivate -> sign_in_needed
            reactivate -> active
        "#]],
    );
}

#[test]
fn a_reset_reaches_a_suspended_and_a_deleted_device() {
    check(
        &[
            Event::Activate { proof: Proof::Token },
            Event::Suspend,
            Event::Delete { purge_after: NOW },
            Event::Deactivate { level: Level::Rotate },
            Event::Undelete,
            Event::Enable,
            Event::Reactivate { proof: Proof::OldKey },
            Event::Approve,
        ],
        &expect![[r#"
            activate -> active (append-only)
            suspend -> suspended (was active)
            delete -> deleted (was suspended)
            deactivate -> deleted (was suspended)
            undelete -> suspended (was deactivated)
            enable -> deactivated (rotate)
            reactivate -> active (append-only)
            approve -> active
        "#]],
    );
}

#[test]
fn a_clone_is_cut_off_with_its_original_and_its_key_proves_nothing_any_more() {
    check(
        &[
            Event::Activate { proof: Proof::SingleSignOn },
            Event::Conflict,
            Event::Replace { proof: Proof::Password },
            Event::Deactivate { level: Level::Rotate },
            Event::Reactivate { proof: Proof::OldKey },
            Event::Reactivate { proof: Proof::Admin },
            Event::Reactivate { proof: Proof::OldKeyAndToken },
        ],
        &expect![[r#"
            activate -> active
            conflict -> quarantined (was active)
            replace -> device_quarantined
            deactivate -> deactivated (distrust)
            reactivate -> sign_in_needed
            reactivate -> person_needed
            reactivate -> active (append-only)
        "#]],
    );
}
