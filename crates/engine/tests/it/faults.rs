//! Entries that cannot be read: each is a problem with its path and code, and the run goes on to the end.

use crate::world::content::noise;
use crate::world::files::path;
use crate::world::source::{ALWAYS, Op, Refusal, When};
use crate::world::{World, compare, problems};
use format::StoredPath;

fn world() -> World {
    World::of(|files| {
        files.write("a/first", "1");
        files.write("a/small", noise(1, 2_000));
        files.write("b/large", noise(2, 5_000_000));
        files.symlink("b/link", "large");
        files.write("c/last", "9");
        files.mkdir("c/folder");
        files.write("c/folder/inside", "in");
    })
}

/// Everything but these came back right.
fn assert_rest_restored(world: &World, lost: &[&str]) {
    let is_wanted = |at: &StoredPath| !lost.iter().any(|lost| at.starts_with(&path(lost)));
    compare::assert_restored_where(&world.source.files(), &world.restore(), is_wanted);
}

#[test]
fn an_entry_that_cannot_be_opened_is_reported_and_left_out() {
    let refusals = [
        (Refusal::Gone, "entry_gone"),
        (Refusal::Denied, "entry_denied"),
        (Refusal::Replaced, "entry_replaced"),
        (Refusal::Io, "entry_unreadable"),
    ];
    for (refusal, code) in refusals {
        for file in ["a/first", "a/small", "b/large"] {
            for op in [Op::Open, Op::StatOpen, Op::Read] {
                let world = world();
                world.source.refuse(op, &path(file), ALWAYS, refusal);
                let backup = world.backup();
                assert_eq!(backup.problems(), problems(&[(file, code)]), "{op:?}");
                assert_eq!(backup.manifest.problems.listed()[0].path, path(file));
                assert_rest_restored(&world, &[file]);

                world.source.drop_rules();
                let healed = world.assert_round_trip();
                assert_eq!(healed.source.opens, [path(file)], "{op:?}: the next run makes up for it");
            }
        }
    }
}

#[test]
fn a_medium_that_fails_in_the_middle_of_a_file_loses_that_file_only() {
    let world = world();
    world.source.refuse(Op::Read, &path("b/large"), 2..=2, Refusal::Io);
    let backup = world.backup();
    assert_eq!(backup.problems(), problems(&[("b/large", "entry_unreadable")]));
    assert_rest_restored(&world, &["b/large"]);
}

#[test]
fn an_extent_map_that_cannot_be_had_loses_that_file_only() {
    let world = world();
    world.source.refuse(Op::Extents, &path("b/large"), ALWAYS, Refusal::Io);
    assert_eq!(world.backup().problems(), problems(&[("b/large", "entry_unreadable")]));
    assert_rest_restored(&world, &["b/large"]);
}

#[test]
fn entries_that_go_or_change_kind_between_scan_and_reading_are_reported() {
    let world = world();
    for file in ["a/first", "a/small", "b/large"] {
        world.source.change((When::Before, Op::Open), &path(file), ALWAYS, move |files| {
            files.remove(file);
            if file != "a/small" {
                files.mkdir(file);
            }
        });
    }
    let backup = world.backup();
    let expected = [("a/first", "entry_replaced"), ("a/small", "entry_gone"), ("b/large", "entry_replaced")];
    assert_eq!(backup.problems(), problems(&expected));
    world.restore();
    world.source.drop_rules();
    world.assert_round_trip();
}

#[test]
fn a_link_whose_target_cannot_be_read_is_left_out_rather_than_saved_without_one() {
    for refusal in [Refusal::Gone, Refusal::Denied, Refusal::Replaced] {
        let world = world();
        world.source.refuse(Op::Details, &path("b/link"), ALWAYS, refusal);
        let backup = world.backup();
        assert_eq!(backup.problems().len(), 1, "{refusal:?}");
        assert_eq!(world.find_entry("b/link"), None, "{refusal:?}");
        assert_rest_restored(&world, &["b/link"]);
        world.source.drop_rules();
        world.assert_round_trip();
    }
}

