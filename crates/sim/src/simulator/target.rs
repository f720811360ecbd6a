//! Where a simulated device restores to: a place in memory that is compared, byte for byte, with what was backed up.

use super::folder::Folder;
use engine::{Target, TargetError, TargetFile};
use format::{EntryBody, FileTime, Meta, StoredPath};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

type Part = Arc<Mutex<Vec<u8>>>;

/// What was restored, and what is on its way.
#[derive(Clone, Default)]
pub(super) struct Place(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    parts: BTreeMap<StoredPath, Part>,
    files: BTreeMap<String, (Vec<u8>, FileTime)>,
}

impl Place {
    /// What is here and not as it was, in words; none where all of it is. Never fails.
    pub(super) fn differs(&self, folder: &Folder) -> Option<String> {
        let state = self.state();
        let mut left: Vec<&String> = state.files.keys().collect();
        for (path, file) in folder.files() {
            let Some((bytes, changed)) = state.files.get(&path) else { return Some(format!("{path} is missing")) };
            if *bytes != file.bytes {
                return Some(format!("{path} has other bytes"));
            }
            if *changed != file.changed {
                return Some(format!("{path} has another time"));
            }
            left.retain(|other| **other != path);
        }
        left.first().map(|path| format!("nobody had {path}"))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target for Place {
    fn make_directory(&self, _: &StoredPath) -> Result<bool, TargetError> {
        Ok(true)
    }

    fn open_part(&self, path: &StoredPath, _: u64) -> Result<Box<dyn TargetFile>, TargetError> {
        let part = Arc::clone(self.state().parts.entry(path.clone()).or_default());
        Ok(Box::new(Open(part)))
    }

    fn finish_file(&self, path: &StoredPath, size: u64, meta: &Meta) -> Result<Vec<TargetError>, TargetError> {
        let mut state = self.state();
        let part = state.parts.remove(path).ok_or(TargetError::InTheWay)?;
        let mut bytes = part.lock().unwrap_or_else(PoisonError::into_inner).clone();
        bytes.resize(size as usize, 0);
        state.files.insert(path.to_string(), (bytes, meta.mtime));
        Ok(Vec::new())
    }

    fn discard_part(&self, path: &StoredPath) {
        self.state().parts.remove(path);
    }

    fn make_special(&self, _: &StoredPath, _: &EntryBody, _: &Meta) -> Result<Vec<TargetError>, TargetError> {
        Err(TargetError::InTheWay)
    }

    fn hard_link(&self, _: &StoredPath, _: &StoredPath) -> Result<(), TargetError> {
        Err(TargetError::InTheWay)
    }

    fn finish_directory(&self, _: &StoredPath, _: &Meta) -> Result<Vec<TargetError>, TargetError> {
        Ok(Vec::new())
    }
}

struct Open(Part);

impl TargetFile for Open {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), TargetError> {
        let mut part = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = offset as usize + bytes.len();
        if part.len() < end {
            part.resize(end, 0);
        }
        part[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }
}
