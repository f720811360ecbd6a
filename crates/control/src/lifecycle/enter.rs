//! The ways into service: activate, approve, reactivate, replace.
//! Refuses to give more rights than the proof is worth. Table: docs/control.md, "Into service".

use super::Effect::{
    CancelRuns, ClearUnlinked, IssueCredential, NotifyUser, RenewCredential, ResetOverrides, RevokeCredential,
    ScheduleCatchUp,
};
use super::{Effect, Notice, Step, nothing_to_change, wrong_state};
use crate::{Level, Proof, Refusal, Rights, State, Strength};
use base::Timestamp;

pub(super) fn activate(state: &State, proof: Proof) -> Result<Step, Refusal> {
    let first = |rights| Ok((State::Active { rights }, vec![IssueCredential, NotifyUser(Notice::Activated)]));
    match state {
        State::Pending => match proof.strength() {
            Strength::Person => first(Rights::Full),
            Strength::Token | Strength::TokenAndMap => first(Rights::AppendOnly),
            Strength::OldKey | Strength::OldKeyAndToken => Err(Refusal::DevicePending),
            // An admin says yes by approving.
            Strength::Admin => wrong_state(state, "activate"),
        },
        State::Active { .. } => Err(Refusal::AlreadyActive),
        State::Held { .. } => Err(Refusal::DeviceHeld),
        State::Deactivated { .. } => Err(Refusal::DeviceDeactivated),
        State::Suspended { .. } => Err(Refusal::DeviceSuspended),
        State::Quarantined { .. } => Err(Refusal::DeviceQuarantined),
        State::Decommissioning { .. } => Err(Refusal::DeviceDecommissioning),
        State::Decommissioned => Err(Refusal::DeviceDecommissioned),
        State::Deleted { .. } => Err(Refusal::DeviceDeleted),
        State::Purged => Err(Refusal::DevicePurged),
    }
}

pub(super) fn approve(state: &State) -> Result<Step, Refusal> {
    let full = State::Active { rights: Rights::Full };
    match state {
        State::Pending => Ok((full, vec![IssueCredential, NotifyUser(Notice::Approved)])),
        State::Active { rights: Rights::AppendOnly } => Ok((full, vec![NotifyUser(Notice::Approved)])),
        State::Active { rights: Rights::Full } => nothing_to_change(state),
        State::Held { .. }
        | State::Deactivated { .. }
        | State::Suspended { .. }
        | State::Quarantined { .. }
        | State::Decommissioning { .. }
        | State::Decommissioned
        | State::Deleted { .. }
        | State::Purged => wrong_state(state, "approve"),
    }
}

pub(super) fn reactivate(now: Timestamp, state: &State, proof: Proof) -> Result<Step, Refusal> {
    let strength = proof.strength();
    let back = |from| come_back(from, Notice::Reactivated);
    match state {
        State::Pending => Err(Refusal::DevicePending),
        State::Active { .. } => Err(Refusal::AlreadyActive),
        State::Held { rights, append_until } => back(from_held(*rights, now >= *append_until, strength)?),
        State::Deactivated { rights, level } => back(from_deactivated(*rights, *level, strength)?),
        State::Suspended { .. } => Err(Refusal::DeviceSuspended),
        State::Quarantined { .. } => Err(Refusal::DeviceQuarantined),
        State::Decommissioning { .. } => Err(Refusal::DeviceDecommissioning),
        State::Decommissioned => back(from_decommissioned(strength)?),
        State::Deleted { .. } => Err(Refusal::DeviceDeleted),
        State::Purged => Err(Refusal::DevicePurged),
    }
}

