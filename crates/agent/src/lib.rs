//! The endpoint: this computer's files as the engine's ports, the way to the server, and the commands of a person.
//! Refuses to decide about its own activation: it asks, and obeys the last answer. Commands: docs/cli.md.

pub mod activation;
pub mod backup;
pub mod cache;
pub mod cli;
pub mod due;
pub mod error;
pub mod evidence;
pub mod files;
pub mod folders;
pub mod hidden;
pub mod journal;
pub mod last;
pub mod owed;
pub mod parent;
pub mod password;
pub mod places;
pub mod policy;
pub mod remote;
pub mod restore;
pub mod snapshots;
pub mod state;
pub mod status;
pub mod support;
pub mod unattended;
pub mod verify_restore;
pub mod wipe;
