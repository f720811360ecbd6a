//! An admin at the command line, over HTTPS: each command once for machines and once for people.
//! Refuses an answer for people that is wider than a terminal, or that shows more or less than one that succeeded.

use super::World;
use super::answer::{Answer, Running};
use super::programs::programs;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The admin's place: a credential of the running server.
pub struct Desk<'a> {
    world: &'a World,
    credential: PathBuf,
}

impl<'a> Desk<'a> {
    /// With a credential that may do everything.
    pub fn of(world: &'a World) -> Self {
        let credential = world.place().join("credential");
        let make = ["credential", "make", "--name", "desk", "--permit", "all", "--file"];
        world.admin(make.iter().map(OsStr::new).chain([credential.as_os_str()])).done();
        Self { world, credential }
    }

    /// A command for machines.
    pub fn ask<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Answer {
        let mut command = self.command();
        command.arg("--json").args(arguments);
        Running::begin(command, self.world.place()).wait()
    }

    /// A command for machines that does what it is to; its answer.
    pub fn done<const N: usize>(&self, arguments: [&str; N]) -> Value {
        self.ask(arguments).done()
    }

    /// A command for people that does what it is to. It is read through a pipe, where nothing is cut.
    pub fn text<const N: usize>(&self, arguments: [&str; N]) -> String {
        let ran = self.command().args(arguments).stdin(Stdio::null()).output().expect("the program starts");
        let text = String::from_utf8(ran.stdout).expect("text");
        assert!(ran.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&ran.stderr));
        assert!(!text.trim().is_empty(), "{arguments:?} says nothing");
        for line in text.lines() {
            assert!(!line.contains('…'), "{arguments:?} is cut: {line}");
            assert!(!line.chars().any(char::is_control), "{arguments:?} steers the terminal: {line:?}");
        }
        text
    }

    /// A command that changes nothing, for machines and for people; both answers.
    pub fn both<const N: usize>(&self, arguments: [&str; N]) -> (Value, String) {
        (self.done(arguments), self.text(arguments))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&programs().server);
        let url = format!("https://127.0.0.1:{}", self.world.port());
        command.args(["--server", &url, "--credential-file"]).arg(&self.credential);
        command.arg("--ca").arg(self.world.data().join("ca.pem"));
        command
    }
}
