//! The function that reads platforms and plans enrollments.
//!
//! Its schedule runs each minute and reads nothing itself: it sends a message for each source whose turn it is, so that
//! a slow platform holds up no other and each read has its own tries.

use std::sync::Arc;
use std::time::Duration;

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::{Message, Queue};
use dutykey_engine::sync::Syncer;
use dutykey_policy::installation::Source;
use dutykey_runtime::batch;
use dutykey_runtime::function::SIDE_BY_SIDE;
use dutykey_runtime::lambda::{ErrorType, Event, Failure, Job, Task};
use dutykey_runtime::metrics::Metrics;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The function's name, in logs and metrics.
pub const NAME: &str = "rotation-sync";
/// How often the schedule runs.
const SCHEDULE: Duration = Duration::from_secs(60);

/// Takes one message of the `sync` queue.
///
/// # Errors
/// The table cannot be used; the message comes again.
pub async fn take(syncer: &Syncer, message: &Message) -> Result<(), StoreError> {
    syncer.take(message).await
}

/// What the function works with from its start to its end.
#[derive(Debug)]
pub struct Function {
    /// Who does the work.
    pub syncer: Syncer,
    /// What is measured; written after each event.
    pub metrics: Arc<Metrics>,
    /// The installation's name, a dimension of its metrics.
    pub environment: String,
}

impl Function {
    /// Takes a batch of the `sync` queue and answers which records come again, or a run of the `sync` schedule and
    /// answers how many sources it has sent for.
    ///
    /// # Errors
    /// The event is for another function, none of its records was done, the table cannot be read, or the queue takes no
    /// messages.
    pub async fn handle(&self, event: Event) -> Result<Value, Failure> {
        let answer = match event {
            Event::Queue(records) => {
                let done = batch::each(records, SIDE_BY_SIDE, |message: Message| async move {
                    take(&self.syncer, &message).await.map_err(|error| Failure::new(ErrorType::Table, error))
                });
                let answer = |done| serde_json::to_value(done).map_err(|error| Failure::new(ErrorType::Panic, error));
                done.await.and_then(answer)
            }
            Event::Schedule(Job { task: Task::Sync, scheduled_time, .. }) => self.send_for(scheduled_time).await,
            Event::Schedule(Job { task, .. }) => {
                Err(Failure::new(ErrorType::Input, format_args!("{NAME} has no job {task:?}")))
            }
            Event::Stream(_) => Err(Failure::new(ErrorType::Input, format_args!("{NAME} reads no stream"))),
        };
        self.metrics.publish(self.syncer.clock.now(), &self.environment, NAME);
        answer
    }

    /// Sends a message for each source whose turn it is.
    async fn send_for(&self, minute: Timestamp) -> Result<Value, Failure> {
        let configured =
            self.syncer.rules.installation().await.map_err(|error| Failure::new(ErrorType::Table, error))?;
        let sources = configured.into_iter().flat_map(|configured| configured.installation.sources);
        let due = sources.filter(|source| is_due(source, minute));
        let messages: Vec<_> = due.map(|source| Message::rota(source.id, None, "schedule")).collect();
        let sent = messages.len();
        let sending = self.syncer.queues.send(Queue::Sync, messages).await;
        sending.map_err(|error| Failure::new(ErrorType::Queue, error))?;
        Ok(json!({ "sources": sent }))
    }
}

/// Whether a source's turn came in the minute that ends now: at every whole multiple of its `every`, counted from 1970.
/// So nothing needs to be remembered, and a run that is tried again sends for the same sources.
fn is_due(source: &Source, minute: Timestamp) -> bool {
    let every = i64::try_from(source.every.as_secs()).unwrap_or(i64::MAX).max(1);
    let turns = |at: Timestamp| at.as_second().div_euclid(every);
    turns(minute) > turns(dutykey_policy::time::earlier(minute, SCHEDULE))
}

#[cfg(test)]
mod tests {
    use dutykey_policy::installation::{PlatformSettings, Rotations};

    use super::*;

    #[test]
    fn p1_each_source_is_read_at_its_own_pace_and_never_slower() {
        let start: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let minutes = || (0..60).map(|n| start + jiff::SignedDuration::from_mins(n));
        for (every, turns) in [(1, 60), (60, 60), (90, 40), (300, 12), (420, 9), (3_600, 1)] {
            let source = Source {
                id: "pd".parse().unwrap(),
                settings: PlatformSettings::Sandbox { script: Value::Null },
                rotations: Rotations::All,
                every: Duration::from_secs(every),
                retiring: false,
            };
            let due: Vec<_> = minutes().filter(|minute| is_due(&source, *minute)).collect();
            assert!(due.len().abs_diff(turns) <= 1, "every {every} s: {} turns in an hour", due.len());
            let gap = due.windows(2).map(|pair| pair[0].duration_until(pair[1]).as_secs()).max().unwrap_or(0);
            assert!(gap < i64::try_from(every).unwrap() + 60, "every {every} s: {gap} s between two turns");
        }
    }
}
