//! Random values that keep the rules of the format.
//! Refuses names and owners by filtering, so that what comes out can always be written.

use crate::sample::{Frames, noise};
use base::{Bytes, Count, DeviceId, RepositoryId, SnapshotId, Timestamp};
use format::{
    ChunkKind, ChunkRef, Content, Entry, EntryBody, FileTime, List, ListRef, ListedProblem, Manifest, Meta, Page,
    Piece, Problems, StoredPath, Totals, Tree, Xattr, is_entry_name,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use std::sync::Arc;

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[a-c.\\- ]{1,6}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 1..40),
        1 => (1_usize..4_096).prop_map(|len| vec![b'x'; len]),
    ]
    .prop_filter("an entry name", |name| is_entry_name(name))
}

fn chunk() -> impl Strategy<Value = ChunkRef> {
    any::<[u8; 32]>().prop_map(ChunkRef::from_bytes)
}

/// Numbers of every length, not only the largest.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift)
}

fn small_number() -> impl Strategy<Value = u32> {
    (any::<u32>(), 0_u32..32).prop_map(|(number, shift)| number >> shift)
}

fn time() -> impl Strategy<Value = FileTime> {
    (any::<i64>(), 0_u32..64, 0_u32..1_000_000_000)
        .prop_map(|(seconds, shift, nanos)| FileTime { seconds: seconds >> shift, nanos })
}

fn owner_name() -> impl Strategy<Value = Arc<[u8]>> {
    prop_oneof![Just(Vec::new()), Just(b"ada".to_vec()), vec(any::<u8>(), 0..9)].prop_map(Arc::from)
}

fn xattrs() -> impl Strategy<Value = Vec<Xattr>> {
    let some = btree_map(vec(any::<u8>(), 1..9), vec(any::<u8>(), 0..30), 0..4);
    prop_oneof![3 => Just(Vec::new()), 1 => some.prop_map(|xattrs| xattrs.into_iter().collect())]
}

prop_compose! {
    fn meta()(
        mode in 0_u16..=0o7777,
        (uid, gid) in (prop_oneof![0_u32..3, any::<u32>()], prop_oneof![0_u32..3, any::<u32>()]),
        (user, group) in (owner_name(), owner_name()),
        (mtime, ctime) in (time(), time()),
        inode in number(),
        device in prop::option::of(number()),
        xattrs in xattrs(),
    ) -> Meta {
        Meta { mode, uid, gid, user, group, mtime, ctime, inode, device, xattrs }
    }
}

/// Pieces whose sum stays below 2^63, and never two holes in a row.
fn pieces(count: usize) -> impl Strategy<Value = Vec<Piece>> {
    let data = (chunk(), 1_u32..=8 << 20).prop_map(|(chunk, len)| Piece::Data { chunk, len });
    let hole = (1_u64..1 << 57, 0_u32..57).prop_map(|(len, shift)| Piece::Hole { len: (len >> shift).max(1) });
    vec(prop_oneof![3 => data, 1 => hole], 1..count).prop_map(|mut pieces| {
        pieces.dedup_by(|next, one| matches!((next, one), (Piece::Hole { .. }, Piece::Hole { .. })));
        pieces
    })
}

fn lists() -> impl Strategy<Value = Vec<ListRef>> {
    let list = (chunk(), 1_u64..1 << 50, 0_u64..1 << 50).prop_map(|(list, pieces, more)| ListRef {
        list,
        pieces,
        bytes: pieces + more,
    });
    vec(list, 1..5)
}

fn body() -> impl Strategy<Value = EntryBody> {
    let inline = vec(any::<u8>(), 0..60).prop_map(|bytes| (bytes.len() as u64, Content::Inline(bytes)));
    let in_pieces = pieces(9).prop_map(|pieces| (pieces.iter().map(Piece::len).sum(), Content::Pieces(pieces)));
    let in_lists = lists().prop_map(|lists| (lists.iter().map(|list| list.bytes).sum(), Content::Lists(lists)));
    let file = prop_oneof![inline, in_pieces, in_lists].prop_map(|(size, content)| EntryBody::File { size, content });
    let device = || (small_number(), small_number());
    prop_oneof![
        4 => file,
        2 => chunk().prop_map(|tree| EntryBody::Directory { tree }),
        1 => vec(any::<u8>(), 0..40).prop_map(|target| EntryBody::Symlink { target }),
        1 => Just(EntryBody::Fifo),
        1 => Just(EntryBody::Socket),
        1 => device().prop_map(|(major, minor)| EntryBody::CharDevice { major, minor }),
        1 => device().prop_map(|(major, minor)| EntryBody::BlockDevice { major, minor }),
    ]
}

