//! What the server refuses of a backup, over the wire, each with its stable code; and that the good one is restorable.

use crate::repository::{Backup, begin_request, names};
use crate::world::{Device, World};
use base::{DeviceId, Span};
use control::{Event, Level};
use format::{ChunkKind, ChunkRef, SealedPack, Totals};
use protocol::Text;
use protocol::agent::fetch::ParcelReader;
use protocol::agent::run::{BeginReply, CommitReply, Purpose, SnapshotListReply, UploadReply};
use protocol::agent::status::DeviceReply;

#[tokio::test]
async fn a_backup_is_sent_once_and_can_be_restored_byte_for_byte() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let backup = Backup::begin(&world, &device).await;
    let content = backup.chunk(ChunkKind::Content, b"hello, world ".repeat(500));
    let (tree, totals) = backup.tree(&content);
    let asked = names(&[content.1, tree.1]);
    let missing = device.ask(&world, "POST", &backup.path("dedupe"), asked.clone()).await;
    assert_eq!(missing.body[..], [0b11]);
    let pack = backup.pack(&[content.clone(), tree.clone()]);
    for repeated in 0..2 {
        let sent = device.ask(&world, "PUT", &backup.pack_path(&pack), pack.bytes.clone()).await;
        assert_eq!(sent.json::<UploadReply>().chunks_new, 2, "sent again: {repeated}");
    }
    assert_eq!(device.ask(&world, "POST", &backup.path("dedupe"), asked.clone()).await.body[..], [0]);
    let packs = [*pack.id.as_bytes(), [9; 32]].concat();
    assert_eq!(device.ask(&world, "POST", &backup.path("verify"), packs).await.body[..], [0b10]);
    let (snapshot, manifest) = backup.manifest(&device, tree.1, totals);
    let first: CommitReply = device.ask(&world, "POST", &backup.path("commit"), manifest.clone()).await.json();
    let again: CommitReply = device.ask(&world, "POST", &backup.path("commit"), manifest).await.json();
    assert_eq!((first.snapshot.snapshot, first.packs, first.chunks_new), (Text(snapshot), 1, 2));
    assert_eq!(first, again, "a repeated commit gets the same answer");
    let listed: SnapshotListReply = device.ask(&world, "GET", "/v1/snapshots", "").await.json();
    assert_eq!(listed.snapshots, [first.snapshot]);

    let restore = begin_request(Purpose::Restore { snapshot: Text(snapshot) });
    let begun: BeginReply = device.post(&world, "/v1/runs", &restore).await.json();
    let path = |verb: &str| format!("/v1/runs/{}/{verb}", begun.run.0);
    let places = device.ask(&world, "POST", &path("locate"), [asked.clone(), vec![9; 32]].concat()).await;
    let places: Vec<u64> = places.body.as_chunks().0.iter().map(|place| u64::from_le_bytes(*place)).collect();
    assert_eq!((places[0], places[2]), (places[1], u64::MAX), "both lie in one frame, the third nowhere");
    let fetched = device.ask(&world, "POST", &path("fetch"), asked).await;
    let mut reader = ParcelReader::default();
    reader.push(&fetched.body);
    let parcel = reader.next_parcel().expect("a stream of parcels").expect("one parcel");
    assert_eq!((reader.next_parcel(), reader.is_complete()), (Ok(None), true));
    let codec = format::Codec::from_u8(parcel.codec).expect("a codec of docs/format.md");
    let plain = format::compress::decompress(codec, &parcel.bytes, parcel.plain_len).expect("as compressed");
    assert_eq!(plain, [content.2, tree.2].concat());
}

