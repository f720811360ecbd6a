//! What this computer says of itself at activation: name, maker's serial number, hardware UUID, account.
//! Refuses placeholders that a maker left in, and `/etc/machine-id`, which a copied disk carries along.

use protocol::agent::activation::{Evidence, Platform};
use std::fs;
use std::path::Path;

/// This release of the endpoint.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// A value from the firmware is never longer than people can read.
const VALUE_CHARS_MAX: usize = 256;
/// What makers write where a number belongs.
const PLACEHOLDERS: [&str; 13] = [
    "to be filled by o.e.m.",
    "to be filled",
    "system serial number",
    "default string",
    "not specified",
    "not applicable",
    "not available",
    "unknown",
    "none",
    "n/a",
    "o.e.m.",
    "oem",
    "invalid",
];

/// What this computer says of itself; empty where it cannot be read. Never fails.
pub fn gather() -> Evidence {
    let dmi = Path::new("/sys/class/dmi/id");
    Evidence {
        host_name: host_name(),
        serial: firmware_value(dmi, "product_serial"),
        hardware_uuid: firmware_value(dmi, "product_uuid").to_lowercase(),
        os_user: uzers::get_effective_username().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    }
}

/// This computer's name in the network. Never fails.
pub fn host_name() -> String {
    cleaned(&rustix::system::uname().nodename().to_string_lossy())
}

/// What the endpoint runs on. Never fails.
pub fn platform() -> Platform {
    Platform { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned(), agent: RELEASE.to_owned() }
}

/// The operating system in words, for the manifest: `Debian GNU/Linux 13`. Never fails.
pub fn os_text() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map(|name| cleaned(name.trim_matches('"'))).unwrap_or_else(|| std::env::consts::OS.to_owned())
}

/// A value that only root may read on most computers.
fn firmware_value(dir: &Path, name: &str) -> String {
    let value = cleaned(&fs::read_to_string(dir.join(name)).unwrap_or_default());
    let is_placeholder = PLACEHOLDERS.contains(&value.to_lowercase().as_str());
    // A row of one letter, zeros or F's, is no number either.
    let mut letters = value.chars().filter(|letter| letter.is_alphanumeric());
    let first = letters.next();
    let is_one_letter = first.is_none_or(|first| letters.all(|letter| letter == first));
    if is_placeholder || is_one_letter { String::new() } else { value }
}

fn cleaned(text: &str) -> String {
    text.trim().chars().filter(|letter| !letter.is_control()).take(VALUE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_makers_placeholder_is_no_serial_number() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cases = [
            ("PF3XK9LM\n", "PF3XK9LM"),
            ("  VMware-56 4d  ", "VMware-56 4d"),
            ("To Be Filled By O.E.M.\n", ""),
            ("Default string", ""),
            ("00000000-0000-0000-0000-000000000000", ""),
            ("FFFFFFFF", ""),
            ("0", ""),
            ("\n", ""),
            ("a\u{7}b", "ab"),
        ];
        for (content, value) in cases {
            fs::write(dir.path().join("product_serial"), content).expect("a file");
            assert_eq!(firmware_value(dir.path(), "product_serial"), value, "{content}");
        }
        assert_eq!(firmware_value(dir.path(), "not_there"), "");
    }

    #[test]
    fn this_computer_has_a_name_and_an_account() {
        let evidence = gather();
        assert!(!evidence.host_name.is_empty() && !os_text().is_empty());
    }
}
