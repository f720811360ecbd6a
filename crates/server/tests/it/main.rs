//! The server over real TLS on loopback, and its command line as a person runs it. One binary, one file a subject.

mod activation;
mod admin;
mod audit;
mod backup;
mod cli;
mod documents;
mod lifecycle;
mod once;
mod openapi;
mod permits;
mod probe;
mod repository;
mod session;
mod world;
