//! Trees that nobody thought of: made, backed up, restored, changed, backed up again, compared at every step.

use crate::world::World;
use crate::world::content::{Content, Segment, noise};
use crate::world::files::{Body, Files, path};
use format::{FileTime, StoredPath};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

/// Names that sort close to each other, and some that are no text.
const NAMES: [&[u8]; 9] = [b"a", b"aa", b"a-b", b"b", b"\xff", b" ", b"...", b"Z", "\u{e9}".as_bytes()];

/// One thing that happens to a file system. Paths are made from the numbers, so that they often meet.
#[derive(Clone, Debug)]
enum Deed {
    Write(Vec<usize>, u64, usize),
    Sparse(Vec<usize>, u64, Vec<(usize, u64)>),
    Mkdir(Vec<usize>),
    Symlink(Vec<usize>, Vec<u8>),
    Special(Vec<usize>, u32),
    Link(Vec<usize>, Vec<usize>),
    Rename(Vec<usize>, Vec<usize>),
    Remove(Vec<usize>),
    Chmod(Vec<usize>, u16),
    Chown(Vec<usize>, u32, u32),
    Touch(Vec<usize>, i64, u32),
    Xattr(Vec<usize>, usize, Vec<u8>),
}

fn any_path() -> impl Strategy<Value = Vec<usize>> {
    vec(0..NAMES.len(), 1..=4)
}

fn any_size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0_usize..2_000,
        3 => select(vec![511, 512, 513, 65_536, 65_537]),
        2 => 200_000_usize..600_000,
        1 => select(vec![(4 << 20) - 1, 4 << 20, (4 << 20) + 1, 5 << 20]),
    ]
}

fn any_deed() -> impl Strategy<Value = Deed> {
    // Few seeds, so that contents repeat.
    let seed = 0_u64..12;
    let stretches = vec((0_usize..70_000, 1_u64..3_000_000), 1..6);
    prop_oneof![
        8 => (any_path(), seed.clone(), any_size()).prop_map(|(at, seed, len)| Deed::Write(at, seed, len)),
        1 => (any_path(), seed, stretches).prop_map(|(at, seed, parts)| Deed::Sparse(at, seed, parts)),
        2 => any_path().prop_map(Deed::Mkdir),
        2 => (any_path(), vec(1..=255_u8, 1..40)).prop_map(|(at, target)| Deed::Symlink(at, target)),
        1 => (any_path(), any::<u32>()).prop_map(|(at, number)| Deed::Special(at, number)),
        3 => (any_path(), any_path()).prop_map(|(from, to)| Deed::Link(from, to)),
        3 => (any_path(), any_path()).prop_map(|(from, to)| Deed::Rename(from, to)),
        2 => any_path().prop_map(Deed::Remove),
        1 => (any_path(), 0..=0o7777_u16).prop_map(|(at, mode)| Deed::Chmod(at, mode)),
        1 => (any_path(), any::<u32>(), 0..3_u32).prop_map(|(at, uid, gid)| Deed::Chown(at, uid, gid)),
        1 => (any_path(), any::<i64>(), 0..1_000_000_000_u32).prop_map(|(at, s, ns)| Deed::Touch(at, s, ns)),
        1 => (any_path(), 0..4_usize, vec(any::<u8>(), 0..300)).prop_map(|(at, n, value)| Deed::Xattr(at, n, value)),
    ]
}

fn path_of(parts: &[usize]) -> Vec<u8> {
    parts.iter().map(|part| NAMES[*part]).collect::<Vec<&[u8]>>().join(&b'/')
}

/// Does it if it can be done.
fn apply(files: &mut Files, deed: &Deed) {
    let is_there = |files: &Files, at: &[u8]| files.get(&path(at)).is_some();
    let is_file = |files: &Files, at: &[u8]| matches!(files.get(&path(at)).map(|it| &it.body), Some(Body::File(_)));
    let is_free = |files: &Files, at: &[u8]| {
        let above = path(at).parent().expect("it has a name");
        let blocked = (0..=above.components().count())
            .map(|depth| above.components().take(depth).collect::<Vec<&[u8]>>().join(&b'/'))
            .any(|way| files.get(&path(way)).is_some_and(|it| !matches!(it.body, Body::Directory(_))));
        !blocked && !is_there(files, at)
    };
    match deed {
        Deed::Write(at, seed, len) => {
            let at = path_of(at);
            if is_free(files, &at) || is_file(files, &at) {
                files.write(&at, noise(*seed, *len));
            }
        }
        Deed::Sparse(at, seed, parts) => {
            let at = path_of(at);
            if is_free(files, &at) || is_file(files, &at) {
                let parts = parts
                    .iter()
                    .flat_map(|(data, hole)| [Segment::Data(noise(seed + *hole % 7, *data)), Segment::Hole(*hole)]);
                files.put(&at, Content::sparse(parts));
            }
        }
        Deed::Mkdir(at) if is_free(files, &path_of(at)) => files.mkdir(path_of(at)),
        Deed::Symlink(at, target) if is_free(files, &path_of(at)) => files.symlink(path_of(at), target),
        Deed::Special(at, number) if is_free(files, &path_of(at)) => {
            let kinds =
                [Body::Fifo, Body::Socket, Body::CharDevice(number >> 16, *number), Body::BlockDevice(*number, 0)];
            files.special(path_of(at), kinds[*number as usize % 4].clone());
        }
        Deed::Link(from, to) => {
            let (from, to) = (path_of(from), path_of(to));
            let is_directory = matches!(files.get(&path(&from)).map(|it| &it.body), Some(Body::Directory(_)));
            if is_there(files, &from) && !is_directory && is_free(files, &to) {
                files.link(from, to);
            }
        }
        Deed::Rename(from, to) => {
            let (from, to) = (path_of(from), path_of(to));
            if is_there(files, &from) && is_free(files, &to) && !path(&to).starts_with(&path(&from)) {
                files.rename(from, to);
            }
        }
        Deed::Remove(at) if is_there(files, &path_of(at)) => files.remove(path_of(at)),
        Deed::Chmod(at, mode) if is_there(files, &path_of(at)) => files.chmod(path_of(at), *mode),
        Deed::Chown(at, uid, gid) if is_there(files, &path_of(at)) => files.chown(path_of(at), *uid, *gid),
        Deed::Touch(at, seconds, nanos) if is_there(files, &path_of(at)) => {
            files.touch(path_of(at), *seconds, *nanos);
        }
        Deed::Xattr(at, name, value) if is_there(files, &path_of(at)) => {
            let names = ["user.a", "user.b", "security.c", "system.posix_acl_access"];
            files.set_xattr(path_of(at), names[*name], value);
        }
        _ => {}
    }
}

