//! restic, with a local repository or over its REST protocol.

use super::{Contender, Place, install, size_of};
use crate::bench::measure::{self, Measured};
use anyhow::{Context, Result, bail, ensure};
use base::Bytes;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The name of the repository at the REST server.
const REPOSITORY: &str = "repository";
const USER: &str = "bench";

/// restic with one repository.
pub struct Restic<'a> {
    place: Place<'a>,
    rest: Option<Rest>,
}

impl<'a> Restic<'a> {
    /// A new repository.
    pub fn begin(place: Place<'a>, rest: Option<Rest>) -> Result<Self> {
        let restic = Self { place, rest };
        let made = restic.command(&["init"]).stdout(Stdio::null()).status().context("running restic")?;
        ensure!(made.success(), "restic init failed");
        Ok(restic)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command.args(["--quiet", "--repo"]);
        match &self.rest {
            Some(Rest { address, .. }) => command.arg(format!("rest:http://{USER}:{USER}@{address}/{REPOSITORY}/")),
            None => command.arg(self.place.repository()),
        };
        command.arg("--password-file").arg(self.place.password());
        command.arg("--cache-dir").arg(self.place.cache()).args(arguments);
        command
    }

    fn server(&self) -> Option<u32> {
        self.rest.as_ref().map(|rest| rest.child.id())
    }
}

impl Contender for Restic<'_> {
    fn backup(&mut self) -> Result<Option<Measured>> {
        measure::run(self.command(&["backup"]).arg(self.place.folder), self.server()).map(Some)
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        measure::run(self.command(&["restore", "latest", "--target"]).arg(target), self.server())
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(size_of(&self.place.repository()))
    }
}

/// A REST server on loopback, without TLS and without passwords. Killed when it is dropped.
pub struct Rest {
    child: Child,
    address: SocketAddr,
}

impl Rest {
    /// Starts it, and waits until it answers.
    pub fn start(place: &Place<'_>) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // The server asks for a name, also where it takes any password, and ends if it is given none.
        fs::create_dir_all(place.repository())?;
        fs::write(place.repository().join("acl.toml"), format!("[{REPOSITORY}]\n{USER} = \"Modify\"\n"))?;
        let mut command = Command::new(install::of_tools(place.tools, "rustic-server"));
        command.args(["serve", "--no-auth", "--listen", &address.to_string(), "--path"]).arg(place.repository());
        let mut rest = Self {
            child: command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting the REST server")?,
            address,
        };
        for _ in 0..100 {
            if TcpStream::connect(address).is_ok() {
                return Ok(rest);
            }
            if let Some(status) = rest.child.try_wait()? {
                bail!("the REST server ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the REST server does not answer")
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
