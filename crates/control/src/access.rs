//! What a device may do at this moment, asked at every request.
//! Refuses by the state alone; whose run or snapshot it is, is asked elsewhere. Table: docs/control.md, "Access".

use crate::{Refusal, Rights, State, UserState};
use base::Timestamp;
use std::fmt;

/// May a device in `state`, of a user in `user`, do this now? The user is looked at first. Fails with the refusal
/// that says why not.
pub fn may_of_user(user: UserState, state: &State, now: Timestamp, verb: Verb) -> Result<(), Refusal> {
    user.may_act()?;
    may(state, now, verb)
}

/// May a device in `state` do this now? Fails with the refusal that says why not.
pub fn may(state: &State, now: Timestamp, verb: Verb) -> Result<(), Refusal> {
    match state {
        State::Pending => Err(Refusal::DevicePending),
        State::Active { rights } => may_by_rights(*rights, verb),
        State::Held { append_until, .. } => match verb.need() {
            Need::Append if now < *append_until => Ok(()),
            Need::Append | Need::ReadAppended | Need::Read | Need::Wipe => Err(Refusal::DeviceHeld),
        },
        State::Deactivated { .. } => Err(Refusal::DeviceDeactivated),
        State::Suspended { .. } => Err(Refusal::DeviceSuspended),
        // A quarantined device appends as long as it could without the quarantine.
        State::Quarantined { was } => match verb.need() {
            Need::Append => may(was, now, verb),
            Need::ReadAppended | Need::Read | Need::Wipe => Err(Refusal::DeviceQuarantined),
        },
        // It may hear of the order to erase and say that it has obeyed, as long as its key is good for anything.
        State::Decommissioning { was } => match verb {
            Verb::OpenSession | Verb::ReadStatus | Verb::ConfirmWipe if was.level().is_none() => Ok(()),
            _ => Err(Refusal::DeviceDecommissioning),
        },
        State::Decommissioned => Err(Refusal::DeviceDecommissioned),
        State::Deleted { .. } => Err(Refusal::DeviceDeleted),
        State::Purged => Err(Refusal::DevicePurged),
    }
}

/// What a device is told of a snapshot of its record. One rule for every answer that has a snapshot in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    /// That it is there, by its name, and nothing that was found out by somebody else: no time, no count, no folder.
    Name,
    /// All but the ref of its root, which lets its holder read it: the asking credential has made it.
    Facts,
    /// Everything.
    Whole,
}

/// What a device in `state`, of a user in `user`, is told of a snapshot now. `is_own`: the credential in use has
/// appended it. Who comes to a record by a token does not learn what its user has backed up. Never fails.
pub fn told(user: UserState, state: &State, now: Timestamp, is_own: bool) -> Told {
    let verb = if is_own { Verb::ReadAppended } else { Verb::ReadOwnTrees };
    match (may_of_user(user, state, now, verb), is_own) {
        (Ok(()), _) => Told::Whole,
        (Err(_), true) => Told::Facts,
        (Err(_), false) => Told::Name,
    }
}

impl Told {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Told::Name => "name",
            Told::Facts => "facts",
            Told::Whole => "whole",
        }
    }
}

/// What a device asks for. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Open a session, or go on with one.
    OpenSession,
    /// Read its own state and policy.
    ReadStatus,
    /// Begin a backup run.
    BeginBackup,
    /// Dedupe, upload, verify, commit, abort in a backup run.
    Append,
    /// Fetch the trees of its newest snapshot during a backup, because the local cache is gone.
    ReadOwnTrees,
    /// See which snapshots the record has.
    ListSnapshots,
    /// Begin a restore run.
    BeginRestore,
    /// Locate and fetch in a restore run.
    Fetch,
    /// List, begin to restore or fetch what was appended under the credential in use: the snapshot's epoch is the
    /// session's.
    ReadAppended,
    /// Read its own policy: what to back up, when, and how.
    ReadPolicy,
    /// Change what the profile leaves to its user.
    ChangePolicy,
    /// Say that its local data is erased, as it was told to do.
    ConfirmWipe,
    /// Send the support bundle that an admin has asked for.
    SendBundle,
}

impl Verb {
    /// Every verb, in the order of docs/control.md.
    pub const ALL: [Verb; 13] = [
        Verb::OpenSession,
        Verb::ReadStatus,
        Verb::BeginBackup,
        Verb::Append,
        Verb::ReadOwnTrees,
        Verb::ListSnapshots,
        Verb::BeginRestore,
        Verb::Fetch,
        Verb::ReadAppended,
        Verb::ReadPolicy,
        Verb::ChangePolicy,
        Verb::ConfirmWipe,
        Verb::SendBundle,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Verb::OpenSession => "open_session",
            Verb::ReadStatus => "read_status",
            Verb::BeginBackup => "begin_backup",
            Verb::Append => "append",
            Verb::ReadOwnTrees => "read_own_trees",
            Verb::ListSnapshots => "list_snapshots",
            Verb::BeginRestore => "begin_restore",
            Verb::Fetch => "fetch",
            Verb::ReadAppended => "read_appended",
            Verb::ReadPolicy => "read_policy",
            Verb::ChangePolicy => "change_policy",
            Verb::ConfirmWipe => "confirm_wipe",
            Verb::SendBundle => "send_bundle",
        }
    }

    const fn need(self) -> Need {
        match self {
            Verb::OpenSession
            | Verb::ReadStatus
            | Verb::BeginBackup
            | Verb::Append
            | Verb::ReadPolicy
            | Verb::SendBundle => Need::Append,
            Verb::ReadAppended => Need::ReadAppended,
            Verb::ConfirmWipe => Need::Wipe,
            Verb::ReadOwnTrees | Verb::ListSnapshots | Verb::BeginRestore | Verb::Fetch | Verb::ChangePolicy => {
                Need::Read
            }
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The least that a device must be allowed for a verb.
#[derive(Clone, Copy)]
enum Need {
    Append,
    ReadAppended,
    Read,
    Wipe,
}

fn may_by_rights(rights: Rights, verb: Verb) -> Result<(), Refusal> {
    match (rights, verb.need()) {
        (Rights::Full, Need::Append | Need::ReadAppended | Need::Read) => Ok(()),
        (Rights::AppendOnly, Need::Append | Need::ReadAppended) => Ok(()),
        (Rights::Full | Rights::AppendOnly, Need::Wipe) => {
            Err(Refusal::WrongState { state: "active", event: Verb::ConfirmWipe.word() })
        }
        (Rights::AppendOnly, Need::Read) => Err(Refusal::RightsAppendOnly),
    }
}

#[cfg(test)]
mod tests;
