//! Hello, challenges, sessions, and what a device may know of itself.

use crate::api::snapshot::newest;
use crate::extract::{At, AtDevice, FromJson, Whole};
use crate::reply::{Reply, Yes};
use app::session::{Opening, Session};
use base::Timestamp;
use protocol::agent::session::{
    ChallengeReply, ChallengeRequest, HelloReply, SessionReply, SessionRequest, signed_bytes,
};
use protocol::agent::status::DeviceReply;
use protocol::{Hex, Text, Versions};

/// The server's release.
const RELEASE: &str = env!("CARGO_PKG_VERSION");
/// The order to erase the local data.
const ORDER_WIPE: &str = "wipe";
/// The order to send a support bundle.
const ORDER_BUNDLE: &str = "support_bundle";

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
    let SessionRequest { device: Text(device), challenge: Hex(challenge), signature: Hex(signature), counter } =
        request;
    let signed = signed_bytes(device, &challenge);
    let (counter, source) = (counter.as_ref().map(|counter| &counter.0), at.source()?.to_string());
    let opening =
        Opening { device, challenge: &challenge, signed: &signed, signature: &signature, counter, source: &source };
    let Session { token, span, counter } = app::session::open(&at.app, &opening).await?;
    Ok(Yes(SessionReply { token, expires_in_ms: span.as_ms(), counter: Hex(counter) }))
}

/// `POST /v1/device/wiped`: the device has erased its local data, as it was told to do.
pub(crate) async fn wiped(at: AtDevice) -> Reply<()> {
    app::devices::wiped(&at.app, &at.actor).await?;
    Ok(Yes(()))
}

/// `PUT /v1/device/support-bundle`: the device sends the support bundle that it was asked for.
pub(crate) async fn bundle(at: AtDevice, Whole(body): Whole) -> Reply<()> {
    app::support_bundles::receive(&at.app, &at.actor, &body).await?;
    Ok(Yes(()))
}

/// `GET /v1/device`.
pub(crate) async fn device(at: AtDevice) -> Reply<DeviceReply> {
    let own = app::devices::own(&at.app, &at.actor).await?;
    let (snapshot, unreadable) = newest(own.snapshot.as_ref());
    let orders = [(own.wipe, ORDER_WIPE), (own.bundle, ORDER_BUNDLE)];
    Ok(Yes(DeviceReply {
        device: Text(own.id),
        name: own.name,
        user: own.user,
        state: own.state.word().to_owned(),
        rights: own.rights.word().to_owned(),
        snapshot,
        unreadable,
        snapshots: own.snapshots.0,
        now_ms: own.now.as_ms(),
        orders: orders.into_iter().filter(|(given, _)| *given).map(|(_, word)| word.to_owned()).collect(),
        catch_up_at_ms: own.catch_up_at.map(Timestamp::as_ms),
        policy_revision: own.policy_revision,
        support: own.support,
    }))
}
