//! The admin API's conventions: pages, unknown fields, sentences, and the two listeners.

use crate::world::{Device, EMAIL, World, full};
use control::{Permit, Permits};
use protocol::admin::Page;
use protocol::admin::device::Device as Wire;
use protocol::admin::user::User;
use serde_json::{Value, json};

#[tokio::test]
async fn a_list_is_walked_page_by_page_without_a_gap() {
    let world = World::start().await;
    let credential = world.credential(Permits::all()).await;
    for n in 0..5 {
        world.user(&format!("user-{n}@example.org")).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/users?limit=2{after}");
        let page: Page<User> = world.api(&credential, "GET", &path, "").await.json();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|user| user.email));
        let Some(next) = page.next else { break };
        // Whoever comes meanwhile moves nobody to a place that was shown already.
        world.user(&format!("a-{}@example.org", seen.len())).await;
        after = format!("&after={next}");
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert!(seen.is_sorted() && seen[0] == EMAIL, "{seen:?}");
}

#[tokio::test]
async fn what_a_route_does_not_know_is_refused_by_its_name_and_never_by_its_value() {
    let world = World::start().await;
    let credential = world.credential(Permits::all()).await;
    let said = async |method: &str, path: &str, body: &str| {
        let problem = world.api(&credential, method, path, body.to_owned()).await.problem();
        assert_eq!((problem.status, problem.code.as_str()), (400, "request_malformed"), "{path} {body}");
        problem.detail
    };
    assert!(said("GET", "/api/v1/users?colour=red", "").await.contains("`colour`"));
    assert!(said("GET", "/api/v1/users?limit=1001", "").await.contains("1000"));
    said("GET", "/api/v1/users?limit=0", "").await;
    said("GET", "/api/v1/users?after=nonsense", "").await;
    said("GET", "/api/v1/users?state=Active", "").await;
    said("GET", "/api/v1/users/usr_0", "").await;
    said("GET", "/api/v1/users/usr_00000000000000000000000000?limit=1", "").await;
    said("GET", "/api/v1/devices?state=actve", "").await;
    let body = r#"{"email":"a@b.org","password":"secret words","colour":1}"#;
    assert!(said("POST", "/api/v1/users", body).await.contains("`colour`"));
    let wrong = said("POST", "/api/v1/users", r#"{"email":"a@b.org","password":["secret words"]}"#).await;
    assert!(!wrong.contains("secret") && wrong.contains("line 1"), "{wrong}");
    assert!(said("POST", "/api/v1/users", "").await.contains("`email`"), "an empty body is an empty object");
    said("POST", "/api/v1/users", "{").await;
}

#[tokio::test]
async fn a_user_is_locked_with_every_device_at_once_and_comes_back() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let credential = world.credential(Permits::all()).await;
    let users: Page<User> = world.api(&credential, "GET", &format!("/api/v1/users?email={EMAIL}"), "").await.json();
    let (id, devices) = (users.items[0].user.0, users.items[0].devices);
    assert_eq!(devices, 1);
    let event = async |event: &str| world.api(&credential, "POST", &format!("/api/v1/users/{id}/{event}"), "").await;
    for (verb, state, code) in [
        ("lock", "locked", Some("user_not_active")),
        ("unlock", "active", None),
        ("preserve", "preserved", Some("user_not_active")),
        ("activate", "active", None),
        ("delete", "deleted", Some("user_not_active")),
        ("undelete", "active", None),
    ] {
        let changed: User = event(verb).await.json();
        assert_eq!((changed.state.as_str(), changed.purge_after_ms.is_some()), (state, state == "deleted"), "{verb}");
        let answer = device.ask(&world, "GET", "/v1/device", "").await;
        assert_eq!((answer.status != 200).then(|| answer.refused().1).as_deref(), code, "{verb}");
    }
    assert_eq!(event("activate").await.refused(), (409, "user_state_same".to_owned()));
    assert_eq!(event("undelete").await.refused(), (409, "user_wrong_state".to_owned()));
}

