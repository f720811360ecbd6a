//! One campaign over the whole fleet: made, foretold, started, waited for, answered by the devices, and settled.
//! Refuses a device that stands elsewhere than the dry run said.

use super::evidence;
use super::place::Place;
use super::{Fleet, Kind, by_device, through};
use anyhow::{Context, Result, bail, ensure};
use base::{Clock as _, Span, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A level of a reset, and what is expected at it.
pub(super) struct Level {
    /// Its word.
    pub(super) word: &'static str,
    /// By what a device comes back, as the simulated fleet counts it.
    back: &'static str,
    /// The same, as the evidence has it.
    pub(super) proof: &'static str,
    /// The class of a device that was cut off at level rotate and never came back.
    silent: &'static str,
    /// Whether there is a deadline, which is over before anybody stands at the place that is checked.
    deadline: bool,
}

/// The levels in their order: each finds the devices as the one before has left them.
pub(super) const LEVELS: &[Level] = &[
    Level { word: "rotate", back: "old_key", proof: "old_key", silent: "automatic", deadline: false },
    Level { word: "hold", back: "old_key", proof: "old_key", silent: "already", deadline: true },
    Level { word: "revoke", back: "token", proof: "old_key_and_token", silent: "automatic", deadline: false },
];

/// Waves of a campaign.
const WAVES: usize = 5;
/// How long a wave takes.
const WAVE: Span = Span::seconds(2);
/// How often it is looked how far the server is.
const LOOK: Span = Span::ms(300);
/// How long the server may take for what it does by itself.
const PATIENCE: Span = Span::minutes(10);

/// Runs one campaign to where nothing more is awaited. Gives its identifier.
///
/// # Errors
/// Whatever is not as the dry run said.
pub(super) fn run(fleet: &mut Fleet<'_>, level: &Level) -> Result<String> {
    make_twin(fleet)?;
    let api = &fleet.place.api;
    let before = fleet.listed()?;
    let total = before.len();
    let made = api.post("/campaigns", &plan(level, total))?;
    let id = made["campaign"].as_str().context("a campaign has an identifier")?.to_owned();
    let at = format!("/campaigns/{id}");
    let said = foretold(fleet, level, &at)?;
    api.post(&format!("{at}/start"), &json!({}))?;
    let board = turns_over(fleet.place, &at)?;
    println!("{}: {total} devices had their turn in {} ms", level.word, board["campaign"]["progress_ms"]);

    let plain = fleet.count(Kind::Plain);
    let back = come_back(fleet, level)?;
    ensure!(back["back"] == json!({ level.back: plain }), "all {plain} come back by {}: {back}", level.back);
    ensure!(back["requests"]["upload"].is_null(), "content was sent again: {back}");
    deadline_over(&board);
    let rows = by_device(api.list(&format!("{at}/devices"))?)?;
    let board = api.get(&format!("{at}/board"))?;
    let mut places = BTreeMap::new();
    for (device, row) in &rows {
        let kind = fleet.kind(device);
        let due = due(level, kind);
        ensure!(row["place"] == due, "{device}, {kind:?}, stands at {}, and should at {due}: {row}", row["place"]);
        ensure!(row["class"].as_str() == said.get(device).map(String::as_str), "{device} was foretold else: {row}");
        *places.entry((said[device].clone(), due)).or_insert(0_u64) += 1;
    }
    counts_agree(&board, &places, total)?;
    in_waves(&board, &rows)?;
    evidence::check(fleet, level, &at, &before, &rows)?;
    settle(fleet, &at)?;
    println!("{}: {places:?}; board, evidence and device list agree", level.word);
    Ok(id)
}

/// Waits until the campaign has ended by itself.
///
/// # Errors
/// It does not; a device that is neither done nor excused.
pub(super) fn closes(place: &Place, id: &str) -> Result<()> {
    until("the campaign closes by itself", || {
        let board = place.api.get(&format!("/campaigns/{id}/board"))?;
        if board["campaign"]["status"] != "closed" {
            return Ok(None);
        }
        let open: Vec<_> = board["counts"].as_object().into_iter().flatten().collect();
        let open = open.iter().filter(|(place, count)| !["done", "excused"].contains(&place.as_str()) && **count != 0);
        ensure!(open.count() == 0, "it closed with devices that it awaits: {}", board["counts"]);
        Ok(Some(()))
    })
}

fn plan(level: &Level, total: usize) -> Value {
    let mut plan = json!({
        "name": format!("all at {}", level.word),
        "reason": "the proof for a whole fleet",
        "level": level.word,
        "scope": { "everyone": true },
        "wave_size": total.div_ceil(WAVES),
        "wave_ms": WAVE.as_ms(),
    });
    if level.deadline {
        // Ahead until the campaign is started, after a dry run of so many.
        let span = Span::ms(5_000 + 2 * total as u64);
        plan["deadline_ms"] = json!((SystemClock.now() + span).as_ms());
    }
    plan
}

/// What the dry run says of every device; it must be what is known of each.
fn foretold(fleet: &Fleet<'_>, level: &Level, at: &str) -> Result<BTreeMap<String, String>> {
    let said = fleet.place.api.get(&format!("{at}/dry-run"))?;
    let rows = by_device(said["devices"].as_array().context("a dry run names its devices")?.clone())?;
    ensure!(rows.keys().eq(fleet.kept.keys()), "the dry run reaches other devices than there are");
    ensure!(said["waves"] == WAVES, "the dry run has {} waves", said["waves"]);
    let mut classes = BTreeMap::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (id, row) in rows {
        let kind = fleet.kind(&id);
        let expected = match kind {
            Kind::Plain => "automatic",
            Kind::Silent => level.silent,
            Kind::Suspended => "out_of_service",
            Kind::Twin => "duplicate",
            Kind::CutOff => "already",
        };
        ensure!(row["class"] == expected, "the dry run says of {id}, {kind:?}: {row}");
        *counts.entry(expected.to_owned()).or_default() += 1;
        classes.insert(id, expected.to_owned());
    }
    for (class, count) in said["counts"].as_object().context("a dry run counts")? {
        ensure!(*count == counts.get(class).copied().unwrap_or(0), "the dry run counts {class}: {count}");
    }
    println!("{}: the dry run says {counts:?}", level.word);
    Ok(classes)
}

/// Where a device stands once its turn has come and those that can have come back.
fn due(level: &Level, kind: Kind) -> &'static str {
    match (kind, level.deadline) {
        (Kind::Plain, _) => "done",
        (Kind::Twin, _) => "conflict",
        (Kind::Silent | Kind::Suspended | Kind::CutOff, true) => "overdue",
        (Kind::Silent | Kind::CutOff, false) => "offline",
        (Kind::Suspended, false) => "refused",
    }
}

