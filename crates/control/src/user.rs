//! Where a user stands, and what that lets the user's devices do.
//! Refuses everything to a user who is not active: the devices' own states are looked at after this one.

use crate::Refusal;
use base::Timestamp;
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
    /// Gone for good; a row without an address stays, so that the audit log's identifiers mean something.
    Purged,
}

/// Where a user stands, with what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where.
    pub state: UserState,
    /// What a deleted user was before.
    pub was: Option<UserState>,
    /// When a deleted user may be purged.
    pub purge_after: Option<Timestamp>,
}

impl UserState {
    /// Every state, in the order of docs/control.md.
    pub const ALL: [UserState; 5] =
        [UserState::Active, UserState::Locked, UserState::Preserved, UserState::Deleted, UserState::Purged];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            UserState::Active => "active",
            UserState::Locked => "locked",
            UserState::Preserved => "preserved",
            UserState::Deleted => "deleted",
            UserState::Purged => "purged",
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
            UserState::Locked | UserState::Preserved | UserState::Deleted | UserState::Purged => {
                Err(Refusal::UserNotActive)
            }
        }
    }
}

/// What an admin, and at the end a job, does to a user. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserEvent {
    /// Lock the user out; everything is kept.
    Lock,
    /// End that.
    Unlock,
    /// The user has left: stop the service, keep the data.
    Preserve,
    /// Let the user act again.
    Activate,
    /// Delete the user, with everything still there until it is purged.
    Delete,
    /// Take the deletion back.
    Undelete,
    /// Remove the user for good, once that is over.
    Purge,
}

impl UserEvent {
    /// Every event, in the order of docs/control.md.
    pub const ALL: [UserEvent; 7] = [
        UserEvent::Lock,
        UserEvent::Unlock,
        UserEvent::Preserve,
        UserEvent::Activate,
        UserEvent::Delete,
        UserEvent::Undelete,
        UserEvent::Purge,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            UserEvent::Lock => "lock",
            UserEvent::Unlock => "unlock",
            UserEvent::Preserve => "preserve",
            UserEvent::Activate => "activate",
            UserEvent::Delete => "delete",
            UserEvent::Undelete => "undelete",
            UserEvent::Purge => "purge",
        }
    }
}

/// What an event makes of a user's state. Table: docs/control.md, "Users".
///
/// # Errors
/// `user_state_same`, `user_wrong_state`; `purge_too_early`.
pub fn step(now: Timestamp, standing: Standing, event: UserEvent) -> Result<UserState, Refusal> {
    use UserState::{Active, Deleted, Locked, Preserved, Purged};
    let state = standing.state;
    let same = Err(Refusal::UserStateSame { state: state.word() });
    let wrong = Err(Refusal::UserWrongState { state: state.word(), event: event.word() });
    match (state, event) {
        (Active, UserEvent::Lock) => Ok(Locked),
        (Active | Locked, UserEvent::Preserve) => Ok(Preserved),
        (Locked, UserEvent::Unlock) | (Locked | Preserved, UserEvent::Activate) => Ok(Active),
        (Active | Locked | Preserved, UserEvent::Delete) => Ok(Deleted),
        (Deleted, UserEvent::Undelete) => Ok(standing.was.unwrap_or(Preserved)),
        (Deleted, UserEvent::Purge) => match standing.purge_after {
            Some(after) if now < after => Err(Refusal::PurgeTooEarly { left: after.since(now) }),
            Some(_) | None => Ok(Purged),
        },
        (Active, UserEvent::Unlock | UserEvent::Activate)
        | (Locked, UserEvent::Lock)
        | (Preserved, UserEvent::Preserve)
        | (Deleted, UserEvent::Delete)
        | (Purged, UserEvent::Purge) => same,
        (Preserved, UserEvent::Lock | UserEvent::Unlock)
        | (Active | Locked | Preserved, UserEvent::Undelete | UserEvent::Purge)
        | (Deleted, UserEvent::Lock | UserEvent::Unlock | UserEvent::Preserve | UserEvent::Activate)
        | (
            Purged,
            UserEvent::Lock
            | UserEvent::Unlock
            | UserEvent::Preserve
            | UserEvent::Activate
            | UserEvent::Delete
            | UserEvent::Undelete,
        ) => wrong,
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
    use crate::document::NOW;
    use base::Span;

    #[test]
    fn only_an_active_user_may_act_and_every_word_reads_back() {
        let may: Vec<(&str, bool)> = UserState::ALL.map(|state| (state.word(), state.may_act().is_ok())).into();
        assert_eq!(
            may,
            [("active", true), ("locked", false), ("preserved", false), ("deleted", false), ("purged", false)]
        );
        assert!(UserState::ALL.into_iter().all(|state| UserState::from_word(state.word()) == Some(state)));
        assert_eq!(UserState::from_word("Active"), None);
        let explained = |state| crate::document::TEXT.contains(&format!("| `{state}` | "));
        assert!(UserState::ALL.into_iter().all(explained), "docs/control.md explains them");
    }

    #[test]
    fn every_event_does_to_every_state_what_the_document_says() {
        let table = crate::document::Table::read("user-events");
        let mut expected = Vec::new();
        let standing = |state, after| Standing { state, was: Some(UserState::Locked), purge_after: Some(after) };
        let mut rows: Vec<(String, Standing)> =
            UserState::ALL.map(|state| (state.word().to_owned(), standing(state, NOW + Span::ms(1)))).into();
        rows.insert(4, ("deleted over".to_owned(), standing(UserState::Deleted, NOW)));
        for (name, standing) in rows {
            let cell = |event| match step(NOW, standing, event) {
                // The only way to go where no event leads by itself.
                Ok(_) if event == UserEvent::Undelete => "what it was".to_owned(),
                Ok(after) => after.word().to_owned(),
                Err(refusal) => format!("`{}`", refusal.code()),
            };
            expected.push([vec![name], UserEvent::ALL.map(cell).to_vec()].concat());
        }
        assert_eq!(table.rows, expected);
        let undelete = |was| {
            let deleted = Standing { state: UserState::Deleted, was, purge_after: None };
            step(NOW, deleted, UserEvent::Undelete)
        };
        assert_eq!(undelete(Some(UserState::Active)), Ok(UserState::Active));
        assert_eq!(undelete(None), Ok(UserState::Preserved));
    }
}
