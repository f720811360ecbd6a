//! The servers: one process each on the one database and the one store, killed and begun again.

use super::admin::ADMIN;
use super::clock::{self, MachineClock};
use super::life::{IN_JOBS, Life};
use super::storage::Stepping;
use super::world::World;
use app::keys::MasterKey;
use app::{App, AppError, Config, collect, jobs};
use base::{Entropy, Kind, SeededEntropy, Span};
use db::Db;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// What every server is told. Everything that takes days by default takes hours or a few days, so that a month sees
/// all of it many times.
const CONFIG: &str = "password.memory_mib = 1
password.passes = 1
run.lease_hours = 6
snapshot.undo_days = 1
collect.every_hours = 5
scrub.days = 3
device.undelete_days = 2
store.reserve_mib = 0
";

/// How long it takes at most until the background jobs look again what there is to do.
const JOBS_SPAN: Span = Span::hours(4);
/// How long a process that was killed is away at most.
const AWAY_SPAN: Span = Span::minutes(15);
/// How often a collection goes on beside a backup, and how long it waits in between at most, mostly and sometimes.
const BESIDE_ROUNDS: u32 = 5;
const BESIDE_SPAN: Span = Span::seconds(4);
const BESIDE_SPAN_LONG: Span = Span::minutes(2);
/// After how long another server may take over a job.
const LEASE_SPAN: Span = Span::seconds(31);
/// How long it takes until nothing of a dead process is left.
const END_SPAN: Span = Span::ms(50);

/// One server.
pub(super) struct Server {
    pub(super) number: u64,
    pub(super) clock: Arc<MachineClock>,
    entropy: Arc<SeededEntropy>,
    now: Mutex<Option<Now>>,
}

/// What it is at this moment.
struct Now {
    app: Arc<App>,
    life: Life,
    jobs: Arc<Jobs>,
    /// What it works on.
    tasks: JoinSet<()>,
}

/// The background jobs of one process: by leases, and each in one loop.
struct Jobs {
    holder: [u8; 16],
    turn: tokio::sync::Mutex<()>,
}

impl Jobs {
    /// Does what there is to do now, after whoever does so already. Never fails: what fails is tried again later.
    async fn tick(&self, world: &World, app: &App, name: &str) {
        let _turn = self.turn.lock().await;
        for (job, error) in IN_JOBS.scope((), jobs::tick_held(app, &self.holder)).await {
            world.say(format_args!("the job {job} of {name} fails: {}", error.code()));
        }
    }
}

/// Makes the installation and begins every server. Never fails: nothing goes wrong yet.
pub(super) async fn begin(world: &Arc<World>) {
    let first = SeededEntropy::new(world.plan.seed);
    world.shelf.furnish().await;
    let db = Db::open(&world.database()).await.expect("an empty directory takes a database");
    let mut tx = db.write().await.expect("nobody else writes");
    let made = app::keys::make(&mut tx, &master(world), &first, base::Clock::now(&*world.servers[0].clock)).await;
    made.expect("an empty database");
    tx.commit().await.expect("nothing stands against it");
    db.close().await;
    for server in &world.servers {
        let life = server.start(world, 1).await.expect("nothing goes wrong yet");
        world.spawn(live(Arc::clone(world), Arc::clone(server), life));
    }
}

/// The master key, which every server has: the first that the seed gives.
fn master(world: &World) -> MasterKey {
    MasterKey::mint(&SeededEntropy::new(world.plan.seed ^ 0x6b65_7973))
}

/// Ends with one life after the other, and begins the next.
async fn live(world: Arc<World>, server: Arc<Server>, mut life: Life) {
    for number in 2.. {
        life.ended().await;
        server.end(&world).await;
        clock::pause(world.dice.span_of_any_size(AWAY_SPAN)).await;
        life = loop {
            match server.start(&world, number).await {
                Ok(life) => break life,
                Err(error) => {
                    let said = format!("server {} does not start: {}", server.number, app::chain(&error));
                    match error.kind() {
                        Kind::Unavailable => world.say(said),
                        _ => world.broken(said),
                    }
                    clock::pause(Span::seconds(30)).await;
                }
            }
        };
    }
}

impl Server {
    pub(super) fn new(number: u64, clock: MachineClock, seed: u64) -> Self {
        let entropy = Arc::new(SeededEntropy::new(seed));
        Self { number, clock: Arc::new(clock), entropy, now: Mutex::new(None) }
    }

