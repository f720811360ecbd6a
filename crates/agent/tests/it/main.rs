//! The endpoint against a server that this test plays: real TLS over loopback, and every way to fail that a real
//! server and a real line have. The real server is met in xtask's demo.

mod activate;
mod append;
mod back;
mod choices;
mod command;
mod due;
mod fetch;
mod link;
mod orders;
mod play;
mod policy;
mod requests;
mod unattended;
mod units;
mod verify_restore;
