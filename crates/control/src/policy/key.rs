//! Every policy, one row each: word, shape, default, what is allowed, levels, who may change it, what a reactivation
//! does to it, who obeys it today. Refuses a second place for any of these. docs/control.md has the same table, tested.

use super::PolicyLevel;
use super::PolicyLevel::{Device, Organisation, Profile, User};
use crate::Refusal;
use std::fmt;

/// What the text of a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `off`, or a length of time between these two in minutes.
    Interval { min: u64, max: u64 },
    /// Ranges of hours on weekdays; `none` where that is allowed.
    Hours { none: bool },
    /// `none`, bytes in a second, or a share of what was measured.
    Rate,
    /// One of these words.
    Word(&'static [&'static str]),
    /// At least one of these words.
    Words(&'static [&'static str]),
    /// `yes` or `no`.
    Flag,
    /// A whole number between these two; `none` where that is allowed.
    Number { min: u64, max: u64, none: bool },
    /// `none`, or a number of bytes.
    Size,
    /// Patterns, one a line.
    Patterns,
    /// One line for a person.
    Line,
}

/// Which program does what a policy says, today: one that nobody obeys is kept, shown, and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObeyedBy {
    /// The server, in what it refuses, makes or says.
    Server,
    /// The server alone, where it judges whether a device that came back backs up as planned.
    Watch,
    /// The endpoint, in its backups.
    Endpoint,
    /// The endpoint, where a timer asks it whether a backup is due; and the server's watch.
    Timer,
    /// The server and the endpoint.
    Both,
    /// No program yet.
    Nothing,
}

impl ObeyedBy {
    /// As docs/control.md has it. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            ObeyedBy::Server => "server",
            ObeyedBy::Watch => "server's watch",
            ObeyedBy::Endpoint => "endpoint",
            ObeyedBy::Timer => "endpoint by its timer, server's watch",
            ObeyedBy::Both => "server, endpoint",
            ObeyedBy::Nothing => "nothing yet",
        }
    }
}

struct Rule {
    word: &'static str,
    shape: Shape,
    default: &'static str,
    allowed: &'static str,
    levels: &'static [PolicyLevel],
    permit: Option<Key>,
    resets: bool,
    obeyed_by: ObeyedBy,
}

const EVERY: &[PolicyLevel] = &[Organisation, Profile, User, Device];
const TO_USER: &[PolicyLevel] = &[Organisation, Profile, User];
const TO_PROFILE: &[PolicyLevel] = &[Organisation, Profile];
const TOP: &[PolicyLevel] = &[Organisation];

const YES_OR_NO: &str = "yes or no";
const RATE: &str = "none, 16kB/s to 100GB/s, or 1% to 100%";

macro_rules! keys {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident, $word:literal, $shape:expr, $default:literal,
        $allowed:expr, $levels:expr, $permit:expr, $resets:literal, $obeyed_by:ident;
    )+) => {
        /// One policy. The words are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Key {
            /// Every policy, in the order of docs/control.md.
            pub const ALL: &[Key] = &[$(Key::$name),+];

            const fn rule(self) -> Rule {
                match self {
                    $(Key::$name => Rule {
                        word: $word,
                        shape: $shape,
                        default: $default,
                        allowed: $allowed,
                        levels: $levels,
                        permit: $permit,
                        resets: $resets,
                        obeyed_by: ObeyedBy::$obeyed_by,
                    },)+
                }
            }
        }
    };
}

