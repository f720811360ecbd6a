//! An installation goes from one machine to many and back, in parts and as a whole: everything is there afterwards, and
//! at no moment two places serve.

use crate::fleet::plan;
use crate::world::{Device, World, code, key_file, sample_of};
use app::campaigns::{self, Plan};
use app::credentials::CredentialNew;
use app::folders::FolderDraft;
use app::migrate::{Ends, Moves, NOT_MOVED, Options, Report, migrate, take_back, take_back_alone};
use app::restore::fetch;
use app::scrub::{Options as Scrub, scrub};
use app::{AdminActor, App, AppError, PolicySubject, audit, tokens};
use base::{Clock, Count, Entropy, ManualClock, SeededEntropy, SnapshotId, Span, Timestamp};
use control::Permits;
use control::campaign::Reset;
use control::policy::FolderOs;
use db::Db;
use db::testing::TempDb;
use format::{ChunkRef, SealedPack};
use futures::TryStreamExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use store::testing::S3Server;
use tempfile::TempDir;

pub const ADMIN: AdminActor = AdminActor::Command;
/// A pass while the servers run.
pub const FIRST: Options = Options { switch: false, verify: false, rate: None };
/// The last one.
pub const LAST: Options = Options { switch: true, verify: false, rate: None };

/// A place to move to: a data directory with a configuration, and what that names.
pub struct There {
    pub dir: TempDir,
    pub file: PathBuf,
    pub bucket: Option<S3Server>,
    pub database: Option<TempDb>,
}

impl There {
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

/// An empty PostgreSQL database and an empty bucket.
pub async fn many() -> There {
    let (database, bucket) = (db::testing::postgres().await, S3Server::start().await);
    let text = format!(
        "database.url = \"{}\"\ns3.bucket = \"{}\"\ns3.endpoint = \"{}\"\ns3.key_file = \"s3.key\"\n",
        database.url().expect("it has one"),
        bucket.bucket(),
        bucket.endpoint()
    );
    there(&text, Some(bucket), Some(database))
}

/// An empty directory, for an SQLite file and a folder.
pub fn one() -> There {
    there("", None, None)
}

fn there(text: &str, bucket: Option<S3Server>, database: Option<TempDb>) -> There {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("holdfast.toml");
    std::fs::write(&file, text).expect("own file");
    if let Some(bucket) = &bucket {
        key_file(dir.path(), &bucket.key());
    }
    There { dir, file, bucket, database }
}

pub fn parts(world: &World) -> (Arc<dyn Clock>, Arc<dyn Entropy>) {
    (world.clock.clone(), Arc::new(SeededEntropy::new(99)))
}

pub async fn open(world: &World, data_dir: &Path) -> Result<App, AppError> {
    let (clock, entropy) = parts(world);
    App::open(data_dir, clock, entropy).await
}

pub async fn ends(world: &World, from: &Path, to: &Path) -> Result<Ends, AppError> {
    let (clock, entropy) = parts(world);
    Ends::open(from, to, None, &clock, &entropy).await
}

/// One pass, as the command makes it.
pub async fn pass(world: &World, from: &Path, to: &Path, options: Options) -> Result<Report, AppError> {
    let ends = ends(world, from, to).await?;
    let (clock, entropy) = parts(world);
    let done = migrate(&ends, options, clock.as_ref(), entropy.as_ref(), &mut |_| {}).await;
    ends.close().await;
    done
}

pub fn refused<T>(result: Result<T, AppError>) -> &'static str {
    let error = result.map(|_| ()).expect_err("it must be refused");
    error.code()
}

/// A backup whose contents no other one has.
pub async fn backup(world: &World, device: &Device, seed: u64) -> (SnapshotId, SealedPack) {
    world.clock.advance(Span::minutes(1));
    let run = world.begin(device).await;
    let (draft, root, totals) = sample_of(&run.naming, seed);
    let pack = run.pack(&draft);
    run.upload(&pack).await.expect("the pack is good");
    (run.commit(&run.manifest(root, totals)).await.expect("the snapshot is good").snapshot.id, pack)
}

