//! The PostgreSQL server of a test binary. Refuses TCP, and to outlive the binary: a shell waits for the end of a pipe
//! that only the binary holds, then stops the server by its pid and removes the directory.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

/// The account that runs the server when the tests are run by root, whom PostgreSQL refuses.
const UNPRIVILEGED: &str = "nobody";
/// A database with the tables in it, of which each test gets a copy.
const TEMPLATE: &str = "holdfast_template";
/// The owner of everything.
const OWNER: &str = "postgres";
/// Where distributions put the programs of a server, besides PATH.
const PLACES: [&str; 5] =
    ["/usr/lib/postgresql/*/bin", "/usr/local/bin", "/usr/pgsql-*/bin", "/opt/homebrew/bin", "/usr/local/pgsql/bin"];
/// No test waits for a disk, and a hundred of them fit.
const SERVER_OPTIONS: &str = "-c listen_addresses= -c fsync=off -c full_page_writes=off -c synchronous_commit=off \
     -c max_connections=400 -c shared_buffers=32MB -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=64MB";
/// Stops the server and removes its directory once the standard input ends. `$1` is the directory.
const WATCH: &str = "trap '' INT TERM HUP; cat >/dev/null; pid=$(head -n 1 \"$1/data/postmaster.pid\"); \
     kill -QUIT \"$pid\"; while kill -0 \"$pid\"; do sleep 0.1; done; rm -rf \"$1\"";

static SERVER: OnceLock<Server> = OnceLock::new();
/// Databases whose tests have ended; the next test that wants one removes them.
static ENDED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A database of a server.
pub(super) struct Database {
    /// Its name in the shared server; `None` where the server goes away with it.
    name: Option<String>,
    url: String,
}

/// A PostgreSQL server.
pub(super) struct Server {
    bin: PathBuf,
    root: bool,
    dir: PathBuf,
    /// Holds the pipe for whose end the shell waits.
    _watch: Child,
    template: tokio::sync::OnceCell<()>,
}

impl Database {
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let (Some(name), Ok(mut ended)) = (self.name.take(), ENDED.lock()) {
            ended.push(name);
        }
    }
}

/// A new database with the tables in it.
pub(super) async fn database() -> Database {
    let server = SERVER.get_or_init(start);
    let mut conn = server.connect("postgres").await;
    server.template.get_or_init(|| template(server)).await;
    let ended = std::mem::take(&mut *ENDED.lock().expect("no test panics while it holds it"));
    for name in ended {
        run(&mut conn, std::format!("drop database {name} with (force)")).await;
    }
    let name = std::format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    run(&mut conn, std::format!("create database {name} template {TEMPLATE}")).await;
    conn.close().await.expect("the server is there");
    Database { url: server.url(&name), name: Some(name) }
}

/// A server of one test alone, and a new database in it.
pub(super) async fn alone() -> (Server, Database) {
    let server = start();
    template(&server).await;
    let url = server.url(TEMPLATE);
    (server, Database { name: None, url })
}

/// The same without tables.
pub(super) async fn alone_empty() -> (Server, Database) {
    let server = start();
    let mut conn = server.connect("postgres").await;
    empty(&mut conn).await;
    let url = server.url(TEMPLATE);
    (server, Database { name: None, url })
}

impl Server {
    /// Ends every process of the server at once, as a crash would, and starts it again: it recovers from its log.
    pub(super) fn crash(&self) {
        let mut restart = program(&self.bin, "pg_ctl", self.root);
        restart.args(["restart", "-w", "-s", "-m", "immediate", "-D"]).arg(self.dir.join("data"));
        succeed(restart.arg("-l").arg(self.dir.join("log")).current_dir(&self.dir));
    }

    fn url(&self, name: &str) -> String {
        std::format!("postgres://{OWNER}@localhost/{name}?host={}&sslmode=disable", self.dir.display())
    }

    async fn connect(&self, name: &str) -> PgConnection {
        let options: PgConnectOptions = self.url(name).parse().expect("our own address");
        options.disable_statement_logging().connect().await.expect("the test server answers")
    }
}

async fn template(server: &Server) {
    empty(&mut server.connect("postgres").await).await;
    // A copy is taken only of a database that nobody uses.
    crate::Db::connect(&server.url(TEMPLATE), None).await.expect("an empty database takes the tables").close().await;
}

async fn empty(conn: &mut PgConnection) {
    run(conn, std::format!("create database {TEMPLATE} encoding 'UTF8' template template0")).await;
}

async fn run(conn: &mut PgConnection, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(conn).await.expect("the test server does as it is told");
}

fn start() -> Server {
    let bin = bin();
    // Not where TMPDIR says: the path of a socket has at most 107 bytes.
    let dir = tempfile::Builder::new().prefix("holdfast-pg-").tempdir_in("/tmp").expect("/tmp can be written").keep();
    let root = is_root(&dir);
    if root {
        succeed(Command::new("chown").arg(UNPRIVILEGED).arg(&dir));
    }
    let data = dir.join("data");
    succeed(
        program(&bin, "initdb", root)
            .args(["-A", "trust", "-N", "-U", OWNER, "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .current_dir(&dir),
    );
    let watch = watch(&dir);
    succeed(
        program(&bin, "pg_ctl", root)
            .args(["start", "-w", "-s", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(dir.join("log"))
            .arg("-o")
            .arg(std::format!("{SERVER_OPTIONS} -c unix_socket_directories={}", dir.display()))
            .current_dir(&dir),
    );
    Server { bin, root, dir, _watch: watch, template: tokio::sync::OnceCell::new() }
}

/// The shell that cleans up. Started before the server, so that nothing is left whatever comes between.
fn watch(dir: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", WATCH, "sh"]).arg(dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.process_group(0).spawn().expect("there is a shell")
}

/// A program of the server, as somebody whom it does not refuse.
fn program(bin: &Path, name: &str, root: bool) -> Command {
    if !root {
        return Command::new(bin.join(name));
    }
    let mut command = Command::new("setpriv");
    command.arg(std::format!("--reuid={UNPRIVILEGED}")).args(["--regid=nogroup", "--clear-groups"]).arg(bin.join(name));
    command
}

fn succeed(command: &mut Command) {
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let ended = ended.expect("the program can be started");
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// Whether root runs these tests: what is made now is root's.
fn is_root(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(dir).expect("it was just made").uid() == 0
}

/// The directory of the newest `initdb` that there is.
fn bin() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for place in PLACES {
        places.extend(spread(place));
    }
    let found = places.into_iter().find(|place| place.join("initdb").is_file() && place.join("pg_ctl").is_file());
    found.expect("these tests need PostgreSQL 15 or newer (initdb, pg_ctl): `cargo xtask test` installs it")
}

/// The directories that a pattern with one `*` names, the last first.
fn spread(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let before = Path::new(before);
    let (parent, prefix) = match pattern.as_bytes()[before.as_os_str().len() - 1] {
        b'/' => (before, OsStr::new("")),
        _ => (before.parent().unwrap_or(before), before.file_name().unwrap_or_default()),
    };
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(&*prefix.to_string_lossy())).collect();
    names.sort_by_key(|name| name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().unwrap_or(0));
    names.iter().rev().map(|name| parent.join(name).join(after.trim_start_matches('/'))).collect()
}
