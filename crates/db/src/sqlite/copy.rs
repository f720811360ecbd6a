//! A copy of the database file, whole and consistent, while servers write.
//! Refuses a name that is taken, and to give a copy its name before it was looked through and is durable.

use super::BUSY_SPAN;
use crate::DbError;
use crate::error::{Cause, failed};
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const OP: &str = "copy its file";

/// Copies the database of `from` to the new file `to`, for its owner alone. Blocks. Gives the copy's bytes.
pub(super) fn copy(from: &Path, to: &Path) -> Result<u64, DbError> {
    let part = Part::make(to).map_err(file_failed)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(from, flags).map_err(failed(OP))?;
    conn.busy_timeout(BUSY_SPAN.as_duration()).map_err(failed(OP))?;
    let text = part.0.to_str().ok_or(DbError::Unfit { what: "the name of its copy is not in UTF-8" })?;
    conn.execute("vacuum into ?1", [text]).map_err(failed(OP))?;
    drop(conn);
    inspect(&part.0)?;
    let file = File::open(&part.0).map_err(file_failed)?;
    file.sync_all().map_err(file_failed)?;
    let bytes = file.metadata().map_err(file_failed)?.len();
    part.publish(to).map_err(file_failed)?;
    Ok(bytes)
}

/// Fails unless the file is a whole database.
fn inspect(path: &Path) -> Result<(), DbError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed(OP))?;
    let said: String = conn.query_row("pragma quick_check(1)", [], |row| row.get(0)).map_err(failed(OP))?;
    if said == "ok" { Ok(()) } else { Err(DbError::Damaged { op: OP, cause: Cause::Again(said) }) }
}

fn file_failed(cause: io::Error) -> DbError {
    failed(OP)(Cause::File(cause))
}

/// A copy on its way; it is removed when dropped.
struct Part(PathBuf);

impl Part {
    /// An empty file beside `to`, which nobody else may read.
    fn make(to: &Path) -> io::Result<Self> {
        if to.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut name = to.as_os_str().to_owned();
        name.push(".part");
        let part = Part(PathBuf::from(name));
        // What a copy has left that was cut short is no copy.
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part.0)?;
        Ok(part)
    }

    /// Gives the file its name. A link, unlike a rename, fails when the name is taken.
    fn publish(self, to: &Path) -> io::Result<()> {
        std::fs::hard_link(&self.0, to)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Db, SettingRow, setting_list, setting_update, snapshot_list, testing};
    use base::Timestamp;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_copy_is_whole_while_somebody_writes_and_takes_nobodys_name() {
        let temp = testing::sqlite().await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let to = dir.path().join("copy.db");
        let setting = |key: &str| SettingRow {
            key: key.to_owned(),
            value: "1".to_owned(),
            set_at: Timestamp::from_ms(1),
            set_by: "test".to_owned(),
        };
        let mut tx = temp.db.write().await.expect("nobody else writes");
        setting_update(&mut tx, &setting("before")).await.expect("writable");
        tx.commit().await.expect("nothing stands against it");
        // In the middle of a transaction of somebody else, of which the copy has nothing.
        let mut tx = temp.db.write().await.expect("nobody else writes");
        setting_update(&mut tx, &setting("during")).await.expect("writable");
        let bytes = temp.db.copy(&to).await.expect("room");
        tx.commit().await.expect("nothing stands against it");
        let found = std::fs::metadata(&to).expect("it is there");
        assert_eq!((found.len(), found.permissions().mode() & 0o777), (bytes, 0o600));
        assert!(temp.db.copy(&to).await.is_err(), "what is there stays");
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1, "and nothing is left beside it");
        let copy = Db::open(&to).await.expect("a database");
        let mut tx = copy.read().await.expect("readable");
        let names: Vec<String> =
            setting_list(&mut tx).await.expect("readable").into_iter().map(|row| row.key).collect();
        assert_eq!(names, ["before"]);
        snapshot_list(&mut tx, None, 9).await.expect("all tables are there");
    }

    #[tokio::test]
    async fn a_postgresql_database_is_copied_by_its_own_tools() {
        let temp = testing::postgres().await;
        let error = temp.db.copy(std::path::Path::new("/tmp/never")).await.expect_err("not ours to copy");
        assert!(error.to_string().contains("pg_dump"), "{error}");
    }
}
