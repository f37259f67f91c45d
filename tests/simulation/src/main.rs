//! Wiring.

use std::process::ExitCode;

use clap::Parser;
use dutykey_simulation::cli::{self, Cli};
use mimalloc::MiMalloc;

/// A run is mostly small requests and answers that come and go: this allocator takes a tenth off its time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::main(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
