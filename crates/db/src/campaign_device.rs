//! The devices of a campaign, one row each, from the start until its evidence. Refuses to name a place on the board:
//! `control::campaign::place` does.

mod back;

pub use back::{campaign_device_back_list, campaign_device_count_back};

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::user::user_state;
use crate::{DbError, Tx, device};
use base::{Bytes, CampaignId, Count, DeviceId, SnapshotId, Span, Timestamp, UserId};
use control::campaign::Class;
use control::{State, UserState};

/// A statement that gives what `board_read` reads, with the rest of it.
macro_rules! board {
    ($rest:literal) => {
        concat!(
            "select c.*, d.name, d.user_id, d.state, d.state_was, d.state_rights, d.state_level, d.append_until, \
             d.purge_after, d.last_seen_at, d.merged_into, u.email, u.state as user_state, \
             (select count(*) from conflict k where k.device_id = d.id and k.status = 'open' and k.kind = 'clone') \
             as conflicts \
             from campaign_device c join device d on d.id = c.device_id join \"user\" u on u.id = d.user_id",
            $rest
        )
    };
}

pub(crate) use board;

/// What has happened to a device of a campaign. The words are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TurnStatus {
    /// Its turn has not come.
    Waiting,
    /// It was reset, or was cut off more strictly already.
    Reset,
    /// It has come back by a token alone: nobody has shown that it is this machine.
    Unproved,
    /// It has come back.
    Done,
    /// The lifecycle refused the reset.
    Refused,
    /// An admin has let it be.
    Excused,
    /// It had nothing to reset.
    Retired,
}

/// One device of one campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignDeviceRow {
    /// The campaign.
    pub campaign: CampaignId,
    /// The device.
    pub device: DeviceId,
    /// Its wave, from 0.
    pub wave: u64,
    /// When its turn comes, by the campaign's own clock.
    pub due: Span,
    /// What the dry run said at the start.
    pub class: Class,
    /// What has happened.
    pub status: TurnStatus,
    /// Why, as a code or an admin's words; empty where the status says it all.
    pub reason: String,
    /// Its epoch before the reset.
    pub epoch_before: u64,
    /// When its turn came.
    pub reset_at: Option<Timestamp>,
    /// When it came back.
    pub back_at: Option<Timestamp>,
    /// By which proof.
    pub proof: Option<String>,
    /// The last refusal of an attempt to come back.
    pub refused_code: Option<String>,
    /// When that was.
    pub refused_at: Option<Timestamp>,
    /// What the endpoint has read in its first backup after; `None` until it has said so.
    pub bytes_read: Option<Bytes>,
    /// What it has sent in that.
    pub bytes_sent: Option<Bytes>,
    /// What that snapshot covers.
    pub bytes_covered: Option<Bytes>,
    /// That snapshot.
    pub first_good: Option<SnapshotId>,
    /// When it was committed.
    pub first_good_at: Option<Timestamp>,
    /// How often the user was reminded of it.
    pub reminders: Count,
    /// When that was last.
    pub reminded_at: Option<Timestamp>,
}

/// A device of a campaign beside what is known of it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardRow {
    /// Its row in the campaign.
    pub turn: CampaignDeviceRow,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub user: UserId,
    /// That user's address.
    pub email: String,
    /// Where that user stands.
    pub user_state: UserState,
    /// Where it stands.
    pub state: State,
    /// When it was last heard of.
    pub seen_at: Option<Timestamp>,
    /// Are two machines in question that present themselves as it?
    pub conflict: bool,
    /// Was it merged into another record?
    pub merged: bool,
}

/// What a first backup has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnEvidence {
    /// What the endpoint says that it has read.
    pub bytes_read: Option<Bytes>,
    /// What was received.
    pub bytes_sent: Bytes,
    /// What the snapshot covers.
    pub bytes_covered: Bytes,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When it was committed.
    pub at: Timestamp,
}

