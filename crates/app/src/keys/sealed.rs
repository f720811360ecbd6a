//! Small values sealed for the database. Refuses what another key has sealed, or for another place.

use base::{Entropy, Secret};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Nonce, ciphertext, tag. Random nonces: a key seals far fewer than 2^32 values in its life.
pub(crate) fn seal(key: &Secret<32>, aad: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce);
    let mut sealed = plain.to_vec();
    aead(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
        .expect("keys and answers are far below the limit of the cipher");
    [&nonce[..], &sealed].concat()
}

/// What `seal` has sealed with the same key and data; `None` for anything else. Never fails.
pub(crate) fn open(key: &Secret<32>, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut bytes = sealed.to_vec();
    let plain = aead(key).open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut bytes).ok()?;
    Some(plain.to_vec())
}

fn aead(key: &Secret<32>) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("the key has the cipher's 32 bytes"))
}
