//! Who carries out a job now. Refuses two holders: a lease passes on only after it ran out, and its fence grows then.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::Timestamp;

/// The lease on one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLeaseRow {
    /// The process that holds it, by the number that it drew at its start.
    pub holder: [u8; 16],
    /// Until when it does so without renewing.
    pub until: Timestamp,
    /// Grows with every new holder.
    pub fence: u64,
}

/// Takes the lease on a job when it is free or ran out before `now`, or renews the holder's own, until `until`. Gives
/// the fence, or `None` while another holds it.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn job_lease_update(
    tx: &mut Tx,
    name: &str,
    holder: &[u8; 16],
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<u64>, DbError> {
    let row = query(
        "insert into job_lease (name, holder, until, fence) values ($1, $2, $4, 1) \
         on conflict (name) do update set holder = $2, until = $4, \
         fence = case when job_lease.holder = $2 then job_lease.fence else job_lease.fence + 1 end \
         where job_lease.holder = $2 or job_lease.until < $3 returning fence",
    )
    .bind(name)
    .bind(&holder[..])
    .bind(now.as_ms())
    .bind(until.as_ms())
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("take the lease on a job"))?;
    row.map(|row| row.number("fence")).transpose()
}

/// The lease on a job; `None` when it was never taken.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn job_lease_get(tx: &mut Tx, name: &str) -> Result<Option<JobLeaseRow>, DbError> {
    let row = query("select holder, until, fence from job_lease where name = $1")
        .bind(name)
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the lease on a job"))?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(JobLeaseRow { holder: row.bytes("holder")?, until: row.time("until")?, fence: row.number("fence")? }))
}

/// Until when some job is held at `now`, by whichever process; `None` when no server is at work.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn job_lease_held_get(tx: &mut Tx, now: Timestamp) -> Result<Option<Timestamp>, DbError> {
    let row = query("select max(until) as until from job_lease where until >= $1")
        .bind(now.as_ms())
        .fetch_one(tx.conn())
        .await
        .map_err(failed("look whether a job is held"))?;
    row.time_maybe("until")
}

/// Gives the holder's lease on a job back before it runs out: the next one need not wait. The fence stays.
///
/// # Errors
/// The database does not answer.
pub async fn job_lease_end_update(tx: &mut Tx, name: &str, holder: &[u8; 16], now: Timestamp) -> Result<(), DbError> {
    query("update job_lease set until = $3 where name = $1 and holder = $2")
        .bind(name)
        .bind(&holder[..])
        .bind(now.as_ms() - 1)
        .execute(tx.conn())
        .await
        .map_err(failed("give the lease on a job back"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_lease_has_one_holder_and_its_fence_grows_with_every_new_one() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let (one, two) = ([1; 16], [2; 16]);
            for (holder, now, until, fence) in [
                (one, 0, 100, Some(1)),
                (two, 50, 150, None),
                (one, 60, 160, Some(1)),
                (two, 160, 260, None),
                (two, 161, 261, Some(2)),
                (one, 200, 300, None),
                // It ran out, and nobody else wanted it.
                (two, 500, 600, Some(2)),
            ] {
                let (now, until) = (Timestamp::from_ms(now), Timestamp::from_ms(until));
                let got = job_lease_update(&mut tx, "mail", &holder, now, until).await.expect("writable");
                assert_eq!(got, fence, "{holder:?} at {now:?}");
            }
            let lease = JobLeaseRow { holder: two, until: Timestamp::from_ms(600), fence: 2 };
            assert_eq!(job_lease_get(&mut tx, "mail").await.expect("readable"), Some(lease));
            assert_eq!(job_lease_get(&mut tx, "purge").await.expect("readable"), None);
            for (now, held) in [(600, Some(600)), (601, None)] {
                let until = job_lease_held_get(&mut tx, Timestamp::from_ms(now)).await.expect("readable");
                assert_eq!(until.map(Timestamp::as_ms), held, "at {now}");
            }

            let now = Timestamp::from_ms(510);
            job_lease_end_update(&mut tx, "mail", &one, now).await.expect("another's stays");
            assert_eq!(job_lease_update(&mut tx, "mail", &one, now, now).await.expect("writable"), None);
            job_lease_end_update(&mut tx, "mail", &two, now).await.expect("its own");
            assert_eq!(job_lease_update(&mut tx, "mail", &one, now, now).await.expect("writable"), Some(3));
        }
    }
}
