//! The outbox: queued with what it tells of, sent once, and never again when nobody knows whether it was sent.

use super::fake_mailer::world;
use super::machine::Machine;
use super::world::{USER, World, code};
use app::mail::{Answer, Draft, MailView, Queued, Template, Values};
use app::page::PageAsk;
use app::{AdminActor, App};
use base::{AdminId, Clock as _, DeviceId, MailId, Span, Timestamp};
use control::activation::Choice;
use control::mail::{MailOutcome, MailStatus};
use control::{Event, Level, Rights, State};
use db::{AdminRow, DeviceAbout, DeviceRow, MailRow};
use std::sync::Arc;

const ADMIN: AdminActor = AdminActor::Command;

async fn queue(world: &World, occasion: &str) -> Queued {
    queue_of(world, occasion, "deactivated").await
}

async fn queue_of(world: &World, occasion: &str, template: &str) -> Queued {
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let values =
        Values::new().with("device.name", "laptop").with("device.host_name", "LAPTOP").with("link", "https://x");
    let draft = Draft { occasion: occasion.to_owned(), recipient: "u@example.org", template, values, until: None };
    let queued = app::mail::queue(&world.app, &mut tx, world.clock.now(), draft).await.expect("it is queued");
    tx.commit().await.expect("nothing stands against it");
    queued
}

async fn queued(world: &World, occasion: &str) -> MailId {
    match queue(world, occasion).await {
        Queued::Yes(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn tick(world: &World) {
    app::mail::tick(&world.app).await.expect("the database answers");
}

async fn row(app: &App, id: MailId) -> MailRow {
    let mut tx = app.db.read().await.expect("the database answers");
    db::mail_get(&mut tx, id).await.expect("the database answers").expect("it is there")
}

async fn listed(world: &World, status: Option<MailStatus>) -> Vec<MailView> {
    app::mail::list(&world.app, &ADMIN, status, &PageAsk::first()).await.expect("permitted").items
}

async fn status(world: &World, id: MailId) -> MailStatus {
    row(&world.app, id).await.status
}

#[tokio::test]
async fn a_message_is_sent_once_whatever_is_queued_and_ticked_again() {
    let (world, fake) = world().await;
    let id = queued(&world, "notice:a").await;
    assert_eq!(queue(&world, "notice:a").await, Queued::Before);
    for _ in 0..3 {
        tick(&world).await;
        world.clock.advance(Span::days(1));
        assert_eq!(queue(&world, "notice:a").await, Queued::Before);
    }
    let heard = fake.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].id, heard[0].recipient.as_str()), (id, "u@example.org"));
    assert!(heard[0].text.contains("LAPTOP") && heard[0].html.contains("LAPTOP"));
    let row = row(&world.app, id).await;
    assert_eq!((row.status, row.attempts.0, row.text.as_str(), row.html.as_str()), (MailStatus::Sent, 1, "", ""));
    assert_eq!(fake.rests(), 1, "a connection is closed when nothing is left");
    world.clock.advance(Span::days(88));
    tick(&world).await;
    assert!(listed(&world, None).await.is_empty());
}

#[tokio::test]
async fn what_is_rolled_back_is_not_sent() {
    let (world, fake) = world().await;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let draft = Draft {
        occasion: "a".to_owned(),
        recipient: "u@example.org",
        template: "enabled",
        values: Values::new().with("device.name", "laptop"),
        until: None,
    };
    app::mail::queue(&world.app, &mut tx, world.clock.now(), draft).await.expect("it is queued");
    drop(tx);
    tick(&world).await;
    assert_eq!(fake.heard(), []);
}

