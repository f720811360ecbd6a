//! The oracle: what every acknowledged snapshot must restore, what must never be read or taken, and whether it is so.
//! Refuses to look through the server's eyes: it knows what devices and admins were told, and nothing else.

use super::folder::Folder;
use base::{DeviceId, SnapshotId, Span};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How late a change of a device's state may be seen by a request that another server has begun to serve.
const SEEN_SPAN: Span = Span::seconds(2);
/// How far the servers' clocks may have been from each other, and from the right time.
pub(super) const CLOCKS_SPAN: Span = Span::hours(8);

/// How often what was played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Snapshots that were acknowledged.
    pub acknowledged: u64,
    /// Runs that ended without one.
    pub given_up: u64,
    /// Restores whose every byte was as it was.
    pub restored: u64,
    /// Activations that were granted.
    pub activated: u64,
    /// Devices that were cut off.
    pub cut_off: u64,
    /// Servers that were killed.
    pub kills: u64,
    /// Times at which the power went.
    pub power_cuts: u64,
    /// Snapshots that retention has removed.
    pub removed: u64,
    /// Packs that collections have removed.
    pub packs_removed: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, given_up, restored, activated, cut_off, kills, power_cuts, removed, packs_removed } =
            self;
        write!(
            f,
            "{acknowledged} snapshots acknowledged, {given_up} runs given up, {restored} restored, {removed} removed; \
             {activated} activations, {cut_off} devices cut off; {kills} kills, {power_cuts} power cuts, \
             {packs_removed} packs collected"
        )
    }
}

/// What is known.
#[derive(Default)]
pub(super) struct Oracle {
    book: Mutex<Book>,
    broken: watch::Sender<bool>,
}

#[derive(Default)]
struct Book {
    why: Option<String>,
    figures: Figures,
    snapshots: BTreeMap<SnapshotId, Made>,
    devices: BTreeMap<DeviceId, Known>,
    /// When somebody was about to bring a record back last.
    back_at: BTreeMap<DeviceId, Span>,
}

/// A snapshot that a device has tried to make.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) device: DeviceId,
    /// The binding that made it.
    pub(super) epoch: u64,
    pub(super) folder: Folder,
    /// When its manifest was handed in first.
    pub(super) tried_at: Span,
    /// Whether the device learned that it is durable.
    pub(super) is_acknowledged: bool,
    pub(super) pinned: bool,
}

/// What is known of a record.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The newest binding that was cut off.
    epoch: u64,
    /// Since when it may read nothing; absent while nobody has said so.
    unreadable_since: Option<Span>,
    /// Since when it may append nothing.
    closed_since: Option<Span>,
    /// The binding that may read nothing but what it has made itself.
    appends_only: Option<u64>,
}

impl Oracle {
    /// What must not be is: the play ends. The first word counts. Never fails.
    pub(super) fn broken(&self, why: String) {
        self.book().why.get_or_insert(why);
        self.broken.send_replace(true);
    }

    /// Resolves when something is broken. Never fails.
    pub(super) async fn until_broken(&self) {
        let _ = self.broken.subscribe().wait_for(|broken| *broken).await;
    }

    pub(super) fn why_broken(&self) -> Option<String> {
        self.book().why.clone()
    }

    pub(super) fn figures(&self) -> Figures {
        self.book().figures
    }

    /// Counts something. Never fails.
    pub(super) fn count(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.book().figures);
    }

    /// A device is about to hand in a manifest. Never fails.
    pub(super) fn tried(&self, id: SnapshotId, (device, epoch): (DeviceId, u64), folder: Folder, at: Span) {
        let made = Made { device, epoch, folder, tried_at: at, is_acknowledged: false, pinned: false };
        self.book().snapshots.insert(id, made);
    }

    /// A device was told that its snapshot is durable. Never fails.
    pub(super) fn acknowledged(&self, id: SnapshotId) {
        let mut book = self.book();
        book.figures.acknowledged += 1;
        if let Some(made) = book.snapshots.get_mut(&id) {
            made.is_acknowledged = true;
        }
    }

    /// An admin's word on a snapshot was carried out. Never fails.
    pub(super) fn pinned(&self, id: SnapshotId, pinned: bool) {
        self.book().snapshots.get_mut(&id).into_iter().for_each(|made| made.pinned = pinned);
    }

    /// An admin was told that a record is cut off, from reading or from all. Never fails.
    pub(super) fn cut_off(&self, (device, epoch): (DeviceId, u64), at: Span, may_append: bool) {
        let mut book = self.book();
        book.figures.cut_off += 1;
        let known = book.devices.entry(device).or_default();
        if known.epoch != epoch {
            *known = Known { epoch, appends_only: known.appends_only, ..Known::default() };
        }
        known.unreadable_since.get_or_insert(at);
        if !may_append {
            known.closed_since.get_or_insert(at);
        }
    }

    /// A record was bound to a key that may read nothing but what it makes itself. The activation was first asked for
    /// at `asked_at`: an answer that comes again says what was so then, and somebody may have let it read since. Never
    /// fails.
    pub(super) fn appends_only(&self, device: DeviceId, epoch: u64, asked_at: Span) {
        let mut book = self.book();
        if book.back_at.get(&device).is_none_or(|back_at| *back_at < asked_at) {
            book.devices.entry(device).or_default().appends_only = Some(epoch);
        }
    }

    /// Whether a binding must not read a snapshot of its record. Never fails.
    pub(super) fn is_closed_to(&self, device: DeviceId, epoch: u64, made: &Made) -> bool {
        let appends_only = self.book().devices.get(&device).and_then(|known| known.appends_only);
        made.device != device || made.epoch != epoch && appends_only == Some(epoch)
    }

    /// The record may be back in service from here on: somebody is about to bring it back. Never fails.
    pub(super) fn may_be_back(&self, device: DeviceId, now: Span) {
        let mut book = self.book();
        book.devices.remove(&device);
        book.back_at.insert(device, now);
    }

    /// Why a device must not have been given what it asked for at `asked_at`; none where it may. Never fails.
    pub(super) fn forbids(&self, device: DeviceId, epoch: u64, asked_at: Span, reads: bool) -> Option<&'static str> {
        let known = self.book().devices.get(&device).copied().filter(|known| epoch <= known.epoch)?;
        let is_over =
            |since: Option<Span>| since.is_some_and(|since| since.as_ms() + SEEN_SPAN.as_ms() < asked_at.as_ms());
        if reads && is_over(known.unreadable_since) {
            return Some("reads what it may not");
        }
        is_over(known.closed_since).then_some("is served and is cut off")
    }

    /// What a snapshot is to restore. Never fails.
    pub(super) fn made(&self, id: SnapshotId) -> Option<Made> {
        self.book().snapshots.get(&id).cloned()
    }

    /// All that devices have tried to make, by device, in the order in which they did. Never fails.
    pub(super) fn all(&self) -> BTreeMap<DeviceId, Vec<(SnapshotId, Made)>> {
        let mut all: BTreeMap<DeviceId, Vec<(SnapshotId, Made)>> = BTreeMap::new();
        for (id, made) in &self.book().snapshots {
            all.entry(made.device).or_default().push((*id, made.clone()));
        }
        for made in all.values_mut() {
            made.sort_by_key(|(_, made)| made.tried_at);
        }
        all
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
