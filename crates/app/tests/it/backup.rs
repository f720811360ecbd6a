//! The backup path when all is well, and when the store, the network or the clock is not.

use super::world::{CACHE_SPAN, Device, Draft, World, body, code, directory, entry, noise, sample, totals};
use app::page::PageAsk;
use app::runs::{Purpose, begin};
use app::snapshots::Newest;
use app::{App, Config, DeviceActor};
use base::{Bytes as Size, Count, Kind, Span, SystemClock};
use bytes::Bytes;
use control::{Level, Rights, State};
use format::{ChunkKind, ChunkRef, Content, EntryBody, Totals, Tree};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use std::io;
use std::sync::Arc;
use store::{Mishap, ObjectName, Store as _, StoreError, Verb};

#[tokio::test]
async fn a_backup_becomes_a_snapshot_and_every_count_is_right() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    assert_eq!(run.begun.snapshot, None, "the first backup goes on from nothing");
    let (draft, root, sum) = sample(&run.naming);
    let pack = run.pack(&draft);
    let refs: Vec<ChunkRef> = pack.index.chunks().map(|(_, _, chunk)| chunk.chunk).collect();
    assert_eq!(run.dedupe(&refs).await.expect("open"), vec![true; refs.len()]);
    assert_eq!(run.verify(&[pack.id]).await.expect("open"), [1]);

    let uploaded = run.upload(&pack).await.expect("a good pack");
    assert_eq!(uploaded.chunks_new, Count::of(refs.len()));
    assert_eq!(run.dedupe(&refs).await.expect("open"), vec![false; refs.len()]);
    assert_eq!(run.verify(&[pack.id]).await.expect("open"), [0]);

    let manifest = run.manifest(root, sum);
    let sealed = run.seal(&manifest);
    let bytes_sent = pack.bytes.len() + sealed.len() + 2 * refs.len() * 32 + 2 * 32;
    let committed = run.commit_bytes(sealed).await.expect("a good manifest");
    assert_eq!(committed.snapshot.id, manifest.snapshot);
    assert_eq!((committed.snapshot.totals, committed.snapshot.root), (sum, Some(root)));
    assert_eq!(sum, totals(7, 4, 5_000 + 300 + 700 + 800 + 900 + 100 + 100));
    assert_eq!((committed.chunks_new, committed.packs), (Count::of(refs.len()), Count(1)));
    assert_eq!(committed.bytes_received, Size::of(bytes_sent));

    let next = world.begin(&device).await;
    assert_eq!(
        next.begun.snapshot,
        Some(Newest::Shown(Box::new(committed.snapshot.clone()))),
        "the next backup goes on from it"
    );
    let page = app::snapshots::list(&world.app, &device.actor, &PageAsk::first()).await.expect("readable");
    assert_eq!((page.items, page.next), (vec![committed.snapshot], None));
}

#[tokio::test]
async fn the_same_begin_upload_and_commit_again_get_the_same_answer_and_nothing_is_done_twice() {
    let world = World::new().await;
    let device = world.device(1).await;
    let request = [9; 16];
    let first = begin(&world.app, &device.actor, request, Purpose::Backup).await.expect("a run");
    let again = begin(&world.app, &device.actor, request, Purpose::Backup).await.expect("the same run");
    assert_eq!(first.run, again.run);

    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    let pack = run.pack(&draft);
    let uploads = [run.upload(&pack).await.expect("new"), run.upload(&pack).await.expect("known")];
    assert_eq!(uploads[0], uploads[1]);
    let manifest = run.seal(&run.manifest(root, sum));
    let committed = run.commit_bytes(manifest.clone()).await.expect("new");
    let objects = world.store.inner().count(Verb::PutNew);
    assert_eq!(run.commit_bytes(manifest).await.expect("known"), committed);
    assert_eq!((objects, world.store.inner().count(Verb::PutNew)), (Count(3), Count(3)));
    assert_eq!(committed.packs, Count(1));

    let other = run.seal(&run.manifest(root, sum));
    assert_eq!(code(run.commit_bytes(other).await), "run_closed", "another manifest is no repetition");
    assert_eq!(code(run.upload(&pack).await), "run_closed");
}

