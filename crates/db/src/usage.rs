//! How much users' newest snapshots take. Refuses a count of its own: every commit's bytes are there already.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Bytes, DeviceId, UserId};

/// What the newest snapshot of each of a user's devices takes: of those that count (`control::State::counts`) and
/// were not merged into another. Records that were merged are one computer, of which the newest snapshot counts.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn usage_list(tx: &mut Tx, user: UserId) -> Result<Vec<(DeviceId, Bytes)>, DbError> {
    let rows = query(
        "select d.id, s.bytes from device d join snapshot s on s.seq = (select max(n.seq) from device g \
         join snapshot n on n.id = g.last_snapshot \
         where (g.id = d.id or g.merged_into = d.id) and g.state not in ('deleted', 'purged')) \
         where d.user_id = $1 and d.merged_into is null \
         and d.state in ('pending', 'active', 'held', 'deactivated', 'suspended', 'quarantined')",
    )
    .bind(&user.as_bytes()[..])
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list what a user's devices take"))?;
    rows.iter().map(|row| Ok((DeviceId::from_bytes(row.bytes("id")?), Bytes(row.number("bytes")?)))).collect()
}

/// What users take together, by id: those after `after`, at most `limit`; also of users who take nothing, and not of
/// those that are purged.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn usage_list_by_user(
    tx: &mut Tx,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<(UserId, String, Bytes)>, DbError> {
    let rows = query(
        "select u.id, u.email, cast(coalesce(sum(s.bytes), 0) as bigint) as bytes from \"user\" u \
         left join device d on d.user_id = u.id and d.merged_into is null \
         and d.state in ('pending', 'active', 'held', 'deactivated', 'suspended', 'quarantined') \
         left join snapshot s on s.seq = (select max(n.seq) from device g join snapshot n on n.id = g.last_snapshot \
         where (g.id = d.id or g.merged_into = d.id) and g.state not in ('deleted', 'purged')) \
         where u.id > $1 and u.state <> 'purged' group by u.id, u.email order by u.id limit $2",
    )
    .bind(after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list what users take"))?;
    rows.iter()
        .map(|row| Ok((UserId::from_bytes(row.bytes("id")?), row.text("email")?, Bytes(row.number("bytes")?))))
        .collect()
}

/// Holds a user's row until the end of the transaction, so that what the user's devices take is judged one commit
/// after the other; `false` when there is no such user.
///
/// # Errors
/// The database does not answer.
pub async fn user_lock(tx: &mut Tx, user: UserId) -> Result<bool, DbError> {
    // An update that changes nothing holds the row in every database; `for update` is not known to SQLite.
    let row = query("update \"user\" set policy_revision = policy_revision where id = $1 returning id")
        .bind(&user.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("lock a user"))?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device_last_snapshot_update, device_merged_update, device_state_update, testing};
    use base::{SnapshotId, Timestamp};
    use control::{Level, Rights, State};

    async fn snapshot(tx: &mut Tx, n: u8, device: DeviceId, bytes: i64) {
        let id = [n; 16];
        query(
            "insert into snapshot (id, device_id, repository, run_id, epoch, root_sealed, root_id, manifest_id, \
             began_at, ended_at, committed_at, entries, files, bytes, folders, host_name, problems) \
             values ($1, $2, 1, $1, 1, $1, $1, $1, 0, 0, 0, 0, 0, $3, $1, '', 0)",
        )
        .bind(&id[..])
        .bind(&device.as_bytes()[..])
        .bind(bytes)
        .execute(tx.conn())
        .await
        .expect("a statement");
        device_last_snapshot_update(tx, device, SnapshotId::from_bytes(id)).await.expect("a statement");
    }

    #[tokio::test]
    async fn only_the_newest_snapshot_of_each_device_that_counts_is_counted() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let other = DeviceId::from_bytes([0xd2; 16]);
            testing::device(&mut tx, other).await;
            assert!(usage_list(&mut tx, testing::USER).await.expect("readable").is_empty());
            snapshot(&mut tx, 1, testing::DEVICE, 1_000).await;
            snapshot(&mut tx, 2, testing::DEVICE, 100).await;
            snapshot(&mut tx, 3, other, 7).await;
            let rights = Rights::Full;
            let held = State::Held { rights, append_until: Timestamp::from_ms(0) };
            let cut = State::Deactivated { rights, level: Level::Revoke };
            let retiring = State::Decommissioning { was: Box::new(cut.clone()) };
            let deleted = State::Deleted { was: Box::new(cut.clone()), purge_after: Timestamp::from_ms(0) };
            let suspended = State::Suspended { was: Box::new(cut.clone()) };
            let quarantined = State::Quarantined { was: Box::new(held.clone()) };
            let active = State::Active { rights };
            let states = [
                active,
                State::Pending,
                held,
                cut,
                suspended,
                quarantined,
                retiring,
                State::Decommissioned,
                deleted,
                State::Purged,
            ];
            for state in states {
                device_state_update(&mut tx, other, &state).await.expect("a statement");
                let list = usage_list(&mut tx, testing::USER).await.expect("readable");
                let sum: u64 = list.iter().map(|(_, bytes)| bytes.0).sum();
                assert_eq!(sum, if state.counts() { 107 } else { 100 }, "{state}");
                let users = usage_list_by_user(&mut tx, None, 10).await.expect("readable");
                assert_eq!(users, [(testing::USER, "u@x".to_owned(), Bytes(sum))]);
            }
            assert!(usage_list_by_user(&mut tx, Some(testing::USER), 10).await.expect("readable").is_empty());
            assert!(user_lock(&mut tx, testing::USER).await.expect("a statement"));
            assert!(!user_lock(&mut tx, UserId::from_bytes([9; 16])).await.expect("a statement"));
        }
    }

    #[tokio::test]
    async fn merged_records_are_one_computer_of_which_the_newest_snapshot_counts_once() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let other = DeviceId::from_bytes([0xd2; 16]);
            testing::device(&mut tx, other).await;
            snapshot(&mut tx, 1, other, 40).await;
            device_merged_update(&mut tx, other, Some(testing::DEVICE)).await.expect("a statement");
            let usage = async |tx: &mut Tx| {
                let list = usage_list(tx, testing::USER).await.expect("readable");
                let users = usage_list_by_user(tx, None, 10).await.expect("readable");
                let sum = list.iter().map(|(_, bytes)| *bytes).sum();
                assert_eq!(users, [(testing::USER, "u@x".to_owned(), sum)]);
                list
            };
            assert_eq!(usage(&mut tx).await, [(testing::DEVICE, Bytes(40))], "the kept record has none yet");
            snapshot(&mut tx, 2, testing::DEVICE, 50).await;
            assert_eq!(usage(&mut tx).await, [(testing::DEVICE, Bytes(50))], "and once it has, that is the newest");
            snapshot(&mut tx, 3, other, 60).await;
            assert_eq!(usage(&mut tx).await, [(testing::DEVICE, Bytes(60))]);
            let was = Box::new(State::Active { rights: Rights::Full });
            let deleted = State::Deleted { was, purge_after: Timestamp::from_ms(0) };
            device_state_update(&mut tx, other, &deleted).await.expect("a statement");
            assert_eq!(usage(&mut tx).await, [(testing::DEVICE, Bytes(50))], "what is deleted counts no more");
        }
    }
}