/// Totals of something beneath: there are no bytes without a file, and no more files than entries.
fn totals(entries_min: u64) -> impl Strategy<Value = Totals> {
    (number(), number(), number()).prop_map(move |(entries, files, bytes)| {
        let entries = entries.max(entries_min);
        let files = files.min(entries);
        let bytes = if files == 0 { 0 } else { bytes };
        Totals { entries: Count(entries), files: Count(files), bytes: Bytes(bytes) }
    })
}

fn leaf() -> impl Strategy<Value = Tree> {
    (btree_map(name(), (meta(), body()), 0..12), totals(0)).prop_map(|(entries, below)| {
        let entry = |(name, (meta, body))| Entry { name, meta, body };
        let entries: Vec<Entry> = entries.into_iter().map(entry).collect();
        let deep = entries.iter().any(Entry::is_directory);
        Tree::leaf(entries, if deep { below } else { Totals::default() })
    })
}

fn fan() -> impl Strategy<Value = Tree> {
    (btree_map(name(), chunk(), 2..9), totals(9)).prop_map(|(pages, totals)| {
        let pages = pages.into_iter().map(|(first, tree)| Page { first, tree }).collect();
        Tree::fan(pages, totals)
    })
}

pub fn tree() -> impl Strategy<Value = Tree> {
    prop_oneof![4 => leaf(), 1 => fan()]
}

pub fn list() -> impl Strategy<Value = List> {
    pieces(40).prop_map(|pieces| List { pieces })
}

fn path() -> impl Strategy<Value = StoredPath> {
    vec(name(), 0..4).prop_map(|names| StoredPath::from_bytes(names.join(&b'/')).expect("names make a path"))
}

fn problems() -> impl Strategy<Value = Problems> {
    let problem = (path(), "[a-z0-9_]{1,20}", "\\PC{0,30}").prop_map(|(path, code, sentence)| ListedProblem {
        path,
        code,
        sentence,
    });
    vec(problem, 0..6).prop_map(|list| {
        let mut problems = Problems::default();
        list.into_iter().for_each(|problem| problems.add(problem));
        problems
    })
}

prop_compose! {
    pub fn manifest()(
        (snapshot, device, repository) in any::<([u8; 16], [u8; 16], [u8; 16])>(),
        root in chunk(),
        parent in prop::option::of(any::<[u8; 16]>()),
        (began_at, ended_at) in any::<(i64, i64)>(),
        totals in totals(0),
        (partial, folders) in (any::<bool>(), btree_set(path(), 0..5)),
        (device_name, os, agent_version) in ("\\PC{0,20}", "\\PC{0,20}", "[0-9.]{0,9}"),
        problems in problems(),
    ) -> Manifest {
        Manifest {
            snapshot: SnapshotId::from_bytes(snapshot),
            device: DeviceId::from_bytes(device),
            repository: RepositoryId::from_bytes(repository),
            root,
            parent: parent.map(SnapshotId::from_bytes),
            began_at: Timestamp::from_ms(began_at),
            ended_at: Timestamp::from_ms(ended_at),
            totals,
            partial,
            folders: folders.into_iter().collect(),
            device_name,
            os,
            agent_version,
            problems,
        }
    }
}

/// Frames of chunks that all differ, some of which compress.
pub fn frames() -> impl Strategy<Value = Frames> {
    let kinds = prop_oneof![Just(ChunkKind::Content), Just(ChunkKind::Tree), Just(ChunkKind::List)];
    vec(vec((kinds, any::<bool>(), 1_usize..2_000), 1..5), 1..5).prop_map(|frames| {
        let mut number = 0;
        let mut chunk = |(kind, compressible, len): (ChunkKind, bool, usize)| {
            number += 1;
            let bytes = match compressible {
                true => format!("{number} bottles of beer, ").into_bytes().repeat(len / 16 + 1),
                false => noise(&number.to_string(), len.max(16)),
            };
            (kind, bytes)
        };
        frames.into_iter().map(|chunks| chunks.into_iter().map(&mut chunk).collect()).collect()
    })
}
