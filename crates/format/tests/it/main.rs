//! The formats from outside: random values both ways, damage, and the bytes that are frozen.
//! Refuses nothing itself; what must be refused is in `damage`.

mod damage;
mod document;
mod golden;
mod random;
mod roundtrip;
mod sample;
mod seeds;
