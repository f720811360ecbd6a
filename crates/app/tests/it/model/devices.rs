//! What machines do with the keys that they have: sessions, reading, backups, own choices. Refuses to let one read,
//! append or choose that the book does not let.

use super::super::world::{Device, Run, sample_of};
use super::play::Play;
use app::devices::DeviceOrder;
use app::page::PageAsk;
use app::runs::{self, Purpose};
use app::session::{self, Opening};
use app::snapshots::Newest;
use app::{AppError, DeviceActor};
use base::{DeviceId, SnapshotId};
use control::access::Verb;
use control::policy::Key as PolicyKey;
use control::{Event, Level, State};
use format::NamingKey;
use std::collections::BTreeSet;

/// What reads everything of a record.
const READS: [Verb; 4] = [Verb::ReadOwnTrees, Verb::ListSnapshots, Verb::BeginRestore, Verb::Fetch];

impl Play {
    /// A machine with a key opens a session; a copy presents an old counter.
    pub async fn open_any(&mut self) {
        let which = self.dice.below(self.machines.len());
        self.open(which).await;
    }

    pub async fn open(&mut self, which: usize) {
        let Some((key, device, epoch)) = self.machines[which].bound else { return };
        let counters = &self.machines[which].counters;
        let counter = match self.dice.below(12) {
            0 => None,
            1 => counters.iter().rev().nth(1).copied(),
            2 => counters.first().copied(),
            _ => counters.last().copied(),
        };
        let challenge = session::challenge(&self.world.app, device).bytes;
        let (signature, source) = (key.sign(&challenge), "192.0.2.7");
        let (signed, counter) = (&challenge[..], counter.as_ref());
        let opening = Opening { device, challenge: &challenge, signed, signature: &signature, counter, source };
        let opened = session::open(&self.world.app, &opening).await;
        let code = opened.as_ref().map(|_| "yes").map_err(AppError::code);
        self.say(format!("machine {which} opens a session as {device} of epoch {epoch}: {code:?}"));
        let now = self.now();
        let record = &self.book.records[&device];
        let good = record.key == Some(key.public()) && !record.revoked;
        let told = matches!(record.state, State::Decommissioning { .. });
        let may = good && (record.may_append(self.active(record.owner), record.epoch, now) || told);
        if let Ok(opened) = opened {
            assert!(may, "a session for a refused device: {:?}, by {}", record.state, record.proof);
            // Who was brought back by an admin has the key of the newest epoch, and learns of that here.
            let session = (opened.token, device, record.epoch, now + opened.span);
            let machine = &mut self.machines[which];
            machine.bound = Some((key, device, record.epoch));
            machine.session = Some(session);
            if !self.dice.once_in(6) {
                machine.counters.push(opened.counter);
            }
        } else {
            self.granted[1] += 1;
            assert!(code != Err("signature_invalid") || !good, "its own key is refused");
        }
        let touched = self.explain(&[(Some(device), Event::Conflict)]).await;
        self.settle(&touched).await;
    }

    /// Looks with a session at everything that can be read.
    pub async fn look(&mut self) {
        let Some((which, token, device, epoch)) = self.session() else { return };
        for verb in READS {
            let granted = session::authenticate(&self.world.app, &token, verb).await.is_ok();
            let record = &self.book.records[&device];
            let may = record.may_read(self.active(record.owner), epoch);
            assert_eq!(granted, may, "{verb} as {device} of epoch {epoch}, {:?} by {}", record.state, record.proof);
            let key = self.machines[which].bound.map(|(key, ..)| key.public());
            let split = key.is_some_and(|key| self.book.split.contains(&key));
            assert!(!(granted && split), "{verb} with a key that two machines have");
        }
        let actor = session::authenticate(&self.world.app, &token, Verb::ReadStatus).await;
        let code = actor.as_ref().map(|_| "yes").map_err(AppError::code);
        self.say(format!("machine {which} looks as {device} of epoch {epoch}: {code:?}"));
        if let Ok(actor) = actor {
            self.look_as(&actor, device, epoch).await;
            self.wipe(&actor, device).await;
        }
        self.settle(&[]).await;
    }

    /// Machines that were told to erase what they have hear of it, and say that it is done, mostly.
    pub async fn erase(&mut self) {
        for which in 0..self.machines.len() {
            let told = |device| matches!(self.book.records[&device].state, State::Decommissioning { .. });
            if !self.machines[which].bound.is_some_and(|(_, device, _)| told(device)) || self.dice.once_in(3) {
                continue;
            }
            self.open(which).await;
            let Some((token, device, ..)) = self.machines[which].session.clone() else { continue };
            if let Ok(actor) = session::authenticate(&self.world.app, &token, Verb::ConfirmWipe).await {
                self.wipe(&actor, device).await;
            }
        }
    }

