//! Holdfast: a server and an endpoint, over TLS on loopback, the server verifying everything.

use super::{Contender, Place, size_of};
use crate::bench::measure::{self, Measured};
use crate::demo::programs::{Programs, Server, ask};
use anyhow::{Context, Result, bail};
use base::Bytes;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Whose the endpoint is.
const EMAIL: &str = "ann@example.test";

/// Holdfast with one server.
pub struct Holdfast<'a> {
    programs: &'a Programs,
    place: Place<'a>,
    server: Server,
    watch: Option<Watch>,
}

/// A watch that runs.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        // It is ours, and has nothing to lose.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'a> Holdfast<'a> {
    /// A new server and a newly activated endpoint, which goes through `door`.
    pub fn begin(programs: &'a Programs, place: Place<'a>, door: &mut dyn FnMut(u16) -> Result<u16>) -> Result<Self> {
        let (data, password) = (place.repository(), place.password());
        programs.init(&data, &password)?;
        programs.user_add(&data, EMAIL, &password)?;
        let server = programs.serve(&data, 0)?;
        let (state, port) = (place.own.join("endpoint"), door(server.port)?);
        ask(&mut programs.activation(&state, port, &data, EMAIL, &password, place.folder))?;
        Ok(Self { programs, place, server, watch: None })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.programs.device(&self.place.own.join("endpoint"), arguments)
    }
}

impl Contender for Holdfast<'_> {
    fn backup(&mut self) -> Result<Option<Measured>> {
        self.watch = None;
        measure::run(&mut self.command(&["backup"]), Some(self.server.pid())).map(Some)
    }

    fn watch(&mut self) -> Result<()> {
        let mut command = self.command(&["watch"]);
        self.watch = Some(Watch(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("watching")?));
        let socket = self.place.own.join("endpoint/watch.sock");
        for _ in 0..500 {
            if socket.exists() {
                return ask(&mut self.command(&["backup"])).map(|_| ());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the watch does not listen at {}", socket.display())
    }

    fn backup_watched(&mut self) -> Result<Option<Measured>> {
        let measured = measure::run(&mut self.command(&["backup"]), Some(self.server.pid()))?;
        Ok(Some(measured))
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        measure::run(self.command(&["restore", "latest", "--to"]).arg(target), Some(self.server.pid()))
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(size_of(&self.place.repository()))
    }
}
