//! Wiring only: arguments and environment in, exit code out. Refuses everything else; see `command`.

use app::SecretText;
use base::{OsEntropy, SystemClock};
use clap::Parser as _;
use server::command::{Arguments, Surroundings};
use server::out::Out;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    few_arenas();
    // INVARIANT: what another thread wakes is polled before what waits already. Such threads are the database's:
    // whoever holds the one writing transaction goes on at once, and not after the handshakes of those who come next.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().global_queue_interval(1).build();
    match runtime {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "holdfast-server: the runtime did not start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Has glibc keep one heap for each processor, not eight. Packs pass from thread to thread here, and each heap keeps
/// what it once had: with four endpoints at once, that was half of the server's memory (docs/performance.md).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator is set up through C alone")]
fn few_arenas() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = libc::c_int::try_from(processors).unwrap_or(libc::c_int::MAX);
    // SAFETY: no other thread runs yet, and the call changes nothing but the allocator's own settings. Whether it is
    // heard does not matter.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn few_arenas() {}

async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    server::out::fit();
    let surroundings = Surroundings {
        data: std::env::var_os("HOLDFAST_DATA").map(Into::into),
        server: std::env::var_os("HOLDFAST_SERVER").and_then(|server| server.into_string().ok()),
        credential_file: std::env::var_os("HOLDFAST_CREDENTIAL_FILE").map(Into::into),
        master_key: std::env::var_os(app::keys::MASTER_KEY_VARIABLE)
            .and_then(|key| key.into_string().ok())
            .map(SecretText::new),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        out: Out { json: arguments.json },
    };
    server::command::run(arguments, surroundings).await
}
