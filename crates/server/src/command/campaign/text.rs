//! Campaigns for people: at most 80 columns, what needs doing first. Refuses to be read by machines: JSON is.

use crate::command::words;
use crate::out::{card, table, wrapped};
use base::{Count, Span, Timestamp};
use control::campaign::{Class, Place, Status};
use control::mail::MailStatus;
use protocol::admin::campaign as wire;

/// How wide the longest bar of a board is.
const BAR: u64 = 36;

pub(super) fn made(campaign: &wire::Campaign) -> String {
    let id = campaign.campaign.0;
    format!(
        "made campaign {id}\nNothing is reset yet. Look first: holdfast-server campaign dry-run {}\n",
        short(campaign)
    )
}

pub(super) fn changed(campaign: &wire::Campaign) -> String {
    format!("campaign \"{}\" is {}\n", campaign.plan.name, status(campaign))
}

/// That a device was let be, and what has come of its campaign by that.
pub(super) fn excused(device: &str, campaign: &wire::Campaign) -> String {
    let closed = match campaign.status == Status::Closed.word() {
        true => "nothing is awaited any more, and the campaign is closed\n",
        false => "",
    };
    format!("{} is excused\n{closed}", device.escape_debug())
}

pub(super) fn list(campaigns: &[wire::Campaign]) -> String {
    let row = |campaign: &wire::Campaign| {
        vec![
            short(campaign),
            campaign.plan.name.clone(),
            campaign.plan.level.clone(),
            status(campaign),
            words::time(Timestamp::from_ms(campaign.created_at_ms)),
        ]
    };
    let rows: Vec<Vec<String>> = campaigns.iter().map(row).collect();
    table(&["ID", "NAME", "LEVEL", "STATUS", "MADE"], &rows)
}

pub(super) fn card_of(campaign: &wire::Campaign) -> String {
    let time = |ms: Option<i64>| words::time_maybe(ms.map(Timestamp::from_ms));
    let plan = &campaign.plan;
    let mut lines = vec![
        ("campaign", campaign.campaign.0.to_string()),
        ("name", plan.name.clone()),
        ("reason", plan.reason.clone()),
        ("level", plan.level.clone()),
        ("status", status(campaign)),
        ("waves", waves(plan.wave_size, plan.wave_ms)),
        ("told", told(plan)),
        ("made", format!("{} by {}", time(Some(campaign.created_at_ms)), campaign.created_by)),
        ("started", time(campaign.started_at_ms)),
        ("deadline", time(plan.deadline_ms)),
        ("ended", time(campaign.ended_at_ms)),
    ];
    if !campaign.end_reason.is_empty() {
        lines.push(("because", campaign.end_reason.clone()));
    }
    card(&lines)
}

pub(super) fn dry_run(run: &wire::CampaignDryRun, devices: bool) -> String {
    let total: u64 = run.counts.values().sum();
    let (all, waves) = (Count(total).counted("device"), Count(run.waves).counted("wave"));
    let mut text = match (total, run.span_ms) {
        (0, _) => format!("{all}\n\n"),
        (_, 0) => format!("{all}, all at once\n\n"),
        (_, span_ms) => format!("{all} in {waves}, about {}\n\n", Span::ms(span_ms)),
    };
    for class in Class::ALL {
        let count = run.counts.get(class.word()).copied().unwrap_or_default();
        text.push_str(&bar(class.word(), count, total));
        if count > 0 {
            text.push_str(&wrapped(class_sentence(class), "                    "));
        }
    }
    text.push_str(&format!("\n{}\n", messages(run)));
    if run.past_deadline {
        text.push_str("\nAt this pace it ends after the deadline: take larger or shorter waves.\n");
    }
    if devices {
        let row = |device: &wire::Foretold| vec![device.name.clone(), device.user.clone(), device.class.clone()];
        let rows: Vec<Vec<String>> = run.devices.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table(&["DEVICE", "USER", "WILL BE"], &rows));
    }
    text
}

pub(super) fn board(board: &wire::CampaignBoard) -> String {
    let campaign = &board.campaign;
    let total: u64 = board.counts.values().sum();
    let done = board.counts.get(Place::Done.word()).copied().unwrap_or_default();
    let mut text = format!("{} ({}): {}\n", campaign.plan.name, campaign.plan.level, status(campaign));
    text.push_str(&back(campaign.started_at_ms.is_some(), (done, total), board.vouched));
    for place in Place::ALL {
        let count = board.counts.get(place.word()).copied().unwrap_or_default();
        text.push_str(&bar(place.word(), count, total));
    }
    if board.flagged > 0 {
        let (flagged, have) = (Count(board.flagged), if board.flagged == 1 { "has" } else { "have" });
        text.push_str(&format!("\n{flagged} {have} sent more than 1 % again: see `evidence`.\n"));
    }
    if !board.messages.is_empty() {
        // The order of docs/control.md.
        let standing = |status: MailStatus| Some((board.messages.get(status.word())?, status.word()));
        let parts = MailStatus::ALL.into_iter().filter_map(standing);
        let parts: Vec<String> = parts.map(|(count, word)| format!("{} {word}", Count(*count))).collect();
        text.push_str(&format!("\nmessages to users: {}\n", parts.join(", ")));
    }
    if let Some(deadline) = campaign.plan.deadline_ms {
        text.push_str(&format!("\ndeadline {}\n", words::time(Timestamp::from_ms(deadline))));
    }
    text
}

