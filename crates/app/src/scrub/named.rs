//! Which objects of the store no row names: the question that scrub and collection ask of every object, a page at a
//! time. Refuses to say what becomes of them.

use crate::AppError;
use base::{DeviceId, SnapshotId};
use db::Tx;
use format::{ObjectName, PackId};
use std::collections::HashSet;

/// Those of `names` that no row names and that are not about to go, in their order. Names are in the order of their
/// bytes, as a listing gives them.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn strays<'a>(tx: &mut Tx, names: &[&'a str]) -> Result<Vec<&'a str>, AppError> {
    let during = || AppError::db("looking objects up");
    let mut strays = unnamed(tx, names).await?;
    if let (Some(first), Some(last)) = (strays.first(), strays.last()) {
        let leaving = db::leaving_list_between(tx, first, last).await.map_err(during())?;
        let leaving: HashSet<&str> = leaving.iter().map(String::as_str).collect();
        strays.retain(|name| !leaving.contains(name));
    }
    Ok(strays)
}

/// Those of `names` that no row names, in their order. Rows of what there is much of are asked for by the page: one
/// statement for packs, one for manifests, one for cards.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn unnamed<'a>(tx: &mut Tx, names: &[&'a str]) -> Result<Vec<&'a str>, AppError> {
    let during = || AppError::db("looking objects up");
    let mut packs: Vec<(&str, PackId)> = Vec::new();
    let mut manifests: Vec<(&str, (DeviceId, SnapshotId))> = Vec::new();
    let mut cards: Vec<((&str, u32), DeviceId)> = Vec::new();
    let mut named = HashSet::new();
    for name in names {
        match name.parse() {
            Ok(ObjectName::Pack(pack)) => packs.push((name, pack)),
            Ok(ObjectName::Manifest(device, snapshot)) => manifests.push((name, (device, snapshot))),
            Ok(ObjectName::Card(device, number)) => cards.push(((name, number), device)),
            // What is newer than the row was written before a row that is on its way, or before a crash.
            Ok(ObjectName::Keyring(number)) => {
                let row = db::installation_get(tx).await.map_err(during())?;
                named.extend(row.is_some_and(|row| number >= row.keyring).then_some(*name));
            }
            Ok(ObjectName::Age(number)) => {
                let row = db::installation_get(tx).await.map_err(during())?;
                named.extend(row.is_some_and(|row| number >= row.age).then_some(*name));
            }
            Err(_) => {}
        }
    }
    if !packs.is_empty() {
        let (names, packs): (Vec<_>, Vec<_>) = packs.into_iter().unzip();
        let known = db::pack_known_list(tx, &packs).await.map_err(during())?;
        named.extend(known.into_iter().map(|at| names[at as usize]));
    }
    if !manifests.is_empty() {
        let (names, manifests): (Vec<_>, Vec<_>) = manifests.into_iter().unzip();
        let known = db::snapshot_known_list(tx, &manifests).await.map_err(during())?;
        named.extend(known.into_iter().map(|at| names[at as usize]));
    }
    if !cards.is_empty() {
        let (cards, devices): (Vec<_>, Vec<_>) = cards.into_iter().unzip();
        for (at, newest) in db::device_card_list(tx, &devices).await.map_err(during())? {
            let (name, number) = cards[at as usize];
            named.extend((number >= newest).then_some(name));
        }
    }
    Ok(names.iter().copied().filter(|name| !named.contains(name)).collect())
}
