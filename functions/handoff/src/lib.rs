//! The function of each minute: what is due, to the second.

use std::sync::Arc;

use dutykey_engine::tick::{TickError, Ticked, Ticker};
use dutykey_runtime::lambda::{ErrorType, Event, Failure, Job, Task};
use dutykey_runtime::metrics::Metrics;
use dutykey_store::Store;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The function's name, in logs and metrics.
pub const NAME: &str = "handoff";

/// One tick.
///
/// # Errors
/// The table or a queue cannot be used; the next tick finds what this one left.
pub async fn tick(ticker: &Ticker) -> Result<Ticked, TickError> {
    ticker.tick().await
}

/// A restored table stands still before anything is sent. Where nobody can say whether it was, everything goes on: access
/// that is late costs more than asking again in a minute.
async fn notice_restore(store: &Store, at: Timestamp) {
    if let Err(error) = store.notice_restore(at).await {
        tracing::warn!(%error, "whether the table was restored from a backup could not be seen: {error}");
    }
}

/// What the function works with from its start to its end.
#[derive(Debug)]
pub struct Function {
    /// Who does the work.
    pub ticker: Ticker,
    /// The table, which may have been restored from a backup.
    pub store: Arc<Store>,
    /// What is measured; written after each tick.
    pub metrics: Arc<Metrics>,
    /// The installation's name, a dimension of its metrics.
    pub environment: String,
}

impl Function {
    /// Takes a run of the `handoff` schedule, and answers what it has sent.
    ///
    /// # Errors
    /// The event is for another function, or the tick failed.
    pub async fn handle(&self, event: Event) -> Result<Value, Failure> {
        let Event::Schedule(Job { task: Task::Handoff, .. }) = event else {
            return Err(Failure::new(ErrorType::Input, "handoff takes runs of its own schedule only"));
        };
        notice_restore(&self.store, self.ticker.clock.now()).await;
        let ticked = tick(&self.ticker).await;
        self.metrics.publish(self.ticker.clock.now(), &self.environment, NAME);
        let Ticked { starts, ends, rotations, sweeps, notices } = ticked.map_err(failure)?;
        Ok(json!({ "starts": starts, "ends": ends, "rotations": rotations, "sweeps": sweeps, "notices": notices }))
    }
}

fn failure(error: TickError) -> Failure {
    let kind = match error {
        TickError::Store(_) => ErrorType::Table,
        TickError::Send(_) => ErrorType::Queue,
    };
    Failure::new(kind, error)
}
