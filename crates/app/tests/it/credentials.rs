//! Credentials of the admin API: what they may be given, when they end, and what the database knows of them.

use super::world::{World, code};
use app::credentials::{self, CredentialNew};
use app::page::PageAsk;
use app::password::Password;
use app::{AdminActor, AppError};
use base::{CampaignId, Clock as _, ConflictId, Span, TicketId, TokenId};
use control::{Event, Permit, Permits, Rights, State, UserEvent};
use std::net::{IpAddr, Ipv4Addr};

const HERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

fn new(permits: Permits) -> CredentialNew {
    CredentialNew { name: " the nightly report ".to_owned(), permits, all: false, expires_at: None }
}

async fn actor(world: &World, text: &str) -> Result<AdminActor, AppError> {
    credentials::authenticate(&world.app, Some(text), HERE).await
}

async fn made(world: &World, permits: Permits) -> (credentials::CredentialView, String) {
    let (view, text) =
        credentials::make(&world.app, &AdminActor::Command, new(permits)).await.expect("a good credential");
    (view, text.expose().to_owned())
}

#[tokio::test]
async fn a_credential_has_the_permits_that_it_was_given_and_its_text_is_nowhere() {
    let world = World::new().await;
    let (view, text) = made(&world, Permits::NONE.with(Permit::UserRead)).await;
    assert!(text.starts_with("hfa1_") && text.len() == 5 + 43 && text.starts_with(&view.prefix), "{}", view.prefix);
    assert_eq!((view.name.as_str(), view.prefix.len()), ("the nightly report", 11));
    let actor = actor(&world, &text).await.expect("it is in force");
    assert!(actor.need(Permit::UserRead).is_ok());
    assert_eq!(code(actor.need(Permit::UserManage)), "not_permitted");
    assert_eq!(actor.to_string(), format!("credential {}", view.id));
    let mut tx = world.app.db.read().await.expect("readable");
    let row = db::api_credential_get(&mut tx, view.id).await.expect("readable").expect("there");
    assert!(!format!("{row:?}").contains(&text[12..]), "the database has its beginning and a hash");
    let log = app::audit::list(&mut tx, 0).await.expect("readable");
    assert!(!format!("{log:?}").contains(&text[12..]) && log.iter().any(|row| row.action == "credential_make"));
}

