//! The sealed record of everything that opens an installation: what a server that has lost its database begins with.
//! Layout: docs/format.md, "Keyring". Refuses another master key, and bytes that were changed.

use crate::codec::{Reader, Writer};
use crate::error::{Error, Flaw};
use crate::header::{Fields, HEADER_LEN, Magic};
use crate::key::derive;
use crate::limits::{AUTHORITY_BYTES_MAX, KEYRING_BYTES_MAX, KEYRING_KEYS_MAX, up_to};
use crate::seal::{SealKey, SealNonce, TAG_LEN};
use base::{InstallationId, RepositoryId, Secret, SecretBytes, Timestamp};

const PART: &str = "keyring";
const KEYRING_KEY_CONTEXT: &str = "holdfast 2026 v1 keyring key";
/// Purpose, an id of one byte, and the key.
const KEY_LEN_MIN: usize = 34;

/// Every key of an installation, sealed by its master key. One that is written later has a higher number, and counts
/// instead.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// Which of the installation's keyrings, from 1.
    pub number: u32,
    /// Whose they are.
    pub installation: InstallationId,
    /// When it was written, by the server's clock.
    pub made_at: Timestamp,
    /// What every key of the servers hangs on that is no repository's.
    pub secret: Secret<32>,
    /// The repositories, in strictly ascending order of their names; at most 65,536.
    pub repositories: Vec<KeyringRepository>,
    /// The certificate that devices pin, as PEM; empty when the servers have none of their own. At most 64 KiB.
    pub authority: String,
    /// Its private key, as PEM; at most 64 KiB.
    pub authority_key: SecretBytes,
}

/// The keys of one repository.
#[derive(Clone, Debug)]
pub struct KeyringRepository {
    /// Its name.
    pub id: RepositoryId,
    /// Its keys, in strictly ascending order of purpose and id; at most 65,536.
    pub keys: Vec<KeyringKey>,
}

/// One key of a repository.
#[derive(Clone, Debug)]
pub struct KeyringKey {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Which of the keys for that.
    pub id: u32,
    /// The key.
    pub secret: Secret<32>,
}

/// What a repository's key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyPurpose {
    /// Names chunks.
    Name = 0,
    /// Seals packs, manifests, cards and roots.
    Seal = 1,
}

impl KeyPurpose {
    /// The word in the database. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            KeyPurpose::Name => "name",
            KeyPurpose::Seal => "seal",
        }
    }

    /// The purpose with this word; `None` for another one. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        [KeyPurpose::Name, KeyPurpose::Seal].into_iter().find(|purpose| purpose.word() == word)
    }

    const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(KeyPurpose::Name),
            1 => Some(KeyPurpose::Seal),
            _ => None,
        }
    }
}

impl Keyring {
    /// Seals: the bytes of the object. `salt` must be fresh. Errors: an order that is not ascending, or a limit.
    pub fn seal(&self, master: &Secret<32>, salt: [u8; 32]) -> Result<Vec<u8>, Error> {
        let header = Fields { number: self.number, id: *self.installation.as_bytes(), salt }.encode(Magic::Keyring);
        let mut bytes = header.to_vec();
        self.check().map_err(|flaw| Error::Encode { part: PART, flaw })?;
        self.write(&mut Writer::new(&mut bytes));
        up_to((bytes.len() + TAG_LEN) as u64, KEYRING_BYTES_MAX.0)
            .map_err(|flaw| Error::Encode { part: PART, flaw })?;
        key(master, &salt).seal(SealNonce::BODY, &header, &mut bytes, HEADER_LEN);
        Ok(bytes)
    }

    /// Opens the bytes of the object. Errors: another master key, or anything but a keyring as it was sealed.
    pub fn open(bytes: &[u8], master: &Secret<32>) -> Result<Self, Error> {
        up_to(bytes.len() as u64, KEYRING_BYTES_MAX.0).map_err(|flaw| Error::Decode { part: PART, offset: 0, flaw })?;
        let Fields { number, id, salt } = Fields::decode(Magic::Keyring, bytes)?;
        let (header, sealed) = bytes.split_at(HEADER_LEN);
        let body = key(master, &salt).open(SealNonce::BODY, header, sealed).map(SecretBytes::new);
        Self::read(number, InstallationId::from_bytes(id), body.ok_or(Error::Open { part: PART })?.expose())
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.zigzag(self.made_at.as_ms());
        writer.raw(self.secret.expose());
        writer.count(self.repositories.len());
        for repository in &self.repositories {
            writer.raw(repository.id.as_bytes());
            writer.count(repository.keys.len());
            for key in &repository.keys {
                writer.u8(key.purpose as u8);
                writer.varint(key.id.into());
                writer.raw(key.secret.expose());
            }
        }
        writer.bytes(self.authority.as_bytes());
        writer.bytes(self.authority_key.expose());
    }

    fn read(number: u32, installation: InstallationId, body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(PART, body);
        let made_at = Timestamp::from_ms(reader.zigzag()?);
        let secret = Secret::new(reader.array()?);
        let count = reader.count(KEYRING_KEYS_MAX.0, 16)?;
        let repositories = (0..count).map(|_| repository(&mut reader)).collect::<Result<_, _>>()?;
        let authority = reader.text(AUTHORITY_BYTES_MAX.0)?.to_owned();
        let authority_key = SecretBytes::new(reader.bytes(AUTHORITY_BYTES_MAX.0)?.to_vec());
        let keyring = Self { number, installation, made_at, secret, repositories, authority, authority_key };
        keyring.check().map_err(|flaw| reader.flaw(flaw))?;
        reader.finish()?;
        Ok(keyring)
    }

    fn check(&self) -> Result<(), Flaw> {
        up_to(self.repositories.len() as u64, KEYRING_KEYS_MAX.0)?;
        for repository in &self.repositories {
            up_to(repository.keys.len() as u64, KEYRING_KEYS_MAX.0)?;
            let keys = repository.keys.iter().map(|key| (key.purpose, key.id));
            if !keys.is_sorted_by(|one, next| one < next) {
                return Err(Flaw::Order);
            }
        }
        for text in [self.authority.as_bytes(), self.authority_key.expose()] {
            up_to(text.len() as u64, AUTHORITY_BYTES_MAX.0)?;
        }
        if self.repositories.is_sorted_by(|one, next| one.id < next.id) { Ok(()) } else { Err(Flaw::Order) }
    }
}

fn repository(reader: &mut Reader<'_>) -> Result<KeyringRepository, Error> {
    let id = RepositoryId::from_bytes(reader.array()?);
    let count = reader.count(KEYRING_KEYS_MAX.0, KEY_LEN_MIN)?;
    let one = |_| {
        let purpose = KeyPurpose::from_u8(reader.u8()?).ok_or_else(|| reader.flaw(Flaw::Tag))?;
        Ok(KeyringKey { purpose, id: reader.varint_u32()?, secret: Secret::new(reader.array()?) })
    };
    Ok(KeyringRepository { id, keys: (0..count).map(one).collect::<Result<_, _>>()? })
}

fn key(master: &Secret<32>, salt: &[u8; 32]) -> SealKey {
    SealKey::new(&derive(KEYRING_KEY_CONTEXT, master, salt))
}

#[cfg(test)]
mod tests;