/// The files, each with what says whether it is the same and unchanged.
fn versions(files: &Files) -> BTreeMap<StoredPath, (u64, FileTime)> {
    let files_only = files.walk().into_iter().filter(|(_, inode)| matches!(files.inode(*inode).body, Body::File(_)));
    files_only.map(|(path, inode)| (path, (inode, files.inode(inode).ctime))).collect()
}

/// With the journal, what is looked at is less, and what is saved is the same.
fn check_journal(edits: &[Vec<Deed>], empties: bool) {
    let (mut world, mut walked) = (World::new(), World::new());
    // Small ones are shown as large ones, by the piece.
    world.source.show_by(2);
    (world.uses_journal, walked.uses_parent) = (true, false);
    for deeds in edits {
        for world in [&world, &walked] {
            world.edit(|files| deeds.iter().for_each(|deed| apply(files, deed)));
        }
        if empties {
            world.cache.empty();
        }
        let (backup, whole) = (world.assert_round_trip(), walked.backup());
        assert_eq!(backup.outcome.totals, whole.outcome.totals);
        assert_eq!(world.snapshot_entries(), walked.snapshot_entries());
        assert_eq!(
            (backup.progress.files_seen, backup.progress.bytes_seen),
            (whole.progress.files_seen, whole.progress.bytes_seen)
        );
    }
}

fn check(world: &World, before: &[Deed], after: &[Deed], empties: bool) {
    world.edit(|files| before.iter().for_each(|deed| apply(files, deed)));
    let first = world.assert_round_trip();
    let then = versions(&world.source.files());
    assert_opened(&first.source.opens, &then.keys().cloned().collect::<Vec<_>>());
    world.edit(|files| after.iter().for_each(|deed| apply(files, deed)));
    if empties {
        world.cache.empty();
    }
    let second = world.assert_round_trip();
    let now = versions(&world.source.files());
    let changed: Vec<StoredPath> =
        now.iter().filter(|(path, version)| then.get(*path) != Some(version)).map(|(path, _)| path.clone()).collect();
    assert_opened(&second.source.opens, &changed);
    assert_eq!(second.traffic.again, 0);
    let third = world.backup();
    assert_eq!((third.source.opens.len(), third.source.details.len(), third.traffic.packs.len()), (0, 0, 0));
    assert_eq!(third.outcome.root, second.outcome.root);
}

/// Exactly these were opened, each once; large files are opened after the small ones around them.
fn assert_opened(opened: &[StoredPath], expected: &[StoredPath]) {
    let mut opened = opened.to_vec();
    opened.sort();
    assert_eq!(opened, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_comes_back_and_a_changed_one_costs_its_changes(
        before in vec(any_deed(), 1..50),
        after in vec(any_deed(), 0..20),
        empties: bool,
    ) {
        check(&World::new(), &before, &after, empties);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn threads_change_nothing_about_that(
        before in vec(any_deed(), 20..60),
        after in vec(any_deed(), 0..20),
    ) {
        let world = World::with_threads();
        world.edit(|files| before.iter().for_each(|deed| apply(files, deed)));
        world.assert_round_trip();
        world.edit(|files| after.iter().for_each(|deed| apply(files, deed)));
        let second = world.assert_round_trip();
        prop_assert_eq!(second.traffic.again, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_journal_leaves_out_has_not_changed(
        first in vec(any_deed(), 1..50),
        edits in vec(vec(any_deed(), 0..8), 1..5),
        empties: bool,
    ) {
        let edits: Vec<Vec<Deed>> = std::iter::once(first).chain(edits).collect();
        check_journal(&edits, empties);
    }
}
