//! A provider of single sign-on and a directory behind their ports, through real activations: right, wrong, not
//! reachable, unknown here, and a profile that does not take that way. Refuses a way in beside the answer.

use super::machine::{ADMIN, Asking, Machine};
use super::world::{World, code};
use app::activation::{Answer, Claim, Outcome};
use app::identity::{Directory, SignOn};
use app::password::Password;
use app::tokens::{Wish, make};
use app::users::{self, UserFilter};
use app::{AppError, SecretText};
use async_trait::async_trait;
use base::{Span, UserId};
use control::{Event, Level, Proof, Rights, UserEvent};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const ANNA: &str = "anna@example.org";
const DORA: &str = "dora@example.org";
const GOOD: &str = "correct horse battery";
const SECRET: &str = "of the directory";

/// Both, far away: they know people, or do not answer.
#[derive(Default)]
struct Elsewhere {
    is_down: AtomicBool,
    /// Codes that are good once, and whose they are.
    codes: Mutex<BTreeMap<String, String>>,
    /// Which addresses were asked about.
    asked: Mutex<Vec<String>>,
}

impl Elsewhere {
    fn give(&self, code: &str, email: &str) {
        self.codes.lock().expect("no test panics with it").insert(code.to_owned(), email.to_owned());
    }

    fn down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("no test panics with it").len()
    }

    fn there(&self) -> Result<(), AppError> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(AppError::unavailable("directory_away", "The directory does not answer.", Span::seconds(30))),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl SignOn for Elsewhere {
    async fn redeem(&self, code: &str) -> Result<Option<String>, AppError> {
        self.there()?;
        Ok(self.codes.lock().expect("no test panics with it").remove(code))
    }
}

#[async_trait]
impl Directory for Elsewhere {
    async fn find_by_os_user(&self, domain: Option<&str>, user: &str) -> Result<Option<String>, AppError> {
        self.there()?;
        let known = [("dora", DORA), ("gone", "gone@example.org"), ("odd", "no address")];
        let found = known.iter().find(|(account, _)| domain == Some("CORP") && *account == user);
        Ok(found.map(|(_, email)| (*email).to_owned()))
    }

    async fn verify_password(&self, email: &str, given: &Password) -> Result<bool, AppError> {
        self.asked.lock().expect("no test panics with it").push(email.to_owned());
        self.there()?;
        Ok([DORA, "gone@example.org"].contains(&email) && given.expose() == SECRET)
    }
}

/// A world with both behind its ports, one user with a password here and one without, and every way in open.
async fn world() -> (World, Arc<Elsewhere>, UserId) {
    let mut world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let dora = world.person(DORA, None).await;
    let elsewhere = Arc::new(Elsewhere::default());
    let app = Arc::get_mut(&mut world.app).expect("nobody else has it");
    app.identity.sign_on = Some(elsewhere.clone());
    app.identity.directory = Some(elsewhere.clone());
    world.policy("login", "password,directory,single_sign_on").await;
    (world, elsewhere, dora)
}

fn by_code<'a>(world: &'a World, machine: &Machine, code: &str) -> Asking<'a> {
    machine.ask(world, "", Claim::SignOn(SecretText::new(code.to_owned())))
}

/// By what the last activation was shown, as the audit log has it.
async fn proof_audited(world: &World) -> String {
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    rows.iter().rev().find(|row| row.action == "device_activate").expect("one was activated").proof.clone()
}

async fn devices(world: &World, user: UserId) -> usize {
    world.records(user).await.len()
}

