//! What the kernel tells of an entry, in the engine's words: kind, times, numbers; and extended attributes.
//! Refuses to open anything: the caller brings a handle.

use engine::{EntryKind, Stat};
use format::{FileTime, Xattr};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{
    AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr,
    lgetxattr, llistxattr, lremovexattr, lsetxattr, makedev, statx,
};
use rustix::io::{Errno, Result};

/// The entry `name` of an open directory; a symbolic link is looked at, not followed, and nothing is mounted for it.
///
/// # Errors
/// The system's word.
pub(super) fn stat_at(dir: impl AsFd, name: &[u8]) -> Result<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(dir, name, flags, StatxFlags::BASIC_STATS).map(stat_of)
}

/// The open entry itself.
///
/// # Errors
/// The system's word.
pub(super) fn stat_open(handle: impl AsFd) -> Result<Stat> {
    statx(handle, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map(stat_of)
}

fn stat_of(found: Statx) -> Stat {
    let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Symlink,
        FileType::Fifo => EntryKind::Fifo,
        FileType::Socket => EntryKind::Socket,
        FileType::CharacterDevice => EntryKind::CharDevice,
        FileType::BlockDevice => EntryKind::BlockDevice,
        FileType::RegularFile | FileType::Unknown => EntryKind::File,
    };
    let is_device = matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice);
    let is_file = kind == EntryKind::File;
    Stat {
        kind,
        mode: found.stx_mode & 0o7777,
        uid: found.stx_uid,
        gid: found.stx_gid,
        mtime: time_of(found.stx_mtime),
        ctime: time_of(found.stx_ctime),
        inode: found.stx_ino,
        device: makedev(found.stx_dev_major, found.stx_dev_minor),
        links: found.stx_nlink.into(),
        size: if is_file { found.stx_size } else { 0 },
        // The kernel counts in units of 512 bytes whatever the file system's block is.
        stored: if is_file { found.stx_blocks.saturating_mul(512) } else { 0 },
        rdev: if is_device { (found.stx_rdev_major, found.stx_rdev_minor) } else { (0, 0) },
    }
}

fn time_of(time: StatxTimestamp) -> FileTime {
    FileTime { seconds: time.tv_sec, nanos: time.tv_nsec.min(999_999_999) }
}

/// How the attributes of an entry are reached: links, pipes and devices cannot be opened for it.
pub(super) enum Reach<'a> {
    /// Through an open file or directory.
    Open(BorrowedFd<'a>),
    /// By name in an open directory, which the kernel shows under `/proc/self/fd`.
    Named(Vec<u8>),
}

impl<'a> Reach<'a> {
    /// The open file or directory itself. Never fails.
    pub fn open(handle: &'a impl AsFd) -> Self {
        Reach::Open(handle.as_fd())
    }

    /// The entry `name` of the directory `dir`, which must stay open. Never fails.
    pub fn named(dir: &'a impl AsFd, name: &[u8]) -> Self {
        let mut path = proc_path(dir);
        path.push(b'/');
        path.extend_from_slice(name);
        Reach::Named(path)
    }

    fn list(&self, names: &mut [u8]) -> Result<usize> {
        match self {
            Reach::Open(handle) => flistxattr(handle, names),
            Reach::Named(path) => llistxattr(path.as_slice(), names),
        }
    }

    fn get(&self, name: &[u8], value: &mut [u8]) -> Result<usize> {
        match self {
            Reach::Open(handle) => fgetxattr(handle, name, value),
            Reach::Named(path) => lgetxattr(path.as_slice(), name, value),
        }
    }

    fn set(&self, name: &[u8], value: &[u8]) -> Result<()> {
        match self {
            Reach::Open(handle) => fsetxattr(handle, name, value, XattrFlags::empty()),
            Reach::Named(path) => lsetxattr(path.as_slice(), name, value, XattrFlags::empty()),
        }
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        match self {
            Reach::Open(handle) => fremovexattr(handle, name),
            Reach::Named(path) => lremovexattr(path.as_slice(), name),
        }
    }
}

/// Where the kernel shows an open handle of this process. Never fails.
pub(super) fn proc_path(handle: &impl AsFd) -> Vec<u8> {
    format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd()).into_bytes()
}

/// All extended attributes in ascending order of name; none where the file system has no such thing.
///
/// # Errors
/// The system's word.
pub(super) fn xattrs(reach: &Reach<'_>) -> Result<Vec<Xattr>> {
    let mut found = Vec::new();
    for name in xattr_names(reach)? {
        match grown(|buffer| reach.get(&name, buffer)) {
            Ok(value) => found.push((name, value)),
            // It was taken away since it was listed.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort();
    Ok(found)
}

/// Gives an entry exactly these attributes, as far as `removes` says which others may go. Whether anything was set or
/// taken away.
///
/// # Errors
/// The first attribute that could not be set; the others were tried all the same.
pub(super) fn set_xattrs(reach: &Reach<'_>, wanted: &[Xattr], removes: impl Fn(&[u8]) -> bool) -> Result<bool> {
    let mut first_error = Ok(());
    let mut is_changed = !wanted.is_empty();
    for name in xattr_names(reach).unwrap_or_default() {
        if removes(&name) && !wanted.iter().any(|(other, _)| *other == name) {
            is_changed = true;
            first_error = first_error.and(reach.remove(&name));
        }
    }
    for (name, value) in wanted {
        if let Err(error) = reach.set(name, value) {
            // A label that the system itself has put there already needs no right to set it.
            let is_there = grown(|buffer| reach.get(name, buffer)).is_ok_and(|there| there == *value);
            if !is_there {
                first_error = first_error.and(Err(error));
            }
        }
    }
    first_error.map(|()| is_changed)
}

fn xattr_names(reach: &Reach<'_>) -> Result<Vec<Vec<u8>>> {
    match grown(|buffer| reach.list(buffer)) {
        Ok(names) => Ok(names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()),
        Err(Errno::NOTSUP | Errno::NOSYS) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What `fill` puts in a buffer that is large enough: most entries have no attributes, the kernel's most is 64 KiB.
fn grown(fill: impl Fn(&mut [u8]) -> Result<usize>) -> Result<Vec<u8>> {
    let mut small = [0; 256];
    match fill(&mut small) {
        Ok(len) => return Ok(small[..len].to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut large = vec![0; 64 << 10];
    let len = fill(&mut large)?;
    large.truncate(len);
    Ok(large)
}
