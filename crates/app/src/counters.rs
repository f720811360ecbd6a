//! The counters that devices present at their sessions: sealed here, judged by `control::counter`, and what follows
//! when two machines have one. Refuses to trust bytes that this server has not sealed for this device.

mod copies;

pub(crate) use copies::{Shown, follows, is_copy, look_for_copy};

use crate::audit::{self, Deed};
use crate::{App, AppError, effects};
use base::{ConflictId, DeviceId, Timestamp};
use control::access::{self, Verb};
use control::counter::{COUNTER_LEN, Counter, Judgement, NONCE_LEN, Presented, Remembered, judge, overtaken};
use control::{Event, Proof, Refusal, lifecycle};
use db::{ConflictKind, ConflictRow, DeviceCounterRow, DeviceRow, Tx};

const BODY_LEN: usize = COUNTER_LEN - 32;

/// What an opening session brings beside its signature.
pub(crate) struct Opening<'a> {
    pub(crate) device: DeviceId,
    /// The binding whose key has signed.
    pub(crate) epoch: u64,
    /// The bytes as they were presented.
    pub(crate) counter: Option<&'a [u8; COUNTER_LEN]>,
    /// When the challenge that it answers was given out.
    pub(crate) challenge_at: Timestamp,
    /// The address that it comes from; empty where there is none.
    pub(crate) source: &'a str,
}

/// Judges what a session presents, and gives what to present at the next. Whether the device's row has changed is
/// the second half of the answer.
///
/// # Errors
/// `challenge_expired` when a challenge that was given out later was answered before; `signature_invalid` when the
/// record is gone, or another key was bound to it since; the refusal of its state; the database does not answer.
pub(crate) async fn advance(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    opening: &Opening<'_>,
) -> Result<([u8; COUNTER_LEN], bool), AppError> {
    let during = || AppError::db("judging a counter");
    let device = db::device_get(tx, opening.device).await.map_err(during())?.ok_or(Refusal::SignatureInvalid)?;
    // RACE: a new binding or a reset may have come since the caller has looked: the counter of a key that was replaced
    // meanwhile would be judged by the line of the new one.
    access::may(&device.state, now, Verb::OpenSession)?;
    if device.epoch != opening.epoch {
        return Err(Refusal::SignatureInvalid.into());
    }
    if overtaken(opening.challenge_at, device.counter.challenge_at, app.config.challenge_span) {
        return Err(Refusal::ChallengeExpired.into());
    }
    let presented = presented(app, opening.device, opening.counter);
    let mut nonce = [0; NONCE_LEN];
    app.entropy.fill(&mut nonce);
    let (next, conflict) = match judge(device.counter.remembered.as_ref(), presented, device.epoch, nonce) {
        Judgement::Next(next) => (next, false),
        Judgement::Conflict(next) => (next, true),
    };
    db::device_counter_update(tx, opening.device, &next, Some(opening.challenge_at)).await.map_err(during())?;
    let mut changed = false;
    if conflict {
        let given = device.counter.remembered.map_or(0, |remembered| remembered.current.number);
        // What is stored with the alarm is what the line goes on with.
        let counter = DeviceCounterRow { remembered: Some(next), challenge_at: Some(opening.challenge_at) };
        let by = by_key(opening.device, opening.source);
        let seen = Seen { given, shown: number(presented), by, how: "at a session" };
        changed = alarm(app, tx, now, DeviceRow { counter, ..device }, seen).await?;
    }
    Ok((seal(app, opening.device, &next.current), changed))
}

/// The counter that a binding begins with: the same however often the activation is asked for. Never fails.
pub(crate) fn first(app: &App, device: DeviceId, epoch: u64) -> [u8; COUNTER_LEN] {
    seal(app, device, &first_counter(app, device, epoch))
}

/// The line that begins with a new binding. Never fails.
pub(crate) fn begun(app: &App, device: DeviceId, epoch: u64) -> DeviceCounterRow {
    let remembered = Remembered { current: first_counter(app, device, epoch), before: None };
    DeviceCounterRow { remembered: Some(remembered), challenge_at: None }
}

/// What has shown that there are two.
struct Seen<'a> {
    /// How many sessions were opened under the binding that counts.
    given: u64,
    /// The number that was presented.
    shown: u64,
    /// Who has presented it, from where and by which proof.
    by: Deed<'static>,
    /// At what, for the audit log.
    how: &'a str,
}

