//! Bugs that are planted on purpose, one at a time, so that the simulator can show that it finds each.
//! Refuses to be shipped: none of them is there without the feature `planted`, which only the simulator's own tests
//! turn on.

/// A bug, by what it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Planted {
    /// A commit is answered whose transaction was dropped.
    CommitUnkept,
    /// The index names a pack before the store has it.
    IndexBeforePack,
    /// A snapshot is known before the store has its manifest.
    SnapshotBeforeManifest,
    /// A collection moves chunks to a pack before the store has it.
    RepackBeforePack,
    /// A collection follows only the snapshots that were there when it began.
    LaterUnmarked,
    /// A server that has seen a device in service does not look again.
    CutOffUnseen,
    /// Whether a device may read what it asks for is not looked at.
    ReadsUnchecked,
    /// A device that shows the key of its record gets a new record.
    RecordForgotten,
    /// Who did not get an answer is taken for a copy.
    LostAnswerIsCopy,
    /// A pin keeps nothing.
    PinsForgotten,
    /// The newest snapshot of a device goes like any other.
    NewestForgotten,
    /// A device is asked for chunks that are there.
    ChunksAskedAgain,
    /// A disk store links a file whose bytes are not durable.
    FileUnsynced,
    /// A disk store answers before the name of an object is durable.
    FolderUnsynced,
    /// A job goes on where it was though another server has had it in between.
    FenceUnlooked,
    /// A collection removes what a run that is under way was told is there.
    RunsUnawaited,
    /// A commit leaves condemned what it relies on.
    ClosureUnheld,
}

impl Planted {
    /// Every one. Never fails.
    pub const ALL: [Planted; 17] = [
        Planted::CommitUnkept,
        Planted::IndexBeforePack,
        Planted::SnapshotBeforeManifest,
        Planted::RepackBeforePack,
        Planted::LaterUnmarked,
        Planted::CutOffUnseen,
        Planted::ReadsUnchecked,
        Planted::RecordForgotten,
        Planted::LostAnswerIsCopy,
        Planted::PinsForgotten,
        Planted::NewestForgotten,
        Planted::ChunksAskedAgain,
        Planted::FileUnsynced,
        Planted::FolderUnsynced,
        Planted::FenceUnlooked,
        Planted::RunsUnawaited,
        Planted::ClosureUnheld,
    ];
}

/// Whether this bug is there, on this thread. Never fails.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn is_planted(_: Planted) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use switch::{is_planted, plant};

#[cfg(feature = "planted")]
mod switch {
    use super::Planted;
    use std::cell::Cell;

    thread_local! {
        static THERE: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    /// Whether this bug is there, on this thread. Never fails.
    #[must_use]
    pub fn is_planted(bug: Planted) -> bool {
        THERE.get() == Some(bug)
    }

    /// Plants a bug on this thread, or none. Never fails.
    pub fn plant(bug: Option<Planted>) {
        THERE.set(bug);
    }
}
