//! Closure: follows a tree to its ends and finds out whether everything that it names is there, and is as much as it
//! says. Refuses to take a tree's word for anything, to keep more than a bounded part of it in memory, and to follow
//! the same tree twice: what was found whole is remembered in table `closed`.

mod branches;
mod broken;
mod decode;
mod hurt;

use crate::{App, AppError, frames};
use base::{Bytes as Size, Count, Planted, Span, is_planted};
use branches::{Branch, Branches, Waiter};
pub(crate) use broken::{Broken, Flaw};
use bytes::Bytes;
use control::Refusal;
use db::{ClosedRow, Place, Shape, Tx};
use decode::{ChildNamed, Decoded, Role, decode};
use format::{ChunkId, ChunkKind, ChunkRef, StoredPath, Totals};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Trees and lists that are looked at together: enough for one statement to be worth its while.
const BATCH_BRANCHES: usize = 1_024;
/// Bytes of trees and lists that are decoded together.
const BATCH_BYTES: Size = Size::mib(4);
/// Content that is looked up by one statement.
const CONTENTS_MAX: usize = 8_192;
/// Trees found whole that are remembered in memory before they are written to the table.
const FRESH_MAX: usize = 8_192;
/// The same where the table is not used (scrub): about 100 MB.
const FRESH_SCRUB_MAX: usize = 1_000_000;
/// Trees waiting for their turn, or for what is beneath them: about 150 MB. Directories under way never come near.
const BRANCHES_MAX: usize = 1_000_000;
/// First and last names of pages that are remembered.
const ENDS_BYTES_MAX: usize = 8 << 20;
/// How often a walk begins anew because a pack was marked as damaged meanwhile.
pub(crate) const WALKS_MAX: u32 = 5;
/// When a device whose walk was overtaken that often should come again.
pub(crate) const AGAIN_SPAN: Span = Span::minutes(1);

/// Where closure looks chunks up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Index<'a> {
    /// In the index, with what is known to be closed: for a commit.
    Known,
    /// In the index alone, and these frames of packs do not open: for scrub.
    Scrub(&'a HashSet<(i64, u32)>),
}

/// What a walk found: everything beneath the root, or what is wrong first.
type Walked = Result<Totals, Broken>;

/// A walk. One can be used for several roots of a repository, one after the other.
pub(crate) struct Closure<'a> {
    app: &'a App,
    repository: i64,
    index: Index<'a>,
    branches: Branches,
    /// Branches that nobody has looked at yet.
    stack: Vec<usize>,
    /// Branches by their chunk, pages aside: a tree that is named twice is followed once.
    known: HashMap<ChunkId, usize>,
    /// What was found whole and is not in the table.
    fresh: HashMap<ChunkId, (Shape, Totals)>,
    /// First and last names of pages.
    ends: HashMap<ChunkId, (Vec<u8>, Vec<u8>)>,
    ends_bytes: usize,
    root: Option<Totals>,
    /// How many damages the repository had when the walk began.
    damages: Count,
    /// Packs that the walk needs and that are condemned.
    condemned: BTreeSet<i64>,
}

/// Why a walk stops.
enum Stop {
    Broken(Broken),
    App(AppError),
    /// A pack was marked as damaged or is about to be removed since the walk began: what it has found does not count.
    Overtaken,
}

impl<'a> Closure<'a> {
    /// A walk through trees of this repository.
    pub(crate) fn new(app: &'a App, repository: i64, index: Index<'a>) -> Self {
        Self {
            app,
            repository,
            index,
            branches: Branches::default(),
            stack: Vec::new(),
            known: HashMap::new(),
            fresh: HashMap::new(),
            ends: HashMap::new(),
            ends_bytes: 0,
            root: None,
            damages: Count(0),
            condemned: BTreeSet::new(),
        }
    }

    /// Follows the tree `root` to its ends.
    ///
    /// # Errors
    /// A database or a store that does not answer. What is wrong with the tree is no error but an answer.
    pub(crate) async fn walk(&mut self, root: &ChunkRef) -> Result<Walked, AppError> {
        for _ in 0..WALKS_MAX {
            match self.walk_once(root).await {
                Ok(totals) => return Ok(Ok(totals)),
                Err(Stop::Broken(broken)) => return Ok(Err(broken)),
                Err(Stop::App(error)) => return Err(error),
                Err(Stop::Overtaken) => {}
            }
        }
        Err(Refusal::ServerBusy { left: AGAIN_SPAN }.into())
    }