#[tokio::test]
async fn a_code_of_the_provider_is_a_person_once_and_its_repeat_is_answered_without_it() {
    let (world, elsewhere, dora) = world().await;
    let machine = Machine::new(&world, "laptop");
    elsewhere.give("c1", "Dora@Example.org");
    let asking = by_code(&world, &machine, "c1");
    let bound = asking.bound().await;
    assert_eq!((bound.user.as_str(), bound.rights, bound.outcome), (DORA, Rights::Full, Outcome::New));
    assert_eq!(proof_audited(&world).await, Proof::SingleSignOn.word());
    elsewhere.down(true);
    assert_eq!(asking.bound().await, bound, "the code is used up, and the answer was kept");
    elsewhere.down(false);
    let other = Machine::new(&world, "other");
    assert_eq!(by_code(&world, &other, "c1").refused().await, "wrong_credentials", "once");
    assert_eq!(by_code(&world, &other, "made up").refused().await, "wrong_credentials");
    assert_eq!(devices(&world, dora).await, 1);
    // It brings the device back at every level, as a password does.
    for level in [Level::Rotate, Level::Revoke, Level::Distrust] {
        let cut = Event::Deactivate { level };
        app::devices::change(&world.app, &ADMIN, bound.device, cut).await.expect("it is in service");
        elsewhere.give("c2", DORA);
        let back = by_code(&world, &machine.again(&world), "c2").bound().await;
        assert_eq!((back.device, back.rights), (bound.device, Rights::Full), "{level:?}");
    }
}

