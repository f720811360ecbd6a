//! Tests of `storage`.

use super::*;
use crate::{
    ChunkRow, FrameRow, PackNew, chunk_insert, device_last_snapshot_update, device_merged_update, frame_insert,
    pack_condemned_update, pack_insert, snapshot_insert, snapshot_root_list, testing, usage_list_by_user,
};
use base::{RunId, SnapshotId};
use control::{Level, Rights, State};
use format::{ChunkKind, PackId, Totals};

const OTHER: DeviceId = DeviceId::from_bytes([0xd2; 16]);

async fn snapshot(tx: &mut Tx, n: u8, device: DeviceId, bytes: u64) {
    let new = crate::SnapshotNew {
        id: SnapshotId::from_bytes([n; 16]),
        device,
        repository: testing::REPOSITORY,
        run: RunId::from_bytes([n; 16]),
        epoch: 1,
        parent: None,
        root_sealed: Vec::new(),
        root: ChunkId::from_bytes([n; 32]),
        manifest_id: [n; 32],
        began_at: Timestamp::from_ms(0),
        ended_at: Timestamp::from_ms(0),
        committed_at: Timestamp::from_ms(0),
        totals: Totals { bytes: Bytes(bytes), ..Totals::default() },
        folders: Vec::new(),
        partial: false,
        host_name: String::new(),
        problems: Count(0),
    };
    snapshot_insert(tx, &new).await.expect("new");
    device_last_snapshot_update(tx, device, new.id).await.expect("a statement");
}

async fn newest(tx: &mut Tx) -> Vec<(DeviceId, Option<DeviceId>, u64)> {
    let rows = storage_device_list(tx, None, 9).await.expect("readable");
    let users = usage_list_by_user(tx, None, 9).await.expect("readable");
    let sum: Bytes = rows.iter().map(|row| row.newest).sum();
    assert_eq!(users, [(testing::USER, "u@x".to_owned(), sum)], "devices have together what quota says");
    rows.iter().map(|row| (row.id, row.merged_into, row.newest.0)).collect()
}

#[tokio::test]
async fn devices_come_with_what_quota_counts_of_them() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        testing::device(&mut tx, OTHER).await;
        snapshot(&mut tx, 1, testing::DEVICE, 100).await;
        snapshot(&mut tx, 2, testing::DEVICE, 30).await;
        snapshot(&mut tx, 3, OTHER, 7).await;
        let first = testing::DEVICE;
        assert_eq!(newest(&mut tx).await, [(first, None, 30), (OTHER, None, 7)]);
        let after = storage_device_list(&mut tx, Some(first), 9).await.expect("readable");
        assert_eq!(after.len(), 1);
        assert_eq!(storage_device_list(&mut tx, None, 1).await.expect("readable").len(), 1);
        device_merged_update(&mut tx, OTHER, Some(first)).await.expect("a statement");
        assert_eq!(newest(&mut tx).await, [(first, None, 7), (OTHER, Some(first), 0)], "the newest of both");
        let was = Box::new(State::Deactivated { rights: Rights::Full, level: Level::Revoke });
        let deleted = State::Deleted { was, purge_after: Timestamp::from_ms(0) };
        testing::device_put(&mut tx, first, |row| row.state = deleted).await;
        assert_eq!(newest(&mut tx).await, [(first, None, 0), (OTHER, Some(first), 0)]);
        let roots = snapshot_root_list(&mut tx, testing::REPOSITORY, None, 3, 9).await.expect("readable");
        assert_eq!(roots.iter().map(|root| root.bytes.0).collect::<Vec<u64>>(), [100, 30, 7]);
    }
}