#[tokio::test]
async fn a_new_backup_run_takes_the_place_of_the_open_one() {
    let world = World::new().await;
    let device = world.device(1).await;
    let old = world.begin(&device).await;
    let (draft, root, sum) = sample(&old.naming);
    let pack = old.pack(&draft);
    old.upload(&pack).await.expect("the run is open");
    let manifest = old.manifest(root, sum);
    let new = world.begin(&device).await;
    assert_eq!(code(old.dedupe(&[root]).await), "run_superseded");
    assert_eq!(code(old.upload(&pack).await), "run_superseded");
    assert_eq!(code(old.verify(&[pack.id]).await), "run_superseded");
    assert_eq!(code(old.commit(&manifest).await), "run_superseded");
    // What the old run sent is found by the new one, and need not be sent again.
    assert_eq!(new.dedupe(&[root]).await.expect("open"), [false]);
    new.commit(&new.manifest(root, sum)).await.expect("all is there");
}

#[tokio::test]
async fn two_devices_that_send_the_same_chunks_at_once_leave_one_row_for_each() {
    let world = World::new().await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    let (run_one, run_two) = (world.begin(&one).await, world.begin(&two).await);
    let (draft, root, sum) = sample(&run_one.naming);
    let (pack_one, pack_two) = (run_one.pack(&draft), run_two.pack(&draft));
    assert_ne!(pack_one.id, pack_two.id);
    let (first, second) = tokio::join!(run_one.upload(&pack_one), run_two.upload(&pack_two));
    let new = [first.expect("good").chunks_new, second.expect("good").chunks_new];
    assert_eq!(new.into_iter().sum::<Count>(), Count(pack_one.index.chunks().count() as u64));
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = db::chunk_count_list(&mut tx).await.expect("readable");
    assert_eq!(rows.iter().map(|(_, count)| *count).sum::<Count>(), Count(pack_one.index.chunks().count() as u64));
    drop(tx);
    for run in [&run_one, &run_two] {
        run.commit(&run.manifest(root, sum)).await.expect("all is there");
    }
}

#[tokio::test]
async fn a_pack_of_which_everything_is_there_is_looked_through_and_not_kept() {
    let world = World::new().await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    let (run_one, run_two) = (world.begin(&one).await, world.begin(&two).await);
    let (draft, root, sum) = sample(&run_one.naming);
    let (pack_one, pack_two) = (run_one.pack(&draft), run_two.pack(&draft));
    run_one.upload(&pack_one).await.expect("good");
    let objects = world.store.inner().count(Verb::PutNew);
    for _ in 0..2 {
        assert_eq!(run_two.upload(&pack_two).await.expect("good").chunks_new, Count(0));
    }
    assert_eq!(world.store.inner().count(Verb::PutNew), objects);
    assert_eq!(run_two.verify(&[pack_two.id]).await.expect("open"), [1]);
    run_two.commit(&run_two.manifest(root, sum)).await.expect("all is there");
    run_one.commit(&run_one.manifest(root, sum)).await.expect("all is there");
    // What is wrong with a pack is said all the same.
    let third = world.begin(&two).await;
    let mut bytes = third.pack(&draft).bytes;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let pack = format::SealedPack { id: format::PackId::of(&bytes), bytes, ..third.pack(&draft) };
    assert_eq!(code(third.upload(&pack).await), "pack_damaged");
}

#[tokio::test]
async fn the_same_pack_sent_twice_at_once_is_taken_in_once() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    let pack = run.pack(&draft);
    let (first, second) = tokio::join!(run.upload(&pack), run.upload(&pack));
    assert_eq!(first.expect("good"), second.expect("good"));
    let manifest = run.seal(&run.manifest(root, sum));
    let (first, second) = tokio::join!(run.commit_bytes(manifest.clone()), run.commit_bytes(manifest));
    let (first, second) = (first.expect("good"), second.expect("good"));
    assert_eq!(first, second);
    assert_eq!(first.packs, Count(1));
}

