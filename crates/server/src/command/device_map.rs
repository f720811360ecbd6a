//! `device-map import|list|remove`: exit code 1 when rows were rejected.

use super::{Desk, named, read, unwritable};
use crate::client::{Call, Said, call, said, whole};
use crate::out::{Answer, Failure, table};
use base::Count;
use clap::Subcommand;
use control::device_map::UPLOAD_BYTES_MAX;
use protocol::admin::device_map::{MapImported, MapRow};
use protocol::admin::{Nothing, PageQuery};
use std::path::{Path, PathBuf};

/// What can be asked about the device map.
#[derive(Debug, Subcommand)]
pub enum DeviceMap {
    /// Store the rows of a CSV file: email, device_id, device_id_type, and what docs/control.md lists besides.
    Import {
        /// The file.
        file: PathBuf,
        /// Where rows that are rejected are written, with their reasons.
        #[arg(long, value_name = "FILE")]
        rejected: Option<PathBuf>,
    },
    /// List the rows.
    List,
    /// Remove a row, used or not.
    Remove {
        /// Its identifier, or the machine's number.
        row: String,
    },
}

impl DeviceMap {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            DeviceMap::Import { file, rejected } => import(desk, &file, rejected.as_deref()).await,
            DeviceMap::List => {
                let client = desk.client().await?;
                let Said { value, json } = client.list::<MapRow>("/device-map", &PageQuery::default()).await?;
                let rows: Vec<Vec<String>> = value.into_iter().map(row).collect();
                let names = ["ROW", "USER", "BY", "NUMBER", "REPLACES", "BRINGS BACK", "STANDS"];
                Ok(Answer::good(table(&names, &rows), json))
            }
            DeviceMap::Remove { row } => {
                let client = desk.client().await?;
                let path = format!("/device-map/{}", named::id::<MapRow>(&client, &row).await?);
                let Said { json, .. } = client.change::<Nothing>("DELETE", &path, &Nothing {}).await?;
                Ok(Answer::good(format!("the row {row} is removed\n"), json))
            }
        }
    }
}

async fn import(desk: &Desk, file: &Path, rejected: Option<&Path>) -> Result<Answer, Failure> {
    let client = desk.client().await?;
    let body = read(file, UPLOAD_BYTES_MAX)?.into();
    let call = Call { media: "text/csv", body, ..call("POST", "/device-map/csv", &(), None) };
    let Said { value, json } = said::<MapImported>(whole(client.send(call).await?).await?)?;
    if let Some(path) = rejected {
        std::fs::write(path, &value.rejected_csv).map_err(|cause| unwritable(path, &cause))?;
    }
    let (stored, rejected) = (Count(value.stored).counted("row"), value.rejected.len());
    let mut text = format!("{stored} stored, {} unchanged, {rejected} rejected\n", value.unchanged);
    for row in &value.rejected {
        text.push_str(&format!("row {}: {}\n", row.number, row.error));
    }
    Ok(Answer { text, json, good: value.rejected.is_empty() })
}

fn row(row: MapRow) -> Vec<String> {
    let replaces = row.replaces.map_or_else(|| "-".to_owned(), |device| device.0.to_string());
    let stands = row.consumed_by.map_or_else(|| "open".to_owned(), |device| format!("used by {}", device.0));
    vec![row.row.0.to_string(), row.email, row.kind, row.value, replaces, row.restore, stands]
}
