//! `/api/v1/device-map`. Refuses to lose good rows for the sake of bad ones: those come back with their reasons.

use crate::admin::extract::{AtAdmin, Body, Named, Query, Raw, ask};
use crate::admin::{Entry, delete, get, post};
use crate::reply::{Reply, Yes};
use app::device_map::{self, Imported, Rejected, RowText};
use base::{Bytes, MapRowId, Span, Timestamp};
use control::Permit;
use control::device_map::UPLOAD_BYTES_MAX;
use protocol::Text;
use protocol::admin::device_map::{MapImport, MapImported, MapRejected, MapRow, MapRowText};
use protocol::admin::{Nothing, Page, PageQuery};

/// As many rows as one JSON request may have.
const ROWS_BYTES_MAX: Bytes = Bytes::mib(1);
/// The longest import: 100,000 rows.
const IMPORT_SPAN: Span = Span::minutes(10);

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{TokenManage, TokenRead};
    vec![
        get("device_map_list", "/api/v1/device-map", TokenRead, "The device map, the oldest row first.", list),
        post("device_map_add", "/api/v1/device-map", TokenManage,
            "Store rows; bad ones come back with their reasons.", add).body(ROWS_BYTES_MAX).span(IMPORT_SPAN),
        post("device_map_import", "/api/v1/device-map/csv", TokenManage,
            "Store the rows of a CSV file; bad ones come back with their reasons.", import)
            .body(UPLOAD_BYTES_MAX).span(IMPORT_SPAN),
        delete("device_map_remove", "/api/v1/device-map/{row}", TokenManage, "Remove a row, used or not.", remove),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<MapRow>> {
    let page = device_map::page(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    let row = |(row, email): (device_map::MapRow, String)| MapRow {
        row: Text(row.id),
        user: Text(row.user),
        email,
        kind: row.kind,
        value: row.value,
        device_name: row.device_name,
        replaces: row.replaces.map(Text),
        restore: row.restore.word().to_owned(),
        created_at_ms: row.created_at.as_ms(),
        created_by: row.created_by,
        consumed_at_ms: row.consumed_at.map(Timestamp::as_ms),
        consumed_by: row.consumed_by.map(Text),
    };
    Ok(Yes(Page { items: page.items.into_iter().map(row).collect(), next: page.next }))
}

async fn add(at: AtAdmin, Body(body): Body<MapImport>) -> Reply<MapImported> {
    let rows = body.rows.into_iter().map(|row| {
        let MapRowText { email, device_id, device_id_type, device_name, replace_device, restore_data } = row;
        RowText { email, device_id, device_id_type, device_name, replace_device, restore_data }
    });
    Ok(Yes(imported(device_map::import_rows(&at.app, &at.actor, rows.collect()).await?)))
}

async fn import(at: AtAdmin, Raw(body): Raw) -> Reply<MapImported> {
    let body = futures::stream::iter([Ok(body)]);
    Ok(Yes(imported(device_map::import_csv(&at.app, &at.actor, body).await?)))
}

async fn remove(at: AtAdmin, Named(id): Named<MapRowId>) -> Reply<Nothing> {
    device_map::remove(&at.app, &at.actor, id).await?;
    Ok(Yes(Nothing {}))
}

fn imported(imported: Imported) -> MapImported {
    let csv = if imported.rejected.is_empty() { Vec::new() } else { imported.rejected_csv() };
    let rejected = imported.rejected.into_iter().map(|Rejected { number, row, error }| {
        let RowText { email, device_id, device_id_type, device_name, replace_device, restore_data } = row;
        let row = MapRowText { email, device_id, device_id_type, device_name, replace_device, restore_data };
        MapRejected { number, row, error }
    });
    MapImported {
        stored: imported.stored.0,
        unchanged: imported.unchanged.0,
        rejected: rejected.collect(),
        rejected_csv: String::from_utf8_lossy(&csv).into_owned(),
    }
}
