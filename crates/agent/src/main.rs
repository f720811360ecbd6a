//! `holdfast`: reads the environment, once, and hands over to the command line.
//! Refuses to do anything else.

use agent::cli::{self, Environment};
use std::process::ExitCode;

fn main() -> ExitCode {
    one_arena();
    let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(Into::into);
    let environment = Environment {
        state: path("HOLDFAST_STATE"),
        state_home: path("XDG_STATE_HOME"),
        config_home: path("XDG_CONFIG_HOME"),
        home: path("HOME"),
    };
    cli::main(std::env::args_os(), &environment)
}

/// Has glibc keep one heap for all threads. Buffers of megabytes pass from thread to thread here, and each of several
/// heaps would keep what it once had: a first backup then takes half as much memory again (docs/performance.md).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator is set up through C alone")]
fn one_arena() {
    // SAFETY: no other thread runs yet, and the call changes nothing but the allocator's own settings. Whether it is
    // heard does not matter.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn one_arena() {}
