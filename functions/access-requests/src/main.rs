//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use access_requests::{guarded, health, nowhere};
use axum::Router;
use axum::middleware;
use dutykey_runtime::aws::{self, Aws};
use dutykey_runtime::clock::SystemClock;
use dutykey_runtime::environment::Environment;
use dutykey_runtime::lambda::{self, ErrorType, Failure};
use dutykey_runtime::telemetry::Logging;
use dutykey_store::Store;
use jiff::Timestamp;

fn main() -> ExitCode {
    lambda::main(async { Ok(lambda_http::run(start().await?)) })
}

/// Nothing under `/v1` is served here: this address is the internet's, and the API does not know its callers yet.
async fn start() -> Result<Router, Failure> {
    let lookup = |name: &str| std::env::var(name).ok();
    Logging::of_function(lookup).begin().map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let environment = Environment::read(lookup, &[]).map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let store = Store::new(Aws::from_environment().await.dynamodb(), &environment.table);
    aws::warm(store.installation_id()).await;
    let health = health(store, Arc::new(SystemClock), Timestamp::MIN);
    Ok(health.fallback(nowhere).layer(middleware::map_response(guarded)))
}
