//! The system calls that no safe library offers: each one small, with why it is sound. Refuses to interpret anything.

use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ffi::{CString, c_int};
use std::io;

/// What counts as a change. Closing what was open for writing stands for what was written through memory.
const MASK: u64 = libc::FAN_MODIFY
    | libc::FAN_CLOSE_WRITE
    | libc::FAN_ATTRIB
    | libc::FAN_CREATE
    | libc::FAN_DELETE
    | libc::FAN_MOVED_FROM
    | libc::FAN_MOVED_TO
    | libc::FAN_ONDIR;

/// A new group of marks that tells directories and files by their handles.
#[expect(unsafe_code, reason = "nothing else can begin to watch a file system")]
pub(super) fn init() -> io::Result<OwnedFd> {
    let flags = libc::FAN_CLASS_NOTIF
        | libc::FAN_CLOEXEC
        | libc::FAN_NONBLOCK
        | libc::FAN_REPORT_FID
        | libc::FAN_REPORT_DIR_FID;
    // SAFETY: two numbers go in, and a number comes out.
    let handle = unsafe { libc::fanotify_init(flags, (libc::O_RDONLY | libc::O_CLOEXEC).cast_unsigned()) };
    owned(handle)
}

/// Watches all of the file system that is mounted at `point`.
#[expect(unsafe_code, reason = "nothing else can begin to watch a file system")]
pub(super) fn mark_file_system(group: &OwnedFd, point: &[u8]) -> io::Result<()> {
    let point = CString::new(point).map_err(|_| io::ErrorKind::InvalidInput)?;
    let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM;
    // SAFETY: the path ends with a NUL and lives until the call is over; nothing is written.
    let marked = unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, MASK, libc::AT_FDCWD, point.as_ptr()) };
    if marked == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The name that events have for the file system at `point`.
#[expect(unsafe_code, reason = "the safe libraries keep this name to themselves")]
pub(super) fn fsid(point: &[u8]) -> io::Result<[u8; 8]> {
    let point = CString::new(point).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut about = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the path ends with a NUL, and the call fills the struct, which is as large as it says, or fails.
    if unsafe { libc::statfs(point.as_ptr(), about.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded; and all zeros are a value of it anyway. The name is eight bytes without gaps.
    unsafe { Ok(std::mem::transmute_copy(&about.assume_init().f_fsid)) }
}

/// Opens what a handle names, without any right to its content. `mount` is anything on its file system.
#[expect(unsafe_code, reason = "nothing else can open a handle")]
pub(super) fn open_by_handle(mount: &impl AsRawFd, kind: i32, handle: &[u8]) -> io::Result<OwnedFd> {
    // A `struct file_handle`: length u32 · kind i32 · bytes; aligned as its numbers are.
    let mut words = vec![0_u32; 2 + handle.len().div_ceil(4)];
    words[0] = u32::try_from(handle.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    words[1] = kind.cast_unsigned();
    for (word, bytes) in words[2..].iter_mut().zip(handle.chunks(4)) {
        let mut four = [0; 4];
        four[..bytes.len()].copy_from_slice(bytes);
        *word = u32::from_ne_bytes(four);
    }
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: the buffer is aligned, as long as its first number says, and lives until the call is over, which reads
    // it.
    let opened = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), words.as_mut_ptr().cast(), flags) };
    owned(opened)
}

#[expect(unsafe_code, reason = "a number becomes the handle that it is")]
fn owned(handle: c_int) -> io::Result<OwnedFd> {
    if handle < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given it to us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(handle) })
}