    /// The process that answers now. Never fails.
    pub(super) fn app(&self) -> Option<Arc<App>> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.as_ref().map(|now| Arc::clone(&now.app))
    }

    /// Ticks its background jobs once, as long as it lives; on request a collection is begun before. Whether it lives.
    fn attend_once(&self, world: &Arc<World>, collects: bool, who: &'static str) -> bool {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = now.as_ref().map(|now| (Arc::clone(&now.app), Arc::clone(&now.jobs)));
        drop(now);
        let Some((app, jobs)) = parts else { return false };
        let within = Arc::clone(world);
        self.work(world, async move {
            if collects {
                drop(collect::start(&app, &ADMIN).await);
            }
            jobs.tick(&within, &app, who).await;
        })
    }

    /// Kills it. Never fails.
    pub(super) fn kill(&self) {
        if let Some(now) = &*self.now.lock().unwrap_or_else(PoisonError::into_inner) {
            now.life.kill();
        }
    }

    /// Drops what is left of it. Never fails.
    pub(super) fn leave(&self) {
        drop(self.now.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Lets it work on something, as long as it lives; whether it lives.
    pub(super) fn work(&self, world: &Arc<World>, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = now.as_mut() else { return false };
        while now.tasks.try_join_next().is_some() {}
        let world = Arc::clone(world);
        now.tasks.spawn(async move { world.watched(work).await.unwrap_or_default() });
        true
    }

    async fn start(self: &Arc<Self>, world: &Arc<World>, number: u64) -> Result<Life, AppError> {
        let life = Life::new(world, self.number, number);
        let db = Db::open(&world.database()).await.map_err(AppError::db("opening the database"))?;
        let db = db.with_steps(Arc::new(life.clone()));
        let grace = if world.plan.seed.is_multiple_of(3) { 7 } else { 0 };
        let config = Config::parse(&format!("{CONFIG}collect.grace_hours = {grace}\n")).expect("good text");
        let (clock, entropy): (_, Arc<dyn Entropy>) = (Arc::clone(&self.clock) as _, Arc::clone(&self.entropy) as _);
        let begin = async {
            let objects = world.shelf.open(&life).await.map_err(AppError::store("opening the store"))?;
            let store = Arc::new(Stepping::new(world, life.clone(), objects));
            App::with(db, store, clock, entropy, master(world), config).await
        };
        let app = world.watched(begin).await;
        let Some(app) = app.transpose()? else {
            return Err(AppError::unavailable("killed", "It was killed while it began.", Span::ZERO));
        };
        let app = Arc::new(app);
        world.say(format_args!("{} begins", life.name));
        let jobs = Arc::new(Jobs { holder: world.dice.bytes(), turn: tokio::sync::Mutex::default() });
        let attends = attend(Arc::clone(world), Arc::clone(&app), Arc::clone(&jobs), life.name.to_string());
        let now = Now { app, life: life.clone(), jobs, tasks: JoinSet::new() };
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        self.work(world, attends);
        Ok(life)
    }

    /// Takes the dead process away. Never fails.
    async fn end(&self, world: &World) {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Now { app, mut tasks, .. }) = now else { return };
        tasks.shutdown().await;
        // What it has begun beside its requests is unwound at its next step.
        clock::pause(END_SPAN).await;
        app.db.close().await;
        world.oracle.count(|figures| figures.kills += 1);
    }
}

/// The background jobs of one process.
async fn attend(world: Arc<World>, app: Arc<App>, jobs: Arc<Jobs>, name: String) {
    loop {
        clock::pause(world.dice.span(JOBS_SPAN)).await;
        jobs.tick(&world, &app, &name).await;
    }
}

/// Another server takes over the jobs of one that says nothing for so long, where that is longer than its leases.
pub(super) async fn take_over(world: Arc<World>, silent: u64, span: Span) {
    clock::pause(LEASE_SPAN).await;
    let left = span.as_ms().saturating_sub(LEASE_SPAN.as_ms());
    let other = world.servers.iter().find(|server| server.number != silent).map(Arc::clone);
    let Some(server) = other.filter(|_| left > 0) else { return };
    clock::pause(world.dice.span(Span::ms(left / 2))).await;
    for _ in 0..BESIDE_ROUNDS {
        if !server.attend_once(&world, false, "a server that takes over") {
            return;
        }
        clock::pause(world.dice.span(BESIDE_SPAN_LONG)).await;
    }
}

/// A collection goes on beside a backup, step by step; the server that does it may end in the middle of one.
pub(super) async fn collect_beside(world: Arc<World>) {
    for round in 0..BESIDE_ROUNDS {
        let Some(server) = world.dice.pick(&world.servers).map(Arc::clone) else { return };
        let most = if world.dice.once_in(2) { BESIDE_SPAN } else { BESIDE_SPAN_LONG };
        clock::pause(world.dice.span(most)).await;
        if !server.attend_once(&world, round == 0, "a server beside a backup") {
            continue;
        }
        if world.faults.once_in(8) {
            clock::pause(world.dice.span_of_any_size(BESIDE_SPAN)).await;
            world.say(format_args!("server {} is killed beside a backup", server.number));
            server.kill();
        }
    }
}
