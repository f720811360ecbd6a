//! Here: files that have the name, size and time of the snapshot's, and parts that an earlier restore has left, are
//! read and named, piece by piece; what has its name is not fetched. Refuses to take a size and a time for content.
//! Runs on the pool.

use crate::error::TargetError;
use crate::named;
use crate::ports::Target;
use crate::progress::Progress;
use format::{Meta, NamingKey, Piece, StoredPath};

/// A file that may be here.
pub(super) struct Sought {
    pub path: StoredPath,
    pub size: u64,
    pub meta: Meta,
    pub pieces: Vec<Piece>,
}

/// What was found of it.
pub(super) enum Found {
    /// All of it, under its name; what could not be set of its metadata, or why it could not be finished.
    Whole(Result<Vec<TargetError>, TargetError>),
    /// For each piece, whether it is there.
    Pieces(Vec<bool>),
}

/// Looks for the file, and finishes it if nothing is lacking.
pub(super) fn look(target: &dyn Target, naming: &NamingKey, progress: &Progress, sought: &Sought) -> Found {
    let Sought { path, size, meta, pieces } = sought;
    if let Some(there) = target.there(path, *size, meta)
        && named::all(&*there, naming, pieces).is_ok_and(|is_same| is_same)
    {
        progress.add_bytes_read(*size);
        progress.add_files_seen(1);
        return Found::Whole(Ok(there.dress(meta)));
    }
    let none = || Found::Pieces(vec![false; pieces.len()]);
    let Some(part) = target.part_left(path, *size) else { return none() };
    let mut has = Vec::with_capacity(pieces.len());
    let mut bytes = 0;
    let mut can_go_on = true;
    let named = named::each(&*part, naming, pieces, |_, piece, is_there| {
        // Where nothing is written it must read as zero: such a part is of another file.
        can_go_on = is_there || matches!(piece, Piece::Data { .. });
        has.push(is_there);
        bytes += if is_there { piece.len() } else { 0 };
        can_go_on
    });
    drop(part);
    if named.is_err() || !can_go_on {
        target.discard_part(path);
        return none();
    }
    progress.add_bytes_read(bytes);
    if has.iter().all(|is_there| *is_there) {
        progress.add_files_seen(1);
        let finished = target.finish_file(path, *size, meta);
        return Found::Whole(finished.inspect_err(|_| target.discard_part(path)));
    }
    Found::Pieces(has)
}
