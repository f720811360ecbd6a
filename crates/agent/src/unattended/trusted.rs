//! Files that say whom to trust, or that hold a token: read without following a link, within a size, and only when
//! nobody but their owner, who is this account or root, could have written them.
//! Refuses everything else, with the command that mends it.

use crate::error::AgentError;
use crate::hidden::Hidden;
use crate::state::zero;
use rustix::fs::OFlags;
use rustix::process::geteuid;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The largest of these files.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// The largest token.
const TOKEN_BYTES_MAX: usize = 1_024;

/// A file that was read, with what is needed to write it anew.
#[derive(Debug)]
pub struct Trusted {
    path: PathBuf,
    /// Held open, so that the file system gives its number to no other file.
    file: File,
    found: Metadata,
    /// Its content.
    pub text: Hidden,
}

impl Trusted {
    /// Reads the file; `None` when it is not there.
    ///
    /// # Errors
    /// `file_exposed`, `file_invalid`, `file_unusable`.
    pub fn read(path: &Path) -> Result<Option<Self>, AgentError> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(exposed(format!("{} is a link: name the file itself", path.display())));
            }
            opened => opened.map_err(AgentError::file("reading", path))?,
        };
        // The open file is looked at, not the name: that may be another by now.
        let found = file.metadata().map_err(AgentError::file("looking at", path))?;
        refuse_untrusted(path, &found)?;
        let mut bytes = Zeroizing::new(Vec::new());
        let read = (&file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(AgentError::file("reading", path))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(invalid(format!("{} is larger than {} KiB", path.display(), FILE_BYTES_MAX >> 10)));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| invalid(format!("{} is no UTF-8 text", path.display())))?;
        let text = Hidden::new(text.to_owned());
        Ok(Some(Self { path: path.to_owned(), file, found, text }))
    }

    /// Where it is. Never fails.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a file that others may read: it holds a token.
    ///
    /// # Errors
    /// `file_exposed`.
    pub fn must_be_private(&self) -> Result<(), AgentError> {
        if self.found.mode() & 0o077 == 0 {
            return Ok(());
        }
        let shown = self.path.display();
        Err(exposed(format!("others may read {shown}, which holds a token: run `chmod 600 {shown}`")))
    }

    /// Writes the file anew, whole or not at all, with its owner and mode, and overwrites what was there.
    ///
    /// # Errors
    /// `file_unusable`; the file is then as before.
    pub fn rewrite(&self, text: &str) -> Result<(), AgentError> {
        let old = self.open_again()?;
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.path.with_file_name(name);
        let _ = std::fs::remove_file(&new);
        let written = self.write_new(&new, text);
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written.map_err(AgentError::file("writing", &new))?;
        // ORDER: the new bytes are durable before they have the name, and only then is the old file overwritten.
        std::fs::rename(&new, &self.path).map_err(AgentError::file("writing", &self.path))?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(AgentError::file("writing", dir))?;
        // The old file has no name any more; its blocks still hold the token.
        zero(&old).map_err(AgentError::file("overwriting", &self.path))
    }

    /// The same file, for writing.
    fn open_again(&self) -> Result<File, AgentError> {
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let opened = OpenOptions::new().write(true).custom_flags(flags).open(&self.path);
        let file = opened.map_err(AgentError::file("writing", &self.path))?;
        let look = |file: &File| file.metadata().map_err(AgentError::file("looking at", &self.path));
        let (now, read) = (look(&file)?, look(&self.file)?);
        if (now.dev(), now.ino()) != (read.dev(), read.ino()) {
            return Err(invalid(format!("{} was replaced while it was read", self.path.display())));
        }
        Ok(file)
    }

    fn write_new(&self, new: &Path, text: &str) -> io::Result<()> {
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(new)?;
        file.write_all(text.as_bytes())?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (self.found.uid(), self.found.gid()) {
            fchown(&file, Some(self.found.uid()), Some(self.found.gid()))?;
        }
        file.set_permissions(std::fs::Permissions::from_mode(self.found.mode() & 0o7777))?;
        file.sync_all()
    }
}

/// The token on the first line of a file.
///
/// # Errors
/// `token_missing`, and as `Trusted::read`.
pub fn token_file(path: &Path) -> Result<Hidden, AgentError> {
    let file = Trusted::read(path)?.ok_or_else(|| {
        AgentError::usage("token_missing", format!("there is no file {} with the token", path.display()))
    })?;
    file.must_be_private()?;
    token(file.text.expose().lines().next().unwrap_or_default(), path)
}

/// A token as it is written somewhere in the file at `path`.
///
/// # Errors
/// `token_missing`, `file_invalid`.
pub fn token(text: &str, path: &Path) -> Result<Hidden, AgentError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AgentError::usage("token_missing", format!("the token in {} is empty", path.display())));
    }
    if text.len() > TOKEN_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid(format!("what stands in {} is no token", path.display())));
    }
    Ok(Hidden::new(text.to_owned()))
}

/// The sentence for a file that cannot be read as what it is. Never fails.
pub fn invalid(sentence: String) -> AgentError {
    AgentError::usage("file_invalid", sentence)
}

fn exposed(sentence: String) -> AgentError {
    AgentError::state("file_exposed", sentence)
}

fn refuse_untrusted(path: &Path, found: &Metadata) -> Result<(), AgentError> {
    let (me, shown) = (geteuid().as_raw(), path.display());
    if !found.is_file() {
        return Err(invalid(format!("{shown} is no regular file")));
    }
    if found.uid() != me && found.uid() != 0 {
        let sentence = format!("{shown} belongs to user {}, and this program runs as user {me}", found.uid());
        return Err(exposed(format!("{sentence}: only its own files and those of root are believed")));
    }
    if found.mode() & 0o022 != 0 {
        return Err(exposed(format!("others may write {shown}, which says whom to trust: run `chmod go-w {shown}`")));
    }
    if found.nlink() != 1 {
        return Err(exposed(format!("{shown} has a second name: copy it to a file of its own")));
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(invalid(format!("{shown} is larger than {} KiB", FILE_BYTES_MAX >> 10)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
