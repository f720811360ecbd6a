//! A directory and files that only their owner may read, written whole or not at all.
//! Refuses to use what others can read or what somebody else owns, with the command that mends it.

use crate::error::AgentError;
use rustix::process::geteuid;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The largest file that is read whole.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Debug)]
pub(super) struct PrivateDir(PathBuf);

impl PrivateDir {
    /// Opens the directory, made when it is not there, and looks at who may enter it.
    ///
    /// # Errors
    /// `state_exposed`, `file_unusable`.
    pub fn open(path: &Path) -> Result<Self, AgentError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(AgentError::file("making", path))?;
        let found = std::fs::symlink_metadata(path).map_err(AgentError::file("looking at", path))?;
        if !found.is_dir() {
            let sentence = format!("{} must be a folder itself and no link to one", path.display());
            return Err(AgentError::state("state_exposed", sentence));
        }
        if found.uid() == geteuid().as_raw() && found.mode() & 0o077 != 0 && is_empty(path) {
            // Made for us a moment ago, with the usual mode: there is nothing in it yet that others could have read.
            let private = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
            private.map_err(AgentError::file("making private", path))?;
        } else {
            refuse_exposed(path, &found, "700")?;
        }
        Ok(Self(path.to_owned()))
    }

    /// Where it is. Never fails.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it. Never fails.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The whole file; `None` when it is not there.
    ///
    /// # Errors
    /// `state_exposed`, `state_damaged` for one that is too large, `file_unusable`.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AgentError> {
        let path = self.join(name);
        let opened = OpenOptions::new().read(true).custom_flags(no_follow()).open(&path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(AgentError::file("reading", &path))?,
        };
        let found = file.metadata().map_err(AgentError::file("looking at", &path))?;
        refuse_exposed(&path, &found, "600")?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(AgentError::file("reading", &path))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(damaged(&path, "it is larger than it can be"));
        }
        Ok(Some(bytes))
    }

    /// Writes the whole file anew; durable when this returns, and never half.
    ///
    /// # Errors
    /// `disk_full`, `file_unusable`; the file is then as before.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), AgentError> {
        let path = self.join(name);
        let new = self.join(&new_name(name));
        let written = self.remove(&new_name(name)).and_then(|()| {
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).custom_flags(no_follow()).open(&new);
            let written = file.and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
            written.map_err(write_error(&new))
        });
        // ORDER: the bytes are on the disk before the name points to them, and the name before we go on.
        written?;
        std::fs::rename(&new, &path).map_err(write_error(&path))?;
        self.sync()
    }

    /// Gives a file another name; durable when this returns.
    ///
    /// # Errors
    /// `file_unusable`.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), AgentError> {
        let to = self.join(to);
        std::fs::rename(self.join(from), &to).map_err(write_error(&to))?;
        self.sync()
    }

    /// Takes a file away, if it is there.
    ///
    /// # Errors
    /// `file_unusable`.
    pub fn remove(&self, name: &str) -> Result<(), AgentError> {
        let path = self.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(write_error(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Opens a file to lock, made when it is not there.
    ///
    /// # Errors
    /// `file_unusable`.
    pub fn open_lock(&self, name: &str) -> Result<File, AgentError> {
        let path = self.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow());
        options.open(&path).map_err(write_error(&path))
    }

    /// Writes zeros over a file, if it is there; durable when this returns. Of a large one, over the beginning.
    ///
    /// # Errors
    /// `file_unusable`.
    pub fn overwrite(&self, name: &str) -> Result<(), AgentError> {
        let path = self.join(name);
        let opened = OpenOptions::new().write(true).custom_flags(no_follow()).open(&path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(write_error(&path))?,
        };
        zero(&file).map_err(write_error(&path))
    }

    /// Makes what was renamed and removed durable.
    ///
    /// # Errors
    /// `file_unusable`.
    pub fn sync(&self) -> Result<(), AgentError> {
        let synced = File::open(&self.0).and_then(|dir| dir.sync_all());
        synced.map_err(write_error(&self.0))
    }
}

/// What a file is called while it is written. Never fails.
pub(super) fn new_name(name: &str) -> String {
    format!("{name}.new")
}

/// Writes zeros over the first `FILE_BYTES_MAX` bytes of a file: over the whole of all but a cache.
///
/// # Errors
/// The system's word.
pub(crate) fn zero(mut file: &File) -> io::Result<()> {
    let len = file.metadata()?.len().min(FILE_BYTES_MAX);
    file.seek(io::SeekFrom::Start(0))?;
    io::copy(&mut io::repeat(0).take(len), &mut file)?;
    file.sync_all()
}

/// The sentence for a file that is there and cannot be understood. Never fails.
pub(super) fn damaged(path: &Path, flaw: &str) -> AgentError {
    let sentence = format!(
        "{} is damaged ({flaw}): activate again, and this computer gets the same record back with all its snapshots",
        path.display()
    );
    AgentError::state("state_damaged", sentence)
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

fn refuse_exposed(path: &Path, found: &std::fs::Metadata, mode: &str) -> Result<(), AgentError> {
    let me = geteuid().as_raw();
    let shown = path.display();
    if found.uid() != me {
        let sentence = format!("{shown} belongs to user {} and this program runs as user {me}", found.uid());
        return Err(AgentError::state("state_exposed", format!("{sentence}: run it as that user, or remove it")));
    }
    if found.mode() & 0o077 != 0 {
        let sentence = format!("others may read {shown}, which holds this computer's key");
        return Err(AgentError::state("state_exposed", format!("{sentence}: run `chmod {mode} {shown}`")));
    }
    Ok(())
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> AgentError {
    let path = path.to_owned();
    move |cause| match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let sentence = format!("the disk that holds {} is full: make room and try again", path.display());
            AgentError::state("disk_full", sentence)
        }
        _ => AgentError::file("writing", path)(cause),
    }
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}
