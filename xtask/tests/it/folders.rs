//! Folders that are not there, and entries that may not be read.

use crate::world::programs::programs;
use crate::world::{Device, World};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

/// Nobody, on every system.
const NOBODY: u32 = 65_534;

fn shown(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn one_of_two_folders_that_vanishes_is_a_problem_and_the_other_is_saved() {
    let world = World::start();
    world.write("file", "content");
    let second = world.place().join("second");
    fs::create_dir(&second).expect("writable");
    fs::write(second.join("file"), "content of the second").expect("writable");
    let device = world.activated("laptop");
    let source = world.source();
    let ca = world.data().join("ca.pem");
    let both = ["--ca".as_ref(), ca.as_os_str(), "--folder".as_ref(), source.as_ref(), "--folder".as_ref()];
    device.activate_with(&[&both[..], &[second.as_ref()]].concat()).done();
    let whole = device.backup().done();

    let aside = world.place().join("aside");
    fs::rename(&second, &aside).expect("the same disk");
    world.write("later", "more content");
    let answer = device.backup();
    assert_eq!(answer.problems(), [(shown(&second), "entry_gone".to_owned())]);
    device.assert_restores();
    let to = device.fresh();
    let snapshot = whole["snapshot"].as_str().expect("a snapshot has a name");
    let words = [OsStr::new("restore"), snapshot.as_ref(), second.as_ref(), "--to".as_ref(), to.as_ref()];
    device.ask(words).done();
    crate::world::compare::trees(&aside, &to.join("second")).expect("what was saved before is still there");

    fs::rename(&aside, &second).expect("the same disk");
    device.assert_good_backup();
}

#[test]
fn the_only_folder_that_vanishes_ends_the_backup_and_keeps_the_snapshots() {
    let world = World::start();
    world.write("file", "content");
    let device = world.activated("laptop");
    let first = device.backup().done();
    let aside = world.place().join("aside");
    fs::rename(world.source(), &aside).expect("the same disk");
    let sentence = device.backup().error(1, "nothing_to_read");
    assert!(sentence.contains("source"), "which folder: {sentence}");
    let listed = device.ask(["snapshots"]).done();
    assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(1), "no empty snapshot takes its place");
    assert_eq!(listed["snapshots"][0]["snapshot"], first["snapshot"]);

    fs::rename(&aside, world.source()).expect("the same disk");
    device.assert_good_backup();
}

#[test]
fn a_folder_that_never_was_is_refused_by_its_name() {
    let world = World::start();
    world.write("file", "content");
    let device = world.activated("laptop");
    let missing = world.place().join("missing");
    let answer = device.ask([OsStr::new("backup"), missing.as_ref()]);
    let sentence = answer.error(1, "nothing_to_read");
    assert!(sentence.contains("/missing: it is not there"), "{sentence}");
    device.assert_good_backup();
}

#[test]
fn what_may_not_be_read_is_a_problem_and_everything_else_is_saved() {
    let world = World::start();
    world.write("file", "content");
    world.write("secret", "not for everybody");
    world.write("closed/file", "content behind a door");
    let Some(device) = of_nobody(&world) else { return };
    let closed = [world.source().join("closed"), world.source().join("secret")];
    for path in &closed {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("ours");
    }
    device.activate().done();
    let mut problems = device.backup().problems();
    problems.sort();
    assert_eq!(problems, closed.each_ref().map(|path| (shown(path), "entry_denied".to_owned())));
    let (answer, restored) = device.restore();
    assert!(answer.exit == Some(0) || answer.exit == Some(3), "{}", answer.json);
    assert_eq!(fs::read(restored.join("file")).expect("it was saved"), b"content");

    for path in &closed {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
    }
    device.assert_good_backup();
    fs::set_permissions(&closed[1], fs::Permissions::from_mode(0o000)).expect("ours");
    assert_eq!(device.backup().problems(), [(shown(&closed[1]), "entry_denied".to_owned())]);
}

#[test]
fn the_only_folder_that_may_not_be_read_ends_the_backup() {
    let world = World::start();
    world.write("file", "content");
    let Some(device) = of_nobody(&world) else { return };
    device.activate().done();
    let first = device.backup().done();
    fs::set_permissions(world.source(), fs::Permissions::from_mode(0o000)).expect("ours");
    device.backup().error(1, "nothing_to_read");
    fs::set_permissions(world.source(), fs::Permissions::from_mode(0o755)).expect("ours");
    let second = device.assert_good_backup();
    assert_eq!(second["parent"], first["snapshot"]);
}

/// A device whose endpoint runs without root's rights, owner of `source` and of everything that it needs.
fn of_nobody(world: &World) -> Option<Device<'_>> {
    let mut device = world.device("nobody");
    if !rustix::process::geteuid().is_root() {
        return Some(device);
    }
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let probe = std::process::Command::new(words[0]).args(&words[1..]).arg("true").status();
    if !probe.is_ok_and(|ended| ended.success()) {
        println!("skipped: root may read everything, and setpriv does not work here");
        return None;
    }
    device.before = words.map(str::to_owned).into();
    // Where the programs lie may be closed to others.
    let endpoint = world.place().join("holdfast");
    fs::copy(&programs().endpoint, &endpoint).expect("writable");
    device.program = endpoint;
    device.state = world.place().join("of-nobody").join("state");
    fs::create_dir(world.place().join("of-nobody")).expect("writable");
    for path in [world.place().to_owned(), world.place().join("of-nobody"), world.password()] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    for entry in walkdir::WalkDir::new(world.source()) {
        chown(entry.expect("readable").path(), Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    let ca = world.data().join("ca.pem");
    let copy = world.place().join("ca.pem");
    fs::copy(ca, &copy).expect("readable");
    chown(&copy, Some(NOBODY), Some(NOBODY)).expect("root may");
    device.ca = copy;
    Some(device)
}