#[tokio::test]
async fn an_unchanged_tree_is_committed_without_reading_the_store() {
    let world = World::new().await;
    let device = world.device(1).await;
    world.backup(&device).await;
    let run = world.begin(&device).await;
    let (mut draft, root, sum) = sample(&run.naming);
    world.store.inner().reset();
    run.commit(&run.manifest(root, sum)).await.expect("all is known");
    let reads = |verb| world.store.inner().count(verb);
    assert_eq!((reads(Verb::Get), reads(Verb::GetRange), reads(Verb::PutNew)), (Count(0), Count(0), Count(1)));

    // One changed directory: its tree and the root are read, and nothing beneath the others.
    let run = world.begin(&device).await;
    draft.trees.clear();
    draft.contents.clear();
    let (sub, sub_totals) = draft.tree(Vec::new(), Totals::default());
    let entries = vec![directory("old", root), directory("sub", sub)];
    let (root, sum) = draft.tree(entries, sum + sub_totals);
    run.upload(&run.pack(&draft)).await.expect("good");
    world.store.inner().reset();
    run.commit(&run.manifest(root, sum)).await.expect("all is there");
    assert_eq!((reads(Verb::Get), reads(Verb::GetRange)), (Count(0), Count(1)));
}

#[tokio::test]
async fn a_run_lives_as_long_as_it_is_used() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    for _ in 0..3 {
        world.clock.advance(Span::hours(23));
        run.dedupe(&[]).await.expect("its lease was extended by the request before");
    }
    world.clock.advance(Span::hours(24));
    assert_eq!(code(run.dedupe(&[]).await), "run_closed");
}

#[tokio::test]
async fn a_run_that_was_aborted_is_closed_and_what_it_sent_stays() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, _) = sample(&run.naming);
    run.upload(&run.pack(&draft)).await.expect("good");
    for _ in 0..2 {
        app::runs::abort(&world.app, &device.actor, run.id()).await.expect("also twice");
    }
    assert_eq!(code(run.dedupe(&[root]).await), "run_closed");
    let next = world.begin(&device).await;
    assert_eq!(next.dedupe(&[root]).await.expect("open"), [false]);
}

#[tokio::test]
async fn a_lost_answer_of_the_store_is_healed_by_the_next_try() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    let pack = run.pack(&draft);
    for mishap in [Mishap::Fail(StoreError::Closing), Mishap::LoseAnswer(StoreError::Closing)] {
        world.store.plan(Verb::PutNew, 1, mishap);
        assert_eq!(run.upload(&pack).await.expect_err("the store failed").kind(), Kind::Unavailable);
        assert_eq!(run.dedupe(&[root]).await.expect("open"), [true], "an object alone is not known");
    }
    run.upload(&pack).await.expect("the object is there, and the row comes now");
    let manifest = run.seal(&run.manifest(root, sum));
    // The first object of a commit is the card of the device, the second the manifest.
    world.store.plan(Verb::PutNew, 2, Mishap::LoseAnswer(StoreError::Closing));
    assert_eq!(run.commit_bytes(manifest.clone()).await.expect_err("the store failed").kind(), Kind::Unavailable);
    // An agent that has sealed the same snapshot anew gets no answer to it, and has replaced nothing.
    let mut again = run.manifest(root, sum);
    again.snapshot =
        format::Manifest::open(&manifest, |_| run.begun.run_key.clone()).expect("ours").unverified().snapshot;
    assert_eq!(code(run.commit(&again).await), "manifest_mismatch");
    run.commit_bytes(manifest).await.expect("the same bytes are the same manifest");
    assert!(app::snapshots::problems(&world.app, &device.actor, again.snapshot).await.expect("it is ours").is_empty());
}

#[tokio::test]
async fn an_object_left_by_a_broken_upload_is_compared_before_it_is_named() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, _, _) = sample(&run.naming);
    let pack = run.pack(&draft);
    let name = ObjectName::new(format!("packs/{}", pack.id)).expect("a name");
    world.store.put_new(&name, Bytes::from_static(b"not the pack")).await.expect("memory does not fail");
    run.upload(&pack).await.expect("replaced");
    assert_eq!(world.store.get(&name).await.expect("there"), pack.bytes);
}

