//! Users as an admin lists them, page by page, and what an admin changes of them. Refuses lists without an end.

use super::{UserRow, read, user_state};
use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{ProfileId, Timestamp, UserId};
use control::UserState;

/// Which users are asked for. Empty asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// The one with exactly this address, in lower case.
    pub email: Option<String>,
    /// Those whose address has this in it.
    pub part: Option<String>,
    /// Those who stand so.
    pub state: Option<UserState>,
    /// Those with this profile.
    pub profile: Option<ProfileId>,
}

/// A user and what a list says beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserListRow {
    /// The user.
    pub user: UserRow,
    /// The profile that the user was given.
    pub profile: Option<ProfileId>,
    /// What a deleted user was before.
    pub was: Option<UserState>,
    /// When a deleted user may be purged.
    pub purge_after: Option<Timestamp>,
    /// How many records of the user count as devices.
    pub devices: u64,
}

/// At most `limit` users that fit, by address, after the one with the address `after`; purged ones only when they are
/// asked for.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn user_page_list(
    tx: &mut Tx,
    filter: &UserFilter,
    after: &str,
    limit: u32,
) -> Result<Vec<UserListRow>, DbError> {
    let part = filter.part.as_ref().map(|part| format!("%{}%", escaped(part)));
    let rows = query(
        "select u.*, (select count(*) from device d where d.user_id = u.id and d.merged_into is null \
         and d.state not in ('decommissioning', 'decommissioned', 'deleted', 'purged')) as devices \
         from \"user\" u where u.email > $1 and ($2 is null or u.email = $2) \
         and ($3 is null or u.email like $3 escape '!') and (u.state = $4 or ($4 is null and u.state <> 'purged')) \
         and ($5 is null or u.profile_id = $5) order by u.email limit $6",
    )
    .bind(after)
    .bind(&filter.email)
    .bind(part)
    .bind(filter.state.map(UserState::word))
    .bind(filter.profile.map(|profile| profile.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list users"))?;
    rows.iter().map(read_listed).collect()
}

/// The user with this id, with what a list says beside.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn user_listed_get(tx: &mut Tx, id: UserId) -> Result<Option<UserListRow>, DbError> {
    let row = query(
        "select u.*, (select count(*) from device d where d.user_id = u.id and d.merged_into is null \
         and d.state not in ('decommissioning', 'decommissioned', 'deleted', 'purged')) as devices \
         from \"user\" u where u.id = $1",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a user"))?;
    row.as_ref().map(read_listed).transpose()
}

/// Sets where a user stands; of a deleted one also what it was before, and when it may be purged.
///
/// # Errors
/// The database does not answer.
pub async fn user_state_update(
    tx: &mut Tx,
    id: UserId,
    state: UserState,
    was: Option<UserState>,
    purge_after: Option<Timestamp>,
) -> Result<(), DbError> {
    query("update \"user\" set state = $2, state_was = $3, purge_after = $4 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(state.word())
        .bind(was.map(UserState::word))
        .bind(purge_after.map(Timestamp::as_ms))
        .execute(tx.conn())
        .await
        .map_err(failed("update a user's state"))?;
    Ok(())
}

/// The text with the signs of `like` taken as they stand.
fn escaped(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

fn read_listed(row: &Row) -> Result<UserListRow, DbError> {
    let was = row.text_maybe("state_was")?;
    Ok(UserListRow {
        user: read(row)?,
        profile: row.bytes_maybe("profile_id")?.map(ProfileId::from_bytes),
        was: was.as_deref().map(user_state).transpose()?,
        purge_after: row.time_maybe("purge_after")?,
        devices: row.number("devices")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing, user_insert};

    #[tokio::test]
    async fn users_come_in_pages_by_address_and_filters_take_signs_as_they_stand() {
        for temp in testing::fixtures().await {
            pages(temp).await;
        }
    }

    async fn pages(temp: testing::TempDb) {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        for (n, email) in ["b_b@x", "bxb@x", "c@y"].into_iter().enumerate() {
            let user = UserRow {
                id: UserId::from_bytes([n as u8 + 1; 16]),
                email: email.to_owned(),
                state: UserState::Active,
                repository: testing::REPOSITORY,
                password_hash: String::new(),
                created_at: Timestamp::from_ms(0),
            };
            user_insert(&mut tx, &user).await.expect("new");
        }
        let locked = UserId::from_bytes([3; 16]);
        let purge = Some(Timestamp::from_ms(7));
        user_state_update(&mut tx, locked, UserState::Deleted, Some(UserState::Locked), purge).await.expect("there");
        let list = async |tx: &mut Tx, filter: UserFilter, after: &str, limit| {
            let rows = user_page_list(tx, &filter, after, limit).await.expect("readable");
            rows.into_iter().map(|row| (row.user.email, row.devices)).collect::<Vec<_>>()
        };
        let named = |rows: &[(&str, u64)]| rows.iter().map(|(a, b)| ((*a).to_owned(), *b)).collect::<Vec<_>>();
        assert_eq!(list(&mut tx, UserFilter::default(), "", 2).await, named(&[("b_b@x", 0), ("bxb@x", 0)]));
        assert_eq!(list(&mut tx, UserFilter::default(), "bxb@x", 2).await, named(&[("c@y", 0), ("u@x", 1)]));
        let part = UserFilter { part: Some("b_".to_owned()), ..Default::default() };
        assert_eq!(list(&mut tx, part, "", 9).await, named(&[("b_b@x", 0)]));
        let deleted = UserFilter { state: Some(UserState::Deleted), ..Default::default() };
        assert_eq!(list(&mut tx, deleted, "", 9).await, named(&[("c@y", 0)]));
        let found = user_listed_get(&mut tx, locked).await.expect("readable").expect("there");
        assert_eq!(found.was, Some(UserState::Locked));
        assert_eq!((found.purge_after, found.profile, found.user.state), (purge, None, UserState::Deleted));
    }
}
