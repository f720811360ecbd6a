//! Guessing through the server, at everything that lets somebody in: it ends for who guesses, is not undone by a forged
//! header, and does not end for the others. Refuses to count what proves.

use crate::world::{Answer, Device, EMAIL, PASSWORD, World, full, password};
use app::AdminActor;
use app::rates::{count, subject};
use app::tickets::TicketWay;
use app::tokens::{Wish, make};
use base::Clock as _;
use control::Permits;
use control::attempts::Attempt;
use protocol::agent::activation::{ActivationReply, Proof};
use protocol::agent::password::PasswordLinkRequest;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};

const ROUTE: &str = "/v1/activations";
/// Guesses that go through the server, of those that are let: as many as the lowest limit.
const GUESSES: u64 = 30;
/// A proxy that the server trusts: its own machine.
const PROXY: &str = "[proxy]\ntrusted = [\"127.0.0.1/32\"]";

/// Somebody behind the proxy, who writes a header of his own before it.
fn source(number: u64) -> IpAddr {
    let [.., high, low] = u32::try_from(number).expect("few").to_be_bytes();
    Ipv4Addr::new(203, 0, high, low).into()
}

async fn from<T: Serialize>(world: &World, source: IpAddr, path: &str, body: &T) -> Answer {
    let forwarded = format!("198.51.100.{}, {source}", body_byte(body));
    let headers = [("x-forwarded-for", forwarded.as_str())];
    world.send("POST", path, &headers, full(serde_json::to_vec(body).expect("plain values"))).await
}

