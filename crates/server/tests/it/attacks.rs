//! Attacks on the way in, through the server as an attacker meets it: what leaked, what was copied, what was recorded.
//! Refuses a right that no proof gives, and a victim who is cut off.

use crate::repository::{Backup, begin_request};
use crate::world::{Answer, Device, EMAIL, PASSWORD, World, password};
use app::AdminActor;
use app::page::PageAsk;
use app::tokens::{self, Made, Wish, make};
use base::{Clock as _, Count, Span};
use control::{Event, Level, Permits};
use protocol::Text;
use protocol::admin::Page;
use protocol::admin::conflict::Conflict;
use protocol::admin::desk::RefusedActivation;
use protocol::agent::activation::{ActivationReply, ActivationRequest, Choice, Proof};
use protocol::agent::run::Purpose;
use protocol::agent::session::{SessionReply, SessionRequest};
use protocol::agent::status::DeviceReply;

const ROUTE: &str = "/v1/activations";

async fn token(world: &World, wish: Wish) -> Made {
    let domains = vec!["example.org".to_owned()];
    let made = tokens::page(&world.app, &AdminActor::Command, &PageAsk::first()).await.expect("readable").items.len();
    let wish = Wish { name: format!("installer {made}"), domains, ..wish };
    make(&world.app, &AdminActor::Command, &wish).await.expect("a good wish")
}

/// A request that says all of itself that the laptop of `EMAIL` says.
fn as_the_laptop(device: &Device, email: &str, proof: Proof, choice: Choice) -> ActivationRequest {
    let mut asked = device.activation_as(email, proof, choice);
    asked.evidence.serial = "PF-2B7X9".to_owned();
    asked.evidence.hardware_uuid = "4c4c4544-0051-3610-8052-b4c04f564433".to_owned();
    asked.evidence.os_user = EMAIL.split('@').next().expect("an address").to_owned();
    device.signed(asked)
}

fn by_token(device: &Device, token: &Made, choice: Choice) -> ActivationRequest {
    as_the_laptop(device, "", Proof::Token { token: token.text.expose().to_owned() }, choice)
}

/// A laptop in service with one snapshot.
async fn laptop(world: &World) -> (Device, base::SnapshotId) {
    let mut laptop = Device::new("laptop");
    let asked = as_the_laptop(&laptop, EMAIL, password(PASSWORD), Choice::Auto);
    laptop.bound(&world.post(ROUTE, &asked).await.json());
    laptop.token = laptop.open(world).await.json::<SessionReply>().token;
    let snapshot = Backup::begin(world, &laptop).await.commit_small(world, &laptop).await;
    (laptop, snapshot)
}

async fn restore(world: &World, device: &Device, snapshot: base::SnapshotId) -> Answer {
    device.post(world, "/v1/runs", &begin_request(Purpose::Restore { snapshot: Text(snapshot) })).await
}

