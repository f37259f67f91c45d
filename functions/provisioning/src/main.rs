//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use dutykey_engine::catalog::Catalogs;
use dutykey_engine::look::Worker;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::Queue;
use dutykey_policy::hold::Side;
use dutykey_runtime::aws::{self, SqsQueues};
use dutykey_runtime::clock::SystemChance;
use dutykey_runtime::function::{Looks, Start};
use dutykey_runtime::lambda::{self, Failure};
use dutykey_runtime::witness::Recorder;
use dutykey_store::Store;
use dutykey_targets::adapters::Adapters;
use dutykey_targets::sandbox::SandboxWorld;
use provisioning::{Function, NAME};

fn main() -> ExitCode {
    lambda::main(async {
        let function = start().await?;
        Ok(lambda_runtime::run(lambda::function(async move |event| function.handle(event).await)))
    })
}

async fn start() -> Result<Function, Failure> {
    let Start { environment, aws, clock, metrics, secrets } =
        Start::of(&[Queue::Provisioning, Queue::Revocation]).await?;
    let store = Arc::new(Store::new(aws.dynamodb_watched(&clock), &environment.table));
    let sandbox = SandboxWorld::new(clock.now(), clock.clone());
    let targets = Arc::new(Adapters::new(secrets, clock.clone(), sandbox, environment.secret_ttl));
    let queues = Arc::new(SqsQueues::new(aws.sqs(), environment.queues, clock.clone()));
    let catalogs = Catalogs {
        catalogs: store.clone(),
        rules: store.clone(),
        targets: targets.clone(),
        queues: queues.clone(),
        clock: clock.clone(),
    };
    let worker = Worker {
        side: Side::Starts,
        actor: NAME,
        ledger: store.clone(),
        rota: store.clone(),
        rules: store.clone(),
        sweeps: store.clone(),
        turns: store.clone(),
        targets,
        queues,
        clock,
        chance: Arc::new(SystemChance),
        witness: Arc::new(Recorder::new(metrics.clone())),
    };
    aws::warm(store.installation_id()).await;
    Ok(Function { looks: Looks { worker, metrics, environment: environment.name }, catalogs })
}
