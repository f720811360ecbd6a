//! Links, tickets and quotas by mail: one way to the user, once for each occasion, and nothing while mail is off.

use super::fake_mailer::world;
use super::policy::{ADMIN, values};
use super::world::{Device, Draft, USER, World, code, noise};
use app::password::Password;
use app::passwords::{LinkWay, Purpose, Unmailed, link_make, link_use};
use app::runs::Purpose as RunPurpose;
use app::tickets::{self, TicketWay, Wish};
use app::{AppError, Config, PolicySubject, SecretText};
use base::{AdminId, Span, Timestamp};
use control::activation::{Choice, Restore};
use control::mail::MailStatus;
use db::{AdminRow, MailRow, PageKey};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn configure(world: &mut World, change: impl FnOnce(&mut Config)) {
    change(&mut Arc::get_mut(&mut world.app).expect("nobody else has it").config);
}

async fn outbox(world: &World) -> Vec<MailRow> {
    let mut tx = world.app.db.read().await.expect("readable");
    db::mail_list(&mut tx, None, PageKey::LAST, 1_000).await.expect("readable")
}

async fn send(world: &World) {
    app::mail::tick(&world.app).await.expect("the database answers");
}

fn wish(show: bool) -> Wish {
    Wish { email: "u@example.org".to_owned(), choice: Choice::Auto, restore: Restore::None, span: None, show }
}

#[tokio::test]
async fn a_link_is_mailed_and_not_shown_and_leads_to_the_page_and_works() {
    let (mut world, fake) = world().await;
    configure(&mut world, |config| {
        config.server_public_url = "https://backup.example.org:8471/".to_owned();
        config.organisation_name = "Büro <b>{{ link }}</b>".to_owned();
    });
    for (purpose, span) in [(Purpose::Set, Span::hours(72)), (Purpose::Reset, Span::hours(24))] {
        let now = world.clock_now();
        let made = link_make(&world.app, &ADMIN, USER, purpose, false).await.expect("a user");
        assert!(matches!(made.way, LinkWay::Mailed), "{made:?}");
        let row = outbox(&world).await.remove(0);
        assert_eq!((row.template.as_str(), row.secret), (format!("password_{}", purpose.word()).as_str(), true));
        assert_eq!(row.give_up_at, now + span.min(Span::days(3)), "no longer than it is good");
        send(&world).await;
        let letter = fake.heard().pop().expect("it was sent");
        assert_eq!(letter.recipient, "u@example.org");
        let line = letter.text.lines().find(|line| line.starts_with("https://")).expect("the link stands alone");
        let (page, text) = line.split_once('#').expect("behind the page");
        assert_eq!(page, "https://backup.example.org:8471/password");
        // What the operator calls the organisation is no template and no HTML.
        assert!(letter.subject.starts_with("Büro <b>{{ link }}</b>: "), "{}", letter.subject);
        assert!(!letter.html.contains("<b>") && letter.text.contains("(https://backup.example.org:8471)"));
        let password = Password::new(format!("a good password to {}", purpose.word()));
        link_use(&world.app, HERE, &SecretText::new(text.to_owned()), &password).await.expect("it works");
        assert_eq!(outbox(&world).await[0].text, "", "wiped when it was sent");
        world.clock.advance(Span::ms(1));
    }
    let mut tx = world.app.db.read().await.expect("readable");
    let audited = app::audit::list(&mut tx, 0).await.expect("readable");
    let said: Vec<&str> =
        audited.iter().filter(|row| row.action == "user_link_make").map(|row| row.detail.as_str()).collect();
    assert_eq!(said, ["set, mailed", "reset, mailed"]);
}

#[tokio::test]
async fn a_link_is_shown_when_asked_for_or_when_it_cannot_be_mailed_and_then_it_is_not_mailed() {
    let (mut world, _) = world().await;
    let why = async |world: &World, show| {
        let made = link_make(&world.app, &ADMIN, USER, Purpose::Reset, show).await.expect("a user");
        match made.way {
            LinkWay::Mailed => panic!("it was to be shown"),
            LinkWay::Shown { link, why } => (link.expose().split("hfl1_").next().unwrap_or_default().to_owned(), why),
        }
    };
    assert_eq!(why(&world, false).await, (String::new(), Unmailed::NoAddress));
    assert_eq!(why(&world, true).await, (String::new(), Unmailed::Asked));
    configure(&mut world, |config| config.server_public_url = "https://b.example.org".to_owned());
    let page = "https://b.example.org/password#".to_owned();
    assert_eq!(why(&world, true).await, (page.clone(), Unmailed::Asked));
    Arc::get_mut(&mut world.app).expect("nobody else has it").mailer = None;
    assert_eq!(why(&world, false).await, (page, Unmailed::MailOff));
    assert_eq!(outbox(&world).await, []);
}

