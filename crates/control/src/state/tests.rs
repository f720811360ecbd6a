//! The flat form against every state and against every row of words and fields.

use super::*;
use crate::document::states;

#[test]
fn every_state_is_stored_and_read_back_as_it_was() {
    for state in states() {
        assert_eq!(State::from_flat(&state.to_flat()), Ok(state));
    }
}

#[test]
fn every_row_is_refused_or_is_the_row_of_the_state_that_it_gives() {
    let words = ["", "active", "held", "deactivated", "quarantined", "suspended", "deleted", "purged", "pending", "x"];
    let mut was: Vec<Option<String>> = vec![None];
    for outer in words {
        was.push(Some(outer.to_owned()));
        was.extend(words.map(|inner| Some(format!("{outer} {inner}"))));
    }
    let options = |words: &[&str]| -> Vec<Option<String>> {
        words.iter().map(|word| Some((*word).to_owned())).chain([None]).collect()
    };
    let times = [None, Some(Timestamp::from_ms(7))];
    let (mut accepted, mut refused) = (0, 0);
    for (word, was) in words.iter().flat_map(|word| was.iter().map(move |was| (word, was))) {
        let mut flat = FlatState { word: (*word).to_owned(), was: was.clone(), ..FlatState::default() };
        for rights in options(&["full", "append_only", "Full"]) {
            flat.rights = rights;
            for level in options(&["rotate", "distrust", "hold"]) {
                flat.level = level;
                for (append_until, purge_after) in times.iter().flat_map(|one| times.map(|other| (*one, other))) {
                    (flat.append_until, flat.purge_after) = (append_until, purge_after);
                    *if is_accepted(&flat) { &mut accepted } else { &mut refused } += 1;
                }
            }
        }
    }
    // One layer: pending, purged, active 2, held 2, deactivated 4. Two: quarantined 4, suspended 8, deleted 9.
    // Three: suspended over quarantined 4, deleted over those of two layers that it may cover 12.
    assert_eq!(accepted, 10 + 21 + 16);
    assert!(refused > 70_000);
}

fn is_accepted(flat: &FlatState) -> bool {
    match State::from_flat(flat) {
        Ok(state) => {
            assert_eq!(state.to_flat(), *flat);
            true
        }
        Err(nonsense) => {
            assert_eq!(*nonsense.flat, *flat);
            false
        }
    }
}

#[test]
fn a_chain_that_is_longer_than_any_is_refused_before_it_is_read() {
    let was = Some("suspended ".repeat(100_000) + "active");
    let flat = FlatState { word: "deleted".to_owned(), was, ..FlatState::default() };
    assert_eq!(
        State::from_flat(&flat).map_err(|nonsense| nonsense.why),
        Err("more layers than states that cover others")
    );
}

#[test]
fn a_state_says_what_it_is() {
    let said: Vec<String> = [
        State::Active { rights: Rights::Full },
        State::Active { rights: Rights::AppendOnly },
        State::Deactivated { rights: Rights::Full, level: Level::Revoke },
        State::Suspended { was: Box::new(State::Active { rights: Rights::Full }) },
    ]
    .iter()
    .map(State::to_string)
    .collect();
    assert_eq!(said, ["active", "active (append-only)", "deactivated (revoke)", "suspended (was active)"]);
}

#[test]
fn the_document_says_of_every_state_which_fields_it_has() {
    for state in states() {
        let fields = match state.to_flat() {
            FlatState { was: Some(_), .. } if state.word() == "deleted" => "was, purge_after",
            FlatState { was: Some(_), .. } => "was",
            FlatState { append_until: Some(_), .. } => "rights, append_until",
            FlatState { level: Some(_), .. } => "rights, level",
            FlatState { rights: Some(_), .. } => "rights",
            _ => "–",
        };
        let row = crate::document::TEXT.lines().find(|line| line.starts_with(&format!("| `{}` |", state.word())));
        let row = row.unwrap_or_else(|| panic!("docs/control.md lacks {state}"));
        assert!(row.ends_with(&format!("| {fields} |")), "{row}");
    }
}
