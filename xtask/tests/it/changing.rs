//! Files that change while they are read.

use crate::world::World;
use crate::world::noise::noise;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn files_that_change_while_they_are_read_are_saved_or_reported_and_exact_when_it_is_quiet() {
    let world = World::start();
    world.write("quiet", noise(1, 100_000));
    let (log, image) = (world.source().join("log"), world.source().join("image"));
    fs::write(&log, noise(2, 4 << 20)).expect("writable");
    fs::write(&image, noise(3, 6 << 20)).expect("writable");
    let device = world.activated("laptop");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = OpenOptions::new().append(true).open(&log).expect("writable");
            let mut seed = 4;
            while !is_over.load(Ordering::Relaxed) {
                log.write_all(&noise(seed, 500)).expect("writable");
                if seed % 8 == 0 {
                    fs::write(&image, noise(seed, 6 << 20)).expect("writable");
                }
                seed += 1;
            }
        });
        for _ in 0..3 {
            let answer = device.backup();
            if answer.exit != Some(0) {
                for (path, code) in answer.problems() {
                    assert_eq!(code, "file_changed", "{path}");
                    assert!(path.ends_with("/log") || path.ends_with("/image"), "{path}");
                }
            }
            let (restored, folder) = device.restore();
            restored.done();
            let quiet = fs::read(folder.join("quiet")).expect("it was saved");
            assert!(quiet == noise(1, 100_000), "what does not change is exact");
            fs::remove_dir_all(folder).expect("removable");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    device.assert_good_backup();
}

#[test]
fn files_that_come_and_go_during_the_scan_end_no_backup() {
    let world = World::start();
    for number in 0..200 {
        world.write(&format!("steady/{number}"), noise(number, 3_000));
    }
    let device = world.activated("laptop");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                let folder = world.source().join("flying").join((number % 7).to_string());
                fs::create_dir_all(&folder).expect("writable");
                fs::write(folder.join("file"), noise(number, 9_000)).expect("writable");
                if number.is_multiple_of(3) {
                    fs::remove_dir_all(&folder).expect("removable");
                }
                number += 1;
            }
        });
        for _ in 0..8 {
            let answer = device.backup();
            if answer.exit != Some(0) {
                for (path, code) in answer.problems() {
                    assert!(path.contains("/flying"), "{path} {code}");
                    let codes = ["entry_gone", "file_changed", "entry_replaced"];
                    assert!(codes.contains(&code.as_str()), "{path} {code}");
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    device.assert_good_backup();
}
