//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use access_requests::{Ports, PublishedKeys, Unconfigured, guarded, health, nowhere, router};
use axum::Router;
use axum::middleware;
use dutykey_engine::ports::queue::Queue;
use dutykey_runtime::aws::{self, Aws, SqsQueues};
use dutykey_runtime::clock::{SystemChance, SystemClock};
use dutykey_runtime::environment::Environment;
use dutykey_runtime::lambda::{self, ErrorType, Failure};
use dutykey_runtime::telemetry::Logging;
use dutykey_store::Store;
use jiff::Timestamp;

fn main() -> ExitCode {
    lambda::main(async { Ok(lambda_http::run(start().await?)) })
}

/// This address is the internet's: without an issuer nobody may call.
async fn start() -> Result<Router, Failure> {
    let unusable = |error: &dyn std::fmt::Display| Failure::new(ErrorType::Configuration, error);
    let lookup = |name: &str| std::env::var(name).ok();
    Logging::of_function(lookup).begin().map_err(|error| unusable(&error))?;
    let queues = [Queue::Sync, Queue::Provisioning, Queue::Revocation];
    let environment = Environment::read(lookup, &queues).map_err(|error| unusable(&error))?;
    let clock = Arc::new(SystemClock);
    let aws = Aws::from_environment().await;
    let store = Store::new(aws.dynamodb(), &environment.table);
    let ports = Ports {
        store: store.clone(),
        queues: Arc::new(SqsQueues::new(aws.sqs(), environment.queues, clock.clone())),
        keys: Arc::new(PublishedKeys::new(clock.clone()).map_err(|error| unusable(&error))?),
        unconfigured: Unconfigured::Refused,
        clock: clock.clone(),
        chance: Arc::new(SystemChance),
    };
    aws::warm(store.installation_id()).await;
    let served = router(ports).merge(health(store, clock, Timestamp::MIN)).fallback(nowhere);
    Ok(served.layer(middleware::map_response(guarded)))
}
