//! What an endpoint keeps between runs, when it is damaged, cut short, or another's.

use crate::world::answer::number;
use crate::world::noise::noise;
use crate::world::{Device, World};
use std::fs;

const FILES: u64 = 120;

fn world_with_files() -> World {
    let world = World::start();
    for number in 0..FILES {
        world.write(&format!("{}/{number}", number % 9), noise(number, 200 + number as usize * 60));
    }
    world
}

/// With this cache a backup opens nothing that has not changed, and everything restores.
fn assert_right_with(device: &Device<'_>, cache: &[u8], what: &str) {
    let path = device.state.join("trees.cache");
    fs::write(&path, cache).expect("writable");
    let done = device.backup().done();
    assert_eq!(number(&done, "files_opened"), 0, "{what}: the trees come from the server: {done}");
    assert_eq!((number(&done, "files_seen"), number(&done["tree"], "files")), (FILES, FILES), "{what}");
    let (answer, restored) = device.restore();
    answer.done();
    crate::world::compare::trees(&device.source(), &restored).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    fs::remove_dir_all(restored).expect("removable");
}

fn cache_of(device: &Device<'_>) -> Vec<u8> {
    fs::read(device.state.join("trees.cache")).expect("a backup leaves its trees")
}

#[test]
fn a_cache_that_was_cut_short_costs_time_and_nothing_else() {
    let world = world_with_files();
    let device = world.activated("laptop");
    device.backup().done();
    let len = cache_of(&device).len();
    assert!(len > 2_000, "{len} bytes of trees are too few for this test");
    for cut in [0, 1, 7, 8, 40, 100, len / 3, len / 2, len - 100, len - 1] {
        let cache = cache_of(&device);
        assert_right_with(&device, &cache[..cut.min(cache.len())], &format!("cut to {cut} of {len} bytes"));
    }
    world.assert_sound();
}

#[test]
fn a_cache_with_flipped_bytes_costs_time_and_nothing_else() {
    let world = world_with_files();
    let device = world.activated("laptop");
    device.backup().done();
    let all: Vec<usize> = (0..cache_of(&device).len()).step_by(997).collect();
    for places in [&all[..], &all[1..], &all[..1], &all[all.len() / 2..=all.len() / 2]] {
        let mut cache = cache_of(&device);
        for place in places.iter().filter(|place| **place < cache.len()).copied().collect::<Vec<_>>() {
            cache[place] ^= 0x55;
        }
        assert_right_with(&device, &cache, &format!("bytes {places:?} flipped"));
    }
    let random = noise(99, 50_000);
    assert_right_with(&device, &random, "noise");
    world.assert_sound();
}

#[test]
fn the_cache_of_another_device_and_an_old_one_are_not_believed() {
    let (world, other) = (world_with_files(), world_with_files());
    let device = world.activated("laptop");
    device.backup().done();
    let old = cache_of(&device);
    let foreign = other.activated("laptop");
    foreign.backup().done();
    assert_right_with(&device, &cache_of(&foreign), "another server's");

    world.write("0/0", "changed");
    assert_eq!(number(&device.backup().done(), "files_opened"), 1);
    assert_right_with(&device, &old, "of the snapshot before the last");
    world.assert_sound();
}

#[test]
fn a_cache_that_is_no_file_or_cannot_be_written_does_not_end_a_backup() {
    let world = world_with_files();
    let device = world.activated("laptop");
    device.backup().done();
    let path = device.state.join("trees.cache");
    fs::remove_file(&path).expect("there");
    assert_eq!(number(&device.backup().done(), "files_opened"), 0, "without a cache");
    fs::remove_file(&path).expect("there");
    fs::create_dir(&path).expect("writable");
    fs::write(path.join("file"), "content").expect("writable");
    assert_eq!(number(&device.backup().done(), "files_opened"), 0, "with a folder in its place");
    device.assert_restores();
}

#[test]
fn a_damaged_state_is_told_and_put_right_by_activating_again() {
    let world = world_with_files();
    let device = world.activated("laptop");
    device.backup().done();
    let path = device.state.join("state.json");
    let good = fs::read_to_string(&path).expect("there");
    let identifier = device.ask(["status"]).done()["device"].clone();
    for (what, text) in [
        ("empty", String::new()),
        ("cut", good[..good.len() / 2].to_owned()),
        ("another text", "no json".to_owned()),
        ("nothing in it", "{}".to_owned()),
        ("zeros", "\0".repeat(good.len())),
    ] {
        fs::write(&path, &text).expect("writable");
        for command in [&["backup"][..], &["status"], &["snapshots"], &["restore", "latest", "--to", "/tmp/never"]] {
            let code = device.ask(command).json["error"]["code"].clone();
            assert!(code == "state_damaged" || code == "state_version", "{what}, {command:?}: {code}");
        }
        let again = device.activate().done();
        assert_eq!(again["device"], identifier, "{what}: the same device");
        assert_eq!(number(&device.backup().done(), "files_opened"), 0, "{what}: nothing is read again");
    }
    fs::write(device.state.join("device.key"), "not a key").expect("writable");
    device.backup().error(1, "state_damaged");
    assert_eq!(device.activate().done()["device"], identifier, "the key may be lost, too");
    assert_eq!(number(&device.assert_good_backup(), "files_opened"), 0);
}
