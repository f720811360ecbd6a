//! One life of a server's process: between any two of its durable steps others go on, and it may end there.
//! Refuses to let anything of a dead process go on: who waits for a step of it is unwound where it stands.

use super::clock;
use super::world::World;
use base::Span;
use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;

/// How long a step mostly takes at most.
const STEP_SPAN: Span = Span::ms(12);
/// One of so many takes long …
const STALL_ONCE_IN: u64 = 3_000;
/// … and at most this.
const STALL_SPAN: Span = Span::minutes(20);

/// What unwinds the tasks of a dead process.
pub(super) struct Killed;

/// How much more often a process ends in the middle of a background job.
const JOBS_OFTENER: u64 = 5;

tokio::task_local! {
    /// Whether a step is one of a background job.
    pub(super) static IN_JOBS: ();
}

/// The process, while it lives.
#[derive(Clone)]
pub(super) struct Life {
    world: Arc<World>,
    /// Which server's, and which life of it.
    pub(super) name: Arc<str>,
    dead: Arc<watch::Sender<bool>>,
}

impl Life {
    pub(super) fn new(world: &Arc<World>, name: String) -> Self {
        Self { world: Arc::clone(world), name: name.into(), dead: Arc::new(watch::Sender::new(false)) }
    }

    /// Ends it. Never fails.
    pub(super) fn kill(&self) {
        self.dead.send_replace(true);
    }

    /// Resolves when it has ended. Never fails.
    pub(super) async fn ended(&self) {
        let mut dead = self.dead.subscribe();
        let _ = dead.wait_for(|dead| *dead).await;
    }

    /// The moment before a step, or after it: others go on, and the process may end. Never fails: a dead process never
    /// comes out of here.
    pub(super) async fn gate(&self, when: &'static str, step: &str) {
        let world = &self.world;
        let is_job = IN_JOBS.try_with(|()| ()).is_ok();
        let oftener = if is_job { JOBS_OFTENER } else { 1 };
        let span = if world.faults.once_in(STALL_ONCE_IN / oftener) {
            world.dice.span_of_any_size(STALL_SPAN)
        } else {
            world.dice.span(STEP_SPAN)
        };
        tokio::select! {
            biased;
            () = self.ended() => {}
            () = clock::pause(span) => {
                if world.faults.once_in(world.plan.kill_once_in / oftener) {
                    world.say(format_args!("{} is killed {when} {step}", self.name));
                    self.kill();
                }
            }
        }
        if *self.dead.borrow() {
            resume_unwind(Box::new(Killed));
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Life({})", self.name)
    }
}

impl db::Steps for Life {
    fn step(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.gate("at", "a commit"))
    }
}
