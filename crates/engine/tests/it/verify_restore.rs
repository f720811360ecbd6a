//! A snapshot beside the files: what differs is named, and nothing of their content is fetched.

use crate::world::content::{Content, Segment, noise};
use crate::world::files::{Body, Files, path};
use crate::world::server::Verb;
use crate::world::source::{ALWAYS, Op, Refusal};
use crate::world::{Compared, World};
use engine::compare::Counts;
use engine::restore::Selection;
use format::ChunkKind;

fn world() -> World {
    World::of(|files| {
        files.write("home/inline", "a few bytes");
        files.write("home/empty", "");
        files.write("home/plain", noise(1, 100_000));
        files.write("home/large", noise(2, 9_000_000));
        let segments = [Segment::Data(noise(3, 70_000)), Segment::Hole(5 << 30), Segment::Data(noise(4, 70_000))];
        files.put("home/sparse", Content::sparse(segments));
        files.symlink("home/link", "inline");
        files.special("home/pipe", Body::Fifo);
        files.special("home/null", Body::CharDevice(1, 3));
        files.write("home/deep/er/file", noise(5, 2_000));
        files.write("home/first", noise(6, 50_000));
        files.link("home/first", "home/second");
        files.set_xattr("home/plain", "user.note", b"1");
    })
}

fn everything(world: &World) -> Compared {
    world.compare(Selection::Everything, true, false).expect("nothing is in the way")
}

/// Each difference as a path with the words of what differs.
fn differences(compared: &Compared) -> Vec<(String, Vec<&'static str>)> {
    let listed = compared.outcome.differences.iter();
    listed.map(|one| (one.path.to_string(), one.what.iter().map(|aspect| aspect.word()).collect())).collect()
}

#[test]
fn unchanged_files_are_as_in_the_snapshot_and_only_trees_are_fetched() {
    for world in [world(), World::with_threads()] {
        world.edit(|files| files.write("home/one more", noise(7, 3_000)));
        world.backup();
        let compared = everything(&world);
        assert_eq!(differences(&compared), []);
        assert_eq!(compared.outcome.problems, []);
        let manifest = world.manifest();
        let Counts { entries, files, bytes, missing, different, extra } = compared.outcome.counts;
        assert_eq!((entries, files), (manifest.totals.entries.0, manifest.totals.files.0));
        // A further name of a file is the file, which was compared.
        let further = if world.find_entry("home/second").is_some() { 50_000 } else { 0 };
        assert_eq!((bytes, missing, different, extra), (manifest.totals.bytes.0 - further, 0, 0, 0));
        assert!(compared.traffic.fetched.iter().all(|(kind, _)| *kind != ChunkKind::Content));
        assert!(compared.traffic.calls.iter().all(|call| matches!(call, Verb::Fetch | Verb::Parcel)));
        let mut opened = compared.source.opens.clone();
        opened.sort();
        opened.dedup();
        assert_eq!(opened.len(), compared.source.opens.len(), "each file is read once");
        assert!(compared.source.bytes_read < 10_000_000, "holes are not read: {}", compared.source.bytes_read);
    }
}

#[test]
fn what_differs_is_named() {
    type Edit = fn(&mut Files);
    let cases: [(Edit, &str, &[&str]); 14] = [
        (|files| files.write_unseen("home/inline", "another one"), "home/inline", &["content"]),
        (|files| files.write_unseen("home/plain", noise(9, 100_000)), "home/plain", &["content"]),
        (|files| files.write("home/empty", "x"), "home/empty", &["size", "mtime"]),
        (|files| files.chmod("home/plain", 0o600), "home/plain", &["mode"]),
        (|files| files.chown("home/plain", 7, 100), "home/plain", &["user"]),
        (|files| files.chown("home/plain", 1_000, 7), "home/plain", &["group"]),
        (|files| files.touch("home/plain", 1, 2), "home/plain", &["mtime"]),
        (|files| files.set_xattr("home/plain", "user.more", b"2"), "home/plain", &["xattrs"]),
        (|files| files.set_xattr("home/deep", "user.more", b"2"), "home/deep", &["xattrs"]),
        (
            |files| replace(files, "home/link", |files| files.symlink("home/link", "else")),
            "home/link",
            &["link_target"],
        ),
        (
            |files| replace(files, "home/null", |files| files.special("home/null", Body::CharDevice(1, 5))),
            "home/null",
            &["numbers"],
        ),
        (|files| replace(files, "home/pipe", |files| files.write("home/pipe", "")), "home/pipe", &["kind"]),
        (
            |files| replace(files, "home/second", |files| files.write("home/second", noise(6, 50_000))),
            "home/second",
            &["hard_link"],
        ),
        (|files| replace(files, "home/inline", |_| {}), "home/inline", &["missing"]),
    ];
    for (edit, at, what) in cases {
        let world = world();
        world.backup();
        world.edit(edit);
        let compared = everything(&world);
        assert_eq!(differences(&compared), [(at.to_owned(), what.to_vec())]);
        let Counts { missing, different, .. } = compared.outcome.counts;
        assert_eq!((missing, different), if what == ["missing"] { (1, 0) } else { (0, 1) }, "{at}");
    }
}

/// Takes an entry away and puts another one in its place, without a trace in the times.
fn replace(files: &mut Files, at: &str, put: impl FnOnce(&mut Files)) {
    let above = path(at).parent().expect("it is below a folder");
    let time = |files: &Files, at: &format::StoredPath| files.get(at).map(|inode| inode.mtime);
    let (before, own) = (time(files, &above).expect("it is there"), time(files, &path(at)).expect("it is there"));
    files.remove(at);
    put(files);
    if time(files, &path(at)).is_some() {
        files.touch(at, own.seconds, own.nanos);
    }
    files.touch(above.as_bytes(), before.seconds, before.nanos);
}

