//! What the steps of a backup do to bytes, one core each, beside what the machine can do at all: a copy, BLAKE3, zstd,
//! the cipher. `cargo bench --bench steps`. Input: text of this repository, and bytes without any pattern.
//! Refuses the disk and the network: `cargo xtask bench peers` has those.

use base::{Count, RunId, Secret, SeededEntropy};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use engine::cutter;
use format::{
    ChunkKind, ChunkRef, Content, Entry, EntryBody, FileTime, FrameOpener, FrameSealer, IndexedChunk, Meta, NamingKey,
    ObjectHeader, PackBuilder, PackIndex, Piece, RepositoryKey, SealedPack, Totals, Tree, TreeBody, compress,
};
use std::sync::Arc;

fn main() {
    divan::main();
}

const FRAME: usize = format::FRAME_BYTES.0 as usize;
const LEVEL: i32 = format::PACK_LEVEL;

/// What is compressed and cut.
#[derive(Clone, Copy, Debug)]
enum Input {
    Text,
    Noise,
}

const INPUTS: [Input; 2] = [Input::Text, Input::Noise];

impl Input {
    fn bytes(self, len: usize) -> Vec<u8> {
        match self {
            Input::Text => TEXT.iter().flat_map(|text| text.bytes()).cycle().take(len).collect(),
            Input::Noise => noise(len),
        }
    }
}

/// Longer together than zstd looks back at this level, so that coming round again saves nothing.
const TEXT: [&str; 4] = [
    include_str!("../../../docs/control.md"),
    include_str!("../../../docs/format.md"),
    include_str!("../../../docs/protocol.md"),
    include_str!("../../../docs/openapi.json"),
];

fn noise(len: usize) -> Vec<u8> {
    use base::Entropy as _;
    let mut bytes = vec![0; len];
    SeededEntropy::new(1).fill(&mut bytes);
    bytes
}

fn naming() -> NamingKey {
    NamingKey::new(&Secret::new([7; 32]))
}

mod machine {
    use super::{Bencher, BytesCount, FRAME, INPUTS, Input, LEVEL, black_box, noise};

    #[divan::bench]
    fn copy(bencher: Bencher<'_, '_>) {
        let (from, mut to) = (noise(16 << 20), vec![0; 16 << 20]);
        bencher.counter(BytesCount::new(from.len())).bench_local(|| to.copy_from_slice(black_box(&from)));
    }

    #[divan::bench(args = [4 << 10, 256 << 10, 1 << 20])]
    fn blake3(bencher: Bencher<'_, '_>, len: usize) {
        let bytes = noise(len);
        bencher.counter(BytesCount::new(len)).bench_local(|| blake3::hash(black_box(&bytes)));
    }

    #[divan::bench(args = INPUTS)]
    fn zstd(bencher: Bencher<'_, '_>, input: Input) {
        let bytes = input.bytes(FRAME);
        let mut compressor = zstd::bulk::Compressor::new(LEVEL).expect("a level that there is");
        let mut out = Vec::with_capacity(2 * FRAME);
        bencher.counter(BytesCount::new(FRAME)).bench_local(|| {
            out.clear();
            compressor.compress_to_buffer(black_box(&bytes), &mut out).expect("there is room")
        });
    }

    #[divan::bench]
    fn aes_256_gcm(bencher: Bencher<'_, '_>) {
        use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("32 bytes"));
        let mut bytes = noise(FRAME);
        bencher.counter(BytesCount::new(FRAME)).bench_local(|| {
            let nonce = Nonce::assume_unique_for_key([0; 12]);
            key.seal_in_place_separate_tag(nonce, Aad::empty(), black_box(&mut bytes)).expect("short enough")
        });
    }
}

mod chunk {
    use super::{Bencher, BytesCount, ChunkKind, INPUTS, Input, black_box, cutter, naming, noise};

    #[divan::bench(args = INPUTS)]
    fn cut(bencher: Bencher<'_, '_>, input: Input) {
        let bytes = input.bytes(32 << 20);
        bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
            let mut rest = &bytes[..];
            while let Some(len) = cutter::first_cut(black_box(rest), true) {
                rest = &rest[len..];
            }
        });
    }

    #[divan::bench(args = [4 << 10, 256 << 10, 1 << 20])]
    fn name(bencher: Bencher<'_, '_>, len: usize) {
        let (bytes, naming) = (noise(len), naming());
        bencher.counter(BytesCount::new(len)).bench_local(|| naming.name(ChunkKind::Content, black_box(&bytes)));
    }
}

mod pack {
    use super::{
        Bencher, BytesCount, ChunkKind, ChunkRef, FRAME, FrameOpener, FrameSealer, INPUTS, IndexedChunk, Input, LEVEL,
        ObjectHeader, PackBuilder, PackIndex, RepositoryKey, RunId, SealedPack, Secret, SeededEntropy, black_box,
        compress,
    };

