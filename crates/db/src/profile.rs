//! Profiles: named sets of policies and folders. Refuses two of one name, and a second default.
//! INVARIANT: a user whose `profile_id` is null has the default profile; every statement here reads it so.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{Count, ProfileId, Timestamp, UserId};

/// One profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileRow {
    /// Which.
    pub id: ProfileId,
    /// Its name.
    pub name: String,
    /// Whether users without a profile have this one.
    pub is_default: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows with every change of it, its values or its folders, and of the organisation's values.
    pub revision: u64,
}

/// Adds a profile, unless its name is taken or there is a default already and this is one too; says whether it did.
///
/// # Errors
/// The database does not answer.
pub async fn profile_insert(tx: &mut Tx, profile: &ProfileRow) -> Result<bool, DbError> {
    let done = query(
        "insert into profile (id, name, is_default, created_at, revision) values ($1, $2, $3, $4, $5) \
         on conflict do nothing",
    )
    .bind(&profile.id.as_bytes()[..])
    .bind(&profile.name)
    .bind(i64::from(profile.is_default))
    .bind(profile.created_at.as_ms())
    .bind(int(profile.revision))
    .execute(tx.conn())
    .await
    .map_err(failed("insert a profile"))?;
    Ok(done.rows_affected() == 1)
}

/// The profile with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn profile_get(tx: &mut Tx, id: ProfileId) -> Result<Option<ProfileRow>, DbError> {
    let row = query("select id, name, is_default, created_at, revision from profile where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a profile"))?;
    row.as_ref().map(read).transpose()
}

/// The profile with this name.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn profile_get_by_name(tx: &mut Tx, name: &str) -> Result<Option<ProfileRow>, DbError> {
    let row = query("select id, name, is_default, created_at, revision from profile where name = $1")
        .bind(name)
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a profile by its name"))?;
    row.as_ref().map(read).transpose()
}

/// The profile of users without one of their own.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn profile_get_default(tx: &mut Tx) -> Result<Option<ProfileRow>, DbError> {
    let row = query("select id, name, is_default, created_at, revision from profile where is_default = 1")
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the default profile"))?;
    row.as_ref().map(read).transpose()
}

/// The profile that a user has; `None` when there is no such user.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn profile_get_by_user(tx: &mut Tx, user: UserId) -> Result<Option<ProfileRow>, DbError> {
    let row = query(
        "select p.id, p.name, p.is_default, p.created_at, p.revision from \"user\" u \
         join profile p on p.id = coalesce(u.profile_id, (select id from profile where is_default = 1)) \
         where u.id = $1",
    )
    .bind(&user.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a user's profile"))?;
    row.as_ref().map(read).transpose()
}

/// The profiles by name, those after `after`, at most `limit`; with a `name`, the one that is called so.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn profile_page_list(
    tx: &mut Tx,
    name: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<ProfileRow>, DbError> {
    let rows = query(
        "select id, name, is_default, created_at, revision from profile where name > $1 \
         and ($2 is null or name = $2) order by name limit $3",
    )
    .bind(after)
    .bind(name)
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list profiles"))?;
    rows.iter().map(read).collect()
}

/// How many users have the profile.
///
/// # Errors
/// The database does not answer.
pub async fn profile_user_count_get(tx: &mut Tx, id: ProfileId) -> Result<Count, DbError> {
    let row = query(
        "select count(*) as users from \"user\" \
         where coalesce(profile_id, (select id from profile where is_default = 1)) = $1",
    )
    .bind(&id.as_bytes()[..])
    .fetch_one(tx.conn())
    .await
    .map_err(failed("count the users of a profile"))?;
    Ok(Count(row.number("users")?))
}

