//! Deployment tokens: what they may do, for whom, how often, from where; and what a leaked one is worth.

use super::machine::{ADMIN, Machine};
use super::policy::{draft, profile, values};
use super::world::{World, code};
use app::activation::{Answer, Outcome};
use app::tokens::{Made, Wish, expire, get, legacy_get, legacy_make, make, page, revoke};
use app::{PolicySubject, SecretText, devices, folders, policy};
use async_trait::async_trait;
use base::{Count, Span, Timestamp};
use control::activation::{Choice, Preview, Restore};
use control::{Event, Level, Rights};
use std::sync::Arc;

const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";

fn wish() -> Wish {
    Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() }
}

/// A token with this wish, under a name that no other one has.
async fn token(world: &World, wish: Wish) -> Made {
    let made = page(&world.app, &ADMIN, &world.all()).await.expect("readable").items.len();
    let wish = Wish { name: format!("{} {made}", wish.name), ..wish };
    make(&world.app, &ADMIN, &wish).await.expect("a good wish")
}

async fn world() -> World {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    world
}

#[tokio::test]
async fn a_token_gives_a_new_append_only_record_to_the_user_of_the_account() {
    let world = world().await;
    let made = token(&world, wish()).await;
    assert!(made.text.expose().starts_with(&made.token.prefix) && made.token.prefix.len() == 11);
    let machine = Machine::new(&world, "laptop").of("CORP\\Anna");
    let asking = machine.by_token(&world, &made.text);
    let bound = asking.bound().await;
    assert_eq!((bound.rights, bound.outcome, bound.user.as_str()), (Rights::AppendOnly, Outcome::New, ANNA));
    assert_eq!(asking.bound().await, bound, "a lost answer is given again");
    let listed = get(&world.app, &ADMIN, made.token.id).await.expect("it is there");
    assert_eq!((listed.uses, listed.failures), (Count(1), Count(0)), "and is no second use");
    assert_eq!(listed.last_used_at, Some(world.app.clock.now()));
}

#[tokio::test]
async fn a_leaked_token_with_the_name_serial_and_uuid_of_anothers_laptop_never_reads_and_cuts_nobody_off() {
    let world = world().await;
    let laptop = Machine::new(&world, "laptop").of("anna");
    let real = laptop.by_password(&world, ANNA, GOOD).bound().await;
    let leaked = token(&world, wish()).await.text;
    let thief = laptop.again(&world);
    let first = thief.by_token(&world, &leaked).bound().await;
    assert_ne!(first.device, real.device, "another record");
    assert_eq!((first.rights, first.snapshot), (Rights::AppendOnly, None));
    assert_eq!(world.record(real.device).await.epoch, 1, "the laptop goes on");
    let chosen = thief.again(&world);
    let asking = chosen.by_token(&world, &leaked).choice(&chosen, Choice::Replace(real.device));
    assert_eq!(asking.refused().await, "sign_in_needed");
    // Not even an old key of its own makes more of it than it was.
    let cut = Event::Deactivate { level: Level::Rotate };
    app::devices::change(&world.app, &ADMIN, first.device, cut).await.expect("granted");
    let back = thief.again(&world);
    let again = back.by_token(&world, &leaked).old_key(first.device, &thief).bound().await;
    assert_eq!((again.device, again.rights), (first.device, Rights::AppendOnly));
}

