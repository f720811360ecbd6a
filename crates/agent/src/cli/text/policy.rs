//! What a person reads of the policy: each value and each folder with who says so, and what may be changed.

use super::{Bytes, TimeZone, Width, printable, row, sentence, when, words, wrapped};
use crate::policy::Known;
use protocol::agent::policy::{PolicyFolder, PolicyReply, QuotaDetail};
use std::fmt::Write as _;

/// A value that is longer stands in lines of its own.
const VALUE_COLUMNS: usize = 22;

/// Everything.
pub(super) fn whole(known: &Known, zone: &TimeZone) -> String {
    let mut text = String::new();
    row(&mut text, "profile", &printable(&known.policy.profile));
    row(&mut text, "quota", &quota(&known.policy.quota));
    for (number, pattern) in known.policy.exclusions.iter().enumerate() {
        row(&mut text, if number == 0 { "left out" } else { "" }, &printable(pattern));
    }
    let _ = write!(text, "\n{}\n{}", values(&known.policy), folder_table(known));
    age(&mut text, known, zone);
    text
}

/// The folders.
pub(super) fn folders(known: &Known, zone: &TimeZone) -> String {
    let mut text = folder_table(known);
    age(&mut text, known, zone);
    text
}

/// The values.
pub(super) fn settings(known: &Known, zone: &TimeZone) -> String {
    let mut text = values(&known.policy);
    age(&mut text, known, zone);
    text
}

/// Used and limit, in one line.
pub(super) fn quota(quota: &QuotaDetail) -> String {
    let used = Bytes(quota.used);
    match quota.limit {
        Some(limit) => format!("{used} of {} ({})", Bytes(limit), printable(&quota.from)),
        None => format!("{used}, no limit"),
    }
}

fn values(policy: &PolicyReply) -> String {
    let mut text = format!("{:<28}  {:<VALUE_COLUMNS$}  {:<12}  {}\n", "SETTING", "VALUE", "FROM", "YOURS");
    // The exclusions are a list of their own, and are shown as one.
    for value in policy.values.iter().filter(|value| value.key != "exclusions") {
        let (key, shown, from) = (printable(&value.key), printable(&value.value), words(&value.from));
        let may = if value.may_change { "yes" } else { "no" };
        let is_short = shown.chars().count() <= VALUE_COLUMNS;
        let inline = if is_short { shown.as_str() } else { "" };
        let _ = writeln!(text, "{key:<28}  {inline:<VALUE_COLUMNS$}  {from:<12}  {may}");
        if !is_short {
            text.push_str(&wrapped(&shown, 30, 30));
        }
    }
    text
}

fn folder_table(Known { policy, absent, .. }: &Known) -> String {
    if policy.folders.is_empty() {
        return "The policy has no folder: `holdfast folders add PATH` adds one of your own.\n".to_owned();
    }
    let mut text = format!("{:<9}  {:<8}  {:<8}  {}\n", "BACKUP", "FROM", "SYSTEM", "FOLDER");
    for folder in &policy.folders {
        let state = if absent.contains(&folder.path) { "not here" } else { state_word(folder) };
        let (from, os) = (words(&folder.from), printable(&folder.os));
        let _ = writeln!(text, "{state:<9}  {from:<8}  {os:<8}  {}", printable(&folder.path));
        patterns(&mut text, "only", &folder.include);
        patterns(&mut text, "without", &folder.exclude);
    }
    text
}

fn state_word(folder: &PolicyFolder) -> &'static str {
    match folder {
        PolicyFolder { mandatory: true, .. } => "always",
        PolicyFolder { linked: true, .. } => "yes",
        PolicyFolder { linked: false, .. } => "taken out",
    }
}

fn patterns(text: &mut String, word: &str, patterns: &[String]) {
    const INDENT: usize = 31;
    let columns = Width::here().columns;
    let mut line = format!("{:INDENT$}{word}", "");
    for pattern in patterns {
        let pattern = printable(pattern);
        if line.chars().count() + 1 + pattern.chars().count() > columns {
            let _ = writeln!(text, "{line}");
            line = format!("{:width$}", "", width = INDENT + word.len());
        }
        let _ = write!(line, " {pattern}");
    }
    if !patterns.is_empty() {
        let _ = writeln!(text, "{line}");
    }
}

fn age(text: &mut String, known: &Known, zone: &TimeZone) {
    if let Some(error) = &known.stale {
        text.push('\n');
        let (at, why) = (when(known.fetched_at_ms, zone), printable(&error.sentence));
        sentence(text, "as of", &format!("{at}: the server does not say it now ({why})"));
    }
}
