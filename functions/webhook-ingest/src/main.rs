//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use dutykey_engine::ports::queue::Queue;
use dutykey_runtime::aws::{self, Aws, SqsQueues};
use dutykey_runtime::clock::SystemClock;
use dutykey_runtime::environment::Environment;
use dutykey_runtime::lambda::{self, ErrorType, Failure};
use dutykey_runtime::secrets::Secrets;
use dutykey_runtime::telemetry::Logging;
use dutykey_store::Store;
use webhook_ingest::{Ports, router};

fn main() -> ExitCode {
    lambda::main(async { Ok(lambda_http::run(start().await?)) })
}

async fn start() -> Result<Router, Failure> {
    let lookup = |name: &str| std::env::var(name).ok();
    Logging::of_function(lookup).begin().map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let environment =
        Environment::read(lookup, &[Queue::Sync]).map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let (aws, clock) = (Aws::from_environment().await, Arc::new(SystemClock));
    let store = Arc::new(Store::new(aws.dynamodb(), &environment.table));
    let manager = Arc::new(aws.secrets());
    let secrets = Secrets::new(lookup, Some(manager), clock.clone(), environment.secret_ttl);
    let queues = SqsQueues::new(aws.sqs(), environment.queues, clock.clone());
    aws::warm(store.installation_id()).await;
    let (rules, hints) = (store.clone(), store);
    Ok(router(Ports { hints, rules, secrets: Arc::new(secrets), queues: Arc::new(queues), clock }))
}