#[test]
fn zeroes_are_a_hole_and_nothing_else_in_its_place_is() {
    let bytes = noise(1, 70_000);
    let world = World::of(|files| {
        let segments = [Segment::Data(bytes.clone()), Segment::Hole(9_000_000), Segment::Data(bytes.clone())];
        files.put("holey", Content::sparse(segments));
    });
    world.backup();
    let mut written = [&bytes[..], &vec![0; 9_000_000], &bytes[..]].concat();
    let write = |bytes: &[u8]| {
        world.edit(|files| {
            let before = files.get(&path("holey")).expect("it is there").mtime;
            files.write("holey", bytes.to_vec());
            files.touch("holey", before.seconds, before.nanos);
        });
    };
    write(&written);
    assert_eq!(differences(&everything(&world)), []);
    written[5_000_000] = 1;
    write(&written);
    assert_eq!(differences(&everything(&world)), [("holey".to_owned(), vec!["content"])]);
}

#[test]
fn files_that_are_one_only_here_are_told() {
    let world = World::of(|files| {
        files.write("one", noise(1, 2_000));
        files.write("two", noise(1, 2_000));
        files.touch("one", 5, 0);
        files.touch("two", 5, 0);
    });
    world.backup();
    world.edit(|files| {
        files.remove("two");
        files.link("one", "two");
    });
    assert_eq!(differences(&everything(&world)), [("two".to_owned(), vec!["hard_link"])]);
}

#[test]
fn a_folder_that_is_missing_is_one_difference_and_all_beneath_it_is_counted() {
    let world = world();
    world.backup();
    world.edit(|files| replace(files, "home/deep", |_| {}));
    let compared = everything(&world);
    assert_eq!(differences(&compared), [("home/deep".to_owned(), vec!["missing"])]);
    assert_eq!(compared.outcome.counts.missing, 3, "the folder, one in it, and a file");
    assert_eq!(compared.outcome.counts.entries, world.manifest().totals.entries.0);
    // A link in the place of the folder hides what is behind it.
    world.edit(|files| files.symlink("home/deep", "/elsewhere"));
    let compared = everything(&world);
    assert!(differences(&compared).contains(&("home/deep".to_owned(), vec!["kind"])));
}

#[test]
fn extra_entries_are_counted_only_when_that_is_asked_for() {
    let world = world();
    world.backup();
    world.edit(|files| {
        let before = files.get(&path("home")).expect("it is there").mtime;
        files.write("home/extra/one", "1");
        files.write("home/more", "2");
        files.touch("home", before.seconds, before.nanos);
    });
    for (counts_extra, extra) in [(false, 0), (true, 2)] {
        let compared = world.compare(Selection::Everything, true, counts_extra).expect("nothing is in the way");
        assert_eq!((differences(&compared), compared.outcome.counts.extra), (vec![], extra));
    }
}

#[test]
fn a_selection_is_looked_for_where_it_was_or_by_its_last_names() {
    let world = world();
    world.backup();
    world.edit(|files| files.chmod("home/large", 0o600));
    let selected = |paths: &[&str]| Selection::Paths(paths.iter().map(path).collect());
    let compared = world.compare(selected(&["home/deep", "home/plain"]), true, true).expect("they are there");
    assert_eq!((differences(&compared), compared.outcome.counts.entries), (vec![], 4));
    assert_eq!(compared.outcome.counts.extra, 0, "what is beside the selection is not looked at");
    let compared = world.compare(selected(&["home/plain", "home/large"]), true, false).expect("they are there");
    assert_eq!(differences(&compared), [("home/large".to_owned(), vec!["mode"])]);
    let landed = || world.compare(selected(&["home/deep"]), false, false).expect("it is in the snapshot");
    assert_eq!(differences(&landed()), [("deep".to_owned(), vec!["missing"])]);
    world.edit(|files| {
        files.rename("home/deep", "deep");
    });
    assert_eq!(differences(&landed()), []);
    let error = world.compare(selected(&["home/nothing"]), true, false).err().expect("no such entry");
    assert_eq!(error.code(), "path_not_in_snapshot");
}

#[test]
fn what_cannot_be_read_here_or_at_the_server_is_a_problem_and_the_rest_is_compared() {
    let world = world();
    world.backup();
    world.source.refuse(Op::Open, &path("home/plain"), ALWAYS, Refusal::Denied);
    world.source.refuse(Op::List, &path("home/deep/er"), ALWAYS, Refusal::Io);
    world.edit(|files| files.chmod("home/large", 0o600));
    let compared = everything(&world);
    let problems: Vec<_> =
        compared.outcome.problems.iter().map(|problem| (problem.path.to_string(), problem.code)).collect();
    let expected = [("home/deep/er", "entry_unreadable"), ("home/plain", "entry_denied")];
    assert_eq!(problems, expected.map(|(path, code)| (path.to_owned(), code)));
    assert_eq!(compared.progress.problems, 2);
    assert_eq!(differences(&compared), [("home/large".to_owned(), vec!["mode"])]);
    world.source.drop_rules();
    world.server.lose(&world.tree_of("home/deep"));
    let compared = everything(&world);
    let problems: Vec<_> = compared.outcome.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(problems, ["tree_missing"]);
    assert_eq!(differences(&compared), [("home/large".to_owned(), vec!["mode"])]);
}
