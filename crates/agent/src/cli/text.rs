//! What a person reads at the end of a command: short, aligned, as wide as the terminal, or 80 columns; what goes to a
//! file or another program is never cut.
//! Refuses control characters: names from a disk may not move the cursor.

mod activation;
mod policy;
mod status;
mod verified;

use super::Report;
use crate::backup::BackedUp;
use crate::error::AgentError;
use crate::journal::{Doubt, Watching};
use crate::restore::Restored;
use crate::snapshots::Listed;
use crate::support::Bundle;
use base::{Bytes, Count, printable};
use engine::Problem;
use format::{Entry, EntryBody, Meta, StoredPath};
use jiff::tz::TimeZone;
use protocol::agent::run::SnapshotDetail;
use std::fmt::Write as _;
use std::sync::OnceLock;

pub(super) use activation::{choice_prompt, in_slot, not_yet, question, waiting, would_change};

/// How wide lines are where no terminal says anything else.
const COLUMNS: usize = 80;
/// The narrowest terminal that is still heeded.
const COLUMNS_MIN: usize = 40;
/// Problems that are written out; the others are counted.
const PROBLEMS_SHOWN_MAX: usize = 10;

/// How wide what is shown may be.
#[derive(Clone, Copy, Debug)]
struct Width {
    /// Where lines are broken.
    columns: usize,
    /// Whether what is longer than its place is cut: only on a terminal, where it would break the lines.
    cuts: bool,
}

/// That of this process; until it is known, that of a usual terminal.
static WIDTH: OnceLock<Width> = OnceLock::new();

impl Width {
    fn of(terminal: Option<usize>) -> Self {
        Self { columns: terminal.map_or(COLUMNS, |columns| columns.max(COLUMNS_MIN)), cuts: terminal.is_some() }
    }

    fn here() -> Self {
        WIDTH.get().copied().unwrap_or(Self::of(Some(COLUMNS)))
    }

    /// A text that somebody else has chosen, in a place of so many of 80 columns.
    fn short(self, text: &str, columns: usize) -> String {
        let text = printable(text);
        let room = (columns + self.columns).saturating_sub(COLUMNS).max(columns.min(COLUMNS_MIN));
        if !self.cuts || text.chars().count() <= room {
            return text;
        }
        text.chars().take(room - 3).chain("...".chars()).collect()
    }
}

/// Fits what is shown to a terminal of so many columns; `None` where it goes to a file or another program. The first
/// word counts. Never fails.
pub(super) fn fit(terminal: Option<usize>) {
    let _ = WIDTH.set(Width::of(terminal));
}

/// The answer of a command. Times are those of `zone`.
pub(super) fn report(report: &Report, zone: &TimeZone) -> String {
    match report {
        Report::Activated(done) => activation::activated(done, zone),
        Report::InService(ended) => activation::in_service(ended),
        Report::Question(question) => activation::unanswered(question, zone),
        Report::Changes(changes) => activation::would_change(changes),
        Report::PasswordSet(email) => activation::password_set(email),
        Report::Waiting(waiting) => activation::waiting(waiting),
        Report::BackedUp(done) => backed_up(done),
        Report::Watched => String::new(),
        Report::NotDue(not_due) => status::not_due(not_due, zone),
        Report::Status(status) => status::status(status, zone),
        Report::Policy(known) => policy::whole(known, zone),
        Report::Folders(known) => policy::folders(known, zone),
        Report::Settings(known) => policy::settings(known, zone),
        Report::Support(bundle) => support(bundle),
        Report::Wiped(wiped) => status::wiped(wiped),
        Report::Snapshots(all) => snapshots(all, zone),
        Report::Listed(listed) => self::listed(listed, zone),
        Report::Restored(done) => restored(done),
        Report::Verified(done) => verified::verified(done),
    }
}

/// The error of a command.
pub(super) fn error(error: &AgentError) -> String {
    wrapped(&format!("holdfast: {} ({})", printable(&error.sentence()), printable(error.code())), 0, 2)
}

