//! Processes that die in the middle, and two that want the same.

use crate::world::answer::number;
use crate::world::line::Line;
use crate::world::noise::noise;
use crate::world::{ANN, BOB, Device, World};
use std::ffi::OsStr;
use std::time::Duration;

const FILES: u64 = 64;
const FILE: usize = 1 << 20;
const ALL: u64 = FILES * FILE as u64;
/// Bytes a second: so that there is a middle to meet.
const RATE: u64 = 24 << 20;

/// What is sent again where one pack is known: they are twice as large as what is taken off here, and more.
const SENT_AGAIN_MAX: u64 = ALL - (4 << 20);
/// What four uploads that are cut off have sent at most, each a pack.
const LOST_MAX: u64 = 4 * (9 << 20);

/// Whether the index names a pack: one that only lies in the store is not counted upon.
fn has_pack(world: &World) -> bool {
    let is_there = !world.packs().is_empty();
    is_there && number(&world.admin(["scrub", "--metadata-only"]).json, "packs") > 0
}

/// A line before the server.
fn slow(world: &World) -> Line {
    Line::before(world.port(), Duration::ZERO, RATE).expect("loopback has a free port")
}

fn world_with_files() -> World {
    let world = World::start();
    for number in 0..FILES {
        world.write(&format!("{}/{number}", number % 4), noise(number, FILE));
    }
    world
}

#[test]
fn an_endpoint_that_is_killed_goes_on_where_it_was_and_sends_less() {
    let world = world_with_files();
    let line = slow(&world);
    let device = Device { port: line.port, ..world.device("laptop") };
    device.activate().done();
    let mut backup = device.begin(["backup"]);
    backup.until("a pack was stored", || has_pack(&world));
    backup.kill();
    world.assert_sound();
    line.set_rate(0);
    let sent = number(&device.assert_good_backup(), "bytes_sent");
    assert!(sent < SENT_AGAIN_MAX, "{sent} bytes sent again, of {ALL}");
}

#[test]
fn a_server_that_is_killed_and_restarted_is_survived_by_the_same_backup() {
    let mut world = world_with_files();
    let line = slow(&world);
    let activate = |world: &World| Device { port: line.port, ..world.device("laptop") }.activate().done();
    activate(&world);
    let backup = {
        let device = Device { port: line.port, ..world.device("laptop") };
        let mut backup = device.begin(["backup"]);
        backup.until("a pack was stored", || !world.packs().is_empty());
        backup
    };
    world.kill_server();
    std::thread::sleep(Duration::from_millis(300));
    world.serve();
    line.set_rate(0);
    let answer = backup.wait();
    assert!(answer.number("bytes_sent") < 2 * ALL, "{}", answer.json);
    answer.done();
    let device = Device { port: line.port, ..world.device("laptop") };
    device.assert_restores();
    world.assert_sound();
    assert_eq!(number(&device.backup().done(), "files_opened"), 0);
}

#[test]
fn two_backups_of_one_state_do_not_run_side_by_side() {
    let world = world_with_files();
    let line = slow(&world);
    let device = Device { port: line.port, ..world.device("laptop") };
    device.activate().done();
    let before = line.passed().0;
    let mut first = device.begin(["backup"]);
    first.until("it sent something", || line.passed().0 > before + (1 << 20));
    device.backup().error(1, "already_running");
    line.set_rate(0);
    first.wait().done();
    assert_eq!(number(&device.assert_good_backup(), "files_opened"), 0);
}

#[test]
fn an_endpoint_that_is_asked_to_stop_says_so_and_keeps_what_was_sent() {
    let world = world_with_files();
    let line = slow(&world);
    let device = Device { port: line.port, ..world.device("laptop") };
    device.activate().done();
    let mut backup = device.begin(["backup"]);
    backup.until("a pack was stored", || has_pack(&world));
    backup.interrupt();
    backup.wait().error(1, "interrupted");
    line.set_rate(0);
    let sent = number(&device.assert_good_backup(), "bytes_sent");
    assert!(sent < SENT_AGAIN_MAX, "{sent} bytes sent again, of {ALL}");
}

#[test]
fn a_backup_over_a_late_line_that_loses_its_connections_goes_on_and_sends_little_again() {
    let world = world_with_files();
    let line = Line::before(world.port(), Duration::from_millis(50), RATE).expect("loopback has a free port");
    let device = Device { port: line.port, ..world.device("laptop") };
    device.activate().done();
    let mut backup = device.begin(["backup"]);
    let before = line.passed().0;
    backup.until("most was sent", || line.passed().0 > before + ALL / 8 * 7);
    line.lose();
    let answer = backup.wait();
    let sent = answer.number("bytes_sent");
    answer.done();
    // What was under way, on as many connections as there are uploads at most, and nothing else.
    assert!(sent > ALL && sent < ALL + LOST_MAX, "{sent} bytes sent, of {ALL}");
    line.set_rate(0);
    assert_eq!(number(&device.assert_good_backup(), "files_opened"), 0);
}

#[test]
fn two_devices_that_back_the_same_up_at_once_make_every_chunk_known_once() {
    let world = world_with_files();
    let line = slow(&world);
    let of = |user: &'static str| Device { port: line.port, user, ..world.device(user) };
    let devices = [of(ANN), of(BOB)];
    for device in &devices {
        device.activate().done();
    }
    let [mut first, mut second] = [devices[0].begin(["backup"]), devices[1].begin(["backup"])];
    first.until("both were in the middle", || line.passed().0 > ALL / 4);
    assert!(!second.is_over());
    line.set_rate(0);
    let answers = [first.wait().done(), second.wait().done()];
    for device in &devices {
        device.assert_restores();
    }
    world.assert_sound();
    let alone = world_with_files();
    let once = number(&alone.activated("laptop").backup().done(), "chunks_new");
    let new = answers.each_ref().map(|answer| number(answer, "chunks_new"));
    assert!(once > FILES, "{once} chunks of {FILES} files");
    // In packs there may be copies of what both were sending (docs/ordering.md, "Should"), and nobody else makes any.
    assert_eq!(new[0] + new[1], once, "{answers:?}");
    let later = Device { user: ANN, ..world.device("later") };
    let source = later.source();
    let words = ["--choice", "add", "--ca"].map(OsStr::new);
    later.activate_with(&[&words[..], &[later.ca.as_ref(), "--folder".as_ref(), source.as_ref()]].concat()).done();
    let answer = later.backup().done();
    // The folders above have changed meanwhile: their trees.
    assert!(number(&answer, "bytes_sent") < 100_000 && number(&answer, "chunks_new") < 8, "{answer}");
}
