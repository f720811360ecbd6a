//! Puts metadata on a restored entry: owner, attributes, mode, times, in this order.
//! Refuses to make a program run as somebody else than its owner in the snapshot. What cannot be set is a problem.

use super::super::meta::{self, Reach};
use super::super::owners::Owners;
use super::target_error;
use engine::{EntryKind, Stat, TargetError};
use format::Meta;
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chmod, chownat, fchmod, fchown, futimens,
    openat, utimensat,
};
use rustix::io::Result;

/// What this process may set, and whose numbers it knows.
#[derive(Debug)]
pub(super) struct Wardrobe {
    owners: Owners,
    /// Only root gives files away; everybody else's files are their own.
    is_root: bool,
}

const SET_USER_ID: u16 = 0o4000;
const SET_GROUP_ID: u16 = 0o2000;
const OWNER: &str = "setting the owner";
const XATTRS: &str = "setting extended attributes";
const MODE: &str = "setting the mode";
const TIMES: &str = "setting the times";

impl Wardrobe {
    /// For the account that runs this program. Never fails.
    pub fn of_this_process() -> Self {
        Self { owners: Owners::default(), is_root: rustix::process::geteuid().is_root() }
    }

    /// For an account that may give nothing away. Never fails.
    #[cfg(test)]
    pub fn of_a_person() -> Self {
        Self { owners: Owners::default(), is_root: false }
    }

    /// Whether an open file has all of its metadata. Never fails: what cannot be read it does not have.
    pub fn is_dressed(&self, handle: &OwnedFd, stat: &Stat, meta: &Meta) -> bool {
        let owner = (self.owners.uid(&meta.user, meta.uid), self.owners.gid(&meta.group, meta.gid));
        (stat.mode, stat.mtime, (stat.uid, stat.gid)) == (meta.mode, meta.mtime, owner)
            && meta::xattrs(&Reach::open(handle)).is_ok_and(|xattrs| xattrs == meta.xattrs)
    }

    /// Whether dressing an open file leaves nothing on it that the snapshot does not have. Never fails: what cannot be
    /// read is left.
    pub fn may_dress(&self, handle: &OwnedFd, meta: &Meta) -> bool {
        let is_wanted = |name: &[u8]| meta.xattrs.iter().any(|(wanted, _)| wanted == name);
        // Labels are the system's own: a fresh file gets them too.
        let is_fine = |name: &[u8]| is_wanted(name) || is_access_list(name) || name.starts_with(b"security.");
        meta::xattrs(&Reach::open(handle)).is_ok_and(|xattrs| xattrs.iter().all(|(name, _)| is_fine(name)))
    }

    /// Dresses an open file or directory that looks like `stat`; what could not be set.
    pub fn dress_open(&self, handle: &OwnedFd, stat: &Stat, meta: &Meta) -> Vec<TargetError> {
        let mut problems = Vec::new();
        let owned = self.give(&mut problems, stat, meta, |uid, gid| fchown(handle, uid, gid));
        // ORDER: attributes of a person's own file can only be set while its mode lets them write it; capabilities
        // and access lists only after the owner, who may not keep them.
        let set = meta::set_xattrs(&Reach::open(handle), &meta.xattrs, is_access_list);
        let is_as_before = owned.were_right && set == Ok(false);
        noted(&mut problems, XATTRS, set);
        let mode = mode_of(&mut problems, stat, meta, owned);
        // An owner and an access list that were set change the mode too.
        if !is_as_before || mode.bits() != u32::from(stat.mode) {
            noted(&mut problems, MODE, fchmod(handle, mode));
        }
        noted(&mut problems, TIMES, futimens(handle, &times_of(meta)));
        problems
    }

    /// Dresses the link, pipe, socket or device `name` in an open directory; what could not be set.
    pub fn dress_named(&self, dir: &OwnedFd, name: &[u8], meta: &Meta) -> Vec<TargetError> {
        let mut problems = Vec::new();
        let handle = openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        let Some(handle) = noted(&mut problems, MODE, handle) else { return problems };
        let Some(stat) = noted(&mut problems, MODE, meta::stat_open(&handle)) else { return problems };
        let owned =
            self.give(&mut problems, &stat, meta, |uid, gid| chownat(&handle, c"", uid, gid, AtFlags::EMPTY_PATH));
        let set = meta::set_xattrs(&Reach::named(dir, name), &meta.xattrs, is_access_list);
        noted(&mut problems, XATTRS, set);
        // A link's mode means nothing and cannot be set; through the handle no other entry can be meant.
        if stat.kind != EntryKind::Symlink {
            let mode = mode_of(&mut problems, &stat, meta, owned);
            noted(&mut problems, MODE, chmod(meta::proc_path(&handle), mode));
        }
        noted(&mut problems, TIMES, utimensat(dir, name, &times_of(meta), AtFlags::SYMLINK_NOFOLLOW));
        problems
    }

    /// Gives the entry its user and group; which of the two it has then.
    fn give(
        &self,
        problems: &mut Vec<TargetError>,
        stat: &Stat,
        meta: &Meta,
        chown: impl Fn(Option<Uid>, Option<Gid>) -> Result<()>,
    ) -> Owned {
        let (uid, gid) = (self.owners.uid(&meta.user, meta.uid), self.owners.gid(&meta.group, meta.gid));
        let mut owned = Owned { user: stat.uid == uid, group: stat.gid == gid, were_right: false };
        if owned.user && owned.group {
            return Owned { were_right: true, ..owned };
        }
        if self.is_root {
            if noted(problems, OWNER, chown(Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))).is_some() {
                (owned.user, owned.group) = (true, true);
            }
        } else if !owned.group {
            // People may give their files to the groups that they are in; where they may not, nothing is wrong.
            owned.group = chown(None, Some(Gid::from_raw(gid))).is_ok();
        }
        owned
    }
}

#[derive(Clone, Copy)]
struct Owned {
    user: bool,
    group: bool,
    /// Both were, before anything was set.
    were_right: bool,
}

/// The mode to set: without the mark that makes a program run as its owner, where that is another one now.
fn mode_of(problems: &mut Vec<TargetError>, stat: &Stat, meta: &Meta, owned: Owned) -> Mode {
    let mut refused = 0;
    if !owned.user {
        refused |= SET_USER_ID;
    }
    if !owned.group && stat.kind != EntryKind::Directory {
        refused |= SET_GROUP_ID;
    }
    if meta.mode & refused != 0 {
        problems.push(TargetError::Denied { what: "marking it to run as an owner that it cannot be given to" });
    }
    Mode::from_raw_mode(u32::from(meta.mode & !refused))
}

fn times_of(meta: &Meta) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: meta.mtime.seconds, tv_nsec: meta.mtime.nanos.into() },
    }
}

/// Access lists that the entry got from its directory; other attributes that are there are the system's own.
fn is_access_list(name: &[u8]) -> bool {
    name.starts_with(b"system.posix_acl_")
}

fn noted<T>(problems: &mut Vec<TargetError>, what: &'static str, result: Result<T>) -> Option<T> {
    result.map_err(|error| problems.push(target_error(what)(error))).ok()
}
