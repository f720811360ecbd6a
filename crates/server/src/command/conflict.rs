//! `conflict list|show|resolve|undo|merge` and `watch list`.

use super::{Desk, named, words};
use crate::client::Said;
use crate::out::{Answer, Failure, card, cut, table, wrapped};
use base::{ConflictId, Count, Timestamp};
use clap::{Subcommand, ValueEnum};
use protocol::Text;
use protocol::admin::Nothing;
use protocol::admin::campaign::{WatchEntry, WatchQuery};
use protocol::admin::conflict as wire;
use protocol::admin::device::Device;
use protocol::admin::user::User;

/// What can be asked about conflicts. CONFLICT is an identifier, the beginning of one, or the name of its device.
#[derive(Debug, Subcommand)]
pub enum Conflict {
    /// List what is open.
    List {
        /// Decided ones too.
        #[arg(long)]
        all: bool,
    },
    /// Show one, with both sides.
    Show {
        /// Its identifier, or the name of its device.
        conflict: String,
    },
    /// Decide one; for thirty days that can be undone.
    Resolve {
        /// Its identifier, or the name of its device.
        conflict: String,
        /// What it is.
        #[arg(value_enum)]
        decision: Decision,
        /// With two-machines: for whom a record is prepared, so that the other machine finds it.
        #[arg(long, value_name = "USER")]
        other_user: Option<String>,
        /// With merge: the record that stays. Without it, the one that was heard of last.
        #[arg(long, value_name = "DEVICE")]
        keep: Option<String>,
    },
    /// Take a decision back.
    Undo {
        /// Its identifier, or the name of its device.
        conflict: String,
    },
    /// Make two records of one computer one.
    Merge {
        /// The record that is kept: the one that the computer uses.
        keep: String,
        /// The one whose snapshots are shown and read there.
        other: String,
    },
}

/// What a conflict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    /// One machine after all: it goes on as before.
    OneMachine,
    /// Two machines: each activates anew.
    TwoMachines,
    /// Two records of one computer: they become one.
    Merge,
    /// Two records that both stay.
    KeepBoth,
}

/// What can be asked about devices that came back.
#[derive(Debug, Subcommand)]
pub enum Watch {
    /// List the devices that are watched, and how their backups go.
    List {
        /// Only those whose backups do not run as planned.
        #[arg(long)]
        alarms: bool,
    },
}

impl Conflict {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        let Said { value, json } = match self {
            Conflict::List { all } => {
                let query = wire::ConflictQuery { all, ..Default::default() };
                let Said { value, json } = client.list::<wire::Conflict>("/conflicts", &query).await?;
                return Ok(Answer::good(list(&value), json));
            }
            Conflict::Show { conflict } => named::find::<wire::Conflict>(&client, &conflict).await?,
            Conflict::Resolve { conflict, decision, other_user, keep } => {
                let other_user = match &other_user {
                    Some(user) => Some(Text(named::id::<User>(&client, user).await?)),
                    None => None,
                };
                let keep = match &keep {
                    Some(keep) => Some(Text(named::id::<Device>(&client, keep).await?)),
                    None => None,
                };
                let body = match decision {
                    Decision::OneMachine => wire::ConflictDecision::OneMachine,
                    Decision::TwoMachines => wire::ConflictDecision::TwoMachines { other_user },
                    Decision::Merge => wire::ConflictDecision::Merge { keep },
                    Decision::KeepBoth => wire::ConflictDecision::KeepBoth,
                };
                // Of a device's conflicts the open one is meant, of which there is one.
                let open = wire::ConflictQuery::default();
                let id = match conflict.parse::<ConflictId>() {
                    Ok(id) => id,
                    Err(_) => named::find_among::<wire::Conflict>(&client, &open, &conflict).await?.value.conflict.0,
                };
                client.post::<wire::Conflict>(&format!("/conflicts/{id}/resolve"), &body).await?
            }
            Conflict::Undo { conflict } => {
                let id = named::id::<wire::Conflict>(&client, &conflict).await?;
                client.post::<wire::Conflict>(&format!("/conflicts/{id}/undo"), &Nothing {}).await?
            }
            Conflict::Merge { keep, other } => {
                let keep = Text(named::id::<Device>(&client, &keep).await?);
                let other = Text(named::id::<Device>(&client, &other).await?);
                client.post::<wire::Conflict>("/conflicts/merge", &wire::ConflictMerge { keep, other }).await?
            }
        };
        Ok(Answer::good(text(&value), json))
    }
}

