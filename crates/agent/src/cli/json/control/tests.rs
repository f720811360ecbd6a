//! The fields of activation, status and policy, as docs/cli.md promises them. Refuses one more or one less.

use super::*;
use crate::activation::Activated;
use crate::cli::Report;
use crate::cli::json::tests::{check, detail, detail_json, path, state};
use crate::last::{Last, LastBackup, LastBundle, LastError};
use crate::owed::Owed;
use crate::policy::Chosen;
use crate::unattended::{Ended, Record};
use crate::wipe::Wiped;
use base::{FolderId, Kind, SnapshotId};
use protocol::Text;
use protocol::agent::activation::{ActivationReply, Restore};
use protocol::agent::policy::ValueChange;
use protocol::agent::policy::{FolderChange, PolicyChanges, PolicyFolder, PolicyReply, PolicyValue, QuotaDetail};
use protocol::agent::status::DeviceReply;

fn refused() -> RemoteError {
    RemoteError::new("device_held", "no", Kind::Refused)
}

fn refused_json() -> Value {
    json!({ "code": "device_held", "sentence": "no", "kind": "refused", "retry": "when_changed" })
}

fn folder_id() -> FolderId {
    FolderId::from_bytes([1; 16])
}

fn known(stale: Option<RemoteError>) -> Known {
    let folder = PolicyFolder {
        folder: Text(folder_id()),
        path: "${home}".to_owned(),
        os: "any".to_owned(),
        from: "profile".to_owned(),
        mandatory: false,
        linked: true,
        include: vec!["*.odt".to_owned()],
        exclude: vec![],
    };
    let value = PolicyValue {
        key: "interval".to_owned(),
        value: "4h".to_owned(),
        from: "profile".to_owned(),
        may_change: true,
    };
    let policy = PolicyReply {
        revision: 7,
        profile: "Default".to_owned(),
        values: vec![value],
        folders: vec![folder],
        exclusions: vec!["*.tmp".to_owned()],
        quota: QuotaDetail { used: 1, limit: Some(2), from: "user".to_owned() },
    };
    Known { policy, fetched_at_ms: 5, stale, absent: vec!["${desktop}".to_owned()] }
}

#[test]
fn an_activation_has_these_fields() {
    let changes = PolicyChanges {
        kept: false,
        folders: vec![FolderChange { folder: Text(folder_id()), path: "/srv".to_owned() }],
        values: vec![ValueChange { key: "interval".to_owned(), was: "1h".to_owned(), now: "4h".to_owned() }],
    };
    let reply = ActivationReply {
        device: Text(state().device),
        epoch: 3,
        rights: "full".to_owned(),
        outcome: "reactivated".to_owned(),
        user: "anna@example.com".to_owned(),
        snapshot: Some(detail()),
        unreadable: None,
        restore: Restore::Data,
        changes,
        catch_up_at_ms: Some(6),
        counter: protocol::Hex([0xee; 56]),
    };
    let done = Finished {
        activated: Activated { state: state(), reply },
        chosen: vec![Chosen { folder: path(b"etc"), refused: Some(refused()) }],
        restored: Some(Err(AgentError::Remote(refused()))),
        owed: None,
        scrubbed: vec!["/a/legacy.cfg".into()],
        unscrubbed: None,
    };
    let expected = json!({
        "server": "https://backup.example.com", "device": state().device.to_string(), "epoch": 3,
        "user": "anna@example.com", "rights": "full", "outcome": "reactivated", "folders": ["/home/anna"],
        "folders_refused": [{ "path": "/etc", "error": refused_json() }],
        "snapshot": detail_json(), "snapshot_unreadable": null, "restore": "data", "catch_up_at_ms": 6,
        "changes": {
            "kept": false,
            "folders": [{ "folder": folder_id().to_string(), "path": "/srv" }],
            "values": [{ "key": "interval", "was": "1h", "now": "4h" }],
        },
        "restored": { "error": refused_json() }, "restore_owed": null,
        "token_taken_out_of": ["/a/legacy.cfg"], "token_left": null,
    });
    check(&Report::Activated(Box::new(done)), &expected);
    let ended =
        Ended { state: state(), has_full_rights: false, activated: None, scrubbed: Vec::new(), unscrubbed: None };
    let snapshot = SnapshotId::from_bytes([7; 16]);
    let owed = Some(Owed { device: Text(state().device), snapshot: Text(snapshot) });
    let in_service = InService { ended, restored: None, owed };
    let expected = json!({
        "server": "https://backup.example.com", "device": state().device.to_string(), "epoch": 3,
        "user": "anna@example.com", "outcome": "in_service", "restored": null,
        "restore_owed": { "device": state().device.to_string(), "snapshot": snapshot.to_string() },
        "token_taken_out_of": [], "token_left": null,
    });
    check(&Report::InService(Box::new(in_service)), &expected);
    let would = ActivationChanges {
        device: Some(Text(state().device)),
        name: "laptop".to_owned(),
        outcome: "reactivated".to_owned(),
        changes: PolicyChanges::default(),
    };
    let expected = json!({ "preview": {
        "device": state().device.to_string(), "name": "laptop", "outcome": "reactivated",
        "changes": { "kept": false, "folders": [], "values": [] },
    } });
    check(&Report::Changes(would), &expected);
    check(&Report::PasswordSet("anna@example.com".to_owned()), &json!({ "email": "anna@example.com" }));
}

