//! Deleted users: taken back within their time, purged after it with everything but what docs/control.md says stays.

use super::world::{USER, World, body};
use app::page::PageAsk;
use app::password::Password;
use app::passwords::Purpose;
use app::users::{self, UserFilter};
use app::{AdminActor, devices, jobs};
use base::{DeviceId, Span};
use control::{Event, State, UserEvent, UserState};
use db::PolicySubject;
use store::{Mishap, Store as _, StoreError, Verb};

const ADMIN: AdminActor = AdminActor::Command;
const ADDRESS: &str = "u@example.org";

async fn tick(world: &World) {
    jobs::tick_all(&world.app).await.expect("the jobs work");
}

async fn state(world: &World, device: DeviceId) -> State {
    devices::get(&world.app, &ADMIN, device).await.expect("there").state
}

async fn user_state(world: &World) -> (UserState, String) {
    let user = users::get(&world.app, &ADMIN, USER).await.expect("the row stays");
    (user.state, user.email)
}

/// Everything that a user may have beside devices.
async fn furnish(world: &World) {
    let app = &world.app;
    let wish = app::tickets::Wish {
        email: ADDRESS.to_owned(),
        choice: control::activation::Choice::Auto,
        restore: control::activation::Restore::None,
        span: None,
        show: true,
    };
    app::tickets::make(app, &ADMIN, &wish).await.expect("a good wish");
    app::passwords::link_make(app, &ADMIN, USER, Purpose::Set, true).await.expect("there");
    users::password_set(app, &ADMIN, USER, &Password::new("a long enough one".to_owned())).await.expect("there");
    let csv = format!("email,device_id,device_id_type\n{ADDRESS},PC-1,host_name\n");
    let imported = app::device_map::import_csv(app, &ADMIN, body(csv.into_bytes())).await.expect("a good file");
    assert_eq!(imported.rejected.len(), 0);
    let values = [("quota".to_owned(), Some("1GB".to_owned()))];
    app::policy::set(app, &ADMIN, PolicySubject::User(USER), &values).await.expect("a value");
}

#[tokio::test]
async fn a_deleted_user_comes_back_within_the_time_and_is_purged_with_everything_after_it() {
    let world = World::quick().await;
    let (first, second) = (world.device(1).await, world.device(2).await);
    let (snapshot, _) = world.backup(&first).await;
    furnish(&world).await;
    let change = async |event| users::change(&world.app, &ADMIN, USER, event).await;
    change(UserEvent::Delete).await.expect("active");
    world.clock.advance(Span::days(6));
    tick(&world).await;
    change(UserEvent::Undelete).await.expect("within the time");
    assert_eq!(user_state(&world).await, (UserState::Active, ADDRESS.to_owned()));
    assert_eq!(state(&world, first.actor.device).await.word(), "active", "it was left alone");

    change(UserEvent::Delete).await.expect("active again");
    world.clock.advance(Span::days(1));
    let later = Event::Delete { purge_after: world.clock_now() + Span::days(7) };
    devices::change(&world.app, &ADMIN, second.actor.device, later).await.expect("an admin deletes it by itself");
    world.clock.advance(Span::days(6));
    tick(&world).await;
    tick(&world).await;
    assert_eq!(user_state(&world).await, (UserState::Purged, ADDRESS.to_owned()), "one record is still there");
    assert_eq!(state(&world, first.actor.device).await, State::Purged);
    assert!(app::snapshots::admin_get(&world.app, &ADMIN, snapshot).await.is_err());
    assert_eq!(change(UserEvent::Undelete).await.expect_err("too late").code(), "user_wrong_state");
    let back = devices::change(&world.app, &ADMIN, second.actor.device, Event::Undelete).await;
    assert_eq!(back.expect_err("there is nobody to have it").code(), "user_wrong_state");

    world.clock.advance(Span::days(1));
    tick(&world).await;
    assert_eq!(user_state(&world).await, (UserState::Purged, format!("purged {USER}")));
    nothing_is_left(&world).await;
    users::add(&world.app, &ADMIN, ADDRESS, None).await.expect("the address is free");
    tick(&world).await;
    assert_eq!(user_state(&world).await.0, UserState::Purged, "and that is another user");
}

async fn nothing_is_left(world: &World) {
    let first = PageAsk::first();
    let listed = users::page(&world.app, &ADMIN, &UserFilter::default(), &first).await.expect("readable");
    assert_eq!(listed.items, []);
    let purged = UserFilter { state: Some(UserState::Purged), ..UserFilter::default() };
    assert_eq!(users::page(&world.app, &ADMIN, &purged, &first).await.expect("readable").items.len(), 1);
    let list = devices::page(&world.app, &ADMIN, &devices::DeviceAsk::default(), &first).await.expect("readable");
    assert!(list.items.iter().all(|device| device.name.is_empty() && device.state == State::Purged), "{list:?}");
    assert_eq!(app::tickets::page(&world.app, &ADMIN, &first).await.expect("readable").items.len(), 0);
    let map = app::device_map::page(&world.app, &ADMIN, &first).await.expect("readable");
    assert_eq!(map.items.len(), 0);
    let own = app::policy::values(&world.app, &ADMIN, PolicySubject::User(USER)).await.expect("the row stays");
    assert_eq!(own, []);
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    assert!(rows.iter().any(|row| row.action == "user_purge" && row.subject == USER.to_string()));
    let named = rows.iter().find(|row| format!("{row:?}").contains(ADDRESS));
    assert_eq!(named, None, "the log names no address");
}

#[tokio::test]
async fn one_record_that_cannot_be_purged_holds_no_other_up_and_is_tried_again() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for seed in 1..=3 {
        let device = world.device(seed).await;
        world.backup(&device).await;
        let id = device.actor.device;
        devices::change(&world.app, &ADMIN, id, Event::Delete { purge_after: world.clock_now() })
            .await
            .expect("active");
        ids.push(id);
    }
    // The first is purged, and its manifest cannot be removed.
    world.store.plan(Verb::Remove, 1, Mishap::Fail(StoreError::Closing));
    tick(&world).await;
    assert_eq!(manifests(&world).await, 1, "the others are gone");
    for id in ids {
        assert_eq!(state(&world, id).await, State::Purged);
    }
    tick(&world).await;
    assert_eq!(manifests(&world).await, 0);
}

async fn manifests(world: &World) -> usize {
    world.store.list("manifests/", None, 100).await.expect("memory does not fail").len()
}
