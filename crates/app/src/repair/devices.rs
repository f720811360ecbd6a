//! Devices: those that only the store knows come back by their cards, and with them their users. Each has to be
//! activated again: which keys were good is not known. Refuses to change a record that is there.

use super::{ByDevice, Options, Progress, Report, opened};
use crate::damage::is_damage;
use crate::listing::Pages;
use crate::{App, AppError, users};
use base::{Count, DeviceId, HoldId, UserId};
use control::{Level, Rights, State};
use db::{DeviceAbout, DeviceRow, HoldRow, HoldSubject, Tx, UserRow};
use format::object::CARDS_PREFIX;
use format::{Card, ObjectName};
use std::collections::HashSet;
use store::ObjectInfo;

/// Looks at every card of the store. Gives the devices that were taken in, or would be.
pub(super) async fn repair(
    app: &App,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
    report: &mut Report,
) -> Result<HashSet<DeviceId>, AppError> {
    let mut taken = HashSet::new();
    let mut pages = Pages::new(app.store.as_ref(), CARDS_PREFIX, "listing cards");
    let (mut done, mut held) = (Count(0), ByDevice::new());
    while let Some(page) = pages.next().await? {
        for object in page {
            let Ok(ObjectName::Card(device, _)) = object.name.as_str().parse() else { continue };
            let Some((device, cards)) = held.add(device, object) else { continue };
            if look(app, options, device, &cards, report).await? {
                taken.insert(device);
            }
            done += Count(1);
            progress(Progress::Devices { done });
        }
    }
    if let Some((device, cards)) = held.end()
        && look(app, options, device, &cards, report).await?
    {
        taken.insert(device);
    }
    Ok(taken)
}

/// Takes a device in that only the store knows. Gives whether it was one.
async fn look(
    app: &App,
    options: &Options,
    device: DeviceId,
    cards: &[ObjectInfo],
    report: &mut Report,
) -> Result<bool, AppError> {
    let mut tx = app.db.read().await.map_err(AppError::db("looking a device up"))?;
    let is_known = db::device_get(&mut tx, device).await.map_err(AppError::db("looking a device up"))?.is_some();
    drop(tx);
    if is_known {
        return Ok(false);
    }
    // The newest one that opens counts.
    for object in cards.iter().rev() {
        match read(app, object).await? {
            Ok(card) => {
                take_in(app, options, &card, report).await?;
                return Ok(true);
            }
            Err(why) => report.add_unreadable(&object.name, &why),
        }
    }
    Ok(false)
}

async fn read(app: &App, object: &ObjectInfo) -> Result<Result<Card, String>, AppError> {
    let bytes = match app.store.get(&object.name).await {
        Ok(bytes) => bytes,
        Err(error) if is_damage(&error) => return Ok(Err(error.to_string())),
        Err(error) => return Err(AppError::store("reading a card")(error)),
    };
    let card = opened(app, |keys| Card::open(&bytes, |id| keys.seal_key(id).cloned()));
    let card = card.map_err(|error| error.to_string());
    let named = |card: &Card| ObjectName::Card(card.device, card.number).to_string() == object.name.as_str();
    Ok(card.and_then(|(keys, card)| {
        if named(&card) && card.repository == keys.id { Ok(card) } else { Err("It is another one's".to_owned()) }
    }))
}

/// Makes the record of a device, and its user where there is none.
pub(super) async fn take_in(app: &App, options: &Options, card: &Card, report: &mut Report) -> Result<(), AppError> {
    report.devices_taken += Count(1);
    let now = app.clock.now();
    let during = || AppError::db("taking a device in");
    let mut tx = app.db.write().await.map_err(during())?;
    let user = user(app, &mut tx, options, card, report).await?;
    let [host_name, serial, hardware_uuid, os_user, os, arch] = card.evidence.clone();
    let about = DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent: String::new() };
    let state = State::Deactivated { rights: Rights::Full, level: Level::Distrust };
    let fresh = DeviceRow::new(card.device, user, card.name.clone(), about, card.created_at.min(now));
    let epoch = card.key.map_or(0, |(epoch, _)| epoch);
    db::device_insert(&mut tx, &DeviceRow { state, epoch, ..fresh }).await.map_err(during())?;
    if let Some((epoch, key)) = &card.key {
        // It proves nothing any more. By it the device is told that it has to be activated again, and nobody else is.
        db::credential_insert(&mut tx, card.device, *epoch, key, now).await.map_err(during())?;
        db::credential_revoke_update(&mut tx, card.device, now).await.map_err(during())?;
    }
    db::device_card_update(&mut tx, card.device, card.number, &card.digest()).await.map_err(during())?;
    if options.apply { tx.commit().await.map_err(during()) } else { Ok(()) }
}

/// The user of a card: the one with its identifier, else the one with its address, else a new one.
async fn user(app: &App, tx: &mut Tx, options: &Options, card: &Card, report: &mut Report) -> Result<UserId, AppError> {
    let during = || AppError::db("taking a user in");
    if let Some(user) = db::user_get(tx, card.user).await.map_err(during())? {
        return Ok(user.id);
    }
    if let Some(user) = db::user_get_by_email(tx, &card.email).await.map_err(during())? {
        return Ok(user.id);
    }
    report.users_taken += Count(1);
    let now = app.clock.now();
    let repository = app.keys.repositories().into_iter().find(|keys| keys.id == card.repository);
    let fresh = users::new(app, now, card.email.clone(), String::new());
    let repository = repository.map_or(fresh.repository, |keys| keys.seq);
    let user = UserRow { id: card.user, repository, ..fresh };
    db::user_insert(tx, &user).await.map_err(during())?;
    if let Some(name) = &options.hold {
        let hold = HoldRow {
            id: HoldId::mint(app.entropy.as_ref()),
            subject: HoldSubject::User(user.id),
            subject_name: String::new(),
            name: name.clone(),
            set_at: now,
            set_by: "command".to_owned(),
        };
        db::hold_insert(tx, &hold).await.map_err(during())?;
    }
    Ok(user.id)
}
