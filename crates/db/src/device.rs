//! Device records. Refuses a state that no `control::State` makes: such a row is damaged, never guessed at.

mod page;

pub use page::{DeviceFilter, DeviceListRow, device_append_only_list, device_page_list};

use crate::device_counter::{self, DeviceCounterRow};
use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Query, Row, query};
use crate::user::user_state;
use crate::{DbError, Tx};
use base::{DeviceId, SnapshotId, Timestamp, TokenId, UserId};
use control::activation::{Candidate, Evidence};
use control::{FlatState, State, UserState};

/// One device record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Which.
    pub id: DeviceId,
    /// Whose.
    pub user: UserId,
    /// Its name on the console.
    pub name: String,
    /// Where it stands in its lifecycle.
    pub state: State,
    /// The newest binding of a key to it; 0 before the first.
    pub epoch: u64,
    /// What the computer said of itself at the last activation.
    pub about: DeviceAbout,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When a key was last bound to it.
    pub activated_at: Timestamp,
    /// When it last opened a session.
    pub last_seen_at: Option<Timestamp>,
    /// Its newest snapshot.
    pub last_snapshot: Option<SnapshotId>,
    /// What it has to present at its next session.
    pub counter: DeviceCounterRow,
    /// The slot in which it catches up on what it has missed.
    pub catch_up_at: Option<Timestamp>,
    /// Since when its backups are watched.
    pub watch_since: Option<Timestamp>,
    /// Until when.
    pub watch_until: Option<Timestamp>,
    /// The token that its last activation used; one by its old key alone leaves it as it was.
    pub token: Option<TokenId>,
    /// From where it was activated last.
    pub source: Option<String>,
}

/// What a computer says of itself. Empty where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceAbout {
    /// Its name in the network.
    pub host_name: String,
    /// The maker's serial number.
    pub serial: String,
    /// The hardware UUID of the firmware.
    pub hardware_uuid: String,
    /// The account that the endpoint runs as.
    pub os_user: String,
    /// `linux`, `windows`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// The endpoint's release.
    pub agent: String,
}

/// What a request is let in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStandingRow {
    /// Whose the device is.
    pub user: UserId,
    /// Where that user stands.
    pub user_state: UserState,
    /// The row number of the user's repository.
    pub repository: i64,
    /// The newest binding of a key to the record.
    pub epoch: u64,
    /// Where the device stands in its lifecycle.
    pub state: State,
    /// Grows with every change of what its effective policy is made of.
    pub policy_revision: u64,
}

impl DeviceRow {
    /// A record that waits for its first key, made now. Never fails.
    pub fn new(id: DeviceId, user: UserId, name: String, about: DeviceAbout, now: Timestamp) -> Self {
        Self {
            id,
            user,
            name,
            state: State::Pending,
            epoch: 0,
            about,
            created_at: now,
            activated_at: now,
            last_seen_at: None,
            last_snapshot: None,
            counter: DeviceCounterRow::default(),
            catch_up_at: None,
            watch_since: None,
            watch_until: None,
            token: None,
            source: None,
        }
    }
}

/// Adds a device record.
///
/// # Errors
/// Constraint: a record with this id is there, or the user is not; the database does not answer.
pub async fn device_insert(tx: &mut Tx, device: &DeviceRow) -> Result<(), DbError> {
    let inserted = query(
        "insert into device (id, state, state_was, state_rights, state_level, append_until, purge_after, epoch, \
         host_name, serial, hardware_uuid, os_user, os, arch, agent, activated_at, counter, counter_nonce, \
         counter_nonce_before, counter_epoch, challenge_at, catch_up_at, watch_since, watch_until, token_id, \
         last_source, last_seen_at, user_id, name, created_at, last_snapshot) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
         $23, $24, $25, $26, $27, $28, $29, $30, $31)",
    );
    bind_standing(inserted, device)
        .bind(&device.user.as_bytes()[..])
        .bind(&device.name)
        .bind(device.created_at.as_ms())
        .bind(device.last_snapshot.as_ref().map(|snapshot| &snapshot.as_bytes()[..]))
        .execute(tx.conn())
        .await
        .map_err(failed("insert a device"))?;
    Ok(())
}

