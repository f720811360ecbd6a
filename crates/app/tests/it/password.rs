//! Passwords, lock-out, links: what they prove, and what nobody learns from them.

use super::machine::{ADMIN, Machine};
use super::world::{World, code};
use app::SecretText;
use app::page::PageAsk;
use app::password::Password;
use app::passwords::{Link, LinkWay, Purpose, link_make, link_use, policy, policy_set};
use base::{Span, Timestamp, UserId};
use control::password::PasswordSetting;
use std::net::IpAddr;

const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";

fn from(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

async fn use_link(world: &World, link: &SecretText, text: &str) -> Result<String, app::AppError> {
    link_use(&world.app, from(1), link, &password(text)).await
}

async fn anna(world: &World) -> UserId {
    let mut tx = world.app.db.read().await.expect("readable");
    db::user_get_by_email(&mut tx, ANNA).await.expect("readable").expect("she is there").id
}

/// A link that was shown.
struct Shown {
    text: SecretText,
    expires_at: Timestamp,
}

fn shown(link: Link) -> Shown {
    let LinkWay::Shown { link: text, .. } = link.way else { panic!("there is no mail server") };
    Shown { text, expires_at: link.expires_at }
}

async fn reset(world: &World) -> Shown {
    shown(link_make(&world.app, &ADMIN, anna(world).await, Purpose::Reset, false).await.expect("a user"))
}

#[tokio::test]
async fn a_user_without_a_password_sets_one_by_a_link_once() {
    let world = World::quick().await;
    world.person(ANNA, None).await;
    let machine = Machine::new(&world, "laptop");
    for guess in ["", "anything at all"] {
        assert_eq!(machine.by_password(&world, ANNA, guess).refused().await, "wrong_credentials");
    }
    let link = shown(link_make(&world.app, &ADMIN, anna(&world).await, Purpose::Set, false).await.expect("a user"));
    assert_eq!(link.expires_at, world.app.clock.now() + Span::hours(72));
    assert_eq!(code(use_link(&world, &link.text, "short").await), "password_too_short");
    assert_eq!(use_link(&world, &link.text, GOOD).await.expect("a good link"), ANNA);
    assert_eq!(code(use_link(&world, &link.text, "another password").await), "link_invalid");
    machine.by_password(&world, ANNA, GOOD).bound().await;
}

#[tokio::test]
async fn a_newer_link_a_set_password_and_the_end_of_its_time_end_a_link() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let (first, second) = (reset(&world).await, reset(&world).await);
    assert_eq!(code(use_link(&world, &first.text, "a new password").await), "link_invalid");
    app::users::password_set(&world.app, &ADMIN, anna(&world).await, &password("of the admin")).await.expect("a user");
    assert_eq!(code(use_link(&world, &second.text, "a new password").await), "link_invalid");
    let third = reset(&world).await;
    world.clock.advance(Span::hours(24));
    assert_eq!(code(use_link(&world, &third.text, "a new password").await), "link_invalid");
    let fourth = reset(&world).await;
    world.clock.advance(Span::ms(86_399_999));
    use_link(&world, &fourth.text, "a new password").await.expect("just in time");
}

#[tokio::test]
async fn every_link_that_is_not_good_costs_and_says_the_same() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let used = reset(&world).await;
    use_link(&world, &used.text, "the second password").await.expect("good");
    let replaced = reset(&world).await;
    let expired = reset(&world).await;
    world.clock.advance(Span::hours(25));
    let unknown = SecretText::new(format!("hfl1_{}", "A".repeat(43)));
    let garbage = SecretText::new("garbage".to_owned());
    let mut seen = Vec::new();
    for link in [&used.text, &replaced.text, &expired.text, &unknown, &garbage] {
        let before = world.app.passwords.computed();
        let error = use_link(&world, link, "the third password").await.expect_err("not good");
        seen.push((error.to_string(), world.app.passwords.computed() - before));
    }
    assert!(seen.iter().all(|answer| *answer == seen[0] && answer.1 == 1), "{seen:?}");
}

#[tokio::test]
async fn guessing_links_ends_for_its_source_and_for_nobody_else() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let link = reset(&world).await;
    let guess = SecretText::new("hfl1_guess".to_owned());
    for _ in 0..30 {
        assert_eq!(code(link_use(&world.app, from(7), &guess, &password(GOOD)).await), "link_invalid");
    }
    let locked = link_use(&world.app, from(7), &link.text, &password("a new password")).await;
    assert_eq!(code(locked), "too_many_requests");
    use_link(&world, &link.text, "a new password").await.expect("from elsewhere");
}

#[tokio::test]
async fn the_last_passwords_are_not_chosen_again() {
    let world = World::quick().await;
    world.person(ANNA, Some("password number 0")).await;
    policy_set(&world.app, &ADMIN, PasswordSetting::Reuse, Some(3)).await.expect("in range");
    for n in 1..=3 {
        let link = reset(&world).await;
        use_link(&world, &link.text, &format!("password number {n}")).await.expect("a new one");
        world.clock.advance(Span::ms(1));
    }
    let link = reset(&world).await;
    for n in 1..=3 {
        let again = use_link(&world, &link.text, &format!("password number {n}")).await;
        assert_eq!(code(again), "password_reused", "number {n}");
    }
    use_link(&world, &link.text, "password number 0").await.expect("long ago, and the link was not used up");
}

