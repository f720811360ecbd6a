//! What `--json` writes: one object, one line. Its fields are a promise (docs/cli.md, "JSON").
//! Refuses to show the root of a snapshot, which is a key to its contents.

mod control;

use super::Report;
use crate::backup::BackedUp;
use crate::error::AgentError;
use crate::folders::path_text;
use crate::restore::Restored;
use crate::snapshots::Listed;
use crate::verify_restore::Verified;
use base::{Kind, Retry, Span};
use engine::Problem;
use engine::compare::Difference;
use format::{Entry, EntryBody};
use protocol::agent::run::SnapshotDetail;
use protocol::path_to_text;
use serde_json::{Map, Value, json};

/// The answer of a command.
pub(super) fn report(report: &Report) -> String {
    line(&match report {
        Report::Activated(done) => control::activated(done),
        Report::InService(ended) => control::in_service(ended),
        Report::Question(question) => control::question(question),
        Report::Changes(changes) => control::changes(changes),
        Report::PasswordSet(email) => json!({ "email": email }),
        Report::Waiting(waiting) => control::waiting(waiting),
        Report::BackedUp(done) => backed_up(done),
        Report::Watched => json!({ "watched": true }),
        Report::NotDue(not_due) => control::not_due(not_due),
        Report::Status(status) => control::status(status),
        Report::Policy(known) | Report::Folders(known) | Report::Settings(known) => control::policy(known),
        Report::Support(bundle) => json!({
            "file": path_to_text(bundle.file.as_os_str().as_encoded_bytes()),
            "bytes": bundle.bytes,
            "parts": bundle.parts.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        }),
        Report::Wiped(wiped) => json!({ "wiped": wiped }),
        Report::Snapshots(all) => json!({ "snapshots": all.iter().map(snapshot).collect::<Vec<_>>() }),
        Report::Listed(listed) => self::listed(listed),
        Report::Restored(done) => restored(done),
        Report::Verified(done) => verified(done),
    })
}

