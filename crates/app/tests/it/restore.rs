//! What comes back: frames as they lie, parts of frames, nothing that was not asked for, and nothing that is damaged.

use super::world::{CACHE_SPAN, Device, Draft, Run, World, code, noise, sample};
use app::page::PageAsk;
use app::restore::{NOWHERE, Parcel};
use app::{App, AppError};
use base::{Count, RunId, SnapshotId};
use control::{Level, Rights, State};
use format::{ChunkKind, ChunkRef, Codec, NamingKey, SealedPack, Totals, compress};
use futures::TryStreamExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Mishap, StoreError, Verb};

async fn fetch(app: &Arc<App>, device: &Device, run: RunId, refs: &[ChunkRef]) -> Result<Vec<Parcel>, AppError> {
    app::restore::fetch(Arc::clone(app), device.actor.clone(), run, refs).await?.try_collect().await
}

/// The chunks in parcels, by their positions in the request.
fn chunks(parcels: &[Parcel]) -> BTreeMap<u32, Vec<u8>> {
    let mut found = BTreeMap::new();
    for parcel in parcels {
        let plain = compress::decompress(parcel.codec, &parcel.bytes, parcel.plain_len).expect("it decompresses");
        let mut rest = &plain[..];
        for (position, len) in &parcel.chunks {
            let (chunk, after) = rest.split_at(*len as usize);
            assert_eq!(found.insert(*position, chunk.to_vec()), None, "each position is answered once");
            rest = after;
        }
        assert!(rest.is_empty(), "nothing but what was asked for");
    }
    found
}

fn refs(pack: &SealedPack) -> Vec<ChunkRef> {
    pack.index.chunks().map(|(_, _, chunk)| chunk.chunk).collect()
}

/// The bytes of each chunk of the sample, in the order of its pack.
fn sample_bytes(naming: &NamingKey) -> Vec<Vec<u8>> {
    let (draft, _, _) = sample(naming);
    draft.contents.into_iter().chain(draft.trees).map(|(_, bytes)| bytes).collect()
}

async fn naming(world: &World) -> NamingKey {
    world.app.keys.repository(world.repository).expect("there is one").naming.clone()
}

#[tokio::test]
async fn all_of_a_frame_comes_as_it_lies_and_a_part_of_it_without_its_neighbours() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    let expected = sample_bytes(&naming(&world).await);
    let run = world.begin_restore(&device, snapshot).await.expect("its own snapshot");
    let all = refs(&pack);

    world.store.inner().reset();
    let parcels = fetch(&world.app, &device, run, &all).await.expect("readable");
    assert_eq!(parcels.len(), 2, "two frames");
    for (parcel, frame) in parcels.iter().zip(pack.index.frames()) {
        assert_eq!((parcel.codec, parcel.plain_len), (frame.codec, frame.plain_len), "compressed as it is stored");
    }
    assert_eq!(chunks(&parcels).into_values().collect::<Vec<_>>(), expected);
    assert_eq!(world.store.inner().count(Verb::GetRange), Count(1), "neighbours are read at once");

    // In another order, with one that is missing.
    let asked = [all[3], ChunkRef::from_bytes([1; 32]), all[0]];
    let parcels = fetch(&world.app, &device, run, &asked).await.expect("readable");
    let found = chunks(&parcels);
    let expected: BTreeMap<u32, Vec<u8>> = [(0, expected[3].clone()), (2, expected[0].clone())].into();
    assert_eq!(found, expected);
    let twice = [all[3], all[0], all[3]];
    assert_eq!(code(fetch(&world.app, &device, run, &twice).await), "request_malformed", "one is named twice");
    assert_eq!(fetch(&world.app, &device, run, &[]).await.expect("nothing"), []);
}

