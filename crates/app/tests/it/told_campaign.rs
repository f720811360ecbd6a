//! What a campaign writes to users: once for each device and reminder, in place of the usual notice, whatever is
//! repeated or killed; and what the dry run and the board say of it.

use super::fake_mailer::world;
use super::fleet;
use super::world::{USER, World, code};
use app::campaigns::{self, Plan};
use app::mail::{Answer, Letter, Template};
use app::{AdminActor, conflicts, devices, jobs};
use base::{CampaignId, Count, DeviceId, Span, Timestamp, UserId};
use control::campaign::{Reminders, Reset, Tell};
use control::mail::MailStatus;
use control::{Event, Proof, State};
use db::{DeviceAbout, DeviceRow, MailRow, PageKey};
use std::collections::BTreeSet;
use std::future::Future as _;
use std::sync::Arc;

const ADMIN: AdminActor = AdminActor::Command;

fn plan(level: Reset) -> Plan {
    Plan { name: "stolen laptops".to_owned(), wave_span: Span::ZERO, ..fleet::plan(level) }
}

/// Three devices of two users, heard of today.
async fn fleet(world: &World) -> Vec<DeviceId> {
    let other = app::users::add(&world.app, &ADMIN, "b@example.org", None).await.expect("a new user").id;
    let mut fleet = vec![world.device(1).await.actor.device, world.device(2).await.actor.device];
    fleet.push(device(world, 3, other, "device 3").await);
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    for device in &fleet {
        db::device_seen_update(&mut tx, *device, world.clock_now()).await.expect("the device is there");
    }
    tx.commit().await.expect("nothing stands against it");
    fleet
}

async fn device(world: &World, seed: u8, user: UserId, name: &str) -> DeviceId {
    let now = world.clock_now();
    let about = DeviceAbout { host_name: "HOST\r\nBcc: x@example.org".to_owned(), ..DeviceAbout::default() };
    let made = DeviceRow::new(DeviceId::from_bytes([seed; 16]), user, name.to_owned(), about, now);
    let state = State::Active { rights: control::Rights::Full };
    let row = DeviceRow { state, epoch: 1, last_seen_at: Some(now), ..made };
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::device_insert(&mut tx, &row).await.expect("the device is new");
    db::credential_insert(&mut tx, row.id, 1, &[seed; 32], now).await.expect("the key is new");
    tx.commit().await.expect("nothing stands against it");
    row.id
}

async fn started(world: &World, plan: Plan) -> CampaignId {
    let campaign = campaigns::make(&world.app, &ADMIN, plan).await.expect("a good plan");
    campaigns::start(&world.app, &ADMIN, campaign.id, None).await.expect("a draft starts").id
}

async fn ticked(world: &World) {
    jobs::tick_all(&world.app).await.expect("the jobs work");
}

async fn outbox(world: &World) -> Vec<MailRow> {
    let mut tx = world.app.db.read().await.expect("readable");
    db::mail_list(&mut tx, None, PageKey::LAST, 1_000).await.expect("readable")
}

/// What was queued from this template, by occasion.
async fn of(world: &World, template: &str) -> Vec<String> {
    let rows = outbox(world).await.into_iter().filter(|row| row.template == template);
    let mut occasions: Vec<String> = rows.map(|row| row.occasion).collect();
    occasions.sort();
    occasions
}

async fn come_back(world: &World, device: DeviceId) {
    let event = Event::Reactivate { proof: Proof::Admin };
    devices::change(&world.app, &ADMIN, device, event).await.expect("an admin brings it back");
}

#[tokio::test]
async fn each_device_brings_one_message_with_the_reason_in_place_of_the_notice_at_every_level() {
    for level in Reset::ALL {
        let (world, fake) = world().await;
        let fleet = fleet(&world).await;
        let deadline = Some(Timestamp::from_ms(1_800_000_000_000));
        let id = started(&world, Plan { deadline, ..plan(level) }).await;
        let dry_run = campaigns::dry_run(&world.app, &ADMIN, id).await.expect("there");
        assert_eq!((dry_run.messages, dry_run.users_told, dry_run.mail_off), (3, 2, false), "{level:?}");
        for _ in 0..3 {
            ticked(&world).await;
        }
        let wanted: Vec<String> = fleet.iter().map(|device| format!("campaign:{id}:reset:{device}")).collect();
        assert_eq!(of(&world, "campaign").await, wanted);
        assert_eq!(outbox(&world).await.len(), 3, "and no notice beside them");
        let heard = fake.heard();
        assert_eq!(heard.iter().filter(|letter| letter.recipient == "u@example.org").count(), 2);
        let date = match level {
            // A held device may append for 14 days; after that it stops, which is sooner than the deadline.
            Reset::Hold => "until 2025-06-29",
            Reset::Rotate | Reset::Revoke => "until 2027-01-15 08:00 UTC",
        };
        for letter in &heard {
            assert!(letter.text.contains("The reason: a laptop was stolen"), "{}", letter.text);
            assert!(letter.text.contains(date), "{level:?}: {}", letter.text);
            assert!(!letter.text.contains("\nBcc:") && !letter.html.contains("\nBcc:"));
            let nothing_to_do = letter.text.contains("There is nothing for you to do");
            assert_eq!(nothing_to_do, level != Reset::Revoke, "{level:?}: {}", letter.text);
            assert_eq!(letter.text.contains("What to do:"), level == Reset::Revoke, "{level:?}: {}", letter.text);
        }
        let board = campaigns::board(&world.app, &ADMIN, id).await.expect("there");
        assert_eq!(board.messages.into_iter().collect::<Vec<_>>(), [("sent", Count(3))]);
    }
}

