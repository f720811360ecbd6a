//! What the bindings of a device rest on: on the word of the key before, or on somebody else's. Refuses to say what
//! follows from it: `control::counter` does.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{DeviceId, Timestamp};

/// A binding of a device that is not its newest, and what has come since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialSince {
    /// The key that was bound then.
    pub public_key: [u8; 32],
    /// Whether every binding since rests on nothing but the word of the key before it.
    pub own_word: bool,
    /// When the newest was bound.
    pub newest_at: Timestamp,
}

/// Notes that a binding rests on nothing but the word of the key before it.
///
/// # Errors
/// The database does not answer.
pub async fn credential_follows_update(tx: &mut Tx, device: DeviceId, epoch: u64) -> Result<(), DbError> {
    query("update credential set follows = 1 where device_id = $1 and epoch = $2")
        .bind(&device.as_bytes()[..])
        .bind(epoch.cast_signed())
        .execute(tx.conn())
        .await
        .map_err(failed("note what a credential rests on"))?;
    Ok(())
}

/// The binding of this epoch and what has come since; `None` where there is none, or no newer one with another key.
/// A key that was bound once more is no binding of its own here.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn credential_since_get(
    tx: &mut Tx,
    device: DeviceId,
    epoch: u64,
) -> Result<Option<CredentialSince>, DbError> {
    let row = query(
        "select c.public_key, n.issued_at, \
         (select count(*) from credential s join credential b on b.device_id = s.device_id and b.epoch = s.epoch - 1 \
          where s.device_id = c.device_id and s.epoch > c.epoch and s.follows = 0 and s.public_key <> b.public_key) \
         as vouched \
         from credential c join credential n on n.device_id = c.device_id \
         where c.device_id = $1 and c.epoch = $2 and n.public_key <> c.public_key \
         and n.epoch = (select max(epoch) from credential where device_id = $1)",
    )
    .bind(&device.as_bytes()[..])
    .bind(epoch.cast_signed())
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a credential and what has come since"))?;
    let read = |row: crate::sql::Row| {
        Ok(CredentialSince {
            public_key: row.bytes("public_key")?,
            own_word: row.number::<u64>("vouched")? == 0,
            newest_at: row.time("issued_at")?,
        })
    };
    row.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, DEVICE};
    use crate::{credential_insert, credential_revoke_update};

    #[tokio::test]
    async fn what_has_come_since_rests_on_the_key_before_until_somebody_else_vouches() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let at = Timestamp::from_ms;
            let first = crate::credential_get_newest(&mut tx, DEVICE).await.expect("readable");
            let from = first.map_or(0, |row| row.epoch);
            let ours = |n: u64| from + n;
            // Keys 1, 2, 2 once more, and 3.
            for (n, key) in [(1, 1), (2, 2), (3, 2), (4, 3)] {
                credential_revoke_update(&mut tx, DEVICE, at(9)).await.expect("writable");
                credential_insert(&mut tx, DEVICE, ours(n), &[key; 32], at(i64::from(key))).await.expect("writable");
            }
            let vouched = CredentialSince { public_key: [1; 32], own_word: false, newest_at: at(3) };
            assert_eq!(since(&mut tx, ours(1)).await, Some(vouched), "a person has vouched for the second and third");
            credential_follows_update(&mut tx, DEVICE, ours(4)).await.expect("writable");
            assert_eq!(since(&mut tx, ours(1)).await, Some(vouched), "and still for the second");
            for n in [2, 3] {
                let found = CredentialSince { public_key: [2; 32], own_word: true, newest_at: at(3) };
                assert_eq!(since(&mut tx, ours(n)).await, Some(found), "a key that is bound once more is the same");
            }
            credential_follows_update(&mut tx, DEVICE, ours(2)).await.expect("writable");
            assert_eq!(since(&mut tx, ours(1)).await, Some(CredentialSince { own_word: true, ..vouched }));
            assert_eq!(since(&mut tx, ours(4)).await, None, "the newest was not replaced");
            assert_eq!(since(&mut tx, ours(9)).await, None, "there is none");
        }
    }

    async fn since(tx: &mut Tx, epoch: u64) -> Option<CredentialSince> {
        credential_since_get(tx, DEVICE, epoch).await.expect("readable")
    }
}
