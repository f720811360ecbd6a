//! The desk where admins decide about two machines with one key and two records of one machine: decisions that fit and
//! that do not, merges without a conflict, and taking all of it back, early, late and twice. Refuses an undo that gives
//! a right which nobody had, a quarantine without a way out, and a record of two that goes on by itself.

use super::book::ability;
use super::play::{ADMIN, Play};
use app::conflicts::{self, Conflict, Decision};
use app::page::PageAsk;
use app::{AppError, ConflictKind, ConflictStatus};
use base::{ConflictId, DeviceId, Timestamp};
use control::{Effect, Event, Level, State, Verdict, lifecycle};
use std::collections::{BTreeMap, BTreeSet};

/// A decision that stands, by the book.
#[derive(Clone)]
pub struct Decided {
    kind: ConflictKind,
    status: ConflictStatus,
    /// The record; of a merge, the one that stays.
    device: DeviceId,
    /// Of a merge, the one that goes; else one that was prepared for another user.
    other: Option<DeviceId>,
    until: Timestamp,
    /// Where its records stood before it was decided.
    before: BTreeMap<DeviceId, State>,
    /// Whether the state of one of them has become another by it, and nothing has overtaken that.
    changed: bool,
    /// Where the record stood after it, and with which binding.
    after: (State, u64),
}

impl Play {
    /// An admin sits down at the desk.
    pub async fn desk(&mut self) {
        match self.dice.below(8) {
            0..4 => self.resolve().await,
            4..6 => self.undo().await,
            _ => self.merge().await,
        }
    }

    async fn open_conflicts(&self) -> Vec<Conflict> {
        conflicts::page(&self.world.app, &ADMIN, true, &PageAsk::first()).await.expect("readable").items
    }

    /// An admin decides about something that is open.
    async fn resolve(&mut self) {
        let open = self.open_conflicts().await;
        let Some(found) = self.dice.pick(&open) else { return };
        let people: Vec<_> = self.book.people.keys().copied().collect();
        let other_user = self.dice.pick(&people).filter(|_| self.dice.once_in(2));
        let either = [Some(found.device.device), found.other.as_ref().map(|other| other.device)];
        let keep = self.dice.pick(&either).flatten().filter(|_| self.dice.once_in(2));
        let clone = [Decision::OneMachine, Decision::TwoMachines { other_user }];
        let records = [Decision::Merge { keep }, Decision::Merge { keep }, Decision::KeepBoth];
        let decision = match (found.kind, self.dice.once_in(8)) {
            (ConflictKind::Clone, false) | (ConflictKind::Records, true) => clone[self.dice.below(2)],
            (ConflictKind::Records, false) | (ConflictKind::Clone, true) => records[self.dice.below(3)],
        };
        let ought = self.decision_ought(&found, decision);
        let decided = conflicts::resolve(&self.world.app, &ADMIN, found.id, decision).await;
        let code = decided.as_ref().map(|_| ()).map_err(AppError::code);
        self.say(format!("conflict {} of {}, {decision:?}: {code:?}", found.id, found.device.device));
        assert_eq!(code, ought, "{decision:?} about {} in {:?}", found.device.device, found.device.state);
        match decided {
            Ok(decided) => self.decided(decided).await,
            Err(_) => self.nothing_changed().await,
        }
    }

