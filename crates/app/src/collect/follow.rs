//! Follows trees to everything that they need: which trees and lists, and which content.
//! Refuses to follow the same tree twice, and to hold more than a part of what it has seen in memory.

use super::segment::{Mark, mark};
use crate::{App, AppError, frames};
use base::{Bytes as Size, Count};
use bytes::Bytes;
use db::{DbError, Place, Scratch};
use format::{BodyView, ChunkId, ChunkKind, ContentView, Error, List, Piece, Tree, TreeView};
use std::sync::{Arc, Mutex, PoisonError};

/// Trees and lists that are in memory before they are looked at.
const PENDING_MAX: u32 = 1 << 17;
/// Trees and lists that are looked at together.
const BATCH: usize = 1_024;
/// Bytes of trees and lists that are decoded together.
const BATCH_BYTES: Size = Size::mib(4);

/// What was found in a batch of trees and lists.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The trees and lists themselves.
    pub(super) trees: Vec<ChunkId>,
    /// The content that they name.
    pub(super) contents: Vec<ChunkId>,
    /// How many of them could not be read.
    pub(super) flaws: Count,
    /// Bytes that were read for it, in the open.
    pub(super) bytes: Size,
}

/// A walk through trees of one repository.
pub(super) struct Follow<'a> {
    app: &'a App,
    repository: i64,
    /// What was met, and what was put aside; shared with the threads that may block.
    seen: Arc<Mutex<Scratch>>,
    /// Met and not looked at yet; the rest of them is put aside.
    stack: Vec<[u8; 32]>,
    /// New ones that were found and not read yet.
    located: Vec<Place>,
}

impl<'a> Follow<'a> {
    /// A walk that has seen nothing yet, with so much of what it sees in memory.
    ///
    /// # Errors
    /// No scratch file can be made.
    pub(super) fn new(app: &'a App, repository: i64, memory: Size) -> Result<Self, AppError> {
        let mib = u32::try_from(memory.0 >> 20).unwrap_or(u32::MAX);
        let scratch = Scratch::new(mib).map_err(AppError::db("making a scratch file"))?;
        Ok(Self { app, repository, seen: Arc::new(Mutex::new(scratch)), stack: Vec::new(), located: Vec::new() })
    }

    /// Takes in trees that were followed before.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) async fn seen_before(&self, marks: Vec<Mark>) -> Result<(), AppError> {
        self.unseen(marks).await.map(|_| ())
    }

    /// Begins at the root of a snapshot.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) async fn begin(&mut self, root: ChunkId) -> Result<(), AppError> {
        self.push(vec![root]).await
    }

    /// Looks at the next trees; `None` when all were looked at.
    ///
    /// # Errors
    /// A database or a store that does not answer.
    pub(super) async fn step(&mut self) -> Result<Option<Found>, AppError> {
        let mut found = Found::default();
        if self.located.is_empty() {
            if self.stack.is_empty() {
                self.stack = self.scratch(|scratch| scratch.take_back(PENDING_MAX / 2)).await?;
            }
            if self.stack.is_empty() {
                return Ok(None);
            }
            let batch = self.stack.split_off(self.stack.len().saturating_sub(BATCH));
            found.trees = batch.into_iter().map(ChunkId::from_bytes).collect();
            self.locate(&mut found).await?;
        }
        let mut part = Vec::new();
        while let Some(place) = self.located.last()
            && (part.is_empty() || found.bytes.0 + u64::from(place.len) <= BATCH_BYTES.0)
        {
            found.bytes += Size(place.len.into());
            part.extend(self.located.pop());
        }
        self.read(part, &mut found).await?;
        Ok(Some(found))
    }

    /// Notes that these are to be looked at, those of them that were not met before. What is too much is put aside.
    async fn push(&mut self, ids: Vec<ChunkId>) -> Result<(), AppError> {
        let new = self.unseen(ids.iter().map(mark).collect()).await?;
        let new = ids.into_iter().zip(new).filter(|(_, new)| *new);
        self.stack.extend(new.map(|(id, _)| *id.as_bytes()));
        if self.stack.len() > PENDING_MAX as usize {
            let aside: Vec<[u8; 32]> = self.stack.drain(..PENDING_MAX as usize / 2).collect();
            self.scratch(move |scratch| scratch.put_aside(&aside)).await?;
        }
        Ok(())
    }

    /// Finds out where the trees and lists lie. One that is not there is a flaw.
    async fn locate(&mut self, found: &mut Found) -> Result<(), AppError> {
        let during = || AppError::db("looking trees up");
        let mut tx = self.app.db.read().await.map_err(during())?;
        let mut places = db::chunk_list(&mut tx, self.repository, &found.trees).await.map_err(during())?;
        // What it is, its row says: whoever names it as something else does not hide what it names.
        places.retain(|place| place.kind != ChunkKind::Content);
        found.flaws += Count::of(found.trees.len() - places.len());
        self.located = places;
        Ok(())
    }

    async fn read(&mut self, places: Vec<Place>, found: &mut Found) -> Result<(), AppError> {
        let mut below = Vec::new();
        for named in named_by(self.app, places).await? {
            let Some(named) = named else {
                found.flaws += Count(1);
                continue;
            };
            below.extend(named.below);
            found.contents.extend(named.contents);
        }
        self.push(below).await
    }

    /// Which of these were not met before; they are from now on.
    async fn unseen(&self, marks: Vec<Mark>) -> Result<Vec<bool>, AppError> {
        let names: Vec<[u8; 16]> = marks.into_iter().map(Mark::to_be_bytes).collect();
        self.scratch(move |scratch| scratch.insert(&names)).await
    }

    /// Does something with the scratch file, on a thread that may block.
    async fn scratch<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Scratch) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, AppError> {
        let scratch = Arc::clone(&self.seen);
        let done = base::blocking(move || work(&mut scratch.lock().unwrap_or_else(PoisonError::into_inner)));
        let done = done.await.expect("keeping names does not panic, and the runtime is running");
        done.map_err(AppError::db("keeping what was followed"))
    }
}

