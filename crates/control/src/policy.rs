//! Policies: which there are, what they may say, and what holds for a device, each value with the level it comes from.
//! Refuses values out of range and levels that a policy does not have. Rules: docs/control.md, "Policies".

mod folder;
mod hours;
mod key;
pub mod pattern;
mod reactivation;
mod value;

pub use folder::{EffectiveFolder, FOLDERS_MAX, Folder, FolderOs, folders_of, may_unlink, path_parse};
pub use hours::Hours;
pub use key::{Key, ObeyedBy};
pub use reactivation::{FolderChange, PolicyChanges, ValueChange, reactivation};
pub use value::{Rate, VALUE_BYTES_MAX, Value};

use crate::activation::Rules;
use crate::{Proof, Refusal};
use base::{Bytes, Count, Span};
use std::collections::BTreeMap;
use std::fmt;

/// What holds: of every policy the value of the narrowest level that has one. What a device's user has set counts
/// only while the levels above let users change it. Never fails.
pub fn effective(levels: &Levels) -> EffectivePolicy {
    let above = |key: Key| {
        let set = |level: PolicyLevel| levels.get(level, key).map(|set| (set.value.clone(), level));
        let narrowest = [PolicyLevel::User, PolicyLevel::Profile, PolicyLevel::Organisation].into_iter().find_map(set);
        narrowest.unwrap_or_else(|| (Value::default_of(key), PolicyLevel::Default))
    };
    let own = |key: Key| {
        let set = levels.get(PolicyLevel::Device, key)?;
        let counts = !set.by_user || key.user_permit().is_some_and(|permit| above(permit).0 == Value::Flag(true));
        counts.then(|| (set.value.clone(), PolicyLevel::Device))
    };
    let value = |key: &Key| own(*key).unwrap_or_else(|| above(*key));
    EffectivePolicy { values: Key::ALL.iter().map(value).collect() }
}

/// Where a value comes from, from the widest to the narrowest. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyLevel {
    /// Nobody has set one.
    Default,
    /// For everyone.
    Organisation,
    /// For the users of a profile.
    Profile,
    /// For one user.
    User,
    /// For one device.
    Device,
}

/// A value that was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The value.
    pub value: Value,
    /// Whether the device's user has set it; else an admin has.
    pub by_user: bool,
}

/// What every level has set, for one user or device. The default level has nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    values: BTreeMap<(PolicyLevel, Key), Set>,
}

/// What holds for a user or a device, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// In the order of `Key::ALL`.
    values: Vec<(Value, PolicyLevel)>,
}

/// How a policy has a device back up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// How often.
    pub interval: Span,
    /// The longest stretch of a week in which no backup may begin: so much later than the interval may one be.
    pub closed: Span,
}

impl Levels {
    /// Sets a value. Fails with `policy_level_wrong` at a level that the policy does not have, and with
    /// `policy_value_invalid` for the value of another policy: read as this one's, it would be no limit.
    pub fn set(&mut self, level: PolicyLevel, key: Key, set: Set) -> Result<(), Refusal> {
        key.may_be_set_at(level)?;
        set.value.need_of(key)?;
        self.values.insert((level, key), set);
        Ok(())
    }

    /// Takes a value back, if there is one. Never fails.
    pub fn unset(&mut self, level: PolicyLevel, key: Key) {
        self.values.remove(&(level, key));
    }

    /// What a level has set; `None` where it leaves the policy to the wider ones. Never fails.
    pub fn get(&self, level: PolicyLevel, key: Key) -> Option<&Set> {
        self.values.get(&(level, key))
    }

    /// What the device's user has set, whether it counts or not. Never fails.
    pub fn own_value(&self, key: Key) -> Option<&Value> {
        self.get(PolicyLevel::Device, key).filter(|set| set.by_user).map(|set| &set.value)
    }

    /// Has an admin set the policy at the device? Never fails.
    pub fn is_fixed(&self, key: Key) -> bool {
        self.get(PolicyLevel::Device, key).is_some_and(|set| !set.by_user)
    }

    /// The same without what a reactivation takes back. Never fails.
    #[must_use]
    pub fn without_user_resets(&self) -> Self {
        let mut levels = self.clone();
        levels.values.retain(|(level, key), set| *level != PolicyLevel::Device || !set.by_user || !key.resets());
        levels
    }
}

impl EffectivePolicy {
    /// The value that holds. Never fails.
    pub fn value(&self, key: Key) -> &Value {
        &self.values[key as usize].0
    }

