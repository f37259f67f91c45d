//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use dutykey_engine::ports::queue::Queue;
use dutykey_engine::tick::Ticker;
use dutykey_runtime::aws::{self, Aws, SqsQueues};
use dutykey_runtime::clock::WatchedClock;
use dutykey_runtime::environment::Environment;
use dutykey_runtime::lambda::{self, ErrorType, Failure};
use dutykey_runtime::metrics::Metrics;
use dutykey_runtime::notify::{Notices, Topic};
use dutykey_runtime::secrets::Secrets;
use dutykey_runtime::telemetry::Logging;
use dutykey_runtime::witness::Recorder;
use dutykey_store::Store;
use handoff::Function;

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
    let environment = Environment::read(lookup, &[Queue::Sync, Queue::Provisioning, Queue::Revocation])
        .map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let (aws, clock, metrics) =
        (Aws::from_environment().await, Arc::new(WatchedClock::default()), Arc::new(Metrics::new()));
    let store = Arc::new(Store::new(aws.dynamodb_watched(&clock), &environment.table));
    let secrets = Arc::new(Secrets::new(lookup, Some(Arc::new(aws.secrets())), clock.clone(), environment.secret_ttl));
    let topic = environment.notice_topic.map(|arn| Topic { client: aws.sns(), arn });
    let notices = Notices::new(store.clone(), secrets, clock.clone(), topic)
        .map_err(|error| Failure::new(ErrorType::Configuration, error))?;
    let queues = SqsQueues::new(aws.sqs(), environment.queues, clock.clone());
    let ticker = Ticker {
        due: store.clone(),
        numbers: store.clone(),
        queues: Arc::new(queues),
        notify: Arc::new(notices),
        clock: clock.clone(),
        witness: Arc::new(Recorder::new(metrics.clone())),
    };
    aws::warm(store.installation_id()).await;
    Ok(Function { ticker, metrics, environment: environment.name })
}
