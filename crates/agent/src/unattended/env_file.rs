//! The environment file of an installer: lines `NAME=value`, as systemd reads them, without any expansion.
//! Refuses names of ours that it does not know: a misspelt one would be a device that never comes.

use super::trusted::{Trusted, invalid, token, token_file};
use super::{Found, Origin, choice_from, restore_from};
use crate::error::AgentError;
use crate::hidden::Hidden;
use std::path::{Path, PathBuf};

/// Where installers put it.
pub const ENV_FILE: &str = "/etc/holdfast/activate.env";

/// Reads the file; `None` when it is not there.
///
/// # Errors
/// `file_exposed`, `file_invalid`, `file_unusable`, `token_missing`, `fingerprint_invalid`.
pub fn read(path: &Path) -> Result<Option<Found>, AgentError> {
    let Some(file) = Trusted::read(path)? else { return Ok(None) };
    let mut found = Found::from_file(Origin::EnvFile, path);
    for (number, line) in file.text.expose().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with(';') {
            continue;
        }
        let wrong = |why: &str| invalid(format!("line {} of {}: {why}", number + 1, path.display()));
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("there is no ="))?;
        let value = unquoted(value.trim()).ok_or_else(|| wrong("a quotation mark is not closed"))?;
        match name.trim() {
            "HOLDFAST_SERVER" => found.servers = vec![value.to_owned()],
            "HOLDFAST_CA" => found.ca = Some(PathBuf::from(value)),
            "HOLDFAST_FINGERPRINT" => found.fingerprint = Some(value.to_owned()),
            "HOLDFAST_EMAIL" => found.email = Some(value.to_owned()),
            "HOLDFAST_TOKEN" => {
                file.must_be_private()?;
                found.token = Some(token(value, path)?);
            }
            "HOLDFAST_TOKEN_FILE" => found.token = Some(token_of(value)?),
            "HOLDFAST_CHOICE" => found.choice = Some(choice_from(value).map_err(|why| wrong(&why))?),
            "HOLDFAST_RESTORE" => found.restore = Some(restore_from(value).map_err(|why| wrong(&why))?),
            other if other.starts_with("HOLDFAST_") => return Err(wrong("no such name")),
            _ => {}
        }
    }
    Ok(Some(found))
}

/// Takes the token out of the file, after it was used: whoever steals the computer must not find it there. Of a token
/// in a file of its own the line becomes a comment, and the file is emptied where it lies beside this one, and so was
/// left by the same installer. Gives the files that it was taken out of.
///
/// # Errors
/// A file cannot be written, or the token lies elsewhere and stays there.
pub fn scrub(path: &Path) -> Result<Vec<PathBuf>, AgentError> {
    let Some(file) = Trusted::read(path)? else { return Ok(Vec::new()) };
    let (mut kept, mut files) = (String::new(), Vec::new());
    for line in file.text.expose().split_inclusive('\n') {
        let (name, value) = line.trim().split_once('=').unwrap_or_default();
        match (name.trim(), unquoted(value.trim())) {
            ("HOLDFAST_TOKEN", _) => kept.push_str("# HOLDFAST_TOKEN was used, and taken out.\n"),
            ("HOLDFAST_TOKEN_FILE", Some(value)) => {
                kept.push_str("# The token was used: HOLDFAST_TOKEN_FILE=");
                kept.push_str(value);
                kept.push('\n');
                files.push(PathBuf::from(value));
            }
            _ => kept.push_str(line),
        }
    }
    if kept == file.text.expose() {
        return Ok(Vec::new());
    }
    file.rewrite(&kept)?;
    let mut scrubbed = vec![path.to_owned()];
    for token_file in files {
        if !lie_together(&token_file, path) {
            let shown = token_file.display();
            let sentence = format!("{shown} lies elsewhere and may serve other computers: remove it if it does not");
            return Err(AgentError::state("token_left", sentence));
        }
        if let Some(file) = Trusted::read(&token_file)? {
            file.rewrite("")?;
            scrubbed.push(token_file);
        }
    }
    Ok(scrubbed)
}

fn token_of(path: &str) -> Result<Hidden, AgentError> {
    token_file(Path::new(path))
}

/// Whether two files lie in one folder, however the way to it is written.
fn lie_together(one: &Path, other: &Path) -> bool {
    let folder = |file: &Path| {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().ok()
    };
    folder(one).is_some_and(|one| folder(other) == Some(one))
}

/// The value without the quotation marks around it; `None` when there is only one.
fn unquoted(value: &str) -> Option<&str> {
    for mark in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(mark) {
            return rest.strip_suffix(mark);
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_loses_a_pair_of_marks_and_nothing_else() {
        let cases = [
            ("a", Some("a")),
            ("\"a b\"", Some("a b")),
            ("'$HOME `x`'", Some("$HOME `x`")),
            ("\"", None),
            ("'a\"", None),
            ("", Some("")),
        ];
        for (value, expected) in cases {
            assert_eq!(unquoted(value), expected, "{value}");
        }
    }
}
