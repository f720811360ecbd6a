//! Randomness as an argument: the operating system's, and a seeded one for tests and the simulator.
//! The only file that may draw from the operating system's generator.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::sync::Mutex;

/// A source of random bytes that nobody can predict (`OsEntropy`) or that a seed fixes (`SeededEntropy`).
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`. Never fails: an operating system without randomness ends the program.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("without randomness no key is safe: the program must not go on");
    }
}

/// A generator that gives the same bytes for the same seed. Never for real keys.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<ChaCha20Rng>);

impl SeededEntropy {
    /// A generator for this seed. Never fails.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_bytes_and_another_seed_changes_them() {
        let draw = |seed| {
            let mut bytes = [0; 16];
            SeededEntropy::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
