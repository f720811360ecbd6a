//! Quota at begin and at commit: with the numbers, nothing stored is lost, and who is over can come back.

use super::policy::{ADMIN, values};
use super::world::{Device, Draft, Run, USER, World, code, noise};
use app::page::PageAsk;
use app::runs::Purpose;
use app::{AppError, PolicySubject, quota};
use base::{Bytes, Count, RunId, SnapshotId, Span};
use control::policy::PolicyLevel;
use control::{Level, Refusal, Rights, State};
use db::{RunCounters, SnapshotNew};
use format::{Manifest, Totals};
use store::Store as _;

async fn limit(world: &World, text: &str) {
    let changes = values(&[("quota", text)]);
    app::policy::set(&world.app, &ADMIN, PolicySubject::User(USER), &changes).await.expect("granted");
}

/// A run that has sent one file of this many bytes, ready to commit.
async fn sent<'a>(world: &'a World, device: &'a Device, bytes: usize) -> (Run<'a>, Manifest) {
    let run = world.begin(device).await;
    let mut draft = Draft::new(&run.naming);
    let file = draft.file("file", &[&noise(bytes as u64, bytes)]);
    let (root, totals) = draft.tree(vec![file], format::Totals::default());
    assert_eq!(totals.bytes, Bytes(bytes as u64));
    run.upload(&run.pack(&draft)).await.expect("the pack is good");
    let manifest = run.manifest(root, totals);
    (run, manifest)
}

async fn backup(world: &World, device: &Device, bytes: usize) -> Result<(), AppError> {
    let (run, manifest) = sent(world, device, bytes).await;
    run.commit(&manifest).await.map(|_| ())
}

async fn used(world: &World) -> u64 {
    quota::of_user(&world.app, &ADMIN, USER).await.expect("readable").used.0
}

#[tokio::test]
async fn a_commit_is_judged_by_the_new_total_and_who_is_over_may_shrink() {
    let world = World::new().await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    backup(&world, &one, 60_000).await.expect("there is no limit");
    backup(&world, &two, 50_000).await.expect("there is no limit");
    limit(&world, "100kB").await;
    let refused = backup(&world, &two, 50_000).await.expect_err("no less than before");
    let AppError::Refused(Refusal::QuotaExceeded { used: said, limit }) = refused else { panic!("{refused}") };
    assert_eq!((said, limit), (Bytes(110_000), Bytes(100_000)));
    assert_eq!(used(&world).await, 110_000, "what was there is there");
    backup(&world, &two, 45_000).await.expect("still over, and less than before");
    backup(&world, &two, 40_000).await.expect("exactly the limit");
    assert_eq!(code(backup(&world, &two, 40_001).await), "quota_exceeded");
    assert_eq!(used(&world).await, 100_000);
}

#[tokio::test]
async fn a_refused_commit_loses_nothing_and_the_same_run_commits_once_there_is_room() {
    let world = World::new().await;
    let device = world.device(1).await;
    limit(&world, "50kB").await;
    let (run, manifest) = sent(&world, &device, 60_000).await;
    let sealed = run.seal(&manifest);
    assert_eq!(code(run.commit_bytes(sealed.clone()).await), "quota_exceeded");
    assert_eq!(code(run.commit_bytes(sealed.clone()).await), "quota_exceeded");
    limit(&world, "60kB").await;
    let committed = run.commit_bytes(sealed.clone()).await.expect("there is room now");
    limit(&world, "1kB").await;
    let again = run.commit_bytes(sealed).await.expect("it was committed");
    assert_eq!(again, committed, "what was granted stays granted");
}

#[tokio::test]
async fn what_is_sent_and_never_committed_is_bounded_for_all_devices_of_a_user_together() {
    let world = World::new().await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    limit(&world, "1kB").await;
    // A run that has sent so much before; then it sends one small pack more.
    let send = async |device: &Device, before: Bytes| {
        let run = world.begin(device).await;
        let mut tx = world.app.db.write().await.expect("nobody else writes");
        let sent = RunCounters { bytes_received: before, ..RunCounters::default() };
        db::run_counters_update(&mut tx, run.begun.run, sent).await.expect("the run is there");
        tx.commit().await.expect("nothing stands against it");
        let mut draft = Draft::new(&run.naming);
        draft.file("file", &[&noise(before.0, 10_000)]);
        run.upload(&run.pack(&draft)).await.map(|_| ())
    };
    send(&one, Bytes::mib(10)).await.expect("less than 16 MiB and twice the limit");
    assert_eq!(code(send(&two, Bytes::mib(6)).await), "quota_exceeded", "of both together");
    assert_eq!(code(send(&one, Bytes(0)).await), "quota_exceeded", "a new run is no way around it");
    limit(&world, "1MB").await;
    send(&one, Bytes(0)).await.expect("twice the limit and 16 MiB");
    world.clock.advance(base::Span::ms(1));
    backup(&world, &one, 50_000).await.expect("there is room");
    limit(&world, "60kB").await;
    send(&one, Bytes::mib(9)).await.expect("what was sent before a commit is in it, or is the collector's");
    assert_eq!(code(send(&two, Bytes::mib(2)).await), "quota_exceeded", "since the commit, and of the other");
}

