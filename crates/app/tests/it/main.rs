//! Use cases of `app` against a real database file and a real store, from outside: what the server calls.

#![allow(clippy::duplicate_mod, reason = "the same files run once on each database")]

mod backup;
mod hostile;
mod on_postgres;
mod policy;
mod quota;
mod restore;
mod scrub;
mod world;

/// Which database a world is on; `on_postgres` has the other.
const POSTGRES: bool = false;
