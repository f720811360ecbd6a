//! What an admin has to see before saying yes or no: what was shown, what is only said, and what is known, one device
//! after the other. Refuses a line of more than 80 columns, and to show a computer's own word as a fact.

use super::super::words;
use crate::out::cut;
use base::{Count, Timestamp};
use protocol::admin::desk::{Came, Former, RefusedActivation};
use protocol::admin::device::{About, Device};

/// What the lines of a computer's own word stand beneath.
const OWN_WORD: &str = "  says of itself (its own word; whoever has an installer can say it):\n";

/// All of them, with an empty line between; a sentence where there are none. Never fails.
pub(super) fn list(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { "Nothing waits.\n".to_owned() } else { texts.join("\n") }
}

/// One device. Never fails.
pub(super) fn text(device: &Device, came: Option<&Came>) -> String {
    let mut text = line("", &format!("{}  {}  {}", device.device.0, device.name, device.user));
    let Some(came) = came else {
        text.push_str(&line("  asked", "by no computer yet"));
        text.push_str(&line("  made", &time(Some(device.created_at_ms))));
        return text;
    };
    text.push_str(&line("  proof", &came.proof));
    if let (Some(id), name) = (&came.token, came.token_name.as_deref().unwrap_or_default()) {
        text.push_str(&line("  token", &format!("{name} ({})", id.0)));
    }
    text.push_str(&line("  from", &format!("{}, {}", came.source, time(Some(came.at_ms)))));
    text.push_str(&line("  did", outcome(came, device)));
    text.push_str(OWN_WORD);
    text.push_str(&said(&device.about, came.former.as_ref()));
    if let Some(former) = &came.former {
        text.push_str(&known(former, device));
    }
    text
}

/// Activations that were refused: what each came with, and what it says of itself. Never fails.
pub(super) fn refused(rows: &[RefusedActivation]) -> String {
    let texts: Vec<String> = rows.iter().map(refused_text).collect();
    if texts.is_empty() { "Nothing was refused.\n".to_owned() } else { texts.join("\n") }
}

fn refused_text(row: &RefusedActivation) -> String {
    let RefusedActivation { at_ms, times, code, token, source, email, host_name, serial, os_user } = row;
    let times = if *times == 1 { "once".to_owned() } else { format!("{} times, last", Count(*times)) };
    let token = token.as_ref().map_or_else(|| "one that nobody knows".to_owned(), |token| token.0.to_string());
    let mut text = line("", code);
    text.push_str(&line("  asked", &format!("{times} {} from {source}", time(Some(*at_ms)))));
    text.push_str(&line("  token", &token));
    text.push_str(&line("  address given", shown(email)));
    text.push_str(OWN_WORD);
    for (word, said) in [("    host name", host_name), ("    serial", serial), ("    runs as", os_user)] {
        text.push_str(&line(word, shown(said)));
    }
    text
}

fn outcome<'a>(came: &'a Came, device: &Device) -> &'a str {
    match came.outcome.as_str() {
        "new" if device.epoch > 0 => "made a new record",
        "replaced" => "took this record over from another computer",
        "reactivated" => "came back to this record",
        "waits" => "asks for this record, and waits",
        other => other,
    }
}

/// Each field, and beneath it what the known machine said where that was something else.
fn said(about: &About, former: Option<&Former>) -> String {
    let mut text = String::new();
    let known = former.map(|former| fields(&former.about));
    for (at, (name, value)) in fields(about).into_iter().enumerate() {
        text.push_str(&line(&format!("    {name}"), shown(value)));
        if let Some((_, before)) = known.map(|known| known[at]).filter(|(_, before)| *before != value) {
            text.push_str(&line("      known as", shown(before)));
        }
    }
    text
}

