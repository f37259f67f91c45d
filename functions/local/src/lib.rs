//! `dutykey`: every function in one process over an embedded table, and the command line.

mod adapters;
mod agree;
pub mod cli;
mod commands;
mod copies;
mod data;
mod demo;
mod explain;
mod http;
mod notices;
mod output;
mod pin;
pub mod process;
pub mod queue;
mod remote;
mod serve;
mod who;

use std::process::ExitCode;

use tokio::sync::watch;

use crate::cli::{Cli, Command};

/// The answer is bad: a promise broken, a check failed, a chain broken.
const BAD: u8 = 1;
/// The command line or the configuration is wrong.
const WRONG: u8 = 2;

/// Carries out what the command line asks for.
pub async fn run(cli: Cli) -> ExitCode {
    let serving = matches!(cli.command, Some(Command::Serve(_)));
    // A server's log says what it does; a command's only what is wrong.
    let level = |name: &str| (serving && name == "DUTYKEY_LOG").then(|| "info".to_owned());
    let logging =
        dutykey_runtime::telemetry::Logging::of_command(|name| std::env::var(name).ok().or_else(|| level(name)));
    if let Err(error) = logging.begin() {
        eprintln!("{error}");
        return ExitCode::from(WRONG);
    }
    match answer(cli.command.unwrap_or_else(|| Command::Demo(cli::Demo::default()))).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BAD),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(WRONG)
        }
    }
}

async fn answer(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Demo(options) => demo::run(&options, stopped()).await,
        Command::Check(options) => commands::check::run(&options).await,
        Command::Forecast(options) => commands::forecast::run(&options).await,
        Command::Plan(options) => commands::plan::run(&options).await,
        Command::Apply(options) => commands::apply::run(&options).await,
        Command::Confirm(options) => commands::remote::confirm(&options).await,
        Command::Brake(options) => commands::brake::run(&options.command).await,
        Command::Prolong(options) => commands::prolong::run(&options).await,
        Command::Erase(options) => commands::erase::run(&options).await,
        Command::WriteOff(options) => commands::write_off::run(&options).await,
        Command::Audit(options) => commands::audit::run(&options.command).await,
        Command::Rebuild(options) => commands::rebuild::run(&options).await,
        Command::Init(options) => commands::files::init(&options),
        Command::Backup(options) => commands::files::backup(&options),
        Command::Schema => commands::files::schema(),
        Command::Serve(options) => serve::run(&options, stopped()).await,
        Command::Who(options) => who::run(&options).await,
        Command::Explain(options) => explain::run(&options).await,
    }
}

/// Turns true at Ctrl-C or SIGTERM.
fn stopped() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let terminated = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! { _ = tokio::signal::ctrl_c() => {}, () = terminated => {} }
        let _ = sender.send(true);
        std::future::pending::<()>().await;
    });
    receiver
}