#[tokio::test]
async fn a_new_device_does_not_begin_over_quota_and_one_with_a_snapshot_does() {
    let world = World::new().await;
    let (one, new) = (world.device(1).await, world.device(2).await);
    backup(&world, &one, 60_000).await.expect("there is no limit");
    limit(&world, "50kB").await;
    let begin = async |device: &Device, n| {
        app::runs::begin(&world.app, &device.actor, [n; 16], Purpose::Backup).await.map(|begun| begun.run)
    };
    assert_eq!(code(begin(&new, 1).await), "quota_exceeded");
    let run = begin(&one, 2).await.expect("its next backup may be smaller");
    limit(&world, "60kB").await;
    let first = begin(&new, 1).await.expect("not over any more");
    limit(&world, "50kB").await;
    assert_eq!(begin(&new, 1).await.expect("the same request is the same run"), first);
    assert_eq!(begin(&one, 2).await.expect("the same request is the same run"), run);
    // A restore is never refused for it.
    let snapshot = db_newest(&world, &one).await;
    world.begin_restore(&one, snapshot).await.expect("reading takes nothing");
}

async fn db_newest(world: &World, device: &Device) -> base::SnapshotId {
    let mut tx = world.app.db.read().await.expect("readable");
    let newest = db::snapshot_get_newest(&mut tx, device.actor.device).await.expect("readable");
    newest.expect("there is one").new.id
}

#[tokio::test]
async fn of_two_devices_that_race_for_the_last_bytes_one_gets_them() {
    for round in 0..8 {
        let world = World::new().await;
        let (one, two) = (world.device(1).await, world.device(2).await);
        let ((run, manifest), (other_run, other)) =
            (sent(&world, &one, 60_000).await, sent(&world, &two, 60_000).await);
        limit(&world, "100kB").await;
        let (a, b) = tokio::join!(run.commit(&manifest), other_run.commit(&other));
        let (won, lost) = if a.is_ok() { (a.map(|_| ()), b.map(|_| ())) } else { (b.map(|_| ()), a.map(|_| ())) };
        won.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(code(lost), "quota_exceeded", "round {round}");
        assert_eq!(used(&world).await, 60_000);
    }
}

#[tokio::test]
async fn the_users_value_wins_over_the_profiles_and_devices_that_do_not_count_take_nothing() {
    let world = World::new().await;
    let (one, mut two) = (world.device(1).await, world.device(2).await);
    let profile = PolicySubject::Profile(super::policy::profile(&world).await);
    app::policy::set(&world.app, &ADMIN, profile, &values(&[("quota", "10kB")])).await.expect("granted");
    assert_eq!(code(backup(&world, &one, 20_000).await), "quota_exceeded");
    limit(&world, "none").await;
    backup(&world, &one, 20_000).await.expect("the user has no limit");
    backup(&world, &two, 70_000).await.expect("the user has no limit");
    let view = quota::of_user(&world.app, &ADMIN, USER).await.expect("readable");
    assert_eq!((view.used, view.limit, view.from), (Bytes(90_000), None, PolicyLevel::User));
    limit(&world, "").await;
    let view = quota::page(&world.app, &ADMIN, &PageAsk::first()).await.expect("readable").items.remove(0);
    assert_eq!((view.limit, view.from), (Some(Bytes(10_000)), PolicyLevel::Profile));
    let cut = State::Deactivated { rights: Rights::Full, level: Level::Revoke };
    world.state_set(&mut two, cut.clone()).await;
    assert_eq!(used(&world).await, 90_000, "a deactivated device still counts");
    world.state_set(&mut two, State::Decommissioning { was: Box::new(cut) }).await;
    assert_eq!(used(&world).await, 20_000);
}

async fn check(world: &World, apply: bool) -> quota::Checked {
    quota::check(&world.app, &ADMIN, apply, &mut |_| {}).await.expect("the store answers")
}

