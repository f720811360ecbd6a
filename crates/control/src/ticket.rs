//! Tickets: one-time codes that an admin makes for one user. How they are written, and when they are good.
//! Refuses to say why one is not good: unknown, used, revoked and expired are one answer.

use crate::Refusal;
use base::{Entropy, Secret, Span, Timestamp};

/// For how long a ticket is good when its maker does not say.
pub const SPAN_DEFAULT: Span = Span::days(7);
/// The longest time for which a ticket may be good.
pub const SPAN_MAX: Span = Span::days(30);

const PREFIX: &str = "HT";
const GROUPS: usize = 4;
const GROUP_LEN: usize = 4;
/// 80 bits: so many that nobody guesses one, and few enough to be read out on the telephone.
const CODE_LEN: usize = 10;
/// Crockford's: no letter that is mistaken for a digit when it is read aloud.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The code of a ticket. Not printable but by `to_text`, for the one moment in which it is shown.
#[derive(Clone, Debug)]
pub struct Code(Secret<CODE_LEN>);

/// What decides whether a ticket is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// When it ends.
    pub expires_at: Timestamp,
    /// When an admin withdrew it.
    pub revoked_at: Option<Timestamp>,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

impl Code {
    /// A new code. Never fails.
    pub fn mint(entropy: &dyn Entropy) -> Self {
        Self(Secret::mint(entropy))
    }

    /// The code that was typed: in any case, with or without the hyphens and the `HT`, `O` for zero, `I` and `L` for
    /// one. `None` when it is none. Never fails.
    pub fn parse(typed: &str) -> Option<Self> {
        let letters: Vec<u8> =
            typed.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| byte.to_ascii_uppercase()).collect();
        let body = letters.strip_prefix(PREFIX.as_bytes()).filter(|rest| rest.len() == GROUPS * GROUP_LEN);
        let body = body.unwrap_or(&letters);
        if body.len() != GROUPS * GROUP_LEN {
            return None;
        }
        let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::with_capacity(CODE_LEN));
        for letter in body {
            let letter = match letter {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                letter => *letter,
            };
            let value = SYMBOLS.iter().position(|symbol| *symbol == letter)?;
            bits = bits << 5 | u32::try_from(value).ok()?;
            count += 5;
            if count >= 8 {
                count -= 8;
                bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
            }
        }
        Some(Self(Secret::new(bytes.try_into().ok()?)))
    }

    /// As it is shown: `HT-XXXX-XXXX-XXXX-XXXX`. Never fails.
    pub fn to_text(&self) -> String {
        let (mut bits, mut count) = (0_u32, 0);
        let mut text = PREFIX.to_owned();
        let mut letters = 0;
        for byte in self.0.expose() {
            bits = bits << 8 | u32::from(*byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                if letters % GROUP_LEN == 0 {
                    text.push('-');
                }
                text.push(char::from(SYMBOLS[(bits >> count & 31) as usize]));
                letters += 1;
            }
        }
        text
    }

    /// What tells tickets apart in a list: the first group. Never fails.
    pub fn visible(&self) -> String {
        self.to_text()[..PREFIX.len() + 1 + GROUP_LEN].to_owned()
    }

    /// The bytes, for the one place that hashes them. Never fails.
    pub const fn expose(&self) -> &[u8; CODE_LEN] {
        self.0.expose()
    }
}

impl Terms {
    /// Is it good now? Fails with `ticket_invalid`.
    pub fn admits(&self, now: Timestamp) -> Result<(), Refusal> {
        let good = self.revoked_at.is_none() && self.used_at.is_none() && now < self.expires_at;
        if good { Ok(()) } else { Err(Refusal::TicketInvalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::SeededEntropy;

    #[test]
    fn a_code_is_read_back_as_it_was_shown_and_as_people_type_it() {
        for seed in 0..50 {
            let code = Code::mint(&SeededEntropy::new(seed));
            let text = code.to_text();
            assert_eq!(text.len(), 22, "{text}");
            let sloppy = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            for typed in [text.clone(), text.replace('-', ""), text[3..].to_owned(), sloppy] {
                let read = Code::parse(&typed).expect("a code");
                assert_eq!(read.expose(), code.expose(), "{typed}");
            }
            assert_eq!(code.visible(), &text[..7]);
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        for typed in ["", "HT", "HT-0000-0000-0000", "HT-0000-0000-0000-000U", "HT-0000-0000-0000-00000", "пароль"]
        {
            assert!(Code::parse(typed).is_none(), "{typed}");
        }
        let long = "A".repeat(10_000);
        assert!(Code::parse(&long).is_none());
    }

    #[test]
    fn a_code_is_not_printed() {
        assert!(!format!("{:?}", Code::parse("HT-ABCD-ABCD-ABCD-ABCD")).contains("ABCD"));
    }

    #[test]
    fn a_ticket_is_good_once_until_it_ends_and_every_no_is_the_same() {
        let now = Timestamp::from_ms(1_000);
        let good = Terms { expires_at: now + Span::ms(1), revoked_at: None, used_at: None };
        assert_eq!(good.admits(now), Ok(()));
        for bad in [
            Terms { expires_at: now, ..good },
            Terms { revoked_at: Some(now), ..good },
            Terms { used_at: Some(now), ..good },
        ] {
            assert_eq!(bad.admits(now), Err(Refusal::TicketInvalid));
        }
    }
}