keys! {
    /// How often a device backs up.
    Interval, "interval", Shape::Interval { min: 5, max: 30 * 24 * 60 }, "4h",
        "off, or 5m to 30d", EVERY, Some(Key::UserMayChangeInterval), true, Timer;
    /// When backups may begin, in the device's time zone.
    StartHours, "start_hours", Shape::Hours { none: false }, "00:00-24:00",
        "up to 32 ranges such as mon-fri 08:00-18:00, separated by commas", EVERY, None, false, Watch;
    /// When no backup runs, in the device's time zone.
    BlackoutHours, "blackout_hours", Shape::Hours { none: true }, "none",
        "none, or up to 32 ranges such as mon-fri 08:00-18:00, separated by commas", EVERY, None, false, Watch;
    /// How fast a backup may send in the organisation's own network.
    BandwidthLan, "bandwidth_lan", Shape::Rate, "none", RATE, EVERY, Some(Key::UserMayChangeBandwidth), true, Nothing;
    /// How fast a backup may send anywhere else.
    BandwidthWan, "bandwidth_wan", Shape::Rate, "none", RATE, EVERY, Some(Key::UserMayChangeBandwidth), true, Nothing;
    /// How much a backup gives way to other programs.
    CpuPriority, "cpu_priority", Shape::Word(&["low", "normal", "high"]), "low",
        "low, normal or high", EVERY, Some(Key::UserMayChangeCpu), true, Nothing;
    /// Whether backups begin while the computer runs on its battery.
    RunOnBattery, "run_on_battery", Shape::Flag, "yes", YES_OR_NO, EVERY, None, false, Nothing;
    /// Whether backups begin on a network that is paid for by what is sent.
    RunOnMetered, "run_on_metered", Shape::Flag, "no", YES_OR_NO, EVERY, None, false, Nothing;
    /// For how many days every snapshot is kept, from the day on which the next good one came.
    RetentionDays, "retention_days", Shape::Number { min: 1, max: 3_650, none: false }, "30",
        "1 to 3650", EVERY, None, false, Server;
    /// For how many weeks the last good snapshot before the end of each is kept.
    RetentionWeeks, "retention_weeks", Shape::Number { min: 0, max: 520, none: false }, "8",
        "0 to 520", EVERY, None, false, Server;
    /// For how many months the last good snapshot before the end of each is kept.
    RetentionMonths, "retention_months", Shape::Number { min: 0, max: 240, none: false }, "12",
        "0 to 240", EVERY, None, false, Server;
    /// How many bytes a user's newest snapshots may be together.
    Quota, "quota", Shape::Size, "none", "none, or 1kB to 1000PB", TO_USER, None, false, Server;
    /// How full a user's quota is, in percent, when the user is told.
    QuotaWarning, "quota_warning", Shape::Number { min: 1, max: 99, none: true }, "90",
        "none, or 1 to 99", TO_USER, None, false, Server;
    /// How many devices a user may have.
    DeviceLimit, "device_limit", Shape::Number { min: 1, max: 1_000, none: true }, "none",
        "none, or 1 to 1000", TO_USER, None, false, Server;
    /// Whether users may add devices.
    MayAddDevices, "may_add_devices", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Server;
    /// Whether only the first device of every user may be activated.
    FirstDeviceOnly, "first_device_only", Shape::Flag, "no", YES_OR_NO, TO_USER, None, false, Server;
    /// Whether the user's record that matches is taken over without a question.
    AutomaticReplacement, "automatic_replacement", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Server;
    /// Whether a new record that only a token asks for waits for an admin.
    TokenWaits, "token_waits", Shape::Flag, "no", YES_OR_NO, TO_USER, None, false, Server;
    /// After how many days without a connection a device counts as inactive.
    InactiveDays, "inactive_days", Shape::Number { min: 1, max: 3_650, none: true }, "30",
        "none, or 1 to 3650", EVERY, None, false, Nothing;
    /// What a reactivation does to the user's own choices.
    OnReactivation, "on_reactivation", Shape::Word(&["reset", "keep"]), "reset",
        "reset or keep", TO_USER, None, false, Server;
    /// Whether admins may see the names in a user's snapshots and restore from them.
    AdminMayRead, "admin_may_read", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Nothing;
    /// Whether users may add folders of their own.
    UserMayAddFolders, "user_may_add_folders", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Server;
    /// Whether users may take out folders that are not mandatory.
    UserMayUnlinkFolders, "user_may_unlink_folders", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Server;
    /// Whether users may change the interval.
    UserMayChangeInterval, "user_may_change_interval", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Server;
    /// Whether users may change the bandwidth limits.
    UserMayChangeBandwidth, "user_may_change_bandwidth", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Server;
    /// Whether users may change the CPU priority.
    UserMayChangeCpu, "user_may_change_cpu", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Server;
    /// Whether users may pause backups.
    UserMayPause, "user_may_pause", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Nothing;
    /// Whether users may change the proxy.
    UserMayChangeProxy, "user_may_change_proxy", Shape::Flag, "yes", YES_OR_NO, TO_USER, None, false, Nothing;
    /// With whom a user's devices share chunks.
    Deduplication, "deduplication", Shape::Word(&["organisation"]), "organisation",
        "organisation: all users share one repository", TO_PROFILE, None, false, Server;
    /// How users may prove who they are.
    Login, "login", Shape::Words(&["password", "directory", "single_sign_on"]), "password",
        "one or more of password, directory and single_sign_on, separated by commas", TO_PROFILE, None, false, Server;
    /// What no backup takes, whatever the folder.
    Exclusions, "exclusions", Shape::Patterns, "",
        "up to 256 patterns, one a line, without .. and without control characters", EVERY, None, false, Endpoint;
    /// Whom a user may ask for help.
    Support, "support", Shape::Line, "", "one line of up to 500 bytes", TOP, None, false, Both;
    /// Whether the endpoint shows itself at the device.
    AgentVisible, "agent_visible", Shape::Flag, "yes", YES_OR_NO, EVERY, None, false, Nothing;
}

impl Key {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        self.rule().word
    }

    /// The policy with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.word() == word)
    }

    /// What may be set, for a person. Never fails.
    pub const fn allowed(self) -> &'static str {
        self.rule().allowed
    }

    /// The value where no level has one, as text. Never fails.
    pub const fn default_text(self) -> &'static str {
        self.rule().default
    }

    /// The levels at which it may be set, from the widest to the narrowest. Never fails.
    pub const fn levels(self) -> &'static [PolicyLevel] {
        self.rule().levels
    }

    /// Fails with `policy_level_wrong` unless it may be set at `level`.
    pub fn may_be_set_at(self, level: PolicyLevel) -> Result<(), Refusal> {
        match self.levels().contains(&level) {
            true => Ok(()),
            false => Err(Refusal::PolicyLevelWrong { key: self.word(), level: level.word() }),
        }
    }

    /// The policy that says whether users may change this one at their device; `None` where only admins may.
    /// Never fails.
    pub const fn user_permit(self) -> Option<Key> {
        self.rule().permit
    }

    /// Does a reactivation take back what the user has set? Never fails.
    pub const fn resets(self) -> bool {
        self.rule().resets
    }

    /// Which program does what it says, today. Never fails.
    pub const fn obeyed_by(self) -> ObeyedBy {
        self.rule().obeyed_by
    }

    pub(super) const fn shape(self) -> Shape {
        self.rule().shape
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