#[test]
fn a_file_or_folder_whose_attributes_cannot_be_read_is_saved_without_them() {
    for entry in ["a/first", "b/large", "c/folder"] {
        let world = world();
        world.edit(|files| files.set_xattr(entry, "user.note", b"1"));
        world.source.refuse(Op::Details, &path(entry), ALWAYS, Refusal::Denied);
        assert_eq!(world.backup().problems(), problems(&[(entry, "entry_denied")]));
        assert_eq!(world.entry(entry).meta.xattrs, []);
        assert!(world.restore().get(&path("c/folder/inside")).is_some());
    }
}

#[test]
fn a_folder_that_cannot_be_listed_is_reported_and_empty() {
    let world = world();
    world.source.refuse(Op::List, &path("c/folder"), ALWAYS, Refusal::Denied);
    let backup = world.backup();
    assert_eq!(backup.problems(), problems(&[("c/folder", "entry_denied")]));
    assert_rest_restored(&world, &["c/folder/inside"]);
    world.source.drop_rules();
    world.assert_round_trip();
}

#[test]
fn a_folder_that_goes_before_it_is_listed_is_reported_and_left_out() {
    for (is_replaced, code) in [(false, "entry_gone"), (true, "entry_replaced")] {
        let world = world();
        world.source.change((When::Before, Op::List), &path("c/folder"), ALWAYS, move |files| {
            files.remove("c/folder");
            if is_replaced {
                files.write("c/folder", "a file now");
            }
        });
        assert_eq!(world.backup().problems(), problems(&[("c/folder", code)]));
        assert_eq!(world.find_entry("c/folder"), None);
        world.restore();
        world.source.drop_rules();
        world.assert_round_trip();
    }
}

#[test]
fn an_entry_that_cannot_be_looked_at_is_reported() {
    let world = world();
    world.source.refuse(Op::Look, &path("a/small"), ALWAYS, Refusal::Io);
    assert_eq!(world.backup().problems(), problems(&[("a/small", "entry_unreadable")]));
    assert_rest_restored(&world, &["a/small"]);
}

#[test]
fn an_entry_that_the_format_cannot_hold_is_reported_and_does_not_end_the_run() {
    let world = world();
    world.edit(|files| {
        // Longer than any path that a system takes, and than a tree may hold.
        files.symlink("a/endless", vec![b'x'; 70_000]);
        files.touch("a/first", 1, 1_000_000_000);
    });
    let backup = world.backup();
    let expected = [("a/endless", "entry_unstorable"), ("a/first", "entry_unstorable")];
    assert_eq!(backup.problems(), problems(&expected));
    assert_rest_restored(&world, &["a/endless", "a/first"]);
}

#[test]
fn a_path_longer_than_a_snapshot_takes_is_reported_and_what_is_above_it_is_saved() {
    let world = world();
    let name = "n".repeat(4_000);
    let deep = |depth: usize| vec![name.as_str(); depth].join("/");
    world.edit(|files| {
        files.write(format!("{}/file", deep(16)), "reachable");
        files.write(format!("{}/file", deep(17)), "too deep");
    });
    let backup = world.backup();
    assert_eq!(backup.problems(), problems(&[(deep(16).as_str(), "path_too_long")]));
    let is_wanted = |at: &StoredPath| at.as_bytes().len() <= 65_536;
    compare::assert_restored_where(&world.source.files(), &world.restore(), is_wanted);
}

#[test]
fn a_name_that_is_listed_twice_is_saved_once() {
    let world = world();
    world.source.repeat_names(&path("c"));
    world.source.repeat_names(&path("a"));
    let backup = world.assert_round_trip();
    assert_eq!(backup.source.opens.len(), 5);
}

#[test]
fn every_problem_is_counted_and_a_thousand_are_listed() {
    let world = World::of(|files| {
        for number in 0..1_500 {
            files.write(format!("files/{number}"), "x");
        }
        files.write("good", "y");
    });
    for number in 0..1_500 {
        world.source.refuse(Op::Open, &path(format!("files/{number}")), ALWAYS, Refusal::Denied);
    }
    let backup = world.backup();
    assert_eq!((backup.manifest.problems.total().0, backup.progress.problems), (1_500, 1_500));
    assert_eq!((backup.manifest.problems.listed().len(), backup.outcome.problems.len()), (1_000, 1_000));
    assert!(world.find_entry("good").is_some());
}
