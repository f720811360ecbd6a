//! The heart: a device loses its right to connect and gets it back, with its record, its snapshots and its history.

use crate::repository::{Backup, begin_request};
use crate::world::{Device, EMAIL, PASSWORD, World, password, streamed};
use base::{Clock as _, Span, SystemClock, Timestamp};
use bytes::Bytes;
use control::{Event, Level, Proof};
use futures::stream;
use protocol::Text;
use protocol::agent::activation::ActivationReply;
use protocol::agent::run::{BeginReply, Purpose, SnapshotListReply};
use protocol::agent::session::SessionReply;
use server::routes::{Audience, list};
use std::sync::Arc;

const ACTIVATIONS: &str = "/v1/activations";
/// B6: a revocation reaches live connections within this.
const CUT_SPAN: Span = Span::seconds(1);

#[tokio::test]
async fn deactivation_cuts_a_running_upload_within_a_second() {
    for (what, pieces, elsewhere) in [
        ("trickles", usize::MAX, false),
        ("stalls", 1, false),
        ("trickles, cut by another process", usize::MAX, true),
        ("stalls, cut by another process", 1, true),
    ] {
        let world = World::start().await;
        let other = app::App::open(&world.data, world.clock.clone(), Arc::new(base::OsEntropy)).await;
        let other = other.expect("two processes share the directory");
        let device = Device::activated(&world, "laptop").await;
        let backup = Backup::begin(&world, &device).await;
        let path = backup.path(&format!("packs/{}", "ab".repeat(32)));
        let body = stream::unfold(0, move |sent| async move {
            if sent >= pieces {
                std::future::pending::<()>().await;
            }
            SystemClock.sleep(Span::ms(20)).await;
            Some((Bytes::from_static(b"xxxxxxxx"), sent + 1))
        });
        let cut = async {
            SystemClock.sleep(Span::ms(700)).await;
            let app = if elsewhere { &other } else { world.app.as_ref() };
            let event = Event::Deactivate { level: Level::Rotate };
            app::devices::change(app, &app::AdminActor::Command, device.id, event).await.expect("granted");
            world.clock.now()
        };
        let sent = async {
            let answer = device.send(&world, "PUT", &path, streamed(Box::pin(body))).await;
            (answer, world.clock.now())
        };
        let ((answer, answered_at), cut_at) = tokio::join!(sent, cut);
        assert_eq!(answer.refused(), (403, "device_deactivated".to_owned()), "a body that {what}");
        let span = answered_at.since(cut_at);
        assert!(span <= CUT_SPAN, "a body that {what} was cut after {span}");
    }
}

#[tokio::test]
async fn a_change_by_another_process_is_seen_within_a_second() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    assert_eq!(device.ask(&world, "GET", "/v1/device", "").await.status, 200);
    let other = app::App::open(&world.data, world.clock.clone(), Arc::new(base::OsEntropy)).await;
    let other = other.expect("two processes share the directory");
    let cut = Event::Deactivate { level: Level::Rotate };
    app::devices::change(&other, &app::AdminActor::Command, device.id, cut).await.expect("granted");
    let changed_at = world.clock.now();
    let seen_after = loop {
        let answer = device.ask(&world, "GET", "/v1/device", "").await;
        if answer.status != 200 {
            assert_eq!(answer.refused().1, "device_deactivated");
            break world.clock.now().since(changed_at);
        }
        assert!(world.clock.now().since(changed_at) < Span::seconds(10), "it is never seen");
    };
    assert!(seen_after <= CUT_SPAN, "seen after {seen_after}");
}

#[tokio::test]
async fn a_backup_after_deactivation_is_refused_with_a_sentence_that_says_what_to_do() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    world.admin(device.id, Event::Deactivate { level: Level::Rotate }).await;
    let problem = device.post(&world, "/v1/runs", &begin_request(Purpose::Backup)).await.problem();
    assert_eq!((problem.status, problem.code.as_str()), (403, "device_deactivated"));
    assert_eq!(
        problem.detail,
        "This device was deactivated, so it can neither back up nor restore; everything it has backed up is kept. \
         Activate it again, and it goes on where it stopped: its own key suffices where only keys are renewed, \
         else sign in with your e-mail address and password."
    );
    assert_eq!(problem.retry_after_ms, None);
}

