//! Who needs what, of one repository: the trees that name each other, which devices need each of them, and what follows
//! for chunks. Refuses to look at a tree before all that name it: then whoever needs it is known. All of it blocks, so
//! it goes on threads that may.

use super::sets::{Label, Sets};
use super::sorted::{Merged, Sorter};
use super::subjects::Subjects;
use crate::AppError;
use crate::collect::follow::Named;
use crate::collect::segment::mark;
use base::{Bytes as Size, Count};
use control::storage::sealed_part;
use db::{ChunkStoredRow, DbError, GraphScratch};
use format::ChunkId;
use std::sync::{Arc, Mutex, PoisonError};

/// Nobody is known to need it yet.
const NOBODY: Label = Label::MAX;

/// A graph, and the way to threads that may block.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Graph>>);

/// The trees of a repository, who needs them, and what they name.
pub(super) struct Graph {
    scratch: GraphScratch,
    /// By the number of a tree: how many trees name it that were not looked at, and who needs it.
    parents: Vec<u32>,
    needed_by: Vec<Label>,
    /// Trees of which all that name them were looked at.
    ready: Vec<u32>,
    /// How many trees were given out to be read.
    given: u32,
    sorter: Option<Sorter>,
    merged: Option<Merged>,
    sets: Sets,
    memory: Size,
}

impl Shared {
    /// An empty graph for so many devices, with so much memory; up to 24 bytes for each tree come on top.
    ///
    /// # Errors
    /// No scratch file can be made.
    pub(super) fn new(memory: Size, devices: usize) -> Result<Self, AppError> {
        let mib = u32::try_from((memory.0 / 4) >> 20).unwrap_or(u32::MAX);
        let scratch = GraphScratch::new(mib).map_err(AppError::db("making a scratch file"))?;
        Ok(Self(Arc::new(Mutex::new(Graph {
            scratch,
            parents: Vec::new(),
            needed_by: Vec::new(),
            ready: Vec::new(),
            given: 0,
            sorter: Some(Sorter::new(memory.0 / 4)),
            merged: None,
            sets: Sets::new(devices, Size(memory.0 / 4)).map_err(AppError::db("making a scratch file"))?,
            memory,
        }))))
    }

    /// Does something with the graph, on a thread that may block.
    ///
    /// # Errors
    /// What `work` says.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Graph) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, AppError> {
        let graph = Arc::clone(&self.0);
        let done = base::blocking(move || work(&mut graph.lock().unwrap_or_else(PoisonError::into_inner)));
        let done = done.await.expect("what is done with a graph does not panic, and the runtime is running");
        done.map_err(AppError::db("keeping who needs what"))
    }
}