#[tokio::test]
async fn who_is_told_is_what_the_campaign_says_and_the_dry_run_foretells() {
    for (tell, level, told) in [
        (Tell::All, Reset::Hold, 3),
        (Tell::Needed, Reset::Hold, 0),
        (Tell::Needed, Reset::Revoke, 3),
        (Tell::Nobody, Reset::Revoke, 0),
    ] {
        let (world, _) = world().await;
        fleet(&world).await;
        let id = started(&world, Plan { tell, ..plan(level) }).await;
        let dry_run = campaigns::dry_run(&world.app, &ADMIN, id).await.expect("there");
        ticked(&world).await;
        assert_eq!((dry_run.messages, outbox(&world).await.len() as u64), (told, told), "{tell:?} {level:?}");
        for _ in 0..4 {
            world.clock.advance(Span::days(3));
            ticked(&world).await;
        }
        let reminders = of(&world, "campaign_reminder").await.len();
        assert_eq!(reminders, if tell == Tell::Nobody { 0 } else { 9 }, "{tell:?} {level:?}");
    }
}

#[tokio::test]
async fn a_reminder_comes_for_what_is_not_back_and_for_nothing_else() {
    let (world, fake) = world().await;
    let fleet = fleet(&world).await;
    let merged = device(&world, 4, USER, "device 4").await;
    let conflict = device(&world, 5, USER, "device 5").await;
    let retired = device(&world, 6, USER, "device 6").await;
    let id =
        started(&world, Plan { reminders: Reminders { every: Span::days(2), max: Count(2) }, ..plan(Reset::Revoke) })
            .await;
    ticked(&world).await;
    assert_eq!(of(&world, "campaign").await.len(), 6);
    come_back(&world, fleet[0]).await;
    campaigns::excuse(&world.app, &ADMIN, id, fleet[1], "on leave").await.expect("it is awaited");
    conflicts::merge(&world.app, &ADMIN, fleet[0], merged).await.expect("two records of one machine");
    for event in [Event::Reactivate { proof: Proof::Admin }, Event::Conflict] {
        // One that came back is not reminded of; one in conflict that never did is not either.
        devices::change(&world.app, &ADMIN, conflict, event).await.expect("allowed");
    }
    devices::change(&world.app, &ADMIN, retired, Event::Decommission).await.expect("allowed");
    world.clock.advance(Span::ms(Span::days(2).as_ms() - 1));
    ticked(&world).await;
    assert_eq!(of(&world, "campaign_reminder").await, [""; 0], "not before its time");
    world.clock.advance(Span::ms(1));
    for _ in 0..3 {
        let (one, other) = tokio::join!(jobs::tick_all(&world.app), jobs::tick_all(&world.app));
        one.and(other).expect("both work");
    }
    let name = |number: u64| format!("campaign:{id}:reminder:{}:{number}", fleet[2]);
    assert_eq!(of(&world, "campaign_reminder").await, [name(1)]);
    // A server that was off for a month reminds once, and then waits.
    world.clock.advance(Span::days(30));
    ticked(&world).await;
    world.clock.advance(Span::days(1));
    ticked(&world).await;
    assert_eq!(of(&world, "campaign_reminder").await, [name(1), name(2)]);
    world.clock.advance(Span::days(30));
    ticked(&world).await;
    assert_eq!(of(&world, "campaign_reminder").await.len(), 2, "no more than the campaign says");
    let letter = fake.heard().into_iter().rfind(|letter| letter.subject.contains("still has")).expect("it was sent");
    assert_eq!(letter.recipient, "b@example.org");
    assert!(
        letter.text.contains("The reason: a laptop was stolen") && letter.text.contains("device 3"),
        "{}",
        letter.text
    );
}

