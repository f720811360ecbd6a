//! Use cases of `app` against a real database file and a real store, from outside: what the server calls.

#![allow(clippy::duplicate_mod, reason = "the same files run once on each database")]

mod audit;
mod backup;
mod credentials;
mod decisions;
mod desk;
mod device_map;
mod fake_smtp;
mod fleet;
mod hostile;
mod idempotency;
mod machine;
mod mail;
mod model;
mod on_postgres;
mod password;
mod policy;
mod quota;
mod restore;
mod scrub;
mod smtp;
mod ticket;
mod token;
mod world;

/// Which database a world is on; `on_postgres` has the other.
const POSTGRES: bool = false;