/// Stores what a step of its lifecycle makes of a record, as `device` has it: where it stands, the newest binding of a
/// key and what came with that, its counter, its slot and its watch. What backups and sessions note stays, but for when
/// it was heard of, where `device` knows of a later time.
///
/// # Errors
/// The database does not answer.
pub async fn device_update(tx: &mut Tx, device: &DeviceRow) -> Result<(), DbError> {
    let updated = query(
        "update device set state = $2, state_was = $3, state_rights = $4, state_level = $5, append_until = $6, \
         purge_after = $7, epoch = $8, host_name = $9, serial = $10, hardware_uuid = $11, os_user = $12, os = $13, \
         arch = $14, agent = $15, activated_at = $16, counter = $17, counter_nonce = $18, counter_nonce_before = $19, \
         counter_epoch = $20, challenge_at = $21, catch_up_at = $22, watch_since = $23, watch_until = $24, \
         token_id = $25, last_source = $26, \
         last_seen_at = case when last_seen_at is null or last_seen_at < $27 then $27 else last_seen_at end \
         where id = $1",
    );
    bind_standing(updated, device).execute(tx.conn()).await.map_err(failed("update a device"))?;
    Ok(())
}

/// The parameters that both take, in their order.
fn bind_standing(query: Query, device: &DeviceRow) -> Query {
    let (flat, about) = (device.state.to_flat(), &device.about);
    let DeviceCounterRow { remembered, challenge_at } = device.counter;
    let current = remembered.map(|remembered| remembered.current);
    query
        .bind(&device.id.as_bytes()[..])
        .bind(flat.word)
        .bind(flat.was)
        .bind(flat.rights)
        .bind(flat.level)
        .bind(flat.append_until.map(Timestamp::as_ms))
        .bind(flat.purge_after.map(Timestamp::as_ms))
        .bind(device.epoch.cast_signed())
        .bind(&about.host_name)
        .bind(&about.serial)
        .bind(&about.hardware_uuid)
        .bind(&about.os_user)
        .bind(&about.os)
        .bind(&about.arch)
        .bind(&about.agent)
        .bind(device.activated_at.as_ms())
        .bind(current.map_or(0, |current| int(current.number)))
        .bind(current.as_ref().map(|current| &current.nonce[..]))
        .bind(remembered.and_then(|remembered| remembered.before).as_ref().map(|nonce| &nonce[..]))
        .bind(current.map_or(0, |current| int(current.epoch)))
        .bind(challenge_at.map(Timestamp::as_ms))
        .bind(device.catch_up_at.map(Timestamp::as_ms))
        .bind(device.watch_since.map(Timestamp::as_ms))
        .bind(device.watch_until.map(Timestamp::as_ms))
        .bind(device.token.as_ref().map(|token| &token.as_bytes()[..]))
        .bind(&device.source)
        .bind(device.last_seen_at.map(Timestamp::as_ms))
}

/// The record with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn device_get(tx: &mut Tx, id: DeviceId) -> Result<Option<DeviceRow>, DbError> {
    let row = query("select * from device where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a device"))?;
    row.as_ref().map(read).transpose()
}

/// Every record, by name and then by id.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn device_list(tx: &mut Tx) -> Result<Vec<DeviceRow>, DbError> {
    let rows =
        query("select * from device order by name, id").fetch_all(tx.conn()).await.map_err(failed("list devices"))?;
    rows.iter().map(read).collect()
}

/// The records of a user, the oldest first; without those that were merged into another, which live on there.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn device_list_by_user(tx: &mut Tx, user: UserId) -> Result<Vec<DeviceRow>, DbError> {
    let rows = query("select * from device where user_id = $1 and merged_into is null order by created_at, id")
        .bind(&user.as_bytes()[..])
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list a user's devices"))?;
    rows.iter().map(read).collect()
}

