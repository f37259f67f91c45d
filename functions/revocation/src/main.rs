//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use dutykey_engine::look::Worker;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::Queue;
use dutykey_policy::hold::Side;
use dutykey_runtime::aws::{self, Aws, SqsQueues};
use dutykey_runtime::clock::{SystemChance, WatchedClock};
use dutykey_runtime::environment::Environment;
use dutykey_runtime::lambda::{self, ErrorType, Failure};
use dutykey_runtime::metrics::Metrics;
use dutykey_runtime::secrets::Secrets;
use dutykey_runtime::telemetry::Logging;
use dutykey_runtime::witness::Recorder;
use dutykey_store::Store;
use dutykey_targets::adapters::Adapters;
use dutykey_targets::sandbox::SandboxWorld;
use revocation::{Function, NAME};

fn main() -> ExitCode {
    lambda::main(async {
        let function = Arc::new(start().await?);
        let handle = move |event| {
            let function = function.clone();
            async move { function.handle(event).await }
        };
        Ok(lambda_runtime::run(lambda::function(handle)))
    })
}

async fn start() -> Result<Function, Failure> {
    let lookup = |name: &str| std::env::var(name).ok();
    Logging::of_function(lookup).begin().map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let environment = Environment::read(lookup, &[Queue::Provisioning, Queue::Revocation])
        .map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let (aws, clock, metrics) =
        (Aws::from_environment().await, Arc::new(WatchedClock::default()), Arc::new(Metrics::new()));
    let (store, keep) =
        (Arc::new(Store::new(aws.dynamodb_watched(&clock), &environment.table)), environment.secret_ttl);
    let secrets = Arc::new(Secrets::new(lookup, Some(Arc::new(aws.secrets())), clock.clone(), keep));
    let sandbox = SandboxWorld::new(clock.now(), clock.clone());
    let worker = Worker {
        side: Side::Ends,
        actor: NAME,
        ledger: store.clone(),
        rota: store.clone(),
        rules: store.clone(),
        sweeps: store.clone(),
        targets: Arc::new(Adapters::new(secrets, clock.clone(), sandbox, keep)),
        queues: Arc::new(SqsQueues::new(aws.sqs(), environment.queues, clock.clone())),
        clock,
        chance: Arc::new(SystemChance),
        witness: Arc::new(Recorder::new(metrics.clone())),
    };
    aws::warm(store.installation_id()).await;
    Ok(Function { worker, metrics, environment: environment.name })
}
