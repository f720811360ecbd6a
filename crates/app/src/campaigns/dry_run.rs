//! What a campaign will do to each device that it reaches, said before it starts. Refuses to change anything.

use super::{known, messages, scope};
use crate::{AdminActor, App, AppError, activation};
use base::{CampaignId, DeviceId, Span, Timestamp, UserId};
use control::Permit;
use control::activation::{Evidence, machine_keys, same_machine};
use control::campaign::{Class, Outlook, Scope, Subject, class, span_needed};
use db::{CampaignRow, DeviceFleetRow, Tx};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Devices read at a time.
const PAGE: u32 = 2_000;
/// How many activations a small server lets in a second: what a forecast reckons with.
const ACTIVATIONS_PER_SECOND: u64 = 500;

/// What a campaign will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// How many devices of each class; every class is there.
    pub counts: BTreeMap<Class, u64>,
    /// Every device that it reaches, by name.
    pub devices: Vec<Foretold>,
    /// How many waves it has.
    pub waves: u64,
    /// How long it takes until the last device has had its turn and those that come by themselves are let in.
    pub span: Span,
    /// Does that end after the deadline, were it started now?
    pub past_deadline: bool,
    /// How many messages go out when the devices have their turns; none while mail is off.
    pub messages: u64,
    /// To how many users.
    pub users_told: u64,
    /// Is mail off, so that nobody is told?
    pub mail_off: bool,
}

/// One device of a dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foretold {
    /// Which.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub email: String,
    /// What will become of it.
    pub class: Class,
    /// Is its user told when its turn comes, if mail is on?
    pub told: bool,
    /// Whose it is.
    pub(super) user: UserId,
    /// Its epoch now.
    pub(super) epoch: u64,
}

/// What the campaign would do if it were started now.
///
/// # Errors
/// `campaign_unknown`; `not_permitted`; the database does not answer.
pub async fn dry_run(app: &App, actor: &AdminActor, id: CampaignId) -> Result<DryRun, AppError> {
    actor.need(Permit::CampaignRead)?;
    let now = app.clock.now();
    let mut tx = app.db.read().await.map_err(AppError::db("reading a campaign"))?;
    let row = known(&mut tx, id).await?;
    let mut devices = foretell(app, &mut tx, now, &row).await?;
    drop(tx);
    devices.sort_by(|one, other| (&one.name, one.device).cmp(&(&other.name, other.device)));
    let mut counts: BTreeMap<Class, u64> = Class::ALL.into_iter().map(|class| (class, 0)).collect();
    for device in &devices {
        *counts.entry(device.class).or_default() += 1;
    }
    let total = devices.len() as u64;
    let automatic = counts.get(&Class::Automatic).copied().unwrap_or_default();
    let span = span_needed(total, automatic, row.wave_size, row.wave_span, ACTIVATIONS_PER_SECOND);
    let past_deadline = row.deadline.is_some_and(|deadline| now + span > deadline);
    let mail_off = app.mailer.is_none();
    let told = devices.iter().filter(|device| device.told && !mail_off);
    let (messages, users_told) =
        (told.clone().count() as u64, told.map(|device| device.user).collect::<HashSet<UserId>>().len() as u64);
    let waves = total.div_ceil(row.wave_size.max(1));
    Ok(DryRun { counts, devices, waves, span, past_deadline, messages, users_told, mail_off })
}

/// The devices that a campaign reaches, each with what will become of it, in the order of their ids.
pub(super) async fn foretell(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    row: &CampaignRow,
) -> Result<Vec<Foretold>, AppError> {
    let scope = scope::from_text(&row.scope)?;
    let fleet = fleet(tx, now).await?;
    let duplicates = duplicates(tx, &fleet).await?;
    let append_until = row.append_until.unwrap_or(now + app.config.device_hold);
    let of_scope = fleet.into_iter().filter(|device| covers(&scope, device));
    let foretold = |device: DeviceFleetRow| {
        let outlook = Outlook {
            level: row.level,
            append_until,
            state: &device.state,
            user: device.user_state,
            seen_at: device.seen_at,
            merged: device.merged_into.is_some(),
            duplicate: device.conflict || duplicates.contains(&device.id),
            token_good: device.token_good,
        };
        let class = class(now, &outlook);
        let told = messages::Told { state: &device.state, class, merged: device.merged_into.is_some() };
        let told = messages::will_tell(now, row, append_until, &told) && !device.email.is_empty();
        let DeviceFleetRow { id, name, email, epoch, user, .. } = device;
        Foretold { device: id, name, email, class, told, user, epoch }
    };
    Ok(of_scope.map(foretold).collect())
}

async fn fleet(tx: &mut Tx, now: Timestamp) -> Result<Vec<DeviceFleetRow>, AppError> {
    let mut fleet: Vec<DeviceFleetRow> = Vec::new();
    loop {
        let after = fleet.last().map(|device| device.id);
        let page = db::device_fleet_list(tx, now, after, PAGE).await.map_err(AppError::db("listing the fleet"))?;
        let full = page.len() == PAGE as usize;
        fleet.extend(page);
        if !full {
            return Ok(fleet);
        }
    }
}

/// The devices that share a machine with another record in service, less those that an admin has decided to keep.
async fn duplicates(tx: &mut Tx, fleet: &[DeviceFleetRow]) -> Result<HashSet<DeviceId>, AppError> {
    let kept = db::conflict_list_kept(tx).await.map_err(AppError::db("listing the records that are kept"))?;
    let kept: HashSet<(DeviceId, DeviceId)> = kept.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]).collect();
    let mut by_key: HashMap<String, Vec<(DeviceId, Evidence)>> = HashMap::new();
    for device in fleet.iter().filter(|device| device.state.counts() && device.merged_into.is_none()) {
        let evidence = activation::evidence(&device.about);
        for key in machine_keys(&evidence) {
            by_key.entry(key).or_default().push((device.id, evidence.clone()));
        }
    }
    let mut found = HashSet::new();
    for group in by_key.values().filter(|group| group.len() > 1) {
        // Hundreds of records with one serial number are one admin's mistake: each is a duplicate of its neighbour.
        for pair in group.windows(2) {
            let [(one, of_one), (other, of_other)] = pair else { continue };
            if !kept.contains(&(*one, *other)) && same_machine(of_one, of_other) {
                found.extend([*one, *other]);
            }
        }
    }
    Ok(found)
}

fn covers(scope: &Scope, device: &DeviceFleetRow) -> bool {
    scope.covers(&Subject {
        device: device.id,
        user: device.user,
        profile: device.profile,
        activated_at: device.activated_at,
        token: device.token,
        agent: &device.about.agent,
    })
}
