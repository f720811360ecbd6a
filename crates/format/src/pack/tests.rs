//! Tests of `pack`: layout, order, and what a builder and a sealer refuse. Damage is in tests/it/damage.rs.

use super::{
    FRAME_BYTES, FrameOpener, FrameSealer, PACK_BYTES, PACK_PLAIN, PackBuilder, PackWriter, SealedPack, index_tail_len,
    open_pack,
};
use crate::compress::Codec;
use crate::digest::{ChunkKind, ChunkRef, PackId};
use crate::error::{Error, Flaw};
use crate::header::ObjectHeader;
use crate::index::{IndexedChunk, PackIndex};
use crate::key::RunKey;
use crate::limits::FRAME_CHUNKS_MAX;
use base::{Kind, RunId, Secret, SeededEntropy};
use std::sync::Arc;

fn run_key() -> RunKey {
    RunKey::new(Secret::new([1; 32]))
}

fn header() -> ObjectHeader {
    ObjectHeader::new(9, RunId::from_bytes([2; 16]), [3; 32])
}

fn chunk(name: u8, len: usize) -> Vec<IndexedChunk> {
    vec![IndexedChunk { kind: ChunkKind::Content, chunk: ChunkRef::from_bytes([name; 32]), len: len as u32 }]
}

fn encode_flaw<T: std::fmt::Debug>(result: Result<T, Error>) -> Flaw {
    match result {
        Err(Error::Encode { flaw, .. }) => flaw,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_pack_is_header_frames_index_trailer_and_reads_back() {
    let (sealer, text) = (FrameSealer::new(&run_key(), &header()), b"abc".repeat(1_000));
    let mut builder = PackBuilder::new(&header());
    // Sealed out of order, as threads do, and pushed in order.
    let second = sealer.seal(1, &text, 3).expect("it is small");
    let first = sealer.seal(0, b"holdfast", 3).expect("it is small");
    builder.push(&first, chunk(1, 8)).expect("it is next");
    builder.push(&second, chunk(2, text.len())).expect("it is next");
    let bound = builder.bytes_len();
    let pack = builder.finish(&sealer).expect("it is whole");

    assert_eq!(pack.id, PackId::of(&pack.bytes));
    assert!(pack.bytes.len() <= bound && bound <= pack.bytes.len() + 64, "{bound} and {}", pack.bytes.len());
    assert_eq!(pack.bytes[..16], *b"HFPACK\x01\x00\x09\x00\x00\x00\x00\x00\x00\x00");
    assert_eq!((&pack.bytes[16..32], &pack.bytes[32..64]), (&[2; 16][..], &[3; 32][..]));
    assert!(pack.bytes.ends_with(b"HFPE"));

    let open = open_pack(&pack.bytes, |found| (*found == header()).then(run_key)).expect("nothing was changed");
    assert_eq!((open.header(), open.index()), (&header(), &pack.index));
    assert_eq!(open.frame(0).as_deref(), Ok(b"holdfast".as_slice()));
    assert_eq!(open.frame(1), Ok(text.clone()));
    assert_eq!(open.frame(2), Err(Error::Frame { frame: 2 }));
    let codecs: Vec<Codec> = open.index().frames().iter().map(|frame| frame.codec).collect();
    assert_eq!(codecs, [Codec::Stored, Codec::Zstd]);
    let compressed = open.frame_compressed(1).expect("nothing was changed");
    assert_eq!(crate::compress::decompress(Codec::Zstd, &compressed, text.len() as u32), Ok(text));
}

#[test]
fn a_pack_can_be_read_by_ranges() {
    let sealer = FrameSealer::new(&run_key(), &header());
    let mut builder = PackBuilder::new(&header());
    builder.push(&sealer.seal(0, b"holdfast", 3).expect("small"), chunk(1, 8)).expect("next");
    let pack = builder.finish(&sealer).expect("whole");
    let (bytes, len) = (&pack.bytes, pack.bytes.len() as u64);
    let need = index_tail_len(&bytes[bytes.len() - 8..]).expect("a trailer");

    let open = |have: u64| PackIndex::open(|_| Some(run_key()), len, &bytes[..64], &bytes[(len - have) as usize..]);
    assert_eq!(open(need), Ok(pack.index.clone()));
    assert_eq!(open(len), Ok(pack.index.clone()));
    let short = open(need - 1).expect_err("a byte is missing");
    assert_eq!((short.kind(), short), (Kind::Invalid, Error::TailShort { have: need - 1, need }));

    let mut trailer = bytes[bytes.len() - 8..].to_vec();
    trailer[..4].copy_from_slice(&(len as u32 - 64 - 8 + 1).to_le_bytes());
    let refused =
        PackIndex::open(|_| Some(run_key()), len, &bytes[..64], &trailer).expect_err("it would need the header");
    assert_eq!(refused.kind(), Kind::Damaged, "nobody is told to ask for more than there is");

    let too_long = PackIndex::open(|_| panic!("its length is enough"), (64 << 20) + 1, &bytes[..64], bytes);
    assert_eq!(too_long.map_err(|error| error.kind()), Err(Kind::Damaged));

    let frame = &pack.index.frames()[0];
    let sealed = &bytes[frame.range().start as usize..frame.range().end as usize];
    let opener = FrameOpener::new(&run_key(), &header());
    assert_eq!(opener.open(0, sealed, frame).as_deref(), Ok(b"holdfast".as_slice()));
    assert_eq!(opener.open(1, sealed, frame), Err(Error::Frame { frame: 1 }), "the number is part of the seal");
    assert_eq!(opener.open(0, &sealed[1..], frame), Err(Error::Frame { frame: 0 }));
}

#[test]
fn frames_are_pushed_in_order_and_with_chunks_that_add_up() {
    let sealer = FrameSealer::new(&run_key(), &header());
    let mut builder = PackBuilder::new(&header());
    let (first, second) = (sealer.seal(0, b"aa", 3).expect("small"), sealer.seal(1, b"bb", 3).expect("small"));
    assert_eq!(encode_flaw(builder.push(&second, chunk(2, 2))), Flaw::Order);
    assert_eq!(encode_flaw(builder.push(&first, chunk(1, 3))), Flaw::Sum);
    builder.push(&first, chunk(1, 2)).expect("it is next");
    assert_eq!(encode_flaw(builder.push(&first, chunk(1, 2))), Flaw::Order);
    assert_eq!(builder.next_number(), 1);
    builder.push(&second, chunk(1, 2)).expect("that the chunk stands twice is told at the end");
    assert_eq!(encode_flaw(builder.finish(&sealer)), Flaw::Twice);
    assert_eq!(encode_flaw(PackBuilder::new(&header()).finish(&sealer)), Flaw::Empty);
}

#[test]
fn a_frame_has_its_limits() {
    let sealer = FrameSealer::new(&run_key(), &header());
    assert_eq!(encode_flaw(sealer.seal(0, b"", 3)), Flaw::Empty);
    assert_eq!(encode_flaw(sealer.seal(0, &vec![0; (16 << 20) + 1], 3)), Flaw::Limit { max: 16 << 20 });
    assert_eq!(encode_flaw(sealer.seal(65_536, b"a", 3)), Flaw::Limit { max: 65_535 });
    assert!(sealer.seal(65_535, b"a", 3).is_ok());
}

#[test]
fn a_full_pack_is_refused_before_it_is_too_long_to_open() {
    let sealer = FrameSealer::new(&run_key(), &header());
    let mut noise = vec![0; 8 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let mut builder = PackBuilder::new(&header());
    for number in 0..7 {
        let frame = sealer.seal(number, &noise, 1).expect("it is a frame");
        builder.push(&frame, chunk(number as u8, noise.len())).expect("there is room");
    }
    let last = sealer.seal(7, &noise, 1).expect("it is a frame");
    assert_eq!(encode_flaw(builder.push(&last, chunk(7, noise.len()))), Flaw::Limit { max: 64 << 20 });
    let pack = builder.finish(&sealer).expect("it is as before");
    assert!(open_pack(&pack.bytes, |_| Some(run_key())).is_ok());
}

#[test]
fn one_number_is_never_sealed_twice() {
    let sealer = FrameSealer::new(&run_key(), &header());
    let clone = sealer.clone();
    sealer.seal(3, b"one plaintext", 3).expect("it is small");
    let again = std::panic::catch_unwind(|| clone.seal(3, b"another one", 3));
    assert!(again.is_err(), "two plaintexts under one nonce give the key away");
    assert!(sealer.seal(2, b"another number", 3).is_ok());
}

#[test]
fn one_index_is_never_sealed_twice_and_never_by_the_sealer_of_another_pack() {
    let other = ObjectHeader { salt: [4; 32], ..header() };
    let (sealer, stranger) = (FrameSealer::new(&run_key(), &header()), FrameSealer::new(&run_key(), &other));
    let frame = sealer.seal(0, b"holdfast", 3).expect("it is small");
    let finish = |sealer: &FrameSealer| {
        let mut builder = PackBuilder::new(&header());
        builder.push(&frame, chunk(1, 8)).expect("it is next");
        std::panic::catch_unwind(|| builder.finish(sealer).map(|pack| pack.index.frames().len()))
    };
    assert!(finish(&stranger).is_err());
    assert_eq!(finish(&sealer).expect("it is the first time"), Ok(1));
    assert!(finish(&sealer).is_err());
}

#[test]
fn nothing_that_seals_or_opens_prints_a_key() {
    let shown = format!("{:?} {:?}", FrameSealer::new(&run_key(), &header()), FrameOpener::new(&run_key(), &header()));
    assert_eq!(shown, "FrameSealer FrameOpener");
}

/// The packs that these chunks become, and what is in each, in order.
fn written(chunks: impl Iterator<Item = (u32, Vec<u8>)>) -> Vec<SealedPack> {
    let mut writer = PackWriter::new(run_key(), 9, header().run, Arc::new(SeededEntropy::new(1)));
    let mut packs = Vec::new();
    for (number, plain) in chunks {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&number.to_le_bytes());
        let chunk = ChunkRef::from_bytes(name);
        let indexed = IndexedChunk { kind: ChunkKind::Content, chunk, len: plain.len() as u32 };
        packs.extend(writer.add(indexed, &plain).expect("every chunk fits"));
    }
    packs.extend(writer.finish().expect("every pack is one that opens"));
    assert_eq!(writer.finish(), Ok(None), "nothing is left");
    for pack in &packs {
        let open = open_pack(&pack.bytes, |_| Some(run_key())).expect("it is whole");
        assert_eq!(open.index(), &pack.index);
    }
    packs
}

#[test]
fn a_writer_fills_frames_and_packs_and_gives_every_chunk_once() {
    let mut noise = vec![0; 20 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let chunks = (0..).zip(noise.chunks(100_000).map(<[u8]>::to_vec));
    let packs = written(chunks.clone());
    assert_eq!(packs.len(), 3);
    let found = packs.iter().flat_map(|pack| pack.index.chunks());
    let number = |name: &[u8; 32]| u32::from_le_bytes(*name.first_chunk().expect("32 bytes"));
    let numbers: Vec<u32> = found.map(|(_, _, chunk)| number(chunk.chunk.as_bytes())).collect();
    assert_eq!(numbers, (0..chunks.count() as u32).collect::<Vec<u32>>());
    for pack in &packs[..2] {
        let len = pack.bytes.len() as u64;
        assert!(len.abs_diff(PACK_BYTES.0) <= FRAME_BYTES.0, "{len}");
        assert!(pack.index.frames().iter().all(|frame| u64::from(frame.plain_len) <= FRAME_BYTES.0));
    }
}

#[test]
fn a_writer_leaves_out_what_stands_in_its_pack_already() {
    let packs = written([(1, b"one".to_vec()), (2, b"two".to_vec()), (1, b"one".to_vec())].into_iter());
    assert_eq!((packs.len(), packs[0].index.plain_len()), (1, 6));
    assert!(written(std::iter::empty()).is_empty());
}

#[test]
fn what_compresses_to_nothing_does_not_make_a_pack_that_nobody_may_open() {
    let packs = written((0..300).map(|number| (number, vec![0; 4 << 20])));
    let plain: Vec<u64> = packs.iter().map(|pack| pack.index.plain_len()).collect();
    assert_eq!(plain.iter().sum::<u64>(), 300 << 22);
    assert!(plain.iter().all(|plain| *plain <= PACK_PLAIN.0 + FRAME_BYTES.0.max(4 << 20)), "{plain:?}");
}

#[test]
fn the_tiniest_chunks_do_not_make_a_frame_that_nobody_may_open() {
    let packs = written((0..150_000).map(|number: u32| (number, vec![0])));
    let frames = packs.iter().flat_map(|pack| pack.index.frames());
    assert!(frames.clone().all(|frame| frame.chunks.len() as u64 <= FRAME_CHUNKS_MAX.0));
    assert_eq!(frames.map(|frame| frame.chunks.len()).sum::<usize>(), 150_000);
}