#[tokio::test]
async fn a_paused_campaign_reminds_nobody_and_one_that_has_ended_neither() {
    let (world, _) = world().await;
    fleet(&world).await;
    let id = started(&world, plan(Reset::Revoke)).await;
    ticked(&world).await;
    campaigns::pause(&world.app, &ADMIN, id).await.expect("it runs");
    world.clock.advance(Span::days(4));
    ticked(&world).await;
    assert_eq!(of(&world, "campaign_reminder").await.len(), 0);
    campaigns::resume(&world.app, &ADMIN, id).await.expect("it is paused");
    ticked(&world).await;
    assert_eq!(of(&world, "campaign_reminder").await.len(), 3);
    campaigns::close(&world.app, &ADMIN, id, "enough").await.expect("it runs");
    world.clock.advance(Span::days(4));
    ticked(&world).await;
    assert_eq!(of(&world, "campaign_reminder").await.len(), 3);
}

/// Everything waits for a mail server that is away; then each device of a fleet of three stops being waited for.
#[tokio::test]
async fn what_waits_in_the_outbox_is_dropped_once_nobody_waits_for_the_device() {
    let (world, fake) = world().await;
    let fleet = fleet(&world).await;
    let gone = device(&world, 4, USER, "device 4").await;
    let id = started(&world, plan(Reset::Revoke)).await;
    fake.answer(Answer::away("no route"));
    ticked(&world).await;
    come_back(&world, fleet[0]).await;
    campaigns::excuse(&world.app, &ADMIN, id, fleet[1], "on leave").await.expect("it is awaited");
    devices::change(&world.app, &ADMIN, gone, Event::Decommission).await.expect("allowed");
    world.clock.advance(Span::minutes(2));
    let heard = fake.heard().len();
    ticked(&world).await;
    let letters = fake.heard().split_off(heard);
    let reached: Vec<&str> = letters.iter().map(|letter| letter.recipient.as_str()).collect();
    assert_eq!(reached.iter().filter(|recipient| **recipient == "b@example.org").count(), 1, "{reached:?}");
    let campaign = |letter: &&Letter| letter.text.contains("The reason: a laptop was stolen");
    assert_eq!(letters.iter().filter(campaign).count(), 1, "{letters:?}");
    for (device, why) in [
        (fleet[0], "The device had come back."),
        (fleet[1], "An admin had excused the device."),
        (gone, "The device was not in service any more."),
    ] {
        let row = about(&world, &format!("campaign:{id}:reset:{device}")).await;
        assert_eq!((row.status, row.last_error.as_str()), (MailStatus::Dropped, why));
        assert_eq!((row.text.as_str(), row.html.as_str()), ("", ""));
        assert_eq!(code(app::mail::resend(&world.app, &ADMIN, row.id).await), "mail_not_over");
    }
    let board = campaigns::board(&world.app, &ADMIN, id).await.expect("there");
    assert_eq!(board.messages.into_iter().collect::<Vec<_>>(), [("dropped", Count(3)), ("sent", Count(1))]);
    world.clock.advance(Span::days(90));
    ticked(&world).await;
    assert!(outbox(&world).await.iter().all(|row| row.status != MailStatus::Dropped), "removed with its time");
}

#[tokio::test]
async fn an_abort_drops_the_messages_and_the_reminders_that_have_not_gone_out() {
    for brought_back in [false, true] {
        let (world, fake) = world().await;
        let fleet = fleet(&world).await;
        let id = started(&world, plan(Reset::Rotate)).await;
        ticked(&world).await;
        world.clock.advance(Span::days(3));
        fake.answer(Answer::away("no route"));
        ticked(&world).await;
        let heard = fake.heard().len();
        campaigns::abort(&world.app, &ADMIN, id, "a mistake").await.expect("it runs");
        if brought_back {
            assert_eq!(campaigns::bring_back(&world.app, &ADMIN, id).await.expect("it is aborted"), 3);
        }
        world.clock.advance(Span::minutes(2));
        ticked(&world).await;
        let said = fake.heard().split_off(heard);
        assert!(said.iter().all(|letter| !letter.subject.contains("still has")), "{said:?}");
        for device in fleet {
            let row = about(&world, &format!("campaign:{id}:reminder:{device}:1")).await;
            assert_eq!((row.status, row.last_error.as_str()), (MailStatus::Dropped, "Its campaign had ended."));
        }
    }
}

async fn about(world: &World, occasion: &str) -> MailRow {
    outbox(world).await.into_iter().find(|row| row.occasion == occasion).expect("it was queued")
}

