//! Turns handles into paths: where a directory is seen now, in every place where its file system is mounted; and says
//! of a file whether its other names could matter. Refuses to take an error for an absence.

use super::events::Handle;
use super::sys;
use crate::journal::is_born_in;
use crate::journal::mounts::Mount;
use base::Timestamp;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, fstat, open, readlink, statx};
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

pub(super) struct Resolver<'a> {
    mounts: &'a [Mount],
    marked: &'a BTreeMap<u64, [u8; 8]>,
    /// Mount points that were opened, by their place in the list: what is not seen, or cannot be opened, is `None`.
    opened: RefCell<HashMap<usize, Option<Rc<OwnedFd>>>>,
}

impl<'a> Resolver<'a> {
    pub fn new(mounts: &'a [Mount], marked: &'a BTreeMap<u64, [u8; 8]>) -> Self {
        Self { mounts, marked, opened: RefCell::default() }
    }

    /// Whether handles can be opened at all.
    pub fn try_one(&self) -> io::Result<()> {
        let Some(mount) = (0..self.mounts.len()).find_map(|at| self.open(at)) else { return Ok(()) };
        match sys::open_by_handle(&*mount, 1, &[0; 8]) {
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => Err(error),
            _ => Ok(()),
        }
    }

    /// The absolute paths at which a directory is seen; none where it is gone, or not mounted here.
    pub fn paths(&self, directory: &Handle) -> io::Result<Vec<Vec<u8>>> {
        let mut paths = Vec::new();
        for (at, mount) in self.of_file_system(directory).ok_or(io::ErrorKind::NotFound)? {
            let Some(opened) = self.open_handle(at, directory)? else { continue };
            if fstat(&opened)?.st_nlink == 0 {
                return Ok(Vec::new());
            }
            let path = readlink(format!("/proc/self/fd/{}", opened.as_raw_fd()), Vec::new())?.into_bytes();
            // Outside of what is mounted there, it has no path through this mount.
            if let Some(within) = mount.within(&path) {
                let seen = self.of_file_system(directory).into_iter().flatten();
                let seen = seen.filter(|(at, _)| self.open(*at).is_some());
                paths.extend(seen.filter_map(|(_, mount)| mount.path_of(&within)));
                break;
            }
        }
        Ok(paths)
    }

    /// Whether a file that was changed cannot have another name in a directory that was not noted: it has one name and
    /// never had another, or it is gone, or it is so new that whatever names it has were noted.
    pub fn is_harmless(&self, file: &Handle, is_unplaced: bool, new: Option<&Range<Timestamp>>) -> bool {
        let Some(mounts) = self.of_file_system(file) else { return false };
        for (at, _) in mounts {
            match self.open_handle(at, file) {
                Ok(Some(opened)) => return is_opened_harmless(&opened, is_unplaced, new),
                Ok(None) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Where the file system of a handle is mounted; `None` where nobody knows which it is.
    fn of_file_system(&self, handle: &Handle) -> Option<impl Iterator<Item = (usize, &'a Mount)> + use<'a>> {
        let (device, _) = self.marked.iter().find(|(_, fsid)| *fsid == handle.file_system())?;
        Some(self.mounts.iter().enumerate().filter(move |(_, mount)| mount.device == *device))
    }

    /// `None` where what it names is gone, or nothing is seen of the mount.
    fn open_handle(&self, at: usize, handle: &Handle) -> io::Result<Option<OwnedFd>> {
        let Some(mount) = self.open(at) else { return Ok(None) };
        match sys::open_by_handle(&*mount, handle.kind(), handle.bytes()) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.raw_os_error() == Some(Errno::STALE.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, at: usize) -> Option<Rc<OwnedFd>> {
        let open = || {
            let mount =
                self.mounts.get(at).filter(|mount| self.marked.contains_key(&mount.device) && is_seen(mount))?;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            open(OsStr::from_bytes(&mount.point), flags, Mode::empty()).ok().map(Rc::new)
        };
        self.opened.borrow_mut().entry(at).or_insert_with(open).clone()
    }
}

fn is_opened_harmless(opened: &OwnedFd, is_unplaced: bool, new: Option<&Range<Timestamp>>) -> bool {
    let wanted = StatxFlags::NLINK | StatxFlags::BTIME;
    let Ok(about) = statx(opened, "", AtFlags::EMPTY_PATH, wanted) else { return false };
    if about.stx_nlink == 0 || (about.stx_nlink == 1 && !is_unplaced) {
        return true;
    }
    let has_birth = StatxFlags::from_bits_retain(about.stx_mask).contains(StatxFlags::BTIME);
    let born_ms =
        about.stx_btime.tv_sec.saturating_mul(1_000).saturating_add((about.stx_btime.tv_nsec / 1_000_000).into());
    let is_new = has_birth && new.is_some_and(|new| is_born_in(Timestamp::from_ms(born_ms), new));
    if !is_new {
        let path = readlink(format!("/proc/self/fd/{}", opened.as_raw_fd()), Vec::new()).unwrap_or_default();
        let (path, names) = (path.to_string_lossy(), about.stx_nlink);
        tracing::debug!("{path} is not new, and has {names} names, or has won or lost one");
    }
    is_new
}

/// Whether what is mounted is what is seen at its place, and nothing is mounted over it.
pub(super) fn is_seen(mount: &Mount) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let about = statx(CWD, OsStr::from_bytes(&mount.point), flags, StatxFlags::MNT_ID);
    about.is_ok_and(|about| about.stx_mnt_id == mount.id)
}
