//! What every crate of Holdfast may lean on: time, randomness, identifiers, sizes, secrets.
//! Refuses any word of the domain and any error of another library. Layers: ARCHITECTURE.md.

mod blocking;
mod clock;
mod entropy;
mod id;
mod kind;
mod planted;
mod printable;
mod retry;
mod secret;
mod size;
mod time;

pub use blocking::{Inline, blocking, inline};
pub use clock::{Clock, ManualClock, SystemClock};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use id::{
    AdminId, CampaignId, ConflictId, CredentialId, DeviceId, FolderId, HoldId, IdError, InstallationId, MailId,
    MapRowId, ProfileId, RepositoryId, RunId, SnapshotId, TicketId, TokenId, UserId,
};
pub use kind::Kind;
#[cfg(feature = "planted")]
pub use planted::plant;
pub use planted::{Planted, is_planted};
pub use printable::printable;
pub use retry::Retry;
pub use secret::{Secret, SecretBytes};
pub use size::{Bytes, Count};
pub use time::{Span, Timestamp};
