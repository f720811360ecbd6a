//! A fleet against the real server over TLS on loopback. One binary, one file a subject.

mod fleet;
mod world;
