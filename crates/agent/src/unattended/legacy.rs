//! The per-user file of older installers: lines `KEY = value` as Python writes them, of which three are read. Nothing
//! in it is evaluated. Refuses whatever is not a plain string, or a list of such, where one of the three is read.

use super::trusted::{Trusted, invalid, token};
use super::{Found, Origin};
use crate::error::AgentError;
use protocol::agent::activation::Choice;
use std::path::{Path, PathBuf};

/// Below the configuration directory of a person.
pub const LEGACY_FILE: &str = "holdfast/legacy.cfg";
/// Servers in one file.
const SERVERS_MAX: usize = 16;
/// The longest value that is read.
const VALUE_BYTES_MAX: usize = 1_024;

/// Reads the file; `None` when it is not there.
///
/// # Errors
/// `file_exposed`, `file_invalid`, `file_unusable`.
pub fn read(path: &Path) -> Result<Option<Found>, AgentError> {
    let Some(file) = Trusted::read(path)? else { return Ok(None) };
    let mut found = Found::from_file(Origin::LegacyFile, path);
    let parsed = parse(file.text.expose())
        .map_err(|(line, why)| invalid(format!("line {line} of {}: {why}", path.display())))?;
    found.servers = parsed.servers;
    found.ca = parsed.ca.map(PathBuf::from);
    found.fingerprint = parsed.fingerprint;
    found.choice = parsed.replaces.map(|replaces| if replaces { Choice::Auto } else { Choice::Add });
    if let Some(text) = parsed.token.filter(|text| !text.trim().is_empty()) {
        file.must_be_private()?;
        found.token = Some(token(&text, path)?);
    }
    Ok(Some(found))
}

/// Takes the token out of the file, and leaves every other line as it is; whether there was one.
///
/// # Errors
/// The file cannot be written; it is then as before.
pub fn scrub(path: &Path) -> Result<bool, AgentError> {
    let Some(file) = Trusted::read(path)? else { return Ok(false) };
    let text = file.text.expose();
    let kept: String = text.split_inclusive('\n').filter(|line| key_of(line) != Some("TOKEN")).collect();
    if kept.len() == text.len() {
        return Ok(false);
    }
    file.rewrite(&kept)?;
    Ok(true)
}

/// What is read of the file. The last of several lines with one key counts, as in the language of the file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parsed {
    servers: Vec<String>,
    token: Option<String>,
    replaces: Option<bool>,
    ca: Option<String>,
    fingerprint: Option<String>,
}

/// The lines of ours; an error names the line, from 1, and never what stands there.
fn parse(text: &str) -> Result<Parsed, (usize, &'static str)> {
    let mut parsed = Parsed::default();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let Some(key) = key_of(line) else { continue };
        let value = line.split_once('=').map(|(_, value)| value).unwrap_or_default();
        let at = |why| (number + 1, why);
        match key {
            "SERVERS" => parsed.servers = strings(value).map_err(at)?,
            "TOKEN" => parsed.token = Some(one(value).map_err(at)?),
            "CA" => parsed.ca = Some(one(value).map_err(at)?),
            "FINGERPRINT" => parsed.fingerprint = Some(one(value).map_err(at)?),
            "REPLACE_DEVICE" => {
                let word = one(value).map_err(at)?.to_ascii_lowercase();
                parsed.replaces = Some(match word.as_str() {
                    "yes" => true,
                    "no" => false,
                    _ => return Err(at("REPLACE_DEVICE is 'Yes' or 'No'")),
                });
            }
            // WRUSER, LAST_CONNECT and whatever else: another program's.
            _ => {}
        }
    }
    Ok(parsed)
}

/// The key of a line; `None` for one that has none.
fn key_of(line: &str) -> Option<&str> {
    let key = line.trim_start_matches('\u{feff}').split_once('=')?.0.trim();
    let is_key = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (!key.is_empty() && key.bytes().all(is_key)).then_some(key)
}

fn one(value: &str) -> Result<String, &'static str> {
    let (text, rest) = string(value.trim())?;
    is_end(rest).then_some(text).ok_or("there is something after the value")
}

/// `['a', "b"]`, or one string alone.
fn strings(value: &str) -> Result<Vec<String>, &'static str> {
    let Some(inner) = value.trim().strip_prefix('[') else { return one(value).map(|text| vec![text]) };
    let mut all = Vec::new();
    let mut rest = inner.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix(']') {
            return if is_end(after) { Ok(all) } else { Err("there is something after the list") };
        }
        if all.len() == SERVERS_MAX {
            return Err("there are too many servers");
        }
        let (text, after) = string(rest)?;
        all.push(text);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with(']') => {}
            None => return Err("the list is not closed"),
        }
    }
}

/// A string in single or double quotation marks, and what follows it. No escapes: none of our values has one.
fn string(text: &str) -> Result<(String, &str), &'static str> {
    let mark =
        text.chars().next().filter(|mark| matches!(mark, '\'' | '"')).ok_or("a value in quotation marks is missing")?;
    let (inner, rest) = text[1..].split_once(mark).ok_or("a quotation mark is not closed")?;
    if inner.len() > VALUE_BYTES_MAX {
        return Err("the value is too long");
    }
    if inner.contains('\\') || inner.chars().any(char::is_control) {
        return Err("the value has characters that it cannot have");
    }
    Ok((inner.to_owned(), rest))
}

fn is_end(rest: &str) -> bool {
    let rest = rest.trim();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests;
