//! Use cases of `app` against a real database file and a real store, from outside: what the server calls.

#![allow(clippy::duplicate_mod, reason = "the same files run once on each database")]

mod audit;
mod backup;
mod credentials;
mod hostile;
mod idempotency;
mod on_postgres;
mod restore;
mod scrub;
mod world;

/// Which database a world is on; `on_postgres` has the other.
const POSTGRES: bool = false;
