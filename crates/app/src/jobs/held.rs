//! The lease on a job, as the job itself sees it: renewed while it works, and looked at in the transactions that must
//! not be a stale holder's. Refuses to trust the clock alone, and the holder's name: who has the lease, and that nobody
//! else has had it since the tick began, is read under the write lock.

use crate::{App, AppError};
use base::{Planted, Span, Timestamp, is_planted};
use db::Tx;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// How long a holder keeps a job without renewing.
const LEASE: Span = Span::seconds(30);
/// A lease is renewed when no more than this is left of it.
pub(crate) const RENEW: Span = Span::seconds(10);

/// A job's lease in the hands of this process.
pub(crate) struct Held<'a> {
    job: &'static str,
    /// None: whoever ticks the job answers for it.
    holder: Option<(&'a [u8; 16], &'a AtomicBool)>,
    /// Until when, as far as this process knows; 0 while it does not hold it.
    until: AtomicI64,
    /// The fence under which this tick has begun. The holder alone does not tell: another may have had the lease in
    /// between, and have changed what this tick has read.
    fence: AtomicU64,
}

impl<'a> Held<'a> {
    /// The lease of a process that stops when `stopping` says so. Never fails.
    pub(super) fn new(job: &'static str, holder: &'a [u8; 16], stopping: &'a AtomicBool) -> Self {
        Self { job, holder: Some((holder, stopping)), until: AtomicI64::new(0), fence: AtomicU64::new(0) }
    }

    /// For who ticks jobs by hand. Never fails.
    pub(crate) fn by_nobody(job: &'static str) -> Self {
        Self { job, holder: None, until: AtomicI64::new(0), fence: AtomicU64::new(0) }
    }

    /// Takes the lease for a tick that begins. Gives whether this process holds it.
    ///
    /// # Errors
    /// The database does not answer.
    pub(super) async fn take(&self, app: &App) -> Result<bool, AppError> {
        let fence = self.renew(app).await?;
        self.fence.store(fence.unwrap_or(0), Ordering::SeqCst);
        Ok(fence.is_some())
    }

    /// The fence of the lease, once this process has taken it, or has renewed it where little of it is left; none while
    /// another holds it.
    async fn renew(&self, app: &App) -> Result<Option<u64>, AppError> {
        let Some((holder, _)) = self.holder else { return Ok(Some(0)) };
        let now = app.clock.now();
        let known = Timestamp::from_ms(self.until.load(Ordering::SeqCst));
        if known.since(now) > RENEW && known.since(now) <= LEASE {
            return Ok(Some(self.fence.load(Ordering::SeqCst)));
        }
        let during = || AppError::db("taking the lease on a job");
        let mut tx = app.db.write().await.map_err(during())?;
        let until = now + LEASE;
        let fence = db::job_lease_update(&mut tx, self.job, holder, now, until).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        self.until.store(fence.map_or(0, |_| until.as_ms()), Ordering::SeqCst);
        Ok(fence)
    }

    /// Whether a job that goes on for long goes on: renews the lease, and says no when the process ends.
    ///
    /// # Errors
    /// `job_taken_over` when another process has the lease, or has had it since the tick began; the database does not
    /// answer.
    pub(crate) async fn goes_on(&self, app: &App) -> Result<bool, AppError> {
        if self.holder.is_some_and(|(_, stopping)| stopping.load(Ordering::SeqCst)) {
            return Ok(false);
        }
        let fence = self.renew(app).await?;
        if self.is_own(fence) { Ok(true) } else { Err(self.taken_over()) }
    }

    /// Fails in a transaction that writes, unless this process has had the lease ever since the tick began.
    ///
    /// # Errors
    /// `job_taken_over`; the database does not answer.
    pub(crate) async fn need(&self, tx: &mut Tx) -> Result<(), AppError> {
        let Some((holder, _)) = self.holder else { return Ok(()) };
        let lease = db::job_lease_get(tx, self.job).await.map_err(AppError::db("reading the lease on a job"))?;
        // RACE: it may have run out; as long as nobody else has taken it, nobody else writes.
        let fence = lease.filter(|lease| lease.holder == *holder).map(|lease| lease.fence);
        if self.is_own(fence) { Ok(()) } else { Err(self.taken_over()) }
    }

    fn is_own(&self, fence: Option<u64>) -> bool {
        fence.is_some_and(|fence| fence == self.fence.load(Ordering::SeqCst) || is_planted(Planted::FenceUnlooked))
    }

    /// Gives the lease back, so that another server need not wait; if that fails, it runs out by itself.
    pub(super) async fn give_back(&self, app: &App) {
        let Some((holder, _)) = self.holder.filter(|_| self.until.load(Ordering::SeqCst) > 0) else { return };
        let now = app.clock.now();
        let Ok(mut tx) = app.db.write().await else { return };
        if db::job_lease_end_update(&mut tx, self.job, holder, now).await.is_ok() {
            let _ = tx.commit().await;
        }
    }

    fn taken_over(&self) -> AppError {
        // The next tick asks for it anew.
        self.until.store(0, Ordering::SeqCst);
        AppError::conflict("job_taken_over", format!("Another server carries out the job {} now.", self.job))
    }
}
