//! The naive model: what is so, in plain maps, and what docs/control.md makes of a proof and of a state, written down a
//! second time. Refuses to look into the database.

use super::desk::Decided;
use base::{ConflictId, Count, DeviceId, FolderId, MapRowId, SnapshotId, TicketId, Timestamp, TokenId, UserId};
use control::{Level, Rights, State, Strength};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is known to be so.
#[derive(Default)]
pub struct Book {
    pub people: BTreeMap<UserId, Person>,
    pub records: BTreeMap<DeviceId, Record>,
    pub tokens: BTreeMap<TokenId, Token>,
    pub tickets: BTreeMap<TicketId, Ticket>,
    /// By which record each row of the device map was used up.
    pub rows_used: BTreeMap<MapRowId, DeviceId>,
    pub packs: Count,
    /// Which record was merged into which.
    pub merged: BTreeMap<DeviceId, DeviceId>,
    /// The decisions of the conflict desk that stand.
    pub decided: BTreeMap<ConflictId, Decided>,
    /// Keys that two machines have, as an admin has decided.
    pub split: BTreeSet<[u8; 32]>,
}

pub struct Person {
    pub email: String,
    pub active: bool,
    /// `on_reactivation` of the user, when that is set.
    pub keep: Option<bool>,
}

pub struct Record {
    pub owner: UserId,
    pub state: State,
    pub epoch: u64,
    /// Which key is bound, live or revoked.
    pub key: Option<[u8; 32]>,
    pub revoked: bool,
    /// The key that waits for an admin.
    pub waiting: Option<[u8; 32]>,
    /// By what it came to the rights that it has, for who reads a failure.
    pub proof: String,
    pub snapshots: BTreeMap<SnapshotId, u64>,
    /// What the user has taken out.
    pub out: BTreeSet<FolderId>,
    /// What the user has set.
    pub own: BTreeMap<String, String>,
    /// What an admin has set at this device.
    pub set: BTreeMap<String, String>,
}

#[derive(Clone)]
pub struct Token {
    pub uses: u64,
    pub uses_max: Option<u64>,
    pub expires_at: Option<Timestamp>,
    pub revoked: bool,
    pub network_only: bool,
}

#[derive(Clone)]
pub struct Ticket {
    pub user: UserId,
    pub expires_at: Timestamp,
    pub revoked: bool,
    pub used: bool,
}

impl Book {
    /// The snapshots that a binding of this epoch may read: of its own record, and, where it may read everything, of
    /// those that were merged into it and are not deleted.
    pub fn readable(&self, device: DeviceId, epoch: u64) -> BTreeSet<SnapshotId> {
        let record = &self.records[&device];
        let active = self.people[&record.owner].active;
        let own = record.snapshots.keys().filter(|id| record.may_read_one(active, epoch, **id)).copied();
        let merged = self.merged.iter().filter(|(_, kept)| **kept == device && record.may_read(active, epoch));
        let merged = merged.map(|(other, _)| &self.records[other]);
        let there = merged.filter(|other| !matches!(other.state, State::Deleted { .. } | State::Purged));
        own.chain(there.flat_map(|other| other.snapshots.keys().copied())).collect()
    }
}

impl Token {
    pub fn good(&self, now: Timestamp, inside: bool) -> bool {
        !self.revoked
            && self.expires_at.is_none_or(|at| now < at)
            && self.uses_max.is_none_or(|max| self.uses < max)
            && (inside || !self.network_only)
    }
}

impl Ticket {
    pub fn good(&self, now: Timestamp) -> bool {
        !self.used && !self.revoked && now < self.expires_at
    }
}

impl Record {
    /// A record that was just made for a machine.
    pub fn new(owner: UserId) -> Self {
        let (own, set) = (BTreeMap::new(), BTreeMap::new());
        let (snapshots, out) = (BTreeMap::new(), BTreeSet::new());
        let (state, epoch, proof) = (State::Pending, 0, String::new());
        Self { owner, state, epoch, key: None, revoked: false, waiting: None, proof, snapshots, out, own, set }
    }

    /// May a binding of this epoch append now?
    pub fn may_append(&self, user_active: bool, epoch: u64, now: Timestamp) -> bool {
        let state = match &self.state {
            State::Quarantined { was } => was,
            state => state,
        };
        let in_service = match state {
            State::Active { .. } => true,
            State::Held { append_until, .. } => now < *append_until,
            _ => false,
        };
        user_active && epoch == self.epoch && in_service
    }

    /// May a binding of this epoch read everything of the record?
    pub fn may_read(&self, user_active: bool, epoch: u64) -> bool {
        user_active && epoch == self.epoch && self.state == State::Active { rights: Rights::Full }
    }

    /// May it read this snapshot?
    pub fn may_read_one(&self, user_active: bool, epoch: u64, snapshot: SnapshotId) -> bool {
        let Some(written) = self.snapshots.get(&snapshot) else { return false };
        let active = matches!(self.state, State::Active { .. });
        let appended = user_active && active && epoch == self.epoch && *written == epoch;
        self.may_read(user_active, epoch) || appended
    }

    /// Has a coming back from here an effect on what the user has chosen?
    pub fn comes_back(&self) -> bool {
        matches!(self.state, State::Held { .. } | State::Deactivated { .. } | State::Decommissioned)
    }

    /// What a coming back does to what the user has chosen.
    pub fn reset(&mut self, keep: bool) {
        if !keep {
            self.out.clear();
            self.own.clear();
        }
    }
}

/// Whether whoever has the key of a record in this state may append, and read everything of it.
pub fn ability(state: &State, now: Timestamp) -> (bool, bool) {
    let record = Record { state: state.clone(), ..Record::new(UserId::from_bytes([0; 16])) };
    (record.may_append(true, record.epoch, now), record.may_read(true, record.epoch))
}

/// The rights that a machine with this proof gets over a record that stands so: the tables "activate", "reactivate" and
/// "replace" of docs/control.md in one, for whoever is let in at all.
pub fn worth(state: &State, strength: Strength, now: Timestamp) -> Option<Rights> {
    use Strength::{Admin, OldKey, OldKeyAndToken, Person, Token, TokenAndMap};
    let by_token = Some(Rights::AppendOnly);
    match (state, strength) {
        (_, Admin) | (State::Pending, OldKey | OldKeyAndToken) => None,
        (
            State::Pending
            | State::Active { .. }
            | State::Held { .. }
            | State::Deactivated { .. }
            | State::Decommissioned,
            Person,
        ) => Some(Rights::Full),
        (State::Pending, Token | TokenAndMap) => by_token,
        (State::Active { rights } | State::Held { rights, .. }, OldKey | OldKeyAndToken) => Some(*rights),
        (State::Active { .. }, Token) => None,
        (State::Held { append_until, .. }, Token) => by_token.filter(|_| now >= *append_until),
        (State::Active { .. } | State::Held { .. } | State::Decommissioned, TokenAndMap) => by_token,
        (State::Deactivated { rights, level: Level::Rotate }, OldKey) => Some(*rights),
        (State::Deactivated { .. } | State::Decommissioned, OldKey) => None,
        (State::Deactivated { rights, level: Level::Rotate | Level::Revoke }, OldKeyAndToken) => Some(*rights),
        (State::Deactivated { .. } | State::Decommissioned, OldKeyAndToken | Token | TokenAndMap) => by_token,
        (
            State::Suspended { .. }
            | State::Quarantined { .. }
            | State::Decommissioning { .. }
            | State::Deleted { .. }
            | State::Purged,
            _,
        ) => None,
    }
}