    async fn walk_once(&mut self, root: &ChunkRef) -> Result<Totals, Stop> {
        self.branches = Branches::default();
        self.stack.clear();
        self.known.clear();
        self.condemned.clear();
        self.root = None;
        if matches!(self.index, Index::Known) {
            let during = || AppError::db("counting damages");
            let mut tx = self.app.db.read().await.map_err(during())?;
            self.damages = db::repository_damages_get(&mut tx, self.repository).await.map_err(during())?;
            self.fresh.clear();
        }
        self.push(ChildNamed { id: root.id(), role: Role::Tree, said: None, entry: 0 }, None, &[]);
        while !self.stack.is_empty() {
            self.step().await?;
        }
        Ok(self.root.expect("names are digests, so no tree is beneath itself, and all others have been followed"))
    }

    /// Makes sure, in the transaction that builds on it, that what was found still counts: no pack was marked as
    /// damaged since the walk began, and no pack that it needs is condemned any longer. Otherwise the walk begins anew.
    ///
    /// # Errors
    /// As the database says.
    pub(crate) async fn hold(&self, tx: &mut Tx) -> Result<bool, AppError> {
        let during = || AppError::db("counting damages");
        if db::repository_damages_get(tx, self.repository).await.map_err(during())? != self.damages {
            return Ok(false);
        }
        // INVARIANT: nothing beneath what is closed, or beneath a snapshot, is condemned: whoever says so takes it back
        // in the same transaction.
        let needed: Vec<i64> = self.condemned.iter().copied().filter(|_| !is_planted(Planted::ClosureUnheld)).collect();
        let rescued = db::pack_rescued_update(tx, &needed).await.map_err(AppError::db("rescuing condemned packs"))?;
        Ok(rescued.len() == needed.len())
    }

    /// What was found whole and is not in the table yet; to be written with the snapshot.
    pub(crate) fn fresh(&self) -> Vec<ClosedRow> {
        rows(&self.fresh)
    }

    /// Looks at the next few branches.
    async fn step(&mut self) -> Result<(), Stop> {
        let batch = self.stack.split_off(self.stack.len().saturating_sub(BATCH_BRANCHES));
        let unread = self.settle_closed(batch).await?;
        let (batch, places) = self.locate(unread).await?;
        let plain = frames::chunks(self.app, &places).await?;
        let decoded = self.decode(&batch, plain).await?;
        self.check_contents(&batch, &decoded).await?;
        for (branch, decoded) in batch.into_iter().zip(decoded) {
            self.settle(branch, decoded)?;
        }
        self.flush().await
    }

    /// Settles those of the branches that were found whole before, and gives the others.
    async fn settle_closed(&mut self, batch: Vec<usize>) -> Result<Vec<usize>, Stop> {
        let ids: Vec<ChunkId> = batch.iter().map(|branch| self.branches.get(*branch).id).collect();
        let mut closed: Vec<Option<(Shape, Totals)>> = ids.iter().map(|id| self.fresh.get(id).copied()).collect();
        if matches!(self.index, Index::Known) {
            let during = || AppError::db("looking closed trees up");
            let mut tx = self.app.db.read().await.map_err(during())?;
            for (position, row) in db::closed_list(&mut tx, self.repository, &ids).await.map_err(during())? {
                closed[position as usize] = Some((row.shape, row.totals));
            }
        }
        let mut unread = Vec::new();
        for (branch, closed) in batch.into_iter().zip(closed) {
            let Some((shape, totals)) = closed else {
                unread.push(branch);
                continue;
            };
            let (id, role) = (self.branches.get(branch).id, self.branches.get(branch).role.clone());
            match (role, shape) {
                (Role::Tree, Shape::Leaf | Shape::Fan) | (Role::List, Shape::List) => {
                    self.finish(branch, shape, totals)?;
                }
                (Role::Page { pages, number }, Shape::Leaf) => match self.ends.get(&id) {
                    Some((first, last)) => {
                        let before_next = pages.get(number + 1).is_none_or(|next| *last < next.first);
                        if *first != pages[number].first || !before_next {
                            return Err(self.broken(branch, Flaw::Page));
                        }
                        self.finish(branch, shape, totals)?;
                    }
                    // Which names a page has is not remembered for ever: it is read for them.
                    None => unread.push(branch),
                },
                (Role::Tree | Role::Page { .. }, Shape::List)
                | (Role::List, Shape::Leaf | Shape::Fan)
                | (Role::Page { .. }, Shape::Fan) => return Err(self.broken(branch, Flaw::Missing)),
            }
        }
        Ok(unread)
    }

