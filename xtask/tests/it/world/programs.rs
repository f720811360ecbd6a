//! The programs, built once, and the server as a process. Refuses release builds: a test tests what was just written.

use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// Where the programs are.
pub struct Programs {
    /// `holdfast-server`.
    pub server: PathBuf,
    /// `holdfast`.
    pub endpoint: PathBuf,
    /// The folder in which all of them are.
    pub folder: PathBuf,
}

/// Builds them, beside this test, the first time that they are asked for.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is a folder of the target directory");
        if !super::namespace::is_inside() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            // All of them: a part of the workspace would be built with other features, and every dependency anew.
            let build = ["build", "--locked", "--quiet", "--workspace", "--bins", "--target-dir"];
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let built = Command::new(cargo).args(build).arg(target).current_dir(root).status();
            assert!(built.is_ok_and(|ended| ended.success()), "the programs do not build");
        }
        let folder = target.join("debug");
        Programs { server: folder.join("holdfast-server"), endpoint: folder.join("holdfast"), folder }
    })
}

/// What the servers of this data directory have logged.
pub fn logged(data: &Path) -> String {
    fs::read_to_string(data.with_extension("log")).expect("a server opens it before it starts")
}

/// A server process. Killed when it is dropped.
pub struct Server {
    child: Child,
    port: u16,
    /// Held, so that the server's output has somewhere to go.
    _lines: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it and waits until it listens. Port 0 lets the system choose.
    pub fn start(data: &Path, port: u16) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(data.with_extension("log")).expect("writable");
        let mut child = Command::new(&programs().server)
            .args(["run", "--json", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut ready = String::new();
        lines.read_line(&mut ready).expect("readable");
        let ready: Value = serde_json::from_str(&ready)
            .unwrap_or_else(|_| panic!("the server does not listen on port {port}: {ready} {}", logged(data)));
        let address = ready["listening"].as_str().expect("it says where it listens");
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address has a port");
        Self { child, port, _lines: lines }
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
