//! Fixed values of every structure. The golden files hold their bytes, so they change only together with those:
//! that is, never, once released; a new version adds new ones.

use base::{
    Bytes, Count, DeviceId, InstallationId, RepositoryId, RunId, Secret, SecretBytes, SnapshotId, Timestamp, UserId,
};
use format::{
    Age, Card, ChunkKind, ChunkRef, Content, Entry, EntryBody, FileTime, FrameSealer, IndexedChunk, KeyPurpose,
    Keyring, KeyringKey, KeyringRepository, List, ListRef, ListedProblem, Manifest, Meta, NamingKey, ObjectHeader,
    PackBuilder, Page, Piece, Problems, RepositoryKey, RunKey, SealedPack, StoredPath, Totals, Tree,
};
use ring::signature::{Ed25519KeyPair, KeyPair};

pub fn repository_key() -> RepositoryKey {
    RepositoryKey::new(0x0102_0304, Secret::new([0x11; 32]))
}

pub fn naming_key() -> NamingKey {
    NamingKey::new(&Secret::new([0x33; 32]))
}

pub fn header(salt: u8) -> ObjectHeader {
    ObjectHeader::new(repository_key().id(), RunId::from_bytes([0x22; 16]), [salt; 32])
}

/// The key that a server with only this repository key finds.
pub fn run_key_for(header: &ObjectHeader) -> Option<RunKey> {
    let key = repository_key();
    (header.key_id == key.id()).then(|| key.run_key(header.run))
}

pub fn run_key() -> RunKey {
    run_key_for(&header(0)).expect("it is this repository's")
}

fn device_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[0x44; 32]).expect("32 bytes are a seed")
}

pub fn device_public_key() -> [u8; 32] {
    device_key().public_key().as_ref().try_into().expect("32 bytes are a public key")
}

pub fn sign(message: &[u8]) -> [u8; 64] {
    device_key().sign(message).as_ref().try_into().expect("64 bytes are a signature")
}

