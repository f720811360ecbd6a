//! Takes in the body of an upload while its device may upload, within the memory that all uploads share.
//! Refuses bodies that are too long, stop coming, or come from a device that was cut off meanwhile.

use crate::plane::UPLOAD_UNIT;
use crate::{App, AppError, DeviceActor, session};
use base::{RunId, Span, Timestamp};
use bytes::Bytes;
use control::Refusal;
use control::access::Verb;
use format::limits::PACK_BYTES_MAX;
use format::{PackHasher, PackId};
use futures::{Stream, StreamExt as _};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// How often the device's state is looked at while its body comes in, or does not.
const LOOK_SPAN: Span = Span::ms(250);
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
/// `request_too_large`; `server_busy` when there is no memory for it; `upload_incomplete`, `upload_stalled`; the
/// refusal of the device's state as soon as it changes.
pub(super) async fn receive<S>(
    app: &App,
    actor: &DeviceActor,
    run: RunId,
    len: Option<u64>,
    body: S,
) -> Result<Body, AppError>
where
    S: Stream<Item = io::Result<Bytes>> + Send,
{
    if len.is_some_and(|len| len > PACK_BYTES_MAX.0) {
        return Err(Refusal::RequestTooLarge.into());
    }
    let mut body = pin!(body);
    let mut watch = Watch::new(app, actor);
    let mut memory = Memory::default();
    let mut hasher = PackHasher::new();
    // Only the bytes that came take up memory: the rest of the room is a promise of the system.
    let mut bytes: Vec<u8> = Vec::with_capacity(len.unwrap_or(UPLOAD_UNIT.0) as usize);
    while let Some(piece) = watch.next(body.next()).await? {
        let piece = piece.map_err(|cause| incomplete(&cause))?;
        app.plane.received_add(run, base::Bytes::of(piece.len()));
        let total = bytes.len() as u64 + piece.len() as u64;
        if total > PACK_BYTES_MAX.0 {
            return Err(Refusal::RequestTooLarge.into());
        }
        if total > memory.bytes {
            let more = total - memory.bytes;
            watch.memory(&mut memory, more).await?;
        }
        hasher.update(&piece);
        bytes.extend_from_slice(&piece);
    }
    if len.is_some_and(|len| len != bytes.len() as u64) {
        return Err(incomplete(&"it ended early"));
    }
    Ok(Body { bytes: Bytes::from(bytes), pack: hasher.finish(), _memory: memory })
}

/// Waits for something while the device may upload, looking at its state again and again.
struct Watch<'a> {
    app: &'a App,
    actor: &'a DeviceActor,
    looked_at: Timestamp,
}

impl<'a> Watch<'a> {
    fn new(app: &'a App, actor: &'a DeviceActor) -> Self {
        Self { app, actor, looked_at: app.clock.now() }
    }

    /// The next piece of a body.
    async fn next<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, AppError> {
        let stalled = || {
            let sentence = format!("Nothing of the upload arrived for {STALL_SPAN}. It is repeated by itself.");
            AppError::unavailable("upload_stalled", sentence, LOOK_SPAN)
        };
        self.wait(piece, STALL_SPAN, stalled).await
    }

    /// Room for so many bytes more.
    async fn memory(&mut self, memory: &mut Memory, more: u64) -> Result<(), AppError> {
        let units = more.div_ceil(UPLOAD_UNIT.0);
        let shared = Arc::clone(&self.app.plane.upload_memory).acquire_many_owned(units as u32);
        let reserve = Arc::clone(&self.app.plane.upload_reserve).acquire_owned();
        let either = async {
            tokio::select! {
                biased;
                shared = shared => (shared.expect("the semaphore is never closed"), false),
                reserve = reserve => (reserve.expect("the semaphore is never closed"), true),
            }
        };
        let busy = || Refusal::ServerBusy { left: MEMORY_SPAN }.into();
        let (permit, is_reserve) = self.wait(either, MEMORY_SPAN, busy).await?;
        if is_reserve {
            // The reserve has room for any pack, what came of it included: this upload waits for memory no more.
            *memory = Memory { bytes: PACK_BYTES_MAX.0, shared: None, _reserve: Some(permit) };
        } else {
            memory.bytes += units * UPLOAD_UNIT.0;
            match &mut memory.shared {
                Some(held) => held.merge(permit),
                None => memory.shared = Some(permit),
            }
        }
        Ok(())
    }

    async fn wait<T>(
        &mut self,
        awaited: impl Future<Output = T>,
        span: Span,
        late: impl FnOnce() -> AppError,
    ) -> Result<T, AppError> {
        let began_at = self.app.clock.now();
        let mut awaited = pin!(awaited);
        loop {
            let ready = tokio::select! {
                biased;
                ready = &mut awaited => Some(ready),
                () = self.app.clock.sleep(LOOK_SPAN) => None,
            };
            let now = self.app.clock.now();
            // A sender that never pauses is looked at as often as one that never sends. A clock set back counts too.
            if now < self.looked_at || now.since(self.looked_at) >= LOOK_SPAN {
                self.looked_at = now;
                session::recheck(self.app, self.actor, Verb::Append).await?;
            }
            match ready {
                Some(ready) => return Ok(ready),
                None if now.since(began_at) >= span => return Err(late()),
                None => {}
            }
        }
    }
}

fn incomplete(cause: &dyn std::fmt::Display) -> AppError {
    let sentence = format!("The upload broke off before its end: {cause}. It is repeated by itself.");
    AppError::unavailable("upload_incomplete", sentence, LOOK_SPAN)
}