/// What a tree or list names.
#[derive(Default)]
pub(crate) struct Named {
    /// Trees and lists.
    pub(crate) below: Vec<ChunkId>,
    /// Content.
    pub(crate) contents: Vec<ChunkId>,
}

/// What each of these trees and lists names; `None` for one that cannot be read.
///
/// # Errors
/// A database or a store that does not answer.
pub(crate) async fn named_by(app: &App, places: Vec<Place>) -> Result<Vec<Option<Named>>, AppError> {
    let plain = frames::chunks(app, &places).await?;
    let decoded = base::blocking(move || {
        let named = |(plain, place): (Option<Bytes>, Place)| named(&plain?, place.kind).ok();
        plain.into_iter().zip(places).map(named).collect::<Vec<Option<Named>>>()
    });
    Ok(decoded.await.expect("decoding does not panic, and the runtime is running"))
}

fn named(plain: &[u8], kind: ChunkKind) -> Result<Named, Error> {
    let mut named = Named::default();
    match kind {
        ChunkKind::Content => {}
        ChunkKind::List => pieces(List::decode(plain)?.pieces.into_iter(), &mut named),
        ChunkKind::Tree => match Tree::view(plain)?.1 {
            TreeView::Fan(pages) => named.below.extend(pages.iter().map(|page| page.tree.id())),
            TreeView::Leaf(entries) => {
                for entry in entries {
                    match entry?.body {
                        BodyView::Directory { tree } => named.below.push(tree.id()),
                        BodyView::File { content: ContentView::Pieces(found), .. } => pieces(found, &mut named),
                        BodyView::File { content: ContentView::Lists(lists), .. } => {
                            named.below.extend(lists.map(|list| list.list.id()));
                        }
                        BodyView::File { content: ContentView::Inline(_), .. }
                        | BodyView::Symlink { .. }
                        | BodyView::Fifo
                        | BodyView::Socket
                        | BodyView::CharDevice { .. }
                        | BodyView::BlockDevice { .. } => {}
                    }
                }
            }
        },
    }
    Ok(named)
}

fn pieces(found: impl Iterator<Item = Piece>, named: &mut Named) {
    named.contents.extend(found.filter_map(|piece| match piece {
        Piece::Data { chunk, .. } => Some(chunk.id()),
        Piece::Hole { .. } => None,
    }));
}
