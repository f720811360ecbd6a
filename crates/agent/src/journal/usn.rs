//! The journal that NTFS and ReFS keep by themselves: the USN change journal of a volume. It names each change with the
//! file reference number of the directory, which becomes a path when somebody asks. Nothing has to be listened to, and
//! a position outlives this process. One volume: that of the first folder.
//! Refuses to vouch for folders on other volumes, and to create a journal where there is none.

mod noted;
mod paths;
mod reasons;
mod records;
#[cfg(windows)]
mod sys;
mod volume;

use super::{Doubt, Journal, Means, Position, Told};
use engine::Changes;
use format::StoredPath;
use noted::Noted;
use rustix::fd::BorrowedFd;
use std::io;
use volume::{Place, Volume, Volumes};

/// Room for some thousands of records.
const BUFFER_BYTES: usize = 256 << 10;
/// While it is read, the journal may lose its beginning: so often it is begun anew.
const BEGINNINGS_MAX: usize = 3;

pub(super) struct Usn<S: Volumes> {
    system: S,
    means: Means,
    current: Option<Current<S::Volume>>,
    buffer: Vec<u8>,
}

/// The volume that is read.
struct Current<V> {
    name: String,
    volume: V,
    noted: Noted,
}

/// Which folders lie where.
struct Plan {
    /// The volume of the first folder that a volume vouches for.
    volume: Option<String>,
    /// Where it is seen.
    places: Vec<Place>,
    /// What lies elsewhere.
    apart: Vec<StoredPath>,
}

#[cfg(windows)]
impl Usn<sys::System> {
    /// Reads nothing yet.
    pub fn open(means: &Means) -> Self {
        Self::of(sys::System, means)
    }
}

impl<S: Volumes> Usn<S> {
    fn of(system: S, means: &Means) -> Self {
        Self { system, means: means.clone(), current: None, buffer: vec![0; BUFFER_BYTES] }
    }

    fn plan(&self, folders: &[StoredPath]) -> io::Result<Plan> {
        let places = self.system.places()?;
        let mut plan = Plan { volume: None, places: Vec::new(), apart: Vec::new() };
        for folder in folders {
            let real = self.system.real(folder).ok();
            let real = real.as_deref().and_then(paths::split).filter(|(volume, within)| {
                let mut seen = places.iter().filter(|place| place.volume == *volume);
                // Another way to it than its own path: records would name paths that are not beneath the folder.
                seen.any(|place| paths::at(place, within) == paths::Told { path: folder.clone(), is_whole: true })
            });
            match real {
                Some((volume, _)) if plan.volume.as_ref().is_none_or(|chosen| *chosen == volume) => {
                    plan.volume = Some(volume);
                }
                _ => plan.apart.push(folder.clone()),
            }
        }
        let is_ours = |place: &Place| Some(&place.volume) == plan.volume.as_ref();
        for place in places.iter().filter(|place| !is_ours(place)) {
            let mounted = paths::at(place, &[]).path;
            for folder in folders.iter().filter(|folder| paths::is_beneath(&mounted, folder)) {
                // Spelled otherwise, it is not the path by which the walk comes to it.
                plan.apart.push(if mounted.starts_with(folder) { mounted.clone() } else { folder.clone() });
            }
        }
        plan.places = places.into_iter().filter(is_ours).collect();
        Ok(plan)
    }

    /// Reads what the journal of a volume has to say by now. After a failure, the volume is opened anew.
    fn catch_up(&mut self, name: &str) -> io::Result<&Current<S::Volume>> {
        let mut current = match self.current.take().filter(|current| current.name == name) {
            Some(current) => current,
            None => Current::begin(name, self.system.open(name)?)?,
        };
        let mut beginnings = 0;
        while let Err(error) = current.read(&mut self.buffer) {
            beginnings += 1;
            if beginnings == BEGINNINGS_MAX || !is_outrun(&error) {
                return Err(error);
            }
        }
        Ok(self.current.insert(current))
    }

    fn told(&mut self, plan: &Plan, since: Option<&Position>) -> io::Result<Told> {
        let name = plan.volume.as_deref().ok_or(io::ErrorKind::Unsupported)?;
        let means = self.means.clone();
        let current = self.catch_up(name)?;
        Ok(Told { position: current.noted.position(&means), changes: current.changes(plan, since) })
    }
}

impl<V: Volume> Current<V> {
    fn begin(name: &str, volume: V) -> io::Result<Self> {
        let noted = Noted::begin(&volume.extent()?);
        Ok(Self { name: name.to_owned(), volume, noted })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let extent = self.volume.extent()?;
        if !self.noted.goes_on_in(&extent) {
            self.noted = Noted::begin(&extent);
        }
        while self.noted.next() < extent.next {
            let len = self.volume.read(extent.id, self.noted.next(), buffer)?;
            let (next, records) = records::parse(&buffer[..len]).ok_or(io::ErrorKind::InvalidData)?;
            records.for_each(|record| self.noted.take(record, &self.volume));
            if next <= self.noted.next() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.noted.reach(next);
        }
        Ok(())
    }

    fn changes(&self, plan: &Plan, since: Option<&Position>) -> Result<Changes, Doubt> {
        let mut changes = Changes::default();
        for directory in self.noted.since(since, &self.volume)? {
            // Gone: that was noted of the directory in which it was.
            let Some(within) = self.volume.path_of(directory).map_err(|_| Doubt::Gap)? else { continue };
            for place in &plan.places {
                match paths::at(place, &within) {
                    paths::Told { path, is_whole: true } => changes.add(path),
                    paths::Told { path, is_whole: false } => changes.add_all(path),
                }
            }
        }
        plan.apart.iter().for_each(|path| changes.add_all(path.clone()));
        Ok(changes)
    }
}

/// Whether the journal has lost what was to be read, or has become another, since it was asked where it stands.
fn is_outrun(error: &io::Error) -> bool {
    let outrun = [volume::ERROR_JOURNAL_ENTRY_DELETED, volume::ERROR_INVALID_PARAMETER];
    error.raw_os_error().is_some_and(|code| outrun.contains(&code))
}

impl<S: Volumes> Journal for Usn<S> {
    fn name(&self) -> &'static str {
        "usn"
    }

    fn handle(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn take_in(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn look(&mut self, folders: &[StoredPath], since: Option<&Position>) -> io::Result<Told> {
        // A volume that cannot be read, or has no journal, is no reason to stop: the next question may be of another.
        let told = self.plan(folders).and_then(|plan| self.told(&plan, since));
        let told = told.inspect_err(|error| tracing::debug!("no volume is watched: {error}"));
        let nobody = |_| Told { position: Position::nowhere(&self.means), changes: Err(Doubt::NotWatched) };
        Ok(told.unwrap_or_else(nobody))
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
