//! What the server takes at once: no request names more, no pack is larger.

use crate::world::World;
use crate::world::content::{noise, text};
use crate::world::server::{Limits, Verb};
use base::Bytes as Size;

fn with_limits(world: &World, pack: Size, refs: usize) {
    *world.server.limits.lock().expect("nobody panics with it") = Limits { pack, refs };
}

#[test]
fn no_request_names_more_refs_than_the_server_takes() {
    let world = World::of(|files| {
        for number in 0..100_u64 {
            files.write(format!("{}/{number}/file", number % 20), noise(number, 600));
        }
    });
    with_limits(&world, Size::mib(64), 3);
    let first = world.assert_round_trip();
    assert!(first.traffic.count(Verb::Dedupe) >= 220 / 3);
    world.cache.empty();
    let second = world.backup();
    assert_eq!((second.source.opens.len(), second.outcome.root), (0, first.outcome.root));
}

#[test]
fn no_pack_is_larger_than_the_server_takes() {
    for limit in [10, 16, 24, 40, 64] {
        let world = World::of(|files| {
            files.write("large", noise(1, 30 << 20));
            for number in 0..60_u64 {
                files.write(format!("many/{number}"), noise(number + 2, 300_000));
            }
            files.write("text", text(1, 20 << 20));
        });
        with_limits(&world, Size::mib(limit), 8_192);
        let backup = world.backup();
        let largest = backup.traffic.packs.iter().max().copied().unwrap_or_default();
        assert!(largest as u64 <= limit << 20, "{largest} bytes where {limit} MiB are taken");
        // A pack is closed at half of that, and at 8 MiB at the latest.
        let most = 2 + 48 * 3 / limit.min(16) as usize;
        assert!(backup.traffic.packs.len() <= most, "{:?}", backup.traffic.packs);
    }
}

#[test]
fn a_pack_that_the_server_does_not_confirm_ends_the_run_without_a_snapshot() {
    let world = World::of(|files| files.write("file", noise(1, 1_000)));
    world.server.state().faults.loses_packs = true;
    let error = world.try_backup().err().expect("the pack is not there");
    assert_eq!(error.code(), "answer_damaged");
    assert!(world.server.state().snapshots.is_empty());
}