#[tokio::test]
async fn who_comes_to_a_record_by_a_token_alone_changes_none_of_its_users_choices() {
    let world = world().await;
    let app = &world.app;
    let laptop = Machine::new(&world, "laptop").of("anna");
    let real = laptop.by_password(&world, ANNA, GOOD).bound().await;
    let device = laptop.device(&world, real.device).await;
    let of_profile = PolicySubject::Profile(profile(&world).await);
    let music = folders::add(app, &ADMIN, of_profile, &draft("${home}/Music", false)).await.expect("granted").id;
    folders::own_link(app, &device.actor, music, false).await.expect("granted");
    policy::own_set(app, &device.actor, &values(&[("interval", "1h")])).await.expect("granted");
    let choices = async || {
        let view = policy::of_device(app, &ADMIN, real.device).await.expect("readable");
        (view.policy, view.folders, world.record(real.device).await.name)
    };
    let chosen = choices().await;
    let change = async |event| devices::change(app, &ADMIN, real.device, event).await;
    change(Event::Deactivate { level: Level::Revoke }).await.expect("it is active");

    let leaked = token(&world, wish()).await.text;
    let thief = laptop.again(&world);
    let bound = thief.by_token(&world, &leaked).bound().await;
    assert_eq!((bound.device, bound.rights), (real.device, Rights::AppendOnly), "the record is out of service");
    assert!(bound.changes.is_empty(), "{:?}", bound.changes);
    assert_eq!(choices().await, chosen);
    // Nor does a reset that the thief's own key comes back from.
    change(Event::Deactivate { level: Level::Rotate }).await.expect("it is active");
    let newer = thief.again(&world);
    let bound = newer.by_token(&world, &leaked).old_key(real.device, &thief).bound().await;
    assert_eq!((bound.device, bound.rights), (real.device, Rights::AppendOnly));
    assert_eq!(choices().await, chosen);
    // The user comes back, and the profile says what is taken back then.
    change(Event::Deactivate { level: Level::Revoke }).await.expect("it is active");
    let back = laptop.again(&world).by_password(&world, ANNA, GOOD).bound().await;
    assert_eq!((back.device, back.rights, back.changes.folders.len()), (real.device, Rights::Full, 1));
    assert_ne!(choices().await, chosen);
}

#[tokio::test]
async fn a_person_who_signs_in_on_the_same_device_gives_it_full_rights() {
    let world = world().await;
    let text = token(&world, wish()).await.text;
    let machine = Machine::new(&world, "laptop").of("anna");
    let first = machine.by_token(&world, &text).bound().await;
    let next = machine.again(&world);
    let full = next.by_password(&world, ANNA, GOOD).old_key(first.device, &machine).bound().await;
    assert_eq!((full.device, full.rights, full.outcome), (first.device, Rights::Full, Outcome::Reactivated));
}

#[tokio::test]
async fn an_old_key_beside_a_token_brings_a_revoked_device_back_whole() {
    let world = world().await;
    let text = token(&world, Wish { domains: Vec::new(), ..wish() }).await.text;
    let machine = Machine::new(&world, "laptop");
    let first = machine.by_password(&world, ANNA, GOOD).bound().await;
    let cut = Event::Deactivate { level: Level::Revoke };
    app::devices::change(&world.app, &ADMIN, first.device, cut).await.expect("granted");
    let next = machine.again(&world);
    assert_eq!(next.by_token(&world, &text).refused().await, "user_unknown_to_token", "the account is nobody's");
    let back = next.by_token(&world, &text).old_key(first.device, &machine).bound().await;
    assert_eq!((back.device, back.rights, back.outcome), (first.device, Rights::Full, Outcome::Reactivated));
}

