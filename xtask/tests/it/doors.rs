//! Who stands at the server's door, and who behind it: passwords, users, certificates, and nobody at all.

use crate::world::answer::number;
use crate::world::programs::Server;
use crate::world::{ANN, World};
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let world = World::start();
    world.write("file", "content");
    let right = fs::read(world.password()).expect("readable");
    fs::write(world.password(), "not the password\n").expect("writable");
    let device = world.device("laptop");
    let wrong = device.activate();
    let unknown = crate::world::Device { user: "nobody@example.test", ..device.clone() }.activate();
    wrong.error(4, "wrong_credentials");
    unknown.error(4, "wrong_credentials");
    assert_eq!(wrong.json, unknown.json, "nobody learns who has an account");
    device.backup().error(1, "not_activated");

    fs::write(world.password(), right).expect("writable");
    device.activate().done();
    device.assert_good_backup();
}

#[test]
fn a_device_in_service_survives_a_wrong_password_of_its_user() {
    let world = World::start();
    world.write("file", "content");
    let device = world.activated("laptop");
    let first = device.backup().done();
    let right = fs::read(world.password()).expect("readable");
    fs::write(world.password(), "not the password\n").expect("writable");
    device.activate().error(4, "wrong_credentials");
    fs::write(world.password(), right).expect("writable");
    let second = device.assert_good_backup();
    assert_eq!(second["parent"], first["snapshot"]);
    assert_eq!(number(&second, "files_opened"), 0);
}

#[test]
fn a_server_that_is_not_there_is_named_and_the_backup_is_made_when_it_is_back() {
    let mut world = World::start();
    world.write("file", "content");
    world.activated("laptop").backup().done();
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound").port();
    let mut nowhere = world.device("other");
    (nowhere.port, nowhere.patience) = (free, "1");
    nowhere.activate().error(5, "server_unreachable");

    world.kill_server();
    let mut device = world.device("laptop");
    device.patience = "1";
    let sentence = device.backup().error(5, "server_unreachable");
    assert!(sentence.contains(&world.port().to_string()), "which server: {sentence}");
    device.ask(["snapshots"]).error(5, "server_unreachable");
    let status = device.ask(["status"]);
    status.error(5, "server_unreachable");
    assert_eq!(status.json["user"], ANN, "what is known here is shown all the same");
    let (answer, restored) = device.restore();
    answer.error(5, "server_unreachable");
    assert!(!restored.exists(), "nothing is made of nothing");

    world.serve();
    world.write("later", "more content");
    world.device("laptop").assert_good_backup();
}

#[test]
fn another_certificate_than_the_pinned_one_gets_no_password_and_no_backup() {
    let (world, other) = (World::start(), World::start());
    world.write("file", "content");
    let device = world.device("laptop");
    let ca = other.data().join("ca.pem");
    device.activate_with(&[OsStr::new("--ca"), ca.as_ref()]).error(5, "certificate_mismatch");
    let fingerprint = "00".repeat(32);
    device.activate_with(&["--fingerprint".as_ref(), fingerprint.as_ref()]).error(5, "certificate_mismatch");
    device.activate_with(&[]).error(2, "certificate_unpinned");
    let not_one = world.source().join("file");
    device.activate_with(&["--ca".as_ref(), not_one.as_ref()]).error(2, "ca_invalid");
    device.activate_with(&["--fingerprint".as_ref(), "abc".as_ref()]).error(2, "fingerprint_invalid");
    let listed = world.admin(["device", "list"]).done();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0), "{listed}");

    let right = world.admin(["fingerprint"]).done();
    let right = right["ca_sha256"].as_str().expect("the server says its fingerprint").to_owned();
    let source = world.source();
    let pinned = [OsStr::new("--fingerprint"), right.as_ref(), "--folder".as_ref(), source.as_ref()];
    device.activate_with(&pinned).done();
    device.assert_good_backup();
}

#[test]
fn a_server_that_took_the_address_of_another_is_refused_by_the_device() {
    let (mut world, mut other) = (World::start(), World::start());
    world.write("file", "content");
    world.activated("laptop").backup().done();
    world.kill_server();
    other.kill_server();
    let impostor = Server::start(&other.data(), world.port());
    let mut device = world.device("laptop");
    device.patience = "1";
    device.backup().error(5, "certificate_mismatch");
    drop(impostor);
    world.serve();
    world.write("later", "more content");
    world.device("laptop").assert_good_backup();
}