/// Renames a profile.
///
/// # Errors
/// Constraint: the name is another one's; the database does not answer.
pub async fn profile_name_update(tx: &mut Tx, id: ProfileId, name: &str) -> Result<(), DbError> {
    query("update profile set name = $2 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(name)
        .execute(tx.conn())
        .await
        .map_err(failed("rename a profile"))?;
    Ok(())
}

/// Counts a change of a profile.
///
/// # Errors
/// The database does not answer.
pub async fn profile_revision_update(tx: &mut Tx, id: ProfileId) -> Result<(), DbError> {
    query("update profile set revision = revision + 1 where id = $1")
        .bind(&id.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("count a change of a profile"))?;
    Ok(())
}

/// Counts a change of the organisation: one of every profile.
///
/// # Errors
/// The database does not answer.
pub async fn profile_revision_update_all(tx: &mut Tx) -> Result<(), DbError> {
    query("update profile set revision = revision + 1")
        .execute(tx.conn())
        .await
        .map_err(failed("count a change of the organisation"))?;
    Ok(())
}

/// Removes a profile.
///
/// # Errors
/// Constraint: a user has it; the database does not answer.
pub async fn profile_remove(tx: &mut Tx, id: ProfileId) -> Result<(), DbError> {
    query("delete from profile where id = $1")
        .bind(&id.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove a profile"))?;
    Ok(())
}

/// The users of a profile, by id: those after `after`, at most `limit`.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn user_list_by_profile(
    tx: &mut Tx,
    id: ProfileId,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<UserId>, DbError> {
    let rows = query(
        "select id from \"user\" where coalesce(profile_id, (select id from profile where is_default = 1)) = $1 \
         and id > $2 order by id limit $3",
    )
    .bind(&id.as_bytes()[..])
    .bind(after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the users of a profile"))?;
    rows.iter().map(|row| Ok(UserId::from_bytes(row.bytes("id")?))).collect()
}

/// Gives a user a profile, and counts `more` changes of the user's policy.
///
/// # Errors
/// Constraint: there is no such profile; the database does not answer.
pub async fn user_profile_update(tx: &mut Tx, user: UserId, profile: ProfileId, more: u64) -> Result<(), DbError> {
    query("update \"user\" set profile_id = $2, policy_revision = policy_revision + $3 where id = $1")
        .bind(&user.as_bytes()[..])
        .bind(&profile.as_bytes()[..])
        .bind(int(more))
        .execute(tx.conn())
        .await
        .map_err(failed("give a user a profile"))?;
    Ok(())
}

/// Counts a change of a user's own policy. Whoever does so holds the user's row until the end of the transaction.
///
/// # Errors
/// The database does not answer.
pub async fn user_policy_revision_update(tx: &mut Tx, user: UserId) -> Result<(), DbError> {
    query("update \"user\" set policy_revision = policy_revision + 1 where id = $1")
        .bind(&user.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("count a change of a user's policy"))?;
    Ok(())
}

fn read(row: &Row) -> Result<ProfileRow, DbError> {
    Ok(ProfileRow {
        id: ProfileId::from_bytes(row.bytes("id")?),
        name: row.text("name")?,
        is_default: row.int("is_default")? == 1,
        created_at: row.time("created_at")?,
        revision: row.number("revision")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn profile(n: u8, is_default: bool) -> ProfileRow {
        let (id, name) = (ProfileId::from_bytes([n; 16]), format!("profile {n}"));
        ProfileRow { id, name, is_default, created_at: Timestamp::from_ms(5), revision: 1 }
    }

    #[tokio::test]
    async fn a_user_without_a_profile_has_the_default_one() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            assert_eq!(profile_get_by_user(&mut tx, testing::USER).await.expect("readable"), None);
            let (one, two) = (profile(1, true), profile(2, false));
            assert!(profile_insert(&mut tx, &one).await.expect("a statement"));
            assert!(profile_insert(&mut tx, &two).await.expect("a statement"));
            let second_default = profile(3, true);
            assert!(!profile_insert(&mut tx, &second_default).await.expect("a statement"), "there is one");
            let same_name = ProfileRow { name: one.name.clone(), ..profile(4, false) };
            assert!(!profile_insert(&mut tx, &same_name).await.expect("a statement"), "the name is taken");
            assert_eq!(profile_get_default(&mut tx).await.expect("readable"), Some(one.clone()));
            assert_eq!(profile_get_by_user(&mut tx, testing::USER).await.expect("readable"), Some(one.clone()));
            assert_eq!(profile_user_count_get(&mut tx, one.id).await.expect("readable"), Count(1));
            let users = user_list_by_profile(&mut tx, one.id, None, 10).await.expect("readable");
            assert_eq!(users, [testing::USER]);
            assert!(user_list_by_profile(&mut tx, one.id, Some(testing::USER), 10).await.expect("readable").is_empty());
            user_profile_update(&mut tx, testing::USER, two.id, 3).await.expect("both are there");
            assert_eq!(profile_get_by_user(&mut tx, testing::USER).await.expect("readable"), Some(two.clone()));
            assert_eq!(profile_user_count_get(&mut tx, one.id).await.expect("readable"), Count(0));
            assert!(profile_remove(&mut tx, two.id).await.expect_err("a user has it").is_constraint());
        }
    }

    #[tokio::test]
    async fn revisions_grow_and_names_change() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            for one in [profile(1, true), profile(2, false)] {
                profile_insert(&mut tx, &one).await.expect("a statement");
            }
            let id = profile(2, false).id;
            profile_revision_update(&mut tx, id).await.expect("a statement");
            profile_revision_update_all(&mut tx).await.expect("a statement");
            profile_name_update(&mut tx, id, "another").await.expect("free");
            let found = profile_get_by_name(&mut tx, "another").await.expect("readable").expect("there");
            assert_eq!((found.id, found.revision), (id, 3));
            tx.commit().await.expect("nothing stands against it");
            let mut tx = temp.db.write().await.expect("nobody else writes");
            assert!(profile_name_update(&mut tx, id, "profile 1").await.expect_err("taken").is_constraint());
            drop(tx);
            let mut tx = temp.db.write().await.expect("nobody else writes");
            profile_remove(&mut tx, id).await.expect("nobody has it");
            let list = profile_page_list(&mut tx, None, "", 10).await.expect("readable");
            let names: Vec<&str> = list.iter().map(|profile| profile.name.as_str()).collect();
            assert_eq!(names, ["profile 1"]);
        }
    }
}
