//! Writes the audit log: who did what to what, each row chained to the one before. Refuses to be skipped: a use case
//! that changes something writes its row in the same transaction.

use crate::AppError;
use base::Timestamp;
use db::{AuditRow, Tx};

/// The hash before the first row.
const GENESIS: [u8; 32] = [0; 32];
/// What is hashed begins with this.
const CONTEXT: &str = "holdfast 2026 v1 audit row";
/// Rows read at a time when the chain is verified.
const PAGE: u32 = 1_000;

/// One thing that was done.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// Who: the actor as it displays itself.
    pub actor: String,
    /// Did what: a stable word, noun first: `device_deactivate`.
    pub action: &'a str,
    /// To what: an identifier, or an address.
    pub subject: String,
    /// The rest, in words. Never a secret.
    pub detail: String,
}

/// Adds a row for `deed` to the log.
///
/// # Errors
/// The database does not answer.
pub async fn write(tx: &mut Tx, now: Timestamp, deed: Deed<'_>) -> Result<(), AppError> {
    let newest = db::audit_get_newest(tx).await.map_err(AppError::db("reading the audit log"))?;
    let (seq, before) = newest.unwrap_or((0, GENESIS));
    let Deed { actor, action, subject, detail } = deed;
    let mut row = AuditRow {
        seq: seq + 1,
        at: now,
        actor,
        action: action.to_owned(),
        subject,
        detail,
        source: String::new(),
        proof: String::new(),
        version: 1,
        hash: GENESIS,
    };
    row.hash = hash(&before, &row);
    db::audit_insert(tx, &row).await.map_err(AppError::db("writing the audit log"))
}

/// At most 1,000 rows after number `after`, in order.
///
/// # Errors
/// The database does not answer.
pub async fn list(tx: &mut Tx, after: u64) -> Result<Vec<AuditRow>, AppError> {
    db::audit_list(tx, after, PAGE).await.map_err(AppError::db("reading the audit log"))
}

/// The number of the first row that does not follow from the one before; `None` when the whole chain holds.
///
/// # Errors
/// The database does not answer.
pub async fn verify(tx: &mut Tx) -> Result<Option<u64>, AppError> {
    let (mut seq, mut before) = (0, GENESIS);
    loop {
        let page = list(tx, seq).await?;
        for row in &page {
            if row.seq != seq + 1 || row.hash != hash(&before, row) {
                return Ok(Some(seq + 1));
            }
            (seq, before) = (row.seq, row.hash);
        }
        if page.len() < PAGE as usize {
            return Ok(None);
        }
    }
}

fn hash(before: &[u8; 32], row: &AuditRow) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(before).update(&row.seq.to_le_bytes()).update(&row.at.as_ms().to_le_bytes());
    for text in [&row.actor, &row.action, &row.subject, &row.detail] {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
