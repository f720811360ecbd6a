//! The simulator: the server's own code and the endpoint's own engine on one seed, days of a fleet in seconds. Time,
//! randomness, network and object store are the simulator's; the rest is what runs at a customer's.
//! Refuses every other source of chance: the same plan plays the same, step by step, and a seed is a whole bug report.
//!
//! One thread plays one seed. Its clock is tokio's, paused: it moves on to the next thing that somebody waits for when
//! nobody has anything to do. Whatever would be done on another thread is done at once (`base::inline`).

mod admin;
mod calm;
mod clock;
mod device;
mod dice;
mod files;
mod folder;
mod life;
mod network;
mod oracle;
mod server;
mod storage;
mod target;
mod trace;
mod world;

pub use oracle::Figures;
pub use trace::Trace;
pub use world::Plan;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::sync::Arc;
use world::World;

/// How a play ended.
#[derive(Debug)]
pub struct Outcome {
    /// What was played, and how often.
    pub figures: Figures,
    /// Everything that happened, in order.
    pub trace: Trace,
    /// What must not be, where something was.
    pub broken: Option<String>,
}

/// Plays one plan to its end, or until something is as it must not be. Never fails: that is in the outcome.
pub fn play(plan: Plan) -> Outcome {
    let _inline = base::inline();
    #[cfg(feature = "planted")]
    base::plant(plan.planted);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime without sockets");
    let world = runtime.block_on(async {
        let world = World::new(plan).await;
        tokio::select! {
            biased;
            () = world.oracle.until_broken() => {}
            () = days(&world) => {}
        }
        world
    });
    // What still goes on ends here, where it stands.
    drop(runtime);
    world.into_outcome()
}

/// The days of the plan, with all that goes wrong; and then some quiet ones, at whose end everything must be right.
async fn days(world: &Arc<World>) {
    server::begin(world).await;
    admin::furnish(world).await;
    let devices = device::fleet(world);
    world.spawn(admin::work(Arc::clone(world)));
    let lives: FuturesUnordered<_> = devices.iter().map(|device| world.watched(device::live(world, device))).collect();
    let quiet = async {
        clock::pause(world.plan.span()).await;
        world.faults.end();
    };
    futures::join!(lives.collect::<Vec<_>>(), quiet);
    calm::end(world, &devices).await;
}
