//! Reset campaigns as admins make and steer them; the job that carries them out is in `campaigns/turns.rs`.
//! Refuses to touch a device by itself: a start freezes who is meant, and each turn is a step of the lifecycle.

mod begin;
mod board;
mod dry_run;
pub mod evidence;
mod hooks;
mod messages;
mod reminders;
mod scope;
mod turns;

pub use board::{Board, BoardEntry, BurnPoint, board, board_page};
pub use dry_run::{DryRun, Foretold, dry_run};
pub use messages::MessageCounts;
pub use turns::tick;

pub(crate) use board::of_device;
pub(crate) use hooks::{backed_up, came_back, came_refused, refused};
pub(crate) use reminders::tick as remind;

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::page::{self, Page, PageAsk};
use crate::{AdminActor, App, AppError, Doer as _};
use base::{CampaignId, DeviceId, Span, Timestamp};
use control::Permit;
use control::campaign::{Reminders, Reset, Scope, Status, Tell, Verb, next};
use db::{CampaignRow, PageKey, Tx};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 2_000;
/// The longest span of one wave, and of the watch.
const SPAN_MAX: Span = Span::days(365);

/// What an admin says of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name on the console.
    pub name: String,
    /// Why it is: shown to admins, and written to the audit log.
    pub reason: String,
    /// How hard it cuts.
    pub level: Reset,
    /// Whom it reaches.
    pub scope: Scope,
    /// When everybody should be back.
    pub deadline: Option<Timestamp>,
    /// Until when held devices may append; the configuration's span after the start where absent.
    pub append_until: Option<Timestamp>,
    /// Devices in a wave.
    pub wave_size: u64,
    /// How long a wave takes.
    pub wave_span: Span,
    /// For how long devices are watched that have come back; the configuration's span where absent.
    pub watch_span: Option<Span>,
    /// The template of the message to users; empty for `campaign`, which is what is kept then.
    pub template: String,
    /// Who is told.
    pub tell: Tell,
    /// How often users are reminded of devices that are not back.
    pub reminders: Reminders,
}

/// A campaign as admins see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Which.
    pub id: CampaignId,
    /// What was said of it.
    pub plan: Plan,
    /// Where it stands.
    pub status: Status,
    /// When it is to start, if that was said.
    pub start_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it did start.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// Its own clock, by which turns come.
    pub progress: Span,
    /// Why it was ended by hand.
    pub end_reason: String,
}

/// Makes a campaign that touches nothing yet.
///
/// # Errors
/// `not_permitted`; `scope_empty`; `campaign_invalid`, which says what is wrong; `template_unknown`; `name_taken` while
/// another campaign of this name is a draft, runs or is paused.
pub async fn make(app: &App, actor: &AdminActor, plan: Plan) -> Result<Campaign, AppError> {
    actor.need(Permit::CampaignManage)?;
    let now = app.clock.now();
    well_said(&plan)?;
    let row = CampaignRow {
        id: CampaignId::mint(app.entropy.as_ref()),
        name: String::new(),
        reason: String::new(),
        level: plan.level,
        scope: String::new(),
        status: Status::Draft,
        start_at: None,
        deadline: None,
        append_until: None,
        wave_size: 1,
        wave_span: Span::ZERO,
        watch_span: Span::ZERO,
        template: String::new(),
        tell: plan.tell,
        remind_span: plan.reminders.every,
        remind_max: plan.reminders.max,
        created_at: now,
        created_by: actor.to_string(),
        started_by: String::new(),
        started_from: String::new(),
        started_at: None,
        ended_at: None,
        paused_at: None,
        paused: Span::ZERO,
        progress: Span::ZERO,
        ticked_at: None,
        end_reason: String::new(),
    };
    let row = written(app, row, plan);
    let during = || AppError::db("making a campaign");
    let mut tx = app.db.write().await.map_err(during())?;
    messages::template_known(&mut tx, &row.template).await?;
    name_free(&mut tx, &row).await?;
    db::campaign_insert(&mut tx, &row).await.map_err(during())?;
    let detail = format!("{} \"{}\": {}", row.level.word(), row.name, row.scope.replace('\n', ", "));
    deed(&mut tx, now, Deed::by(actor), "campaign_make", row.id, detail).await?;
    tx.commit().await.map_err(during())?;
    view(row)
}

