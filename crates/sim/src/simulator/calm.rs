//! The end of a play: nothing goes wrong any more, and everything must come right: every device is in service and backs
//! up, every snapshot that must be there restores byte for byte, nothing is stored that nothing names.

use super::admin::{self, ADMIN, RETENTION_DAYS};
use super::clock;
use super::device::Device;
use super::network;
use super::oracle::CLOCKS_SPAN;
use super::world::World;
use app::devices::DeviceOrder;
use app::scrub::{self, Options};
use app::{App, AppError, audit};
use base::{DeviceId, SnapshotId, Span};
use control::{Rights, State};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long what was begun may still take: longer than a late message, a stalled step, and a process that is away.
const SETTLE_SPAN: Span = Span::hours(60);
/// How long collections need at most to remove what nothing names.
const COLLECT_SPAN: Span = Span::days(5);

/// Everything is looked at. Never fails: what is not right breaks the play.
pub(super) async fn end(world: &Arc<World>, devices: &[Arc<Device>]) {
    world.say("nothing goes wrong any more");
    for server in &world.servers {
        server.clock.set_ahead(0);
    }
    // What was answered is durable, whatever happens afterwards.
    if world.plan.faults {
        world.lose_power("one last time");
    }
    clock::pause(SETTLE_SPAN).await;
    for device in devices {
        in_service(world, device).await;
    }
    let mut there = BTreeSet::new();
    for device in devices {
        match device.restore_all(world).await {
            Ok(restored) => there.extend(restored),
            Err(error) => {
                let (number, code, said) = (device.number, &error.code, &error.sentence);
                world.broken(format_args!("device {number} cannot restore: {code}: {said}"));
            }
        }
    }
    lost(world, &there);
    clock::pause(COLLECT_SPAN).await;
    must(world, "the scrub", |app| clean(app).boxed()).await;
    must(world, "the audit log", |app| unbroken(app).boxed()).await;
}

/// Has a device back up, and brings it into service with all its rights.
async fn in_service(world: &Arc<World>, device: &Device) {
    for _ in 0..8 {
        let backed_up = device.be_backed_up(world).await;
        if let Err(error) = &backed_up {
            world.say(format_args!("device {} does not back up: {}", device.number, error.code));
            clock::pause(Span::hours(1)).await;
        }
        let Some(id) = device.record() else { continue };
        if is_whole(world, id).await && backed_up.is_ok() {
            return;
        }
    }
    world.broken(format_args!("device {} does not come back into service", device.number));
}

/// Whether a record has all its rights; an admin gives it one that it lacks.
async fn is_whole(world: &Arc<World>, id: DeviceId) -> bool {
    let all = admin::devices(world).await;
    let order = match all.into_iter().find(|view| view.id == id).map(|view| view.state) {
        Some(State::Active { rights: Rights::Full }) => return true,
        // It comes back by itself.
        Some(State::Deactivated { .. }) => return false,
        Some(State::Suspended { .. }) => DeviceOrder::Enable,
        Some(State::Held { .. }) => DeviceOrder::Reactivate,
        Some(State::Active { .. } | State::Pending) => DeviceOrder::Approve,
        other => {
            admin::say_why(world, id).await;
            world.broken(format_args!("{id} is {other:?}, and nobody has wanted that"));
            return false;
        }
    };
    admin::order_to(world, id, order).await;
    false
}

/// Every snapshot that a device was told is durable is there, or retention may have removed it.
fn lost(world: &World, there: &BTreeSet<SnapshotId>) {
    for (device, made) in world.oracle.all() {
        for (position, (id, snapshot)) in made.iter().enumerate() {
            if there.contains(id) || !snapshot.is_acknowledged {
                continue;
            }
            world.oracle.count(|figures| figures.removed += 1);
            // It is kept for days after the next one, acknowledged or not.
            let next = made.get(position + 1).map(|(_, next)| next.tried_at);
            let kept = Span::days(RETENTION_DAYS).as_ms().saturating_sub(2 * CLOCKS_SPAN.as_ms());
            let is_over = next.is_some_and(|next| world.passed().as_ms() > next.as_ms() + kept);
            if snapshot.pinned || !is_over {
                world.broken(format_args!("{id} of {device} was acknowledged, and is gone"));
            }
        }
    }
}

/// Has a server do something that must work.
async fn must(world: &Arc<World>, what: &str, deed: impl Fn(Arc<App>) -> BoxFuture<'static, Result<(), AppError>>) {
    match network::order(world, deed).await {
        Some(Ok(())) => {}
        Some(Err(error)) => world.broken(format_args!("{what}: {}", app::chain(&error))),
        None => world.broken(format_args!("{what}: nobody answers")),
    }
}

/// Every byte is as it must be, and nothing is there that nothing names.
async fn clean(app: Arc<App>) -> Result<(), AppError> {
    let report = scrub::scrub(&app, &ADMIN, Options { read_data: true }, &mut |_| ()).await?;
    if let Some(problem) = report.problems.first() {
        return Err(AppError::damaged("simulated", format!("{}: {}", problem.subject, problem.sentence)));
    }
    if let Some(orphan) = report.orphans.first() {
        let count = report.orphans_total;
        return Err(AppError::damaged("simulated", format!("nothing names {count} objects, such as {orphan}")));
    }
    Ok(())
}

async fn unbroken(app: Arc<App>) -> Result<(), AppError> {
    match audit::verify(&app, &ADMIN, None).await?.broken {
        None => Ok(()),
        Some(broken) => Err(AppError::damaged("simulated", format!("the chain breaks: {broken:?}"))),
    }
}
