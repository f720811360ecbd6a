//! Policies as a device sees and changes them, and what each way back does to its user's own choices.

use crate::world::{Answer, Device, EMAIL, PASSWORD, World, password};
use app::folders::FolderDraft;
use app::page::PageAsk;
use app::{AdminActor, PolicySubject};
use base::{FolderId, Span};
use control::policy::FolderOs;
use control::{Event, Level, Proof};
use protocol::agent::activation::ActivationReply;
use protocol::agent::policy::{FolderRequest, PolicyChanges, PolicyFolder, PolicyReply, ValuesRequest};
use protocol::agent::session::SessionReply;
use protocol::agent::status::DeviceReply;

const ACTIVATIONS: &str = "/v1/activations";
const ADMIN: AdminActor = AdminActor::Command;

/// A user's choices at a device, made over the wire, and an admin's beside them.
struct Chosen {
    optional: FolderId,
    before: PolicyReply,
}

fn values(pairs: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    pairs.iter().map(|(key, text)| ((*key).to_owned(), text.map(str::to_owned))).collect()
}

async fn admin_set(world: &World, subject: PolicySubject, key: &str, text: &str) {
    app::policy::set(&world.app, &ADMIN, subject, &values(&[(key, Some(text))])).await.expect("granted");
}

async fn admin_folder(world: &World, path: &str, mandatory: bool) -> FolderId {
    let profile = app::profiles::page(&world.app, &ADMIN, None, &PageAsk::first()).await.expect("readable").items[0].id;
    let draft = FolderDraft { os: FolderOs::Any, path: path.to_owned(), mandatory, include: vec![], exclude: vec![] };
    app::folders::add(&world.app, &ADMIN, PolicySubject::Profile(profile), &draft).await.expect("granted").id
}

async fn user_set(world: &World, device: &Device, pairs: &[(&str, Option<&str>)]) -> Answer {
    let request = ValuesRequest { values: values(pairs).into_iter().collect() };
    device.ask(world, "PATCH", "/v1/policy/values", serde_json::to_vec(&request).expect("plain values")).await
}

async fn policy(world: &World, device: &Device) -> PolicyReply {
    device.ask(world, "GET", "/v1/policy", "").await.json()
}

fn said(policy: &PolicyReply, key: &str) -> String {
    let value = policy.values.iter().find(|value| value.key == key).expect("every policy is there");
    format!("{} from {}", value.value, value.from)
}

fn is_linked(policy: &PolicyReply, id: FolderId) -> bool {
    policy.folders.iter().find(|folder| folder.folder.0 == id).expect("the folder is there").linked
}

async fn choose(world: &World, device: &Device) -> Chosen {
    let optional = admin_folder(world, "${home}/Music", false).await;
    admin_folder(world, "${documents}", true).await;
    for (key, text) in [("bandwidth_lan", "50%"), ("run_on_metered", "yes")] {
        admin_set(world, PolicySubject::Device(device.id), key, text).await;
    }
    let own = [("interval", Some("1h")), ("cpu_priority", Some("high")), ("bandwidth_wan", Some("2MB/s"))];
    user_set(world, device, &own).await.json::<PolicyReply>();
    let request = FolderRequest { path: "/srv/own".to_owned(), include: vec![], exclude: vec!["*.tmp".to_owned()] };
    device.post(world, "/v1/policy/folders", &request).await.json::<PolicyFolder>();
    let path = format!("/v1/policy/folders/{optional}/unlink");
    assert!(!device.ask(world, "POST", &path, "").await.json::<PolicyFolder>().linked);
    let before = policy(world, device).await;
    assert!(!is_linked(&before, optional));
    Chosen { optional, before }
}

/// What the reply and the policy must say afterwards.
fn expect(kept: bool, changes: &PolicyChanges, chosen: &Chosen, after: &PolicyReply) {
    let folders: Vec<&str> = changes.folders.iter().map(|change| change.path.as_str()).collect();
    let said_of =
        |change: &protocol::agent::policy::ValueChange| format!("{} {} {}", change.key, change.was, change.now);
    let said_changes: Vec<String> = changes.values.iter().map(said_of).collect();
    assert_eq!(changes.kept, kept);
    assert_eq!(folders, ["${home}/Music"]);
    assert_eq!(said_changes, ["interval 1h 4h", "bandwidth_wan 2MB/s none", "cpu_priority high low"]);
    after_is(kept, chosen, after);
}

