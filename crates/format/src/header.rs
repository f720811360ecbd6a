//! The first 64 bytes of an object: what it is, and which key opens it. They are authenticated with every sealed part.
//! Refuses another magic word, another version and a reserved field that is not zero.

use crate::codec::Reader;
use crate::error::{Error, Flaw};
use base::{Entropy, RunId};

/// The length of every header, in bytes.
pub(crate) const HEADER_LEN: usize = 64;

/// The newest version of sealed objects that this build reads, and the only one that it writes.
pub(crate) const OBJECT_VERSION: u16 = 1;

/// Which object a header begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Magic {
    Pack,
    Manifest,
    Keyring,
    Card,
    Age,
}

impl Magic {
    const fn word(self) -> &'static [u8; 6] {
        match self {
            Magic::Pack => b"HFPACK",
            Magic::Manifest => b"HFMANI",
            Magic::Keyring => b"HFKEYR",
            Magic::Card => b"HFCARD",
            Magic::Age => b"HFAGES",
        }
    }

    const fn part(self) -> &'static str {
        match self {
            Magic::Pack => "pack header",
            Magic::Manifest => "manifest header",
            Magic::Keyring => "keyring header",
            Magic::Card => "card header",
            Magic::Age => "age",
        }
    }
}

/// What stands in a header, whatever it means in the object that it begins.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) number: u32,
    pub(crate) id: [u8; 16],
    pub(crate) salt: [u8; 32],
}

impl Fields {
    pub(crate) fn encode(&self, magic: Magic) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..6].copy_from_slice(magic.word());
        bytes[6..8].copy_from_slice(&OBJECT_VERSION.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id);
        bytes[32..].copy_from_slice(&self.salt);
        bytes
    }

    pub(crate) fn decode(magic: Magic, bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(magic.part(), bytes);
        if reader.array::<6>()? != *magic.word() {
            return Err(Reader::new(magic.part(), bytes).flaw(Flaw::Fixed));
        }
        let version = u16::from_le_bytes(reader.array()?);
        if version > OBJECT_VERSION {
            return Err(Error::Version { part: magic.part(), version, newest: OBJECT_VERSION });
        }
        if version == 0 {
            return Err(reader.flaw(Flaw::Fixed));
        }
        let number = u32::from_le_bytes(reader.array()?);
        if reader.array::<4>()? != [0; 4] {
            return Err(reader.flaw(Flaw::Fixed));
        }
        Ok(Self { number, id: reader.array()?, salt: reader.array()? })
    }
}

/// What the header of a pack or of a manifest says: the repository key, the run, and the salt of this object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHeader {
    /// The id of the repository key.
    pub key_id: u32,
    /// The run that wrote the object.
    pub run: RunId,
    /// 32 random bytes, fresh for each object: with the run key they make the key of the object.
    pub salt: [u8; 32],
}

impl ObjectHeader {
    /// How many bytes from the beginning of an object hold its header.
    pub const LEN: usize = HEADER_LEN;

    /// A header of these parts; `salt` must be fresh. Never fails.
    pub const fn new(key_id: u32, run: RunId, salt: [u8; 32]) -> Self {
        Self { key_id, run, salt }
    }

    /// A header with a fresh salt. Never fails.
    pub fn mint(key_id: u32, run: RunId, entropy: &dyn Entropy) -> Self {
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        Self { key_id, run, salt }
    }

    /// Reads the header of a pack from its first 64 bytes or more.
    /// Errors: fewer bytes, another magic word, a version that this build does not read, a reserved field in use.
    pub fn of_pack(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode(Magic::Pack, bytes)
    }

    /// Reads the header of a manifest from its first 64 bytes or more. Errors: as `of_pack`.
    pub fn of_manifest(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode(Magic::Manifest, bytes)
    }

    pub(crate) fn encode(&self, magic: Magic) -> [u8; HEADER_LEN] {
        Fields { number: self.key_id, id: *self.run.as_bytes(), salt: self.salt }.encode(magic)
    }

    fn decode(magic: Magic, bytes: &[u8]) -> Result<Self, Error> {
        let Fields { number, id, salt } = Fields::decode(magic, bytes)?;
        Ok(Self { key_id: number, run: RunId::from_bytes(id), salt })
    }
}
