//! Whole files: made without a name, filled and dressed, and only then linked to it. Nobody ever sees one that is not
//! finished, and nothing is left of it where the restore is cut short, unless it was about to replace another.
//! Refuses nothing that can be done with a part instead: where this way is closed, `None` sends the caller there.

use super::super::meta;
use super::{FolderTarget, target_error, write_all};
use engine::TargetError;
use format::{Meta, StoredPath};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ftruncate, linkat, openat};
use rustix::io::Errno;
use std::sync::atomic::Ordering;

impl FolderTarget {
    /// Makes a file that way; `None` where that is not possible here.
    pub(super) fn write_nameless(
        &self,
        path: &StoredPath,
        size: u64,
        bytes: &[u8],
        meta: &Meta,
    ) -> Result<Option<Vec<TargetError>>, TargetError> {
        if !self.has_nameless.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        // Nobody can open what has no name: it may have its rights from the beginning, unless they would keep this
        // account from setting attributes.
        let mode = if meta.xattrs.is_empty() { meta.mode & 0o777 } else { 0o600 };
        let mode = Mode::from_raw_mode(mode.into());
        let open = |dir: &OwnedFd, _: &[u8]| openat(dir, c".", flags, mode);
        let handle = match self.root.with_parent(path, open) {
            Ok(handle) => handle,
            // What a kernel says that does not know of it, and one whose file system does not.
            Err(Errno::NOTSUP | Errno::ISDIR | Errno::INVAL) => {
                self.has_nameless.store(false, Ordering::Relaxed);
                return Ok(None);
            }
            Err(error) => return Err(target_error("making the file")(error)),
        };
        write_all(&handle, 0, bytes)?;
        if bytes.len() as u64 != size {
            ftruncate(&handle, size).map_err(target_error("giving the file its size"))?;
        }
        let stat = meta::stat_open(&handle).map_err(target_error("looking at the file"))?;
        let problems = self.wardrobe.dress_open(&handle, &stat, meta);
        let link = |dir: &OwnedFd, name: &[u8]| link(&handle, dir, name);
        match self.root.with_parent(path, link) {
            Ok(()) => Ok(Some(problems)),
            // It has come since the restore looked.
            Err(Errno::EXIST) if let Some(keeping) = &self.keeping => {
                keeping.kept.fetch_add(1, Ordering::Relaxed);
                Ok(Some(Vec::new()))
            }
            // A link does not replace what has the name, and a rename does.
            Err(Errno::EXIST) => {
                self.make_part(path, "giving it its name", link)?;
                self.rename(path)?;
                Ok(Some(problems))
            }
            // There is no /proc, or links are not allowed here, and a rename is. What else it may be, the part will
            // tell.
            Err(Errno::NOENT | Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::XDEV) => Ok(None),
            Err(error) => Err(target_error("giving it its name")(error)),
        }
    }
}

/// Gives an open file a name: by its handle alone where that is allowed (CAP_DAC_READ_SEARCH, or Linux 6.10), else by
/// the name that the handle has under `/proc`.
fn link(file: &OwnedFd, dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    match linkat(file, c"", dir, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT) => linkat(CWD, meta::proc_path(file).as_slice(), dir, name, AtFlags::SYMLINK_FOLLOW),
        linked => linked,
    }
}