#[tokio::test]
async fn a_full_store_is_said_with_its_code_and_loses_nothing() {
    let world = World::new().await;
    let device = world.device(1).await;
    world.backup(&device).await;
    let run = world.begin(&device).await;
    let pack = run.pack_of(&[&[(ChunkKind::Content, noise(77, 100))]]);
    let full = || StoreError::Full { folder: "/srv".into(), free: Size(0), reserve: Size(0), cause: None };
    world.store.plan(Verb::PutNew, 1, Mishap::Fail(full()));
    let error = run.upload(&pack).await.expect_err("full");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(code::<()>(Err(error)), "store_full");
    let naming = run.naming.clone();
    assert_eq!(run.dedupe(&[naming.name(ChunkKind::Content, &noise(77, 100))]).await.expect("open"), [true]);
    let (_, root, sum) = sample(&naming);
    world.store.plan(Verb::PutNew, 1, Mishap::Fail(full()));
    assert_eq!(code(run.commit(&run.manifest(root, sum)).await), "store_full");
    run.upload(&pack).await.expect("there is room again");
}

#[tokio::test]
async fn bodies_that_are_too_long_too_short_or_stop_are_refused() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, _) = sample(&run.naming);
    let pack = run.pack(&draft);
    let (app, actor, id) = (&world.app, &device.actor, run.id());
    let whole = || body(pack.bytes.clone());
    let len = pack.bytes.len() as u64;

    let too_long = app::backup::upload(app, actor, id, pack.id, Some((64 << 20) + 1), whole()).await;
    assert_eq!(code(too_long), "request_too_large");
    let mib = Bytes::from(vec![0; 1 << 20]);
    let endless = stream::repeat_with(move || Ok(mib.clone()));
    assert_eq!(code(app::backup::upload(app, actor, id, pack.id, None, endless).await), "request_too_large");
    let short = whole().take(1);
    assert_eq!(code(app::backup::upload(app, actor, id, pack.id, Some(len), short).await), "upload_incomplete");
    let broken = whole().take(1).chain(stream::iter([Err(io::Error::other("reset"))]));
    assert_eq!(code(app::backup::upload(app, actor, id, pack.id, Some(len), broken).await), "upload_incomplete");
    let stops = whole().take(1).chain(stream::pending());
    assert_eq!(code(app::backup::upload(app, actor, id, pack.id, Some(len), stops).await), "upload_stalled");
    assert_eq!(run.dedupe(&[root]).await.expect("open"), [true], "none of them left anything");
    app::backup::upload(app, actor, id, pack.id, None, whole()).await.expect("a body that does not say its length");
}

#[tokio::test]
async fn a_deactivation_is_seen_in_real_time_while_a_body_trickles() {
    let manual = Arc::new(base::ManualClock::at(base::Timestamp::from_ms(0)));
    let world = World::with(Arc::new(SystemClock), manual, Config::default()).await;
    let mut device = world.device(1).await;
    let run = world.begin(&device).await;
    let (app, actor, id) = (Arc::clone(&world.app), device.actor.clone(), run.id());
    let trickle = stream::unfold((), |()| async {
        base::Clock::sleep(&SystemClock, Span::ms(30)).await;
        Some((Ok(Bytes::from_static(b"0123456789")), ()))
    });
    let pack = format::PackId::from_bytes([0; 32]);
    let upload = tokio::spawn(async move {
        let upload = app::backup::upload(&app, &actor, id, pack, None, trickle);
        app::guard::hold(&app, &actor, control::access::Verb::Append, upload).await.flatten()
    });
    base::Clock::sleep(&SystemClock, Span::ms(100)).await;
    let changed_at = base::Clock::now(&SystemClock);
    world.state_set(&mut device, State::Deactivated { rights: Rights::Full, level: Level::Rotate }).await;
    assert_eq!(code(upload.await.expect("no panic")), "device_deactivated");
    let after = base::Clock::now(&SystemClock).since(changed_at);
    assert!(after < Span::seconds(1), "cut after {after}");
}