#[tokio::test]
async fn a_backup_of_some_folders_is_a_snapshot_and_not_the_one_that_is_waited_for() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let mut whole = None;
    for partial in [true, false, true] {
        let backup = Backup { partial, ..Backup::begin(&world, &device).await };
        let content = backup.chunk(ChunkKind::Content, b"hello, world ".repeat(500));
        let (tree, totals) = backup.tree(&content);
        let pack = backup.pack(&[content, tree.clone()]);
        device.ask(&world, "PUT", &backup.pack_path(&pack), pack.bytes.clone()).await.json::<UploadReply>();
        let (_, manifest) = backup.manifest(&device, tree.1, totals);
        world.clock.advance(Span::minutes(1));
        let path = backup.path("commit?files_opened=1");
        let done: CommitReply = device.ask(&world, "POST", &path, manifest.clone()).await.json();
        assert_eq!(device.ask(&world, "POST", &path, manifest).await.json::<CommitReply>(), done);
        let own: DeviceReply = device.ask(&world, "GET", "/v1/device", "").await.json();
        assert_eq!(done.snapshot.partial, partial);
        if !partial {
            whole = Some(done.snapshot.clone());
        }
        let stands = whole.clone().unwrap_or(done.snapshot);
        assert_eq!(own.snapshot, Some(stands), "{partial}");
    }
}

#[tokio::test]
async fn a_pack_that_was_tampered_with_is_refused_wherever_it_was() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let backup = Backup::begin(&world, &device).await;
    let pack = backup.pack(&[backup.chunk(ChunkKind::Content, b"content".repeat(100))]);
    let renamed = |bytes: Vec<u8>| SealedPack { id: format::PackId::of(&bytes), bytes, ..pack.clone() };
    let mut under_its_name = pack.bytes.clone();
    under_its_name[100] ^= 1;
    let kept = device.ask(&world, "PUT", &backup.pack_path(&pack), under_its_name).await;
    assert_eq!(kept.refused(), (422, "pack_name_mismatch".to_owned()));
    for at in [0, 70, pack.bytes.len() - 60, pack.bytes.len() - 1] {
        let mut bytes = pack.bytes.clone();
        bytes[at] ^= 1;
        let pack = renamed(bytes);
        let answer = device.ask(&world, "PUT", &backup.pack_path(&pack), pack.bytes.clone()).await;
        assert_eq!(answer.refused(), (422, "pack_damaged".to_owned()), "byte {at}");
    }
    let short = renamed(pack.bytes[..pack.bytes.len() / 2].to_vec());
    let answer = device.ask(&world, "PUT", &backup.pack_path(&short), short.bytes.clone()).await;
    assert_eq!(answer.refused(), (422, "pack_damaged".to_owned()));
}

#[tokio::test]
async fn a_chunk_under_a_wrong_name_and_a_tree_that_is_none_are_refused() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let backup = Backup::begin(&world, &device).await;
    let lied = (ChunkKind::Content, ChunkRef::from_bytes([7; 32]), b"content".to_vec());
    let pack = backup.pack(&[lied]);
    let answer = device.ask(&world, "PUT", &backup.pack_path(&pack), pack.bytes.clone()).await;
    assert_eq!(answer.refused(), (422, "chunk_name_mismatch".to_owned()));
    let pack = backup.pack(&[backup.chunk(ChunkKind::Tree, b"no tree".to_vec())]);
    let answer = device.ask(&world, "PUT", &backup.pack_path(&pack), pack.bytes.clone()).await;
    assert_eq!(answer.refused(), (422, "tree_damaged".to_owned()));
}

#[tokio::test]
async fn a_pack_of_another_run_is_refused() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let other = Device::activated(&world, "other").await;
    let (ours, theirs) = (Backup::begin(&world, &device).await, Backup::begin(&world, &other).await);
    let pack = theirs.pack(&[theirs.chunk(ChunkKind::Content, b"content".to_vec())]);
    let answer = device.ask(&world, "PUT", &ours.pack_path(&pack), pack.bytes.clone()).await;
    assert_eq!(answer.refused(), (422, "pack_not_of_run".to_owned()));
}

#[tokio::test]
async fn a_tree_that_names_a_missing_chunk_is_never_committed() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let backup = Backup::begin(&world, &device).await;
    let content = backup.chunk(ChunkKind::Content, b"never sent".to_vec());
    let (tree, totals) = backup.tree(&content);
    let pack = backup.pack(std::slice::from_ref(&tree));
    device.ask(&world, "PUT", &backup.pack_path(&pack), pack.bytes.clone()).await.json::<UploadReply>();
    let (_, manifest) = backup.manifest(&device, tree.1, totals);
    let answer = device.ask(&world, "POST", &backup.path("commit"), manifest).await;
    assert_eq!(answer.refused(), (422, "tree_names_missing".to_owned()));
    let listed: SnapshotListReply = device.ask(&world, "GET", "/v1/snapshots", "").await.json();
    assert!(listed.snapshots.is_empty());
}

