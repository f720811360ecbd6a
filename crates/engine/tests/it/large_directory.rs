//! Directories that do not fit one tree: cut into pages, of which a change touches one.

use crate::world::content::noise;
use crate::world::files::{Body, path};
use crate::world::target::MemoryTarget;
use crate::world::{World, compare, problems};
use engine::restore::Selection;
use format::{ChunkKind, StoredPath, Tree, TreeBody};

/// The pages of a directory, by the names of their first entries.
fn pages(world: &World, at: &str) -> Vec<Vec<u8>> {
    let tree = world.tree_of(at);
    let plain = world.server.state().chunks[&tree].plain.clone();
    match Tree::decode(&plain).expect("the server has parsed it").body {
        TreeBody::Leaf(_) => Vec::new(),
        TreeBody::Fan(pages) => pages.into_iter().map(|page| page.first).collect(),
    }
}

#[test]
fn sixty_thousand_entries_are_pages_and_one_more_changes_one() {
    let world = World::of(|files| {
        for number in 0..60_000 {
            match number % 5_000 {
                7 => files.write(format!("big/{number:06}"), noise(number, 700)),
                8 => files.write(format!("big/{number:06}/inside"), "a folder among them"),
                _ => files.special(format!("big/{number:06}"), Body::Fifo),
            }
        }
    });
    let first = world.assert_round_trip();
    world.source.show_by(4_096);
    let by_the_piece = world.backup();
    assert_eq!(by_the_piece.outcome.root, first.outcome.root);
    assert_eq!((by_the_piece.source.opens.len(), by_the_piece.traffic.packs.len()), (0, 0));
    assert_eq!(first.outcome.totals.entries.0, 60_000 + 12 + 1);
    assert!(pages(&world, "big").len() > 5, "{} pages", pages(&world, "big").len());

    let unchanged = world.backup();
    assert_eq!((unchanged.source.opens.len(), unchanged.traffic.packs.len()), (0, 0));
    assert_eq!(unchanged.outcome.root, first.outcome.root);

    world.edit(|files| files.special("big/030000-and-a-half", Body::Fifo));
    let added = world.backup();
    assert_eq!(added.source.opens, []);
    assert_eq!(added.traffic.of(ChunkKind::Tree).0, 3, "the page, the fan, and the root");

    world.edit(|files| files.remove("big/045000"));
    let removed = world.assert_round_trip();
    assert_eq!(removed.traffic.of(ChunkKind::Tree).0, 3);
}

#[test]
fn a_few_entries_with_much_metadata_are_pages_too() {
    let world = World::of(|files| {
        for number in 0..40 {
            files.special(format!("heavy/{number:02}"), Body::Fifo);
            files.set_xattr(format!("heavy/{number:02}"), "user.much", noise(number, 500_000));
        }
        files.special("single/one", Body::Fifo);
        files.set_xattr("single/one", "user.limit", vec![7; (1 << 20) - 10]);
    });
    let first = world.assert_round_trip();
    assert!(pages(&world, "heavy").len() >= 10, "{} pages", pages(&world, "heavy").len());
    assert_eq!(pages(&world, "single"), Vec::<Vec<u8>>::new(), "one entry is one leaf, however heavy");
    assert!(first.traffic.uploaded.iter().all(|(.., len)| *len < 5 << 20));
    let second = world.backup();
    assert_eq!((second.traffic.packs.len(), second.outcome.root), (0, first.outcome.root));
}

#[test]
fn an_entry_more_among_heavy_ones_leaves_most_pages_alone() {
    let world = World::of(|files| {
        for number in 0..400_u64 {
            files.special(format!("heavy/{number:03}"), Body::Fifo);
            files.set_xattr(format!("heavy/{number:03}"), "user.much", noise(number, 40_000));
        }
    });
    world.assert_round_trip();
    let before = pages(&world, "heavy").len();
    world.edit(|files| {
        files.special("heavy/010-and-a-half", Body::Fifo);
        files.set_xattr("heavy/010-and-a-half", "user.much", noise(1_000, 40_000));
    });
    let second = world.assert_round_trip();
    let changed = second.traffic.of(ChunkKind::Tree).0 - 2;
    assert!(before >= 20 && changed <= before / 4, "{changed} of {before} pages");
}

#[test]
fn a_directory_can_be_saved_whatever_the_number_and_weight_of_its_entries() {
    let world = World::of(|files| {
        for count in [63, 64, 65, 66, 68, 70, 75, 80, 90, 100, 130, 200, 257, 400, 1_000] {
            for len in [1, 190, 250, 512] {
                for number in 0..count {
                    files.write(format!("{count} of {len}/{number} {count} {len}"), vec![b'x'; len]);
                }
            }
        }
    });
    world.assert_round_trip();
}

