//! The second run: opens what changed and nothing else, reads its bytes and no others, sends what is new.

use crate::world::content::noise;
use crate::world::files::path;
use crate::world::server::Verb;
use crate::world::source::{Op, When};
use crate::world::target::MemoryTarget;
use crate::world::{Backup, World, compare};
use engine::restore::Selection;
use format::{ChunkKind, StoredPath};

/// Folders, files of all sizes, links: three trees below the root.
fn small_world() -> World {
    World::of(|files| {
        files.write("docs/letter", "dear reader");
        files.write("docs/deep/notes", noise(1, 2_000));
        files.write("docs/deep/photo", noise(2, 400_000));
        files.write("music/song", noise(3, 5_000_000));
        files.symlink("music/latest", "song");
        files.link("docs/letter", "music/sleeve");
        files.set_xattr("docs", "user.kind", b"papers");
    })
}

fn opens(backup: &Backup) -> Vec<String> {
    backup.source.opens.iter().map(StoredPath::to_string).collect()
}

/// How many trees and how many content chunks were sent.
fn sent(backup: &Backup) -> (usize, usize) {
    (backup.traffic.of(ChunkKind::Tree).0, backup.traffic.of(ChunkKind::Content).0)
}

#[test]
fn nothing_changed_so_nothing_is_opened_read_or_sent() {
    let world = small_world();
    let first = world.backup();
    let second = world.backup();
    assert_eq!(second.source.opens, []);
    assert_eq!((second.source.reads, second.source.bytes_read), (0, 0));
    assert_eq!(second.source.details, []);
    assert_eq!(second.source.lists, 4 + 1, "every folder once, and the one that was chosen once more");
    assert_eq!(second.traffic.packs, []);
    assert_eq!(second.traffic.fetched, []);
    assert_eq!(second.traffic.calls, [Verb::Commit], "there is nothing to ask for");
    assert_eq!(second.outcome.root, first.outcome.root);
    assert_eq!(second.outcome.totals, first.outcome.totals);
    assert_eq!(second.manifest.parent, Some(first.manifest.snapshot));
    compare::assert_restored(&world.source.files(), &world.restore());
}

#[test]
fn one_changed_file_is_opened_alone() {
    let world = small_world();
    world.backup();
    world.edit(|files| files.write("docs/deep/notes", noise(9, 3_000)));
    let second = world.assert_round_trip();
    assert_eq!(opens(&second), ["docs/deep/notes"]);
    assert_eq!(second.source.bytes_read, 3_000);
    assert_eq!(second.traffic.of(ChunkKind::Content), (1, 3_000));
    assert_eq!(sent(&second), (3, 1), "its folder's tree and the two above");
    assert_eq!(second.source.details, [path("docs/deep/notes")]);
}

#[test]
fn an_append_sends_the_last_chunks_only() {
    let world = small_world();
    world.backup();
    let before = world.chunks("music/song").len();
    assert!(before > 3, "{before} chunks");
    world.edit(|files| files.write("music/song", [&noise(3, 5_000_000)[..], b"one more verse"].concat()));
    let second = world.assert_round_trip();
    assert_eq!(opens(&second), ["music/song"]);
    assert_eq!(sent(&second), (2, 1));
}

#[test]
fn new_metadata_sends_trees_and_no_content() {
    let world = small_world();
    world.backup();
    world.edit(|files| files.chmod("docs/deep/photo", 0o600));
    let of_a_file = world.assert_round_trip();
    assert_eq!(sent(&of_a_file), (3, 0));

    world.edit(|files| files.set_xattr("docs/deep", "user.new", b"1"));
    let of_a_folder = world.assert_round_trip();
    assert_eq!(opens(&of_a_folder), [""; 0]);
    assert_eq!(of_a_folder.source.details, [path("docs/deep")]);
    assert_eq!(sent(&of_a_folder), (2, 0), "the folder's own tree stays, the two above it change");

    world.edit(|files| {
        files.remove("music/latest");
        files.symlink("music/latest", "sleeve");
    });
    let of_a_link = world.assert_round_trip();
    assert_eq!((opens(&of_a_link), sent(&of_a_link)), (Vec::new(), (2, 0)));
}

#[test]
fn a_renamed_folder_is_read_again_and_nothing_of_it_is_sent() {
    let world = small_world();
    world.backup();
    world.edit(|files| files.rename("docs/deep", "music/deep"));
    let second = world.assert_round_trip();
    assert_eq!(opens(&second), ["music/deep/notes", "music/deep/photo"]);
    assert_eq!(sent(&second), (3, 0), "the root and the two folders that changed; not the one that moved");
}

#[test]
fn a_removed_entry_costs_the_trees_above_it() {
    let world = small_world();
    world.backup();
    world.edit(|files| files.remove("docs/deep"));
    let second = world.assert_round_trip();
    assert_eq!((opens(&second), sent(&second)), (Vec::new(), (2, 0)));
}

