//! What a person reads at the end of a command: short, aligned, within 80 columns.
//! Refuses control characters: names from a disk may not move the cursor.

use super::Report;
use crate::activation::Activated;
use crate::backup::BackedUp;
use crate::error::AgentError;
use crate::restore::Restored;
use crate::snapshots::Listed;
use crate::status::Status;
use base::{Bytes, Count};
use engine::Problem;
use format::{Entry, EntryBody, Meta, StoredPath};
use jiff::tz::TimeZone;
use protocol::agent::run::SnapshotDetail;
use std::fmt::Write as _;

const COLUMNS: usize = 80;
/// Problems that are written out; the others are counted.
const PROBLEMS_SHOWN_MAX: usize = 10;

/// The answer of a command. Times are those of `zone`.
pub(super) fn report(report: &Report, zone: &TimeZone) -> String {
    match report {
        Report::Activated(done) => activated(done, zone),
        Report::BackedUp(done) => backed_up(done),
        Report::Status(status) => self::status(status, zone),
        Report::Snapshots(all) => snapshots(all, zone),
        Report::Listed(listed) => self::listed(listed, zone),
        Report::Restored(done) => restored(done),
    }
}

/// The error of a command.
pub(super) fn error(error: &AgentError) -> String {
    wrapped(&format!("holdfast: {} ({})", printable(&error.sentence()), printable(error.code())), 0, 2)
}

fn activated(done: &Activated, zone: &TimeZone) -> String {
    let Activated { state, reply } = done;
    let mut text = "This computer is activated.\n\n".to_owned();
    row(&mut text, "server", &printable(&state.server.url));
    row(&mut text, "device", &format!("{} ({})", state.device, printable(&reply.outcome)));
    row(&mut text, "user", &printable(&state.user));
    row(&mut text, "rights", &words(&reply.rights));
    folders(&mut text, state.folders.iter());
    match &reply.snapshot {
        Some(snapshot) => {
            row(&mut text, "snapshot", &format!("{} of {}", snapshot.snapshot.0, when(snapshot.committed_at_ms, zone)));
            row(&mut text, "", "the next backup goes on from it");
        }
        None => row(&mut text, "snapshot", "none yet: run `holdfast backup`"),
    }
    text
}

fn backed_up(done: &BackedUp) -> String {
    let BackedUp { outcome, totals, took, .. } = done;
    let committed = &outcome.committed;
    let mut text = format!("Snapshot {} is safe on the server.\n\n", outcome.snapshot);
    row(&mut text, "files", &format!("{} seen, {} opened", Count(totals.files_seen), Count(totals.files_opened)));
    row(&mut text, "read", &Bytes(totals.bytes_read).to_string());
    let (packs, chunks) = (counted(committed.packs, "pack"), counted(committed.chunks_new, "new chunk"));
    row(&mut text, "sent", &format!("{} ({packs}, {chunks})", Bytes(totals.bytes_sent)));
    let tree = &outcome.totals;
    row(&mut text, "holds", &format!("{} entries, {} files, {}", tree.entries, tree.files, tree.bytes));
    row(&mut text, "time", &took.to_string());
    let missing = "these entries are missing from it, or incomplete in it";
    problems(&mut text, totals.problems, &outcome.problems, missing, "/");
    text
}

fn restored(done: &Restored) -> String {
    let Restored { snapshot, to, took, totals, problems: listed, .. } = done;
    let mut text = format!("Snapshot {snapshot} is restored.\n\n");
    row(&mut text, "to", &printable(&to.to_string_lossy()));
    row(&mut text, "files", &format!("{} ({})", Count(totals.files_seen), Bytes(totals.bytes_written)));
    row(&mut text, "fetched", &Bytes(totals.bytes_fetched).to_string());
    row(&mut text, "time", &took.to_string());
    problems(&mut text, totals.problems, listed, "these entries are missing, or not as they were", "");
    text
}

fn status(status: &Status, zone: &TimeZone) -> String {
    let Status { state, device } = status;
    let mut text = String::new();
    row(&mut text, "server", &printable(&state.server.url));
    let name = device.as_ref().map(|device| format!(" ({})", printable(&device.name))).unwrap_or_default();
    row(&mut text, "device", &format!("{}{name}", state.device));
    row(&mut text, "user", &printable(&state.user));
    folders(&mut text, state.folders.iter());
    match device {
        Ok(device) => {
            row(&mut text, "state", &format!("{}, {} rights", words(&device.state), words(&device.rights)));
            row(&mut text, "snapshots", &Count(device.snapshots).to_string());
            if let Some(snapshot) = &device.snapshot {
                row(
                    &mut text,
                    "newest",
                    &format!("{} of {}", snapshot.snapshot.0, when(snapshot.committed_at_ms, zone)),
                );
                let problems = counted(snapshot.problems, "problem");
                let (files, bytes) = (Count(snapshot.totals.files), Bytes(snapshot.totals.bytes));
                row(&mut text, "", &format!("{files} files, {bytes}, {problems}"));
            }
        }
        Err(error) => {
            let sentence = format!("{} ({})", printable(&error.sentence()), printable(error.code()));
            let body = wrapped(&sentence, NAME_COLUMNS, NAME_COLUMNS);
            row(&mut text, "state", body.trim());
        }
    }
    text
}