impl Watch {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let Watch::List { alarms } = self;
        let query = WatchQuery { alarms, ..Default::default() };
        let Said { value, json } = desk.client().await?.list::<WatchEntry>("/watch", &query).await?;
        let time = |ms: Option<i64>| words::time_maybe(ms.map(Timestamp::from_ms));
        let row = |entry: &WatchEntry| {
            vec![
                entry.name.clone(),
                entry.user.clone(),
                entry.finding.clone(),
                time(entry.last_good_at_ms),
                time(entry.catch_up_at_ms),
            ]
        };
        let rows: Vec<Vec<String>> = value.iter().map(row).collect();
        Ok(Answer::good(table(&["DEVICE", "USER", "BACKUPS", "LAST GOOD", "CATCHES UP"], &rows), json))
    }
}

fn list(conflicts: &[wire::Conflict]) -> String {
    let row = |conflict: &wire::Conflict| {
        vec![
            conflict.conflict.0.to_string(),
            conflict.device.name.clone(),
            conflict.kind.clone(),
            conflict.status.clone(),
            words::time(Timestamp::from_ms(conflict.seen_at_ms)),
        ]
    };
    let rows: Vec<Vec<String>> = conflicts.iter().map(row).collect();
    table(&["ID", "DEVICE", "KIND", "STATUS", "SEEN"], &rows)
}

/// What the decision has done; `None` before it, and for a word of a newer server.
fn done(kind: &str, status: &str, cut_off: bool) -> Option<&'static str> {
    Some(match (kind, status, cut_off) {
        ("clone", "merged", _) => "One machine after all: it goes on with the key that it has.",
        (_, "merged", _) => {
            "One computer: the second record was merged into the first, and its snapshots are shown there."
        }
        (_, "split", true) => "Two machines: the key that both had counts for nothing any more. Each activates anew.",
        (_, "split", false) => {
            "Two machines: nothing was cut off, because the key that both had was replaced or worth nothing before."
        }
        (_, "kept", _) => "Both records stay as they are, and nobody is warned of them again.",
        (_, "undone", _) => "The decision was taken back.",
        _ => return None,
    })
}

fn text(conflict: &wire::Conflict) -> String {
    let time = |ms: Option<i64>| words::time_maybe(ms.map(Timestamp::from_ms));
    let mut lines = vec![
        ("conflict", conflict.conflict.0.to_string()),
        ("kind", conflict.kind.clone()),
        ("status", conflict.status.clone()),
        ("seen", format!("{}, {}", time(Some(conflict.seen_at_ms)), Count(conflict.times).counted("time"))),
    ];
    // Of two records no session is in question.
    if conflict.kind == "clone" {
        let (seen, handed_out, source) = (conflict.counter_seen, conflict.counter, &conflict.source);
        lines.push(("presented", format!("{seen} of {handed_out} sessions, from {source}")));
    }
    lines.extend([
        ("decided by", conflict.resolved_by.clone().unwrap_or_else(|| "-".to_owned())),
        ("undo until", time(conflict.undo_until_ms)),
    ]);
    let mut text = card(&lines);
    if let Some(done) = done(&conflict.kind, &conflict.status, conflict.cut_off) {
        text.push_str(&wrapped(done, ""));
    }
    if let Some(keep) = &conflict.merge_keeps {
        text.push_str(&wrapped(&format!("merge keeps {}, which was heard of last; --keep chooses.", keep.0), ""));
        text.push_str(&wrapped("What a computer says of itself (computer, serial) is its own word.", ""));
    }
    for side in [Some(&conflict.device), conflict.other.as_ref()].into_iter().flatten() {
        text.push('\n');
        let lines = card(&[
            ("device", side.device.0.to_string()),
            ("name", side.name.clone()),
            ("user", side.user.clone()),
            ("state", side.state.clone()),
            ("computer", side.about.host_name.clone()),
            ("serial", side.about.serial.clone()),
            ("last seen", time(side.seen_at_ms)),
        ]);
        // A computer calls itself what it likes; what has to be copied, the identifier, is never that long.
        lines.lines().for_each(|line| text.push_str(&format!("{}\n", cut(line))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said_as_it_was() {
        let said = |kind, status, cut_off| done(kind, status, cut_off).unwrap_or_default();
        assert_eq!(done("clone", "open", false), None);
        assert!(said("clone", "split", true).contains("counts for nothing any more"));
        assert!(said("clone", "split", false).contains("nothing was cut off"));
        assert!(said("clone", "merged", false).contains("One machine"));
        assert!(said("records", "merged", false).contains("merged into the first"));
        assert!(said("records", "kept", false).contains("stay as they are"));
        assert!(said("records", "undone", false).contains("taken back"));
    }
}
