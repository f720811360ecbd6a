//! `holdfast activate` from the first question to the last line: asks the person what the server asks, waits for an
//! admin, takes the chosen folders into the policy, and brings back what was wished for.
//! Refuses to choose a device for a person, and to undo an activation because something after it failed.

use super::args::Activate;
use super::ask::{self, Somebody};
use super::person::Person;
use super::text;
use crate::activation::{self, Activated, Answer, Ask};
use crate::error::AgentError;
use crate::owed::{self, Owed};
use crate::places::Places;
use crate::policy::{self, Chosen};
use crate::remote::Around;
use crate::restore::{self, Place, Restored};
use crate::state::{State, StateDir};
use crate::unattended::{Ended, FULL, restore_from};
use crate::wipe;
use base::Span;
use format::StoredPath;
use jiff::tz::TimeZone;
use protocol::agent::activation::{ActivationChanges, ActivationQuestion, ActivationWaiting, Choice, Preview, Restore};
use protocol::agent::run::SnapshotDetail;
use std::path::PathBuf;

/// The least and the longest wait between two questions about a record that waits for an admin.
const POLL_MIN: Span = Span::seconds(1);
const POLL_MAX: Span = Span::hours(1);

/// What came of an activation.
pub(super) enum Came {
    /// This computer is a device.
    Done(Box<Finished>),
    /// Nobody is there to choose.
    Question(ActivationQuestion),
    /// Nothing was done: this would change.
    Changes(ActivationChanges),
    /// An admin has to approve.
    Waiting(ActivationWaiting),
}

/// An activation and what was done after it.
pub(super) struct Finished {
    pub activated: Activated,
    /// The folders that were named with it.
    pub chosen: Vec<Chosen>,
    /// What was brought back, or why it was not.
    pub restored: Option<Result<Restored, AgentError>>,
    /// What is brought back later.
    pub owed: Option<Owed>,
    /// The files that a used token was taken out of.
    pub scrubbed: Vec<PathBuf>,
    /// Why it could not be taken out.
    pub unscrubbed: Option<AgentError>,
}

/// What the commands need around them.
pub(super) struct Scene<'a> {
    pub around: &'a Around,
    pub dir: &'a StateDir,
    pub places: &'a Places,
    /// How long to wait for an admin when nobody has said `--wait`.
    pub patience: Span,
}

/// Asks until the answer is final, or somebody has to choose who is not there.
///
/// # Errors
/// As `activation::run`.
pub(super) async fn by_person(
    scene: &Scene<'_>,
    wanted: Activate,
    mut person: Somebody<'_>,
    may_choose: bool,
    begun: impl FnOnce(&SnapshotDetail),
) -> Result<Came, AgentError> {
    let Scene { around, dir, patience, .. } = *scene;
    let (waits, only_looks) = (wanted.wait, wanted.dry_run);
    let mut ask = ask::activation(around, dir, wanted, &mut person).await?;
    ask.preview = match (only_looks, person.is_some() && may_choose) {
        (true, _) => Preview::Always,
        (false, true) => Preview::Changes,
        (false, false) => Preview::None,
    };
    let began_at = around.clock.now();
    let mut is_told = false;
    loop {
        match activation::run(around, dir, &ask).await? {
            Answer::Activated(done) => {
                let finished = finish(scene, *done, ask.restore, &ask.folders, begun).await?;
                return Ok(Came::Done(Box::new(finished)));
            }
            Answer::Question(question) => match person.as_deref_mut().filter(|_| may_choose) {
                Some(person) => choose(&question, &mut ask, person, &TimeZone::system())?,
                None => return Ok(Came::Question(question)),
            },
            Answer::Changes(changes) => match person.as_deref_mut().filter(|_| !only_looks && may_choose) {
                Some(person) => {
                    agree(&changes, person)?;
                    ask.preview = Preview::None;
                }
                None => return Ok(Came::Changes(changes)),
            },
            Answer::Waiting(waiting) => {
                let span = Span::ms(waiting.retry_after_ms).clamp(POLL_MIN, POLL_MAX);
                let spent = around.clock.now().since(began_at);
                if !waits && spent.as_ms() + span.as_ms() > patience.as_ms() {
                    return Ok(Came::Waiting(waiting));
                }
                if let Some(person) = person.as_deref_mut().filter(|_| !is_told) {
                    person.tell(&text::waiting(&waiting));
                    is_told = true;
                }
                around.clock.sleep(span).await;
            }
        }
    }
}

/// A computer that was in service before, and what was done for it all the same.
pub(super) struct InService {
    pub ended: Ended,
    /// What an earlier activation was to bring back, or why it was not.
    pub restored: Option<Result<Restored, AgentError>>,
    /// What is brought back later.
    pub owed: Option<Owed>,
}

