//! `/api/v1/audit`: the log in pages, whether its chain holds, and the whole of it as a file. Refuses to hold the log
//! in memory: what goes out is read a thousand rows at a time.

use crate::admin::describe::{Content, Made, Media, json, text};
use crate::admin::extract::{AtAdmin, Query, ask, malformed, time};
use crate::admin::{Entry, get};
use crate::reply::{No, Reply, Yes, log};
use app::audit::{self, AuditFilter};
use app::{AdminActor, App, csv};
use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use base::Span;
use bytes::Bytes;
use control::Permit;
use futures::stream;
use protocol::Hex;
use protocol::admin::Page;
use protocol::admin::audit::{AuditBroken, AuditQuery, AuditRow, AuditVerified, ExportForm, ExportQuery, VerifyQuery};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

/// A look at every row.
const VERIFY_SPAN: Span = Span::minutes(10);
const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";
const HEADINGS: [&str; 10] =
    ["number", "at", "actor", "action", "subject", "detail", "source", "proof", "version", "hash"];

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{AuditExport, AuditRead};
    vec![
        get("audit_list", "/api/v1/audit", AuditRead, "The audit log, the newest rows first.", list),
        get("audit_verify", "/api/v1/audit/verify", AuditRead,
            "Whether every row of the log follows from the one before, and none is missing.", verify).span(VERIFY_SPAN),
        get("audit_export", "/api/v1/audit/export", AuditExport,
            "The whole log, the oldest rows first, as NDJSON or CSV.", export),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<AuditQuery>) -> Reply<Page<AuditRow>> {
    let AuditQuery { after, limit, actor, action, subject, from_ms, until_ms } = query;
    let filter = AuditFilter {
        actor: actor.as_deref(),
        action: action.as_deref(),
        subject: subject.as_deref(),
        from: time(from_ms),
        before: time(until_ms),
    };
    let page = audit::page(&at.app, &at.actor, &filter, &ask(after, limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(row).collect(), next: page.next }))
}

async fn verify(at: AtAdmin, Query(query): Query<VerifyQuery>) -> Reply<AuditVerified> {
    let noted = match (query.number, query.hash) {
        (Some(number), Some(Hex(hash))) => Some((number, hash)),
        (None, None) => None,
        _ => return Err(malformed("`number` and `hash` belong together.")),
    };
    let verified = audit::verify(&at.app, &at.actor, noted).await?;
    let broken = |broken: audit::Broken| AuditBroken { number: broken.seq, fault: broken.fault.word().to_owned() };
    Ok(Yes(AuditVerified {
        holds: verified.broken.is_none(),
        rows: verified.rows,
        head: Hex(verified.head),
        broken: verified.broken.map(broken),
    }))
}

struct Log;

impl Media for Log {
    fn contents() -> Vec<Content> {
        vec![Content { media: NDJSON, ..json::<AuditRow>() }, Content { media: CSV, schema: |_| text() }]
    }
}

async fn export(at: AtAdmin, Query(query): Query<ExportQuery>) -> Result<Made<Log>, No> {
    let after = query.after_number.unwrap_or(0);
    // The first rows are read before the answer begins, so that a "no" can still be said as one.
    let first = audit::export(&at.app, &at.actor, after).await?;
    let headings = match query.form {
        ExportForm::Ndjson => String::new(),
        ExportForm::Csv => csv::line(&HEADINGS),
    };
    let state = Some(Export { app: at.app, actor: at.actor, form: query.form, next: Some(first) });
    let body = stream::unfold(state, |state| async move { state?.piece().await });
    let head = stream::iter([Ok::<Bytes, io::Error>(Bytes::from(headings))]);
    let (media, name) = match query.form {
        ExportForm::Ndjson => (NDJSON, "attachment; filename=\"audit.ndjson\""),
        ExportForm::Csv => (CSV, "attachment; filename=\"audit.csv\""),
    };
    let body = Body::from_stream(futures::StreamExt::chain(head, body));
    Ok(Made(([(CONTENT_TYPE, media), (CONTENT_DISPOSITION, name)], body).into_response(), PhantomData))
}

/// A log on its way out.
struct Export {
    app: Arc<App>,
    actor: AdminActor,
    form: ExportForm,
    /// Rows that are read and not sent.
    next: Option<Vec<audit::AuditRow>>,
}

impl Export {
    /// The next rows as text, and what comes after; `None` at the end. An error breaks the answer off, so that nobody
    /// takes a part for the whole.
    async fn piece(mut self) -> Option<(io::Result<Bytes>, Option<Self>)> {
        let rows = self.next.take()?;
        let last = rows.last()?.seq;
        let mut piece = String::new();
        for found in rows {
            piece.push_str(&line(self.form, row(found)));
        }
        match audit::export(&self.app, &self.actor, last).await {
            Ok(rows) => {
                self.next = Some(rows);
                Some((Ok(Bytes::from(piece)), Some(self)))
            }
            Err(error) => {
                log(&error);
                Some((Err(io::Error::other("the log could not be read on")), None))
            }
        }
    }
}

fn line(form: ExportForm, row: AuditRow) -> String {
    match form {
        ExportForm::Ndjson => {
            let mut line = serde_json::to_string(&row).expect("a row is plain values");
            line.push('\n');
            line
        }
        ExportForm::Csv => {
            let at = jiff::Timestamp::from_millisecond(row.at_ms).map_or_else(|_| String::new(), |at| at.to_string());
            let AuditRow { number, actor, action, subject, detail, source, proof, version, hash, .. } = row;
            let hash = data_encoding::HEXLOWER.encode(&hash.0);
            let (number, version) = (number.to_string(), version.to_string());
            csv::line(&[number, at, actor, action, subject, detail, source, proof, version, hash])
        }
    }
}

fn row(row: audit::AuditRow) -> AuditRow {
    AuditRow {
        number: row.seq,
        at_ms: row.at.as_ms(),
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        detail: row.detail,
        source: row.source,
        proof: row.proof,
        version: row.version,
        hash: Hex(row.hash),
    }
}
