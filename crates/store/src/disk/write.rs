//! Putting objects on a disk and taking them off: whole, once, and durable before anyone is told.
//! Refuses to overwrite. Temporary file, fsync, link under the name, fsync of the folder.

use super::files::Files;
use super::{Inner, layout};
use crate::{OBJECT_BYTES_MAX, ObjectName, Put, StoreError, Verb};
use base::{Planted, is_planted};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// See `Store::put_new`.
pub(super) fn put_new(inner: &Inner, name: &ObjectName, bytes: &[u8]) -> Result<Put, StoreError> {
    let size = base::Bytes::of(bytes.len());
    if size > OBJECT_BYTES_MAX {
        return Err(StoreError::TooLarge { name: name.clone(), size });
    }
    let failed = |cause| put_failed(inner, name, cause);
    if inner.files.size(&layout::place(&inner.folder, name).file).map_err(failed)?.is_none() {
        let free = inner.layout.free().map_err(failed)?;
        if free < size + inner.reserve {
            let (folder, reserve) = (inner.folder.clone(), inner.reserve);
            return Err(StoreError::Full { folder, free, reserve, cause: None });
        }
    }
    put_unasked(inner, name, bytes)
}

/// Stores the object without asking first whether there is room for it.
pub(super) fn put_unasked(inner: &Inner, name: &ObjectName, bytes: &[u8]) -> Result<Put, StoreError> {
    let failed = |cause| put_failed(inner, name, cause);
    let place = layout::place(&inner.folder, name);
    make_folders(inner, &place.folders).map_err(failed)?;
    let files = &*inner.files;
    let put = if files.size(&place.file).map_err(failed)?.is_some() {
        Put::Existed
    } else {
        let temp = Temp::write(files, &inner.folder, &inner.temp_next, bytes).map_err(failed)?;
        temp.publish(&place.file).inspect_err(|_| doubt_folders(inner)).map_err(failed)?
    };
    // ORDER: also when it existed. The writer who linked the file may not have got so far as this yet, and the
    // caller may name the object in the database as soon as we answer.
    if !is_planted(Planted::FolderUnsynced) {
        sync_folder_of(files, &place.file).map_err(failed)?;
    }
    Ok(put)
}

/// See `Store::remove`.
pub(super) fn remove(inner: &Inner, name: &ObjectName) -> Result<(), StoreError> {
    let file = layout::place(&inner.folder, name).file;
    let removed = match inner.files.remove(&file) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        // ORDER: also when it was gone. Who took it away may not have got so far as this yet, or have been killed.
        _ => sync_folder_of(&*inner.files, &file),
    };
    let removed = match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    removed.map_err(|cause| StoreError::Io { verb: Verb::Remove, name: name.clone(), cause })
}

/// Makes the folder a store by writing its layout file, in the same way as an object. `Existed`: it was one.
pub(super) fn layout_file(files: &dyn Files, folder: &Path) -> io::Result<Put> {
    make_folder(files, folder)?;
    let temp = folder.join(layout::TEMP_FOLDER);
    make_folder(files, &temp)?;
    let text = Temp::write(files, folder, &AtomicU64::new(0), layout::LAYOUT_TEXT.as_bytes())?;
    let put = text.publish(&folder.join(layout::LAYOUT_FILE))?;
    sync_folder_of(files, &temp)?;
    sync_folder_of(files, folder)?;
    Ok(put)
}

/// Makes a folder unless it is there, and those above it that are missing, with their entries durable. That of the
/// folder itself is the caller's to make durable.
pub(super) fn make_folder(files: &dyn Files, folder: &Path) -> io::Result<()> {
    match (files.make_folder(folder), folder.parent()) {
        (Err(cause), Some(above)) if cause.kind() == io::ErrorKind::NotFound => {
            make_folder(files, above)?;
            sync_folder_of(files, above)?;
            files.make_folder(folder)
        }
        (Err(cause), _) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        (made, _) => made,
    }
}

fn put_failed(inner: &Inner, name: &ObjectName, cause: io::Error) -> StoreError {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let free = inner.layout.free().unwrap_or_default();
            StoreError::Full { folder: inner.folder.clone(), free, reserve: inner.reserve, cause: Some(cause) }
        }
        _ => StoreError::Io { verb: Verb::PutNew, name: name.clone(), cause },
    }
}

/// Makes those of the folders that are missing, from the outermost on, and their entries durable.
// RACE: a folder that is there may have been made by another writer whose fsync has not come yet. So it counts as
// durable only after a fsync of its parent that this process has seen end.
fn make_folders(inner: &Inner, folders: &[PathBuf]) -> io::Result<()> {
    for folder in folders {
        if inner.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(folder) {
            continue;
        }
        match inner.files.make_folder(folder) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
            _ => sync_folder_of(&*inner.files, folder)?,
        }
        inner.durable.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.clone());
    }
    Ok(())
}

/// After a failed link: perhaps somebody tidied up empty folders. The next put makes them again.
fn doubt_folders(inner: &Inner) {
    inner.durable.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

fn sync_folder_of(files: &dyn Files, file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => files.open(folder)?.sync(),
        _ => files.open(Path::new("."))?.sync(),
    }
}

/// A temporary file whose bytes are durable; it is removed when dropped.
struct Temp<'a> {
    files: &'a dyn Files,
    path: PathBuf,
}

impl<'a> Temp<'a> {
    fn write(files: &'a dyn Files, store: &Path, next: &AtomicU64, bytes: &[u8]) -> io::Result<Self> {
        let (temp, file) = loop {
            // Processes share the folder, and their numbers may be equal on two machines: an exclusive open decides.
            let name = format!("{}-{}", std::process::id(), next.fetch_add(1, Ordering::Relaxed));
            let path = store.join(layout::TEMP_FOLDER).join(name);
            match files.make_file(&path) {
                Ok(file) => break (Temp { files, path }, file),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(cause),
            }
        };
        file.write(bytes)?;
        // ORDER: the bytes are durable before a name leads to them.
        if !is_planted(Planted::FileUnsynced) {
            file.sync()?;
        }
        Ok(temp)
    }

    /// Gives the file its name. A link, unlike a rename, fails when the name is taken, on every file system.
    fn publish(self, file: &Path) -> io::Result<Put> {
        match self.files.link(&self.path, file) {
            Ok(()) => Ok(Put::Created),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Existed),
            Err(cause) => Err(cause),
        }
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the store is opened next.
        let _ = self.files.remove(&self.path);
    }
}