#[tokio::test]
async fn a_manifest_that_lies_is_refused() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let backup = Backup::begin(&world, &device).await;
    let content = backup.chunk(ChunkKind::Content, b"content".to_vec());
    let (tree, totals) = backup.tree(&content);
    let pack = backup.pack(&[content, tree.clone()]);
    device.ask(&world, "PUT", &backup.pack_path(&pack), pack.bytes.clone()).await.json::<UploadReply>();
    let more = Totals { entries: base::Count(totals.entries.0 + 1), ..totals };
    let stranger = Device { id: device.id, ..Device::new("stranger") };
    let elsewhere = DeviceId::from_bytes([9; 16]);
    let mut altered = backup.manifest(&device, tree.1, totals).1;
    altered[90] ^= 1;
    for (what, manifest, code) in [
        ("other totals", backup.manifest(&device, tree.1, more).1, "manifest_mismatch"),
        ("another device", backup.manifest_of(&device, elsewhere, tree.1, totals).1, "manifest_mismatch"),
        ("another signer", backup.manifest(&stranger, tree.1, totals).1, "manifest_damaged"),
        ("an altered byte", altered, "manifest_damaged"),
        ("nothing", Vec::new(), "manifest_damaged"),
    ] {
        let answer = device.ask(&world, "POST", &backup.path("commit"), manifest).await;
        assert_eq!(answer.refused(), (422, code.to_owned()), "{what}");
    }
}

#[tokio::test]
async fn requests_out_of_order_find_the_run_as_it_is() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let request = begin_request(Purpose::Backup);
    let first: BeginReply = device.post(&world, "/v1/runs", &request).await.json();
    let again: BeginReply = device.post(&world, "/v1/runs", &request).await.json();
    assert_eq!(first, again, "a repeated begin is the same run");
    let first = Backup::of(first);
    let second = Backup::begin(&world, &device).await;
    let late = device.ask(&world, "POST", &first.path("dedupe"), "").await;
    assert_eq!(late.refused(), (409, "run_superseded".to_owned()));
    let snapshot = second.commit_small(&world, &device).await;
    let late = device.ask(&world, "POST", &second.path("dedupe"), "").await;
    assert_eq!(late.refused(), (409, "run_closed".to_owned()));
    let restore = begin_request(Purpose::Restore { snapshot: Text(snapshot) });
    let begun: BeginReply = device.post(&world, "/v1/runs", &restore).await.json();
    let path = format!("/v1/runs/{}/dedupe", begun.run.0);
    assert_eq!(device.ask(&world, "POST", &path, "").await.refused(), (400, "run_wrong_kind".to_owned()));
    assert_eq!(device.ask(&world, "POST", &begun_path(&begun, "abort"), "").await.status, 200);
    assert_eq!(device.ask(&world, "POST", &begun_path(&begun, "abort"), "").await.status, 200, "repeated");
    assert_eq!(device.ask(&world, "POST", &begun_path(&begun, "fetch"), "").await.refused().1, "run_closed");
}

#[tokio::test]
async fn a_device_that_was_cut_off_between_upload_and_commit_commits_nothing() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let backup = Backup::begin(&world, &device).await;
    let content = backup.chunk(ChunkKind::Content, b"content".to_vec());
    let (tree, totals) = backup.tree(&content);
    let pack = backup.pack(&[content, tree.clone()]);
    device.ask(&world, "PUT", &backup.pack_path(&pack), pack.bytes.clone()).await.json::<UploadReply>();
    world.admin(device.id, Event::Deactivate { level: Level::Rotate }).await;
    let (_, manifest) = backup.manifest(&device, tree.1, totals);
    let answer = device.ask(&world, "POST", &backup.path("commit"), manifest).await;
    assert_eq!(answer.refused(), (403, "device_deactivated".to_owned()));
}

fn begun_path(begun: &BeginReply, verb: &str) -> String {
    format!("/v1/runs/{}/{verb}", begun.run.0)
}
