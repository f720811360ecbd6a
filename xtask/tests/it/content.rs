//! Objects of the repository that are damaged on the server's disk.

use crate::world::World;
use crate::world::noise::noise;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

const FILES: u64 = 40;
const LARGE: usize = 1_000_000;

fn world_with_files() -> World {
    let world = World::start();
    for number in 0..FILES {
        world.write(&format!("{}/{number}", number % 4), noise(number, LARGE));
        world.write(&format!("{}/small-{number}", number % 4), noise(number, 300));
    }
    world
}

fn flip(pack: &Path, place: usize) {
    let mut bytes = fs::read(pack).expect("readable");
    bytes[place] ^= 0x01;
    fs::write(pack, bytes).expect("writable");
}

#[test]
fn a_damaged_pack_hurts_the_files_in_it_alone_is_found_by_scrub_and_healed_by_the_next_backup() {
    let world = world_with_files();
    let device = world.activated("laptop");
    let first = device.backup().done();
    let largest = world.packs().swap_remove(0);
    flip(&largest, fs::metadata(&largest).expect("there").len() as usize / 2);

    let (answer, restored) = device.restore();
    let hurt: BTreeSet<String> = answer
        .problems()
        .into_iter()
        .map(|(path, code)| {
            assert_eq!(code, "content_missing", "{path}");
            path
        })
        .collect();
    assert!(hurt.len() < FILES as usize, "only what is in the damaged part: {hurt:?}");
    for number in 0..FILES {
        for (name, len) in [(number.to_string(), LARGE), (format!("small-{number}"), 300)] {
            let path = format!("{}/{name}", number % 4);
            if !hurt.contains(&format!("source/{path}")) {
                assert!(fs::read(restored.join(&path)).expect("restored") == noise(number, len), "{path}");
            }
        }
    }
    let found = world.admin(["scrub"]);
    assert_eq!(found.exit, Some(1), "{}", found.json);
    assert_eq!(found.json["snapshots_hurt"], serde_json::json!([first["snapshot"]]));
    assert!(found.json["problems"][0]["sentence"].as_str().is_some_and(|sentence| sentence.len() > 15));

    device.backup().done();
    device.assert_restores();
    let snapshot = first["snapshot"].as_str().expect("a snapshot has a name");
    let (source, to) = (world.source(), device.fresh());
    device.ask([OsStr::new("restore"), snapshot.as_ref(), source.as_ref(), "--to".as_ref(), to.as_ref()]).done();
    crate::world::compare::trees(&source, &to.join("source")).expect("the hurt snapshot is whole again, too");
    world.write("later", "more content");
    device.backup().done();
    device.assert_restores();
    // The damaged pack is still there, and nobody needs it any more.
    let found = world.admin(["scrub"]).json;
    assert_eq!(found["snapshots_hurt"], serde_json::json!([]), "{found}");
    assert_eq!(found["problems"][0]["code"], "pack_damaged", "{found}");
    assert_eq!(found["problems_total"], 1, "{found}");
}

#[test]
fn damage_that_no_scrub_has_found_is_met_by_a_restore_and_healed_by_the_backup_after_it() {
    let world = world_with_files();
    let device = world.activated("laptop");
    device.backup().done();
    for pack in world.packs() {
        let len = fs::metadata(&pack).expect("there").len() as usize;
        flip(&pack, len / 3);
    }
    world.write("later", "more content");
    assert_eq!(device.backup().number("files_opened"), 1);
    let (answer, restored) = device.restore();
    for (path, code) in answer.problems() {
        assert_eq!(code, "content_missing", "{path}");
    }
    assert_eq!(fs::read(restored.join("later")).expect("restored"), b"more content");
    device.backup().done();
    device.assert_restores();
}

#[test]
fn a_repository_whose_every_pack_is_damaged_is_whole_again_after_scrub_and_backup() {
    let world = world_with_files();
    let device = world.activated("laptop");
    device.backup().done();
    for pack in world.packs() {
        let len = fs::metadata(&pack).expect("there").len() as usize;
        flip(&pack, len / 3);
        flip(&pack, 20.min(len - 1));
    }
    let (answer, _) = device.restore();
    assert!(matches!(answer.exit, Some(3 | 6)), "{}", answer.json);
    assert_eq!(world.admin(["scrub"]).exit, Some(1));
    device.backup().done();
    device.assert_restores();
    fs::remove_file(device.state.join("trees.cache")).expect("there");
    device.backup().done();
    device.assert_restores();
}

#[test]
fn a_pack_that_is_gone_is_found_and_healed() {
    let world = world_with_files();
    let device = world.activated("laptop");
    device.backup().done();
    for pack in world.packs() {
        fs::remove_file(pack).expect("there");
    }
    assert_eq!(world.admin(["scrub"]).exit, Some(1));
    device.backup().done();
    device.assert_restores();
}

#[test]
fn a_damaged_manifest_is_named_by_scrub_and_stands_in_the_way_of_no_backup() {
    let world = world_with_files();
    let device = world.activated("laptop");
    let first = device.backup().done();
    let manifests = walkdir::WalkDir::new(world.data().join("store/manifests")).into_iter().filter_map(Result::ok);
    let manifest = manifests.filter(|entry| entry.file_type().is_file()).last().expect("a snapshot has one");
    flip(manifest.path(), 60);
    let found = world.admin(["scrub"]);
    assert_eq!(found.exit, Some(1), "{}", found.json);
    assert_eq!(found.json["problems"][0]["code"], "manifest_damaged", "{}", found.json);
    assert_eq!(found.json["problems"][0]["subject"].as_str().map(|subject| subject.contains("snp_")), Some(true));
    world.write("later", "more content");
    let second = device.backup().done();
    assert_ne!(second["snapshot"], first["snapshot"]);
    device.assert_restores();
}
