//! The master key: 32 bytes that open everything, outside the database and the store. It comes from its file, from the
//! environment or from a command. Refuses a file that others can read, and any text but 64 hexadecimal digits.

use super::files::{key_file_read, key_file_write};
use super::{derive, sealed};
use crate::{AppError, Config, SecretText};
use base::{Entropy, InstallationId, Secret};
use data_encoding::HEXLOWER_PERMISSIVE;
use std::path::Path;
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// 32 random bytes, hexadecimal.
pub const MASTER_KEY_FILE: &str = "keys/master.key";
/// The variable that holds the same text, where no file shall.
pub const MASTER_KEY_VARIABLE: &str = "HOLDFAST_MASTER_KEY";
/// The same, from the moment on in which a rotation may seal with it, until it has the place of the other.
pub(crate) const MASTER_KEY_NEXT_FILE: &str = "keys/master.key.next";

const SECRET_CONTEXT: &str = "holdfast 2026 v1 installation secret sealing";

/// What opens an installation.
#[derive(Clone)]
pub struct MasterKey(Secret<32>);

impl MasterKey {
    /// A fresh master key. Never fails.
    pub fn mint(entropy: &dyn Entropy) -> Self {
        Self(Secret::mint(entropy))
    }

    /// The key of a recovery kit. Never fails.
    pub(crate) const fn of(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// Takes the key from where this installation keeps it: `given` (the environment), the command of the
    /// configuration, or the file of the data directory, in this order.
    ///
    /// # Errors
    /// `keys_exposed` when the directory or the file is open to others; `master_key_damaged`; a file that cannot be
    /// read, a command that fails.
    pub fn load(data_dir: &Path, config: &Config, given: Option<&SecretText>) -> Result<Self, AppError> {
        if let Some(text) = given {
            return Self::parse(text.expose(), MASTER_KEY_VARIABLE);
        }
        if !config.master_key_command.is_empty() {
            return Self::parse(&asked(&config.master_key_command)?, "What `master_key.command` prints");
        }
        Self::parse(&Zeroizing::new(key_file_read(data_dir, MASTER_KEY_FILE)?), MASTER_KEY_FILE)
    }

    /// Whether the key of this installation is in the file of the data directory. Never fails.
    pub(crate) fn is_in_file(config: &Config, given: Option<&SecretText>) -> bool {
        given.is_none() && config.master_key_command.is_empty()
    }

    /// The key that this text is, 64 hexadecimal digits; `place` says where it stood.
    ///
    /// # Errors
    /// `master_key_damaged`.
    pub fn parse(text: &str, place: &str) -> Result<Self, AppError> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok().map(Zeroizing::new);
        let bytes = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
        let wrong = || AppError::damaged("master_key_damaged", format!("{place} is not a master key."));
        bytes.map(|bytes| Self(Secret::new(bytes))).ok_or_else(wrong)
    }

    /// Writes a new key file.
    ///
    /// # Errors
    /// As `key_file_write`.
    pub(crate) fn store(&self, data_dir: &Path, name: &'static str) -> Result<(), AppError> {
        key_file_write(data_dir, name, &Zeroizing::new(format!("{}\n", HEXLOWER_PERMISSIVE.encode(self.0.expose()))))
    }

    /// The bytes, for keyrings and the recovery kit. Never fails.
    pub(crate) const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// Seals the secret of an installation for the database. Never fails.
    pub(crate) fn seal(&self, installation: InstallationId, secret: &Secret<32>, entropy: &dyn Entropy) -> Vec<u8> {
        sealed::seal(&derive(SECRET_CONTEXT, &self.0), installation.as_bytes(), secret.expose(), entropy)
    }

    /// Opens what `seal` made; `None` for another key's, or another installation's. Never fails.
    pub(crate) fn open(&self, installation: InstallationId, bytes: &[u8]) -> Option<Secret<32>> {
        let plain = sealed::open(&derive(SECRET_CONTEXT, &self.0), installation.as_bytes(), bytes).map(Zeroizing::new);
        plain.and_then(|plain| plain.as_slice().try_into().ok()).map(Secret::new)
    }
}

/// What a command prints on its output. Its words are told apart by spaces: there is no shell.
fn asked(command: &str) -> Result<Zeroizing<String>, AppError> {
    let failed = |why: String| AppError::invalid("master_key_command_failed", format!("`master_key.command` {why}."));
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| failed("names no program".to_owned()))?;
    let ran = Command::new(program).args(words).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let ran = ran.map_err(|cause| failed(format!("cannot be run: {cause}")))?;
    let printed = Zeroizing::new(ran.stdout);
    if !ran.status.success() {
        return Err(failed(format!("ended with {}", ran.status)));
    }
    let text = std::str::from_utf8(&printed).map_err(|_| failed("printed no text".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}