#[test]
fn a_large_directory_is_compared_page_by_page() {
    let world = World::of(|files| {
        for number in 0..20_000 {
            files.write(format!("big/{number:06}"), format!("{number}"));
        }
    });
    world.backup();
    world.edit(|files| {
        for gone in ["big/000000", "big/012345", "big/019999"] {
            files.remove(gone);
        }
        for more in ["big/!", "big/000000!", "big/0123456", "big/x", "big/y"] {
            files.write(more, "more");
        }
        files.chmod("big/015000", 0o600);
    });
    // Windows of the listing that end anywhere, and where nothing is to be looked for, or all of it is gone.
    for window in [0, 1, 7, 4_096, 30_000] {
        world.source.show_by(window);
        let compared = world.compare(Selection::Everything, true, true).expect("nothing is in the way");
        let differences: Vec<_> = compared.outcome.differences.iter().map(|found| found.path.to_string()).collect();
        let expected = ["big", "big/000000", "big/012345", "big/015000", "big/019999"];
        assert_eq!(differences, expected, "by {window}; the time of the folder is another too");
        let counts = compared.outcome.counts;
        assert_eq!((counts.entries, counts.missing, counts.different, counts.extra), (20_001, 3, 2, 5), "by {window}");
    }
}

#[test]
fn a_page_that_is_lost_costs_what_is_in_it_and_no_other() {
    let mut world = World::of(|files| {
        for number in 0..20_000 {
            files.write(format!("big/{number:06}"), format!("{number}"));
        }
    });
    world.backup();
    let tree = world.tree_of("big");
    let plain = world.server.state().chunks.clone();
    let TreeBody::Fan(pages) = Tree::decode(&plain[&tree].plain).expect("a tree").body else { panic!("it is cut") };
    let lost = &pages[3];
    let TreeBody::Leaf(entries) = Tree::decode(&plain[&lost.tree].plain).expect("a tree").body else {
        panic!("a page")
    };
    world.cache.kept().remove(&lost.tree);
    world.reads_parent = false;
    let second = world.assert_round_trip();
    assert_eq!(second.source.opens.len(), entries.len(), "only what stood in it is read again");
    world.reads_parent = true;

    world.server.lose(&lost.tree);
    world.cache.kept().remove(&lost.tree);
    let target = MemoryTarget::default();
    let restore = world.restore_to(&target, Selection::Everything).expect("what is lost does not end the restore");
    assert_eq!(restore.problems(), problems(&[("big", "tree_missing")]));
    let is_lost = |at: &StoredPath| entries.iter().any(|entry| at.name() == Some(&entry.name[..]));
    compare::assert_restored_where(&world.source.files(), &target, |at| !is_lost(at));

    world.edit(|files| files.write("big/more", "here alone"));
    let compared = world.compare(Selection::Everything, true, true).expect("what is lost does not end it");
    let problem = compared.outcome.problems.first().map(|problem| (problem.path.to_string(), problem.code));
    assert_eq!((problem, compared.progress.problems), (Some(("big".to_owned(), "tree_missing")), 1));
    let differences: Vec<_> = compared.outcome.differences.iter().map(|found| found.path.to_string()).collect();
    assert_eq!(differences, ["big"], "its time");
    let counts = compared.outcome.counts;
    assert_eq!((counts.entries, counts.extra), (20_001 - entries.len() as u64, 0), "nobody knows what else was there");
    let one = |name: &str| world.compare(Selection::Paths(vec![path(format!("big/{name}"))]), true, false);
    assert_eq!(one("000000").expect("its page is there").outcome.counts.entries, 1);
    assert_eq!(one("not there").err().expect("no page has it").code(), "path_not_in_snapshot");
    let of_another_page = Selection::Paths(vec![path("big/000000")]);
    let restored = world.restore_to(&MemoryTarget::default(), of_another_page).expect("its page is there");
    assert_eq!(restored.problems(), problems(&[]));
    let lost_name = std::str::from_utf8(&entries[0].name).expect("it is a number");
    assert_eq!(one(lost_name).err().expect("it may have been there").code(), "tree_missing");
    world.edit(|files| files.remove("big/more"));

    world.edit(|files| entries.iter().for_each(|entry| files.remove([b"big/", &entry.name[..]].concat())));
    let third = world.assert_round_trip();
    assert_eq!(third.outcome.totals.files.0 as usize, 20_000 - entries.len(), "what it held is not taken over");
}
