//! The book against the database: after every step, and all of it at the end. Refuses whatever nobody has explained.

use super::play::{ADMIN, Play};
use app::PolicySubject;
use base::{DeviceId, FolderId};
use control::policy::PolicyChanges;
use control::{Effect, Event, State, lifecycle};
use db::DeviceRow;
use std::collections::{BTreeMap, BTreeSet};

impl Play {
    /// How many rows the audit log has.
    pub async fn audited(&self) -> u64 {
        let mut tx = self.world.app.db.read().await.expect("readable");
        db::audit_get_newest(&mut tx).await.expect("readable").map_or(0, |(seq, _)| seq)
    }

    /// How many lines about this device came after that one; a campaign that ends by it has its own.
    pub async fn audited_of(&self, device: DeviceId, after: u64) -> usize {
        let mut tx = self.world.app.db.read().await.expect("readable");
        let rows = app::audit::list(&mut tx, after).await.expect("readable");
        rows.iter().filter(|row| row.subject == device.to_string()).count()
    }

    /// Every record as it stands.
    pub async fn rows_all(&self) -> Vec<DeviceRow> {
        let mut tx = self.world.app.db.read().await.expect("readable");
        db::device_list(&mut tx).await.expect("readable")
    }

    pub async fn row(&self, device: DeviceId) -> DeviceRow {
        let mut tx = self.world.app.db.read().await.expect("readable");
        db::device_get(&mut tx, device).await.expect("readable").expect("the record is there")
    }

    /// What a coming back has done to the user's own choices is exactly what the profile says.
    pub fn came_back(
        &mut self,
        device: DeviceId,
        said: Option<&PolicyChanges>,
        out: &BTreeSet<FolderId>,
        own: &BTreeMap<String, String>,
    ) {
        self.granted[4] += 1;
        self.granted[5] += u32::from(!out.is_empty());
        let record = self.book.records.get_mut(&device).expect("it is in the book");
        let keep = self.book.people[&record.owner].keep.unwrap_or(false);
        record.reset(keep);
        let Some(said) = said else { return };
        let folders: BTreeSet<FolderId> = said.folders.iter().map(|change| change.folder).collect();
        let values: BTreeMap<String, String> =
            said.values.iter().map(|change| (change.key.to_string(), change.was.to_string())).collect();
        assert_eq!((said.kept, &folders, &values), (keep, out, own), "what the user is told of a reactivation");
    }

    /// Takes over what one of these events explains, at the records that differ from the book. Gives those.
    pub async fn explain(&mut self, events: &[(Option<DeviceId>, Event)]) -> Vec<DeviceId> {
        let now = self.now();
        let mut touched = Vec::new();
        for row in self.rows_all().await {
            let Some(record) = self.book.records.get(&row.id) else { continue };
            if record.state == row.state && record.epoch == row.epoch {
                continue;
            }
            let fits = |(device, event): &&(Option<DeviceId>, Event)| {
                device.is_none_or(|device| device == row.id)
                    && lifecycle::step(now, &record.state, event).is_ok_and(|(state, _)| state == row.state)
            };
            let Some((_, event)) = events.iter().find(fits) else {
                panic!("nothing explains {}: {:?} to {:?}, of {events:?}", row.id, record.state, row.state);
            };
            let (_, effects) = lifecycle::step(now, &record.state, event).expect("it was granted a moment ago");
            self.take_over(row.id, row.state, &effects, event);
            touched.push(row.id);
        }
        touched
    }

    /// Takes over what an alarm of two machines has made of this record, if there was one.
    pub async fn alarmed(&mut self, device: DeviceId) {
        let Some(record) = self.book.records.get(&device) else { return };
        let row = self.row(device).await;
        let Ok((state, effects)) = lifecycle::step(self.now(), &record.state, &Event::Conflict) else { return };
        if (&row.state, row.epoch) == (&state, record.epoch) {
            self.take_over(device, state, &effects, &Event::Conflict);
        }
    }

