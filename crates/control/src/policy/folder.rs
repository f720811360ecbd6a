//! Folders to back up: what a path may say, and which folders a device has. Refuses paths that are neither absolute
//! nor begin with a place every device has, and whatever climbs out. Rules: docs/control.md, "Folders".

use super::{EffectivePolicy, Key, PolicyLevel};
use crate::Refusal;
use base::FolderId;

/// The most folders that one profile, user or device may have of its own.
pub const FOLDERS_MAX: usize = 100;
const PATH_BYTES_MAX: usize = 1_024;
/// A path may begin with one of these.
const PLACES: [&str; 3] = ["${home}", "${documents}", "${desktop}"];
/// A path may have this anywhere but at its beginning.
const WITHIN: &str = "${user}";

/// The system that a folder is for. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FolderOs {
    /// Every one.
    Any,
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// macOS.
    Macos,
}

/// A folder as a level has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Which.
    pub id: FolderId,
    /// The level that has it: profile, user or device.
    pub from: PolicyLevel,
    /// For which system.
    pub os: FolderOs,
    /// As `path_parse` gives it.
    pub path: String,
    /// Whether users may not take it out.
    pub mandatory: bool,
    /// Only what matches one of these; everything when there is none.
    pub include: Vec<String>,
    /// Nothing that matches one of these.
    pub exclude: Vec<String>,
}

/// A folder as a device has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveFolder {
    /// The folder.
    pub folder: Folder,
    /// False when the user has taken it out.
    pub linked: bool,
}

/// The folders of a device, those that its user has taken out too. `os` is the device's system, `None` when unknown:
/// then no folder is left away. Never fails.
pub fn folders_of(
    policy: &EffectivePolicy,
    os: Option<FolderOs>,
    folders: Vec<Folder>,
    unlinked: &[FolderId],
) -> Vec<EffectiveFolder> {
    let fits = |folder: &Folder| folder.os == FolderOs::Any || os.is_none_or(|os| os == folder.os);
    let effective = |folder: Folder| {
        let linked = may_unlink(policy, &folder).is_err() || !unlinked.contains(&folder.id);
        EffectiveFolder { folder, linked }
    };
    folders.into_iter().filter(fits).map(effective).collect()
}

/// May a device's user take this folder out? What was taken out earlier counts only while that holds. Fails with
/// `folder_own`, `folder_mandatory`, `policy_not_allowed`.
pub fn may_unlink(policy: &EffectivePolicy, folder: &Folder) -> Result<(), Refusal> {
    if folder.from == PolicyLevel::Device {
        return Err(Refusal::FolderOwn);
    }
    if folder.mandatory {
        return Err(Refusal::FolderMandatory);
    }
    policy.user_may(Key::UserMayUnlinkFolders)
}

/// The path as it is stored: without separators at its end. Fails with `folder_path_invalid`, which says why.
pub fn path_parse(os: FolderOs, text: &str) -> Result<String, Refusal> {
    let fails = |why| Err(Refusal::FolderPathInvalid { why });
    if text.len() > PATH_BYTES_MAX {
        return fails("it is longer than 1,024 bytes");
    }
    if text.chars().any(char::is_control) {
        return fails("it has a control character");
    }
    let separators: &[char] = if os == FolderOs::Windows { &['/', '\\'] } else { &['/'] };
    let Some((beginning, rest)) = beginning(os, text) else {
        return fails("it is neither absolute nor begins with ${home}, ${documents} or ${desktop}");
    };
    let rest = rest.trim_end_matches(separators);
    if rest.is_empty() {
        return Ok(beginning.to_owned());
    }
    for part in rest.split(separators) {
        match part {
            "" => return fails("it has an empty name"),
            "." | ".." => return fails("it has . or .. as a name"),
            _ if part.replace(WITHIN, "").contains("${") => return fails("it has a variable that is not known there"),
            _ if os == FolderOs::Windows && part.contains(['<', '>', ':', '"', '|', '?', '*']) => {
                return fails("it has a letter that Windows does not take");
            }
            _ => {}
        }
    }
    Ok(text.trim_end_matches(separators).to_owned())
}

/// The path's beginning, of which nothing is left away, and what follows it.
fn beginning(os: FolderOs, text: &str) -> Option<(&str, &str)> {
    let parts = |at: usize| Some((&text[..at], &text[at..]));
    if let Some(place) = PLACES.into_iter().find(|place| text.starts_with(place)) {
        return match text[place.len()..].chars().next() {
            None => parts(place.len()),
            Some('/') => Some((place, &text[place.len() + 1..])),
            Some('\\') if os == FolderOs::Windows => Some((place, &text[place.len() + 1..])),
            Some(_) => None,
        };
    }
    match (os, text.as_bytes()) {
        (FolderOs::Windows, [drive, b':', b'/' | b'\\', ..]) if drive.is_ascii_alphabetic() => parts(3),
        (FolderOs::Any | FolderOs::Linux | FolderOs::Macos, [b'/', ..]) => parts(1),
        _ => None,
    }
}

impl FolderOs {
    /// Every one, in the order of docs/control.md.
    pub const ALL: [FolderOs; 4] = [FolderOs::Any, FolderOs::Linux, FolderOs::Windows, FolderOs::Macos];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            FolderOs::Any => "any",
            FolderOs::Linux => "linux",
            FolderOs::Windows => "windows",
            FolderOs::Macos => "macos",
        }
    }

    /// The system with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|os| os.word() == word)
    }
}
