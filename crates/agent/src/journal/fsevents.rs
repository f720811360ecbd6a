//! The journal that macOS keeps by itself: FSEvents, which can tell again what has happened since an event. Nothing has
//! to be listened to, and a position outlives this process.
//! Refuses to vouch for folders that are named by way of a link, for volumes without a journal, and for what is mounted
//! beneath a folder.

mod events;
#[cfg(target_os = "macos")]
mod sys;
mod system;

use super::notes::Notes;
use super::{Doubt, Journal, Means, Position, Told, is_born_in, stored};
use engine::Changes;
use events::Event;
use format::StoredPath;
use rustix::fd::BorrowedFd;
use std::io;
use system::System;

pub(super) struct FsEvents<S> {
    system: S,
    means: Means,
}

/// Which folders lie where.
struct Plan {
    /// Folders on volumes with a journal.
    folders: Vec<StoredPath>,
    /// Which journals these are.
    journal: [u8; 16],
    /// What lies elsewhere.
    apart: Vec<StoredPath>,
}

#[cfg(target_os = "macos")]
impl FsEvents<sys::Stream> {
    /// Reads nothing yet.
    pub fn open(means: &Means) -> Self {
        Self::of(sys::Stream, means)
    }
}

impl<S: System> FsEvents<S> {
    fn of(system: S, means: &Means) -> Self {
        Self { system, means: means.clone() }
    }

    fn plan(&self, folders: &[StoredPath]) -> io::Result<Plan> {
        let mut plan = Plan { folders: Vec::new(), journal: [0; 16], apart: Vec::new() };
        let mut journals = Vec::new();
        for folder in folders {
            // By that way events do not name it.
            let is_apart = stored(events::DATA).is_ok_and(|data| folder.starts_with(&data));
            match self.system.journal_of(folder).ok().flatten().filter(|_| !is_apart) {
                Some(journal) => {
                    plan.folders.push(folder.clone());
                    journals.push(journal);
                }
                None => plan.apart.push(folder.clone()),
            }
        }
        let is_beneath = |mounted: &StoredPath, folder| mounted != folder && mounted.starts_with(folder);
        let mut mounted = self.system.mounts()?;
        mounted.retain(|mounted| folders.iter().any(|folder| is_beneath(mounted, folder)));
        plan.journal = identity(journals, &mut mounted);
        plan.apart.extend(mounted);
        Ok(plan)
    }

    fn changes(&self, plan: Plan, latest: u64, since: Option<&Position>) -> Result<Changes, Doubt> {
        // An id does not say whether there was an event before it: where some are missing, the stream says so.
        let mut notes: Notes<StoredPath> = Notes::kept(plan.journal, 0);
        notes.reach(latest);
        notes.since(since)?;
        notes.begin();
        let (position, now) = (since.ok_or(Doubt::NoPosition)?, self.means.clock.now());
        let mut each = |event: Event| event.note(&plan.folders, &mut notes);
        let read = self.system.read(&plan.folders, position.at, &mut each);
        read.inspect_err(|error| tracing::debug!("no history of events: {error}")).map_err(|_| Doubt::Gap)?;
        let noted = notes.since(since)?;
        let new = position.taken_at..now;
        let is_new = |file: &StoredPath| self.system.birth(file).is_some_and(|born| is_born_in(born, &new));
        if !noted.files.into_iter().all(|(file, _)| is_new(file)) {
            return Err(Doubt::HardLinks);
        }
        let mut changes = Changes::default();
        noted.directories.into_iter().for_each(|path| changes.add(path.clone()));
        noted.paths.into_iter().for_each(|path| changes.add_all(path.clone()));
        plan.apart.into_iter().for_each(|path| changes.add_all(path));
        Ok(changes)
    }
}

impl<S: System> Journal for FsEvents<S> {
    fn name(&self) -> &'static str {
        "fsevents"
    }

    fn handle(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn take_in(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn look(&mut self, folders: &[StoredPath], since: Option<&Position>) -> io::Result<Told> {
        let plan = self.plan(folders).inspect_err(|error| tracing::debug!("nothing is watched: {error}"));
        let Some(plan) = plan.ok().filter(|plan| !plan.folders.is_empty()) else {
            return Ok(Told { position: Position::nowhere(&self.means), changes: Err(Doubt::NotWatched) });
        };
        // ORDER: before the history is read: what comes in between is told now and once more.
        let latest = self.system.latest();
        let position = Position { journal: plan.journal, at: latest, taken_at: self.means.clock.now() };
        Ok(Told { position, changes: self.changes(plan, latest, since) })
    }
}

/// A name for the journals of some volumes, and for what is mounted beneath the folders: where any of them came or
/// went, it is another, because no history tells what was mounted when.
fn identity(mut journals: Vec<[u8; 16]>, mounted: &mut [StoredPath]) -> [u8; 16] {
    journals.sort_unstable();
    journals.dedup();
    mounted.sort_unstable();
    if let ([journal], []) = (&journals[..], &mounted[..]) {
        return *journal;
    }
    let mut digest = blake3::Hasher::new();
    digest.update(journals.as_flattened());
    for path in mounted {
        // No path has a NUL in it.
        digest.update(b"\0").update(path.as_bytes());
    }
    *digest.finalize().as_bytes().first_chunk().expect("a digest has 32 bytes")
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