#[tokio::test]
async fn a_ticket_is_mailed_or_shown_and_never_both() {
    let (mut world, fake) = world().await;
    configure(&mut world, |config| config.server_public_url = "https://b.example.org".to_owned());
    let fingerprint = "5f".repeat(32);
    Arc::get_mut(&mut world.app).expect("nobody else has it").ca_fingerprint = fingerprint.clone();
    let made = tickets::make(&world.app, &ADMIN, &wish(false)).await.expect("a user");
    assert!(matches!(made.way, TicketWay::Mailed));
    send(&world).await;
    let letter = fake.heard().pop().expect("it was sent");
    assert!(
        letter.text.lines().any(|line| line.starts_with(&made.ticket.prefix) && line.len() == 22),
        "{}",
        letter.text
    );
    // All that the computer needs is in one line: nobody has to be asked for the address, or what it should show.
    let command =
        format!("\nholdfast activate --ticket --server https://b.example.org --fingerprint {fingerprint}\n\n");
    assert!(letter.text.contains(&command), "{}", letter.text);
    assert!(letter.html.contains(&fingerprint) && letter.text.contains("By the fingerprint"), "{}", letter.html);
    let shown = tickets::make(&world.app, &ADMIN, &wish(true)).await.expect("a user");
    assert!(matches!(shown.way, TicketWay::Shown { why: Unmailed::Asked, .. }));
    Arc::get_mut(&mut world.app).expect("nobody else has it").mailer = None;
    let off = tickets::make(&world.app, &ADMIN, &wish(false)).await.expect("a user");
    assert!(matches!(off.way, TicketWay::Shown { why: Unmailed::MailOff, .. }));
    assert_eq!((outbox(&world).await.len(), fake.heard().len()), (1, 1));
}

#[tokio::test]
async fn a_link_that_is_over_before_the_mail_server_is_back_is_given_up_and_wiped() {
    let (mut world, fake) = world().await;
    configure(&mut world, |config| config.server_public_url = "https://b.example.org".to_owned());
    link_make(&world.app, &ADMIN, USER, Purpose::Reset, false).await.expect("a user");
    fake.answer(app::mail::Answer::away("No connection."));
    send(&world).await;
    world.clock.advance(Span::hours(24));
    send(&world).await;
    let row = outbox(&world).await.remove(0);
    assert_eq!((row.status, row.text.as_str(), fake.heard().len()), (MailStatus::Failed, "", 1));
}

async fn limit(world: &World, pairs: &[(&str, &str)]) {
    app::policy::set(&world.app, &ADMIN, PolicySubject::User(USER), &values(pairs)).await.expect("granted");
}

async fn backup(world: &World, device: &Device, bytes: usize) -> Result<(), AppError> {
    let run = world.begin(device).await;
    let mut draft = Draft::new(&run.naming);
    let file = draft.file("file", &[&noise(bytes as u64, bytes)]);
    let (root, totals) = draft.tree(vec![file], format::Totals::default());
    run.upload(&run.pack(&draft)).await.expect("the pack is good");
    run.commit(&run.manifest(root, totals)).await.map(|_| ())
}

async fn templates(world: &World) -> Vec<String> {
    let mut rows = outbox(world).await;
    rows.reverse();
    rows.into_iter().map(|row| row.template).collect()
}

#[tokio::test]
async fn a_user_is_told_once_of_each_step_towards_the_quota_and_at_most_once_a_week() {
    let (world, fake) = world().await;
    let device = world.device(1).await;
    limit(&world, &[("quota", "100kB"), ("quota_warning", "80")]).await;
    backup(&world, &device, 79_000).await.expect("there is room");
    assert_eq!(templates(&world).await, [""; 0]);
    for bytes in [80_000, 81_000, 99_000] {
        world.clock.advance(Span::hours(1));
        backup(&world, &device, bytes).await.expect("there is room");
    }
    assert_eq!(templates(&world).await, ["quota_warning"]);
    for _ in 0..3 {
        world.clock.advance(Span::hours(2));
        assert_eq!(code(backup(&world, &device, 101_000).await), "quota_exceeded");
    }
    let new = world.device(2).await;
    assert_eq!(code(backup(&world, &new, 9_000).await), "quota_exceeded");
    assert_eq!(templates(&world).await, ["quota_warning", "quota_refused"]);
    send(&world).await;
    let texts: Vec<String> = fake.heard().into_iter().map(|letter| letter.text).collect();
    assert!(texts[0].contains("take 80 kB of the 100 kB"), "{}", texts[0]);
    assert!(texts[1].contains("device 1") && texts[1].contains("would take 101 kB"), "{}", texts[1]);
    // Down and up again within the week: nothing new; after it, once more.
    let cross = async || {
        backup(&world, &device, 10_000).await.expect("there is room");
        backup(&world, &device, 90_000).await.expect("there is room");
        assert_eq!(code(backup(&world, &device, 102_000).await), "quota_exceeded");
    };
    cross().await;
    assert_eq!(templates(&world).await.len(), 2);
    world.clock.advance(Span::days(7));
    cross().await;
    assert_eq!(templates(&world).await[2..], ["quota_warning", "quota_refused"]);
    // Without a limit nobody stands anywhere, so that a new limit begins anew.
    limit(&world, &[("quota", "none")]).await;
    backup(&world, &device, 103_000).await.expect("there is no limit");
    world.clock.advance(Span::days(7));
    limit(&world, &[("quota", "50kB"), ("quota_warning", "none")]).await;
    assert_eq!(code(backup(&world, &device, 104_000).await), "quota_exceeded");
    assert_eq!(templates(&world).await[4..], ["quota_refused"]);
}

