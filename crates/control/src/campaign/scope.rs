//! Whom a campaign reaches. Refuses to mean everyone by saying nothing: that has to be said.

use crate::Refusal;
use base::{DeviceId, ProfileId, Timestamp, TokenId, UserId};

/// Whom a campaign reaches: every device for which each part that is given holds, less those that are left out.
/// Empty and absent parts hold for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Everyone is meant, so that no other part need be given.
    pub everyone: bool,
    /// The device's user has one of these profiles.
    pub profiles: Vec<ProfileId>,
    /// The device's user is one of these.
    pub users: Vec<UserId>,
    /// The device is one of these.
    pub devices: Vec<DeviceId>,
    /// A key was last bound to it before this time.
    pub activated_before: Option<Timestamp>,
    /// Its last activation used this token.
    pub token: Option<TokenId>,
    /// Its program is older than this release; one that has not said what it is counts as older.
    pub agent_below: Option<Release>,
    /// Left out: devices of users with these profiles.
    pub without_profiles: Vec<ProfileId>,
    /// Left out: devices of these users.
    pub without_users: Vec<UserId>,
    /// Left out: these devices.
    pub without_devices: Vec<DeviceId>,
}

/// What a scope is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The record.
    pub device: DeviceId,
    /// Whose it is.
    pub user: UserId,
    /// The user's profile, also where it is the default one; `None` where there is none at all.
    pub profile: Option<ProfileId>,
    /// When a key was last bound to it.
    pub activated_at: Timestamp,
    /// The token that its last activation used.
    pub token: Option<TokenId>,
    /// What its program says that it is.
    pub agent: &'a str,
}

/// A release, as semantic versioning orders them; of what follows a hyphen only that there is something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    numbers: [u64; 3],
    /// Before `true` comes `false`: a pre-release is older than what it precedes.
    whole: bool,
}

impl Scope {
    /// Fails with `scope_empty` when it says nothing and does not say that everyone is meant.
    pub fn need_said(&self) -> Result<(), Refusal> {
        let said = self.everyone
            || !(self.profiles.is_empty() && self.users.is_empty() && self.devices.is_empty())
            || self.activated_before.is_some()
            || self.token.is_some()
            || self.agent_below.is_some();
        if said { Ok(()) } else { Err(Refusal::ScopeEmpty) }
    }

    /// Does the campaign reach this device? Never fails.
    pub fn covers(&self, subject: &Subject<'_>) -> bool {
        let profile_among = |list: &[ProfileId]| subject.profile.is_some_and(|profile| list.contains(&profile));
        let included = (self.profiles.is_empty() || profile_among(&self.profiles))
            && (self.users.is_empty() || self.users.contains(&subject.user))
            && (self.devices.is_empty() || self.devices.contains(&subject.device))
            && self.activated_before.is_none_or(|before| subject.activated_at < before)
            && self.token.is_none_or(|token| subject.token == Some(token))
            && self.agent_below.is_none_or(|below| Release::read(subject.agent).is_none_or(|agent| agent < below));
        let left_out = profile_among(&self.without_profiles)
            || self.without_users.contains(&subject.user)
            || self.without_devices.contains(&subject.device);
        included && !left_out
    }
}

impl Release {
    /// The release in a text like `1.4.2`, `v1.4`, `1.4.2-rc.1+build` or `holdfast 1.4.2`: the first word that
    /// begins with a number. `None` when there is none. Never fails.
    pub fn read(text: &str) -> Option<Self> {
        let word = text.split([' ', '/']).map(|word| word.strip_prefix('v').unwrap_or(word));
        let word = word.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let (word, _build) = word.split_once('+').unwrap_or((word, ""));
        let (core, before) = word.split_once('-').map_or((word, None), |(core, before)| (core, Some(before)));
        let mut numbers = [0; 3];
        for (at, part) in core.split('.').enumerate() {
            *numbers.get_mut(at)? = part.parse().ok()?;
        }
        Some(Self { numbers, whole: before.is_none() })
    }
}

impl std::fmt::Display for Release {
    /// `1.4.2`, or `1.4.2-pre`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}{}", if self.whole { "" } else { "-pre" })
    }
}