#[tokio::test]
async fn a_temporary_failure_is_tried_again_and_given_up_on_the_third_day_with_what_was_said() {
    let (world, fake) = world().await;
    let id = queued(&world, "a").await;
    let other = queued(&world, "b").await;
    fake.answer(Answer::temporary("451 greylisted\r\nfor now"));
    tick(&world).await;
    assert_eq!(status(&world, other).await, MailStatus::Sent, "the next message goes on");
    let waiting = row(&world.app, id).await;
    assert_eq!((waiting.status, waiting.last_error.as_str()), (MailStatus::Queued, "451 greylisted for now"));
    tick(&world).await;
    assert_eq!(fake.heard().len(), 2, "not before its time");
    world.clock.advance(Span::minutes(2));
    tick(&world).await;
    assert_eq!((status(&world, id).await, fake.heard().len()), (MailStatus::Sent, 3));
    assert_eq!(fake.heard()[0], fake.heard()[2], "the same letter, with the same id");

    let lost = queued(&world, "c").await;
    let mut attempts = 0;
    while status(&world, lost).await == MailStatus::Queued {
        fake.answer(Answer::temporary("450 no"));
        tick(&world).await;
        world.clock.advance(Span::minutes(80));
        attempts += 1;
        assert!(attempts < 100, "it ends");
    }
    let row = row(&world.app, lost).await;
    assert_eq!((row.status, row.last_error.as_str()), (MailStatus::Failed, "450 no"));
    assert!(attempts > 40, "tried for three days: {attempts}");
}

#[tokio::test]
async fn what_failed_or_is_unclear_is_sent_again_by_an_admin_only() {
    let (world, fake) = world().await;
    for (answer, wanted) in [
        (Answer::permanent("550 no such person"), MailStatus::Failed),
        (Answer::unclear("No answer came."), MailStatus::Unclear),
    ] {
        let said = answer.said.clone();
        let id = queued(&world, wanted.word()).await;
        let before = fake.heard().len();
        fake.answer(answer);
        for _ in 0..4 {
            tick(&world).await;
            world.clock.advance(Span::days(2));
        }
        assert_eq!((fake.heard().len(), status(&world, id).await), (before + 1, wanted));
        assert_eq!(row(&world.app, id).await.last_error, said);
        app::mail::resend(&world.app, &ADMIN, id).await.expect("it may be sent again");
        assert_eq!(code(app::mail::resend(&world.app, &ADMIN, id).await), "mail_not_over");
        tick(&world).await;
        assert_eq!((fake.heard().len(), status(&world, id).await), (before + 2, MailStatus::Sent));
        assert_eq!(code(app::mail::resend(&world.app, &ADMIN, id).await), "mail_not_over");
    }
    assert_eq!(code(app::mail::show(&world.app, &ADMIN, MailId::from_bytes([9; 16])).await), "mail_unknown");
}

