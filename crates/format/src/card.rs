//! The sealed record of whose a device is: what a server that has lost its database knows it by.
//! Layout: docs/format.md, "Card". Refuses another device's place, and bytes that were changed.

use crate::codec::{Reader, Writer};
use crate::error::{Error, Flaw};
use crate::header::{Fields, HEADER_LEN, Magic};
use crate::key::RepositoryKey;
use crate::limits::{CARD_BYTES_MAX, LABEL_MAX, up_to};
use crate::seal::{SealNonce, TAG_LEN};
use base::{DeviceId, RepositoryId, Timestamp, UserId};

const PART: &str = "card";

/// Whose a device is, and by what it is known again. One that is written later has a higher number, and counts instead.
/// Every text has at most 1,024 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The device.
    pub device: DeviceId,
    /// Which of its cards, from 1.
    pub number: u32,
    /// The repository that holds its chunks.
    pub repository: RepositoryId,
    /// When the record was made, by the server's clock.
    pub created_at: Timestamp,
    /// Whose it is.
    pub user: UserId,
    /// The newest binding of a key to the record, and the public half of that key: by it the device is told what became
    /// of it, and nothing else. `None` for a record that never had one.
    pub key: Option<(u64, [u8; 32])>,
    /// That person's address.
    pub email: String,
    /// The name of the record.
    pub name: String,
    /// What its computer last said of itself: host name, serial number, hardware UUID, account, system, architecture.
    pub evidence: [String; 6],
}

impl Card {
    /// Seals: the bytes of the object. `salt` must be fresh. Errors: a limit.
    pub fn seal(&self, key: &RepositoryKey, salt: [u8; 32]) -> Result<Vec<u8>, Error> {
        let header = Fields { number: key.id(), id: *self.device.as_bytes(), salt }.encode(Magic::Card);
        let mut bytes = header.to_vec();
        self.check().map_err(|flaw| Error::Encode { part: PART, flaw })?;
        self.write(&mut Writer::new(&mut bytes));
        debug_assert!((bytes.len() + TAG_LEN) as u64 <= CARD_BYTES_MAX.0, "eight texts are far below it");
        key.card_key(self.device, &salt).seal(SealNonce::BODY, &header, &mut bytes, HEADER_LEN);
        Ok(bytes)
    }

    /// Opens the bytes of the object; `key_for` finds the repository key with an id.
    /// Errors: anything but a card as it was sealed.
    pub fn open(bytes: &[u8], key_for: impl FnOnce(u32) -> Option<RepositoryKey>) -> Result<Self, Error> {
        up_to(bytes.len() as u64, CARD_BYTES_MAX.0).map_err(|flaw| Error::Decode { part: PART, offset: 0, flaw })?;
        let Fields { number: key_id, id, salt } = Fields::decode(Magic::Card, bytes)?;
        let device = DeviceId::from_bytes(id);
        let (header, sealed) = bytes.split_at(HEADER_LEN);
        let body = key_for(key_id).and_then(|key| key.card_key(device, &salt).open(SealNonce::BODY, header, sealed));
        Self::read(device, &body.ok_or(Error::Open { part: PART })?)
    }

    /// What it says of the device, whatever its number: by this a card that is still right is known. Never fails.
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.raw(self.device.as_bytes());
        Self { number: 0, ..self.clone() }.write(&mut writer);
        *blake3::hash(&bytes).as_bytes()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.varint(self.number.into());
        writer.raw(self.repository.as_bytes());
        writer.zigzag(self.created_at.as_ms());
        writer.raw(self.user.as_bytes());
        match &self.key {
            None => writer.u8(0),
            Some((epoch, key)) => {
                writer.u8(1);
                writer.varint(*epoch);
                writer.raw(key);
            }
        }
        for text in self.texts() {
            writer.bytes(text.as_bytes());
        }
    }

    fn read(device: DeviceId, body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(PART, body);
        let number = reader.varint_u32()?;
        let repository = RepositoryId::from_bytes(reader.array()?);
        let created_at = Timestamp::from_ms(reader.zigzag()?);
        let user = UserId::from_bytes(reader.array()?);
        let key = match reader.u8()? {
            0 => None,
            1 => Some((reader.varint()?, reader.array()?)),
            _ => return Err(reader.flaw(Flaw::Tag)),
        };
        let mut text = || reader.text(LABEL_MAX.0).map(str::to_owned);
        let (email, name) = (text()?, text()?);
        let evidence = [text()?, text()?, text()?, text()?, text()?, text()?];
        reader.finish()?;
        Ok(Self { device, number, repository, created_at, user, key, email, name, evidence })
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        [&self.email, &self.name].into_iter().chain(&self.evidence)
    }

    fn check(&self) -> Result<(), Flaw> {
        self.texts().try_for_each(|text| up_to(text.len() as u64, LABEL_MAX.0))
    }
}

#[cfg(test)]
mod tests;
