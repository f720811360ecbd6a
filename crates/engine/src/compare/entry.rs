//! One entry: what the snapshot says of it beside what the disk has. Runs on the pool.
//! Refuses to open anything but regular files.

use super::Aspect;
use crate::error::SourceError;
use crate::named;
use crate::ports::{EntryKind, Source, Stat};
use format::{Content, Entry, EntryBody, NamingKey, Piece, StoredPath};

/// An entry of the snapshot, and what has its name here.
pub(super) struct Pair {
    pub path: StoredPath,
    pub entry: Entry,
    pub stat: Stat,
    /// Whether its names here and in the snapshot belong together in another way.
    pub is_linked_otherwise: bool,
    /// Whether it is the same file as an earlier name, with which its content was compared.
    pub is_further_name: bool,
}

/// What became of a pair: in what it differs, and how many bytes were compared.
pub(super) struct Compared {
    pub what: Vec<Aspect>,
    pub bytes: u64,
}

/// Compares a pair.
///
/// # Errors
/// The entry cannot be read.
pub(super) fn compare(source: &dyn Source, naming: &NamingKey, pair: &Pair) -> Result<Compared, SourceError> {
    let Pair { path, entry, stat, .. } = pair;
    let mut compared = Compared { what: Vec::new(), bytes: 0 };
    if stat.kind != EntryKind::of(&entry.body) {
        compared.what.push(Aspect::Kind);
        return Ok(compared);
    }
    let mut differs = |is_same: bool, aspect: Aspect| {
        if !is_same {
            compared.what.push(aspect);
        }
    };
    let details = source.details(path, stat.kind)?;
    match &entry.body {
        EntryBody::File { size, .. } if stat.size != *size => differs(false, Aspect::Size),
        EntryBody::File { size, content } if !pair.is_further_name => {
            differs(has_content(source, naming, path, *size, content)?, Aspect::Content);
            compared.bytes = *size;
        }
        EntryBody::Symlink { target } => differs(details.target == *target, Aspect::LinkTarget),
        EntryBody::CharDevice { major, minor } | EntryBody::BlockDevice { major, minor } => {
            differs(stat.rdev == (*major, *minor), Aspect::Numbers);
        }
        EntryBody::File { .. } | EntryBody::Directory { .. } | EntryBody::Fifo | EntryBody::Socket => {}
    }
    let mut differs = |is_same: bool, aspect: Aspect| {
        if !is_same {
            compared.what.push(aspect);
        }
    };
    let meta = &entry.meta;
    let (uid, gid) = source.owner(meta);
    differs(!pair.is_linked_otherwise, Aspect::HardLink);
    // A link's mode means nothing and cannot be set.
    differs(stat.kind == EntryKind::Symlink || stat.mode == meta.mode, Aspect::Mode);
    differs(stat.uid == uid, Aspect::User);
    differs(stat.gid == gid, Aspect::Group);
    differs(stat.mtime == meta.mtime, Aspect::Mtime);
    differs(details.xattrs == meta.xattrs, Aspect::Xattrs);
    Ok(compared)
}

fn has_content(
    source: &dyn Source,
    naming: &NamingKey,
    path: &StoredPath,
    size: u64,
    content: &Content,
) -> Result<bool, SourceError> {
    if size == 0 {
        return Ok(true);
    }
    let file = source.open(path)?;
    // RACE: what has taken a file's place since it was looked at is not read: it may have no end.
    file.stat()?;
    match content {
        Content::Inline(bytes) => {
            let mut read = vec![0; bytes.len()];
            Ok(file.read_at(0, &mut read)? == bytes.len() && read == *bytes)
        }
        Content::Pieces(pieces) => named::all(&*file, naming, pieces),
        // The walk has put their pieces in the place of lists.
        Content::Lists(_) => Ok(false),
    }
}

/// How many bytes will be read for a pair, roughly: what makes a batch large.
pub(super) fn cost(pair: &Pair) -> u64 {
    match &pair.entry.body {
        EntryBody::File { size, content: Content::Pieces(pieces) } if pair.stat.size == *size => {
            pieces.iter().map(|piece| if let Piece::Data { len, .. } = piece { u64::from(*len) } else { 0 }).sum()
        }
        _ => 0,
    }
}