    /// The level that it comes from. Never fails.
    pub fn from(&self, key: Key) -> PolicyLevel {
        self.values[key as usize].1
    }

    /// Every policy with its value and level, in the order of docs/control.md. Never fails.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Value, PolicyLevel)> {
        Key::ALL.iter().zip(&self.values).map(|(key, (value, level))| (*key, value, *level))
    }

    /// Is this yes? Never fails: of a policy that is no switch, it is not.
    pub fn is_on(&self, key: Key) -> bool {
        *self.value(key) == Value::Flag(true)
    }

    /// May users do what this switch is about? Fails with `policy_not_allowed`.
    pub fn user_may(&self, switch: Key) -> Result<(), Refusal> {
        if self.is_on(switch) { Ok(()) } else { Err(Refusal::PolicyNotAllowed { key: switch.word() }) }
    }

    /// May a device's user change this policy, where `levels` are those that this policy follows from? Fails with
    /// `policy_not_allowed`, which names the policy.
    pub fn user_may_change(&self, levels: &Levels, key: Key) -> Result<(), Refusal> {
        match key.user_permit() {
            Some(permit) if self.is_on(permit) && !levels.is_fixed(key) => Ok(()),
            Some(_) | None => Err(Refusal::PolicyNotAllowed { key: key.word() }),
        }
    }

    /// How many bytes the user's backups may take; `None` is no limit. Never fails.
    pub fn quota(&self) -> Option<Bytes> {
        match self.value(Key::Quota) {
            Value::Size(size) => *size,
            _ => None,
        }
    }

    /// A number; `None` is no limit. Never fails: of a policy that is no number, there is none.
    pub fn number(&self, key: Key) -> Option<Count> {
        match self.value(key) {
            Value::Number(number) => *number,
            _ => None,
        }
    }

    /// How the device backs up by itself; `None` where the interval is off, or no hour of the week allows a backup.
    /// Never fails.
    pub fn rhythm(&self) -> Option<Rhythm> {
        let (Value::Interval(Some(interval)), Value::Hours(start), Value::Hours(blackout)) =
            (self.value(Key::Interval), self.value(Key::StartHours), self.value(Key::BlackoutHours))
        else {
            return None;
        };
        Some(Rhythm { interval: *interval, closed: start.closed_longest(blackout)? })
    }

    /// What no backup takes, whatever the folder. Never fails.
    pub fn exclusions(&self) -> &[String] {
        match self.value(Key::Exclusions) {
            Value::Patterns(patterns) => patterns,
            _ => &[],
        }
    }

    /// Whom a user may ask for help; `None` when nobody was named. Never fails.
    pub fn support(&self) -> Option<&str> {
        match self.value(Key::Support) {
            Value::Line(line) if !line.is_empty() => Some(line),
            _ => None,
        }
    }

    /// May a user prove by this who they are? Tickets, tokens and keys are no sign-in, and always may. Never fails.
    pub fn lets_sign_in(&self, proof: Proof) -> bool {
        let way = match proof {
            Proof::Password => "password",
            Proof::Directory => "directory",
            Proof::SingleSignOn => "single_sign_on",
            Proof::OldKey
            | Proof::OldKeyAndToken
            | Proof::Ticket
            | Proof::Token
            | Proof::TokenAndMap
            | Proof::Admin => return true,
        };
        matches!(self.value(Key::Login), Value::Words(words) if words.contains(&way))
    }

    /// What the policy says about activation. Never fails.
    pub fn activation_rules(&self) -> Rules {
        Rules {
            may_add: self.is_on(Key::MayAddDevices),
            device_limit: self.number(Key::DeviceLimit),
            first_device_only: self.is_on(Key::FirstDeviceOnly),
            automatic: self.is_on(Key::AutomaticReplacement),
            token_waits: self.is_on(Key::TokenWaits),
        }
    }
}

impl PolicyLevel {
    /// Every level, from the widest to the narrowest.
    pub const ALL: [PolicyLevel; 5] =
        [PolicyLevel::Default, PolicyLevel::Organisation, PolicyLevel::Profile, PolicyLevel::User, PolicyLevel::Device];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            PolicyLevel::Default => "default",
            PolicyLevel::Organisation => "organisation",
            PolicyLevel::Profile => "profile",
            PolicyLevel::User => "user",
            PolicyLevel::Device => "device",
        }
    }

    /// The level with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }
}

impl fmt::Display for PolicyLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests;
