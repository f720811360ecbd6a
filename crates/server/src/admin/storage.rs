//! `/api/v1/reports/storage`: the last storage report, its shares, and the word that has one made. Refuses to divide:
//! what is whose, `app::storage` has found out.

use crate::admin::describe::Made;
use crate::admin::extract::{AtAdmin, Query, ask};
use crate::admin::lines::{Lines, streamed};
use crate::admin::{Entry, get, post};
use crate::reply::{No, Reply, Yes};
use app::storage::{self, Progress, Report, StorageLevel, StorageShareRow};
use base::{DeviceId, ProfileId, Timestamp, UserId};
use control::Permit;
use control::storage::ratio_permille;
use protocol::admin::Page;
use protocol::admin::storage::{
    StorageBy, StorageFigures, StorageLine, StorageQuery, StorageReport, StorageReports, StorageShare,
};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::ReportRead;
    vec![
        get("storage_report", "/api/v1/reports/storage", ReportRead,
            "What takes room in the store, by the last report.", last),
        get("storage_report_shares", "/api/v1/reports/storage/shares", ReportRead,
            "What each user, device or profile takes, by identifier.", shares),
        post("storage_report_start", "/api/v1/reports/storage/start", ReportRead,
            "Have a report made in the background.", start),
        post("storage_report_fresh", "/api/v1/reports/storage/fresh", ReportRead,
            "Make a report now. The answer goes on.", fresh).streamed(),
    ]
}

async fn last(at: AtAdmin) -> Reply<StorageReports> {
    Ok(Yes(reports(storage::status(&at.app, &at.actor).await?)))
}

async fn shares(at: AtAdmin, Query(query): Query<StorageQuery>) -> Reply<Page<StorageShare>> {
    let StorageQuery { by, after, limit } = query;
    let level = match by {
        StorageBy::User => StorageLevel::User,
        StorageBy::Device => StorageLevel::Device,
        StorageBy::Profile => StorageLevel::Profile,
    };
    let page = storage::page(&at.app, &at.actor, level, &ask(after, limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(|row| share(by, row)).collect(), next: page.next }))
}

async fn start(at: AtAdmin) -> Reply<StorageReports> {
    storage::start(&at.app, &at.actor).await?;
    Ok(Yes(reports(storage::status(&at.app, &at.actor).await?)))
}

async fn fresh(at: AtAdmin) -> Result<Made<Lines<StorageLine>>, No> {
    let failed = |code, sentence| StorageLine::Failed { code, sentence };
    Ok(streamed(at, FAILED, failed, |at, mut show| {
        Box::pin(async move {
            let mut show = |progress| {
                show(match progress {
                    Progress::Follows { snapshots } => StorageLine::Follows { snapshots: snapshots.0 },
                    Progress::Weighs { chunks } => StorageLine::Weighs { chunks: chunks.0 },
                });
            };
            Ok(StorageLine::Report(reports(storage::fresh(&at.app, &at.actor, &mut show).await?)))
        })
    }))
}

const FAILED: &str = "The report ended early: the database or the store did not answer. The server's log says why.";

fn reports(status: storage::Status) -> StorageReports {
    StorageReports { next_at_ms: status.next_at.map(Timestamp::as_ms), report: status.report.map(report) }
}

fn report(Report { row, whole }: Report) -> StorageReport {
    let totals = row.figures;
    StorageReport {
        number: row.number,
        as_of_ms: row.as_of.as_ms(),
        ended_at_ms: row.ended_at.map(Timestamp::as_ms),
        whole: figures(whole),
        packs: totals.packs.0,
        bytes: totals.bytes.0,
        unneeded_bytes: totals.unneeded.0,
        framing_bytes: totals.framing.0,
        condemned_bytes: totals.condemned.0,
        chunks: totals.chunks.0,
        missing: totals.missing.0,
        flaws: totals.flaws.0,
    }
}

fn share(by: StorageBy, row: StorageShareRow) -> StorageShare {
    let subject = row.subject.try_into().map_or_else(
        |_| String::new(),
        |id| match by {
            StorageBy::User => UserId::from_bytes(id).to_string(),
            StorageBy::Device => DeviceId::from_bytes(id).to_string(),
            StorageBy::Profile => ProfileId::from_bytes(id).to_string(),
        },
    );
    StorageShare { subject, name: row.name, email: row.email, figures: figures(row.figures) }
}

fn figures(figures: storage::StorageFigures) -> StorageFigures {
    StorageFigures {
        snapshots: figures.snapshots.0,
        newest_bytes: figures.newest.0,
        logical_bytes: figures.logical.0,
        unique_bytes: figures.unique.0,
        shared_bytes: figures.shared.0,
        plain_bytes: figures.plain.0,
        unique_stored_bytes: figures.unique_stored.0,
        stored_bytes: figures.stored.0,
        deduplication_permille: ratio_permille(figures.logical, figures.plain),
        compression_permille: ratio_permille(figures.plain, figures.stored),
    }
}