/// What decides which record an activation of this user comes to: the user's records, the oldest first; without those
/// that were merged into another. Of the account nothing is given: it is never compared.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn device_candidate_list(tx: &mut Tx, user: UserId) -> Result<Vec<Candidate>, DbError> {
    let rows = query(
        "select id, state, state_was, state_rights, state_level, append_until, purge_after, host_name, serial, \
         hardware_uuid, case when state = 'pending' then (select count(*) from waiting w \
         where w.device_id = device.id and w.refused_at is null) else 0 end as asked \
         from device where user_id = $1 and merged_into is null order by created_at, id",
    )
    .bind(&user.as_bytes()[..])
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list what an activation may come to"))?;
    let candidate = |row: &Row| {
        let evidence = Evidence {
            host_name: row.text("host_name")?,
            serial: row.text("serial")?,
            hardware_uuid: row.text("hardware_uuid")?,
            os_user: String::new(),
        };
        let device = DeviceId::from_bytes(row.bytes("id")?);
        Ok(Candidate { device, owner: user, state: state(row)?, evidence, asked: row.int("asked")? > 0 })
    };
    rows.iter().map(candidate).collect()
}

/// What a request of this device is let in by.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn device_standing_get(tx: &mut Tx, id: DeviceId) -> Result<Option<DeviceStandingRow>, DbError> {
    let row = query(
        "select d.user_id, u.state as user_state, u.repository, d.epoch, d.state, d.state_was, d.state_rights, \
         d.state_level, d.append_until, d.purge_after, \
         coalesce(p.revision, 0) + u.policy_revision + d.policy_revision as policy_revision \
         from device d join \"user\" u on u.id = d.user_id left join profile p \
         on p.id = coalesce(u.profile_id, (select id from profile where is_default = 1)) where d.id = $1",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a device's standing"))?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(DeviceStandingRow {
        user: UserId::from_bytes(row.bytes("user_id")?),
        user_state: user_state(&row.text("user_state")?)?,
        repository: row.int("repository")?,
        epoch: row.number("epoch")?,
        state: state(&row)?,
        policy_revision: row.number("policy_revision")?,
    }))
}

