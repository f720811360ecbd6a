//! Runs every row of the table of decisions in docs/control.md.

use super::*;
use crate::Level;
use crate::document::{NOW, Table};
use base::Span;

const USER: UserId = UserId::from_bytes([1; 16]);
const STRANGER: UserId = UserId::from_bytes([2; 16]);

#[test]
fn every_row_of_the_table_is_decided_as_the_document_says() {
    let table = Table::read("activation");
    assert_eq!(table.header, ["proof", "key of", "map", "choice", "asks", "records", "rules", "decision"]);
    for row in &table.rows {
        let [proof, key, map, choice, asks, records, rules, expected] = row[..] else { panic!("{row:?}") };
        let request = Request {
            user: USER,
            user_state: UserState::Active,
            proof: Proof::from_word(proof).unwrap_or_else(|| panic!("no proof {proof}")),
            old_key: (key != "–").then(|| device(key)),
            map_row: (map != "–").then(|| parse_choice(map)),
            choice: parse_choice(choice),
            can_ask: asks == "yes",
            evidence: evidence("serial, uuid, name"),
        };
        let candidates: Vec<Candidate> =
            records.split("; ").filter(|record| *record != "none").map(candidate).collect();
        let found = decide(NOW, &request, &parse_rules(rules), &candidates);
        assert_eq!(said(&found), expected, "{row:?}");
    }
}

#[test]
fn a_user_who_is_not_active_activates_nothing() {
    for user_state in [UserState::Locked, UserState::Preserved, UserState::Deleted] {
        let request = Request { user_state, ..person() };
        assert_eq!(decide(NOW, &request, &Rules::default(), &[]), Err(Refusal::UserNotActive));
    }
}

#[test]
fn what_the_decision_promises_is_what_the_lifecycle_grants() {
    for state in crate::document::states() {
        for proof in Proof::ALL {
            for old_key in [None, Some(device("A"))] {
                let found = Candidate { state: state.clone(), ..candidate("A pending: serial") };
                let request = Request { proof, old_key, ..person() };
                let decision = decide(NOW, &request, &Rules::default(), std::slice::from_ref(&found));
                if let Ok(Decision::Attach { device, event, rights, .. }) = decision {
                    assert_eq!(device, found.device);
                    let (next, _) = step(NOW, &state, &event).expect("decide has asked for the same step");
                    assert_eq!(next, State::Active { rights });
                }
            }
        }
    }
}

#[test]
fn evidence_agrees_in_spite_of_letter_case_hyphens_and_domains() {
    let match_of = |asked: &Evidence, found: &Evidence| {
        let found = Candidate { evidence: found.clone(), ..candidate("A active full: serial") };
        evidence::unique(asked, vec![&found]).map(|(_, by)| by.word())
    };
    let of = |serial: &str, uuid: &str, name: &str| Evidence {
        serial: serial.to_owned(),
        hardware_uuid: uuid.to_owned(),
        host_name: name.to_owned(),
        os_user: "anna".to_owned(),
    };
    let cases = [
        (of("c02xk1", "", ""), of(" C02XK1 ", "", ""), Some("serial")),
        (of("", "4C4C4544-0031", ""), of("", "{4c4c45440031}", ""), Some("hardware_uuid")),
        (of("", "", "anna-laptop.corp.example"), of("", "", "Anna-Laptop.local"), Some("host_name")),
        (of("", "", ""), of("", "", ""), None),
        (of("S1", "", "laptop"), of("S2", "", "laptop"), None),
        (of("S1", "U1", ""), of("S2", "U1", ""), None),
        (of("S1", "U1", ""), of("S1", "U2", ""), Some("serial")),
        (of("", "U1", "laptop"), of("", "U2", "laptop"), None),
        (of("None", "U1", ""), of("None", "U1", ""), Some("hardware_uuid")),
    ];
    for (asked, found, expected) in cases {
        assert_eq!(match_of(&asked, &found), expected, "{asked:?} and {found:?}");
    }
}

#[test]
fn what_makers_leave_in_unfilled_fields_matches_nothing() {
    let placeholders = [
        "",
        "  ",
        "To Be Filled By O.E.M.",
        "Default string",
        "None",
        "System Serial Number",
        "Not Specified",
        "0",
        "00000000",
        "........",
        "XXXXXXXX",
        "123456789",
    ];
    for text in placeholders {
        let same = Evidence { serial: text.to_owned(), ..Evidence::default() };
        assert!(!evidence::same_machine(&same, &same), "serial {text:?}");
    }
    let uuids = [
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "03000200-0400-0500-0006-000700080009",
        "Not Settable",
    ];
    for text in uuids {
        let same = Evidence { hardware_uuid: text.to_owned(), ..Evidence::default() };
        assert!(!evidence::same_machine(&same, &same), "UUID {text:?}");
    }
}

fn person() -> Request {
    Request {
        user: USER,
        user_state: UserState::Active,
        proof: Proof::Password,
        old_key: None,
        map_row: None,
        choice: Choice::Auto,
        can_ask: false,
        evidence: evidence("serial, uuid, name"),
    }
}

