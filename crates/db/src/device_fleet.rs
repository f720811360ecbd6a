//! Devices as campaigns, the watch and the jobs see them: many at a time. Refuses to decide who is meant.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::user::user_state;
use crate::{DbError, DeviceAbout, Tx, device};
use base::{DeviceId, ProfileId, Timestamp, TokenId, UserId};
use control::{State, UserState};

/// One device with what a campaign asks about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFleetRow {
    /// Which.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub user: UserId,
    /// That user's address.
    pub email: String,
    /// Where that user stands.
    pub user_state: UserState,
    /// That user's profile, or the default one; `None` when there is no profile at all.
    pub profile: Option<ProfileId>,
    /// Where it stands.
    pub state: State,
    /// The newest binding of a key to it.
    pub epoch: u64,
    /// What the computer said of itself.
    pub about: DeviceAbout,
    /// When a key was last bound to it.
    pub activated_at: Timestamp,
    /// When it was last heard of.
    pub seen_at: Option<Timestamp>,
    /// The token that its last activation used.
    pub token: Option<TokenId>,
    /// Is that token still good: not revoked, expired or used up?
    pub token_good: bool,
    /// The record that it was merged into.
    pub merged_into: Option<DeviceId>,
    /// Is a conflict about it open?
    pub conflict: bool,
}

/// A device whose backups are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceWatchRow {
    /// Which.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub email: String,
    /// Whose it is.
    pub user: UserId,
    /// That user's profile, or the default one; `None` when there is no profile at all.
    pub profile: Option<ProfileId>,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The slot in which it catches up.
    pub catch_up_at: Option<Timestamp>,
    /// Its newest good snapshot.
    pub last_good_at: Option<Timestamp>,
}

