//! Which record an activation attaches to, and with which rights.
//! Refuses to attach to a record on a machine's own assertion alone where that would cut off a device in service.
//! Rules: docs/control.md, "Activation".

mod evidence;
mod preview;
mod restore;

pub use evidence::{Evidence, Match, comparable, machine_keys, same_machine};
pub use preview::Preview;
pub use restore::Restore;

use crate::lifecycle::{Event, step};
use crate::{Proof, Refusal, Rights, State, Strength, UserState};
use base::{Count, DeviceId, Planted, Timestamp, UserId, is_planted};

/// Decides what becomes of an activation whose proof is good. `candidates` are all records of the user, and the
/// record of the old key when it is another user's. Fails with the refusal to answer; nothing is changed then.
pub fn decide(now: Timestamp, request: &Request, rules: &Rules, candidates: &[Candidate]) -> Result<Decision, Refusal> {
    request.user_state.may_act()?;
    let desk = Desk { now, request, rules, candidates };
    if is_planted(Planted::RecordForgotten) {
        return desk.add();
    }
    if let Some(decision) = desk.by_old_key()? {
        return Ok(decision);
    }
    match (request.map_row, request.choice) {
        (Some(Choice::Replace(device)), _) => desk.by_map_row(device),
        (Some(Choice::AddNew), _) | (None, Choice::AddNew) => desk.add(),
        (None, Choice::Replace(device)) => desk.by_choice(device),
        (Some(Choice::Auto), _) | (None, Choice::Auto) => desk.automatically(),
    }
}

/// What is asked for. The proof was checked by `app`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks; with the old key alone, the user of its record.
    pub user: UserId,
    /// Where the user stands.
    pub user_state: UserState,
    /// How that was proved. `OldKeyAndToken` and `TokenAndMap` follow from `Token` and the two fields below: giving
    /// them says no more than `Token`. `Admin` is refused: no admin activates in a device's place.
    pub proof: Proof,
    /// The record whose bound key has signed this request too. An endpoint whose user chooses another record, or a
    /// new one, leaves that signature away.
    pub old_key: Option<DeviceId>,
    /// What the row of the device map says, or the ticket: an admin's choice.
    pub map_row: Option<Choice>,
    /// What the request itself asks for.
    pub choice: Choice,
    /// Can the endpoint put a question to a person? If not, it gets the automatic answer.
    pub can_ask: bool,
    /// What the machine says of itself.
    pub evidence: Evidence,
}

/// Which record is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The server decides.
    #[default]
    Auto,
    /// A new record, whatever matches.
    AddNew,
    /// This record.
    Replace(DeviceId),
}

/// What the user's profile says about activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// May the profile's users add devices? Default yes.
    pub may_add: bool,
    /// How many devices a user may have; `None` (the default) is no limit.
    pub device_limit: Option<Count>,
    /// Activate only the first device of every user; default no.
    pub first_device_only: bool,
    /// Take over the user's record that matches without asking; default yes.
    pub automatic: bool,
    /// Does a new record that only a token asks for wait for an admin? Default no.
    pub token_waits: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { may_add: true, device_limit: None, first_device_only: false, automatic: true, token_waits: false }
    }
}

/// A record that the activation might attach to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The record.
    pub device: DeviceId,
    /// Whose it is.
    pub owner: UserId,
    /// Where it stands.
    pub state: State,
    /// What its machine said of itself last.
    pub evidence: Evidence,
    /// Has a computer asked for it that waits for an admin now?
    pub asked: bool,
}

/// What becomes of the activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make a new record, which begins as `State::Pending`, and put the event to it.
    Add {
        /// `Activate`; `None` when the record waits for an admin.
        event: Option<Event>,
        /// The record of the user that is of the same machine all the same, for the console: the user wants a second
        /// one, or the machine had no more than a token and the record is in service.
        resembles: Option<DeviceId>,
    },
    /// Put the event to this record. `lifecycle::step` grants it.
    Attach {
        /// The record.
        device: DeviceId,
        /// Why this one.
        basis: Basis,
        /// `Reactivate`, `Replace`, or `Activate` for a record that waited.
        event: Event,
        /// What the device may do then.
        rights: Rights,
    },
    /// Let the machine wait for an admin as this record, which is there and which nobody else has asked for.
    Wait {
        /// The record.
        device: DeviceId,
    },
    /// Change nothing yet, and ask the person at the device.
    Ask(Question),
}

