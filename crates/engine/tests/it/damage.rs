//! What the server loses or sends wrong: each file that needs it is reported and left out, all others come back.

use crate::world::content::{noise, text};
use crate::world::files::{Files, path};
use crate::world::target::{MemoryTarget, Refusal};
use crate::world::{Restore, World, compare, problems};
use base::{Bytes as Size, Kind};
use engine::EngineError;
use engine::restore::Selection;
use format::{ChunkKind, ChunkRef, StoredPath};

fn fill(files: &mut Files) {
    files.write("docs/letter", "inline");
    files.write("docs/small", noise(1, 2_000));
    files.write("docs/twin", noise(1, 2_000));
    files.write("docs/other", text(2, 3_000));
    files.write("media/film", noise(3, 3_000_000));
    files.write("media/song", noise(4, 700_000));
    files.mkdir("media/empty");
}

fn world() -> World {
    let world = World::of(fill);
    world.backup();
    world
}

fn threaded_world() -> World {
    let world = World::with_threads();
    world.edit(fill);
    world.backup();
    world
}

fn restore_all(world: &World, target: &MemoryTarget) -> Restore {
    world.restore_to(target, Selection::Everything).expect("what is lost does not end the restore")
}

fn assert_rest_restored(world: &World, target: &MemoryTarget, lost: &[&str]) {
    let is_wanted = |at: &StoredPath| !lost.iter().any(|lost| at.starts_with(&path(lost)));
    compare::assert_restored_where(&world.source.files(), target, is_wanted);
}

/// A way in which the server does not give a chunk.
type Loss = fn(&World, &ChunkRef);

const LOSSES: [(&str, Loss); 3] = [
    ("lost", |world, chunk| world.server.lose(chunk)),
    ("unreadable", |world, chunk| world.server.state().faults.unreadable.extend([*chunk])),
    ("flipped", |world, chunk| world.server.state().faults.flip.extend([*chunk])),
];

#[test]
fn a_lost_chunk_hurts_the_files_that_need_it_and_no_other() {
    for (how, lose) in LOSSES {
        let world = world();
        let chunks = world.chunks("media/film");
        lose(&world, &chunks[chunks.len() / 2]);
        let target = MemoryTarget::default();
        let restore = restore_all(&world, &target);
        assert_eq!(restore.problems(), problems(&[("media/film", "content_missing")]), "{how}");
        assert_eq!(restore.progress.problems, 1);
        assert_eq!(target.discarded(), [path("media/film")], "{how}: what was written of it is taken away");
        assert_rest_restored(&world, &target, &["media/film"]);
    }
}

#[test]
fn a_lost_chunk_of_two_files_hurts_both() {
    let world = world();
    world.server.lose(&world.chunks("docs/small")[0]);
    let target = MemoryTarget::default();
    let expected = [("docs/small", "content_missing"), ("docs/twin", "content_missing")];
    assert_eq!(restore_all(&world, &target).problems(), problems(&expected));
    assert_rest_restored(&world, &target, &["docs/small", "docs/twin"]);
}

#[test]
fn a_bit_flipped_in_a_shared_parcel_hurts_what_is_in_it_and_nothing_is_restored_wrong() {
    let world = world();
    let (small, other) = (world.chunks("docs/small")[0], world.chunks("docs/other")[0]);
    assert_eq!(world.server.place(&small), world.server.place(&other));
    for byte in (0..2_200).step_by(37) {
        world.server.state().faults.garble = [(small, byte)].into();
        let target = MemoryTarget::default();
        let restore = restore_all(&world, &target);
        let lost: Vec<String> = restore.problems().into_iter().map(|(path, _)| path).collect();
        let in_parcel = ["docs/other", "docs/small", "docs/twin"];
        assert!(!lost.is_empty() && lost.iter().all(|file| in_parcel.contains(&file.as_str())), "{byte}: {lost:?}");
        assert!(restore.problems.iter().all(|problem| problem.code == "content_missing"));
        assert_rest_restored(&world, &target, &lost.iter().map(String::as_str).collect::<Vec<&str>>());
    }
}

#[test]
fn a_bit_flipped_in_a_parcel_of_trees_leaves_the_next_backup_right() {
    let world = world();
    let first = world.backup();
    for byte in 0..300 {
        world.cache.empty();
        let root = world.manifest().root;
        world.server.state().faults.garble = [(root, byte)].into();
        let backup = world.backup();
        assert_eq!(backup.outcome.root, first.outcome.root, "byte {byte}");
        assert_eq!(backup.traffic.packs, [], "byte {byte}: the server has it all");
    }
}

