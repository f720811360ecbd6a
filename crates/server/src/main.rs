//! Wiring only: arguments and environment in, exit code out. Refuses everything else; see `command`.

use base::{OsEntropy, SystemClock};
use clap::Parser as _;
use server::command::{Arguments, Surroundings};
use server::out::Out;
use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
