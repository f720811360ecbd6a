//! How a machine came to its record, beside what is known of the record: what an admin has to see who says yes or no.
//! Refuses to judge it: what a machine says of itself is its own word, and shown as that.

use crate::AppError;
use base::{DeviceId, Timestamp, TokenId};
use db::{DeviceAbout, DeviceRow, Tx, WaitingRow};

/// How a machine came to its record, or asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// The proof's word.
    pub proof: String,
    /// The deployment token, and what its maker calls it.
    pub token: Option<(TokenId, String)>,
    /// The address that it asked from.
    pub source: String,
    /// When.
    pub at: Timestamp,
    /// What it was to the record, as a stable word: `new`, `replaced`, `reactivated`; `waits`.
    pub outcome: String,
    /// The machine that is known: the one that had this record before, or that of the record which this one resembles.
    pub former: Option<Former>,
}

/// A machine that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Its record.
    pub device: DeviceId,
    /// What it said of itself.
    pub about: DeviceAbout,
    /// When it was heard of last.
    pub seen_at: Option<Timestamp>,
    /// When it was activated; `None` for never.
    pub activated_at: Option<Timestamp>,
    /// In which fields the two say something else.
    pub differs: Vec<&'static str>,
}

/// How the machine that has this record now came to it; `None` where no activation is known.
///
/// # Errors
/// The database does not answer.
pub(super) async fn of_device(tx: &mut Tx, device: DeviceId, about: &DeviceAbout) -> Result<Option<Came>, AppError> {
    let newest = db::activation_get_newest(tx, device).await.map_err(AppError::db("reading an activation"))?;
    let Some(row) = newest else { return Ok(None) };
    let former = row.came.former.map(|former| Former {
        device,
        differs: differs(&former.about, about),
        about: former.about,
        seen_at: former.seen_at,
        activated_at: Some(former.activated_at),
    });
    let former = match former {
        Some(former) => Some(former),
        None => resembled(tx, device, about).await?,
    };
    let token = token(tx, row.came.token).await?;
    let (proof, source) = (row.came.proof, row.came.source);
    Ok(Some(Came { proof, token, source, at: row.at, outcome: row.outcome, former }))
}

/// How a machine came that waits.
///
/// # Errors
/// The database does not answer.
pub(super) async fn of_waiting(tx: &mut Tx, waiting: WaitingRow, about: &DeviceAbout) -> Result<Came, AppError> {
    Ok(Came {
        proof: waiting.proof,
        token: token(tx, waiting.token).await?,
        source: waiting.source,
        at: waiting.asked_at,
        outcome: "waits".to_owned(),
        former: resembled(tx, waiting.device, about).await?,
    })
}

/// The record that this one is in question to be the same machine as.
async fn resembled(tx: &mut Tx, device: DeviceId, about: &DeviceAbout) -> Result<Option<Former>, AppError> {
    let during = || AppError::db("reading what a record resembles");
    let resembled = db::conflict_list_resembled(tx, device).await.map_err(during())?;
    let Some(first) = resembled.first() else { return Ok(None) };
    let Some(row) = db::device_get(tx, *first).await.map_err(during())? else { return Ok(None) };
    let DeviceRow { id, about: known, last_seen_at, activated_at, epoch, .. } = row;
    let differs = differs(&known, about);
    let activated_at = (epoch > 0).then_some(activated_at);
    Ok(Some(Former { device: id, about: known, seen_at: last_seen_at, activated_at, differs }))
}

async fn token(tx: &mut Tx, id: Option<TokenId>) -> Result<Option<(TokenId, String)>, AppError> {
    let Some(id) = id else { return Ok(None) };
    let row = db::token_get(tx, id).await.map_err(AppError::db("reading a token"))?;
    Ok(Some((id, row.map(|row| row.name).unwrap_or_default())))
}

fn differs(one: &DeviceAbout, other: &DeviceAbout) -> Vec<&'static str> {
    let fields = |about: &DeviceAbout| {
        let DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent } = about.clone();
        [
            ("host_name", host_name),
            ("serial", serial),
            ("hardware_uuid", hardware_uuid),
            ("os_user", os_user),
            ("os", os),
            ("arch", arch),
            ("agent", agent),
        ]
    };
    let pairs = fields(one).into_iter().zip(fields(other));
    pairs.filter(|(one, other)| one.1 != other.1).map(|(one, _)| one.0).collect()
}
