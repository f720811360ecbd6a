//! The events of macOS, for tests: ids that grow over all volumes, a history that is told again from an id on and ends
//! with its own event, events about one path that become one with all their flags, a history that has lost something or
//! counts anew, volumes with and without a journal. Refuses nothing.

use super::events::{Event, flags};
use super::system::System;
use base::Timestamp;
use format::StoredPath;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

#[derive(Default)]
pub struct State {
    events: Vec<Event>,
    latest: u64,
    /// The id up to which the history is lost.
    lost: u64,
    /// Volumes by where they are mounted, with the UUIDs of their journals.
    pub volumes: BTreeMap<StoredPath, Option<[u8; 16]>>,
    /// Folders that are named by way of a link.
    pub links: Vec<StoredPath>,
    pub births: BTreeMap<StoredPath, Timestamp>,
    pub is_stuck: bool,
    /// So many ids from before are told too: a full history begins with a whole chunk of it.
    pub told_again: u64,
    /// What happens to a file right after the id of the last event was asked for.
    pub late: Option<&'static str>,
}

impl State {
    /// Nothing more is told of what has happened until now.
    pub fn clear(&mut self) {
        self.events.clear();
    }
}

#[derive(Clone, Default)]
pub struct Fake(pub Rc<RefCell<State>>);

impl Fake {
    /// Something happens to a path. What happens to it again before anybody looks becomes one event with the last id.
    pub fn happens(&self, path: &str, flags: u32) {
        let state = &mut *self.0.borrow_mut();
        state.latest += 7;
        let path = path.as_bytes().to_vec();
        let before = state.events.iter().position(|event| event.path == path);
        let before = before.map_or(0, |at| state.events.remove(at).flags);
        state.events.push(Event { path, flags: flags | before, id: state.latest });
    }

    /// The history up to now is lost: who asks for it is told to look at everything.
    pub fn lose_history(&self) {
        let state = &mut *self.0.borrow_mut();
        state.lost = state.latest;
        state.events.clear();
    }

    /// The ids begin anew.
    pub fn count_anew(&self) {
        let state = &mut *self.0.borrow_mut();
        state.latest = 3;
        state.events.clear();
    }
}

impl System for Fake {
    fn journal_of(&self, folder: &StoredPath) -> io::Result<Option<[u8; 16]>> {
        let state = self.0.borrow();
        let above = state.volumes.iter().filter(|(point, _)| folder.starts_with(point));
        let volume = above.max_by_key(|(point, _)| point.as_bytes().len()).ok_or(io::ErrorKind::NotFound)?;
        Ok(volume.1.filter(|_| !state.links.contains(folder)))
    }

    fn latest(&self) -> u64 {
        let latest = self.0.borrow().latest;
        let late = self.0.borrow_mut().late.take();
        if let Some(path) = late {
            self.happens(path, flags::ITEM_IS_FILE);
        }
        latest
    }

    fn read(&self, _: &[StoredPath], since: u64, each: &mut dyn FnMut(Event)) -> io::Result<()> {
        let state = self.0.borrow();
        if since < state.lost {
            let flags = flags::MUST_SCAN_SUB_DIRS | flags::USER_DROPPED;
            each(Event { path: b"/".to_vec(), flags, id: state.lost });
        }
        let told = state.events.iter().filter(|event| event.id > since.saturating_sub(state.told_again));
        told.cloned().for_each(&mut *each);
        if state.is_stuck {
            return Err(io::ErrorKind::TimedOut.into());
        }
        each(Event { path: b"/".to_vec(), flags: flags::HISTORY_DONE, id: state.latest });
        Ok(())
    }

    fn mounts(&self) -> io::Result<Vec<StoredPath>> {
        Ok(self.0.borrow().volumes.keys().cloned().collect())
    }

    fn birth(&self, file: &StoredPath) -> Option<Timestamp> {
        self.0.borrow().births.get(file).copied()
    }
}
