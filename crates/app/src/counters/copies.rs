//! Finds a copied disk that does not open a session: one that activates by its key, and one whose key was replaced on
//! its own word. Refuses to take a lost answer, or a request that was long under way, for a second machine.
//! Rules: docs/control.md, "Clones".

use super::{Seen, alarm, by_key, number, open, presented};
use crate::audit::Deed;
use crate::{App, AppError, session};
use base::{DeviceId, Timestamp};
use control::counter::{COUNTER_LEN, Judgement, NONCE_LEN, judge, outlived};
use control::{Event, Level, Proof, Refusal, State};
use db::{DeviceRow, Tx};

/// A signature that is not by the newest key of the record, and what came with it.
pub(crate) struct Shown<'a> {
    pub(crate) device: DeviceId,
    /// What the signature covers.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: &'a [u8; 64],
    /// What the machine would present at its next session.
    pub(crate) counter: Option<&'a [u8; COUNTER_LEN]>,
    /// When it was asked for: what was under way since before the newest binding shows nothing.
    pub(crate) asked_at: Timestamp,
    /// The address that it comes from; empty where there is none.
    pub(crate) source: &'a str,
}

/// Does an activation by the old key of this record come from a copy? Then the alarm is in the transaction, and this is
/// the refusal; nothing is to be bound. A person's proof is worth more than a counter, and is not asked here.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn is_copy(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    event: &Event,
    counter: Option<&[u8; COUNTER_LEN]>,
    by: Deed<'static>,
) -> Result<Option<Refusal>, AppError> {
    if !follows(event, &device.state) {
        return Ok(None);
    }
    let remembered = device.counter.remembered;
    let presented = presented(app, device.id, counter);
    // Nothing is handed out here: the line goes on as it is, or ends with the binding.
    match judge(remembered.as_ref(), presented, device.epoch, [0; NONCE_LEN]) {
        Judgement::Next(_) => return Ok(None),
        Judgement::Conflict(_) => {}
    }
    let given = remembered.map_or(0, |remembered| remembered.current.number);
    let seen = Seen { given, shown: number(presented), by, how: "at an activation" };
    alarm(app, tx, now, device.clone(), seen).await?;
    Ok(Some(match device.state.level() {
        None => Refusal::DeviceQuarantined,
        Some(_) => Refusal::SignInNeeded,
    }))
}

/// Does what this event binds rest on nothing but the word of the key before it? Not where that key counts for
/// nothing, be it distrusted or wiped: then the token is what counts. Never fails.
pub(crate) fn follows(event: &Event, state: &State) -> bool {
    let counts = matches!(
        state,
        State::Active { .. } | State::Held { .. } | State::Deactivated { level: Level::Rotate | Level::Revoke, .. }
    );
    counts && matches!(event.proof(), Some(Proof::OldKey | Proof::OldKeyAndToken))
}

/// Raises the alarm where a key that was replaced on its own word signs beside a machine that has come in by that: the
/// one of the two is a copy. The counter says which binding it is of, so a machine that has adopted the newer key
/// since, and still has the older one in its memory, shows nothing: it has no counter of that one any more.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn look_for_copy(app: &App, now: Timestamp, shown: &Shown<'_>) -> Result<(), AppError> {
    let Some(counter) = shown.counter.and_then(|bytes| open(app, shown.device, bytes)) else { return Ok(()) };
    let during = || AppError::db("looking for a copy");
    let mut tx = app.db.read().await.map_err(during())?;
    let since = db::credential_since_get(&mut tx, shown.device, counter.epoch).await.map_err(during())?;
    drop(tx);
    let Some(since) = since.filter(|since| since.newest_at < shown.asked_at) else { return Ok(()) };
    if session::signature_verify(&since.public_key, shown.signed, shown.signature).is_err() {
        return Ok(());
    }
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: somebody may have signed in since, and then it is that person's word that counts.
    let since = db::credential_since_get(&mut tx, shown.device, counter.epoch).await.map_err(during())?;
    let device = db::device_get(&mut tx, shown.device).await.map_err(during())?;
    let (Some(since), Some(device)) = (since, device) else { return Ok(()) };
    let used = device.counter.remembered.filter(|line| line.current.epoch == device.epoch && line.used());
    if !outlived(since.own_word, used.is_some()) {
        return Ok(());
    }
    let given = used.map_or(0, |line| line.current.number);
    let how = "with a key that it has replaced";
    let seen = Seen { given, shown: counter.number, by: by_key(shown.device, shown.source), how };
    alarm(app, &mut tx, now, device, seen).await?;
    tx.commit().await.map_err(during())?;
    app.states.changed(shown.device);
    Ok(())
}
