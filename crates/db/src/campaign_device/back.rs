//! How many devices of a campaign have come back: in a stretch of time, or by one proof.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{CampaignId, Count, Span, Timestamp};

/// How many devices have come back in each stretch of `step` since 1970 in which any did: its beginning and the count.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_back_list(
    tx: &mut Tx,
    campaign: CampaignId,
    step: Span,
) -> Result<Vec<(Timestamp, Count)>, DbError> {
    let rows = query(
        "select back_at / $2 as stretch, count(*) as devices from campaign_device \
         where campaign_id = $1 and status = 'done' group by 1 order by 1",
    )
    .bind(&campaign.as_bytes()[..])
    .bind(int(step.as_ms().max(1)))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("count the devices that came back"))?;
    let step = int(step.as_ms().max(1));
    let point =
        |row: &Row| Ok((Timestamp::from_ms(row.int("stretch")?.saturating_mul(step)), Count(row.number("devices")?)));
    rows.iter().map(point).collect()
}

/// How many devices have come back by this proof, at `since` or later.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_count_back(
    tx: &mut Tx,
    campaign: CampaignId,
    proof: &str,
    since: Timestamp,
) -> Result<Count, DbError> {
    let row = query(
        "select count(*) as devices from campaign_device \
         where campaign_id = $1 and status = 'done' and proof = $2 and back_at >= $3",
    )
    .bind(&campaign.as_bytes()[..])
    .bind(proof)
    .bind(since.as_ms())
    .fetch_one(tx.conn())
    .await
    .map_err(failed("count the devices that one proof brought back"))?;
    Ok(Count(row.number("devices")?))
}