#[tokio::test]
async fn a_leaked_token_with_everything_that_a_laptop_says_of_itself_reads_nothing_and_cuts_nobody_off() {
    // In service: what leaked makes another record. Out of service: it may append to this one, and reads nothing of it.
    for is_out in [false, true] {
        let world = World::start().await;
        let (laptop, snapshot) = laptop(&world).await;
        let leaked = token(&world, Wish::default()).await;
        if is_out {
            world.admin(laptop.id, Event::Deactivate { level: Level::Revoke }).await;
        }
        let chosen = by_token(&Device::new("laptop"), &leaked, Choice::Replace { device: Text(laptop.id) });
        if !is_out {
            assert_eq!(world.post(ROUTE, &chosen).await.refused(), (403, "sign_in_needed".to_owned()));
        }
        let mut thief = Device::new("laptop");
        let reply: ActivationReply = world.post(ROUTE, &by_token(&thief, &leaked, Choice::Auto)).await.json();
        assert_eq!((reply.rights.as_str(), reply.device == Text(laptop.id)), ("append_only", is_out));
        assert_eq!((&reply.snapshot, reply.unreadable), (&None, is_out.then_some(Text(snapshot))));
        thief.bound(&reply);
        thief.token = thief.open(&world).await.json::<SessionReply>().token;
        let code = restore(&world, &thief, snapshot).await.refused().1;
        assert!(["rights_append_only", "snapshot_not_yours"].contains(&code.as_str()), "{code}");
        if !is_out {
            assert_eq!(laptop.ask(&world, "GET", "/v1/device", "").await.status, 200, "the laptop goes on");
            continue;
        }
        // The owner signs in and has all of it back.
        let mut back = Device::new("laptop");
        let asked = as_the_laptop(&back, EMAIL, password(PASSWORD), Choice::Auto);
        let reply: ActivationReply = world.post(ROUTE, &asked).await.json();
        assert_eq!((reply.device, reply.rights.as_str()), (Text(laptop.id), "full"));
        back.bound(&reply);
        back.token = back.open(&world).await.json::<SessionReply>().token;
        assert_eq!(restore(&world, &back, snapshot).await.status, 200);
        assert_eq!(thief.ask(&world, "GET", "/v1/device", "").await.status, 401, "and the thief is out");
    }
}

#[tokio::test]
async fn a_token_past_its_end_its_uses_or_outside_its_network_lets_nobody_in_and_says_why() {
    let world = World::start().await;
    let admin = world.credential(Permits::all()).await;
    let now = world.clock.now();
    let ends = token(&world, Wish { expires_at: Some(now + Span::hours(1)), ..Wish::default() }).await;
    let once = token(&world, Wish { uses_max: Some(Count(1)), ..Wish::default() }).await;
    let elsewhere = token(&world, Wish { networks: vec!["10.0.0.0/8".to_owned()], ..Wish::default() }).await;
    let slow = token(&world, Wish { rate_per_minute: Some(Count(1)), ..Wish::default() }).await;
    let revoked = token(&world, Wish::default()).await;
    tokens::revoke(&world.app, &AdminActor::Command, revoked.token.id).await.expect("good until now");
    for good in [&ends, &once, &slow] {
        let device = Device::new(good.token.prefix.as_str());
        let reply: ActivationReply = world.post(ROUTE, &by_token(&device, good, Choice::Add)).await.json();
        assert_eq!(reply.rights, "append_only");
    }
    let before = devices(&world).await;
    let refused = async |token: &Made, code: &str, passes: bool| {
        let answer = world.post(ROUTE, &by_token(&Device::new("late"), token, Choice::Add)).await;
        let problem = answer.problem();
        assert_eq!((problem.status, problem.code.as_str()), (if passes { 503 } else { 403 }, code));
        assert!(problem.retry_after_ms.is_some() || !passes, "{code}");
    };
    refused(&slow, "token_rate", true).await;
    refused(&once, "token_used_up", false).await;
    refused(&elsewhere, "token_network", false).await;
    refused(&revoked, "token_revoked", false).await;
    // A header does not make a network.
    let body = serde_json::to_vec(&by_token(&Device::new("late"), &elsewhere, Choice::Add)).expect("plain values");
    let forged = world.send("POST", ROUTE, &[("x-forwarded-for", "10.1.2.3")], crate::world::full(body)).await;
    assert_eq!(forged.refused().1, "token_network");
    world.clock.advance(Span::hours(1));
    refused(&ends, "token_expired", false).await;
    assert_eq!(devices(&world).await, before, "nothing has come of it");
    let desk: Page<RefusedActivation> = world.api(&admin, "GET", "/api/v1/desk/refused", "").await.json();
    let mut codes: Vec<&str> = desk.items.iter().map(|row| row.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["token_expired", "token_network", "token_rate", "token_revoked", "token_used_up"]);
}

