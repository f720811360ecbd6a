//! `/api/v1/campaigns` and `/api/v1/watch`. Refuses to decide: places, classes and findings come from the use cases.

use crate::admin::describe::{Content, Made, Media, text};
use crate::admin::extract::{AtAdmin, Body, Named, NamedPair, Query, ask, malformed, time, word};
use crate::admin::{Entry, delete as remove_of, get, post, put};
use crate::reply::{No, Reply, Yes};
use app::campaigns::{self, BoardEntry, Campaign, Plan};
use app::page::PageAsk;
use app::{AdminActor, App, AppError, watch};
use axum::body::Body as HttpBody;
use axum::http::header;
use axum::response::IntoResponse as _;
use base::{CampaignId, Count, DeviceId, Span, Timestamp};
use bytes::Bytes;
use control::Permit;
use control::campaign::{Place, Release, Reminders, Reset, Scope, Tell};
use futures::stream;
use protocol::Text;
use protocol::admin::campaign as wire;
use protocol::admin::{Nothing, Page, PageQuery};
use std::marker::PhantomData;
use std::sync::Arc;

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{CampaignManage, CampaignRead};
    vec![
        get("campaign_list", "/api/v1/campaigns", CampaignRead, "Campaigns, the newest first.", list),
        post("campaign_make", "/api/v1/campaigns", CampaignManage, "Make a campaign that touches nothing yet.", make),
        get("campaign_show", "/api/v1/campaigns/{campaign}", CampaignRead, "One campaign.", show),
        put("campaign_edit", "/api/v1/campaigns/{campaign}", CampaignManage, "Change a draft.", edit),
        remove_of("campaign_delete", "/api/v1/campaigns/{campaign}", CampaignManage,
            "Delete a draft: nothing is left of it but the audit log.", delete),
        get("campaign_dry_run", "/api/v1/campaigns/{campaign}/dry-run", CampaignRead,
            "What it would do if it were started now.", dry_run),
        post("campaign_start", "/api/v1/campaigns/{campaign}/start", CampaignManage, "Start a draft.", start),
        post("campaign_pause", "/api/v1/campaigns/{campaign}/pause", CampaignManage,
            "Reset no further device for now.", pause),
        post("campaign_resume", "/api/v1/campaigns/{campaign}/resume", CampaignManage, "Go on.", resume),
        post("campaign_abort", "/api/v1/campaigns/{campaign}/abort", CampaignManage,
            "End it before every device is reset; those that were stay so.", abort),
        post("campaign_bring_back", "/api/v1/campaigns/{campaign}/bring-back", CampaignManage,
            "Bring back what an aborted campaign has reset.", bring_back),
        post("campaign_close", "/api/v1/campaigns/{campaign}/close", CampaignManage, "End it by hand.", close),
        post("campaign_excuse", "/api/v1/campaigns/{campaign}/devices/{device}/excuse", CampaignManage,
            "Let one device be; where it was the last that is awaited, the campaign closes by that.", excuse),
        get("campaign_board", "/api/v1/campaigns/{campaign}/board", CampaignRead, "A campaign at a glance.", board),
        get("campaign_device_list", "/api/v1/campaigns/{campaign}/devices", CampaignRead,
            "The devices of a campaign, where each stands and why, and its evidence.", devices),
        get("campaign_evidence", "/api/v1/campaigns/{campaign}/evidence.csv", CampaignRead,
            "The evidence of a campaign as CSV.", evidence),
        get("watch_list", "/api/v1/watch", CampaignRead, "Devices that came back, and how their backups go.", watched),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<wire::Campaign>> {
    let page = campaigns::page(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(campaign).collect(), next: page.next }))
}

async fn make(at: AtAdmin, Body(plan): Body<wire::CampaignPlan>) -> Reply<wire::Campaign> {
    Ok(Yes(campaign(campaigns::make(&at.app, &at.actor, plan_from(plan)?).await?)))
}

async fn show(at: AtAdmin, Named(id): Named<CampaignId>) -> Reply<wire::Campaign> {
    Ok(Yes(campaign(campaigns::get(&at.app, &at.actor, id).await?)))
}

