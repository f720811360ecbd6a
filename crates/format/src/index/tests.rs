//! Tests of `index`: the bytes of a small index, and every rule that an index can break.

use super::{IndexedChunk, PackIndex};
use crate::compress::Codec;
use crate::digest::{ChunkKind, ChunkRef, NamingKey};
use crate::error::{Error, Flaw};
use base::Secret;

fn chunk(name: u8, len: u32) -> IndexedChunk {
    IndexedChunk { kind: ChunkKind::Content, chunk: ChunkRef::from_bytes([name; 32]), len }
}

fn small() -> PackIndex {
    let mut index = PackIndex::with_capacity(2);
    index.push(Codec::Stored, 26, 10, vec![chunk(1, 7), chunk(2, 3)]).expect("it adds up");
    index.push(Codec::Zstd, 116, 1_000, vec![chunk(3, 1_000)]).expect("it adds up");
    index
}

fn decode_flaw(bytes: &[u8]) -> Flaw {
    match PackIndex::decode(bytes) {
        Err(Error::Decode { part: "pack index", flaw, .. }) => flaw,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_small_index_has_these_bytes() {
    let bytes = [
        &[2][..],              // frames
        &[0, 26, 10, 2],       // stored, sealed, plain, chunks
        &[0],                  // content
        &[1; 32],              // ref
        &[7],                  // length
        &[0],                  // content
        &[2; 32],              // ref
        &[3],                  // length
        &[1, 116, 0xe8, 7, 1], // zstd, sealed, plain, chunks
        &[0],                  // content
        &[3; 32],              // ref
        &[0xe8, 7],            // length
    ]
    .concat();
    assert_eq!(small().encode(), bytes);
    assert_eq!(PackIndex::decode(&bytes), Ok(small()));
    for at in 0..bytes.len() {
        assert!(PackIndex::decode(&bytes[..at]).is_err(), "cut off at {at}");
    }
    assert_eq!(decode_flaw(&[bytes.as_slice(), &[0]].concat()), Flaw::Trailing);
}

#[test]
fn places_follow_from_lengths() {
    let index = small();
    assert_eq!((index.frames()[0].range(), index.frames()[1].range()), (64..90, 90..206));
    assert_eq!((index.frames_end(), index.plain_len()), (206, 1_010));
    let places: Vec<_> = index.chunks().map(|(frame, range, chunk)| (frame, range, chunk.len)).collect();
    assert_eq!(places, [(0, 0..7, 7), (0, 7..10, 3), (1, 0..1_000, 1_000)]);
}

#[test]
fn frames_that_do_not_add_up_are_refused() {
    const FRAME: u32 = 16 << 20;
    let many = vec![chunk(1, 1); 65_537];
    let cases = [
        (Codec::Stored, 26, 10, vec![chunk(1, 9)], Flaw::Sum),
        (Codec::Stored, 27, 10, vec![chunk(1, 10)], Flaw::Sum),
        (Codec::Stored, 10, 10, vec![chunk(1, 10)], Flaw::Sum),
        (Codec::Stored, 16, 0, vec![], Flaw::Empty),
        (Codec::Stored, 16, 0, vec![chunk(1, 0)], Flaw::Empty),
        (Codec::Zstd, 26, 10, vec![chunk(1, 10)], Flaw::Sum),
        (Codec::Zstd, 16, 10, vec![chunk(1, 10)], Flaw::Sum),
        (Codec::Zstd, 15, 10, vec![chunk(1, 10)], Flaw::Sum),
        (Codec::Zstd, 90, 8_388_609, vec![chunk(1, 8_388_609)], Flaw::Limit { max: 8 << 20 }),
        (Codec::Zstd, 90, FRAME + 1, vec![chunk(1, 1)], Flaw::Limit { max: FRAME.into() }),
        (Codec::Zstd, 90, 65_537, many, Flaw::Limit { max: 65_536 }),
    ];
    for (number, (codec, sealed_len, plain_len, chunks, flaw)) in cases.into_iter().enumerate() {
        let mut index = small();
        assert_eq!(index.push(codec, sealed_len, plain_len, chunks), Err(flaw), "case {number}");
        assert_eq!(index, small(), "a refused frame leaves the index as it was");
    }
}

#[test]
fn a_pack_does_not_grow_beyond_its_limits() {
    let fill = |sealed_len: u32| {
        let mut index = PackIndex::with_capacity(0);
        let halves = vec![chunk(1, 8 << 20), chunk(2, 8 << 20)];
        let mut pushed = 0;
        loop {
            match index.push(Codec::Zstd, sealed_len, 16 << 20, halves.clone()) {
                Ok(()) => pushed += 1,
                Err(flaw) => return (pushed, flaw),
            }
        }
    };
    let mut many = PackIndex::with_capacity(0);
    for _ in 0..65_536 {
        many.push(Codec::Stored, 17, 1, vec![chunk(1, 1)]).expect("there is room");
    }
    assert_eq!(many.push(Codec::Stored, 17, 1, vec![chunk(1, 1)]), Err(Flaw::Limit { max: 65_536 }));
    assert_eq!(fill(100), (64, Flaw::Limit { max: 1 << 30 }), "what it holds in the open");
    assert_eq!(fill(16 << 20), (3, Flaw::Limit { max: 64 << 20 }), "its length, the header included");
}

#[test]
fn an_index_without_frames_and_a_chunk_that_stands_twice_are_refused() {
    assert_eq!(decode_flaw(&[0]), Flaw::Empty);
    let mut index = small();
    index.push(Codec::Stored, 17, 1, vec![chunk(2, 1)]).expect("it adds up");
    assert_eq!(index.check_whole(), Err(Flaw::Twice));
    assert_eq!(decode_flaw(&index.encode()), Flaw::Twice);
}

#[test]
fn unknown_codecs_and_kinds_are_refused() {
    for at in [1, 5] {
        let mut bytes = small().encode();
        bytes[at] = 3;
        assert_eq!(decode_flaw(&bytes), Flaw::Tag);
    }
}

#[test]
fn a_frame_is_compared_with_the_names_of_its_chunks() {
    let naming = NamingKey::new(&Secret::new([0x33; 32]));
    let indexed = |kind, plain: &[u8]| IndexedChunk { kind, chunk: naming.name(kind, plain), len: plain.len() as u32 };
    let chunks = vec![indexed(ChunkKind::Content, b"hold"), indexed(ChunkKind::List, b"fast")];
    let mut index = PackIndex::with_capacity(1);
    index.push(Codec::Stored, 24, 8, chunks).expect("it adds up");
    let frame = &index.frames()[0];
    assert_eq!(frame.verify(5, &naming, b"holdfast"), Ok(()));
    assert_eq!(frame.verify(5, &naming, b"holdfasT"), Err(Error::Name { frame: 5, chunk: 1 }));
    assert_eq!(frame.verify(5, &naming, b"holdfas"), Err(Error::Decompress { plain_len: 8 }));
    let mut wrong_kind = frame.clone();
    wrong_kind.chunks[0].kind = ChunkKind::Tree;
    assert_eq!(wrong_kind.verify(5, &naming, b"holdfast"), Err(Error::Name { frame: 5, chunk: 0 }));
}
