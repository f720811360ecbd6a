//! One life of a server's process: between any two of its durable steps others go on, and it may end there.
//! Refuses to let anything of a dead process go on: who waits for a step of it is unwound where it stands.

use super::clock;
use super::files::Process;
use super::server;
use super::world::World;
use base::Span;
use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::watch;

/// How long a step mostly takes at most.
const STEP_SPAN: Span = Span::ms(12);
/// One of so many takes long …
const STALL_ONCE_IN: u64 = 3_000;
/// … and at most this.
const STALL_SPAN: Span = Span::minutes(20);
/// Where a server may be killed, the power goes instead in one of so many cases.
const POWER_ONCE_IN: u64 = 12;
/// Before an operation that changes its disk a server ends so many times more often than at a step: they are few.
const OPERATION_FACTOR: u64 = 5;

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
    server: u64,
    /// Which server's, and which life of it.
    pub(super) name: Arc<str>,
    dead: Arc<watch::Sender<bool>>,
}

impl Life {
    pub(super) fn new(world: &Arc<World>, server: u64, number: u64) -> Self {
        let name = format!("server {server}, life {number}");
        let dead = Arc::new(watch::Sender::new(false));
        world.lives.add(&dead);
        Self { world: Arc::clone(world), server, name: name.into(), dead }
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
            let span = world.dice.span_of_any_size(STALL_SPAN);
            if is_job {
                world.spawn(server::take_over(Arc::clone(world), self.server, span));
            }
            span
        } else {
            world.dice.span(STEP_SPAN)
        };
        tokio::select! {
            biased;
            () = self.ended() => {}
            () = clock::pause(span) => {
                if world.faults.once_in(world.plan.kill_once_in / oftener) {
                    self.end(POWER_ONCE_IN, when, step);
                }
            }
        }
        self.go_on();
    }

    /// The power goes in one of so many cases, or else it is killed.
    fn end(&self, power_once_in: u64, when: &str, step: &str) {
        let world = &self.world;
        if world.shelf.loses_power() && world.dice.once_in(power_once_in) {
            world.lose_power(format_args!("({}, {when} {step})", self.name));
        } else {
            world.say(format_args!("{} is killed {when} {step}", self.name));
            self.kill();
        }
    }

    fn go_on(&self) {
        if self.has_ended() {
            resume_unwind(Box::new(Killed));
        }
    }
}

impl Process for Life {
    fn has_ended(&self) -> bool {
        *self.dead.borrow()
    }

    fn before(&self, operation: &'static str) {
        if self.world.faults.once_in(self.world.plan.kill_once_in / OPERATION_FACTOR) {
            self.end(2, "before", operation);
        }
        self.go_on();
    }
}

/// All processes on the machine.
#[derive(Default)]
pub(super) struct Lives(Mutex<Vec<Weak<watch::Sender<bool>>>>);

impl Lives {
    fn add(&self, dead: &Arc<watch::Sender<bool>>) {
        let mut lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lives.retain(|life| life.strong_count() > 0);
        lives.push(Arc::downgrade(dead));
    }

    /// Ends all of them. Never fails.
    pub(super) fn kill(&self) {
        let lives = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        lives.iter().filter_map(Weak::upgrade).for_each(|dead| _ = dead.send_replace(true));
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