#[tokio::test]
async fn the_run_of_a_device_that_was_cut_off_never_commits() {
    let world = World::new().await;
    let mut device = world.device(1).await;
    let actor = device.actor.clone();
    let (manifest, id) = {
        let run = world.begin(&device).await;
        let (draft, root, sum) = sample(&run.naming);
        run.upload(&run.pack(&draft)).await.expect("good");
        (run.seal(&run.manifest(root, sum)), run.id())
    };
    world.state_set(&mut device, State::Deactivated { rights: Rights::Full, level: Level::Rotate }).await;
    // The request was let in by a state that was true a moment ago.
    let late = app::backup::commit(&world.app, &actor, id, manifest, app::backup::Reported::default()).await;
    assert_eq!(code(late), "device_deactivated");
    world.clock.advance(CACHE_SPAN);
    let first = app::page::PageAsk::first();
    let page = app::snapshots::admin_list(&world.app, &app::AdminActor::Command, None, &first).await;
    assert_eq!(page.expect("readable").items, []);
}

#[tokio::test]
async fn what_happens_between_object_and_row_is_seen_under_the_write_lock() {
    type Deed = fn(&App, &DeviceActor) -> BoxFuture<'static, ()>;
    let cases: [(&str, Deed, &str); 2] =
        [("a deactivation", deactivate, "device_deactivated"), ("a newer run", supersede, "run_superseded")];
    for (what, deed, expected) in cases {
        for is_commit in [false, true] {
            let world = World::new().await;
            let device = world.device(1).await;
            let run = world.begin(&device).await;
            let (draft, root, sum) = sample(&run.naming);
            let pack = run.pack(&draft);
            if is_commit {
                run.upload(&pack).await.expect("good");
            }
            let deed = deed(&world.app, &device.actor);
            world.store.after_put(move || deed);
            let refused = if is_commit {
                code(run.commit(&run.manifest(root, sum)).await)
            } else {
                code(run.upload(&pack).await)
            };
            assert_eq!(refused, expected, "{what}, in a commit: {is_commit}");
            let mut tx = world.app.db.read().await.expect("readable");
            let known = (
                db::pack_get(&mut tx, pack.id).await.expect("readable").is_some(),
                db::snapshot_get_newest(&mut tx, device.actor.device).await.expect("readable").is_some(),
            );
            assert_eq!(known, (is_commit, false), "{what}, in a commit: {is_commit}");
        }
    }
}

fn deactivate(app: &App, actor: &DeviceActor) -> BoxFuture<'static, ()> {
    let (db, device) = (app.db.clone(), actor.device);
    Box::pin(async move {
        let state = State::Deactivated { rights: Rights::Full, level: Level::Revoke };
        let mut tx = db.write().await.expect("its turn comes");
        db::testing::device_put(&mut tx, device, |row| row.state = state).await;
        tx.commit().await.expect("nothing stands against it");
    })
}

fn supersede(app: &App, actor: &DeviceActor) -> BoxFuture<'static, ()> {
    let (db, device) = (app.db.clone(), actor.device);
    Box::pin(async move {
        let mut tx = db.write().await.expect("its turn comes");
        let ended = db::run_superseded_update(&mut tx, device, base::Timestamp::from_ms(1)).await.expect("there");
        assert_eq!(ended, Count(1));
        tx.commit().await.expect("nothing stands against it");
    })
}

