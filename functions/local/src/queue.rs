//! The three queues in one process. A message waits here until its time; what a crash loses, the next tick finds in the
//! table again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use jiff::Timestamp;
use tokio::sync::Notify;

/// At most this many messages wait; beyond it senders are refused and the table keeps the work.
const MOST: usize = 100_000;

/// The queues.
#[derive(Clone)]
pub(crate) struct LocalQueues {
    inner: Arc<Inner>,
    clock: Arc<dyn Clock>,
}

struct Inner {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: BinaryHeap<Reverse<Entry>>,
    sent: u64,
}

struct Entry {
    at: Timestamp,
    order: u64,
    queue: Queue,
    message: Message,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl std::fmt::Debug for LocalQueues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalQueues").finish_non_exhaustive()
    }
}

impl LocalQueues {
    /// Empty queues.
    #[must_use]
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::new(Inner { waiting: Mutex::default(), changed: Notify::new() }), clock }
    }

    /// The next message whose time has come. Waits for it.
    pub(crate) async fn next(&self) -> (Queue, Message) {
        loop {
            let changed = self.inner.changed.notified();
            let due = {
                let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let now = self.clock.now();
                match waiting.messages.peek() {
                    Some(Reverse(entry)) if entry.at <= now => {
                        if let Some(Reverse(entry)) = waiting.messages.pop() {
                            return (entry.queue, entry.message);
                        }
                        None
                    }
                    Some(Reverse(entry)) => Some(entry.at),
                    None => None,
                }
            };
            match due {
                Some(at) => tokio::select! { () = changed => {}, () = self.clock.sleep_until(at) => {} },
                None => changed.await,
            }
        }
    }
}

#[async_trait]
impl Enqueue for LocalQueues {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), SendError> {
        {
            let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.messages.len().saturating_add(messages.len()) > MOST {
                return Err(SendError(format!("{MOST} messages are waiting already")));
            }
            for message in messages {
                let order = waiting.sent;
                waiting.sent += 1;
                let at = message.not_before.unwrap_or_else(|| self.clock.now());
                waiting.messages.push(Reverse(Entry { at, order, queue, message }));
            }
        }
        self.inner.changed.notify_one();
        Ok(())
    }
}
