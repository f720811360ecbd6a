//! Names and numbers of users and groups, as this computer knows them, each asked once.
//! Refuses to guess: a name that is not known has no number.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::Hash;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

/// What was asked so far. Lookups may go to a directory server, so answers are kept for the run.
#[derive(Debug, Default)]
pub(super) struct Owners {
    user_names: Mutex<HashMap<u32, Arc<[u8]>>>,
    group_names: Mutex<HashMap<u32, Arc<[u8]>>>,
    user_numbers: Mutex<HashMap<Arc<[u8]>, Option<u32>>>,
    group_numbers: Mutex<HashMap<Arc<[u8]>, Option<u32>>>,
}

impl Owners {
    /// The name of a user; empty when there is none. Never fails.
    pub fn user_name(&self, uid: u32) -> Arc<[u8]> {
        once(&self.user_names, &uid, || {
            uzers::get_user_by_uid(uid).map(|user| user.name().as_bytes().into()).unwrap_or_default()
        })
    }

    /// The name of a group; empty when there is none. Never fails.
    pub fn group_name(&self, gid: u32) -> Arc<[u8]> {
        once(&self.group_names, &gid, || {
            uzers::get_group_by_gid(gid).map(|group| group.name().as_bytes().into()).unwrap_or_default()
        })
    }

    /// The number that the user of this name has here, else `uid`. Never fails.
    pub fn uid(&self, name: &Arc<[u8]>, uid: u32) -> u32 {
        let number = || uzers::get_user_by_name(OsStr::from_bytes(name)).map(|user| user.uid());
        if name.is_empty() { uid } else { once(&self.user_numbers, name, number).unwrap_or(uid) }
    }

    /// The number that the group of this name has here, else `gid`. Never fails.
    pub fn gid(&self, name: &Arc<[u8]>, gid: u32) -> u32 {
        let number = || uzers::get_group_by_name(OsStr::from_bytes(name)).map(|group| group.gid());
        if name.is_empty() { gid } else { once(&self.group_numbers, name, number).unwrap_or(gid) }
    }
}

fn once<K: Hash + Eq + Clone, V: Clone>(known: &Mutex<HashMap<K, V>>, key: &K, ask: impl FnOnce() -> V) -> V {
    if let Some(value) = known.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
        return value.clone();
    }
    // Asked without the lock: another thread that wants the same name asks too, and both get the same answer.
    let value = ask();
    known.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), value.clone());
    value
}
