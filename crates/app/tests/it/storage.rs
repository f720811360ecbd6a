//! Storage reports: every number beside a count of all chunks of all snapshots in memory, and what they add up to
//! beside what the store holds.

use super::storage_model::{ADMIN, Model, fresh, rows};
use super::world::{USER, World};
use app::page::PageAsk;
use app::storage::{self, Progress, StorageFigures, StorageLevel};
use app::{Config, conflicts, jobs, users};
use base::{Bytes, Count, ManualClock, SnapshotId, Span, Timestamp, UserId};
use control::{Event, Level, Rights, State, UserEvent};
use data_encoding::BASE64URL_NOPAD;
use std::sync::Arc;
use store::{Mishap, Store as _, StoreError, Verb};

/// A world in which collections wait for an hour.
async fn world(memory: Option<u64>) -> World {
    let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
    let mut config = Config::parse("collect.grace_hours = 1\nrun.lease_hours = 1\n").expect("good text");
    config.collect_memory = memory.map_or(config.collect_memory, Bytes);
    World::with(clock.clone(), clock, config).await
}

#[tokio::test]
async fn every_number_is_the_one_that_counting_everything_gives() {
    for seed in 0..6 {
        // With next to no memory everything goes through the scratch files.
        let world = world((seed % 2 == 1).then_some(64)).await;
        let mut model = Model::new(&world, seed).await;
        let devices = 3 + seed as usize;
        for number in 0..devices {
            model.device(number).await;
        }
        for round in 0..4 * devices {
            model.snapshot(round % devices).await;
            if round % 5 == 4 {
                model.let_go_one().await;
            }
            if round % 7 == 6 {
                model.check(&format!("seed {seed}, round {round}")).await;
            }
        }
        model.merge(1, 0).await;
        model.check(&format!("seed {seed}, merged")).await;
        model.delete(2).await;
        model.delete(1).await;
        model.check(&format!("seed {seed}, deleted")).await;
    }
}

#[tokio::test]
async fn rows_add_up_to_the_whole_and_the_whole_to_what_the_store_holds() {
    let world = world(None).await;
    let mut model = Model::new(&world, 77).await;
    for number in 0..4 {
        model.device(number).await;
    }
    for round in 0..12 {
        model.snapshot(round % 4).await;
    }
    model.let_go_one().await;
    // What nobody has committed is in the store too.
    model.upload_only(0).await;
    let report = fresh(&world).await;
    let (whole, there) = (report.whole, report.row.figures);
    assert_eq!(there.bytes, world_packs(&world).await);
    assert_eq!(there.bytes, whole.stored + there.unneeded + there.framing);
    assert!(there.unneeded > Bytes(0) && there.framing > Bytes(0) && whole.stored > Bytes(0));
    for level in [StorageLevel::Profile, StorageLevel::User, StorageLevel::Device] {
        let rows = rows(&world, level).await;
        let sum = |of: fn(&StorageFigures) -> Bytes| rows.iter().map(|row| of(&row.figures)).sum::<Bytes>();
        assert_eq!(sum(|figures| figures.stored), whole.stored, "{level:?}");
        assert_eq!(sum(|figures| figures.plain), whole.plain, "{level:?}");
        assert_eq!(sum(|figures| figures.logical), whole.logical, "{level:?}");
        assert_eq!(sum(|figures| figures.newest), whole.newest, "{level:?}");
        assert_eq!(rows.iter().map(|row| row.figures.snapshots).sum::<Count>(), whole.snapshots, "{level:?}");
    }
}

/// The sum of all packs in the store.
async fn world_packs(world: &World) -> Bytes {
    let objects = world.store.inner().list("packs/", None, 9_999).await.expect("memory does not fail");
    objects.iter().map(|object| object.size).sum()
}

