//! The bytes of one file, whatever its names: which of them are durable, and what a power cut leaves of the others.

use super::Process;
use crate::simulator::dice::Dice;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::files::Lock;

/// A disk writes so many bytes at once, or none of them.
const SECTOR: usize = 512;

/// A file.
#[derive(Default)]
pub(super) struct Content {
    written: Mutex<Written>,
    /// Entries that lead to it.
    names: AtomicU64,
    /// Who has a lock on it, by the number under which it is open.
    locks: Mutex<BTreeMap<u64, Held>>,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// How many of the first ones are durable.
    durable: usize,
}

struct Held {
    lock: Lock,
    process: Arc<dyn Process>,
}

impl Content {
    pub(super) fn append(&self, bytes: &[u8]) {
        self.written().bytes.extend_from_slice(bytes);
    }

    pub(super) fn len(&self) -> u64 {
        self.written().bytes.len() as u64
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let written = self.written();
        let rest = written.bytes.get(offset as usize..).unwrap_or_default();
        let found = rest.get(..bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(found);
        Ok(())
    }

    pub(super) fn sync(&self) {
        let mut written = self.written();
        written.durable = written.bytes.len();
    }

    /// What was not durable is gone, or there, or there as far as it came, or has holes; whether any of it is lost.
    pub(super) fn lose_power(&self, dice: &Dice) -> bool {
        let mut written = self.written();
        let Written { bytes, durable } = &mut *written;
        let fresh = bytes.len() - *durable;
        if fresh == 0 {
            return false;
        }
        let before = bytes.clone();
        match dice.below(4) {
            0 => bytes.truncate(*durable),
            1 => bytes.truncate(*durable + dice.below(fresh as u64) as usize),
            2 => bytes[*durable..].chunks_mut(SECTOR).filter(|_| dice.once_in(2)).for_each(|sector| sector.fill(0)),
            _ => {}
        }
        *durable = bytes.len();
        *bytes != before
    }

    /// An entry leads to it, or does no longer.
    pub(super) fn is_named(&self, named: bool) {
        if named {
            self.names.fetch_add(1, Ordering::SeqCst);
        } else {
            self.names.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(super) fn is_nameless(&self) -> bool {
        self.names.load(Ordering::SeqCst) == 0
    }

    /// Gives a lock to who has it open under a number, in place of the one it had; whether it was given.
    pub(super) fn lock(&self, opened: u64, lock: Lock, process: &Arc<dyn Process>) -> bool {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|number, held| *number != opened && !held.process.has_ended());
        let is_free = match lock {
            Lock::Alone => locks.is_empty(),
            Lock::Shared => {
                let is_alone = locks.values().any(|held| held.lock == Lock::Alone);
                assert!(!is_alone, "who is alone is so within one step of the simulation, and nobody can wait for it");
                true
            }
            Lock::Released => return true,
        };
        if is_free {
            locks.insert(opened, Held { lock, process: Arc::clone(process) });
        }
        is_free
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