#[tokio::test]
async fn a_password_that_has_expired_proves_nothing_and_does_not_lock_out() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let machine = Machine::new(&world, "laptop");
    policy_set(&world.app, &ADMIN, PasswordSetting::ExpiresDays, Some(30)).await.expect("in range");
    world.clock.advance(Span::days(30));
    for _ in 0..12 {
        assert_eq!(machine.by_password(&world, ANNA, GOOD).refused().await, "password_expired");
    }
    assert_eq!(machine.by_password(&world, ANNA, "wrong").refused().await, "wrong_credentials", "only who knows it");
    let link = reset(&world).await;
    use_link(&world, &link.text, "a new password").await.expect("good");
    machine.by_password(&world, ANNA, "a new password").bound().await;
}

#[tokio::test]
async fn an_unknown_address_a_wrong_password_and_none_at_all_cost_and_say_the_same() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    world.person("ben@example.org", None).await;
    let machine = Machine::new(&world, "laptop");
    let mut seen = Vec::new();
    for email in [ANNA, "ben@example.org", "nobody@example.org", "not an address"] {
        let before = world.app.passwords.computed();
        let error = machine.by_password(&world, email, "wrong").answer().await.expect_err("wrong");
        seen.push((error.to_string(), world.app.passwords.computed() - before));
    }
    assert!(seen.iter().all(|answer| *answer == seen[0] && answer.1 == 1), "{seen:?}");
}

#[tokio::test]
async fn wrong_passwords_lock_the_address_where_they_come_from_and_no_school_behind_one_address() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let machine = Machine::new(&world, "laptop");
    policy_set(&world.app, &ADMIN, PasswordSetting::Attempts, Some(3)).await.expect("in range");
    for _ in 0..3 {
        assert_eq!(machine.by_password(&world, ANNA, "wrong").refused().await, "wrong_credentials");
    }
    assert_eq!(machine.by_password(&world, ANNA, GOOD).refused().await, "account_locked");
    let at_home = machine.again(&world);
    at_home.by_password(&world, ANNA, GOOD).from("198.51.100.1").bound().await;
    assert_eq!(machine.by_password(&world, ANNA, GOOD).refused().await, "account_locked", "there, and still");
    world.clock.advance(Span::hours(1));
    machine.by_password(&world, ANNA, GOOD).bound().await;
    for n in 0..300 {
        let guess = machine.by_password(&world, &format!("p{n}@example.org"), "summer").from("203.0.113.5");
        assert_eq!(guess.refused().await, "wrong_credentials");
    }
    let again = machine.again(&world);
    assert_eq!(
        again.by_password(&world, "p7@example.org", "s").from("203.0.113.5").refused().await,
        "too_many_requests"
    );
    again.by_password(&world, ANNA, GOOD).from("203.0.113.5").bound().await;
    assert_eq!(audited(&world, "sign_in_locked").await, [anna(&world).await.to_string()]);
    assert_eq!(audited(&world, "sign_in_source_limited").await, ["203.0.113.5"]);
}

/// The subjects of what was written down of this kind.
async fn audited(world: &World, action: &str) -> Vec<String> {
    let page = app::audit::page(&world.app, &ADMIN, &app::audit::AuditFilter::default(), &PageAsk::first()).await;
    let rows = page.expect("readable").items;
    rows.into_iter().filter(|row| row.action == action).map(|row| row.subject).collect()
}

#[tokio::test]
async fn an_admin_sees_where_an_address_is_locked_and_unlocks_it() {
    let world = World::quick().await;
    let id = world.person(ANNA, Some(GOOD)).await;
    let machine = Machine::new(&world, "laptop");
    policy_set(&world.app, &ADMIN, PasswordSetting::Attempts, Some(3)).await.expect("in range");
    for n in 0..30 {
        let guess = machine.by_password(&world, ANNA, "wrong").from(&format!("192.0.2.{}", n / 3));
        assert_eq!(guess.refused().await, "wrong_credentials");
    }
    assert_eq!(machine.by_password(&world, ANNA, GOOD).from("198.51.100.1").refused().await, "account_locked");
    let lockouts = app::users::get(&world.app, &ADMIN, id).await.expect("a user").lockouts;
    assert_eq!((lockouts.len(), lockouts[0].source.as_str(), lockouts[0].wrong.0), (11, "", 30));
    assert_eq!((lockouts[1].source.as_str(), lockouts[1].wrong.0), ("192.0.2.0", 3));
    let unlocked = app::users::change(&world.app, &ADMIN, id, control::UserEvent::Unlock).await.expect("it was locked");
    assert_eq!(unlocked.state, control::UserState::Active);
    machine.by_password(&world, ANNA, GOOD).from("192.0.2.0").bound().await;
    let again = app::users::change(&world.app, &ADMIN, id, control::UserEvent::Unlock).await;
    assert_eq!(code(again), "user_state_same", "nothing is locked any more");
}

