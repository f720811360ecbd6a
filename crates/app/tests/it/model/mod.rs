//! The control plane beside a naive model: random people, devices, tokens, campaigns, lost replies, repeats and clock
//! jumps go through the real `app`, and after every step the two must agree. Refuses a seed that it does not name.
//!
//! A failure prints its seed and the last steps; put the seed into `REGRESSIONS` and keep it there. For more seeds than
//! a normal run has: `cargo xtask soak control --seeds N`, which writes the first seed and the count into the file
//! `soak_control` of cargo's directory for tests (`target/tmp`) and runs the ignored test `soak`, which reads it.

mod admin;
mod asks;
mod book;
mod check;
mod desk;
mod devices;
mod dice;
mod play;

use play::Play;

/// Steps with one seed.
const STEPS: u32 = 250;
/// Seeds of the normal run.
const SEEDS: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
/// Seeds that have found something once.
const REGRESSIONS: [u64; 0] = [];
/// Where `cargo xtask soak` says what to run.
const SOAK: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/soak_control");

#[tokio::test]
async fn the_control_plane_agrees_with_a_naive_model_whatever_happens() {
    let (mut all, mut at_desk) = ([0; 8], [0; 4]);
    for seed in REGRESSIONS.into_iter().chain(SEEDS) {
        let (granted, decided) = Play::run(seed, STEPS).await;
        all = std::array::from_fn(|n| all[n] + granted[n]);
        at_desk = std::array::from_fn(|n| at_desk[n] + decided[n]);
    }
    let [often @ .., erased] = all;
    assert!(often.iter().all(|count| *count >= 10) && erased >= 1, "too little is played to mean anything: {all:?}");
    assert!(at_desk.iter().all(|count| *count >= 1), "too little is decided to mean anything: {at_desk:?}");
}

#[tokio::test]
#[ignore = "as long as one likes: cargo xtask soak control"]
async fn soak() {
    let told = std::fs::read_to_string(SOAK).expect("`cargo xtask soak control` has written what to run");
    let mut numbers = told.split_whitespace().map(|number| number.parse::<u64>().expect("a number"));
    let (first, count) = (numbers.next().expect("the first seed"), numbers.next().expect("how many seeds"));
    for seed in first..first + count {
        Play::run(seed, STEPS).await;
    }
}