fn device(letter: &str) -> DeviceId {
    assert_eq!(letter.len(), 1, "a record is one letter: {letter}");
    DeviceId::from_bytes([letter.as_bytes()[0]; 16])
}

fn letter(device: DeviceId) -> char {
    char::from(device.as_bytes()[0])
}

fn parse_choice(text: &str) -> Choice {
    match text {
        "auto" => Choice::Auto,
        "new" => Choice::AddNew,
        text => Choice::Replace(device(text)),
    }
}

fn parse_rules(text: &str) -> Rules {
    let mut rules = Rules::default();
    for part in text.split(", ").filter(|part| *part != "–") {
        match part {
            "limit 1" => rules.device_limit = Some(Count(1)),
            "limit 2" => rules.device_limit = Some(Count(2)),
            "first only" => rules.first_device_only = true,
            "no adding" => rules.may_add = false,
            "not automatic" => rules.automatic = false,
            "tokens wait" => rules.token_waits = true,
            other => panic!("no test understands the rule \"{other}\""),
        }
    }
    rules
}

/// `A deactivated rotate append-only: serial, name`; `B of another active: serial`.
fn candidate(text: &str) -> Candidate {
    let (head, said) = text.split_once(": ").unwrap_or((text, ""));
    let (name, mut state) = head.split_once(' ').expect("a record has a letter and a state");
    let mut owner = USER;
    if let Some(rest) = state.strip_prefix("of another ") {
        (owner, state) = (STRANGER, rest);
    }
    let asked = !state.ends_with(" unasked");
    Candidate { device: device(name), owner, state: parse_state(state), evidence: evidence(said), asked }
}

fn parse_state(text: &str) -> State {
    let has = |word: &str| text.split(' ').any(|part| part == word);
    let rights = if has("append-only") { Rights::AppendOnly } else { Rights::Full };
    let level = ["revoke", "distrust"].into_iter().find(|word| has(word)).unwrap_or("rotate");
    let level = Level::from_word(level).expect("these are the words of the levels");
    let append_until = if has("over") { NOW } else { NOW + Span::days(1) };
    let was = Box::new(State::Active { rights });
    match text.split(' ').next() {
        Some("pending") => State::Pending,
        Some("active") => State::Active { rights },
        Some("held") => State::Held { rights, append_until },
        Some("deactivated") => State::Deactivated { rights, level },
        Some("suspended") => State::Suspended { was },
        Some("quarantined") => State::Quarantined { was },
        Some("decommissioning") => State::Decommissioning { was },
        Some("decommissioned") => State::Decommissioned,
        Some("deleted") => State::Deleted { was, purge_after: NOW },
        Some("purged") => State::Purged,
        other => panic!("no state {other:?}"),
    }
}

fn evidence(text: &str) -> Evidence {
    let mut evidence = Evidence { os_user: "root".to_owned(), ..Evidence::default() };
    for part in text.split(", ").filter(|part| !part.is_empty()) {
        match part {
            "serial" => evidence.serial = "C02XK1".to_owned(),
            "other serial" => evidence.serial = "C02ZZ9".to_owned(),
            "uuid" => evidence.hardware_uuid = "4c4c4544-0031-3010".to_owned(),
            "other uuid" => evidence.hardware_uuid = "4c4c4544-9999-3010".to_owned(),
            "name" => evidence.host_name = "anna-laptop".to_owned(),
            other => panic!("no test understands the evidence \"{other}\""),
        }
    }
    evidence
}

fn said(decision: &Result<Decision, Refusal>) -> String {
    match decision {
        Err(refusal) => format!("`{}`", refusal.code()),
        Ok(Decision::Add { event, resembles }) => {
            let rights = match event {
                None => "waits".to_owned(),
                Some(event) => {
                    let (state, _) = step(NOW, &State::Pending, event).expect("a new record can be activated");
                    said_rights(state.rights())
                }
            };
            let resembles = resembles.map(|device| format!(", resembles {}", letter(device)));
            format!("new: {rights}{}", resembles.unwrap_or_default())
        }
        Ok(Decision::Attach { device, basis, event, rights }) => {
            let rights = said_rights(Some(*rights));
            format!("{} by {}: {}, {rights}", letter(*device), basis.word(), event.word())
        }
        Ok(Decision::Wait { device }) => format!("{}: waits", letter(*device)),
        Ok(Decision::Ask(question)) => {
            let devices: Vec<String> = question.replaceable.iter().map(|id| letter(*id).to_string()).collect();
            let suggestion = match question.suggestion {
                Choice::Auto => "nothing".to_owned(),
                Choice::AddNew => "new".to_owned(),
                Choice::Replace(device) => letter(device).to_string(),
            };
            let refused = question.adding_refused.as_ref().map(|refusal| format!(", not new: `{}`", refusal.code()));
            format!("ask: {}, suggest {suggestion}{}", devices.join(" "), refused.unwrap_or_default())
        }
    }
}

fn said_rights(rights: Option<Rights>) -> String {
    match rights {
        Some(Rights::Full) => "full".to_owned(),
        Some(Rights::AppendOnly) => "append-only".to_owned(),
        None => "no rights".to_owned(),
    }
}
