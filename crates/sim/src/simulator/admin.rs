//! The admins of the simulated company: they cut devices off and let them in again, run campaigns, pin and hold
//! snapshots, collect; and the machines' clocks go wrong. Refuses to order anything twice: what was not answered is
//! not known.

use super::clock;
use super::network;
use super::oracle::CLOCKS_SPAN;
use super::storage;
use super::world::World;
use app::audit::{self, AuditFilter};
use app::campaigns::{self, Plan};
use app::devices::{self, DeviceAsk, DeviceOrder, DeviceView};
use app::page::PageAsk;
use app::password::Password;
use app::{AdminActor, App, AppError, PolicySubject, collect, holds, policy, profiles, retention, tokens, users};
use base::{DeviceId, SnapshotId, Span};
use control::Level;
use control::campaign::{Reminders, Reset, Scope, Tell};
use db::HoldSubject;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Who is an admin here.
pub(super) const ADMIN: AdminActor = AdminActor::Command;
/// People who have devices.
pub(super) const USERS: u64 = 4;
/// Everybody's password.
pub(super) const PASSWORD: &str = "correct horse battery";
/// For how many days a snapshot is kept by itself.
pub(super) const RETENTION_DAYS: u64 = 2;

/// By how much the servers' clocks differ at most.
const CLOCKS_DIFFER_MS: u64 = 1_000;

/// How long an admin waits between two deeds at most.
const WAIT_SPAN: Span = Span::hours(7);

/// The account of a user. Never fails.
pub(super) fn user_name(number: u64) -> String {
    format!("user{number}")
}

/// The address of a user. Never fails.
pub(super) fn email(number: u64) -> String {
    format!("{}@example.org", user_name(number))
}

/// Makes people, the deployment token and the rules. Never fails: nothing goes wrong yet.
pub(super) async fn furnish(world: &Arc<World>) {
    let app = world.servers[0].app().expect("it was just begun");
    for number in 0..USERS {
        let password = Password::new(PASSWORD.to_owned());
        users::add(&app, &ADMIN, &email(number), Some(&password)).await.expect("a new user");
    }
    let wish = tokens::Wish {
        name: "installer".to_owned(),
        domains: vec!["example.org".to_owned()],
        ..tokens::Wish::default()
    };
    let made = tokens::make(&app, &ADMIN, &wish).await.expect("a good wish");
    world.keep_token(made.text);
    let profiles = profiles::page(&app, &ADMIN, None, &PageAsk::first()).await.expect("readable");
    let everybody = PolicySubject::Profile(profiles.items[0].id);
    // Without a week of its own, what a device had is soon nowhere else.
    let weeks = world.plan.seed % 2;
    let rules = [("retention_days", RETENTION_DAYS), ("retention_weeks", weeks), ("retention_months", 0)];
    let rules = rules.map(|(key, value)| (key.to_owned(), Some(value.to_string())));
    policy::set(&app, &ADMIN, everybody, &rules).await.expect("good rules");
}

/// One deed after the other. Never fails: what does not work is done another time.
pub(super) async fn work(world: Arc<World>) {
    world.spawn(storage::trouble(Arc::clone(&world)));
    while world.passed() < world.plan.span() {
        clock::pause(world.dice.span(WAIT_SPAN)).await;
        match world.dice.below(12) {
            0..5 => order_any(&world).await,
            5 if world.dice.once_in(3) => campaign(&world).await,
            5 => {}
            6..8 => pin_any(&world).await,
            8 => hold_any(&world).await,
            9 => drop(admin(&world, |app| async move { collect::start(&app, &ADMIN).await }.boxed()).await),
            10 => set_the_clocks(&world),
            _ => {
                if let Some(server) = world.dice.pick(&world.servers) {
                    world.say(format_args!("server {} is stopped", server.number));
                    server.kill();
                }
            }
        }
    }
}

/// What an admin asks; none where it fails, or nobody answers.
async fn admin<T: Send + 'static>(
    world: &Arc<World>,
    deed: impl Fn(Arc<App>) -> BoxFuture<'static, Result<T, AppError>>,
) -> Option<T> {
    network::order(world, deed).await?.ok()
}

/// All records. Empty where nobody answers.
pub(super) async fn devices(world: &Arc<World>) -> Vec<DeviceView> {
    let page = admin(world, |app| {
        async move { devices::page(&app, &ADMIN, &DeviceAsk::default(), &PageAsk::first()).await }.boxed()
    });
    page.await.map(|page| page.items).unwrap_or_default()
}

/// Notes what the audit log has about a device, the oldest first: why it is what it is.
pub(super) async fn say_why(world: &Arc<World>, id: DeviceId) {
    let page = admin(world, move |app| {
        let page = async move {
            let subject = id.to_string();
            let filter = AuditFilter { subject: Some(&subject), ..AuditFilter::default() };
            audit::page(&app, &ADMIN, &filter, &PageAsk::first()).await
        };
        page.boxed()
    });
    for row in page.await.map(|page| page.items).unwrap_or_default().iter().rev() {
        world.say(format_args!("audit at {}: {} by {}: {}", row.at.as_ms(), row.action, row.actor, row.detail));
    }
}

