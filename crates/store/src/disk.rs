//! A store in a folder of a disk, durable and shared by any number of processes that have it open.
//! Refuses to overwrite, to show half an object, and to work in a folder that holds no store (an unmounted disk).
//! Where an object lies: disk/layout.rs. How it is put there: disk/write.rs. Listing in order: disk/walk.rs.
//! On what it lies, the system's files or others: disk/files.rs.

pub mod files;
mod layout;
mod walk;
mod write;

use crate::blocking::blocking;
use crate::{LIST_MAX, OBJECT_BYTES_MAX, ObjectInfo, ObjectName, Place, Put, Store, StoreError, Verb};
use async_trait::async_trait;
use bytes::Bytes;
use files::{Files, Lock, OpenFile, System};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

/// Objects as files below one folder.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Arc<dyn Files>,
    folder: PathBuf,
    reserve: base::Bytes,
    /// The layout file, locked as shared for as long as the store is open: see `clean`.
    layout: Box<dyn OpenFile>,
    /// Numbers the temporary files of this process.
    temp_next: AtomicU64,
    /// Folders whose own entries are known to be durable; bounded by the number of folders of the store.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Disk {
    /// Makes a store in `folder`, which is made too if need be, and opens it. Objects are refused as `Full` while
    /// less than `reserve` would stay free: the database beside the store must still be able to write.
    ///
    /// # Errors
    /// `StoreExists`; `Folder` when the folder cannot be written, or its file system has no hard links or no locks.
    pub async fn create(folder: impl Into<PathBuf>, reserve: base::Bytes) -> Result<Disk, StoreError> {
        Self::create_on(Arc::new(System), folder, reserve).await
    }

    /// The same on these files.
    ///
    /// # Errors
    /// As `create`.
    pub async fn create_on(
        files: Arc<dyn Files>,
        folder: impl Into<PathBuf>,
        reserve: base::Bytes,
    ) -> Result<Disk, StoreError> {
        let folder = folder.into();
        blocking(move || match write::layout_file(&*files, &folder) {
            Ok(Put::Created) => open(files, folder, reserve),
            Ok(Put::Existed) => Err(StoreError::StoreExists { place: Place::Folder(folder) }),
            Err(cause) => Err(StoreError::Folder { folder, cause }),
        })
        .await
    }

    /// Opens the store in `folder`, and removes what writers that were killed left behind.
    ///
    /// # Errors
    /// `NoStore`; `Layout` when another version made it; `Folder` when it cannot be read, written or locked.
    pub async fn open(folder: impl Into<PathBuf>, reserve: base::Bytes) -> Result<Disk, StoreError> {
        Self::open_on(Arc::new(System), folder, reserve).await
    }

    /// The same on these files.
    ///
    /// # Errors
    /// As `open`.
    pub async fn open_on(
        files: Arc<dyn Files>,
        folder: impl Into<PathBuf>,
        reserve: base::Bytes,
    ) -> Result<Disk, StoreError> {
        let folder = folder.into();
        blocking(move || open(files, folder, reserve)).await
    }

    /// How much can still be written on the disk under the store in `folder`, the reserve among it.
    ///
    /// # Errors
    /// `Folder` when it cannot be asked.
    pub async fn free(folder: impl Into<PathBuf>) -> Result<base::Bytes, StoreError> {
        let folder = folder.into();
        let free = |folder: &Path| System.open(folder)?.free();
        blocking(move || free(&folder).map_err(|cause| StoreError::Folder { folder, cause })).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        blocking(move || work(&inner)).await
    }
}