    pub fn take_over(&mut self, device: DeviceId, state: State, effects: &[Effect], event: &Event) {
        let record = self.book.records.get_mut(&device).expect("it is in the book");
        record.state = state;
        record.proof = format!("{}, after {event:?}", record.proof);
        let (mut back, out, own) = (false, record.out.clone(), record.own.clone());
        for effect in effects {
            match effect {
                Effect::RevokeCredential => record.revoked = true,
                Effect::IssueCredential => {
                    record.epoch += 1;
                    (record.key, record.revoked) = (record.waiting, false);
                    assert!(record.key.is_some(), "an admin's yes binds the key that waited");
                }
                Effect::RenewCredential => {
                    record.epoch += 1;
                    record.revoked = false;
                }
                Effect::ClearUnlinked => back = true,
                Effect::PurgeData => {
                    record.snapshots.clear();
                    record.out.clear();
                    record.own.clear();
                    record.set.clear();
                    record.key = None;
                }
                _ => {}
            }
        }
        if back {
            self.came_back(device, None, &out, &own);
        }
    }

    /// Every record stands as the book says, and these have the credentials, choices and history that it says.
    pub async fn settle(&mut self, touched: &[DeviceId]) {
        let rows = self.rows_all().await;
        assert_eq!(rows.len(), self.book.records.len(), "records come by an activation that is in the book");
        for row in &rows {
            let record = self.book.records.get(&row.id).expect("the book has every record");
            let (is, ought) = ((&row.state, row.epoch, row.user), (&record.state, record.epoch, record.owner));
            assert_eq!(is, ought, "{}, which came to its rights by {}", row.id, record.proof);
        }
        let mut tx = self.world.app.db.read().await.expect("readable");
        assert_eq!(db::pack_count_get(&mut tx).await.expect("readable"), self.book.packs, "packs");
        drop(tx);
        self.settle_desk().await;
        for device in touched {
            self.settle_one(*device).await;
        }
    }

    async fn settle_one(&self, device: DeviceId) {
        let record = &self.book.records[&device];
        let mut tx = self.world.app.db.read().await.expect("readable");
        let newest = db::credential_get_newest(&mut tx, device).await.expect("readable");
        let live = db::credential_get_live(&mut tx, device).await.expect("readable");
        let key = newest.as_ref().map(|newest| newest.public_key);
        if record.state != State::Purged {
            assert_eq!(key, record.key, "the key of {device}, by {}", record.proof);
            let ought = record.key.filter(|_| !record.revoked).map(|_| record.epoch);
            assert_eq!(live.map(|live| live.epoch), ought, "one live credential at most, of {device}");
        }
        let snapshots = db::snapshot_list_by_device(&mut tx, device, None, None, 1_000).await.expect("readable");
        let snapshots: BTreeMap<_, _> = snapshots.iter().map(|row| (row.new.id, row.new.epoch)).collect();
        assert_eq!(snapshots, record.snapshots, "no history is lost, and none comes by itself, of {device}");
        let out: BTreeSet<FolderId> = db::unlinked_list(&mut tx, device).await.expect("readable").into_iter().collect();
        assert_eq!(out, record.out, "what the user of {device} has taken out");
        let values = db::policy_value_list(&mut tx, PolicySubject::Device(device)).await.expect("readable");
        let values: BTreeMap<String, String> =
            values.iter().map(|row| (row.key.to_string(), row.set.value.to_string())).collect();
        let ought: BTreeMap<String, String> = record.own.clone().into_iter().chain(record.set.clone()).collect();
        assert_eq!(values, ought, "what is set at {device}");
    }

    /// Everything once more, and what is checked only at the end.
    pub async fn end(&mut self) {
        let all: Vec<DeviceId> = self.book.records.keys().copied().collect();
        self.settle(&all).await;
        self.settle_merged().await;
        for (id, token) in &self.book.tokens {
            let row = app::tokens::get(&self.world.app, &ADMIN, *id).await.expect("it was made");
            assert_eq!(row.uses.0, token.uses, "uses of a token");
            assert!(row.uses_max.is_none_or(|max| row.uses <= max), "a token is never used above its limit");
        }
        let mut tx = self.world.app.db.read().await.expect("readable");
        for (id, ticket) in &self.book.tickets {
            let row = db::ticket_get(&mut tx, *id).await.expect("readable").expect("it was made");
            assert_eq!(row.used_at.is_some(), ticket.used, "a ticket is used by whom the book says");
        }
        drop(tx);
        let verified = app::audit::verify(&self.world.app, &ADMIN, None).await.expect("readable");
        assert_eq!(verified.broken, None, "the chain of the audit log holds");
    }
}
