//! Lanes over the wire: a storm of one kind of request leaves the other kinds alone.

use crate::repository::Backup;
use crate::world::{Device, PASSWORD, World, password};
use protocol::agent::activation::ActivationAnswer;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How many may wait for each turn in a lane.
const WAITING: usize = 32;
/// How many come in vain.
const TOO_MANY: usize = 6;

#[tokio::test]
async fn a_storm_of_activations_waits_and_backups_go_on() {
    let world = Arc::new(World::start_with("[lane]\nactivations_max = 1").await);
    let device = Device::activated(&world, "before").await;
    let turn = world.app.lanes.activation.turn().await.expect("nobody waits");
    let mut storm = JoinSet::new();
    for number in 0..WAITING + TOO_MANY {
        let (world, email) = (Arc::clone(&world), format!("user{number}@example.org"));
        world.user(&email).await;
        storm.spawn(async move {
            let device = Device::new("laptop");
            world.post("/v1/activations", &device.activation(&email, password(PASSWORD))).await
        });
    }
    for _ in 0..TOO_MANY {
        let answer = storm.join_next().await.expect("there are more").expect("no panic").problem();
        assert_eq!((answer.status, answer.code.as_str()), (503, "server_busy"));
        assert!(answer.retry_after_ms.is_some_and(|ms| (2_000..10_000).contains(&ms)), "{answer:?}");
    }
    let wrong = Device::new("late").activation("nobody@example.org", password("wrong"));
    let refused = world.post("/v1/activations", &wrong).await.refused();
    assert_eq!(refused.1, "wrong_credentials", "a proof is looked at before the lane");
    Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    drop(turn);
    while let Some(waited) = storm.join_next().await {
        let answer: ActivationAnswer = waited.expect("no panic").json();
        assert!(matches!(answer, ActivationAnswer::Activated(_)), "{answer:?}");
    }
}
