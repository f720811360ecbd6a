//! A server and its devices as processes of the real programs, in a folder that goes away with them.
//! Refuses to look inside a program: what is known of it is what it answers, and what lies on the disk.

pub mod answer;
pub mod desk;
pub mod namespace;
pub mod noise;
pub mod programs;

// The bench's own line, slow, late, and lost at will.
#[allow(dead_code, reason = "the tests do not use all of it")]
#[path = "../../src/bench/links/line.rs"]
pub mod line;

// The demo's own judge, which knows nothing of the product.
#[path = "../../src/demo/compare.rs"]
pub mod compare;

use answer::{Answer, Running};
use programs::{Server, programs};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use walkdir::WalkDir;

/// The person whose devices are backed up, and another one.
pub const ANN: &str = "ann@example.test";
pub const BOB: &str = "bob@example.test";
const PASSWORD: &str = "correct horse battery staple\n";
/// How long an endpoint goes on asking, in seconds. Longer than any restart of a server, shorter than a test.
const PATIENCE: &str = "20";

/// A server that runs, a folder to back up, and room for devices.
pub struct World {
    // Before the folder: it ends before its data goes away.
    server: Option<Server>,
    place: TempDir,
    port: u16,
}

impl World {
    /// A server with two users, and an empty folder `source`.
    pub fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// The same; `prepare` is called with the server's data directory before the server runs.
    pub fn start_with(prepare: impl FnOnce(&Path)) -> Self {
        let place = tempfile::Builder::new().prefix("holdfast-it-").tempdir().expect("a temporary folder");
        let mut world = Self { place, server: None, port: 0 };
        fs::write(world.password(), PASSWORD).expect("writable");
        fs::create_dir(world.source()).expect("writable");
        let password = world.password();
        let password = password.to_str().expect("a plain path");
        let init = ["init", "--admin-email", "admin@example.test", "--admin-password-file", password];
        world.admin(init).done();
        for user in [ANN, BOB] {
            world.admin(["user", "add", user, "--password-file", password]).done();
        }
        prepare(&world.data());
        world.serve();
        world
    }

    /// The temporary folder that holds everything.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// The server's data directory.
    pub fn data(&self) -> PathBuf {
        self.place().join("data")
    }

    /// What is backed up.
    pub fn source(&self) -> PathBuf {
        self.place().join("source")
    }

    /// A file with everybody's password.
    pub fn password(&self) -> PathBuf {
        self.place().join("password")
    }

    /// Where the server listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server, on the port that it had.
    pub fn serve(&mut self) {
        let server = Server::start(&self.data(), self.port);
        self.port = server.port();
        self.server = Some(server);
    }

    /// Ends the server without a word.
    pub fn kill_server(&mut self) {
        drop(self.server.take());
    }

    /// An admin's command.
    pub fn admin<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Answer {
        let mut command = Command::new(&programs().server);
        command.arg("--json").arg("--data").arg(self.data()).args(arguments);
        Running::begin(command, self.place()).wait()
    }

    /// A scrub that finds nothing.
    pub fn assert_sound(&self) {
        let found = self.admin(["scrub"]).done();
        assert_eq!(found["clean"], true, "{found}");
    }

    /// What the server has logged since the beginning.
    pub fn log(&self) -> String {
        programs::logged(&self.data())
    }

    /// A device with a state of its own, which is not activated yet.
    pub fn device(&self, name: &str) -> Device<'_> {
        let state = self.place().join(format!("state-{name}"));
        let program = programs().endpoint.clone();
        let ca = self.data().join("ca.pem");
        Device { world: self, state, user: ANN, port: self.port, patience: PATIENCE, before: Vec::new(), program, ca }
    }

    /// A device of the first user, activated to back up `source`.
    pub fn activated(&self, name: &str) -> Device<'_> {
        let device = self.device(name);
        device.activate().done();
        device
    }

    /// Whole packs in the server's store, the largest first.
    pub fn packs(&self) -> Vec<PathBuf> {
        let walk = WalkDir::new(self.data().join("store").join("packs")).into_iter().filter_map(Result::ok);
        let files = walk.filter(|entry| entry.file_type().is_file());
        let mut packs: Vec<_> =
            files.filter_map(|file| Some((file.metadata().ok()?.len(), file.into_path()))).collect();
        packs.sort_by(|a, b| b.cmp(a));
        packs.into_iter().map(|(_, path)| path).collect()
    }

    /// Writes a file below `source`, and the folders on the way to it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.source().join(path);
        fs::create_dir_all(path.parent().expect("below source")).expect("writable");
        fs::write(path, content).expect("writable");
    }
}