#[tokio::test]
async fn many_who_look_at_the_same_time_are_shown_no_more_than_the_rate_of_the_token() {
    let world = world().await;
    let made = token(&world, Wish { rate_per_minute: Some(Count(1)), ..wish() }).await;
    let machines: Vec<Machine> = (0..8).map(|n| Machine::new(&world, &format!("laptop{n}")).of("anna")).collect();
    let asking: Vec<_> =
        machines.iter().map(|machine| machine.by_token(&world, &made.text).preview(machine, Preview::Always)).collect();
    let answers = futures::future::join_all(asking.iter().map(|asking| asking.answer())).await;
    let (shown, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((shown.len(), refused.len()), (1, 7));
    assert!(refused.iter().all(|answer| answer.as_ref().is_err_and(|error| error.code() == "token_rate")));
}

#[tokio::test]
async fn a_token_with_hours_is_refused_outside_them_with_the_time_until_they_begin_over_a_change_of_clocks() {
    let world = world().await;
    let wish = |hours: &str, zone: &str| Wish { hours: hours.to_owned(), hours_zone: zone.to_owned(), ..wish() };
    for (hours, zone) in
        [("25:00-26:00", ""), ("none", ""), ("mon", "UTC"), ("08:00-09:00", "Mars/Olympus"), ("", "UTC")]
    {
        let made = make(&world.app, &ADMIN, &wish(hours, zone)).await;
        assert_eq!(code(made), "token_wish_invalid", "{hours} {zone}");
    }
    let made = token(&world, wish("mon-fri 18:00-08:00", "Europe/Berlin")).await;
    assert_eq!((made.token.hours.as_str(), made.token.hours_zone.as_str()), ("mon-fri 18:00-08:00", "Europe/Berlin"));
    assert_eq!(token(&world, wish("08:00-09:00", "")).await.token.hours_zone, "UTC");
    // Friday, 26 March 2027, 08:00 in Berlin is 07:00 in UTC; on Monday, after the change of clocks, 18:00 is 16:00.
    for (utc_ms, left) in [
        (1_806_044_399_000, None),
        (1_806_044_400_000, Some(Span::hours(10))),
        (1_806_335_999_000, Some(Span::minutes(1))),
        (1_806_336_000_000, None),
    ] {
        world.clock.advance(Timestamp::from_ms(utc_ms).since(world.app.clock.now()));
        let machine = Machine::new(&world, &format!("laptop-{utc_ms}")).of("anna");
        let answer = machine.by_token(&world, &made.text).answer().await;
        match left {
            None => assert!(answer.is_ok(), "{utc_ms}"),
            Some(left) => {
                let error = answer.expect_err("outside its hours");
                assert_eq!(error.code(), "token_hours");
                assert_eq!(error.retry().after(), Some(left), "{utc_ms}");
            }
        }
    }
}

#[tokio::test]
async fn every_reason_against_a_token_has_its_own_code_and_is_remembered_once_for_a_machine() {
    let world = world().await;
    let now = world.app.clock.now();
    let machine = Machine::new(&world, "laptop").of("anna");
    let revoked = token(&world, wish()).await;
    revoke(&world.app, &ADMIN, revoked.token.id).await.expect("good until now");
    let expired = token(&world, wish()).await;
    expire(&world.app, &ADMIN, expired.token.id).await.expect("good until now");
    let ends = token(&world, Wish { expires_at: Some(now + Span::hours(1)), ..wish() }).await;
    let used_up = token(&world, Wish { uses_max: Some(Count(1)), ..wish() }).await;
    Machine::new(&world, "first").of("anna").by_token(&world, &used_up.text).bound().await;
    let elsewhere = token(&world, Wish { networks: vec!["10.0.0.0/8".to_owned()], ..wish() }).await;
    let nobodys = token(&world, Wish { domains: Vec::new(), ..wish() }).await;
    world.person("anna@school.example", None).await;
    let both = vec!["example.org".to_owned(), "school.example".to_owned()];
    let ambiguous = token(&world, Wish { domains: both, ..wish() }).await;
    world.clock.advance(Span::hours(1));
    for (made, expected) in [
        (&revoked, "token_revoked"),
        (&expired, "token_expired"),
        (&ends, "token_expired"),
        (&used_up, "token_used_up"),
        (&elsewhere, "token_network"),
        (&nobodys, "user_unknown_to_token"),
        (&ambiguous, "token_user_ambiguous"),
    ] {
        for _ in 0..2 {
            assert_eq!(machine.by_token(&world, &made.text).refused().await, expected);
        }
        let listed = get(&world.app, &ADMIN, made.token.id).await.expect("it is there");
        assert_eq!((listed.failures, listed.last_failure.as_deref()), (Count(2), Some(expected)));
    }
    let unknown = SecretText::new(format!("hft2_{}", "A".repeat(43)));
    assert_eq!(machine.by_token(&world, &unknown).refused().await, "token_invalid");
    let desk = app::desk::refused(&world.app, &ADMIN, &world.all()).await.expect("readable").items;
    let mut times: Vec<u64> = desk.iter().map(|row| row.times.0).collect();
    times.sort_unstable();
    assert_eq!(times, [1, 2, 2, 2, 2, 2, 2, 2]);
    assert!(desk.iter().all(|row| row.host_name == "laptop" && row.source == super::machine::SOURCE));
    let mut tx = world.app.db.read().await.expect("readable");
    let log = app::audit::list(&mut tx, 0).await.expect("readable");
    let refused = log.iter().filter(|row| row.action == "device_activate" && row.detail.starts_with("refused: "));
    assert_eq!(refused.count(), 8, "each reason is in the log once");
    drop(tx);
    assert_eq!(code(revoke(&world.app, &ADMIN, revoked.token.id).await), "token_ended");
    assert_eq!(code(expire(&world.app, &ADMIN, ends.token.id).await), "token_ended");
}

#[tokio::test]
async fn a_hundred_side_by_side_use_a_token_of_ten_uses_ten_times() {
    let world = world().await;
    let user = world.person("many@example.org", None).await;
    let made = token(&world, Wish { uses_max: Some(Count(10)), ..wish() }).await;
    let machines: Vec<Machine> = (0..100).map(|n| Machine::new(&world, &format!("m{n}")).of("many")).collect();
    let asking: Vec<_> = machines.iter().map(|machine| machine.by_token(&world, &made.text)).collect();
    let answers = futures::future::join_all(asking.iter().map(|asking| asking.answer())).await;
    let granted = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.into_iter().filter_map(Result::err).all(|error| {
        // The lane of activations holds some of them up for longer than they wait.
        matches!(error.code(), "token_used_up" | "server_busy")
    });
    assert!(granted == 10 && refused, "{granted} were granted");
    assert_eq!(world.records(user).await.len(), 10);
    assert_eq!(get(&world.app, &ADMIN, made.token.id).await.expect("there").uses, Count(10));
}

#[tokio::test]
async fn a_rate_holds_for_a_minute_and_says_when_it_is_over() {
    let world = world().await;
    let made = token(&world, Wish { rate_per_minute: Some(Count(2)), ..wish() }).await;
    for n in 0..2 {
        Machine::new(&world, &format!("m{n}")).of("anna").by_token(&world, &made.text).bound().await;
    }
    let third = Machine::new(&world, "m2").of("anna");
    let error = third.by_token(&world, &made.text).answer().await.expect_err("too many");
    let app::AppError::Refused(refusal) = error else { panic!("{error}") };
    let left = refusal.retry_after().expect("time helps");
    assert_eq!(refusal.code(), "token_rate");
    world.clock.advance(left);
    third.by_token(&world, &made.text).bound().await;
}

#[tokio::test]
async fn a_token_counts_a_network_as_what_it_is() {
    let world = world().await;
    let networks = vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()];
    let made = token(&world, Wish { networks, ..wish() }).await;
    for (n, source, granted) in [
        (0, "10.9.8.7", true),
        (1, "::ffff:10.9.8.7", true),
        (2, "2001:db8::5", true),
        (3, "11.0.0.1", false),
        (4, "2001:db9::5", false),
    ] {
        let machine = Machine::new(&world, &format!("m{n}")).of("anna");
        let answer = machine.by_token(&world, &made.text).from(source).answer().await;
        assert_eq!(answer.is_ok(), granted, "{source}");
    }
}

