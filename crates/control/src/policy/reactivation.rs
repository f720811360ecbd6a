//! What a reactivation does to what a device's user has chosen. Refuses to touch anything else: what admins have set
//! stays, at every level. Rules: docs/control.md, "Policies".

use super::folder::may_unlink;
use super::{EffectivePolicy, Folder, Key, Levels, Value, effective};
use base::FolderId;
use std::fmt;

/// What a reactivation has changed, or (`kept`) has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyChanges {
    /// True when the profile, or who has asked for it, keeps the user's choices: the
    /// lists say what still differs, and nothing was changed.
    pub kept: bool,
    /// The folders that the user had taken out, and that are back.
    pub folders: Vec<FolderChange>,
    /// The user's own values, and what holds instead.
    pub values: Vec<ValueChange>,
}

/// A folder that the user had taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderChange {
    /// Which.
    pub folder: FolderId,
    /// As it was written.
    pub path: String,
}

/// A value that the user had set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueChange {
    /// Of which policy.
    pub key: Key,
    /// The user's value.
    pub was: Value,
    /// What holds without it.
    pub now: Value,
}

/// What a reactivation changes for a device with these levels, folders and unlinked list. The list is cleared whole,
/// also of what no longer counts; named are the folders that come back by it. `takes_over`: whoever activates has
/// asked for the device's own settings, which keeps them as the profile may do. Never fails.
pub fn reactivation(levels: &Levels, folders: &[Folder], unlinked: &[FolderId], takes_over: bool) -> PolicyChanges {
    let policy = effective(levels);
    let back = |folder: &&Folder| unlinked.contains(&folder.id) && may_unlink(&policy, folder).is_ok();
    let folders =
        folders.iter().filter(back).map(|folder| FolderChange { folder: folder.id, path: folder.path.clone() });
    let without = effective(&levels.without_user_resets());
    let value = |key: &&Key| {
        let own = levels.own_value(**key).filter(|_| key.resets())?;
        Some(ValueChange { key: **key, was: own.clone(), now: without.value(**key).clone() })
    };
    PolicyChanges {
        kept: takes_over || policy.keeps_on_reactivation(),
        folders: folders.collect(),
        values: Key::ALL.iter().filter_map(|key| value(&key)).collect(),
    }
}

impl EffectivePolicy {
    /// Does a reactivation leave the user's choices? Never fails.
    pub fn keeps_on_reactivation(&self) -> bool {
        *self.value(Key::OnReactivation) == Value::Word("keep")
    }
}

impl PolicyChanges {
    /// Is there nothing that differed? Never fails.
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.values.is_empty()
    }

    /// One text, for storage; `from_text` reads it. Neither paths nor these values have line ends or tabs. Never fails.
    pub fn to_text(&self) -> String {
        let mut text = String::from(if self.kept { "kept\n" } else { "reset\n" });
        for FolderChange { folder, path } in &self.folders {
            text.push_str(&format!("folder\t{folder}\t{path}\n"));
        }
        for ValueChange { key, was, now } in &self.values {
            text.push_str(&format!("value\t{key}\t{was}\t{now}\n"));
        }
        text
    }

    /// Reads what `to_text` wrote; the empty text is nothing changed. `None` for any other text. Never fails.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut lines = text.lines();
        let mut changes = match lines.next()? {
            "kept" => Self { kept: true, ..Self::default() },
            "reset" => Self::default(),
            _ => return None,
        };
        for line in lines {
            match line.split('\t').collect::<Vec<&str>>()[..] {
                ["folder", folder, path] => {
                    changes.folders.push(FolderChange { folder: folder.parse().ok()?, path: path.to_owned() });
                }
                ["value", key, was, now] => {
                    let key = Key::from_word(key)?;
                    let parse = |text| Value::parse(key, text).ok();
                    changes.values.push(ValueChange { key, was: parse(was)?, now: parse(now)? });
                }
                _ => return None,
            }
        }
        Some(changes)
    }
}

impl fmt::Display for PolicyChanges {
    /// For the audit log: `linked again: ${home}/Music; taken back: interval 1h to 4h`. Empty when nothing differed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        let folders: Vec<&str> = self.folders.iter().map(|change| change.path.as_str()).collect();
        let values = self.values.iter().map(|change| match self.kept {
            true => format!("{} {}", change.key, change.was),
            false => format!("{} {} to {}", change.key, change.was, change.now),
        });
        let values: Vec<String> = values.collect();
        let (linked, taken) = match self.kept {
            true => ("still unlinked", "kept"),
            false => ("linked again", "taken back"),
        };
        let parts = [(linked, folders.join(", ")), (taken, values.join(", "))];
        let parts: Vec<String> =
            parts.iter().filter(|(_, list)| !list.is_empty()).map(|(word, list)| format!("{word}: {list}")).collect();
        f.write_str(&parts.join("; "))
    }
}
