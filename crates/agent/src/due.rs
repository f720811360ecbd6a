//! `holdfast backup --if-due`: whether a timer that asks often has to begin a backup now, and when otherwise.
//! Refuses to decide: the rule is `control::due`, and the server's word goes before what is kept here.

use crate::error::Exit;
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
    let own_ms = last.backup.as_ref().map(|backup| backup.at_ms);
    let (server_now, last_good_at, catch_up_at) = match &device.said {
        Ok(said) => {
            // Of one that this computer has made and may not read any more the server says no time.
            let own = last.backup.as_ref().map(|backup| &backup.snapshot);
            let is_own = said.unreadable.is_some_and(|id| Some(&id.0.to_string()) == own);
            let whole = said.snapshot.as_ref().filter(|snapshot| !snapshot.partial);
            let good_ms = whole.map(|snapshot| snapshot.committed_at_ms).or(own_ms.filter(|_| is_own));
            (Timestamp::from_ms(said.now_ms), from_ms(good_ms), from_ms(said.catch_up_at_ms))
        }
        Err(_) => (*now, from_ms(own_ms), None),
    };
    // What happened here is known by this computer's clock.
    let refused_at = last.refused_at(*now, device.state.epoch).map(|at| server_now - now.since(at));
    let known = Known { interval: due::interval(interval.as_deref()), last_good_at, catch_up_at, refused_at };
    Some(Standing { due: due::due(server_now, &known), interval, last_good_at })
}
