//! Objects of the store that no row names any more: those whose rows were removed, and those that never had one.
//! Refuses to remove an object: the rows say what may go, and when.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::Timestamp;

/// Notes that an object may go after that time; a later time for one that is noted already counts.
///
/// # Errors
/// As the database says.
pub async fn leaving_insert(tx: &mut Tx, name: &str, remove_after: Timestamp) -> Result<(), DbError> {
    query(
        "insert into leaving (name, remove_after) values ($1, $2) \
         on conflict (name) do update set remove_after = excluded.remove_after \
         where excluded.remove_after > leaving.remove_after",
    )
    .bind(name)
    .bind(remove_after.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("note that an object may go"))?;
    Ok(())
}

/// Brings times that lie after `last`, which a clock that was ahead has set, back to it.
///
/// # Errors
/// As the database says.
pub async fn leaving_last_update(tx: &mut Tx, last: Timestamp) -> Result<(), DbError> {
    let done = query("update leaving set remove_after = $1 where remove_after > $1").bind(last.as_ms());
    done.execute(tx.conn()).await.map_err(failed("bring times back that a clock ahead has set"))?;
    Ok(())
}

/// Objects that may go at `now`, those first that may longest, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn leaving_list(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<String>, DbError> {
    let rows = query("select name from leaving where remove_after <= $1 order by remove_after, name limit $2")
        .bind(now.as_ms())
        .bind(limit);
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("list objects that may go"))?;
    rows.iter().map(|row| row.text("name")).collect()
}

/// Which of the objects from `first` to `last`, both included, may go, now or later; in the order of their names.
///
/// # Errors
/// As the database says.
pub async fn leaving_list_between(tx: &mut Tx, first: &str, last: &str) -> Result<Vec<String>, DbError> {
    let rows = query("select name from leaving where name >= $1 and name <= $2 order by name").bind(first).bind(last);
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("list objects of a page that may go"))?;
    rows.iter().map(|row| row.text("name")).collect()
}

/// Whether the object is one that may go, now or later.
///
/// # Errors
/// As the database says.
pub async fn leaving_get(tx: &mut Tx, name: &str) -> Result<Option<Timestamp>, DbError> {
    let row = query("select remove_after from leaving where name = $1").bind(name);
    let row = row.fetch_optional(tx.conn()).await.map_err(failed("look for an object that may go"))?;
    row.map(|row| row.time("remove_after")).transpose()
}

/// Forgets an object: it is gone.
///
/// # Errors
/// As the database says.
pub async fn leaving_remove(tx: &mut Tx, name: &str) -> Result<(), DbError> {
    let done = query("delete from leaving where name = $1").bind(name).execute(tx.conn());
    done.await.map_err(failed("forget an object that is gone"))?;
    Ok(())
}

/// Notes that no row names the object, unless that is noted already. Gives when it was noted first; a time to come,
/// which a clock that was ahead has set, is brought back to `now`.
///
/// # Errors
/// As the database says.
pub async fn stray_insert(tx: &mut Tx, name: &str, now: Timestamp) -> Result<Timestamp, DbError> {
    let row = query(
        "insert into stray (name, seen_at) values ($1, $2) \
         on conflict (name) do update set seen_at = case when stray.seen_at > excluded.seen_at then excluded.seen_at \
         else stray.seen_at end returning seen_at",
    )
    .bind(name)
    .bind(now.as_ms())
    .fetch_one(tx.conn())
    .await
    .map_err(failed("note a stray object"))?;
    row.time("seen_at")
}

/// The stray objects whose names are after `after`, in their order, at most `limit`, with when each was seen first.
///
/// # Errors
/// As the database says.
pub async fn stray_list(tx: &mut Tx, after: &str, limit: u32) -> Result<Vec<(String, Timestamp)>, DbError> {
    let rows = query("select name, seen_at from stray where name > $1 order by name limit $2").bind(after).bind(limit);
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("list stray objects"))?;
    rows.iter().map(|row| Ok((row.text("name")?, row.time("seen_at")?))).collect()
}

/// Forgets a stray object: it is gone, or a row names it now.
///
/// # Errors
/// As the database says.
pub async fn stray_remove(tx: &mut Tx, name: &str) -> Result<(), DbError> {
    let done = query("delete from stray where name = $1").bind(name).execute(tx.conn());
    done.await.map_err(failed("forget a stray object"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn objects_leave_in_time_and_strays_keep_their_first_sight() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let at = Timestamp::from_ms;
            for (name, after) in [("packs/b", 5), ("packs/a", 5), ("packs/c", 9), ("packs/a", 7), ("packs/b", 4)] {
                leaving_insert(&mut tx, name, at(after)).await.expect("writable");
            }
            assert_eq!(leaving_list(&mut tx, at(7), 9).await.expect("readable"), ["packs/b", "packs/a"]);
            assert_eq!(leaving_list(&mut tx, at(9), 1).await.expect("readable"), ["packs/b"]);
            leaving_remove(&mut tx, "packs/b").await.expect("writable");
            assert_eq!(leaving_list(&mut tx, at(9), 9).await.expect("readable"), ["packs/a", "packs/c"]);
            let between = leaving_list_between(&mut tx, "packs/a", "packs/b").await.expect("readable");
            assert_eq!(between, ["packs/a"]);
            let between = leaving_list_between(&mut tx, "packs/Z", "packs/c").await.expect("readable");
            assert_eq!(between, ["packs/a", "packs/c"], "the order is that of the bytes, as the store's is");
            assert_eq!(leaving_get(&mut tx, "packs/a").await.expect("readable"), Some(at(7)));
            assert_eq!(leaving_get(&mut tx, "packs/b").await.expect("readable"), None);

            for (now, seen_at) in [(5, 5), (3, 3), (8, 3)] {
                assert_eq!(stray_insert(&mut tx, "packs/d", at(now)).await.expect("writable"), at(seen_at));
            }
            leaving_last_update(&mut tx, at(8)).await.expect("writable");
            assert_eq!(leaving_get(&mut tx, "packs/c").await.expect("readable"), Some(at(8)));
            assert_eq!(stray_list(&mut tx, "", 9).await.expect("readable"), [("packs/d".to_owned(), at(3))]);
            stray_remove(&mut tx, "packs/d").await.expect("writable");
            assert_eq!(stray_list(&mut tx, "", 9).await.expect("readable"), []);
        }
    }
}
