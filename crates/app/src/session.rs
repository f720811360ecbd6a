//! Sessions of devices: a signed challenge gives a token, and a token gives the device's actor at every request.
//! Refuses to keep either: both carry a MAC under a key of the data directory, so that they survive a restart.
//! Token: device id 16 · epoch u64 · expiry i64 ms · MAC 32. Challenge: expiry i64 ms · random 8 · MAC 32.

use crate::states::{self, Standing};
use crate::{App, AppError, DeviceActor, counters};
use base::{DeviceId, Secret, Span, Timestamp};
use control::Refusal;
use control::access::Verb;
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ED25519, UnparsedPublicKey};

/// What a device's token begins with, so that it is taken for no other kind of token.
pub const TOKEN_PREFIX: &str = "hfd1_";
const TOKEN_BODY_LEN: usize = 32;
const CHALLENGE_BODY_LEN: usize = 16;
const MAC_LEN: usize = 32;
/// A token's text is never longer.
const TOKEN_TEXT_MAX: usize = 128;

/// Something to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What to sign.
    pub bytes: [u8; 48],
    /// For how long it can be used, once.
    pub span: Span,
}

/// A request to open a session; nothing of it is believed yet.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The device that asks.
    pub device: DeviceId,
    /// The challenge that it answers.
    pub challenge: &'a [u8; 48],
    /// What the signature covers, as the protocol puts it together from this device and this challenge.
    pub signed: &'a [u8],
    /// By the device key.
    pub signature: &'a [u8; 64],
    /// What the last answer gave it to present.
    pub counter: Option<&'a [u8; 56]>,
    /// The address that the request comes from; empty where there is none.
    pub source: &'a str,
}

/// An open session.
#[derive(Clone)]
pub struct Session {
    /// The bearer token.
    pub token: String,
    /// For how long it can be used.
    pub span: Span,
    /// What the device presents at its next session, to be stored before the token is used.
    pub counter: [u8; 56],
}

/// A challenge for `device`, whether or not there is one. Never fails: nothing is looked up and nothing is kept.
pub fn challenge(app: &App, device: DeviceId) -> Challenge {
    let span = app.config.challenge_span;
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&(app.clock.now() + span).as_ms().to_le_bytes());
    app.entropy.fill(&mut bytes[8..CHALLENGE_BODY_LEN]);
    let mac = challenge_mac(app, device, &bytes[..CHALLENGE_BODY_LEN]);
    bytes[CHALLENGE_BODY_LEN..].copy_from_slice(mac.as_bytes());
    Challenge { bytes, span }
}

/// Opens a session for a device that has signed a challenge. A counter that another machine has overtaken does not
/// keep it from appending, but quarantines the device.
///
/// # Errors
/// `challenge_expired`, `challenge_used`; `signature_invalid` for an unknown device, a challenge of another server or
/// device, and a wrong key alike; to who has the key, the refusal of the device's state.
pub async fn open(app: &App, opening: &Opening<'_>) -> Result<Session, AppError> {
    let (now, device) = (app.clock.now(), opening.device);
    let expires_at = challenge_expiry(app, device, opening.challenge)?;
    if now >= expires_at {
        return Err(Refusal::ChallengeExpired.into());
    }
    let during = || AppError::db("opening a session");
    let mut tx = app.db.read().await.map_err(during())?;
    // The newest credential and not only a live one: who has a revoked key is told why it is refused.
    let credential = db::credential_get_newest(&mut tx, device).await.map_err(during())?;
    drop(tx);
    let credential = credential.ok_or(Refusal::SignatureInvalid)?;
    let challenge_at = expires_at - app.config.challenge_span;
    if let Err(refusal) = signature_verify(&credential.public_key, opening.signed, opening.signature) {
        let Opening { signed, signature, counter, source, .. } = *opening;
        let shown = counters::Shown { device, signed, signature, counter, asked_at: challenge_at, source };
        counters::look_for_copy(app, now, &shown).await?;
        return Err(refusal);
    }
    if credential.revoked_at.is_some() {
        // What is remembered may be older than the revocation: who was cut off must be told so.
        app.states.changed(device);
    }
    let standing = states::standing(app, device).await?.ok_or(Refusal::SignatureInvalid)?;
    let actor = actor(device, standing);
    if let Err(refusal) = actor.may(now, Verb::OpenSession) {
        heard_of(app, device, now).await?;
        return Err(refusal);
    }
    if credential.revoked_at.is_some() || credential.epoch != actor.epoch {
        return Err(Refusal::SignatureInvalid.into());
    }
    let mut tx = app.db.write().await.map_err(during())?;
    if !db::challenge_used_insert(&mut tx, opening.challenge, expires_at).await.map_err(during())? {
        return Err(Refusal::ChallengeUsed.into());
    }
    db::device_seen_update(&mut tx, device, now).await.map_err(during())?;
    let Opening { counter, source, .. } = *opening;
    let judged = counters::Opening { device, epoch: actor.epoch, counter, challenge_at, source };
    let (counter, changed) = counters::advance(app, &mut tx, now, &judged).await?;
    tx.commit().await.map_err(during())?;
    if changed {
        // ORDER: said after the commit, or a request in between would remember the old state.
        app.states.changed(device);
    }
    Ok(Session { token: token(app, device, actor.epoch, now), span: app.config.token_span, counter })
}

