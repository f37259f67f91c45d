//! Wiring.

use std::process::ExitCode;
use std::sync::Arc;

use dutykey_engine::ports::queue::Queue;
use dutykey_engine::tick::Ticker;
use dutykey_runtime::aws::{self, SqsQueues};
use dutykey_runtime::function::Start;
use dutykey_runtime::lambda::{self, ErrorType, Failure};
use dutykey_runtime::notify::{Notices, Topic};
use dutykey_runtime::witness::Recorder;
use dutykey_store::Store;
use handoff::Function;

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
    Ok(Function { ticker, store, metrics, environment: environment.name })
}