#[tokio::test]
async fn the_password_brings_back_the_same_device_with_its_snapshots_at_every_level() {
    for level in [Level::Rotate, Level::Revoke] {
        let world = World::start().await;
        let device = Device::activated(&world, "laptop").await;
        let snapshot = Backup::begin(&world, &device).await.commit_small(&world, &device).await;
        world.admin(device.id, Event::Deactivate { level }).await;
        let mut back = Device::new("laptop");
        let reply: ActivationReply = world.post(ACTIVATIONS, &back.activation(EMAIL, password(PASSWORD))).await.json();
        assert_eq!((reply.device, reply.epoch), (Text(device.id), device.epoch + 1), "{level:?}");
        let newest = reply.snapshot.clone().expect("the next backup goes on from it");
        assert!(newest.snapshot == Text(snapshot) && newest.root.is_some());
        back.bound(&reply);
        back.token = back.open(&world).await.json::<SessionReply>().token;
        let listed: SnapshotListReply = back.ask(&world, "GET", "/v1/snapshots", "").await.json();
        assert_eq!(listed.snapshots.len(), 1);
        let begun: BeginReply = back.post(&world, "/v1/runs", &begin_request(Purpose::Backup)).await.json();
        assert_eq!(begun.snapshot.map(|parent| parent.snapshot), Some(Text(snapshot)));
        assert_eq!(
            device.ask(&world, "GET", "/v1/device", "").await.refused().1,
            "session_invalid",
            "the old key is out"
        );
    }
}

#[tokio::test]
async fn the_old_key_brings_the_device_back_at_level_rotate_and_not_at_level_revoke() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    world.admin(device.id, Event::Deactivate { level: Level::Rotate }).await;
    let (mut next, request) = device.return_with_old_key();
    let reply: ActivationReply = world.post(ACTIVATIONS, &request).await.json();
    assert_eq!((reply.device, reply.epoch, reply.outcome.as_str()), (Text(device.id), 2, "reactivated"));
    assert_eq!(world.post(ACTIVATIONS, &request).await.json::<ActivationReply>(), reply, "repeated");
    next.bound(&reply);
    assert_eq!(next.open(&world).await.status, 200);
    assert_eq!(device.open(&world).await.refused().1, "signature_invalid", "the old key is of no use now");

    world.admin(device.id, Event::Deactivate { level: Level::Revoke }).await;
    let (_, request) = next.return_with_old_key();
    let answer = world.post(ACTIVATIONS, &request).await;
    assert_eq!(answer.refused(), (403, "sign_in_needed".to_owned()));
    assert!(answer.problem().detail.contains("Sign in"), "{}", answer.problem().detail);
}

#[tokio::test]
async fn an_admin_brings_a_device_back_without_its_doing_anything() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    world.admin(device.id, Event::Deactivate { level: Level::Rotate }).await;
    assert_eq!(device.open(&world).await.refused().1, "device_deactivated");
    world.admin(device.id, Event::Reactivate { proof: Proof::Admin }).await;
    let session: SessionReply = device.open(&world).await.json();
    let back = Device { token: session.token, ..device };
    Backup::begin(&world, &back).await.commit_small(&world, &back).await;
}

#[tokio::test]
async fn a_held_device_appends_until_the_date_and_reads_nothing() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let snapshot = Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    let restore = begin_request(Purpose::Restore { snapshot: Text(snapshot) });
    let open: BeginReply = device.post(&world, "/v1/runs", &restore).await.json();
    let append_until = world.clock.now() + Span::days(3);
    world.admin(device.id, Event::Hold { append_until }).await;
    Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    let again = begin_request(Purpose::Restore { snapshot: Text(snapshot) });
    assert_eq!(device.post(&world, "/v1/runs", &again).await.refused().1, "device_held");
    for path in [format!("/v1/runs/{}/fetch", open.run.0), format!("/v1/runs/{}/locate", open.run.0)] {
        assert_eq!(device.ask(&world, "POST", &path, vec![1; 32]).await.refused(), (403, "device_held".to_owned()));
    }
    assert_eq!(device.ask(&world, "GET", "/v1/snapshots", "").await.refused().1, "device_held");
    world.clock.advance(Span::days(3));
    assert_eq!(device.open(&world).await.refused().1, "device_held");
    let (_, request) = device.return_with_old_key();
    let reply: ActivationReply = world.post(ACTIVATIONS, &request).await.json();
    assert_eq!((reply.device, reply.epoch), (Text(device.id), 2));
}

