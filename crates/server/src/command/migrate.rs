//! `migrate`: takes the installation from one database and store to others. On the data directory alone.

use super::Desk;
use crate::out::{Answer, Failure, card, table, wrapped};
use app::config::CONFIG_FILE;
use app::migrate::{Ends, Moves, Objects, Options, Progress, Report, Side};
use base::{Bytes, Count};
use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What `migrate` takes.
#[derive(Debug, Args)]
pub struct Migrate {
    /// A configuration file that names the other database and store; paths in it count from where it lies.
    #[arg(long, value_name = "FILE", required_unless_present = "target_lost")]
    to: Option<PathBuf>,
    /// The last pass, with every server stopped: the rest of the objects, the database, and the switch.
    #[arg(long)]
    switch: bool,
    /// Read every object back from the target and compare it.
    #[arg(long)]
    verify: bool,
    /// Read and write no more than so many MiB in a second.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: Option<u64>,
    /// Take the switch back, as long as no server was started at the target.
    #[arg(long, conflicts_with_all = ["switch", "verify", "rate"])]
    take_back: bool,
    /// The target is gone for good and is not asked.
    #[arg(long, requires = "take_back", conflicts_with = "to")]
    target_lost: bool,
}

/// How many objects are named to a person.
const SHOWN: usize = 20;

impl Migrate {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let (data_dir, around) = (desk.data()?, &desk.surroundings);
        let (clock, entropy, given) = (&around.clock, &around.entropy, around.master_key.as_ref());
        let Some(to) = &self.to else {
            let (source, _) = Side::open(data_dir, given, clock, entropy).await?;
            app::migrate::take_back_alone(&source, clock.as_ref(), entropy.as_ref()).await?;
            source.db.close().await;
            return Ok(taken_back(data_dir, true));
        };
        let ends = Ends::open(data_dir, to, given, clock, entropy).await?;
        if self.take_back {
            let taken = app::migrate::take_back(&ends, clock.as_ref(), entropy.as_ref()).await;
            ends.close().await;
            return taken.map(|()| taken_back(data_dir, false)).map_err(Failure::from);
        }
        let options = Options { switch: self.switch, verify: self.verify, rate: self.rate.map(Bytes::mib) };
        let out = around.out;
        let mut listen = |progress| out.progress(&step(&progress));
        let done = app::migrate::migrate(&ends, options, clock.as_ref(), entropy.as_ref(), &mut listen).await;
        out.progress_end();
        // Closing the last connection folds the write-ahead log into the file.
        ends.close().await;
        let report = done?;
        let text = to_text(&report) + &next(&report, data_dir, to);
        Ok(Answer::good(text, to_json(&report)))
    }
}

fn taken_back(data_dir: &Path, is_lost: bool) -> Answer {
    let more = match is_lost {
        true => "The target was not asked: see to it that no server is ever started there.",
        false => "Nobody can be served at the target any more.",
    };
    let said = format!(
        "The installation is here again, as it was left. {more} Start the server: `holdfast-server run --data {}`.",
        data_dir.display()
    );
    Answer::good(wrapped(&said, ""), json!({ "taken_back": true, "target_lost": is_lost }))
}

fn step(progress: &Progress) -> String {
    match progress {
        Progress::Watches { left } => {
            format!("looking whether a server runs at the source: {} s more", left.as_ms() / 1_000)
        }
        Progress::Objects { looked, copied, verified: Bytes(0) } => {
            format!("objects: {looked} looked at, {copied} copied")
        }
        Progress::Objects { looked, copied, verified } => {
            format!("objects: {looked} looked at, {copied} copied, {verified} read back")
        }
        Progress::Table { name, rows } => format!("database: {name}, {} copied", rows.counted("row")),
        Progress::Compared { name, rows } => format!("database: {name}, {} compared", rows.counted("row")),
    }
}

