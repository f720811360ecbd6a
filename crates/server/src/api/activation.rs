//! `POST /v1/activations`. Refuses to decide anything: the wire's words become the rules' words and back.

use crate::api::snapshot::detail;
use crate::extract::{At, FromJson};
use crate::reply::{Reply, Yes};
use app::DeviceAbout;
use app::activation::{Activated, Activation, Claim};
use app::password::Password;
use control::activation::Choice;
use protocol::agent::activation as wire;
use protocol::{Hex, Text};

pub(crate) async fn activate(
    at: At,
    FromJson(request): FromJson<wire::ActivationRequest>,
) -> Reply<wire::ActivationReply> {
    let activated = app::activation::activate(&at.app, &from_wire(request)).await?;
    Ok(Yes(to_wire(activated)))
}

fn from_wire(request: wire::ActivationRequest) -> Activation {
    let signed = request.signed_bytes();
    let wire::ActivationRequest { request, email, proof, device_key, signature, evidence, platform, choice } = request;
    let wire::Evidence { host_name, serial, hardware_uuid, os_user } = evidence;
    let wire::Platform { os, arch, agent } = platform;
    let proof = match proof {
        wire::Proof::Password { password } => Claim::Password(Password::new(password)),
        wire::Proof::OldKey { device, signature } => Claim::OldKey { device: device.0, signature: signature.0 },
    };
    let choice = match choice {
        wire::Choice::Auto => Choice::Auto,
        wire::Choice::Add => Choice::AddNew,
        wire::Choice::Replace { device } => Choice::Replace(device.0),
    };
    let about = DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent };
    let (Hex(request), Hex(device_key), Hex(signature)) = (request, device_key, signature);
    Activation { request, email, proof, device_key, signature, signed, about, choice }
}

fn to_wire(activated: Activated) -> wire::ActivationReply {
    let Activated { device, epoch, rights, outcome, user, snapshot } = activated;
    wire::ActivationReply {
        device: Text(device),
        epoch,
        rights: rights.word().to_owned(),
        outcome: outcome.word().to_owned(),
        user,
        snapshot: snapshot.as_ref().map(detail),
    }
}