#[tokio::test]
async fn chunks_come_beside_their_frames_and_packs_beside_all_of_theirs() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let id = |n: u8| ChunkId::from_bytes([n; 32]);
        let mut packs = Vec::new();
        for (n, bytes) in [(1, 1_000), (2, 500)] {
            let new = PackNew {
                id: PackId::from_bytes([n; 32]),
                repository: testing::REPOSITORY,
                run: RunId::from_bytes([n; 16]),
                bytes: Bytes(bytes),
                header: [0; 64],
                created_at: Timestamp::from_ms(0),
            };
            packs.push(pack_insert(&mut tx, &new).await.expect("new"));
        }
        let frame = |number, sealed_len, plain_len| FrameRow { number, codec: 0, at: 64, sealed_len, plain_len };
        frame_insert(&mut tx, packs[0], &[frame(0, 300, 400), frame(1, 200, 90)]).await.expect("new");
        let chunk = |n, frame, at, len| ChunkRow { id: id(n), kind: ChunkKind::Content, frame, at, len };
        let chunks = [chunk(3, 1, 40, 50), chunk(1, 0, 0, 400)];
        chunk_insert(&mut tx, testing::REPOSITORY, packs[0], &chunks).await.expect("new");
        chunk_insert(&mut tx, testing::REPOSITORY, packs[1], &[chunk(2, 0, 0, 5)]).await.expect("new");
        let row = |n, at, len, sealed, plain| ChunkStoredRow {
            id: id(n),
            at: Bytes(at),
            len: Bytes(len),
            frame_sealed: Bytes(sealed),
            frame_plain: Bytes(plain),
        };
        let expected = [row(1, 0, 400, 300, 400), row(2, 0, 5, 0, 0), row(3, 40, 50, 200, 90)];
        let list = async |tx: &mut Tx, after, limit| {
            chunk_stored_list(tx, testing::REPOSITORY, after, limit).await.expect("readable")
        };
        assert_eq!(list(&mut tx, None, 9).await, expected);
        assert_eq!(list(&mut tx, Some(id(1)), 1).await, expected[1..2]);
        let condemned = pack_condemned_update(&mut tx, testing::REPOSITORY, 5, i64::MAX, &packs[1..]).await;
        condemned.expect("a statement");
        let pack = |seq, bytes, sealed, is_condemned| PackStoredRow {
            seq,
            bytes: Bytes(bytes),
            sealed: Bytes(sealed),
            is_condemned,
        };
        let all = [pack(packs[0], 1_000, 500, false), pack(packs[1], 500, 0, true)];
        assert_eq!(pack_stored_list(&mut tx, testing::REPOSITORY, 0, 9).await.expect("readable"), all);
        let after = pack_stored_list(&mut tx, testing::REPOSITORY, packs[0], 9).await.expect("readable");
        assert_eq!(after, all[1..]);
        assert_eq!(pack_stored_list(&mut tx, 2, 0, 9).await.expect("readable"), []);
    }
}

#[tokio::test]
async fn the_newest_report_that_is_done_counts_and_two_are_kept() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let (as_of, ended_at) = (Timestamp::from_ms(7), Timestamp::from_ms(9));
        let totals = StorageTotals {
            chunks: Count(1),
            missing: Count(2),
            flaws: Count(3),
            packs: Count(4),
            bytes: Bytes(5),
            unneeded: Bytes(6),
            framing: Bytes(7),
            condemned: Bytes(8),
        };
        let figures = StorageFigures {
            snapshots: Count(1),
            newest: Bytes(2),
            logical: Bytes(3),
            unique: Bytes(4),
            shared: Bytes(5),
            plain: Bytes(6),
            unique_stored: Bytes(7),
            stored: Bytes(8),
        };
        assert_eq!(storage_report_get(&mut tx).await.expect("readable"), None);
        for number in 1..=3 {
            assert_eq!(storage_report_insert(&mut tx, as_of, &totals).await.expect("new"), number);
            for (level, subject) in [
                (StorageLevel::Device, testing::DEVICE.as_bytes().to_vec()),
                (StorageLevel::Device, vec![0xee; 16]),
                (StorageLevel::User, testing::USER.as_bytes().to_vec()),
                (StorageLevel::Whole, Vec::new()),
            ] {
                storage_share_insert(&mut tx, number, level, &subject, &figures).await.expect("new");
            }
        }
        assert_eq!(storage_report_get(&mut tx).await.expect("readable"), None, "none is done");
        storage_report_ended_update(&mut tx, 2, ended_at).await.expect("there");
        let row = StorageReportRow { number: 2, as_of, ended_at: Some(ended_at), figures: totals };
        assert_eq!(storage_report_get(&mut tx).await.expect("readable"), Some(row));
        let list = async |tx: &mut Tx, report, level, after: Option<&[u8]>| {
            let rows = storage_share_list(tx, report, level, after, 9).await.expect("readable");
            assert!(rows.iter().all(|row| row.figures == figures));
            rows.into_iter().map(|row| (row.name, row.email)).collect::<Vec<(String, String)>>()
        };
        let named = |name: &str, email: &str| (name.to_owned(), email.to_owned());
        assert_eq!(list(&mut tx, 2, StorageLevel::Device, None).await, [named("d", "u@x"), named("", "")]);
        let after = testing::DEVICE;
        assert_eq!(list(&mut tx, 2, StorageLevel::Device, Some(after.as_bytes())).await, [named("", "")]);
        assert_eq!(list(&mut tx, 2, StorageLevel::User, None).await, [named("u@x", "")]);
        assert_eq!(list(&mut tx, 2, StorageLevel::Whole, None).await, [named("", "")]);
        assert_eq!(storage_report_list_old(&mut tx).await.expect("readable"), [1]);
        storage_report_remove(&mut tx, 1).await.expect("there");
        assert_eq!(list(&mut tx, 1, StorageLevel::Device, None).await, []);
        // As from somebody who writes it still.
        storage_share_insert(&mut tx, 1, StorageLevel::Whole, &[], &figures).await.expect("new");
        storage_report_remove(&mut tx, 2).await.expect("there");
        assert_eq!(list(&mut tx, 1, StorageLevel::Whole, None).await, []);
        assert_eq!(list(&mut tx, 3, StorageLevel::Whole, None).await, [named("", "")]);
        assert_eq!(storage_report_list_old(&mut tx).await.expect("readable"), [0_i64; 0]);
    }
}