async fn devices(world: &World) -> usize {
    let (all, first) = (app::devices::DeviceAsk::default(), app::page::PageAsk::first());
    app::devices::page(&world.app, &AdminActor::Command, &all, &first).await.expect("readable").items.len()
}

#[tokio::test]
async fn a_recorded_activation_gives_who_plays_it_again_nothing_that_is_not_the_devices_own() {
    let world = World::start().await;
    let mut laptop = Device::new("laptop");
    let recorded = as_the_laptop(&laptop, EMAIL, password(PASSWORD), Choice::Auto);
    let first: ActivationReply = world.post(ROUTE, &recorded).await.json();
    laptop.bound(&first);
    laptop.token = laptop.open(&world).await.json::<SessionReply>().token;
    let snapshot = Backup::begin(&world, &laptop).await.commit_small(&world, &laptop).await;
    // Its snapshots' root is the right to read: as long as the binding is in force, the answer has it; then no more.
    let again: ActivationReply = world.post(ROUTE, &recorded).await.json();
    assert_eq!((again.device, again.epoch), (first.device, 1));
    assert!(again.snapshot.is_some_and(|newest| newest.snapshot.0 == snapshot && newest.root.is_some()));
    for event in [Event::Suspend, Event::Enable, Event::Deactivate { level: Level::Rotate }] {
        world.admin(laptop.id, event).await;
        let again: ActivationReply = world.post(ROUTE, &recorded).await.json();
        assert_eq!((again.device, again.epoch), (first.device, 1), "{event:?}");
        let root = again.snapshot.as_ref().is_some_and(|newest| newest.root.is_some());
        assert_eq!(root, event == Event::Enable, "{event:?}");
    }
    assert_eq!(laptop.open(&world).await.refused().1, "device_deactivated", "and the key stays refused");
    // With the signature of another key, or for another key, it is no request at all.
    let thief = Device::new("laptop");
    let mut turned = recorded.clone();
    turned.device_key = protocol::Hex(crate::world::public(&thief.key));
    assert_eq!(world.post(ROUTE, &turned).await.refused(), (403, "signature_invalid".to_owned()));
    let turned = thief.signed(turned);
    let other: ActivationReply = world.post(ROUTE, &turned).await.json();
    assert_eq!((other.device, other.epoch), (first.device, 2), "who has the password as well is the user");
}

#[tokio::test]
async fn a_stolen_disk_image_beside_the_original_is_found_and_neither_reads_until_an_admin_decides() {
    let world = World::start().await;
    let admin = world.credential(Permits::all()).await;
    let (mut original, snapshot) = laptop(&world).await;
    let open = async |device: &Device, counter| {
        let challenge = device.challenge(&world).await;
        let request = SessionRequest { counter: Some(counter), ..device.answer_to(&challenge) };
        world.post("/v1/sessions", &request).await.json::<SessionReply>()
    };
    let mut reply: SessionReply = original.open(&world).await.json();
    let stolen = reply.counter;
    for _ in 0..3 {
        world.clock.advance(Span::seconds(1));
        reply = open(&original, reply.counter).await;
    }
    original.token = reply.token;
    assert_eq!(restore(&world, &original, snapshot).await.status, 200, "one machine is no conflict");
    world.clock.advance(Span::seconds(1));
    // All of the disk is there: record, key, and the counter of then.
    let copy = open(&original, stolen).await.token;
    world.clock.advance(Span::seconds(1));
    for token in [original.token.clone(), copy] {
        original.token = token;
        let own: DeviceReply = original.ask(&world, "GET", "/v1/device", "").await.json();
        assert_eq!(own.state, "quarantined");
        let code = restore(&world, &original, snapshot).await.refused().1;
        assert_eq!(code, "device_quarantined");
        Backup::begin(&world, &original).await;
    }
    let conflicts: Page<Conflict> = world.api(&admin, "GET", "/api/v1/conflicts", "").await.json();
    assert_eq!(conflicts.items.len(), 1);
    assert_eq!(conflicts.items[0].device.device, Text(original.id));
}
