//! A run that a change journal helps: what it says has changed is looked at, and nothing else is. The journal is that
//! of the model file system, which notes directories as fanotify does. Refuses to trust it further than it goes.

use crate::world::files::path;
use crate::world::server::{Broken, Verb};
use crate::world::source::{ALWAYS, Op, Refusal};
use crate::world::{Backup, World, compare, problems};
use format::ChunkKind;

/// A hundred folders of ten files, and one of a thousand folders.
fn world() -> World {
    let mut world = World::of(|files| {
        for folder in 0..100 {
            for file in 0..10 {
                files.write(format!("home/{folder}/deep/{file}"), format!("{folder} {file}"));
            }
        }
        for folder in 0..1_000 {
            files.write(format!("many/{folder}/file"), format!("{folder}"));
        }
    });
    world.uses_journal = true;
    world
}

/// Directories listed beyond the folder that was chosen, which is always looked at; files opened.
fn looked_at(backup: &Backup) -> (u64, Vec<String>) {
    (backup.source.lists - 1, backup.source.opens.iter().map(ToString::to_string).collect())
}

#[test]
fn nothing_is_looked_at_where_nothing_has_changed() {
    let world = world();
    let first = world.backup();
    let second = world.backup();
    assert_eq!(looked_at(&second), (0, Vec::new()));
    assert_eq!(second.traffic.calls, [Verb::Commit]);
    assert_eq!((second.outcome.root, second.outcome.totals), (first.outcome.root, first.outcome.totals));
    assert_eq!(second.progress.files_seen, first.progress.files_seen);
    assert_eq!(second.progress.bytes_seen, first.progress.bytes_seen);
}

#[test]
fn a_change_costs_its_folder_and_the_way_to_it() {
    let world = world();
    world.backup();
    world.edit(|files| files.write("home/7/deep/3", "another"));
    let second = world.assert_round_trip();
    assert_eq!(looked_at(&second), (1, vec!["home/7/deep/3".to_owned()]), "the way is not listed");
    assert_eq!(second.traffic.of(ChunkKind::Tree).0, 4);
    world.edit(|files| {
        files.remove("home/8/deep");
        files.write("home/9/new/file", "new");
        files.chmod("many/77", 0o700);
        files.remove("many/78");
    });
    let third = world.assert_round_trip();
    assert_eq!(looked_at(&third).1, ["home/9/new/file"]);
    assert_eq!(third.source.lists - 1, 5, "home/8, home/9, home/9/new, many, many/77");
    assert_eq!(world.backup().source.lists - 1, 0);
}

#[test]
fn a_change_that_the_journal_missed_is_found_where_a_directory_on_the_way_shows_it() {
    let mut world = world();
    world.backup();
    world.edit(|files| {
        files.write("home/7/deep/3", "another");
        files.write("home/7/new", "new");
        files.miss("home/7");
    });
    let second = world.assert_round_trip();
    assert_eq!(looked_at(&second), (2, vec!["home/7/deep/3".to_owned(), "home/7/new".to_owned()]));
    world.uses_journal = false;
    assert_eq!(world.backup().outcome.root, second.outcome.root);
}

#[test]
fn a_folder_in_the_place_of_another_is_walked() {
    let world = world();
    world.backup();
    world.edit(|files| {
        files.rename("home/1", "home/old");
        files.rename("home/2", "home/1");
    });
    let second = world.assert_round_trip();
    assert_eq!(second.source.opens.len(), 20, "what has another path is read");
    assert_eq!(second.traffic.of(ChunkKind::Content).0, 0);
    assert_eq!(world.backup().source.lists - 1, 0);
}

#[test]
fn a_folder_that_moved_away_and_changed_there_is_seen_there() {
    let world = world();
    world.backup();
    world.edit(|files| {
        files.rename("home/5/deep", "many/1/deep");
        files.write("many/1/deep/3", "changed there");
        files.rename("many/1/deep", "home/5/deep");
    });
    let second = world.assert_round_trip();
    assert_eq!(looked_at(&second).1, ["home/5/deep/3"]);
}

#[test]
fn a_name_more_or_less_of_a_file_with_several_is_seen_under_the_others() {
    for deed in ["rename", "remove", "link"] {
        let world = world();
        world.edit(|files| files.link("home/1/deep/1", "home/2/deep/twin"));
        world.backup();
        // The time of the entry in home/1 changes with it, and nothing in home/1 is noted.
        world.edit(|files| match deed {
            "rename" => files.rename("home/2/deep/twin", "home/3/deep/twin"),
            "remove" => files.remove("home/2/deep/twin"),
            _ => files.link("home/2/deep/twin", "home/3/deep/twin"),
        });
        world.assert_round_trip();
    }
}

#[test]
fn a_change_during_a_run_is_seen_by_the_next() {
    let world = world();
    world.backup();
    world.edit(|files| files.write("home/7/deep/3", "before"));
    let late = |files: &mut crate::world::files::Files| files.write("home/7/deep/4", "while it ran");
    world.source.change((crate::world::source::When::After, Op::Open), &path("home/7/deep/3"), 1..=1, late);
    world.backup();
    world.source.drop_rules();
    let third = world.assert_round_trip();
    assert_eq!(looked_at(&third), (1, vec!["home/7/deep/4".to_owned()]));
}

#[test]
fn a_run_that_failed_loses_no_change() {
    let world = world();
    world.backup();
    world.edit(|files| files.write("home/7/deep/3", "changed"));
    world.server.break_at(1, Broken::Before);
    assert!(world.try_backup().is_err(), "the server does not answer");
    world.server.clear_faults();
    let third = world.assert_round_trip();
    assert_eq!(looked_at(&third).1, ["home/7/deep/3"]);
}

#[test]
fn a_lost_cache_costs_trees_beside_the_way_and_no_walk() {
    let world = world();
    world.backup();
    world.cache.empty();
    world.edit(|files| files.write("home/7/deep/3", "another"));
    let second = world.assert_round_trip();
    assert_eq!(looked_at(&second), (1, vec!["home/7/deep/3".to_owned()]));
    assert!(second.traffic.fetched.iter().all(|(kind, _)| *kind == ChunkKind::Tree));
    let third = world.backup();
    assert_eq!((third.traffic.fetched.len(), third.source.lists - 1), (0, 0));
}

#[test]
fn what_nobody_knows_any_more_is_walked() {
    let mut world = world();
    world.backup();
    world.cache.empty();
    world.reads_parent = false;
    let second = world.assert_round_trip();
    assert_eq!(second.source.opens.len(), 2_000, "without trees there is nothing to go on from");
}

#[test]
fn a_folder_that_is_gone_though_no_change_was_noted_is_left_out() {
    let world = world();
    world.backup();
    world.edit(|files| files.write("home/7/deep/3", "another"));
    world.source.refuse(Op::Look, &path("home/7"), ALWAYS, Refusal::Gone);
    let gone = world.backup();
    assert_eq!((gone.problems(), world.find_entry("home/7")), (problems(&[]), None));
    world.source.drop_rules();
    world.edit(|files| files.chmod("home", 0o700));
    world.backup();
    compare::assert_restored(&world.source.files(), &world.restore());
}
