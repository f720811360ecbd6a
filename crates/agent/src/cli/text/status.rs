//! What a person reads of where this computer stands: on one screen, with why, and with what to do.

use super::activation::owed_sentence;
use super::{Bytes, Count, TimeZone, folders, policy, printable, row, sentence, when, words, wrapped};
use crate::due::{self, NotDue, Standing};
use crate::last::Last;
use crate::status::{Device, Status};
use crate::unattended::Record;
use crate::wipe::Wiped;
use control::due::Due;
use control::policy::Key;
use protocol::agent::run::SnapshotDetail;
use protocol::agent::status::DeviceReply;

/// Where this computer stands.
pub(super) fn status(status: &Status, zone: &TimeZone) -> String {
    let mut text = String::new();
    match &status.device {
        Some(device) => {
            self::device(&mut text, device, &status.last, zone);
            if let Some(standing) = due::standing(status) {
                row(&mut text, "next", &next(&standing, zone));
            }
            if let Some(owed) = &status.owed {
                sentence(&mut text, "restore", &owed_sentence(owed));
            }
        }
        None => not_activated(&mut text, status, zone),
    }
    bundle(&mut text, status, zone);
    if let Some(error) = &status.last.error {
        let at = when(error.at_ms, zone);
        let (command, sentence, code) = (printable(&error.command), printable(&error.sentence), printable(&error.code));
        let refused = status.device.as_ref().and_then(|device| device.said.as_ref().err());
        let what = match refused.is_some_and(|refused| refused.code() == error.code) {
            true => "the same".to_owned(),
            false => format!("{sentence} ({code})"),
        };
        self::sentence(&mut text, "last error", &format!("{at}, {command}: {what}"));
    }
    text
}

/// That an admin has asked for a support bundle, and whether it was sent.
fn bundle(text: &mut String, status: &Status, zone: &TimeZone) {
    match (&status.last.bundle, status.is_asked_for_bundle()) {
        (Some(sent), _) => {
            let (bytes, at) = (Bytes(sent.bytes), when(sent.sent_at_ms, zone));
            sentence(text, "support", &format!("an admin has asked for a support bundle; {bytes} were sent on {at}"));
        }
        (None, true) => sentence(text, "support", "an admin has asked for a support bundle; it is not sent yet"),
        (None, false) => {}
    }
}

/// Why a backup was not begun, in one sentence.
pub(super) fn not_due(not_due: &NotDue, zone: &TimeZone) -> String {
    let sentence = match not_due {
        NotDue::Running => "Another backup of this computer runs: this one is not begun.".to_owned(),
        NotDue::Time { standing, .. } => match standing.due {
            Due::Off => "No backup begins by itself: the interval of the policy is off.".to_owned(),
            Due::Now => "No backup is begun: this computer has other orders.".to_owned(),
            Due::InSlot { at } => {
                format!("Not due until {}: the slot in which what was missed is backed up.", when(at.as_ms(), zone))
            }
            Due::Refused { at } => format!(
                "No backup is begun before {}: the last one was refused until somebody changes something. \
                 `holdfast status` says what, and `holdfast backup` tries at once.",
                when(at.as_ms(), zone)
            ),
            Due::Later { at } => {
                let good = standing.last_good_at.map_or("-".to_owned(), |good_at| when(good_at.as_ms(), zone));
                let every = printable(standing.interval.as_deref().unwrap_or(Key::Interval.default_text()));
                format!(
                    "Not due until {}: the last good backup is of {good}, and the interval {every}.",
                    when(at.as_ms(), zone)
                )
            }
        },
    };
    wrapped(&sentence, 0, 0)
}

/// When the next backup is due, where a timer asks.
fn next(standing: &Standing, zone: &TimeZone) -> String {
    let every = printable(standing.interval.as_deref().unwrap_or(Key::Interval.default_text()));
    match standing.due {
        Due::Off => "none by itself: the interval is off".to_owned(),
        Due::Now => format!("due now, and every {every}"),
        Due::InSlot { at } => format!("due from {} on, in its slot", when(at.as_ms(), zone)),
        Due::Refused { at } => format!("due, and was refused: tried again from {} on", when(at.as_ms(), zone)),
        Due::Later { at } => format!("due from {} on, every {every}", when(at.as_ms(), zone)),
    }
}

/// An order to erase that was carried out.
pub(super) fn wiped(wiped: &Wiped) -> String {
    let mut text = "This computer was retired: what Holdfast kept on it is erased.\n\n".to_owned();
    row(&mut text, "server", &printable(&wiped.server));
    row(&mut text, "device", &printable(&wiped.device));
    let rest = "everything that was backed up is kept at the server; your own files on this computer were not touched";
    sentence(&mut text, "kept", rest);
    row(&mut text, "to do", "to use it again, run `holdfast activate`");
    text
}