#[async_trait]
impl Store for Disk {
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
        let name = name.clone();
        self.run(move |inner| write::put_new(inner, &name, &bytes)).await
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        let name = name.clone();
        self.run(move |inner| inner.get(&name)).await
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        let name = name.clone();
        self.run(move |inner| inner.get_range(&name, offset, len)).await
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError> {
        let name = name.clone();
        self.run(move |inner| inner.head(&name)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        self.run(move |inner| {
            walk::list(&*inner.files, &inner.folder, &prefix, after.as_ref(), limit.min(LIST_MAX))
                .map_err(|cause| StoreError::List { prefix, cause })
        })
        .await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        let name = name.clone();
        self.run(move |inner| write::remove(inner, &name)).await
    }
}

fn open(files: Arc<dyn Files>, folder: PathBuf, reserve: base::Bytes) -> Result<Disk, StoreError> {
    let failed = |cause| StoreError::Folder { folder: folder.clone(), cause };
    let layout = match files.open(&folder.join(layout::LAYOUT_FILE)) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::NoStore { place: Place::Folder(folder) });
        }
        Err(cause) => return Err(failed(cause)),
    };
    let found = layout_text(&*layout).map_err(failed)?;
    if found != layout::LAYOUT_TEXT {
        let found = found.lines().next().unwrap_or_default().to_owned();
        return Err(StoreError::Layout { place: Place::Folder(folder), found });
    }
    clean(&*files, &folder, &*layout).map_err(failed)?;
    let (temp_next, durable) = (AtomicU64::new(0), Mutex::new(HashSet::new()));
    Ok(Disk(Arc::new(Inner { files, folder, reserve, layout, temp_next, durable })))
}

/// What the layout file says, as far as it can be of interest.
fn layout_text(layout: &dyn OpenFile) -> io::Result<String> {
    let mut found = vec![0; layout.size()?.0.min(200) as usize];
    layout.read_at(&mut found, 0)?;
    String::from_utf8(found).map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))
}

/// Removes all temporary files if no other process has the store open, and leaves the layout file locked as shared.
// RACE: a temporary file may be that of a living writer, here or elsewhere. Every open store holds the shared lock;
// who gets the exclusive one is alone, and puts nothing itself before this returns. Between the two locks another
// opener may be alone too: it finds nothing to remove.
fn clean(files: &dyn Files, folder: &Path, layout: &dyn OpenFile) -> io::Result<()> {
    let temp = folder.join(layout::TEMP_FOLDER);
    if layout.lock(Lock::Alone)? {
        write::make_folder(files, &temp)?;
        for left in files.list(&temp)? {
            files.remove(&temp.join(left.name))?;
        }
        layout.lock(Lock::Released)?;
    }
    layout.lock(Lock::Shared).map(|_| ())
}

impl Inner {
    fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        let failed = |cause| read_failed(Verb::Get, name, cause);
        let file = self.files.open(&layout::place(&self.folder, name).file).map_err(failed)?;
        let size = file.size().map_err(failed)?;
        if size > OBJECT_BYTES_MAX {
            return Err(StoreError::TooLarge { name: name.clone(), size });
        }
        let mut bytes = vec![0; size.0 as usize];
        file.read_at(&mut bytes, 0).map_err(failed)?;
        Ok(bytes.into())
    }

    fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        let failed = |cause| read_failed(Verb::GetRange, name, cause);
        let file = self.files.open(&layout::place(&self.folder, name).file).map_err(failed)?;
        if base::Bytes(len) > OBJECT_BYTES_MAX {
            return Err(StoreError::TooLarge { name: name.clone(), size: base::Bytes(len) });
        }
        let size = file.size().map_err(failed)?;
        if offset.checked_add(len).is_none_or(|end| end > size.0) {
            return Err(StoreError::Short { name: name.clone(), offset, len, size });
        }
        let mut bytes = vec![0; len as usize];
        file.read_at(&mut bytes, offset).map_err(failed)?;
        Ok(bytes.into())
    }

    fn head(&self, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError> {
        let failed = |cause| StoreError::Io { verb: Verb::Head, name: name.clone(), cause };
        self.files.size(&layout::place(&self.folder, name).file).map_err(failed)
    }
}

fn read_failed(verb: Verb, name: &ObjectName, cause: io::Error) -> StoreError {
    match cause.kind() {
        io::ErrorKind::NotFound => StoreError::NotFound { name: name.clone() },
        _ => StoreError::Io { verb, name: name.clone(), cause },
    }
}

#[cfg(test)]
mod tests;
