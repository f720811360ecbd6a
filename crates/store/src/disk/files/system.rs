//! The file system of the operating system, as a disk store uses it. Refuses to make anything that others can read.

use super::{Files, Found, Lock, OpenFile};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// The system's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Files for System {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(folder)
    }

    fn make_file(&self, file: &Path) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(File::open(path)?))
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        fs::hard_link(file, name)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }

    fn size(&self, path: &Path) -> io::Result<Option<base::Bytes>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(base::Bytes(metadata.len()))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Found>> {
        let found = |found: io::Result<fs::DirEntry>| {
            let found = found?;
            Ok(Found { name: found.file_name(), is_folder: found.file_type()?.is_dir() })
        };
        fs::read_dir(folder)?.map(found).collect()
    }
}

impl OpenFile for File {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn size(&self) -> io::Result<base::Bytes> {
        Ok(base::Bytes(self.metadata()?.len()))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn lock(&self, lock: Lock) -> io::Result<bool> {
        match lock {
            Lock::Alone => match self.try_lock() {
                Ok(()) => Ok(true),
                Err(TryLockError::WouldBlock) => Ok(false),
                Err(TryLockError::Error(cause)) => Err(cause),
            },
            Lock::Shared => self.lock_shared().map(|()| true),
            Lock::Released => self.unlock().map(|()| true),
        }
    }

    fn free(&self) -> io::Result<base::Bytes> {
        let stat = rustix::fs::fstatvfs(self)?;
        Ok(base::Bytes(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
}