/// What `unattended` has come to, with what follows it.
///
/// # Errors
/// The state cannot be used.
pub(super) async fn after_unattended(
    scene: &Scene<'_>,
    mut ended: Ended,
    begun: impl FnOnce(&SnapshotDetail),
) -> Result<Result<Finished, InService>, AgentError> {
    let Some(done) = ended.activated.take() else {
        let (restored, owed) = bring_back(scene, &ended.state, ended.has_full_rights, begun).await;
        return Ok(Err(InService { ended, restored, owed }));
    };
    let finished = finish(scene, *done, None, &[], begun).await?;
    Ok(Ok(Finished { scrubbed: ended.scrubbed, unscrubbed: ended.unscrubbed, ..finished }))
}

async fn finish(
    scene: &Scene<'_>,
    activated: Activated,
    said: Option<Restore>,
    folders: &[StoredPath],
    begun: impl FnOnce(&SnapshotDetail),
) -> Result<Finished, AgentError> {
    let Scene { around, dir, places, .. } = *scene;
    wipe::is_over(dir);
    let chosen = policy::choose(around, dir, places, folders).await?;
    let Activated { state, reply } = &activated;
    let brings_data = matches!(reply.restore, Restore::Data | Restore::All);
    // One that may not be read yet is brought back as soon as it may be.
    let newest = reply.snapshot.as_ref().map(|snapshot| snapshot.snapshot).or(reply.unreadable);
    match newest.filter(|_| brings_data) {
        // ORDER: written down before it is begun, or a power cut would forget it.
        Some(snapshot) => owed::keep(dir, &Owed { device: reply.device, snapshot })?,
        // Who says what to bring back means no more than that; who says nothing leaves what was wished before.
        None if said.is_some() || brings_data => owed::remove(dir)?,
        None => {}
    }
    let (restored, owed) = bring_back(scene, state, reply.rights == FULL, begun).await;
    Ok(Finished { activated, chosen, restored, owed, scrubbed: Vec::new(), unscrubbed: None })
}

/// Brings back what this activation or an earlier one was to bring back, as soon as this computer may read it.
async fn bring_back(
    scene: &Scene<'_>,
    state: &State,
    may_read: bool,
    begun: impl FnOnce(&SnapshotDetail),
) -> (Option<Result<Restored, AgentError>>, Option<Owed>) {
    let Scene { around, dir, .. } = *scene;
    let Some(owed) = owed::look(dir, state) else { return (None, None) };
    if !may_read {
        return (None, Some(owed));
    }
    let name = owed.snapshot.0.to_string();
    let restored = restore::run(around, dir, &name, Vec::new(), &Place::original(), begun).await;
    if restored.as_ref().err().is_some_and(owed::stays_after) {
        return (Some(restored), Some(owed));
    }
    if let Err(error) = owed::remove(dir) {
        tracing::debug!("what was to be brought back is asked for once more: {error}");
    }
    (Some(restored), None)
}

/// Shows a person what would change, and asks whether to go on.
fn agree(changes: &ActivationChanges, person: &mut dyn Person) -> Result<(), AgentError> {
    person.tell(&text::would_change(changes));
    loop {
        match person.line("Go on? yes or no [yes]: ")?.to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => return Ok(()),
            "n" | "no" => {
                let sentence = "nothing was changed; `holdfast activate --restore settings` keeps your own choices";
                return Err(AgentError::usage("activation_declined", sentence));
            }
            _ => person.tell("That is neither yes nor no.\n"),
        }
    }
}

/// Lets a person choose the device, and what to bring back from it.
fn choose(
    question: &ActivationQuestion,
    ask: &mut Ask,
    person: &mut dyn Person,
    zone: &TimeZone,
) -> Result<(), AgentError> {
    person.tell(&text::question(question, zone));
    let prompt = text::choice_prompt(question);
    ask.choice = loop {
        match chosen(question, &person.line(&prompt)?) {
            Some(choice) => break choice,
            None => person.tell("That is not on the list.\n"),
        }
    };
    if ask.restore.is_none() && matches!(ask.choice, Choice::Replace { .. }) {
        ask.restore = Some(loop {
            let answer = person.line("Bring back to this computer: none, data, settings or all [none]: ")?;
            match restore_from(if answer.is_empty() { "none" } else { &answer }) {
                Ok(restore) => break restore,
                Err(why) => person.tell(&format!("That is {why}.\n")),
            }
        });
    }
    Ok(())
}

/// What an answer means; `None` when it means nothing.
fn chosen(question: &ActivationQuestion, answer: &str) -> Option<Choice> {
    let answer = answer.trim();
    if answer.is_empty() {
        return Some(question.suggestion.clone()).filter(|choice| *choice != Choice::Auto);
    }
    if answer.eq_ignore_ascii_case("n") {
        return question.adding_refused.is_none().then_some(Choice::Add);
    }
    let number: usize = answer.parse().ok()?;
    let device = question.replaceable.get(number.checked_sub(1)?)?.device;
    Some(Choice::Replace { device })
}

#[cfg(test)]
mod tests;
