//! Whatever goes on for long for a device ends within a second of the change that forbids it, within two when another
//! process made the change: bodies that trickle, answers on their way, of every kind of request.

use crate::repository::{Backup, begin_request, names};
use crate::world::{Answer, Device, EMAIL, World, streamed};
use app::page::PageAsk;
use app::{AdminActor, App, devices, users};
use base::{Clock as _, OsEntropy, SnapshotId, Span, SystemClock, Timestamp};
use bytes::Bytes;
use control::{Event, Level, UserEvent};
use format::{ChunkKind, ChunkRef};
use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use protocol::Text;
use protocol::agent::run::{BeginReply, Purpose, UploadReply};
use std::sync::Arc;

/// By a change of this process, and by one of another that shares the database.
const SPANS: [(bool, Span); 2] = [(false, Span::seconds(1)), (true, Span::seconds(2))];

/// Another process on the same directory.
async fn elsewhere(world: &World) -> App {
    App::open(&world.data, world.clock.clone(), Arc::new(OsEntropy)).await.expect("two processes share the directory")
}

/// What forbids it.
enum Change {
    Device(Event),
    LockUser,
}

/// Makes the change, here or elsewhere, once the request is well under way. Gives the moment after it.
async fn change(world: &World, device: &Device, what: Change, by_another: bool) -> Timestamp {
    SystemClock.sleep(Span::ms(600)).await;
    let other = elsewhere(world).await;
    let app = if by_another { &other } else { world.app.as_ref() };
    match what {
        Change::Device(event) => {
            devices::change(app, &AdminActor::Command, device.id, event).await.expect("granted");
        }
        Change::LockUser => {
            let filter = users::UserFilter { email: Some(EMAIL.to_owned()), ..Default::default() };
            let found = users::page(app, &AdminActor::Command, &filter, &PageAsk::first()).await.expect("readable");
            users::change(app, &AdminActor::Command, found.items[0].id, UserEvent::Lock).await.expect("granted");
        }
    }
    world.clock.now()
}

/// A body that comes byte by byte and has no end.
fn trickle() -> crate::world::Body {
    streamed(Box::pin(stream::repeat(()).then(|()| async {
        SystemClock.sleep(Span::ms(20)).await;
        Bytes::from_static(b" ")
    })))
}

/// Sends such a body; the answer, and the moment at which it came.
async fn trickled(world: &World, device: &Device, path: &str) -> (Answer, Timestamp) {
    let answer = device.send(world, "POST", path, trickle()).await;
    (answer, world.clock.now())
}

#[tokio::test]
async fn a_body_that_trickles_is_cut_on_every_route_that_takes_one() {
    let hold = Event::Hold { append_until: Timestamp::from_ms(0) };
    let deactivate = Event::Deactivate { level: Level::Rotate };
    for (rest, event, code) in [
        ("", deactivate, "device_deactivated"),
        ("/dedupe", Event::Suspend, "device_suspended"),
        ("/verify", hold, "device_held"),
        ("/commit", deactivate, "device_deactivated"),
        ("/fetch", Event::Conflict, "device_quarantined"),
    ] {
        for (by_another, span) in SPANS {
            let world = World::start().await;
            let device = Device::activated(&world, "laptop").await;
            let path = match rest {
                "" => "/v1/runs".to_owned(),
                rest => Backup::begin(&world, &device).await.path(&rest[1..]),
            };
            let sent = trickled(&world, &device, &path);
            let ((answer, answered_at), changed_at) =
                tokio::join!(sent, change(&world, &device, Change::Device(event), by_another));
            assert_eq!(answer.refused(), (403, code.to_owned()), "POST {path}");
            let after = answered_at.since(changed_at);
            assert!(after <= span, "POST {path} was cut after {after}, by another process: {by_another}");
        }
    }
}

