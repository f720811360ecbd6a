//! Support bundles: the order that a device is to answer, and what it has sent. Refuses a second answer to one order.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{DeviceId, Timestamp};

/// A bundle that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportBundleRow {
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// By whom, as the audit log writes it.
    pub asked_by: String,
    /// When it came.
    pub sent_at: Option<Timestamp>,
    /// What came.
    pub body: Option<Vec<u8>>,
}

/// Asks a device for a bundle; that takes the place of what was there.
///
/// # Errors
/// Constraint: there is no such device; the database does not answer.
pub async fn support_bundle_update(tx: &mut Tx, device: DeviceId, now: Timestamp, by: &str) -> Result<(), DbError> {
    query(
        "insert into support_bundle (device_id, asked_at, asked_by) values ($1, $2, $3) \
         on conflict (device_id) do update set asked_at = excluded.asked_at, asked_by = excluded.asked_by, \
         sent_at = null, body = null",
    )
    .bind(&device.as_bytes()[..])
    .bind(now.as_ms())
    .bind(by)
    .execute(tx.conn())
    .await
    .map_err(failed("ask for a support bundle"))?;
    Ok(())
}

/// Is a device to send a bundle?
///
/// # Errors
/// The database does not answer.
pub async fn support_bundle_asked_get(tx: &mut Tx, device: DeviceId) -> Result<bool, DbError> {
    let row = query("select asked_at from support_bundle where device_id = $1 and sent_at is null")
        .bind(&device.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("look whether a support bundle is asked for"))?;
    Ok(row.is_some())
}

/// A device's bundle.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn support_bundle_get(tx: &mut Tx, device: DeviceId) -> Result<Option<SupportBundleRow>, DbError> {
    let row = query("select * from support_bundle where device_id = $1")
        .bind(&device.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a support bundle"))?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(SupportBundleRow {
        asked_at: row.time("asked_at")?,
        asked_by: row.text("asked_by")?,
        sent_at: row.time_maybe("sent_at")?,
        body: if row.time_maybe("sent_at")?.is_some() { Some(row.octets("body")?) } else { None },
    }))
}

/// Keeps what a device has sent. Gives whether it was asked for and had not come yet.
///
/// # Errors
/// The database does not answer.
pub async fn support_bundle_sent_update(
    tx: &mut Tx,
    device: DeviceId,
    body: &[u8],
    now: Timestamp,
) -> Result<bool, DbError> {
    let done = query("update support_bundle set body = $2, sent_at = $3 where device_id = $1 and sent_at is null")
        .bind(&device.as_bytes()[..])
        .bind(body)
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("keep a support bundle"))?;
    Ok(done.rows_affected() == 1)
}

/// Removes a device's bundle, or takes the order back. Gives whether there was one.
///
/// # Errors
/// The database does not answer.
pub async fn support_bundle_remove(tx: &mut Tx, device: DeviceId) -> Result<bool, DbError> {
    let done = query("delete from support_bundle where device_id = $1")
        .bind(&device.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove a support bundle"))?;
    Ok(done.rows_affected() == 1)
}

/// Removes the bundles that came before `before`, and the orders before it that nobody has answered.
///
/// # Errors
/// The database does not answer.
pub async fn support_bundle_remove_old(tx: &mut Tx, before: Timestamp) -> Result<(), DbError> {
    query("delete from support_bundle where coalesce(sent_at, asked_at) < $1")
        .bind(before.as_ms())
        .long()
        .execute(tx.conn())
        .await
        .map_err(failed("remove old support bundles"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_bundle_answers_one_order_and_goes_when_it_is_old() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let (device, at) = (testing::DEVICE, Timestamp::from_ms);
            let asked = async |tx: &mut Tx| support_bundle_asked_get(tx, device).await.expect("readable");
            assert!(!asked(&mut tx).await);
            assert!(!support_bundle_sent_update(&mut tx, device, b"x", at(1)).await.expect("writable"), "not asked");
            support_bundle_update(&mut tx, device, at(2), "admin command").await.expect("writable");
            assert!(asked(&mut tx).await);
            assert!(support_bundle_sent_update(&mut tx, device, b"{}", at(3)).await.expect("writable"));
            assert!(!support_bundle_sent_update(&mut tx, device, b"[]", at(4)).await.expect("writable"), "once");
            let row = support_bundle_get(&mut tx, device).await.expect("readable").expect("there");
            assert_eq!((row.sent_at, row.body.as_deref(), row.asked_at), (Some(at(3)), Some(&b"{}"[..]), at(2)));
            support_bundle_remove_old(&mut tx, at(3)).await.expect("writable");
            assert!(support_bundle_get(&mut tx, device).await.expect("readable").is_some(), "not old yet");
            support_bundle_update(&mut tx, device, at(5), "admin command").await.expect("writable");
            assert!(asked(&mut tx).await, "anew");
            let row = support_bundle_get(&mut tx, device).await.expect("readable").expect("there");
            assert_eq!((row.sent_at, row.body), (None, None));
            support_bundle_remove_old(&mut tx, at(6)).await.expect("writable");
            assert!(!support_bundle_remove(&mut tx, device).await.expect("writable"), "nobody has answered it");
            support_bundle_update(&mut tx, device, at(7), "admin command").await.expect("writable");
            assert!(support_bundle_remove(&mut tx, device).await.expect("writable"));
        }
    }
}
