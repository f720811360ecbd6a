//! Where a user stands, and what that lets the user's devices do.
//! Refuses everything to a user who is not active: the devices' own states are looked at after this one.

use crate::Refusal;
use std::fmt;

/// Where a user stands. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserState {
    /// May sign in, add devices within the limit, back up and restore.
    Active,
    /// An admin has locked the user out. Data, devices and credentials are kept.
    Locked,
    /// Has left: the service has stopped, the data is kept for whoever needs it.
    Preserved,
    /// Deleted, and purged after the undo period.
    Deleted,
}

impl UserState {
    /// Every state, in the order of docs/control.md.
    pub const ALL: [UserState; 4] = [UserState::Active, UserState::Locked, UserState::Preserved, UserState::Deleted];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            UserState::Active => "active",
            UserState::Locked => "locked",
            UserState::Preserved => "preserved",
            UserState::Deleted => "deleted",
        }
    }

    /// The state with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// May the user, or a device of the user, do anything at all? Fails with `user_not_active`.
    pub const fn may_act(self) -> Result<(), Refusal> {
        match self {
            UserState::Active => Ok(()),
            UserState::Locked | UserState::Preserved | UserState::Deleted => Err(Refusal::UserNotActive),
        }
    }
}

impl fmt::Display for UserState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_active_user_may_act_and_every_word_reads_back() {
        let may: Vec<(&str, bool)> = UserState::ALL.map(|state| (state.word(), state.may_act().is_ok())).into();
        assert_eq!(may, [("active", true), ("locked", false), ("preserved", false), ("deleted", false)]);
        assert!(UserState::ALL.into_iter().all(|state| UserState::from_word(state.word()) == Some(state)));
        assert_eq!(UserState::from_word("Active"), None);
        let explained = |state| crate::document::TEXT.contains(&format!("| `{state}` | "));
        assert!(UserState::ALL.into_iter().all(explained), "docs/control.md explains them");
    }
}
