//! `POST /v1/activations`. Refuses to decide anything: the wire's words become the rules' words and back.

use crate::api::policy::changes_to_wire;
use crate::api::snapshot::detail;
use crate::extract::{At, FromJson};
use crate::reply::{No, Reply, Yes};
use app::activation::{Activated, Activation, Claim};
use app::password::Password;
use app::{AppError, DeviceAbout};
use control::Refusal;
use control::activation::Choice;
use protocol::agent::activation as wire;
use protocol::{Hex, Text};

pub(crate) async fn activate(
    at: At,
    FromJson(request): FromJson<wire::ActivationRequest>,
) -> Reply<wire::ActivationAnswer> {
    let activated = app::activation::activate(&at.app, &from_wire(request)?).await?;
    Ok(Yes(wire::ActivationAnswer::Activated(Box::new(to_wire(activated)))))
}

fn from_wire(request: wire::ActivationRequest) -> Result<Activation, No> {
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
        old_key,
        ..
    } = request;
    let wire::Evidence { host_name, serial, hardware_uuid, os_user } = evidence;
    let wire::Platform { os, arch, agent } = platform;
    let proof = match proof {
        wire::Proof::Password { password } => Claim::Password(Password::new(password)),
        wire::Proof::OldKey => {
            let wire::OldKey { device, signature } = old_key.ok_or(AppError::from(Refusal::RequestMalformed))?;
            Claim::OldKey { device: device.0, signature: signature.0 }
        }
        wire::Proof::Ticket { .. } | wire::Proof::Token { .. } => {
            return Err(AppError::from(Refusal::RequestMalformed).into());
        }
    };
    let choice = match choice {
        wire::Choice::Auto => Choice::Auto,
        wire::Choice::Add => Choice::AddNew,
        wire::Choice::Replace { device } => Choice::Replace(device.0),
    };
    let about = DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent };
    let (Hex(request), Hex(device_key), Hex(signature)) = (request, device_key, signature);
    Ok(Activation { request, email, proof, device_key, signature, signed, about, choice })
}

fn to_wire(activated: Activated) -> wire::ActivationReply {
    let Activated { device, epoch, rights, outcome, user, snapshot, changes } = activated;
    wire::ActivationReply {
        device: Text(device),
        epoch,
        rights: rights.word().to_owned(),
        outcome: outcome.word().to_owned(),
        user,
        snapshot: snapshot.as_ref().map(detail),
        restore: wire::Restore::None,
        changes: changes_to_wire(changes),
        catch_up_at_ms: None,
    }
}
