//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::Queue;
use dutykey_engine::sync::Syncer;
use dutykey_platforms::adapters::Adapters;
use dutykey_platforms::sandbox::SandboxWorld;
use dutykey_runtime::aws::{self, SqsQueues};
use dutykey_runtime::clock::SystemChance;
use dutykey_runtime::function::Start;
use dutykey_runtime::lambda::{self, Failure};
use dutykey_runtime::witness::Recorder;
use dutykey_store::Store;
use rotation_sync::Function;

fn main() -> ExitCode {
    lambda::main(async {
        let function = start().await?;
        Ok(lambda_runtime::run(lambda::function(async move |event| function.handle(event).await)))
    })
}

async fn start() -> Result<Function, Failure> {
    let Start { environment, aws, clock, metrics, secrets } =
        Start::of(&[Queue::Sync, Queue::Provisioning, Queue::Revocation]).await?;
    let store = Arc::new(Store::new(aws.dynamodb_watched(&clock), &environment.table));
    let sandbox = SandboxWorld::new(clock.now(), clock.clone());
    let syncer = Syncer {
        rota: store.clone(),
        ledger: store.clone(),
        rules: store.clone(),
        platforms: Arc::new(Adapters::new(secrets, clock.clone(), sandbox, environment.secret_ttl)),
        queues: Arc::new(SqsQueues::new(aws.sqs(), environment.queues, clock.clone())),
        clock,
        chance: Arc::new(SystemChance),
        witness: Arc::new(Recorder::new(metrics.clone())),
    };
    aws::warm(store.installation_id()).await;
    Ok(Function { syncer, metrics, environment: environment.name })
}