#[test]
fn a_question_and_a_waiting_have_these_fields() {
    let device = Replaceable {
        device: Text(state().device),
        name: "laptop".to_owned(),
        state: "active".to_owned(),
        host_name: "laptop.example.com".to_owned(),
        serial: "PF3".to_owned(),
        last_backup_at_ms: None,
        snapshots: 4,
    };
    let asked = ActivationQuestion {
        replaceable: vec![device],
        adding_refused: Some("no".to_owned()),
        suggestion: Choice::Replace { device: Text(state().device) },
    };
    let name = state().device.to_string();
    let expected = json!({ "question": {
        "replaceable": [{
            "device": name, "name": "laptop", "state": "active", "host_name": "laptop.example.com", "serial": "PF3",
            "last_backup_at_ms": null, "snapshots": 4,
        }],
        "may_add": false, "adding_refused": "no", "suggestion": name,
    } });
    check(&Report::Question(asked), &expected);
    let waiting = ActivationWaiting {
        device: Text(state().device),
        detail: "An admin looks.".to_owned(),
        retry_after_ms: 60_000,
    };
    let expected = json!({ "waiting": { "device": name, "sentence": "An admin looks.", "retry_after_ms": 60_000 } });
    check(&Report::Waiting(waiting), &expected);
}

fn status_of(device: Option<Device>) -> Status {
    let record = Record {
        server: "https://a".to_owned(),
        found_in: "command line".to_owned(),
        attempts: 2,
        tried_at_ms: 3,
        next_at_ms: None,
        may_pass: true,
        code: "token_rate".to_owned(),
        sentence: "Too many.".to_owned(),
    };
    let backup = LastBackup { snapshot: "snp_x".to_owned(), at_ms: 1, problem_count: 2 };
    let (code, sentence) = ("c".to_owned(), "s".to_owned());
    let error = LastError { command: "backup".to_owned(), at_ms: 1, code, sentence, epoch: Some(3), run_refused: true };
    let bundle = LastBundle { sent_at_ms: 4, bytes: 5 };
    Status {
        device,
        owed: None,
        unattended: Some(record),
        wiped: Some(Wiped { server: "https://a".to_owned(), device: "dev_x".to_owned(), at_ms: 9 }),
        last: Last { backup: Some(backup), error: Some(error), bundle: Some(bundle) },
        now: Timestamp::from_ms(14_400_000),
    }
}

/// With what a person reads of a device that is held.
fn refused_fields(more: &Value) -> Value {
    let to_do = "run `holdfast unattended`, or `holdfast activate`: the same device goes on";
    let mut fields = json!({ "why": "no", "to_do": to_do });
    fields.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    fields
}

fn around_status(fields: &Value) -> Value {
    let mut whole = json!({
        "restore_owed": null, "next_backup": null,
        "unattended": {
            "server": "https://a", "found_in": "command line", "attempts": 2, "tried_at_ms": 3, "next_at_ms": null,
            "may_pass": true, "code": "token_rate", "sentence": "Too many.",
        },
        "wiped": { "server": "https://a", "device": "dev_x", "at_ms": 9 },
        "last": {
            "backup": { "snapshot": "snp_x", "at_ms": 1, "problem_count": 2 },
            "error": { "command": "backup", "at_ms": 1, "code": "c", "sentence": "s" },
            "bundle": { "sent_at_ms": 4, "bytes": 5 },
        },
    });
    whole.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("an object"));
    whole
}

