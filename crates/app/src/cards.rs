//! Cards: the store knows whose each device is, for the day on which the database is lost. Refuses to write one that
//! says nothing new: a commit looks, and nearly always there is nothing to do.

use crate::keys::RepositoryKeys;
use crate::numbered;
use crate::snapshots::store_name;
use crate::{App, AppError};
use base::DeviceId;
use db::{DeviceAbout, DeviceRow, UserRow};
use format::limits::LABEL_MAX;
use format::object::CARDS_PREFIX;
use format::{Card, ObjectName};
use store::Put;

/// Makes sure that the store has a card that says whose this device is now.
///
/// # Errors
/// A database or a store that does not answer.
pub(crate) async fn ensure(app: &App, id: DeviceId, keys: &RepositoryKeys) -> Result<(), AppError> {
    let during = || AppError::db("reading whose a device is");
    let mut tx = app.db.read().await.map_err(during())?;
    let Some(known) = db::device_card_get(&mut tx, id).await.map_err(during())? else { return Ok(()) };
    let Some(device) = db::device_get(&mut tx, id).await.map_err(during())? else { return Ok(()) };
    let Some(user) = db::user_get(&mut tx, device.user).await.map_err(during())? else { return Ok(()) };
    let key = db::credential_get_newest(&mut tx, id).await.map_err(during())?;
    drop(tx);
    let mut card = card(keys, &device, &user, key.map(|key| (key.epoch, key.public_key)));
    let digest = card.digest();
    if known.digest == Some(digest) {
        return Ok(());
    }
    card.number = known.number;
    let now = app.clock.now();
    loop {
        card.number += 1;
        let mut salt = [0; 32];
        app.entropy.fill(&mut salt);
        let sealed = card.seal(keys.newest(now), salt).map_err(AppError::format("sealing a card"))?;
        let name = store_name(&ObjectName::Card(id, card.number));
        let put = app.store.put_new(&name, sealed.into()).await.map_err(crate::backup::put_error)?;
        // One that is there was left by a crash, or another commit of the device is faster.
        if put == Put::Created {
            break;
        }
    }
    // ORDER: the object before the row. What a crash leaves between the two counts: it is newer.
    let mut tx = app.db.write().await.map_err(during())?;
    db::device_card_update(&mut tx, id, card.number, &digest).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    remove(app, id, |number| number < card.number).await
}

/// Removes every card of a device whose record is gone for good.
///
/// # Errors
/// A store that does not answer.
pub(crate) async fn remove_all(app: &App, id: DeviceId) -> Result<(), AppError> {
    remove(app, id, |_| true).await
}

async fn remove(app: &App, id: DeviceId, which: impl Fn(u32) -> bool) -> Result<(), AppError> {
    numbered::remove(app.store.as_ref(), &format!("{CARDS_PREFIX}{id}/"), which, "removing a card").await
}

fn card(keys: &RepositoryKeys, device: &DeviceRow, user: &UserRow, key: Option<(u64, [u8; 32])>) -> Card {
    let DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent: _ } = &device.about;
    Card {
        device: device.id,
        number: 0,
        repository: keys.id,
        created_at: device.created_at,
        user: user.id,
        key,
        email: cut(&user.email),
        name: cut(&device.name),
        evidence: [host_name, serial, hardware_uuid, os_user, os, arch].map(|text| cut(text)),
    }
}

/// As much of a text as a card takes.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LABEL_MAX.0 as usize)].to_owned()
}
