//! The life of one device's right to back up and restore: the only authority over `State`.
//! Refuses every pair of state and event that is not allowed by name. Table: docs/control.md, "Lifecycle"; a test
//! walks every cell of it.

mod enter;
mod leave;
mod retire;

use crate::{Level, Proof, Refusal, State};
use base::{Span, Timestamp};
use std::fmt;
use std::ops::RangeInclusive;

/// A state and what `app` has to do for it, in order, in the transaction that stores it.
pub type Step = (State, Vec<Effect>);

/// For how long an admin's hold lets a device append. One without any time would be a deactivation by another name, and
/// watched as what it is not.
pub const HOLD_APPEND: RangeInclusive<Span> = Span::days(1)..=Span::days(365);

/// What `event` makes of a device in `state` at `now`. Fails with the refusal to answer; the state is then as it was.
pub fn step(now: Timestamp, state: &State, event: &Event) -> Result<Step, Refusal> {
    match event {
        Event::Activate { proof } => enter::activate(state, *proof),
        Event::Approve => enter::approve(state),
        Event::Reactivate { proof } => enter::reactivate(now, state, *proof),
        Event::Replace { proof } => enter::replace(now, state, *proof),
        Event::Hold { append_until } => leave::hold(now, state, *append_until),
        Event::Deactivate { level } => leave::deactivate(now, state, *level),
        Event::Suspend => leave::suspend(state),
        Event::Enable => leave::enable(state),
        Event::Conflict => leave::conflict(now, state),
        Event::Resolve { verdict } => leave::resolve(now, state, *verdict),
        Event::Decommission => retire::decommission(state),
        Event::ConfirmWipe => retire::confirm_wipe(state),
        Event::Delete { purge_after } => retire::delete(state, *purge_after),
        Event::Undelete => retire::undelete(state),
        Event::Purge => retire::purge(now, state),
    }
}

/// What happens to a device. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The first key is bound to a new record.
    Activate {
        /// Who asks for it.
        proof: Proof,
    },
    /// An admin says yes: to a record that waits, or to full rights for a device that a token activated.
    Approve,
    /// An admin or a campaign: must reactivate, may append meanwhile.
    Hold {
        /// From this time on it may not append either.
        append_until: Timestamp,
    },
    /// An admin or a campaign: the credential is refused from now on.
    Deactivate {
        /// What the old key is still worth.
        level: Level,
    },
    /// The device comes back to its record.
    Reactivate {
        /// Who says that it may.
        proof: Proof,
    },
    /// Another machine, or this one with a new key, takes over the record.
    Replace {
        /// Who says that it may.
        proof: Proof,
    },
    /// An admin stops the device; its credential is kept.
    Suspend,
    /// An admin ends the suspension, or withdraws the order to erase.
    Enable,
    /// Two machines were seen to present this identity.
    Conflict,
    /// An admin has looked at the conflict.
    Resolve {
        /// What the admin found.
        verdict: Verdict,
    },
    /// An admin retires the device and has its local data erased.
    Decommission,
    /// The device says that its local data is erased.
    ConfirmWipe,
    /// An admin deletes the record and all its snapshots.
    Delete {
        /// Until then it can be undone.
        purge_after: Timestamp,
    },
    /// An admin takes the deletion back.
    Undelete,
    /// The undo period is over, and a job removes what was deleted.
    Purge,
}

/// What an admin found in a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// One machine after all (its disk was restored from an image): it goes on as before.
    OneMachine,
    /// Two machines have the key: it proves nothing any more, and each has to activate anew.
    TwoMachines,
}

/// What `app` has to do when it stores a new state. Each may be repeated without harm. The audit line is not among
/// them: one is written for every event, granted or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Refuse the bound key and every session that was opened with it.
    RevokeCredential,
    /// Bind the key that the request brings, or that waited for the approval, under a new epoch.
    IssueCredential,
    /// Bind the key that was bound last once more, under a new epoch: the device goes on without doing anything.
    RenewCredential,
    /// Abort the device's open runs.
    CancelRuns,
    /// Abort the device's open restores; backups go on.
    CancelRestores,
    /// Bring back the folders that the user had unlinked, unless the profile says `on_reactivation = keep`.
    ClearUnlinked,
    /// Return interval, bandwidth limit and CPU priority to the profile's values, unless it says so.
    ResetOverrides,
    /// Give the device a slot in which it catches up once on the backups that it has missed, if it may back up.
    ScheduleCatchUp,
    /// Have the device erase its local data as soon as it asks for anything.
    WipeLocal,
    /// Take that order back.
    WithdrawWipe,
    /// Remove the record's snapshots, credentials and evidence; a job does it after the transaction.
    PurgeData,
    /// Tell the device's user.
    NotifyUser(Notice),
    /// Tell the admins who watch devices.
    NotifyAdmins(Notice),
}

