//! What users' backups take beside what they may: asked when a run begins, sends and commits.
//! Refuses by `control::quota` alone. Rules: docs/control.md, "Quota".

mod check;
mod notices;

pub use check::{Checked, Difference, check};
pub(crate) use notices::{tick, told};

use crate::page::{Page, PageAsk, part};
use crate::policy;
use crate::{AdminActor, App, AppError, DeviceActor};
use base::{Bytes, Count, DeviceId, UserId};
use control::Permit;
use control::policy::{Key, PolicyLevel, effective};
use control::quota::{Usage, may_begin, may_commit, may_send};
use db::Tx;

/// What a user takes, and may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaView {
    /// Who.
    pub user: UserId,
    /// The address.
    pub email: String,
    /// What the newest snapshots of the user's devices take.
    pub used: Bytes,
    /// How much it may be; `None` is no limit.
    pub limit: Option<Bytes>,
    /// The level that has set the limit.
    pub from: PolicyLevel,
}

/// What one user takes, and may take.
///
/// # Errors
/// `user_unknown`; `not_permitted`; the database does not answer.
pub async fn of_user(app: &App, actor: &AdminActor, id: UserId) -> Result<QuotaView, AppError> {
    actor.need(Permit::UserRead)?;
    let during = || AppError::db("reading a quota");
    let mut tx = app.db.read().await.map_err(during())?;
    let user = db::user_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| AppError::user_unknown(id))?;
    let usage = db::usage_list(&mut tx, id).await.map_err(during())?;
    let used = usage.into_iter().map(|(_, bytes)| bytes).sum();
    view(&mut tx, id, user.email, used).await
}

/// What users take and may take, by identifier.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave; the database does not answer.
pub async fn page(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<QuotaView>, AppError> {
    actor.need(Permit::UserRead)?;
    let after = match ask.key::<1>()? {
        Some([id]) => Some(UserId::from_bytes(part(id.try_into().ok())?)),
        None => None,
    };
    let during = || AppError::db("listing quotas");
    let mut tx = app.db.read().await.map_err(during())?;
    let users = db::usage_list_by_user(&mut tx, after, ask.rows()).await.map_err(during())?;
    let mut views = Vec::with_capacity(users.len());
    for (user, email, used) in users {
        views.push(view(&mut tx, user, email, used).await?);
    }
    Ok(ask.page(views, |view| [view.user.as_bytes().to_vec()], |view| view))
}

/// Fails unless a backup of this device may begin.
///
/// # Errors
/// `quota_exceeded`; the database does not answer.
pub(crate) async fn begin_or_refuse(tx: &mut Tx, actor: &DeviceActor) -> Result<(), AppError> {
    let Some(limit) = rules(tx, actor.user).await?.limit else { return Ok(()) };
    Ok(may_begin(Some(limit), &usage(tx, actor.user, actor.device).await?)?)
}

/// Fails unless this device may send a pack of this many bytes. Packs that are sent side by side are not added up: what
/// is too much is at most what a run may send at once.
///
/// # Errors
/// `quota_exceeded`; the database does not answer.
pub(crate) async fn send_or_refuse(app: &App, actor: &DeviceActor, more: Bytes) -> Result<(), AppError> {
    let during = || AppError::db("reading what a user has sent");
    let mut tx = app.db.read().await.map_err(during())?;
    let Some(limit) = rules(&mut tx, actor.user).await?.limit else { return Ok(()) };
    let unfinished = db::usage_unfinished_get(&mut tx, actor.user).await.map_err(during())?;
    Ok(may_send(Some(limit), unfinished, more)?)
}

/// Fails unless a backup of this many bytes may become the newest snapshot of this device.
///
/// # Errors
/// `quota_exceeded`; the database does not answer.
pub(crate) async fn commit_or_refuse(tx: &mut Tx, actor: &DeviceActor, new: Bytes) -> Result<(), AppError> {
    let Some(limit) = rules(tx, actor.user).await?.limit else { return Ok(()) };
    Ok(may_commit(Some(limit), &usage(tx, actor.user, actor.device).await?, new)?)
}

/// The same in the transaction that makes the snapshot: the answer holds until its end, because the user's row is
/// held, and the user is told when little room is left.
///
/// # Errors
/// `quota_exceeded`; the database does not answer.
pub(crate) async fn commit(app: &App, tx: &mut Tx, actor: &DeviceActor, new: Bytes) -> Result<(), AppError> {
    let rules = rules(tx, actor.user).await?;
    let Some(limit) = rules.limit else { return notices::unlimited(app, tx, actor.user).await };
    // RACE: two devices of one user that commit at the same time would both see room for one of them.
    db::user_lock(tx, actor.user).await.map_err(AppError::db("holding a user's quota"))?;
    let usage = usage(tx, actor.user, actor.device).await?;
    may_commit(Some(limit), &usage, new)?;
    notices::let_in(app, tx, actor.user, limit, usage.others + new, rules.warning).await
}

/// What the effective policy says of a user's quota.
struct Rules {
    limit: Option<Bytes>,
    warning: Option<Count>,
}

async fn rules(tx: &mut Tx, user: UserId) -> Result<Rules, AppError> {
    let policy = effective(&policy::levels(tx, user, None).await?.levels);
    Ok(Rules { limit: policy.quota(), warning: policy.number(Key::QuotaWarning) })
}

async fn usage(tx: &mut Tx, user: UserId, device: DeviceId) -> Result<Usage, AppError> {
    let rows = db::usage_list(tx, user).await.map_err(AppError::db("reading what a user takes"))?;
    let own = rows.iter().find(|(id, _)| *id == device).map(|(_, bytes)| *bytes);
    let others = rows.iter().filter(|(id, _)| *id != device).map(|(_, bytes)| *bytes).sum();
    Ok(Usage { others, own })
}

async fn view(tx: &mut Tx, user: UserId, email: String, used: Bytes) -> Result<QuotaView, AppError> {
    let policy = effective(&policy::levels(tx, user, None).await?.levels);
    Ok(QuotaView { user, email, used, limit: policy.quota(), from: policy.from(Key::Quota) })
}