/// At most `limit` records that are not purged, with ids after `after`, in the order of their ids.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn device_fleet_list(
    tx: &mut Tx,
    now: Timestamp,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<DeviceFleetRow>, DbError> {
    let rows = query(
        "select d.*, u.email, u.state as user_state, \
         coalesce(u.profile_id, (select p.id from profile p where p.is_default = 1)) as profile, \
         (select count(*) from token t where t.id = d.token_id and t.revoked_at is null \
          and (t.expires_at is null or t.expires_at > $3) and (t.uses_max is null or t.uses < t.uses_max)) as good, \
         (select count(*) from conflict k where k.device_id = d.id and k.status = 'open') as conflicts \
         from device d join \"user\" u on u.id = d.user_id \
         where d.id > $1 and d.state <> 'purged' order by d.id limit $2",
    )
    .bind(after.map_or(Vec::new(), |device| device.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .bind(now.as_ms())
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the fleet"))?;
    rows.iter().map(read).collect()
}

/// Keeps when a device was heard of that was refused, at most once a minute.
///
/// # Errors
/// The database does not answer.
pub async fn device_contact_update(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<(), DbError> {
    query("update device set last_seen_at = $2 where id = $1 and (last_seen_at is null or last_seen_at < $3)")
        .bind(&device.as_bytes()[..])
        .bind(now.as_ms())
        .bind(now.as_ms() - 60_000)
        .execute(tx.conn())
        .await
        .map_err(failed("update when a device was heard of"))?;
    Ok(())
}

/// Sets when a device's newest good snapshot was committed; what it had missed is caught up on by that.
///
/// # Errors
/// The database does not answer.
pub async fn device_good_update(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<(), DbError> {
    query("update device set last_good_at = $2, catch_up_at = null where id = $1")
        .bind(&device.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("update a device's newest good snapshot"))?;
    Ok(())
}

/// At most `limit` devices that are watched at `now`, with ids after `after`, in the order of their ids.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn device_list_watched(
    tx: &mut Tx,
    now: Timestamp,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<DeviceWatchRow>, DbError> {
    let rows = query(
        "select d.id, d.name, d.user_id, u.email, d.watch_since, d.watch_until, d.catch_up_at, d.last_good_at, \
         coalesce(u.profile_id, (select p.id from profile p where p.is_default = 1)) as profile \
         from device d join \"user\" u on u.id = d.user_id \
         where d.watch_until > $1 and d.id > $2 and d.state in ('active', 'held', 'quarantined') \
         order by d.id limit $3",
    )
    .bind(now.as_ms())
    .bind(after.map_or(Vec::new(), |device| device.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the watched devices"))?;
    let mut list = Vec::with_capacity(rows.len());
    for row in &rows {
        list.push(DeviceWatchRow {
            id: DeviceId::from_bytes(row.bytes("id")?),
            name: row.text("name")?,
            email: row.text("email")?,
            user: UserId::from_bytes(row.bytes("user_id")?),
            profile: row.bytes_maybe("profile")?.map(ProfileId::from_bytes),
            since: row.time("watch_since")?,
            until: row.time("watch_until")?,
            catch_up_at: row.time_maybe("catch_up_at")?,
            last_good_at: row.time_maybe("last_good_at")?,
        });
    }
    Ok(list)
}

/// The deleted records whose undo period is over at `now`, the longest first.
///
/// # Errors
/// The database does not answer.
pub async fn device_list_over(tx: &mut Tx, now: Timestamp) -> Result<Vec<DeviceId>, DbError> {
    let rows = query(
        "select id from device where state = 'deleted' and purge_after <= $1 and not exists (select 1 from hold \
         where (hold.level = 'device' and hold.subject in (device.id, device.merged_into)) \
         or (hold.level = 'user' and hold.subject = device.user_id)) order by purge_after, id",
    )
    .bind(now.as_ms())
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list deleted devices"))?;
    rows.iter().map(|row| Ok(DeviceId::from_bytes(row.bytes("id")?))).collect()
}

/// The record that a device was merged into.
///
/// # Errors
/// The database does not answer.
pub async fn device_merged_get(tx: &mut Tx, device: DeviceId) -> Result<Option<DeviceId>, DbError> {
    let row = query("select merged_into from device where id = $1")
        .bind(&device.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get what a device was merged into"))?;
    let Some(row) = row else { return Ok(None) };
    Ok(row.bytes_maybe("merged_into")?.map(DeviceId::from_bytes))
}

/// The records that were merged into a device, in the order of their ids.
///
/// # Errors
/// The database does not answer.
pub async fn device_merged_list(tx: &mut Tx, device: DeviceId) -> Result<Vec<DeviceId>, DbError> {
    let rows = query("select id from device where merged_into = $1 order by id")
        .bind(&device.as_bytes()[..])
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list merged records"))?;
    rows.iter().map(|row| Ok(DeviceId::from_bytes(row.bytes("id")?))).collect()
}

/// Merges a record into another, or takes that back.
///
/// # Errors
/// Constraint: there is no such record; the database does not answer.
pub async fn device_merged_update(tx: &mut Tx, device: DeviceId, into: Option<DeviceId>) -> Result<(), DbError> {
    query("update device set merged_into = $2 where id = $1")
        .bind(&device.as_bytes()[..])
        .bind(into.as_ref().map(|into| &into.as_bytes()[..]))
        .execute(tx.conn())
        .await
        .map_err(failed("merge a record"))?;
    Ok(())
}

fn read(row: &Row) -> Result<DeviceFleetRow, DbError> {
    let row_device = device::read(row)?;
    Ok(DeviceFleetRow {
        id: row_device.id,
        name: row_device.name,
        user: row_device.user,
        email: row.text("email")?,
        user_state: user_state(&row.text("user_state")?)?,
        profile: row.bytes_maybe("profile")?.map(ProfileId::from_bytes),
        state: row_device.state,
        epoch: row_device.epoch,
        about: row_device.about,
        activated_at: row_device.activated_at,
        seen_at: row_device.last_seen_at,
        token: row.bytes_maybe("token_id")?.map(TokenId::from_bytes),
        token_good: row.int("good")? > 0,
        merged_into: row.bytes_maybe("merged_into")?.map(DeviceId::from_bytes),
        conflict: row.int("conflicts")? > 0,
    })
}