/// What people are told about. The texts are templates that admins edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A new device was activated in the user's name.
    Activated,
    /// An admin has approved the device.
    Approved,
    /// The device is back in service.
    Reactivated,
    /// A machine has taken over the record.
    Replaced,
    /// The device must be activated again before the date.
    Held,
    /// The device must be activated again.
    Deactivated,
    /// An admin has stopped the device.
    Suspended,
    /// The device goes on.
    Enabled,
    /// Two machines present one identity.
    Conflict,
    /// The device is being retired.
    Decommissioning,
    /// The device has confirmed that it is wiped.
    Wiped,
    /// The record was deleted and can be brought back until the date.
    Deleted,
    /// The record was brought back.
    Undeleted,
}

impl Event {
    /// The stable word, snake_case, for the audit log and the wire. Never fails.
    pub const fn word(&self) -> &'static str {
        match self {
            Event::Activate { .. } => "activate",
            Event::Approve => "approve",
            Event::Hold { .. } => "hold",
            Event::Deactivate { .. } => "deactivate",
            Event::Reactivate { .. } => "reactivate",
            Event::Replace { .. } => "replace",
            Event::Suspend => "suspend",
            Event::Enable => "enable",
            Event::Conflict => "conflict",
            Event::Resolve { .. } => "resolve",
            Event::Decommission => "decommission",
            Event::ConfirmWipe => "confirm_wipe",
            Event::Delete { .. } => "delete",
            Event::Undelete => "undelete",
            Event::Purge => "purge",
        }
    }

    /// The proof that came with it; `None` for what an admin or the server does. Never fails.
    pub const fn proof(&self) -> Option<Proof> {
        match self {
            Event::Activate { proof } | Event::Reactivate { proof } | Event::Replace { proof } => Some(*proof),
            Event::Approve
            | Event::Hold { .. }
            | Event::Deactivate { .. }
            | Event::Suspend
            | Event::Enable
            | Event::Conflict
            | Event::Resolve { .. }
            | Event::Decommission
            | Event::ConfirmWipe
            | Event::Delete { .. }
            | Event::Undelete
            | Event::Purge => None,
        }
    }
}

impl Verdict {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::OneMachine => "one_machine",
            Verdict::TwoMachines => "two_machines",
        }
    }
}

impl Notice {
    /// The stable word, which names the template. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Notice::Activated => "activated",
            Notice::Approved => "approved",
            Notice::Reactivated => "reactivated",
            Notice::Replaced => "replaced",
            Notice::Held => "held",
            Notice::Deactivated => "deactivated",
            Notice::Suspended => "suspended",
            Notice::Enabled => "enabled",
            Notice::Conflict => "conflict",
            Notice::Decommissioning => "decommissioning",
            Notice::Wiped => "wiped",
            Notice::Deleted => "deleted",
            Notice::Undeleted => "undeleted",
        }
    }
}

impl fmt::Display for Effect {
    /// As docs/control.md and the audit log write it: `issue_credential`, `notify_user(held)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Effect::RevokeCredential => "revoke_credential",
            Effect::IssueCredential => "issue_credential",
            Effect::RenewCredential => "renew_credential",
            Effect::CancelRuns => "cancel_runs",
            Effect::CancelRestores => "cancel_restores",
            Effect::ClearUnlinked => "clear_unlinked",
            Effect::ResetOverrides => "reset_overrides",
            Effect::ScheduleCatchUp => "schedule_catch_up",
            Effect::WipeLocal => "wipe_local",
            Effect::WithdrawWipe => "withdraw_wipe",
            Effect::PurgeData => "purge_data",
            Effect::NotifyUser(notice) => return write!(f, "notify_user({})", notice.word()),
            Effect::NotifyAdmins(notice) => return write!(f, "notify_admins({})", notice.word()),
        };
        f.write_str(word)
    }
}

/// The refusal of an event that makes no sense from this state.
fn wrong_state(state: &State, event: &'static str) -> Result<Step, Refusal> {
    Err(Refusal::WrongState { state: state.word(), event })
}

/// The refusal of an event that leads to where the device is.
fn nothing_to_change(state: &State) -> Result<Step, Refusal> {
    Err(Refusal::NothingToChange { state: state.word() })
}

#[cfg(test)]
mod tests;