/// Keeps that a device was heard of which has its key and is refused: campaigns tell it from one that is switched off.
async fn heard_of(app: &App, device: DeviceId, now: Timestamp) -> Result<(), AppError> {
    let during = || AppError::db("keeping that a device was heard of");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::device_get(&mut tx, device).await.map_err(during())?;
    drop(tx);
    // A refused device asks again and again: most of the time there is nothing to write.
    if row.and_then(|row| row.last_seen_at).is_some_and(|at| now.since(at) < Span::minutes(1) && now >= at) {
        return Ok(());
    }
    let mut tx = app.db.write().await.map_err(during())?;
    db::device_contact_update(&mut tx, device, now).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// Who a request comes from, and whether that device may do `verb` now.
///
/// # Errors
/// `session_invalid` for a token that is not one of ours, or was opened with a key that another has replaced;
/// `session_expired`; the refusal of the device's state.
pub async fn authenticate(app: &App, bearer: &str, verb: Verb) -> Result<DeviceActor, AppError> {
    let (device, epoch, expires_at) = token_open(app, bearer).ok_or(Refusal::SessionInvalid)?;
    let now = app.clock.now();
    if now >= expires_at {
        return Err(Refusal::SessionExpired.into());
    }
    current(app, device, epoch, verb).await
}

/// Looks at the device's state once more, for requests that go on for long.
///
/// # Errors
/// `session_invalid` when another key was bound since; the refusal of the device's state.
pub async fn recheck(app: &App, actor: &DeviceActor, verb: Verb) -> Result<DeviceActor, AppError> {
    Ok(current(app, actor.device, actor.epoch, verb).await?.from_source(actor.source))
}

/// Checks an Ed25519 signature.
///
/// # Errors
/// `signature_invalid`.
pub(crate) fn signature_verify(key: &[u8; 32], signed: &[u8], signature: &[u8; 64]) -> Result<(), AppError> {
    let verified = UnparsedPublicKey::new(&ED25519, key).verify(signed, signature);
    verified.map_err(|_| Refusal::SignatureInvalid.into())
}

async fn current(app: &App, device: DeviceId, epoch: u64, verb: Verb) -> Result<DeviceActor, AppError> {
    let standing = states::standing(app, device).await?.ok_or(Refusal::SessionInvalid)?;
    let actor = actor(device, standing);
    // ORDER: the state comes before the epoch: who was cut off is told so, and not to sign in again.
    actor.may(app.clock.now(), verb)?;
    if actor.epoch != epoch {
        return Err(Refusal::SessionInvalid.into());
    }
    Ok(actor)
}

fn actor(device: DeviceId, standing: Standing) -> DeviceActor {
    let Standing { user, user_state, repository, epoch, state, .. } = standing;
    DeviceActor { device, user, user_state, epoch, state, repository, source: None }
}

fn token(app: &App, device: DeviceId, epoch: u64, now: Timestamp) -> String {
    let mut bytes = device.as_bytes().to_vec();
    bytes.extend_from_slice(&epoch.to_le_bytes());
    bytes.extend_from_slice(&(now + app.config.token_span).as_ms().to_le_bytes());
    let mac = mac(&app.keys.token, &bytes);
    bytes.extend_from_slice(mac.as_bytes());
    format!("{TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
}

fn token_open(app: &App, text: &str) -> Option<(DeviceId, u64, Timestamp)> {
    let text = text.strip_prefix(TOKEN_PREFIX).filter(|text| text.len() <= TOKEN_TEXT_MAX)?;
    let bytes: [u8; TOKEN_BODY_LEN + MAC_LEN] = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?;
    let (body, given) = bytes.split_first_chunk::<TOKEN_BODY_LEN>()?;
    let given: [u8; MAC_LEN] = given.try_into().ok()?;
    // `blake3::Hash` compares in constant time.
    if mac(&app.keys.token, body) != given {
        return None;
    }
    let (device, rest) = body.split_first_chunk::<16>()?;
    let (epoch, expiry) = rest.split_first_chunk::<8>()?;
    let expires_at = Timestamp::from_ms(i64::from_le_bytes(expiry.try_into().ok()?));
    Some((DeviceId::from_bytes(*device), u64::from_le_bytes(*epoch), expires_at))
}

fn challenge_expiry(app: &App, device: DeviceId, challenge: &[u8; 48]) -> Result<Timestamp, AppError> {
    let (body, given) = challenge.split_first_chunk::<CHALLENGE_BODY_LEN>().expect("48 bytes hold 16");
    let given: [u8; MAC_LEN] = given.try_into().expect("48 bytes less 16 are 32");
    if challenge_mac(app, device, body) != given {
        return Err(Refusal::SignatureInvalid.into());
    }
    let expiry = body.first_chunk::<8>().expect("16 bytes hold 8");
    Ok(Timestamp::from_ms(i64::from_le_bytes(*expiry)))
}

fn challenge_mac(app: &App, device: DeviceId, body: &[u8]) -> blake3::Hash {
    mac(&app.keys.challenge, &[device.as_bytes(), body].concat())
}

fn mac(key: &Secret<32>, bytes: &[u8]) -> blake3::Hash {
    blake3::keyed_hash(key.expose(), bytes)
}
