//! Whom a storage report is about: the devices, with the records that were merged into each, their users, and those'
//! profiles; each with a number. Refuses to follow what comes later: snapshots up to one number are what it is of.

use crate::{App, AppError};
use base::{Bytes as Size, Count, DeviceId, ProfileId, Timestamp};
use control::storage::share;
use db::{StorageDeviceRow, StorageFigures};
use std::collections::{BTreeMap, HashMap};

/// Devices that are listed by one statement.
const PAGE: u32 = 1_000;
/// Records of one computer that were merged one into the other.
const MERGES_MAX: usize = 16;

/// The subjects of one level, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) ids: Vec<[u8; 16]>,
    pub(super) figures: Vec<StorageFigures>,
}

/// All subjects.
#[derive(Debug)]
pub(super) struct Subjects {
    /// What the report is of: the time, and the newest snapshot.
    pub(super) as_of: Timestamp,
    pub(super) snapshot_last: i64,
    pub(super) devices: Level,
    pub(super) users: Level,
    pub(super) profiles: Level,
    /// The number of the device that a record belongs to.
    records: HashMap<DeviceId, u32>,
    /// The numbers of a device's user and of that one's profile, by the device's number.
    pub(super) user_of: Vec<u32>,
    pub(super) profile_of: Vec<u32>,
}

impl Level {
    fn new(ids: impl Iterator<Item = [u8; 16]>) -> Self {
        let ids: Vec<[u8; 16]> = ids.collect();
        let figures = vec![StorageFigures::default(); ids.len()];
        Self { ids, figures }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    fn number(&self, id: &[u8; 16]) -> u32 {
        let place = self.ids.binary_search(id).expect("the level was made of the ids of all devices");
        u32::try_from(place).expect("there are fewer than four billion")
    }

    /// What exactly these subjects need, and nobody else of this level, is divided among them.
    pub(super) fn divide(&mut self, members: &[u32], plain: Size, stored: Size) {
        if let [alone] = members {
            let figures = &mut self.figures[*alone as usize];
            figures.unique += plain;
            figures.unique_stored += stored;
            figures.plain += plain;
            figures.stored += stored;
            return;
        }
        let count = members.len() as u64;
        for (place, member) in (0..).zip(members) {
            let figures = &mut self.figures[*member as usize];
            figures.shared += plain;
            figures.plain += share(plain, count, place);
            figures.stored += share(stored, count, place);
        }
    }
}

impl Subjects {
    /// Everybody, as they are now.
    ///
    /// # Errors
    /// The database does not answer.
    pub(super) async fn of(app: &App) -> Result<Self, AppError> {
        let as_of = app.clock.now();
        let during = || AppError::db("listing whose snapshots there are");
        let mut tx = app.db.read().await.map_err(during())?;
        let (snapshot_last, _) = db::collection_bounds_get(&mut tx).await.map_err(during())?;
        let mut rows: BTreeMap<DeviceId, StorageDeviceRow> = BTreeMap::new();
        loop {
            let after = rows.last_key_value().map(|(id, _)| *id);
            let page = db::storage_device_list(&mut tx, after, PAGE).await.map_err(during())?;
            if page.is_empty() {
                break;
            }
            rows.extend(page.into_iter().map(|row| (row.id, row)));
        }
        Ok(Self::numbered(as_of, snapshot_last, &rows))
    }

    fn numbered(as_of: Timestamp, snapshot_last: i64, rows: &BTreeMap<DeviceId, StorageDeviceRow>) -> Self {
        let kept: BTreeMap<DeviceId, DeviceId> = rows.keys().map(|id| (*id, kept(rows, *id))).collect();
        let profile = |row: &StorageDeviceRow| row.profile.unwrap_or(ProfileId::from_bytes([0; 16]));
        let computers: Vec<&StorageDeviceRow> = rows.values().filter(|row| kept[&row.id] == row.id).collect();
        let sorted = |mut ids: Vec<[u8; 16]>| {
            ids.sort_unstable();
            ids.dedup();
            Level::new(ids.into_iter())
        };
        let mut devices = Level::new(computers.iter().map(|row| *row.id.as_bytes()));
        let mut users = sorted(computers.iter().map(|row| *row.user.as_bytes()).collect());
        let mut profiles = sorted(computers.iter().map(|row| *profile(row).as_bytes()).collect());
        let user_of: Vec<u32> = computers.iter().map(|row| users.number(row.user.as_bytes())).collect();
        let profile_of: Vec<u32> = computers.iter().map(|row| profiles.number(profile(row).as_bytes())).collect();
        for (place, row) in computers.iter().enumerate() {
            devices.figures[place].newest = row.newest;
            users.figures[user_of[place] as usize].newest += row.newest;
            profiles.figures[profile_of[place] as usize].newest += row.newest;
        }
        let records = kept.into_iter().map(|(id, kept)| (id, devices.number(kept.as_bytes()))).collect();
        Self { as_of, snapshot_last, devices, users, profiles, records, user_of, profile_of }
    }

    /// Counts a snapshot of this many logical bytes, and gives the number of its device; `None` where the device has no
    /// row.
    pub(super) fn snapshot(&mut self, record: DeviceId, bytes: Size) -> Option<u32> {
        let device = *self.records.get(&record)?;
        let (user, profile) = (self.user_of[device as usize], self.profile_of[device as usize]);
        for (level, number) in [(&mut self.devices, device), (&mut self.users, user), (&mut self.profiles, profile)] {
            let figures = &mut level.figures[number as usize];
            figures.snapshots += Count(1);
            figures.logical += bytes;
        }
        Some(device)
    }

    /// What all of them take together: nobody else needs it.
    pub(super) fn whole(&self) -> StorageFigures {
        let mut whole = StorageFigures::default();
        for figures in &self.devices.figures {
            whole.snapshots += figures.snapshots;
            whole.newest += figures.newest;
            whole.logical += figures.logical;
            whole.plain += figures.plain;
            whole.stored += figures.stored;
        }
        StorageFigures { unique: whole.plain, unique_stored: whole.stored, ..whole }
    }
}

/// The record that stands for this one's computer.
fn kept(rows: &BTreeMap<DeviceId, StorageDeviceRow>, id: DeviceId) -> DeviceId {
    let mut kept = id;
    for _ in 0..MERGES_MAX {
        match rows.get(&kept).and_then(|row| row.merged_into).filter(|into| rows.contains_key(into)) {
            Some(into) => kept = into,
            None => return kept,
        }
    }
    // No decision makes a circle of them; the records of one would be nobody's.
    id
}
