//! Texts that are shown once and kept as a hash: credentials, deployment tokens and links. Refuses to be printed,
//! and to be short: 256 random bits need no salt, and no price that slows guessing down.

use base::{Entropy, Secret};
use data_encoding::BASE64URL_NOPAD;
use std::fmt;
use zeroize::Zeroizing;

/// A text that is never longer is looked at; the longest of ours has 48 letters.
pub const TEXT_BYTES_MAX: usize = 128;
/// What is shown of a text in lists, beyond its prefix.
const VISIBLE_LEN: usize = 6;

/// A secret text. Not printable; wiped on drop.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// A new one that begins with `prefix`. Never fails.
    pub(crate) fn mint(prefix: &str, entropy: &dyn Entropy) -> Self {
        let bytes = Secret::<32>::mint(entropy);
        Self(Zeroizing::new(format!("{prefix}{}", BASE64URL_NOPAD.encode(bytes.expose()))))
    }

    /// Takes over what somebody presents. Never fails.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one moment in which it is shown. Never fails.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash under which it is kept; `context` keeps kinds of texts apart. `None` for what is no such text: it
    /// does not begin with `prefix`, or is too long. Never fails.
    pub(crate) fn hash(&self, prefix: &str, context: &str) -> Option<[u8; 32]> {
        let text = self.0.trim();
        let fits = text.len() <= TEXT_BYTES_MAX && text.starts_with(prefix);
        fits.then(|| blake3::derive_key(context, text.as_bytes()))
    }

    /// What tells texts apart in a list: the prefix and a few letters. Never fails.
    pub(crate) fn visible(&self, prefix: &str) -> String {
        self.0.chars().take(prefix.len() + VISIBLE_LEN).collect()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::SeededEntropy;

    #[test]
    fn a_text_has_256_bits_behind_its_prefix_and_is_not_printed() {
        let text = SecretText::mint("hfx1_", &SeededEntropy::new(1));
        assert_eq!(text.expose().len(), 5 + 43);
        assert_eq!(text.visible("hfx1_").len(), 11);
        assert_eq!(format!("{text:?}"), "SecretText");
        let typed = SecretText::new(format!(" {}\n", text.expose()));
        assert_eq!(typed.hash("hfx1_", "a"), text.hash("hfx1_", "a"), "space around it does no harm");
        assert_ne!(text.hash("hfx1_", "a"), text.hash("hfx1_", "b"));
        assert_eq!(text.hash("hfy1_", "a"), None);
        assert_eq!(SecretText::new("hfx1_".repeat(100)).hash("hfx1_", "a"), None);
    }
}
