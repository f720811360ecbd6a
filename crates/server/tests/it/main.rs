//! The server over real TLS on loopback, and its command line as a person runs it. One binary, one file a subject.

mod activation;
mod admin;
mod audit;
mod backup;
mod cli;
mod cli_mail;
mod cli_policy;
mod cut;
mod documents;
mod lanes;
mod lifecycle;
mod once;
mod openapi;
mod permits;
mod policy;
mod probe;
mod proofs;
mod repository;
mod session;
mod world;
