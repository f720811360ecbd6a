//! Device records as an admin lists them, page by page. Refuses lists without an end.

use super::{DeviceRow, read};
use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{DeviceId, Timestamp, UserId};

/// Which devices are asked for. Empty asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Those of this user.
    pub user: Option<UserId>,
    /// Those whose state has this word.
    pub state: Option<String>,
    /// Those that were last seen before this, or never.
    pub seen_before: Option<Timestamp>,
    /// Those that were last seen at this or later.
    pub seen_from: Option<Timestamp>,
    /// Those with this name, and those with an id in this range, both ends included.
    pub named: Option<(String, DeviceId, DeviceId)>,
}

/// A record, and the address of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceListRow {
    /// The record.
    pub device: DeviceRow,
    /// The address of its user.
    pub email: String,
}

/// At most `limit` records that fit, by name and id, after the one with this name and id.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn device_page_list(
    tx: &mut Tx,
    filter: &DeviceFilter,
    after: (&str, DeviceId),
    limit: u32,
) -> Result<Vec<DeviceListRow>, DbError> {
    let named = filter.named.as_ref();
    let rows = query(
        "select d.*, u.email as user_email from device d join \"user\" u on u.id = d.user_id \
         where (d.name > $1 or (d.name = $1 and d.id > $2)) and ($3 is null or d.user_id = $3) \
         and ($4 is null or d.state = $4) and ($5 is null or d.last_seen_at is null or d.last_seen_at < $5) \
         and ($6 is null or d.last_seen_at >= $6) \
         and ($7 is null or d.name = $7 or (d.id >= $8 and d.id <= $9)) order by d.name, d.id limit $10",
    )
    .bind(after.0)
    .bind(&after.1.as_bytes()[..])
    .bind(filter.user.map(|user| user.as_bytes().to_vec()))
    .bind(&filter.state)
    .bind(filter.seen_before.map(Timestamp::as_ms))
    .bind(filter.seen_from.map(Timestamp::as_ms))
    .bind(named.map(|(name, ..)| name))
    .bind(named.map(|(_, first, _)| first.as_bytes().to_vec()))
    .bind(named.map(|(.., last)| last.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list devices"))?;
    rows.iter().map(read_listed).collect()
}

fn read_listed(row: &Row) -> Result<DeviceListRow, DbError> {
    Ok(DeviceListRow { device: read(row)?, email: row.text("user_email")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device_seen_update, testing};

    #[tokio::test]
    async fn devices_of_one_name_come_in_pages_and_every_filter_narrows() {
        for temp in testing::fixtures().await {
            pages(temp).await;
        }
    }

    async fn pages(temp: testing::TempDb) {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let id = |n: u8| DeviceId::from_bytes([n; 16]);
        for n in [3, 1, 2] {
            testing::device(&mut tx, id(n)).await;
        }
        device_seen_update(&mut tx, id(2), Timestamp::from_ms(50)).await.expect("there");
        let list = async |tx: &mut Tx, filter: DeviceFilter, after, limit| {
            let rows = device_page_list(tx, &filter, after, limit).await.expect("readable");
            rows.iter().map(|row| row.device.id.as_bytes()[0]).collect::<Vec<u8>>()
        };
        let all = DeviceFilter::default;
        assert_eq!(list(&mut tx, all(), ("", id(0)), 2).await, [1, 2]);
        assert_eq!(list(&mut tx, all(), ("d", id(2)), 2).await, [3, 0xd1]);
        assert_eq!(list(&mut tx, all(), ("d", id(0xd1)), 2).await, [0_u8; 0]);
        let seen = DeviceFilter { seen_from: Some(Timestamp::from_ms(50)), ..all() };
        assert_eq!(list(&mut tx, seen, ("", id(0)), 9).await, [2]);
        let unseen = DeviceFilter { seen_before: Some(Timestamp::from_ms(50)), ..all() };
        assert_eq!(list(&mut tx, unseen, ("", id(0)), 9).await, [1, 3, 0xd1]);
        let named = DeviceFilter { named: Some(("e".to_owned(), id(2), id(3))), ..all() };
        assert_eq!(list(&mut tx, named, ("", id(0)), 9).await, [2, 3]);
        let none = DeviceFilter { state: Some("held".to_owned()), ..all() };
        assert_eq!(list(&mut tx, none, ("", id(0)), 9).await, [0_u8; 0]);
        let others = DeviceFilter { user: Some(UserId::from_bytes([7; 16])), ..all() };
        assert_eq!(list(&mut tx, others, ("", id(0)), 9).await, [0_u8; 0]);
    }
}
