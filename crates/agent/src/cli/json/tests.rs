//! The fields of every answer, as docs/cli.md promises them. Refuses one more or one less.

use super::*;
use crate::state::{Pin, Server, State};
use base::{Bytes, Count, DeviceId, RunId, SeededEntropy, SnapshotId, Span, Timestamp};
use engine::backup::Outcome;
use engine::compare::{Aspect, Counts};
use engine::{Committed, Totals};
use format::{ChunkRef, Content, FileTime, Meta, StoredPath};
use protocol::Text;

pub(super) fn path(bytes: &[u8]) -> StoredPath {
    StoredPath::from_bytes(bytes.to_vec()).expect("a path")
}

fn snapshot_id() -> SnapshotId {
    SnapshotId::mint(&SeededEntropy::new(1))
}

pub(super) fn state() -> State {
    State {
        server: Server { url: "https://backup.example.com".to_owned(), pin: Pin::Fingerprint([7; 32]) },
        device: DeviceId::mint(&SeededEntropy::new(2)),
        epoch: 3,
        user: "anna@example.com".to_owned(),
        public_key: [1; 32],
        folders: vec![path(b"home/anna")],
        counter: Some(protocol::Hex([0xee; 56])),
    }
}

pub(super) fn detail() -> SnapshotDetail {
    SnapshotDetail {
        snapshot: Text(snapshot_id()),
        device: Text(state().device),
        root: Some(protocol::Hex([0xee; 32])),
        began_at_ms: 1,
        ended_at_ms: 2,
        committed_at_ms: 3,
        totals: protocol::agent::run::Totals { entries: 4, files: 5, bytes: 6 },
        folders: vec!["home/anna".to_owned()],
        partial: false,
        host_name: "laptop".to_owned(),
        problems: 7,
    }
}

pub(super) fn check(made: &Report, expected: &Value) {
    let text = report(made);
    assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "one line: {text}");
    assert!(!text.contains("eeee"), "the root of a snapshot is a secret: {text}");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), *expected);
    documented(expected);
}

/// Every field of an answer stands in the document, in backticks.
fn documented(value: &Value) {
    let document = include_str!("../../../../../docs/cli.md");
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                assert!(document.contains(&format!("`{name}`")), "docs/cli.md lacks the field {name}");
                documented(field);
            }
        }
        Value::Array(items) => items.iter().for_each(documented),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub(super) fn detail_json() -> Value {
    json!({
        "snapshot": snapshot_id().to_string(), "device": state().device.to_string(),
        "began_at_ms": 1, "ended_at_ms": 2, "committed_at_ms": 3, "entries": 4, "files": 5, "bytes": 6,
        "folders": ["/home/anna"], "partial": false, "host_name": "laptop", "problem_count": 7,
    })
}

#[test]
fn a_backup_has_these_fields() {
    let run = RunId::mint(&SeededEntropy::new(4));
    let problem = Problem { path: path(b"home/anna/\xff"), code: "entry_gone", sentence: "it is gone".to_owned() };
    let done = BackedUp {
        run,
        parent: None,
        folders: vec![path(b"home/anna"), path(b"")],
        partial: true,
        began_at: Timestamp::from_ms(1_000),
        took: Span::ms(1_234),
        outcome: Outcome {
            snapshot: snapshot_id(),
            root: ChunkRef::from_bytes([0xee; 32]),
            began_at: Timestamp::from_ms(1_000),
            totals: format::Totals { entries: Count(9), files: Count(8), bytes: Bytes(7) },
            problems: vec![problem],
            committed: Committed { committed_at_ms: 2_000, bytes_received: 20, chunks_new: 21, packs: 22 },
        },
        totals: Totals {
            files_seen: 10,
            files_opened: 11,
            bytes_seen: 12,
            bytes_read: 13,
            bytes_sent: 14,
            bytes_fetched: 15,
            problems: 1,
            ..Totals::default()
        },
        excluded: 16,
        changes: Ok(18),
        policy_revision: Some(17),
    };
    let expected = json!({
        "snapshot": snapshot_id().to_string(), "run": run.to_string(), "parent": null,
        "folders": ["/home/anna", "/"], "partial": true,
        "began_at_ms": 1_000, "committed_at_ms": 2_000, "elapsed_ms": 1_234,
        "tree": { "entries": 9, "files": 8, "bytes": 7 },
        "files_seen": 10, "files_opened": 11, "bytes_seen": 12, "bytes_read": 13, "bytes_sent": 14,
        "bytes_fetched": 15, "bytes_received": 20, "chunks_new": 21, "packs": 22,
        "changes": { "by": "journal", "places": 18 },
        "excluded": 16, "policy_revision": 17, "problem_count": 1,
        "problems": [{ "path": "/home/anna/%FF", "code": "entry_gone", "sentence": "it is gone" }],
    });
    check(&Report::BackedUp(Box::new(done)), &expected);
}