fn after_is(kept: bool, chosen: &Chosen, after: &PolicyReply) {
    let said_of = |policy: &PolicyReply| ["interval", "bandwidth_wan", "cpu_priority"].map(|key| said(policy, key));
    if kept {
        assert_eq!(said_of(after), said_of(&chosen.before));
    } else {
        assert_eq!(said_of(after), ["4h from default", "none from default", "low from default"]);
        assert!(after.revision > chosen.before.revision, "the device learns of it by the revision");
    }
    assert_eq!(is_linked(after, chosen.optional), !kept);
    // What an admin has set, and the user's own folder, are no part of it.
    assert_eq!([said(after, "bandwidth_lan"), said(after, "run_on_metered")], ["50% from device", "yes from device"]);
    assert!(after.folders.iter().any(|folder| folder.path == "/srv/own" && folder.from == "device"));
    assert_eq!(after.folders.len(), 3);
}

async fn signed_in(world: &World, mut back: Device, reply: &ActivationReply) -> Device {
    back.bound(reply);
    back.token = back.open(world).await.json::<SessionReply>().token;
    back
}

async fn audited(world: &World, action: &str) -> String {
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    rows.into_iter().rfind(|row| row.action == action).expect("it was audited").detail
}

#[tokio::test]
async fn every_way_back_by_the_device_does_to_the_users_choices_what_the_profile_says() {
    for (word, kept) in [("reset", false), ("keep", true)] {
        for (stop, by_key) in [
            (Event::Deactivate { level: Level::Rotate }, true),
            (Event::Deactivate { level: Level::Revoke }, false),
            (Event::Hold { append_until: base::Timestamp::from_ms(i64::MAX) }, true),
            (Event::Hold { append_until: base::Timestamp::from_ms(i64::MAX) }, false),
        ] {
            let world = World::start().await;
            let device = Device::activated(&world, "laptop").await;
            admin_set(&world, PolicySubject::Organisation, "on_reactivation", word).await;
            let chosen = choose(&world, &device).await;
            world.admin(device.id, stop).await;
            let (back, request) = match by_key {
                true => device.return_with_old_key(),
                false => {
                    let back = Device::new("laptop");
                    let request = back.activation(EMAIL, password(PASSWORD));
                    (back, request)
                }
            };
            let reply: ActivationReply = world.post(ACTIVATIONS, &request).await.json();
            let outcome = if by_key { "reactivated" } else { "replaced" };
            assert_eq!(
                reply.outcome, outcome,
                "{word} {stop:?}: a name alone does not say that it is the same machine"
            );
            let back = signed_in(&world, back, &reply).await;
            expect(kept, &reply.changes, &chosen, &policy(&world, &back).await);
            let detail = audited(&world, "device_activate").await;
            let audited = if kept { "kept: interval 1h" } else { "taken back: interval 1h to 4h" };
            assert!(detail.contains(audited) && detail.contains("${home}/Music"), "{detail}");
            // The same request gets the same answer, and takes nothing back that was chosen since.
            user_set(&world, &back, &[("interval", Some("2h"))]).await.json::<PolicyReply>();
            let again: ActivationReply = world.post(ACTIVATIONS, &request).await.json();
            assert_eq!(again.changes, reply.changes);
            assert_eq!(said(&policy(&world, &back).await, "interval"), "2h from device");
        }
    }
}

