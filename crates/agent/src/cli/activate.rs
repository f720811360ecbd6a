//! `holdfast activate` from the first question to the last line: asks the person what the server asks, waits for an
//! admin, takes the chosen folders into the policy, and brings back what was wished for.
//! Refuses to choose a device for a person, and to undo an activation because something after it failed.

use super::args::Activate;
use super::ask::{self, Somebody};
use super::person::Person;
use super::text;
use crate::activation::{self, Activated, Answer, Ask};
use crate::error::AgentError;
use crate::places::Places;
use crate::policy::{self, Chosen};
use crate::remote::Around;
use crate::restore::{self, Place, Restored};
use crate::state::StateDir;
use crate::unattended::{self, Ended, restore_from};
use crate::wipe;
use base::Span;
use format::StoredPath;
use jiff::tz::TimeZone;
use protocol::agent::activation::{ActivationQuestion, ActivationWaiting, Choice, Restore};
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
    let waits = wanted.wait;
    let mut ask = ask::activation(around, dir, wanted, &mut person).await?;
    let began_at = around.clock.now();
    let mut is_told = false;
    loop {
        match activation::run(around, dir, &ask).await? {
            Answer::Activated(done) => {
                let finished = finish(scene, *done, &ask.folders, begun).await?;
                return Ok(Came::Done(Box::new(finished)));
            }
            Answer::Question(question) => match person.as_deref_mut().filter(|_| may_choose) {
                Some(person) => choose(&question, &mut ask, person, &TimeZone::system())?,
                None => return Ok(Came::Question(question)),
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

/// What `unattended` has come to, with what follows it.
///
/// # Errors
/// The state cannot be used.
pub(super) async fn after_unattended(
    scene: &Scene<'_>,
    ended: Ended,
    begun: impl FnOnce(&SnapshotDetail),
) -> Result<Result<Finished, unattended::Ended>, AgentError> {
    let Ended { state, activated, scrubbed, unscrubbed } = ended;
    let Some(done) = activated else { return Ok(Err(Ended { state, activated, scrubbed, unscrubbed })) };
    let finished = finish(scene, *done, &[], begun).await?;
    Ok(Ok(Finished { scrubbed, unscrubbed, ..finished }))
}

async fn finish(
    scene: &Scene<'_>,
    activated: Activated,
    folders: &[StoredPath],
    begun: impl FnOnce(&SnapshotDetail),
) -> Result<Finished, AgentError> {
    let Scene { around, dir, places, .. } = *scene;
    wipe::is_over(dir);
    let chosen = policy::choose(around, dir, places, folders).await?;
    let brings_data = matches!(activated.reply.restore, Restore::Data | Restore::All);
    let restored = match activated.reply.snapshot.as_ref().filter(|_| brings_data) {
        Some(snapshot) => {
            let name = snapshot.snapshot.0.to_string();
            Some(restore::run(around, dir, &name, Vec::new(), &Place::original(), begun).await)
        }
        None => None,
    };
    Ok(Finished { activated, chosen, restored, scrubbed: Vec::new(), unscrubbed: None })
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
