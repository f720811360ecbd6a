//! `campaign make|list|show|delete|dry-run|start|pause|resume|abort|bring-back|close|excuse|board|devices|evidence`.

mod text;

use super::{Desk, named, unwritable};
use crate::client::{Client, Said, call, whole};
use crate::out::{Answer, Failure};
use base::{Count, Span, Timestamp};
use clap::{Args, Subcommand, ValueEnum};
use protocol::Text;
use protocol::admin::campaign as wire;
use protocol::admin::device::Device;
use protocol::admin::profile::Profile;
use protocol::admin::token::Token;
use protocol::admin::user::User;
use protocol::admin::{Nothing, PageQuery};
use serde::Serialize;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

const DAY_MS: i64 = 24 * 3_600 * 1_000;
const MINUTE_MS: u64 = 60 * 1_000;

/// What can be asked about reset campaigns. CAMPAIGN is an identifier, the beginning of one, or a name.
#[derive(Debug, Subcommand)]
pub enum Campaign {
    /// Make a campaign. It touches nothing until it is started: look at `dry-run` first.
    Make(Box<Make>),
    /// List campaigns.
    List,
    /// Show what a campaign is and where it stands.
    Show {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
    },
    /// Delete a draft; what was ever started stays as evidence.
    Delete {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
    },
    /// Say what it would do if it were started now.
    DryRun {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
        /// Name every device, and not only how many there are.
        #[arg(long)]
        devices: bool,
    },
    /// Start it.
    Start {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
        /// In so many minutes, and not now.
        #[arg(long, value_name = "MINUTES")]
        in_minutes: Option<u64>,
    },
    /// Reset no further device for now.
    Pause {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
    },
    /// Go on.
    Resume {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
    },
    /// End it before every device is reset; those that were stay so.
    Abort {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Bring back what an aborted campaign has reset.
    BringBack {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
    },
    /// End it by hand.
    Close {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Let one device be: it counts as settled, and where it was the last that is awaited, the campaign closes by that.
    Excuse {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
        /// The device's identifier, the beginning of one, or its name.
        device: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Show at a glance where its devices stand.
    Board {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
    },
    /// List its devices, where each stands and why.
    Devices {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
        /// Only those that stand there: done, unproved, waiting, waiting_for_user, offline, conflict, refused, overdue,
        /// excused, retired.
        #[arg(long, value_name = "PLACE")]
        place: Option<String>,
    },
    /// Write its evidence to a file: CSV, or JSON with --json.
    Evidence {
        /// Its identifier, the beginning of one, or its name.
        campaign: String,
        /// The file, which must not be there yet; the standard output when it is not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// What a campaign is to be.
#[derive(Debug, Args)]
pub struct Make {
    /// Its name.
    name: String,
    /// Why it is: for the audit log and the admins.
    #[arg(long)]
    reason: String,
    /// How hard it cuts.
    #[arg(long, value_enum)]
    level: Level,
    /// Reach everyone.
    #[arg(long)]
    everyone: bool,
    /// Reach devices of this user; may be given several times.
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// Reach this device; may be given several times.
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Reach devices of users with this profile; may be given several times.
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
    /// Reach devices that this deployment token has activated.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Reach devices whose program is older than this release.
    #[arg(long, value_name = "RELEASE")]
    agent_below: Option<String>,
    /// Reach devices that were last activated more than so many days ago.
    #[arg(long, value_name = "DAYS")]
    activated_days_ago: Option<u32>,
    /// Leave devices of users with this profile out; may be given several times.
    #[arg(long, value_name = "PROFILE")]
    without_profile: Vec<String>,
    /// Leave devices of this user out; may be given several times.
    #[arg(long, value_name = "USER")]
    without_user: Vec<String>,
    /// Leave this device out; may be given several times.
    #[arg(long, value_name = "DEVICE")]
    without_device: Vec<String>,
    /// Devices in a wave.
    #[arg(long, default_value_t = 500)]
    wave_size: u64,
    /// How many minutes a wave takes; 0 resets everything at once.
    #[arg(long, default_value_t = 10, value_name = "MINUTES")]
    wave_minutes: u64,
    /// When everybody should be back, in days from now.
    #[arg(long, value_name = "DAYS")]
    deadline_days: Option<u32>,
    /// Until when held devices may append, in days from now.
    #[arg(long, value_name = "DAYS")]
    append_days: Option<u32>,
    /// The template of the message to users: one of your own, whose name begins with campaign_.
    #[arg(long, default_value = "campaign")]
    template: String,
    /// Who gets it.
    #[arg(long, value_enum, default_value_t = Tell::All)]
    tell: Tell,
    /// After how many days the user of a device that is not back is reminded, each time; 0 is never.
    #[arg(long, default_value_t = 3, value_name = "DAYS")]
    remind_days: u32,
    /// How often at most.
    #[arg(long, default_value_t = 3, value_name = "TIMES")]
    reminders: u64,
}

/// Who gets a campaign's message.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tell {
    /// The user of every device that is reset.
    All,
    /// The users of devices that do not come back by themselves.
    Needed,
    /// No user, and none is reminded.
    Nobody,
}

/// How hard a campaign cuts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// New keys; the old key still proves the device, which comes back by itself.
    Rotate,
    /// Must come back; may append until then, and read nothing.
    Hold,
    /// Nothing is accepted but a person, a ticket or an installer's token.
    Revoke,
}

impl Campaign {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        let now = desk.surroundings.clock.now();
        match self {
            Campaign::Make(make) => {
                let plan = plan(&client, now, *make).await?;
                let Said { value, json } = client.post::<wire::Campaign>("/campaigns", &plan).await?;
                Ok(Answer::good(text::made(&value), json))
            }
            Campaign::List => {
                let Said { value, json } = client.list::<wire::Campaign>("/campaigns", &PageQuery::default()).await?;
                Ok(Answer::good(text::list(&value), json))
            }
            Campaign::Show { campaign } => {
                let path = path(&client, &campaign, "").await?;
                let Said { value, json } = client.get::<wire::Campaign>(&path, &()).await?;
                Ok(Answer::good(text::card_of(&value), json))
            }
            Campaign::Delete { campaign } => delete(&client, &campaign).await,
            Campaign::DryRun { campaign, devices } => {
                let path = path(&client, &campaign, "/dry-run").await?;
                let Said { value, json } = client.get::<wire::CampaignDryRun>(&path, &()).await?;
                Ok(Answer::good(text::dry_run(&value, devices), json))
            }
            Campaign::Start { campaign, in_minutes } => {
                let ahead = |minutes: u64| i64::try_from(minutes.saturating_mul(MINUTE_MS)).unwrap_or(i64::MAX);
                let at_ms = in_minutes.map(|minutes| now.as_ms().saturating_add(ahead(minutes)));
                change(&client, &campaign, "start", &wire::CampaignStart { at_ms }).await
            }
            Campaign::Pause { campaign } => change(&client, &campaign, "pause", &Nothing {}).await,
            Campaign::Resume { campaign } => change(&client, &campaign, "resume", &Nothing {}).await,
            Campaign::Abort { campaign, reason } => {
                change(&client, &campaign, "abort", &wire::CampaignReason { reason }).await
            }
            Campaign::BringBack { campaign } => {
                let path = path(&client, &campaign, "/bring-back").await?;
                let Said { value, json } = client.post::<wire::BroughtBack>(&path, &Nothing {}).await?;
                let are = if value.devices == 1 { "is" } else { "are" };
                let devices = Count(value.devices).counted("device");
                Ok(Answer::good(format!("{devices} {are} back in service\n"), json))
            }
            Campaign::Close { campaign, reason } => {
                change(&client, &campaign, "close", &wire::CampaignReason { reason }).await
            }
            Campaign::Excuse { campaign, device, reason } => excuse(&client, &campaign, &device, reason).await,
            Campaign::Board { campaign } => {
                let path = path(&client, &campaign, "/board").await?;
                let Said { value, json } = client.get::<wire::CampaignBoard>(&path, &()).await?;
                Ok(Answer::good(text::board(&value), json))
            }
            Campaign::Devices { campaign, place } => {
                let path = path(&client, &campaign, "/devices").await?;
                let query = wire::BoardQuery { place, ..Default::default() };
                let Said { value, json } = client.list::<wire::BoardEntry>(&path, &query).await?;
                Ok(Answer::good(text::devices(&value), json))
            }
            Campaign::Evidence { campaign, out } => evidence(desk, &client, &campaign, out).await,
        }
    }
}

async fn change(client: &Client, campaign: &str, verb: &str, body: &impl Serialize) -> Result<Answer, Failure> {
    let path = path(client, campaign, &format!("/{verb}")).await?;
    let Said { value, json } = client.post::<wire::Campaign>(&path, body).await?;
    Ok(Answer::good(text::changed(&value), json))
}

async fn delete(client: &Client, campaign: &str) -> Result<Answer, Failure> {
    let found = named::find::<wire::Campaign>(client, campaign).await?.value;
    let path = format!("/campaigns/{}", found.campaign.0);
    let Said { json, .. } = client.change::<Nothing>("DELETE", &path, &Nothing {}).await?;
    Ok(Answer::good(format!("deleted the draft \"{}\"\n", found.plan.name.escape_debug()), json))
}

/// Lets a device be, and says what has become of the campaign by that.
async fn excuse(client: &Client, campaign: &str, device: &str, reason: String) -> Result<Answer, Failure> {
    let device = named::find::<Device>(client, device).await?.value;
    let id = named::id::<wire::Campaign>(client, campaign).await?;
    let path = format!("/campaigns/{id}/devices/{}/excuse", device.device.0);
    let Said { json, .. } = client.post::<Nothing>(&path, &wire::CampaignReason { reason }).await?;
    let after = client.get::<wire::Campaign>(&format!("/campaigns/{id}"), &()).await?.value;
    Ok(Answer::good(text::excused(&device.name, &after), json))
}

async fn evidence(desk: &Desk, client: &Client, campaign: &str, out: Option<PathBuf>) -> Result<Answer, Failure> {
    let is_json = desk.surroundings.out.json;
    let Some(file) = out else { return evidence_of(client, campaign, is_json).await };
    let unwritable = |cause| unwritable(&file, &cause);
    // Opened before anything is fetched: minutes of waiting would be for nothing.
    let mut opened = std::fs::OpenOptions::new().write(true).create_new(true).open(&file).map_err(unwritable)?;
    let written = match evidence_of(client, campaign, is_json).await {
        Ok(found) => {
            let body = if is_json { found.json.to_string() } else { found.text };
            opened.write_all(body.as_bytes()).map_err(unwritable)
        }
        Err(failure) => Err(failure),
    };
    if let Err(failure) = written {
        // Nobody is to take an empty file for the evidence, or half of it.
        let _ = std::fs::remove_file(&file);
        return Err(failure);
    }
    Ok(Answer::good(format!("written to {}\n", file.display()), json!({ "file": file.display().to_string() })))
}

async fn evidence_of(client: &Client, campaign: &str, is_json: bool) -> Result<Answer, Failure> {
    if is_json {
        let path = path(client, campaign, "/devices").await?;
        let Said { json, .. } = client.list::<wire::BoardEntry>(&path, &wire::BoardQuery::default()).await?;
        return Ok(Answer::good(String::new(), json));
    }
    let path = path(client, campaign, "/evidence.csv").await?;
    let bytes = whole(client.send(call("GET", &path, &(), None)).await?).await?;
    Ok(Answer::good(String::from_utf8_lossy(&bytes), json!(null)))
}

/// The path of a campaign that is named by identifier, the beginning of one, or name.
async fn path(client: &Client, named: &str, rest: &str) -> Result<String, Failure> {
    let id = named::id::<wire::Campaign>(client, named).await?;
    Ok(format!("/campaigns/{id}{rest}"))
}

async fn plan(client: &Client, now: Timestamp, make: Make) -> Result<wire::CampaignPlan, Failure> {
    let ahead = |days: Option<u32>| days.map(|days| now.as_ms() + i64::from(days) * DAY_MS);
    let level = match make.level {
        Level::Rotate => "rotate",
        Level::Hold => "hold",
        Level::Revoke => "revoke",
    };
    let tell = match make.tell {
        Tell::All => "all",
        Tell::Needed => "needed",
        Tell::Nobody => "nobody",
    };
    let token = match &make.token {
        Some(token) => Some(Text(named::id::<Token>(client, token).await?)),
        None => None,
    };
    let scope = wire::CampaignScope {
        everyone: make.everyone,
        profiles: ids::<Profile>(client, &make.profile).await?,
        users: ids::<User>(client, &make.user).await?,
        devices: ids::<Device>(client, &make.device).await?,
        activated_before_ms: make.activated_days_ago.map(|days| now.as_ms() - i64::from(days) * DAY_MS),
        token,
        agent_below: make.agent_below,
        without_profiles: ids::<Profile>(client, &make.without_profile).await?,
        without_users: ids::<User>(client, &make.without_user).await?,
        without_devices: ids::<Device>(client, &make.without_device).await?,
    };
    Ok(wire::CampaignPlan {
        name: make.name,
        reason: make.reason,
        level: level.to_owned(),
        scope,
        deadline_ms: ahead(make.deadline_days),
        append_until_ms: ahead(make.append_days),
        wave_size: make.wave_size,
        wave_ms: make.wave_minutes.saturating_mul(MINUTE_MS),
        watch_ms: None,
        template: make.template,
        tell: Some(tell.to_owned()),
        remind_ms: Some(Span::days(u64::from(make.remind_days)).as_ms()),
        reminders_max: Some(make.reminders),
    })
}

async fn ids<T: named::Entity>(client: &Client, names: &[String]) -> Result<Vec<Text<T::Id>>, Failure> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        ids.push(Text(named::id::<T>(client, name).await?));
    }
    Ok(ids)
}
