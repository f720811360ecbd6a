//! The calls of macOS that no safe library offers: each one small, with why it is sound. Refuses to interpret anything,
//! and to wait for long.

use super::events::Event;
use super::system::System;
use crate::journal::{absolute, stored};
use base::Timestamp;
use dispatch2::{DispatchQueue, DispatchQueueAttr, DispatchRetained};
use format::StoredPath;
use objc2_core_foundation::{CFArray, CFRetained, CFString};
use objc2_core_services::{
    ConstFSEventStreamRef, FSEventStreamContext, FSEventStreamCreate, FSEventStreamEventFlags, FSEventStreamEventId,
    FSEventStreamInvalidate, FSEventStreamRef, FSEventStreamRelease, FSEventStreamSetDispatchQueue, FSEventStreamStart,
    FSEventStreamStop, FSEventsCopyUUIDForDevice, FSEventsGetCurrentEventId, kFSEventStreamCreateFlagFileEvents,
    kFSEventStreamCreateFlagFullHistory, kFSEventStreamCreateFlagNoDefer,
};
use std::ffi::{CStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, UNIX_EPOCH};
use std::{fs, io, slice};

/// A history that says nothing for so long does not come to its end.
const SILENCE_SPAN_MAX: Duration = Duration::from_secs(10);
/// Events that wait to be noted: the queue of the stream is held up beyond.
const WAITING_MAX: usize = 4_096;
/// The system gathers events for so long, in seconds.
const LATENCY_SECONDS: f64 = 0.0;

/// This computer.
pub(in crate::journal) struct Stream;

impl System for Stream {
    #[expect(unsafe_code, reason = "nothing else can name the journal of a volume")]
    fn journal_of(&self, folder: &StoredPath) -> io::Result<Option<[u8; 16]>> {
        let path = absolute(folder);
        if fs::canonicalize(&path)?.as_os_str() != path.as_os_str() {
            return Ok(None);
        }
        let device = libc::dev_t::try_from(fs::metadata(&path)?.dev()).map_err(|_| io::ErrorKind::InvalidData)?;
        // SAFETY: a number goes in, and what comes out is ours.
        let uuid = unsafe { FSEventsCopyUUIDForDevice(device) };
        // SAFETY: it is 16 bytes, of which each is one of the structure's.
        Ok(uuid.map(|uuid| unsafe { std::mem::transmute::<_, [u8; 16]>(uuid.uuid_bytes()) }))
    }

    #[expect(unsafe_code, reason = "nothing else can say the id of the last event")]
    fn latest(&self) -> u64 {
        // SAFETY: nothing goes in, and a number comes out.
        unsafe { FSEventsGetCurrentEventId() }
    }

    fn read(&self, folders: &[StoredPath], since: u64, each: &mut dyn FnMut(Event)) -> io::Result<()> {
        let (sender, events) = sync_channel(WAITING_MAX);
        let running = Running::start(folders, since, sender)?;
        let read = until_end(&events, each);
        // ORDER: who waits for room in the queue is let go before the stream is stopped, which waits for it.
        drop(events);
        drop(running);
        read
    }