#[tokio::test]
async fn what_a_user_alone_needs_is_what_comes_back_when_the_user_is_gone() {
    let world = world(None).await;
    let mut model = Model::new(&world, 5).await;
    for number in 0..6 {
        model.device(number).await;
        model.snapshot(number).await;
    }
    let before = fresh(&world).await;
    let users = rows(&world, StorageLevel::User).await;
    let gone = users.iter().find(|row| row.figures.unique > Bytes(1_000) && row.figures.shared > Bytes(1_000));
    let gone = gone.unwrap_or_else(|| panic!("nobody has something of both: {users:?}")).clone();
    let id = UserId::from_bytes(gone.subject.as_slice().try_into().expect("16 bytes"));
    users::change(&world.app, &ADMIN, id, UserEvent::Delete).await.expect("active");
    world.clock.advance(Span::days(8));
    for _ in 0..3 {
        jobs::tick_all(&world.app).await.expect("the jobs work");
    }
    let after = fresh(&world).await;
    assert_eq!(after.whole.plain + gone.figures.unique, before.whole.plain);
    assert_eq!(after.whole.stored + gone.figures.unique_stored, before.whole.stored);
    assert_eq!(after.row.figures.unneeded, before.row.figures.unneeded + gone.figures.unique_stored);
    assert!(rows(&world, StorageLevel::User).await.iter().all(|row| row.subject != gone.subject));
}

#[tokio::test]
async fn a_merged_computer_a_deleted_user_and_partial_and_hurt_snapshots_have_their_places() {
    let world = world(None).await;
    let (keep, mut other) = (world.device(1).await, world.device(2).await);
    let (first, pack) = world.backup(&keep).await;
    let (second, _) = world.backup(&other).await;
    let devices = rows_of(&world, StorageLevel::Device).await;
    assert_eq!(devices.len(), 2);
    assert_eq!((devices[0].unique, devices[1].unique), (Bytes(0), Bytes(0)), "each needs what the other one has");
    assert_eq!(devices[0].shared, devices[1].shared);
    assert_eq!(devices[0].stored.0.abs_diff(devices[1].stored.0), devices[0].stored.0 - devices[1].stored.0);
    assert!(devices[0].stored.0 - devices[1].stored.0 <= 1, "half of an odd number is one byte more for the first");

    let merged = conflicts::merge(&world.app, &ADMIN, keep.actor.device, other.actor.device).await;
    let merged = merged.expect("two records of one user");
    let devices = rows_of(&world, StorageLevel::Device).await;
    let [one] = devices[..] else { panic!("one computer: {devices:?}") };
    assert_eq!((one.snapshots, one.shared, one.plain), (Count(2), Bytes(0), one.unique));
    assert_eq!(one.newest + one.newest, one.logical, "its newest snapshot counts once for the quota");
    assert_eq!(rows(&world, StorageLevel::User).await[0].figures, one);
    conflicts::undo(&world.app, &ADMIN, merged.id).await.expect("within thirty days");
    assert_eq!(rows_of(&world, StorageLevel::Device).await.len(), 2);

    // Partial and hurt ones are there, so they are counted, and what is lost of one is said.
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::snapshot_hurt_update(&mut tx, first, Some(world.clock_now())).await.expect("there");
    tx.commit().await.expect("nothing stands against it");
    assert_eq!(fresh(&world).await.whole.snapshots, Count(2));
    let before = fresh(&world).await;
    assert_eq!((before.row.figures.missing, before.row.figures.flaws), (Count(0), Count(0)));
    lose(&world, &pack).await;
    let after = fresh(&world).await;
    assert_eq!(after.row.figures.flaws, Count(1), "the root cannot be read, and what is beneath it is not known");
    assert_eq!(after.row.figures.missing, Count(1));
    assert_eq!((after.whole.plain, after.whole.snapshots), (Bytes(0), Count(2)));
    assert_eq!(after.row.figures.unneeded, before.row.figures.unneeded + before.whole.stored);

    world.state_set(&mut other, deleted(&world)).await;
    let users = rows(&world, StorageLevel::User).await;
    let both = rows_of(&world, StorageLevel::Device).await;
    assert_eq!((users.len(), both.len()), (1, 2), "what is deleted is there until it is purged");
    assert_eq!((both[1].newest, both[1].logical > Bytes(0)), (Bytes(0), true), "and counts for no quota");
    users::change(&world.app, &ADMIN, USER, UserEvent::Delete).await.expect("active");
    assert_eq!(rows(&world, StorageLevel::User).await[0].name, "u@example.org");
    assert_ne!(first, second);
}