#[test]
fn a_restore_has_these_fields() {
    let problem = Problem { path: path(b"doc/a"), code: "target_denied", sentence: "no".to_owned() };
    let done = Restored {
        snapshot: snapshot_id(),
        to: "/tmp/out".into(),
        paths: vec![path(b"home/anna/doc")],
        kept: 9,
        took: Span::ms(5),
        totals: Totals {
            files_seen: 1,
            bytes_read: 8,
            bytes_written: 2,
            bytes_fetched: 3,
            bytes_sent: 4,
            problems: 1,
            ..Totals::default()
        },
        problems: vec![problem],
    };
    let expected = json!({
        "snapshot": snapshot_id().to_string(), "to": "/tmp/out", "paths": ["/home/anna/doc"], "elapsed_ms": 5,
        "kept": 9, "files": 1, "bytes_here": 8, "bytes_written": 2, "bytes_fetched": 3, "bytes_sent": 4,
        "problem_count": 1,
        "problems": [{ "path": "doc/a", "code": "target_denied", "sentence": "no" }],
    });
    check(&Report::Restored(done), &expected);
}

#[test]
fn a_comparison_has_these_fields() {
    let problem = Problem { path: path(b"doc/a"), code: "entry_denied", sentence: "no".to_owned() };
    let difference = |at: &[u8], what: &[Aspect]| Difference { path: path(at), what: what.to_vec() };
    let done = |counts_extra| {
        Report::Verified(Box::new(Verified {
            snapshot: snapshot_id(),
            at: "/tmp/out".into(),
            paths: vec![path(b"home/anna/doc")],
            took: Span::ms(5),
            totals: Totals { bytes_fetched: 6, bytes_sent: 7, problems: 1, ..Totals::default() },
            counts: Counts { entries: 1, files: 2, bytes: 3, missing: 4, different: 5, extra: 8 },
            counts_extra,
            differences: vec![
                difference(b"doc/b%\n", &[Aspect::Size, Aspect::Mode]),
                difference(b"doc/c", &[Aspect::Missing]),
            ],
            problems: vec![problem.clone()],
        }))
    };
    for (counts_extra, extra) in [(true, json!(8)), (false, json!(null))] {
        let expected = json!({
            "snapshot": snapshot_id().to_string(), "to": "/tmp/out", "paths": ["/home/anna/doc"], "elapsed_ms": 5,
            "entries": 1, "files": 2, "bytes": 3, "bytes_fetched": 6, "bytes_sent": 7, "missing": 4, "different": 5,
            "extra": extra, "difference_count": 9,
            "differences": [
                { "path": "doc/b%25%0A", "what": ["size", "mode"] },
                { "path": "doc/c", "what": ["missing"] },
            ],
            "problem_count": 1, "problems": [{ "path": "doc/a", "code": "entry_denied", "sentence": "no" }],
        });
        check(&done(counts_extra), &expected);
    }
}

#[test]
fn an_entry_has_the_fields_of_its_kind() {
    let meta = Meta {
        mode: 0o644,
        uid: 1,
        gid: 2,
        user: b"anna".as_slice().into(),
        mtime: FileTime { seconds: -5, nanos: 6 },
        xattrs: vec![(b"user.a".to_vec(), b"1".to_vec())],
        ..Meta::default()
    };
    let entry = |name: &[u8], body| Entry { name: name.to_vec(), meta: meta.clone(), body };
    let entries = vec![
        entry(b"a%", EntryBody::File { size: 3, content: Content::Inline(b"abc".to_vec()) }),
        entry(b"b", EntryBody::Symlink { target: b"x/\xff".to_vec() }),
        entry(b"c", EntryBody::BlockDevice { major: 7, minor: 8 }),
        entry(b"d", EntryBody::Directory { tree: ChunkRef::from_bytes([0xee; 32]) }),
    ];
    let fields = |name: &str, kind: &str, more: Value| {
        let mut fields = json!({
            "name": name, "kind": kind, "mode": "0644", "uid": 1, "gid": 2, "user": "anna", "group": "",
            "mtime_s": -5, "mtime_nanos": 6, "xattrs": ["user.a"],
        });
        fields.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        fields
    };
    let expected = json!({
        "snapshot": snapshot_id().to_string(), "path": "/home",
        "entries": [
            fields("a%25", "file", json!({ "size": 3 })),
            fields("b", "symlink", json!({ "target": "x/%FF" })),
            fields("c", "block_device", json!({ "major": 7, "minor": 8 })),
            fields("d", "directory", json!({})),
        ],
    });
    check(&Report::Listed(Listed { snapshot: snapshot_id(), path: path(b"home"), entries }), &expected);
}

#[test]
fn an_error_has_a_code_a_sentence_a_kind_and_whether_to_try_again() {
    let cause = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "permission denied");
    let text = error(&AgentError::file("reading", "/etc/key")(cause));
    let expected = json!({ "error": {
        "code": "file_unusable", "sentence": "reading /etc/key: permission denied", "kind": "unavailable",
        "retry": "when_changed",
    } });
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), expected);
}
