//! A seeded generator (splitmix64), and a clock that jumps both ways. Refuses to be of use beyond this test.

use base::{Clock, Span, Timestamp};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Mutex;

/// Random numbers, the same for the same seed.
pub struct Dice(u64);

/// A clock that stands still until it jumps.
pub struct JumpyClock(Mutex<Timestamp>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())].clone()) }
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }
}

impl JumpyClock {
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    pub fn forward(&self, span: Span) {
        let mut now = self.0.lock().expect("no test panics with it");
        *now = *now + span;
    }

    pub fn back(&self, span: Span) {
        let mut now = self.0.lock().expect("no test panics with it");
        *now = *now - span;
    }
}

impl Clock for JumpyClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no test panics with it")
    }

    fn sleep(&self, span: Span) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.forward(span);
        Box::pin(ready(()))
    }
}
