//! Objects of which the one with the highest number counts: ages, keyrings, the cards of a device. Refuses to touch an
//! object whose name has no number.

use crate::AppError;
use format::ObjectName;
use store::{ObjectInfo, Store};

/// Those of one kind that are listed at once; there are two at most, but for a moment.
pub(crate) const LISTED_MAX: usize = 1_000;

/// Removes those below `prefix` whose number `which` says.
///
/// # Errors
/// A store that does not answer.
pub(crate) async fn remove(
    store: &dyn Store,
    prefix: &str,
    which: impl Fn(u32) -> bool,
    during: &'static str,
) -> Result<(), AppError> {
    for object in store.list(prefix, None, LISTED_MAX).await.map_err(AppError::store(during))? {
        if number(&object).is_some_and(&which) {
            store.remove(&object.name).await.map_err(AppError::store(during))?;
        }
    }
    Ok(())
}

/// The number in the name of an object; `None` where it has none. Never fails.
pub(crate) fn number(object: &ObjectInfo) -> Option<u32> {
    object.name.as_str().parse().ok().and_then(|name: ObjectName| name.number())
}
