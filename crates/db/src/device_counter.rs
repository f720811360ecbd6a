//! The counter that a device presents at its next session. Refuses to judge it: `control::counter` does.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::query;
use crate::{DbError, Tx};
use base::{DeviceId, Timestamp};
use control::counter::{Counter, Remembered};

/// What is remembered of a device's sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounterRow {
    /// The counters; `None` when a new line begins.
    pub remembered: Option<Remembered>,
    /// When the newest challenge that was answered had been given out.
    pub challenge_at: Option<Timestamp>,
}

/// What is remembered of a device's sessions; nothing for one that there is not.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn device_counter_get(tx: &mut Tx, device: DeviceId) -> Result<DeviceCounterRow, DbError> {
    let row = query(
        "select counter, counter_nonce, counter_nonce_before, counter_epoch, challenge_at from device where id = $1",
    )
    .bind(&device.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a device's counter"))?;
    let Some(row) = row else { return Ok(DeviceCounterRow::default()) };
    let (epoch, number) = (row.number("counter_epoch")?, row.number("counter")?);
    let before = row.bytes_maybe("counter_nonce_before")?;
    let current = row.bytes_maybe("counter_nonce")?.map(|nonce| Counter { epoch, number, nonce });
    let remembered = current.map(|current| Remembered { current, before });
    Ok(DeviceCounterRow { remembered, challenge_at: row.time_maybe("challenge_at")? })
}

/// Remembers what was handed out.
///
/// # Errors
/// The database does not answer.
pub async fn device_counter_update(
    tx: &mut Tx,
    device: DeviceId,
    remembered: &Remembered,
    challenge_at: Option<Timestamp>,
) -> Result<(), DbError> {
    let Remembered { current, before } = remembered;
    query(
        "update device set counter = $2, counter_nonce = $3, counter_nonce_before = $4, counter_epoch = $5, \
         challenge_at = $6 where id = $1",
    )
    .bind(&device.as_bytes()[..])
    .bind(int(current.number))
    .bind(&current.nonce[..])
    .bind(before.as_ref().map(|nonce| &nonce[..]))
    .bind(int(current.epoch))
    .bind(challenge_at.map(Timestamp::as_ms))
    .execute(tx.conn())
    .await
    .map_err(failed("update a device's counter"))?;
    Ok(())
}

/// Begins a new line: whatever is presented next is taken.
///
/// # Errors
/// The database does not answer.
pub async fn device_counter_remove(tx: &mut Tx, device: DeviceId) -> Result<(), DbError> {
    query("update device set counter = 0, counter_nonce = null, counter_nonce_before = null where id = $1")
        .bind(&device.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("begin a device's counter anew"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_counter_comes_back_as_it_was_stored_and_a_new_line_has_none() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let none = device_counter_get(&mut tx, testing::DEVICE).await.expect("readable");
            assert_eq!(none, DeviceCounterRow::default());
            let current = Counter { epoch: 3, number: 7, nonce: [9; 8] };
            for before in [None, Some([8; 8])] {
                let remembered = Remembered { current, before };
                let at = Some(Timestamp::from_ms(5));
                device_counter_update(&mut tx, testing::DEVICE, &remembered, at).await.expect("writable");
                let row = device_counter_get(&mut tx, testing::DEVICE).await.expect("readable");
                assert_eq!(row, DeviceCounterRow { remembered: Some(remembered), challenge_at: at });
            }
            device_counter_remove(&mut tx, testing::DEVICE).await.expect("writable");
            let row = device_counter_get(&mut tx, testing::DEVICE).await.expect("readable");
            assert_eq!((row.remembered, row.challenge_at), (None, Some(Timestamp::from_ms(5))));
        }
    }
}
