//! The simulator plays the same seed in the same way, and finds nothing on the seeds that once found something.
//! `cargo xtask simulate` plays many more, and plants bugs that must be found.

use sim::simulator::{Outcome, Plan, play};
use std::thread;

/// Seeds that have found something, with their devices and days. What they found has tests of its own.
const REGRESSIONS: [(u64, u32, u32); 4] = [
    // A manifest that a killed commit had left kept every stray pack for ever.
    (12, 8, 12),
    // Two packs had brought a chunk, and scrub took it for a flaw that the index did not know it any more.
    (14, 8, 12),
    // Two collections at once, each without a lease, removed what was needed.
    (1, 8, 12),
    // A collection went on where it was although another server had had it in between.
    (23, 8, 12),
];

fn small(seed: u64) -> Plan {
    Plan { devices: 5, days: 6, ..Plan::of(seed) }
}

/// On a thread of its own, whatever the test's has been used for.
fn played(plan: Plan) -> Outcome {
    let outcome = thread::spawn(move || play(plan)).join().expect("a play does not panic");
    let last: Vec<&str> = outcome.trace.newest(40).collect();
    assert_eq!(outcome.broken, None, "{}", last.join("\n"));
    outcome
}

#[test]
fn the_same_seed_is_the_same_play_and_another_seed_another() {
    for seed in [3, 4] {
        let (one, two) = (played(small(seed)), played(small(seed)));
        assert_eq!((one.trace.digest(), one.figures), (two.trace.digest(), two.figures), "seed {seed}");
        assert!(one.trace.lines() > 100 && one.figures.kills > 0, "{}", one.figures);
    }
    assert_ne!(played(small(3)).trace.digest(), played(small(4)).trace.digest());
}

#[test]
fn where_nothing_goes_wrong_but_what_admins_order_most_runs_make_a_snapshot() {
    let outcome = played(Plan { faults: false, kill_once_in: 0, ..small(5) });
    assert!(outcome.figures.acknowledged > outcome.figures.given_up, "{}", outcome.figures);
    assert!(outcome.figures.restored > 0);
}

#[test]
fn seeds_that_found_something_find_nothing_any_more() {
    for (seed, devices, days) in REGRESSIONS {
        played(Plan { devices, days, ..Plan::of(seed) });
    }
}