/// A device's row in a campaign.
///
/// # Errors
/// The database does not answer, or the row is damaged.
#[cfg(test)]
async fn campaign_device_get(
    tx: &mut Tx,
    campaign: CampaignId,
    device: DeviceId,
) -> Result<Option<CampaignDeviceRow>, DbError> {
    let row = query("select * from campaign_device where campaign_id = $1 and device_id = $2")
        .bind(&campaign.as_bytes()[..])
        .bind(&device.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a device of a campaign"))?;
    row.as_ref().map(read).transpose()
}

/// At most `limit` devices that wait and whose turn has come, in the order of their turns.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn campaign_device_list_due(
    tx: &mut Tx,
    campaign: CampaignId,
    progress: Span,
    limit: u32,
) -> Result<Vec<CampaignDeviceRow>, DbError> {
    let rows = query(
        "select * from campaign_device where campaign_id = $1 and status = 'waiting' and due_ms <= $2 \
         order by due_ms, device_id limit $3",
    )
    .bind(&campaign.as_bytes()[..])
    .bind(int(progress.as_ms()))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the devices whose turn has come"))?;
    rows.iter().map(read).collect()
}

/// At most `limit` devices that were reset and are not back, with ids after `after`.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn campaign_device_list_reset(
    tx: &mut Tx,
    campaign: CampaignId,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<CampaignDeviceRow>, DbError> {
    let rows = query(
        "select * from campaign_device where campaign_id = $1 and status = 'reset' and device_id > $2 \
         order by device_id limit $3",
    )
    .bind(&campaign.as_bytes()[..])
    .bind(after.map_or(Vec::new(), |device| device.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the devices that were reset"))?;
    rows.iter().map(read).collect()
}

/// Stores what a turn has brought, for a device that waits. Gives whether it did.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_turn_update(tx: &mut Tx, row: &CampaignDeviceRow) -> Result<bool, DbError> {
    let done = query(
        "update campaign_device set status = $3, reason = $4, epoch_before = $5, reset_at = $6, refused_code = $7, \
         refused_at = $8 where campaign_id = $1 and device_id = $2 and status = 'waiting'",
    )
    .bind(&row.campaign.as_bytes()[..])
    .bind(&row.device.as_bytes()[..])
    .bind(row.status.word())
    .bind(&row.reason)
    .bind(int(row.epoch_before))
    .bind(row.reset_at.map(Timestamp::as_ms))
    .bind(&row.refused_code)
    .bind(row.refused_at.map(Timestamp::as_ms))
    .execute(tx.conn())
    .await
    .map_err(failed("update a turn of a campaign"))?;
    Ok(done.rows_affected() == 1)
}

/// Lets a device be that has not come back. Gives whether it did.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_excused_update(
    tx: &mut Tx,
    campaign: CampaignId,
    device: DeviceId,
    reason: &str,
) -> Result<bool, DbError> {
    let done = query(
        "update campaign_device set status = 'excused', reason = $3 \
         where campaign_id = $1 and device_id = $2 and status in ('waiting', 'reset', 'unproved', 'refused')",
    )
    .bind(&campaign.as_bytes()[..])
    .bind(&device.as_bytes()[..])
    .bind(reason)
    .execute(tx.conn())
    .await
    .map_err(failed("excuse a device"))?;
    Ok(done.rows_affected() == 1)
}

/// Marks a device as back in every campaign that has reset it and waits for it: as `Done`, or as `Unproved`; and, with
/// `and_unproved`, where it is back unproved already. Gives how many those are.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_back_update(
    tx: &mut Tx,
    device: DeviceId,
    status: TurnStatus,
    and_unproved: bool,
    proof: &str,
    now: Timestamp,
) -> Result<Count, DbError> {
    let done = query(
        "update campaign_device set status = $4, back_at = $2, proof = $3 \
         where device_id = $1 and (status = 'reset' or (status = 'unproved' and $5 = 1)) and campaign_id in \
         (select id from campaign where status in ('running', 'paused', 'aborted'))",
    )
    .bind(&device.as_bytes()[..])
    .bind(now.as_ms())
    .bind(proof)
    .bind(status.word())
    .bind(i64::from(and_unproved))
    .execute(tx.conn())
    .await
    .map_err(failed("mark a device as back"))?;
    Ok(Count(done.rows_affected()))
}