fn to_text(report: &Report) -> String {
    let Moves { database, store } = report.moves;
    let mut lines = Vec::new();
    for (moves, what, from, to) in
        [(database, "database", &report.from.0, &report.to.0), (store, "store", &report.from.1, &report.to.1)]
    {
        let said = if moves { format!("from {from}") } else { format!("stays: {from}") };
        lines.push((what, said));
        if moves {
            lines.push(("", format!("to {to}")));
        }
    }
    let all = &report.objects;
    let with_bytes = |count: Count, bytes: Bytes| format!("{count}, {bytes}");
    if store {
        lines.push(("objects", with_bytes(all.looked, all.bytes_looked)));
        lines.push(("copied", with_bytes(all.copied, all.bytes_copied)));
        lines.push(("there before", all.there.to_string()));
        let read_back = [("read back", with_bytes(all.verified, all.bytes_verified))];
        lines.extend(read_back.into_iter().filter(|_| all.verified > Count(0)));
    }
    let rare = [
        ("replaced there", all.replaced),
        ("removed there", all.removed),
        ("gone meanwhile", all.gone),
        ("damaged here", all.damaged),
    ];
    lines.extend(rare.into_iter().filter(|(_, count)| *count > Count(0)).map(|(what, n)| (what, n.to_string())));
    let mut text = card(&lines);
    if !all.named.is_empty() {
        text.push('\n');
        text.extend(all.named.iter().take(SHOWN).map(|(what, name)| format!("{what:8}  {name}\n")));
        let more = all.named.len().saturating_sub(SHOWN);
        if more > 0 {
            text.push_str(&format!("and {more} more: `--json` lists them\n"));
        }
    }
    if !report.tables.is_empty() {
        let (filled, empty): (Vec<_>, Vec<_>) = report.tables.iter().partition(|table| table.rows > Count(0));
        let row = |table: &&app::migrate::TableMoved| {
            vec![table.name.clone(), table.rows.to_string(), HEXLOWER.encode(&table.digest[..16])]
        };
        let rows: Vec<Vec<String>> = filled.iter().map(row).collect();
        text.push_str("\nThe same rows at both ends, by their digests:\n");
        text.push_str(&table(&["TABLE", "ROWS", "DIGEST"], &rows));
        text.push_str(&format!("and {} without a row\n", Count::of(empty.len()).counted("table")));
    }
    text
}

/// What the admin does now. Commands are on lines of their own, to be copied.
fn next(report: &Report, data_dir: &Path, to: &Path) -> String {
    let (here, file) = (data_dir.display(), to.display());
    if !report.switched {
        let said = "Nothing has changed for the servers: let them run. This can be repeated, and copies what came \
                    since. When only little comes, stop every server, then:";
        return format!("\n{}  holdfast-server migrate --data {here} --to {file} --switch\n", wrapped(said, ""));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = match to.file_name().is_some_and(|name| name == CONFIG_FILE) {
        true => String::new(),
        false => format!("  mv {file} {}\n", folder.join(CONFIG_FILE).display()),
    };
    let after = "Print the recovery kit anew: it says where the store is. What is at the source was left as it is: \
                 remove it when you no longer want to go back.";
    format!(
        "\nThe installation is at the target now, and no server starts at the source.\n\
         {place}  holdfast-server run --data {}\n{}",
        folder.display(),
        wrapped(after, "")
    )
}

fn to_json(report: &Report) -> Value {
    let Objects { looked, bytes_looked, there, copied, bytes_copied, verified, bytes_verified, .. } = &report.objects;
    let Objects { replaced, removed, gone, damaged, named, .. } = &report.objects;
    let named: Vec<Value> = named.iter().map(|(what, name)| json!({ "what": what, "object": name })).collect();
    let tables: Vec<Value> = report
        .tables
        .iter()
        .map(|table| json!({ "table": table.name, "rows": table.rows.0, "digest": HEXLOWER.encode(&table.digest) }))
        .collect();
    json!({
        "database": { "moves": report.moves.database, "from": report.from.0, "to": report.to.0 },
        "store": { "moves": report.moves.store, "from": report.from.1, "to": report.to.1 },
        "objects": {
            "looked": looked.0, "bytes_looked": bytes_looked.0, "there": there.0, "copied": copied.0,
            "bytes_copied": bytes_copied.0, "verified": verified.0, "bytes_verified": bytes_verified.0,
            "replaced": replaced.0, "removed": removed.0, "gone": gone.0, "damaged": damaged.0, "named": named,
        },
        "tables": tables,
        "switched": report.switched,
    })
}