/// Changes a draft.
///
/// # Errors
/// As `make`; `campaign_unknown`; `campaign_state`.
pub async fn edit(app: &App, actor: &AdminActor, id: CampaignId, plan: Plan) -> Result<Campaign, AppError> {
    well_said(&plan)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading a template"))?;
    messages::template_known(&mut tx, &plan.template).await?;
    drop(tx);
    let change = |row: CampaignRow| Ok(written(app, row, plan));
    steer(app, actor, id, Verb::Edit, String::new(), change).await
}

/// Removes a draft: nothing is left of it but the audit log.
///
/// # Errors
/// `campaign_unknown`; `campaign_state` for what was ever started; `not_permitted`.
pub async fn delete(app: &App, actor: &AdminActor, id: CampaignId) -> Result<(), AppError> {
    actor.need(Permit::CampaignManage)?;
    let during = || AppError::db("deleting a draft");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    next(row.status, Verb::Delete)?;
    db::campaign_draft_remove(&mut tx, id).await.map_err(during())?;
    let detail = format!("{} \"{}\"", row.level.word(), row.name);
    deed(&mut tx, app.clock.now(), Deed::by(actor), "campaign_delete", id, detail).await?;
    tx.commit().await.map_err(during())
}

/// Starts a draft: now, or when the time comes. Who is meant is settled at that moment.
///
/// # Errors
/// `campaign_unknown`; `campaign_state`; `campaign_invalid` for a deadline, or an end of the hold, that is not after
/// the start.
pub async fn start(app: &App, actor: &AdminActor, id: CampaignId, at: Option<Timestamp>) -> Result<Campaign, AppError> {
    let now = app.clock.now();
    let change = |row: CampaignRow| {
        let begins = at.unwrap_or(now).max(now);
        if row.deadline.is_some_and(|deadline| deadline <= begins) {
            return Err(invalid("the deadline is not after the start"));
        }
        // A hold that is over when it begins would stop every backup at once, which is what `revoke` says.
        if row.level == Reset::Hold && row.append_until.is_some_and(|until| until <= begins) {
            return Err(invalid("the devices may append until a date that is not after the start"));
        }
        let (started_by, started_from) = (actor.to_string(), actor.source());
        Ok(CampaignRow { start_at: at.filter(|at| *at > now), started_by, started_from, ..row })
    };
    let campaign = steer(app, actor, id, Verb::Start, String::new(), change).await?;
    // What is to start now starts now, and not at the job's next turn.
    if campaign.start_at.is_none() {
        begin::begin(app, id).await?;
    }
    shown(app, id).await
}

/// Resets no further device for now. Those that were reset can come back all the same.
///
/// # Errors
/// `campaign_unknown`; `campaign_state`; `not_permitted`.
pub async fn pause(app: &App, actor: &AdminActor, id: CampaignId) -> Result<Campaign, AppError> {
    let now = app.clock.now();
    let change = |row: CampaignRow| Ok(CampaignRow { paused_at: Some(now), ..row });
    steer(app, actor, id, Verb::Pause, String::new(), change).await
}

/// Goes on: what comes later has moved by as long as the pause was.
///
/// # Errors
/// `campaign_unknown`; `campaign_state`; `not_permitted`.
pub async fn resume(app: &App, actor: &AdminActor, id: CampaignId) -> Result<Campaign, AppError> {
    let now = app.clock.now();
    let change = |row: CampaignRow| {
        let pause = row.paused_at.map_or(Span::ZERO, |at| now.since(at));
        let paused = Span::ms(row.paused.as_ms().saturating_add(pause.as_ms()));
        // The campaign's clock goes on from now: the pause is no part of it.
        Ok(CampaignRow { paused_at: None, paused, ticked_at: row.started_at.map(|_| now), ..row })
    };
    steer(app, actor, id, Verb::Resume, String::new(), change).await?;
    // The last device may have come back in the pause.
    turns::settle(app, id).await?;
    shown(app, id).await
}

/// Ends a campaign before every device was reset. Those that were stay so.
///
/// # Errors
/// `campaign_unknown`; `campaign_state`; `not_permitted`.
pub async fn abort(app: &App, actor: &AdminActor, id: CampaignId, reason: &str) -> Result<Campaign, AppError> {
    end(app, actor, id, Verb::Abort, reason).await
}

/// Ends a campaign by hand, for a reason that is kept.
///
/// # Errors
/// `campaign_unknown`; `campaign_state`; `not_permitted`; `campaign_invalid` without a reason.
pub async fn close(app: &App, actor: &AdminActor, id: CampaignId, reason: &str) -> Result<Campaign, AppError> {
    end(app, actor, id, Verb::Close, reason).await
}

