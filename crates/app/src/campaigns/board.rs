//! The live board of a campaign: where each device stands and why, and how it went. Refuses to store a place: what is
//! shown follows from the rows at the moment of asking.

use super::{Campaign, MessageCounts, known, messages, view};
use crate::devices::DeviceCampaign;
use crate::page::{Page, PageAsk, part};
use crate::{AdminActor, App, AppError};
use base::{Bytes, CampaignId, DeviceId, SnapshotId, Span, Timestamp};
use control::campaign::{Class, Place, Reason, Seen, Status, place};
use control::{Permit, Proof};
use db::{BoardRow, CampaignRow, TurnStatus, Tx};
use std::collections::BTreeMap;

/// Rows read at a time.
const PAGE: u32 = 1_000;
/// Rows read at a time to find one of which something is expected, which is mostly the first.
const EXPECTED_PAGE: u32 = 50;
/// About how many points a burn-down has.
const POINTS: u64 = 60;
/// One part in this many of what is protected may be sent again before it is flagged.
const SENT_PART: u64 = 100;
/// What a backup costs that sends no content: names, and the manifest. So much is never flagged.
const SENT_FREE: Bytes = Bytes::kib(64);

/// A campaign at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The campaign.
    pub campaign: Campaign,
    /// How many devices stand at each place; every place is there.
    pub counts: BTreeMap<Place, u64>,
    /// How many devices of each class of the dry run stand at each place; only what there is.
    pub by_class: BTreeMap<(Class, Place), u64>,
    /// How many of the done an admin stood for.
    pub vouched: u64,
    /// How many devices were flagged for what they have sent again.
    pub flagged: u64,
    /// How many were still to come back, over time.
    pub burn_down: Vec<BurnPoint>,
    /// How many messages to users stand where, as long as their rows are kept.
    pub messages: MessageCounts,
}

/// One point of a burn-down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurnPoint {
    /// When.
    pub at: Timestamp,
    /// How many devices were not back.
    pub left: u64,
}

/// One device on the board, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardEntry {
    /// Which.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub email: String,
    /// Where it stands.
    pub place: Place,
    /// Why.
    pub reason: Reason,
    /// The code of the last refusal, or the words of the admin who excused it; empty where there are none.
    pub note: String,
    /// Its wave, from 0.
    pub wave: u64,
    /// What the dry run said at the start.
    pub class: Class,
    /// When it was last heard of.
    pub seen_at: Option<Timestamp>,
    /// When it was reset.
    pub reset_at: Option<Timestamp>,
    /// When it came back.
    pub back_at: Option<Timestamp>,
    /// By which proof.
    pub proof: Option<String>,
    /// What the endpoint has read in its first backup after.
    pub bytes_read: Option<Bytes>,
    /// What it has sent in that.
    pub bytes_sent: Option<Bytes>,
    /// What that snapshot covers.
    pub bytes_covered: Option<Bytes>,
    /// Was more than one part in a hundred sent again?
    pub flagged: bool,
    /// The first good snapshot after.
    pub first_good: Option<SnapshotId>,
    /// When that was.
    pub first_good_at: Option<Timestamp>,
}

/// The campaign at a glance.
///
/// # Errors
/// `campaign_unknown`; `not_permitted`; the database does not answer.
pub async fn board(app: &App, actor: &AdminActor, id: CampaignId) -> Result<Board, AppError> {
    actor.need(Permit::CampaignRead)?;
    let now = app.clock.now();
    let mut tx = app.db.read().await.map_err(AppError::db("reading a board"))?;
    let row = known(&mut tx, id).await?;
    let mut counts: BTreeMap<Place, u64> = Place::ALL.into_iter().map(|place| (place, 0)).collect();
    let (mut by_class, mut vouched, mut flagged, mut total) = (BTreeMap::new(), 0, 0, 0);
    let mut after = None;
    loop {
        let rows = page(&mut tx, id, false, after, PAGE).await?;
        after = rows.last().map(|row| row.turn.device);
        let full = rows.len() == PAGE as usize;
        for board_row in rows {
            let entry = entry(now, &row, board_row);
            *counts.entry(entry.place).or_default() += 1;
            *by_class.entry((entry.class, entry.place)).or_default() += 1;
            vouched += u64::from(entry.reason == Reason::Vouched);
            flagged += u64::from(entry.flagged);
            total += 1;
        }
        if !full {
            break;
        }
    }
    let burn_down = burn_down(&mut tx, now, &row, total).await?;
    let messages = messages::counts(&mut tx, id).await?;
    drop(tx);
    Ok(Board { campaign: view(row)?, counts, by_class, vouched, flagged, burn_down, messages })
}

/// A page of the devices that stand at `only`, or of all, in the order of their ids.
///
/// # Errors
/// `campaign_unknown`; `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn board_page(
    app: &App,
    actor: &AdminActor,
    id: CampaignId,
    only: Option<Place>,
    ask: &PageAsk,
) -> Result<Page<BoardEntry>, AppError> {
    actor.need(Permit::CampaignRead)?;
    let now = app.clock.now();
    let mut after = match ask.key::<1>()? {
        None => None,
        Some([device]) => Some(DeviceId::from_bytes(part(device.try_into().ok())?)),
    };
    let mut tx = app.db.read().await.map_err(AppError::db("reading a board"))?;
    let row = known(&mut tx, id).await?;
    let mut entries = Vec::new();
    let wanted = ask.rows() as usize;
    loop {
        let rows = page(&mut tx, id, false, after, PAGE).await?;
        after = rows.last().map(|row| row.turn.device);
        let full = rows.len() == PAGE as usize;
        let fitting = rows.into_iter().map(|board_row| entry(now, &row, board_row));
        entries.extend(fitting.filter(|entry| only.is_none_or(|only| only == entry.place)));
        if !full || entries.len() >= wanted {
            let key = |entry: &BoardEntry| [entry.device.as_bytes().to_vec()];
            return Ok(ask.page(entries, key, |entry| entry));
        }
    }
}