    #[divan::bench(args = INPUTS)]
    fn compress_frame(bencher: Bencher<'_, '_>, input: Input) {
        let (bytes, mut out) = (input.bytes(FRAME), Vec::new());
        bencher
            .counter(BytesCount::new(FRAME))
            .bench_local(|| compress::compress(black_box(&bytes), LEVEL, 16, &mut out));
    }

    #[divan::bench(args = INPUTS)]
    fn seal_frame(bencher: Bencher<'_, '_>, input: Input) {
        let (bytes, (key, header)) = (input.bytes(FRAME), header());
        bencher
            .counter(BytesCount::new(FRAME))
            .with_inputs(|| FrameSealer::new(&key, &header))
            .bench_local_values(|sealer| sealer.seal(0, black_box(&bytes), LEVEL));
    }

    #[divan::bench(args = INPUTS)]
    fn open_frame(bencher: Bencher<'_, '_>, input: Input) {
        let pack = pack(input);
        let (key, header) = header();
        let opener = FrameOpener::new(&key, &header);
        let frame = &pack.index.frames()[0];
        let range = frame.range();
        let sealed = &pack.bytes[range.start as usize..range.end as usize];
        bencher
            .counter(BytesCount::new(FRAME))
            .bench_local(|| opener.open(0, black_box(sealed), frame).expect("as it was sealed"));
    }

    #[divan::bench]
    fn decode_index(bencher: Bencher<'_, '_>) {
        let bytes = pack(Input::Text).index.encode();
        bencher
            .counter(BytesCount::new(bytes.len()))
            .bench_local(|| PackIndex::decode(black_box(&bytes)).expect("as it was written"));
    }

    fn header() -> (format::RunKey, ObjectHeader) {
        let entropy = SeededEntropy::new(2);
        let run = RunId::mint(&entropy);
        let key = RepositoryKey::new(1, Secret::new([9; 32])).run_key(run);
        (key, ObjectHeader::mint(1, run, &entropy))
    }

    /// 60 frames of 64 chunks each.
    fn pack(input: Input) -> SealedPack {
        let (key, header) = header();
        let (sealer, mut builder) = (FrameSealer::new(&key, &header), PackBuilder::new(&header));
        let bytes = input.bytes(FRAME);
        for number in 0..60_u32 {
            let frame = sealer.seal(number, &bytes, LEVEL).expect("a frame");
            let chunks = (0..64_u8).map(|chunk| {
                let mut name = [chunk; 32];
                name[..4].copy_from_slice(&number.to_le_bytes());
                let len = (FRAME / 64) as u32;
                IndexedChunk { kind: ChunkKind::Content, chunk: ChunkRef::from_bytes(name), len }
            });
            builder.push(&frame, chunks.collect()).expect("in order");
        }
        builder.finish(&sealer).expect("a pack")
    }
}

mod tree {
    use super::{
        Arc, Bencher, BytesCount, ChunkRef, Content, Count, Entry, EntryBody, FileTime, Meta, Piece, Totals, Tree,
        TreeBody, black_box,
    };

    #[divan::bench(args = [20, 2_000])]
    fn encode(bencher: Bencher<'_, '_>, entries: usize) {
        let tree = tree(entries);
        let len = tree.encode().expect("a tree").len();
        bencher.counter(BytesCount::new(len)).bench_local(|| black_box(&tree).encode().expect("a tree"));
    }

    #[divan::bench(args = [20, 2_000])]
    fn decode(bencher: Bencher<'_, '_>, entries: usize) {
        let bytes = tree(entries).encode().expect("a tree");
        bencher
            .counter(BytesCount::new(bytes.len()))
            .bench_local(|| Tree::decode(black_box(&bytes)).expect("as it was written"));
    }

    #[divan::bench(args = [20, 2_000])]
    fn check(bencher: Bencher<'_, '_>, entries: usize) {
        let bytes = tree(entries).encode().expect("a tree");
        bencher
            .counter(BytesCount::new(bytes.len()))
            .bench_local(|| Tree::check(black_box(&bytes)).expect("as it was written"));
    }

    fn tree(entries: usize) -> Tree {
        let owner: Arc<[u8]> = Arc::from(&b"anna"[..]);
        let time = FileTime { seconds: 1_700_000_000, nanos: 123_456_789 };
        let file = |number: usize| {
            let meta = Meta {
                mode: 0o644,
                uid: 1_000,
                user: Arc::clone(&owner),
                gid: 1_000,
                group: Arc::clone(&owner),
                mtime: time,
                ctime: time,
                inode: 4_000_000 + number as u64,
                device: None,
                xattrs: Vec::new(),
            };
            let chunk = ChunkRef::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
            let content = Content::Pieces(vec![Piece::Data { chunk, len: 10_000 }]);
            let body = EntryBody::File { size: 10_000, content };
            Entry { name: format!("a file of {number:06}.txt").into_bytes(), meta, body }
        };
        let entries: Vec<Entry> = (0..entries).map(file).collect();
        let totals: Totals = entries.iter().map(Totals::of_entry).sum();
        assert_eq!(totals.files, Count(entries.len() as u64));
        Tree { totals, body: TreeBody::Leaf(entries) }
    }
}
