//! Device records. Refuses a state that no `control::State` makes: such a row is damaged, never guessed at.

mod page;

pub use page::{DeviceFilter, DeviceListRow, device_append_only_list, device_page_list};

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::user::user_state;
use crate::{DbError, Tx};
use base::{DeviceId, SnapshotId, Timestamp, TokenId, UserId};
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

/// Adds a device record.
///
/// # Errors
/// Constraint: a record with this id is there, or the user is not; the database does not answer.
pub async fn device_insert(tx: &mut Tx, device: &DeviceRow) -> Result<(), DbError> {
    let (flat, about) = (device.state.to_flat(), &device.about);
    query(
        "insert into device (id, user_id, name, state, state_was, state_rights, state_level, append_until, \
         purge_after, epoch, host_name, serial, hardware_uuid, os_user, os, arch, agent, created_at, activated_at, \
         last_seen_at, last_snapshot) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
    )
    .bind(&device.id.as_bytes()[..])
    .bind(&device.user.as_bytes()[..])
    .bind(&device.name)
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
    .bind(device.created_at.as_ms())
    .bind(device.activated_at.as_ms())
    .bind(device.last_seen_at.map(Timestamp::as_ms))
    .bind(device.last_snapshot.as_ref().map(|snapshot| &snapshot.as_bytes()[..]))
    .execute(tx.conn())
    .await
    .map_err(failed("insert a device"))?;
    Ok(())
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

/// Sets where a device stands.
///
/// # Errors
/// The database does not answer.
pub async fn device_state_update(tx: &mut Tx, id: DeviceId, state: &State) -> Result<(), DbError> {
    let flat = state.to_flat();
    query(
        "update device set state = $2, state_was = $3, state_rights = $4, state_level = $5, append_until = $6, \
         purge_after = $7 where id = $1",
    )
    .bind(&id.as_bytes()[..])
    .bind(flat.word)
    .bind(flat.was)
    .bind(flat.rights)
    .bind(flat.level)
    .bind(flat.append_until.map(Timestamp::as_ms))
    .bind(flat.purge_after.map(Timestamp::as_ms))
    .execute(tx.conn())
    .await
    .map_err(failed("update a device's state"))?;
    Ok(())
}

/// Sets the newest binding of a key to a device, when it was made, and what the computer said of itself then.
///
/// # Errors
/// The database does not answer.
pub async fn device_binding_update(
    tx: &mut Tx,
    id: DeviceId,
    epoch: u64,
    about: &DeviceAbout,
    now: Timestamp,
) -> Result<(), DbError> {
    query(
        "update device set epoch = $2, host_name = $3, serial = $4, hardware_uuid = $5, os_user = $6, os = $7, \
         arch = $8, agent = $9, activated_at = $10 where id = $1",
    )
    .bind(&id.as_bytes()[..])
    .bind(epoch.cast_signed())
    .bind(&about.host_name)
    .bind(&about.serial)
    .bind(&about.hardware_uuid)
    .bind(&about.os_user)
    .bind(&about.os)
    .bind(&about.arch)
    .bind(&about.agent)
    .bind(now.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("update a device's binding"))?;
    Ok(())
}

/// Sets the newest binding of a key to a device, which says nothing new of itself.
///
/// # Errors
/// The database does not answer.
pub async fn device_epoch_update(tx: &mut Tx, id: DeviceId, epoch: u64) -> Result<(), DbError> {
    query("update device set epoch = $2 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(epoch.cast_signed())
        .execute(tx.conn())
        .await
        .map_err(failed("update a device's epoch"))?;
    Ok(())
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

/// Remembers by which token, if by one, and from where a device was activated last.
///
/// # Errors
/// The database does not answer.
pub async fn device_proof_update(
    tx: &mut Tx,
    id: DeviceId,
    token: Option<TokenId>,
    source: &str,
) -> Result<(), DbError> {
    query("update device set token_id = $2, last_source = $3 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(token.as_ref().map(|token| &token.as_bytes()[..]))
        .bind(source)
        .execute(tx.conn())
        .await
        .map_err(failed("update how a device was activated"))?;
    Ok(())
}

/// Remembers from where a device was activated last, by its old key alone.
///
/// # Errors
/// The database does not answer.
pub async fn device_source_update(tx: &mut Tx, id: DeviceId, source: &str) -> Result<(), DbError> {
    query("update device set last_source = $2 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(source)
        .execute(tx.conn())
        .await
        .map_err(failed("update from where a device was activated"))?;
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
    use control::{Level, Rights};

    #[tokio::test]
    async fn a_record_and_every_kind_of_state_come_back_as_they_were_stored() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let about =
                DeviceAbout { host_name: "anna-laptop".to_owned(), os: "linux".to_owned(), ..Default::default() };
            let mut device = DeviceRow {
                id: DeviceId::from_bytes([9; 16]),
                user: testing::USER,
                name: "anna-laptop".to_owned(),
                state: State::Pending,
                epoch: 0,
                about,
                created_at: Timestamp::from_ms(1),
                activated_at: Timestamp::from_ms(2),
                last_seen_at: None,
                last_snapshot: None,
            };
            device_insert(&mut tx, &device).await.expect("a new record");
            let held = State::Held { rights: Rights::AppendOnly, append_until: Timestamp::from_ms(77) };
            let cut = State::Deactivated { rights: Rights::Full, level: Level::Revoke };
            let suspended = State::Suspended { was: Box::new(cut.clone()) };
            let deleted = State::Deleted { was: Box::new(suspended.clone()), purge_after: Timestamp::from_ms(99) };
            for state in [State::Pending, held, cut, suspended, deleted, State::Purged] {
                device_state_update(&mut tx, device.id, &state).await.expect("the record is there");
                device.state = state.clone();
                assert_eq!(device_get(&mut tx, device.id).await.expect("readable"), Some(device.clone()));
                let standing = device_standing_get(&mut tx, device.id).await.expect("readable").expect("there");
                assert_eq!((standing.state, standing.repository), (state, testing::REPOSITORY));
            }
            assert_eq!(device_list_by_user(&mut tx, testing::USER).await.expect("readable").len(), 2);
            assert_eq!(device_get(&mut tx, DeviceId::from_bytes([8; 16])).await.expect("readable"), None);
        }
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
