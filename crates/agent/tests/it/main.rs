//! The endpoint against a server that this test plays: real TLS over loopback, and every way to fail that a real
//! server and a real line have. The real server is met in xtask's demo.

mod activate;
mod command;
mod fetch;
mod link;
mod play;
mod requests;
