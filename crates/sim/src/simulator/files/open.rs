//! A file or folder that a process has open, until it is dropped or its process ends.

use super::Mount;
use super::content::Content;
use super::entries::Entries;
use std::fmt;
use std::io;
use std::sync::Arc;
use store::files::{Lock, OpenFile};

/// What is open.
pub(super) enum Opened {
    File(Arc<Content>),
    Folder(Arc<Entries>),
}

/// It, as its process has it.
pub(super) struct Open {
    mount: Mount,
    what: Opened,
    number: u64,
}

impl Open {
    pub(super) fn new(mount: Mount, what: Opened, number: u64) -> Self {
        Self { mount, what, number }
    }

    fn content(&self) -> io::Result<&Content> {
        match &self.what {
            Opened::File(content) => Ok(content),
            Opened::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }
}

impl OpenFile for Open {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.mount.step("writing to a file")?;
        let content = self.content()?;
        let taken = self.mount.drive.take(bytes.len() as u64) as usize;
        content.append(&bytes[..taken]);
        if taken < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        match &self.what {
            Opened::File(content) => {
                self.mount.step("syncing a file")?;
                content.sync();
            }
            Opened::Folder(entries) => {
                self.mount.step("syncing a folder")?;
                entries.sync();
            }
        }
        Ok(())
    }

    fn size(&self) -> io::Result<base::Bytes> {
        Ok(base::Bytes(self.content()?.len()))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.content()?.read(bytes, offset)
    }

    fn lock(&self, lock: Lock) -> io::Result<bool> {
        Ok(self.content()?.lock(self.number, lock, &self.mount.process))
    }

    fn free(&self) -> io::Result<base::Bytes> {
        Ok(base::Bytes(self.mount.drive.free()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Opened::File(content) = &self.what {
            content.lock(self.number, Lock::Released, &self.mount.process);
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Open({})", self.number)
    }
}
