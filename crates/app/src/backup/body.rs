//! Takes in the body of an upload, within the memory that all uploads share. Refuses bodies that are too long or stop
//! coming; that its device may still upload meanwhile, `guard` looks after.

use crate::plane::UPLOAD_UNIT;
use crate::{App, AppError};
use base::{RunId, Span};
use bytes::Bytes;
use control::Refusal;
use format::limits::PACK_BYTES_MAX;
use format::{PackHasher, PackId};
use futures::{Stream, StreamExt as _};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// When a device whose upload broke off should send it again.
const AGAIN_SPAN: Span = Span::ms(250);
/// A body of which nothing comes for this long is given up.
const STALL_SPAN: Span = Span::seconds(30);
/// How long a body waits for memory, and when a device that got none should come again.
const MEMORY_SPAN: Span = Span::seconds(20);

/// A whole body.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// The name that these bytes deserve.
    pub(super) pack: PackId,
    /// Handed back when this is dropped.
    _memory: Memory,
}

/// Memory that an upload was given.
#[derive(Default)]
struct Memory {
    bytes: u64,
    shared: Option<OwnedSemaphorePermit>,
    _reserve: Option<OwnedSemaphorePermit>,
}

/// Reads a body to its end. `len` is how long it says it is.
///
/// # Errors
/// `request_too_large`; `server_busy` when there is no memory for it; `upload_incomplete`, `upload_stalled`.
pub(super) async fn receive<S>(app: &App, run: RunId, len: Option<u64>, body: S) -> Result<Body, AppError>
where
    S: Stream<Item = io::Result<Bytes>> + Send,
{
    if len.is_some_and(|len| len > PACK_BYTES_MAX.0) {
        return Err(Refusal::RequestTooLarge.into());
    }
    let mut body = pin!(body);
    let mut memory = Memory::default();
    let mut hasher = PackHasher::new();
    // Only the bytes that came take up memory: the rest of the room is a promise of the system.
    let mut bytes: Vec<u8> = Vec::with_capacity(len.unwrap_or(UPLOAD_UNIT.0) as usize);
    while let Some(piece) = next(app, body.next()).await? {
        let piece = piece.map_err(|cause| incomplete(&cause))?;
        app.plane.received_add(run, base::Bytes::of(piece.len()));
        let total = bytes.len() as u64 + piece.len() as u64;
        if total > PACK_BYTES_MAX.0 {
            return Err(Refusal::RequestTooLarge.into());
        }
        if total > memory.bytes {
            memory.grow(app, total - memory.bytes).await?;
        }
        hasher.update(&piece);
        bytes.extend_from_slice(&piece);
    }
    if len.is_some_and(|len| len != bytes.len() as u64) {
        return Err(incomplete(&"it ended early"));
    }
    Ok(Body { bytes: Bytes::from(bytes), pack: hasher.finish(), _memory: memory })
}

impl Memory {
    /// Room for so many bytes more.
    async fn grow(&mut self, app: &App, more: u64) -> Result<(), AppError> {
        let units = more.div_ceil(UPLOAD_UNIT.0);
        let shared = Arc::clone(&app.plane.upload_memory).acquire_many_owned(units as u32);
        let reserve = Arc::clone(&app.plane.upload_reserve).acquire_owned();
        let either = async {
            tokio::select! {
                biased;
                shared = shared => (shared.expect("the semaphore is never closed"), false),
                reserve = reserve => (reserve.expect("the semaphore is never closed"), true),
            }
        };
        let busy = || Refusal::ServerBusy { left: MEMORY_SPAN }.into();
        let (permit, is_reserve) = within(app, MEMORY_SPAN, either, busy).await?;
        if is_reserve {
            // The reserve has room for any pack, what came of it included: this upload waits for memory no more.
            *self = Memory { bytes: PACK_BYTES_MAX.0, shared: None, _reserve: Some(permit) };
        } else {
            self.bytes += units * UPLOAD_UNIT.0;
            match &mut self.shared {
                Some(held) => held.merge(permit),
                None => self.shared = Some(permit),
            }
        }
        Ok(())
    }
}

/// The next piece of a body.
async fn next<T>(app: &App, piece: impl Future<Output = T>) -> Result<T, AppError> {
    let stalled = || {
        let sentence = format!("Nothing of the upload arrived for {STALL_SPAN}. It is repeated by itself.");
        AppError::unavailable("upload_stalled", sentence, AGAIN_SPAN)
    };
    within(app, STALL_SPAN, piece, stalled).await
}

async fn within<T>(
    app: &App,
    span: Span,
    awaited: impl Future<Output = T>,
    late: impl FnOnce() -> AppError,
) -> Result<T, AppError> {
    tokio::select! {
        biased;
        ready = awaited => Ok(ready),
        () = app.clock.sleep(span) => Err(late()),
    }
}

fn incomplete(cause: &dyn std::fmt::Display) -> AppError {
    let sentence = format!("The upload broke off before its end: {cause}. It is repeated by itself.");
    AppError::unavailable("upload_incomplete", sentence, AGAIN_SPAN)
}
