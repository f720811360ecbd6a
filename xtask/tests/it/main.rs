//! The two real programs under everything that goes wrong around them: whatever happens, a command says what and how
//! to go on, with a stable code, and nothing is lost. One binary, one file a subject.
#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "a test that is skipped says why")]

mod admin;
mod changing;
mod content;
mod disks;
mod doors;
mod entries;
mod fidelity;
mod fleet;
mod folders;
mod kills;
mod lifecycle;
mod local;
mod restarts;
mod watched;
mod ways;
mod world;