    #[expect(unsafe_code, reason = "nothing else can say what is mounted")]
    fn mounts(&self) -> io::Result<Vec<StoredPath>> {
        // SAFETY: without a buffer, the call says how many there are.
        let count = unsafe { libc::getfsstat(std::ptr::null_mut(), 0, libc::MNT_NOWAIT) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        // Some more may have come meanwhile.
        let mut mounts: Vec<libc::statfs> = Vec::with_capacity(count + 16);
        let room = libc::c_int::try_from(mounts.capacity() * size_of::<libc::statfs>());
        let room = room.map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: the buffer has room for as many bytes as is said.
        let count = unsafe { libc::getfsstat(mounts.as_mut_ptr(), room, libc::MNT_NOWAIT) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        if count >= mounts.capacity() {
            return Err(io::Error::other("too much was mounted while the system was asked"));
        }
        // SAFETY: the call has filled so many of them, fewer than there is room for.
        unsafe { mounts.set_len(count) };
        let name = |mount: &libc::statfs| -> Vec<u8> {
            mount.f_mntonname.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned()).collect()
        };
        mounts.iter().map(|mount| stored(&name(mount))).collect()
    }

    fn birth(&self, file: &StoredPath) -> Option<Timestamp> {
        let born = fs::symlink_metadata(absolute(file)).ok()?.created().ok()?;
        let born = born.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(born.as_millis()).ok().map(Timestamp::from_ms)
    }
}

fn until_end(events: &Receiver<Event>, each: &mut dyn FnMut(Event)) -> io::Result<()> {
    loop {
        let event = events.recv_timeout(SILENCE_SPAN_MAX).map_err(|_| io::ErrorKind::TimedOut)?;
        if event.is_end_of_history() {
            return Ok(());
        }
        each(event);
    }
}

/// A stream that tells its events to a sender.
struct Running {
    stream: FSEventStreamRef,
    queue: DispatchRetained<DispatchQueue>,
    is_started: bool,
    /// INVARIANT: made by `Box::into_raw`, and freed after the last call of `tell`.
    sender: *mut SyncSender<Event>,
}

impl Running {
    #[expect(unsafe_code, reason = "nothing else can begin a stream")]
    fn start(folders: &[StoredPath], since: u64, sender: SyncSender<Event>) -> io::Result<Self> {
        // By the root all is meant; the folders say which volumes matter.
        let paths: io::Result<Vec<CFRetained<CFString>>> =
            std::iter::once(&StoredPath::root()).chain(folders).map(text).collect();
        let paths = CFArray::from_retained_objects(&paths?);
        let sender = Box::into_raw(Box::new(sender));
        let mut context = FSEventStreamContext {
            version: 0,
            info: sender.cast(),
            retain: None,
            release: None,
            copyDescription: None,
        };
        // FSEvents.h: without the full history, events about the time of `since` may be missing.
        let flags =
            kFSEventStreamCreateFlagFileEvents | kFSEventStreamCreateFlagFullHistory | kFSEventStreamCreateFlagNoDefer;
        let (context, paths) = (&raw mut context, paths.as_opaque());
        // SAFETY: `tell` is what the system calls with this `info`, which lives as long as the stream; the context is
        // copied; the array holds strings.
        let stream = unsafe { FSEventStreamCreate(None, Some(tell), context, paths, since, LATENCY_SECONDS, flags) };
        let queue = DispatchQueue::new("holdfast.fsevents", DispatchQueueAttr::SERIAL);
        let mut running = Self { stream, queue, is_started: false, sender };
        if stream.is_null() {
            return Err(io::Error::other("there is no stream of events"));
        }
        // SAFETY: the stream is there, and is not started yet.
        running.is_started = unsafe {
            FSEventStreamSetDispatchQueue(stream, Some(&running.queue));
            FSEventStreamStart(stream)
        };
        if running.is_started { Ok(running) } else { Err(io::Error::other("the stream of events does not start")) }
    }
}

impl Drop for Running {
    #[expect(unsafe_code, reason = "nothing else can end a stream")]
    fn drop(&mut self) {
        if !self.stream.is_null() {
            // SAFETY: the stream is there, has a queue, and is not used after this. Only one that has started may be
            // stopped.
            unsafe {
                if self.is_started {
                    FSEventStreamStop(self.stream);
                }
                FSEventStreamInvalidate(self.stream);
                FSEventStreamRelease(self.stream);
            }
            // What was under way on the queue has ended when this has its turn.
            self.queue.exec_sync(|| ());
        }
        // SAFETY: it was made by `Box::into_raw`, and nobody calls `tell` any more.
        drop(unsafe { Box::from_raw(self.sender) });
    }
}

fn text(path: &StoredPath) -> io::Result<CFRetained<CFString>> {
    let path = absolute(path);
    let path = std::str::from_utf8(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(CFString::from_str(path))
}

/// Sends on what the system tells: FSEventStreamCallback of FSEvents.h.
#[expect(unsafe_code, reason = "the system calls this with pointers")]
unsafe extern "C-unwind" fn tell(
    _: ConstFSEventStreamRef,
    sender: *mut c_void,
    count: usize,
    paths: NonNull<c_void>,
    flags: NonNull<FSEventStreamEventFlags>,
    ids: NonNull<FSEventStreamEventId>,
) {
    // SAFETY: it is the `info` of the context, which is freed after the last call.
    let sender = unsafe { &*sender.cast::<SyncSender<Event>>() };
    // SAFETY: without kFSEventStreamCreateFlagUseCFTypes the paths are an array of C strings; all three arrays have as
    // many members as is said, and stay until this returns.
    let (paths, flags, ids) = unsafe {
        (
            slice::from_raw_parts(paths.as_ptr().cast::<*const c_char>(), count),
            slice::from_raw_parts(flags.as_ptr(), count),
            slice::from_raw_parts(ids.as_ptr(), count),
        )
    };
    for ((path, flags), id) in paths.iter().zip(flags).zip(ids) {
        // SAFETY: see above.
        let path = unsafe { CStr::from_ptr(*path) }.to_bytes().to_vec();
        if sender.send(Event { path, flags: *flags, id: *id }).is_err() {
            // Nobody listens any more.
            return;
        }
    }
}
