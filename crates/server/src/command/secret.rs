//! Passwords from a file or from the terminal, never from the command line. Refuses an empty first line and two
//! different answers.

use super::unreadable;
use crate::out::Failure;
use app::password::Password;
use std::io::Read as _;
use std::path::Path;

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

fn from_file(path: &Path) -> Result<Password, Failure> {
    let file = std::fs::File::open(path).map_err(|cause| unreadable(path, &cause))?;
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
    let ask = |prompt: String| {
        let no_terminal =
            |_| Failure::new("no_terminal", "There is no terminal to ask for the password: give it in a file.");
        rpassword::prompt_password(prompt).map_err(no_terminal)
    };
    let (first, second) = (ask(format!("{prompt}: "))?, ask(format!("{prompt}, again: "))?);
    if first != second {
        return Err(Failure::new(
            "passwords_differ",
            "The two passwords differ; nothing was changed. Type them again.",
        ));
    }
    Ok(Password::new(first))
}
