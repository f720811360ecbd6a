//! Folders to back up, of profiles, users and devices. Refuses the same path for the same system twice at one subject.

use crate::error::failed;
use crate::policy::PolicySubject;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{DeviceId, FolderId, ProfileId, Timestamp, UserId};
use control::policy::{Folder, FolderOs};

/// Adds a folder, unless its subject has the path already; says whether it did.
///
/// # Errors
/// The database does not answer.
pub async fn folder_insert(
    tx: &mut Tx,
    subject: PolicySubject,
    folder: &Folder,
    now: Timestamp,
) -> Result<bool, DbError> {
    let done = query(
        "insert into folder (id, level, subject, os, path, mandatory, include, exclude, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing",
    )
    .bind(&folder.id.as_bytes()[..])
    .bind(subject.level().word())
    .bind(subject.bytes())
    .bind(folder.os.word())
    .bind(&folder.path)
    .bind(i64::from(folder.mandatory))
    .bind(folder.include.join("\n"))
    .bind(folder.exclude.join("\n"))
    .bind(now.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("insert a folder"))?;
    Ok(done.rows_affected() == 1)
}

/// The folder with this id, and whose it is.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn folder_get(tx: &mut Tx, id: FolderId) -> Result<Option<(PolicySubject, Folder)>, DbError> {
    let row = query("select id, level, subject, os, path, mandatory, include, exclude from folder where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a folder"))?;
    row.as_ref().map(|row| Ok((PolicySubject::read(row)?, read(row)?))).transpose()
}

/// The folders of one subject, by path.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn folder_list(tx: &mut Tx, subject: PolicySubject) -> Result<Vec<Folder>, DbError> {
    let rows = query(
        "select id, level, subject, os, path, mandatory, include, exclude from folder \
         where level = $1 and subject = $2 order by path, os, id",
    )
    .bind(subject.level().word())
    .bind(subject.bytes())
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the folders of a subject"))?;
    rows.iter().map(read).collect()
}

/// The folders of a profile, a user and a device, by path.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn folder_list_by_levels(
    tx: &mut Tx,
    profile: ProfileId,
    user: UserId,
    device: Option<DeviceId>,
) -> Result<Vec<Folder>, DbError> {
    let rows = query(
        "select id, level, subject, os, path, mandatory, include, exclude from folder \
         where (level = 'profile' and subject = $1) or (level = 'user' and subject = $2) \
         or (level = 'device' and subject = $3) order by path, os, id",
    )
    .bind(&profile.as_bytes()[..])
    .bind(&user.as_bytes()[..])
    // No device has an identifier without bytes.
    .bind(device.map_or_else(Vec::new, |device| device.as_bytes().to_vec()))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the folders of all levels"))?;
    rows.iter().map(read).collect()
}

/// Changes what a folder says; whose it is, stays. Says whether it did: not when its subject has the path already.
///
/// # Errors
/// The database does not answer.
pub async fn folder_update(tx: &mut Tx, folder: &Folder) -> Result<bool, DbError> {
    let done = query(
        "update folder set os = $2, path = $3, mandatory = $4, include = $5, exclude = $6 where id = $1 \
         and not exists (select 1 from folder other where other.level = folder.level \
         and other.subject = folder.subject and other.os = $2 and other.path = $3 and other.id <> $1)",
    )
    .bind(&folder.id.as_bytes()[..])
    .bind(folder.os.word())
    .bind(&folder.path)
    .bind(i64::from(folder.mandatory))
    .bind(folder.include.join("\n"))
    .bind(folder.exclude.join("\n"))
    .execute(tx.conn())
    .await
    .map_err(failed("update a folder"))?;
    Ok(done.rows_affected() == 1)
}

/// Removes a folder.
///
/// # Errors
/// The database does not answer.
pub async fn folder_remove(tx: &mut Tx, id: FolderId) -> Result<(), DbError> {
    query("delete from folder where id = $1")
        .bind(&id.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove a folder"))?;
    Ok(())
}

/// Removes every folder of a subject.
///
/// # Errors
/// The database does not answer.
pub async fn folder_remove_by_subject(tx: &mut Tx, subject: PolicySubject) -> Result<(), DbError> {
    query("delete from folder where level = $1 and subject = $2")
        .bind(subject.level().word())
        .bind(subject.bytes())
        .execute(tx.conn())
        .await
        .map_err(failed("remove the folders of a subject"))?;
    Ok(())
}

fn read(row: &Row) -> Result<Folder, DbError> {
    let wrong = DbError::Column { column: "os", what: "the systems of a folder" };
    let lines = |text: String| text.lines().map(str::to_owned).collect();
    Ok(Folder {
        id: FolderId::from_bytes(row.bytes("id")?),
        from: PolicySubject::read(row)?.level(),
        os: FolderOs::from_word(&row.text("os")?).ok_or(wrong)?,
        path: row.text("path")?,
        mandatory: row.int("mandatory")? == 1,
        include: lines(row.text("include")?),
        exclude: lines(row.text("exclude")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use control::policy::PolicyLevel;

    fn folder(n: u8, from: PolicyLevel, path: &str) -> Folder {
        let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (include, exclude) = (lines(&["*.a", "*.b"]), Vec::new());
        let (id, path) = (FolderId::from_bytes([n; 16]), path.to_owned());
        Folder { id, from, os: FolderOs::Any, path, mandatory: n == 1, include, exclude }
    }

    #[tokio::test]
    async fn folders_come_back_as_they_were_and_a_path_is_there_once() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let (profile, now) = (ProfileId::from_bytes([7; 16]), Timestamp::from_ms(1));
            let (of_profile, of_device) = (PolicySubject::Profile(profile), PolicySubject::Device(testing::DEVICE));
            let one = folder(1, PolicyLevel::Profile, "${home}/b");
            let two = folder(2, PolicyLevel::Profile, "${home}/a");
            let own = folder(3, PolicyLevel::Device, "${home}/b");
            for (subject, folder) in [(of_profile, &one), (of_profile, &two), (of_device, &own)] {
                assert!(folder_insert(&mut tx, subject, folder, now).await.expect("a statement"));
            }
            let again = folder(4, PolicyLevel::Profile, "${home}/a");
            assert!(!folder_insert(&mut tx, of_profile, &again, now).await.expect("a statement"));
            assert_eq!(folder_get(&mut tx, one.id).await.expect("readable"), Some((of_profile, one.clone())));
            assert_eq!(folder_list(&mut tx, of_profile).await.expect("readable"), [two.clone(), one.clone()]);
            let all = folder_list_by_levels(&mut tx, profile, testing::USER, Some(testing::DEVICE)).await;
            assert_eq!(all.expect("readable"), [two.clone(), one.clone(), own]);
            let taken = Folder { path: two.path.clone(), ..one.clone() };
            assert!(!folder_update(&mut tx, &taken).await.expect("a statement"), "the path is taken");
            let changed = Folder { mandatory: false, exclude: vec!["x".to_owned()], ..one };
            assert!(folder_update(&mut tx, &changed).await.expect("a statement"));
            assert_eq!(folder_get(&mut tx, changed.id).await.expect("readable"), Some((of_profile, changed)));
            folder_remove(&mut tx, two.id).await.expect("a statement");
            assert_eq!(folder_list(&mut tx, of_profile).await.expect("readable").len(), 1);
            folder_remove_by_subject(&mut tx, of_profile).await.expect("a statement");
            assert!(folder_list(&mut tx, of_profile).await.expect("readable").is_empty());
            assert_eq!(folder_list(&mut tx, of_device).await.expect("readable").len(), 1);
        }
    }
}
