//! Full disks, on either side, real ones: small, and mounted where nobody else sees them.

use crate::world::namespace::{enter, mount, resize};
use crate::world::noise::noise;
use crate::world::{Device, World, configure};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

const FILE: usize = 1 << 20;
const FILES: u64 = 24;

fn write_files(world: &World) {
    for seed in 0..FILES {
        world.write(&format!("folder/{seed}"), noise(seed, FILE));
    }
}

fn restore_to(device: &Device<'_>, world: &World, to: &Path) -> crate::world::answer::Answer {
    let source = world.source();
    device.ask([OsStr::new("restore"), "latest".as_ref(), source.as_ref(), "--to".as_ref(), to.as_ref()])
}

#[test]
fn a_restore_onto_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    if !enter("disks::a_restore_onto_a_full_disk_says_so_and_goes_on_when_there_is_room") {
        return;
    }
    let world = World::start();
    write_files(&world);
    let device = world.activated("laptop");
    device.backup().done();
    let disk = world.place().join("disk");
    fs::create_dir(&disk).expect("writable");
    mount(&disk, "8m");
    restore_to(&device, &world, &disk).error(1, "disk_full");

    resize(&disk, "64m");
    restore_to(&device, &world, &disk).done();
    crate::world::compare::trees(&world.source(), &disk.join("source")).expect("the same");
    let names: Vec<_> = fs::read_dir(&disk).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    assert_eq!(names, [disk.join("source")], "no parts are left behind");
    device.assert_good_backup();
}

#[test]
fn a_store_that_fills_up_during_a_backup_loses_nothing() {
    if !enter("disks::a_store_that_fills_up_during_a_backup_loses_nothing") {
        return;
    }
    let world = World::start_with(|data| {
        configure(data, "[store]\nreserve_mib = 0");
        move_to_disk(&data.join("store"), "10m");
    });
    world.write("small", "content");
    let mut device = world.activated("laptop");
    let first = device.backup().done();
    write_files(&world);
    device.patience = "1";
    device.backup().error(5, "store_full");
    world.assert_sound();
    let listed = device.ask(["snapshots"]).done();
    assert_eq!(listed["snapshots"][0]["snapshot"], first["snapshot"], "what was good is good");

    resize(&world.data().join("store"), "128m");
    device.assert_good_backup();
}

#[test]
fn the_reserve_of_the_store_is_kept_free() {
    if !enter("disks::the_reserve_of_the_store_is_kept_free") {
        return;
    }
    let world = World::start_with(|data| move_to_disk(&data.join("store"), "128m"));
    write_files(&world);
    let mut device = world.activated("laptop");
    device.patience = "1";
    device.backup().error(5, "store_full");
    resize(&world.data().join("store"), "512m");
    device.assert_good_backup();
}

#[test]
fn a_full_disk_below_the_whole_server_loses_nothing() {
    if !enter("disks::a_full_disk_below_the_whole_server_loses_nothing") {
        return;
    }
    let mut world = World::start_with(|data| {
        configure(data, "[store]\nreserve_mib = 0");
        move_to_disk(data, "20m");
    });
    world.write("small", "content");
    let first = world.activated("laptop").backup().done();
    write_files(&world);
    let mut device = world.device("laptop");
    device.patience = "1";
    let refused = device.backup();
    let code = refused.json["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert!(["store_full", "database_disk_full"].contains(&code.as_str()), "{}", refused.json);
    refused.error(5, &code);

    world.kill_server();
    resize(&world.data(), "256m");
    world.serve();
    let device = world.device("laptop");
    let done = device.assert_good_backup();
    assert_eq!(done["parent"], first["snapshot"]);
}

/// Puts a small disk where a folder is, with what is in it.
pub fn move_to_disk(folder: &Path, size: &str) {
    let aside = folder.with_extension("aside");
    fs::rename(folder, &aside).expect("the same disk");
    fs::create_dir(folder).expect("writable");
    mount(folder, size);
    let copied = std::process::Command::new("cp").arg("-a").arg(aside.join(".")).arg(folder).status();
    assert!(copied.is_ok_and(|ended| ended.success()));
}