#[test]
fn a_lost_tree_hurts_its_folder_and_no_other() {
    for (how, lose) in LOSSES {
        let world = World::of(|files| {
            fill(files);
            files.set_xattr("docs", "user.note", b"kept with the folder above");
            // Trees share a frame; these are too large for that.
            for number in 0..1_000 {
                let name = format!("{number:0>200}");
                files.symlink(format!("docs/{name}"), noise(number, 200));
                files.symlink(format!("media/{name}"), noise(number + 5_000, 200));
            }
        });
        world.backup();
        lose(&world, &world.tree_of("docs"));
        let target = MemoryTarget::default();
        let restore = restore_all(&world, &target);
        assert_eq!(restore.problems(), problems(&[("docs", "tree_missing")]), "{how}");
        let is_wanted = |at: &StoredPath| *at == path("docs") || !at.starts_with(&path("docs"));
        compare::assert_restored_where(&world.source.files(), &target, is_wanted);
    }
}

#[test]
fn without_the_root_tree_there_is_nothing_to_restore() {
    for selection in [Selection::Everything, Selection::Paths(vec![path("docs")])] {
        for (how, lose) in LOSSES {
            let world = world();
            lose(&world, &world.manifest().root);
            let error = world.restore_to(&MemoryTarget::default(), selection.clone()).err().expect("it has no root");
            assert!(matches!(error, EngineError::TreeMissing { .. }), "{how}: {error:?}");
            assert_eq!(error.kind(), Kind::Damaged);
        }
    }
}

#[test]
fn parcels_that_come_twice_finish_no_file_early() {
    let world = world();
    world.server.state().faults.sends_twice = true;
    let target = MemoryTarget::default();
    assert_eq!(restore_all(&world, &target).problems, []);
    compare::assert_restored(&world.source.files(), &target);
}

#[test]
fn a_run_without_a_parent_heals_lost_content() {
    let mut world = world();
    let chunks = world.chunks("media/film");
    world.server.lose(&chunks[0]);
    let error = world.try_backup().err().expect("the unchanged file is not whole any more");
    assert_eq!(error.code(), "tree_names_missing");
    world.uses_parent = false;
    let healing = world.assert_round_trip();
    assert_eq!(healing.traffic.of(ChunkKind::Content).0, 1, "only what was lost is sent");
}

#[test]
fn a_backup_heals_a_tree_that_neither_the_server_nor_the_cache_has() {
    for (how, lose) in LOSSES {
        let world = world();
        lose(&world, &world.tree_of("docs"));
        world.cache.empty();
        let second = world.backup();
        let mut opened = second.source.opens.clone();
        opened.sort();
        let expected = ["docs/letter", "docs/other", "docs/small", "docs/twin"].map(path);
        // A damaged parcel takes its neighbours with it: then their folders are read again too.
        assert!(expected.iter().all(|file| opened.contains(file)), "{how}: {opened:?}");
        assert_eq!(second.traffic.of(ChunkKind::Content).0, 0, "{how}: the content is still there");
        world.server.clear_faults();
        compare::assert_restored(&world.source.files(), &world.restore());
    }
}

#[test]
fn a_full_disk_ends_the_restore_and_a_second_one_completes_it() {
    let world = world();
    let all = world.restore().bytes_written();
    for room in [0, 3, 5_000, 800_000, all - 1] {
        let target = MemoryTarget::with_room(Size(room));
        let error = world.restore_to(&target, Selection::Everything).err().expect("the disk is full");
        assert!(matches!(error, EngineError::TargetFull), "{room} bytes: {error:?}");
        assert_eq!((error.code(), error.kind()), ("disk_full", Kind::Unavailable));
        target.set_room(None);
        // A second target is what a second restore has: it knows nothing of the parts of the first.
        for part in target.parts() {
            engine::Target::discard_part(&target, &part);
        }
        assert_eq!(restore_all(&world, &target).problems, [], "{room} bytes");
        compare::assert_restored(&world.source.files(), &target);
    }
    let enough = MemoryTarget::with_room(Size(all));
    assert_eq!(restore_all(&world, &enough).problems, []);
}

#[test]
fn a_disk_that_fills_up_with_names_and_not_with_bytes_ends_the_restore_too() {
    for entry in ["docs", "docs/letter", "docs/small", "media/film", "media/link", "media/twin"] {
        let world = world();
        world.edit(|files| {
            files.symlink("media/link", "film");
            files.link("docs/small", "media/twin");
        });
        world.backup();
        let target = MemoryTarget::default();
        target.refuse(&path(entry), Refusal::Full);
        let ended = world.restore_to(&target, Selection::Everything);
        assert!(matches!(ended, Err(EngineError::TargetFull)), "{entry}");
    }
}