async fn edit(
    at: AtAdmin,
    Named(id): Named<CampaignId>,
    Body(plan): Body<wire::CampaignPlan>,
) -> Reply<wire::Campaign> {
    Ok(Yes(campaign(campaigns::edit(&at.app, &at.actor, id, plan_from(plan)?).await?)))
}

async fn delete(at: AtAdmin, Named(id): Named<CampaignId>) -> Reply<Nothing> {
    campaigns::delete(&at.app, &at.actor, id).await?;
    Ok(Yes(Nothing {}))
}

async fn dry_run(at: AtAdmin, Named(id): Named<CampaignId>) -> Reply<wire::CampaignDryRun> {
    let found = campaigns::dry_run(&at.app, &at.actor, id).await?;
    let foretold = |device: campaigns::Foretold| wire::Foretold {
        device: Text(device.device),
        name: device.name,
        user: device.email,
        class: device.class.word().to_owned(),
        told: device.told,
    };
    Ok(Yes(wire::CampaignDryRun {
        counts: found.counts.iter().map(|(class, count)| (class.word().to_owned(), *count)).collect(),
        waves: found.waves,
        span_ms: found.span.as_ms(),
        past_deadline: found.past_deadline,
        messages: found.messages,
        users_told: found.users_told,
        mail_off: found.mail_off,
        devices: found.devices.into_iter().map(foretold).collect(),
    }))
}

async fn start(
    at: AtAdmin,
    Named(id): Named<CampaignId>,
    Body(body): Body<wire::CampaignStart>,
) -> Reply<wire::Campaign> {
    Ok(Yes(campaign(campaigns::start(&at.app, &at.actor, id, time(body.at_ms)).await?)))
}

async fn pause(at: AtAdmin, Named(id): Named<CampaignId>) -> Reply<wire::Campaign> {
    Ok(Yes(campaign(campaigns::pause(&at.app, &at.actor, id).await?)))
}

async fn resume(at: AtAdmin, Named(id): Named<CampaignId>) -> Reply<wire::Campaign> {
    Ok(Yes(campaign(campaigns::resume(&at.app, &at.actor, id).await?)))
}

async fn abort(
    at: AtAdmin,
    Named(id): Named<CampaignId>,
    Body(body): Body<wire::CampaignReason>,
) -> Reply<wire::Campaign> {
    Ok(Yes(campaign(campaigns::abort(&at.app, &at.actor, id, &body.reason).await?)))
}

async fn bring_back(at: AtAdmin, Named(id): Named<CampaignId>) -> Reply<wire::BroughtBack> {
    Ok(Yes(wire::BroughtBack { devices: campaigns::bring_back(&at.app, &at.actor, id).await? }))
}

async fn close(
    at: AtAdmin,
    Named(id): Named<CampaignId>,
    Body(body): Body<wire::CampaignReason>,
) -> Reply<wire::Campaign> {
    Ok(Yes(campaign(campaigns::close(&at.app, &at.actor, id, &body.reason).await?)))
}

async fn excuse(
    at: AtAdmin,
    NamedPair(id, device): NamedPair<CampaignId, DeviceId>,
    Body(body): Body<wire::CampaignReason>,
) -> Reply<Nothing> {
    campaigns::excuse(&at.app, &at.actor, id, device, &body.reason).await?;
    Ok(Yes(Nothing {}))
}

async fn board(at: AtAdmin, Named(id): Named<CampaignId>) -> Reply<wire::CampaignBoard> {
    let board = campaigns::board(&at.app, &at.actor, id).await?;
    let by_class = board.by_class.iter().map(|((class, place), devices)| wire::ClassCount {
        class: class.word().to_owned(),
        place: place.word().to_owned(),
        devices: *devices,
    });
    let point = |point: &campaigns::BurnPoint| wire::BurnPoint { at_ms: point.at.as_ms(), left: point.left };
    Ok(Yes(wire::CampaignBoard {
        counts: board.counts.iter().map(|(place, count)| (place.word().to_owned(), *count)).collect(),
        by_class: by_class.collect(),
        vouched: board.vouched,
        flagged: board.flagged,
        burn_down: board.burn_down.iter().map(point).collect(),
        messages: board.messages.iter().map(|(status, count)| ((*status).to_owned(), count.0)).collect(),
        campaign: campaign(board.campaign),
    }))
}

