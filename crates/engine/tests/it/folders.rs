//! Which folders are read: several, one in another, missing ones, and single files.

use crate::world::files::path;
use crate::world::source::{ALWAYS, Op, Refusal};
use crate::world::{World, compare, problems};
use base::Kind;
use engine::EngineError;
use format::StoredPath;

fn world(folders: &[&str]) -> World {
    let mut world = World::of(|files| {
        files.write("home/ann/letter", "dear");
        files.write("home/ann/music/song", "la");
        files.write("home/bob/list", "milk");
        files.symlink("home/here", "ann");
        files.write("home-old/file", "old");
        files.write("etc/config", "k=v");
        files.chmod("home", 0o711);
        files.set_xattr("home", "user.note", b"on the way");
    });
    world.folders = folders.iter().map(path).collect();
    world
}

/// What is saved: the folders, what is in them, and the way to them.
fn assert_saved(world: &World, folders: &[&str]) {
    let is_wanted =
        |at: &StoredPath| folders.iter().any(|folder| at.starts_with(&path(folder)) || path(folder).starts_with(at));
    compare::assert_restored_where(&world.source.files(), &world.restore(), is_wanted);
}

#[test]
fn only_the_chosen_folders_and_the_way_to_them_are_saved() {
    let choices = [
        &["home/ann"][..],
        &["home/ann/music", "home/bob", "etc"],
        &["home/ann/letter"],
        &["home/here", "home/bob"],
        &["home"],
    ];
    for folders in choices {
        let world = world(folders);
        let backup = world.backup();
        assert_eq!(backup.problems(), []);
        assert_saved(&world, folders);
        let second = world.backup();
        assert_eq!((second.source.opens.len(), second.traffic.packs.len()), (0, 0), "{folders:?}");
        assert_eq!(second.outcome.root, backup.outcome.root);
    }
}

#[test]
fn a_folder_in_another_is_saved_once() {
    for folders in [&["home", "home/ann"][..], &["home/ann/music", "home/ann", "home"], &["home", "home"], &["", "etc"]]
    {
        let world = world(folders);
        let backup = world.backup();
        assert_eq!(backup.problems(), []);
        let once: std::collections::BTreeSet<_> = backup.source.opens.iter().collect();
        assert_eq!(once.len(), backup.source.opens.len(), "{folders:?}: no file is opened twice");
        assert_saved(&world, folders);
        let mut named: Vec<StoredPath> = folders.iter().map(path).collect();
        named.sort();
        named.dedup();
        assert_eq!(backup.manifest.folders, named, "the manifest says what was asked for");
    }
}

#[test]
fn a_missing_folder_in_another_is_nobodys_problem() {
    let world = world(&["home", "home/eve"]);
    assert_eq!(world.backup().problems(), []);
    assert_saved(&world, &["home"]);
}

#[test]
fn a_missing_folder_is_a_problem_and_the_others_are_saved() {
    let world = world(&["home/ann", "home/eve", "mnt/disk", "home/here/letter"]);
    let backup = world.backup();
    let expected = [("home/eve", "entry_gone"), ("home/here/letter", "entry_replaced"), ("mnt/disk", "entry_gone")];
    assert_eq!(backup.problems(), problems(&expected));
    assert_saved(&world, &["home/ann"]);
}

#[test]
fn a_folder_that_may_not_be_listed_is_a_problem_and_the_others_are_saved() {
    let world = world(&["etc", "home/bob"]);
    world.source.refuse(Op::List, &path("etc"), ALWAYS, Refusal::Denied);
    assert_eq!(world.backup().problems(), problems(&[("etc", "entry_denied")]));
    assert_saved(&world, &["home/bob"]);
}

#[test]
fn a_folder_inside_one_that_may_not_be_listed_is_saved() {
    let world = world(&["home", "home/ann"]);
    world.source.refuse(Op::List, &path("home"), ALWAYS, Refusal::Denied);
    assert_eq!(world.backup().problems(), problems(&[("home", "entry_denied")]));
    assert_saved(&world, &["home/ann"]);
}

#[test]
fn a_folder_that_goes_after_the_run_began_is_a_problem() {
    let world = world(&["etc", "home/bob"]);
    world.source.refuse(Op::Look, &path("etc"), 2..=2, Refusal::Gone);
    assert_eq!(world.backup().problems(), problems(&[("etc", "entry_gone")]));
    assert_saved(&world, &["home/bob"]);
}

#[test]
fn without_any_readable_folder_there_is_no_snapshot() {
    for folders in [&["home/eve", "mnt"][..], &["etc/config/below a file"], &[]] {
        let world = world(folders);
        let error = world.try_backup().err().expect("there is nothing to back up");
        assert!(matches!(error, EngineError::NothingToRead { .. }), "{error:?}");
        assert_eq!((error.code(), error.kind()), ("nothing_to_read", Kind::Invalid));
        let first = folders.first().copied().unwrap_or("no folder is chosen");
        assert!(error.to_string().contains(first), "{error}");
        assert!(world.server.state().snapshots.is_empty());
        assert!(world.server.take_traffic().calls.is_empty(), "the server was not asked for anything");
    }
}
