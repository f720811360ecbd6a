//! Three servers as somebody sets them up who wants no one machine to be needed: real processes, each with its own copy
//! of the data directory, one PostgreSQL, one bucket, one address before them. Refuses to end what it has not started.

use super::balancer::Balancer;
use crate::cli::program;
use crate::line::Line;
use crate::world::{EMAIL, PASSWORD, trusting};
use app::init::tls_files;
use base::Span;
use db::testing::TempDb;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use store::testing::S3Server;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Servers of a cluster.
pub const SERVERS: usize = 3;
/// A server has started, or stopped, after this at the latest.
const TURN_SPAN: Span = Span::seconds(30);

/// The servers and what they share.
pub struct Cluster {
    pub servers: Vec<Server>,
    pub balancer: Balancer,
    dir: TempDir,
    _bucket: S3Server,
    _database: TempDb,
}

/// One of them.
pub struct Server {
    /// Its way to the database.
    pub line: Line,
    pub data: PathBuf,
    process: Option<Process>,
}

struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Cluster {
    /// Three servers that get connections, and one user.
    pub async fn start() -> Cluster {
        let (dir, bucket) = (tempfile::tempdir().expect("a temporary directory"), S3Server::start().await);
        let database = db::testing::postgres().await;
        let url = database.url().expect("a server has an address");
        std::fs::write(dir.path().join("password"), format!("{PASSWORD}\n")).expect("own file");
        let mut servers = Vec::new();
        for number in 0..SERVERS {
            let (data, line) = (dir.path().join(format!("server{number}")), Line::to(url));
            match servers.first() {
                None => made(dir.path(), &data, &bucket, &line).await,
                Some(Server { data: first, .. }) => copied(first, &data).await,
            }
            std::fs::write(data.join("holdfast.toml"), config(&bucket, &line)).expect("own file");
            servers.push(Server { line, data, process: None });
        }
        let tls = trusting(&tls_files(&servers[0].data).expect("what init has made"));
        let balancer = Balancer::start(SERVERS, tls).await;
        let mut cluster = Cluster { servers, balancer, dir, _bucket: bucket, _database: database };
        // All at the same time, as machines after a power cut.
        futures::future::join_all(cluster.servers.iter_mut().map(Server::start)).await;
        for number in 0..SERVERS {
            cluster.seen(number).await;
        }
        let password = cluster.dir.path().join("password");
        cluster.command(&["user", "add", EMAIL, "--password-file", password.to_str().expect("text")]).await;
        cluster
    }

    /// Where devices reach whichever server is well.
    pub fn url(&self) -> String {
        format!("https://{}", self.balancer.address)
    }

    /// A folder of the test's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir(&folder).expect("a name of its own");
        folder
    }

    /// What devices pin.
    pub fn authority(&self) -> String {
        std::fs::read_to_string(self.servers[0].data.join("ca.pem")).expect("what init has made")
    }

    /// Starts a server that is not running; returns once it gets connections.
    pub async fn start_again(&mut self, number: usize) {
        self.servers[number].start().await;
        self.seen(number).await;
    }

    /// Returns once a server that was started gets connections.
    async fn seen(&self, number: usize) {
        self.balancer.set(number, self.servers[number].address());
        self.balancer.sees(number, true).await;
    }

    /// Runs a command beside the first server, and gives its answer.
    pub async fn command(&self, arguments: &[&str]) -> Value {
        answer(Command::from(program()).arg("--data").arg(&self.servers[0].data).args(arguments)).await
    }

    /// Runs a command that asks the server with this number, and gives its answer.
    pub async fn command_at(&self, number: usize, credential: &Path, arguments: &[&str]) -> Value {
        let server = &self.servers[number];
        let mut command = Command::from(program());
        command.arg("--server").arg(format!("https://{}", server.address()));
        command.arg("--ca").arg(server.data.join("ca.pem")).arg("--credential-file").arg(credential);
        answer(command.args(arguments)).await
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.as_ref().expect("it runs").address
    }

    async fn start(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = OpenOptions::new().create(true).append(true).open(self.data.join("log")).expect("own file");
        let mut command = Command::from(program());
        command.arg("--data").arg(&self.data).args(["--json", "run", "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().expect("the program is built");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = in_time("to start", said.next_line()).await.expect("text");
        let line = line.unwrap_or_else(|| panic!("the server did not start: {}", self.log()));
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        let address = answer["listening"].as_str().unwrap_or_else(|| panic!("the server did not start: {answer}"));
        let address = address.parse().expect("an address");
        self.process = Some(Process { child, said, address });
    }

    /// Ends it without a word.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        in_time("to be killed", process.child.kill()).await.expect("it is ours");
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        let id = process.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).expect("it has not ended");
        kill_process(id, Signal::TERM).expect("it is ours");
        let line = in_time("to stop", process.said.next_line()).await.expect("text");
        assert_eq!(line.as_deref(), Some("{\"stopped\":true}"), "{}", self.log());
        let ended = in_time("to end", process.child.wait()).await.expect("it is ours");
        assert!(ended.success(), "{ended}: {}", self.log());
    }

    /// What it has said to whoever operates it.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.join("log")).unwrap_or_default()
    }
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(TURN_SPAN.as_duration(), work).await;
    done.unwrap_or_else(|_| panic!("the server takes too long {what}"))
}

/// The answer of a command that succeeds.
async fn answer(command: &mut Command) -> Value {
    let output = command.arg("--json").output().await.expect("the program is built");
    assert!(output.status.success(), "{}", crate::cli::said(&output));
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

fn config(bucket: &S3Server, line: &Line) -> String {
    let (name, endpoint, url) = (bucket.bucket(), bucket.endpoint(), line.url());
    format!(
        "database.url = \"{url}\"\npassword.memory_mib = 1\npassword.passes = 1\n\
         s3.bucket = \"{name}\"\ns3.endpoint = \"{endpoint}\"\ns3.key_file = \"s3.key\"\n"
    )
}

/// The first data directory, as `init` makes it.
async fn made(dir: &Path, data: &Path, bucket: &S3Server, line: &Line) {
    std::fs::create_dir(data).expect("own directory");
    std::fs::write(data.join("holdfast.toml"), config(bucket, line)).expect("own file");
    let key = bucket.key();
    let mut file = private(&data.join("s3.key"));
    let text = format!("{}\n{}\n", key.id, key.secret.as_str());
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("own file");
    let mut command = Command::from(program());
    command.arg("--data").arg(data).args(["init", "--admin-email", "admin@example.org", "--admin-password-file"]);
    answer(command.arg(dir.join("password"))).await;
}

/// The directory of one more server: a copy of the first.
async fn copied(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().await.expect("there is cp");
    assert!(copied.success(), "{copied}");
}

/// A new file, for its owner alone.
pub fn private(path: &Path) -> File {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("own directory")
}
