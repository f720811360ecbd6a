//! Reset campaigns: `/api/v1/campaigns`, and the watch over devices that came back: `/api/v1/watch`.

use crate::Text;
use base::{CampaignId, DeviceId, ProfileId, SnapshotId, TokenId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whom a campaign reaches: devices for which every part that is given holds, less those that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CampaignScope {
    /// Everyone is meant, so that no other part need be given.
    pub everyone: bool,
    /// Devices of users with one of these profiles.
    pub profiles: Vec<Text<ProfileId>>,
    /// Devices of these users.
    pub users: Vec<Text<UserId>>,
    /// These devices.
    pub devices: Vec<Text<DeviceId>>,
    /// Devices whose key was last bound before this.
    pub activated_before_ms: Option<i64>,
    /// Devices whose last activation used this deployment token.
    pub token: Option<Text<TokenId>>,
    /// Devices whose program is older than this release; those that do not say which they have count as older.
    pub agent_below: Option<String>,
    /// Left out: devices of users with these profiles.
    pub without_profiles: Vec<Text<ProfileId>>,
    /// Left out: devices of these users.
    pub without_users: Vec<Text<UserId>>,
    /// Left out: these devices.
    pub without_devices: Vec<Text<DeviceId>>,
}

/// What a campaign is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignPlan {
    /// Its name, one line.
    pub name: String,
    /// Why it is.
    pub reason: String,
    /// `rotate`, `hold` or `revoke`.
    pub level: String,
    /// Whom it reaches.
    pub scope: CampaignScope,
    /// When everybody should be back.
    #[serde(default)]
    pub deadline_ms: Option<i64>,
    /// Until when held devices may append; the configured span after the start when it is not given.
    #[serde(default)]
    pub append_until_ms: Option<i64>,
    /// Devices in a wave.
    pub wave_size: u64,
    /// How long a wave takes, in milliseconds; its devices are spread evenly over it.
    pub wave_ms: u64,
    /// For how long devices are watched that came back, in milliseconds; as configured when it is not given.
    #[serde(default)]
    pub watch_ms: Option<u64>,
    /// The template of the message to users: `campaign`, or a template of your own whose name begins with
    /// `campaign_`; the first when it is not given.
    #[serde(default)]
    pub template: String,
    /// Who is told: `all`; `needed`, the users of devices that do not come back by themselves; `nobody`. `all` when it
    /// is not given.
    #[serde(default)]
    pub tell: Option<String>,
    /// After how long the user of a device that is not back is reminded, each time, in milliseconds: at most 365 days;
    /// 0 is never; 3 days when it is not given.
    #[serde(default)]
    pub remind_ms: Option<u64>,
    /// How often at most: 0 to 20; 3 when it is not given.
    #[serde(default)]
    pub reminders_max: Option<u64>,
}

/// A campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Campaign {
    /// Which.
    pub campaign: Text<CampaignId>,
    /// What was said of it.
    pub plan: CampaignPlan,
    /// `draft`, `running`, `paused`, `aborted`, `closed`.
    pub status: String,
    /// When it is to start, if that lies ahead or did when it was said.
    pub start_at_ms: Option<i64>,
    /// When it was made.
    pub created_at_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// When it did start.
    pub started_at_ms: Option<i64>,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// Since when it is paused.
    pub paused_at_ms: Option<i64>,
    /// Its own clock, by which turns come.
    pub progress_ms: u64,
    /// Why it was ended by hand.
    pub end_reason: String,
}

/// When to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignStart {
    /// Not before this; now when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<i64>,
}

/// Why something is ended or let be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignReason {
    /// For the audit log and the board.
    pub reason: String,
}

/// How many devices were brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BroughtBack {
    /// That many.
    pub devices: u64,
}