    /// A machine that is to erase what it has says that it has done so, and only one that is told to is heard.
    async fn wipe(&mut self, actor: &DeviceActor, device: DeviceId) {
        let told = matches!(self.book.records[&device].state, State::Decommissioning { .. });
        if !told && !self.dice.once_in(20) {
            return;
        }
        let wiped = app::devices::wiped(&self.world.app, actor).await.map_err(|error| error.code());
        self.say(format!("{device} says that it is erased: {wiped:?}"));
        let is_done = matches!(self.book.records[&device].state, State::Decommissioned);
        assert_eq!(wiped.is_ok(), told || is_done, "{device} was told to erase: {wiped:?}");
        let touched = self.explain(&[(Some(device), Event::ConfirmWipe)]).await;
        assert_eq!(touched.len(), usize::from(told));
        self.granted[7] += u32::from(told);
        self.settle(&touched).await;
    }

    async fn look_as(&mut self, actor: &DeviceActor, device: DeviceId, epoch: u64) {
        let listed = app::snapshots::list(&self.world.app, actor, &PageAsk::first()).await;
        let record = &self.book.records[&device];
        let active = self.active(record.owner);
        match listed {
            Ok(page) => {
                let ids: Vec<SnapshotId> = page.items.iter().map(|snapshot| snapshot.id).collect();
                let listed: BTreeSet<SnapshotId> = ids.iter().copied().collect();
                assert_eq!(listed, self.book.readable(device, epoch), "what may be read is listed, and nothing else");
                assert_eq!(listed.len(), ids.len(), "and each once");
                self.granted[2] += u32::from(!ids.is_empty());
            }
            Err(_) => assert!(!record.may_read(active, epoch), "who may read gets the list"),
        }
        let all: Vec<SnapshotId> =
            self.book.records.values().flat_map(|record| record.snapshots.keys().copied()).collect();
        let mut own: Vec<SnapshotId> = self.book.records[&device].snapshots.keys().copied().collect();
        own.extend(self.book.readable(device, epoch));
        let which = if self.dice.once_in(3) { self.dice.pick(&all) } else { self.dice.pick(&own) };
        let Some(snapshot) = which else { return };
        let request = self.dice.bytes();
        let begun = runs::begin(&self.world.app, actor, request, Purpose::Restore { snapshot }).await;
        let record = &self.book.records[&device];
        let may = self.book.readable(device, epoch).contains(&snapshot);
        assert_eq!(begun.is_ok(), may, "{device} of epoch {epoch} restores, {:?}: {:?}", record.state, begun.err());
    }

    /// A small backup; something may happen in the middle of it.
    pub async fn back_up(&mut self) {
        let Some((which, token, device, epoch)) = self.session() else { return };
        let outcome = self.append(which, &token, device, epoch).await;
        self.say(format!("machine {which} backs up as {device} of epoch {epoch}: {outcome:?}"));
        self.granted[if outcome.is_ok() { 3 } else { 1 }] += 1;
        self.settle(&[device]).await;
    }