#[test]
fn an_entry_of_another_kind_under_the_same_name_is_another_entry() {
    let world = small_world();
    world.backup();
    world.edit(|files| {
        files.remove("docs/deep");
        files.write("docs/deep", "a file now");
        files.remove("docs/letter");
        files.mkdir("docs/letter/a folder now");
        files.remove("music/latest");
        files.write("music/latest", "a file now");
    });
    let second = world.assert_round_trip();
    // The file that lost one of its two names has changed too.
    assert_eq!(opens(&second), ["docs/deep", "music/latest", "music/sleeve"]);
}

#[test]
fn a_file_moved_over_another_is_read_though_size_and_time_are_the_same() {
    let world = World::of(|files| {
        files.write("file", "one");
        files.touch("file", 77, 0);
    });
    world.backup();
    world.edit(|files| {
        files.write("other", "two");
        files.touch("other", 77, 0);
        files.remove("file");
        files.rename("other", "file");
    });
    let second = world.assert_round_trip();
    assert_eq!(opens(&second), ["file"]);
}

#[test]
fn a_changed_file_with_its_old_time_put_back_is_read() {
    let world = World::of(|files| {
        files.write("file", "one");
        files.touch("file", 77, 0);
    });
    world.backup();
    world.edit(|files| {
        files.write("file", "two");
        files.touch("file", 77, 0);
    });
    assert_eq!(opens(&world.assert_round_trip()), ["file"]);
}

#[test]
fn a_lost_cache_costs_the_trees_and_no_file() {
    let world = small_world();
    let first = world.backup();
    world.cache.empty();
    let second = world.backup();
    assert_eq!(second.source.opens, []);
    assert_eq!(second.traffic.packs, []);
    assert_eq!(second.outcome.root, first.outcome.root);
    let trees = second.traffic.fetched;
    assert_eq!(trees.len(), 4, "each once");
    assert!(trees.iter().all(|(kind, _)| *kind == ChunkKind::Tree));
    let third = world.backup();
    assert_eq!(third.traffic.fetched, [], "the cache is there again");
}

#[test]
fn trees_that_the_cache_lacks_are_fetched_by_the_folder_and_not_one_by_one() {
    let world = World::of(|files| {
        for number in 0..500 {
            files.write(format!("{number}/file"), format!("{number}"));
            files.mkdir(format!("empty/{number}"));
        }
    });
    let first = world.backup();
    world.cache.empty();
    let second = world.backup();
    assert_eq!((&second.source.opens[..], second.outcome.root), (&[][..], first.outcome.root));
    assert!(second.traffic.count(Verb::Fetch) <= 6, "{} requests", second.traffic.count(Verb::Fetch));
    let trees = second.traffic.fetched;
    let refs: std::collections::HashSet<_> = trees.iter().map(|(_, chunk)| *chunk).collect();
    assert!(trees.len() >= 500 && refs.len() == trees.len(), "each tree once, however many folders have it");
    let restore = world.restore_to(&MemoryTarget::default(), Selection::Everything).expect("nothing is wrong");
    assert!(restore.traffic.count(Verb::Fetch) <= 6, "{} requests", restore.traffic.count(Verb::Fetch));
}

#[test]
fn a_tree_that_another_folder_waits_for_is_not_fetched_again() {
    let world = World::of(|files| {
        for number in 0..20 {
            files.mkdir(format!("a{number}/empty"));
            files.mkdir(format!("z{number}"));
        }
    });
    world.backup();
    world.cache.empty();
    assert_eq!(world.backup().traffic.fetched.len(), 1 + 20 + 1, "the root, the folders, and the empty tree");
}

#[test]
fn no_bit_of_a_damaged_cache_is_believed() {
    let world = World::of(|files| {
        files.write("docs/a", "inline content of a");
        files.write("docs/b", noise(1, 700));
        files.symlink("docs/c", "a");
    });
    let first = world.backup();
    let tree = world.tree_of("docs");
    let good = world.cache.kept()[&tree].clone();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        world.cache.kept().insert(tree, bad);
        let backup = world.backup();
        assert_eq!(backup.outcome.root, first.outcome.root, "bit {bit}");
        assert_eq!(backup.traffic.fetched, [(ChunkKind::Tree, tree)], "bit {bit}");
        assert_eq!((backup.source.opens.len(), backup.traffic.packs.len()), (0, 0), "bit {bit}");
        assert_eq!(world.cache.kept()[&tree], good, "bit {bit}");
    }
}

#[test]
fn a_cache_that_mixes_up_its_trees_is_not_believed() {
    let world = small_world();
    let first = world.backup();
    let (docs, music) = (world.tree_of("docs"), world.tree_of("music"));
    let swapped = world.cache.kept()[&music].clone();
    world.cache.kept().insert(docs, swapped);
    world.cache.kept().insert(music, Vec::new());
    let second = world.backup();
    assert_eq!((&second.source.opens[..], second.outcome.root), (&[][..], first.outcome.root));
}