#[tokio::test]
async fn a_part_that_compresses_is_compressed_again_and_a_small_one_is_not() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    let frame = [vec![b'a'; 100_000], vec![b'b'; 3_000], vec![b'c'; 3]].map(|bytes| (ChunkKind::Content, bytes));
    let pack = run.pack_of(&[&frame]);
    run.upload(&pack).await.expect("good");
    run.upload(&run.pack(&draft)).await.expect("good");
    let snapshot = run.commit(&run.manifest(root, sum)).await.expect("good").snapshot.id;
    let restore = world.begin_restore(&device, snapshot).await.expect("its own snapshot");
    let all = refs(&pack);
    for (wanted, codec) in [(&all[..1], Codec::Zstd), (&all[1..2], Codec::Stored), (&all[1..], Codec::Stored)] {
        let parcels = fetch(&world.app, &device, restore, wanted).await.expect("readable");
        assert_eq!(parcels.len(), 1);
        assert_eq!(parcels[0].codec, codec);
        assert!(parcels[0].bytes.len() <= 3_003, "{} bytes", parcels[0].bytes.len());
    }
}

#[tokio::test]
async fn locate_tells_neighbours_from_strangers_and_what_is_not_there() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (snapshot, first) = world.backup(&device).await;
    let run = world.begin(&device).await;
    let second = run.pack_of(&[&[(ChunkKind::Content, noise(50, 100))]]);
    run.upload(&second).await.expect("good");
    let restore = world.begin_restore(&device, snapshot).await.expect("its own snapshot");
    let asked = [refs(&first), refs(&second), vec![ChunkRef::from_bytes([1; 32])]].concat();
    let places = app::restore::locate(&world.app, &device.actor, restore, &asked).await.expect("readable");
    let frames: Vec<u64> = first.index.chunks().map(|(frame, _, _)| u64::from(frame)).collect();
    let expected: Vec<u64> = frames.iter().map(|frame| 1 << 24 | frame).chain([2 << 24, NOWHERE]).collect();
    assert_eq!(places, expected);
}

#[tokio::test]
async fn during_a_backup_a_device_reads_trees_and_lists_and_no_content() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (_, pack) = world.backup(&device).await;
    let run = world.begin(&device).await;
    let of_kind = |wanted: fn(ChunkKind) -> bool| -> Vec<ChunkRef> {
        pack.index.chunks().filter(|(_, _, chunk)| wanted(chunk.kind)).map(|(_, _, chunk)| chunk.chunk).collect()
    };
    let trees = of_kind(|kind| kind != ChunkKind::Content);
    let parcels = fetch(&world.app, &device, run.id(), &trees).await.expect("its own trees");
    assert_eq!(chunks(&parcels).len(), trees.len());
    let content = of_kind(|kind| kind == ChunkKind::Content);
    assert_eq!(code(fetch(&world.app, &device, run.id(), &content).await), "run_wrong_kind");
    let mixed = [trees[0], content[0]];
    assert_eq!(code(fetch(&world.app, &device, run.id(), &mixed).await), "run_wrong_kind");
}

#[tokio::test]
async fn a_credential_that_only_appends_reads_what_it_appended_and_nothing_else() {
    let world = World::new().await;
    let mut device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    let only = State::Active { rights: Rights::AppendOnly };
    world.state_set(&mut device, only).await;
    world.clock.advance(CACHE_SPAN);
    let own = world.begin_restore(&device, snapshot).await.expect("this very credential appended it");
    assert_eq!(
        chunks(&fetch(&world.app, &device, own, &refs(&pack)).await.expect("readable")).len(),
        refs(&pack).len()
    );

    // Another key was bound to the record since.
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::testing::device_put(&mut tx, device.actor.device, |row| row.epoch = 2).await;
    tx.commit().await.expect("nothing stands against it");
    device.actor.epoch = 2;
    world.clock.advance(CACHE_SPAN);
    assert_eq!(code(world.begin_restore(&device, snapshot).await), "rights_append_only");
    assert_eq!(code(fetch(&world.app, &device, own, &refs(&pack)).await), "run_closed", "the run ended with its key");
    let backup = world.begin(&device).await;
    let tree = [pack.index.frames()[1].chunks[0].chunk];
    assert_eq!(code(fetch(&world.app, &device, backup.id(), &tree).await), "rights_append_only");
    let content = [pack.index.frames()[0].chunks[0].chunk];
    assert_eq!(code(fetch(&world.app, &device, backup.id(), &content).await), "rights_append_only");
    let located = app::restore::locate(&world.app, &device.actor, backup.id(), &content).await;
    assert_eq!(code(located), "rights_append_only");
}

