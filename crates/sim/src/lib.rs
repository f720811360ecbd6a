//! A fleet of simulated devices for load and for proof, and what it is asked on a command line.
//! Refuses to be part of the product: nothing depends on it.

pub mod command;
pub mod fleet;
pub mod percentile;
pub mod process;
pub mod repository;
pub mod simulator;