    /// Finds out where branches lie; as many as are decoded together, the others go back on the stack.
    async fn locate(&mut self, branches: Vec<usize>) -> Result<(Vec<usize>, Vec<Place>), Stop> {
        let ids: Vec<ChunkId> = branches.iter().map(|branch| self.branches.get(*branch).id).collect();
        let during = || AppError::db("looking trees up");
        let mut tx = self.app.db.read().await.map_err(during())?;
        let mut places: Vec<Option<Place>> = vec![None; branches.len()];
        match self.index {
            // INVARIANT: what lies in a damaged pack is never closed, even while the cache still has it: only so is it
            // sent again.
            Index::Known => {
                let found = db::chunk_whole_list(&mut tx, self.repository, &ids).await.map_err(during())?;
                for (place, condemned) in found {
                    self.condemned.extend(condemned.then_some(place.pack));
                    places[place.position as usize] = Some(place);
                }
            }
            Index::Scrub(_) => {
                for place in db::chunk_list(&mut tx, self.repository, &ids).await.map_err(during())? {
                    places[place.position as usize] = Some(place);
                }
            }
        }
        drop(tx);
        let (mut batch, mut located, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (branch, place) in branches.into_iter().zip(places) {
            let kind = match self.branches.get(branch).role {
                Role::Tree | Role::Page { .. } => ChunkKind::Tree,
                Role::List => ChunkKind::List,
            };
            let place = place.filter(|place| place.kind == kind).ok_or_else(|| self.broken(branch, Flaw::Missing))?;
            // A frame that was found damaged in the store may still be whole in the cache.
            if matches!(self.index, Index::Scrub(bad) if bad.contains(&(place.pack, place.frame))) {
                return Err(self.broken(branch, Flaw::Damaged));
            }
            bytes += u64::from(place.len);
            if batch.is_empty() || bytes <= BATCH_BYTES.0 {
                batch.push(branch);
                located.push(place);
            } else {
                self.stack.push(branch);
            }
        }
        Ok((batch, located))
    }

    async fn decode(&self, batch: &[usize], plain: Vec<Option<Bytes>>) -> Result<Vec<Decoded>, Stop> {
        let _turn = self.app.plane.verifiers.acquire().await.expect("the semaphore is never closed");
        let mut work = Vec::with_capacity(batch.len());
        for (branch, plain) in batch.iter().zip(plain) {
            let plain = plain.ok_or_else(|| self.broken(*branch, Flaw::Damaged))?;
            work.push((self.branches.get(*branch).role.clone(), plain));
        }
        let decoded = base::blocking(move || {
            work.iter().map(|(role, plain)| decode(role, plain)).collect::<Vec<Result<Decoded, format::Error>>>()
        });
        let decoded = decoded.await.expect("decoding does not panic, and the runtime is running");
        let check = |(branch, decoded): (&usize, Result<Decoded, format::Error>)| {
            // Uploads refuse trees that do not decode: what is wrong here is the place at which one is named.
            let decoded = decoded.map_err(|_| {
                let is_page = matches!(self.branches.get(*branch).role, Role::Page { .. });
                self.broken(*branch, if is_page { Flaw::Page } else { Flaw::Damaged })
            })?;
            let countable = decoded.declared.bytes.0.max(decoded.declared.entries.0) <= i64::MAX as u64;
            if countable { Ok(decoded) } else { Err(self.broken(*branch, Flaw::TooLarge)) }
        };
        batch.iter().zip(decoded).map(check).collect()
    }

    /// Looks up the content that the branches name.
    async fn check_contents(&mut self, batch: &[usize], decoded: &[Decoded]) -> Result<(), Stop> {
        let named = batch
            .iter()
            .zip(decoded)
            .flat_map(|(branch, decoded)| decoded.contents.iter().map(move |content| (*branch, decoded, content)));
        let named: Vec<_> = named.collect();
        for named in named.chunks(CONTENTS_MAX) {
            let chunks: Vec<(ChunkId, u32)> = named.iter().map(|(_, _, content)| (content.id, content.len)).collect();
            if let Some(position) = self.unfit(&chunks).await? {
                let (branch, decoded, content) = named[position];
                let mut broken = self.broken_at(branch, Flaw::Missing);
                // A path that is too long is cut short: it is only said.
                let _ = broken.path.push(decoded.names.of(content.entry));
                return Err(Stop::Broken(broken));
            }
        }
        Ok(())
    }

    /// The place in the list of the first chunk that is not there as content of its length.
    async fn unfit(&mut self, chunks: &[(ChunkId, u32)]) -> Result<Option<usize>, AppError> {
        match self.index {
            Index::Known => {
                let during = || AppError::db("looking content up");
                let mut tx = self.app.db.read().await.map_err(during())?;
                let claims = db::chunk_content_claim_list(&mut tx, self.repository, chunks).await.map_err(during())?;
                self.condemned.extend(claims.condemned.iter().map(|(_, pack)| *pack));
                Ok(claims.missing.first().map(|position| *position as usize))
            }
            Index::Scrub(_) => Ok(self.fit(chunks).await?.iter().position(|fit| !fit)),
        }
    }

    /// Takes in what a branch was found to hold, and waits for what it names.
    fn settle(&mut self, index: usize, decoded: Decoded) -> Result<(), Stop> {
        self.remember_ends(index, &decoded);
        let branch = self.branches.get_mut(index);
        (branch.shape, branch.declared, branch.sum) = (decoded.shape, decoded.declared, decoded.own);
        if let Some((shape, totals)) = self.fresh.get(&self.branches.get(index).id).copied() {
            return self.finish(index, shape, totals);
        }
        // The branch itself counts as one that it waits for, so that it is not finished before all are counted.
        self.branches.get_mut(index).waiting = 1;
        for child in decoded.children {
            let whole = matches!(child.role, Role::Tree).then(|| self.fresh.get(&child.id).copied()).flatten();
            match whole {
                Some((Shape::Leaf | Shape::Fan, totals)) => self.branches.get_mut(index).sum += totals,
                Some((Shape::List, _)) | None => {
                    self.branches.get_mut(index).waiting += 1;
                    self.push(child.clone(), Some(index), decoded.names.of(child.entry));
                }
            }
        }
        if self.branches.len() > BRANCHES_MAX {
            return Err(self.broken(index, Flaw::TooLarge));
        }
        self.child_whole(index)
    }

    fn remember_ends(&mut self, index: usize, decoded: &Decoded) {
        let branch = self.branches.get(index);
        let (Role::Page { .. }, Some((first, last))) = (&branch.role, decoded.names.ends()) else { return };
        if self.ends_bytes > ENDS_BYTES_MAX {
            self.ends.clear();
            self.ends_bytes = 0;
        }
        self.ends_bytes += first.len() + last.len();
        self.ends.insert(branch.id, (first.to_vec(), last.to_vec()));
    }

    /// Puts a chunk that is named on the stack, or waits for the one that is there already.
    fn push(&mut self, child: ChildNamed, parent: Option<usize>, name: &[u8]) {
        let waiter = parent.map(|branch| Waiter { branch, said: child.said });
        let is_page = matches!(child.role, Role::Page { .. });
        if let Some(branch) = self.known.get(&child.id).filter(|_| !is_page) {
            let branch = self.branches.get_mut(*branch);
            // A chunk named as a tree here and as a list there is found out by the one that is looked at.
            if std::mem::discriminant(&branch.role) == std::mem::discriminant(&child.role) {
                branch.waiters.extend(waiter);
                return;
            }
        }
        let (id, role) = (child.id, child.role);
        let branch = Branch {
            id,
            role,
            waiters: waiter.into_iter().collect(),
            parent,
            name: name.into(),
            waiting: 0,
            shape: Shape::Leaf,
            declared: Totals::default(),
            sum: Totals::default(),
        };
        let index = self.branches.insert(branch);
        if !is_page {
            self.known.insert(id, index);
        }
        self.stack.push(index);
    }

    /// One less to wait for; a branch that waits for nothing more must be what it says.
    fn child_whole(&mut self, index: usize) -> Result<(), Stop> {
        let branch = self.branches.get_mut(index);
        branch.waiting -= 1;
        if branch.waiting > 0 {
            return Ok(());
        }
        let (shape, declared, sum) = (branch.shape, branch.declared, branch.sum);
        if declared != sum {
            return Err(self.broken(index, Flaw::Totals));
        }
        self.finish(index, shape, sum)
    }

    /// A branch is whole; so may those be that waited for it, and so on up to the root.
    fn finish(&mut self, index: usize, shape: Shape, totals: Totals) -> Result<(), Stop> {
        let mut whole = vec![(index, shape, totals)];
        while let Some((index, shape, totals)) = whole.pop() {
            let waiters = std::mem::take(&mut self.branches.get_mut(index).waiters);
            for waiter in &waiters {
                let as_said = waiter.said.is_none_or(|said| said == (totals.entries.0, totals.bytes.0));
                if !as_said {
                    return Err(self.broken(index, Flaw::Totals));
                }
                let branch = self.branches.get_mut(waiter.branch);
                if shape != Shape::List {
                    branch.sum += totals;
                }
                branch.waiting -= 1;
                if branch.waiting == 0 {
                    let (shape, declared, sum) = (branch.shape, branch.declared, branch.sum);
                    if declared != sum {
                        return Err(self.broken(waiter.branch, Flaw::Totals));
                    }
                    whole.push((waiter.branch, shape, sum));
                }
            }
            let branch = self.branches.remove(index);
            if self.known.get(&branch.id) == Some(&index) {
                self.known.remove(&branch.id);
            }
            self.fresh.insert(branch.id, (shape, totals));
            if branch.parent.is_none() {
                self.root = Some(totals);
            }
        }
        Ok(())
    }

    /// Writes what was found whole to the table when there is much of it: memory stays bounded, and a walk that is
    /// cut short has not been for nothing.
    async fn flush(&mut self) -> Result<(), Stop> {
        match self.index {
            Index::Known if self.fresh.len() > FRESH_MAX => {
                let during = || AppError::db("writing closed trees");
                let mut tx = self.app.db.write().await.map_err(during())?;
                if !self.hold(&mut tx).await? {
                    return Err(Stop::Overtaken);
                }
                db::closed_insert(&mut tx, self.repository, &rows(&self.fresh)).await.map_err(during())?;
                tx.commit().await.map_err(during())?;
                self.fresh.clear();
                self.condemned.clear();
            }
            Index::Scrub(_) if self.fresh.len() > FRESH_SCRUB_MAX => self.fresh.clear(),
            Index::Known | Index::Scrub(_) => {}
        }
        Ok(())
    }

    fn broken(&self, branch: usize, flaw: Flaw) -> Stop {
        Stop::Broken(self.broken_at(branch, flaw))
    }

    fn broken_at(&self, branch: usize, flaw: Flaw) -> Broken {
        let mut names = Vec::new();
        let mut next = Some(branch);
        while let Some(index) = next {
            let branch = self.branches.get(index);
            names.push(&branch.name);
            next = branch.parent;
        }
        let mut path = StoredPath::root();
        for name in names.into_iter().rev().filter(|name| !name.is_empty()) {
            if path.push(name).is_err() {
                break;
            }
        }
        Broken { path, flaw }
    }
}

fn rows(fresh: &HashMap<ChunkId, (Shape, Totals)>) -> Vec<ClosedRow> {
    fresh.iter().map(|(id, (shape, totals))| ClosedRow { id: *id, shape: *shape, totals: *totals }).collect()
}

impl From<AppError> for Stop {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}
