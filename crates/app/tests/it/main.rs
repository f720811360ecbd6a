//! Use cases of `app` against a real database file and a real store, from outside: what the server calls.

#![allow(clippy::duplicate_mod, reason = "the same files run once on each database")]

mod audit;
mod backup;
mod between;
mod bucket;
mod campaign_end;
mod collect;
mod copies;
mod credentials;
mod decisions;
mod desk;
mod device_map;
mod fake_mailer;
mod fake_smtp;
mod fleet;
mod full;
mod hostile;
mod idempotency;
mod identity;
mod lost;
mod machine;
mod mail;
mod meanwhile;
mod merged;
mod migrate;
mod migrate_broken;
mod model;
mod on_postgres;
mod password;
mod policy;
mod purge;
mod quota;
mod recovery;
mod restore;
mod retention;
mod scrub;
mod smtp;
mod storage;
mod storage_model;
mod support;
mod ticket;
mod token;
mod told;
mod told_campaign;
mod twice;
mod work;
mod world;

/// Which database a world is on; `on_postgres` has the other.
const POSTGRES: bool = false;
