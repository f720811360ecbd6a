//! Work that waits for a disk, beside the threads that must not wait. Refuses to hide a panic of it.

use crate::StoreError;

/// Runs work that waits for a disk on the threads meant for that. A panic there goes on here.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match base::blocking(work).await {
        Ok(result) => result,
        Err(end) => match end.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Closing),
        },
    }
}
