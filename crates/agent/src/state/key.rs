//! The device's key: Ed25519, made here, kept as PKCS#8, never sent.
//! Refuses to be printed.

use base::{Entropy, Secret};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::fmt;
use std::sync::Arc;

/// What stands before the 32 secret bytes in PKCS#8 (RFC 8410): version 0, Ed25519, an octet string in one.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A key pair; cheap to clone.
#[derive(Clone)]
pub struct DeviceKey {
    seed: Secret<32>,
    pair: Arc<Ed25519KeyPair>,
}

impl DeviceKey {
    /// A new key. Never fails.
    pub fn mint(entropy: &dyn Entropy) -> Self {
        Self::from_seed(Secret::mint(entropy))
    }

    /// The key in these bytes; `None` when they are not one that `to_pkcs8` gives. Never fails otherwise.
    pub fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        let seed: [u8; 32] = bytes.strip_prefix(&PKCS8_HEAD)?.try_into().ok()?;
        Some(Self::from_seed(Secret::new(seed)))
    }

    /// The bytes to keep: 48, PKCS#8. Never fails.
    pub fn to_pkcs8(&self) -> Vec<u8> {
        [PKCS8_HEAD.as_slice(), self.seed.expose()].concat()
    }

    /// The public half. Never fails.
    pub fn public(&self) -> [u8; 32] {
        self.pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
    }

    /// Signs a message. Never fails.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }

    fn from_seed(seed: Secret<32>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("any 32 bytes are an Ed25519 seed");
        Self { seed, pair: Arc::new(pair) }
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey")
    }
}