impl Graph {
    /// Takes in roots of snapshots, each with the number of its device.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn roots(&mut self, roots: &[(ChunkId, u32)]) -> Result<(), DbError> {
        let ids: Vec<[u8; 32]> = roots.iter().map(|(id, _)| *id.as_bytes()).collect();
        let numbers = self.numbers(&ids)?;
        numbers.into_iter().zip(roots).try_for_each(|(tree, (_, device))| self.needs(*device, tree))
    }

    /// The next trees that are to be read, at most so many: the number of the first, and their names.
    ///
    /// # Errors
    /// The disk is full, or the file cannot be read.
    pub(super) fn unread(&mut self, limit: u32) -> Result<(u32, Vec<ChunkId>), DbError> {
        let first = self.given;
        let ids = self.scratch.tree_list(first, limit)?;
        for (tree, id) in (first..).zip(&ids) {
            // Whoever needs a tree needs the chunk that it is.
            self.record(&ChunkId::from_bytes(*id), tree)?;
            self.given = tree + 1;
        }
        Ok((first, ids.into_iter().map(ChunkId::from_bytes).collect()))
    }

    /// Takes in what a tree names.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn named(&mut self, tree: u32, named: &Named) -> Result<(), DbError> {
        for content in &named.contents {
            self.record(content, tree)?;
        }
        let ids: Vec<[u8; 32]> = named.below.iter().map(|id| *id.as_bytes()).collect();
        let mut below = self.numbers(&ids)?;
        below.sort_unstable();
        below.dedup();
        if below.is_empty() {
            return Ok(());
        }
        below.iter().for_each(|tree| self.parents[*tree as usize] += 1);
        self.scratch.child_insert(tree, &below)
    }

    /// All trees were read: begins to say who needs which.
    pub(super) fn settle(&mut self) {
        let unnamed = (0_u32..).zip(&self.parents).filter(|(_, parents)| **parents == 0);
        self.ready = unnamed.map(|(tree, _)| tree).collect();
    }

    /// Says of so many trees who needs what they name. Gives whether there are more.
    ///
    /// # Errors
    /// The disk is full, or the file cannot be read.
    pub(super) fn settle_some(&mut self, count: usize) -> Result<bool, DbError> {
        for _ in 0..count {
            let Some(tree) = self.ready.pop() else { return Ok(false) };
            // INVARIANT: every tree was met as a root or beneath another one that was looked at before it.
            let label = self.needed_by[tree as usize];
            assert!(label != NOBODY, "a tree that nobody needs is not in the graph");
            for below in self.scratch.child_list(tree)? {
                self.needs(label, below)?;
                let parents = &mut self.parents[below as usize];
                *parents -= 1;
                if *parents == 0 {
                    self.ready.push(below);
                }
            }
        }
        Ok(true)
    }

    /// Weighs chunks, which come in the order of their names through all calls. Gives how many are needed that lie
    /// between them and are not there.
    ///
    /// # Errors
    /// The disk is full, or the file cannot be read.
    pub(super) fn weigh(&mut self, chunks: &[ChunkStoredRow]) -> Result<Count, DbError> {
        let mut merged = self.merged()?;
        let (mut missing, mut trees) = (Count(0), Vec::new());
        for chunk in chunks {
            missing += Count(merged.take(&mut self.scratch, mark(&chunk.id), &mut trees)?);
            let mut labels: Vec<Label> = trees.iter().map(|tree| self.needed_by[*tree as usize]).collect();
            if labels.is_empty() {
                continue;
            }
            labels.sort_unstable();
            labels.dedup();
            let label = self.sets.union(&labels)?;
            let part = sealed_part(chunk.at, chunk.len, chunk.frame_sealed, chunk.frame_plain);
            self.sets.count(label, chunk.len, part)?;
        }
        self.merged = Some(merged);
        Ok(missing)
    }

    /// How many chunks are needed that come after all that are there.
    ///
    /// # Errors
    /// The disk is full, or the file cannot be read.
    pub(super) fn missing_after(&mut self) -> Result<Count, DbError> {
        let mut merged = self.merged()?;
        let mut last = Vec::new();
        let passed = merged.take(&mut self.scratch, u128::MAX, &mut last)?;
        Ok(Count(passed + u64::from(!last.is_empty())))
    }

    /// Divides what was weighed among devices, users and profiles.
    ///
    /// # Errors
    /// The disk is full, or the file cannot be read.
    pub(super) fn distribute(&mut self, mut subjects: Subjects) -> Result<Subjects, DbError> {
        let memory = Size(self.memory.0 / 8);
        let mut users = Sets::new(subjects.users.len(), memory)?;
        let mut profiles = Sets::new(subjects.profiles.len(), memory)?;
        let Subjects { devices, user_of, profile_of, .. } = &mut subjects;
        self.sets.each(|members, plain, stored| {
            devices.divide(members, plain, stored);
            for (sets, above) in [(&mut users, &*user_of), (&mut profiles, &*profile_of)] {
                let mut of: Vec<u32> = members.iter().map(|device| above[*device as usize]).collect();
                of.sort_unstable();
                of.dedup();
                let label = sets.union(&of)?;
                sets.count(label, plain, stored)?;
            }
            Ok(())
        })?;
        for (sets, level) in [(&mut users, &mut subjects.users), (&mut profiles, &mut subjects.profiles)] {
            sets.each(|members, plain, stored| {
                level.divide(members, plain, stored);
                Ok(())
            })?;
        }
        Ok(subjects)
    }

    fn numbers(&mut self, ids: &[[u8; 32]]) -> Result<Vec<u32>, DbError> {
        let numbers = self.scratch.tree_number(ids)?;
        self.parents.resize(self.scratch.trees() as usize, 0);
        self.needed_by.resize(self.scratch.trees() as usize, NOBODY);
        Ok(numbers)
    }

    /// Whoever has this label needs the tree.
    fn needs(&mut self, label: Label, tree: u32) -> Result<(), DbError> {
        let before = self.needed_by[tree as usize];
        if before != label {
            let both = [before.min(label), before.max(label)];
            self.needed_by[tree as usize] = if before == NOBODY { label } else { self.sets.union(&both)? };
        }
        Ok(())
    }

    fn record(&mut self, named: &ChunkId, tree: u32) -> Result<(), DbError> {
        let sorter = self.sorter.as_mut().expect("what trees name is taken in before chunks are weighed");
        sorter.push(&mut self.scratch, mark(named), tree)
    }

    fn merged(&mut self) -> Result<Merged, DbError> {
        match (self.merged.take(), self.sorter.take()) {
            (Some(merged), _) => Ok(merged),
            (None, sorter) => sorter.expect("there is one until the first chunk is weighed").merged(&mut self.scratch),
        }
    }
}
