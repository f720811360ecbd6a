//! The ways out of service that keep the record as it is, and back: hold, deactivate, suspend, enable, conflict,
//! resolve. Refuses to soften what is stricter already. Table: docs/control.md, "Out of service".

use super::Effect::{
    CancelRestores, CancelRuns, NotifyAdmins, NotifyUser, RevokeCredential, ScheduleCatchUp, WithdrawWipe,
};
use super::{Effect, Event, Notice, Step, Verdict, nothing_to_change, step, wrong_state};
use crate::{Level, Refusal, Rights, State};
use base::Timestamp;

pub(super) fn hold(now: Timestamp, state: &State, append_until: Timestamp) -> Result<Step, Refusal> {
    let held = |rights: &Rights, effects| Ok((State::Held { rights: *rights, append_until }, effects));
    match state {
        State::Active { rights } => held(rights, vec![CancelRestores, NotifyUser(Notice::Held)]),
        State::Held { append_until: already, .. } if *already == append_until => nothing_to_change(state),
        State::Held { rights, .. } => held(rights, vec![NotifyUser(Notice::Held)]),
        State::Suspended { .. } | State::Decommissioning { .. } | State::Deleted { .. } => {
            beneath(now, state, Event::Hold { append_until })
        }
        State::Pending
        | State::Deactivated { .. }
        | State::Quarantined { .. }
        | State::Decommissioned
        | State::Purged => wrong_state(state, "hold"),
    }
}

pub(super) fn deactivate(now: Timestamp, state: &State, level: Level) -> Result<Step, Refusal> {
    let cut = |rights: Rights, level| {
        let effects = vec![RevokeCredential, CancelRuns, NotifyUser(Notice::Deactivated)];
        Ok((State::Deactivated { rights, level }, effects))
    };
    match state {
        State::Active { rights } | State::Held { rights, .. } => cut(*rights, level),
        State::Deactivated { rights, level: already } if *already < level => {
            Ok((State::Deactivated { rights: *rights, level }, vec![NotifyUser(Notice::Deactivated)]))
        }
        State::Deactivated { .. } => nothing_to_change(state),
        // Two machines have the key, so it must prove nothing, whatever level was asked for.
        State::Quarantined { was } => cut(rights_of(was), Level::Distrust),
        State::Suspended { .. } | State::Decommissioning { .. } | State::Deleted { .. } => {
            beneath(now, state, Event::Deactivate { level })
        }
        State::Pending | State::Decommissioned | State::Purged => wrong_state(state, "deactivate"),
    }
}

pub(super) fn suspend(state: &State) -> Result<Step, Refusal> {
    match state {
        State::Active { .. } | State::Held { .. } | State::Deactivated { .. } | State::Quarantined { .. } => {
            Ok((State::Suspended { was: Box::new(state.clone()) }, vec![CancelRuns, NotifyUser(Notice::Suspended)]))
        }
        State::Suspended { .. } => nothing_to_change(state),
        State::Pending
        | State::Decommissioning { .. }
        | State::Decommissioned
        | State::Deleted { .. }
        | State::Purged => wrong_state(state, "suspend"),
    }
}

pub(super) fn enable(state: &State) -> Result<Step, Refusal> {
    match state {
        State::Suspended { was } => Ok((was.as_ref().clone(), vec![ScheduleCatchUp, NotifyUser(Notice::Enabled)])),
        State::Decommissioning { was } => {
            Ok((was.as_ref().clone(), vec![WithdrawWipe, ScheduleCatchUp, NotifyUser(Notice::Enabled)]))
        }
        State::Active { .. } => nothing_to_change(state),
        State::Pending
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Quarantined { .. }
        | State::Decommissioned
        | State::Deleted { .. }
        | State::Purged => wrong_state(state, "enable"),
    }
}

pub(super) fn conflict(now: Timestamp, state: &State) -> Result<Step, Refusal> {
    match state {
        State::Active { .. } | State::Held { .. } => Ok((
            State::Quarantined { was: Box::new(state.clone()) },
            vec![CancelRestores, NotifyUser(Notice::Conflict), NotifyAdmins(Notice::Conflict)],
        )),
        State::Quarantined { .. } => nothing_to_change(state),
        // It may not append, and must not get that right because two machines ask for it; but its key counts no more.
        State::Deactivated { level: Level::Rotate | Level::Revoke, .. } => {
            let (state, mut effects) = deactivate(now, state, Level::Distrust)?;
            effects.push(NotifyAdmins(Notice::Conflict));
            Ok((state, effects))
        }
        State::Deactivated { level: Level::Distrust, .. } => nothing_to_change(state),
        State::Suspended { .. } => beneath(now, state, Event::Conflict),
        State::Pending
        | State::Decommissioning { .. }
        | State::Decommissioned
        | State::Deleted { .. }
        | State::Purged => wrong_state(state, "conflict"),
    }
}

pub(super) fn resolve(now: Timestamp, state: &State, verdict: Verdict) -> Result<Step, Refusal> {
    match state {
        State::Quarantined { was } => match verdict {
            Verdict::OneMachine => Ok((was.as_ref().clone(), vec![NotifyUser(Notice::Enabled)])),
            Verdict::TwoMachines => deactivate(now, state, Level::Distrust),
        },
        State::Suspended { .. } => beneath(now, state, Event::Resolve { verdict }),
        State::Pending
        | State::Active { .. }
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Decommissioning { .. }
        | State::Decommissioned
        | State::Deleted { .. }
        | State::Purged => wrong_state(state, "resolve"),
    }
}

/// What happens to a suspended, decommissioning or deleted device happens to the state that it returns to, so that
/// none is a way around a reset. Of a device that is on its way out nobody is told.
fn beneath(now: Timestamp, state: &State, event: Event) -> Result<Step, Refusal> {
    match state {
        State::Suspended { was } => {
            let (was, effects) = step(now, was, &event)?;
            Ok((State::Suspended { was: Box::new(was) }, effects))
        }
        State::Decommissioning { was } => {
            let (was, effects) = quietly(step(now, was, &event)?);
            Ok((State::Decommissioning { was }, effects))
        }
        State::Deleted { was, purge_after } => {
            let (was, effects) = quietly(step(now, was, &event)?);
            Ok((State::Deleted { was, purge_after: *purge_after }, effects))
        }
        State::Pending
        | State::Active { .. }
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Quarantined { .. }
        | State::Decommissioned
        | State::Purged => wrong_state(state, event.word()),
    }
}

fn quietly((state, mut effects): Step) -> (Box<State>, Vec<Effect>) {
    effects.retain(|effect| *effect == Effect::RevokeCredential);
    (Box::new(state), effects)
}

/// What a device in quarantine had; active and held always have rights.
fn rights_of(was: &State) -> Rights {
    was.rights().unwrap_or(Rights::AppendOnly)
}
