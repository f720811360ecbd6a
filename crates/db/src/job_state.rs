//! When a job is due that is not done in one tick, and how far it is. Refuses to know what it does.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::Timestamp;

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStateRow {
    /// The last row that it was done with; `None` at the beginning.
    pub cursor: Option<Vec<u8>>,
    /// When it begins anew.
    pub due: Timestamp,
    /// The time that it goes by.
    pub at: Timestamp,
    /// What the server's clock said then.
    pub clock: Timestamp,
}

/// How far the job is; `None` before it has begun.
///
/// # Errors
/// As the database says.
pub async fn job_state_get(tx: &mut Tx, name: &str) -> Result<Option<JobStateRow>, DbError> {
    let row = query("select * from job_state where name = $1").bind(name);
    let row = row.fetch_optional(tx.conn()).await.map_err(failed("read how far a job is"))?;
    let Some(row) = row else { return Ok(None) };
    let cursor: Option<&[u8]> = row.try_get("cursor").map_err(failed("read how far a job is"))?;
    Ok(Some(JobStateRow {
        cursor: cursor.map(<[u8]>::to_vec),
        due: row.time("due")?,
        at: row.time("at")?,
        clock: row.time("clock")?,
    }))
}

/// Keeps how far the job is.
///
/// # Errors
/// As the database says.
pub async fn job_state_update(tx: &mut Tx, name: &str, state: &JobStateRow) -> Result<(), DbError> {
    query(
        "insert into job_state (name, cursor, due, at, clock) values ($1, $2, $3, $4, $5) \
         on conflict (name) do update set cursor = $2, due = $3, at = $4, clock = $5",
    )
    .bind(name)
    .bind(state.cursor.as_deref())
    .bind(state.due.as_ms())
    .bind(state.at.as_ms())
    .bind(state.clock.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("keep how far a job is"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_job_finds_what_it_has_kept() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            assert_eq!(job_state_get(&mut tx, "retention").await.expect("readable"), None);
            let at = Timestamp::from_ms;
            for cursor in [Some(vec![7; 16]), None] {
                let state = JobStateRow { cursor, due: at(1), at: at(2), clock: at(3) };
                job_state_update(&mut tx, "retention", &state).await.expect("writable");
                assert_eq!(job_state_get(&mut tx, "retention").await.expect("readable"), Some(state));
            }
        }
    }
}