/// Lets one device be: it counts as settled. What was reset stays reset.
///
/// # Errors
/// `campaign_unknown`; `campaign_state`; `campaign_device_unknown` for one that is not among those that are still
/// awaited; `campaign_invalid` without a reason.
pub async fn excuse(
    app: &App,
    actor: &AdminActor,
    id: CampaignId,
    device: DeviceId,
    reason: &str,
) -> Result<(), AppError> {
    actor.need(Permit::CampaignManage)?;
    let reason = reason_of(reason)?;
    let now = app.clock.now();
    let during = || AppError::db("excusing a device");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    next(row.status, Verb::Excuse)?;
    if !db::campaign_device_excused_update(&mut tx, id, device, reason).await.map_err(during())? {
        let sentence =
            format!("The campaign does not wait for a device {device}: `campaign devices` shows for which it does.");
        return Err(AppError::not_found("campaign_device_unknown", sentence));
    }
    deed(&mut tx, now, Deed::by(actor), "campaign_excuse", id, format!("{device}: {reason}")).await?;
    turns::close_settled(&mut tx, now, id).await?;
    tx.commit().await.map_err(during())
}

/// Has the devices brought back that an aborted campaign has reset and that are still where it has put them: by an
/// admin's word, for each. Gives how many.
///
/// # Errors
/// `campaign_unknown`; `campaign_state`; `not_permitted`; the database does not answer.
pub async fn bring_back(app: &App, actor: &AdminActor, id: CampaignId) -> Result<u64, AppError> {
    actor.need(Permit::CampaignManage)?;
    turns::bring_back(app, actor, id).await
}

/// One campaign.
///
/// # Errors
/// `campaign_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: CampaignId) -> Result<Campaign, AppError> {
    actor.need(Permit::CampaignRead)?;
    shown(app, id).await
}

/// A page of campaigns, the newest first.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn page(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<Campaign>, AppError> {
    actor.need(Permit::CampaignRead)?;
    let during = || AppError::db("listing campaigns");
    let after = page::timed(ask, PageKey::LAST)?;
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::campaign_list(&mut tx, after, ask.rows()).await.map_err(during())?;
    let key = |row: &CampaignRow| page::timed_parts(row.created_at, row.id.as_bytes());
    let Page { items, next } = ask.page(rows, key, view);
    Ok(Page { items: items.into_iter().collect::<Result<_, _>>()?, next })
}

async fn end(app: &App, actor: &AdminActor, id: CampaignId, verb: Verb, reason: &str) -> Result<Campaign, AppError> {
    let reason = reason_of(reason)?.to_owned();
    let now = app.clock.now();
    let detail = reason.clone();
    let change = |row: CampaignRow| Ok(CampaignRow { ended_at: Some(now), end_reason: reason, ..row });
    steer(app, actor, id, verb, detail, change).await
}

/// One step of an admin: permit, row, rule, change, audit.
async fn steer(
    app: &App,
    actor: &AdminActor,
    id: CampaignId,
    verb: Verb,
    detail: String,
    change: impl FnOnce(CampaignRow) -> Result<CampaignRow, AppError>,
) -> Result<Campaign, AppError> {
    actor.need(Permit::CampaignManage)?;
    let now = app.clock.now();
    let during = || AppError::db("changing a campaign");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    let status = next(row.status, verb)?;
    let row = CampaignRow { status, ..change(row)? };
    if verb == Verb::Edit {
        name_free(&mut tx, &row).await?;
    }
    db::campaign_update(&mut tx, &row).await.map_err(during())?;
    if row.ended_at.is_some() && row.started_at.is_none() {
        // Nobody was reset, and those that stood on the board already stand there no more.
        db::campaign_slice_remove(&mut tx, id).await.map_err(during())?;
    }
    deed(&mut tx, now, Deed::by(actor), &format!("campaign_{}", verb.word()), id, detail).await?;
    tx.commit().await.map_err(during())?;
    tracing::info!(campaign.id = %id, "campaign {id} is {} now, by {actor}", status.word());
    view(row)
}

/// Fails while another campaign that has not ended has this name: commands and people name it by that.
async fn name_free(tx: &mut Tx, row: &CampaignRow) -> Result<(), AppError> {
    let taken = db::campaign_named_get(tx, &row.name, row.id).await;
    match taken.map_err(AppError::db("looking for a campaign's name"))? {
        false => Ok(()),
        true => Err(AppError::name_taken(
            "campaign",
            &row.name,
            "Take another name; or end that one first, or delete it if it is a draft.",
        )),
    }
}