/// The error of a command.
pub(super) fn error(error: &AgentError) -> String {
    line(&json!({ "error": no(error) }))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// A "no", as one value.
fn no(error: &AgentError) -> Value {
    refusal(error.code(), &error.sentence(), error.kind(), error.retry())
}

fn refusal(code: &str, sentence: &str, kind: Kind, retry: Retry) -> Value {
    let after = retry.after().map(Span::as_ms);
    let mut value = json!({ "code": code, "sentence": sentence, "kind": kind.word(), "retry": retry.word() });
    if let Some(after) = after {
        value["retry_after_ms"] = json!(after);
    }
    value
}

fn backed_up(done: &BackedUp) -> Value {
    let BackedUp { run, parent, folders, partial, began_at, took, outcome, totals, changes, .. } = done;
    let BackedUp { excluded, policy_revision, .. } = done;
    let here = |problem: &Problem| problem_at(problem, &path_text(&problem.path));
    json!({
        "snapshot": outcome.snapshot.to_string(),
        "run": run.to_string(),
        "parent": parent.map(|parent| parent.to_string()),
        "folders": folders.iter().map(path_text).collect::<Vec<_>>(),
        "partial": partial,
        "began_at_ms": began_at.as_ms(),
        "committed_at_ms": outcome.committed.committed_at_ms,
        "elapsed_ms": took.as_ms(),
        "tree": {
            "entries": outcome.totals.entries.0,
            "files": outcome.totals.files.0,
            "bytes": outcome.totals.bytes.0,
        },
        "files_seen": totals.files_seen,
        "files_opened": totals.files_opened,
        "bytes_seen": totals.bytes_seen,
        "bytes_read": totals.bytes_read,
        "bytes_sent": totals.bytes_sent,
        "bytes_fetched": totals.bytes_fetched,
        "chunks_new": outcome.committed.chunks_new,
        "packs": outcome.committed.packs,
        "bytes_received": outcome.committed.bytes_received,
        "changes": match changes {
            Ok(places) => json!({ "by": "journal", "places": places }),
            Err(doubt) => json!({ "by": "walk", "why": doubt.code() }),
        },
        "excluded": excluded,
        "policy_revision": policy_revision,
        "problem_count": totals.problems,
        "problems": outcome.problems.iter().map(here).collect::<Vec<_>>(),
    })
}

fn restored(done: &Restored) -> Value {
    let Restored { snapshot, to, paths, kept, took, totals, problems } = done;
    // Problems are named by where they are below the folder of the restore.
    let below = |problem: &Problem| problem_at(problem, &path_to_text(problem.path.as_bytes()));
    json!({
        "snapshot": snapshot.to_string(),
        "to": path_to_text(to.as_os_str().as_encoded_bytes()),
        "paths": paths.iter().map(path_text).collect::<Vec<_>>(),
        "elapsed_ms": took.as_ms(),
        "kept": kept,
        "files": totals.files_seen,
        "bytes_here": totals.bytes_read,
        "bytes_written": totals.bytes_written,
        "bytes_fetched": totals.bytes_fetched,
        "bytes_sent": totals.bytes_sent,
        "problem_count": totals.problems,
        "problems": problems.iter().map(below).collect::<Vec<_>>(),
    })
}

fn verified(done: &Verified) -> Value {
    let Verified { snapshot, at, paths, took, totals, counts, counts_extra, differences, problems } = done;
    let differing = |difference: &Difference| {
        let what: Vec<&str> = difference.what.iter().map(|aspect| aspect.word()).collect();
        json!({ "path": path_to_text(difference.path.as_bytes()), "what": what })
    };
    let below = |problem: &Problem| problem_at(problem, &path_to_text(problem.path.as_bytes()));
    json!({
        "snapshot": snapshot.to_string(),
        "to": path_to_text(at.as_os_str().as_encoded_bytes()),
        "paths": paths.iter().map(path_text).collect::<Vec<_>>(),
        "elapsed_ms": took.as_ms(),
        "entries": counts.entries,
        "files": counts.files,
        "bytes": counts.bytes,
        "bytes_fetched": totals.bytes_fetched,
        "bytes_sent": totals.bytes_sent,
        "missing": counts.missing,
        "different": counts.different,
        "extra": counts_extra.then_some(counts.extra),
        "difference_count": done.difference_count(),
        "differences": differences.iter().map(differing).collect::<Vec<_>>(),
        "problem_count": totals.problems,
        "problems": problems.iter().map(below).collect::<Vec<_>>(),
    })
}

fn problem_at(problem: &Problem, path: &str) -> Value {
    json!({ "path": path, "code": problem.code, "sentence": problem.sentence })
}

fn snapshot(detail: &SnapshotDetail) -> Value {
    json!({
        "snapshot": detail.snapshot.0.to_string(),
        "device": detail.device.0.to_string(),
        "began_at_ms": detail.began_at_ms,
        "ended_at_ms": detail.ended_at_ms,
        "committed_at_ms": detail.committed_at_ms,
        "entries": detail.totals.entries,
        "files": detail.totals.files,
        "bytes": detail.totals.bytes,
        "folders": detail.folders.iter().map(|folder| format!("/{folder}")).collect::<Vec<_>>(),
        "partial": detail.partial,
        "host_name": detail.host_name,
        "problem_count": detail.problems,
    })
}

fn listed(listed: &Listed) -> Value {
    json!({
        "snapshot": listed.snapshot.to_string(),
        "path": path_text(&listed.path),
        "entries": listed.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn entry(entry: &Entry) -> Value {
    let meta = &entry.meta;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("name", json!(path_to_text(&entry.name)));
    put("kind", json!(kind_word(&entry.body)));
    put("mode", json!(format!("{:04o}", meta.mode)));
    put("uid", json!(meta.uid));
    put("gid", json!(meta.gid));
    put("user", json!(path_to_text(&meta.user)));
    put("group", json!(path_to_text(&meta.group)));
    put("mtime_s", json!(meta.mtime.seconds));
    put("mtime_nanos", json!(meta.mtime.nanos));
    put("xattrs", json!(meta.xattrs.iter().map(|(name, _)| path_to_text(name)).collect::<Vec<_>>()));
    match &entry.body {
        EntryBody::File { size, .. } => put("size", json!(size)),
        EntryBody::Symlink { target } => put("target", json!(path_to_text(target))),
        EntryBody::CharDevice { major, minor } | EntryBody::BlockDevice { major, minor } => {
            put("major", json!(major));
            put("minor", json!(minor))
        }
        EntryBody::Directory { .. } | EntryBody::Fifo | EntryBody::Socket => None,
    };
    Value::Object(fields)
}

fn kind_word(body: &EntryBody) -> &'static str {
    match body {
        EntryBody::File { .. } => "file",
        EntryBody::Directory { .. } => "directory",
        EntryBody::Symlink { .. } => "symlink",
        EntryBody::Fifo => "fifo",
        EntryBody::Socket => "socket",
        EntryBody::CharDevice { .. } => "char_device",
        EntryBody::BlockDevice { .. } => "block_device",
    }
}

#[cfg(test)]
mod tests;
