//! What a person reads of an activation: the question, the waiting, what became of it and what follows from it.

use super::{Count, TimeZone, Width, folders, printable, row, sentence, when, words, wrapped};
use crate::cli::activate::{Finished, InService};
use crate::error::AgentError;
use crate::folders::path_text;
use crate::owed::Owed;
use crate::restore::Restored;
use crate::unattended::Record;
use base::Span;
use protocol::agent::activation::{
    ActivationChanges, ActivationQuestion, ActivationReply, ActivationWaiting, Choice, Replaceable, Restore,
};
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
    match (&reply.snapshot, &reply.unreadable) {
        (Some(snapshot), _) => {
            row(&mut text, "snapshot", &format!("{} of {}", snapshot.snapshot.0, when(snapshot.committed_at_ms, zone)));
            row(&mut text, "", "the next backup goes on from it");
        }
        (None, Some(unreadable)) => {
            row(&mut text, "snapshot", &format!("{}, which this computer may not read yet", unreadable.0));
        }
        (None, None) => row(&mut text, "snapshot", "none yet: run `holdfast backup`"),
    }
    if let Some(at_ms) = reply.catch_up_at_ms {
        row(&mut text, "catch up", &format!("what was missed is backed up from {} on", when(at_ms, zone)));
    }
    settings(&mut text, reply);
    changes(&mut text, &reply.changes, Tense::Is);
    refused_folders(&mut text, done);
    brought_back(&mut text, done.restored.as_ref(), done.owed.as_ref());
    used_token(&mut text, &done.scrubbed, done.unscrubbed.as_ref());
    text
}

/// A computer for which nothing was to be done.
pub(super) fn in_service(done: &InService) -> String {
    let InService { ended, restored, owed } = done;
    let first = match restored {
        Some(_) => "This computer is activated already.",
        None => "This computer is activated already; nothing was to be done.",
    };
    let mut text = format!("{first}\n\n");
    row(&mut text, "server", &printable(&ended.state.server.url));
    row(&mut text, "device", &ended.state.device.to_string());
    row(&mut text, "user", &printable(&ended.state.user));
    brought_back(&mut text, restored.as_ref(), owed.as_ref());
    used_token(&mut text, &ended.scrubbed, ended.unscrubbed.as_ref());
    text
}

/// What an activation would change, before anything is.
pub(in crate::cli) fn would_change(would: &ActivationChanges) -> String {
    let ActivationChanges { device, name, outcome, changes } = would;
    let first = match (device, outcome.as_str()) {
        (None, "new") => "This computer would be a new device.".to_owned(),
        (None, _) => "This computer would come to a device that is there, which it may not read.".to_owned(),
        (Some(_), "replaced") => format!("This computer would take the place of {}.", short(name, 40)),
        (Some(_), _) => format!("This computer would be {} again.", short(name, 40)),
    };
    let mut text = format!("{first}\n\n");
    if let Some(device) = device {
        row(&mut text, "device", &device.0.to_string());
    }
    if changes.folders.is_empty() && changes.values.is_empty() {
        row(&mut text, "changes", "none of your own choices");
    }
    self::changes(&mut text, changes, Tense::Would);
    text
}

/// A password that was set.
pub(super) fn password_set(email: &str) -> String {
    let mut text = "The password is set, and the link used up.\n\n".to_owned();
    row(&mut text, "user", &printable(email));
    row(&mut text, "then", "`holdfast activate` makes this computer your device");
    text
}

/// One line for the log of whatever has started a backup that waits.
pub(in crate::cli) fn in_slot(wait: Span) -> String {
    format!("what was missed is backed up in {wait}: the server has given this computer its turn\n")
}

/// Whether something has happened, or only would.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tense {
    Is,
    Would,
}

fn changes(text: &mut String, changes: &PolicyChanges, tense: Tense) {
    let PolicyChanges { kept, folders, values } = changes;
    let (would_be, are) = match tense {
        Tense::Is => ("", if folders.len() == 1 { "is" } else { "are" }),
        Tense::Would => ("would be ", "would be"),
    };
    let list = folders.iter().map(|folder| printable(&folder.path)).collect::<Vec<_>>().join(", ");
    let count = Count::of(folders.len()).counted("folder");
    if *kept {
        if !folders.is_empty() {
            sentence(text, "kept", &format!("{would_be}taken out still, {count}: {list}"));
        }
        for value in values {
            let (key, was, now) = (words(&value.key), printable(&value.was), printable(&value.now));
            row(text, "kept", &format!("{would_be}{key}: {was} (profile: {now})"));
        }
        return;
    }
    if !folders.is_empty() {
        sentence(text, "changes", &format!("{count} {are} back: {list}"));
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

/// What became of a wish for the device's own settings.
fn settings(text: &mut String, reply: &ActivationReply) {
    if !matches!(reply.restore, Restore::Settings | Restore::All) {
        return;
    }
    let PolicyChanges { kept, folders, values } = &reply.changes;
    let said = match (reply.outcome.as_str(), kept) {
        ("new", _) => "there were none to take over: this is a new device".to_owned(),
        (_, true) if folders.is_empty() && values.is_empty() => "the device has none of its own".to_owned(),
        (_, true) => "taken over from the device".to_owned(),
        (_, false) => "not taken over".to_owned(),
    };
    row(text, "settings", &said);
}

/// What is still to be brought back, and when.
pub(super) fn owed_sentence(owed: &Owed) -> String {
    let name = owed.snapshot.0;
    format!(
        "{name} is brought back once this computer has full rights, by `holdfast unattended` or `holdfast activate`"
    )
}

fn brought_back(text: &mut String, restored: Option<&Result<Restored, AgentError>>, owed: Option<&Owed>) {
    match (restored, owed) {
        (None, None) => {}
        (None, Some(owed)) => sentence(text, "restore", &owed_sentence(owed)),
        (Some(Ok(done)), _) => {
            let _ = write!(text, "\n{}", super::restored(done));
        }
        (Some(Err(error)), owed) => {
            let why = format!("{} ({})", printable(&error.sentence()), printable(error.code()));
            let again = match owed {
                Some(_) => "`holdfast unattended` or `holdfast activate` tries again",
                None => "`holdfast restore latest --to / --keep` tries again",
            };
            sentence(text, "restore", &format!("{why}; the data was not brought back; {again}"));
        }
    }
}

fn used_token(text: &mut String, scrubbed: &[PathBuf], unscrubbed: Option<&AgentError>) {
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

/// A text that somebody else has chosen, in a place of so many of 80 columns.
fn short(text: &str, columns: usize) -> String {
    Width::here().short(text, columns)
}
