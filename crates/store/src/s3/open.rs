//! Making and opening a store in a bucket: the object that says it is one, and the trial of the server.
//! Refuses a bucket without a store, one that is used by others, and a server that breaks a promise of `Store`.

use super::patience::Failure;
use super::put::{put_whole, upload};
use super::read::{size_of, whole};
use super::trouble::Meaning;
use super::walk::keys_at;
use super::{Inner, S3};
use crate::{Put, StoreError};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use object_store::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Says that the keys below the prefix are a store. No name of an object has a capital letter.
const LAYOUT_KEY: &str = "HOLDFAST/LAYOUT";
/// What that object says. Layout 1: the object `packs/0a` has the key `<prefix>packs/0a`, and its SHA-256 beside it.
const LAYOUT_TEXT: &str = "holdfast bucket layout 1\n";
/// What the keys of trial objects begin with.
const TRIAL_KEY: &str = "HOLDFAST/TRIAL-";
/// What a server does wrong that ignores `If-None-Match`.
const OVERWRITES: &str = "its server overwrites an object although it is asked to store it only where there is none \
     (it ignores If-None-Match): two writers would destroy each other's objects, so use another server, or a newer one";

/// See `S3::create`.
pub(super) async fn create(inner: Inner) -> Result<S3, StoreError> {
    let place = inner.place.clone();
    if layout(&inner).await?.is_some() {
        return Err(StoreError::StoreExists { place });
    }
    for above in above(&inner.prefix) {
        let key = Path::parse(format!("{above}{LAYOUT_KEY}")).expect("a part of a plain prefix");
        match whole(&inner, &key).await {
            Ok(_) => return Err(StoreError::StoreExists { place: inner.place.at(above) }),
            // A key may well reach no further up than its own prefix.
            Err(failure) if matches!(failure.trouble.meaning(), Meaning::NoObject | Meaning::Key) => {}
            Err(failure) => return Err(inner.unusable(failure)),
        }
    }
    let trials = inner.path(TRIAL_KEY);
    let keys = inner.patience.until_done(async || keys_at(&inner, &inner.prefix, 100).await).await;
    let keys = keys.map_err(|failure| inner.unusable(failure))?;
    // What a trial that was killed has left does no harm.
    if let Some(key) = keys.into_iter().find(|key| !key.starts_with(trials.as_ref())) {
        return Err(StoreError::NotEmpty { place, key });
    }
    let inner = tried(inner).await?;
    let put = put_whole(&inner, &inner.path(LAYOUT_KEY), &Bytes::from_static(LAYOUT_TEXT.as_bytes())).await;
    match put.map_err(|failure| inner.unusable(failure))? {
        Put::Created => Ok(S3(inner)),
        // RACE: another process was faster, or the answer was lost and this is our own: then `open` goes on from here.
        Put::Existed => Err(StoreError::StoreExists { place }),
    }
}

/// The prefixes above this one, of which a store would list what is in this one, from the bucket itself on.
fn above(prefix: &str) -> impl Iterator<Item = &str> {
    let slashes = prefix.match_indices('/').map(|(at, _)| at + 1);
    std::iter::once(0).chain(slashes).map(|end| &prefix[..end]).filter(move |above| above.len() < prefix.len())
}

/// See `S3::open`.
pub(super) async fn open(inner: Inner) -> Result<S3, StoreError> {
    match layout(&inner).await? {
        None => Err(StoreError::NoStore { place: inner.place.clone() }),
        Some(_) => Ok(S3(tried(inner).await?)),
    }
}

/// The layout that the store has; None when there is no store.
///
/// # Errors
/// `Layout` when it is not the one that this version knows.
async fn layout(inner: &Inner) -> Result<Option<()>, StoreError> {
    let found = match whole(inner, &inner.path(LAYOUT_KEY)).await {
        Ok(found) => found.unwrap_or_default(),
        Err(failure) if failure.trouble.meaning() == Meaning::NoObject => return Ok(None),
        Err(failure) => return Err(inner.unusable(failure)),
    };
    if found == LAYOUT_TEXT.as_bytes() {
        return Ok(Some(()));
    }
    let text: String = String::from_utf8_lossy(&found).lines().next().unwrap_or_default().chars().take(200).collect();
    Err(StoreError::Layout { place: inner.place.clone(), found: base::printable(&text) })
}

/// Tries the server out on an object of a random name, which is removed in any case.
async fn tried(inner: Inner) -> Result<Arc<Inner>, StoreError> {
    let mut drawn = [0; 16];
    inner.entropy.fill(&mut drawn);
    let key = inner.path(&format!("{TRIAL_KEY}{}", HEXLOWER.encode(&drawn)));
    let shared = Arc::new(inner);
    let found = trial(&shared, &key).await;
    let removed = shared.remove_key(&key).await;
    let unusable = |failure| shared.unusable(failure);
    let unfit = |flaw| StoreError::Unfit { place: shared.place.clone(), flaw };
    let takes_parts = found.map_err(unusable)?.map_err(unfit)?;
    removed.map_err(unusable)?;
    if size_of(&shared, &key).await.map_err(unusable)?.is_some() {
        return Err(unfit("its server still has an object after it was removed"));
    }
    if !takes_parts {
        tracing::info!("{} ignores conditions on uploads in parts, so every object goes in one request", shared.place);
    }
    shared.takes_parts.store(takes_parts, Ordering::Relaxed);
    Ok(shared)
}

/// Whether the server completes an upload in parts only where no object is; or what it does wrong.
async fn trial(inner: &Arc<Inner>, key: &Path) -> Result<Result<bool, &'static str>, Failure> {
    let (first, second) = (Bytes::from_static(b"holdfast trial"), Bytes::from_static(b"holdfast trial, overwritten"));
    put_whole(inner, key, &first).await?;
    if put_whole(inner, key, &second).await? == Put::Created {
        return Ok(Err(OVERWRITES));
    }
    match whole(inner, key).await {
        Ok(Ok(found)) if found == first => {}
        Err(failure) if !matches!(failure.trouble.meaning(), Meaning::NoObject | Meaning::Doubtful) => {
            return Err(failure);
        }
        _ => return Ok(Err("its server does not give back what was stored a moment before")),
    }
    let listed = inner.patience.until_done(async || keys_at(inner, key.as_ref(), 2).await).await?;
    if listed != [key.as_ref()] {
        return Ok(Err("its server does not list what was stored a moment before"));
    }
    match upload(inner, key, &second).await {
        Ok(Put::Existed) => Ok(Ok(true)),
        Ok(Put::Created) => Ok(Ok(false)),
        // It knows no uploads in parts, or none with a condition.
        Err(failure) if failure.trouble.meaning() == Meaning::Never => Ok(Ok(false)),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefixes_above_begin_with_the_bucket_itself() {
        assert_eq!(above("a/bc/").collect::<Vec<_>>(), ["", "a/"]);
        assert_eq!(above("a/").collect::<Vec<_>>(), [""]);
        assert_eq!(above("").count(), 0);
    }
}
