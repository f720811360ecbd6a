//! The recovery kit: the master key in a form that a person can print, keep and type. Refuses a text with a wrong
//! letter in it, before anything is tried with it.

use crate::keys::MasterKey;
use crate::{AppError, SecretText};
use base::{InstallationId, Secret, Timestamp};
use data_encoding::{Encoding, Specification};
use std::sync::LazyLock;
use zeroize::Zeroizing;

/// Crockford's alphabet, in upper case: no letter that is mistaken for a digit, and those that are typed for one are
/// read as that one.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    spec.ignore.push_str("- \t\r\n");
    spec.translate.from.push_str("abcdefghjkmnpqrstvwxyzOoIiLl");
    spec.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    spec.encoding().expect("32 distinct symbols make an encoding")
});

const CHECK_CONTEXT: &str = "holdfast 2026 v1 recovery kit check";
const CHECK_LEN: usize = 3;
/// 35 bytes are 56 letters: 14 groups of four, in two lines.
const GROUP_LEN: usize = 4;
const LINE_GROUPS: usize = 7;

/// What brings an installation back of which only the store is left. Whoever has it and the store reads every backup.
#[derive(Clone, Debug)]
pub struct Kit {
    /// Whose it is.
    pub installation: InstallationId,
    /// When it was printed, by the server's clock.
    pub made_at: Timestamp,
    /// SHA-256 of the certificate that devices pin; empty where there is none.
    pub ca_fingerprint: String,
    /// Where the objects are, for a person.
    pub store: String,
    /// The key, in groups of letters; two lines.
    pub key: SecretText,
}

impl Kit {
    pub(super) fn key_text(master: &MasterKey) -> SecretText {
        let mut bytes = Zeroizing::new(master.secret().expose().to_vec());
        bytes.extend(check(master.secret()));
        let letters = Zeroizing::new(BASE32.encode(&bytes));
        let groups: Vec<&str> = (0..letters.len()).step_by(GROUP_LEN).map(|at| &letters[at..at + GROUP_LEN]).collect();
        let lines: Vec<String> = groups.chunks(LINE_GROUPS).map(|line| line.join("-")).collect();
        SecretText::new(lines.join("\n"))
    }

    /// The master key in what a person has typed or a file holds: the sheet as it was printed, or its key alone, in any
    /// case, with or without lines and spaces between.
    ///
    /// # Errors
    /// `kit_wrong`: a letter is missing or another one.
    pub fn key_parse(text: &str) -> Result<MasterKey, AppError> {
        // Of a sheet, the key stands in the last words of two lines.
        let last = |line: &'_ str| line.split_whitespace().next_back().filter(|word| is_line(word)).map(str::to_owned);
        let lines: Vec<String> = text.lines().filter_map(last).collect();
        let letters = Zeroizing::new(if lines.is_empty() { text.to_owned() } else { lines.join("-") });
        let bytes = BASE32.decode(letters.as_bytes()).ok().map(Zeroizing::new);
        let key = bytes.and_then(|bytes| {
            let (key, found) = bytes.split_first_chunk::<32>()?;
            let key = Secret::new(*key);
            (found == check(&key)).then_some(key)
        });
        let wrong = "That is not the key of a recovery kit: it has 14 groups of four letters and digits, and one of \
                     them is wrong or missing.";
        key.map(MasterKey::of).ok_or_else(|| AppError::invalid("kit_wrong", wrong))
    }
}

/// Whether a word is a line of the key as it is printed.
fn is_line(word: &str) -> bool {
    word.split('-').count() == LINE_GROUPS && word.split('-').all(|group| group.len() == GROUP_LEN)
}

fn check(key: &Secret<32>) -> [u8; CHECK_LEN] {
    let digest = blake3::derive_key(CHECK_CONTEXT, key.expose());
    *digest.first_chunk().expect("a digest has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::SeededEntropy;

    #[test]
    fn a_key_is_read_as_it_was_printed_and_as_people_type() {
        let master = MasterKey::mint(&SeededEntropy::new(1));
        let text = Kit::key_text(&master);
        assert_eq!(text.expose().lines().map(str::len).collect::<Vec<_>>(), [34, 34]);
        let typed = text.expose().to_lowercase().replace('0', "o").replace('1', "l").replace(['-', '\n'], " ");
        let sheet =
            format!("Holdfast recovery kit\n\n  key  {}\n\nKeep it well.\n", text.expose().replace('\n', "\n   "));
        for text in [text.expose(), typed.as_str(), &text.expose().replace('-', ""), &sheet] {
            let read = Kit::key_parse(text).expect("it is the same key");
            assert_eq!(read.secret().expose(), master.secret().expose());
        }
    }

    #[test]
    fn a_wrong_letter_is_told_wherever_it_stands() {
        let text = Kit::key_text(&MasterKey::mint(&SeededEntropy::new(1))).expose().replace(['-', '\n'], "");
        for at in 0..text.len() {
            let other = if &text[at..=at] == "7" { "8" } else { "7" };
            let wrong = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(Kit::key_parse(&wrong).err().map(|error| error.code()), Some("kit_wrong"), "{at}");
            assert!(Kit::key_parse(&text[..at]).is_err(), "{at} letters");
        }
        assert!(Kit::key_parse(&format!("{text}{text}")).is_err());
        assert!(Kit::key_parse("").is_err());
    }
}