fn backed_up(done: &BackedUp) -> String {
    let BackedUp { outcome, totals, took, .. } = done;
    let committed = &outcome.committed;
    let mut text = format!("Snapshot {} is safe on the server.\n\n", outcome.snapshot);
    row(&mut text, "files", &format!("{} seen, {} opened", Count(totals.files_seen), Count(totals.files_opened)));
    row(&mut text, "read", &Bytes(totals.bytes_read).to_string());
    let (packs, chunks) = (Count(committed.packs).counted("pack"), Count(committed.chunks_new).counted("new chunk"));
    row(&mut text, "sent", &format!("{} ({packs}, {chunks})", Bytes(totals.bytes_sent)));
    let tree = &outcome.totals;
    if done.excluded > 0 {
        row(&mut text, "left out", &Count(done.excluded).counted("entry"));
    }
    match done.changes {
        Ok(paths) => {
            let told =
                format!("{} to look at, says the journal; the rest is as it was", Count(paths as u64).counted("place"));
            sentence(&mut text, "changes", &told);
        }
        Err(Doubt::NotWatched | Doubt::NoPosition | Doubt::Old) => {}
        Err(doubt) => sentence(&mut text, "changes", &format!("everything was looked at: {}", doubt.sentence())),
    }
    if done.partial {
        let more = "not all that this computer backs up: the next backup is due as if this one were not there";
        sentence(&mut text, "part", more);
    }
    let (entries, files) = (tree.entries.counted("entry"), tree.files.counted("file"));
    row(&mut text, "holds", &format!("{entries}, {files}, {}", tree.bytes));
    row(&mut text, "time", &took.to_string());
    let missing = "these entries are missing from it, or incomplete in it";
    problems(&mut text, totals.problems, &outcome.problems, missing, "/");
    text
}

/// That a watch has begun. Never fails.
pub(super) fn watching(watching: &Watching) -> String {
    let by = watching.by;
    match &watching.instead_of {
        None => format!("Watching all local file systems, by {by}.\nThe next backup looks at everything once more.\n"),
        Some(why) => format!(
            "Watching the folders of the backup, by {by}, from the next backup on.\n\
             Whole file systems cannot be watched: {}.\nA service of the system can watch them.\n",
            printable(why)
        ),
    }
}

fn restored(done: &Restored) -> String {
    let Restored { snapshot, to, took, totals, problems: listed, .. } = done;
    let mut text = format!("Snapshot {snapshot} is restored.\n\n");
    row(&mut text, "to", &printable(&to.to_string_lossy()));
    row(&mut text, "files", &format!("{} ({})", Count(totals.files_seen), Bytes(totals.bytes_written)));
    if done.kept > 0 {
        let kept = format!("{} left as they are: something has their name", Count(done.kept).counted("entry"));
        row(&mut text, "kept", &kept);
    }
    if totals.bytes_read > 0 {
        row(&mut text, "here", &format!("{}, not fetched again", Bytes(totals.bytes_read)));
    }
    row(&mut text, "fetched", &Bytes(totals.bytes_fetched).to_string());
    row(&mut text, "time", &took.to_string());
    problems(&mut text, totals.problems, listed, "these entries are missing, or not as they were", "");
    text
}

fn support(bundle: &Bundle) -> String {
    let file = printable(&bundle.file.to_string_lossy());
    let mut text = format!("Written to {file} ({}). It holds no key and no token:\n\n", Bytes(bundle.bytes));
    for (name, what) in &bundle.parts {
        row(&mut text, name, what);
    }
    text.push_str("\nRead it before you give it away: it names this computer, its user and its folders.\n");
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
        let mark = if detail.partial { "  part" } else { "" };
        let _ = writeln!(text, "{name:<30}  {when:<16} {files:>10}  {size:>7}  {problems:>8}{mark}");
    }
    if all.iter().any(|detail| detail.partial) {
        text.push_str("\npart: of folders that were named, and not of all that this computer backs up.\n");
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
    let _ = write!(text, "\n{}", wrapped(&format!("{}: {meaning}", Count(count).counted("problem")), 0, 2));
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

/// A row whose value is a sentence, wrapped.
fn sentence(text: &mut String, name: &str, value: &str) {
    let body = wrapped(value, NAME_COLUMNS, NAME_COLUMNS);
    row(text, name, body.trim());
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

/// Lines broken between words; the first begins after `first` columns, the others after `rest`.
fn wrapped(text: &str, first: usize, rest: usize) -> String {
    wrapped_at(Width::here().columns, text, first, rest)
}

fn wrapped_at(columns: usize, text: &str, first: usize, rest: usize) -> String {
    let mut lines = " ".repeat(first);
    let mut column = first;
    for (number, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if number > 0 && column + 1 + width > columns {
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
