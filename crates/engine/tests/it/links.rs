//! Hard links: one entry under several names, in one folder or across them, saved and restored as one.

use crate::world::World;
use crate::world::content::noise;
use crate::world::files::{Body, path};
use crate::world::target::{Event, MemoryTarget};
use engine::restore::Selection;
use format::ChunkKind;

#[test]
fn names_of_one_file_are_one_file_again() {
    let world = World::of(|files| {
        files.write("z/original", noise(1, 900_000));
        files.link("z/original", "a/first");
        files.link("z/original", "a/deep/er/second");
        files.link("z/original", "third");
        files.write("small", "inline");
        files.link("small", "a/small twin");
        files.write("nothing", "");
        files.link("nothing", "a/nothing twin");
        files.symlink("a/link", "nowhere");
        files.link("a/link", "z/link twin");
        files.special("a/pipe", Body::Fifo);
        files.link("a/pipe", "z/pipe twin");
        files.write("alone", "one name");
    });
    let backup = world.assert_round_trip();
    assert_eq!(backup.traffic.again, 0);
    assert_eq!(backup.traffic.of(ChunkKind::Content).1, 900_000, "the content goes over once");
    let target = world.restore();
    let links = target.events().iter().filter(|event| matches!(event, Event::HardLink(_))).count();
    assert_eq!(links, 3 + 1 + 1 + 1 + 1);
    assert_eq!(target.bytes_written(), 900_000 + 6 + 8, "and is written once");
}

#[test]
fn unchanged_names_of_one_file_are_not_opened() {
    let world = World::of(|files| {
        files.write("a/file", noise(1, 5_000));
        files.link("a/file", "b/twin");
    });
    world.backup();
    world.edit(|files| files.write("other", "x"));
    let second = world.assert_round_trip();
    assert_eq!(second.source.opens, [path("other")]);
}

#[test]
fn a_file_that_loses_its_other_name_is_an_ordinary_file() {
    let world = World::of(|files| {
        files.write("a/file", noise(1, 5_000));
        files.link("a/file", "b/twin");
    });
    world.backup();
    world.edit(|files| files.remove("b/twin"));
    let second = world.assert_round_trip();
    assert_eq!(world.entry("a/file").meta.device, None);
    assert_eq!(second.traffic.of(ChunkKind::Content).0, 0);
}

#[test]
fn a_further_name_by_itself_is_restored_with_its_content() {
    let world = World::of(|files| {
        files.write("a/file", noise(1, 5_000));
        files.link("a/file", "b/twin");
    });
    world.backup();
    let target = MemoryTarget::default();
    let restore = world.restore_to(&target, Selection::Paths(vec![path("b/twin")])).expect("it is there");
    assert_eq!(restore.problems, []);
    crate::world::compare::assert_selected(&world.source.files(), &target, &[path("b/twin")]);
}

#[test]
fn a_directory_is_never_taken_for_a_linked_file() {
    // Every directory has several links; none of them is a further name.
    let world = World::of(|files| {
        for number in 0..20 {
            files.mkdir(format!("{number}/below"));
        }
    });
    world.assert_round_trip();
    assert_eq!(world.entry("3").meta.device, None);
}