#[tokio::test]
async fn a_server_that_dies_while_it_sends_leaves_an_unclear_message_that_is_not_sent_again() {
    let (world, fake) = world().await;
    let id = queued(&world, "a").await;
    fake.hang(true);
    tokio::select! {
        biased;
        _ = app::mail::tick(&world.app) => panic!("the mail server never answers"),
        () = async { while fake.heard().is_empty() { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(status(&world, id).await, MailStatus::Sending);
    fake.hang(false);
    tick(&world).await;
    assert_eq!(status(&world, id).await, MailStatus::Sending, "it might still be under way in another process");
    world.clock.advance(Span::minutes(31));
    tick(&world).await;
    world.clock.advance(Span::days(4));
    tick(&world).await;
    assert_eq!((status(&world, id).await, fake.heard().len()), (MailStatus::Unclear, 1));
    assert!(row(&world.app, id).await.last_error.contains("stopped while"));
    app::mail::resend(&world.app, &ADMIN, id).await.expect("an admin decides");
    tick(&world).await;
    assert_eq!((status(&world, id).await, fake.heard().len()), (MailStatus::Sent, 2));
}

#[tokio::test]
async fn an_answer_that_comes_late_counts_for_its_own_attempt_only() {
    let (world, fake) = world().await;
    let id = queued(&world, "a").await;
    let (now, mut tx) = (world.clock.now(), world.app.db.write().await.expect("nobody else writes"));
    let over = |status| control::mail::MailStep { status, due_at: now };
    assert!(db::mail_claim_update(&mut tx, id, now, now).await.expect("the database answers"));
    assert!(!db::mail_claim_update(&mut tx, id, now, now).await.expect("the database answers"), "one has it");
    db::mail_stale_update(&mut tx, now, now, "gone").await.expect("the database answers");
    let late = db::mail_step_update(&mut tx, id, base::Count(1), over(MailStatus::Queued), "", None).await;
    assert!(!late.expect("the database answers"), "unclear is never tried again by itself");
    db::mail_queued_update(&mut tx, id, now, now).await.expect("the database answers");
    db::mail_claim_update(&mut tx, id, now, now).await.expect("the database answers");
    let late = db::mail_step_update(&mut tx, id, base::Count(1), over(MailStatus::Failed), "", None).await;
    assert!(!late.expect("the database answers"), "the second attempt is under way");
    let right = db::mail_step_update(&mut tx, id, base::Count(2), over(MailStatus::Sent), "", Some(now)).await;
    assert!(right.expect("the database answers"));
    drop(tx);
    assert_eq!(fake.heard(), []);
}

#[tokio::test]
async fn while_the_mail_server_is_away_one_message_is_tried_and_all_wait_and_none_is_lost() {
    let (world, fake) = world().await;
    for number in 0..20 {
        queued(&world, &format!("a{number}")).await;
    }
    for tries in 1..=5 {
        fake.answer(Answer::away("No connection to mail.example.org: connection refused."));
        tick(&world).await;
        assert_eq!(fake.heard().len(), tries);
        world.clock.advance(Span::minutes(40));
    }
    tick(&world).await;
    assert_eq!((listed(&world, Some(MailStatus::Sent)).await.len(), fake.heard().len()), (20, 25));

    let late = queued(&world, "late").await;
    let other = queued(&world, "other").await;
    fake.answer(Answer::away("away"));
    tick(&world).await;
    world.clock.advance(Span::days(3));
    tick(&world).await;
    assert_eq!((status(&world, late).await, status(&world, other).await), (MailStatus::Failed, MailStatus::Failed));
    let fresh = queued(&world, "fresh").await;
    world.clock.advance(Span::days(9));
    tick(&world).await;
    assert_eq!(status(&world, fresh).await, MailStatus::Sent, "a server that was off for long tries what it has");
}

#[tokio::test]
async fn no_more_is_sent_in_a_minute_than_the_operator_allows() {
    let (mut world, fake) = world().await;
    Arc::get_mut(&mut world.app).expect("nobody else has it").config.mail_per_minute = 3;
    for number in 0..7 {
        queued(&world, &format!("a{number}")).await;
    }
    let mut heard = Vec::new();
    for _ in 0..3 {
        tick(&world).await;
        tick(&world).await;
        heard.push(fake.heard().len());
        world.clock.advance(Span::minutes(1));
    }
    assert_eq!(heard, [3, 6, 7]);
}

#[tokio::test]
async fn every_change_of_a_device_tells_its_user_and_some_tell_the_admins() {
    let (world, fake) = world().await;
    let device = world.device(1).await.actor.device;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    for (seed, email) in [(1, "a@example.org"), (2, "b@example.org")] {
        let admin = AdminRow {
            id: AdminId::from_bytes([seed; 16]),
            email: email.to_owned(),
            password_hash: String::new(),
            permits: "all".to_owned(),
            created_at: Timestamp::from_ms(0),
            disabled_at: None,
        };
        db::admin_insert(&mut tx, &admin).await.expect("the admin is new");
    }
    tx.commit().await.expect("nothing stands against it");
    world.policy("support", "call 4711").await;
    let append_until = Timestamp::from_ms(1_800_000_000_000);
    for event in [
        Event::Suspend,
        Event::Enable,
        Event::Suspend,
        Event::Enable,
        Event::Hold { append_until },
        Event::Deactivate { level: Level::Revoke },
        Event::Delete { purge_after: append_until },
    ] {
        world.clock.advance(Span::ms(1));
        app::devices::change(&world.app, &ADMIN, device, event).await.expect("allowed");
    }
    assert_eq!(code(app::devices::change(&world.app, &ADMIN, device, Event::Suspend).await), "wrong_state");
    tick(&world).await;
    let subjects: Vec<String> = fake.heard().into_iter().map(|letter| letter.subject).collect();
    assert_eq!(
        subjects,
        [
            "your organisation: backups of device 1 are suspended",
            "your organisation: device 1 is backing up again",
            "your organisation: backups of device 1 are suspended",
            "your organisation: device 1 is backing up again",
            "your organisation: please activate device 1 again",
            "your organisation: backups of device 1 have stopped",
            "your organisation: device 1 and its backups were deleted",
        ]
    );
    assert!(fake.heard()[4].text.contains("until 2027-01-15 08:00 UTC"), "{}", fake.heard()[4].text);
    assert!(fake.heard().iter().all(|letter| letter.recipient == "u@example.org"));
    assert!(fake.heard().iter().all(|letter| letter.text.contains("call 4711")), "{:?}", fake.heard());

    let second = world.device(2).await.actor.device;
    app::devices::change(&world.app, &ADMIN, second, Event::Conflict).await.expect("allowed");
    tick(&world).await;
    let mut told: Vec<String> = fake.heard().split_off(7).into_iter().map(|letter| letter.recipient).collect();
    told.sort();
    assert_eq!(told, ["a@example.org", "b@example.org", "u@example.org"]);
}

#[tokio::test]
async fn whoever_is_replaced_hears_of_the_computer_that_has_the_record_now() {
    let (world, fake) = world().await;
    let (email, password) = ("anna@example.org", "correct horse battery staple");
    world.person(email, Some(password)).await;
    let (old, new) = (Machine::new(&world, "old-laptop"), Machine::new(&world, "new-laptop"));
    let device = old.by_password(&world, email, password).bound().await.device;
    world.clock.advance(Span::ms(1));
    let choice = Choice::Replace(device);
    assert_eq!(new.by_password(&world, email, password).choice(&new, choice).bound().await.device, device);
    tick(&world).await;
    let names = ["(computer name old-laptop)", "(computer name now new-laptop)"];
    let heard = fake.heard();
    let told = names.map(|name| heard.iter().filter(|letter| letter.text.contains(name)).count());
    assert_eq!((told, heard.len()), ([1, 1], 2), "{heard:?}");
}

#[tokio::test]
async fn the_name_of_a_device_adds_neither_a_header_nor_a_line_nor_a_tag() {
    let (world, fake) = world().await;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let name = "x\r\nBcc: all@example.org\n\n<b>{{ 7*7 }}</b>".to_owned();
    let (id, at) = (DeviceId::from_bytes([3; 16]), Timestamp::from_ms(0));
    let made = DeviceRow::new(id, USER, name, DeviceAbout::default(), at);
    let device = DeviceRow { state: State::Active { rights: Rights::Full }, epoch: 1, ..made };
    db::device_insert(&mut tx, &device).await.expect("the device is new");
    tx.commit().await.expect("nothing stands against it");
    app::devices::change(&world.app, &ADMIN, device.id, Event::Suspend).await.expect("allowed");
    tick(&world).await;
    let letter = &fake.heard()[0];
    let name = "x Bcc: all@example.org <b>{{ 7*7 }}</b>";
    assert_eq!(letter.subject, format!("your organisation: backups of {name} are suspended"));
    assert!(letter.text.contains(&format!("has suspended {name} (computer")));
    assert!(!letter.html.contains("<b>") && letter.html.contains("&lt;b&gt;{{ 7*7 }}&lt;"), "{}", letter.html);
}

#[tokio::test]
async fn an_organisations_own_template_is_used_from_then_on_and_a_bad_one_never_stops_a_message() {
    let (world, fake) = world().await;
    let template = |text: &str| Template { subject: "Hold on".to_owned(), text: text.to_owned(), html: String::new() };
    let set = |name: &'static str, text: &str| {
        let template = template(text);
        let app = world.app.clone();
        async move { app::mail::template_set(&app, &ADMIN, name, template).await }
    };
    assert_eq!(code(set("deactivated", "{{ wrong }}").await), "template_invalid");
    assert_eq!(code(set("none", "a").await), "template_unknown");
    set("deactivated", "Own {{ device.name }} {{ user.email }}").await.expect("a good template");
    set("campaign_spring", "{{ reason }}").await.expect("a good template");
    let views = app::mail::template_list(&world.app, &ADMIN, &PageAsk::first()).await.expect("permitted").items;
    let own: Vec<&str> = views.iter().filter(|view| view.set.is_some()).map(|view| view.name.as_str()).collect();
    assert_eq!(own, ["deactivated", "campaign_spring"]);
    let shown = app::mail::template_preview(&world.app, &ADMIN, "deactivated", None).await.expect("a good template");
    assert_eq!(shown.text, "Own Anna's laptop anna@example.org");
    let draft = Some(template("<{{ support }}> {{ organisation }}"));
    let shown = app::mail::template_preview(&world.app, &ADMIN, "held", draft).await.expect("a good template");
    assert_eq!(shown.text, "<> your organisation");
    world.policy("support", "call 4711").await;
    set("held", "<{{ support }}> {{ user.email }}").await.expect("a good template");
    let shown = app::mail::template_preview(&world.app, &ADMIN, "held", None).await.expect("a good template");
    assert_eq!(shown.text, "<call 4711> anna@example.org", "whom the organisation's policy names");
    app::mail::template_reset(&world.app, &ADMIN, "held").await.expect("it is set");
    assert_eq!(fake.heard(), [], "a preview sends nothing");

    queued(&world, "a").await;
    tick(&world).await;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let bad = db::TemplateRow {
        name: "deactivated".to_owned(),
        subject: "x".to_owned(),
        text: "{{ gone }}".to_owned(),
        html: String::new(),
        set_at: world.clock.now(),
        set_by: "an earlier release".to_owned(),
    };
    db::template_update(&mut tx, &bad).await.expect("the database answers");
    tx.commit().await.expect("nothing stands against it");
    queued(&world, "b").await;
    tick(&world).await;
    let reset = app::mail::template_reset(&world.app, &ADMIN, "deactivated").await.expect("permitted");
    assert_eq!(reset.set, None);
    queued(&world, "c").await;
    tick(&world).await;
    let texts: Vec<String> = fake.heard().into_iter().map(|letter| letter.text).collect();
    assert_eq!(texts[0], "Own laptop u@example.org");
    assert!(texts[1].contains("has deactivated laptop") && texts[1] == texts[2], "ours is used instead");
    let mut tx = world.app.db.read().await.expect("the database answers");
    let audited = app::audit::list(&mut tx, 0).await.expect("the database answers");
    let actions: Vec<&str> = audited.iter().map(|row| row.action.as_str()).collect();
    let expected = [
        "profile_make",
        "template_set",
        "template_set",
        "policy_set",
        "template_set",
        "template_reset",
        "template_reset",
    ];
    assert_eq!(actions, expected);
}

#[tokio::test]
async fn a_message_with_a_secret_is_never_shown_and_wiped_when_it_is_over() {
    let (world, fake) = world().await;
    let Queued::Yes(id) = queue_of(&world, "a", "password_reset").await else { panic!("it is new") };
    assert!(row(&world.app, id).await.text.contains("https://x"));
    assert_eq!(app::mail::show(&world.app, &ADMIN, id).await.expect("permitted").text, None);
    fake.answer(Answer::temporary("451 later"));
    tick(&world).await;
    assert!(row(&world.app, id).await.text.contains("https://x"), "it is still to be sent");
    world.clock.advance(Span::minutes(2));
    fake.answer(Answer::permanent("550 no"));
    tick(&world).await;
    let wiped = row(&world.app, id).await;
    assert_eq!((wiped.status, wiped.text.as_str(), wiped.html.as_str()), (MailStatus::Failed, "", ""));
    assert_eq!(code(app::mail::resend(&world.app, &ADMIN, id).await), "mail_wiped");
    let shown = queued(&world, "b").await;
    let text = app::mail::show(&world.app, &ADMIN, shown).await.expect("permitted").text;
    assert!(text.is_some_and(|text| text.contains("laptop")), "one without a secret is shown");
}

#[tokio::test]
async fn without_a_mail_server_nothing_is_queued_and_a_change_goes_on() {
    let world = World::new().await;
    assert_eq!(queue(&world, "a").await, Queued::Off);
    let device = world.device(1).await;
    let changed = app::devices::change(&world.app, &ADMIN, device.actor.device, Event::Suspend).await;
    assert!(matches!(changed.expect("allowed").state, State::Suspended { .. }));
    tick(&world).await;
    assert_eq!(listed(&world, None).await, []);
    assert_eq!(code(app::mail::test(&world.app, &ADMIN, "u@example.org").await), "mail_off");
    assert_eq!(code(app::mail::resend(&world.app, &ADMIN, MailId::from_bytes([1; 16])).await), "mail_off");
}

#[tokio::test]
async fn a_test_message_is_sent_at_once_and_its_end_is_said() {
    let (world, fake) = world().await;
    fake.answer(Answer::away("No connection."));
    let answer = app::mail::test(&world.app, &ADMIN, "You@example.org").await.expect("permitted");
    assert_eq!((answer.outcome, answer.said.as_str()), (MailOutcome::Temporary, "No connection."));
    let answer = app::mail::test(&world.app, &ADMIN, "you@example.org").await.expect("permitted");
    assert_eq!((answer.outcome, fake.heard().len()), (MailOutcome::Accepted, 2));
    assert_eq!(fake.heard()[1].recipient, "you@example.org");
    assert_eq!(code(app::mail::test(&world.app, &ADMIN, "a\r\nBcc: b@example.org").await), "email_invalid");
}

#[tokio::test]
async fn the_outbox_is_listed_in_pages_the_newest_first() {
    let (world, _) = world().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(queued(&world, &format!("a{number}")).await);
        world.clock.advance(Span::ms(if number == 2 { 0 } else { 1 }));
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let ask = PageAsk::new(after, Some(2)).expect("a good page");
        let page = app::mail::list(&world.app, &ADMIN, Some(MailStatus::Queued), &ask).await.expect("permitted");
        seen.extend(page.items.iter().map(|message| message.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.first(), seen.last()), (ids.last(), ids.first()));
    seen.sort();
    ids.sort();
    assert_eq!(seen, ids);
    let wrong = PageAsk::new(Some("gone".to_owned()), None).expect("it is looked at later");
    assert_eq!(code(app::mail::list(&world.app, &ADMIN, None, &wrong).await), "request_malformed");
}

#[tokio::test]
async fn a_mail_server_that_never_answers_holds_no_other_job_up() {
    let (world, fake) = world().await;
    queued(&world, "notice:a").await;
    fake.hang(true);
    let device = world.device(1).await.actor.device;
    let deleted = Event::Delete { purge_after: world.clock_now() };
    app::devices::change(&world.app, &ADMIN, device, deleted).await.expect("it is active");
    let jobs = tokio::spawn(app::jobs::run(world.app.clone(), std::future::pending()));
    let purged = async {
        let is = async || app::devices::get(&world.app, &ADMIN, device).await.expect("there").state;
        while is().await != State::Purged || fake.heard().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let purged = tokio::time::timeout(std::time::Duration::from_secs(30), purged).await;
    purged.expect("the purge does not wait for the mail");
    assert_eq!(fake.heard().len(), 1, "the mail server has not answered");
    jobs.abort();
}
