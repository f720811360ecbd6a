//! The line to the database is cut while a request over TLS is carried out: what the endpoint and the admin are told,
//! and that the same request again finds it done once. Refuses a server that has to be started anew for it.

use crate::between::{Between, Cut};
use crate::line::Line;
use crate::repository::Backup;
use crate::world::{Answer, Device, EMAIL, PASSWORD, World, full, password, streamed};
use app::AdminActor;
use app::database::ANSWER_SPAN;
use app::tokens::{Wish, get, make};
use base::{Clock as _, Count, Span, SystemClock};
use bytes::Bytes;
use control::Permits;
use futures::{StreamExt as _, stream};
use protocol::admin::Page;
use protocol::admin::device::Device as WireDevice;
use protocol::admin::user::User;
use protocol::agent::activation::{ActivationReply, Proof};
use protocol::agent::session::SessionReply;

const ROUTE: &str = "/v1/activations";

/// A server on PostgreSQL, and the line between the two.
async fn cuttable() -> (World, Between, db::testing::TempDb) {
    let temp = db::testing::postgres().await;
    let line = Between::to(temp.url().expect("a server has an address"));
    let world = World::start_on(&format!("database.url = \"{}\"", line.url()), "").await;
    (world, line, temp)
}

/// What is said when the server's own part has failed: that nothing is lost, and when to ask again.
fn told_to_ask_again(answer: &Answer) {
    let problem = answer.problem();
    assert_eq!((problem.status, problem.code.as_str()), (503, "server_failed"));
    assert_eq!(
        problem.detail,
        "The server could not do this now. Nothing that was stored is lost. Ask again in a minute."
    );
    assert_eq!(problem.retry_after_ms, Some(60_000));
    assert_eq!(answer.headers["retry-after"], "60");
}