async fn devices(
    at: AtAdmin,
    Named(id): Named<CampaignId>,
    Query(query): Query<wire::BoardQuery>,
) -> Reply<Page<wire::BoardEntry>> {
    let place = word("place", query.place.as_deref(), &Place::ALL, Place::word)?;
    let page = campaigns::board_page(&at.app, &at.actor, id, place, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(entry).collect(), next: page.next }))
}

/// CSV, as spreadsheets take it.
struct Csv;

impl Media for Csv {
    fn contents() -> Vec<Content> {
        vec![Content { media: "text/csv", schema: |_| text() }]
    }
}

/// Where a stream of evidence stands.
enum Rest {
    Header,
    After(PageAsk),
    Done,
}

async fn evidence(at: AtAdmin, Named(id): Named<CampaignId>) -> Result<Made<Csv>, No> {
    // A campaign that is not there is said so before the stream begins.
    campaigns::get(&at.app, &at.actor, id).await?;
    let (app, actor) = (at.app, at.actor);
    let pieces = stream::try_unfold(Rest::Header, move |rest| {
        let (app, actor) = (Arc::clone(&app), actor.clone());
        async move { piece(&app, &actor, id, rest).await }
    });
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    Ok(Made((headers, HttpBody::from_stream(pieces)).into_response(), PhantomData))
}

async fn piece(app: &App, actor: &AdminActor, id: CampaignId, rest: Rest) -> Result<Option<(Bytes, Rest)>, AppError> {
    let ask = match rest {
        Rest::Header => {
            let header = Bytes::from_static(campaigns::evidence::CSV_HEADER.as_bytes());
            return Ok(Some((header, Rest::After(PageAsk::first()))));
        }
        Rest::After(ask) => ask,
        Rest::Done => return Ok(None),
    };
    let page = campaigns::board_page(app, actor, id, None, &ask).await?;
    let lines: String = page.items.iter().map(campaigns::evidence::csv_line).collect();
    let rest = match page.next {
        Some(next) => Rest::After(PageAsk::new(Some(next), Some(u64::from(app::page::LIMIT_MAX)))?),
        None => Rest::Done,
    };
    Ok(Some((Bytes::from(lines), rest)))
}

async fn watched(at: AtAdmin, Query(query): Query<wire::WatchQuery>) -> Reply<Page<wire::WatchEntry>> {
    let page = watch::page(&at.app, &at.actor, query.alarms, &ask(query.after, query.limit)?).await?;
    let entry = |entry: watch::WatchEntry| wire::WatchEntry {
        device: Text(entry.device),
        name: entry.name,
        user: entry.email,
        finding: entry.finding.word().to_owned(),
        alarm: entry.finding.is_alarm(),
        since_ms: entry.since.as_ms(),
        until_ms: entry.until.as_ms(),
        catch_up_at_ms: entry.catch_up_at.map(Timestamp::as_ms),
        last_good_at_ms: entry.last_good_at.map(Timestamp::as_ms),
    };
    Ok(Yes(Page { items: page.items.into_iter().map(entry).collect(), next: page.next }))
}