pub(super) fn replace(now: Timestamp, state: &State, proof: Proof) -> Result<Step, Refusal> {
    let strength = proof.strength();
    if strength == Strength::Admin {
        // No machine and no key comes with an admin's word: an admin replaces by a ticket or a row of the device map.
        return wrong_state(state, "replace");
    }
    let back = |from| come_back(from, Notice::Replaced);
    match state {
        State::Pending => Err(Refusal::DevicePending),
        State::Active { rights } => {
            let effects = vec![RevokeCredential, CancelRuns, IssueCredential, NotifyUser(Notice::Replaced)];
            Ok((State::Active { rights: take_over(*rights, strength)? }, effects))
        }
        State::Held { rights, append_until } => back(from_held(*rights, now >= *append_until, strength)?),
        State::Deactivated { rights, level } => back(from_deactivated(*rights, *level, strength)?),
        State::Suspended { .. } => Err(Refusal::DeviceSuspended),
        State::Quarantined { .. } => Err(Refusal::DeviceQuarantined),
        State::Decommissioning { .. } => Err(Refusal::DeviceDecommissioning),
        State::Decommissioned => back(from_decommissioned(strength)?),
        State::Deleted { .. } => Err(Refusal::DeviceDeleted),
        State::Purged => Err(Refusal::DevicePurged),
    }
}

/// What the proof gives, and what has to be done to the credential for it.
type Return = (Rights, Vec<Effect>);

/// Back into service: what the user had changed is reset, and what was missed is caught up. INVARIANT: whoever has not
/// shown to be the user, and so comes back append-only, changes nothing of what the user has chosen.
fn come_back((rights, mut effects): Return, notice: Notice) -> Result<Step, Refusal> {
    if rights == Rights::Full {
        effects.extend([ClearUnlinked, ResetOverrides]);
    }
    effects.extend([ScheduleCatchUp, NotifyUser(notice)]);
    Ok((State::Active { rights }, effects))
}

fn from_held(rights: Rights, over: bool, strength: Strength) -> Result<Return, Refusal> {
    // Until it may append no longer, a held device is in service as an active one is.
    let given = match strength {
        Strength::Token if over => Rights::AppendOnly,
        Strength::Admin => return Ok((rights, vec![])),
        Strength::OldKey | Strength::OldKeyAndToken | Strength::Person | Strength::Token | Strength::TokenAndMap => {
            take_over(rights, strength)?
        }
    };
    Ok((given, vec![RevokeCredential, CancelRuns, IssueCredential]))
}

fn from_deactivated(rights: Rights, level: Level, strength: Strength) -> Result<Return, Refusal> {
    let issue = vec![IssueCredential];
    match (strength, level) {
        (Strength::OldKey, Level::Rotate) => Ok((rights, issue)),
        (Strength::OldKey, Level::Revoke | Level::Distrust) => Err(Refusal::SignInNeeded),
        (Strength::OldKeyAndToken, Level::Rotate | Level::Revoke) => Ok((rights, issue)),
        (Strength::OldKeyAndToken, Level::Distrust) => Ok((Rights::AppendOnly, issue)),
        (Strength::Person, Level::Rotate | Level::Revoke | Level::Distrust) => Ok((Rights::Full, issue)),
        (Strength::Token | Strength::TokenAndMap, Level::Rotate | Level::Revoke | Level::Distrust) => {
            Ok((Rights::AppendOnly, issue))
        }
        (Strength::Admin, Level::Rotate | Level::Revoke) => Ok((rights, vec![RenewCredential])),
        // Whoever has the key besides the device would go on with it too.
        (Strength::Admin, Level::Distrust) => Err(Refusal::PersonNeeded),
    }
}

fn from_decommissioned(strength: Strength) -> Result<Return, Refusal> {
    let issue = vec![IssueCredential];
    match strength {
        Strength::Person => Ok((Rights::Full, issue)),
        // The wipe has erased the key, so whoever has it has a copy: it adds nothing to the token.
        Strength::OldKeyAndToken | Strength::Token | Strength::TokenAndMap => Ok((Rights::AppendOnly, issue)),
        Strength::OldKey => Err(Refusal::SignInNeeded),
        Strength::Admin => Err(Refusal::PersonNeeded),
    }
}

/// The rights over a record in service. INVARIANT: an old key gives back what the record had and never more;
/// otherwise a reset would promote what a token has activated. Who only has an installer and says that it is this
/// device cannot cut off the one in service.
fn take_over(rights: Rights, strength: Strength) -> Result<Rights, Refusal> {
    match strength {
        Strength::OldKey | Strength::OldKeyAndToken => Ok(rights),
        Strength::Person => Ok(Rights::Full),
        Strength::TokenAndMap => Ok(Rights::AppendOnly),
        Strength::Token | Strength::Admin => Err(Refusal::SignInNeeded),
    }
}