async fn order_any(world: &Arc<World>) {
    let all = devices(world).await;
    let Some(device) = world.dice.pick(&all).map(|view| view.id) else { return };
    let level = [Level::Rotate, Level::Revoke, Level::Distrust][world.dice.below(3) as usize];
    let order = match world.dice.below(10) {
        0..4 => DeviceOrder::Deactivate { level },
        4 => DeviceOrder::Hold { append: Some(Span::hours(30)) },
        5 => DeviceOrder::Suspend,
        6 => DeviceOrder::Enable,
        7 => DeviceOrder::Reactivate,
        _ => DeviceOrder::Approve,
    };
    order_to(world, device, order).await;
}

/// Orders something at a record. Never fails: what is not carried out is ordered another time.
pub(super) async fn order_to(world: &Arc<World>, device: DeviceId, order: DeviceOrder) {
    let cuts = match order {
        DeviceOrder::Deactivate { .. } | DeviceOrder::Suspend => Some(false),
        DeviceOrder::Hold { .. } => Some(true),
        _ => None,
    };
    if cuts.is_none() {
        world.oracle.may_be_back(device, world.passed());
    }
    let view = admin(world, move |app| async move { devices::order(&app, &ADMIN, device, order).await }.boxed()).await;
    world.say(format_args!("{device} is to be {order:?}: {}", if view.is_some() { "done" } else { "no" }));
    if let (Some(may_append), Some(view)) = (cuts, view) {
        world.oracle.cut_off((device, view.epoch), world.passed(), may_append);
    }
}

/// A campaign resets every device, in waves.
async fn campaign(world: &Arc<World>) {
    let (level, number) =
        ([Reset::Hold, Reset::Rotate, Reset::Revoke][world.dice.below(3) as usize], world.dice.seed());
    let done = admin(world, move |app| {
        let begin = async move {
            let plan = Plan {
                name: format!("campaign {number}"),
                reason: "a laptop was stolen".to_owned(),
                level,
                scope: Scope { everyone: true, ..Scope::default() },
                deadline: None,
                append_until: None,
                wave_size: 3,
                wave_span: Span::hours(1),
                watch_span: None,
                template: String::new(),
                tell: Tell::All,
                reminders: Reminders::USUAL,
            };
            let made = campaigns::make(&app, &ADMIN, plan).await?;
            campaigns::start(&app, &ADMIN, made.id, None).await
        };
        begin.boxed()
    });
    world.say(format_args!("a campaign {level:?}: {}", if done.await.is_some() { "begins" } else { "no" }));
}

async fn pin_any(world: &Arc<World>) {
    let all: Vec<SnapshotId> = world.oracle.all().into_values().flatten().map(|(snapshot, _)| snapshot).collect();
    let Some(id) = world.dice.pick(&all).copied() else { return };
    let pins = world.dice.once_in(2);
    if !pins {
        world.oracle.pinned(id, false);
    }
    let done = admin(world, move |app| {
        let word = async move {
            match pins {
                true => retention::pin(&app, &ADMIN, id, "the auditors want it").await,
                false => retention::unpin(&app, &ADMIN, id).await,
            }
        };
        word.boxed()
    });
    if done.await.is_some() {
        world.say(format_args!("{id} is {}", if pins { "pinned" } else { "pinned no longer" }));
        world.oracle.pinned(id, pins);
    }
}

/// Holds come and go; what they keep is not asked for, as nobody is told when they end.
async fn hold_any(world: &Arc<World>) {
    let all = devices(world).await;
    let Some(device) = world.dice.pick(&all).map(|view| view.id) else { return };
    let lifts = world.dice.once_in(2);
    let done = admin(world, move |app| {
        let word = async move {
            match holds::of_device(&app, &ADMIN, device).await?.first().filter(|_| lifts) {
                Some(hold) => holds::lift(&app, &ADMIN, hold.id).await,
                None => holds::set(&app, &ADMIN, HoldSubject::Device(device), "a case").await,
            }
        };
        word.boxed()
    });
    let done = done.await.is_some();
    world.say(format_args!("a hold on {device} comes or goes: {done}"));
}

/// The clocks of the servers are set wrong, or right again, all together: they ask one another's time source. What they
/// differ by is little.
fn set_the_clocks(world: &World) {
    let half = i64::try_from(CLOCKS_SPAN.as_ms() / 2).unwrap_or(0);
    let ahead = if world.dice.once_in(2) { 0 } else { (world.dice.below(2 * half.unsigned_abs()) as i64) - half };
    for server in &world.servers {
        server.clock.set_ahead(ahead + world.dice.below(CLOCKS_DIFFER_MS) as i64);
    }
    world.say(format_args!("the clocks are {ahead} ms ahead"));
}
