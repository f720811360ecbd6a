//! The evidence of a campaign, from three sides: as JSON, as CSV, and as the device list shows it afterwards.
//! Refuses a row that two of them tell differently.

use super::campaign::Level;
use super::{Fleet, Kind};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// A backup of what has not changed sends a name and its manifest, and no pack.
const BYTES_SENT_MAX: u64 = 512;
/// The columns that are called the same in JSON.
const SAME: [&str; 15] = [
    "device",
    "name",
    "user",
    "place",
    "reason",
    "note",
    "wave",
    "reset_at_ms",
    "back_at_ms",
    "proof",
    "bytes_read",
    "bytes_sent",
    "bytes_covered",
    "first_good",
    "first_good_at_ms",
];

/// Checks the evidence of every device. `before` is the device list before the campaign, `rows` its evidence as JSON.
///
/// # Errors
/// The first device that is not as it must be.
pub(super) fn check(
    fleet: &Fleet<'_>,
    level: &Level,
    at: &str,
    before: &BTreeMap<String, Value>,
    rows: &BTreeMap<String, Value>,
) -> Result<()> {
    let after = fleet.listed()?;
    ensure!(after.keys().eq(before.keys()), "{} has made or lost records", level.word);
    ensure!(rows.keys().eq(before.keys()), "there is not one row of evidence for each device");
    csv_agrees(&fleet.place.api.text(&format!("{at}/evidence.csv"))?, rows)?;
    for (id, row) in rows {
        let (was, is) = (&before[id], &after[id]);
        match fleet.kind(id) {
            Kind::Plain => came_back(level, row, was, is),
            Kind::Silent | Kind::Suspended | Kind::Twin | Kind::CutOff => stayed_away(row, was, is),
        }
        .with_context(|| format!("{id} after {}: {row}; it was {was}, and is {is}", level.word))?;
    }
    Ok(())
}

/// It is as before, with a new key, and a new backup that sent next to nothing.
fn came_back(level: &Level, row: &Value, was: &Value, is: &Value) -> Result<()> {
    let whole = |value: &Value, field: &str| value[field].as_u64().with_context(|| format!("there is no {field}"));
    let time = |field: &str| row[field].as_i64().with_context(|| format!("there is no {field}"));
    ensure!(is["state"] == "active" && is["rights"] == was["rights"], "it is not in service as before");
    ensure!(whole(is, "epoch")? == whole(was, "epoch")? + 1, "it has not got one new key");
    ensure!(row["proof"] == level.proof, "it did not come back by {}", level.proof);
    ensure!(time("reset_at_ms")? <= time("back_at_ms")?, "it was back before it was reset");
    ensure!(time("back_at_ms")? <= time("first_good_at_ms")?, "its backup came before it was back");
    ensure!(is["activated_at_ms"] == row["back_at_ms"], "its key was bound at another time");
    ensure!(row["first_good"].is_string() && row["first_good"] == is["last_snapshot"], "its snapshot is another one");
    ensure!(was["last_snapshot"] != is["last_snapshot"], "it has no new backup");
    ensure!(whole(row, "bytes_sent")? <= BYTES_SENT_MAX && row["flagged"] == false, "it has sent too much");
    ensure!(whole(row, "bytes_read")? == 0, "it has read what had not changed");
    ensure!(whole(row, "bytes_covered")? > 0, "its backup covers nothing");
    Ok(())
}

/// No key was bound, and nothing was backed up.
fn stayed_away(row: &Value, was: &Value, is: &Value) -> Result<()> {
    ensure!(is["epoch"] == was["epoch"] && is["last_snapshot"] == was["last_snapshot"], "something has happened to it");
    ensure!(is["state"] != "active", "it is in service");
    ensure!(["back_at_ms", "proof", "first_good"].iter().all(|field| row[field].is_null()), "it did not come back");
    Ok(())
}

/// Every line says what the row of its device says.
fn csv_agrees(text: &str, rows: &BTreeMap<String, Value>) -> Result<()> {
    let mut lines = text.split_terminator("\r\n");
    let head: Vec<&str> = lines.next().context("the evidence has a line of headings")?.split(',').collect();
    let mut count = 0;
    for line in lines {
        // No name or address of the proof has a comma or a quote in it.
        let cells: BTreeMap<&str, &str> = head.iter().copied().zip(line.split(',')).collect();
        ensure!(cells.len() == head.len() && line.split(',').count() == head.len(), "not as the headings: {line}");
        let row = rows.get(cells["device"]).with_context(|| format!("a line of another device: {line}"))?;
        for column in SAME {
            let cell = cells.get(column).with_context(|| format!("there is no column {column}"))?;
            ensure!(*cell == plain(&row[column]), "{column} is {cell} in CSV, and {} in JSON: {row}", row[column]);
        }
        ensure!(cells.get("dry_run").copied() == row["class"].as_str(), "the dry run is told twice: {line}, {row}");
        let flagged = if row["flagged"] == true { "yes" } else { "no" };
        ensure!(cells.get("flagged") == Some(&flagged), "flagged is told twice: {line}, {row}");
        count += 1;
    }
    ensure!(count == rows.len(), "the CSV has {count} lines for {} devices", rows.len());
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