#[test]
fn a_status_has_these_fields() {
    let said = DeviceReply {
        device: Text(state().device),
        name: "laptop".to_owned(),
        user: "anna@example.com".to_owned(),
        state: "active".to_owned(),
        rights: "full".to_owned(),
        snapshot: Some(detail()),
        unreadable: None,
        snapshots: 12,
        now_ms: 99,
        orders: vec![],
        catch_up_at_ms: None,
        policy_revision: 7,
        support: Some("call 5".to_owned()),
    };
    let known = Some(known(None));
    let here = json!({
        "activated": true, "server": "https://backup.example.com", "device": state().device.to_string(), "epoch": 3,
        "user": "anna@example.com", "folders": ["/home/anna"], "profile": "Default",
        "quota": { "used": 1, "limit": 2, "from": "user" }, "absent": ["${desktop}"],
    });
    let with = |more: Value| {
        let mut fields = here.clone();
        fields.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        around_status(&fields)
    };
    let expected = with(json!({
        "name": "laptop", "state": "active", "rights": "full", "snapshots": 12,
        "snapshot": detail_json(), "snapshot_unreadable": null,
        "server_now_ms": 99, "orders": [], "catch_up_at_ms": null, "policy_revision": 7, "support": "call 5",
        "next_backup": { "due": "later", "at_ms": 14_400_003, "interval": "4h", "last_good_at_ms": 3 },
        "why": null, "to_do": null,
    }));
    let device = Device { state: state(), said: Ok(said), policy: known.clone() };
    check(&Report::Status(Box::new(status_of(Some(device)))), &expected);
    let said = Err(AgentError::Remote(refused()));
    let device = Device { state: state(), said, policy: known.clone() };
    check(
        &Report::Status(Box::new(status_of(Some(device)))),
        &with(refused_fields(&json!({ "error": refused_json() }))),
    );
    let away = RemoteError { kind: Kind::Unavailable, ..refused() };
    let status = status_of(Some(Device { state: state(), said: Err(AgentError::Remote(away)), policy: known }));
    let next = json!({ "due": "later", "at_ms": 14_400_001, "interval": "4h", "last_good_at_ms": 1 });
    let error = json!({ "code": "device_held", "sentence": "no", "kind": "unavailable", "retry": "when_changed" });
    let standing = due::standing(&status).expect("a device that is not refused");
    check(&Report::Status(Box::new(status)), &with(refused_fields(&json!({ "error": error, "next_backup": next }))));
    let status = Box::new(status_of(None));
    check(&Report::NotDue(NotDue::Time { standing, status }), &json!({ "not_due": next }));
    check(&Report::NotDue(NotDue::Running), &json!({ "not_due": { "due": "running" } }));
    let error = AgentError::NotActivated;
    let no =
        json!({ "code": "not_activated", "sentence": error.sentence(), "kind": "conflict", "retry": "when_changed" });
    let expected = around_status(&json!({ "activated": false, "error": no }));
    check(&Report::Status(Box::new(status_of(None))), &expected);
}

#[test]
fn a_policy_has_these_fields() {
    let expected = json!({
        "policy": {
            "revision": 7, "profile": "Default", "exclusions": ["*.tmp"],
            "values": [{ "key": "interval", "value": "4h", "from": "profile", "may_change": true }],
            "folders": [{
                "folder": folder_id().to_string(), "path": "${home}", "os": "any", "from": "profile",
                "mandatory": false, "linked": true, "include": ["*.odt"], "exclude": [],
            }],
            "quota": { "used": 1, "limit": 2, "from": "user" },
        },
        "fetched_at_ms": 5, "stale": refused_json(), "absent": ["${desktop}"],
    });
    for made in [Report::Policy, Report::Folders, Report::Settings] {
        check(&made(known(Some(refused()))), &expected);
    }
}

#[test]
fn what_is_left_of_an_erased_device_and_a_bundle_have_these_fields() {
    let wiped = Wiped { server: "https://a".to_owned(), device: "dev_x".to_owned(), at_ms: 9 };
    check(&Report::Wiped(wiped), &json!({ "wiped": { "server": "https://a", "device": "dev_x", "at_ms": 9 } }));
    let bundle = crate::support::Bundle { file: "/tmp/x".into(), bytes: 3, parts: vec![("state", "what is kept")] };
    check(&Report::Support(bundle), &json!({ "file": "/tmp/x", "bytes": 3, "parts": ["state"] }));
    check(&Report::Snapshots(vec![detail()]), &json!({ "snapshots": [detail_json()] }));
}
