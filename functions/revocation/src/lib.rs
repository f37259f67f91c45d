//! The function of ends: makes holds end, and proves it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use dutykey_engine::look::Worker;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::Message;
use dutykey_runtime::batch::{self, SqsBatchResponse};
use dutykey_runtime::lambda::{ErrorType, Event, Failure};
use dutykey_runtime::metrics::Metrics;

/// The function's name, in evidence, logs and metrics.
pub const NAME: &str = "revocation";
/// As many records of a batch are worked on side by side as the event source mapping puts into one.
const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(10).unwrap();

/// Takes one message of the `revocation` queue.
///
/// # Errors
/// The table cannot be used; the message comes again.
pub async fn take(worker: &Worker, message: &Message) -> Result<(), StoreError> {
    worker.take(message).await
}

/// What the function works with from its start to its end.
#[derive(Debug)]
pub struct Function {
    /// Who does the work.
    pub worker: Worker,
    /// What is measured; written after each batch.
    pub metrics: Arc<Metrics>,
    /// The installation's name, a dimension of its metrics.
    pub environment: String,
}

impl Function {
    /// Takes a batch of the `revocation` queue, and answers which records come again.
    ///
    /// # Errors
    /// The event is not of a queue.
    pub async fn handle(&self, event: Event) -> Result<SqsBatchResponse, Failure> {
        let Event::Queue(records) = event else {
            return Err(Failure::new(
                ErrorType::Input,
                "revocation takes records of its queue and runs on no schedule",
            ));
        };
        let done = batch::each(records, SIDE_BY_SIDE, |message: Message| async move {
            take(&self.worker, &message).await.map_err(|error| Failure::new(ErrorType::Table, error))
        });
        let done = done.await;
        self.metrics.publish(self.worker.clock.now(), &self.environment, NAME);
        Ok(done)
    }
}
