//! What a machine says of itself, and when two such descriptions are of one machine.
//! Refuses to believe the texts that makers leave in unfilled fields.

use super::Candidate;

/// What a machine says of itself. Empty where unknown. Corroborates, never proves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Its name in the network.
    pub host_name: String,
    /// The maker's serial number.
    pub serial: String,
    /// The hardware UUID of its firmware.
    pub hardware_uuid: String,
    /// The account that the endpoint runs as. Never compared: many machines have the same.
    pub os_user: String,
}

/// By what a record matches, strongest first. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// The maker's serial number.
    Serial,
    /// The hardware UUID.
    HardwareUuid,
    /// The name in the network.
    HostName,
}

impl Match {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Match::Serial => "serial",
            Match::HardwareUuid => "hardware_uuid",
            Match::HostName => "host_name",
        }
    }
}

/// The one candidate that matches, and by what: by serial number, else by hardware UUID, else by host name. `None`
/// when none does, or when several do and nothing weaker tells them apart. Never fails.
pub(super) fn unique<'a>(asked: &Evidence, candidates: Vec<&'a Candidate>) -> Option<(&'a Candidate, Match)> {
    let mut left = candidates;
    for by in [Match::Serial, Match::HardwareUuid, Match::HostName] {
        let matching: Vec<&Candidate> =
            left.iter().copied().filter(|candidate| matches(by, asked, &candidate.evidence)).collect();
        match matching.as_slice() {
            [] => {}
            [only] => return Some((only, by)),
            [_, _, ..] => left = matching,
        }
    }
    None
}

/// What tells machines apart, as texts that two descriptions of one machine share: for finding records that may be of
/// one, which `same_machine` then decides. Never fails.
pub fn machine_keys(evidence: &Evidence) -> Vec<String> {
    let key = |by: Match| known(by, evidence).map(|text| format!("{} {text}", by.word()));
    [Match::Serial, Match::HardwareUuid].into_iter().filter_map(key).collect()
}

/// Are the two one machine, by serial number or hardware UUID? Never fails.
pub fn same_machine(one: &Evidence, other: &Evidence) -> bool {
    matches(Match::Serial, one, other) || matches(Match::HardwareUuid, one, other)
}

/// Do the two agree in `by`, and does nothing stronger that both know speak against it?
fn matches(by: Match, one: &Evidence, other: &Evidence) -> bool {
    let stronger = [Match::Serial, Match::HardwareUuid].into_iter().filter(|stronger| *stronger < by);
    let contradicted = stronger.map(|stronger| agree(stronger, one, other)).any(|answer| answer == Some(false));
    agree(by, one, other) == Some(true) && !contradicted
}

/// `None` when one of the two does not know.
fn agree(by: Match, one: &Evidence, other: &Evidence) -> Option<bool> {
    Some(known(by, one)? == known(by, other)?)
}

fn known(by: Match, evidence: &Evidence) -> Option<String> {
    match by {
        Match::Serial => comparable(by, &evidence.serial),
        Match::HardwareUuid => comparable(by, &evidence.hardware_uuid),
        Match::HostName => comparable(by, &evidence.host_name),
    }
}

/// The text as it is compared, for whoever keeps evidence in a table; `None` when it is empty or says nothing.
/// Never fails.
pub fn comparable(by: Match, text: &str) -> Option<String> {
    let text = match by {
        Match::Serial => text.trim().to_lowercase(),
        Match::HardwareUuid => text.to_lowercase().chars().filter(|c| !matches!(c, '-' | '{' | '}' | ' ')).collect(),
        Match::HostName => text.trim().to_lowercase().split('.').next().unwrap_or_default().to_owned(),
    };
    (!says_nothing(&text)).then_some(text)
}

/// Is it a text that tells no two machines apart?
fn says_nothing(text: &str) -> bool {
    let mut letters = text.chars().filter(|c| c.is_alphanumeric());
    let Some(first) = letters.next() else { return true };
    letters.all(|letter| letter == first) || PLACEHOLDERS.contains(&text)
}

/// What makers leave in unfilled fields, in lower case; UUIDs without hyphens. One letter or digit repeated is
/// recognised without being listed.
const PLACEHOLDERS: &[&str] = &[
    "0123456789",
    "01234567890123456789abcdefabcdef",
    "03000200040005000006000700080009",
    "123456",
    "1234567",
    "12345678",
    "123456789",
    "1234567890",
    "12345678123412341234123456789abc",
    "12345678123456789012123456789012",
    "chassis serial number",
    "default",
    "default string",
    "default_string",
    "empty",
    "fefefefefefefefefefefefefefefefe",
    "filled by o.e.m.",
    "invalid",
    "localhost",
    "n/a",
    "na",
    "no asset information",
    "no asset tag",
    "no serial",
    "no serial number",
    "none",
    "not applicable",
    "not available",
    "not defined",
    "not present",
    "not set",
    "not settable",
    "notsettable",
    "not specified",
    "null",
    "o.e.m.",
    "oem",
    "serial",
    "serial number",
    "serialnumber",
    "sn",
    "sys-1234567890",
    "system serial number",
    "system-serial-number",
    "to be filled by o.e.m",
    "to be filled by o.e.m.",
    "to be filled by oem",
    "tobefilledbyo.e.m.",
    "unavailable",
    "undefined",
    "unknown",
    "unspecified",
];
