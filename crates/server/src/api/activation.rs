//! `POST /v1/activations`. Refuses to decide anything: the wire's words become the rules' words and back.

use crate::api::policy::changes_to_wire;
use crate::api::snapshot::newest;
use crate::extract::{At, FromJson};
use crate::reply::{Reply, Yes};
use app::activation::{Activated, Activation, Answer, Claim, OldKey, Preview, Question, Replaceable, Waiting};
use app::password::Password;
use app::{DeviceAbout, SecretText};
use base::Timestamp;
use control::activation::{self, Choice, Restore};
use control::desk::WAITING_SENTENCE;
use protocol::agent::activation as wire;
use protocol::{Hex, Text};
use std::net::IpAddr;

pub(crate) async fn activate(
    at: At,
    FromJson(request): FromJson<wire::ActivationRequest>,
) -> Reply<wire::ActivationAnswer> {
    let answer = app::activation::activate(&at.app, &from_wire(request, at.source()?)).await?;
    Ok(Yes(to_wire(answer)))
}

fn from_wire(request: wire::ActivationRequest, source: IpAddr) -> Activation {
    let signed = request.signed_bytes();
    let wire::ActivationRequest {
        request,
        email,
        proof,
        device_key,
        signature,
        evidence,
        platform,
        choice,
        can_ask,
        preview,
        restore,
        old_key,
    } = request;
    let wire::Evidence { host_name, serial, hardware_uuid, os_user } = evidence;
    let wire::Platform { os, arch, agent } = platform;
    let proof = match proof {
        wire::Proof::Password { password } => Claim::Password(Password::new(password)),
        wire::Proof::Ticket { code } => Claim::Ticket(Password::new(code)),
        wire::Proof::Token { token } => Claim::Token(SecretText::new(token)),
        wire::Proof::OldKey => Claim::OldKey,
    };
    let old_key = old_key.map(|old| {
        let counter = old.counter.map(|counter| counter.0);
        OldKey { device: old.device.0, signature: old.signature.0, counter }
    });
    let choice = match choice {
        wire::Choice::Auto => Choice::Auto,
        wire::Choice::Add => Choice::AddNew,
        wire::Choice::Replace { device } => Choice::Replace(device.0),
    };
    let restore = restore.map(|restore| match restore {
        wire::Restore::None => Restore::None,
        wire::Restore::Data => Restore::Data,
        wire::Restore::Settings => Restore::Settings,
        wire::Restore::All => Restore::All,
    });
    let preview = match preview {
        wire::Preview::None => activation::Preview::None,
        wire::Preview::Changes => activation::Preview::Changes,
        wire::Preview::Always => activation::Preview::Always,
    };
    let about = DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent };
    let (Hex(request), Hex(device_key), Hex(signature)) = (request, device_key, signature);
    Activation {
        request,
        email,
        proof,
        old_key,
        device_key,
        signature,
        signed,
        about,
        choice,
        can_ask,
        preview,
        restore,
        source,
    }
}

fn to_wire(answer: Answer) -> wire::ActivationAnswer {
    match answer {
        Answer::Activated(activated) => wire::ActivationAnswer::Activated(Box::new(activated_to_wire(*activated))),
        Answer::Question(question) => wire::ActivationAnswer::Question(question_to_wire(question)),
        Answer::Changes(Preview { device, name, outcome, changes }) => {
            wire::ActivationAnswer::Changes(wire::ActivationChanges {
                device: device.map(Text),
                name,
                outcome: outcome.word().to_owned(),
                changes: changes_to_wire(changes),
            })
        }
        Answer::Waiting(Waiting { device, left }) => wire::ActivationAnswer::Waiting(wire::ActivationWaiting {
            device: Text(device),
            detail: WAITING_SENTENCE.to_owned(),
            retry_after_ms: left.as_ms(),
        }),
    }
}

fn activated_to_wire(activated: Activated) -> wire::ActivationReply {
    let Activated { device, epoch, rights, outcome, user, snapshot, restore, changes, counter, catch_up_at } =
        activated;
    let (snapshot, unreadable) = newest(snapshot.as_ref());
    wire::ActivationReply {
        device: Text(device),
        epoch,
        rights: rights.word().to_owned(),
        outcome: outcome.word().to_owned(),
        user,
        snapshot,
        unreadable,
        restore: match restore {
            Restore::None => wire::Restore::None,
            Restore::Data => wire::Restore::Data,
            Restore::Settings => wire::Restore::Settings,
            Restore::All => wire::Restore::All,
        },
        changes: changes_to_wire(changes),
        catch_up_at_ms: catch_up_at.map(Timestamp::as_ms),
        counter: Hex(counter),
    }
}

fn question_to_wire(question: Question) -> wire::ActivationQuestion {
    let Question { replaceable, adding_refused, suggestion } = question;
    let replaceable = replaceable.into_iter().map(|device| {
        let Replaceable { device, name, state, host_name, serial, last_backup_at, snapshots } = device;
        wire::Replaceable {
            device: Text(device),
            name,
            state: state.to_owned(),
            host_name,
            serial,
            last_backup_at_ms: last_backup_at.map(Timestamp::as_ms),
            snapshots: snapshots.0,
        }
    });
    let suggestion = match suggestion {
        Choice::Auto => wire::Choice::Auto,
        Choice::AddNew => wire::Choice::Add,
        Choice::Replace(device) => wire::Choice::Replace { device: Text(device) },
    };
    wire::ActivationQuestion { replaceable: replaceable.collect(), adding_refused, suggestion }
}
