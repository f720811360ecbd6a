//! Every route refuses who may not ask. The routes come from the server's own table: a new one is walked by itself.

use crate::world::{Device, World, full};
use base::{RunId, SnapshotId};
use control::{Event, Level};
use server::routes::{Audience, Route, list};

/// The routes that ask for no credential. Another one is a decision, made here.
const OPEN: [&str; 6] = [
    "GET /healthz",
    "GET /v1/hello",
    "POST /v1/activations",
    "POST /v1/password-links",
    "POST /v1/sessions/challenge",
    "POST /v1/sessions",
];

#[test]
fn only_these_routes_ask_for_no_credential() {
    let open = list().into_iter().filter(|route| route.audience == Audience::Anyone);
    let open: Vec<String> = open.map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn every_device_route_refuses_an_absent_a_garbage_and_a_foreign_credential() {
    let (world, elsewhere) = (World::start().await, World::start().await);
    let device = Device::activated(&world, "laptop").await;
    let stranger = Device::activated(&elsewhere, "laptop").await;
    let mut cut = device.token.clone();
    let end = cut.pop().expect("not empty");
    cut.push(if end == 'A' { 'B' } else { 'A' });
    let good = format!("Bearer {}", device.token);
    let credentials = [
        ("absent", None),
        ("empty", Some(String::new())),
        ("another scheme", Some(format!("Basic {}", device.token))),
        ("garbage", Some("Bearer garbage".to_owned())),
        ("no text", Some("Bearer \u{e9}".to_owned())),
        ("altered", Some(format!("Bearer {cut}"))),
        ("of another server", Some(format!("Bearer {}", stranger.token))),
        ("very long", Some(format!("Bearer hfd1_{}", "A".repeat(10_000)))),
    ];
    for route in device_routes() {
        for (what, credential) in &credentials {
            let headers: Vec<(&str, &str)> = credential.iter().map(|value| ("authorization", value.as_str())).collect();
            let answer = world.send(route.method.as_str(), &path(&route), &headers, full("")).await;
            let name = format!("{} {} with a credential that is {what}", route.method, route.path);
            assert_eq!(answer.refused(), (401, "session_invalid".to_owned()), "{name}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{name}");
        }
        let answer = world.send(route.method.as_str(), &path(&route), &[("authorization", &good)], full("")).await;
        assert_ne!(answer.status, 401, "{} {} lets the device in", route.method, route.path);
    }
}

#[tokio::test]
async fn every_device_route_refuses_a_revoked_credential_and_one_that_was_replaced() {
    let world = World::start().await;
    let replaced = Device::activated(&world, "laptop").await;
    let device = Device::activated(&world, "laptop").await;
    assert_eq!((replaced.id, replaced.epoch + 1), (device.id, device.epoch), "the same record");
    for route in device_routes() {
        let answer = replaced.ask(&world, route.method.as_str(), &path(&route), "").await;
        assert_eq!(answer.refused(), (401, "session_invalid".to_owned()), "{} {}", route.method, route.path);
    }
    world.admin(device.id, Event::Deactivate { level: Level::Rotate }).await;
    for route in device_routes() {
        let answer = device.ask(&world, route.method.as_str(), &path(&route), "").await;
        assert_eq!(answer.refused(), (403, "device_deactivated".to_owned()), "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn every_route_of_a_run_or_snapshot_refuses_one_of_another_device() {
    let world = World::start().await;
    let (owner, other) = (Device::activated(&world, "laptop").await, Device::activated(&world, "other").await);
    let backup = crate::repository::Backup::begin(&world, &owner).await;
    let snapshot = backup.commit_small(&world, &owner).await;
    let open = crate::repository::Backup::begin(&world, &owner).await;
    let own = |route: &Route| {
        path(route)
            .replace(&run().to_string(), &open.run.to_string())
            .replace(&self::snapshot().to_string(), &snapshot.to_string())
    };
    for route in device_routes().filter(|route| route.path.contains('{')) {
        let code = if route.path.contains("{run}") { "run_not_yours" } else { "snapshot_not_yours" };
        let theirs = other.ask(&world, route.method.as_str(), &own(&route), "").await;
        assert_eq!(theirs.refused(), (404, code.to_owned()), "{} {}", route.method, route.path);
        let nobodys = other.ask(&world, route.method.as_str(), &path(&route), "").await;
        assert_eq!(nobodys.body, theirs.body, "whether it exists cannot be seen: {}", route.path);
        let ours = owner.ask(&world, route.method.as_str(), &own(&route), "").await;
        assert!(ours.status == 200 || ours.refused().1 != code, "{} {} is the owner's", route.method, route.path);
    }
}

#[tokio::test]
async fn no_route_takes_a_longer_body_than_it_says() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    for route in list() {
        // The largest are refused by what they announce; sending them takes longer than it teaches.
        if route.body_max.0 > 1 << 20 {
            continue;
        }
        let body = vec![b' '; usize::try_from(route.body_max.0).expect("a small limit") + 1];
        let announced = device.ask(&world, route.method.as_str(), &path(&route), body).await;
        assert_eq!(announced.refused(), (413, "request_too_large".to_owned()), "{} {}", route.method, route.path);
    }
}

fn device_routes() -> impl Iterator<Item = Route> {
    list().into_iter().filter(|route| matches!(route.audience, Audience::Device(_)))
}

/// The path with identifiers that nothing has.
fn path(route: &Route) -> String {
    route
        .path
        .replace("{run}", &run().to_string())
        .replace("{snapshot}", &snapshot().to_string())
        .replace("{pack}", &"ab".repeat(32))
}

fn run() -> RunId {
    RunId::from_bytes([3; 16])
}

fn snapshot() -> SnapshotId {
    SnapshotId::from_bytes([4; 16])
}
