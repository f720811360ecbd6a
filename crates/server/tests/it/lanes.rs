//! Lanes over the wire: a storm of one kind of request leaves the other kinds alone.

use crate::repository::Backup;
use crate::world::{Device, EMAIL, PASSWORD, World, password};
use protocol::agent::activation::ActivationAnswer;
use std::sync::Arc;

/// How many may wait for each turn in a lane.
const WAITING: usize = 32;

#[tokio::test]
async fn a_storm_of_activations_waits_and_backups_go_on() {
    let world = Arc::new(World::start_with("[lane]\nactivations_max = 1").await);
    let device = Device::activated(&world, "before").await;
    let turn = world.app.lanes.activation.turn().await.expect("nobody waits");
    let storm: Vec<_> = (0..WAITING)
        .map(|number| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let device = Device::new(&format!("laptop {number}"));
                world.post("/v1/activations", &device.activation(EMAIL, password(PASSWORD))).await
            })
        })
        .collect();
    let late = Device::new("late");
    let mut tries = 0;
    let refused = loop {
        tries += 1;
        let nobody = format!("nobody{tries}@example.org");
        let answer = world.post("/v1/activations", &late.activation(&nobody, password("wrong"))).await;
        assert_eq!(answer.refused().1, "wrong_credentials", "a proof is looked at before the lane");
        let old = device.return_with_old_key().1;
        let busy = tokio::time::timeout(std::time::Duration::from_millis(200), world.post("/v1/activations", &old));
        if let Ok(answer) = busy.await {
            break answer.problem();
        }
    };
    assert_eq!((refused.status, refused.code.as_str()), (503, "server_busy"));
    assert!(refused.retry_after_ms.is_some_and(|ms| (2_000..10_000).contains(&ms)), "{refused:?}");
    Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    drop(turn);
    for waited in storm {
        let answer: ActivationAnswer = waited.await.expect("no panic").json();
        assert!(matches!(answer, ActivationAnswer::Activated(_)), "{answer:?}");
    }
}
