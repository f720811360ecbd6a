//! Ends what goes on for long as soon as its device may no longer do it: a body that comes in, a commit that reads many
//! trees, an answer on its way out. The listener puts it around every request of a device.
//! Refuses to remember anything: what is known of a device's state stands in `states`, and is at most that old.

use crate::{App, AppError, DeviceActor, session};
use base::Span;
use control::access::Verb;

/// How often the device's state is looked at. With `session.state_cache_ms` it bounds how late a change is seen: one of
/// this process after this span, one of another process after both together.
pub const LOOK_SPAN: Span = Span::ms(250);

/// The outcome of `work`, unless the device loses the right to `verb` before it is there: then `work` is dropped where
/// it stands.
///
/// # Errors
/// As `cut`.
pub async fn hold<T>(app: &App, actor: &DeviceActor, verb: Verb, work: impl Future<Output = T>) -> Result<T, AppError> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        error = cut(app, actor, verb) => Err(error),
    }
}

/// Resolves once the device may no longer do `verb`, with the refusal that says why; and when its state cannot be read,
/// because a state that nobody knows allows nothing. Never resolves otherwise.
pub async fn cut(app: &App, actor: &DeviceActor, verb: Verb) -> AppError {
    loop {
        app.clock.sleep(LOOK_SPAN).await;
        if let Err(error) = session::recheck(app, actor, verb).await {
            return error;
        }
    }
}
