//! Reset campaigns. Refuses to decide what may be done to one: `control::campaign` does.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, PageKey, Tx};
use base::{CampaignId, Count, DeviceId, Span, Timestamp};
use control::campaign::{Reset, Status, Tell};

/// One campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignRow {
    /// Which.
    pub id: CampaignId,
    /// Its name on the console.
    pub name: String,
    /// Why it is.
    pub reason: String,
    /// How hard it cuts.
    pub level: Reset,
    /// Whom it reaches, as `app::campaigns` writes it.
    pub scope: String,
    /// Where it stands.
    pub status: Status,
    /// When it is to start; `None` for at once.
    pub start_at: Option<Timestamp>,
    /// When everybody should be back.
    pub deadline: Option<Timestamp>,
    /// Until when held devices may append.
    pub append_until: Option<Timestamp>,
    /// Devices in a wave.
    pub wave_size: u64,
    /// How long a wave takes.
    pub wave_span: Span,
    /// For how long devices are watched that have come back.
    pub watch_span: Span,
    /// The template of the message to users.
    pub template: String,
    /// Who is told.
    pub tell: Tell,
    /// After how long the user of a device is reminded that is not back, each time; zero is never.
    pub remind_span: Span,
    /// How often at most.
    pub remind_max: Count,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it, as the audit log writes actors.
    pub created_by: String,
    /// Who has started it, as the audit log writes actors; empty before.
    pub started_by: String,
    /// From where, as the audit log writes sources.
    pub started_from: String,
    /// When it did start.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// For how long it was paused before.
    pub paused: Span,
    /// The campaign's own clock.
    pub progress: Span,
    /// When that clock was moved last.
    pub ticked_at: Option<Timestamp>,
    /// Why it was ended by hand.
    pub end_reason: String,
}

/// Adds a campaign.
///
/// # Errors
/// Constraint: there is one of this id; the database does not answer.
pub async fn campaign_insert(tx: &mut Tx, campaign: &CampaignRow) -> Result<(), DbError> {
    query(
        "insert into campaign (id, name, reason, level, scope, status, start_at, deadline, append_until, wave_size, \
         wave_ms, watch_ms, template, created_at, created_by, started_at, ended_at, paused_at, paused_ms, \
         progress_ms, ticked_at, end_reason, tell, remind_ms, remind_max, started_by, started_from) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
         $23, $24, $25, $26, $27)",
    )
    .bind(&campaign.id.as_bytes()[..])
    .bind(&campaign.name)
    .bind(&campaign.reason)
    .bind(campaign.level.word())
    .bind(&campaign.scope)
    .bind(campaign.status.word())
    .bind(campaign.start_at.map(Timestamp::as_ms))
    .bind(campaign.deadline.map(Timestamp::as_ms))
    .bind(campaign.append_until.map(Timestamp::as_ms))
    .bind(int(campaign.wave_size))
    .bind(int(campaign.wave_span.as_ms()))
    .bind(int(campaign.watch_span.as_ms()))
    .bind(&campaign.template)
    .bind(campaign.created_at.as_ms())
    .bind(&campaign.created_by)
    .bind(campaign.started_at.map(Timestamp::as_ms))
    .bind(campaign.ended_at.map(Timestamp::as_ms))
    .bind(campaign.paused_at.map(Timestamp::as_ms))
    .bind(int(campaign.paused.as_ms()))
    .bind(int(campaign.progress.as_ms()))
    .bind(campaign.ticked_at.map(Timestamp::as_ms))
    .bind(&campaign.end_reason)
    .bind(campaign.tell.word())
    .bind(int(campaign.remind_span.as_ms()))
    .bind(int(campaign.remind_max.0))
    .bind(&campaign.started_by)
    .bind(&campaign.started_from)
    .execute(tx.conn())
    .await
    .map_err(failed("insert a campaign"))?;
    Ok(())
}

/// Changes everything of a campaign but its id, and who made it when.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_update(tx: &mut Tx, campaign: &CampaignRow) -> Result<(), DbError> {
    query(
        "update campaign set name = $2, reason = $3, level = $4, scope = $5, status = $6, start_at = $7, \
         deadline = $8, append_until = $9, wave_size = $10, wave_ms = $11, watch_ms = $12, template = $13, \
         started_at = $14, ended_at = $15, paused_at = $16, paused_ms = $17, progress_ms = $18, ticked_at = $19, \
         end_reason = $20, tell = $21, remind_ms = $22, remind_max = $23, started_by = $24, started_from = $25 \
         where id = $1",
    )
    .bind(&campaign.id.as_bytes()[..])
    .bind(&campaign.name)
    .bind(&campaign.reason)
    .bind(campaign.level.word())
    .bind(&campaign.scope)
    .bind(campaign.status.word())
    .bind(campaign.start_at.map(Timestamp::as_ms))
    .bind(campaign.deadline.map(Timestamp::as_ms))
    .bind(campaign.append_until.map(Timestamp::as_ms))
    .bind(int(campaign.wave_size))
    .bind(int(campaign.wave_span.as_ms()))
    .bind(int(campaign.watch_span.as_ms()))
    .bind(&campaign.template)
    .bind(campaign.started_at.map(Timestamp::as_ms))
    .bind(campaign.ended_at.map(Timestamp::as_ms))
    .bind(campaign.paused_at.map(Timestamp::as_ms))
    .bind(int(campaign.paused.as_ms()))
    .bind(int(campaign.progress.as_ms()))
    .bind(campaign.ticked_at.map(Timestamp::as_ms))
    .bind(&campaign.end_reason)
    .bind(campaign.tell.word())
    .bind(int(campaign.remind_span.as_ms()))
    .bind(int(campaign.remind_max.0))
    .bind(&campaign.started_by)
    .bind(&campaign.started_from)
    .execute(tx.conn())
    .await
    .map_err(failed("update a campaign"))?;
    Ok(())
}

