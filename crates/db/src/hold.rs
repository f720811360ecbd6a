//! Legal holds: while one is there, nothing of its user or device expires or is purged.
//! Refuses to know why: the name is what an admin knows the case by.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, PolicySubject, Tx};
use base::{Count, DeviceId, HoldId, Timestamp, UserId};

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRow {
    /// Its name for programs.
    pub id: HoldId,
    /// Whose data stays: a user's, with all devices, or one device's.
    pub subject: HoldSubject,
    /// The user's address or the device's name, where it was asked for.
    pub subject_name: String,
    /// What an admin knows it by.
    pub name: String,
    /// The server's clock.
    pub set_at: Timestamp,
    /// Who has set it.
    pub set_by: String,
}

/// Whose data a hold keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldSubject {
    /// That of every device that the user has, or had.
    User(UserId),
    /// That of one device.
    Device(DeviceId),
}

impl HoldSubject {
    const fn level(self) -> &'static str {
        match self {
            HoldSubject::User(_) => "user",
            HoldSubject::Device(_) => "device",
        }
    }

    const fn bytes(&self) -> &[u8; 16] {
        match self {
            HoldSubject::User(user) => user.as_bytes(),
            HoldSubject::Device(device) => device.as_bytes(),
        }
    }
}

impl From<HoldSubject> for PolicySubject {
    fn from(subject: HoldSubject) -> Self {
        match subject {
            HoldSubject::User(user) => PolicySubject::User(user),
            HoldSubject::Device(device) => PolicySubject::Device(device),
        }
    }
}

/// Adds a hold.
///
/// # Errors
/// Constraint when the subject has one of that name.
pub async fn hold_insert(tx: &mut Tx, hold: &HoldRow) -> Result<(), DbError> {
    query("insert into hold (id, level, subject, name, set_at, set_by) values ($1, $2, $3, $4, $5, $6)")
        .bind(&hold.id.as_bytes()[..])
        .bind(hold.subject.level())
        .bind(&hold.subject.bytes()[..])
        .bind(&hold.name)
        .bind(hold.set_at.as_ms())
        .bind(&hold.set_by)
        .execute(tx.conn())
        .await
        .map_err(failed("insert a hold"))?;
    Ok(())
}

/// The hold with this id, without its subject's name.
///
/// # Errors
/// As the database says.
pub async fn hold_get(tx: &mut Tx, hold: HoldId) -> Result<Option<HoldRow>, DbError> {
    let row = query("select hold.*, '' as subject_name from hold where id = $1").bind(&hold.as_bytes()[..]);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a hold"))?.as_ref().map(read).transpose()
}

/// The holds with ids after `after`, in the order of their ids, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn hold_page_list(tx: &mut Tx, after: Option<HoldId>, limit: u32) -> Result<Vec<HoldRow>, DbError> {
    let rows = query(
        "select hold.*, coalesce((select email from \"user\" where id = subject), \
         (select name from device where id = subject), '') as subject_name from hold where id > $1 \
         order by id limit $2",
    )
    .bind(after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()))
    .bind(limit);
    rows.fetch_all(tx.conn()).await.map_err(failed("list holds"))?.iter().map(read).collect()
}

/// The holds that keep the data of this record: its own, those of the record that it was merged into, and its user's,
/// the oldest first; without the subjects' names.
///
/// # Errors
/// As the database says.
pub async fn hold_list_by_device(tx: &mut Tx, device: DeviceId) -> Result<Vec<HoldRow>, DbError> {
    let rows = query(
        "select hold.*, '' as subject_name from hold where (level = 'device' and subject in \
         ($1, (select merged_into from device where id = $1))) \
         or (level = 'user' and subject = (select user_id from device where id = $1)) order by set_at, id",
    )
    .bind(&device.as_bytes()[..]);
    rows.fetch_all(tx.conn()).await.map_err(failed("list the holds on a device"))?.iter().map(read).collect()
}

/// How many holds there are on the user, or on a device of the user.
///
/// # Errors
/// As the database says.
pub async fn hold_count_get_by_user(tx: &mut Tx, user: UserId) -> Result<Count, DbError> {
    let row = query(
        "select count(*) as holds from hold where (level = 'user' and subject = $1) \
         or (level = 'device' and subject in (select id from device where user_id = $1))",
    )
    .bind(&user.as_bytes()[..]);
    let row = row.fetch_one(tx.conn()).await.map_err(failed("look for holds on a user"))?;
    Ok(Count(row.number("holds")?))
}

/// Takes a hold away. Gives whether it was there.
///
/// # Errors
/// As the database says.
pub async fn hold_remove(tx: &mut Tx, hold: HoldId) -> Result<bool, DbError> {
    let done = query("delete from hold where id = $1").bind(&hold.as_bytes()[..]).execute(tx.conn());
    Ok(done.await.map_err(failed("remove a hold"))?.rows_affected() == 1)
}

fn read(row: &Row) -> Result<HoldRow, DbError> {
    let subject = match row.text("level")?.as_str() {
        "user" => HoldSubject::User(UserId::from_bytes(row.bytes("subject")?)),
        "device" => HoldSubject::Device(DeviceId::from_bytes(row.bytes("subject")?)),
        _ => return Err(DbError::Column { column: "level", what: "the levels of holds" }),
    };
    Ok(HoldRow {
        id: HoldId::from_bytes(row.bytes("id")?),
        subject,
        subject_name: row.text("subject_name")?,
        name: row.text("name")?,
        set_at: row.time("set_at")?,
        set_by: row.text("set_by")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_hold_on_a_user_is_one_on_each_device_of_the_user() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let other = DeviceId::from_bytes([0xd2; 16]);
            testing::device(&mut tx, other).await;
            let hold = |n: u8, subject| HoldRow {
                id: HoldId::from_bytes([n; 16]),
                subject,
                subject_name: String::new(),
                name: format!("case {n}"),
                set_at: Timestamp::from_ms(n.into()),
                set_by: "command".to_owned(),
            };
            let on_device = hold(1, HoldSubject::Device(other));
            hold_insert(&mut tx, &on_device).await.expect("new");
            assert_eq!(hold_count_get_by_user(&mut tx, testing::USER).await.expect("readable"), Count(1));
            assert_eq!(hold_list_by_device(&mut tx, testing::DEVICE).await.expect("readable"), []);
            let on_user = hold(2, HoldSubject::User(testing::USER));
            hold_insert(&mut tx, &on_user).await.expect("new");
            let on_other = hold_list_by_device(&mut tx, other).await.expect("readable");
            assert_eq!(on_other, [on_device.clone(), on_user.clone()]);
            assert_eq!(
                hold_list_by_device(&mut tx, testing::DEVICE).await.expect("readable"),
                std::slice::from_ref(&on_user)
            );
            let page = hold_page_list(&mut tx, Some(on_device.id), 10).await.expect("readable");
            assert_eq!(page, [HoldRow { subject_name: "u@x".to_owned(), ..on_user.clone() }]);
            assert!(hold_remove(&mut tx, on_user.id).await.expect("writable"));
            assert!(!hold_remove(&mut tx, on_user.id).await.expect("writable"));
            assert_eq!(hold_get(&mut tx, on_user.id).await.expect("readable"), None);
            let again = HoldRow { id: HoldId::from_bytes([3; 16]), ..on_device };
            assert!(hold_insert(&mut tx, &again).await.expect_err("one of that name").is_constraint());
        }
    }
}