#[tokio::test]
async fn an_admins_reactivation_does_the_same_and_the_device_learns_of_it() {
    for (word, kept) in [("reset", false), ("keep", true)] {
        for stop in [
            Event::Deactivate { level: Level::Rotate },
            Event::Hold { append_until: base::Timestamp::from_ms(i64::MAX) },
        ] {
            let world = World::start().await;
            let device = Device::activated(&world, "laptop").await;
            admin_set(&world, PolicySubject::Organisation, "on_reactivation", word).await;
            let chosen = choose(&world, &device).await;
            world.admin(device.id, stop).await;
            world.admin(device.id, Event::Reactivate { proof: Proof::Admin }).await;
            let session: SessionReply = device.open(&world).await.json();
            let back = Device { token: session.token, ..device };
            let after = policy(&world, &back).await;
            after_is(kept, &chosen, &after);
            let status: DeviceReply = back.ask(&world, "GET", "/v1/device", "").await.json();
            assert_eq!(status.policy_revision, after.revision);
            let detail = audited(&world, "device_reactivate").await;
            let expected = if kept { "still unlinked: ${home}/Music" } else { "linked again: ${home}/Music" };
            assert!(detail.contains(expected), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_new_device_and_a_replacement_in_service_change_nothing() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let chosen = choose(&world, &device).await;
    let back = Device::new("laptop");
    let reply: ActivationReply = world.post(ACTIVATIONS, &back.activation(EMAIL, password(PASSWORD))).await.json();
    assert_eq!((reply.outcome.as_str(), &reply.changes), ("replaced", &PolicyChanges::default()));
    let back = signed_in(&world, back, &reply).await;
    after_is(true, &chosen, &policy(&world, &back).await);
}

#[tokio::test]
async fn a_folder_that_left_the_profile_while_it_was_out_is_not_said_to_be_back() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let chosen = choose(&world, &device).await;
    app::folders::remove(&world.app, &ADMIN, chosen.optional).await.expect("granted");
    world.admin(device.id, Event::Deactivate { level: Level::Rotate }).await;
    let (_, request) = device.return_with_old_key();
    let reply: ActivationReply = world.post(ACTIVATIONS, &request).await.json();
    assert_eq!((reply.changes.folders.len(), reply.changes.values.len()), (0, 3));
}

#[tokio::test]
async fn the_policy_is_read_with_its_provenance_and_changed_within_what_the_profile_allows() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let chosen = choose(&world, &device).await;
    assert_eq!(chosen.before.profile, "Default");
    assert_eq!(chosen.before.values.len(), control::policy::Key::ALL.len());
    assert_eq!((chosen.before.quota.limit, chosen.before.quota.from.as_str()), (None, "default"));
    let may: Vec<&str> =
        chosen.before.values.iter().filter(|value| value.may_change).map(|value| value.key.as_str()).collect();
    assert_eq!(may, ["interval", "bandwidth_wan", "cpu_priority"], "an admin has set bandwidth_lan here");
    let refused = async |pairs| user_set(&world, &device, pairs).await.refused();
    assert_eq!(refused(&[("quota", Some("1GB"))]).await, (403, "policy_not_allowed".to_owned()));
    assert_eq!(refused(&[("interval", Some("2h")), ("nonsense", None)]).await, (400, "policy_unknown".to_owned()));
    assert_eq!(refused(&[("interval", Some("1\u{0}h"))]).await, (400, "policy_value_invalid".to_owned()));
    let bodies: [&[u8]; 4] = [b"{}", b"{\"values\":{\"interval\":4}}", b"{\"values\":{},\"x\":1}", b"["];
    for body in bodies {
        let answer = device.ask(&world, "PATCH", "/v1/policy/values", body.to_vec()).await;
        assert_eq!(answer.refused(), (400, "request_malformed".to_owned()));
    }
    let answer = device.ask(&world, "PATCH", "/v1/policy/values", vec![b' '; 1 << 20]).await;
    assert_eq!(answer.refused().0, 413);
    let request = FolderRequest { path: "${home}/../../etc".to_owned(), include: vec![], exclude: vec![] };
    let answer = device.post(&world, "/v1/policy/folders", &request).await;
    assert_eq!(answer.refused(), (400, "folder_path_invalid".to_owned()));
    let own = chosen.before.folders.iter().find(|folder| folder.from == "device").expect("there").folder.0;
    let path = format!("/v1/policy/folders/{own}");
    assert_eq!(device.ask(&world, "POST", &format!("{path}/unlink"), "").await.refused().1, "folder_own");
    assert_eq!(device.ask(&world, "DELETE", &path, "").await.status, 200);
    assert_eq!(device.ask(&world, "DELETE", &path, "").await.refused(), (404, "folder_not_yours".to_owned()));
    let optional = format!("/v1/policy/folders/{}", chosen.optional);
    assert_eq!(device.ask(&world, "DELETE", &optional, "").await.refused().1, "folder_not_yours");
    assert!(device.ask(&world, "POST", &format!("{optional}/link"), "").await.json::<PolicyFolder>().linked);
    admin_set(&world, PolicySubject::Organisation, "support", "help@example.org").await;
    world.clock.advance(Span::seconds(1));
    let status: DeviceReply = device.ask(&world, "GET", "/v1/device", "").await.json();
    assert_eq!(status.support.as_deref(), Some("help@example.org"));
    assert_eq!(status.policy_revision, policy(&world, &device).await.revision);
}

#[tokio::test]
async fn the_profiles_limit_and_first_device_hold_at_activation() {
    let world = World::start().await;
    Device::activated(&world, "laptop").await;
    let add = async || {
        let another = Device::new("desktop");
        let choice = protocol::agent::activation::Choice::Add;
        world.post(ACTIVATIONS, &another.activation_as(EMAIL, password(PASSWORD), choice)).await
    };
    for (key, text, code) in [
        ("device_limit", "1", "device_limit"),
        ("first_device_only", "yes", "first_device_only"),
        ("may_add_devices", "no", "activation_off"),
    ] {
        admin_set(&world, PolicySubject::Organisation, key, text).await;
        assert_eq!(add().await.refused().1, code);
    }
    for key in ["device_limit", "first_device_only", "may_add_devices"] {
        let change = values(&[(key, None)]);
        app::policy::set(&world.app, &ADMIN, PolicySubject::Organisation, &change).await.expect("granted");
    }
    assert_eq!(add().await.status, 200);
}