#[tokio::test]
async fn the_legacy_token_is_one_and_a_new_one_ends_the_one_before() {
    let world = world().await;
    let first = legacy_make(&world.app, &ADMIN, &[], false).await.expect("permitted");
    let second = legacy_make(&world.app, &ADMIN, &[], false).await.expect("permitted");
    assert!(second.text.expose().starts_with("hft1_"));
    let good = legacy_get(&world.app, &ADMIN).await.expect("readable").expect("there is one");
    assert_eq!((good.id, good.version), (second.token.id, 1));
    let machine = Machine::new(&world, "laptop");
    let owner = machine.by_password(&world, ANNA, GOOD).bound().await;
    let next = machine.again(&world);
    assert_eq!(next.by_token(&world, &first.text).refused().await, "token_revoked");
    let back = next.by_token(&world, &second.text).old_key(owner.device, &machine);
    assert_eq!(back.bound().await.device, owner.device);
}

#[tokio::test]
async fn the_legacy_token_finds_a_user_by_the_account_and_adds_one_where_the_admin_says_so() {
    let world = world().await;
    let plain = legacy_make(&world.app, &ADMIN, &[], false).await.expect("permitted");
    let machine = Machine::new(&world, "laptop").of("anna");
    assert_eq!(machine.by_token(&world, &plain.text).refused().await, "user_unknown_to_token");
    let domains = ["example.org".to_owned()];
    let made = legacy_make(&world.app, &ADMIN, &domains, true).await.expect("permitted");
    assert_eq!((made.token.version, made.token.domains.as_slice()), (1, &domains[..]));
    assert_eq!(machine.by_token(&world, &made.text).bound().await.user, ANNA);
    let other = Machine::new(&world, "new").of("newcomer");
    assert_eq!(other.by_token(&world, &made.text).bound().await.user, "newcomer@example.org");
    let no = legacy_make(&world.app, &ADMIN, &["no domain".to_owned()], false).await;
    assert_eq!(no.map(drop).expect_err("no domain").code(), "token_wish_invalid");
}

