//! How often and how long a request is repeated, and how many are under way at once.
//! Refuses to go on for ever: a request has a budget of time and one of attempts, and one fresh key.

use super::keyring::Keyring;
use super::settings::S3Settings;
use super::trouble::{Meaning, Trouble};
use base::{Bytes, Clock, Entropy, Span};
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The pause after the first failure; it doubles with each.
const PAUSE_MIN: Span = Span::ms(100);
/// The longest pause.
const PAUSE_MAX: Span = Span::seconds(10);
/// How often bytes that are not what was stored are read.
const DOUBTS_MAX: u32 = 3;
/// How slow a body may be beyond the time that every request has: 256 KiB a second.
const BYTES_PER_MS: u64 = 262;

/// What every request goes through.
pub(super) struct Patience {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    keyring: Arc<Keyring>,
    turns: Semaphore,
    request_span: Span,
    retry_span: Span,
    retries_max: u32,
}

/// Why a request was given up.
#[derive(Debug)]
pub(super) struct Failure {
    pub trouble: Trouble,
    tries: u32,
    span: Span,
}

impl Patience {
    pub(super) fn new(
        settings: &S3Settings,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            clock,
            entropy,
            keyring,
            turns: Semaphore::new(settings.requests_max.min(Semaphore::MAX_PERMITS)),
            request_span: settings.request_span,
            retry_span: settings.retry_span,
            retries_max: settings.retries_max,
        }
    }

    /// Does `work` until it succeeds, or it is of no use to do it again. Each time is one request, and signed anew.
    ///
    /// # Errors
    /// The last trouble.
    pub(super) async fn until_done<T, F>(&self, mut work: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let begun = self.clock.now();
        let mut tries = 0;
        let mut has_fresh_key = false;
        loop {
            let turn = self.turns.acquire().await.expect("nobody closes the semaphore");
            let asked = self.clock.now();
            let result = work().await;
            drop(turn);
            let trouble = match result {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            tries += 1;
            let meaning = trouble.meaning();
            if meaning == Meaning::Key && !has_fresh_key {
                has_fresh_key = true;
                self.keyring.doubt(asked).await;
                continue;
            }
            let may_pass = match meaning {
                Meaning::Again | Meaning::Conflict => tries <= self.retries_max,
                Meaning::Doubtful => tries < DOUBTS_MAX,
                _ => false,
            };
            let pause = self.pause(tries);
            let span = self.clock.now().since(begun);
            // A large body may take longer than the budget: its first failure is repeated nevertheless.
            let is_late = tries > 1 && span.as_ms().saturating_add(pause.as_ms()) > self.retry_span.as_ms();
            if !may_pass || is_late {
                return Err(Failure { trouble, tries, span });
            }
            tracing::info!("asking the S3 server again in {} ms: {trouble}", pause.as_ms());
            self.clock.sleep(pause).await;
        }
    }

    /// Lets one exchange with the server take as long as such a body may.
    ///
    /// # Errors
    /// `Trouble::Silent`, and whatever the library says.
    pub(super) async fn timed<T>(
        &self,
        body: Bytes,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Trouble> {
        self.within(body, async { work.await.map_err(|error| Trouble::of(&error)) }).await
    }

    /// The same for several exchanges that belong together.
    pub(super) async fn within<T>(
        &self,
        body: Bytes,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let span = Span::ms(self.request_span.as_ms().saturating_add(body.0 / BYTES_PER_MS));
        tokio::time::timeout(span.as_duration(), work).await.unwrap_or(Err(Trouble::Silent))
    }

    /// The pause after so many failures: between half and all of the doubled span, so that many who failed at once do
    /// not come back at once.
    fn pause(&self, tries: u32) -> Span {
        let whole = PAUSE_MIN.as_ms().saturating_mul(1 << tries.saturating_sub(1).min(20)).min(PAUSE_MAX.as_ms());
        let mut drawn = [0; 8];
        self.entropy.fill(&mut drawn);
        Span::ms(whole / 2 + u64::from_le_bytes(drawn) % (whole / 2 + 1))
    }
}

impl Failure {
    /// The failure as the cause of an error of the store. Never fails.
    pub(super) fn into_io(self) -> io::Error {
        let kind = match &self.trouble {
            Trouble::Silent => io::ErrorKind::TimedOut,
            Trouble::Refused(_) | Trouble::Overtaken(_) | Trouble::Key(_) | Trouble::Broken(_) => io::ErrorKind::Other,
            Trouble::Certificate(_) | Trouble::Stranger(_) | Trouble::Altered => io::ErrorKind::InvalidData,
            Trouble::Length { .. } => io::ErrorKind::UnexpectedEof,
        };
        io::Error::new(kind, self)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.trouble)?;
        if self.tries > 1 {
            write!(f, " ({} attempts in {} ms)", self.tries, self.span.as_ms())?;
        }
        Ok(())
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::keyring::S3Key;
    use crate::s3::trouble::Refusal;
    use base::{ManualClock, SeededEntropy, Timestamp};
    use reqwest::StatusCode;
    use std::sync::atomic::{AtomicU32, Ordering};
    use zeroize::Zeroizing;

    fn patience(change: impl FnOnce(&mut S3Settings)) -> Patience {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_ms(0)));
        let key = S3Key { id: "a".to_owned(), secret: Zeroizing::new("b".to_owned()), token: None };
        let keyring = Arc::new(Keyring::new(Arc::new(key), Arc::clone(&clock)));
        let mut settings = S3Settings::new("bucket");
        change(&mut settings);
        Patience::new(&settings, keyring, clock, Arc::new(SeededEntropy::new(1)))
    }

    fn refused(status: u16) -> Trouble {
        let status = StatusCode::from_u16(status).expect("a status");
        Trouble::Refused(Refusal::read(status, false, b""))
    }

    async fn tries(patience: &Patience, trouble: impl Fn() -> Trouble) -> (u32, Failure) {
        let count = AtomicU32::new(0);
        let work = async || -> Result<(), Trouble> {
            count.fetch_add(1, Ordering::Relaxed);
            Err(trouble())
        };
        let failure = patience.until_done(&work).await.expect_err("it never succeeds");
        (count.into_inner(), failure)
    }

    #[tokio::test]
    async fn what_may_pass_is_repeated_within_both_budgets_and_the_rest_is_not() {
        let patience = patience(|_| ());
        let (count, failure) = tries(&patience, || refused(503)).await;
        assert!((8..=13).contains(&count), "{count} attempts: 0.1 s, doubled up to 10 s, in 60 s");
        assert!(failure.to_string().starts_with("the server answered 503 ("), "{failure}");
        assert_eq!(tries(&patience, || refused(501)).await.0, 1);
        assert_eq!(tries(&patience, || refused(403)).await.0, 2, "a fresh key is tried once");
        assert_eq!(tries(&patience, || Trouble::Altered).await.0, 3);
    }

    #[tokio::test]
    async fn the_count_ends_it_where_time_does_not_and_time_where_the_count_does_not() {
        assert_eq!(tries(&patience(|settings| settings.retries_max = 2), || refused(500)).await.0, 3);
        assert_eq!(tries(&patience(|settings| settings.retry_span = Span::ZERO), || Trouble::Silent).await.0, 2);
        assert_eq!(tries(&patience(|settings| settings.retries_max = 0), || Trouble::Silent).await.0, 1);
    }

    #[tokio::test]
    async fn no_more_requests_than_allowed_are_under_way() {
        let patience = patience(|settings| settings.requests_max = 2);
        let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let one = || {
            patience.until_done(async || {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            })
        };
        futures::future::try_join_all((0..9).map(|_| one())).await.expect("all succeed");
        assert_eq!(most.into_inner(), 2);
    }
}
