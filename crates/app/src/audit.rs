//! Writes the audit log: who did what to what, each row chained to the one before. Refuses to be skipped: a use case
//! that changes something writes its row in the same transaction. What is promised: docs/threat.md, "The audit log".

use crate::actor::Doer;
use crate::idempotency::Mark;
use crate::page::{Page, PageAsk, part};
use crate::{AdminActor, App, AppError};
use base::Timestamp;
use control::Permit;
use db::Tx;

pub use db::{AuditFilter, AuditRow};

/// The hash before the first row.
const GENESIS: [u8; 32] = [0; 32];
/// What is hashed of a row of version 1 begins with this.
const CONTEXT_1: &str = "holdfast 2026 v1 audit row";
/// And of one of version 2.
const CONTEXT_2: &str = "holdfast 2026 v2 audit row";
/// What is written now.
const VERSION: u32 = 2;
/// Rows read at a time when the chain is verified.
const PAGE: u32 = 1_000;

/// One thing that was done. Made by `Deed { action, subject, ..Deed::by(actor) }`.
#[derive(Clone, Debug, Default)]
pub struct Deed<'a> {
    /// Who: the actor as it displays itself.
    pub actor: String,
    /// Did what: a stable word, noun first: `device_deactivate`.
    pub action: &'a str,
    /// To what: an identifier; a user's, and not the address, which the log would keep for ever.
    pub subject: String,
    /// The rest, in words. Never a secret.
    pub detail: String,
    /// From where: an address, `command line`, or empty where that is not known.
    pub source: String,
    /// By which proof; empty where none was asked for.
    pub proof: String,
    /// The idempotency key of the request: it is noted as done with the row.
    pub mark: Option<Mark>,
}

impl Deed<'_> {
    /// A deed of this actor, from where it asks; action and subject are still to be said. Never fails.
    pub fn by(actor: &impl Doer) -> Self {
        let (source, proof, mark) = (actor.source(), actor.proof(), actor.mark());
        Self { actor: actor.to_string(), source, proof, mark, ..Self::default() }
    }
}

/// Adds a row for `deed` to the log.
///
/// # Errors
/// The database does not answer.
pub async fn write(tx: &mut Tx, now: Timestamp, deed: Deed<'_>) -> Result<(), AppError> {
    let during = || AppError::db("writing the audit log");
    let newest = db::audit_get_newest(tx).await.map_err(AppError::db("reading the audit log"))?;
    let (seq, before) = newest.unwrap_or((0, GENESIS));
    let Deed { actor, action, subject, detail, source, proof, mark } = deed;
    let action = action.to_owned();
    let mut row = AuditRow {
        seq: seq + 1,
        at: now,
        actor,
        action,
        subject,
        detail,
        source,
        proof,
        version: VERSION,
        hash: GENESIS,
    };
    row.hash = hash(&before, &row);
    db::audit_insert(tx, &row).await.map_err(during())?;
    match mark {
        Some(mark) => db::idempotency_done_update(tx, mark.id()).await.map_err(during()),
        None => Ok(()),
    }
}

/// The rows that fit, the newest first.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave; the database does not answer.
pub async fn page(
    app: &App,
    actor: &AdminActor,
    filter: &AuditFilter<'_>,
    ask: &PageAsk,
) -> Result<Page<AuditRow>, AppError> {
    actor.need(Permit::AuditRead)?;
    let before = match ask.key::<1>()? {
        Some([seq]) => Some(u64::from_le_bytes(part(seq.try_into().ok())?)),
        None => None,
    };
    let during = || AppError::db("reading the audit log");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::audit_list_newest(&mut tx, filter, before, ask.rows()).await.map_err(during())?;
    Ok(ask.page(rows, |row| [row.seq.to_le_bytes().to_vec()], |row| row))
}

/// At most 1,000 rows after number `after`, in order: a part of the log on its way out.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn export(app: &App, actor: &AdminActor, after: u64) -> Result<Vec<AuditRow>, AppError> {
    actor.need(Permit::AuditExport)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading the audit log"))?;
    list(&mut tx, after).await
}

