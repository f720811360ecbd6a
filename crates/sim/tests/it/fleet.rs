//! A fleet lives as real devices do: it is activated, backs up, is reset at every level, and comes back with its
//! records.

use crate::world::{World, records};
use app::{AdminActor, devices};
use base::{Span, Timestamp};
use control::{Event, Level};
use sim::fleet::{Device, Plan, SimError, Step, run};
use std::collections::HashSet;
use std::sync::Arc;

const SIZE: u32 = 12;

#[tokio::test]
async fn a_fleet_comes_back_from_every_level_of_reset_with_its_records_and_backs_up() {
    let world = World::start("[device]\ncatch_up_minutes = 0").await;
    let first = world.plan(&[Step::Activate, Step::Open, Step::Look, Step::Commit]);
    let (figures, mut fleet) = world.run(first, Device::fleet(SIZE, 7)).await;
    assert_eq!(figures.latency("activate").count, SIZE as usize);
    assert_eq!((figures.latency("upload").count, figures.latency("commit").count), (SIZE as usize, SIZE as usize));
    let owned: HashSet<_> = records(&fleet).into_iter().collect();
    assert_eq!(owned.len(), SIZE as usize, "each has its own record");
    for (event, proof) in [
        (Event::Deactivate { level: Level::Rotate }, "old_key"),
        (Event::Hold { append_until: Timestamp::from_ms(i64::MAX) }, "old_key"),
        (Event::Hold { append_until: Timestamp::from_ms(0) }, "old_key"),
        (Event::Deactivate { level: Level::Revoke }, "password"),
    ] {
        world.admin(&fleet, &event).await;
        let (figures, after) = world.run(world.plan(&[Step::Return, Step::Commit]), fleet).await;
        assert_eq!(figures.back_by(proof), u64::from(SIZE), "{event:?}: {}", figures.text());
        assert_eq!(figures.latency("upload").count, 0, "{event:?}: nothing is sent again");
        assert_eq!(figures.latency("commit").count, SIZE as usize);
        assert_eq!(records(&after).into_iter().collect::<HashSet<_>>(), owned, "{event:?}");
        fleet = after;
    }
    let (figures, _) = world.run(world.plan(&[Step::Return]), fleet).await;
    assert_eq!(figures.back_by("none"), u64::from(SIZE), "who was not reset does not come back");
    for id in owned {
        let device = devices::get(&world.app, &AdminActor::Command, id).await.expect("readable");
        assert_eq!(device.epoch, 5, "a key for each activation");
    }
}

#[tokio::test]
async fn connections_are_shared_where_the_plan_says_so_and_devices_stay_where_it_says_so() {
    let world = World::start("").await;
    let shared = Plan { reuse: true, connections: 2, ..world.plan(&[Step::Activate, Step::Open]) };
    let (figures, fleet) = world.run(shared, Device::fleet(SIZE, 7)).await;
    assert_eq!(figures.latency("open").count, SIZE as usize);
    let stays = Plan { stay: Span::ms(900), look_every: Span::ms(300), ..world.plan(&[Step::Open]) };
    let (figures, _) = world.run(stays, fleet).await;
    let looks = figures.latency("look").count;
    assert!(looks >= 2 * SIZE as usize, "{looks} looks of {SIZE} devices in three times the span between two");
}

#[tokio::test]
async fn a_device_that_cannot_come_through_is_counted_by_the_servers_code() {
    let world = World::start("").await;
    let wrong = Plan { password: Some("wrong".to_owned()), ..world.plan(&[Step::Activate, Step::Open]) };
    let (figures, fleet) = run(wrong, Device::fleet(2, 7), Arc::new(base::SystemClock), || ()).await.expect("a plan");
    assert_eq!((figures.stopped_count(), records(&fleet)), (2, Vec::new()));
    assert_eq!(figures.json()["stopped"]["wrong_credentials"], 2);
    let nowhere = Plan { server: "http://127.0.0.1:1".to_owned(), ..world.plan(&[]) };
    let refused = run(nowhere, Vec::new(), Arc::new(base::SystemClock), || ()).await;
    assert!(matches!(refused, Err(SimError::Address)));
}

#[tokio::test]
async fn devices_that_were_told_to_come_again_come_again() {
    let world = World::start("[lane]\nactivations_max = 1").await;
    let turn = world.app.lanes.activation.turn().await.expect("nobody waits");
    let crowd = Plan { connections: 40, ..world.plan(&[Step::Activate]) };
    let released = async {
        base::Clock::sleep(&base::SystemClock, Span::seconds(3)).await;
        drop(turn);
    };
    let ((figures, _), ()) = tokio::join!(world.run(crowd, Device::fleet(40, 7)), released);
    assert_eq!(figures.latency("activate").count, 40);
    assert!(figures.json()["refused"]["server_busy"].as_u64().is_some_and(|times| times >= 7), "{}", figures.text());
}
