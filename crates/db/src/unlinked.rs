//! What a device's user has taken out of that device's backup. Refuses to know whether it counts: control says that.

use crate::error::failed;
use crate::policy::PolicySubject;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{DeviceId, FolderId, Timestamp};

/// Takes a folder out; one that is out stays so.
///
/// # Errors
/// The database does not answer.
pub async fn unlinked_insert(tx: &mut Tx, device: DeviceId, folder: FolderId, now: Timestamp) -> Result<(), DbError> {
    query("insert into unlinked (device_id, folder_id, unlinked_at) values ($1, $2, $3) on conflict do nothing")
        .bind(&device.as_bytes()[..])
        .bind(&folder.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("unlink a folder"))?;
    Ok(())
}

/// The folders that are out, by id.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn unlinked_list(tx: &mut Tx, device: DeviceId) -> Result<Vec<FolderId>, DbError> {
    let rows = query("select folder_id from unlinked where device_id = $1 order by folder_id")
        .bind(&device.as_bytes()[..])
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list unlinked folders"))?;
    rows.iter().map(|row| Ok(FolderId::from_bytes(row.bytes("folder_id")?))).collect()
}

/// Takes a folder in again.
///
/// # Errors
/// The database does not answer.
pub async fn unlinked_remove(tx: &mut Tx, device: DeviceId, folder: FolderId) -> Result<(), DbError> {
    query("delete from unlinked where device_id = $1 and folder_id = $2")
        .bind(&device.as_bytes()[..])
        .bind(&folder.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("link a folder"))?;
    Ok(())
}

/// Takes every folder of a device in again.
///
/// # Errors
/// The database does not answer.
pub async fn unlinked_remove_by_device(tx: &mut Tx, device: DeviceId) -> Result<(), DbError> {
    query("delete from unlinked where device_id = $1")
        .bind(&device.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("link the folders of a device"))?;
    Ok(())
}

/// Drops a folder, which is going away, from every device's list.
///
/// # Errors
/// The database does not answer.
pub async fn unlinked_remove_by_folder(tx: &mut Tx, folder: FolderId) -> Result<(), DbError> {
    query("delete from unlinked where folder_id = $1")
        .bind(&folder.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("drop an unlinked folder"))?;
    Ok(())
}

/// Drops the folders of a subject, which is going away, from every device's list.
///
/// # Errors
/// The database does not answer.
pub async fn unlinked_remove_by_subject(tx: &mut Tx, subject: PolicySubject) -> Result<(), DbError> {
    query("delete from unlinked where folder_id in (select id from folder where level = $1 and subject = $2)")
        .bind(subject.level().word())
        .bind(subject.bytes())
        .execute(tx.conn())
        .await
        .map_err(failed("drop a subject's unlinked folders"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_list_is_a_devices_own() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let other = DeviceId::from_bytes([0xd2; 16]);
            testing::device(&mut tx, other).await;
            let folders = [1, 2, 3].map(|n| FolderId::from_bytes([n; 16]));
            let now = Timestamp::from_ms(1);
            for device in [testing::DEVICE, other] {
                for folder in folders.into_iter().chain(folders) {
                    unlinked_insert(&mut tx, device, folder, now).await.expect("a statement");
                }
            }
            assert_eq!(unlinked_list(&mut tx, other).await.expect("readable"), folders);
            unlinked_remove(&mut tx, other, folders[0]).await.expect("a statement");
            unlinked_remove_by_folder(&mut tx, folders[1]).await.expect("a statement");
            assert_eq!(unlinked_list(&mut tx, other).await.expect("readable"), [folders[2]]);
            unlinked_remove_by_device(&mut tx, testing::DEVICE).await.expect("a statement");
            assert!(unlinked_list(&mut tx, testing::DEVICE).await.expect("readable").is_empty());
            assert_eq!(unlinked_list(&mut tx, other).await.expect("readable"), [folders[2]]);
        }
    }
}
