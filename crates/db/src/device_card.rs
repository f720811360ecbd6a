//! Which card of a device is in the store, and the digest of what it says. Refuses to know what that is.

use crate::batch::{concat, narrow, numbers};
use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Pair, query, query_of};
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

/// Which of these devices there are, and the number of each one's card: pairs with the place in the list, ascending.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn device_card_list(tx: &mut Tx, devices: &[DeviceId]) -> Result<Vec<(u32, u32)>, DbError> {
    let row = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $2 > 0 union all select i + 1 from n where i + 1 < $2) \
         select group_concat(i || ' ' || card, ' ') as found from n cross join device \
         where device.id = substr($1, i * 16 + 1, 16)",
        postgres: "select string_agg(concat_ws(' ', i, card), ' ' order by i) as found \
         from generate_series(0, $2 - 1) as n (i) join device on device.id = substr($1, (i * 16 + 1)::int, 16)",
    })
    .bind(concat(devices.iter().map(DeviceId::as_bytes)))
    .bind(devices.len() as i64)
    .fetch_one(tx.conn())
    .await
    .map_err(failed("list the cards of devices"))?;
    numbers(&row)?.into_iter().map(|[position, card]| Ok((narrow(position)?, narrow(card)?))).collect()
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
            let asked = [DeviceId::from_bytes([0; 16]), testing::DEVICE];
            assert_eq!(device_card_list(&mut tx, &asked).await.expect("readable"), [(1, 4)]);
            assert_eq!(device_card_list(&mut tx, &[]).await.expect("readable"), []);
            let none = device_card_get(&mut tx, DeviceId::from_bytes([0; 16])).await.expect("readable");
            assert_eq!(none, None);
        }
    }
}
