//! `dutykey`: every function in one process, and the command line.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    dutykey::run(dutykey::cli::Cli::parse()).await
}