#[tokio::test]
async fn a_lock_of_the_user_cuts_too_and_so_does_another_process_on_postgresql() {
    for (on_postgres, by_another, locks) in
        [(false, false, true), (false, true, true), (true, true, false), (true, true, true)]
    {
        let temp = if on_postgres { Some(db::testing::postgres().await) } else { None };
        let url = temp.as_ref().map(|temp| temp.url().expect("a server has an address"));
        let database = url.map(|url| format!("database.url = \"{url}\"")).unwrap_or_default();
        let world = World::start_on(&database, "").await;
        let device = Device::activated(&world, "laptop").await;
        let path = Backup::begin(&world, &device).await.path("commit");
        let sent = trickled(&world, &device, &path);
        let what = if locks { Change::LockUser } else { Change::Device(Event::Deactivate { level: Level::Rotate }) };
        let changed = change(&world, &device, what, by_another);
        let ((answer, answered_at), changed_at) = tokio::join!(sent, changed);
        let code = if locks { "user_not_active" } else { "device_deactivated" };
        assert_eq!(answer.refused(), (403, code.to_owned()), "on PostgreSQL: {on_postgres}");
        let (after, span) = (answered_at.since(changed_at), SPANS[usize::from(by_another)].1);
        assert!(after <= span, "cut after {after}, on PostgreSQL: {on_postgres}, by another process: {by_another}");
    }
}

#[tokio::test]
async fn a_newer_binding_of_the_key_cuts_what_the_older_one_has_under_way() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let path = Backup::begin(&world, &device).await.path("commit");
    let sent = trickled(&world, &device, &path);
    let bound = async {
        change(&world, &device, Change::Device(Event::Deactivate { level: Level::Rotate }), false).await;
        devices::change(&world.app, &AdminActor::Command, device.id, back()).await.expect("granted");
        world.clock.now()
    };
    let ((answer, answered_at), bound_at) = tokio::join!(sent, bound);
    let (status, code) = answer.refused();
    assert!((status, code.as_str()) == (401, "session_invalid"), "{status} {code}");
    assert!(answered_at.since(bound_at) <= Span::seconds(1));
}

/// An admin brings the device back with the key that it has: the binding is a new one.
fn back() -> Event {
    Event::Reactivate { proof: control::Proof::Admin }
}

#[tokio::test]
async fn an_answer_on_its_way_to_a_reader_who_takes_his_time_is_cut() {
    for (by_another, span) in SPANS {
        let world = World::start().await;
        let device = Device::activated(&world, "laptop").await;
        let (snapshot, refs) = large(&world, &device).await;
        let restore = Purpose::Restore { snapshot: Text(snapshot) };
        let begun: BeginReply = device.post(&world, "/v1/runs", &begin_request(restore)).await.json();
        let (path, bearer) = (format!("/v1/runs/{}/fetch", begun.run.0), format!("Bearer {}", device.token));
        let headers = [("authorization", bearer.as_str())];
        let (response, driver) = world.open("POST", &path, &headers, crate::world::full(names(&refs))).await;
        assert_eq!((response.status().as_u16(), world.connections().await), (200, 1));
        let changed_at =
            change(&world, &device, Change::Device(Event::Deactivate { level: Level::Rotate }), by_another).await;
        while world.connections().await > 0 {
            assert!(world.clock.now().since(changed_at) <= span, "by another process: {by_another}");
        }
        let read = response.into_body().collect().await;
        assert!(read.is_err(), "what broke off does not look like a whole answer");
        driver.abort();
    }
}

/// A snapshot that is far larger than what the system holds for a connection.
async fn large(world: &World, device: &Device) -> (SnapshotId, Vec<ChunkRef>) {
    let backup = Backup::begin(world, device).await;
    let mut refs = Vec::new();
    for seed in 0..4_u64 {
        let chunks: Vec<_> =
            (0..3).map(|part| backup.chunk(ChunkKind::Content, noise(seed * 3 + part, 4 << 20))).collect();
        refs.extend(chunks.iter().map(|chunk| chunk.1));
        let pack = backup.pack(&chunks);
        let path = backup.pack_path(&pack);
        device.ask(world, "PUT", &path, pack.bytes).await.json::<UploadReply>();
    }
    (backup.commit_small(world, device).await, refs)
}

/// Bytes that do not shrink.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    base::Entropy::fill(&base::SeededEntropy::new(seed), &mut bytes);
    bytes
}
