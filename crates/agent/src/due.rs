//! `holdfast backup --if-due`: whether a timer that asks often has to begin a backup now, and when otherwise.
//! Refuses to decide: the rule is `control::due`, and the server's word goes before what is kept here.

use crate::error::Exit;
use crate::last::LastBackup;
use crate::status::Status;
use base::Timestamp;
use control::due::{self, Due, Known};
use control::policy::Key;

/// Why a backup was not begun.
#[derive(Debug)]
pub enum NotDue {
    /// It is not time yet, or no backup begins by itself.
    Time {
        /// What is due instead.
        standing: Standing,
        /// What was looked at.
        status: Box<Status>,
    },
    /// Another one runs.
    Running,
}

/// When a device backs up next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is due.
    pub due: Due,
    /// How often one is made, as the policy writes it; `None` where no policy is known, and the default holds.
    pub interval: Option<String>,
    /// When the last good one ended.
    pub last_good_at: Option<Timestamp>,
}

/// When this computer backs up next: by the server's clock and word, else by this computer's clock, the policy and the
/// backup of last time. `None` where it is no device, or the server refuses it. Never fails.
pub fn standing(status: &Status) -> Option<Standing> {
    let Status { device: Some(device), last, now, .. } = status else { return None };
    if device.said.as_ref().is_err_and(|error| matches!(error.exit(), Exit::Refused | Exit::Waiting)) {
        return None;
    }
    let mut values = device.policy.iter().flat_map(|known| &known.policy.values);
    let interval = values.find(|value| value.key == Key::Interval.word()).map(|value| value.value.clone());
    let from_ms = |ms: Option<i64>| ms.map(Timestamp::from_ms);
    let (now, last_good_at, catch_up_at) = match &device.said {
        Ok(said) => {
            // One that this computer has made and may not read any more is said without its time.
            let is_own = |backup: &&LastBackup| said.unreadable.is_some_and(|id| id.0.to_string() == backup.snapshot);
            let own_ms = last.backup.as_ref().filter(is_own).map(|backup| backup.at_ms);
            let good_ms = said.snapshot.as_ref().map(|snapshot| snapshot.committed_at_ms).or(own_ms);
            (Timestamp::from_ms(said.now_ms), from_ms(good_ms), from_ms(said.catch_up_at_ms))
        }
        Err(_) => (*now, from_ms(last.backup.as_ref().map(|backup| backup.at_ms)), None),
    };
    let known = Known { interval: due::interval(interval.as_deref()), last_good_at, catch_up_at };
    Some(Standing { due: due::due(now, &known), interval, last_good_at })
}