#[tokio::test]
async fn another_devices_snapshot_or_run_cannot_be_read() {
    let world = World::new().await;
    let (owner, thief) = (world.device(1).await, world.device(2).await);
    let (snapshot, pack) = world.backup(&owner).await;
    assert_eq!(code(world.begin_restore(&thief, snapshot).await), "snapshot_not_yours");
    let unknown = SnapshotId::from_bytes([0xee; 16]);
    assert_eq!(code(world.begin_restore(&thief, unknown).await), "snapshot_not_yours");
    assert_eq!(code(app::snapshots::get(&world.app, &thief.actor, snapshot).await), "snapshot_not_yours");
    assert_eq!(code(app::snapshots::problems(&world.app, &thief.actor, snapshot).await), "snapshot_not_yours");
    let run = world.begin_restore(&owner, snapshot).await.expect("its own snapshot");
    assert_eq!(code(fetch(&world.app, &thief, run, &refs(&pack)).await), "run_not_yours");
    assert_eq!(code(app::restore::locate(&world.app, &thief.actor, run, &refs(&pack)).await), "run_not_yours");
    let page = app::snapshots::list(&world.app, &thief.actor, &PageAsk::first()).await.expect("it has none");
    assert_eq!(page.items, []);
}

#[tokio::test]
async fn a_restore_run_takes_nothing_in() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    let run = world.begin(&device).await;
    let mut begun = run.begun.clone();
    begun.run = world.begin_restore(&device, snapshot).await.expect("its own snapshot");
    let restore = Run { world: &world, device: &device, begun, naming: run.naming.clone() };
    let (_, root, sum) = sample(&restore.naming);
    assert_eq!(code(restore.dedupe(&[root]).await), "run_wrong_kind");
    assert_eq!(code(restore.upload(&pack).await), "run_wrong_kind");
    assert_eq!(code(restore.verify(&[pack.id]).await), "run_wrong_kind");
    assert_eq!(code(restore.commit(&restore.manifest(root, sum)).await), "run_wrong_kind");
}

#[tokio::test]
async fn what_is_damaged_is_left_out_and_everything_else_comes() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    let name = format!("packs/{}", pack.id);
    let all = refs(&pack);
    let in_first = pack.index.frames()[0].chunks.len();
    let run = world.begin_restore(&device, snapshot).await.expect("its own snapshot");

    world.object_replace(&name, |bytes| bytes[64] ^= 1).await;
    let found = chunks(&fetch(&world.app, &device, run, &all).await.expect("no error"));
    assert_eq!(found.into_keys().collect::<Vec<_>>(), (in_first as u32..all.len() as u32).collect::<Vec<_>>());
    let backup = world.begin(&device).await;
    assert_eq!(backup.dedupe(&all).await.expect("open"), vec![true; all.len()], "its chunks are wanted again");

    world.object_replace(&name, |bytes| bytes[64] ^= 1).await;
    world.object_replace(&name, |bytes| bytes.truncate(pack.index.frames()[1].offset as usize + 3)).await;
    let found = chunks(&fetch(&world.app, &device, run, &all).await.expect("no error"));
    assert_eq!(
        found.into_keys().collect::<Vec<_>>(),
        (0..in_first as u32).collect::<Vec<_>>(),
        "what is before the cut"
    );

    world.object_remove(&name).await;
    assert_eq!(fetch(&world.app, &device, run, &all).await.expect("no error"), []);
}

