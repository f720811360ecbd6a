//! Wiring only: arguments and environment in, exit code out. Refuses everything else; see `command`.

use base::{OsEntropy, SystemClock};
use clap::Parser as _;
use server::command::{Arguments, Surroundings};
use server::out::Out;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
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

async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    server::out::fit();
    let surroundings = Surroundings {
        data: std::env::var_os("HOLDFAST_DATA").map(Into::into),
        server: std::env::var_os("HOLDFAST_SERVER").and_then(|server| server.into_string().ok()),
        credential_file: std::env::var_os("HOLDFAST_CREDENTIAL_FILE").map(Into::into),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        out: Out { json: arguments.json },
    };
    server::command::run(arguments, surroundings).await
}
