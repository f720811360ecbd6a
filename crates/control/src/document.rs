//! The tables of docs/control.md, for the tests that compare them with the code.
//! Refuses a table that is missing, empty or ragged.

use crate::lifecycle::{Event, Verdict};
use crate::{Level, Proof, Rights, State};
use base::{Span, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The document.
pub(crate) const TEXT: &str = include_str!("../../../docs/control.md");

/// The time at which the tables are true.
pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

/// A table that stands below the line `<!-- table: NAME -->`.
pub(crate) struct Table {
    name: &'static str,
    /// The cells of the first line.
    pub(crate) header: Vec<&'static str>,
    /// The cells of the others.
    pub(crate) rows: Vec<Vec<&'static str>>,
    used: RefCell<BTreeSet<(usize, usize)>>,
}

impl Table {
    /// The table of this name.
    pub(crate) fn read(name: &'static str) -> Self {
        let mark = format!("<!-- table: {name} -->\n");
        let (_, rest) = TEXT.split_once(&mark).unwrap_or_else(|| panic!("docs/control.md has no table {name}"));
        let mut lines = rest.lines().skip_while(|line| line.is_empty()).take_while(|line| line.starts_with('|'));
        let cells =
            |line: &'static str| -> Vec<&'static str> { line.trim_matches('|').split(" | ").map(str::trim).collect() };
        let header = cells(lines.next().unwrap_or_else(|| panic!("table {name} is empty")));
        let rows: Vec<Vec<&str>> = lines.skip(1).map(cells).collect();
        assert!(!rows.is_empty(), "table {name} has no rows");
        for row in &rows {
            assert_eq!(row.len(), header.len(), "table {name}: a row with another number of cells: {row:?}");
        }
        Self { name, header, rows, used: RefCell::default() }
    }

    /// The cell in the row that has the first of these labels that any row has, and in the column likewise.
    pub(crate) fn cell(&self, row_labels: &[String], column_labels: &[String]) -> &'static str {
        let find = |labels: &[String], among: &[&str]| {
            let found = labels.iter().find_map(|label| among.iter().position(|text| text == label));
            found.unwrap_or_else(|| panic!("table {} has none of {labels:?}", self.name))
        };
        let rows: Vec<&str> = self.rows.iter().map(|row| row[0]).collect();
        let (row, column) = (find(row_labels, &rows), find(column_labels, &self.header));
        self.used.borrow_mut().insert((row, column));
        self.rows[row][column]
    }

    /// Ends the test when a cell was never asked for.
    pub(crate) fn expect_all_used(&self) {
        for (row, cells) in self.rows.iter().enumerate() {
            for column in 1..self.header.len() {
                let used = self.used.borrow().contains(&(row, column));
                assert!(used, "table {}: no case reaches {} × {}", self.name, cells[0], self.header[column]);
            }
        }
    }
}

/// Every state there is, with every field on both sides of `NOW`, over every state that it may cover.
pub(crate) fn states() -> Vec<State> {
    let mut serving = Vec::new();
    let mut other = vec![State::Pending, State::Decommissioned];
    for rights in [Rights::Full, Rights::AppendOnly] {
        serving.push(State::Active { rights });
        serving.push(State::Held { rights, append_until: NOW + Span::ms(1) });
        serving.push(State::Held { rights, append_until: NOW });
        other.push(State::Deactivated { rights, level: Level::Rotate });
        other.push(State::Deactivated { rights, level: Level::Revoke });
        other.push(State::Deactivated { rights, level: Level::Distrust });
    }
    let over = |was: &State| Box::new(was.clone());
    let quarantined: Vec<State> = serving.iter().map(|was| State::Quarantined { was: over(was) }).collect();
    let mut states = [serving, other, quarantined].concat();
    let suspended: Vec<State> = states
        .iter()
        .filter(|was| matches!(was.word(), "active" | "held" | "deactivated" | "quarantined"))
        .map(|was| State::Suspended { was: over(was) })
        .collect();
    states.extend(suspended);
    let decommissioning: Vec<State> = states
        .iter()
        .filter(|was| !matches!(was.word(), "pending" | "decommissioned"))
        .map(|was| State::Decommissioning { was: over(was) })
        .collect();
    states.extend(decommissioning);
    let deleted: Vec<State> = states
        .iter()
        .flat_map(|was| [NOW, NOW + Span::ms(1)].map(|purge_after| State::Deleted { was: over(was), purge_after }))
        .collect();
    states.extend(deleted);
    states.push(State::Purged);
    states
}

/// How a table may call the state at `NOW`, the most exact name first.
pub(crate) fn labels(state: &State) -> Vec<String> {
    let exact = match state {
        State::Active { rights: Rights::Full } => Some("full".to_owned()),
        State::Active { rights: Rights::AppendOnly } => Some("append-only".to_owned()),
        State::Deactivated { level, .. } => Some(level.word().to_owned()),
        State::Held { append_until, .. } if NOW >= *append_until => Some("over".to_owned()),
        State::Quarantined { was } if labels(was)[0] == "held over" => Some("over".to_owned()),
        State::Decommissioning { was } if was.level().is_some() => Some("cut off".to_owned()),
        State::Deleted { purge_after, .. } if NOW >= *purge_after => Some("over".to_owned()),
        _ => None,
    };
    let word = state.word();
    exact.map(|exact| format!("{word} {exact}")).into_iter().chain([word.to_owned()]).collect()
}

/// Every event, with every field's values that a rule tells apart.
pub(crate) fn events() -> Vec<Event> {
    let mut events = vec![
        Event::Approve,
        Event::Hold { append_until: NOW + Span::days(9) },
        Event::Deactivate { level: Level::Rotate },
        Event::Deactivate { level: Level::Revoke },
        Event::Deactivate { level: Level::Distrust },
        Event::Suspend,
        Event::Enable,
        Event::Conflict,
        Event::Resolve { verdict: Verdict::OneMachine },
        Event::Resolve { verdict: Verdict::TwoMachines },
        Event::Decommission,
        Event::ConfirmWipe,
        Event::Delete { purge_after: NOW + Span::days(7) },
        Event::Undelete,
        Event::Purge,
    ];
    for proof in Proof::ALL {
        events.extend([Event::Activate { proof }, Event::Reactivate { proof }, Event::Replace { proof }]);
    }
    events
}

/// The table that has the event, and how its column may be called there.
pub(crate) fn column(event: &Event) -> (&'static str, String) {
    let word = event.word().to_owned();
    match event {
        Event::Activate { proof } => ("activate", proof.strength().word().to_owned()),
        Event::Reactivate { proof } => ("reactivate", proof.strength().word().to_owned()),
        Event::Replace { proof } => ("replace", proof.strength().word().to_owned()),
        Event::Approve | Event::Hold { .. } | Event::Suspend | Event::Enable => ("decide", word),
        Event::Deactivate { level } => ("decide", format!("{word} {}", level.word())),
        Event::Conflict => ("conflict", word),
        Event::Resolve { verdict } => ("conflict", format!("{word} {}", verdict.word())),
        Event::Decommission | Event::ConfirmWipe | Event::Delete { .. } | Event::Undelete | Event::Purge => {
            ("end", word)
        }
    }
}
