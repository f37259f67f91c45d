//! What functions on queues and schedules have in common: what they begin with, and the work of the two that look at
//! people.

use std::num::NonZeroUsize;
use std::sync::Arc;

use aws_lambda_events::sqs::SqsBatchResponse;
use dutykey_engine::look::Worker;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::{Message, Queue};

use crate::aws::Aws;
use crate::batch;
use crate::clock::WatchedClock;
use crate::environment::Environment;
use crate::lambda::{ErrorType, Event, Failure};
use crate::metrics::Metrics;
use crate::secrets::Secrets;
use crate::telemetry::Logging;

/// As many records of a batch are worked on side by side as the event source mapping puts into one.
pub const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(10).unwrap();

/// What a function begins with.
#[derive(Debug)]
pub struct Start {
    /// What its environment says.
    pub environment: Environment,
    /// Its clients.
    pub aws: Aws,
    /// Time, watched against the answers of the table.
    pub clock: Arc<WatchedClock>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Secrets, each kept for as long as the environment says.
    pub secrets: Arc<Secrets>,
}

impl Start {
    /// Begins to log, and reads the environment of a function that sends to these queues.
    ///
    /// # Errors
    /// The environment cannot be used.
    pub async fn of(queues: &[Queue]) -> Result<Self, Failure> {
        let lookup = |name: &str| std::env::var(name).ok();
        let refused = |error: &dyn std::fmt::Display| Failure::new(ErrorType::Configuration, error);
        Logging::of_function(lookup).begin().map_err(|error| refused(&error))?;
        let environment = Environment::read(lookup, queues).map_err(|error| refused(&error))?;
        let (aws, clock) = (Aws::from_environment().await, Arc::new(WatchedClock::default()));
        let manager = Some(Arc::new(aws.secrets()) as Arc<_>);
        let secrets = Arc::new(Secrets::new(lookup, manager, clock.clone(), environment.secret_ttl));
        Ok(Self { environment, aws, clock, metrics: Arc::new(Metrics::new()), secrets })
    }
}

/// A function that looks at people: at what begins, or at what ends.
#[derive(Debug)]
pub struct Looks {
    /// Who does the work, under the function's name.
    pub worker: Worker,
    /// What is measured; written after each batch.
    pub metrics: Arc<Metrics>,
    /// The installation's name, a dimension of its metrics.
    pub environment: String,
}

impl Looks {
    /// Takes a batch of the function's queue, and answers which records come again.
    ///
    /// # Errors
    /// The event is not of a queue, or none of its records was done.
    pub async fn handle(&self, event: Event) -> Result<SqsBatchResponse, Failure> {
        self.taking(event, |message| async move { self.worker.take(&message).await }).await
    }

    /// The same for a function whose queue has other messages too: `take` takes each of them.
    ///
    /// # Errors
    /// The event is not of a queue, or none of its records was done.
    pub async fn taking<F>(&self, event: Event, take: impl Fn(Message) -> F) -> Result<SqsBatchResponse, Failure>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let name = self.worker.actor;
        let Event::Queue(records) = event else {
            let what = format_args!("{name} takes records of its queue and runs on no schedule");
            return Err(Failure::new(ErrorType::Input, what));
        };
        let done = batch::each(records, SIDE_BY_SIDE, |message: Message| {
            let taken = take(message);
            async move { taken.await.map_err(|error| Failure::new(ErrorType::Table, error)) }
        });
        let done = done.await;
        self.metrics.publish(self.worker.clock.now(), &self.environment, name);
        done
    }
}
