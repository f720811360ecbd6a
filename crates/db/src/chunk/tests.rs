//! Chunks and closed trees on a real database file.

use super::*;
use crate::{PackNew, pack_damaged_update, pack_insert, testing};
use base::{RunId, Timestamp};
use format::PackId;

async fn pack(tx: &mut Tx, id: u8) -> i64 {
    let pack = PackNew {
        id: PackId::from_bytes([id; 32]),
        repository: testing::REPOSITORY,
        run: RunId::from_bytes([1; 16]),
        bytes: Bytes(1_000),
        header: [0; 64],
        created_at: Timestamp::from_ms(5),
    };
    pack_insert(tx, &pack).await.expect("the pack is new")
}

fn id(n: u32) -> ChunkId {
    let mut bytes = [0x5a; 32];
    bytes[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
    ChunkId::from_bytes(bytes)
}

fn chunk(n: u32) -> ChunkRow {
    ChunkRow { id: id(n), kind: ChunkKind::Content, frame: n / 10, at: n % 10 * 7, len: 7 }
}

#[tokio::test]
async fn chunks_are_found_where_they_were_put() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let seq = pack(&mut tx, 1).await;
        let mut chunks: Vec<ChunkRow> = (0..1_000).map(chunk).collect();
        chunks[3].kind = ChunkKind::Tree;
        chunks[4] = ChunkRow { frame: u32::MAX, at: u32::MAX, len: u32::MAX, ..chunks[4] };
        assert_eq!(chunk_insert(&mut tx, testing::REPOSITORY, seq, &chunks).await.expect("new"), Count(1_000));
        assert_eq!(chunk_insert(&mut tx, testing::REPOSITORY, seq, &[]).await.expect("nothing"), Count(0));

        let asked = [id(4), id(5_000), id(3), id(999), id(4)];
        let places = chunk_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable");
        let expected: Vec<Place> = [(0, 4), (2, 3), (3, 999), (4, 4)]
            .map(|(position, n): (u32, usize)| {
                let ChunkRow { kind, frame, at, len, .. } = chunks[n];
                Place { position, kind, pack: seq, frame, at, len }
            })
            .into();
        assert_eq!(places, expected);
        assert_eq!(chunk_missing_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), [1]);
        assert_eq!(chunk_missing_list(&mut tx, testing::REPOSITORY, &[]).await.expect("readable"), [0_u32; 0]);
        assert_eq!(chunk_count_list(&mut tx).await.expect("readable"), [(seq, Count(1_000))]);
    }
}

#[tokio::test]
async fn a_repository_does_not_see_the_chunks_of_another() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        testing::repository(&mut tx, 2).await;
        let seq = pack(&mut tx, 1).await;
        chunk_insert(&mut tx, testing::REPOSITORY, seq, &[chunk(1)]).await.expect("new");
        assert_eq!(chunk_missing_list(&mut tx, 2, &[id(1)]).await.expect("readable"), [0]);
        assert_eq!(chunk_list(&mut tx, 2, &[id(1)]).await.expect("readable"), []);
        assert_eq!(chunk_unfit_list(&mut tx, 2, &[(id(1), 7)]).await.expect("readable"), [0]);
    }
}

#[tokio::test]
async fn content_of_another_length_or_kind_is_unfit() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let seq = pack(&mut tx, 1).await;
        let tree = ChunkRow { kind: ChunkKind::Tree, ..chunk(2) };
        chunk_insert(&mut tx, testing::REPOSITORY, seq, &[chunk(1), tree]).await.expect("new");
        let asked = [(id(1), 7), (id(1), 8), (id(2), 7), (id(3), 7)];
        assert_eq!(chunk_unfit_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_known_chunk_keeps_its_row_until_its_pack_is_damaged() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let (first, second) = (pack(&mut tx, 1).await, pack(&mut tx, 2).await);
        let both = [chunk(1), chunk(2)];
        assert_eq!(chunk_insert(&mut tx, testing::REPOSITORY, first, &both).await.expect("new"), Count(2));
        let moved = ChunkRow { frame: 77, ..chunk(1) };
        assert_eq!(chunk_insert(&mut tx, testing::REPOSITORY, second, &[moved]).await.expect("known"), Count(0));

        pack_damaged_update(&mut tx, first, Some(Timestamp::from_ms(9))).await.expect("there");
        let asked = [id(1), id(2)];
        assert_eq!(chunk_missing_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), [0, 1]);
        assert_eq!(chunk_unfit_list(&mut tx, testing::REPOSITORY, &[(id(1), 7)]).await.expect("readable"), [0]);
        assert_eq!(
            chunk_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable").len(),
            2,
            "it may still be read"
        );
        assert_eq!(chunk_whole_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), []);

        assert_eq!(chunk_insert(&mut tx, testing::REPOSITORY, second, &[moved]).await.expect("sent again"), Count(1));
        assert_eq!(chunk_missing_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), [1]);
        let place = chunk_list(&mut tx, testing::REPOSITORY, &asked[..1]).await.expect("readable")[0];
        assert_eq!((place.pack, place.frame), (second, 77));
        assert_eq!(chunk_whole_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), [place]);
    }
}

#[tokio::test]
async fn closed_trees_keep_their_totals_and_are_forgotten_together() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let totals = |n: u64| Totals { entries: Count(n), files: Count(n / 2), bytes: Bytes(i64::MAX as u64 - n) };
        let closed = |n: u32, shape| ClosedRow { id: id(n), shape, totals: totals(n.into()) };
        let rows = [closed(1, Shape::Leaf), closed(2, Shape::Fan), closed(3, Shape::List), closed(4, Shape::Leaf)];
        closed_insert(&mut tx, testing::REPOSITORY, &rows).await.expect("new");
        closed_insert(&mut tx, testing::REPOSITORY, &rows[..2]).await.expect("known: nothing to do");
        let asked = [id(9), id(3), id(1), id(2), id(1)];
        let found = closed_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable");
        assert_eq!(found, [(1, rows[2]), (2, rows[0]), (3, rows[1]), (4, rows[0])]);
        assert_eq!(closed_list(&mut tx, 2, &asked).await.expect("readable"), [], "another repository");
        assert_eq!(closed_remove(&mut tx, testing::REPOSITORY).await.expect("done"), Count(4));
        assert_eq!(closed_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), []);
    }
}
