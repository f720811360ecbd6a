//! A device that is cut off, and comes back with nothing lost; and another person's device.

use crate::world::answer::number;
use crate::world::line::Line;
use crate::world::noise::noise;
use crate::world::{ANN, BOB, Device, World};
use base::{Clock as _, Span, SystemClock};
use serde_json::Value;
use std::ffi::OsStr;

/// A running upload ends within a second of the deactivation; the rest is for the process to end.
const CUT_SPAN_MAX: Span = Span::ms(1_500);
const RATE: u64 = 8 << 20;

fn text(json: &Value, field: &str) -> String {
    json[field].as_str().unwrap_or_else(|| panic!("{field} is missing: {json}")).to_owned()
}

#[test]
fn a_deactivation_cuts_a_running_backup_off_and_the_device_comes_back_as_it_was() {
    let world = World::start();
    let line = Line::before(world.port(), std::time::Duration::ZERO, 0).expect("loopback has a free port");
    for number in 0..50 {
        world.write(&format!("old/{number}"), noise(number, 20_000));
    }
    let device = Device { port: line.port, ..world.device("laptop") };
    let activated = device.activate().done();
    let identifier = text(&activated, "device");
    let first = device.backup().done();
    for number in 100..140 {
        world.write(&format!("new/{number}"), noise(number, 1 << 20));
    }
    let before = line.passed().0;
    line.set_rate(RATE);
    let mut backup = device.begin(["backup"]);
    backup.until("an upload was under way", || line.passed().0 > before + (4 << 20));
    world.admin(["device", "deactivate", &identifier]).done();
    let cut_at = SystemClock.now();
    let answer = backup.wait();
    let took = SystemClock.now().since(cut_at);
    answer.error(4, "device_deactivated");
    assert!(took <= CUT_SPAN_MAX, "the backup went on for {took}");

    line.set_rate(0);
    device.backup().error(4, "device_deactivated");
    let status = device.ask(["status"]);
    status.error(4, "device_deactivated");
    let (answer, restored) = device.restore();
    answer.error(4, "device_deactivated");
    assert!(!restored.exists());

    let again = device.activate().done();
    assert_eq!(text(&again, "device"), identifier);
    // By its serial number it is the same computer; where the system shows none, one of the same name.
    assert!(["reactivated", "replaced"].contains(&text(&again, "outcome").as_str()), "{again}");
    assert_eq!(number(&again, "epoch"), number(&activated, "epoch") + 1);
    assert_eq!(again["snapshot"]["snapshot"], first["snapshot"], "nothing is lost");
    let after = device.assert_good_backup();
    assert_eq!((number(&after, "files_seen"), number(&after, "files_opened")), (90, 40), "only what is new is read");
    assert_eq!(number(&device.backup().done(), "files_opened"), 0);
}

#[test]
fn an_old_key_proves_the_device_after_rotate_and_not_after_revoke() {
    let world = World::start();
    world.write("file", noise(1, 100_000));
    let device = world.activated("laptop");
    let first = device.backup().done();
    let identifier = text(&device.ask(["status"]).done(), "device");
    world.admin(["device", "deactivate", &identifier, "--level", "rotate"]).done();
    device.backup().error(4, "device_deactivated");
    let rotated = device.ask(["activate", "--old-key"]).done();
    assert_eq!((text(&rotated, "device"), number(&rotated, "epoch")), (identifier.clone(), 2));
    let second = device.assert_good_backup();
    assert_eq!((number(&second, "files_opened"), &second["parent"]), (0, &first["snapshot"]));

    world.admin(["device", "deactivate", &identifier, "--level", "revoke"]).done();
    device.ask(["activate", "--old-key"]).error(4, "sign_in_needed");
    device.backup().error(4, "device_deactivated");
    let signed_in = device.activate().done();
    assert_eq!((text(&signed_in, "device"), number(&signed_in, "epoch")), (identifier, 3));
    let third = device.assert_good_backup();
    assert_eq!((number(&third, "files_opened"), &third["parent"]), (0, &second["snapshot"]));
}

#[test]
fn a_lost_state_directory_loses_the_key_and_nothing_else() {
    let world = World::start();
    world.write("file", noise(1, 100_000));
    let device = world.activated("laptop");
    let first = device.backup().done();
    let identifier = device.ask(["status"]).done()["device"].clone();
    std::fs::remove_dir_all(&device.state).expect("there");
    device.backup().error(1, "not_activated");
    let again = device.activate().done();
    assert_eq!(again["device"], identifier);
    let second = device.assert_good_backup();
    assert_eq!((number(&second, "files_opened"), &second["parent"]), (0, &first["snapshot"]));
}

#[test]
fn another_users_device_restores_nothing_of_the_first() {
    let world = World::start();
    world.write("file", noise(1, 100_000));
    let ann = world.activated("ann");
    let snapshot = text(&ann.backup().done(), "snapshot");
    let bob = Device { user: BOB, ..world.device("bob") };
    let activated = bob.activate().done();
    assert_eq!((text(&activated, "outcome"), text(&activated, "user")), ("new".to_owned(), BOB.to_owned()));
    let to = bob.fresh();
    let words = [OsStr::new("restore"), snapshot.as_ref(), "--to".as_ref(), to.as_ref()];
    let sentence = bob.ask(words).error(1, "snapshot_not_yours");
    let none = format!("snp_{}", "0".repeat(snapshot.len() - 4));
    let missing = bob.ask(["ls", &none]).error(1, "snapshot_not_yours");
    assert_eq!(sentence, missing, "nobody learns which snapshots there are");
    bob.ask(["ls", &snapshot]).error(1, "snapshot_not_yours");
    // The two share every chunk from now on (docs/threat.md), and no snapshot.
    bob.assert_good_backup();
    bob.ask(words).error(1, "snapshot_not_yours");
    assert!(!to.exists());

    let device = text(&ann.ask(["status"]).done(), "device");
    let ca = world.data().join("ca.pem");
    let taken = bob.activate_with(&["--ca".as_ref(), ca.as_ref(), "--choice".as_ref(), device.as_ref()]);
    taken.error(1, "device_not_yours");
    assert_eq!(text(&ann.ask(["status"]).done(), "user"), ANN);
    ann.assert_good_backup();
}