    async fn append(&mut self, which: usize, token: &str, device: DeviceId, epoch: u64) -> Result<(), &'static str> {
        let (key, ..) = self.machines[which].bound.ok_or("no key")?;
        let actor = session::authenticate(&self.world.app, token, Verb::BeginBackup).await.map_err(|e| e.code());
        let may = self.may_append(device, epoch);
        assert_eq!(actor.is_ok(), may, "{device} of epoch {epoch} begins a backup: {actor:?}");
        let held = Device::new(actor?, key.pair());
        let begun = runs::begin(&self.world.app, &held.actor, self.dice.bytes(), Purpose::Backup).await;
        let begun = begun.map_err(|error| error.code())?;
        self.tells(&begun, &held.actor).await;
        let naming = NamingKey::new(&begun.naming_key);
        let (draft, root, totals) = sample_of(&naming, self.book.packs.0);
        let run = Run { world: &self.world, device: &held, begun, naming };
        let (pack, manifest) = (run.pack(&draft), run.manifest(root, totals));
        let sealed = run.seal(&manifest);
        let id = run.id();
        let bytes = pack.bytes.len() as u64;
        if self.dice.once_in(4) {
            self.order_to(device).await;
        }
        self.change_server();
        let world = &self.world;
        let again = session::authenticate(&world.app, token, Verb::Append).await.map_err(|error| error.code());
        let may = self.may_append(device, epoch);
        assert_eq!(again.is_ok(), may, "{device} of epoch {epoch} goes on with a backup: {again:?}");
        let body = super::super::world::body(pack.bytes.clone());
        let actor = again?;
        app::backup::upload(&world.app, &actor, id, pack.id, Some(bytes), body).await.map_err(|e| e.code())?;
        self.book.packs.0 += 1;
        if self.dice.once_in(4) {
            self.order_to(device).await;
        }
        self.change_server();
        // With what was known before: the commit has to look again by itself.
        let reported = app::backup::Reported::default();
        let committed = app::backup::commit(&self.world.app, &actor, id, sealed, reported).await;
        let snapshot = committed.map_err(|error| error.code())?.snapshot.id;
        assert!(self.may_append(device, epoch), "a refused device appends");
        self.book.records.get_mut(&device).expect("it is in the book").snapshots.insert(snapshot, epoch);
        Ok(())
    }

    /// What a device is told when it begins, and in its status, is of what it may read or has made itself.
    async fn tells(&self, begun: &runs::Begun, actor: &app::DeviceActor) {
        let (newest, count) = app::snapshots::standing(&self.world.app, actor).await.expect("readable");
        let record = &self.book.records[&actor.device];
        let all = record.may_read(self.active(record.owner), actor.epoch);
        let own = record.snapshots.values().filter(|written| **written == actor.epoch).count();
        let counted = if all { record.snapshots.len() } else { own };
        assert_eq!(count, base::Count::of(counted), "snapshots that it may know of");
        for told in [&begun.snapshot, &newest] {
            let Some(shown) = told.as_ref().and_then(Newest::view) else { continue };
            let own = record.snapshots.get(&shown.id) == Some(&actor.epoch);
            assert!(all || own, "a device is told of a snapshot that it may not read and has not made");
        }
    }

    /// The user at a device takes folders out and in, and sets an interval.
    pub async fn choose(&mut self) {
        let Some((which, token, device, epoch)) = self.session() else { return };
        self.choose_at(which, &token, device, epoch).await;
        // Mostly, so that there is something to be returned, or kept, when the device comes back.
        if self.dice.once_in(2) {
            self.choose_at(which, &token, device, epoch).await;
            let event = Event::Deactivate { level: Level::Rotate };
            self.order_as(device, DeviceOrder::Deactivate { level: Level::Rotate }, event).await;
            self.ask_by_key(which).await;
        }
    }

    async fn choose_at(&mut self, which: usize, token: &str, device: DeviceId, epoch: u64) {
        let Ok(actor) = session::authenticate(&self.world.app, token, Verb::ReadPolicy).await else { return };
        let record = &self.book.records[&device];
        let may = record.may_read(self.active(record.owner), epoch);
        let granted = if self.dice.once_in(2) {
            let folder = self.dice.pick(&self.folders).expect("there are two");
            let linked = self.dice.once_in(3);
            let granted = app::folders::own_link(&self.world.app, &actor, folder, linked).await;
            let out = &mut self.book.records.get_mut(&device).expect("it is in the book").out;
            match (granted.is_ok(), linked) {
                (true, true) => drop(out.remove(&folder)),
                (true, false) => drop(out.insert(folder)),
                (false, _) => {}
            }
            granted.map(|_| ())
        } else {
            let key = [PolicyKey::Interval, PolicyKey::BandwidthWan][self.dice.below(2)].to_string();
            let value = if key == "interval" { ["1h", "2h"][self.dice.below(2)] } else { "none" };
            let pair = [(key.clone(), Some(value.to_owned()))];
            let granted = app::policy::own_set(&self.world.app, &actor, &pair).await;
            if granted.is_ok() {
                let record = self.book.records.get_mut(&device).expect("it is in the book");
                record.own.insert(key, value.to_owned());
            }
            granted.map(|_| ())
        };
        self.say(format!("the user of machine {which} chooses as {device}: {granted:?}"));
        assert_eq!(granted.is_ok(), may, "who may read may choose, of {device}: {granted:?}");
        self.settle(&[device]).await;
    }

    fn may_append(&self, device: DeviceId, epoch: u64) -> bool {
        let record = &self.book.records[&device];
        record.may_append(self.active(record.owner), epoch, self.now())
    }

    /// A session that has not ended by the clock.
    fn session(&mut self) -> Option<(usize, String, DeviceId, u64)> {
        let now = self.now();
        let open = |(which, machine): (usize, &super::asks::Machine)| {
            let (token, device, epoch, until) = machine.session.clone()?;
            (now < until).then_some((which, token, device, epoch))
        };
        let sessions: Vec<_> = self.machines.iter().enumerate().filter_map(open).collect();
        self.dice.pick(&sessions)
    }
}