/// What a campaign would do if it were started now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignDryRun {
    /// How many devices of each class: `automatic`, `needs_user`, `not_seen`, `duplicate`, `already`,
    /// `out_of_service`.
    pub counts: BTreeMap<String, u64>,
    /// How many waves it has.
    pub waves: u64,
    /// How long it takes until the last device has had its turn and those that come by themselves are let in.
    pub span_ms: u64,
    /// Does that end after the deadline?
    pub past_deadline: bool,
    /// How many messages go out to users when the devices have their turns; none while mail is off.
    pub messages: u64,
    /// To how many users.
    pub users_told: u64,
    /// Is mail off, so that nobody is told?
    pub mail_off: bool,
    /// The devices that it reaches, by name.
    pub devices: Vec<Foretold>,
}

/// One device of a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Foretold {
    /// Which.
    pub device: Text<DeviceId>,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub user: String,
    /// What will become of it.
    pub class: String,
    /// Is its user told when its turn comes, if mail is on?
    pub told: bool,
}

/// A campaign at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignBoard {
    /// The campaign.
    pub campaign: Campaign,
    /// How many devices stand at each place: `done`, `unproved`, `waiting`, `waiting_for_user`, `offline`, `conflict`,
    /// `refused`, `overdue`, `excused`, `retired`.
    pub counts: BTreeMap<String, u64>,
    /// Beside what the dry run said: how many devices of a class stand at a place.
    pub by_class: Vec<ClassCount>,
    /// How many of those at `done` an admin stood for, by bringing them back or approving them.
    pub vouched: u64,
    /// How many have sent more than one part in a hundred again.
    pub flagged: u64,
    /// How many were still to come back, over time.
    pub burn_down: Vec<BurnPoint>,
    /// How many messages to users, reminders among them, stand where: `queued`, `sending`, `sent`, `failed`, `unclear`,
    /// `dropped`; what there is none of is left out. They are counted as long as they are kept, 90 days.
    pub messages: BTreeMap<String, u64>,
}

/// How many devices of a class of the dry run stand at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassCount {
    /// What the dry run said.
    pub class: String,
    /// Where they stand.
    pub place: String,
    /// How many.
    pub devices: u64,
}

/// One point of a burn-down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BurnPoint {
    /// When.
    pub at_ms: i64,
    /// How many were still to come.
    pub left: u64,
}

/// Which devices of a campaign to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only those that stand at this place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// One device of a campaign, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoardEntry {
    /// Which.
    pub device: Text<DeviceId>,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub user: String,
    /// Where it stands.
    pub place: String,
    /// Why, as a stable word.
    pub reason: String,
    /// What that means and what helps.
    pub sentence: String,
    /// The code of the last refusal, or the words of the admin who excused it; empty where there are none.
    pub note: String,
    /// Its wave, from 0.
    pub wave: u64,
    /// What the dry run said at the start.
    pub class: String,
    /// When it was last heard of.
    pub seen_at_ms: Option<i64>,
    /// When it was reset.
    pub reset_at_ms: Option<i64>,
    /// When it came back.
    pub back_at_ms: Option<i64>,
    /// By which proof.
    pub proof: Option<String>,
    /// What the endpoint has read in its first backup after.
    pub bytes_read: Option<u64>,
    /// What it has sent in that.
    pub bytes_sent: Option<u64>,
    /// What that snapshot covers.
    pub bytes_covered: Option<u64>,
    /// Was more than one part in a hundred sent again?
    pub flagged: bool,
    /// The first good snapshot after.
    pub first_good: Option<Text<SnapshotId>>,
    /// When that was committed.
    pub first_good_at_ms: Option<i64>,
}

/// Which watched devices to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only those whose backups do not run as planned.
    #[serde(default)]
    pub alarms: bool,
}

/// A device that came back and is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchEntry {
    /// Which.
    pub device: Text<DeviceId>,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub user: String,
    /// `well`, `unplanned`, `first_pending`, `first_missing`, `missed`, `overdue`.
    pub finding: String,
    /// Should an admin look?
    pub alarm: bool,
    /// Since when it is back.
    pub since_ms: i64,
    /// Until when it is watched.
    pub until_ms: i64,
    /// The slot for what it has missed; absent once it has caught up.
    pub catch_up_at_ms: Option<i64>,
    /// Its newest good snapshot.
    pub last_good_at_ms: Option<i64>,
}
