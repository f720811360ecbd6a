//! What a person at the device has to choose between, and what they see before anything changes. Refuses to change
//! anything: a question binds nothing.

use super::Outcome;
use crate::{App, AppError};
use base::{Count, DeviceId, Timestamp};
use control::activation::{self, Choice};
use control::policy::PolicyChanges;

/// What a person has to choose between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The devices that the computer may replace. Never empty, unless they went away meanwhile.
    pub replaceable: Vec<Replaceable>,
    /// Why it may not be added as a new device, as a sentence; `None` when it may.
    pub adding_refused: Option<String>,
    /// What to offer as the default.
    pub suggestion: Choice,
}

/// What an activation would do, before it does anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The record that the computer would be; `None` for a new one.
    pub device: Option<DeviceId>,
    /// Its name; empty for a new one.
    pub name: String,
    /// How it would come to it.
    pub outcome: Outcome,
    /// What it would change of the user's own choices.
    pub changes: PolicyChanges,
}

/// A device that may be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaceable {
    /// The record.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// The state's word.
    pub state: &'static str,
    /// What its computer said of itself.
    pub host_name: String,
    /// The maker's serial number.
    pub serial: String,
    /// When its newest snapshot was committed.
    pub last_backup_at: Option<Timestamp>,
    /// How many snapshots there are.
    pub snapshots: Count,
}

/// The question with what a person needs to know of each device.
///
/// # Errors
/// The database does not answer.
pub(super) async fn detail(app: &App, question: activation::Question) -> Result<Question, AppError> {
    let during = || AppError::db("listing replaceable devices");
    let mut tx = app.db.read().await.map_err(during())?;
    let mut replaceable = Vec::with_capacity(question.replaceable.len());
    for device in question.replaceable {
        let Some(record) = db::device_get(&mut tx, device).await.map_err(during())? else { continue };
        let newest = db::snapshot_get_newest(&mut tx, device).await.map_err(during())?;
        replaceable.push(Replaceable {
            device,
            name: record.name,
            state: record.state.word(),
            host_name: record.about.host_name,
            serial: record.about.serial,
            last_backup_at: newest.map(|snapshot| snapshot.new.committed_at),
            snapshots: db::snapshot_count_get(&mut tx, device, None).await.map_err(during())?,
        });
    }
    let adding_refused = question.adding_refused.map(|refusal| refusal.sentence());
    Ok(Question { replaceable, adding_refused, suggestion: question.suggestion })
}