#[tokio::test]
async fn a_commit_does_not_rely_on_what_was_marked_as_damaged_since_it_looked() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    let pack = run.pack(&draft);
    run.upload(&pack).await.expect("good");
    let db = world.app.db.clone();
    let id = pack.id;
    world.store.after_put(move || {
        Box::pin(async move {
            let mut tx = db.write().await.expect("its turn comes");
            let row = db::pack_get(&mut tx, id).await.expect("readable").expect("there");
            let now = base::Timestamp::from_ms(1);
            assert!(db::pack_damaged_update(&mut tx, row.seq, Some(now)).await.expect("there"));
            db::closed_remove(&mut tx, row.new.repository).await.expect("done");
            db::repository_damages_update(&mut tx, row.new.repository).await.expect("there");
            tx.commit().await.expect("nothing stands against it");
        })
    });
    let manifest = run.seal(&run.manifest(root, sum));
    assert_eq!(code(run.commit_bytes(manifest.clone()).await), "tree_names_missing");
    run.upload(&run.pack(&draft)).await.expect("sent again");
    // Its object was written: the run becomes a snapshot by this manifest or by none.
    assert_eq!(code(run.commit(&run.manifest(root, sum)).await), "manifest_mismatch");
    run.commit_bytes(manifest).await.expect("all is there");
}

#[tokio::test]
async fn a_tree_in_a_damaged_pack_is_missing_though_it_is_cached_and_its_content_is_whole() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    run.upload(&run.pack_of(&[&draft.contents])).await.expect("good");
    let trees = run.pack_of(&[&draft.trees]);
    run.upload(&trees).await.expect("good");
    run.commit(&run.manifest(root, sum)).await.expect("all is there");

    let mut tx = world.app.db.write().await.expect("its turn comes");
    let row = db::pack_get(&mut tx, trees.id).await.expect("readable").expect("there");
    assert!(db::pack_damaged_update(&mut tx, row.seq, Some(base::Timestamp::from_ms(1))).await.expect("there"));
    db::closed_remove(&mut tx, row.new.repository).await.expect("done");
    db::repository_damages_update(&mut tx, row.new.repository).await.expect("there");
    tx.commit().await.expect("nothing stands against it");

    let next = world.begin(&device).await;
    assert_eq!(code(next.commit(&next.manifest(root, sum)).await), "tree_names_missing");
    next.upload(&next.pack_of(&[&draft.trees])).await.expect("sent again");
    next.commit(&next.manifest(root, sum)).await.expect("the trees are whole again");
}

#[tokio::test]
async fn a_manifest_that_a_broken_commit_left_is_replaced_by_no_run_and_holds_no_other_snapshot_up() {
    let world = World::new().await;
    let device = world.device(1).await;
    let first = world.begin(&device).await;
    let (draft, root, sum) = sample(&first.naming);
    first.upload(&first.pack(&draft)).await.expect("good");
    let manifest = first.manifest(root, sum);
    let name = format!("manifests/{}/{}", manifest.device, manifest.snapshot);
    let name = ObjectName::new(name).expect("a name");
    let left = first.seal(&manifest);
    world.store.put_new(&name, left.clone()).await.expect("memory does not fail");
    assert_eq!(code(first.commit(&manifest).await), "manifest_mismatch");
    let second = world.begin(&device).await;
    assert_eq!(code(second.commit(&manifest).await), "manifest_mismatch");
    assert_eq!(world.store.get(&name).await.expect("there"), left);
    let third = world.begin(&device).await;
    third.commit(&third.manifest(root, sum)).await.expect("a snapshot of its own");
}

#[tokio::test]
async fn two_manifests_of_one_run_at_once_leave_one_snapshot_and_its_own_manifest() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    run.upload(&run.pack(&draft)).await.expect("good");
    // The same snapshot, sealed twice: as by an agent that did not keep what it had sent.
    let manifest = run.manifest(root, sum);
    let (one, two) = (run.seal(&manifest), run.seal(&manifest));
    let results = tokio::join!(run.commit_bytes(one), run.commit_bytes(two));
    let (good, refused) = if results.0.is_ok() { results } else { (results.1, results.0) };
    good.expect("one of them is first");
    let refused = code(refused);
    assert!(["run_closed", "manifest_mismatch"].contains(&refused), "{refused}");
    let problems = app::snapshots::problems(&world.app, &device.actor, manifest.snapshot).await;
    assert_eq!(problems.expect("the manifest in the store is the one that was committed"), []);
}