#[tokio::test]
async fn only_who_asks_for_everything_by_word_gets_what_later_releases_can_do() {
    let world = World::new().await;
    for (new, kept) in [
        (new(Permits::all()), Permit::ALL.map(Permit::word).join("\n")),
        (CredentialNew { all: true, ..new(Permits::NONE) }, "all".to_owned()),
    ] {
        let (view, _) = credentials::make(&world.app, &AdminActor::Command, new).await.expect("a good wish");
        assert_eq!(view.permits, Permits::all());
        let mut tx = world.app.db.read().await.expect("readable");
        let row = db::api_credential_get(&mut tx, view.id).await.expect("readable").expect("there");
        assert_eq!(row.permits, kept);
    }
    let maker = Permits::NONE.with(Permit::CredentialManage);
    let maker = actor(&world, &made(&world, maker).await.1).await.expect("in force");
    let everything = CredentialNew { all: true, ..new(Permits::NONE) };
    assert_eq!(code(credentials::make(&world.app, &maker, everything).await), "permit_beyond_own");
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_have() {
    let world = World::new().await;
    let own = Permits::NONE.with(Permit::CredentialManage).with(Permit::UserRead);
    let maker = actor(&world, &made(&world, own).await.1).await.expect("in force");
    let refused = credentials::make(&world.app, &maker, new(own.with(Permit::UserManage))).await;
    assert_eq!(code(refused), "permit_beyond_own");
    assert!(credentials::make(&world.app, &maker, new(Permits::NONE.with(Permit::UserRead))).await.is_ok());
    let reader = actor(&world, &made(&world, Permits::NONE.with(Permit::UserRead)).await.1).await.expect("in force");
    assert_eq!(
        code(credentials::make(&world.app, &reader, new(Permits::NONE.with(Permit::UserRead))).await),
        "not_permitted"
    );
}

#[tokio::test]
async fn a_use_case_asks_for_its_permit_itself_whatever_let_the_request_in() {
    let world = World::new().await;
    let app = &world.app;
    let (_, text) = made(&world, Permits::NONE.with(Permit::RepositoryScrub)).await;
    let actor = &actor(&world, &text).await.expect("in force");
    let (device, user) = (world.device(1).await.actor.device, super::world::USER);
    let (campaign, ticket) = (CampaignId::from_bytes([1; 16]), TicketId::from_bytes([1; 16]));
    let (token, conflict) = (TokenId::from_bytes([1; 16]), ConflictId::from_bytes([1; 16]));
    let values = [("interval".to_owned(), Some("1h".to_owned()))];
    let password = Password::new("a long enough password".to_owned());
    let wish = app::tokens::Wish { name: "x".to_owned(), ..app::tokens::Wish::default() };
    let said = [
        code(app::devices::change(app, actor, device, Event::Suspend).await),
        code(app::devices::get(app, actor, device).await),
        code(app::users::add(app, actor, "x@example.org", None).await),
        code(app::users::change(app, actor, user, UserEvent::Lock).await),
        code(app::users::password_set(app, actor, user, &password).await),
        code(app::passwords::link_make(app, actor, user, app::passwords::Purpose::Reset, false).await),
        code(app::tokens::make(app, actor, &wish).await),
        code(app::tokens::revoke(app, actor, token).await),
        code(app::tokens::legacy_make(app, actor, &[], false).await),
        code(app::tickets::revoke(app, actor, ticket).await),
        code(app::desk::approve(app, actor, device).await),
        code(app::desk::refuse(app, actor, device, "no").await),
        code(app::device_map::import_rows(app, actor, Vec::new()).await),
        code(app::campaigns::start(app, actor, campaign, None).await),
        code(app::campaigns::bring_back(app, actor, campaign).await),
        code(app::conflicts::resolve(app, actor, conflict, app::conflicts::Decision::Merge { keep: None }).await),
        code(app::policy::set(app, actor, app::PolicySubject::Organisation, &values).await),
        code(credentials::make(app, actor, new(Permits::NONE.with(Permit::RepositoryScrub))).await),
        code(app::audit::export(app, actor, 0).await),
        code(app::audit::verify(app, actor, None).await),
    ];
    assert!(said.iter().all(|code| *code == "not_permitted"), "{said:?}");
    let still = app::devices::get(app, &AdminActor::Command, device).await.expect("there");
    assert_eq!(still.state, State::Active { rights: Rights::Full });
}

#[tokio::test]
async fn what_is_no_credential_is_not_made() {
    let world = World::new().await;
    let now = world.clock.now();
    let long = "x".repeat(101);
    for (name, permits, expires_at, wanted) in [
        ("", Permits::all(), None, "credential_name_invalid"),
        (" ", Permits::all(), None, "credential_name_invalid"),
        (long.as_str(), Permits::all(), None, "credential_name_invalid"),
        ("two\nlines", Permits::all(), None, "credential_name_invalid"),
        ("a", Permits::NONE, None, "permits_missing"),
        ("a", Permits::all(), Some(now), "credential_expiry_past"),
    ] {
        let new = CredentialNew { name: name.to_owned(), permits, all: false, expires_at };
        assert_eq!(code(credentials::make(&world.app, &AdminActor::Command, new).await), wanted, "{name:?}");
    }
}

#[tokio::test]
async fn a_revoked_credential_is_refused_at_once_and_elsewhere_within_the_span_of_the_cache() {
    let world = World::new().await;
    let (view, text) = made(&world, Permits::all()).await;
    assert!(actor(&world, &text).await.is_ok());
    // As another process does it: this one learns of it when what it remembers is too old.
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::api_credential_revoke_update(&mut tx, view.id, world.clock.now()).await.expect("there");
    tx.commit().await.expect("nothing stands against it");
    assert!(actor(&world, &text).await.is_ok(), "remembered");
    world.clock.advance(Span::ms(500));
    assert_eq!(code(actor(&world, &text).await), "credential_revoked");

    let (view, text) = made(&world, Permits::all()).await;
    assert!(actor(&world, &text).await.is_ok());
    for _ in 0..2 {
        let ended = credentials::revoke(&world.app, &AdminActor::Command, view.id).await.expect("there");
        assert_eq!(ended.revoked_at, Some(world.clock.now()));
        assert_eq!(code(actor(&world, &text).await), "credential_revoked");
    }
}

#[tokio::test]
async fn a_credential_ends_when_it_expires() {
    let world = World::new().await;
    let expires_at = Some(world.clock.now() + Span::hours(1));
    let new = CredentialNew { expires_at, ..new(Permits::all()) };
    let (_, text) = credentials::make(&world.app, &AdminActor::Command, new).await.expect("good");
    world.clock.advance(Span::minutes(60));
    assert_eq!(code(actor(&world, text.expose()).await), "credential_expired");
}

#[tokio::test]
async fn texts_that_are_none_are_refused_alike_and_a_devices_session_by_its_type() {
    let world = World::new().await;
    let (_, text) = made(&world, Permits::all()).await;
    for wrong in ["", "hfa1_", "hfa1_AAAA", &text[..text.len() - 1], &format!("{text}A"), &text.to_uppercase()] {
        assert_eq!(code(actor(&world, wrong).await), "credential_invalid", "{wrong}");
    }
    assert_eq!(code(credentials::authenticate(&world.app, None, HERE).await), "credential_invalid");
    assert_eq!(code(actor(&world, "hfd1_anything").await), "wrong_audience");
}

#[tokio::test]
async fn the_use_of_a_credential_is_noted_at_most_once_a_minute() {
    let world = World::new().await;
    let (view, text) = made(&world, Permits::all()).await;
    let used = async || {
        let view = credentials::get(&world.app, &AdminActor::Command, view.id).await.expect("there");
        (view.last_used_at, view.last_source)
    };
    assert_eq!(used().await, (None, None));
    let first = world.clock.now();
    for span in [Span::ZERO, Span::seconds(59)] {
        world.clock.advance(span);
        actor(&world, &text).await.expect("in force");
        assert_eq!(used().await, (Some(first), Some("192.0.2.7".to_owned())));
    }
    world.clock.advance(Span::seconds(1));
    actor(&world, &text).await.expect("in force");
    assert_eq!(used().await.0, Some(first + Span::minutes(1)));
}

#[tokio::test]
async fn credentials_are_listed_page_by_page() {
    let world = World::new().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(made(&world, Permits::all()).await.0.id);
    }
    all.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let ask = PageAsk::new(after, Some(2)).expect("a good page");
        let page = credentials::page(&world.app, &AdminActor::Command, &ask).await.expect("readable");
        seen.extend(page.items.into_iter().map(|view| view.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
}