#[tokio::test]
async fn a_code_of_somebody_who_is_unknown_here_locked_or_of_another_way_in_is_a_wrong_one() {
    let (world, elsewhere, dora) = world().await;
    let machine = Machine::new(&world, "laptop");
    for email in ["nobody@example.org", "no address", ""] {
        elsewhere.give("c", email);
        assert_eq!(by_code(&world, &machine, "c").refused().await, "wrong_credentials", "{email:?}");
    }
    let known = users::page(&world.app, &ADMIN, &UserFilter::default(), &world.all()).await.expect("readable");
    assert!(known.items.iter().all(|user| !user.email.starts_with("nobody")), "nobody is added by it");
    for login in ["password", "directory", "password,directory"] {
        world.policy("login", login).await;
        elsewhere.give("c", DORA);
        assert_eq!(by_code(&world, &machine, "c").refused().await, "wrong_credentials", "{login}");
    }
    world.policy("login", "single_sign_on").await;
    users::change(&world.app, &ADMIN, dora, UserEvent::Lock).await.expect("she is active");
    elsewhere.give("c", DORA);
    assert_eq!(by_code(&world, &machine, "c").refused().await, "user_not_active", "who has proved it is told");
    assert_eq!(devices(&world, dora).await, 0);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_binds_nothing_and_the_same_request_succeeds_later() {
    let (world, elsewhere, dora) = world().await;
    let machine = Machine::new(&world, "laptop");
    elsewhere.give("c", DORA);
    let asking = by_code(&world, &machine, "c");
    elsewhere.down(true);
    assert_eq!(code(asking.answer().await), "directory_away");
    assert_eq!(devices(&world, dora).await, 0);
    elsewhere.down(false);
    asking.bound().await;
    // Without a provider a code is a wrong one, whatever it is.
    let world = World::quick().await;
    world.person(DORA, None).await;
    world.policy("login", "single_sign_on").await;
    assert_eq!(by_code(&world, &Machine::new(&world, "a"), "c").refused().await, "wrong_credentials");
}

#[tokio::test]
async fn the_directory_vouches_for_who_has_no_password_here_where_the_profile_takes_that() {
    let (world, elsewhere, dora) = world().await;
    let machine = Machine::new(&world, "laptop");
    let bound = machine.by_password(&world, DORA, SECRET).bound().await;
    assert_eq!((bound.user.as_str(), bound.rights), (DORA, Rights::Full));
    assert_eq!(proof_audited(&world).await, Proof::Directory.word());
    let other = Machine::new(&world, "other");
    // Wrong, unknown here though known there, known here though unknown there: one answer.
    for (email, password) in [(DORA, "wrong"), ("gone@example.org", SECRET), (ANNA, SECRET)] {
        assert_eq!(other.by_password(&world, email, password).refused().await, "wrong_credentials", "{email}");
    }
    for login in ["password", "single_sign_on", "password,single_sign_on"] {
        world.policy("login", login).await;
        let (asked, work) = (elsewhere.asked(), world.app.passwords.computed());
        assert_eq!(other.by_password(&world, DORA, SECRET).refused().await, "wrong_credentials", "{login}");
        assert_eq!((elsewhere.asked(), world.app.passwords.computed()), (asked + 1, work + 1), "the same work");
    }
    assert_eq!(devices(&world, dora).await, 1);
}

#[tokio::test]
async fn who_asks_while_the_directory_is_away_is_not_locked_out_for_it() {
    let (world, elsewhere, _) = world().await;
    let machine = Machine::new(&world, "laptop");
    assert_eq!(machine.by_password(&world, DORA, "wrong").refused().await, "wrong_credentials");
    elsewhere.down(true);
    for _ in 0..30 {
        assert_eq!(code(machine.by_password(&world, DORA, SECRET).answer().await), "directory_away");
        assert_eq!(code(machine.by_password(&world, "nobody@example.org", SECRET).answer().await), "directory_away");
    }
    // Whoever has a password here needs nobody else.
    Machine::new(&world, "annas").by_password(&world, ANNA, GOOD).bound().await;
    elsewhere.down(false);
    for _ in 0..8 {
        assert_eq!(machine.by_password(&world, DORA, "wrong").refused().await, "wrong_credentials");
    }
    let locked = Machine::new(&world, "second");
    assert_eq!(machine.by_password(&world, DORA, "wrong").refused().await, "wrong_credentials", "the tenth");
    assert_eq!(locked.by_password(&world, DORA, SECRET).refused().await, "account_locked", "what was wrong counts");
    locked.by_password(&world, DORA, SECRET).from("192.0.2.99").bound().await;
}

#[tokio::test]
async fn the_directory_names_the_user_of_a_token_s_account_and_nobody_else_does_while_it_is_away() {
    let (world, elsewhere, dora) = world().await;
    let wish = Wish { name: "i".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let text = make(&world.app, &ADMIN, &wish).await.expect("a good wish").text;
    let machine = Machine::new(&world, "laptop").of("CORP\\dora");
    let asking = machine.by_token(&world, &text);
    elsewhere.down(true);
    assert_eq!(code(asking.answer().await), "directory_away");
    elsewhere.down(false);
    let bound = asking.bound().await;
    assert_eq!((bound.user.as_str(), bound.rights), (DORA, Rights::AppendOnly));
    assert_eq!(devices(&world, dora).await, 1);
    for (account, why) in [("CORP\\gone", "user_unknown_to_token"), ("CORP\\odd", "user_unknown_to_token")] {
        let other = Machine::new(&world, account).of(account);
        assert_eq!(other.by_token(&world, &text).refused().await, why, "{account}");
    }
    // Of an account that the directory does not know, the name counts, as without one.
    let annas = Machine::new(&world, "annas").of("anna");
    let Answer::Activated(bound) = annas.by_token(&world, &text).answer().await.expect("by the domain") else {
        panic!("it does not wait");
    };
    assert_eq!(bound.user, ANNA);
}

#[tokio::test]
async fn who_has_a_password_here_costs_what_an_unknown_address_does_where_there_is_no_directory() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    world.person(DORA, None).await;
    let machine = Machine::new(&world, "laptop");
    let mut seen = Vec::new();
    for email in [ANNA, DORA, "nobody@example.org"] {
        let before = (world.app.passwords.computed(), world.app.passwords.work());
        assert_eq!(machine.by_password(&world, email, "wrong").refused().await, "wrong_credentials", "{email}");
        seen.push((world.app.passwords.computed() - before.0, world.app.passwords.work() - before.1));
    }
    assert!(seen.iter().all(|one| *one == seen[0] && one.0 == 1 && one.1 > 0), "{seen:?}");
}