#[test]
fn a_file_as_new_as_the_run_that_read_it_is_read_again() {
    let world = World::of(|files| files.write("file", noise(1, 1_000)));
    world.backup_at_once();
    let second = world.backup();
    assert_eq!(opens(&second), ["file"], "it could have changed again in the same moment");
    assert_eq!(sent(&second), (0, 0));
    let third = world.backup();
    assert_eq!(opens(&third), [""; 0], "by now it is old enough");
}

#[test]
fn a_change_that_a_coarse_clock_hides_is_saved_by_the_next_run() {
    let world = World::of(|files| files.write("file", noise(1, 1_000)));
    world.backup_at_once();
    world.edit(|files| files.write_unseen("file", noise(2, 1_000)));
    let second = world.assert_round_trip();
    assert_eq!((opens(&second), sent(&second)), (vec!["file".to_owned()], (1, 1)));
}

#[test]
fn a_file_that_is_newer_than_the_beginning_of_the_run_is_read_again_however_long_the_run_took() {
    let world = World::of(|files| {
        files.write("a", "first");
        files.write("docs/file", noise(1, 1_000));
        files.write("z", "last");
    });
    world.source.change((When::Before, Op::List), &path("docs"), 1..=1, |files| {
        files.write("docs/file", noise(2, 1_000));
    });
    world.source.change((When::Before, Op::Open), &path("z"), 1..=1, |files| {
        for _ in 0..1_000 {
            files.chmod("a", 0o600);
        }
    });
    world.backup();
    world.edit(|files| files.write_unseen("docs/file", noise(3, 1_000)));
    let second = world.assert_round_trip();
    assert_eq!(opens(&second), ["a", "docs/file"]);
}

#[test]
fn a_run_without_a_parent_opens_everything_and_sends_nothing_again() {
    let mut world = small_world();
    let first = world.backup();
    world.uses_parent = false;
    let second = world.backup();
    assert_eq!(second.source.opens.len(), first.source.opens.len());
    assert_eq!(second.traffic.packs, []);
    assert_eq!((second.outcome.root, second.manifest.parent), (first.outcome.root, None));
}

#[test]
fn a_parent_that_may_not_be_read_is_compared_with_the_cache_alone() {
    let mut world = small_world();
    let first = world.backup();
    world.reads_parent = false;
    let second = world.backup();
    assert_eq!((&second.source.opens[..], second.source.reads, &second.source.details[..]), (&[][..], 0, &[][..]));
    assert_eq!((&second.traffic.calls[..], second.outcome.root), (&[Verb::Commit][..], first.outcome.root));
    assert_eq!(second.manifest.parent, Some(first.manifest.snapshot));
    compare::assert_restored(&world.source.files(), &world.restore());
    world.edit(|files| files.write("docs/deep/notes", noise(9, 3_000)));
    let third = world.assert_round_trip();
    assert_eq!((opens(&third), sent(&third)), (vec!["docs/deep/notes".to_owned()], (3, 1)));
}

#[test]
fn what_the_cache_lacks_of_a_parent_that_may_not_be_read_is_read_again_and_never_asked_for() {
    let mut world = small_world();
    let first = world.backup();
    let (root, docs) = (first.outcome.root, world.tree_of("docs"));
    world.reads_parent = false;
    let of_docs = vec!["docs/deep/notes".to_owned(), "docs/deep/photo".to_owned(), "docs/letter".to_owned()];
    for is_damaged in [false, true] {
        match is_damaged {
            false => drop(world.cache.kept().remove(&docs).expect("it was kept")),
            true => world.cache.kept().get_mut(&docs).expect("it is kept again")[3] ^= 4,
        }
        let next = world.backup();
        assert_eq!((opens(&next), next.outcome.root), (of_docs.clone(), root), "damaged: {is_damaged}");
        assert_eq!((next.traffic.count(Verb::Fetch), next.traffic.packs.len()), (0, 0), "damaged: {is_damaged}");
        compare::assert_restored(&world.source.files(), &world.restore());
    }
    world.cache.empty();
    let last = world.backup();
    assert_eq!((opens(&last), last.outcome.root), (opens(&first), root), "everything, as at first");
    assert_eq!((last.traffic.count(Verb::Fetch), last.traffic.packs.len()), (0, 0));
}

#[test]
fn the_parent_may_be_of_other_folders() {
    let mut world = small_world();
    world.folders = vec![path("music")];
    world.backup();
    world.folders = vec![path("docs/deep"), path("music")];
    let second = world.backup();
    assert_eq!(opens(&second), ["docs/deep/notes", "docs/deep/photo"]);
    let wanted =
        |at: &StoredPath| at.starts_with(&path("docs/deep")) || at.starts_with(&path("music")) || *at == path("docs");
    compare::assert_restored_where(&world.source.files(), &world.restore(), wanted);
}
