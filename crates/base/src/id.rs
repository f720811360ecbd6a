//! Identifiers as types: 16 random bytes each, shown as a word for what they name and 26 letters and digits.
//! Refuses to be made from anything but randomness or its own text or bytes.

use crate::{Entropy, Timestamp};
use data_encoding::{Encoding, Specification};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// Crockford's alphabet, in lower case: no letter that is mistaken for a digit when it is read aloud.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    spec.encoding().expect("32 distinct symbols make an encoding")
});

/// A text that is not an identifier of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    prefix: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an identifier of the form {}_ and 26 letters and digits", self.prefix)
    }
}

impl std::error::Error for IdError {}

fn parse(prefix: &'static str, text: &str) -> Result<[u8; 16], IdError> {
    let error = IdError { prefix };
    let body = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or(error.clone())?;
    let bytes = BASE32.decode(body.as_bytes()).map_err(|_| error.clone())?;
    bytes.try_into().map_err(|_| error)
}

/// The first and the last 16 bytes whose text begins with `text`.
fn beginning_with(prefix: &'static str, text: &str) -> Option<[[u8; 16]; 2]> {
    const DIGITS: u32 = 26;
    let body = text.strip_prefix(prefix)?.strip_prefix('_')?;
    let symbols = &BASE32.specification().symbols;
    let (mut bits, mut count) = (0_u128, 0);
    for letter in body.chars() {
        let value = symbols.find(letter)? as u128;
        count += 1;
        bits = match count {
            1..DIGITS => bits << 5 | value,
            // The last of 26 digits has three bits of an identifier; the others are zero in every text.
            DIGITS if value & 0b11 == 0 => bits << 3 | value >> 2,
            _ => return None,
        };
    }
    let rest = 128_u32.saturating_sub(5 * count);
    let (first, below) = match rest {
        128 => (0, u128::MAX),
        rest => (bits << rest, (1 << rest) - 1),
    };
    Some([first.to_be_bytes(), (first | below).to_be_bytes()])
}

macro_rules! id {
    ($name:ident, $prefix:literal, $what:literal) => {
        #[doc = concat!("Names ", $what, ": 16 random bytes, shown as `", $prefix, "_` and 26 characters.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What the text of such an identifier begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier, drawn from `entropy`. Never fails.
            pub fn mint(entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes);
                Self(bytes)
            }

            /// The identifier with these bytes. Never fails.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The first and the last identifier whose text begins with `text`; `None` when no text does. Never fails.
            pub fn beginning_with(text: &str) -> Option<(Self, Self)> {
                beginning_with($prefix, text).map(|[first, last]| (Self(first), Self(last)))
            }

            /// The 16 bytes. Never fails.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), BASE32.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }
    };
}

id!(AdminId, "adm", "an admin");
id!(CampaignId, "cmp", "a reset campaign");
id!(ConflictId, "cnf", "a conflict of two machines over one record");
id!(CredentialId, "crd", "a credential of the admin API");
id!(DeviceId, "dev", "a device record");
id!(FolderId, "fld", "a folder of a policy");
id!(HoldId, "hld", "a legal hold");
id!(InstallationId, "ins", "an installation: a database, a store and the servers on them");
id!(MailId, "eml", "a message in the outbox");
id!(MapRowId, "map", "a row of the device map");
id!(ProfileId, "prf", "a profile");
id!(RepositoryId, "rep", "a repository");
id!(RunId, "run", "one execution of a backup or a restore");
id!(SnapshotId, "snp", "a snapshot");
id!(TicketId, "tkt", "a ticket");
id!(TokenId, "tok", "a deployment token");
id!(UserId, "usr", "a user");

/// The bytes of a run's identifier that say when it began.
const BEGUN_LEN: usize = 6;

impl RunId {
    /// A new identifier of a run that begins now: six bytes of the time in milliseconds, and ten random ones. Packs and
    /// manifests carry it, so a server that has lost its database knows when each was made. Never fails.
    pub fn begun(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut id = Self::mint(entropy);
        id.0[..BEGUN_LEN].copy_from_slice(&now.as_ms().to_be_bytes()[8 - BEGUN_LEN..]);
        id
    }

    /// When the run began, by the clock of the server. Never fails; of an identifier that `begun` has not made, any
    /// time of the next 8,900 years.
    pub fn begun_at(&self) -> Timestamp {
        let mut bytes = [0; 8];
        bytes[8 - BEGUN_LEN..].copy_from_slice(&self.0[..BEGUN_LEN]);
        Timestamp::from_ms(i64::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn text_and_back_is_the_same_identifier() {
        let id = DeviceId::mint(&SeededEntropy::new(1));
        let text = id.to_string();
        assert!(text.starts_with("dev_") && text.len() == 30, "{text}");
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn the_identifier_of_a_run_says_when_it_began() {
        let entropy = SeededEntropy::new(1);
        for ms in [0, 1_780_000_000_123, (1 << 48) - 1] {
            let now = Timestamp::from_ms(ms);
            let (one, other) = (RunId::begun(now, &entropy), RunId::begun(now, &entropy));
            assert_eq!((one.begun_at(), other.begun_at()), (now, now));
            assert_ne!(one, other);
        }
    }

    #[test]
    fn another_kind_a_short_text_and_a_strange_letter_are_refused() {
        let id = DeviceId::mint(&SeededEntropy::new(1)).to_string();
        assert!(id.parse::<RunId>().is_err());
        assert!(id[..29].parse::<DeviceId>().is_err());
        assert!(id.replace(&id[10..11], "u").parse::<DeviceId>().is_err());
        assert!("".parse::<DeviceId>().is_err());
    }

    #[test]
    fn the_identifiers_that_begin_with_a_text_are_those_in_its_range() {
        let id = DeviceId::mint(&SeededEntropy::new(1));
        let text = id.to_string();
        let all = (DeviceId::from_bytes([0; 16]), DeviceId::from_bytes([0xff; 16]));
        assert_eq!(DeviceId::beginning_with("dev_"), Some(all));
        assert_eq!(DeviceId::beginning_with(&text), Some((id, id)));
        for len in 4..text.len() {
            let (first, last) = DeviceId::beginning_with(&text[..len]).expect("a beginning");
            assert!(first <= id && id <= last, "{len}");
            assert!(first.to_string().starts_with(&text[..len]) && last.to_string().starts_with(&text[..len]), "{len}");
        }
        let longer = format!("{text}0");
        let odd = format!("{}1", &text[..29]);
        for none in ["", "dev", "run_0", "dev_u", "dev_0-", &longer, &odd] {
            assert_eq!(DeviceId::beginning_with(none), None, "{none}");
        }
    }
}