#[tokio::test]
async fn an_activation_that_lost_its_database_is_answered_by_the_same_request_and_done_once() {
    let (world, line, _temp) = cuttable().await;
    let wish = Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let made = make(&world.app, &AdminActor::Command, &wish).await.expect("a good wish");
    let token = made.text.expose().to_owned();
    let account = EMAIL.split('@').next().expect("an address");
    let mut devices = 0;
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        for (by_token, after) in [(true, 0), (false, 0), (false, 1)] {
            devices += 1;
            let mut device = Device::new(&format!("laptop{devices}"));
            let asked = if by_token {
                let mut asked = device.activation("", Proof::Token { token: token.clone() });
                asked.evidence.os_user = account.to_owned();
                device.signed(asked)
            } else {
                device.activation(EMAIL, password(PASSWORD))
            };
            line.cut(cut, after);
            told_to_ask_again(&world.post(ROUTE, &asked).await);
            assert!(!line.is_armed());
            let reply: ActivationReply = world.post(ROUTE, &asked).await.json();
            assert_eq!(reply, world.post(ROUTE, &asked).await.json());
            assert_eq!((reply.epoch, reply.outcome.as_str()), (1, "new"));
            device.bound(&reply);
            device.token = device.open(&world).await.json::<SessionReply>().token;
            assert_eq!(device.ask(&world, "GET", "/v1/device", "").await.status, 200, "the server goes on");
        }
    }
    let admin = world.credential(Permits::all()).await;
    let listed: Page<WireDevice> = world.api(&admin, "GET", "/api/v1/devices", "").await.json();
    assert_eq!(listed.items.len(), devices);
    assert!(listed.items.iter().all(|device| device.epoch == 1));
    let token = get(&world.app, &AdminActor::Command, made.token.id).await.expect("there");
    assert_eq!((token.uses, token.failures), (Count(2), Count(0)));
    let log = app::audit::export(&world.app, &AdminActor::Command, 0).await.expect("readable");
    assert_eq!(log.iter().filter(|row| row.action == "device_activate").count(), devices);
    assert_eq!(world.ask("GET", "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_change_by_an_admin_that_lost_its_database_is_never_done_twice_with_its_key() {
    let (world, line, _temp) = cuttable().await;
    let admin = world.credential(Permits::all()).await;
    let bearer = format!("Bearer {admin}");
    // So that what follows writes nothing but the request itself: the use of a credential is noted once a minute.
    assert_eq!(world.api(&admin, "GET", "/api/v1/users", "").await.status, 200);
    let add = async |n: usize| {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", &*format!("key-{n}"))];
        let body = format!(r#"{{"email":"user{n}@example.org","password":"{PASSWORD}"}}"#);
        world.send("POST", "/api/v1/users", &headers, full(body)).await
    };
    let mut added = 0;
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        // The key is taken, the change is made, the answer is kept.
        for after in 0..3 {
            added += 1;
            line.cut(cut, after);
            let first = add(added).await;
            assert!(!line.is_armed(), "{cut:?} {after}");
            let again = add(added).await;
            match (cut, after) {
                (Cut::BeforeCommit, 0 | 1) => {
                    told_to_ask_again(&first);
                    assert_eq!(again.status, 200, "nothing was done, so it is done now");
                }
                // Taken, and nobody knows by whom: free again once whoever has it cannot be at work any more.
                (Cut::AfterCommit, 0) => {
                    told_to_ask_again(&first);
                    assert_eq!(again.refused(), (409, "idempotency_in_progress".to_owned()));
                    world.clock.advance(base::Span::minutes(5));
                    assert_eq!(add(added).await.status, 200);
                }
                (Cut::AfterCommit, 1) => {
                    told_to_ask_again(&first);
                    assert_eq!(again.refused(), (409, "idempotency_answer_lost".to_owned()));
                }
                // The change stands and was answered; only what is kept of the answer may be lost.
                (Cut::BeforeCommit, _) => {
                    assert_eq!(first.status, 200);
                    let code = again.refused().1;
                    assert!(code == "idempotency_in_progress" || code == "idempotency_answer_lost", "{code}");
                }
                (Cut::AfterCommit, _) => assert_eq!((first.status, first.body), (again.status, again.body)),
            }
            let users: Page<User> = world.api(&admin, "GET", "/api/v1/users", "").await.json();
            let email = format!("user{added}@example.org");
            assert_eq!(users.items.iter().filter(|user| user.email == email).count(), 1, "{cut:?} {after}");
        }
    }
    let log = app::audit::export(&world.app, &AdminActor::Command, 0).await.expect("readable");
    assert_eq!(log.iter().filter(|row| row.action == "user_add").count(), added + 1);
}

/// What is beyond the time that a look at the database may take: the look itself, and a slow machine.
const LATE_SPAN: Span = Span::seconds(5);

#[tokio::test]
async fn a_server_whose_line_to_the_database_is_dead_ends_what_goes_on_and_is_not_well_until_it_works_again() {
    let temp = db::testing::postgres().await;
    let line = Line::to(temp.url().expect("a server has an address"));
    let world = World::start_on(&format!("database.url = \"{}\"", line.url()), "").await;
    let device = Device::activated(&world, "laptop").await;
    let backup = Backup::begin(&world, &device).await;
    // It could go on for an hour, whoever revoked the device meanwhile.
    let trickle = stream::repeat(Bytes::from_static(b"x")).then(|piece| async move {
        SystemClock.sleep(Span::ms(20)).await;
        piece
    });
    let path = backup.path(&format!("packs/{}", "ab".repeat(32)));
    let upload = device.send(&world, "PUT", &path, streamed(trickle.boxed()));
    let dies = async {
        SystemClock.sleep(Span::ms(200)).await;
        line.die();
        world.ask("GET", "/healthz", "").await
    };
    let late = Span::ms(ANSWER_SPAN.as_ms() + LATE_SPAN.as_ms());
    let told = tokio::time::timeout(late.as_duration(), async { tokio::join!(upload, dies) }).await;
    let (cut, health) = told.expect("nobody is told in time");
    told_to_ask_again(&cut);
    told_to_ask_again(&health);
    line.mend();
    assert_eq!(world.ask("GET", "/healthz", "").await.status, 200);
    assert_eq!(device.ask(&world, "GET", "/v1/device", "").await.status, 200, "the server goes on");
}
