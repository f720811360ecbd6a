//! The work that goes on in the background: a loop for each job, so that none waits for another, and each by a lease,
//! so that of several servers one does it. Refuses to trust the clock of a lease: a job may be overtaken by another
//! server, and writes nothing after that (`held`); it may be repeated, killed at any point, and run beside every other.

pub(crate) mod due;
mod held;
pub(crate) mod prune;
mod purge;
mod sweep;

pub(crate) use held::{Held, RENEW};

use crate::scrub::sample;
use crate::{App, AppError, campaigns, chain, collect, mail, quota, storage};
use base::{Span, Timestamp};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a loop looks whether its job is due.
const TICK: Span = Span::ms(500);
/// The longest wait after failures in a row.
const BACK_OFF_MAX: Span = Span::minutes(5);

/// One job: its name, how often it ticks, and what it does.
struct Job {
    name: &'static str,
    every: Span,
    tick: for<'a> fn(&'a App, &'a Held<'a>) -> BoxFuture<'a, Result<(), AppError>>,
}

/// Every job.
const JOBS: [Job; 10] = [
    Job { name: "campaigns", every: Span::seconds(1), tick: |app, _| Box::pin(campaigns::tick(app)) },
    Job { name: "reminders", every: Span::minutes(1), tick: |app, _| Box::pin(campaigns::remind(app)) },
    Job { name: "quota", every: Span::minutes(10), tick: |app, _| Box::pin(quota::tick(app)) },
    Job { name: "mail", every: Span::seconds(5), tick: |app, _| Box::pin(mail::tick(app)) },
    Job { name: "purge", every: Span::minutes(1), tick: |app, _| Box::pin(purge::tick(app)) },
    Job { name: "prune", every: Span::minutes(1), tick: |app, _| Box::pin(prune::tick(app)) },
    Job { name: "collect", every: Span::seconds(10), tick: |app, held| Box::pin(collect::tick(app, held)) },
    Job { name: sample::JOB, every: Span::minutes(1), tick: |app, held| Box::pin(sample::tick(app, held)) },
    Job { name: storage::JOB, every: Span::seconds(10), tick: |app, held| Box::pin(storage::tick(app, held)) },
    Job { name: "sweep", every: Span::minutes(10), tick: |app, _| Box::pin(sweep::tick(app)) },
];

/// What is known of one job in this process.
#[derive(Clone, Copy)]
struct Turn {
    due: Timestamp,
    failures: u32,
}

/// Ticks the jobs until `stop` resolves; what is under way then is finished. Never fails: errors are logged, once for
/// each row of them, and tried again later.
pub async fn run(app: Arc<App>, stop: impl Future<Output = ()> + Send) {
    let mut holder = [0; 16];
    app.entropy.fill(&mut holder);
    let stop = stop.shared();
    let stopping = AtomicBool::new(false);
    let stopped = async {
        stop.clone().await;
        // A job that goes on for long looks at this between its steps.
        stopping.store(true, Ordering::SeqCst);
    };
    let attended = join_all(JOBS.iter().map(|job| {
        let held = Held::new(job.name, &holder, &stopping);
        attend_until(&app, held, job, stop.clone())
    }));
    futures::join!(stopped, attended);
}

/// The loop of one job.
async fn attend_until<S: Future<Output = ()>>(app: &App, held: Held<'_>, job: &Job, mut stop: Shared<S>) {
    let mut turn = Turn { due: app.clock.now(), failures: 0 };
    loop {
        attend(app, &held, job, &mut turn).await;
        tokio::select! {
            () = &mut stop => break,
            () = app.clock.sleep(TICK) => {}
        }
    }
    held.give_back(app).await;
}

/// Ticks every job once, whoever holds it: for tests. One that goes on for long goes on to its end.
///
/// # Errors
/// The first job's that fails.
pub async fn tick_all(app: &App) -> Result<(), AppError> {
    for job in &JOBS {
        (job.tick)(app, &Held::by_nobody(job.name)).await?;
    }
    Ok(())
}

/// Ticks every job once that `holder` gets hold of, one after the other: for the simulator, whose days would be longer
/// with `run`. Gives the names of the jobs that failed, and why.
pub async fn tick_held(app: &App, holder: &[u8; 16]) -> Vec<(&'static str, AppError)> {
    let (stopping, mut failed) = (AtomicBool::new(false), Vec::new());
    for job in &JOBS {
        let ticked = tick(app, &Held::new(job.name, holder, &stopping), job).await;
        failed.extend(ticked.err().map(|error| (job.name, error)));
    }
    failed
}

/// Ticks a job if this process gets hold of it. Gives whether it did.
async fn tick(app: &App, held: &Held<'_>, job: &Job) -> Result<bool, AppError> {
    let is_held = held.take(app).await?;
    if is_held {
        (job.tick)(app, held).await?;
    }
    Ok(is_held)
}

/// Ticks a job if it is due and this process holds it.
async fn attend(app: &App, held: &Held<'_>, job: &Job, turn: &mut Turn) {
    let now = app.clock.now();
    // A clock that was set back must not put a job to sleep: no wait is longer than the longest.
    let overslept = turn.due.since(now) > BACK_OFF_MAX.max(job.every);
    if now < turn.due && !overslept {
        return;
    }
    match tick(app, held, job).await {
        Ok(false) => turn.due = now + RENEW,
        Ok(true) => {
            if turn.failures > 0 {
                tracing::info!(job = job.name, "the job {} works again", job.name);
            }
            turn.failures = 0;
            turn.due = now + job.every;
        }
        Err(error) => {
            if turn.failures == 0 {
                let (name, code) = (job.name, error.code());
                tracing::error!(job = name, code, "the job {name} failed and is tried again: {}", chain(&error));
            }
            turn.failures = turn.failures.saturating_add(1);
            let doubled = job.every.as_ms().saturating_mul(1 << turn.failures.min(16));
            turn.due = now + Span::ms(doubled).min(BACK_OFF_MAX);
        }
    }
}
