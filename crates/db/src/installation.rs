//! The one row that makes database, store and servers one installation. Refuses open keys: the secret in it was sealed
//! by the master key.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{InstallationId, Timestamp};

/// Where an installation is, as far as a database knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Here.
    #[default]
    Here,
    /// A migrate into this database is not finished.
    Arriving,
    /// A migrate has taken it elsewhere.
    Left,
}

/// Where an installation is, and what the last migrate of it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveRow {
    /// Where it is.
    pub standing: Standing,
    /// Which migrate the rest is about.
    pub id: Option<[u8; 16]>,
    /// Where that went, for a person.
    pub to: String,
    /// When it was finished.
    pub at: Option<Timestamp>,
}

/// What the database knows of its installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallationRow {
    /// Its name.
    pub id: InstallationId,
    /// What every key hangs on that is no repository's, sealed by the master key.
    pub secret: Vec<u8>,
    /// The keyring in the store that has every key; 0 before the first.
    pub keyring: u32,
    /// How far database and store have come together; 0 before the first.
    pub age: u32,
    /// The nonce of that age.
    pub age_nonce: [u8; 32],
    /// The nonce of the next age, while its object is being written.
    pub age_next: Option<[u8; 32]>,
    /// When somebody showed that the recovery kit is at hand.
    pub kit_tested_at: Option<Timestamp>,
    /// When a rebuild was begun that is not finished.
    pub rebuild_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where it is.
    pub moved: MoveRow,
}

impl Standing {
    const ALL: [(Standing, &'static str); 3] =
        [(Standing::Here, "here"), (Standing::Arriving, "arriving"), (Standing::Left, "left")];

    fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(standing, _)| *standing == self);
        found.map_or("", |(_, word)| word)
    }
}

impl InstallationRow {
    /// An installation that has come to nothing yet, and has no secret. Never fails.
    pub const fn new(id: InstallationId, created_at: Timestamp) -> Self {
        Self {
            id,
            secret: Vec::new(),
            keyring: 0,
            age: 0,
            age_nonce: [0; 32],
            age_next: None,
            kit_tested_at: None,
            rebuild_at: None,
            created_at,
            moved: MoveRow { standing: Standing::Here, id: None, to: String::new(), at: None },
        }
    }
}

/// Adds the row.
///
/// # Errors
/// The database does not answer.
pub async fn installation_insert(tx: &mut Tx, installation: &InstallationRow) -> Result<(), DbError> {
    query(
        "insert into installation (id, secret, keyring, age, age_nonce, age_next, kit_tested_at, rebuild_at, \
         created_at, standing, move_id, moved_to, moved_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(&installation.id.as_bytes()[..])
    .bind(&installation.secret)
    .bind(i64::from(installation.keyring))
    .bind(i64::from(installation.age))
    .bind(&installation.age_nonce[..])
    .bind(installation.age_next.as_ref().map(|nonce| &nonce[..]))
    .bind(installation.kit_tested_at.map(Timestamp::as_ms))
    .bind(installation.rebuild_at.map(Timestamp::as_ms))
    .bind(installation.created_at.as_ms())
    .bind(installation.moved.standing.word())
    .bind(installation.moved.id.as_ref().map(|id| &id[..]))
    .bind(&installation.moved.to)
    .bind(installation.moved.at.map(Timestamp::as_ms))
    .execute(tx.conn())
    .await
    .map_err(failed("insert the installation"))?;
    Ok(())
}

/// The row; `None` in a database that `init` has not finished.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn installation_get(tx: &mut Tx) -> Result<Option<InstallationRow>, DbError> {
    let row = query("select * from installation").fetch_optional(tx.conn()).await;
    row.map_err(failed("get the installation"))?.as_ref().map(read).transpose()
}

/// Notes a keyring as the one that has every key, and the secret as it is sealed now.
///
/// # Errors
/// The database does not answer.
pub async fn installation_keyring_update(tx: &mut Tx, keyring: u32, secret: &[u8]) -> Result<(), DbError> {
    let done = query("update installation set keyring = $1, secret = $2").bind(i64::from(keyring)).bind(secret);
    done.execute(tx.conn()).await.map_err(failed("note a keyring"))?;
    Ok(())
}

/// Notes the nonce of the next age, unless one is noted already. Gives whether it was noted.
///
/// # Errors
/// The database does not answer.
pub async fn installation_age_next_update(tx: &mut Tx, nonce: &[u8; 32]) -> Result<bool, DbError> {
    let done = query("update installation set age_next = $1 where age_next is null").bind(&nonce[..]);
    let done = done.execute(tx.conn()).await.map_err(failed("note the next age"))?;
    Ok(done.rows_affected() == 1)
}

/// Makes the noted next age the age, if it is the next one of `age`. Gives whether it was.
///
/// # Errors
/// The database does not answer.
pub async fn installation_age_update(tx: &mut Tx, age: u32) -> Result<bool, DbError> {
    let done = query(
        "update installation set age = age + 1, age_nonce = age_next, age_next = null \
         where age = $1 and age_next is not null",
    )
    .bind(i64::from(age));
    let done = done.execute(tx.conn()).await.map_err(failed("note an age"))?;
    Ok(done.rows_affected() == 1)
}