fn deleted(world: &World) -> State {
    let was = Box::new(State::Deactivated { rights: Rights::Full, level: Level::Revoke });
    State::Deleted { was, purge_after: world.clock_now() + Span::days(7) }
}

/// Takes the rows of a pack's chunks away, as if its index were lost.
async fn lose(world: &World, pack: &format::SealedPack) {
    let chunks = pack.index.chunks().map(|(_, _, chunk)| chunk.chunk.id());
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let seq = db::pack_get(&mut tx, pack.id).await.expect("readable").expect("there").seq;
    let frames = db::frame_list_by_pack(&mut tx, seq).await.expect("readable");
    db::pack_rows_remove(&mut tx, world.repository, seq).await.expect("there");
    db::frame_insert(&mut tx, seq, &frames).await.expect("they were removed");
    tx.commit().await.expect("nothing stands against it");
    assert!(chunks.count() > 1);
}

async fn rows_of(world: &World, level: StorageLevel) -> Vec<StorageFigures> {
    fresh(world).await;
    rows(world, level).await.iter().map(|row| row.figures).collect()
}

#[tokio::test]
async fn a_condemned_pack_is_needed_by_nobody_and_counts_until_it_is_gone() {
    let world = world(None).await;
    let device = world.device(1).await;
    let (gone, _) = world.backup(&device).await;
    let mut model = Model::new(&world, 9).await;
    model.device(3).await;
    model.snapshot(3).await;
    let before = fresh(&world).await;
    let alone = rows(&world, StorageLevel::Device).await[0].figures;
    let_go(&world, gone).await;
    app::collect::start(&world.app, &ADMIN).await.expect("permitted");
    jobs::tick_all(&world.app).await.expect("the jobs work");
    let condemned = fresh(&world).await;
    let figures = condemned.row.figures;
    assert_eq!(condemned.whole.stored + alone.stored, before.whole.stored);
    assert_eq!(figures.unneeded, alone.stored);
    assert!(figures.condemned > figures.unneeded, "with its header and table");
    assert_eq!(figures.bytes, before.row.figures.bytes, "it is there");
    world.clock.advance(Span::hours(2));
    for _ in 0..2 {
        jobs::tick_all(&world.app).await.expect("the jobs work");
    }
    world.clock.advance(Span::hours(3));
    jobs::tick_all(&world.app).await.expect("the jobs work");
    let after = fresh(&world).await.row.figures;
    assert_eq!((after.unneeded, after.condemned), (Bytes(0), Bytes(0)));
    assert_eq!(after.bytes + figures.condemned, before.row.figures.bytes);
    assert_eq!(after.bytes, world_packs(&world).await);
}

async fn let_go(world: &World, snapshot: SnapshotId) {
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::snapshot_remove(&mut tx, snapshot).await.expect("there");
    tx.commit().await.expect("nothing stands against it");
}

