//! The change journal: where files have changed since a position, so that a backup looks there and nowhere else. Kept
//! by a process that stays (`holdfast watch`), or by the system, and asked over a socket beside the state. Refuses to
//! be sure where it is not: a doubt costs a walk, a guess would cost data. Rule: docs/format.md, "Change detection".

#[cfg(target_os = "linux")]
mod fanotify;
#[cfg(any(target_os = "macos", all(unix, test)))]
mod fsevents;
#[cfg(target_os = "linux")]
mod inotify;
#[cfg(target_os = "linux")]
mod mapped;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg_attr(
    not(any(target_os = "linux", all(unix, test))),
    expect(dead_code, reason = "a journal that the system keeps needs a part of it")
)]
mod notes;
mod socket;
mod trust;
#[cfg(any(windows, test))]
mod usn;
mod watch;
mod wire;

use base::{Clock, Entropy, Timestamp};
use engine::Changes;
use format::StoredPath;
use rustix::fd::BorrowedFd;
pub use socket::ask;
#[cfg(unix)]
use std::ffi::OsStr;
use std::io;
#[cfg(unix)]
use std::ops::Range;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
pub use trust::{Basis, Mark, again, changes};
pub use watch::{Watching, watch};
pub(crate) use wire::WirePosition;

/// A moment in a journal. Where a process notes what changes, each process is a journal: after a restart it is another.
/// Where the system does, the journal is the system's, and a position is good for as long as that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which journal.
    pub journal: [u8; 16],
    /// How far it was.
    pub at: u64,
    /// This computer's clock then.
    pub taken_at: Timestamp,
}

#[cfg(any(windows, target_os = "macos", test))]
impl Position {
    /// A position of no journal: who asks with it is answered with a doubt.
    fn nowhere(means: &Means) -> Self {
        Self { journal: [0; 16], at: 0, taken_at: means.clock.now() }
    }
}

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where it stands: whatever changes from now on is told to who asks with this.
    pub position: Position,
    /// Where anything may have changed since the position that was asked about.
    pub changes: Result<Changes, Doubt>,
}

/// Why everything has to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Nobody watches.
    NotWatched,
    /// There is no position to go on from: of the first backup, or of another folder, policy or release.
    NoPosition,
    /// Who watched then is not who watches now.
    OtherJournal,
    /// More has changed than is kept.
    Gap,
    /// A file with several names has changed, or lost or won one: where its other names are, nobody knows.
    HardLinks,
    /// The last look at everything is too long ago.
    Old,
}

impl Doubt {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotWatched => "not_watched",
            Self::NoPosition => "no_position",
            Self::OtherJournal => "other_journal",
            Self::Gap => "journal_gap",
            Self::HardLinks => "hard_links",
            Self::Old => "walk_due",
        }
    }

    /// Why everything was looked at, for people: one sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotWatched => "nobody watches what changes in these folders: see `holdfast watch`",
            Self::NoPosition => "it is the first look at these folders, as the policy and this release take them",
            Self::OtherJournal => "the journal of changes is another one than at the last backup",
            Self::Gap => "some of the changes since the last backup were not noted",
            Self::HardLinks => "a file with several names has changed",
            Self::Old => "once a day everything is looked at",
        }
    }

    /// The doubt with this code, if it is one. Never fails.
    pub fn of_code(code: &str) -> Option<Self> {
        let all = [Self::NotWatched, Self::NoPosition, Self::OtherJournal, Self::Gap, Self::HardLinks, Self::Old];
        all.into_iter().find(|doubt| doubt.code() == code)
    }
}

/// What notes where files change: the system's own means, behind one port.
pub trait Journal {
    /// Its name: `fanotify`, `inotify`, `usn`, `fsevents`.
    fn name(&self) -> &'static str;

    /// What is readable when the system has something to say; `None` where the system keeps it until somebody asks.
    fn handle(&self) -> Option<BorrowedFd<'_>>;

    /// Takes in what the system has to say by now. Nothing to do where the system keeps it.
    ///
    /// # Errors
    /// The system fails; the journal is of no use any more.
    fn take_in(&mut self) -> io::Result<()>;

    /// Takes in what there is, and says what has changed in these folders, and perhaps elsewhere, since a position.
    ///
    /// # Errors
    /// As `take_in`.
    fn look(&mut self, folders: &[StoredPath], since: Option<&Position>) -> io::Result<Told>;
}

/// Time and randomness for a journal.
#[derive(Clone)]
pub struct Means {
    /// The time at which a position is taken.
    pub clock: Arc<dyn Clock>,
    /// Names the journal.
    pub entropy: Arc<dyn Entropy>,
}

/// Whether a file was born after a position was taken, and before now: one from the future has a wrong date, or was
/// made while this computer had one. A kernel's clock is coarse and late, never early: what it says was born later was.
#[cfg(unix)]
fn is_born_in(born: Timestamp, new: &Range<Timestamp>) -> bool {
    born > new.start && born <= new.end
}

/// The stored path of an absolute one.
#[cfg(unix)]
fn stored(path: &[u8]) -> io::Result<StoredPath> {
    let within = path.strip_prefix(b"/").unwrap_or(path);
    StoredPath::from_bytes(within.to_vec()).map_err(|_| io::Error::other("a path that no snapshot can hold"))
}

/// The absolute path of a stored one.
#[cfg(unix)]
fn absolute(path: &StoredPath) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&[b"/", path.as_bytes()].concat()))
}
