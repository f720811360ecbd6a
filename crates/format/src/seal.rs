//! Encryption and authentication: AES-256-GCM under a key that seals one object only.
//! Refuses to choose nonces: each caller numbers its parts, and no number is used twice under one key.

use base::Secret;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// What sealing adds to a plaintext, in bytes.
pub(crate) const TAG_LEN: usize = 16;

/// The number of a sealed part under its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealNonce([u8; NONCE_LEN]);

impl SealNonce {
    /// The index of a pack: the one nonce of a pack whose last four bytes are not zero.
    pub(crate) const INDEX: SealNonce = SealNonce([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    /// The body of a manifest, a keyring or a card: the only part under its key.
    pub(crate) const BODY: SealNonce = SealNonce([0; NONCE_LEN]);

    /// Frame `number` of a pack: the number as u64, then a u32 zero.
    pub(crate) fn frame(number: u32) -> Self {
        let mut bytes = [0; NONCE_LEN];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }
}

/// A key for the parts of one object.
pub(crate) struct SealKey(LessSafeKey);

impl SealKey {
    pub(crate) fn new(secret: &Secret<32>) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, secret.expose()).expect("32 bytes are the length of this key");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts `bytes[from..]` in place and appends the tag. Never fails.
    pub(crate) fn seal(&self, nonce: SealNonce, header: &[u8], bytes: &mut Vec<u8>, from: usize) {
        let nonce = Nonce::assume_unique_for_key(nonce.0);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(header), &mut bytes[from..]);
        let tag = tag.expect("every structure is far below the 64 GiB that the cipher takes");
        bytes.extend_from_slice(tag.as_ref());
    }

    /// The plaintext of `sealed`; None when the key, the nonce, the header or any byte is another.
    pub(crate) fn open(&self, nonce: SealNonce, header: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let plain_len = sealed.len().checked_sub(TAG_LEN)?;
        let mut bytes = sealed.to_vec();
        self.0.open_in_place(Nonce::assume_unique_for_key(nonce.0), Aad::from(header), &mut bytes).ok()?;
        bytes.truncate(plain_len);
        Some(bytes)
    }
}
