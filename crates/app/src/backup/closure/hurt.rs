//! Everything of a snapshot that is lost, file by file: for a scrub, which has found that something is. Refuses to
//! follow what was found whole.

use super::decode::{ChildNamed, ContentNamed, Decoded, Role, decode};
use super::{CONTENTS_MAX, Closure, Index};
use crate::{AppError, frames};
use bytes::Bytes;
use db::Place;
use format::{ChunkId, ChunkKind, ChunkRef, StoredPath};
use std::collections::{BTreeSet, HashSet};

/// Trees and lists that are read at once.
const BATCH: usize = 64;

/// The files, and the folders as wholes, of which something cannot be restored.
#[derive(Debug, Default)]
pub(crate) struct Hurt {
    /// Their paths, in order.
    pub(crate) paths: BTreeSet<StoredPath>,
    /// There are more than were asked for.
    pub(crate) more: bool,
}

/// A tree or list that is looked at.
struct Branch {
    id: ChunkId,
    role: Role,
    path: StoredPath,
}

impl Closure<'_> {
    /// Follows a tree that does not hold to all of its ends. Gives at most `limit` paths.
    ///
    /// # Errors
    /// A database or a store that does not answer.
    pub(crate) async fn hurt(&self, root: &ChunkRef, limit: usize) -> Result<Hurt, AppError> {
        let mut hurt = Hurt::default();
        let mut stack = vec![Branch { id: root.id(), role: Role::Tree, path: StoredPath::root() }];
        while !stack.is_empty() {
            let batch = stack.split_off(stack.len().saturating_sub(BATCH));
            for (branch, plain) in self.read(batch).await? {
                let Some(decoded) = plain.and_then(|plain| decode(&branch.role, &plain).ok()) else {
                    hurt.paths.insert(branch.path);
                    continue;
                };
                for entry in self.lost(&decoded.contents).await? {
                    hurt.paths.insert(below(&branch.path, &decoded, entry));
                }
                let whole = |child: &ChildNamed| !self.fresh.contains_key(&child.id);
                for child in decoded.children.iter().filter(|child| whole(child)) {
                    let path = below(&branch.path, &decoded, child.entry);
                    stack.push(Branch { id: child.id, role: child.role.clone(), path });
                }
            }
            if hurt.paths.len() > limit {
                while hurt.paths.len() > limit {
                    hurt.paths.pop_last();
                }
                hurt.more = true;
                break;
            }
        }
        Ok(hurt)
    }

    /// The plain bytes of branches; None of one that is not there, or cannot be read.
    async fn read(&self, batch: Vec<Branch>) -> Result<Vec<(Branch, Option<Bytes>)>, AppError> {
        let ids: Vec<ChunkId> = batch.iter().map(|branch| branch.id).collect();
        let kind = |branch: &Branch| match branch.role {
            Role::Tree | Role::Page { .. } => ChunkKind::Tree,
            Role::List => ChunkKind::List,
        };
        let places = self.places(&ids).await?;
        let good = places.into_iter().filter(|place| place.kind == kind(&batch[place.position as usize]));
        let good: Vec<Place> = good.filter(|place| !self.is_bad(place)).collect();
        let read = frames::chunks(self.app, &good).await?;
        let mut plain: Vec<Option<Bytes>> = vec![None; batch.len()];
        for (place, bytes) in good.iter().zip(read) {
            plain[place.position as usize] = bytes;
        }
        Ok(batch.into_iter().zip(plain).collect())
    }

    /// The entries that name content which is lost.
    async fn lost(&self, contents: &[ContentNamed]) -> Result<HashSet<usize>, AppError> {
        let mut lost = HashSet::new();
        for contents in contents.chunks(CONTENTS_MAX) {
            let chunks: Vec<(ChunkId, u32)> = contents.iter().map(|content| (content.id, content.len)).collect();
            let fit = self.fit(&chunks).await?;
            lost.extend(contents.iter().zip(fit).filter(|(_, fit)| !fit).map(|(content, _)| content.entry));
        }
        Ok(lost)
    }

    /// Which of these are there as content of their length.
    pub(super) async fn fit(&self, chunks: &[(ChunkId, u32)]) -> Result<Vec<bool>, AppError> {
        let ids: Vec<ChunkId> = chunks.iter().map(|(id, _)| *id).collect();
        let mut fit = vec![false; chunks.len()];
        for place in self.places(&ids).await? {
            let position = place.position as usize;
            let is_right = place.kind == ChunkKind::Content && place.len == chunks[position].1;
            fit[position] = is_right && !self.is_bad(&place);
        }
        Ok(fit)
    }

    async fn places(&self, ids: &[ChunkId]) -> Result<Vec<Place>, AppError> {
        let during = || AppError::db("looking chunks up");
        let mut tx = self.app.db.read().await.map_err(during())?;
        db::chunk_list(&mut tx, self.repository, ids).await.map_err(during())
    }

    /// Whether a scrub has found that the frame does not open.
    fn is_bad(&self, place: &Place) -> bool {
        matches!(self.index, Index::Scrub(bad) if bad.contains(&(place.pack, place.frame)))
    }
}

/// The path of an entry; of a page and of a piece of a list, that of the whole.
fn below(path: &StoredPath, decoded: &Decoded, entry: usize) -> StoredPath {
    let mut path = path.clone();
    let name = decoded.names.of(entry);
    if !name.is_empty() {
        // A path that is too long is cut short: it is only said.
        let _ = path.push(name);
    }
    path
}
