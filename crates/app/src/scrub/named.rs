//! Which objects of the store no row names: the question that scrub and collection ask of every object, a page at a
//! time. Refuses to say what becomes of them.

use crate::AppError;
use db::Tx;
use format::ObjectName;
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
        strays.retain(|name| leaving.binary_search_by(|leaves| leaves.as_str().cmp(name)).is_err());
    }
    Ok(strays)
}

/// Those of `names` that no row names, in their order. Rows are asked for by the page: one statement for each kind.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn unnamed<'a>(tx: &mut Tx, names: &[&'a str]) -> Result<Vec<&'a str>, AppError> {
    let during = || AppError::db("looking objects up");
    let (mut packs, mut manifests, mut cards) = (Asked::new(), Asked::new(), Asked::new());
    let mut named = HashSet::new();
    for name in names {
        let is_named = match name.parse() {
            Ok(ObjectName::Pack(pack)) => packs.add(name, pack),
            Ok(ObjectName::Manifest(device, snapshot)) => manifests.add(name, (device, snapshot)),
            Ok(ObjectName::Card(device, number)) => cards.add((name, number), device),
            // What is newer than the row was written before a row that is on its way, or before a crash.
            Ok(ObjectName::Keyring(number)) => {
                db::installation_get(tx).await.map_err(during())?.is_some_and(|row| number >= row.keyring)
            }
            Ok(ObjectName::Age(number)) => {
                db::installation_get(tx).await.map_err(during())?.is_some_and(|row| number >= row.age)
            }
            Err(_) => false,
        };
        if is_named {
            named.insert(*name);
        }
    }
    if !packs.keys.is_empty() {
        let known = db::pack_known_list(tx, &packs.keys).await.map_err(during())?;
        named.extend(known.into_iter().map(|at| *packs.names[at as usize]));
    }
    if !manifests.keys.is_empty() {
        let known = db::snapshot_known_list(tx, &manifests.keys).await.map_err(during())?;
        named.extend(known.into_iter().map(|at| *manifests.names[at as usize]));
    }
    if !cards.keys.is_empty() {
        for (at, card) in db::device_card_list(tx, &cards.keys).await.map_err(during())? {
            let (name, number) = cards.names[at as usize];
            named.extend((number >= card).then_some(*name));
        }
    }
    Ok(names.iter().copied().filter(|name| !named.contains(name)).collect())
}

/// Names that are asked for in one statement, and by what.
struct Asked<N, K> {
    names: Vec<N>,
    keys: Vec<K>,
}

impl<N, K> Asked<N, K> {
    const fn new() -> Self {
        Self { names: Vec::new(), keys: Vec::new() }
    }

    /// Whether a row names it is not known yet: no.
    fn add(&mut self, name: N, key: K) -> bool {
        self.names.push(name);
        self.keys.push(key);
        false
    }
}