fn refs(pack: &SealedPack) -> Vec<ChunkRef> {
    pack.index.chunks().map(|(_, _, chunk)| chunk.chunk).collect()
}

/// What a restore of the pack's chunks brings.
async fn restored(world: &World, device: &Device, (snapshot, pack): &(SnapshotId, SealedPack)) -> Vec<Vec<u8>> {
    let run = world.begin_restore(device, *snapshot).await.expect("its own snapshot");
    let parcels = fetch(Arc::clone(&world.app), device.actor.clone(), run, &refs(pack)).await.expect("they are there");
    let parcels: Vec<_> = parcels.try_collect().await.expect("readable");
    parcels.into_iter().map(|parcel| parcel.bytes.to_vec()).collect()
}

/// Something of everything that admins make.
async fn administered(world: &World) {
    let wish =
        tokens::Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Default::default() };
    tokens::make(&world.app, &ADMIN, &wish).await.expect("a good wish");
    app::profiles::make(&world.app, &ADMIN, "Laptops \u{1f4bb}").await.expect("a new name");
    let user = PolicySubject::User(crate::world::USER);
    let folder = FolderDraft {
        os: FolderOs::Any,
        path: "/srv/data".to_owned(),
        mandatory: false,
        include: Vec::new(),
        exclude: vec!["*.tmp".to_owned()],
    };
    app::folders::add(&world.app, &ADMIN, user, &folder).await.expect("a good folder");
    let plan = Plan { wave_size: 200, wave_span: Span::minutes(10), ..plan(Reset::Rotate) };
    let campaign = campaigns::make(&world.app, &ADMIN, plan).await.expect("a good plan");
    campaigns::start(&world.app, &ADMIN, campaign.id, Some(world.clock_now() + Span::days(9))).await.expect("a draft");
    let subject = db::HoldSubject::User(crate::world::USER);
    app::holds::set(&world.app, &ADMIN, subject, "case 7").await.expect("a new name");
    let new = CredentialNew { name: "scripts".to_owned(), permits: Permits::all(), all: true, expires_at: None };
    app::credentials::make(&world.app, &ADMIN, new).await.expect("a good name");
    app::support_bundles::ask(&world.app, &ADMIN, base::DeviceId::from_bytes([1; 16])).await.expect("it is there");
}