/// Where a device stands in the campaigns that it is part of, the newest first and at most `limit`.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub(crate) async fn of_device(
    tx: &mut Tx,
    now: Timestamp,
    device: DeviceId,
    limit: u32,
) -> Result<Vec<DeviceCampaign>, AppError> {
    let during = || AppError::db("reading the campaigns of a device");
    let mut campaigns = Vec::new();
    for row in db::campaign_list_by_device(tx, device, limit).await.map_err(during())? {
        let found = db::campaign_device_board_get(tx, row.id, device).await.map_err(during())?;
        let Some(BoardEntry { place, reason, .. }) = found.map(|found| entry(now, &row, found)) else { continue };
        campaigns.push(DeviceCampaign { id: row.id, name: row.name, status: row.status, place, reason });
    }
    Ok(campaigns)
}

/// Is nothing more expected of any device?
pub(super) async fn is_settled(tx: &mut Tx, now: Timestamp, row: &CampaignRow) -> Result<bool, AppError> {
    let mut after = None;
    loop {
        let rows = page(tx, row.id, true, after, EXPECTED_PAGE).await?;
        after = rows.last().map(|row| row.turn.device);
        let full = rows.len() == EXPECTED_PAGE as usize;
        if !rows.into_iter().all(|board_row| entry(now, row, board_row).place.is_settled()) {
            return Ok(false);
        }
        if !full {
            return Ok(true);
        }
    }
}

async fn page(
    tx: &mut Tx,
    id: CampaignId,
    expected_only: bool,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<BoardRow>, AppError> {
    db::campaign_device_list_board(tx, id, expected_only, after, limit).await.map_err(AppError::db("reading a board"))
}

pub(super) fn entry(now: Timestamp, campaign: &CampaignRow, row: BoardRow) -> BoardEntry {
    let turn = row.turn;
    let seen = Seen {
        level: campaign.level,
        ended: matches!(campaign.status, Status::Aborted | Status::Closed),
        deadline: campaign.deadline,
        reset_at: turn.reset_at,
        done: turn.status == TurnStatus::Done,
        vouched: turn.proof.as_deref() == Some(Proof::Admin.word()),
        unproved: turn.status == TurnStatus::Unproved,
        merged: row.merged,
        excused: turn.status == TurnStatus::Excused,
        retired: turn.status == TurnStatus::Retired,
        stricter: !turn.reason.is_empty(),
        state: &row.state,
        user: row.user_state,
        conflict: row.conflict,
        seen_at: row.seen_at,
        refused: turn.status == TurnStatus::Refused || turn.refused_code.is_some(),
    };
    let (place, reason) = place(now, &seen);
    let note = match turn.status {
        TurnStatus::Excused => turn.reason,
        TurnStatus::Waiting | TurnStatus::Reset | TurnStatus::Refused | TurnStatus::Retired => {
            turn.refused_code.unwrap_or_default()
        }
        TurnStatus::Done | TurnStatus::Unproved => String::new(),
    };
    BoardEntry {
        device: turn.device,
        name: row.name,
        email: row.email,
        place,
        reason,
        note,
        wave: turn.wave,
        class: turn.class,
        seen_at: row.seen_at,
        reset_at: turn.reset_at,
        back_at: turn.back_at,
        proof: turn.proof,
        bytes_read: turn.bytes_read,
        bytes_sent: turn.bytes_sent,
        bytes_covered: turn.bytes_covered,
        flagged: flagged(turn.bytes_sent, turn.bytes_covered),
        first_good: turn.first_good,
        first_good_at: turn.first_good_at,
    }
}

fn flagged(sent: Option<Bytes>, covered: Option<Bytes>) -> bool {
    let (Some(sent), Some(covered)) = (sent, covered) else { return false };
    sent > SENT_FREE && sent.0.saturating_mul(SENT_PART) > covered.0
}

async fn burn_down(tx: &mut Tx, now: Timestamp, row: &CampaignRow, total: u64) -> Result<Vec<BurnPoint>, AppError> {
    let Some(started_at) = row.started_at else { return Ok(Vec::new()) };
    let lasted = row.ended_at.unwrap_or(now).since(started_at);
    let step = Span::ms((lasted.as_ms() / POINTS).max(1_000));
    let stretches = db::campaign_device_back_list(tx, row.id, step).await;
    let stretches = stretches.map_err(AppError::db("reading a burn-down"))?;
    let mut points = vec![BurnPoint { at: started_at, left: total }];
    let mut left = total;
    for (begins_at, back) in stretches {
        left = left.saturating_sub(back.0);
        points.push(BurnPoint { at: (begins_at + step).max(started_at), left });
    }
    Ok(points)
}
