//! Support bundles: asked for, sent once, read, kept for some days; and admins, of whom one is always left.

use super::world::{World, code};
use app::admins;
use app::password::Password;
use app::support_bundles::{BUNDLE_BYTES_MAX, ask, get, receive, remove};
use app::{AdminActor, devices, jobs};
use base::Span;
use control::admin::AdminEvent;
use control::{Event, Permit, Permits};

const ADMIN: AdminActor = AdminActor::Command;

#[tokio::test]
async fn a_bundle_is_sent_once_to_who_has_asked_and_goes_after_some_days() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (app, id) = (&world.app, device.actor.device);
    let ordered = async || devices::own(app, &device.actor).await.expect("its own").bundle;
    assert_eq!(code(receive(app, &device.actor, b"{}").await), "bundle_not_asked");
    assert_eq!(code(get(app, &ADMIN, id).await), "bundle_unknown");
    assert!(!ordered().await);
    ask(app, &ADMIN, id).await.expect("there");
    assert!(ordered().await);
    assert_eq!(get(app, &ADMIN, id).await.expect("asked for").text, None);
    let long = vec![b' '; usize::try_from(BUNDLE_BYTES_MAX.0).expect("small") + 1];
    assert_eq!(code(receive(app, &device.actor, &long).await), "request_too_large");
    assert_eq!(code(receive(app, &device.actor, &[0xff]).await), "request_malformed");
    receive(app, &device.actor, b"{}").await.expect("it was asked for");
    assert_eq!(code(receive(app, &device.actor, b"[]").await), "bundle_not_asked", "once");
    assert!(!ordered().await);
    let came = get(app, &ADMIN, id).await.expect("it came");
    assert_eq!((came.text.as_deref(), came.sent_at), (Some("{}"), Some(world.clock_now())));
    world.clock.advance(Span::days(14));
    jobs::tick_all(app).await.expect("the jobs work");
    assert!(get(app, &ADMIN, id).await.is_ok(), "to the day");
    world.clock.advance(Span::ms(1));
    jobs::tick_all(app).await.expect("the jobs work");
    assert_eq!(code(get(app, &ADMIN, id).await), "bundle_unknown");

    ask(app, &ADMIN, id).await.expect("there");
    remove(app, &ADMIN, id).await.expect("asked for");
    assert!(!ordered().await, "taken back");
    let mut tx = app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    let done: Vec<&str> = rows.iter().filter_map(|row| row.action.strip_prefix("device_support_")).collect();
    assert_eq!(done, ["ask", "send", "read", "read", "ask", "remove"]);
}

#[tokio::test]
async fn a_purge_takes_the_bundle_along_and_nobody_asks_a_purged_record() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (app, id) = (&world.app, device.actor.device);
    ask(app, &ADMIN, id).await.expect("there");
    let purge_after = world.clock_now();
    devices::change(app, &ADMIN, id, Event::Delete { purge_after }).await.expect("an admin deletes");
    jobs::tick_all(app).await.expect("the jobs work");
    assert_eq!(code(get(app, &ADMIN, id).await), "bundle_unknown");
    assert_eq!(code(ask(app, &ADMIN, id).await), "device_purged");
}

#[tokio::test]
async fn admins_are_made_changed_and_removed_and_the_last_whole_one_stays() {
    let world = World::quick().await;
    let app = &world.app;
    let password = Password::new("a long enough password".to_owned());
    let make = async |email: &str, permits| admins::make(app, &ADMIN, email, permits, &password).await;
    let amy = make("Amy@example.org", Permits::all()).await.expect("new").id;
    assert_eq!(code(make("amy@example.org", Permits::all()).await), "admin_exists");
    assert_eq!(code(make("zoe@example.org", Permits::NONE).await), "permits_missing");
    let zoe = make("zoe@example.org", Permits::NONE.with(Permit::DeviceRead)).await.expect("new").id;
    let change = async |id, event| admins::change(app, &ADMIN, id, event).await;
    assert_eq!(code(change(amy, AdminEvent::Disable).await), "last_admin");
    assert_eq!(code(admins::remove(app, &ADMIN, amy).await), "last_admin");
    change(zoe, AdminEvent::Permits(Permits::all())).await.expect("there");
    assert_eq!(code(change(zoe, AdminEvent::Enable).await), "admin_state_same");
    let off = change(amy, AdminEvent::Disable).await.expect("another one is left");
    assert_eq!(off.disabled_at, Some(world.clock_now()));
    assert_eq!(code(change(zoe, AdminEvent::Permits(Permits::NONE.with(Permit::UserRead))).await), "last_admin");
    assert_eq!(admins::remove(app, &ADMIN, amy).await.expect("out of service").email, "amy@example.org");
    assert_eq!(code(admins::get(app, &ADMIN, amy).await), "admin_unknown");
    let first = app::page::PageAsk::first();
    let list = admins::page(app, &ADMIN, Some("ZOE@example.org"), &first).await.expect("readable");
    assert_eq!(list.items.iter().map(|admin| admin.id).collect::<Vec<_>>(), [zoe]);
}
