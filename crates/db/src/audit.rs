//! The audit log: who did what, each row chained to the one before. Refuses updates and removals: there are no such
//! statements. The hash is computed in `app::audit`.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Pair, Row, query, query_of};
use crate::{DbError, Tx};
use base::Timestamp;

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, from 1 without a gap.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: `admin command`, `device dev_…`, `user usr_…`.
    pub actor: String,
    /// Did what: a stable word.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The rest, in words.
    pub detail: String,
    /// From which address it was asked; empty where there is none.
    pub source: String,
    /// By which proof, as a stable word; empty where none was needed.
    pub proof: String,
    /// Says what the hash covers (docs/control.md, "Audit").
    pub version: u32,
    /// Covers this row and the hash of the row before.
    pub hash: [u8; 32],
}

/// Which rows are wanted; `None` means any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter<'a> {
    /// Of this actor.
    pub actor: Option<&'a str>,
    /// Of this action.
    pub action: Option<&'a str>,
    /// About this subject.
    pub subject: Option<&'a str>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub before: Option<Timestamp>,
}

/// The number and the hash of the newest row.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn audit_get_newest(tx: &mut Tx) -> Result<Option<(u64, [u8; 32])>, DbError> {
    let row = query("select seq, hash from audit order by seq desc limit 1")
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the newest audit row"))?;
    row.map(|row| Ok((row.number("seq")?, row.bytes("hash")?))).transpose()
}

/// Adds a row, and notes its number and its hash apart from the log.
///
/// # Errors
/// Constraint: a row with this number is there; the database does not answer.
pub async fn audit_insert(tx: &mut Tx, row: &AuditRow) -> Result<(), DbError> {
    // Every change comes by here: one trip to the database instead of two.
    query_of(Pair {
        sqlite: "insert into audit (seq, at, actor, action, subject, detail, source, proof, version, hash) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10); \
                 insert into audit_head (one, seq, hash) values (1, $1, $10) \
                 on conflict (one) do update set seq = excluded.seq, hash = excluded.hash",
        postgres: "with noted as (insert into audit_head (one, seq, hash) values (1, $1, $10) \
                   on conflict (one) do update set seq = excluded.seq, hash = excluded.hash) \
                   insert into audit (seq, at, actor, action, subject, detail, source, proof, version, hash) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    })
    .bind(row.seq.cast_signed())
    .bind(row.at.as_ms())
    .bind(&row.actor)
    .bind(&row.action)
    .bind(&row.subject)
    .bind(&row.detail)
    .bind(&row.source)
    .bind(&row.proof)
    .bind(i64::from(row.version))
    .bind(&row.hash[..])
    .execute(tx.conn())
    .await
    .map_err(failed("insert an audit row"))?;
    Ok(())
}

/// At most `limit` rows after number `after`, in order.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn audit_list(tx: &mut Tx, after: u64, limit: u32) -> Result<Vec<AuditRow>, DbError> {
    let rows = query(
        "select seq, at, actor, action, subject, detail, source, proof, version, hash from audit where seq > $1 \
         order by seq limit $2",
    )
    .bind(after.cast_signed())
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the audit log"))?;
    rows.iter().map(read).collect()
}

/// At most `limit` rows with numbers below `below` that fit `filter`, the newest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn audit_list_newest(
    tx: &mut Tx,
    filter: &AuditFilter<'_>,
    below: Option<u64>,
    limit: u32,
) -> Result<Vec<AuditRow>, DbError> {
    let rows = query(
        "select seq, at, actor, action, subject, detail, source, proof, version, hash from audit where seq < $1 \
         and ($2 is null or actor = $2) and ($3 is null or action = $3) and ($4 is null or subject = $4) \
         and ($5 is null or at >= $5) and ($6 is null or at < $6) order by seq desc limit $7",
    )
    .bind(below.map_or(i64::MAX, int))
    .bind(filter.actor)
    .bind(filter.action)
    .bind(filter.subject)
    .bind(filter.from.map(Timestamp::as_ms))
    .bind(filter.before.map(Timestamp::as_ms))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the audit log"))?;
    rows.iter().map(read).collect()
}

/// The number and the hash of the newest row as they were noted apart from the log; `None` before the first was.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn audit_head_get(tx: &mut Tx) -> Result<Option<(u64, [u8; 32])>, DbError> {
    let row = query("select seq, hash from audit_head where one = 1")
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the head of the audit log"))?;
    row.map(|row| Ok((row.number("seq")?, row.bytes("hash")?))).transpose()
}

fn read(row: &Row) -> Result<AuditRow, DbError> {
    Ok(AuditRow {
        seq: row.number("seq")?,
        at: row.time("at")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        subject: row.text("subject")?,
        detail: row.text("detail")?,
        source: row.text("source")?,
        proof: row.text("proof")?,
        version: row.number("version")?,
        hash: row.bytes("hash")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn row(seq: u64, actor: &str, action: &str, subject: &str) -> AuditRow {
        AuditRow {
            seq,
            at: Timestamp::from_ms(seq.cast_signed() * 10),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: "d".to_owned(),
            source: "2001:db8::1".to_owned(),
            proof: "password".to_owned(),
            version: 2,
            hash: [seq as u8; 32],
        }
    }

    #[tokio::test]
    async fn rows_are_found_by_what_they_say_page_by_page() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let rows = [row(1, "a", "x", "s"), row(2, "b", "x", "s"), row(3, "a", "y", "t"), row(4, "a", "x", "t")];
            assert_eq!(audit_head_get(&mut tx).await.expect("readable"), None);
            for row in &rows {
                audit_insert(&mut tx, row).await.expect("new");
                assert_eq!(audit_head_get(&mut tx).await.expect("readable"), Some((row.seq, row.hash)));
            }
            assert_eq!(audit_get_newest(&mut tx).await.expect("readable"), Some((4, [4; 32])));
            assert_eq!(audit_list(&mut tx, 1, 2).await.expect("readable"), rows[1..3]);
            let any = AuditFilter::default();
            for (filter, found) in [
                (AuditFilter { actor: Some("a"), ..any }, vec![4, 3, 1]),
                (AuditFilter { action: Some("x"), ..any }, vec![4, 2, 1]),
                (AuditFilter { subject: Some("t"), ..any }, vec![4, 3]),
                (AuditFilter { actor: Some("a"), action: Some("x"), subject: Some("s"), ..any }, vec![1]),
                (
                    AuditFilter { from: Some(Timestamp::from_ms(20)), before: Some(Timestamp::from_ms(40)), ..any },
                    vec![3, 2],
                ),
            ] {
                let page = audit_list_newest(&mut tx, &filter, None, 9).await.expect("readable");
                assert_eq!(page.iter().map(|row| row.seq).collect::<Vec<u64>>(), found, "{filter:?}");
            }
            let filter = AuditFilter { actor: Some("a"), ..any };
            for (below, found) in [(None, vec![4, 3]), (Some(3), vec![1])] {
                let page = audit_list_newest(&mut tx, &filter, below, 2).await.expect("readable");
                assert_eq!(page.iter().map(|row| row.seq).collect::<Vec<u64>>(), found, "below {below:?}");
            }
            assert!(audit_insert(&mut tx, &rows[0]).await.expect_err("it is there").is_constraint());
        }
    }
}
