//! The world of one play: what everybody in it shares. Refuses to decide anything itself.

use super::clock::MachineClock;
use super::dice::Dice;
use super::life::{Killed, Lives};
use super::oracle::Oracle;
use super::server::Server;
use super::storage::Shelf;
use super::{Outcome, Trace};
use app::SecretText;
use base::Span;
use futures::FutureExt as _;
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tempfile::TempDir;
use tokio::time::Instant;

/// What is to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything that is left open.
    pub seed: u64,
    /// How many devices there are.
    pub devices: u32,
    /// For how many days things go wrong.
    pub days: u32,
    /// A server is killed at one of so many of its steps; 0: never.
    pub kill_once_in: u64,
    /// A collection goes on beside one of so many backups; 0: beside none.
    pub collect_once_in: u64,
    /// Whether anything else goes wrong.
    pub faults: bool,
    /// Whether every step is printed.
    pub shown: bool,
    /// The bug that the servers have.
    #[cfg(feature = "planted")]
    pub planted: Option<base::Planted>,
}

impl Plan {
    /// The usual one for this seed. Never fails.
    pub fn of(seed: u64) -> Self {
        Self {
            seed,
            devices: 20,
            days: 30,
            kill_once_in: 3_000,
            collect_once_in: 12,
            faults: true,
            shown: false,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    pub(super) fn span(&self) -> Span {
        Span::days(u64::from(self.days))
    }
}

/// Whether things go wrong, and when.
pub(super) struct Faults {
    dice: Dice,
    on: AtomicBool,
}

impl Faults {
    /// Yes in one of so many cases, while things go wrong. Never fails.
    pub(super) fn once_in(&self, cases: u64) -> bool {
        self.on.load(Ordering::SeqCst) && self.dice.once_in(cases)
    }

    /// Nothing goes wrong from now on. Never fails.
    pub(super) fn end(&self) {
        self.on.store(false, Ordering::SeqCst);
    }

    pub(super) fn are_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) began: Instant,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) oracle: Oracle,
    pub(super) shelf: Shelf,
    pub(super) lives: Lives,
    pub(super) servers: Vec<Arc<Server>>,
    trace: Mutex<Trace>,
    token: OnceLock<SecretText>,
    dir: TempDir,
}

impl World {
    pub(super) async fn new(plan: Plan) -> Arc<Self> {
        let dice = Dice::new(plan.seed);
        let faults = Faults { dice: Dice::new(dice.seed()), on: AtomicBool::new(plan.faults) };
        let began = Instant::now();
        let shelf = Shelf::new(&dice);
        let dir = temp_dir();
        let servers = 1 + dice.below(2);
        let server = |number| Arc::new(Server::new(number, MachineClock::new(began), dice.seed()));
        let servers = (1..=servers).map(server).collect();
        let trace = Mutex::new(Trace::new(plan.shown));
        Arc::new(Self {
            plan,
            began,
            dice,
            faults,
            oracle: Oracle::default(),
            shelf,
            lives: Lives::default(),
            servers,
            trace,
            token: OnceLock::new(),
            dir,
        })
    }

    /// The database file, which every server opens.
    pub(super) fn database(&self) -> PathBuf {
        self.dir.path().join("holdfast.db")
    }

    /// The deployment token, once it was made. Never fails.
    pub(super) fn token(&self) -> SecretText {
        self.token.get().expect("devices begin after it was made").clone()
    }

    /// Keeps the deployment token. Never fails.
    pub(super) fn keep_token(&self, token: SecretText) {
        let _ = self.token.set(token);
    }

    /// How much time has passed. Never fails.
    pub(super) fn passed(&self) -> Span {
        Span::ms(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Notes something that happened. Never fails.
    pub(super) fn say(&self, text: impl Display) {
        self.trace().add(self.passed(), text);
    }

    /// Notes that something is as it must not be: the play ends. Never fails.
    pub(super) fn broken(&self, what: impl Display) {
        self.say(format_args!("BROKEN: {what}"));
        self.oracle.broken(what.to_string());
    }

    /// The machine's power goes, and every process with it; only where the store is on its disk. Never fails.
    pub(super) fn lose_power(&self, when: impl Display) {
        let Some(lost) = self.shelf.lose_power() else { return };
        self.say(format_args!("the power goes {when}: {} entries and {} files are lost", lost.entries, lost.files));
        self.lives.kill();
        self.oracle.count(|figures| figures.power_cuts += 1);
    }

    /// Lets somebody go on beside everybody else. Who panics has found something.
    pub(super) fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let world = Arc::clone(self);
        drop(tokio::spawn(async move { world.watched(work).await.unwrap_or_default() }));
    }

    /// The outcome of `work`; none when its process was killed meanwhile.
    pub(super) async fn watched<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => Some(done),
            Err(panic) if panic.is::<Killed>() => None,
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                self.broken(format_args!("a panic: {}", said.unwrap_or_default()));
                None
            }
        }
    }

    pub(super) fn into_outcome(self: Arc<Self>) -> Outcome {
        let trace = self.trace().clone();
        // They know the world, and it them: neither would ever be dropped, nor the folder of the database.
        self.servers.iter().for_each(|server| server.leave());
        Outcome { figures: self.oracle.figures(), trace, broken: self.oracle.why_broken() }
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for the database. In memory where the system has such: what is durable there is the simulator's business.
fn temp_dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a temporary directory can be made")
}