/// A campaign for somebody who may see it, or has just changed it.
async fn shown(app: &App, id: CampaignId) -> Result<Campaign, AppError> {
    let mut tx = app.db.read().await.map_err(AppError::db("reading a campaign"))?;
    view(known(&mut tx, id).await?)
}

async fn known(tx: &mut Tx, id: CampaignId) -> Result<CampaignRow, AppError> {
    let row = db::campaign_get(tx, id).await.map_err(AppError::db("reading a campaign"))?;
    row.ok_or_else(|| unknown(&id.to_string()))
}

fn unknown(text: &str) -> AppError {
    AppError::not_found(
        "campaign_unknown",
        there_is_no(format_args!("campaign \"{}\"", text.escape_debug()), "campaign list"),
    )
}

/// The audit row of what an admin, or the job in the campaign's name, does to a campaign.
async fn deed(
    tx: &mut Tx,
    now: Timestamp,
    by: Deed<'static>,
    action: &str,
    id: CampaignId,
    detail: String,
) -> Result<(), AppError> {
    audit::write(tx, now, Deed { action, subject: id.to_string(), detail, ..by }).await
}

fn well_said(plan: &Plan) -> Result<(), AppError> {
    plan.scope.need_said()?;
    let line = |text: &str, max: usize| !text.trim().is_empty() && text.len() <= max && !text.contains('\0');
    if !line(&plan.name, NAME_BYTES_MAX) || plan.name.contains('\n') {
        return Err(invalid("it needs a name of one line, of at most 200 bytes"));
    }
    if !line(&plan.reason, REASON_BYTES_MAX) {
        return Err(AppError::invalid("reason_invalid", "A campaign needs a reason, of at most 2,000 bytes."));
    }
    if plan.wave_size == 0 || plan.wave_size > 1_000_000 {
        return Err(invalid("a wave has from 1 to 1,000,000 devices"));
    }
    if plan.wave_span > SPAN_MAX || plan.watch_span.is_some_and(|span| span > SPAN_MAX) {
        return Err(invalid("a wave and the watch last at most 365 days"));
    }
    if plan.reminders.every > Reminders::MAX.every || plan.reminders.max > Reminders::MAX.max {
        return Err(invalid("users are reminded at most 20 times, and after at most 365 days"));
    }
    Ok(())
}

fn reason_of(text: &str) -> Result<&str, AppError> {
    let text = text.trim();
    if text.is_empty() || text.len() > REASON_BYTES_MAX {
        return Err(AppError::invalid("reason_invalid", "A campaign needs a reason, of at most 2,000 bytes."));
    }
    Ok(text)
}

fn invalid(what: &str) -> AppError {
    AppError::invalid("campaign_invalid", format!("The campaign cannot be made so: {what}."))
}

fn written(app: &App, row: CampaignRow, plan: Plan) -> CampaignRow {
    CampaignRow {
        name: plan.name.trim().to_owned(),
        reason: plan.reason,
        level: plan.level,
        scope: scope::to_text(&plan.scope),
        deadline: plan.deadline,
        append_until: plan.append_until,
        wave_size: plan.wave_size,
        wave_span: plan.wave_span,
        watch_span: plan.watch_span.unwrap_or(app.config.device_watch),
        template: if plan.template.is_empty() { messages::TEMPLATE.to_owned() } else { plan.template },
        tell: plan.tell,
        remind_span: plan.reminders.every,
        remind_max: plan.reminders.max,
        ..row
    }
}

fn view(row: CampaignRow) -> Result<Campaign, AppError> {
    let scope = scope::from_text(&row.scope)?;
    Ok(Campaign {
        id: row.id,
        plan: Plan {
            name: row.name,
            reason: row.reason,
            level: row.level,
            scope,
            deadline: row.deadline,
            append_until: row.append_until,
            wave_size: row.wave_size,
            wave_span: row.wave_span,
            watch_span: Some(row.watch_span),
            template: row.template,
            tell: row.tell,
            reminders: Reminders { every: row.remind_span, max: row.remind_max },
        },
        status: row.status,
        start_at: row.start_at,
        created_at: row.created_at,
        created_by: row.created_by,
        started_at: row.started_at,
        ended_at: row.ended_at,
        paused_at: row.paused_at,
        progress: row.progress,
        end_reason: row.end_reason,
    })
}
