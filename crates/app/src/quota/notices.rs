//! What users and admins are told of quotas: that little room is left, that a backup was refused, and whose were.
//! Refuses to change what a device is answered: a message that cannot be queued is logged, and tried at the next
//! refusal. Rules: docs/control.md, "Quota".

use crate::mail::{self, Draft, Values};
use crate::{App, AppError, DeviceActor};
use base::{Bytes, Count, Span, Timestamp, UserId};
use control::Refusal;
use control::quota::{Standing, Told, used_percent};
use db::Tx;

/// That a user's backups go on being refused is kept no more often than this.
const REFUSED_STEP: Span = Span::hours(1);
const DAY: Span = Span::days(1);

/// A backup was let in, after which the user's take so much: in the transaction that makes its snapshot, which holds
/// the user's row.
///
/// # Errors
/// The database does not answer.
pub(super) async fn let_in(
    app: &App,
    tx: &mut Tx,
    user: UserId,
    limit: Bytes,
    used: Bytes,
    warning: Option<Count>,
) -> Result<(), AppError> {
    let Some((now, message)) = seen(app, tx, user, Standing::after(limit, used, warning)).await? else { return Ok(()) };
    if message != Some(Standing::Warning) {
        return Ok(());
    }
    let values = numbers(used, limit).with("quota.percent", &used_percent(limit, used).to_string());
    queue(app, tx, now, user, Standing::Warning, values).await
}

/// A backup of a user without a limit was let in.
///
/// # Errors
/// The database does not answer.
pub(super) async fn unlimited(app: &App, tx: &mut Tx, user: UserId) -> Result<(), AppError> {
    seen(app, tx, user, Standing::Below).await.map(drop)
}

/// The same answer to a device; when it says that the quota is exceeded, its user is told first. Never fails but with
/// that answer.
pub(crate) async fn told<T>(app: &App, actor: &DeviceActor, answer: Result<T, AppError>) -> Result<T, AppError> {
    if let Err(AppError::Refused(Refusal::QuotaExceeded { used, limit })) = &answer
        && app.mailer.is_some()
        && let Err(error) = refused(app, actor, *used, *limit).await
    {
        let user = actor.user;
        tracing::warn!(user.id = %user, code = error.code(), "{user} was not told of a refused backup: {error}");
    }
    answer
}

/// One tick: once a day every admin is told whose backups were refused. May be repeated and killed at any point.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn tick(app: &App) -> Result<(), AppError> {
    if app.mailer.is_none() {
        return Ok(());
    }
    let now = app.clock.now();
    let during = || AppError::db("telling admins of refused backups");
    let day = now.as_ms().div_euclid(i64::try_from(DAY.as_ms()).unwrap_or(i64::MAX));
    // From the beginning of yesterday, so that nobody is left out whenever in the day this server can look.
    let since = now - Span::ms(u64::try_from(now.as_ms()).unwrap_or_default() % DAY.as_ms()) - DAY;
    let mut tx = app.db.read().await.map_err(during())?;
    let users = db::quota_notice_list_refused(&mut tx, since).await.map_err(during())?;
    let admins = db::admin_list(&mut tx).await.map_err(during())?;
    drop(tx);
    if users.is_empty() {
        return Ok(());
    }
    let values = Values::new().with("count", &Count(users.len() as u64).to_string()).with("users", &users.join(", "));
    let mut tx = app.db.write().await.map_err(during())?;
    for admin in admins.iter().filter(|admin| !admin.email.is_empty()) {
        let occasion = format!("quota:day:{day}:{}", admin.email);
        let (recipient, values) = (admin.email.as_str(), values.clone());
        let draft = Draft { occasion, recipient, template: "admin_quota", values, until: None };
        mail::queue(app, &mut tx, now, draft).await?;
    }
    tx.commit().await.map_err(during())
}

async fn refused(app: &App, actor: &DeviceActor, used: Bytes, limit: Bytes) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("telling a user of a refused backup");
    let mut tx = app.db.read().await.map_err(during())?;
    let (before, refused_at) = db::quota_notice_get(&mut tx, actor.user).await.map_err(during())?;
    drop(tx);
    // A device that tries every minute does not write every minute.
    if before.standing == Standing::Over && refused_at.is_some_and(|at| now.since(at) < REFUSED_STEP) {
        return Ok(());
    }
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: two devices of one user that are refused at the same time tell of it once.
    db::user_lock(&mut tx, actor.user).await.map_err(during())?;
    let (before, _) = db::quota_notice_get(&mut tx, actor.user).await.map_err(during())?;
    let (after, message) = before.look(now, Standing::Over);
    db::quota_notice_update(&mut tx, actor.user, after, Some(now)).await.map_err(during())?;
    if message.is_some() {
        let device = db::device_get(&mut tx, actor.device).await.map_err(during())?;
        let (name, host_name) = device.map(|device| (device.name, device.about.host_name)).unwrap_or_default();
        let values = numbers(used, limit).with("device.name", &name).with("device.host_name", &host_name);
        queue(app, &mut tx, now, actor.user, Standing::Over, values).await?;
    }
    tx.commit().await.map_err(during())
}

/// Keeps where a user stands now. Gives what the user is to be told; nothing while mail is off, and nothing is kept
/// then, so that who is over when it is turned on is told at the next backup.
async fn seen(
    app: &App,
    tx: &mut Tx,
    user: UserId,
    standing: Standing,
) -> Result<Option<(Timestamp, Option<Standing>)>, AppError> {
    if app.mailer.is_none() {
        return Ok(None);
    }
    let now = app.clock.now();
    let during = || AppError::db("keeping what a user was told of the quota");
    let (before, _) = db::quota_notice_get(tx, user).await.map_err(during())?;
    let (after, message): (Told, _) = before.look(now, standing);
    if after != before {
        db::quota_notice_update(tx, user, after, None).await.map_err(during())?;
    }
    Ok(Some((now, message)))
}

fn numbers(used: Bytes, limit: Bytes) -> Values {
    Values::new().with("quota.used", &used.to_string()).with("quota.limit", &limit.to_string())
}

async fn queue(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    user: UserId,
    standing: Standing,
    values: Values,
) -> Result<(), AppError> {
    let row = db::user_get(tx, user).await.map_err(AppError::db("looking for whom to tell"))?;
    let Some(row) = row.filter(|row| !row.email.is_empty()) else { return Ok(()) };
    let template = if standing == Standing::Over { "quota_refused" } else { "quota_warning" };
    let occasion = format!("quota:{}:{user}:{}", standing.word(), now.as_ms());
    mail::queue(app, tx, now, Draft { occasion, recipient: &row.email, template, values, until: None }).await.map(drop)
}