pub async fn is_clean(app: &App) -> bool {
    let report = scrub(app, &ADMIN, Scrub { read_data: true }, &mut |_| {}).await.expect("it answers");
    assert_eq!((&report.problems, &report.orphans), (&vec![], &vec![]));
    assert_eq!(audit::verify(app, &ADMIN, None).await.expect("readable").broken, None);
    report.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_from_one_machine_to_many_and_back() {
    let world = World::on_disk().await;
    let (device, other) = (world.device(1).await, world.device(2).await);
    administered(&world).await;
    let mut made = vec![backup(&world, &device, 1).await, backup(&world, &device, 2).await];
    backup(&world, &other, 3).await;
    let before = restored(&world, &device, &made[0]).await;
    let (here, many) = (world.data_dir(), many().await);

    // While the server runs: what comes later comes with the next pass.
    let first = pass(&world, &here, &many.file, FIRST).await.expect("nothing stands against it");
    assert_eq!((first.moves, first.switched), (Moves { database: true, store: true }, false));
    assert_eq!((first.objects.there, first.objects.copied), (Count(0), first.objects.looked));
    made.push(backup(&world, &device, 4).await);
    assert_eq!(refused(open(&world, &many.data_dir()).await), "migrate_unfinished");
    world.app.db.close().await;
    let verified = Options { verify: true, ..LAST };
    let last = pass(&world, &here, &many.file, verified).await.expect("nobody is served");
    assert!(last.switched);
    assert_eq!(
        (last.objects.there, last.objects.damaged, last.objects.replaced),
        (first.objects.looked, Count(0), Count(0))
    );
    assert_eq!(last.objects.copied, Count(3), "a pack, a manifest, the keyring");
    assert_eq!(last.objects.verified, last.objects.looked);
    let filled = last.tables.iter().filter(|table| table.rows > Count(0)).count();
    assert!(filled > 20, "{filled} tables have rows");

    // Here is nobody served any more; there is everything.
    assert_eq!(refused(open(&world, &here).await), "installation_moved");
    let app = open(&world, &many.data_dir()).await.expect("it is whole");
    let world = world.served_by(app);
    app::recovery::prepare(&world.app, &many.data_dir()).await.expect("it comes to its next age");
    assert!(is_clean(&world.app).await);
    assert_eq!(restored(&world, &device, &made[0]).await, before, "byte for byte");
    let run = world.begin(&device).await;
    let missing = run.dedupe(&refs(&made[2].1)).await.expect("open");
    assert!(missing.iter().all(|missing| !missing), "nothing is sent again");
    drop(run);
    made.push(backup(&world, &device, 5).await);
    jobs_work(&world.app).await;

    // And back, into a third place.
    world.app.db.close().await;
    let back = one();
    let last = pass(&world, &many.data_dir(), &back.file, LAST).await.expect("in one go");
    assert_eq!((last.objects.there, last.objects.copied), (Count(0), last.objects.looked));
    assert_eq!(refused(open(&world, &many.data_dir()).await), "installation_moved");
    let app = open(&world, &back.data_dir()).await.expect("it is whole");
    let world = world.served_by(app);
    assert!(is_clean(&world.app).await);
    assert_eq!(restored(&world, &device, &made[0]).await, before);
    made.push(backup(&world, &device, 6).await);
    assert_eq!(snapshots(&world.app, &device).await, made.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let actions: Vec<String> = rows(&world.app).await.into_iter().map(|row| row.action).collect();
    assert_eq!(actions.iter().filter(|action| *action == "server_migrate").count(), 2);
}

async fn jobs_work(app: &App) {
    app::jobs::tick_all(app).await.expect("the jobs work");
}

async fn rows(app: &App) -> Vec<db::AuditRow> {
    let mut tx = app.db.read().await.expect("readable");
    audit::list(&mut tx, 0).await.expect("readable")
}

async fn snapshots(app: &App, device: &Device) -> Vec<SnapshotId> {
    let mut tx = app.db.read().await.expect("readable");
    let rows = db::snapshot_list_by_device(&mut tx, device.actor.device, None, None, 100).await.expect("readable");
    rows.into_iter().rev().map(|row| row.new.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_of_the_schema_is_moved_or_says_why_not() {
    let world = World::on_disk().await;
    let many = many().await;
    world.app.db.close().await;
    let report = pass(&world, &world.data_dir(), &many.file, LAST).await.expect("nobody is served");
    let app = open(&world, &many.data_dir()).await.expect("it is whole");
    let mut tx = app.db.read().await.expect("readable");
    let all = db::table_list(&mut tx).await.expect("readable");
    let moved: Vec<&str> = report.tables.iter().map(|table| table.name.as_str()).collect();
    for table in &all {
        let is_left = NOT_MOVED.iter().any(|(name, why)| *name == table.name && !why.is_empty());
        assert!(moved.contains(&table.name.as_str()) != is_left, "{} is neither moved nor left, or both", table.name);
    }
    assert_eq!(moved.len() + NOT_MOVED.len(), all.len());
}

/// A second configuration in the data directory itself: what it does not name stays where it is.
fn beside(world: &World, text: &str, bucket: Option<&S3Server>) -> PathBuf {
    let file = world.data_dir().join("next.toml");
    std::fs::write(&file, text).expect("own file");
    if let Some(bucket) = bucket {
        key_file(&world.data_dir(), &bucket.key());
    }
    file
}

fn put_in_place(world: &World, file: &Path, old: &str) {
    let current = world.data_dir().join("holdfast.toml");
    std::fs::rename(&current, world.data_dir().join(old)).expect("own file");
    std::fs::rename(file, current).expect("own file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_alone_goes_elsewhere_and_the_store_stays() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let made = [backup(&world, &device, 1).await, backup(&world, &device, 2).await];
    let database = db::testing::postgres().await;
    let file = beside(&world, &format!("database.url = \"{}\"\n", database.url().expect("it has one")), None);
    world.app.db.close().await;
    let report = pass(&world, &world.data_dir(), &file, LAST).await.expect("nobody is served");
    assert_eq!((report.moves, report.objects.looked), (Moves { database: true, store: false }, Count(0)));
    assert_eq!(refused(open(&world, &world.data_dir()).await), "installation_moved");
    put_in_place(&world, &file, "before.toml");
    let app = open(&world, &world.data_dir()).await.expect("with the other configuration");
    assert!(is_clean(&app).await);
    app::recovery::prepare(&app, &world.data_dir()).await.expect("a server starts");
    assert_eq!(snapshots(&app, &device).await, made.map(|(id, _)| id));
    app.db.close().await;

    // Back: the file of before stands in the way until it is moved.
    let back = world.data_dir().join("before.toml");
    assert_eq!(refused(pass(&world, &world.data_dir(), &back, LAST).await), "target_taken");
    std::fs::rename(world.data_dir().join("holdfast.db"), world.data_dir().join("holdfast.db.before")).expect("own");
    pass(&world, &world.data_dir(), &back, LAST).await.expect("nobody is served");
    put_in_place(&world, &back, "next.toml");
    let app = open(&world, &world.data_dir()).await.expect("it is whole");
    assert!(is_clean(&app).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_alone_goes_elsewhere_and_comes_back_with_what_is_new() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let bucket = S3Server::start().await;
    let text = format!(
        "s3.bucket = \"{}\"\ns3.endpoint = \"{}\"\ns3.key_file = \"s3.key\"\n",
        bucket.bucket(),
        bucket.endpoint()
    );
    let file = beside(&world, &text, Some(&bucket));
    pass(&world, &world.data_dir(), &file, FIRST).await.expect("the server may run");
    world.app.db.close().await;
    let report = pass(&world, &world.data_dir(), &file, LAST).await.expect("nobody is served");
    assert_eq!((report.moves, report.tables.len()), (Moves { database: false, store: true }, 0));
    let error = open(&world, &world.data_dir()).await.err().expect("by the configuration of before");
    assert_eq!(error.code(), "store_older");
    assert!(error.to_string().contains("A `migrate` has taken the installation to the bucket"), "{error}");
    assert!(!bucket.keys().iter().any(|key| key.starts_with("migrate/")), "{:?}", bucket.keys());
    put_in_place(&world, &file, "before.toml");
    let data_dir = world.data_dir();
    let app = open(&world, &data_dir).await.expect("with the other configuration");
    let world = world.served_by(app);
    app::recovery::prepare(&world.app, &data_dir).await.expect("a server starts");
    assert!(is_clean(&world.app).await);
    backup(&world, &device, 2).await;
    world.app.db.close().await;

    let back = data_dir.join("before.toml");
    let report = pass(&world, &data_dir, &back, LAST).await.expect("nobody is served");
    assert_eq!(report.objects.copied, Count(2), "a pack and a manifest: {:?}", report.objects);
    put_in_place(&world, &back, "next.toml");
    let app = open(&world, &data_dir).await.expect("it is whole");
    assert!(is_clean(&app).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_taken_back_until_a_server_was_started_at_the_target() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let (here, many) = (world.data_dir(), many().await);
    world.app.db.close().await;
    let (clock, entropy) = parts(&world);
    let back = async |is_lost: bool| {
        if is_lost {
            let (source, _) = app::migrate::Side::open(&here, None, &clock, &entropy).await?;
            return take_back_alone(&source, clock.as_ref(), entropy.as_ref()).await;
        }
        take_back(&ends(&world, &here, &many.file).await?, clock.as_ref(), entropy.as_ref()).await
    };
    assert_eq!(refused(back(false).await), "nothing_moved");
    pass(&world, &here, &many.file, LAST).await.expect("nobody is served");
    back(false).await.expect("nobody was served there");
    assert_eq!(refused(open(&world, &many.data_dir()).await), "migrate_unfinished");
    let app = open(&world, &here).await.expect("it is here again");
    app::recovery::prepare(&app, &here).await.expect("a server starts");
    assert!(is_clean(&app).await);
    app.db.close().await;

    // Once more, and this time it is used there.
    let report = pass(&world, &here, &many.file, LAST).await.expect("the target is its own");
    assert_eq!(report.objects.copied, Count(0), "{:?}", report.objects);
    let there = open(&world, &many.data_dir()).await.expect("it is whole");
    assert!(is_clean(&there).await);
    app::recovery::prepare(&there, &many.data_dir()).await.expect("a server starts");
    there.db.close().await;
    assert_eq!(refused(back(false).await), "target_used");
    assert_eq!(refused(open(&world, &here).await), "installation_moved");
    // What is lost is not asked.
    back(true).await.expect("the admin says so");
    let app = open(&world, &here).await.expect("it is here again");
    assert!(is_clean(&app).await);
    let said = rows(&app).await.into_iter().filter(|row| row.action == "server_migrate_back").count();
    assert_eq!(said, 2);
}

/// A clock on which a server takes a job after so many looks.
struct Looks {
    clock: Arc<ManualClock>,
    db: Db,
    left: AtomicU32,
}

impl Clock for Looks {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep(&self, span: Span) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.clock.sleep(span).await;
            if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                hold_job(&self.db, self.now(), Span::seconds(30)).await;
            }
        })
    }
}

/// A server holds a job from now on.
async fn hold_job(db: &Db, now: Timestamp, span: Span) {
    let mut tx = db.write().await.expect("nobody else writes");
    db::job_lease_update(&mut tx, "mail", &[1; 16], now, now + span).await.expect("writable");
    tx.commit().await.expect("nothing stands against it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_a_started_one_and_a_command_in_between_stop_the_last_pass() {
    let world = World::on_disk().await;
    let (here, many) = (world.data_dir(), many().await);
    hold_job(&world.app.db, world.clock_now(), Span::seconds(20)).await;
    pass(&world, &here, &many.file, FIRST).await.expect("it may run beside");
    assert_eq!(refused(pass(&world, &here, &many.file, LAST).await), "servers_running");
    world.clock.advance(Span::minutes(1));
    // Another was just stopped and has given its jobs back: this one takes them when it looks next.
    let (meant, entropy) = (ends(&world, &here, &many.file).await.expect("both answer"), parts(&world).1);
    let (clock, db) = (Arc::clone(&world.clock), world.app.db.clone());
    let looks = Looks { clock, db, left: AtomicU32::new(9) };
    let done = migrate(&meant, LAST, &looks, entropy.as_ref(), &mut |_| {}).await;
    assert_eq!(refused(done), "servers_running");
    meant.close().await;
    world.clock.advance(Span::minutes(1));

    // A server that starts while rows are copied, and a command that changes something.
    for is_server in [true, false] {
        let ends = ends(&world, &here, &many.file).await.expect("both answer");
        let (clock, entropy) = parts(&world);
        let (meant, app) = (AtomicBool::new(true), Arc::clone(&world.app));
        let data_dir = here.clone();
        let mut listen = |progress| {
            let is_table = matches!(progress, app::migrate::Progress::Compared { .. });
            if is_table && meant.swap(false, Ordering::SeqCst) {
                let (app, data_dir) = (Arc::clone(&app), data_dir.clone());
                tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(async move {
                        match is_server {
                            true => app::recovery::prepare(&app, &data_dir).await.expect("a server starts"),
                            false => drop(app::profiles::make(&app, &ADMIN, "between").await.expect("a new name")),
                        }
                    });
                });
            }
        };
        let done = migrate(&ends, LAST, clock.as_ref(), entropy.as_ref(), &mut listen).await;
        assert_eq!(refused(done), "source_changed", "a server: {is_server}");
        assert_eq!(refused(open(&world, &many.data_dir()).await), "migrate_unfinished");
        open(&world, &here).await.expect("here it goes on").db.close().await;
    }
    pass(&world, &here, &many.file, LAST).await.expect("nobody is served");
    // A server that ran on all the same ends within seconds.
    assert_eq!(app::age::watch(&world.app).await.code(), "installation_moved");
    assert_eq!(code(open(&world, &here).await.map(|_| ())), "installation_moved");
}