/// Waits until every device has had its turn.
fn turns_over(place: &Place, at: &str) -> Result<Value> {
    until("every device has its turn", || {
        let board = place.api.get(&format!("{at}/board"))?;
        let over = board["campaign"]["started_at_ms"].is_i64() && board["counts"]["waiting"] == 0;
        Ok(over.then_some(board))
    })
}

fn come_back(fleet: &mut Fleet<'_>, level: &Level) -> Result<Value> {
    let plain = fleet.kept.iter().filter(|(id, _)| fleet.kind(id) == Kind::Plain);
    let plain: Vec<Value> = plain.map(|(_, device)| device.clone()).collect();
    let count = u32::try_from(plain.len())?;
    fleet.place.fleet_write(level.word, &plain)?;
    let figures = fleet.place.fleet(fleet.programs, level.word, count, "return,commit", &[])?;
    through(level.word, &figures)?;
    for device in fleet.place.fleet_read(level.word)? {
        let id = device["record"].as_str().context("a device has a record")?.to_owned();
        ensure!(fleet.kept.insert(id.clone(), device).is_some(), "{id} is a record that was not there before");
    }
    Ok(figures)
}

/// Two machines go on with the same key: the second session of the first is the one that is found.
fn make_twin(fleet: &mut Fleet<'_>) -> Result<()> {
    let Fleet { programs, place, .. } = *fleet;
    let id = fleet.kept.keys().rfind(|id| fleet.kind(id) == Kind::Plain).context("there are plain devices")?.clone();
    let image = [fleet.kept[&id].clone()];
    let (one, two) = (format!("{id} one"), format!("{id} two"));
    place.fleet_write(&one, &image)?;
    place.fleet_write(&two, &image)?;
    for machine in [&one, &two, &one] {
        place.fleet(programs, machine, 1, "open", &[])?;
    }
    let device = place.api.get(&format!("/devices/{id}"))?;
    ensure!(device["state"] == "quarantined", "two machines with one key were not told apart: {device}");
    fleet.outsiders.insert(id, Kind::Twin);
    Ok(())
}

