//! Which protocol versions this build speaks, and how two sides agree.

use serde::{Deserialize, Serialize};

/// The version that this build prefers.
pub const PROTOCOL_VERSION: u32 = 1;

/// The versions that one side speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// The oldest version spoken.
    pub min: u32,
    /// The newest version spoken.
    pub max: u32,
}

impl Versions {
    /// What this build speaks. Never fails.
    pub const fn ours() -> Self {
        Self { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION }
    }

    /// The newest version that both sides speak; `None` when there is none. Never fails.
    pub fn agree(self, other: Versions) -> Option<u32> {
        let version = self.max.min(other.max);
        (version >= self.min.max(other.min)).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_agreed_on_or_none() {
        let versions = |min, max| Versions { min, max };
        assert_eq!(versions(1, 3).agree(versions(2, 5)), Some(3));
        assert_eq!(versions(2, 5).agree(versions(1, 3)), Some(3));
        assert_eq!(versions(1, 1).agree(versions(2, 2)), None);
        assert_eq!(Versions::ours().agree(Versions::ours()), Some(PROTOCOL_VERSION));
    }
}