/// Bytes that do not compress, the same for the same label.
pub fn noise(label: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(label.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn chunk(label: &str) -> ChunkRef {
    naming_key().name(ChunkKind::Content, label.as_bytes())
}

fn entry(name: &[u8], mode: u16, body: EntryBody) -> Entry {
    let meta = Meta {
        mode,
        uid: 1_000,
        gid: 100,
        user: b"ada".as_slice().into(),
        group: b"users".as_slice().into(),
        mtime: FileTime { seconds: 1_780_000_000, nanos: 123_456_789 },
        ctime: FileTime { seconds: 1_780_000_001, nanos: 0 },
        inode: 4_711,
        device: None,
        xattrs: Vec::new(),
    };
    Entry { name: name.to_vec(), meta, body }
}

fn file(name: &[u8], size: u64, content: Content) -> Entry {
    entry(name, 0o644, EntryBody::File { size, content })
}

/// A directory with an entry of every kind, and every optional part.
pub fn leaf() -> Tree {
    let mut hard_linked = file(b"linked", 0, Content::Inline(Vec::new()));
    hard_linked.meta.device = Some(0x0803);
    let mut attributed = file(b"tagged", 5, Content::Inline(b"hello".to_vec()));
    attributed.meta.xattrs =
        vec![(b"security.selinux".to_vec(), b"unconfined\0".to_vec()), (b"user.empty".to_vec(), Vec::new())];
    attributed.meta.uid = 0;
    attributed.meta.user = b"root".as_slice().into();
    let mut old = entry(b"before 1970", 0o7777, EntryBody::Fifo);
    old.meta.mtime = FileTime { seconds: -1, nanos: 999_999_999 };
    old.meta.uid = 4_294_967_294;
    old.meta.user = b"".as_slice().into();
    let sparse = vec![
        Piece::Data { chunk: chunk("head"), len: 1 << 20 },
        Piece::Hole { len: 1 << 40 },
        Piece::Data { chunk: chunk("tail"), len: 8 << 20 },
    ];
    let lists = vec![
        ListRef { list: naming_key().name(ChunkKind::List, b"first"), pieces: 4_096, bytes: 4 << 30 },
        ListRef { list: naming_key().name(ChunkKind::List, b"second"), pieces: 1, bytes: 1 },
    ];
    let entries = vec![
        old,
        entry(b"disk", 0o660, EntryBody::BlockDevice { major: 8, minor: 1 }),
        file(b"huge", (4 << 30) + 1, Content::Lists(lists)),
        hard_linked,
        entry(b"link", 0o777, EntryBody::Symlink { target: b"../elsewhere".to_vec() }),
        entry(b"null", 0o666, EntryBody::CharDevice { major: 1, minor: 3 }),
        entry(b"socket", 0o755, EntryBody::Socket),
        file(b"sparse", (1 << 40) + (9 << 20), Content::Pieces(sparse)),
        entry(b"sub", 0o755, EntryBody::Directory { tree: naming_key().name(ChunkKind::Tree, b"sub") }),
        attributed,
        file(b"\xff\xfe not utf-8", 4_096, Content::Inline(noise("inline", 4_096))),
    ];
    Tree::leaf(sorted(entries), Totals { entries: Count(12), files: Count(10), bytes: Bytes(1 << 33) })
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

pub fn fan() -> Tree {
    let pages = [b"a".as_slice(), b"m-1", b"\xff"]
        .map(|first| Page { first: first.to_vec(), tree: naming_key().name(ChunkKind::Tree, first) });
    Tree::fan(pages.to_vec(), Totals { entries: Count(250_000), files: Count(249_999), bytes: Bytes(1 << 41) })
}

pub fn list() -> List {
    let pieces = vec![
        Piece::Hole { len: 1 },
        Piece::Data { chunk: chunk("one"), len: 1 },
        Piece::Data { chunk: chunk("two"), len: 8 << 20 },
        Piece::Hole { len: (1 << 62) + 5 },
    ];
    List { pieces }
}

pub fn manifest() -> Manifest {
    let path = |text: &str| StoredPath::from_bytes(text.as_bytes().to_vec()).expect("the samples' paths are good");
    let mut problems = Problems::default();
    problems.add(ListedProblem {
        path: path("home/ada/locked.pst"),
        code: "unreadable".to_owned(),
        sentence: "Another program has locked the file.".to_owned(),
    });
    problems.add(ListedProblem {
        path: StoredPath::from_bytes(b"home/ada/\xff".to_vec()).expect("bytes are a name"),
        code: "changed_2".to_owned(),
        sentence: "It changed while it was read – twice.".to_owned(),
    });
    Manifest {
        snapshot: SnapshotId::from_bytes([0x51; 16]),
        device: DeviceId::from_bytes([0x52; 16]),
        repository: RepositoryId::from_bytes([0x53; 16]),
        root: naming_key().name(ChunkKind::Tree, b"root"),
        parent: Some(SnapshotId::from_bytes([0x50; 16])),
        began_at: Timestamp::from_ms(1_780_000_000_123),
        ended_at: Timestamp::from_ms(1_780_000_300_000),
        totals: Totals { entries: Count(78_611), files: Count(70_000), bytes: Bytes(1_320_000_000) },
        partial: true,
        folders: vec![path("etc"), path("home/ada"), path("home-old")],
        device_name: "ada's laptop".to_owned(),
        os: "Linux 6.12".to_owned(),
        agent_version: "1.0.0".to_owned(),
        problems,
    }
}

pub fn master_key() -> Secret<32> {
    Secret::new([0x55; 32])
}

pub fn keyring() -> Keyring {
    let key = |purpose, id, byte| KeyringKey { purpose, id, secret: Secret::new([byte; 32]) };
    let keys = vec![
        key(KeyPurpose::Name, 1, 0x33),
        key(KeyPurpose::Seal, 1, 0x34),
        key(KeyPurpose::Seal, repository_key().id(), 0x11),
    ];
    Keyring {
        number: 2,
        installation: InstallationId::from_bytes([0x54; 16]),
        made_at: Timestamp::from_ms(1_780_000_000_123),
        secret: Secret::new([0x35; 32]),
        repositories: vec![KeyringRepository { id: RepositoryId::from_bytes([0x53; 16]), keys }],
        authority: "-----BEGIN CERTIFICATE-----\n".to_owned(),
        authority_key: SecretBytes::new(b"-----BEGIN PRIVATE KEY-----\n".to_vec()),
    }
}

pub fn card() -> Card {
    Card {
        device: DeviceId::from_bytes([0x52; 16]),
        number: 3,
        repository: RepositoryId::from_bytes([0x53; 16]),
        created_at: Timestamp::from_ms(1_780_000_000_123),
        user: UserId::from_bytes([0x56; 16]),
        key: Some((5, device_public_key())),
        email: "ada@example.org".to_owned(),
        name: "ada's laptop".to_owned(),
        evidence: ["ada-laptop", "PF3X1", "0001-2", "ada", "linux", "x86_64"].map(str::to_owned),
    }
}

pub fn age() -> Age {
    Age { number: 9, installation: InstallationId::from_bytes([0x54; 16]), nonce: [0x57; 32] }
}

pub fn sealed_manifest() -> Vec<u8> {
    manifest().seal(&run_key(), &header(0x66), sign).expect("the sample keeps the rules")
}

/// The frames of the sample packs: each a list of chunks.
pub type Frames = Vec<Vec<(ChunkKind, Vec<u8>)>>;

/// Frames that do not compress: their bytes do not depend on the version of zstd.
pub fn noisy_frames() -> Frames {
    let content = |label: &str, len| (ChunkKind::Content, noise(label, len));
    vec![
        vec![content("one", 40), content("two", 60), (ChunkKind::Tree, noise("three", 20))],
        vec![content("four", 120)],
        vec![(ChunkKind::List, noise("five", 1))],
    ]
}

/// Frames that compress: a sealed text, and a tree.
pub fn texts() -> Frames {
    let text = "Every byte that was acknowledged can be restored.\n".repeat(40).into_bytes();
    let tree = leaf().encode().expect("the sample keeps the rules");
    vec![vec![(ChunkKind::Content, text)], vec![(ChunkKind::Tree, tree)]]
}

pub fn pack(salt: u8, frames: &Frames) -> SealedPack {
    let (naming, header) = (naming_key(), header(salt));
    let sealer = FrameSealer::new(&run_key(), &header);
    let mut builder = PackBuilder::new(&header);
    for chunks in frames {
        let plain: Vec<u8> = chunks.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let indexed = chunks.iter().map(|(kind, bytes)| {
            let (chunk, len) = (naming.name(*kind, bytes), u32::try_from(bytes.len()).expect("chunks are small"));
            IndexedChunk { kind: *kind, chunk, len }
        });
        let frame = sealer.seal(builder.next_number(), &plain, 3).expect("the samples fit");
        builder.push(&frame, indexed.collect()).expect("the samples fit");
    }
    builder.finish(&sealer).expect("the samples fit")
}