/// Writes something wrong into the rows that quota goes by.
async fn wrong(world: &World, of: &Device, totals: Option<Totals>, newest: Option<SnapshotId>) {
    let snapshot = db_newest(world, of).await;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    if let Some(totals) = totals {
        db::snapshot_totals_update(&mut tx, snapshot, totals).await.expect("there");
    }
    if let Some(newest) = newest {
        db::device_last_snapshot_update(&mut tx, of.actor.device, newest).await.expect("there");
    }
    tx.commit().await.expect("nothing stands against it");
}

#[tokio::test]
async fn a_wrong_row_is_found_listed_and_mended_and_a_right_one_left_alone() {
    let world = World::new().await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    backup(&world, &one, 30_000).await.expect("there is no limit");
    let old = db_newest(&world, &one).await;
    backup(&world, &one, 20_000).await.expect("there is no limit");
    backup(&world, &two, 5_000).await.expect("there is no limit");
    let clean = check(&world, true).await;
    assert_eq!((clean.devices, clean.differences.len(), clean.is_clean()), (Count(2), 0, true));

    let nothing = Totals { bytes: Bytes(1), ..Totals::default() };
    for (totals, newest, believed) in [(Some(nothing), None, 1), (None, Some(old), 30_000)] {
        wrong(&world, &one, totals, newest).await;
        assert_eq!(used(&world).await, believed + 5_000, "quota goes by it");
        for _ in 0..2 {
            let found = check(&world, false).await;
            assert_eq!((found.devices, found.differences_total, found.is_clean()), (Count(2), Count(1), false));
            let difference = &found.differences[0];
            assert_eq!((difference.device, difference.user), (one.actor.device, USER));
            assert_eq!((difference.believed, difference.found), (Bytes(believed), Bytes(20_000)));
            assert!(!difference.is_mended, "it only looks");
        }
        let mended = check(&world, true).await;
        assert!(mended.is_clean() && mended.differences[0].is_mended);
        assert_eq!((mended.differences_total, mended.mended_total), (Count(1), Count(1)));
        assert_eq!(used(&world).await, 25_000);
        let mut tx = world.app.db.read().await.expect("readable");
        let audited = app::audit::list(&mut tx, 0).await.expect("readable").pop().expect("it was written");
        assert_eq!((audited.action.as_str(), audited.subject), ("quota_mend", one.actor.device.to_string()));
        drop(tx);
        assert_eq!(check(&world, true).await, clean, "once");
    }
}

#[tokio::test]
async fn an_older_snapshot_that_a_repair_has_brought_back_is_not_the_newest() {
    let world = World::new().await;
    let device = world.device(1).await;
    backup(&world, &device, 20_000).await.expect("there is no limit");
    let id = db_newest(&world, &device).await;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let newest = db::snapshot_get(&mut tx, id).await.expect("readable").expect("there").new;
    let committed_at = newest.committed_at - Span::hours(1);
    let (id, run) = (SnapshotId::from_bytes([9; 16]), RunId::from_bytes([9; 16]));
    let older = SnapshotNew { id, run, committed_at, ..newest };
    db::snapshot_insert(&mut tx, &older).await.expect("new");
    tx.commit().await.expect("nothing stands against it");
    let checked = check(&world, true).await;
    assert!(checked.is_clean() && checked.differences.is_empty(), "{checked:?}");
    assert_eq!(used(&world).await, 20_000);
}

#[tokio::test]
async fn without_a_manifest_the_trees_say_it_and_without_both_nobody_does() {
    let world = World::new().await;
    let device = world.device(1).await;
    backup(&world, &device, 20_000).await.expect("there is no limit");
    let snapshot = db_newest(&world, &device).await;
    let other_files = Totals { bytes: Bytes(20_000), ..Totals::default() };
    wrong(&world, &device, Some(other_files), None).await;
    world.object_remove(&format!("manifests/{}/{snapshot}", device.actor.device)).await;
    let mended = check(&world, true).await;
    assert!(mended.is_clean() && mended.differences.len() == 1, "what is not quota's is mended too: {mended:?}");
    assert!(check(&world, false).await.differences.is_empty());
    let packs = world.store.inner().list("packs/", None, 9).await.expect("memory does not fail");
    for pack in packs {
        world.object_remove(pack.name.as_str()).await;
    }
    // Another server has none of its trees in memory.
    let other = world.beside().await;
    let found = quota::check(&other, &ADMIN, true, &mut |_| {}).await.expect("the store answers");
    assert_eq!((found.unreadable.as_slice(), found.is_clean()), (&[snapshot][..], false));
    assert_eq!(found.unreadable_total, Count(1));
    assert_eq!(used(&world).await, 20_000, "what cannot be known is left");
}