/// Another forged address for nearly every request.
fn body_byte<T: Serialize>(body: &T) -> u8 {
    serde_json::to_vec(body).expect("plain values").iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// Guesses as often as it is let, and checks that it was let as often as the limit says, and then told when to come.
/// All but the last few have been counted before, by the server's own code: they would be the same again.
async fn until_refused(
    world: &World,
    (attempt, source): (Attempt, IpAddr),
    code: &str,
    mut guess: impl AsyncFnMut(u64) -> Answer,
) {
    let limit = attempt.limit();
    // Spans begin on the clock: at the beginning of one there is time for all of it.
    world.clock.advance(limit.left(world.clock.now()));
    let IpAddr::V4(address) = source else { panic!("sources of these tests are of IPv4") };
    let subject = subject(attempt.word(), &address.octets());
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    for _ in GUESSES..limit.max.0 {
        count(&mut tx, world.clock.now(), &subject, limit).await.expect("below the limit");
    }
    tx.commit().await.expect("nothing stands against it");
    for number in 0..GUESSES {
        let answer = guess(number).await;
        assert_eq!(answer.refused().1, code, "{}, number {number}", attempt.word());
    }
    let refused = guess(GUESSES).await;
    assert_eq!(refused.refused(), (429, "too_many_requests".to_owned()), "{}", attempt.word());
    assert_eq!(guess(GUESSES + 1).await.refused().1, "too_many_requests");
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    let of_kind = |row: &&app::audit::AuditRow| row.action == "sign_in_source_limited" && row.proof == attempt.word();
    let limited: Vec<_> = rows.iter().filter(of_kind).map(|row| (row.subject.clone(), row.source.clone())).collect();
    assert_eq!(limited, [(source.to_string(), source.to_string())], "{}: once, and not every guess", attempt.word());
    drop(tx);
    let left = refused.problem().retry_after_ms.expect("it says when");
    assert!(left > 0 && left <= limit.span.as_ms() && refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn guessing_passwords_at_many_addresses_ends_for_who_guesses_and_for_nobody_else() {
    let world = World::start_with(PROXY).await;
    let (thief, school) = (source(1), source(2));
    let device = Device::new("laptop");
    let asked = |email: &str, text: &str| device.activation(email, password(text));
    until_refused(&world, (Attempt::Password, thief), "wrong_credentials", async |number| {
        // In the end at an address once more: there, one was wrong already.
        from(&world, thief, ROUTE, &asked(&format!("p{}@example.org", number % GUESSES), "summer")).await
    })
    .await;
    // Behind the same address, who has got none wrong may try: one pupil does not lock a school out.
    from(&world, thief, ROUTE, &asked(EMAIL, PASSWORD)).await.json::<ActivationReply>();
    let elsewhere = Device::new("elsewhere").activation("p0@example.org", password("summer"));
    assert_eq!(from(&world, school, ROUTE, &elsewhere).await.refused().1, "wrong_credentials", "it is heard there");
    world.clock.advance(Attempt::Password.limit().span);
    let later = Device::new("later").activation(EMAIL, password(PASSWORD));
    from(&world, thief, ROUTE, &later).await.json::<ActivationReply>();
}

#[tokio::test]
async fn guessing_tickets_links_and_tokens_ends_for_who_guesses_and_for_nobody_else() {
    let world = World::start_with(PROXY).await;
    let (thief, school) = (source(1), source(2));
    let device = Device::new("laptop");
    let wish = app::tickets::Wish {
        email: EMAIL.to_owned(),
        choice: control::activation::Choice::Auto,
        restore: control::activation::Restore::None,
        span: None,
        show: true,
    };
    let ticket = app::tickets::make(&world.app, &AdminActor::Command, &wish).await.expect("a user");
    let by_ticket = |code: String| device.activation("", Proof::Ticket { code });
    until_refused(&world, (Attempt::Ticket, thief), "ticket_invalid", async |number| {
        from(&world, thief, ROUTE, &by_ticket(format!("HT-0000-0000-0000-{number:04}"))).await
    })
    .await;
    let TicketWay::Shown { code, .. } = ticket.way else { panic!("it was asked for") };
    let right = by_ticket(code.to_text());
    assert_eq!(from(&world, thief, ROUTE, &right).await.refused().1, "too_many_requests");
    from(&world, school, ROUTE, &right).await.json::<ActivationReply>();

    until_refused(&world, (Attempt::Link, thief), "link_invalid", async |number| {
        let request = PasswordLinkRequest { link: format!("hfl1_{number:043}"), password: PASSWORD.to_owned() };
        from(&world, thief, "/v1/password-links", &request).await
    })
    .await;

    let wish = Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let token = make(&world.app, &AdminActor::Command, &wish).await.expect("a good wish").text.expose().to_owned();
    let by_token = |machine: &Device, token: String| {
        let mut asked = machine.activation("", Proof::Token { token });
        asked.evidence.os_user = EMAIL.split('@').next().expect("an address").to_owned();
        machine.signed(asked)
    };
    until_refused(&world, (Attempt::Token, thief), "token_invalid", async |number| {
        from(&world, thief, ROUTE, &by_token(&device, format!("hft2_{number:043}"))).await
    })
    .await;
    let installer = by_token(&Device::new("other"), token);
    from(&world, thief, ROUTE, &installer).await.json::<ActivationReply>();
}

#[tokio::test]
async fn guessing_credentials_of_the_admin_api_ends_for_the_guesses_and_not_for_the_admin_behind_the_same_address() {
    let world = World::start_with(PROXY).await;
    let good = world.credential(Permits::all()).await;
    let ask = async |source: IpAddr, credential: &str| {
        let (bearer, forwarded) = (format!("Bearer {credential}"), source.to_string());
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", forwarded.as_str())];
        world.send("GET", "/api/v1/users", &headers, full("")).await
    };
    let (thief, school) = (source(1), source(2));
    until_refused(&world, (Attempt::Credential, thief), "credential_invalid", async |number| {
        // What looks like one, and what does not.
        let text = if number % 2 == 0 { format!("hfa1_{number:043}") } else { number.to_string() };
        ask(thief, &text).await
    })
    .await;
    assert_eq!(ask(thief, &good).await.status, 200, "one that is good is taken all the same");
    assert_eq!(ask(school, "hfa1_guess").await.refused().1, "credential_invalid");
    world.clock.advance(Attempt::Credential.limit().span);
    assert_eq!(ask(thief, "hfa1_guess").await.refused(), (401, "credential_invalid".to_owned()));
}

#[tokio::test]
async fn a_stranger_gains_nothing_by_a_header_that_says_he_is_somebody_else() {
    let world = World::start().await;
    let ask = async |number: u64| {
        let forwarded = source(number).to_string();
        let headers = [("authorization", "Bearer hfa1_guess"), ("x-forwarded-for", forwarded.as_str())];
        world.send("GET", "/api/v1/users", &headers, full("")).await
    };
    let here = Ipv4Addr::LOCALHOST.into();
    until_refused(&world, (Attempt::Credential, here), "credential_invalid", ask).await;
}