#[tokio::test]
async fn a_token_that_creates_users_adds_one_without_a_password_and_only_with_a_record() {
    let world = world().await;
    let made = token(&world, Wish { create_users: true, ..wish() }).await;
    let machine = Machine::new(&world, "new").of("newcomer");
    let bound = machine.by_token(&world, &made.text).bound().await;
    assert_eq!((bound.user.as_str(), bound.rights), ("newcomer@example.org", Rights::AppendOnly));
    assert_eq!(machine.by_password(&world, "newcomer@example.org", "").refused().await, "wrong_credentials");
    world.policy("may_add_devices", "no").await;
    let other = Machine::new(&world, "other").of("another");
    assert_eq!(other.by_token(&world, &made.text).refused().await, "activation_off");
    let filter = app::users::UserFilter::default();
    let users = app::users::page(&world.app, &ADMIN, &filter, &world.all()).await.expect("readable");
    assert!(users.items.iter().all(|user| user.email != "another@example.org"), "nobody was added for nothing");
    let shared = Machine::new(&world, "shared").of("Administrator");
    assert_eq!(shared.by_token(&world, &made.text).refused().await, "user_unknown_to_token");
}

#[tokio::test]
async fn guessing_tokens_ends_for_the_guesses_and_not_for_the_installer_behind_the_same_address() {
    let world = world().await;
    let made = token(&world, wish()).await;
    let guess = SecretText::new("hft2_guess".to_owned());
    let thief = Machine::new(&world, "thief");
    for _ in 0..1_000 {
        assert_eq!(thief.by_token(&world, &guess).refused().await, "token_invalid");
    }
    assert_eq!(thief.by_token(&world, &guess).refused().await, "too_many_requests");
    Machine::new(&world, "laptop").of("anna").by_token(&world, &made.text).bound().await;
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_refused_with_what_is_wrong() {
    let world = world().await;
    let list = |text: &str| vec![text.to_owned()];
    for (wrong, said) in [
        (Wish { name: " ".to_owned(), ..wish() }, "name"),
        (Wish { networks: list("10.0.0.0/33"), ..wish() }, "10.0.0.0/33"),
        (Wish { domains: list("not a domain"), ..wish() }, "not a domain"),
        (Wish { domains: Vec::new(), create_users: true, ..wish() }, "one mail domain"),
        (Wish { expires_at: Some(world.app.clock.now()), ..wish() }, "ended"),
        (Wish { uses_max: Some(Count(0)), ..wish() }, "never"),
        (Wish { networks: vec!["::1".to_owned(); 65], ..wish() }, "at most 64"),
    ] {
        let error = make(&world.app, &ADMIN, &wrong).await.expect_err("no sense");
        assert!(error.code() == "token_wish_invalid" && error.to_string().contains(said), "{error}");
    }
    let unknown = Wish { profile: Some(base::ProfileId::from_bytes([9; 16])), ..wish() };
    assert_eq!(code(make(&world.app, &ADMIN, &unknown).await), "profile_unknown");
}

#[tokio::test]
async fn a_token_of_a_profile_serves_its_users_and_gives_it_to_those_that_it_creates() {
    let world = World::quick().await;
    let anna = world.person(ANNA, None).await;
    let profile = app::profiles::make(&world.app, &ADMIN, "laptops").await.expect("permitted").id;
    let made = token(&world, Wish { profile: Some(profile), create_users: true, ..wish() }).await;
    let machine = Machine::new(&world, "laptop").of("anna");
    assert_eq!(machine.by_token(&world, &made.text).refused().await, "token_profile");
    let other = Machine::new(&world, "new").of("newcomer");
    assert_eq!(other.by_token(&world, &made.text).bound().await.user, "newcomer@example.org");
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    let added = rows.iter().rev().find(|row| row.action == "user_add").expect("the newcomer");
    assert_eq!(added.detail, format!("profile {profile}, as the token {} gives", made.token.prefix));
    assert_eq!((&added.actor, added.proof.as_str()), (&format!("token {}", made.token.id), "token"));
    drop(tx);
    app::profiles::assign(&world.app, &ADMIN, profile, anna).await.expect("granted");
    assert_eq!(machine.by_token(&world, &made.text).bound().await.user, ANNA);
}

/// A directory that knows one account and one password.
struct OnePerson;

#[async_trait]
impl app::identity::Directory for OnePerson {
    async fn find_by_os_user(&self, domain: Option<&str>, user: &str) -> Result<Option<String>, app::AppError> {
        Ok((domain == Some("CORP") && user == "a.n.na").then(|| ANNA.to_owned()))
    }

    async fn verify_password(&self, email: &str, given: &app::password::Password) -> Result<bool, app::AppError> {
        Ok(email == "dora@example.org" && given.expose() == "of the directory")
    }
}

#[tokio::test]
async fn a_directory_names_the_user_of_an_account_and_vouches_for_who_has_no_password_here() {
    let mut world = world().await;
    world.person("dora@example.org", None).await;
    world.policy("login", "password,directory").await;
    let app = Arc::get_mut(&mut world.app).expect("nobody else has it");
    app.identity.directory = Some(Arc::new(OnePerson));
    let text = token(&world, Wish { domains: Vec::new(), ..wish() }).await.text;
    let machine = Machine::new(&world, "laptop").of("CORP\\a.n.na");
    assert_eq!(machine.by_token(&world, &text).bound().await.user, ANNA);
    let other = Machine::new(&world, "other");
    let full = other.by_password(&world, "dora@example.org", "of the directory").bound().await;
    assert_eq!(full.rights, Rights::Full);
    let again = other.again(&world);
    assert_eq!(again.by_password(&world, "dora@example.org", "wrong").refused().await, "wrong_credentials");
    assert_eq!(again.by_password(&world, ANNA, "of the directory").refused().await, "wrong_credentials");
}

#[tokio::test]
async fn unknown_tokens_push_nothing_out_and_fill_neither_the_desk_nor_the_log() {
    let world = world().await;
    let known = token(&world, wish()).await;
    revoke(&world.app, &ADMIN, known.token.id).await.expect("it is there");
    let machine = Machine::new(&world, "ours");
    assert_eq!(machine.by_token(&world, &known.text).refused().await, "token_revoked");
    let unknown = SecretText::new(format!("hft2_{}", "A".repeat(43)));
    for n in 0..130 {
        let machine = Machine::new(&world, &format!("n{n}"));
        let asked = machine.by_token(&world, &unknown).from(&format!("198.51.100.{n}"));
        assert_eq!(asked.refused().await, "token_invalid");
    }
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let listed = db::refused_list(&mut tx, db::PageKey::LAST, Count(1_000)).await.expect("readable");
    let (ours, others): (Vec<_>, Vec<_>) = listed.iter().partition(|row| row.token.is_some());
    assert_eq!((ours.len(), others.len()), (1, 101), "a hundred in an hour, and one row for all the others");
    let counted = others.iter().find(|row| row.host_name.is_empty()).expect("without a name");
    assert_eq!((counted.times.0, counted.source.as_str()), (30, ""));
    for _ in 0..101 {
        db::refused_remove_oldest(&mut tx).await.expect("writable");
    }
    let left = db::refused_list(&mut tx, db::PageKey::LAST, Count(1_000)).await.expect("readable");
    assert_eq!(left.iter().map(|row| row.code.as_str()).collect::<Vec<_>>(), ["token_revoked"], "they make room first");
}

#[tokio::test]
async fn what_a_token_is_shown_beforehand_is_nothing_of_the_record_and_is_counted_and_written_down() {
    let world = world().await;
    let laptop = Machine::new(&world, "laptop").of("anna");
    let real = laptop.by_password(&world, ANNA, GOOD).bound().await;
    let device = laptop.device(&world, real.device).await;
    policy::own_set(&world.app, &device.actor, &values(&[("interval", "1h")])).await.expect("granted");
    devices::change(&world.app, &ADMIN, real.device, Event::Deactivate { level: Level::Revoke })
        .await
        .expect("granted");
    let made = token(&world, Wish { rate_per_minute: Some(Count(2)), ..wish() }).await;
    let thief = laptop.again(&world);
    let asking = || {
        let asking = thief.by_token(&world, &made.text).restore(&thief, Restore::All);
        asking.preview(&thief, Preview::Always)
    };
    for _ in 0..2 {
        let Answer::Changes(shown) = asking().answer().await.expect("shown") else { panic!("bound") };
        assert_eq!((shown.device, shown.name.as_str(), shown.outcome), (None, "", Outcome::Reactivated));
        assert!(shown.changes.is_empty(), "{:?}", shown.changes);
    }
    assert_eq!(asking().refused().await, "token_rate", "and a preview is limited as a use is");
    let after = get(&world.app, &ADMIN, made.token.id).await.expect("it is there");
    assert_eq!((after.uses, after.failures), (Count(0), Count(1)), "it is no use, and its refusal is remembered");
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    let shown: Vec<_> = rows.iter().filter(|row| row.action == "device_activate_preview").collect();
    let [one, _] = shown.as_slice() else { panic!("{shown:?}") };
    let said = (one.actor.as_str(), one.subject.as_str(), one.source.as_str(), one.proof.as_str());
    let token = format!("token {}", made.token.id);
    assert_eq!(said, (token.as_str(), real.device.to_string().as_str(), super::machine::SOURCE, "token"));
}

#[tokio::test]
async fn a_name_is_free_again_once_its_token_is_good_for_nothing() {
    let world = world().await;
    let hour = Some(world.app.clock.now() + Span::hours(1));
    let named = |name: &str| Wish { name: name.to_owned(), ..wish() };
    let revoked = make(&world.app, &ADMIN, &named("a")).await.expect("the first");
    let ends = make(&world.app, &ADMIN, &Wish { expires_at: hour, ..named("b") }).await.expect("the first");
    let once = make(&world.app, &ADMIN, &Wish { uses_max: Some(Count(1)), ..named("c") }).await.expect("the first");
    for name in ["a", " b ", "c"] {
        assert_eq!(code(make(&world.app, &ADMIN, &named(name)).await), "name_taken", "{name}");
    }
    make(&world.app, &ADMIN, &named("A")).await.expect("another name");
    revoke(&world.app, &ADMIN, revoked.token.id).await.expect("good until now");
    world.clock.advance(Span::hours(1));
    Machine::new(&world, "laptop").of("anna").by_token(&world, &once.text).bound().await;
    for name in ["a", "b", "c"] {
        make(&world.app, &ADMIN, &named(name)).await.expect(name);
    }
    assert_eq!(get(&world.app, &ADMIN, ends.token.id).await.expect("it is kept").name, "b");
    // The legacy token has one name for ever, and a new one ends the one before.
    for _ in 0..2 {
        legacy_make(&world.app, &ADMIN, &[], false).await.expect("there is one at a time");
    }
    assert_eq!(code(make(&world.app, &ADMIN, &named("legacy")).await), "name_taken");
}
