//! Opens a pack and looks at everything in it: keys, names, trees, lists.
//! Refuses whatever is not exactly what it says it is. Pure but for the keys: no I/O, for the threads that may block.

use super::refused;
use crate::AppError;
use crate::keys::RepositoryKeys;
use base::RunId;
use control::Refusal;
use db::{ChunkRow, FrameRow, RunRow};
use format::{ChunkKind, Error, FrameEntry, List, NamingKey, ObjectHeader, OpenPack, Tree, open_pack};

/// What the index of the server learns from a pack.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) header: [u8; ObjectHeader::LEN],
    pub(super) frames: Vec<FrameRow>,
    pub(super) chunks: Vec<ChunkRow>,
}

/// Looks at all of a pack that a device sent in `run`.
///
/// # Errors
/// `pack_not_of_run`, `pack_damaged`, `chunk_name_mismatch`, `tree_damaged`.
pub(super) fn verify(keys: &RepositoryKeys, run: &RunRow, bytes: &[u8]) -> Result<Contents, AppError> {
    let header = ObjectHeader::of_pack(bytes).map_err(damaged)?;
    if header.run != run.new.id || header.key_id != run.new.key_id {
        return Err(refused(&Refusal::PackNotOfRun, &of_other(header.run)));
    }
    let key = keys.seal_key(header.key_id).map(|key| key.run_key(header.run));
    let pack = open_pack(bytes, |_| key).map_err(damaged)?;
    for (number, entry) in (0..).zip(pack.index().frames()) {
        verify_frame(&keys.naming, &pack, number, entry)?;
    }
    let index = pack.into_index();
    let header = *bytes.first_chunk().expect("a pack that opens has a header");
    Ok(Contents { header, frames: FrameRow::all(&index), chunks: ChunkRow::all(&index) })
}

/// Opens one frame, names its chunks again and reads its trees and lists.
pub(crate) fn verify_frame(
    naming: &NamingKey,
    pack: &OpenPack<'_>,
    number: u32,
    entry: &FrameEntry,
) -> Result<(), AppError> {
    let plain = pack.frame(number).map_err(damaged)?;
    entry.verify(number, naming, &plain).map_err(|error| match error {
        Error::Name { .. } => refused(&Refusal::ChunkNameMismatch, &error),
        other => damaged(other),
    })?;
    for (range, chunk) in entry.ranges() {
        let read = match chunk.kind {
            ChunkKind::Content => Ok(()),
            ChunkKind::Tree => Tree::check(&plain[range]),
            ChunkKind::List => List::decode(&plain[range]).map(|_| ()),
        };
        read.map_err(|error| refused(&Refusal::TreeDamaged, &format_args!("{error}, in frame {number}")))?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn damaged(error: Error) -> AppError {
    refused(&Refusal::PackDamaged, &error)
}

fn of_other(run: RunId) -> String {
    format!("it was sealed for {run}")
}