/// Takes over an age that the store has, with its nonce.
///
/// # Errors
/// The database does not answer.
pub async fn installation_age_taken_update(tx: &mut Tx, age: u32, nonce: &[u8; 32]) -> Result<(), DbError> {
    let done = query("update installation set age = $1, age_nonce = $2, age_next = null");
    let done = done.bind(i64::from(age)).bind(&nonce[..]);
    done.execute(tx.conn()).await.map_err(failed("take over an age"))?;
    Ok(())
}

/// Notes that the recovery kit was shown.
///
/// # Errors
/// The database does not answer.
pub async fn installation_kit_tested_update(tx: &mut Tx, at: Option<Timestamp>) -> Result<(), DbError> {
    let done = query("update installation set kit_tested_at = $1").bind(at.map(Timestamp::as_ms));
    done.execute(tx.conn()).await.map_err(failed("note that the recovery kit was shown"))?;
    Ok(())
}

/// Notes that a rebuild was begun, or that it is finished.
///
/// # Errors
/// The database does not answer.
pub async fn installation_rebuild_update(tx: &mut Tx, at: Option<Timestamp>) -> Result<(), DbError> {
    let done = query("update installation set rebuild_at = $1").bind(at.map(Timestamp::as_ms));
    done.execute(tx.conn()).await.map_err(failed("note how far a rebuild is"))?;
    Ok(())
}

/// Notes where the installation is.
///
/// # Errors
/// The database does not answer.
pub async fn installation_move_update(tx: &mut Tx, moved: &MoveRow) -> Result<(), DbError> {
    let done = query("update installation set standing = $1, move_id = $2, moved_to = $3, moved_at = $4")
        .bind(moved.standing.word())
        .bind(moved.id.as_ref().map(|id| &id[..]))
        .bind(&moved.to)
        .bind(moved.at.map(Timestamp::as_ms));
    done.execute(tx.conn()).await.map_err(failed("note where the installation is"))?;
    Ok(())
}

/// Removes the row: of a database that another migrate is to fill.
///
/// # Errors
/// The database does not answer.
pub async fn installation_remove(tx: &mut Tx) -> Result<(), DbError> {
    let done = query("delete from installation").execute(tx.conn()).await;
    done.map_err(failed("remove the installation"))?;
    Ok(())
}

fn read(row: &Row) -> Result<InstallationRow, DbError> {
    Ok(InstallationRow {
        id: InstallationId::from_bytes(row.bytes("id")?),
        secret: row.octets("secret")?,
        keyring: row.number("keyring")?,
        age: row.number("age")?,
        age_nonce: row.bytes("age_nonce")?,
        age_next: row.bytes_maybe("age_next")?,
        kit_tested_at: row.time_maybe("kit_tested_at")?,
        rebuild_at: row.time_maybe("rebuild_at")?,
        created_at: row.time("created_at")?,
        moved: MoveRow {
            standing: standing(&row.text("standing")?)?,
            id: row.bytes_maybe("move_id")?,
            to: row.text("moved_to")?,
            at: row.time_maybe("moved_at")?,
        },
    })
}

fn standing(word: &str) -> Result<Standing, DbError> {
    let found = Standing::ALL.iter().find(|(_, known)| *known == word);
    found.map(|(standing, _)| *standing).ok_or(DbError::Column { column: "standing", what: "the standings" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn an_age_comes_in_two_steps_and_never_twice() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            assert_eq!(installation_get(&mut tx).await.expect("readable"), None);
            let fresh = InstallationRow::new(InstallationId::from_bytes([1; 16]), Timestamp::from_ms(5));
            let row = InstallationRow { secret: vec![2; 60], ..fresh };
            installation_insert(&mut tx, &row).await.expect("new");
            assert_eq!(installation_get(&mut tx).await.expect("readable"), Some(row.clone()));
            assert!(!installation_age_update(&mut tx, 0).await.expect("writable"), "none is noted");
            assert!(installation_age_next_update(&mut tx, &[3; 32]).await.expect("writable"));
            assert!(!installation_age_next_update(&mut tx, &[4; 32]).await.expect("writable"), "one is noted");
            assert!(!installation_age_update(&mut tx, 1).await.expect("writable"), "of another age");
            assert!(installation_age_update(&mut tx, 0).await.expect("writable"));
            installation_keyring_update(&mut tx, 7, &[8; 60]).await.expect("writable");
            installation_kit_tested_update(&mut tx, Some(Timestamp::from_ms(6))).await.expect("writable");
            installation_rebuild_update(&mut tx, Some(Timestamp::from_ms(7))).await.expect("writable");
            let now = InstallationRow {
                age: 1,
                age_nonce: [3; 32],
                keyring: 7,
                secret: vec![8; 60],
                kit_tested_at: Some(Timestamp::from_ms(6)),
                rebuild_at: Some(Timestamp::from_ms(7)),
                ..row
            };
            assert_eq!(installation_get(&mut tx).await.expect("readable"), Some(now.clone()));
            installation_age_taken_update(&mut tx, 9, &[9; 32]).await.expect("writable");
            let taken = InstallationRow { age: 9, age_nonce: [9; 32], ..now };
            assert_eq!(installation_get(&mut tx).await.expect("readable"), Some(taken));
        }
    }
}