#[tokio::test]
async fn the_job_makes_one_when_it_is_asked_and_every_so_often_and_begins_anew_after_a_failure() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
    let config = Config::parse("storage.report_hours = 24\n").expect("good text");
    let world = World::with(clock.clone(), clock, config).await;
    world.backup(&world.device(1).await).await;
    let number = async || {
        let status = storage::status(&world.app, &ADMIN).await.expect("permitted");
        (status.report.map(|report| report.row.number), status.next_at.map(|at| at.since(world.clock_now())))
    };
    let day = Span::days(1);
    assert_eq!(number().await, (None, None));
    jobs::tick_all(&world.app).await.expect("the jobs work");
    assert_eq!(number().await, (None, Some(day)));
    storage::start(&world.app, &ADMIN).await.expect("permitted");
    assert_eq!(number().await, (None, Some(Span::ZERO)));
    // Another server has none of its trees in memory.
    let other = world.beside().await;
    world.store.plan(Verb::GetRange, 1, Mishap::Fail(StoreError::Closing));
    jobs::tick_all(&other).await.expect_err("the store fails once");
    assert_eq!(number().await, (None, Some(Span::ZERO)), "it is asked for still");
    jobs::tick_all(&world.app).await.expect("the jobs work");
    assert_eq!(number().await, (Some(1), Some(day)));
    world.clock.advance(day);
    jobs::tick_all(&world.app).await.expect("the jobs work");
    assert_eq!(number().await, (Some(2), Some(day)));
    jobs::tick_all(&world.app).await.expect("the jobs work");
    assert_eq!(number().await, (Some(2), Some(day)), "once");
}

#[tokio::test]
async fn later_pages_are_of_the_report_of_the_first() {
    let world = world(None).await;
    for seed in 1..=5 {
        world.backup(&world.device(seed).await).await;
    }
    let page = async |after: Option<String>| {
        let ask = PageAsk::new(after, Some(2)).expect("a good page");
        storage::page(&world.app, &ADMIN, StorageLevel::Device, &ask).await
    };
    assert_eq!(page(None).await.expect("readable").items, [], "none was made");
    fresh(&world).await;
    let first = page(None).await.expect("readable");
    // Half of what there was is one device's now.
    for seed in 2..=5 {
        let delete = Event::Delete { purge_after: world.clock_now() };
        let device = base::DeviceId::from_bytes([seed; 16]);
        app::devices::change(&world.app, &ADMIN, device, delete).await.expect("active");
    }
    for _ in 0..2 {
        jobs::tick_all(&world.app).await.expect("the jobs work");
    }
    fresh(&world).await;
    let mut items = first.items.clone();
    let mut next = first.next.clone();
    while let Some(after) = next {
        let page = page(Some(after)).await.expect("it is there");
        items.extend(page.items);
        next = page.next;
    }
    assert_eq!(items.len(), 5);
    assert!(items.iter().all(|row| row.figures.shared == items[0].figures.shared), "of one report");
    assert_eq!(page(None).await.expect("readable").items.len(), 1);
    fresh(&world).await;
    let gone = page(first.next).await.expect_err("two newer ones are there");
    assert_eq!(gone.code(), "request_malformed");
    for number in [i64::MAX, i64::MIN, 9] {
        let after = cursor(&[&number.to_le_bytes(), &[1; 16]]);
        assert_eq!(page(Some(after)).await.expect_err("no page gave it").code(), "request_malformed", "{number}");
    }
}

/// A cursor of these parts, as somebody makes it up.
fn cursor(parts: &[&[u8]]) -> String {
    let parts = parts.iter().flat_map(|part| [&(part.len() as u16).to_le_bytes()[..], part].concat());
    BASE64URL_NOPAD.encode(&[1].into_iter().chain(parts).collect::<Vec<u8>>())
}

#[tokio::test]
async fn a_report_says_how_far_it_is() {
    let world = world(None).await;
    let device = world.device(1).await;
    world.backup(&device).await;
    let mut seen = Vec::new();
    storage::fresh(&world.app, &ADMIN, &mut |progress| seen.push(progress)).await.expect("permitted");
    let [Progress::Follows { snapshots }, Progress::Weighs { chunks }] = seen[..] else { panic!("{seen:?}") };
    assert_eq!(snapshots, Count(1));
    assert!(chunks > Count(10), "{chunks}");
}