fn snapshots(all: &[SnapshotDetail], zone: &TimeZone) -> String {
    if all.is_empty() {
        return "There is no snapshot yet: run `holdfast backup`.\n".to_owned();
    }
    let mut text = format!("{:<30}  {:<16} {:>10}  {:>7}  {:>8}\n", "SNAPSHOT", "WHEN", "FILES", "SIZE", "PROBLEMS");
    for detail in all {
        let (name, when) = (detail.snapshot.0.to_string(), when(detail.committed_at_ms, zone));
        let (files, size) = (Count(detail.totals.files).to_string(), Bytes(detail.totals.bytes).to_string());
        let problems = Count(detail.problems).to_string();
        let _ = writeln!(text, "{name:<30}  {when:<16} {files:>10}  {size:>7}  {problems:>8}");
    }
    text
}

fn listed(listed: &Listed, zone: &TimeZone) -> String {
    let owner = |name: &[u8], number: u32| match name.is_empty() {
        true => number.to_string(),
        false => printable(&String::from_utf8_lossy(name)),
    };
    let owners: Vec<(String, String)> = listed
        .entries
        .iter()
        .map(|Entry { meta: Meta { user, uid, group, gid, .. }, .. }| (owner(user, *uid), owner(group, *gid)))
        .collect();
    let width = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let user_width = width(&mut owners.iter().map(|(user, _)| user));
    let group_width = width(&mut owners.iter().map(|(_, group)| group));
    let mut text = String::new();
    for (entry, (user, group)) in listed.entries.iter().zip(&owners) {
        let size = match &entry.body {
            EntryBody::File { size, .. } => Bytes(*size).to_string(),
            EntryBody::CharDevice { major, minor } | EntryBody::BlockDevice { major, minor } => {
                format!("{major}, {minor}")
            }
            _ => "-".to_owned(),
        };
        let when = when(entry.meta.mtime.seconds.saturating_mul(1_000), zone);
        let (mode, name) = (mode_text(entry), name_text(entry));
        let _ = writeln!(text, "{mode}  {user:<user_width$} {group:<group_width$} {size:>7}  {when}  {name}");
    }
    text
}

fn name_text(entry: &Entry) -> String {
    let name = printable(&String::from_utf8_lossy(&entry.name));
    match &entry.body {
        EntryBody::Directory { .. } => format!("{name}/"),
        EntryBody::Symlink { target } => format!("{name} -> {}", printable(&String::from_utf8_lossy(target))),
        _ => name,
    }
}

/// The mode as `ls -l` shows it.
fn mode_text(entry: &Entry) -> String {
    let kind = match &entry.body {
        EntryBody::File { .. } => '-',
        EntryBody::Directory { .. } => 'd',
        EntryBody::Symlink { .. } => 'l',
        EntryBody::Fifo => 'p',
        EntryBody::Socket => 's',
        EntryBody::CharDevice { .. } => 'c',
        EntryBody::BlockDevice { .. } => 'b',
    };
    let mode = entry.meta.mode;
    let mut text = String::from(kind);
    for (shift, special, letters) in [(6, 0o4000, ['s', 'S']), (3, 0o2000, ['s', 'S']), (0, 0o1000, ['t', 'T'])] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letters[0],
            (true, false) => letters[1],
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn problems(text: &mut String, count: u64, listed: &[Problem], meaning: &str, root: &str) {
    if count == 0 {
        return;
    }
    let _ = write!(text, "\n{}", wrapped(&format!("{}: {meaning}", counted(count, "problem")), 0, 2));
    for problem in listed.iter().take(PROBLEMS_SHOWN_MAX) {
        let _ = writeln!(text, "  {root}{}", problem.path);
        text.push_str(&wrapped(&printable(&problem.sentence), 4, 4));
    }
    let shown = listed.len().min(PROBLEMS_SHOWN_MAX) as u64;
    if count > shown {
        let _ = writeln!(text, "  and {} more; --json lists up to 1,000", Count(count - shown));
    }
}

fn folders<'a>(text: &mut String, folders: impl Iterator<Item = &'a StoredPath>) {
    let mut name = "folders";
    for folder in folders {
        row(text, name, &format!("/{folder}"));
        name = "";
    }
    if name == "folders" {
        row(text, name, "none chosen yet");
    }
}

/// Columns before the value of a row.
const NAME_COLUMNS: usize = 14;

fn row(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<10}  {value}");
}

/// `1 pack`, `32 packs`, `no packs`.
fn counted(count: u64, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        count => format!("{} {what}s", Count(count)),
    }
}

/// A word of the wire for a person: `append_only` is `append only`.
fn words(word: &str) -> String {
    printable(word).replace('_', " ")
}

fn when(ms: i64, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// Without characters that a terminal would obey, or that turn the direction of the text after them.
fn printable(text: &str) -> String {
    let turns = |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() || turns(letter) {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    shown
}

/// Lines within 80 columns, broken between words; the first begins after `first` columns, the others after `rest`.
fn wrapped(text: &str, first: usize, rest: usize) -> String {
    let mut lines = " ".repeat(first);
    let mut column = first;
    for (number, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if number > 0 && column + 1 + width > COLUMNS {
            lines.push('\n');
            lines.push_str(&" ".repeat(rest));
            column = rest;
        } else if number > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests;
