//! Passwords and keys from a file or from the terminal, never from the command line. Refuses an empty first line and
//! two different answers.

use super::{read_text, unreadable, unwritable};
use crate::out::Failure;
use app::keys::MasterKey;
use app::password::Password;
use app::recovery::Kit;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// The longest password file that is read.
const FILE_BYTES_MAX: u64 = 4 << 10;

/// The first line of `file`, without the line's end; without a file it is asked for twice on the terminal.
///
/// # Errors
/// A file that cannot be read or is empty; no terminal; two different answers.
pub(super) fn password(file: Option<&Path>, prompt: &str) -> Result<Password, Failure> {
    match file {
        Some(file) => from_file(file),
        None => from_terminal(prompt),
    }
}

/// The key of a recovery kit: from a file, which holds the sheet or the key alone, or typed in one line or two.
///
/// # Errors
/// `kit_wrong`; a file that cannot be read; no terminal.
pub(super) fn kit_key(file: Option<&Path>) -> Result<MasterKey, Failure> {
    if let Some(file) = file {
        return Ok(Kit::key_parse(&Zeroizing::new(read_text(file)?))?);
    }
    let mut typed = Zeroizing::new(ask("Key of the recovery kit", "the key")?);
    if let Ok(key) = Kit::key_parse(&typed) {
        return Ok(key);
    }
    typed.push_str(&Zeroizing::new(ask("  its second line", "the key")?));
    Ok(Kit::key_parse(&typed)?)
}

/// A new file for its owner alone.
///
/// # Errors
/// `file_unwritable`, also when there is one.
pub(super) fn new_file(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|cause| unwritable(path, &cause))
}

fn from_file(path: &Path) -> Result<Password, Failure> {
    let file = File::open(path).map_err(|cause| unreadable(path, &cause))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|cause| unreadable(path, &cause))?;
    // As the agent reads it: the rest of the file may say what the password is for.
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(Failure::new(
            "password_missing",
            format!("The first line of {} is empty: put the password there.", path.display()),
        ));
    }
    Ok(Password::new(password.to_owned()))
}

fn from_terminal(prompt: &str) -> Result<Password, Failure> {
    let (first, second) = (ask(prompt, "the password")?, ask(&format!("{prompt}, again"), "the password")?);
    if first != second {
        return Err(Failure::new(
            "passwords_differ",
            "The two passwords differ; nothing was changed. Type them again.",
        ));
    }
    Ok(Password::new(first))
}

/// A line from the terminal that is not shown while it is typed.
fn ask(prompt: &str, what: &str) -> Result<String, Failure> {
    let sentence = format!("There is no terminal to ask for {what}: give it in a file.");
    rpassword::prompt_password(format!("{prompt}: ")).map_err(|_| Failure::new("no_terminal", sentence))
}