#[tokio::test]
async fn every_event_of_a_device_is_a_route_and_every_refusal_a_problem() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let credential = world.credential(Permits::NONE.with(Permit::DeviceManage)).await;
    let event = async |event: &str, body: Value| {
        let path = format!("/api/v1/devices/{}/{event}", device.id);
        world.api(&credential, "POST", &path, body.to_string()).await
    };
    for (verb, body, state) in [
        ("suspend", json!(null), "suspended"),
        ("enable", json!(null), "active"),
        ("hold", json!({ "append_days": 3 }), "held"),
        ("reactivate", json!(null), "active"),
        ("hold", json!({}), "held"),
        ("deactivate", json!({ "level": "rotate" }), "deactivated"),
        ("decommission", json!(null), "decommissioning"),
        ("enable", json!(null), "deactivated"),
        ("reactivate", json!(null), "active"),
        ("delete", json!(null), "deleted"),
        ("undelete", json!(null), "active"),
    ] {
        let body = if body.is_null() { Value::from("") } else { body };
        let path = format!("/api/v1/devices/{}/{verb}", device.id);
        let body = if body == "" { String::new() } else { body.to_string() };
        let changed: Wire = world.api(&credential, "POST", &path, body).await.json();
        assert_eq!(changed.state, state, "{verb}");
    }
    let bodied = event("approve", json!({})).await.refused();
    assert_eq!(bodied, (400, "request_malformed".to_owned()), "a route without a body takes none");
    let path = format!("/api/v1/devices/{}/undelete", device.id);
    let refused = world.api(&credential, "POST", &path, "").await.refused();
    assert_eq!(refused, (409, "wrong_state".to_owned()));
    assert_eq!(event("deactivate", json!({ "level": "hard" })).await.refused().1, "request_malformed");
    for days in [0, 366] {
        let answer = event("hold", json!({ "append_days": days })).await;
        assert!(answer.problem().detail.contains("from 1 to 365. To have"), "{days}");
    }
    let nobody = "/api/v1/devices/dev_00000000000000000000000000/suspend";
    assert_eq!(world.api(&credential, "POST", nobody, "").await.refused(), (404, "device_unknown".to_owned()));
}

#[tokio::test]
async fn devices_are_filtered_by_user_state_name_and_when_they_were_seen() {
    let world = World::start().await;
    world.user("ben@example.org").await;
    let anna = Device::activated(&world, "anna-laptop").await;
    let ben = Device::activated_for(&world, "ben-laptop", "ben@example.org").await;
    world.admin(ben.id, control::Event::Suspend).await;
    let credential = world.credential(Permits::all()).await;
    let found = async |query: &str| {
        let page: Page<Wire> = world.api(&credential, "GET", &format!("/api/v1/devices{query}"), "").await.json();
        page.items.into_iter().map(|device| device.device.0).collect::<Vec<_>>()
    };
    assert_eq!(found("").await, [anna.id, ben.id]);
    assert_eq!(found("?user=ben@example.org").await, [ben.id]);
    assert_eq!(found("?state=active").await, [anna.id]);
    assert_eq!(found("?named=ben-laptop").await, [ben.id]);
    assert_eq!(found(&format!("?named={}", &anna.id.to_string()[..14])).await, [anna.id]);
    assert_eq!(found("?named=laptop").await, []);
    assert_eq!(found("?seen_before_ms=1").await, []);
    assert_eq!(found("?seen_from_ms=1").await, [anna.id, ben.id]);
    let nobody = world.api(&credential, "GET", "/api/v1/devices?user=carl@example.org", "").await;
    assert_eq!(nobody.refused(), (404, "user_unknown".to_owned()));
}

#[tokio::test]
async fn a_listener_of_its_own_takes_the_admin_api_away_from_the_one_for_devices() {
    let world = World::start_with("[admin]\nlisten = \"127.0.0.1:0\"").await;
    let admin = world.admin_address.expect("it was configured");
    let credential = world.credential(Permits::all()).await;
    let bearer = format!("Bearer {credential}");
    let status = async |address, path: &str| {
        let headers = [("authorization", bearer.as_str())];
        world.send_to(address, "GET", path, &headers, full("")).await.status.as_u16()
    };
    for (path, at_devices, at_admins) in [
        ("/api/v1/users", 404, 200),
        ("/api/v1/openapi.json", 404, 200),
        ("/v1/hello", 200, 404),
        ("/v1/device", 403, 404),
        ("/metrics", 200, 404),
        ("/healthz", 200, 200),
    ] {
        assert_eq!((status(world.address, path).await, status(admin, path).await), (at_devices, at_admins), "{path}");
    }
    world.stop().await;
}
