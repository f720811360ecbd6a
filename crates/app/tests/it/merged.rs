//! Records that were merged are one computer: counted once, deleted and purged together, apart again after an undo.

use super::world::{Device, USER, World};
use app::conflicts::{self, Conflict};
use app::page::PageAsk;
use app::{AdminActor, devices, jobs};
use base::{Bytes, DeviceId, SnapshotId, Span};
use control::{Event, Rights, State};

const ADMIN: AdminActor = AdminActor::Command;

/// A record that is kept, the one that was merged into it with its snapshot, and the decision.
async fn merged(world: &World) -> (Device, Device, SnapshotId, Conflict) {
    let (keep, other) = (world.device(1).await, world.device(2).await);
    let (old, _) = world.backup(&other).await;
    let merge = conflicts::merge(&world.app, &ADMIN, keep.actor.device, other.actor.device).await;
    (keep, other, old, merge.expect("two records of one user"))
}

async fn used(world: &World) -> Bytes {
    app::quota::of_user(&world.app, &ADMIN, USER).await.expect("there").used
}

async fn state(world: &World, device: DeviceId) -> State {
    devices::get(&world.app, &ADMIN, device).await.expect("there").state
}

async fn put(world: &World, device: &Device, event: Event) {
    devices::change(&world.app, &ADMIN, device.actor.device, event).await.expect("the state allows it");
}

fn delete(world: &World) -> Event {
    Event::Delete { purge_after: world.clock_now() + Span::days(7) }
}

async fn listed(world: &World, device: &Device) -> usize {
    let of = Some(device.actor.device);
    app::snapshots::admin_list(&world.app, &ADMIN, of, &PageAsk::first()).await.expect("readable").items.len()
}

async fn purge(world: &World) {
    world.clock.advance(Span::days(7));
    jobs::tick_all(&world.app).await.expect("the jobs work");
    jobs::tick_all(&world.app).await.expect("the jobs work, and again");
}

#[tokio::test]
async fn a_merged_computer_counts_once_and_as_two_after_an_undo() {
    let world = World::new().await;
    let (keep, other) = (world.device(1).await, world.device(2).await);
    world.backup(&other).await;
    let alone = used(&world).await;
    assert!(alone > Bytes(0));
    let merge = conflicts::merge(&world.app, &ADMIN, keep.actor.device, other.actor.device).await.expect("two records");
    assert_eq!(used(&world).await, alone, "what was merged is not lost");
    world.backup(&keep).await;
    assert_eq!(used(&world).await, alone, "and not counted twice");
    assert_eq!(listed(&world, &keep).await, 2);
    conflicts::undo(&world.app, &ADMIN, merge.id).await.expect("within thirty days");
    assert_eq!(used(&world).await, alone + alone, "two computers again");
    assert_eq!((listed(&world, &keep).await, listed(&world, &other).await), (1, 1));
}

#[tokio::test]
async fn the_kept_record_takes_the_merged_one_along_when_it_is_deleted_taken_back_and_purged() {
    let world = World::new().await;
    let (keep, other, old, merge) = merged(&world).await;
    put(&world, &keep, delete(&world)).await;
    assert_eq!(state(&world, other.actor.device).await.word(), "deleted");
    put(&world, &keep, Event::Undelete).await;
    assert_eq!(state(&world, other.actor.device).await.word(), "suspended", "as the merge has left it");
    assert!(app::snapshots::get(&world.app, &keep.actor, old).await.is_ok());
    put(&world, &keep, delete(&world)).await;
    purge(&world).await;
    for device in [&keep, &other] {
        assert_eq!(state(&world, device.actor.device).await, State::Purged);
    }
    assert!(app::snapshots::admin_get(&world.app, &ADMIN, old).await.is_err());
    let undone = conflicts::undo(&world.app, &ADMIN, merge.id).await;
    assert_eq!(undone.expect_err("there is nothing left").code(), "undo_too_late");
}

#[tokio::test]
async fn a_merged_record_that_was_deleted_by_itself_is_gone_and_the_kept_one_is_as_before() {
    let world = World::new().await;
    let (keep, other, old, merge) = merged(&world).await;
    let (own, _) = world.backup(&keep).await;
    put(&world, &other, delete(&world)).await;
    let refused = app::snapshots::get(&world.app, &keep.actor, old).await;
    assert_eq!(refused.expect_err("deleted").code(), "snapshot_not_yours");
    assert_eq!(listed(&world, &keep).await, 1);
    // Deleted at another time than the one that is kept: it does not come back with that.
    world.clock.advance(Span::hours(1));
    put(&world, &keep, delete(&world)).await;
    put(&world, &keep, Event::Undelete).await;
    assert_eq!(state(&world, other.actor.device).await.word(), "deleted");
    purge(&world).await;
    assert_eq!(state(&world, other.actor.device).await, State::Purged);
    assert_eq!(state(&world, keep.actor.device).await, State::Active { rights: Rights::Full });
    assert!(app::snapshots::get(&world.app, &keep.actor, own).await.is_ok());
    let undone = conflicts::undo(&world.app, &ADMIN, merge.id).await;
    assert_eq!(undone.expect_err("there is nothing left").code(), "undo_too_late");
}

#[tokio::test]
async fn a_merge_is_undone_within_thirty_days_and_not_after() {
    let world = World::new().await;
    let (_, other, _, merge) = merged(&world).await;
    world.clock.advance(Span::ms(30 * 24 * 3_600_000 - 1));
    conflicts::undo(&world.app, &ADMIN, merge.id).await.expect("a moment before");
    assert_eq!(state(&world, other.actor.device).await, State::Active { rights: Rights::Full });

    let world = World::new().await;
    let (_, _, _, merge) = merged(&world).await;
    world.clock.advance(Span::days(30));
    assert_eq!(conflicts::undo(&world.app, &ADMIN, merge.id).await.expect_err("too late").code(), "undo_too_late");
}

#[tokio::test]
async fn an_undo_takes_apart_nothing_that_was_merged_again_since() {
    let world = World::new().await;
    let (keep, other, _, first) = merged(&world).await;
    put(&world, &keep, delete(&world)).await;
    // The merged record is taken back alone, and the one that was kept is purged.
    put(&world, &other, Event::Undelete).await;
    purge(&world).await;
    assert_eq!(state(&world, keep.actor.device).await, State::Purged);
    let third = world.device(3).await.actor.device;
    let second = conflicts::merge(&world.app, &ADMIN, third, other.actor.device).await.expect("it stands by itself");
    let undone = conflicts::undo(&world.app, &ADMIN, first.id).await;
    assert_eq!(undone.expect_err("there is nothing left of it").code(), "undo_too_late");
    assert_eq!(state(&world, other.actor.device).await.word(), "suspended");
    conflicts::undo(&world.app, &ADMIN, second.id).await.expect("within thirty days");
}
