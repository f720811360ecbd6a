//! The keys from the repository down to one object, each derived from the one above.
//! Refuses the way up: a device that holds the key of its run opens nothing that another run wrote.

use crate::seal::SealKey;
use base::{DeviceId, RunId, Secret};

const RUN_KEY_CONTEXT: &str = "holdfast 2026 v1 run key";
const PACK_KEY_CONTEXT: &str = "holdfast 2026 v1 pack key";
const MANIFEST_KEY_CONTEXT: &str = "holdfast 2026 v1 manifest key";
const CARD_KEY_CONTEXT: &str = "holdfast 2026 v1 card key";

/// A key of a whole repository, with the id by which headers name it. It never leaves the server.
#[derive(Clone, Debug)]
pub struct RepositoryKey {
    id: u32,
    secret: Secret<32>,
}

impl RepositoryKey {
    /// The key with this id. Never fails.
    pub const fn new(id: u32, secret: Secret<32>) -> Self {
        Self { id, secret }
    }

    /// The id that headers carry. Never fails.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The key of one run. Never fails.
    pub fn run_key(&self, run: RunId) -> RunKey {
        RunKey(derive(RUN_KEY_CONTEXT, &self.secret, run.as_bytes()))
    }

    pub(crate) fn card_key(&self, device: DeviceId, salt: &[u8; 32]) -> SealKey {
        SealKey::new(&derive(CARD_KEY_CONTEXT, &self.secret, &[&device.as_bytes()[..], salt].concat()))
    }
}

/// The key of one run: given to the device for that run, it seals and opens only what names that run in its header.
#[derive(Clone, Debug)]
pub struct RunKey(Secret<32>);

impl RunKey {
    /// The key with these bytes, as they came from the server. Never fails.
    pub const fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The bytes, for the answer that gives them to the device. Never fails.
    pub const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    pub(crate) fn pack_key(&self, salt: &[u8; 32]) -> SealKey {
        SealKey::new(&derive(PACK_KEY_CONTEXT, &self.0, salt))
    }

    pub(crate) fn manifest_key(&self, salt: &[u8; 32]) -> SealKey {
        SealKey::new(&derive(MANIFEST_KEY_CONTEXT, &self.0, salt))
    }
}

/// A key made of another one and something that is not secret. Never fails.
pub(crate) fn derive(context: &str, key: &Secret<32>, salt: &[u8]) -> Secret<32> {
    let hash = blake3::Hasher::new_derive_key(context).update(key.expose()).update(salt).finalize();
    Secret::new(*hash.as_bytes())
}

#[cfg(test)]
mod tests;
