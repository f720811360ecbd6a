//! Use cases of `app` against a real database file and a real store, from outside: what the server calls.

mod backup;
mod fleet;
mod hostile;
mod restore;
mod scrub;
mod world;
