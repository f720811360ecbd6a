//! Small disks, which only root may mount: the test runs itself again in a mount namespace of its own, where it is
//! root or looks like it. The mounts end with it, whatever happens.

use std::path::Path;
use std::process::{Command, Stdio};

const INSIDE: &str = "HOLDFAST_TEST_NAMESPACE";

/// Whether this process is the one in the namespace.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Goes there with the test of this name. True inside, where the test does its work; false outside, where all is
/// done, or where the system does not permit it, which is printed.
pub fn enter(test: &str) -> bool {
    if is_inside() {
        return true;
    }
    super::programs::programs();
    let is_root = rustix::process::geteuid().is_root();
    let unshare = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.arg(if is_root { "-m" } else { "-rm" }).args(words).stdin(Stdio::null());
        command
    };
    let probe = "d=$(mktemp -d) && mount -t tmpfs tmpfs $d && umount $d && rmdir $d";
    let permitted = unshare(&["sh", "-c", probe]).stderr(Stdio::null()).status().is_ok_and(|ended| ended.success());
    if !permitted {
        println!("skipped: this system lets nobody mount a small disk (unshare, mount -t tmpfs)");
        return false;
    }
    let program = std::env::current_exe().expect("a process knows its program");
    let program = program.to_str().expect("a plain path");
    // Taken away from outside: inside, a folder with a disk on it cannot be.
    let place = tempfile::Builder::new().prefix("holdfast-it-").tempdir().expect("a temporary folder");
    let mut again = unshare(&[program, "--exact", test, "--nocapture"]);
    let output = again.env(INSIDE, "1").env("TMPDIR", place.path()).output().expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let and = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{and}");
    assert!(said.contains("1 passed"), "there is no test {test}: {said}");
    false
}

/// Mounts an empty disk of this size; only inside.
pub fn mount(at: &Path, size: &str) {
    command(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"]).arg(at));
}

/// Gives it another size.
pub fn resize(at: &Path, size: &str) {
    // With the name of the disk, or mount would repeat an owner that this namespace does not know.
    command(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("remount,size={size}"), "tmpfs"]).arg(at));
}

fn command(command: &mut Command) {
    assert!(command.status().is_ok_and(|ended| ended.success()), "{command:?} failed");
}