/// How many are back, in a line, with an empty one after it; of a campaign that nobody is in, why that is.
fn back(started: bool, (done, total): (u64, u64), vouched: u64) -> String {
    let Some(percent) = (done * 100).checked_div(total) else {
        return match started {
            true => "no device is in it: nobody was meant when it started\n\n".to_owned(),
            false => "no device is in it yet: who is meant is settled at its start; see `dry-run`\n\n".to_owned(),
        };
    };
    let vouched = match vouched {
        0 => String::new(),
        vouched => format!(", {} of them by an admin's word", Count(vouched)),
    };
    format!("{} of {} are back ({percent} %){vouched}\n\n", Count(done), Count(total))
}

pub(super) fn devices(entries: &[wire::BoardEntry]) -> String {
    let row = |entry: &wire::BoardEntry| {
        let why =
            if entry.note.is_empty() { entry.reason.clone() } else { format!("{}: {}", entry.reason, entry.note) };
        vec![entry.name.clone(), entry.user.clone(), entry.place.clone(), why]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    table(&["DEVICE", "USER", "PLACE", "WHY"], &rows)
}

/// Who is told and reminded: `all, by campaign; then every 3 days, 3 times at most`.
fn told(plan: &wire::CampaignPlan) -> String {
    let (tell, every) = (plan.tell.as_deref().unwrap_or_default(), Span::ms(plan.remind_ms.unwrap_or_default()));
    match (tell, every, plan.reminders_max.unwrap_or_default()) {
        ("nobody", _, _) => "nobody".to_owned(),
        (_, Span::ZERO, _) | (_, _, 0) => format!("{tell}, by {}", plan.template),
        (_, every, max) => format!("{tell}, by {}; again every {every}, {max} times at most", plan.template),
    }
}

/// How many messages there will be.
fn messages(run: &wire::CampaignDryRun) -> String {
    match run.messages {
        _ if run.mail_off => "Nobody is told: no mail server is set.".to_owned(),
        0 => "Nobody is told by mail.".to_owned(),
        1 => "1 message to 1 user goes out.".to_owned(),
        messages => {
            format!("{} to {} go out.", Count(messages).counted("message"), Count(run.users_told).counted("user"))
        }
    }
}

/// How fast it goes: `500 devices every 10 min 0 s`.
fn waves(size: u64, ms: u64) -> String {
    match ms {
        0 => "all at once".to_owned(),
        ms => format!("{} every {}", Count(size).counted("device"), Span::ms(ms)),
    }
}

/// `done               1234  ##########`, at most 80 columns.
fn bar(word: &str, count: u64, total: u64) -> String {
    let length = (count * BAR).div_ceil(total.max(1)).min(BAR);
    let bar = "#".repeat(usize::try_from(length).unwrap_or(0));
    format!("{word:18}{count:>9}  {bar}").trim_end().to_owned() + "\n"
}

fn class_sentence(class: Class) -> &'static str {
    match class {
        Class::Automatic => "come back without anybody doing anything",
        Class::NeedsUser => "need somebody to sign in at the device",
        Class::NotSeen => "were not heard of for more than 30 days and may never come",
        Class::Duplicate => "are two machines or two records of one: look at the conflict desk first",
        Class::Already => "are cut off as strictly already, and passed over",
        Class::OutOfService => "are not in service, or stopped by an admin",
    }
}

fn status(campaign: &wire::Campaign) -> String {
    match (campaign.status.as_str(), campaign.started_at_ms, campaign.start_at_ms) {
        ("running", None, Some(at)) => format!("to start at {}", words::time(Timestamp::from_ms(at))),
        (status, _, _) => status.to_owned(),
    }
}

fn short(campaign: &wire::Campaign) -> String {
    campaign.campaign.0.to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_said_as_many_and_no_time_at_all_is_at_once() {
        let run = |devices: u64, waves: u64, span_ms: u64| wire::CampaignDryRun {
            counts: [(Class::Automatic.word().to_owned(), devices)].into(),
            waves,
            span_ms,
            past_deadline: false,
            messages: devices,
            users_told: devices,
            mail_off: false,
            devices: Vec::new(),
        };
        for (devices, waves, span_ms, head) in [
            (0, 0, 0, "no devices"),
            (1, 1, 600_000, "1 device in 1 wave, about 10 min 0 s"),
            (1_200, 3, 1_800_000, "1,200 devices in 3 waves, about 30 min 0 s"),
            (500, 1, 0, "500 devices, all at once"),
        ] {
            let text = dry_run(&run(devices, waves, span_ms), false);
            assert_eq!(text.lines().next(), Some(head));
        }
        assert_eq!(waves(500, 0), "all at once");
        assert_eq!(waves(1, 600_000), "1 device every 10 min 0 s");
    }

    #[test]
    fn who_is_back_is_said_with_who_stood_for_it_and_nobody_is_no_hundred_percent() {
        assert_eq!(back(true, (3, 4), 0), "3 of 4 are back (75 %)\n\n");
        assert_eq!(back(true, (4, 4), 1), "4 of 4 are back (100 %), 1 of them by an admin's word\n\n");
        for started in [true, false] {
            let text = back(started, (0, 0), 0);
            assert!(text.starts_with("no device is in it") && !text.contains('%'), "{text}");
        }
    }

    #[test]
    fn a_bar_is_as_long_as_its_part_and_never_too_wide() {
        assert_eq!(bar("done", 0, 0), "done                      0\n");
        assert_eq!(bar("done", 1, 1_000_000), "done                      1  #\n");
        assert!(bar("waiting_for_user", 100_000, 100_000).len() <= 80);
    }
}
