//! Which part of a snapshot is restored.

use crate::world::content::noise;
use crate::world::files::path;
use crate::world::target::MemoryTarget;
use crate::world::{World, compare};
use base::Kind;
use engine::EngineError;
use engine::restore::Selection;
use format::{ChunkKind, StoredPath};

fn world() -> World {
    let world = World::of(|files| {
        files.write("home/ann/letters/one", noise(1, 2_000));
        files.write("home/ann/letters/two", "inline");
        files.write("home/ann/photos/large", noise(2, 900_000));
        files.symlink("home/ann/link", "letters");
        files.write("home/bob/list", noise(3, 3_000));
        files.write("etc/config", noise(4, 1_000));
        files.set_xattr("home/ann/letters", "user.note", b"1");
    });
    world.backup();
    world
}

fn select(paths: &[&str]) -> (Selection, Vec<StoredPath>) {
    let paths: Vec<StoredPath> = paths.iter().map(path).collect();
    (Selection::Paths(paths.clone()), paths)
}

#[test]
fn what_is_selected_lands_under_its_last_name_and_nothing_else_comes() {
    let selections = [
        &["home/ann/letters"][..],
        &["home/ann/letters/two"],
        &["home/ann/link"],
        &["home"],
        &["etc/config", "home/ann/photos", "home/bob/list"],
        &["home/bob", "home/ann/letters/one"],
    ];
    for paths in selections {
        let world = world();
        let (selection, paths) = select(paths);
        let target = MemoryTarget::default();
        let restore = world.restore_to(&target, selection).expect("they are all there");
        assert_eq!(restore.problems, []);
        compare::assert_selected(&world.source.files(), &target, &paths);
    }
}

#[test]
fn only_the_content_of_the_selection_is_fetched() {
    let world = world();
    let (selection, _) = select(&["home/ann/letters"]);
    let restore = world.restore_to(&MemoryTarget::default(), selection).expect("it is there");
    let content = restore.traffic.fetched.iter().filter(|(kind, _)| *kind == ChunkKind::Content).count();
    assert_eq!(content, 1);
}

#[test]
fn a_path_that_is_not_in_the_snapshot_ends_the_restore_before_anything_is_written() {
    for missing in ["home/eve", "nothing", "home/bob/list/below a file", "home/ann/link/one"] {
        let world = world();
        let target = MemoryTarget::default();
        let (selection, _) = select(&["etc/config", missing]);
        let error = world.restore_to(&target, selection).err().expect("it is not there");
        assert!(matches!(error, EngineError::NotInSnapshot { .. }), "{error:?}");
        assert_eq!((error.code(), error.kind()), ("path_not_in_snapshot", Kind::NotFound));
        assert!(error.to_string().contains(missing), "{error}");
        assert!(target.walk().is_empty());
    }
}
