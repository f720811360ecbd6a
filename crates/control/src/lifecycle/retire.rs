//! The end of a device: decommission, confirm_wipe, delete, undelete, purge.
//! Refuses to lose data before the undo period is over. Table: docs/control.md, "To the end".

use super::Effect::{CancelRuns, NotifyAdmins, NotifyUser, PurgeData, RevokeCredential, ScheduleCatchUp, WipeLocal};
use super::{Notice, Step, nothing_to_change, wrong_state};
use crate::{Refusal, State};
use base::Timestamp;

pub(super) fn decommission(state: &State) -> Result<Step, Refusal> {
    match state {
        State::Active { .. }
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Suspended { .. }
        | State::Quarantined { .. } => Ok((
            State::Decommissioning { was: Box::new(state.clone()) },
            vec![CancelRuns, WipeLocal, NotifyUser(Notice::Decommissioning)],
        )),
        State::Decommissioning { .. } | State::Decommissioned => nothing_to_change(state),
        State::Pending | State::Deleted { .. } | State::Purged => wrong_state(state, "decommission"),
    }
}

pub(super) fn confirm_wipe(state: &State) -> Result<Step, Refusal> {
    match state {
        State::Decommissioning { .. } => {
            Ok((State::Decommissioned, vec![RevokeCredential, NotifyAdmins(Notice::Wiped)]))
        }
        State::Decommissioned => nothing_to_change(state),
        State::Pending
        | State::Active { .. }
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Suspended { .. }
        | State::Quarantined { .. }
        | State::Deleted { .. }
        | State::Purged => wrong_state(state, "confirm_wipe"),
    }
}

pub(super) fn delete(state: &State, purge_after: Timestamp) -> Result<Step, Refusal> {
    match state {
        State::Pending
        | State::Active { .. }
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Suspended { .. }
        | State::Quarantined { .. }
        | State::Decommissioning { .. }
        | State::Decommissioned => Ok((
            State::Deleted { was: Box::new(state.clone()), purge_after },
            vec![CancelRuns, NotifyUser(Notice::Deleted)],
        )),
        State::Deleted { .. } => nothing_to_change(state),
        State::Purged => wrong_state(state, "delete"),
    }
}

pub(super) fn undelete(state: &State) -> Result<Step, Refusal> {
    match state {
        State::Deleted { was, .. } => Ok((was.as_ref().clone(), vec![ScheduleCatchUp, NotifyUser(Notice::Undeleted)])),
        State::Pending
        | State::Active { .. }
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Suspended { .. }
        | State::Quarantined { .. }
        | State::Decommissioning { .. }
        | State::Decommissioned
        | State::Purged => wrong_state(state, "undelete"),
    }
}

pub(super) fn purge(now: Timestamp, state: &State) -> Result<Step, Refusal> {
    match state {
        State::Deleted { purge_after, .. } if now >= *purge_after => {
            Ok((State::Purged, vec![RevokeCredential, PurgeData]))
        }
        State::Deleted { purge_after, .. } => Err(Refusal::PurgeTooEarly { left: purge_after.since(now) }),
        State::Purged => nothing_to_change(state),
        State::Pending
        | State::Active { .. }
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Suspended { .. }
        | State::Quarantined { .. }
        | State::Decommissioning { .. }
        | State::Decommissioned => wrong_state(state, "purge"),
    }
}