/// Keeps why an attempt to come back was refused.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_refused_update(
    tx: &mut Tx,
    device: DeviceId,
    code: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    query("update campaign_device set refused_code = $2, refused_at = $3 where device_id = $1 and status = 'reset'")
        .bind(&device.as_bytes()[..])
        .bind(code)
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("keep why a device was refused"))?;
    Ok(())
}

/// Keeps what the first backup of a device that has come back has shown; a later one changes nothing.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_evidence_update(
    tx: &mut Tx,
    device: DeviceId,
    evidence: &TurnEvidence,
) -> Result<(), DbError> {
    query(
        "update campaign_device set bytes_read = $2, bytes_sent = $3, bytes_covered = $4, first_good = $5, \
         first_good_at = $6 where device_id = $1 and status in ('unproved', 'done') and first_good is null",
    )
    .bind(&device.as_bytes()[..])
    .bind(evidence.bytes_read.map(|bytes| int(bytes.0)))
    .bind(int(evidence.bytes_sent.0))
    .bind(int(evidence.bytes_covered.0))
    .bind(&evidence.snapshot.as_bytes()[..])
    .bind(evidence.at.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("keep the evidence of a device"))?;
    Ok(())
}

/// At most `limit` devices of a campaign with ids after `after`, in the order of their ids: all of them, or those alone
/// that are neither back nor excused nor had nothing to reset.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn campaign_device_list_board(
    tx: &mut Tx,
    campaign: CampaignId,
    expected_only: bool,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<BoardRow>, DbError> {
    let rows = query(board!(
        " where c.campaign_id = $1 and c.device_id > $2 \
         and ($4 = 0 or c.status in ('waiting', 'reset', 'unproved', 'refused')) order by c.device_id limit $3"
    ))
    .bind(&campaign.as_bytes()[..])
    .bind(after.map_or(Vec::new(), |device| device.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .bind(i64::from(expected_only))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the board of a campaign"))?;
    rows.iter().map(board_read).collect()
}

/// A row of the board.
pub(crate) fn board_read(row: &Row) -> Result<BoardRow, DbError> {
    Ok(BoardRow {
        turn: read(row)?,
        name: row.text("name")?,
        user: UserId::from_bytes(row.bytes("user_id")?),
        email: row.text("email")?,
        user_state: user_state(&row.text("user_state")?)?,
        state: device::state(row)?,
        seen_at: row.time_maybe("last_seen_at")?,
        conflict: row.int("conflicts")? > 0,
        merged: row.bytes_maybe::<16>("merged_into")?.is_some(),
    })
}

/// Has those wait for their turn again that could not be held because they were quarantined, and are so no more.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_waiting_update(tx: &mut Tx, campaign: CampaignId) -> Result<(), DbError> {
    query(
        "update campaign_device set status = 'waiting', reset_at = null, refused_code = null, refused_at = null \
         where campaign_id = $1 and status = 'refused' and device_id in (select d.id from device d \
         where d.id = device_id and d.state <> 'quarantined' and coalesce(d.state_was, '') not like '%quarantined%')",
    )
    .bind(&campaign.as_bytes()[..])
    .execute(tx.conn())
    .await
    .map_err(failed("have devices wait for their turn again"))?;
    Ok(())
}

/// The running campaigns of a device in which nothing is expected of any device: each is back, excused, or had nothing
/// to reset.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_list_done_by_device(tx: &mut Tx, device: DeviceId) -> Result<Vec<CampaignId>, DbError> {
    let rows = query(
        "select k.id from campaign k where k.status = 'running' and k.started_at is not null \
         and k.id in (select c.campaign_id from campaign_device c where c.device_id = $1) \
         and not exists (select 1 from campaign_device w where w.campaign_id = k.id \
         and w.status in ('waiting', 'reset', 'unproved', 'refused'))",
    )
    .bind(&device.as_bytes()[..])
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the campaigns that are done"))?;
    rows.iter().map(|row| Ok(CampaignId::from_bytes(row.bytes("id")?))).collect()
}