#[tokio::test]
async fn who_may_not_read_is_shown_no_root_on_any_route() {
    for (word, event) in
        [("held", None), ("quarantined", Some(Event::Conflict)), ("decommissioning", Some(Event::Decommission))]
    {
        let world = World::start().await;
        let device = Device::activated(&world, "laptop").await;
        let snapshot = Backup::begin(&world, &device).await.commit_small(&world, &device).await;
        let restore = begin_request(Purpose::Restore { snapshot: Text(snapshot) });
        let open: BeginReply = device.post(&world, "/v1/runs", &restore).await.json();
        let root = open.snapshot.and_then(|snapshot| snapshot.root).expect("full rights show it");
        let hidden: String = root.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let hold = Event::Hold { append_until: world.clock.now() + Span::days(3) };
        world.admin(device.id, event.unwrap_or(hold)).await;
        let mut walked = 0;
        for route in list().into_iter().filter(|route| matches!(route.audience, Audience::Device(_))) {
            // What the order to erase is answered with is the end of the device.
            if route.path == "/v1/device/wiped" {
                continue;
            }
            let path = route.path.replace("{run}", &open.run.0.to_string());
            let path = path.replace("{snapshot}", &snapshot.to_string()).replace("{pack}", &"ab".repeat(32));
            let path = path.replace("{folder}", &base::FolderId::from_bytes([1; 16]).to_string());
            let bodies = match route.path {
                "/v1/runs" => [Purpose::Backup, Purpose::Restore { snapshot: Text(snapshot) }]
                    .map(|purpose| serde_json::to_vec(&begin_request(purpose)).expect("plain values"))
                    .to_vec(),
                _ if route.body_max.0 == 0 => vec![Vec::new()],
                _ => vec![root.0.to_vec()],
            };
            for body in bodies {
                let answer = device.ask(&world, route.method.as_str(), &path, body).await;
                let text = String::from_utf8_lossy(&answer.body).to_lowercase();
                assert!(!text.contains(&hidden), "{word}, {} {path}: {text}", route.method);
                assert!(!answer.body.windows(32).any(|part| part == root.0), "{word}, {} {path}", route.method);
                walked += 1;
            }
        }
        assert!(walked >= 12, "{walked} requests");
        let status = device.ask(&world, "GET", "/v1/device", "").await;
        assert!(String::from_utf8_lossy(&status.body).contains(word), "the status is read all the same");
    }
}

#[tokio::test]
async fn a_suspension_aborts_every_run_and_a_hold_the_restores_alone() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let snapshot = Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    let begin_restore = || async {
        let restore = begin_request(Purpose::Restore { snapshot: Text(snapshot) });
        device.post(&world, "/v1/runs", &restore).await.json::<BeginReply>().run.0
    };
    let append_until = world.clock.now() + Span::days(3);
    for (stop, go_on, backup_after) in [
        (Event::Hold { append_until }, Event::Reactivate { proof: Proof::Admin }, "goes on"),
        (Event::Suspend, Event::Enable, "run_closed"),
    ] {
        let (backup, restore) = (Backup::begin(&world, &device).await, begin_restore().await);
        world.admin(device.id, stop).await;
        world.admin(device.id, go_on).await;
        // The credential and the session were kept: only what was done to the runs is left to see.
        let read = device.ask(&world, "POST", &format!("/v1/runs/{restore}/locate"), "").await;
        assert_eq!(read.refused(), (409, "run_closed".to_owned()), "{stop:?}");
        let appended = device.ask(&world, "POST", &backup.path("dedupe"), "").await;
        let said = if appended.status == 200 { "goes on".to_owned() } else { appended.refused().1 };
        assert_eq!(said, backup_after, "{stop:?}");
    }
}

#[tokio::test]
async fn suspended_and_deleted_devices_are_refused_and_come_back_with_the_key_that_they_have() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let purge_after = world.clock.now() + Span::days(7);
    for (stop, go_on, code) in [
        (Event::Suspend, Event::Enable, "device_suspended"),
        (Event::Delete { purge_after }, Event::Undelete, "device_deleted"),
    ] {
        world.admin(device.id, stop).await;
        assert_eq!(device.ask(&world, "GET", "/v1/device", "").await.refused(), (403, code.to_owned()));
        let next = Device::new("laptop");
        let replace = protocol::agent::activation::Choice::Replace { device: Text(device.id) };
        let chosen = next.activation_as(EMAIL, password(PASSWORD), replace);
        assert_eq!(world.post(ACTIVATIONS, &chosen).await.refused().1, code, "a password is no way around it");
        world.admin(device.id, go_on).await;
        assert_eq!(device.ask(&world, "GET", "/v1/device", "").await.status, 200, "after {code}");
    }
}

#[tokio::test]
async fn a_refused_change_changes_nothing_and_is_in_the_audit_log() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let admin = app::AdminActor::Command;
    let refused = app::devices::change(&world.app, &admin, device.id, Event::Enable).await.expect_err("it is enabled");
    assert_eq!(refused.code(), "nothing_to_change");
    let nobody = base::DeviceId::from_bytes([9; 16]);
    let refused = app::devices::change(&world.app, &admin, nobody, Event::Suspend).await.expect_err("there is none");
    assert_eq!(refused.code(), "device_unknown");
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    let last = rows.last().expect("rows");
    assert_eq!((last.action.as_str(), last.detail.as_str()), ("device_enable", "refused: nothing_to_change"));
    assert!(last.at > Timestamp::from_ms(0));
}
