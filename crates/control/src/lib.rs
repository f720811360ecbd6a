//! The rules: what a device, a user and an admin may do, and what follows. Rules in words: docs/control.md.
//! Refuses I/O, async, serde, clocks and randomness: `now` is an argument, effects are values that `app` carries out.

pub mod access;
pub mod activation;
pub mod lifecycle;
pub mod password;
pub mod permit;
pub mod policy;
mod proof;
pub mod quota;
mod refusal;
mod state;
pub mod user;

pub use lifecycle::{Effect, Event, Notice, Verdict};
pub use permit::{Permit, Permits};
pub use proof::{Proof, Strength};
pub use refusal::{Refusal, Retry};
pub use state::{FlatState, Level, NonsenseState, Rights, State};
pub use user::{UserEvent, UserState};

#[cfg(test)]
mod document;