#[tokio::test]
async fn a_tree_of_many_directories_is_followed_in_bounded_steps() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let mut draft = Draft::new(&run.naming);
    let mut entries = Vec::new();
    let mut below = Totals::default();
    for n in 0..9_000_u32 {
        let name = format!("{n:05}");
        let content = Content::Inline(n.to_le_bytes().to_vec());
        let file = entry("f", EntryBody::File { size: 4, content });
        let tree = Tree::leaf(vec![file], Totals::default());
        let plain = tree.encode().expect("a small tree");
        entries.push(directory(&name, run.naming.name(ChunkKind::Tree, &plain)));
        draft.trees.push((ChunkKind::Tree, plain));
        below += tree.totals;
    }
    let root = Tree::leaf(entries, below);
    let plain = root.encode().expect("a tree of less than 8 MiB");
    let top = run.naming.name(ChunkKind::Tree, &plain);
    run.upload(&run.pack_of(&[&draft.trees, &[(ChunkKind::Tree, plain)]])).await.expect("good");
    let committed = run.commit(&run.manifest(top, root.totals)).await.expect("all is there");
    assert_eq!(committed.snapshot.totals, totals(18_000, 9_000, 36_000));
    let quick = app::scrub::Options { read_data: false };
    let report = app::scrub::scrub(&world.app, &app::AdminActor::Command, quick, &mut |_| {}).await;
    assert!(report.expect("readable").is_clean());
}

#[tokio::test]
async fn uploads_share_a_bounded_memory_and_all_of_them_get_through() {
    let config = Config { upload_memory: Size::mib(64), ..Config::default() };
    let manual = Arc::new(base::ManualClock::at(base::Timestamp::from_ms(0)));
    let world = World::with(Arc::new(SystemClock), manual, config).await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let packs: Vec<_> = (0..4).map(|n| run.pack_of(&[&[(ChunkKind::Content, noise(n, 1 << 20))]])).collect();
    let uploads = packs.iter().map(|pack| run.upload(pack));
    for uploaded in futures::future::join_all(uploads).await {
        assert_eq!(uploaded.expect("it waits for its turn").chunks_new, Count(1));
    }
}

#[tokio::test]
async fn a_credential_that_only_appends_is_shown_the_roots_that_it_appended() {
    let world = World::new().await;
    let full = world.device(1).await;
    world.backup(&full).await;
    let mut only = full;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let append_only = State::Active { rights: Rights::AppendOnly };
    db::testing::device_put(&mut tx, only.actor.device, |row| row.state = append_only).await;
    tx.commit().await.expect("nothing stands against it");
    only.actor.state = State::Active { rights: Rights::AppendOnly };
    let begun = world.begin(&only).await.begun;
    let shown = begun.snapshot.as_ref().and_then(Newest::view).expect("it made it itself");
    assert!(shown.root.is_some(), "this very credential appended it");
    let of = async |device: &Device| app::snapshots::standing(&world.app, &device.actor).await.expect("readable");
    assert_eq!(of(&only).await, (begun.snapshot.clone(), Count(1)));
    let page = app::snapshots::list(&world.app, &only.actor, &PageAsk::first()).await.expect("its own");
    assert_eq!(page.items.len(), 1);

    // Another key was bound since: the snapshot is another credential's.
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::testing::device_put(&mut tx, only.actor.device, |row| row.epoch = 2).await;
    tx.commit().await.expect("nothing stands against it");
    only.actor.epoch = 2;
    let begun = world.begin(&only).await.begun;
    assert_eq!(begun.snapshot, Some(Newest::Named(shown.id)), "its name, and nothing else");
    assert_eq!(of(&only).await, (Some(Newest::Named(shown.id)), Count(0)));
    let used = app::policy::own(&world.app, &only.actor).await.expect("it may know its policy").used;
    assert_eq!(used, Size(0), "what others have appended is not counted before it");
    let page = app::snapshots::list(&world.app, &only.actor, &PageAsk::first()).await.expect("its own");
    assert_eq!(page.items, []);
}
