//! What a campaign writes to users: that a device is reset, and that it is still not back. Refuses a template that is
//! not for campaigns. Who is told, and when: `control::campaign`.

use crate::mail::{self, Draft, Values, catalogue, occasion};
use crate::{App, AppError};
use base::{CampaignId, Count, Timestamp, UserId};
use control::campaign::{Class, Reset, by_itself};
use control::mail::MailStatus;
use control::{Effect, lifecycle};
use db::{CampaignDeviceRow, CampaignRow, DeviceRow, Tx};
use std::collections::BTreeMap;

/// The template of campaigns that name none.
pub(super) const TEMPLATE: &str = "campaign";
const REMINDER: &str = "campaign_reminder";

/// How many messages of a campaign stand where, as long as their rows are kept; a status without any is left out.
pub type MessageCounts = BTreeMap<&'static str, Count>;

/// Fails unless this is a template for campaigns, and one that is there; empty is the usual one.
///
/// # Errors
/// `template_unknown`; the database does not answer.
pub(super) async fn template_known(tx: &mut Tx, name: &str) -> Result<(), AppError> {
    if name.is_empty() || name == TEMPLATE {
        return Ok(());
    }
    let row = db::template_get(tx, name).await.map_err(AppError::db("reading a template"))?;
    match row.is_some() && catalogue::is_for_campaigns(name) {
        true => Ok(()),
        false => Err(AppError::not_found(
            "template_unknown",
            format!(
                "There is no template `{}` for campaigns: their names are `campaign`, and those beginning with \
                 `campaign_` that were set.",
                control::mail::one_line(name, 60)
            ),
        )),
    }
}

/// Whether a device's turn will bring its user a message: the lifecycle wants the user told, and the campaign too.
pub(super) fn will_tell(now: Timestamp, campaign: &CampaignRow, append_until: Timestamp, device: &Told<'_>) -> bool {
    let step = lifecycle::step(now, device.state, &campaign.level.event(append_until));
    let wanted = step.is_ok_and(|(_, effects)| effects.iter().any(|effect| matches!(effect, Effect::NotifyUser(_))));
    wanted && !device.merged && campaign.tell.tells(campaign.level, device.class)
}

/// What a forecast knows of a device.
pub(super) struct Told<'a> {
    pub(super) state: &'a control::State,
    pub(super) class: Class,
    pub(super) merged: bool,
}

/// What is left of a step's effects when the campaign itself tells the user: all but the usual notice.
pub(super) fn without_notice(effects: &[Effect]) -> (Vec<Effect>, bool) {
    let (notices, rest): (Vec<Effect>, Vec<Effect>) =
        effects.iter().cloned().partition(|effect| matches!(effect, Effect::NotifyUser(_)));
    (rest, !notices.is_empty())
}

/// Queues the message that a device was reset, unless its user is not to be told: in the transaction of its turn.
///
/// # Errors
/// The database does not answer.
pub(super) async fn reset_queue(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    campaign: &CampaignRow,
    turn: &CampaignDeviceRow,
    device: &DeviceRow,
) -> Result<(), AppError> {
    if !campaign.tell.tells(campaign.level, turn.class) {
        return Ok(());
    }
    let merged = db::device_merged_get(tx, device.id).await.map_err(AppError::db("reading a merged record"))?;
    if merged.is_some() {
        return Ok(());
    }
    let occasion = occasion::of_reset(campaign.id, device.id);
    put(app, tx, now, device.user, &campaign.template, occasion, values(campaign, turn.class, device)).await
}

/// Queues the `number`-th reminder of a device that is not back.
///
/// # Errors
/// The database does not answer.
pub(super) async fn reminder_queue(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    campaign: &CampaignRow,
    turn: &CampaignDeviceRow,
    number: Count,
) -> Result<(), AppError> {
    let device = db::device_get(tx, turn.device).await.map_err(AppError::db("reading a device"))?;
    let Some(device) = device else { return Ok(()) };
    let occasion = occasion::of_reminder(campaign.id, device.id, number);
    put(app, tx, now, device.user, REMINDER, occasion, values(campaign, turn.class, &device)).await
}

/// How many messages of this campaign stand where.
///
/// # Errors
/// The database does not answer.
pub(super) async fn counts(tx: &mut Tx, id: CampaignId) -> Result<MessageCounts, AppError> {
    let counts =
        db::mail_count_list(tx, &occasion::of_campaign(id)).await.map_err(AppError::db("counting messages"))?;
    Ok(counts.into_iter().map(|(status, count): (MailStatus, Count)| (status.word(), count)).collect())
}

fn values(campaign: &CampaignRow, class: Class, device: &DeviceRow) -> Values {
    Values::new()
        .with("device.name", &device.name)
        .with("device.host_name", &device.about.host_name)
        .with("reason", &campaign.reason)
        .with("deadline", &deadline(campaign).map(mail::date).unwrap_or_default())
        .with("by_itself", if by_itself(campaign.level, class) { "yes" } else { "" })
}

async fn put(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    user: UserId,
    template: &str,
    occasion: String,
    values: Values,
) -> Result<(), AppError> {
    let user = db::user_get(tx, user).await.map_err(AppError::db("looking for whom to tell"))?;
    let Some(user) = user.filter(|user| !user.email.is_empty()) else { return Ok(()) };
    let draft = Draft { occasion, recipient: &user.email, template, values, until: None };
    mail::queue(app, tx, now, draft).await.map(drop)
}

/// Until when the user should have done it: the deadline, or when a held device may append no more, if that is sooner.
fn deadline(campaign: &CampaignRow) -> Option<Timestamp> {
    let append_until = campaign.append_until.filter(|_| campaign.level == Reset::Hold);
    campaign.deadline.into_iter().chain(append_until).min()
}
