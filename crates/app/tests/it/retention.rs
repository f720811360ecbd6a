//! Retention by the server's time: what goes, what stays and why, and what brings a snapshot back in time.

use super::world::{Device, World, code, sample_of};
use app::holds::{self, HoldSubject};
use app::retention::{Instead, Preview, pin, preview, unpin};
use app::snapshots::admin_get;
use app::{AdminActor, Config, devices, jobs, policy};
use base::{SnapshotId, Span};
use control::{Event, State};
use db::PolicySubject;
use store::Store as _;

const ADMIN: AdminActor = AdminActor::Command;

/// Goes on for a day, with the jobs at every hour of it.
async fn day(world: &World) {
    for _ in 0..24 {
        world.clock.advance(Span::hours(1));
        jobs::tick_all(&world.app).await.expect("the jobs work");
    }
}

async fn backup(world: &World, device: &Device, seed: u64) -> SnapshotId {
    let run = world.begin(device).await;
    let (draft, root, totals) = sample_of(&run.naming, seed);
    run.upload(&run.pack(&draft)).await.expect("the pack is good");
    run.commit(&run.manifest(root, totals)).await.expect("the snapshot is good").snapshot.id
}

async fn rules(world: &World, days: u16, weeks: u16, months: u16) {
    let values = [("retention_days", days), ("retention_weeks", weeks), ("retention_months", months)];
    let values = values.map(|(key, value)| (key.to_owned(), Some(value.to_string())));
    policy::set(&world.app, &ADMIN, PolicySubject::Organisation, &values).await.expect("good values");
}

async fn look(world: &World, device: &Device) -> Preview {
    preview(&world.app, &ADMIN, device.actor.device, Instead::default()).await.expect("there")
}

async fn is_there(world: &World, snapshot: SnapshotId) -> bool {
    admin_get(&world.app, &ADMIN, snapshot).await.is_ok()
}

#[tokio::test]
async fn a_snapshot_is_let_go_of_and_removed_once_the_undo_period_is_over() {
    let world = World::new().await;
    rules(&world, 2, 0, 0).await;
    let device = world.device(1).await;
    let first = backup(&world, &device, 1).await;
    day(&world).await;
    let second = backup(&world, &device, 2).await;
    day(&world).await;
    let shown = look(&world, &device).await;
    let reasons: Vec<Vec<&str>> =
        shown.snapshots.iter().map(|one| one.reasons.iter().map(|reason| reason.word()).collect()).collect();
    assert_eq!(reasons, [vec!["newest", "days"], vec!["days"]]);
    assert_eq!(shown.snapshots[1].until, Some(shown.snapshots[0].committed_at + Span::days(2)));
    day(&world).await;
    let shown = look(&world, &device).await;
    let expired_at = shown.snapshots[1].expired_at.expect("it was let go of");
    assert_eq!(shown.snapshots[1].removed_after, Some(expired_at + Span::days(7)));
    assert_eq!(admin_get(&world.app, &ADMIN, first).await.expect("still there").expired_at, Some(expired_at));

    // Kept longer after all, and then not so again.
    rules(&world, 30, 0, 0).await;
    day(&world).await;
    assert_eq!(look(&world, &device).await.snapshots[1].expired_at, None);
    rules(&world, 2, 0, 0).await;
    for _ in 0..7 {
        day(&world).await;
        assert!(is_there(&world, first).await);
    }
    day(&world).await;
    assert!(!is_there(&world, first).await);
    day(&world).await;
    assert!(is_there(&world, second).await, "the newest stays, however old");
    let left = world.store.list("manifests/", None, 9).await.expect("memory does not fail");
    assert_eq!(left.len(), 1, "its manifest has gone after it");
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    let done: Vec<&str> = rows.iter().filter_map(|row| row.action.strip_prefix("snapshot_")).collect();
    assert_eq!(done, ["expire", "keep", "expire", "remove"]);
    assert!(rows.iter().any(|row| row.action == "snapshot_remove" && row.detail == first.to_string()));
}

