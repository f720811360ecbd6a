//! Listing a disk store in the order of names, reading only the folders that a page needs.
//! Refuses to list what is not an object of the layout: strangers' files and folders are passed over.

use super::files::Files;
use super::layout;
use crate::{ObjectInfo, ObjectName};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::path::{Path, PathBuf};

/// At most `limit` objects whose names begin with `prefix` and are greater than `after`, in order.
///
/// Always opens the folder, or takes the file, that may have the least name of all that are waiting: what a folder
/// holds begins with the folder's own text, so nothing that comes out of it later can be less.
pub(super) fn list(
    files: &dyn Files,
    store: &Path,
    prefix: &str,
    after: Option<&ObjectName>,
    limit: usize,
) -> io::Result<Vec<ObjectInfo>> {
    let wanted = Wanted { prefix, after: after.map_or("", ObjectName::as_str) };
    let mut page = Vec::new();
    let mut waiting = BinaryHeap::from([Reverse(Waiting::root(store))]);
    while page.len() < limit
        && let Some(Reverse(next)) = waiting.pop()
    {
        if next.level == Level::File {
            page.extend(next.into_info(files)?);
        } else {
            waiting.extend(next.children(files)?.into_iter().filter(|child| wanted.may_hold(child)).map(Reverse));
        }
    }
    Ok(page)
}

struct Wanted<'a> {
    prefix: &'a str,
    after: &'a str,
}

impl Wanted<'_> {
    fn may_hold(&self, waiting: &Waiting) -> bool {
        let text = waiting.text.as_str();
        if waiting.level == Level::File {
            return text.starts_with(self.prefix) && text > self.after;
        }
        let meets_prefix = text.starts_with(self.prefix) || self.prefix.starts_with(text);
        // All names that begin with `text` are less than `after` when `text` is and `after` does not begin with it.
        meets_prefix && (text > self.after || self.after.starts_with(text))
    }
}

/// The levels of the layout. A folder comes before a file with the same text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Components,
    OuterFan,
    InnerFan,
    File,
}

/// A folder or file that has not been looked into yet.
#[derive(Debug, PartialEq, Eq)]
struct Waiting {
    /// What all names in it begin with; of a file, its name.
    text: String,
    level: Level,
    /// How much of the text are the components above.
    above_len: usize,
    path: PathBuf,
}

impl Waiting {
    fn root(store: &Path) -> Self {
        Self { text: String::new(), level: Level::Components, above_len: 0, path: store.to_owned() }
    }

    fn children(&self, files: &dyn Files) -> io::Result<Vec<Waiting>> {
        let mut children = Vec::new();
        let read = match files.list(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(children),
            read => read?,
        };
        for found in read {
            if let Some(name) = found.name.to_str() {
                children.extend(self.child(name, found.is_folder));
            }
        }
        Ok(children)
    }

    /// What a directory entry is at this level; None for a stranger.
    fn child(&self, name: &str, is_folder: bool) -> Option<Waiting> {
        let above = &self.text[..self.above_len];
        let (level, text) = match (self.level, name.strip_prefix('+'), is_folder) {
            (Level::Components, Some(head), true) if head.len() <= 2 => (Level::OuterFan, format!("{above}{head}")),
            (Level::Components, None, true) => {
                ObjectName::new(name).ok()?;
                (Level::Components, format!("{above}{name}/"))
            }
            (Level::OuterFan, Some(head), true) => (Level::InnerFan, format!("{}{head}", self.text)),
            (Level::InnerFan, None, false) => {
                let (outer, inner) = layout::heads(name);
                let in_place = self.text[self.above_len..] == format!("{outer}{inner}");
                (Level::File, in_place.then(|| format!("{above}{name}"))?)
            }
            _ => return None,
        };
        let above_len = if level == Level::Components { text.len() } else { self.above_len };
        Some(Waiting { text, level, above_len, path: self.path.join(name) })
    }

    /// The line of the listing; None when the object has been removed since its folder was read.
    fn into_info(self, files: &dyn Files) -> io::Result<Option<ObjectInfo>> {
        let Ok(name) = ObjectName::new(self.text) else { return Ok(None) };
        Ok(files.size(&self.path)?.map(|size| ObjectInfo { name, size }))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.text, self.level, &self.path).cmp(&(&other.text, other.level, &other.path))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
