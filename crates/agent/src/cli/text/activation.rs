//! What a person reads of an activation: the question, the waiting, what became of it and what follows from it.

use super::{Count, TimeZone, folders, printable, restored, row, sentence, when, words, wrapped};
use crate::cli::activate::Finished;
use crate::folders::path_text;
use crate::unattended::{Ended, Record};
use protocol::agent::activation::{ActivationQuestion, ActivationWaiting, Choice, Replaceable, Restore};
use protocol::agent::policy::PolicyChanges;
use std::fmt::Write as _;
use std::path::PathBuf;

/// What append-only rights mean, and how they become full.
const APPEND_ONLY: &str = "append only: this computer backs up, and reads nothing that was backed up before; \
                           for full rights sign in with `holdfast activate`, or ask an admin to approve it";

/// A device that is activated, and what was done after that.
pub(super) fn activated(done: &Finished, zone: &TimeZone) -> String {
    let (state, reply) = (&done.activated.state, &done.activated.reply);
    let mut text = "This computer is activated.\n\n".to_owned();
    row(&mut text, "server", &printable(&state.server.url));
    let outcome = match reply.outcome.as_str() {
        "new" => "a new device".to_owned(),
        "reactivated" => "the same device as before".to_owned(),
        "replaced" => "it takes the place of this device".to_owned(),
        other => printable(other),
    };
    row(&mut text, "device", &format!("{} ({outcome})", state.device));
    row(&mut text, "user", &printable(&state.user));
    match reply.rights.as_str() {
        "append_only" => sentence(&mut text, "rights", APPEND_ONLY),
        rights => row(&mut text, "rights", &words(rights)),
    }
    folders(&mut text, state.folders.iter());
    match &reply.snapshot {
        Some(snapshot) => {
            row(&mut text, "snapshot", &format!("{} of {}", snapshot.snapshot.0, when(snapshot.committed_at_ms, zone)));
            row(&mut text, "", "the next backup goes on from it");
        }
        None => row(&mut text, "snapshot", "none yet: run `holdfast backup`"),
    }
    if let Some(at_ms) = reply.catch_up_at_ms {
        row(&mut text, "catch up", &format!("what was missed is backed up from {} on", when(at_ms, zone)));
    }
    changes(&mut text, &reply.changes);
    refused_folders(&mut text, done);
    brought_back(&mut text, done);
    used_token(&mut text, &done.scrubbed, done.unscrubbed.as_ref());
    text
}

/// A computer for which nothing was to be done.
pub(super) fn in_service(ended: &Ended) -> String {
    let mut text = "This computer is activated already; nothing was to be done.\n\n".to_owned();
    row(&mut text, "server", &printable(&ended.state.server.url));
    row(&mut text, "device", &ended.state.device.to_string());
    row(&mut text, "user", &printable(&ended.state.user));
    used_token(&mut text, &ended.scrubbed, ended.unscrubbed.as_ref());
    text
}

fn changes(text: &mut String, changes: &PolicyChanges) {
    let PolicyChanges { kept, folders, values } = changes;
    if folders.is_empty() && values.is_empty() {
        return;
    }
    if *kept {
        let (folders, values) =
            (Count::of(folders.len()).counted("folder"), Count::of(values.len()).counted("setting"));
        sentence(text, "choices", &format!("your own choices were kept: {folders} taken out, {values}"));
        return;
    }
    if !folders.is_empty() {
        let paths: Vec<String> = folders.iter().map(|folder| printable(&folder.path)).collect();
        let are = if folders.len() == 1 { "is" } else { "are" };
        let count = Count::of(folders.len()).counted("folder");
        sentence(text, "changes", &format!("{count} {are} back: {}", paths.join(", ")));
    }
    let mut name = if folders.is_empty() { "changes" } else { "" };
    for value in values {
        let (key, was, now) = (words(&value.key), printable(&value.was), printable(&value.now));
        row(text, name, &format!("{key}: {was} -> {now} (profile)"));
        name = "";
    }
}

fn refused_folders(text: &mut String, done: &Finished) {
    for chosen in &done.chosen {
        if let Some(error) = &chosen.refused {
            let path = printable(&path_text(&chosen.folder));
            let why =
                format!("{path} is not in the policy: {} ({})", printable(&error.sentence), printable(&error.code));
            sentence(text, "note", &why);
        }
    }
}

