//! Which snapshot this computer has made last, with what it takes to compare with: so that a device that may append
//! but not read goes on from it without asking the server. Disposable, and refuses to be believed when it is damaged
//! or of another device: everything is read again then.

use crate::journal::{Mark, WirePosition};
use crate::state::StateDir;
use base::{DeviceId, SnapshotId, Timestamp};
use format::{ChunkRef, StoredPath};
use protocol::{Hex, Text};
use serde::{Deserialize, Serialize};

const PARENT_FILE: &str = "parent.json";
const VERSION: u32 = 1;

/// The snapshot that was made last. Its trees are in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub snapshot: SnapshotId,
    /// Its root tree.
    pub root: ChunkRef,
    /// This computer's clock when its run began.
    pub began_at: Timestamp,
    /// What the change journal has to do with it, where somebody watches.
    pub mark: Option<Mark>,
}

/// What is kept of this device's last snapshot. What is damaged, or of another device, is not there. Never fails
/// otherwise.
pub fn look(dir: &StateDir, device: DeviceId) -> Option<Kept> {
    let bytes = dir.read_beside(PARENT_FILE).ok().flatten()?;
    let file: ParentFile = serde_json::from_slice(&bytes).ok()?;
    let kept = Kept {
        snapshot: file.snapshot.0,
        root: ChunkRef::from_bytes(file.root.0),
        began_at: Timestamp::from_ms(file.began_at_ms),
        mark: file.mark.map(MarkFile::read).transpose().ok()?,
    };
    let fits = file.version == VERSION && file.device.0 == device && file.digest == digest(device, &kept);
    fits.then_some(kept)
}

/// Keeps what was made last. Never fails: what cannot be kept is read again next time.
pub fn keep(dir: &StateDir, device: DeviceId, kept: &Kept) {
    let file = ParentFile {
        version: VERSION,
        device: Text(device),
        snapshot: Text(kept.snapshot),
        root: Hex(*kept.root.as_bytes()),
        began_at_ms: kept.began_at.as_ms(),
        mark: kept.mark.as_ref().map(MarkFile::of),
        digest: digest(device, kept),
    };
    let bytes = serde_json::to_vec_pretty(&file).expect("a struct of texts and numbers is always JSON");
    if let Err(error) = dir.keep_beside(PARENT_FILE, &bytes) {
        tracing::debug!("the last snapshot is not kept: {error}");
    }
}

/// `parent.json`.
#[derive(Serialize, Deserialize)]
struct ParentFile {
    version: u32,
    device: Text<DeviceId>,
    snapshot: Text<SnapshotId>,
    root: Hex<32>,
    began_at_ms: i64,
    mark: Option<MarkFile>,
    /// A clock that is a bit too late would make a changed file look unchanged.
    digest: Hex<32>,
}

/// The mark in it.
#[derive(Serialize, Deserialize)]
struct MarkFile {
    position: WirePosition,
    basis: Hex<32>,
    walked_at_ms: i64,
    again: Vec<String>,
}

impl MarkFile {
    fn of(mark: &Mark) -> Self {
        Self {
            position: (&mark.position).into(),
            basis: Hex(mark.basis),
            walked_at_ms: mark.walked_at.as_ms(),
            again: mark.again.iter().map(|path| protocol::path_to_text(path.as_bytes())).collect(),
        }
    }

    /// `Err` where a path is none.
    fn read(self) -> Result<Mark, ()> {
        let path = |text: &String| StoredPath::from_bytes(protocol::path_from_text(text)?).ok();
        Ok(Mark {
            position: self.position.into(),
            basis: self.basis.0,
            walked_at: Timestamp::from_ms(self.walked_at_ms),
            again: self.again.iter().map(path).collect::<Option<_>>().ok_or(())?,
        })
    }
}

fn digest(device: DeviceId, kept: &Kept) -> Hex<32> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&VERSION.to_le_bytes());
    hasher.update(device.as_bytes());
    hasher.update(kept.snapshot.as_bytes());
    hasher.update(kept.root.as_bytes());
    hasher.update(&kept.began_at.as_ms().to_le_bytes());
    if let Some(Mark { position, basis, walked_at, again }) = &kept.mark {
        hasher.update(&position.journal).update(&position.at.to_le_bytes());
        hasher.update(&position.taken_at.as_ms().to_le_bytes()).update(basis);
        hasher.update(&walked_at.as_ms().to_le_bytes());
        for path in again {
            hasher.update(&(path.as_bytes().len() as u64).to_le_bytes()).update(path.as_bytes());
        }
    }
    Hex(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Position;
    use base::SeededEntropy;

    #[test]
    fn what_is_damaged_in_any_bit_or_of_another_device_is_not_there() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let dir = StateDir::open(&place.path().join("state")).expect("a state directory");
        let entropy = SeededEntropy::new(3);
        let (device, snapshot) = (DeviceId::mint(&entropy), SnapshotId::mint(&entropy));
        let (root, began_at) = (ChunkRef::from_bytes([7; 32]), Timestamp::from_ms(1_764_000_000_123));
        let position = Position { journal: [5; 16], at: 77, taken_at: began_at };
        let again = vec![StoredPath::from_bytes(b"home/x".to_vec()).expect("a path")];
        let mark = Some(Mark { position, basis: [6; 32], walked_at: began_at, again });
        let kept = Kept { snapshot, root, began_at, mark };
        assert_eq!(look(&dir, device), None);
        keep(&dir, device, &kept);
        assert_eq!(look(&dir, device), Some(kept.clone()));
        assert_eq!(look(&dir, DeviceId::mint(&entropy)), None);
        let whole = dir.read_beside(PARENT_FILE).expect("a file").expect("a file");
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                dir.keep_beside(PARENT_FILE, &damaged).expect("a damaged file");
                // White space and the case of a letter say nothing.
                let found = look(&dir, device);
                assert!(found.is_none() || found.as_ref() == Some(&kept), "bit {bit} of byte {at}: {found:?}");
            }
        }
        dir.keep_beside(PARENT_FILE, &whole[..whole.len() / 2]).expect("half a file");
        assert_eq!(look(&dir, device), None);
    }
}