#[tokio::test]
async fn what_was_lost_is_sent_again_by_the_next_backup() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    world.object_remove(&format!("packs/{}", pack.id)).await;
    let restore = world.begin_restore(&device, snapshot).await.expect("its own snapshot");
    assert_eq!(fetch(&world.app, &device, restore, &refs(&pack)).await.expect("no error"), []);

    // An agent that only trusts its cache is told that the trees do not hold.
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    assert_eq!(code(run.commit(&run.manifest(root, sum)).await), "tree_names_missing");
    let again = run.pack(&draft);
    assert_eq!(run.upload(&again).await.expect("good").chunks_new, Count::of(refs(&pack).len()));
    run.commit(&run.manifest(root, sum)).await.expect("all is there again");
    let found = fetch(&world.app, &device, restore, &refs(&pack)).await.expect("readable");
    assert_eq!(chunks(&found).len(), refs(&pack).len(), "the old snapshot is whole again, too");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_an_error_and_no_damage() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    let run = world.begin_restore(&device, snapshot).await.expect("its own snapshot");
    world.store.plan(Verb::GetRange, 1, Mishap::Fail(StoreError::Closing));
    let error = fetch(&world.app, &device, run, &refs(&pack)).await.expect_err("the store failed");
    assert_eq!(error.kind(), base::Kind::Unavailable);
    let backup = world.begin(&device).await;
    assert_eq!(backup.dedupe(&refs(&pack)[..1]).await.expect("open"), [false], "nothing was marked");
    assert_eq!(chunks(&fetch(&world.app, &device, run, &refs(&pack)).await.expect("again")).len(), refs(&pack).len());
}

#[tokio::test]
async fn a_deactivation_cuts_a_restore_between_two_reads() {
    let world = World::new().await;
    let mut device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    let run = world.begin_restore(&device, snapshot).await.expect("its own snapshot");
    let stream = app::restore::fetch(Arc::clone(&world.app), device.actor.clone(), run, &refs(&pack)).await;
    let stream = stream.expect("it may read");
    world.state_set(&mut device, State::Deactivated { rights: Rights::Full, level: Level::Revoke }).await;
    world.clock.advance(CACHE_SPAN);
    let mut stream = std::pin::pin!(stream);
    assert_eq!(code(stream.try_next().await), "device_deactivated");
}

#[tokio::test]
async fn on_a_real_folder_everything_acknowledged_outlives_the_process_also_in_the_middle_of_a_run() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    let (begun, sent, root, sum) = {
        let run = world.begin(&device).await;
        let mut draft = Draft::new(&run.naming);
        let file = draft.file("new", &[&noise(60, 1_000)]);
        let (root, sum) = draft.tree(vec![file], Totals::default());
        let sent = run.pack(&draft);
        run.upload(&sent).await.expect("good");
        (run.begun.clone(), sent, root, sum)
    };
    let world = world.reopened().await;
    let naming = naming(&world).await;
    let run = Run { world: &world, device: &device, begun, naming: naming.clone() };
    assert_eq!(run.verify(&[sent.id]).await.expect("the run goes on"), [0]);
    assert_eq!(run.dedupe(&refs(&sent)).await.expect("the run goes on"), [false, false]);
    run.commit(&run.manifest(root, sum)).await.expect("all is there");

    let restore = world.begin_restore(&device, snapshot).await.expect("its own snapshot");
    let found = chunks(&fetch(&world.app, &device, restore, &refs(&pack)).await.expect("readable"));
    assert_eq!(found.into_values().collect::<Vec<_>>(), sample_bytes(&naming));
    let whole = app::scrub::Options { read_data: true };
    let report = app::scrub::scrub(&world.app, &app::AdminActor::Command, whole, &mut |_| {}).await.expect("readable");
    assert_eq!((report.problems, report.orphans_total), (vec![], Count(0)));
}
