//! The answers of the commands that say who this computer is and what it is to do.

use super::{no, path_text, restored, snapshot};
use crate::cli::activate::{Finished, InService};
use crate::due::{self, NotDue, Standing};
use crate::error::AgentError;
use crate::last::{Last, LastError};
use crate::policy::Known;
use crate::restore::Restored;
use crate::status::{Device, Status};
use base::Timestamp;
use engine::RemoteError;
use protocol::agent::activation::{ActivationChanges, ActivationQuestion, ActivationWaiting, Choice, Replaceable};
use serde_json::{Value, json};

pub(super) fn activated(done: &Finished) -> Value {
    let (state, reply) = (&done.activated.state, &done.activated.reply);
    let refused = done.chosen.iter().filter_map(|chosen| {
        let error = chosen.refused.as_ref()?;
        Some(json!({ "path": path_text(&chosen.folder), "error": remote(error) }))
    });
    json!({
        "server": state.server.url,
        "device": state.device.to_string(),
        "epoch": state.epoch,
        "user": state.user,
        "rights": reply.rights,
        "outcome": reply.outcome,
        "folders": state.folders.iter().map(path_text).collect::<Vec<_>>(),
        "folders_refused": refused.collect::<Vec<_>>(),
        "snapshot": reply.snapshot.as_ref().map(snapshot),
        "snapshot_unreadable": reply.unreadable,
        "restore": reply.restore,
        "changes": reply.changes,
        "catch_up_at_ms": reply.catch_up_at_ms,
        "restored": done.restored.as_ref().map(brought_back),
        "restore_owed": done.owed,
        "token_taken_out_of": done.scrubbed,
        "token_left": done.unscrubbed.as_ref().map(no),
    })
}

fn brought_back(ended: &Result<Restored, AgentError>) -> Value {
    match ended {
        Ok(done) => restored(done),
        Err(error) => json!({ "error": no(error) }),
    }
}

/// What would change.
pub(super) fn changes(changes: &ActivationChanges) -> Value {
    let ActivationChanges { device, name, outcome, changes } = changes;
    json!({ "preview": { "device": device, "name": name, "outcome": outcome, "changes": changes } })
}

pub(super) fn in_service(done: &InService) -> Value {
    let InService { ended, restored, owed } = done;
    json!({
        "server": ended.state.server.url,
        "device": ended.state.device.to_string(),
        "epoch": ended.state.epoch,
        "user": ended.state.user,
        "outcome": "in_service",
        "restored": restored.as_ref().map(brought_back),
        "restore_owed": owed,
        "token_taken_out_of": ended.scrubbed,
        "token_left": ended.unscrubbed.as_ref().map(no),
    })
}

pub(super) fn question(question: &ActivationQuestion) -> Value {
    let ActivationQuestion { replaceable, adding_refused, suggestion } = question;
    json!({ "question": {
        "replaceable": replaceable.iter().map(self::replaceable).collect::<Vec<_>>(),
        "may_add": adding_refused.is_none(),
        "adding_refused": adding_refused,
        "suggestion": choice(suggestion),
    } })
}

/// As `--choice` takes it.
fn choice(choice: &Choice) -> String {
    match choice {
        Choice::Auto => "auto".to_owned(),
        Choice::Add => "add".to_owned(),
        Choice::Replace { device } => device.0.to_string(),
    }
}

fn replaceable(device: &Replaceable) -> Value {
    json!({
        "device": device.device,
        "name": device.name,
        "state": device.state,
        "host_name": device.host_name,
        "serial": device.serial,
        "last_backup_at_ms": device.last_backup_at_ms,
        "snapshots": device.snapshots,
    })
}

pub(super) fn waiting(waiting: &ActivationWaiting) -> Value {
    json!({ "waiting": {
        "device": waiting.device,
        "sentence": waiting.detail,
        "retry_after_ms": waiting.retry_after_ms,
    } })
}

pub(super) fn not_due(not_due: &NotDue) -> Value {
    match not_due {
        NotDue::Running => json!({ "not_due": { "due": "running" } }),
        NotDue::Time { standing, .. } => json!({ "not_due": self::standing(standing) }),
    }
}

fn standing(standing: &Standing) -> Value {
    let Standing { due, interval, last_good_at } = standing;
    json!({
        "due": due.word(),
        "at_ms": due.at().map(Timestamp::as_ms),
        "interval": interval,
        "last_good_at_ms": last_good_at.map(Timestamp::as_ms),
    })
}

pub(super) fn status(status: &Status) -> Value {
    let mut value = match &status.device {
        Some(device) => self::device(device),
        None => json!({ "error": no(&AgentError::NotActivated) }),
    };
    value["activated"] = json!(status.device.is_some());
    value["next_backup"] = due::standing(status).as_ref().map_or(Value::Null, standing);
    value["restore_owed"] = json!(status.owed);
    value["unattended"] = json!(status.unattended);
    value["wiped"] = json!(status.wiped);
    value["last"] = last(&status.last);
    value
}

/// What happened last; what this computer alone has to know of it is left out.
fn last(last: &Last) -> Value {
    let error = last.error.as_ref().map(|LastError { command, at_ms, code, sentence, .. }| {
        json!({ "command": command, "at_ms": at_ms, "code": code, "sentence": sentence })
    });
    json!({ "backup": last.backup, "error": error, "bundle": last.bundle })
}

fn device(device: &Device) -> Value {
    let Device { state, said, policy } = device;
    let mut value = json!({
        "server": state.server.url,
        "device": state.device.to_string(),
        "epoch": state.epoch,
        "user": state.user,
        "folders": state.folders.iter().map(path_text).collect::<Vec<_>>(),
        "profile": policy.as_ref().map(|known| &known.policy.profile),
        "quota": policy.as_ref().map(|known| &known.policy.quota),
        "absent": policy.as_ref().map(|known| &known.absent),
    });
    match said {
        Ok(said) => {
            value["name"] = json!(said.name);
            value["state"] = json!(said.state);
            value["rights"] = json!(said.rights);
            value["snapshots"] = json!(said.snapshots);
            value["snapshot"] = json!(said.snapshot.as_ref().map(snapshot));
            value["snapshot_unreadable"] = json!(said.unreadable);
            value["server_now_ms"] = json!(said.now_ms);
            value["orders"] = json!(said.orders);
            value["catch_up_at_ms"] = json!(said.catch_up_at_ms);
            value["policy_revision"] = json!(said.policy_revision);
            value["support"] = json!(said.support);
        }
        Err(error) => value["error"] = no(error),
    }
    value["why"] = json!(device.why());
    value["to_do"] = json!(device.to_do());
    value
}

pub(super) fn policy(known: &Known) -> Value {
    json!({
        "policy": known.policy,
        "fetched_at_ms": known.fetched_at_ms,
        "stale": known.stale.as_ref().map(remote),
        "absent": known.absent,
    })
}

fn remote(error: &RemoteError) -> Value {
    super::refusal(&error.code, &error.sentence, error.kind, error.retry)
}

#[cfg(test)]
mod tests;