    /// What an admin is to be answered, by the book.
    fn decision_ought(&self, found: &Conflict, decision: Decision) -> Result<(), &'static str> {
        let device = found.device.device;
        match (found.kind, decision) {
            (ConflictKind::Clone, Decision::OneMachine) => {
                let state = &self.book.records[&device].state;
                let end = Event::Resolve { verdict: Verdict::OneMachine };
                match state.is_quarantined() {
                    true => lifecycle::step(self.now(), state, &end).map(|_| ()).map_err(|refusal| refusal.code()),
                    false => Ok(()),
                }
            }
            (ConflictKind::Clone, Decision::TwoMachines { .. }) | (ConflictKind::Records, Decision::KeepBoth) => Ok(()),
            (ConflictKind::Records, Decision::Merge { keep }) => {
                let other = found.other.as_ref().expect("two records").device;
                let keep = keep.or(found.merge_keeps).expect("the desk says which");
                let goes = if keep == device { other } else { device };
                self.merge_ought(keep, goes)
            }
            (ConflictKind::Clone, _) | (ConflictKind::Records, _) => Err("decision_unfit"),
        }
    }

    fn merge_ought(&self, keep: DeviceId, other: DeviceId) -> Result<(), &'static str> {
        let gone = |device: DeviceId| {
            matches!(self.book.records[&device].state, State::Deleted { .. } | State::Purged)
                || self.book.merged.contains_key(&device)
        };
        let one_user = self.book.records[&keep].owner == self.book.records[&other].owner;
        let is_kept = self.book.merged.values().any(|kept| *kept == other);
        let fits = keep != other && one_user && !is_kept && !gone(keep) && !gone(other);
        if fits { Ok(()) } else { Err("merge_unfit") }
    }

    /// An admin says that two records are one computer.
    async fn merge(&mut self) {
        let all: Vec<DeviceId> = self.book.records.keys().copied().collect();
        let Some(keep) = self.dice.pick(&all) else { return };
        let owner = self.book.records[&keep].owner;
        let mut others = all;
        if !self.dice.once_in(8) {
            others.retain(|device| *device != keep && self.book.records[device].owner == owner);
        }
        let Some(other) = self.dice.pick(&others) else { return };
        let ought = self.merge_ought(keep, other);
        let merged = conflicts::merge(&self.world.app, &ADMIN, keep, other).await;
        let code = merged.as_ref().map(|_| ()).map_err(AppError::code);
        self.say(format!("{other} is merged into {keep}: {code:?}"));
        assert_eq!(code, ought, "{other} into {keep}");
        match merged {
            Ok(merged) => self.decided(merged).await,
            Err(_) => self.nothing_changed().await,
        }
    }

    /// Writes a decision into the book, with what it has done.
    async fn decided(&mut self, decided: Conflict) {
        let (device, other) = (decided.device.device, decided.other.as_ref().map(|other| other.device));
        let before: BTreeMap<DeviceId, State> = [Some(device), other]
            .into_iter()
            .flatten()
            .filter_map(|device| self.book.records.get(&device).map(|record| (device, record.state.clone())))
            .collect();
        let key = self.book.records[&device].key;
        let one = Event::Resolve { verdict: Verdict::OneMachine };
        let two = Event::Resolve { verdict: Verdict::TwoMachines };
        let events = match (decided.kind, decided.status) {
            (ConflictKind::Clone, ConflictStatus::Merged) => vec![(Some(device), one)],
            (ConflictKind::Clone, _) => {
                self.prepared(other).await;
                vec![(Some(device), two), (Some(device), Event::Deactivate { level: Level::Distrust })]
            }
            (ConflictKind::Records, ConflictStatus::Merged) => {
                self.book.merged.insert(other.expect("two records"), device);
                vec![(other, Event::Suspend)]
            }
            (ConflictKind::Records, _) => Vec::new(),
        };
        let touched = self.explain(&events).await;
        let changed = !touched.is_empty();
        if (decided.kind, decided.status) == (ConflictKind::Clone, ConflictStatus::Split) && changed {
            self.book.split.extend(key);
        }
        let record = &self.book.records[&device];
        let after = (record.state.clone(), record.epoch);
        let (kind, status, until) = (decided.kind, decided.status, decided.undo_until.expect("it can be undone"));
        let counted = match (kind, status) {
            (ConflictKind::Clone, ConflictStatus::Merged) => 0,
            (ConflictKind::Clone, _) => 1,
            (ConflictKind::Records, _) => 2,
        };
        self.at_desk[counted] += 1;
        self.book.decided.insert(decided.id, Decided { kind, status, device, other, until, before, changed, after });
        self.settle(&[Some(device), other].into_iter().flatten().collect::<Vec<_>>()).await;
    }

    /// The record that an admin has prepared for the other machine.
    async fn prepared(&mut self, other: Option<DeviceId>) {
        let Some(other) = other else { return };
        let row = self.row(other).await;
        assert_eq!((&row.state, row.epoch), (&State::Pending, 0), "nobody has it yet");
        self.book.records.insert(other, super::book::Record::new(row.user));
    }

    /// An admin takes back a decision, or what was never decided.
    async fn undo(&mut self) {
        let mut all: Vec<ConflictId> = self.book.decided.keys().copied().collect();
        if self.dice.once_in(8) {
            all = self.open_conflicts().await.iter().map(|conflict| conflict.id).collect();
        }
        let Some(id) = self.dice.pick(&all) else { return };
        let decided = self.book.decided.get(&id).cloned();
        let ought = match &decided {
            Some(decided) => self.undo_ought(decided).await,
            None => false,
        };
        let undone = conflicts::undo(&self.world.app, &ADMIN, id).await;
        let code = undone.as_ref().map(|_| ()).map_err(AppError::code);
        self.say(format!("conflict {id} is undone: {code:?}"));
        if let Err(code) = code {
            // A campaign may have reset the record since, also where that has changed nothing.
            let reset = decided.is_some_and(|decided| decided.status == ConflictStatus::Split);
            assert!(!ought || (reset && !self.campaigns.is_empty()), "an undo that is due is refused: {code}");
            assert_eq!(code, "undo_too_late");
            return self.nothing_changed().await;
        }
        assert!(ought, "an undo that is not due is granted");
        self.undone(id, decided.expect("only what was decided is due")).await;
    }

    async fn undo_ought(&self, decided: &Decided) -> bool {
        let again = |open: &Conflict| open.kind == decided.kind && open.device.device == decided.device;
        if self.now() >= decided.until || self.open_conflicts().await.iter().any(again) {
            return false;
        }
        let record = &self.book.records[&decided.device];
        match (decided.kind, decided.status) {
            (ConflictKind::Clone, ConflictStatus::Merged) => {
                !decided.changed || lifecycle::step(self.now(), &record.state, &Event::Conflict).is_ok()
            }
            (ConflictKind::Clone, _) => {
                let merged = self.book.merged.contains_key(&decided.device);
                !decided.changed || (!merged && (&record.state, record.epoch) == (&decided.after.0, decided.after.1))
            }
            (ConflictKind::Records, ConflictStatus::Merged) => {
                let other = decided.other.expect("two records");
                let stands = self.book.merged.get(&other) == Some(&decided.device);
                stands && self.book.records[&other].state != State::Purged
            }
            (ConflictKind::Records, _) => true,
        }
    }

    async fn undone(&mut self, id: ConflictId, decided: Decided) {
        self.at_desk[3] += 1;
        self.book.decided.remove(&id);
        let (now, device, other) = (self.now(), decided.device, decided.other);
        let earlier: BTreeMap<DeviceId, State> =
            self.book.records.iter().map(|(device, record)| (*device, record.state.clone())).collect();
        let mut events = Vec::new();
        match (decided.kind, decided.status) {
            (ConflictKind::Clone, ConflictStatus::Merged) => events.push((Some(device), Event::Conflict)),
            (ConflictKind::Clone, _) => {
                if decided.changed {
                    self.unsplit(device, &decided.before[&device]);
                }
                events.extend(other.map(|other| (Some(other), Event::Delete { purge_after: now })));
            }
            (ConflictKind::Records, ConflictStatus::Merged) => {
                let other = other.expect("two records");
                self.book.merged.remove(&other);
                if decided.changed && matches!(self.book.records[&other].state, State::Suspended { .. }) {
                    events.push((Some(other), Event::Enable));
                }
            }
            (ConflictKind::Records, _) => {}
        }
        self.explain(&events).await;
        for (device, record) in &self.book.records {
            let (append, read) = ability(&record.state, now);
            let before = [earlier.get(device), decided.before.get(device)];
            let could = before.into_iter().flatten().map(|state| ability(state, now));
            let (appended, has_read) = could.fold((false, false), |had, can| (had.0 || can.0, had.1 || can.1));
            assert!((appended || !append) && (has_read || !read), "{device} has got rights by an undo");
        }
        self.settle(&[Some(device), other].into_iter().flatten().collect::<Vec<_>>()).await;
    }

    /// The record stands where it stood, with the key that it had.
    fn unsplit(&mut self, device: DeviceId, before: &State) {
        if let Some(key) = self.book.records[&device].key {
            self.book.split.remove(&key);
        }
        // What was cut off before had no key that was in force.
        let effects = if before.level().is_some() { Vec::new() } else { vec![Effect::RenewCredential] };
        self.take_over(device, before.clone(), &effects, &Event::Conflict);
    }

    async fn nothing_changed(&mut self) {
        self.explain(&[]).await;
        self.settle(&[]).await;
    }

    /// An admin has put this event to a device, granted or not: what no undo takes back from now on.
    pub fn overtaken(&mut self, device: DeviceId, event: &Event) {
        let (now, state) = (self.now(), self.book.records[&device].state.clone());
        for decided in self.book.decided.values_mut() {
            let split = (decided.kind, decided.status) == (ConflictKind::Clone, ConflictStatus::Split);
            let merge = (decided.kind, decided.status) == (ConflictKind::Records, ConflictStatus::Merged);
            match event {
                Event::Deactivate { .. } | Event::Hold { .. }
                    if split && decided.device == device && state.level() == Some(Level::Distrust) =>
                {
                    decided.until = decided.until.min(now);
                }
                Event::Suspend
                    if merge && decided.other == Some(device) && matches!(state, State::Suspended { .. }) =>
                {
                    decided.changed = false;
                }
                _ => {}
            }
        }
    }

    /// What holds for the desk after every step. INVARIANT: a quarantine has a way out, a record has one open conflict
    /// of each kind, and one that was merged into another neither appends nor reads.
    pub async fn settle_desk(&mut self) {
        let mut tx = self.world.app.db.read().await.expect("readable");
        let open = db::conflict_list(&mut tx, true, db::PageKey::LAST, 1_000).await.expect("readable");
        let places: BTreeSet<(DeviceId, &str)> = open.iter().map(|row| (row.device, row.kind.word())).collect();
        assert_eq!(places.len(), open.len(), "one open conflict of a device and a kind: {open:?}");
        for (device, record) in &self.book.records {
            let out = !record.state.is_quarantined() || places.contains(&(*device, ConflictKind::Clone.word()));
            assert!(out, "{device} is {} without an open conflict", record.state);
        }
        for other in self.book.merged.keys() {
            let record = &self.book.records[other];
            let can = ability(&record.state, self.now());
            assert_eq!(can, (false, false), "{other} was merged, and is {}", record.state);
        }
    }

    /// What was merged is so in the database. What the end of a kept record has taken apart is taken out of the book.
    pub async fn settle_merged(&mut self) {
        let mut tx = self.world.app.db.read().await.expect("readable");
        let devices: Vec<DeviceId> = self.book.records.keys().copied().collect();
        for device in devices {
            let into = db::device_merged_get(&mut tx, device).await.expect("readable");
            let ought = self.book.merged.get(&device).copied();
            let purged = ought.is_some_and(|kept| self.book.records[&kept].state == State::Purged);
            if into.is_none() && purged {
                self.book.merged.remove(&device);
            } else {
                assert_eq!(into, ought, "into what {device} was merged");
            }
        }
    }
}