/// Why an activation attaches to a record. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Its key has signed the request.
    OldKey,
    /// An admin has named it, in a device map or a ticket.
    MapRow,
    /// The user has chosen it.
    Choice,
    /// It is the only record of the user that matches.
    Match(Match),
}

/// What the person at the device has to choose between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The records that this machine may replace, in the order of the candidates. Never empty.
    pub replaceable: Vec<DeviceId>,
    /// Why the machine may not be added as a new device; `None` when it may.
    pub adding_refused: Option<Refusal>,
    /// What to offer as the default: the record that matches, else adding, else the only record there is; `Auto`
    /// when there is no default.
    pub suggestion: Choice,
}

impl Basis {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Basis::OldKey => "old_key",
            Basis::MapRow => "map_row",
            Basis::Choice => "choice",
            Basis::Match(matched) => matched.word(),
        }
    }
}

/// The four arguments of `decide`, for its steps.
struct Desk<'a> {
    now: Timestamp,
    request: &'a Request,
    rules: &'a Rules,
    candidates: &'a [Candidate],
}

impl Desk<'_> {
    /// The record whose key has signed. `None` when the key is of no use: the record is another user's, or is gone,
    /// and somebody has proved to be a user by other means.
    fn by_old_key(&self) -> Result<Option<Decision>, Refusal> {
        let found = self.request.old_key.and_then(|device| self.own(device));
        match (self.request.proof.strength(), found) {
            (Strength::Admin, _) => Err(Refusal::NotPermitted),
            (Strength::OldKey, None) => Err(Refusal::SignatureInvalid),
            (Strength::OldKey, Some(found)) => self.attach(found, Basis::OldKey, Proof::OldKey).map(Some),
            (_, None) => Ok(None),
            (Strength::Person, Some(found)) if gone(&found.state) => Ok(None),
            (Strength::Person, Some(found)) => self.attach(found, Basis::OldKey, self.request.proof).map(Some),
            (Strength::OldKeyAndToken | Strength::Token | Strength::TokenAndMap, Some(found)) => {
                self.attach(found, Basis::OldKey, Proof::OldKeyAndToken).map(Some)
            }
        }
    }

    fn by_map_row(&self, device: DeviceId) -> Result<Decision, Refusal> {
        let found = self.own(device).ok_or(Refusal::DeviceNotYours)?;
        let proof = match self.asserted() {
            Proof::Token => Proof::TokenAndMap,
            proof => proof,
        };
        self.attach(found, Basis::MapRow, proof)
    }

    fn by_choice(&self, device: DeviceId) -> Result<Decision, Refusal> {
        let found = self.own(device).ok_or(Refusal::DeviceNotYours)?;
        self.twin()?;
        self.attach(found, Basis::Choice, self.asserted())
    }

    /// A unique match is taken over; else a person is asked, where there is one and something to choose; else a new
    /// record is made.
    fn automatically(&self) -> Result<Decision, Refusal> {
        self.twin()?;
        let replaceable: Vec<DeviceId> = self.replaceable().map(|candidate| candidate.device).collect();
        // A question shows what the user has: only who has shown to be the user is asked.
        let is_person = self.asserted().strength() == Strength::Person;
        let asks = self.request.can_ask && is_person && !replaceable.is_empty();
        match evidence::unique(&self.request.evidence, self.matchable()) {
            Some((found, _)) if asks && !self.rules.automatic && replaceable.contains(&found.device) => {
                Ok(self.ask(replaceable, Some(found.device)))
            }
            // What cannot be replaced is not asked about: it waits, which is granted, or is refused with its reason.
            Some((found, by)) => self.attach(found, Basis::Match(by), self.asserted()),
            None if asks => Ok(self.ask(replaceable, None)),
            None => self.add(),
        }
    }

    fn attach(&self, found: &Candidate, basis: Basis, proof: Proof) -> Result<Decision, Refusal> {
        let same_machine = basis == Basis::OldKey || evidence::same_machine(&self.request.evidence, &found.evidence);
        let event = match &found.state {
            // Another request of the machine: the key that waits is not exchanged beneath the admin's eyes.
            State::Pending if self.waits(proof) && found.asked => return Err(Refusal::DevicePending),
            State::Pending if self.waits(proof) => return Ok(Decision::Wait { device: found.device }),
            State::Pending => Event::Activate { proof },
            State::Active { .. } => Event::Replace { proof },
            State::Held { .. }
            | State::Deactivated { .. }
            | State::Suspended { .. }
            | State::Quarantined { .. }
            | State::Decommissioning { .. }
            | State::Decommissioned
            | State::Deleted { .. }
            | State::Purged => match same_machine {
                true => Event::Reactivate { proof },
                false => Event::Replace { proof },
            },
        };
        let (state, _) = step(self.now, &found.state, &event)?;
        if !same_machine && !found.state.counts() {
            // Another machine in the place of one that is no longer counted is one more.
            self.may_add()?;
        }
        let rights = state.rights().expect("an activation leads to an active device, which has rights");
        Ok(Decision::Attach { device: found.device, basis, event, rights })
    }

    fn add(&self) -> Result<Decision, Refusal> {
        let resembles = self.twin()?;
        self.may_add()?;
        let proof = self.asserted();
        let event = (!self.waits(proof)).then_some(Event::Activate { proof });
        Ok(Decision::Add { event, resembles })
    }

    /// A record of the user that is of the machine that asks. Fails when one is suspended or quarantined: another
    /// record would be a way around what an admin has decided, or is about to, for this machine.
    fn twin(&self) -> Result<Option<DeviceId>, Refusal> {
        let mut twin = None;
        for candidate in self.owned() {
            match &candidate.state {
                State::Deleted { .. } | State::Purged => {}
                _ if !evidence::same_machine(&self.request.evidence, &candidate.evidence) => {}
                State::Suspended { .. } => return Err(Refusal::DeviceSuspended),
                State::Quarantined { .. } => return Err(Refusal::DeviceQuarantined),
                State::Pending
                | State::Active { .. }
                | State::Held { .. }
                | State::Deactivated { .. }
                | State::Decommissioning { .. }
                | State::Decommissioned => twin = twin.or(Some(candidate.device)),
            }
        }
        Ok(twin)
    }

    /// May the user have one more device? What comes back to its own record is never asked this.
    fn may_add(&self) -> Result<(), Refusal> {
        if !self.rules.may_add {
            return Err(Refusal::ActivationOff);
        }
        let devices = Count::of(self.owned().filter(|candidate| candidate.state.counts()).count());
        if self.rules.first_device_only && devices > Count(0) {
            return Err(Refusal::FirstDeviceOnly);
        }
        match self.rules.device_limit {
            Some(limit) if devices >= limit => Err(Refusal::DeviceLimit { limit }),
            Some(_) | None => Ok(()),
        }
    }

    fn ask(&self, replaceable: Vec<DeviceId>, matched: Option<DeviceId>) -> Decision {
        let adding_refused = self.may_add().err();
        let suggestion = match (matched, &adding_refused, replaceable.as_slice()) {
            (Some(matched), _, _) => Choice::Replace(matched),
            (None, None, _) => Choice::AddNew,
            (None, Some(_), [only]) => Choice::Replace(*only),
            (None, Some(_), _) => Choice::Auto,
        };
        Decision::Ask(Question { replaceable, adding_refused, suggestion })
    }

    /// The proof, without what only another field of the request can prove.
    fn asserted(&self) -> Proof {
        match self.request.proof {
            Proof::OldKeyAndToken | Proof::TokenAndMap => Proof::Token,
            proof => proof,
        }
    }

    fn waits(&self, proof: Proof) -> bool {
        self.rules.token_waits && proof.strength() == Strength::Token
    }

    fn owned(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|candidate| candidate.owner == self.request.user)
    }

    fn own(&self, device: DeviceId) -> Option<&Candidate> {
        self.owned().find(|candidate| candidate.device == device)
    }

    /// The records that evidence may match: those that are there, and with a token alone, those that are not in
    /// service.
    fn matchable(&self) -> Vec<&Candidate> {
        let replaces = Event::Replace { proof: self.asserted() };
        let in_service = |state| step(self.now, state, &replaces) == Err(Refusal::SignInNeeded);
        self.owned().filter(|candidate| !gone(&candidate.state) && !in_service(&candidate.state)).collect()
    }

    /// The records that a person may choose.
    fn replaceable(&self) -> impl Iterator<Item = &Candidate> {
        let replaces = Event::Replace { proof: self.asserted() };
        self.owned().filter(move |candidate| step(self.now, &candidate.state, &replaces).is_ok())
    }
}

/// Deleted or purged: nothing comes back to such a record unasked.
const fn gone(state: &State) -> bool {
    matches!(state, State::Deleted { .. } | State::Purged)
}

#[cfg(test)]
mod tests;
