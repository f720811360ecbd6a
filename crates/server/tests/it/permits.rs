//! Every route refuses who may not ask. The routes come from the server's own table: a new one is walked by itself.

use crate::world::{Device, World, full};
use base::{FolderId, RunId, SnapshotId};
use control::attempts::Attempt;
use control::{Event, Level, Permit, Permits};
use protocol::agent::policy::{FolderRequest, PolicyFolder};
use server::routes::{Audience, NO_BODY, Route, admin_list, list};
use std::collections::BTreeSet;

/// The routes that ask for no credential. Another one is a decision, made here.
const OPEN: [&str; 9] = [
    "GET /healthz",
    "GET /v1/hello",
    "POST /v1/activations",
    "GET /password",
    "GET /password.js",
    "POST /v1/password-links",
    "POST /v1/sessions/challenge",
    "POST /v1/sessions",
    "GET /api/v1/openapi.json",
];

#[test]
fn only_these_routes_ask_for_no_credential() {
    let open = list().into_iter().chain(admin_list()).filter(|route| route.audience == Audience::Anyone);
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
        // The state comes before the credential: nobody has told this record to erase anything.
        let refused = if route.path == WIPED { (409, "wrong_state") } else { (401, "session_invalid") };
        assert_eq!(answer.refused(), (refused.0, refused.1.to_owned()), "{} {}", route.method, route.path);
    }
    world.admin(device.id, Event::Deactivate { level: Level::Rotate }).await;
    for route in device_routes() {
        let answer = device.ask(&world, route.method.as_str(), &path(&route), "").await;
        assert_eq!(answer.refused(), (403, "device_deactivated".to_owned()), "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn every_device_route_refuses_an_expired_session_and_a_credential_of_the_admin_api() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let credential = world.credential(Permits::all()).await;
    world.clock.advance(base::Span::minutes(16));
    for route in device_routes() {
        let name = format!("{} {}", route.method, route.path);
        let late = device.ask(&world, route.method.as_str(), &path(&route), "").await;
        assert_eq!(late.refused(), (401, "session_expired".to_owned()), "{name}");
        let admin = world.api(&credential, route.method.as_str(), &path(&route), "").await;
        assert_eq!(admin.refused(), (403, "wrong_audience".to_owned()), "{name}");
    }
}

/// Every way in which a route of the admin API can be asked without the right to.
#[tokio::test]
async fn every_admin_route_refuses_every_credential_but_one_with_its_permit() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let good = world.credential(Permits::all()).await;
    let later = base::Clock::now(world.clock.as_ref()) + base::Span::seconds(5);
    let (_, expired) = world.credential_until(Permits::all(), Some(later)).await;
    let (id, revoked) = world.credential_until(Permits::all(), None).await;
    app::credentials::revoke(&world.app, &app::AdminActor::Command, id).await.expect("there");
    world.clock.advance(base::Span::seconds(6));
    let altered = format!("{}{}", &good[..good.len() - 1], if good.ends_with('A') { 'B' } else { 'A' });
    let mut covered = BTreeSet::new();
    for route in admin_list() {
        let Audience::Admin(permit) = route.audience else { continue };
        // Each route has its own span of guesses, so that none is refused for the many.
        world.clock.advance(Attempt::Credential.limit().span);
        let others: Permits = Permit::ALL.into_iter().filter(|other| *other != permit).collect();
        let others = world.credential(others).await;
        let cases = [
            ("absent", None, (401, "credential_invalid")),
            ("empty", Some(String::new()), (401, "credential_invalid")),
            ("of another scheme", Some(format!("Basic {good}")), (401, "credential_invalid")),
            ("garbage", Some("Bearer garbage".to_owned()), (401, "credential_invalid")),
            ("altered", Some(format!("Bearer {altered}")), (401, "credential_invalid")),
            ("very long", Some(format!("Bearer hfa1_{}", "A".repeat(10_000))), (401, "credential_invalid")),
            ("a device's session", Some(format!("Bearer {}", device.token)), (403, "wrong_audience")),
            ("expired", Some(format!("Bearer {expired}")), (401, "credential_expired")),
            ("revoked", Some(format!("Bearer {revoked}")), (401, "credential_revoked")),
            ("without the permit", Some(format!("Bearer {others}")), (403, "not_permitted")),
        ];
        for (what, credential, (status, code)) in cases {
            let headers: Vec<(&str, &str)> = credential.iter().map(|value| ("authorization", value.as_str())).collect();
            let answer = world.send(route.method.as_str(), &path(&route), &headers, full("")).await;
            let name = format!("{} {} with a credential that is {what}", route.method, route.path);
            assert_eq!(answer.refused(), (status, code.to_owned()), "{name}");
        }
        let alone = world.credential(Permits::NONE.with(permit)).await;
        let answer = world.api(&alone, route.method.as_str(), &path(&route), "").await;
        let code = if answer.status == 200 { String::new() } else { answer.refused().1 };
        assert!(answer.status != 401 && code != "not_permitted", "{} {}: {code}", route.method, route.path);
        covered.insert(format!("{} {}", route.method, route.path));
    }
    let all = admin_list().into_iter().map(|route| format!("{} {}", route.method, route.path));
    let uncovered: Vec<String> = all.filter(|route| !covered.contains(route)).collect();
    assert_eq!(uncovered, ["GET /api/v1/openapi.json"], "which is open, and says nothing of this server");
}

