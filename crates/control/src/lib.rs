//! The rules: what a device, a user and an admin may do, and what follows. Rules in words: docs/control.md.
//! Refuses I/O, async, serde, clocks and randomness: `now` is an argument, effects are values that `app` carries out.

pub mod access;
pub mod activation;
pub mod admin;
pub mod attempts;
pub mod campaign;
pub mod counter;
pub mod desk;
pub mod device_map;
pub mod due;
pub mod lifecycle;
pub mod mail;
pub mod password;
pub mod permit;
pub mod policy;
mod proof;
pub mod quota;
mod refusal;
pub mod retention;
pub mod slots;
mod state;
pub mod storage;
pub mod ticket;
pub mod token;
pub mod user;
pub mod watch;

pub use base::Retry;
pub use lifecycle::{Effect, Event, Notice, Verdict};
pub use permit::{Permit, Permits};
pub use proof::{Proof, Strength};
pub use refusal::Refusal;
pub use state::{FlatState, Level, NonsenseState, Rights, State};
pub use user::{UserEvent, UserState};

#[cfg(test)]
mod document;
