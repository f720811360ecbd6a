//! Bytes that are wiped when they are dropped and never printed.
//! Refuses comparison with `==`: a secret is compared by the code that knows how, in constant time.

use crate::Entropy;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes. Wiped on drop; `Debug` shows only that they are there.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over; the caller should not keep a copy. Never fails.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// A fresh secret, drawn from `entropy`. Never fails.
    pub fn mint(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; N];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The bytes themselves, for the one place that uses them. Never fails.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

/// Secret bytes of any length, such as a private key in a file. Wiped on drop; `Debug` shows only that they are there.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes the bytes over. Never fails.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves, for the one place that uses them. Never fails.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({N} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new([0x41; 4])), "Secret(4 bytes)");
        assert_eq!(format!("{:?}", SecretBytes::new(vec![0x41; 4])), "SecretBytes(4 bytes)");
    }
}
