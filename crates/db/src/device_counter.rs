//! The counter that a device presents at its next session. Refuses to judge it: `control::counter` does.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
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

/// Drops what was handed out, of every device: each begins a new line at its next session.
///
/// # Errors
/// The database does not answer.
pub async fn device_counter_remove_all(tx: &mut Tx) -> Result<(), DbError> {
    let done = query("update device set counter_nonce = null, counter_nonce_before = null").execute(tx.conn());
    done.await.map_err(failed("remove the counters of devices"))?;
    Ok(())
}

/// The columns of a row of `device`. Fails as damage when one holds what none makes.
pub(crate) fn read(row: &Row) -> Result<DeviceCounterRow, DbError> {
    let (epoch, number) = (row.number("counter_epoch")?, row.number("counter")?);
    let before = row.bytes_maybe("counter_nonce_before")?;
    let current = row.bytes_maybe("counter_nonce")?.map(|nonce| Counter { epoch, number, nonce });
    let remembered = current.map(|current| Remembered { current, before });
    Ok(DeviceCounterRow { remembered, challenge_at: row.time_maybe("challenge_at")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device_get, testing};

    #[tokio::test]
    async fn a_counter_comes_back_as_it_was_stored_and_a_new_line_has_none() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let none = device_get(&mut tx, testing::DEVICE).await.expect("readable").expect("there").counter;
            assert_eq!(none, DeviceCounterRow::default());
            let current = Counter { epoch: 3, number: 7, nonce: [9; 8] };
            for before in [None, Some([8; 8])] {
                let remembered = Remembered { current, before };
                let at = Some(Timestamp::from_ms(5));
                device_counter_update(&mut tx, testing::DEVICE, &remembered, at).await.expect("writable");
                let row = device_get(&mut tx, testing::DEVICE).await.expect("readable").expect("there").counter;
                assert_eq!(row, DeviceCounterRow { remembered: Some(remembered), challenge_at: at });
            }
            let anew = DeviceCounterRow { remembered: None, challenge_at: Some(Timestamp::from_ms(5)) };
            testing::device_put(&mut tx, testing::DEVICE, |row| row.counter.remembered = None).await;
            let row = device_get(&mut tx, testing::DEVICE).await.expect("readable").expect("there").counter;
            assert_eq!(row, anew);
        }
    }
}
