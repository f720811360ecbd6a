//! The work that goes on in the background: a loop for each job, so that none waits for another, and each by a lease,
//! so that of several servers one does it. Refuses to rely on the lease alone: every job may be repeated, killed, and
//! run beside itself and every other.

mod purge;
mod sweep;

use crate::{App, AppError, campaigns, chain, mail, quota};
use base::{Span, Timestamp};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use std::future::Future;
use std::sync::Arc;

/// How long a holder keeps a job without renewing.
const LEASE: Span = Span::seconds(30);
/// A lease is renewed when no more than this is left of it.
const RENEW: Span = Span::seconds(10);
/// How often a loop looks whether its job is due.
const TICK: Span = Span::ms(500);
/// The longest wait after failures in a row.
const BACK_OFF_MAX: Span = Span::minutes(5);

/// One job: its name, how often it ticks, and what it does.
struct Job {
    name: &'static str,
    every: Span,
    tick: for<'a> fn(&'a App) -> BoxFuture<'a, Result<(), AppError>>,
}

/// Every job.
const JOBS: [Job; 6] = [
    Job { name: "campaigns", every: Span::seconds(1), tick: |app| Box::pin(campaigns::tick(app)) },
    Job { name: "reminders", every: Span::minutes(1), tick: |app| Box::pin(campaigns::remind(app)) },
    Job { name: "quota", every: Span::minutes(10), tick: |app| Box::pin(quota::tick(app)) },
    Job { name: "mail", every: Span::seconds(5), tick: |app| Box::pin(mail::tick(app)) },
    Job { name: "purge", every: Span::minutes(1), tick: |app| Box::pin(purge::tick(app)) },
    Job { name: "sweep", every: Span::minutes(10), tick: |app| Box::pin(sweep::tick(app)) },
];

/// What is known of one job in this process.
#[derive(Clone, Copy)]
struct Turn {
    due: Timestamp,
    held_until: Option<Timestamp>,
    failures: u32,
}

/// Ticks the jobs until `stop` resolves; what is under way then is finished. Never fails: errors are logged, once for
/// each row of them, and tried again later.
pub async fn run(app: Arc<App>, stop: impl Future<Output = ()> + Send) {
    let mut holder = [0; 16];
    app.entropy.fill(&mut holder);
    let stop = stop.shared();
    join_all(JOBS.iter().map(|job| attend_until(&app, &holder, job, stop.clone()))).await;
}

/// The loop of one job.
async fn attend_until<S: Future<Output = ()>>(app: &App, holder: &[u8; 16], job: &Job, mut stop: Shared<S>) {
    let mut turn = Turn { due: app.clock.now(), held_until: None, failures: 0 };
    loop {
        attend(app, holder, job, &mut turn).await;
        tokio::select! {
            () = &mut stop => break,
            () = app.clock.sleep(TICK) => {}
        }
    }
    if turn.held_until.is_some() {
        give_back(app, holder, job).await;
    }
}

/// Ticks every job once, whoever holds it: for tests and the simulator.
///
/// # Errors
/// The first job's that fails.
pub async fn tick_all(app: &App) -> Result<(), AppError> {
    for job in &JOBS {
        (job.tick)(app).await?;
    }
    Ok(())
}

/// Ticks a job if it is due and this process holds it.
async fn attend(app: &App, holder: &[u8; 16], job: &Job, turn: &mut Turn) {
    let now = app.clock.now();
    // A clock that was set back must not put a job to sleep: no wait is longer than the longest.
    let overslept = turn.due.since(now) > BACK_OFF_MAX.max(job.every);
    if now < turn.due && !overslept {
        return;
    }
    let result = match lease(app, holder, job, turn, now).await {
        Ok(true) => (job.tick)(app).await,
        Ok(false) => {
            turn.due = now + RENEW;
            return;
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => {
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

/// Takes or renews the lease on a job. Gives whether this process holds it.
async fn lease(app: &App, holder: &[u8; 16], job: &Job, turn: &mut Turn, now: Timestamp) -> Result<bool, AppError> {
    if turn.held_until.is_some_and(|until| until.since(now) > RENEW && until.since(now) <= LEASE) {
        return Ok(true);
    }
    let during = || AppError::db("taking the lease on a job");
    let mut tx = app.db.write().await.map_err(during())?;
    let until = now + LEASE;
    let held = db::job_lease_update(&mut tx, job.name, holder, now, until).await.map_err(during())?.is_some();
    tx.commit().await.map_err(during())?;
    turn.held_until = held.then_some(until);
    Ok(held)
}

/// Gives a lease back, so that another server need not wait; if that fails, it runs out by itself.
async fn give_back(app: &App, holder: &[u8; 16], job: &Job) {
    let now = app.clock.now();
    let Ok(mut tx) = app.db.write().await else { return };
    if db::job_lease_end_update(&mut tx, job.name, holder, now).await.is_ok() {
        let _ = tx.commit().await;
    }
}