/// The campaign with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn campaign_get(tx: &mut Tx, id: CampaignId) -> Result<Option<CampaignRow>, DbError> {
    let row = query("select * from campaign where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a campaign"))?;
    row.as_ref().map(read).transpose()
}

/// At most `limit` campaigns, the newest first, made before the one that `after` names by time and id.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn campaign_list(tx: &mut Tx, after: PageKey, limit: u32) -> Result<Vec<CampaignRow>, DbError> {
    let rows = query(
        "select * from campaign where created_at < $1 or (created_at = $1 and id < $2) \
         order by created_at desc, id desc limit $3",
    )
    .bind(after.at.as_ms())
    .bind(&after.id[..])
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list campaigns"))?;
    rows.iter().map(read).collect()
}

/// The campaigns that go on: running or paused.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn campaign_list_open(tx: &mut Tx) -> Result<Vec<CampaignRow>, DbError> {
    let rows = query("select * from campaign where status in ('running', 'paused') order by created_at, id")
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list open campaigns"))?;
    rows.iter().map(read).collect()
}

/// At most `limit` campaigns that a device is part of, the newest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn campaign_list_by_device(tx: &mut Tx, device: DeviceId, limit: u32) -> Result<Vec<CampaignRow>, DbError> {
    let rows = query(
        "select * from campaign where id in (select campaign_id from campaign_device where device_id = $1) \
         order by created_at desc, id desc limit $2",
    )
    .bind(&device.as_bytes()[..])
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the campaigns of a device"))?;
    rows.iter().map(read).collect()
}

/// Whether another campaign than `id` has this name that is a draft, runs or is paused.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_named_get(tx: &mut Tx, name: &str, id: CampaignId) -> Result<bool, DbError> {
    let row = query(
        "select count(*) as named from campaign \
         where name = $1 and id <> $2 and status in ('draft', 'running', 'paused')",
    )
    .bind(name)
    .bind(&id.as_bytes()[..])
    .fetch_one(tx.conn())
    .await
    .map_err(failed("look for a campaign's name"))?;
    Ok(row.int("named")? > 0)
}

/// Removes a draft. Gives whether there was one.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_draft_remove(tx: &mut Tx, id: CampaignId) -> Result<bool, DbError> {
    let done = query("delete from campaign where id = $1 and status = 'draft'")
        .bind(&id.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove a draft"))?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &Row) -> Result<CampaignRow, DbError> {
    let level = Reset::from_word(&row.text("level")?);
    let status = Status::from_word(&row.text("status")?);
    let tell = Tell::from_word(&row.text("tell")?);
    Ok(CampaignRow {
        id: CampaignId::from_bytes(row.bytes("id")?),
        name: row.text("name")?,
        reason: row.text("reason")?,
        level: level.ok_or(DbError::Column { column: "level", what: "the levels of a campaign" })?,
        scope: row.text("scope")?,
        status: status.ok_or(DbError::Column { column: "status", what: "the statuses of a campaign" })?,
        start_at: row.time_maybe("start_at")?,
        deadline: row.time_maybe("deadline")?,
        append_until: row.time_maybe("append_until")?,
        wave_size: row.number("wave_size")?,
        wave_span: Span::ms(row.number("wave_ms")?),
        watch_span: Span::ms(row.number("watch_ms")?),
        template: row.text("template")?,
        tell: tell.ok_or(DbError::Column { column: "tell", what: "the words of whom a campaign tells" })?,
        remind_span: Span::ms(row.number("remind_ms")?),
        remind_max: Count(row.number("remind_max")?),
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        started_by: row.text("started_by")?,
        started_from: row.text("started_from")?,
        started_at: row.time_maybe("started_at")?,
        ended_at: row.time_maybe("ended_at")?,
        paused_at: row.time_maybe("paused_at")?,
        paused: Span::ms(row.number("paused_ms")?),
        progress: Span::ms(row.number("progress_ms")?),
        ticked_at: row.time_maybe("ticked_at")?,
        end_reason: row.text("end_reason")?,
    })
}