#[test]
fn a_full_disk_is_noticed_at_once_and_not_tried_with_every_file() {
    let world = World::of(|files| {
        for number in 0..5_000 {
            files.write(format!("{}/{number}", number % 10), "inline");
        }
    });
    world.backup();
    let target = MemoryTarget::with_room(Size(60));
    assert!(matches!(world.restore_to(&target, Selection::Everything), Err(EngineError::TargetFull)));
    let opened = target.parts_opened();
    assert!(opened < 600, "{opened} files were begun on a full disk");
}

#[test]
fn what_may_not_be_written_is_reported_and_leaves_no_part() {
    let world = world();
    let target = MemoryTarget::default();
    let denied = ["docs/letter", "docs/small", "media/empty", "media/film"];
    for entry in denied {
        target.refuse(&path(entry), Refusal::Denied);
    }
    let expected = denied.map(|entry| (entry, "target_denied"));
    assert_eq!(restore_all(&world, &target).problems(), problems(&expected));
    assert_eq!(target.parts(), []);
    assert_rest_restored(&world, &target, &denied);
}

#[test]
fn a_file_that_cannot_be_written_is_one_problem_and_leaves_no_part() {
    for world in [world(), threaded_world()] {
        let target = MemoryTarget::default();
        let failing = ["docs/letter", "docs/small", "media/film"];
        for entry in failing {
            target.fail_writes(&path(entry));
        }
        let expected = failing.map(|entry| (entry, "target_failed"));
        assert_eq!(restore_all(&world, &target).problems(), problems(&expected));
        assert_eq!(target.parts(), []);
        assert_rest_restored(&world, &target, &failing);
    }
}

#[test]
fn metadata_that_cannot_be_set_is_reported_and_the_entry_stays() {
    let world = world();
    let target = MemoryTarget::default();
    let undressed = ["docs/letter", "docs/small", "media", "media/film"];
    for entry in undressed {
        target.leave_undressed(&path(entry));
    }
    let expected = undressed.map(|entry| (entry, "target_unsupported"));
    assert_eq!(restore_all(&world, &target).problems(), problems(&expected));
    compare::assert_restored(&world.source.files(), &target);
}

#[test]
fn what_is_in_the_way_of_a_folder_stays_and_is_one_problem() {
    let world = World::of(|files| files.write("docs", "a file of that name"));
    world.backup();
    let target = world.restore();
    world.edit(|files| {
        files.remove("docs");
        files.write("docs/letter", "dear");
        files.write("other", "text");
    });
    world.backup();
    assert_eq!(restore_all(&world, &target).problems(), problems(&[("docs", "target_in_the_way")]));
    assert!(target.get(&path("other")).is_some());
}

#[test]
fn answers_that_do_not_fit_the_question_end_the_run() {
    let world = world();
    world.server.state().faults.answers_short = true;
    world.edit(|files| files.write("new", noise(9, 1_000)));
    let error = world.try_backup().err().expect("one answer is missing");
    assert!(matches!(error, EngineError::Answer { step: "dedupe" }), "{error:?}");
    let error = world.restore_to(&MemoryTarget::default(), Selection::Everything).err().expect("the same");
    assert!(matches!(error, EngineError::Answer { step: "locate" }), "{error:?}");
}

#[test]
fn chunks_under_the_wrong_names_are_not_written() {
    let world = World::of(|files| {
        for number in 0..40 {
            files.write(format!("{number}"), noise(number, 2_000));
        }
    });
    world.backup();
    let target = MemoryTarget::default();
    // The root tree is asked for alone, so that the next chunk of the request does not exist.
    world.server.state().faults.mixes_up = true;
    let error = world.restore_to(&target, Selection::Everything).err().expect("there is no such place in the request");
    assert!(matches!(error, EngineError::Answer { step: "fetch" }), "{error:?}");
    assert!(target.walk().is_empty());
}

#[test]
fn a_linked_file_that_is_lost_is_reported_under_each_of_its_names() {
    let world = world();
    world.edit(|files| files.link("media/film", "media/twin"));
    world.backup();
    world.server.lose(&world.chunks("media/film")[1]);
    let target = MemoryTarget::default();
    let lost: Vec<String> = restore_all(&world, &target).problems().into_iter().map(|(path, _)| path).collect();
    assert_eq!(lost, ["media/film", "media/twin"]);
    assert_rest_restored(&world, &target, &["media/film", "media/twin"]);
}

#[test]
fn a_folder_that_may_not_be_made_is_one_problem() {
    let world = world();
    let target = MemoryTarget::default();
    target.refuse(&path("docs"), Refusal::Denied);
    assert_eq!(restore_all(&world, &target).problems(), problems(&[("docs", "target_denied")]));
    assert_rest_restored(&world, &target, &["docs"]);
}
