//! Finds two machines with one key: the server hands out a counter at every session, and a device presents the one
//! that it was given last. Refuses to alarm for an answer that was lost: the one before counts as well, until the next.
//! Rules and why they suffice: docs/control.md, "Clones". The seal over the bytes is the caller's.

use base::{Planted, Span, Timestamp, is_planted};

/// Length of what is handed out: epoch 8 · number 8 · nonce 8 · MAC 32.
pub const COUNTER_LEN: usize = 56;
/// Length of the nonce.
pub const NONCE_LEN: usize = 8;

/// One counter, as it was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// The binding of the key that it belongs to.
    pub epoch: u64,
    /// How many sessions were opened by presenting one, under this binding.
    pub number: u64,
    /// Drawn anew each time.
    pub nonce: [u8; NONCE_LEN],
}

/// What the server remembers of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remembered {
    /// What was handed out last.
    pub current: Counter,
    /// What was presented for it; `None` when nothing was.
    pub before: Option<[u8; NONCE_LEN]>,
}

/// What a device shows at a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presented {
    /// None at all: a program that keeps none, or a copy that has lost it.
    Nothing,
    /// Bytes that this server has not sealed.
    Unsealed,
    /// A counter that this server has handed out at some time.
    Sealed(Counter),
}

/// What follows from what a device shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// All is well; to be remembered, and `current` to be handed out.
    Next(Remembered),
    /// Two machines have been given counters of one line. To be remembered and handed out all the same, because a
    /// quarantined device goes on appending.
    Conflict(Remembered),
}

/// What follows when a device under `epoch` presents this, with a fresh `nonce` to hand out. `remembered` is `None`
/// when nothing was handed out since an admin looked, or since the binding. Never fails.
pub fn judge(remembered: Option<&Remembered>, presented: Presented, epoch: u64, nonce: [u8; NONCE_LEN]) -> Judgement {
    let hand_out = |number, before| Remembered { current: Counter { epoch, number, nonce }, before };
    let Some(Remembered { current, before }) = remembered.filter(|remembered| remembered.current.epoch == epoch) else {
        // A new binding, or a new line after an admin has looked: whoever comes first begins it. What it has of the
        // line before it shows again, should this answer be lost.
        let shown = match presented {
            Presented::Sealed(shown) => Some(shown.nonce),
            Presented::Unsealed | Presented::Nothing => None,
        };
        return Judgement::Next(hand_out(0, shown));
    };
    match presented {
        // INVARIANT: what was presented is what may be presented again, and nothing older.
        Presented::Sealed(shown) if shown == *current => {
            Judgement::Next(hand_out(current.number.saturating_add(1), Some(shown.nonce)))
        }
        // The last answer was lost. What it gave is taken back: should another machine have it, it will be found.
        Presented::Sealed(shown) if Some(shown.nonce) == *before && !is_planted(Planted::LostAnswerIsCopy) => {
            Judgement::Next(hand_out(current.number, *before))
        }
        // A program that keeps no counters is not mistaken for a copy, as long as none was ever presented.
        Presented::Nothing if current.number == 0 => Judgement::Next(hand_out(0, Some(current.nonce))),
        Presented::Sealed(_) | Presented::Unsealed | Presented::Nothing => {
            Judgement::Conflict(hand_out(current.number.saturating_add(1), None))
        }
    }
}

/// Is the answer to a challenge of `issued_at` too late to count, because one given out after it was answered before?
/// A request that was long under way must not count as a machine of its own. `lifetime` is a challenge's: what is
/// older than that is a clock that was set back, and counts. Never fails.
pub fn overtaken(issued_at: Timestamp, newest_answered: Option<Timestamp>, lifetime: Span) -> bool {
    newest_answered.is_some_and(|newest| newest > issued_at && newest.since(issued_at) <= lifetime)
}

/// Does a signature by a key that another has replaced show that two machines have it? `own_word`: every binding since
/// rests on the word of the key before it alone, so that whoever had the key could make it. `used`: a session was
/// opened under the newest one; until then the answer that gave it may have been lost. Never fails.
pub const fn outlived(own_word: bool, used: bool) -> bool {
    own_word && used
}

impl Remembered {
    /// Was a session opened in this line? Never fails.
    pub const fn used(&self) -> bool {
        self.current.number > 0 || self.before.is_some()
    }
}

impl Counter {
    /// The bytes that the server seals: all but the MAC. Never fails.
    pub fn to_bytes(&self) -> [u8; COUNTER_LEN - 32] {
        let mut bytes = [0; COUNTER_LEN - 32];
        bytes[..8].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_be_bytes());
        bytes[16..].copy_from_slice(&self.nonce);
        bytes
    }

    /// The counter that these bytes are. Never fails.
    pub fn from_bytes(bytes: &[u8; COUNTER_LEN - 32]) -> Self {
        let word = |at: usize| -> [u8; 8] { bytes[at..at + 8].try_into().expect("eight bytes are eight") };
        Self { epoch: u64::from_be_bytes(word(0)), number: u64::from_be_bytes(word(8)), nonce: word(16) }
    }
}

#[cfg(test)]
mod tests;