/// Sets when a device last opened a session.
///
/// # Errors
/// The database does not answer.
pub async fn device_seen_update(tx: &mut Tx, id: DeviceId, now: Timestamp) -> Result<(), DbError> {
    query("update device set last_seen_at = $2 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("update when a device was seen"))?;
    Ok(())
}

/// Sets the newest snapshot of a device.
///
/// # Errors
/// The database does not answer.
pub async fn device_last_snapshot_update(tx: &mut Tx, id: DeviceId, snapshot: SnapshotId) -> Result<(), DbError> {
    query("update device set last_snapshot = $2 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(&snapshot.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("update a device's newest snapshot"))?;
    Ok(())
}

/// Counts a change of a device's own values, folders or unlinked list.
///
/// # Errors
/// The database does not answer.
pub async fn device_policy_revision_update(tx: &mut Tx, id: DeviceId) -> Result<(), DbError> {
    query("update device set policy_revision = policy_revision + 1 where id = $1")
        .bind(&id.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("count a change of a device's policy"))?;
    Ok(())
}

/// A whole row of `device`. Fails as damage when a column holds what none makes.
pub(crate) fn read(row: &Row) -> Result<DeviceRow, DbError> {
    Ok(DeviceRow {
        id: DeviceId::from_bytes(row.bytes("id")?),
        user: UserId::from_bytes(row.bytes("user_id")?),
        name: row.text("name")?,
        state: state(row)?,
        epoch: row.number("epoch")?,
        about: DeviceAbout {
            host_name: row.text("host_name")?,
            serial: row.text("serial")?,
            hardware_uuid: row.text("hardware_uuid")?,
            os_user: row.text("os_user")?,
            os: row.text("os")?,
            arch: row.text("arch")?,
            agent: row.text("agent")?,
        },
        created_at: row.time("created_at")?,
        activated_at: row.time("activated_at")?,
        last_seen_at: row.time_maybe("last_seen_at")?,
        last_snapshot: row.bytes_maybe("last_snapshot")?.map(SnapshotId::from_bytes),
        counter: device_counter::read(row)?,
        catch_up_at: row.time_maybe("catch_up_at")?,
        watch_since: row.time_maybe("watch_since")?,
        watch_until: row.time_maybe("watch_until")?,
        token: row.bytes_maybe("token_id")?.map(TokenId::from_bytes),
        source: row.text_maybe("last_source")?,
    })
}

/// The state that the columns of a row of `device` make. Fails as damage when they make none.
pub(crate) fn state(row: &Row) -> Result<State, DbError> {
    let flat = FlatState {
        word: row.text("state")?,
        was: row.text_maybe("state_was")?,
        rights: row.text_maybe("state_rights")?,
        level: row.text_maybe("state_level")?,
        append_until: row.time_maybe("append_until")?,
        purge_after: row.time_maybe("purge_after")?,
    };
    State::from_flat(&flat).map_err(|_| DbError::Column { column: "state", what: "the states of a device" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use control::counter::{Counter, Remembered};
    use control::{Level, Rights};

    #[tokio::test]
    async fn a_record_and_every_kind_of_state_come_back_as_they_were_stored() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let about =
                DeviceAbout { host_name: "anna-laptop".to_owned(), os: "linux".to_owned(), ..Default::default() };
            let (id, name) = (DeviceId::from_bytes([9; 16]), "anna-laptop".to_owned());
            let mut device = DeviceRow::new(id, testing::USER, name, about, Timestamp::from_ms(1));
            device_insert(&mut tx, &device).await.expect("a new record");
            let held = State::Held { rights: Rights::AppendOnly, append_until: Timestamp::from_ms(77) };
            let cut = State::Deactivated { rights: Rights::Full, level: Level::Revoke };
            let suspended = State::Suspended { was: Box::new(cut.clone()) };
            let deleted = State::Deleted { was: Box::new(suspended.clone()), purge_after: Timestamp::from_ms(99) };
            for state in [State::Pending, held, cut, suspended, deleted, State::Purged] {
                device.state = state.clone();
                device_update(&mut tx, &device).await.expect("the record is there");
                assert_eq!(device_get(&mut tx, device.id).await.expect("readable"), Some(device.clone()));
                let standing = device_standing_get(&mut tx, device.id).await.expect("readable").expect("there");
                assert_eq!((standing.state, standing.repository), (state, testing::REPOSITORY));
            }
            bound(&mut device);
            device_update(&mut tx, &device).await.expect("the record is there");
            assert_eq!(device_get(&mut tx, device.id).await.expect("readable"), Some(device.clone()));
            // Who has read the record before a session was opened takes nothing of that back.
            for earlier in [None, Some(Timestamp::from_ms(8))] {
                let before = DeviceRow { last_seen_at: earlier, ..device.clone() };
                device_update(&mut tx, &before).await.expect("the record is there");
                assert_eq!(device_get(&mut tx, device.id).await.expect("readable"), Some(device.clone()));
            }
            let records = device_list_by_user(&mut tx, testing::USER).await.expect("readable");
            let candidates = device_candidate_list(&mut tx, testing::USER).await.expect("readable");
            assert_eq!(candidates, records.iter().map(candidate).collect::<Vec<_>>());
            assert_eq!(records.len(), 2);
            assert_eq!(device_get(&mut tx, DeviceId::from_bytes([8; 16])).await.expect("readable"), None);
        }
    }

    /// Everything that a step of the lifecycle may set.
    fn bound(device: &mut DeviceRow) {
        let current = Counter { epoch: 3, number: 7, nonce: [9; 8] };
        let remembered = Some(Remembered { current, before: Some([8; 8]) });
        let at = |ms| Some(Timestamp::from_ms(ms));
        *device = DeviceRow {
            epoch: 3,
            about: DeviceAbout { serial: "S1".to_owned(), hardware_uuid: "u".to_owned(), ..device.about.clone() },
            activated_at: Timestamp::from_ms(4),
            last_seen_at: at(9),
            counter: DeviceCounterRow { remembered, challenge_at: at(5) },
            catch_up_at: at(6),
            watch_since: at(7),
            watch_until: at(8),
            token: Some(TokenId::from_bytes([1; 16])),
            source: Some("2001:db8::1".to_owned()),
            ..device.clone()
        };
    }

    fn candidate(row: &DeviceRow) -> Candidate {
        let DeviceAbout { host_name, serial, hardware_uuid, .. } = row.about.clone();
        let evidence = Evidence { host_name, serial, hardware_uuid, os_user: String::new() };
        Candidate { device: row.id, owner: row.user, state: row.state.clone(), evidence, asked: false }
    }

    #[tokio::test]
    async fn a_row_that_no_state_makes_is_damage_and_not_a_guess() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            query("update device set state = 'actve'").execute(tx.conn()).await.expect("a statement");
            let error = device_get(&mut tx, testing::DEVICE).await.expect_err("there is no such state");
            assert_eq!(error.kind(), base::Kind::Damaged);
        }
    }
}