#[tokio::test]
async fn while_mail_is_off_nobody_is_told_or_reminded_and_nothing_is_made_up_for() {
    let (mut world, fake) = world().await;
    let mailer = Arc::get_mut(&mut world.app).expect("nobody else has it").mailer.take();
    fleet(&world).await;
    let id = started(&world, plan(Reset::Revoke)).await;
    let dry_run = campaigns::dry_run(&world.app, &ADMIN, id).await.expect("there");
    assert_eq!((dry_run.messages, dry_run.users_told, dry_run.mail_off), (0, 0, true));
    for _ in 0..5 {
        ticked(&world).await;
        world.clock.advance(Span::days(3));
    }
    assert_eq!(outbox(&world).await, []);
    Arc::get_mut(&mut world.app).expect("nobody else has it").mailer = mailer;
    ticked(&world).await;
    assert_eq!((of(&world, "campaign").await.len(), of(&world, "campaign_reminder").await.len()), (0, 3));
    assert_eq!(fake.heard().len(), 3);
}

#[tokio::test]
async fn a_template_must_be_there_and_be_for_campaigns_and_its_values_are_neither_template_nor_html() {
    let (world, fake) = world().await;
    let hostile = "<b>{{ 7*7 }}</b>{% for x in y %}\r\nBcc: x@example.org";
    device(&world, 9, USER, hostile).await;
    let named = |template: &str| if template.is_empty() { "plain" } else { template }.to_owned();
    let with = |template: &str| Plan { template: template.to_owned(), name: named(template), ..plan(Reset::Revoke) };
    for template in ["campaign_spring", "campaign_reminder", "held", "", "campaign_../x", "nothing"] {
        let made = campaigns::make(&world.app, &ADMIN, with(template)).await;
        match template {
            "" => assert_eq!(made.expect("the usual one").plan.template, "campaign"),
            _ => assert_eq!(code(made), "template_unknown", "{template}"),
        }
    }
    let own = Template {
        subject: "{{ device.name }}: {{ reason }}".to_owned(),
        text: "{{ device.name }} / {{ reason }}".to_owned(),
        html: "<p>{{ device.name }} / {{ reason }}</p>".to_owned(),
    };
    app::mail::template_set(&world.app, &ADMIN, "campaign_spring", own).await.expect("a good template");
    let other = Plan { name: "another".to_owned(), ..with("") };
    let made = campaigns::make(&world.app, &ADMIN, other).await.expect("a good plan").id;
    let edited = campaigns::edit(&world.app, &ADMIN, made, with("campaign_autumn")).await;
    assert_eq!(code(edited), "template_unknown");
    let spring = Plan { reason: hostile.to_owned(), ..with("campaign_spring") };
    started(&world, spring).await;
    ticked(&world).await;
    let letter = fake.heard().remove(0);
    let line = "<b>{{ 7*7 }}</b>{% for x in y %} Bcc: x@example.org";
    assert_eq!((letter.subject, letter.text), (format!("{line}: {line}"), format!("{line} / {line}")));
    assert!(!letter.html.contains("<b>") && letter.html.contains("{{ 7*7 }}"), "{}", letter.html);
}

/// Polls what is to be done a little further each time and drops it there, as a killed server does: whatever is there
/// then, in the end each device was reset once, told of it once, and reminded of once.
#[tokio::test]
async fn a_job_that_is_killed_anywhere_tells_nobody_twice_and_leaves_nobody_out() {
    let (world, _) = world().await;
    let fleet = fleet(&world).await;
    let id = started(&world, plan(Reset::Revoke)).await;
    for polls in 1..60 {
        killed_after(&world, polls).await;
        agree(&world, id).await;
    }
    world.clock.advance(Span::days(3));
    for polls in 1..60 {
        killed_after(&world, polls).await;
        agree(&world, id).await;
    }
    ticked(&world).await;
    assert_eq!(of(&world, "campaign").await.len(), fleet.len());
    assert_eq!(of(&world, "campaign_reminder").await.len(), fleet.len());
}

async fn killed_after(world: &World, polls: usize) {
    let mut left = polls;
    let mut work = Box::pin(jobs::tick_all(&world.app));
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        left -= 1;
        match work.as_mut().poll(cx) {
            Poll::Ready(result) => {
                result.expect("the jobs work");
                Poll::Ready(())
            }
            Poll::Pending if left == 0 => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
}

/// A device that was reset has its message, and another none; so with reminders.
async fn agree(world: &World, id: CampaignId) {
    let mut tx = world.app.db.read().await.expect("readable");
    let turns = db::campaign_device_list_board(&mut tx, id, false, None, 100).await.expect("readable");
    let rows = db::mail_list(&mut tx, None, PageKey::LAST, 1_000).await.expect("readable");
    let occasions: BTreeSet<&str> = rows.iter().map(|row| row.occasion.as_str()).collect();
    assert_eq!(occasions.len(), rows.len());
    for row in turns {
        let device = row.turn.device;
        let told = occasions.contains(format!("campaign:{id}:reset:{device}").as_str());
        assert_eq!(told, row.turn.reset_at.is_some(), "{device}");
        let reminded = occasions.contains(format!("campaign:{id}:reminder:{device}:1").as_str());
        assert_eq!(reminded, row.turn.reminders == Count(1), "{device}");
    }
}
