//! Use cases of `app` against a real database file and a real store, from outside: what the server calls.

mod backup;
mod fake_smtp;
mod hostile;
mod mail;
mod restore;
mod scrub;
mod smtp;
mod world;