#[tokio::test]
async fn many_right_sign_ins_at_once_lock_nothing() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    policy_set(&world.app, &ADMIN, PasswordSetting::Attempts, Some(3)).await.expect("in range");
    let machines: Vec<Machine> = (0..8).map(|n| Machine::new(&world, &format!("n{n}"))).collect();
    let asked = machines.iter().map(|machine| machine.by_password(&world, ANNA, GOOD)).collect::<Vec<_>>();
    for answer in futures::future::join_all(asked.iter().map(|asked| asked.answer())).await {
        answer.expect("it is the right password");
    }
}

#[tokio::test]
async fn a_setting_out_of_its_range_is_refused_and_a_default_comes_back() {
    let world = World::quick().await;
    let app = &world.app;
    assert_eq!(code(policy_set(app, &ADMIN, PasswordSetting::LengthMin, Some(3)).await), "setting_invalid");
    let set = policy_set(app, &ADMIN, PasswordSetting::LengthMin, Some(12)).await.expect("in range");
    assert_eq!(set.setting(PasswordSetting::LengthMin), 12);
    let short = app::users::add(app, &ADMIN, ANNA, Some(&password("elevenchars"))).await;
    assert_eq!(code(short), "password_too_short");
    policy_set(app, &ADMIN, PasswordSetting::LengthMin, None).await.expect("the default");
    assert_eq!(policy(app, &ADMIN).await.expect("readable").setting(PasswordSetting::LengthMin), 8);
}

#[tokio::test]
async fn a_way_to_sign_in_that_the_profile_does_not_take_is_answered_as_a_wrong_password_after_the_same_work() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let machine = Machine::new(&world, "laptop");
    for login in ["single_sign_on", "directory"] {
        world.policy("login", login).await;
        let before = world.app.passwords.computed();
        assert_eq!(machine.by_password(&world, ANNA, GOOD).refused().await, "wrong_credentials");
        assert_eq!(world.app.passwords.computed(), before + 1, "one hash, as for every answer");
    }
    world.policy("login", "directory,password").await;
    machine.by_password(&world, ANNA, GOOD).bound().await;
}

#[tokio::test]
async fn a_hash_of_another_price_becomes_one_of_todays_at_the_next_sign_in() {
    let mut world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let hash = async |world: &World| {
        let mut tx = world.app.db.read().await.expect("readable");
        db::user_get_by_email(&mut tx, ANNA).await.expect("readable").expect("she is there").password_hash
    };
    let before = hash(&world).await;
    let machine = Machine::new(&world, "laptop");
    machine.by_password(&world, ANNA, GOOD).bound().await;
    assert_eq!(hash(&world).await, before, "nothing has changed");
    let config = app::Config::parse("password.memory_mib = 2\npassword.passes = 1").expect("good text");
    let passwords = app::password::Passwords::new(&config, world.entropy.as_ref());
    std::sync::Arc::get_mut(&mut world.app).expect("nobody else has it").passwords = passwords;
    let other = machine.again(&world);
    assert_eq!(other.by_password(&world, ANNA, "wrong").refused().await, "wrong_credentials");
    assert_eq!(hash(&world).await, before, "who does not know it changes nothing");
    other.by_password(&world, ANNA, GOOD).bound().await;
    assert!(hash(&world).await.contains("m=2048,"), "of the new price");
    machine.again(&world).by_password(&world, ANNA, GOOD).bound().await;
}

#[tokio::test]
async fn after_a_change_of_price_an_unknown_address_costs_what_one_of_the_known_does() {
    let mut world = World::quick().await;
    let work = async |world: &World, email: &str| {
        let before = world.app.passwords.work();
        let machine = Machine::new(world, "laptop");
        assert_eq!(machine.by_password(world, email, "wrong").refused().await, "wrong_credentials");
        world.app.passwords.work() - before
    };
    let unknown = |n: u32| format!("unknown{n}@example.org");
    for n in 0..16 {
        world.person(&format!("old{n}@example.org"), Some(GOOD)).await;
    }
    let config = app::Config::parse("password.memory_mib = 2\npassword.passes = 1").expect("good text");
    let passwords = app::password::Passwords::new(&config, world.entropy.as_ref());
    std::sync::Arc::get_mut(&mut world.app).expect("nobody else has it").passwords = passwords;
    for n in 0..16 {
        world.person(&format!("new{n}@example.org"), Some(GOOD)).await;
    }
    let (old, new) = (work(&world, "old0@example.org").await, work(&world, "new0@example.org").await);
    assert_eq!((old, new), (1_024, 2_048), "a stored hash is compared at its own price");
    let mut seen = Vec::new();
    for n in 0..40 {
        seen.push(work(&world, &unknown(n)).await);
    }
    let of_old = seen.iter().filter(|work| **work == old).count();
    assert!(seen.iter().all(|work| [old, new].contains(work)) && (5..=35).contains(&of_old), "{seen:?}");
    for (n, first) in (0..8).zip(&seen) {
        assert_eq!(work(&world, &unknown(n)).await, *first, "always the same for the same address");
    }
}