fn brought_back(text: &mut String, done: &Finished) {
    if matches!(done.activated.reply.restore, Restore::Settings | Restore::All) {
        row(text, "settings", "taken over from the device");
    }
    match &done.restored {
        None => {}
        Some(Ok(done)) => {
            let _ = write!(text, "\n{}", restored(done));
        }
        Some(Err(error)) => {
            let why = format!("{} ({})", printable(&error.sentence()), printable(error.code()));
            let again = "the data was not brought back; `holdfast restore latest --to / --keep` tries again";
            sentence(text, "restore", &format!("{why}; {again}"));
        }
    }
}

fn used_token(text: &mut String, scrubbed: &[PathBuf], unscrubbed: Option<&crate::error::AgentError>) {
    for path in scrubbed {
        sentence(text, "token", &format!("taken out of {}", printable(&path.to_string_lossy())));
    }
    if let Some(error) = unscrubbed {
        sentence(text, "token", &format!("still in its file: {}", printable(&error.sentence())));
    }
}

/// The devices to choose from, numbered.
pub(in crate::cli) fn question(question: &ActivationQuestion, zone: &TimeZone) -> String {
    let mut text = "Which device is this computer to be?\n\n".to_owned();
    for (number, device) in (1..).zip(&question.replaceable) {
        replaceable(&mut text, number, device, zone);
    }
    match &question.adding_refused {
        None => text.push_str("   n  a new device\n"),
        Some(why) => text.push_str(&wrapped(&format!("A new device is not possible: {}", printable(why)), 6, 6)),
    }
    text.push('\n');
    text
}

fn replaceable(text: &mut String, number: usize, device: &Replaceable, zone: &TimeZone) {
    let Replaceable { name, state, host_name, serial, last_backup_at_ms, snapshots, .. } = device;
    let _ = writeln!(text, "{number:>4}  {} ({})", short(name, 44), words(state));
    let serial = if serial.is_empty() { String::new() } else { format!(", serial {}", short(serial, 24)) };
    let _ = writeln!(text, "      {}{serial}", short(host_name, 40));
    let newest = last_backup_at_ms.map_or("no backup yet".to_owned(), |at| format!("last backup {}", when(at, zone)));
    let _ = writeln!(text, "      {newest}, {}", Count(*snapshots).counted("snapshot"));
}

/// What is typed to choose, with what an empty line stands for.
pub(in crate::cli) fn choice_prompt(question: &ActivationQuestion) -> String {
    let new = if question.adding_refused.is_none() { ", n" } else { "" };
    let suggested = match &question.suggestion {
        Choice::Auto => None,
        Choice::Add => Some("n".to_owned()),
        Choice::Replace { device } => {
            let at = question.replaceable.iter().position(|one| one.device == *device);
            at.map(|at| (at + 1).to_string())
        }
    };
    let default = suggested.map_or(String::new(), |suggested| format!(" [{suggested}]"));
    match question.replaceable.len() {
        1 => format!("Choose 1{new}{default}: "),
        count => format!("Choose 1 to {count}{new}{default}: "),
    }
}

/// The question for somebody who is not there.
pub(super) fn unanswered(asked: &ActivationQuestion, zone: &TimeZone) -> String {
    let advice = "Nothing was done: nobody is there to choose. Give the command again with --choice and the name of \
                  the device, or with --choice add:";
    let mut text = format!("{}\n{}", question(asked, zone), wrapped(advice, 0, 0));
    for device in &asked.replaceable {
        let _ = writeln!(text, "  --choice {}  {}", device.device.0, short(&device.name, 30));
    }
    text
}

/// A record that waits for an admin.
pub(in crate::cli) fn waiting(waiting: &ActivationWaiting) -> String {
    let mut text = wrapped(&printable(&waiting.detail), 0, 0);
    row(&mut text, "device", &waiting.device.0.to_string());
    row(&mut text, "then", "`holdfast activate` goes on where it stopped; --wait waits for it");
    text
}

/// One line for the log of whatever has started an unattended activation.
pub(in crate::cli) fn not_yet(record: &Record) -> String {
    let Record { attempts, tried_at_ms, next_at_ms, code, sentence, .. } = record;
    let span = next_at_ms.map_or(0, |next| next.saturating_sub(*tried_at_ms)).max(0) / 1_000;
    let (sentence, code) = (printable(sentence), printable(code));
    format!("not activated yet: {sentence} ({code}); attempt {}, next in {} s\n", Count(u64::from(*attempts)), span)
}

/// A text that somebody else has chosen, cut to so many columns.
fn short(text: &str, columns: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= columns {
        return text;
    }
    text.chars().take(columns - 3).chain("...".chars()).collect()
}