#[tokio::test]
async fn two_devices_that_are_refused_at_once_tell_their_user_once() {
    let (world, _) = world().await;
    limit(&world, &[("quota", "1kB")]).await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    let (a, b) = tokio::join!(backup(&world, &one, 2_000), backup(&world, &two, 3_000));
    assert_eq!((code(a), code(b)), ("quota_exceeded", "quota_exceeded"));
    assert_eq!(templates(&world).await, ["quota_refused"]);
}

#[tokio::test]
async fn a_device_that_may_not_begin_tells_too_and_with_mail_off_nothing_is_kept() {
    let (mut world, fake) = world().await;
    let (one, new) = (world.device(1).await, world.device(2).await);
    backup(&world, &one, 60_000).await.expect("there is no limit");
    limit(&world, &[("quota", "50kB")]).await;
    Arc::get_mut(&mut world.app).expect("nobody else has it").mailer = None;
    let begin = async |world: &World, n| app::runs::begin(&world.app, &new.actor, [n; 16], RunPurpose::Backup).await;
    assert_eq!(code(begin(&world, 1).await.map(|_| ())), "quota_exceeded");
    assert_eq!(templates(&world).await, [""; 0]);
    Arc::get_mut(&mut world.app).expect("nobody else has it").mailer = Some(fake.clone() as Arc<dyn app::mail::Mailer>);
    for n in 2..5 {
        assert_eq!(code(begin(&world, n).await.map(|_| ())), "quota_exceeded");
    }
    assert_eq!(templates(&world).await, ["quota_refused"]);
}

async fn admin(world: &World, seed: u8, email: &str) {
    let id = AdminId::from_bytes([seed; 16]);
    let row = AdminRow {
        id,
        email: email.to_owned(),
        password_hash: String::new(),
        permits: "all".to_owned(),
        created_at: Timestamp::from_ms(0),
        disabled_at: None,
    };
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::admin_insert(&mut tx, &row).await.expect("the admin is new");
    tx.commit().await.expect("nothing stands against it");
}

#[tokio::test]
async fn admins_get_one_message_a_day_whose_backups_are_refused() {
    let (world, fake) = world().await;
    let device = world.device(1).await;
    for (seed, email) in [(1, "a@example.org"), (2, "b@example.org")] {
        admin(&world, seed, email).await;
    }
    app::jobs::tick_all(&world.app).await.expect("the jobs work");
    limit(&world, &[("quota", "1kB"), ("quota_warning", "none")]).await;
    let told = async || {
        let heard = fake.heard().into_iter().filter(|letter| letter.text.contains("yesterday"));
        let all: Vec<(String, i64)> = heard.map(|letter| (letter.recipient, letter.at.as_ms() / 86_400_000)).collect();
        let each: BTreeSet<&(String, i64)> = all.iter().collect();
        assert_eq!(each.len(), all.len(), "one for each admin and day: {all:?}");
        all.len()
    };
    // Refused in the afternoon of two days, looked at until the night: the day of each, and the day after.
    for (bytes, days) in [(2_001, 2), (2_002, 3)] {
        assert_eq!(code(backup(&world, &device, bytes).await), "quota_exceeded");
        for _ in 0..20 {
            app::jobs::tick_all(&world.app).await.expect("the jobs work");
            world.clock.advance(Span::minutes(30));
        }
        assert_eq!(told().await, 2 * days);
        world.clock.advance(Span::hours(14));
    }
    assert!(fake.heard().iter().any(|letter| letter.text.contains("Users: 1.\n\nu@example.org\n")));
    // Back below: no admin hears of it any more.
    limit(&world, &[("quota", "none")]).await;
    backup(&world, &device, 5_000).await.expect("there is no limit");
    app::jobs::tick_all(&world.app).await.expect("the jobs work");
    assert_eq!(told().await, 6);
}
