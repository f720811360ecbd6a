//! The files of the data directory that devices and databases hang on: certificates and keys. Copied into the target's
//! data directory, where that is another one. Refuses to write over one that differs.

use super::claim::taken;
use super::ends::{self, Ends};
use crate::AppError;
use crate::init::{CA_FILE, SERVER_FILE};
use crate::keys::{
    CA_KEY_FILE, KEYS_DIR, MASTER_KEY_FILE, MasterKey, SERVER_KEY_FILE, key_file_read, key_file_write, keys_dir_create,
};
use std::io::Write as _;
use std::path::Path;

/// From where and where to.
pub(super) struct Directories<'a> {
    pub(super) from: &'a Path,
    pub(super) to: &'a Path,
    /// Where the target keeps it in a file.
    pub(super) master: Option<&'a MasterKey>,
}

/// Copies what is missing.
///
/// # Errors
/// `target_taken` when another file has one's name; a file that cannot be read or written.
pub(super) fn carry(ends: &Ends) -> Result<(), AppError> {
    let Some(Directories { from, to, master }) =
        ends::directories(ends).filter(|both| both.from.join(CA_FILE).exists())
    else {
        return Ok(());
    };
    if !to.join(KEYS_DIR).exists() {
        keys_dir_create(to)?;
    }
    for name in [CA_KEY_FILE, SERVER_KEY_FILE] {
        let text = zeroize::Zeroizing::new(key_file_read(from, name)?);
        match to.join(name).exists() {
            true => same_or_refuse(key_file_read(to, name)? == *text, name)?,
            false => key_file_write(to, name, &text)?,
        }
    }
    if let Some(master) = master {
        match to.join(MASTER_KEY_FILE).exists() {
            true => {
                let found =
                    MasterKey::parse(&zeroize::Zeroizing::new(key_file_read(to, MASTER_KEY_FILE)?), MASTER_KEY_FILE)?;
                same_or_refuse(found.secret().expose() == master.secret().expose(), MASTER_KEY_FILE)?;
            }
            false => master.store(to, MASTER_KEY_FILE)?,
        }
    }
    for name in [CA_FILE, SERVER_FILE] {
        let text = read(&from.join(name))?;
        match to.join(name).exists() {
            true => same_or_refuse(read(&to.join(name))? == text, name)?,
            false => write(&to.join(name), &text)?,
        }
    }
    Ok(())
}

fn same_or_refuse(same: bool, name: &str) -> Result<(), AppError> {
    if same { Ok(()) } else { Err(taken(&format!("its data directory has another `{name}`"))) }
}

fn read(path: &Path) -> Result<Vec<u8>, AppError> {
    std::fs::read(path).map_err(|cause| AppError::File { during: "reading", path: path.to_owned(), cause })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), AppError> {
    let write = || {
        let mut file = std::fs::File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|cause| AppError::File { during: "writing", path: path.to_owned(), cause })
}
