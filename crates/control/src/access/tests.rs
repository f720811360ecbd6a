//! Walks every state and every verb, and compares with the table in docs/control.md.

use super::*;
use crate::document::{NOW, Table, labels, states};

#[test]
fn every_cell_of_access_is_as_the_document_says() {
    let table = Table::read("access");
    assert_eq!(table.header[1..], Verb::ALL.map(|verb| format!("`{verb}`")), "the columns are the verbs");
    for state in states() {
        for verb in Verb::ALL {
            let cell = table.cell(&labels(&state), &[format!("`{verb}`")]);
            let found = may(&state, NOW, verb).map_err(|refusal| format!("`{}`", refusal.code()));
            let expected = if cell == "yes" { Ok(()) } else { Err(cell.to_owned()) };
            assert_eq!(found, expected, "{state} × {verb}");
        }
    }
    table.expect_all_used();
}

#[test]
fn what_a_device_is_told_of_a_snapshot_is_as_the_document_says() {
    let table = Table::read("told");
    for state in states() {
        for (column, is_own) in [("appended by the credential in use", true), ("any other", false)] {
            let cell = table.cell(&labels(&state), &[column.to_owned()]);
            assert_eq!(told(UserState::Active, &state, NOW, is_own).word(), cell, "{state}, {column}");
            assert!(told(UserState::Locked, &state, NOW, is_own) < Told::Whole, "{state}, {column}");
        }
    }
    table.expect_all_used();
}

#[test]
fn a_user_who_is_not_active_takes_the_devices_along() {
    let active = State::Active { rights: Rights::Full };
    for verb in Verb::ALL {
        assert_eq!(may_of_user(UserState::Active, &active, NOW, verb), may(&active, NOW, verb));
        assert_eq!(may_of_user(UserState::Preserved, &active, NOW, verb), Err(Refusal::UserNotActive));
        assert_eq!(may_of_user(UserState::Locked, &State::Pending, NOW, verb), Err(Refusal::UserNotActive));
    }
}
