//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use dutykey_runtime::aws::Aws;
use dutykey_runtime::clock::SystemClock;
use dutykey_runtime::environment::Environment;
use dutykey_runtime::lambda::{self, ErrorType, Failure};
use dutykey_runtime::metrics::Metrics;
use dutykey_runtime::telemetry::Logging;
use evidence_copy::Function;

fn main() -> ExitCode {
    lambda::main(async {
        let function = start().await?;
        Ok(lambda_runtime::run(lambda::function(async move |event| function.handle(event).await)))
    })
}

async fn start() -> Result<Function, Failure> {
    let lookup = |name: &str| std::env::var(name).ok();
    Logging::of_function(lookup).begin().map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let environment = Environment::read(lookup, &[]).map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let missing = || Failure::new(ErrorType::Configuration, "DUTYKEY_EVIDENCE_BUCKET is missing");
    let bucket = environment.evidence_bucket.ok_or_else(missing)?;
    let bucket = Aws::from_environment().await.bucket(&bucket, lookup, Arc::new(SystemClock));
    let bucket = bucket.map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    Ok(Function { bucket, metrics: Arc::new(Metrics::new()), clock: SystemClock, environment: environment.name })
}
