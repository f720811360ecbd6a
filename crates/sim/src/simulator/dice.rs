//! Chance: all that the simulator decides is drawn here, from one seed, in the order in which it is asked.

use base::{Entropy, SeededEntropy, Span};

/// The dice of one play.
pub(super) struct Dice(SeededEntropy);

impl Dice {
    /// Those of a seed. Never fails.
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number below `end`, which is not 0. Never fails.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Yes in one of so many cases; never in none. Never fails.
    pub(super) fn once_in(&self, cases: u64) -> bool {
        cases > 0 && self.below(cases) == 0
    }

    /// A span up to `most`. Never fails.
    pub(super) fn span(&self, most: Span) -> Span {
        Span::ms(self.below(most.as_ms() + 1))
    }

    /// A span whose logarithm is drawn evenly, from one millisecond to `most`: mostly short, sometimes long. Never
    /// fails.
    pub(super) fn span_of_any_size(&self, most: Span) -> Span {
        let bits = 64 - most.as_ms().leading_zeros();
        let most_of_size = 1_u64 << self.below(u64::from(bits) + 1).min(63);
        Span::ms(1 + self.below(most_of_size).min(most.as_ms()))
    }

    /// One of these; none of none. Never fails.
    pub(super) fn pick<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.below(all.len() as u64) as usize) }
    }

    /// Bytes. Never fails.
    pub(super) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    /// Another source of chance, for one part of the world. Never fails.
    pub(super) fn seed(&self) -> u64 {
        self.draw()
    }

    fn draw(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}
