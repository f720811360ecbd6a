//! Hello, challenges, sessions, and what a device may know of itself.

use crate::api::snapshot::detail;
use crate::extract::{At, AtDevice, FromJson};
use crate::reply::{Reply, Yes};
use protocol::agent::session::{
    ChallengeReply, ChallengeRequest, HelloReply, SessionReply, SessionRequest, signed_bytes,
};
use protocol::agent::status::DeviceReply;
use protocol::{Hex, Text, Versions};

/// The server's release.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// `GET /v1/hello`.
pub(crate) async fn hello(at: At) -> Reply<HelloReply> {
    let now_ms = at.app.clock.now().as_ms();
    Ok(Yes(HelloReply { release: RELEASE.to_owned(), protocol: Versions::ours(), now_ms }))
}

/// `POST /v1/sessions/challenge`.
pub(crate) async fn challenge(at: At, FromJson(request): FromJson<ChallengeRequest>) -> Reply<ChallengeReply> {
    let challenge = app::session::challenge(&at.app, request.device.0);
    Ok(Yes(ChallengeReply { challenge: Hex(challenge.bytes), expires_in_ms: challenge.span.as_ms() }))
}

/// `POST /v1/sessions`.
pub(crate) async fn open(at: At, FromJson(request): FromJson<SessionRequest>) -> Reply<SessionReply> {
    let SessionRequest { device: Text(device), challenge: Hex(challenge), signature: Hex(signature), .. } = request;
    let signed = signed_bytes(device, &challenge);
    let session = app::session::open(&at.app, device, &challenge, &signed, &signature).await?;
    Ok(Yes(SessionReply { token: session.token, expires_in_ms: session.span.as_ms(), counter: Hex([0; 56]) }))
}

/// `GET /v1/device`.
pub(crate) async fn device(at: AtDevice) -> Reply<DeviceReply> {
    let own = app::devices::own(&at.app, &at.actor).await?;
    Ok(Yes(DeviceReply {
        device: Text(own.id),
        name: own.name,
        user: own.user,
        state: own.state.word().to_owned(),
        rights: own.rights.word().to_owned(),
        snapshot: own.snapshot.as_ref().map(detail),
        snapshots: own.snapshots.0,
        now_ms: own.now.as_ms(),
        orders: Vec::new(),
        catch_up_at_ms: None,
        policy_revision: own.policy_revision,
        support: own.support,
    }))
}