#[tokio::test]
async fn a_pin_a_hold_and_a_restore_keep_what_retention_lets_go_of() {
    let clock = std::sync::Arc::new(base::ManualClock::at(base::Timestamp::from_ms(1_750_000_000_000)));
    let config = Config::parse("snapshot.undo_days = 0").expect("good text");
    let world = World::with(clock.clone(), clock, config).await;
    rules(&world, 1, 0, 0).await;
    let device = world.device(1).await;
    let mut snapshots = Vec::new();
    for seed in 0..4 {
        snapshots.push(backup(&world, &device, seed).await);
    }
    let app = &world.app;
    pin(app, &ADMIN, snapshots[0], " the case of the lost ledger ").await.expect("there");
    assert_eq!(code(pin(app, &ADMIN, snapshots[0], &"x".repeat(201)).await), "note_invalid");
    world.begin_restore(&device, snapshots[1]).await.expect("it may be restored");
    let hold = holds::set(app, &ADMIN, HoldSubject::User(device.actor.user), "case 7").await.expect("new");
    assert_eq!(code(holds::set(app, &ADMIN, hold.subject, "case 7").await), "hold_exists");
    assert_eq!(code(holds::set(app, &ADMIN, hold.subject, " \n ").await), "name_invalid");
    day(&world).await;
    day(&world).await;
    let shown = look(&world, &device).await;
    assert_eq!(shown.holds, ["case 7"]);
    assert!(shown.snapshots.iter().all(|one| one.expired_at.is_none()), "{shown:?}");
    let pin_there = admin_get(app, &ADMIN, snapshots[0]).await.expect("there").pin.expect("pinned");
    assert_eq!(pin_there.note, "the case of the lost ledger");

    // A restore run lives for a day without a request; it was begun anew in time.
    world.begin_restore(&device, snapshots[1]).await.expect("it may be restored");
    holds::lift(app, &ADMIN, hold.id).await.expect("there");
    assert_eq!(code(holds::lift(app, &ADMIN, hold.id).await), "hold_unknown");
    for _ in 0..3 {
        world.clock.advance(Span::hours(2));
        jobs::tick_all(app).await.expect("the jobs work");
    }
    let there = async || {
        let mut there = Vec::new();
        for snapshot in &snapshots {
            there.push(is_there(&world, *snapshot).await);
        }
        there
    };
    assert_eq!(there().await, [true, true, false, true], "pinned, being restored, neither, the newest");
    unpin(app, &ADMIN, snapshots[0]).await.expect("there");
    day(&world).await;
    day(&world).await;
    assert_eq!(there().await, [false, false, false, true]);
    assert_eq!(code(pin(app, &ADMIN, snapshots[0], "").await), "snapshot_unknown");
}

#[tokio::test]
async fn a_held_device_is_not_purged_however_long_it_was_deleted() {
    let world = World::new().await;
    let device = world.device(1).await;
    let snapshot = backup(&world, &device, 1).await;
    let (app, id) = (&world.app, device.actor.device);
    let hold = holds::set(app, &ADMIN, HoldSubject::Device(id), "case 8").await.expect("new");
    devices::change(app, &ADMIN, id, Event::Delete { purge_after: world.clock_now() }).await.expect("active");
    for _ in 0..3 {
        day(&world).await;
    }
    let state = devices::get(app, &ADMIN, id).await.expect("there").state;
    assert!(matches!(state, State::Deleted { .. }), "{state}");
    assert!(is_there(&world, snapshot).await);
    holds::lift(app, &ADMIN, hold.id).await.expect("there");
    day(&world).await;
    assert_eq!(devices::get(app, &ADMIN, id).await.expect("the name stays").state, State::Purged);
    assert!(!is_there(&world, snapshot).await);
}

#[tokio::test]
async fn a_flood_of_snapshots_and_a_clock_that_jumps_cost_nothing_that_is_good() {
    let world = World::new().await;
    rules(&world, 7, 4, 12).await;
    let device = world.device(1).await;
    let good = backup(&world, &device, 1).await;
    for _ in 0..3 {
        day(&world).await;
    }
    // Whoever has the device's key can append, as often as it likes.
    for seed in 100..130 {
        backup(&world, &device, seed).await;
    }
    for _ in 0..6 {
        day(&world).await;
    }
    assert!(look(&world, &device).await.snapshots.iter().all(|one| one.expired_at.is_none()), "not in these days");
    let before = look(&world, &device).await.now;
    // The clock jumps ahead by ten years, and is set right a day later.
    world.clock.advance(Span::days(3_650));
    day(&world).await;
    let shown = look(&world, &device).await;
    assert!(shown.now <= before + Span::days(7), "retention does not go by it: {:?}", shown.now);
    assert!(is_there(&world, good).await);
    let kept = shown.snapshots.last().expect("the good one is the oldest");
    assert!(kept.expired_at.is_none() && !kept.reasons.is_empty(), "{kept:?}");
}
