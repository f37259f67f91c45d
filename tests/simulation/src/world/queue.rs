//! The queues: at least once, in no order, with what may happen to a message on its way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use dutykey_policy::time::{later, millis_between};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::World;
use super::faults::QueueTrouble;
use crate::plan::Happening;

/// A message is delivered in whole seconds, a second early, and at most this far ahead.
const LONGEST_DELAY: i64 = 900;

/// The queues. Clones are the same queues.
#[derive(Debug, Clone)]
pub struct Queues {
    world: Arc<World>,
    waiting: Arc<Mutex<Waiting>>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Waiting {
    due: BTreeMap<(Timestamp, u64), (Queue, Message)>,
    sent: u64,
}

impl Queues {
    /// Empty queues.
    #[must_use]
    pub fn new(world: Arc<World>) -> Self {
        Self { world, waiting: Arc::default(), changed: Arc::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next message comes.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.waiting().due.keys().next().map(|(at, _)| *at)
    }

    /// Takes a message that has come.
    #[must_use]
    pub fn take(&self, now: Timestamp) -> Option<(Queue, Message)> {
        let mut waiting = self.waiting();
        let first = waiting.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Waits until a message was sent.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Puts a message in, to come then.
    pub fn put(&self, queue: Queue, message: Message, at: Timestamp) {
        let mut waiting = self.waiting();
        waiting.sent += 1;
        let key = (at, waiting.sent);
        waiting.due.insert(key, (queue, message));
        drop(waiting);
        self.changed.notify_one();
    }

    /// Puts a message in as a sender with this clock does.
    fn sent(&self, queue: Queue, message: &Message) {
        let now = self.world.now();
        let delay = message.not_before.map_or(0, |at| (millis_between(now, at) - 1_000).div_euclid(1_000));
        let delay = Duration::from_secs(delay.clamp(0, LONGEST_DELAY).unsigned_abs());
        let on_its_way = Duration::from_millis(u64::from(5 + self.world.draw(60)));
        let at = later(later(now, delay), on_its_way);
        let struck = self.world.trouble(|happening| match happening {
            Happening::Queue(fault) => Some(((fault.kind, fault.after), fault.from, fault.to, fault.one_in)),
            _ => None,
        });
        let late = |after: u32| later(at, Duration::from_secs(after.into()));
        match struck {
            Some((QueueTrouble::Duplicated, after)) => {
                self.world.struck("queue: duplicated");
                self.put(queue, message.clone(), at);
                self.put(queue, message.clone(), late(after));
            }
            Some((QueueTrouble::Delayed, after)) => {
                self.world.struck("queue: delayed");
                self.put(queue, message.clone(), late(after));
            }
            Some((QueueTrouble::Lost, after)) => {
                self.world.struck("queue: lost until redelivered");
                self.put(queue, message.clone(), late(after.max(90)));
            }
            Some((QueueTrouble::Refused, _)) | None => self.put(queue, message.clone(), at),
        }
    }
}

/// The power of one function to send, by its own clock.
#[derive(Clone)]
pub struct Sender {
    /// The queues.
    pub queues: Queues,
    /// The function's clock.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

#[async_trait]
impl Enqueue for Sender {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), SendError> {
        if messages.is_empty() {
            return Ok(());
        }
        let world = &self.queues.world;
        world.point("a queue").await;
        let refused = world.trouble(|happening| match happening {
            Happening::Queue(fault) if fault.kind == QueueTrouble::Refused => {
                Some(((), fault.from, fault.to, fault.one_in))
            }
            _ => None,
        });
        if refused.is_some() {
            world.struck("queue: refused");
            return Err(SendError("the queue takes no messages".to_owned()));
        }
        for message in &messages {
            self.queues.sent(queue, message);
        }
        world.point("a queue's answer").await;
        Ok(())
    }
}
