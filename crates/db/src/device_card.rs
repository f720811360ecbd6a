//! Which card of a device is in the store, and the digest of what it says. Refuses to know what that is.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::DeviceId;

/// The card of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCardRow {
    /// Which of its cards; 0 before the first.
    pub number: u32,
    /// The digest of what it says.
    pub digest: Option<[u8; 32]>,
}

/// The card of the device; `None` when there is no such device.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn device_card_get(tx: &mut Tx, device: DeviceId) -> Result<Option<DeviceCardRow>, DbError> {
    let row = query("select card, card_digest from device where id = $1").bind(&device.as_bytes()[..]);
    let row = row.fetch_optional(tx.conn()).await.map_err(failed("get the card of a device"))?;
    row.map(|row| Ok(DeviceCardRow { number: row.number("card")?, digest: row.bytes_maybe("card_digest")? }))
        .transpose()
}

/// Notes a card that is in the store.
///
/// # Errors
/// The database does not answer.
pub async fn device_card_update(tx: &mut Tx, device: DeviceId, number: u32, digest: &[u8; 32]) -> Result<(), DbError> {
    query("update device set card = $2, card_digest = $3 where id = $1")
        .bind(&device.as_bytes()[..])
        .bind(i64::from(number))
        .bind(&digest[..])
        .execute(tx.conn())
        .await
        .map_err(failed("note the card of a device"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_device_has_no_card_before_the_first_and_then_the_one_that_was_noted() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let before = device_card_get(&mut tx, testing::DEVICE).await.expect("readable");
            assert_eq!(before, Some(DeviceCardRow::default()));
            device_card_update(&mut tx, testing::DEVICE, 4, &[7; 32]).await.expect("writable");
            let now = device_card_get(&mut tx, testing::DEVICE).await.expect("readable");
            assert_eq!(now, Some(DeviceCardRow { number: 4, digest: Some([7; 32]) }));
            let none = device_card_get(&mut tx, DeviceId::from_bytes([0; 16])).await.expect("readable");
            assert_eq!(none, None);
        }
    }
}