/// How many devices of a campaign there are.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_count_get(tx: &mut Tx, campaign: CampaignId) -> Result<Count, DbError> {
    let row = query("select count(*) as devices from campaign_device where campaign_id = $1")
        .bind(&campaign.as_bytes()[..])
        .fetch_one(tx.conn())
        .await
        .map_err(failed("count the devices of a campaign"))?;
    Ok(Count(row.number("devices")?))
}

/// For how long the newest campaign that has reset this device watches it; `None` when none has.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_watch_get(tx: &mut Tx, device: DeviceId) -> Result<Option<Span>, DbError> {
    let row = query(
        "select k.watch_ms from campaign_device c join campaign k on k.id = c.campaign_id \
         where c.device_id = $1 and c.status in ('reset', 'unproved') order by c.reset_at desc limit 1",
    )
    .bind(&device.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get how long a device is watched"))?;
    row.map(|row| Ok(Span::ms(row.number("watch_ms")?))).transpose()
}

impl TurnStatus {
    const ALL: [TurnStatus; 7] = [
        TurnStatus::Waiting,
        TurnStatus::Reset,
        TurnStatus::Unproved,
        TurnStatus::Done,
        TurnStatus::Refused,
        TurnStatus::Excused,
        TurnStatus::Retired,
    ];

    /// The stored word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            TurnStatus::Waiting => "waiting",
            TurnStatus::Reset => "reset",
            TurnStatus::Unproved => "unproved",
            TurnStatus::Done => "done",
            TurnStatus::Refused => "refused",
            TurnStatus::Excused => "excused",
            TurnStatus::Retired => "retired",
        }
    }
}

fn read(row: &Row) -> Result<CampaignDeviceRow, DbError> {
    let word = row.text("status")?;
    let status = TurnStatus::ALL.into_iter().find(|status| status.word() == word);
    let class = Class::from_word(&row.text("class")?);
    let bytes = |column| Ok::<_, DbError>(row.number_maybe(column)?.map(Bytes));
    Ok(CampaignDeviceRow {
        campaign: CampaignId::from_bytes(row.bytes("campaign_id")?),
        device: DeviceId::from_bytes(row.bytes("device_id")?),
        wave: row.number("wave")?,
        due: Span::ms(row.number("due_ms")?),
        class: class.ok_or(DbError::Column { column: "class", what: "the classes of a dry run" })?,
        status: status.ok_or(DbError::Column { column: "status", what: "the statuses of a turn" })?,
        reason: row.text("reason")?,
        epoch_before: row.number("epoch_before")?,
        reset_at: row.time_maybe("reset_at")?,
        back_at: row.time_maybe("back_at")?,
        proof: row.text_maybe("proof")?,
        refused_code: row.text_maybe("refused_code")?,
        refused_at: row.time_maybe("refused_at")?,
        bytes_read: bytes("bytes_read")?,
        bytes_sent: bytes("bytes_sent")?,
        bytes_covered: bytes("bytes_covered")?,
        first_good: row.bytes_maybe("first_good")?.map(SnapshotId::from_bytes),
        first_good_at: row.time_maybe("first_good_at")?,
        reminders: Count(row.number("reminders")?),
        reminded_at: row.time_maybe("reminded_at")?,
    })
}

#[cfg(test)]
mod tests;