/// Lets those be that are not back, and decides on the twins.
fn settle(fleet: &mut Fleet<'_>, at: &str) -> Result<()> {
    let api = &fleet.place.api;
    for id in fleet.outsiders.keys() {
        api.post(&format!("{at}/devices/{id}/excuse"), &json!({ "reason": "an outsider of the proof" }))?;
    }
    let open = api.list("/conflicts")?;
    let [conflict] = open.as_slice() else { bail!("one conflict is open: {open:?}") };
    let twin = conflict["device"]["device"].as_str().context("a conflict names its record")?.to_owned();
    ensure!(fleet.kind(&twin) == Kind::Twin && conflict["kind"] == "clone", "another conflict is open: {conflict}");
    let which = conflict["conflict"].as_str().context("a conflict has an identifier")?;
    api.post(&format!("/conflicts/{which}/resolve"), &json!({ "decision": "two_machines" }))?;
    fleet.outsiders.insert(twin, Kind::CutOff);
    let board = api.get(&format!("{at}/board"))?;
    let (done, excused) = (fleet.count(Kind::Plain), fleet.outsiders.len());
    let counts = &board["counts"];
    ensure!(counts["done"] == done && counts["excused"] == excused, "{done} are done, {excused} excused: {counts}");
    Ok(())
}

/// The board counts what it lists, by place and by class.
fn counts_agree(board: &Value, places: &BTreeMap<(String, &str), u64>, total: usize) -> Result<()> {
    let counts = board["counts"].as_object().context("a board counts")?;
    for (place, count) in counts {
        let listed: u64 = places.iter().filter(|((_, at), _)| at == place).map(|(_, count)| count).sum();
        ensure!(*count == listed, "the board counts {count} at {place}, and lists {listed}");
    }
    let sum: u64 = counts.values().filter_map(Value::as_u64).sum();
    ensure!(sum == total as u64, "the board counts {sum} of {total} devices");
    let by_class = board["by_class"].as_array().context("a board counts by class")?;
    ensure!(by_class.len() == places.len(), "by class: {by_class:?}, and by the list {places:?}");
    for row in by_class {
        let word = |field: &str| row[field].as_str().unwrap_or_default();
        let listed = places.get(&(word("class").to_owned(), word("place"))).copied();
        ensure!(listed.is_some() && row["devices"].as_u64() == listed, "by class: {row}, and by the list {listed:?}");
    }
    ensure!(board["flagged"] == 0, "{} devices have sent too much again", board["flagged"]);
    Ok(())
}

/// No wave is larger than it was to be, and none came before its time.
fn in_waves(board: &Value, rows: &BTreeMap<String, Value>) -> Result<()> {
    let campaign = &board["campaign"];
    let size = campaign["plan"]["wave_size"].as_u64().context("a campaign has waves")?;
    let started_at = campaign["started_at_ms"].as_i64().context("it has started")?;
    let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
    for (id, row) in rows {
        let wave = row["wave"].as_u64().context("a device has a wave")?;
        *sizes.entry(wave).or_default() += 1;
        let Some(reset_at) = row["reset_at_ms"].as_i64() else { continue };
        let begins_at = started_at + i64::try_from(wave * WAVE.as_ms())?;
        ensure!(reset_at >= begins_at, "{id} of wave {wave} was reset {} ms too early", begins_at - reset_at);
    }
    ensure!(sizes.len() == WAVES && sizes.values().all(|count| *count <= size), "waves of {size}: {sizes:?}");
    Ok(())
}

fn deadline_over(board: &Value) {
    if let Some(deadline) = board["campaign"]["plan"]["deadline_ms"].as_i64() {
        let left = Timestamp::from_ms(deadline).since(SystemClock.now());
        std::thread::sleep(Span::ms(left.as_ms() + 1).as_duration());
    }
}

/// Looks again and again until there is an answer.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let give_up_at = SystemClock.now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(SystemClock.now() < give_up_at, "in {} s it did not come to this: {what}", PATIENCE.as_ms() / 1_000);
        std::thread::sleep(LOOK.as_duration());
    }
}
