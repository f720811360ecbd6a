//! Chunks and closed trees on a real database file.

use super::*;
use crate::{
    PackNew, closed_list_remove, closed_page_list, pack_condemned_update, pack_damaged_update, pack_doomed_update,
    pack_insert, pack_rescued_update, repository_generation_update, repository_hidden_update, testing,
};
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

/// What is missing, where nothing is condemned.
async fn missing(tx: &mut Tx, repository: i64, asked: &[ChunkId]) -> Vec<u32> {
    let claims = chunk_claim_list(tx, repository, asked).await.expect("readable");
    assert_eq!(claims.condemned, []);
    claims.missing
}

/// What is missing as content of its length, where nothing is condemned.
async fn unfit(tx: &mut Tx, repository: i64, asked: &[(ChunkId, u32)]) -> Vec<u32> {
    let claims = chunk_content_claim_list(tx, repository, asked).await.expect("readable");
    assert_eq!(claims.condemned, []);
    claims.missing
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
        assert_eq!(missing(&mut tx, testing::REPOSITORY, &asked).await, [1]);
        assert_eq!(missing(&mut tx, testing::REPOSITORY, &[]).await, [0_u32; 0]);
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
        assert_eq!(missing(&mut tx, 2, &[id(1)]).await, [0]);
        assert_eq!(chunk_list(&mut tx, 2, &[id(1)]).await.expect("readable"), []);
        assert_eq!(unfit(&mut tx, 2, &[(id(1), 7)]).await, [0]);
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
        assert_eq!(unfit(&mut tx, testing::REPOSITORY, &asked).await, [1, 2, 3]);
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
        assert_eq!(missing(&mut tx, testing::REPOSITORY, &asked).await, [0, 1]);
        assert_eq!(unfit(&mut tx, testing::REPOSITORY, &[(id(1), 7)]).await, [0]);
        assert_eq!(
            chunk_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable").len(),
            2,
            "it may still be read"
        );
        assert_eq!(chunk_whole_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), []);

        assert_eq!(chunk_insert(&mut tx, testing::REPOSITORY, second, &[moved]).await.expect("sent again"), Count(1));
        assert_eq!(missing(&mut tx, testing::REPOSITORY, &asked).await, [1]);
        let place = chunk_list(&mut tx, testing::REPOSITORY, &asked[..1]).await.expect("readable")[0];
        assert_eq!((place.pack, place.frame), (second, 77));
        assert_eq!(chunk_whole_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), [(place, false)]);
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

#[tokio::test]
async fn what_lies_in_a_condemned_pack_can_be_used_until_the_pack_is_doomed() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let (first, second) = (pack(&mut tx, 1).await, pack(&mut tx, 2).await);
        chunk_insert(&mut tx, testing::REPOSITORY, first, &[chunk(1), chunk(2), chunk(3)]).await.expect("new");
        chunk_insert(&mut tx, testing::REPOSITORY, second, &[chunk(4)]).await.expect("new");
        let condemned = pack_condemned_update(&mut tx, testing::REPOSITORY, 5, second, &[first, 99]).await;
        assert_eq!(condemned.expect("there"), (Count(1), Bytes(1_000)));
        let asked = [id(4), id(1), id(9), id(2)];
        let claims = Claims { missing: vec![2], condemned: vec![(1, first), (3, first)] };
        assert_eq!(chunk_claim_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable"), claims);
        let contents = asked.map(|id| (id, 7));
        let found = chunk_content_claim_list(&mut tx, testing::REPOSITORY, &contents).await.expect("readable");
        assert_eq!(found, claims);
        let whole = chunk_whole_list(&mut tx, testing::REPOSITORY, &asked).await.expect("readable");
        assert_eq!(
            whole.iter().map(|(place, is)| (place.position, *is)).collect::<Vec<_>>(),
            [(0, false), (1, true), (3, true)]
        );

        assert_eq!(pack_rescued_update(&mut tx, &[first]).await.expect("writable"), [first]);
        assert_eq!(missing(&mut tx, testing::REPOSITORY, &asked).await, [2]);
        pack_condemned_update(&mut tx, testing::REPOSITORY, 6, second, &[first]).await.expect("there");
        // What comes again moves to the pack that brings it.
        assert_eq!(chunk_insert(&mut tx, testing::REPOSITORY, second, &[chunk(1)]).await.expect("again"), Count(1));
        assert_eq!(pack_doomed_update(&mut tx, testing::REPOSITORY, 5).await.expect("writable"), Count(0));
        assert_eq!(pack_doomed_update(&mut tx, testing::REPOSITORY, 6).await.expect("writable"), Count(1));
        assert_eq!(missing(&mut tx, testing::REPOSITORY, &asked).await, [2, 3]);
        assert_eq!(unfit(&mut tx, testing::REPOSITORY, &contents).await, [2, 3]);
        assert_eq!(pack_rescued_update(&mut tx, &[first]).await.expect("writable"), [0_i64; 0]);
    }
}

#[tokio::test]
async fn hidden_closed_trees_do_not_count_until_they_are_found_closed_again() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let closed = |n: u32| ClosedRow { id: id(n), shape: Shape::Leaf, totals: Totals::default() };
        let asked = [id(1), id(2), id(3)];
        let seen = async |tx: &mut Tx| {
            let found = closed_list(tx, testing::REPOSITORY, &asked).await.expect("readable");
            found.into_iter().map(|(position, _)| position).collect::<Vec<u32>>()
        };
        closed_insert(&mut tx, testing::REPOSITORY, &[closed(1)]).await.expect("new");
        let number = repository_generation_update(&mut tx, testing::REPOSITORY).await.expect("there");
        closed_insert(&mut tx, testing::REPOSITORY, &[closed(1), closed(2), closed(3)]).await.expect("new");
        assert_eq!(seen(&mut tx).await, [0, 1, 2]);
        repository_hidden_update(&mut tx, testing::REPOSITORY, number).await.expect("there");
        assert_eq!(seen(&mut tx).await, [0]);
        assert_eq!(repository_generation_update(&mut tx, testing::REPOSITORY).await.expect("there"), number + 1);
        closed_insert(&mut tx, testing::REPOSITORY, &[closed(1), closed(2)]).await.expect("one of them is hidden");
        assert_eq!(seen(&mut tx).await, [0, 1]);
        let old = closed_page_list(&mut tx, testing::REPOSITORY, None, number + 1, 10).await.expect("readable");
        let mut expected = vec![id(1), id(3)];
        expected.sort_unstable();
        assert_eq!(old, expected, "those of older generations, hidden or not");
        let removed = closed_list_remove(&mut tx, testing::REPOSITORY, &[id(3), id(2)]).await.expect("writable");
        assert_eq!((removed, seen(&mut tx).await), (Count(2), vec![0]));
    }
}
