//! A fleet against the real server over TLS on loopback, and the simulator. One binary, one file a subject.

mod fleet;
mod simulator;
mod world;