/// What the whole chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many rows there are.
    pub rows: u64,
    /// The hash of the newest: who notes it with the number can ask later whether it is still there.
    pub head: [u8; 32],
    /// The first row that is not what it must be; `None` when the chain holds.
    pub broken: Option<Broken>,
}

/// The first row that is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its number.
    pub seq: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a row of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It, or the row before it, is not what was written: changed, or in another's place.
    Changed,
    /// There is no row of this number, though there are later ones.
    Missing,
    /// The log ends before this row, which was there.
    CutOff,
    /// The row of this number has not the hash that was noted of it.
    NotAsNoted,
}

impl Fault {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Fault::Changed => "changed",
            Fault::Missing => "missing",
            Fault::CutOff => "cut_off",
            Fault::NotAsNoted => "not_as_noted",
        }
    }
}

/// Looks at the whole chain; with `noted`, a number and its hash as they were noted elsewhere, at that row too.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn verify(app: &App, actor: &AdminActor, noted: Option<(u64, [u8; 32])>) -> Result<Verified, AppError> {
    actor.need(Permit::AuditRead)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading the audit log"))?;
    verify_chain(&mut tx, noted).await
}

/// The same in a transaction, for whoever may read the database.
///
/// # Errors
/// The database does not answer.
pub async fn verify_chain(tx: &mut Tx, noted: Option<(u64, [u8; 32])>) -> Result<Verified, AppError> {
    let head = db::audit_head_get(tx).await.map_err(AppError::db("reading the head of the audit log"))?;
    let (mut seq, mut before, mut newest_version) = (0, GENESIS, 1);
    let broken = |seq, fault, rows, head| Ok(Verified { rows, head, broken: Some(Broken { seq, fault }) });
    loop {
        let page = list(tx, seq).await?;
        for row in &page {
            if row.seq != seq + 1 {
                return broken(seq + 1, Fault::Missing, seq, before);
            }
            if row.hash != hash(&before, row) {
                return broken(row.seq, Fault::Changed, seq, before);
            }
            if [head, noted].into_iter().flatten().any(|(noted, hash)| noted == row.seq && hash != row.hash) {
                return broken(row.seq, Fault::NotAsNoted, seq, before);
            }
            (seq, before, newest_version) = (row.seq, row.hash, row.version);
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    let ends = [head, noted].into_iter().flatten().map(|(noted, _)| noted).max().unwrap_or(0);
    let fault = match head {
        _ if ends > seq => Some(Broken { seq: seq + 1, fault: Fault::CutOff }),
        // Whatever writes rows of version 2 notes the newest: a note that lags behind, or is gone, was tampered with.
        Some((noted, _)) if noted < seq => Some(Broken { seq: noted + 1, fault: Fault::NotAsNoted }),
        None if newest_version >= VERSION => Some(Broken { seq, fault: Fault::NotAsNoted }),
        Some(_) | None => None,
    };
    Ok(Verified { rows: seq, head: before, broken: fault })
}

/// At most 1,000 rows after number `after`, in order.
///
/// # Errors
/// The database does not answer.
pub async fn list(tx: &mut Tx, after: u64) -> Result<Vec<AuditRow>, AppError> {
    db::audit_list(tx, after, PAGE).await.map_err(AppError::db("reading the audit log"))
}

/// Covers the row and the hash before it; what of the row, its version says.
fn hash(before: &[u8; 32], row: &AuditRow) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(if row.version == 1 { CONTEXT_1 } else { CONTEXT_2 });
    hasher.update(before).update(&row.seq.to_le_bytes()).update(&row.at.as_ms().to_le_bytes());
    let mut texts = vec![&row.actor, &row.action, &row.subject, &row.detail];
    if row.version != 1 {
        hasher.update(&row.version.to_le_bytes());
        texts.extend([&row.source, &row.proof]);
    }
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
