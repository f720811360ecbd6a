//! The sealed and signed root record of a snapshot. Layout: docs/format.md, "Manifest".
//! Refuses bytes that were changed or sealed for another run, and a signature by another device key.

mod body;
mod problems;

use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::header::{HEADER_LEN, Magic, ObjectHeader};
use crate::key::RunKey;
use crate::limits::MANIFEST_BYTES_MAX;
use crate::path::StoredPath;
use crate::seal::{SealNonce, TAG_LEN};
use crate::tree::Totals;
use base::{DeviceId, RepositoryId, SnapshotId, Timestamp};
pub use problems::{ListedProblem, Problems};
use ring::signature::{ED25519, UnparsedPublicKey};

const PART: &str = "manifest";
const SIGNATURE_LEN: usize = 64;
/// What the device signs begins with this, so that the signature is good for nothing else.
const SIGNED_CONTEXT: &[u8] = b"holdfast manifest v1";

/// What a snapshot is: its root tree, and the facts about how it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The snapshot itself.
    pub snapshot: SnapshotId,
    /// The device that was backed up.
    pub device: DeviceId,
    /// The repository that holds its chunks.
    pub repository: RepositoryId,
    /// The tree of the root directory.
    pub root: ChunkRef,
    /// The earlier snapshot that was used to skip unchanged entries.
    pub parent: Option<SnapshotId>,
    /// When the run began, by the device's clock.
    pub began_at: Timestamp,
    /// When the run ended, by the device's clock; it may have been set back meanwhile.
    pub ended_at: Timestamp,
    /// The totals of the root tree.
    pub totals: Totals,
    /// Whether it is of some folders that a person has named, and not of all that the device is to back up.
    pub partial: bool,
    /// The folders that the run was asked to back up, strictly ascending; at most 4,096.
    pub folders: Vec<StoredPath>,
    /// The name of the device, as people know it; at most 1,024 bytes, as the next two.
    pub device_name: String,
    /// Its operating system.
    pub os: String,
    /// The version of the agent.
    pub agent_version: String,
    /// What went wrong with single entries.
    pub problems: Problems,
}

impl Manifest {
    /// Signs and seals: the bytes of the object. `header` must be fresh; `sign` is given what the device key signs with
    /// Ed25519. Errors: folders out of order, or a limit.
    pub fn seal(
        &self,
        run_key: &RunKey,
        header: &ObjectHeader,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = header.encode(Magic::Manifest).to_vec();
        bytes.extend_from_slice(&[0; SIGNATURE_LEN]);
        body::write(self, &mut bytes)?;
        if (bytes.len() + TAG_LEN) as u64 > MANIFEST_BYTES_MAX.0 {
            return Err(Error::Encode { part: PART, flaw: Flaw::Limit { max: MANIFEST_BYTES_MAX.0 } });
        }
        let body_at = HEADER_LEN + SIGNATURE_LEN;
        let signature = sign(&[SIGNED_CONTEXT, &bytes[body_at..]].concat());
        bytes[HEADER_LEN..body_at].copy_from_slice(&signature);
        let (aad, key) = (header.encode(Magic::Manifest), run_key.manifest_key(&header.salt));
        key.seal(SealNonce::BODY, &aad, &mut bytes, HEADER_LEN);
        Ok(bytes)
    }

    /// Opens the bytes of the object; `run_key_for` finds the key that the header asks for.
    /// Errors: anything but a manifest as it was sealed. Who signed it is for `verify` to tell.
    pub fn open(
        bytes: &[u8],
        run_key_for: impl FnOnce(&ObjectHeader) -> Option<RunKey>,
    ) -> Result<SignedManifest, Error> {
        if bytes.len() as u64 > MANIFEST_BYTES_MAX.0 {
            let flaw = Flaw::Limit { max: MANIFEST_BYTES_MAX.0 };
            return Err(Error::Decode { part: PART, offset: 0, flaw });
        }
        let header = ObjectHeader::of_manifest(bytes)?;
        let run_key = run_key_for(&header).ok_or(Error::KeyUnknown { key_id: header.key_id, run: header.run })?;
        let (aad, sealed) = bytes.split_at(HEADER_LEN);
        let body = run_key.manifest_key(&header.salt).open(SealNonce::BODY, aad, sealed);
        SignedManifest::decode(&body.ok_or(Error::Open { part: PART })?)
    }
}

/// A manifest that opened: the repository's key sealed it. Which device made it is not proven before `verify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedManifest {
    signature: [u8; 64],
    signed: Vec<u8>,
    manifest: Manifest,
}

impl SignedManifest {
    /// Reads the body in the open: the signature, and what is signed.
    /// Errors: anything that `seal` would not have written.
    pub fn decode(body: &[u8]) -> Result<Self, Error> {
        let flaw = Error::Decode { part: PART, offset: 0, flaw: Flaw::Truncated };
        let (signature, rest) = body.split_first_chunk::<SIGNATURE_LEN>().ok_or(flaw)?;
        let manifest = body::read(rest)?;
        Ok(Self { signature: *signature, signed: [SIGNED_CONTEXT, rest].concat(), manifest })
    }

    /// The body in the open, as `decode` read it. Never fails.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = self.signature.to_vec();
        body::write(&self.manifest, &mut body).expect("it was read from such bytes");
        body
    }

    /// What it says, unproven: to find the device key that must have signed it. Never fails.
    pub const fn unverified(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest, if `device_key` (the 32 bytes of an Ed25519 public key) signed it. Errors: `Signature`.
    pub fn verify(self, device_key: &[u8; 32]) -> Result<Manifest, Error> {
        let key = UnparsedPublicKey::new(&ED25519, device_key);
        key.verify(&self.signed, &self.signature).map_err(|_| Error::Signature)?;
        Ok(self.manifest)
    }
}

#[cfg(test)]
mod tests;
