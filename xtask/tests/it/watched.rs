//! A computer on which somebody watches what changes: backups look only there, and save the same.

use crate::world::answer::{Running, number};
use crate::world::noise::noise;
use crate::world::{Device, World};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A device whose folder has some hundred directories, watched; `before` is put before the command that watches.
fn watched<'a>(world: &'a World, before: &[&str]) -> (Device<'a>, Running) {
    for number in 0..300 {
        world.write(&format!("{}/{number}/file", number % 20), noise(number, 2_000));
    }
    let device = world.activated("laptop");
    let watch = watch(&device, before);
    (device, watch)
}

fn watch(device: &Device<'_>, before: &[&str]) -> Running {
    let socket = device.state.join("watch.sock");
    let _ = fs::remove_file(&socket);
    let watcher = Device {
        world: device.world,
        state: device.state.clone(),
        user: device.user,
        port: device.port,
        patience: device.patience,
        before: before.iter().map(|word| (*word).to_owned()).collect(),
        program: device.program.clone(),
        ca: device.ca.clone(),
    };
    let mut watch = watcher.begin(["watch"]);
    watch.until("it listens", || socket.exists());
    watch
}

/// How a backup found what had changed: by the journal, or why not.
fn by(backup: &Value) -> String {
    let changes = &backup["changes"];
    let word = if changes["by"] == "journal" { &changes["by"] } else { &changes["why"] };
    word.as_str().expect("a word").to_owned()
}

/// Every round changes something else; after each, what is restored is what is there.
fn changes_are_found(world: &World, device: &Device<'_>) {
    let source = world.source();
    let edits: [&dyn Fn(); 6] = [
        &|| world.write("3/3/file", noise(1_000, 3_000)),
        &|| {
            fs::rename(source.join("4"), source.join("5/moved")).expect("the same disk");
            world.write("5/moved/4/file", "changed after the move");
        },
        &|| fs::remove_dir_all(source.join("6")).expect("it is there"),
        &|| {
            fs::create_dir_all(source.join("new/er/est")).expect("a folder");
            world.write("new/er/est/file", "new");
        },
        &|| fs::set_permissions(source.join("7/7/file"), fs::Permissions::from_mode(0o640)).expect("its own"),
        &|| {
            fs::rename(source.join("8"), source.join("aside")).expect("the same disk");
            fs::rename(source.join("9"), source.join("8")).expect("the same disk");
            fs::rename(source.join("aside"), source.join("9")).expect("the same disk");
        },
    ];
    for (round, edit) in edits.iter().enumerate() {
        edit();
        let backup = device.assert_good_backup();
        // Files of other programs of this computer that have several names may be in doubt at any time.
        assert!(["journal", "hard_links"].contains(&by(&backup).as_str()), "round {round}: {backup}");
    }
}

#[test]
fn who_is_told_what_changed_looks_only_there() {
    let world = World::start();
    let (device, watch) = watched(&world, &[]);
    let first = device.assert_good_backup();
    assert_eq!(by(&first), "no_position");
    let mut sure = 0;
    for _ in 0..5 {
        let backup = device.backup().done();
        assert_eq!((number(&backup, "files_opened"), number(&backup, "files_seen")), (0, 300));
        assert_eq!(backup["tree"], first["tree"]);
        sure += usize::from(by(&backup) == "journal");
    }
    assert!(sure > 0, "it is always in doubt");
    changes_are_found(&world, &device);

    watch.kill();
    assert_eq!(by(&device.assert_good_backup()), "not_watched");
    world.write("1/1/file", "changed while nobody watched");
    let watch = self::watch(&device, &[]);
    let unsure = device.assert_good_backup();
    assert_eq!((by(&unsure).as_str(), number(&unsure, "files_opened")), ("no_position", 1));
    device.ask(["watch"]).error(1, "already_running");
    watch.interrupt();
    assert_eq!(watch.wait().exit, Some(0), "to be ended is how it ends");
}

#[test]
fn without_the_rights_of_a_service_the_folders_are_watched_one_by_one() {
    let world = World::start();
    let (device, watch) = watched(&world, &["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]);
    // The first question is where it begins to watch.
    assert_eq!(by(&device.assert_good_backup()), "no_position");
    assert_eq!(by(&device.backup().done()), "journal");
    changes_are_found(&world, &device);
    watch.kill();
}

#[test]
fn a_watch_that_dies_and_comes_back_is_another_one() {
    let world = World::start();
    let (device, first) = watched(&world, &[]);
    device.assert_good_backup();
    first.kill();
    world.write("1/1/file", "changed while nobody watched");
    let second = watch(&device, &[]);
    let backup = device.assert_good_backup();
    assert_eq!((by(&backup).as_str(), number(&backup, "files_opened")), ("other_journal", 1));
    second.kill();
}
