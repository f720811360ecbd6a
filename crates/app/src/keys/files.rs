//! The files of `keys/`, for the server's account alone. Refuses one that others can open, and to write over one.

use crate::AppError;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The directory of key files, for the server's account alone.
pub const KEYS_DIR: &str = "keys";
/// The private key of the own certificate authority.
pub const CA_KEY_FILE: &str = "keys/ca.key";
/// The private key of the server's certificate.
pub const SERVER_KEY_FILE: &str = "keys/server.key";

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Largest key file that is read; a PEM key is a few hundred bytes.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// Makes `keys/`, for the server's account alone.
///
/// # Errors
/// The directory cannot be made, or is there.
pub fn keys_dir_create(data_dir: &Path) -> Result<(), AppError> {
    let path = data_dir.join(KEYS_DIR);
    DirBuilder::new().mode(DIR_MODE).create(&path).map_err(file_error("making the directory", &path))
}

/// Writes a new file of `keys/`, durably, for the server's account alone.
///
/// # Errors
/// The file cannot be written, or is there.
pub fn key_file_write(data_dir: &Path, name: &'static str, text: &str) -> Result<(), AppError> {
    let path = data_dir.join(name);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        File::open(data_dir.join(KEYS_DIR))?.sync_all()
    };
    write().map_err(file_error("writing", &path))
}

/// Reads a file of `keys/`.
///
/// # Errors
/// `keys_exposed` when the directory or the file is open to others than its owner; a file that cannot be read.
pub fn key_file_read(data_dir: &Path, name: &'static str) -> Result<String, AppError> {
    private_or_refuse(&data_dir.join(KEYS_DIR), DIR_MODE)?;
    let path = data_dir.join(name);
    private_or_refuse(&path, FILE_MODE)?;
    let mut text = String::new();
    let file = File::open(&path).map_err(file_error("reading", &path))?;
    file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(file_error("reading", &path))?;
    Ok(text)
}

/// Fails when others than its owner have rights to the file or directory beyond `mode`.
///
/// # Errors
/// `keys_exposed`; it cannot be looked at.
pub(crate) fn private_or_refuse(path: &Path, mode: u32) -> Result<(), AppError> {
    let found = std::fs::metadata(path).map_err(file_error("reading", path))?.permissions().mode() & 0o777;
    if found & !mode & 0o077 == 0 {
        return Ok(());
    }
    Err(AppError::invalid(
        "keys_exposed",
        format!(
            "{} can be opened by others (mode {found:04o}): run `chmod {mode:04o} {}`, and set up a new server if \
             anybody may have read it.",
            path.display(),
            path.display()
        ),
    ))
}

pub(super) fn file_error(during: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AppError {
    let path = PathBuf::from(path);
    move |cause| AppError::File { during, path, cause }
}
