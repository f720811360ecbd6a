//! Use cases of `app` against a real database file and a real store, from outside: what the server calls.

mod backup;
mod desk;
mod device_map;
mod hostile;
mod machine;
mod password;
mod restore;
mod scrub;
mod ticket;
mod token;
mod world;