/// A deed of whoever has signed with a key of this device.
fn by_key(device: DeviceId, source: &str) -> Deed<'static> {
    let (actor, proof) = (format!("device {device}"), Proof::OldKey.word().to_owned());
    Deed { actor, source: source.to_owned(), proof, ..Deed::default() }
}

/// Two machines: the device is quarantined and the desk told. Gives whether the device's state has changed.
async fn alarm(app: &App, tx: &mut Tx, now: Timestamp, device: DeviceRow, seen: Seen<'_>) -> Result<bool, AppError> {
    let during = || AppError::db("keeping a conflict");
    let Seen { given, shown, by, how } = seen;
    let source = by.source.as_str();
    let open = db::conflict_get_open(tx, device.id, ConflictKind::Clone).await.map_err(during())?;
    let is_new = open.is_none();
    if let Some(open) = open {
        db::conflict_seen_update(tx, open.id, source, shown, now).await.map_err(during())?;
    } else {
        let (id, host_name) = (ConflictId::mint(app.entropy.as_ref()), device.about.host_name.clone());
        let opened = ConflictRow::open(id, device.id, ConflictKind::Clone, host_name, now);
        let row = ConflictRow { counter: given, counter_seen: shown, source: source.to_owned(), ..opened };
        db::conflict_insert(tx, &row).await.map_err(during())?;
    }
    let id = device.id;
    let presented = format!("presented number {shown} of {given} {how} from {source}");
    let deed = Deed { subject: id.to_string(), ..by };
    // Where the lifecycle refuses, the device is quarantined already, or is on its way out and reads nothing.
    let Ok(step) = lifecycle::step(now, &device.state, &Event::Conflict) else {
        if is_new {
            let detail = format!("clone: stays {}: {presented}", device.state);
            audit::write(tx, now, Deed { action: "conflict_open", detail, ..deed }).await?;
        }
        return Ok(false);
    };
    let changed = effects::carry_out(app, tx, now, device, step, None).await?;
    let detail = format!("{}: {presented}", changed.states());
    audit::write(tx, now, Deed { action: "device_conflict", detail, ..deed }).await?;
    tracing::warn!(device.id = %id, "two computers present themselves as device {id}");
    Ok(true)
}

fn first_counter(app: &App, device: DeviceId, epoch: u64) -> Counter {
    let digest = blake3::keyed_hash(
        app.keys.counter.expose(),
        &[b"first", &device.as_bytes()[..], &epoch.to_be_bytes()].concat(),
    );
    let nonce = *digest.as_bytes().first_chunk::<NONCE_LEN>().expect("32 bytes hold 8");
    Counter { epoch, number: 0, nonce }
}

fn presented(app: &App, device: DeviceId, counter: Option<&[u8; COUNTER_LEN]>) -> Presented {
    match counter {
        None => Presented::Nothing,
        Some(bytes) => open(app, device, bytes).map_or(Presented::Unsealed, Presented::Sealed),
    }
}

fn number(presented: Presented) -> u64 {
    match presented {
        Presented::Sealed(counter) => counter.number,
        Presented::Nothing | Presented::Unsealed => 0,
    }
}

fn seal(app: &App, device: DeviceId, counter: &Counter) -> [u8; COUNTER_LEN] {
    let body = counter.to_bytes();
    let mut bytes = [0; COUNTER_LEN];
    bytes[..BODY_LEN].copy_from_slice(&body);
    bytes[BODY_LEN..].copy_from_slice(mac(app, device, &body).as_bytes());
    bytes
}

fn open(app: &App, device: DeviceId, bytes: &[u8; COUNTER_LEN]) -> Option<Counter> {
    let (body, given) = bytes.split_first_chunk::<BODY_LEN>()?;
    let given: [u8; 32] = given.try_into().ok()?;
    // `blake3::Hash` compares in constant time.
    (mac(app, device, body) == given).then(|| Counter::from_bytes(body))
}

fn mac(app: &App, device: DeviceId, body: &[u8; BODY_LEN]) -> blake3::Hash {
    blake3::keyed_hash(app.keys.counter.expose(), &[&device.as_bytes()[..], body].concat())
}
