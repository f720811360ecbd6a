//! The server over real TLS on loopback, and its command line as a person runs it. One binary, one file a subject.

mod activation;
mod admin;
mod attacks;
mod audit;
mod backup;
#[allow(dead_code, reason = "not every test here uses all of it")]
#[path = "../../../app/tests/it/between.rs"]
mod between;
mod burst;
mod cli;
mod cli_desk;
mod cli_lost;
mod cli_mail;
mod cli_migrate;
mod cli_policy;
mod cli_report;
mod cli_show;
mod cut;
mod device_map;
mod documents;
mod guesses;
mod lanes;
mod lifecycle;
mod line;
mod lost;
mod once;
mod openapi;
mod permits;
mod policy;
mod probe;
mod proofs;
mod proxied;
mod repository;
mod session;
mod several;
mod world;
