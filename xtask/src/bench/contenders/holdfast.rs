//! Holdfast: a server and an endpoint, over TLS on loopback, the server verifying everything.

use super::{Contender, Place, size_of};
use crate::bench::measure::{self, Measured};
use crate::demo::programs::{Programs, Server, ask};
use anyhow::Result;
use base::Bytes;
use std::path::Path;
use std::process::Command;

/// Holdfast with one server.
pub struct Holdfast<'a> {
    programs: &'a Programs,
    place: Place<'a>,
    server: Server,
}

impl<'a> Holdfast<'a> {
    /// A new server and a newly activated endpoint, which goes through `door`.
    pub fn begin(programs: &'a Programs, place: Place<'a>, door: &mut dyn FnMut(u16) -> Result<u16>) -> Result<Self> {
        let (data, password) = (place.repository(), place.password());
        programs.init(&data, &password)?;
        ask(programs.admin(&data, &["user", "add", "ann@example.test", "--password-file"]).arg(&password))?;
        let server = programs.serve(&data, 0)?;
        let url = format!("https://localhost:{}", door(server.port)?);
        let arguments = ["activate", "--server", &url, "--email", "ann@example.test", "--password-file"];
        let mut activate = programs.device(&place.own.join("endpoint"), &arguments);
        ask(activate.arg(&password).arg("--ca").arg(data.join("ca.pem")).arg("--folder").arg(place.folder))?;
        Ok(Self { programs, place, server })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.programs.device(&self.place.own.join("endpoint"), arguments)
    }
}

impl Contender for Holdfast<'_> {
    fn backup(&mut self) -> Result<Option<Measured>> {
        measure::run(&mut self.command(&["backup"]), Some(self.server.pid())).map(Some)
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        measure::run(self.command(&["restore", "latest", "--to"]).arg(target), Some(self.server.pid()))
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(size_of(&self.place.repository()))
    }
}