/// Adds lines to the server's configuration.
pub fn configure(data: &Path, more: &str) {
    let config = data.join("holdfast.toml");
    let text = fs::read_to_string(&config).unwrap_or_default();
    fs::write(&config, format!("{text}\n{more}\n")).expect("writable");
}

/// A device: the endpoint with a state directory.
#[derive(Clone)]
pub struct Device<'a> {
    /// Where it is.
    pub world: &'a World,
    /// Where its state is.
    pub state: PathBuf,
    /// Who activates it.
    pub user: &'static str,
    /// Where it believes the server to be.
    pub port: u16,
    /// How long it goes on asking, in seconds.
    pub patience: &'static str,
    /// A command that runs the endpoint, and its arguments.
    pub before: Vec<String>,
    /// The endpoint.
    pub program: PathBuf,
    /// The authority that it is told to trust.
    pub ca: PathBuf,
}

impl Device<'_> {
    /// Activates it with the password and the server's authority, to back up `source`.
    pub fn activate(&self) -> Answer {
        let source = self.world.source();
        self.activate_with(&[OsStr::new("--ca"), self.ca.as_ref(), OsStr::new("--folder"), source.as_ref()])
    }

    /// Activates it with the password, and more that is said.
    pub fn activate_with(&self, more: &[&OsStr]) -> Answer {
        let url = format!("https://127.0.0.1:{}", self.port);
        let password = self.world.password();
        let begin = ["activate", "--server", &url, "--email", self.user, "--password-file"];
        let all = begin.iter().map(OsStr::new).chain([password.as_os_str()]).chain(more.iter().copied());
        self.ask(all)
    }

    /// What it backs up.
    pub fn source(&self) -> PathBuf {
        self.world.source()
    }

    /// One command, to its end.
    pub fn ask<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Answer {
        self.begin(arguments).wait()
    }

    /// One command, begun.
    pub fn begin<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        let mut words = self.before.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().expect("there is the endpoint"));
        command.args(words).args(["--json", "--patience", self.patience, "--state"]).arg(&self.state).args(arguments);
        Running::begin(command, self.world.place())
    }

    /// A backup of what the state says.
    pub fn backup(&self) -> Answer {
        self.ask(["backup"])
    }

    /// Restores `source` of the newest snapshot into a fresh folder; the answer, and the restored `source`.
    pub fn restore(&self) -> (Answer, PathBuf) {
        let to = self.fresh();
        let source = self.world.source();
        let words = [OsStr::new("restore"), "latest".as_ref(), source.as_ref(), "--to".as_ref(), to.as_ref()];
        (self.ask(words), to.join("source"))
    }

    /// A folder that is not there yet.
    pub fn fresh(&self) -> PathBuf {
        static RESTORES: AtomicU32 = AtomicU32::new(0);
        self.world.place().join(format!("restored-{}", RESTORES.fetch_add(1, Ordering::Relaxed)))
    }

    /// The newest snapshot restores to exactly what `source` is now.
    pub fn assert_restores(&self) {
        let (answer, restored) = self.restore();
        answer.done();
        let compared = compare::trees(&self.world.source(), &restored);
        let compared = compared.unwrap_or_else(|error| panic!("the restored folder differs: {error:#}"));
        assert!(compared.entries > 0 && compared.bytes < u64::MAX);
        fs::remove_dir_all(restored.parent().expect("below a fresh folder")).expect("removable");
    }

    /// A backup without a problem, after which everything restores and the repository is sound.
    pub fn assert_good_backup(&self) -> serde_json::Value {
        let done = self.backup().done();
        self.assert_restores();
        self.world.assert_sound();
        done
    }
}