#[tokio::test]
async fn every_route_of_a_run_or_snapshot_refuses_one_of_another_device() {
    let world = World::start().await;
    let (owner, other) = (Device::activated(&world, "laptop").await, Device::activated(&world, "other").await);
    let backup = crate::repository::Backup::begin(&world, &owner).await;
    let snapshot = backup.commit_small(&world, &owner).await;
    let open = crate::repository::Backup::begin(&world, &owner).await;
    let own = |route: &Route, folder: FolderId| {
        path(route)
            .replace(&run().to_string(), &open.run.to_string())
            .replace(&self::snapshot().to_string(), &snapshot.to_string())
            .replace(&self::folder().to_string(), &folder.to_string())
    };
    for route in device_routes().filter(|route| route.path.contains('{')) {
        // A route may have removed it: it is added for each.
        let request = FolderRequest { path: "/srv".to_owned(), include: vec![], exclude: vec![] };
        let folder = owner.post(&world, "/v1/policy/folders", &request).await.json::<PolicyFolder>().folder.0;
        let own = |route| own(route, folder);
        let code = match route.path {
            path if path.contains("{run}") => "run_not_yours",
            path if path.contains("{folder}") => "folder_not_yours",
            _ => "snapshot_not_yours",
        };
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
    let credential = world.credential(Permits::all()).await;
    for route in list().into_iter().chain(admin_list()) {
        // The largest are refused by what they announce; sending them takes longer than it teaches.
        if route.body_max.0 > 1 << 20 || route.path == WIPED {
            continue;
        }
        let body = vec![b' '; usize::try_from(route.body_max.0).expect("a small limit") + 1];
        let token = if matches!(route.audience, Audience::Admin(_)) { &credential } else { &device.token };
        let announced = world.api(token, route.method.as_str(), &path(&route), body).await;
        // Where an admin may send nothing at all, shorter would not do either.
        let expected = match (route.audience, route.body_max) {
            (Audience::Admin(_), NO_BODY) => (400, "request_malformed".to_owned()),
            _ => (413, "request_too_large".to_owned()),
        };
        assert_eq!(announced.refused(), expected, "{} {}", route.method, route.path);
    }
}

/// Refused by the state of every device that was not told to erase its data, before anything else is looked at.
const WIPED: &str = "/v1/device/wiped";

fn device_routes() -> impl Iterator<Item = Route> {
    list().into_iter().filter(|route| matches!(route.audience, Audience::Device(_)))
}

/// The path with identifiers that nothing has.
fn path(route: &Route) -> String {
    route
        .path
        .replace("{run}", &run().to_string())
        .replace("{snapshot}", &snapshot().to_string())
        .replace("{folder}", &folder().to_string())
        .replace("{profile}", &base::ProfileId::from_bytes([8; 16]).to_string())
        .replace("{pack}", &"ab".repeat(32))
        .replace("{user}", &base::UserId::from_bytes([5; 16]).to_string())
        .replace("{device}", &base::DeviceId::from_bytes([6; 16]).to_string())
        .replace("{credential}", &base::CredentialId::from_bytes([7; 16]).to_string())
}

fn run() -> RunId {
    RunId::from_bytes([3; 16])
}

fn snapshot() -> SnapshotId {
    SnapshotId::from_bytes([4; 16])
}

fn folder() -> FolderId {
    FolderId::from_bytes([5; 16])
}
