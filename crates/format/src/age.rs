//! The mark by which database and store are known to belong together. It is no more than a header: docs/format.md,
//! "Age". Refuses every byte beyond it.

use crate::error::{Error, Flaw};
use crate::header::{Fields, HEADER_LEN, Magic};
use base::InstallationId;

/// How far an installation has come, as it stands in the store. The database knows the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// Grows by one each time, from 1.
    pub number: u32,
    /// Whose it is.
    pub installation: InstallationId,
    /// 32 random bytes: of two databases that came to the same number apart, only one has these.
    pub nonce: [u8; 32],
}

impl Age {
    /// The 64 bytes of the object. Never fails.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        Fields { number: self.number, id: *self.installation.as_bytes(), salt: self.nonce }.encode(Magic::Age)
    }

    /// Reads the object. Errors: anything but an age.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let Fields { number, id, salt } = Fields::decode(Magic::Age, bytes)?;
        if bytes.len() > HEADER_LEN {
            return Err(Error::Decode { part: "age", offset: HEADER_LEN as u64, flaw: Flaw::Trailing });
        }
        Ok(Self { number, installation: InstallationId::from_bytes(id), nonce: salt })
    }
}