fn known(former: &Former, device: &Device) -> String {
    let whose = if former.device == device.device { "had this record before" } else { "of the record it resembles" };
    let mut text = format!("  the known computer {whose}:\n");
    if former.device != device.device {
        text.push_str(&line("    device", &former.device.0.to_string()));
    }
    text.push_str(&line("    activated", &time(former.activated_at_ms)));
    text.push_str(&line("    last seen", &time(former.last_seen_at_ms)));
    let differs = if former.differs.is_empty() { "in nothing".to_owned() } else { former.differs.join(", ") };
    text.push_str(&line("    differs", &differs));
    text
}

fn fields(about: &About) -> [(&'static str, &str); 6] {
    [
        ("host name", &about.host_name),
        ("serial", &about.serial),
        ("hardware UUID", &about.hardware_uuid),
        ("runs as", &about.os_user),
        ("system", &about.os),
        ("agent", &about.agent),
    ]
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}

fn time(ms: Option<i64>) -> String {
    words::time_maybe(ms.map(Timestamp::from_ms))
}

/// A word and its value in one line, cut to 80 columns.
fn line(word: &str, value: &str) -> String {
    let text = if word.is_empty() { value.to_owned() } else { format!("{word:<18} {value}") };
    format!("{}\n", cut(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{DeviceId, TokenId};
    use protocol::Text;

    fn device() -> Device {
        let about = About { host_name: "x".repeat(200), serial: "SN\u{1b}[2J1".to_owned(), ..About::default() };
        Device {
            device: Text(DeviceId::from_bytes([1; 16])),
            name: "anna-laptop".to_owned(),
            user: "anna@example.org".to_owned(),
            state: "active".to_owned(),
            state_was: None,
            rights: Some("append_only".to_owned()),
            level: None,
            append_until_ms: None,
            purge_after_ms: None,
            epoch: 2,
            created_at_ms: 0,
            activated_at_ms: 0,
            last_seen_at_ms: None,
            last_snapshot: None,
            about,
            more: None,
        }
    }

    #[test]
    fn what_decides_is_shown_within_80_columns_and_what_is_said_is_no_fact() {
        let device = device();
        let about = About { serial: "SN-0".to_owned(), ..device.about.clone() };
        let former = Former {
            device: device.device,
            about,
            differs: vec!["serial".to_owned()],
            last_seen_at_ms: Some(1_764_005_400_000),
            activated_at_ms: Some(1_700_000_000_000),
        };
        let came = Came {
            proof: "token".to_owned(),
            token: Some(Text(TokenId::from_bytes([2; 16]))),
            token_name: Some("installer 2025".to_owned()),
            source: "192.0.2.7".to_owned(),
            at_ms: 1_764_005_400_000,
            outcome: "replaced".to_owned(),
            former: Some(former),
        };
        let text = text(&device, Some(&came));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        for part in [
            "proof            token",
            "installer 2025 (tok_",
            "192.0.2.7, 2025-11-24 17:30Z",
            "took this record over",
            "its own word",
            "known as     SN-0",
            "last seen      2025-11-24 17:30Z",
            "differs        serial",
        ] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
    }

    #[test]
    fn what_was_refused_is_shown_with_the_token_and_the_address_that_it_came_with() {
        let row = RefusedActivation {
            at_ms: 1_764_005_400_000,
            times: 3,
            code: "token_expired".to_owned(),
            token: Some(Text(TokenId::from_bytes([2; 16]))),
            source: "192.0.2.7".to_owned(),
            email: "anna@example.org".to_owned(),
            host_name: "x".repeat(200),
            serial: "SN-1".to_owned(),
            os_user: String::new(),
        };
        let unknown = RefusedActivation { token: None, times: 1, ..row.clone() };
        let text = refused(&[row, unknown]);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for said in ["token_expired\n", "3 times, last", "once", "192.0.2.7", "tok_", "one that nobody knows"] {
            assert!(text.contains(said), "no {said} in {text}");
        }
        assert!(text.contains("  address given    anna@example.org\n") && text.contains("SN-1"), "{text}");
        assert_eq!(refused(&[]), "Nothing was refused.\n");
    }
}