fn plan_from(plan: wire::CampaignPlan) -> Result<Plan, No> {
    let level = Reset::from_word(&plan.level).ok_or_else(|| malformed("`level` is rotate, hold or revoke."))?;
    let scope = plan.scope;
    let usual = Reminders::USUAL;
    let reminders = Reminders {
        every: plan.remind_ms.map_or(usual.every, Span::ms),
        max: plan.reminders_max.map_or(usual.max, Count),
    };
    let no_release = || malformed("`agent_below` is a release, such as 1.4.2.");
    let agent_below =
        scope.agent_below.as_deref().map(|text| Release::read(text).ok_or_else(no_release)).transpose()?;
    fn ids<T>(list: Vec<Text<T>>) -> Vec<T> {
        list.into_iter().map(|id| id.0).collect()
    }
    Ok(Plan {
        name: plan.name,
        reason: plan.reason,
        level,
        scope: Scope {
            everyone: scope.everyone,
            profiles: ids(scope.profiles),
            users: ids(scope.users),
            devices: ids(scope.devices),
            activated_before: time(scope.activated_before_ms),
            token: scope.token.map(|token| token.0),
            agent_below,
            without_profiles: ids(scope.without_profiles),
            without_users: ids(scope.without_users),
            without_devices: ids(scope.without_devices),
        },
        deadline: time(plan.deadline_ms),
        append_until: time(plan.append_until_ms),
        wave_size: plan.wave_size,
        wave_span: Span::ms(plan.wave_ms),
        watch_span: plan.watch_ms.map(Span::ms),
        template: plan.template,
        tell: word("tell", plan.tell.as_deref(), &Tell::ALL, Tell::word)?.unwrap_or_default(),
        reminders,
    })
}

fn campaign(campaign: Campaign) -> wire::Campaign {
    let Plan { name, reason, level, scope, .. } = campaign.plan;
    fn ids<T>(list: Vec<T>) -> Vec<Text<T>> {
        list.into_iter().map(Text).collect()
    }
    wire::Campaign {
        campaign: Text(campaign.id),
        plan: wire::CampaignPlan {
            name,
            reason,
            level: level.word().to_owned(),
            scope: wire::CampaignScope {
                everyone: scope.everyone,
                profiles: ids(scope.profiles),
                users: ids(scope.users),
                devices: ids(scope.devices),
                activated_before_ms: scope.activated_before.map(Timestamp::as_ms),
                token: scope.token.map(Text),
                agent_below: scope.agent_below.map(|release| release.to_string()),
                without_profiles: ids(scope.without_profiles),
                without_users: ids(scope.without_users),
                without_devices: ids(scope.without_devices),
            },
            deadline_ms: campaign.plan.deadline.map(Timestamp::as_ms),
            append_until_ms: campaign.plan.append_until.map(Timestamp::as_ms),
            wave_size: campaign.plan.wave_size,
            wave_ms: campaign.plan.wave_span.as_ms(),
            watch_ms: campaign.plan.watch_span.map(Span::as_ms),
            template: campaign.plan.template,
            tell: Some(campaign.plan.tell.word().to_owned()),
            remind_ms: Some(campaign.plan.reminders.every.as_ms()),
            reminders_max: Some(campaign.plan.reminders.max.0),
        },
        status: campaign.status.word().to_owned(),
        start_at_ms: campaign.start_at.map(Timestamp::as_ms),
        created_at_ms: campaign.created_at.as_ms(),
        created_by: campaign.created_by,
        started_at_ms: campaign.started_at.map(Timestamp::as_ms),
        ended_at_ms: campaign.ended_at.map(Timestamp::as_ms),
        paused_at_ms: campaign.paused_at.map(Timestamp::as_ms),
        progress_ms: campaign.progress.as_ms(),
        end_reason: campaign.end_reason,
    }
}

fn entry(entry: BoardEntry) -> wire::BoardEntry {
    wire::BoardEntry {
        device: Text(entry.device),
        name: entry.name,
        user: entry.email,
        place: entry.place.word().to_owned(),
        reason: entry.reason.word().to_owned(),
        sentence: entry.reason.sentence().to_owned(),
        note: entry.note,
        wave: entry.wave,
        class: entry.class.word().to_owned(),
        seen_at_ms: entry.seen_at.map(Timestamp::as_ms),
        reset_at_ms: entry.reset_at.map(Timestamp::as_ms),
        back_at_ms: entry.back_at.map(Timestamp::as_ms),
        proof: entry.proof,
        bytes_read: entry.bytes_read.map(|bytes| bytes.0),
        bytes_sent: entry.bytes_sent.map(|bytes| bytes.0),
        bytes_covered: entry.bytes_covered.map(|bytes| bytes.0),
        flagged: entry.flagged,
        first_good: entry.first_good.map(Text),
        first_good_at_ms: entry.first_good_at.map(Timestamp::as_ms),
    }
}