fn not_activated(text: &mut String, status: &Status, zone: &TimeZone) {
    row(text, "state", "not activated");
    if let Some(wiped) = &status.wiped {
        let at = when(wiped.at_ms, zone);
        sentence(
            text,
            "why",
            &format!("retired as {} on {at}, and what was kept here erased", printable(&wiped.device)),
        );
    }
    match &status.unattended {
        Some(record) => unattended(text, record, zone),
        None => row(text, "to do", "run `holdfast activate --server URL --email E`"),
    }
}

fn unattended(text: &mut String, record: &Record, zone: &TimeZone) {
    let Record { server, attempts, next_at_ms, may_pass, code, sentence: why, .. } = record;
    sentence(text, "why", &format!("{} ({})", printable(why), printable(code)));
    if !server.is_empty() {
        row(text, "server", &printable(server));
    }
    let asked = match attempts {
        0 => "not asked yet".to_owned(),
        count => format!("asked {}", Count(u64::from(*count)).counted("time")),
    };
    match (next_at_ms, may_pass) {
        (Some(next), _) => row(text, "unattended", &format!("{asked}, next try {}", when(*next, zone))),
        (None, true) => {
            row(text, "unattended", &format!("{asked}, and then the time that it was given was over"));
            row(text, "to do", "`holdfast unattended` asks again, where no timer runs it anyway");
        }
        (None, false) => {
            row(text, "unattended", &format!("{asked}; asking again does not help"));
            row(text, "to do", "mend that, then run `holdfast unattended` or `holdfast activate`");
        }
    }
}

fn device(text: &mut String, device: &Device, last: &Last, zone: &TimeZone) {
    let Device { state, said, policy: known } = device;
    row(text, "server", &printable(&state.server.url));
    let name = said.as_ref().map(|said| format!(" ({})", printable(&said.name))).unwrap_or_default();
    row(text, "device", &format!("{}{name}", state.device));
    row(text, "user", &printable(&state.user));
    match known {
        Some(known) if !known.policy.folders.is_empty() => {
            let linked = known.policy.folders.iter().filter(|folder| folder.linked || folder.mandatory).count();
            let all = known.policy.folders.len();
            row(text, "folders", &format!("{linked} of {all} are backed up: `holdfast folders`"));
            if !known.absent.is_empty() {
                let list = printable(&known.absent.join(", "));
                sentence(text, "", &format!("not on this computer, and passed over: {list}"));
            }
        }
        _ => folders(text, state.folders.iter()),
    }
    match said {
        Ok(said) => {
            row(text, "state", &standing(said));
            if let Some(why) = device.why() {
                sentence(text, "why", &printable(&why));
            }
            to_do(text, device);
            self::said(text, said, zone);
        }
        Err(error) => {
            sentence(text, "state", &format!("{} ({})", printable(&error.sentence()), printable(error.code())));
            if let Some(backup) = &last.backup {
                let (name, at) = (printable(&backup.snapshot), when(backup.at_ms, zone));
                row(text, "last good", &format!("{name} of {at}"));
            }
            to_do(text, device);
        }
    }
    if let Some(known) = known {
        row(text, "profile", &printable(&known.policy.profile));
        row(text, "quota", &policy::quota(&known.policy.quota));
    }
}

fn to_do(text: &mut String, device: &Device) {
    if let Some(what) = device.to_do() {
        sentence(text, "to do", what);
    }
}

/// State and rights. Those of a device that is not in service are what it could do, and not what it may.
fn standing(said: &DeviceReply) -> String {
    match said.state.as_str() {
        "active" => format!("active, {} rights", words(&said.rights)),
        state => words(state),
    }
}

fn said(text: &mut String, said: &DeviceReply, zone: &TimeZone) {
    row(text, "snapshots", &Count(said.snapshots).to_string());
    match (&said.snapshot, &said.unreadable) {
        (Some(snapshot), _) => newest(text, snapshot, zone),
        (None, Some(unreadable)) => {
            row(text, "newest", &format!("{}, which this computer may not read now", unreadable.0));
        }
        (None, None) => {}
    }
    if let Some(at_ms) = said.catch_up_at_ms {
        row(text, "catch up", &format!("what was missed is backed up from {} on", when(at_ms, zone)));
    }
    if let Some(support) = &said.support {
        sentence(text, "help", &printable(support));
    }
}

fn newest(text: &mut String, snapshot: &SnapshotDetail, zone: &TimeZone) {
    row(text, "newest", &format!("{} of {}", snapshot.snapshot.0, when(snapshot.committed_at_ms, zone)));
    let problems = Count(snapshot.problems).counted("problem");
    let (files, bytes) = (Count(snapshot.totals.files).counted("file"), Bytes(snapshot.totals.bytes));
    row(text, "", &format!("{files}, {bytes}, {problems}"));
}
