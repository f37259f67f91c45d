//! The three queues in one process. A message waits here until its time; what a crash loses, the next tick finds in the
//! table again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::{About, Enqueue, Message, Queue, SendError};
use dutykey_policy::id::SourceId;
use jiff::Timestamp;
use tokio::sync::Notify;

/// At most this many messages wait; beyond it senders are refused and the table keeps the work.
const MOST: usize = 100_000;

/// The queues.
#[derive(Clone)]
pub struct LocalQueues {
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
    /// How many reads of a whole source wait or are under way.
    reads: BTreeMap<SourceId, usize>,
}

/// A message that is being worked on.
#[derive(Debug)]
pub struct Taken {
    /// Its queue.
    pub queue: Queue,
    /// The message.
    pub message: Message,
    queues: LocalQueues,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(source) = whole_source(self.queue, &self.message) else { return };
        let mut waiting = self.queues.waiting();
        if let Some(reads) = waiting.reads.get_mut(source) {
            *reads = reads.saturating_sub(1);
        }
    }
}

/// The source, of a read of everything of it.
fn whole_source(queue: Queue, message: &Message) -> Option<&SourceId> {
    match &message.about {
        About::Rota { source, rotation: None } if queue == Queue::Sync => Some(source),
        About::Rota { .. } | About::Person { .. } | About::Sweep { .. } | About::Catalog { .. } => None,
    }
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
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::new(Inner { waiting: Mutex::default(), changed: Notify::new() }), clock }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a read of the whole source waits or is under way.
    #[must_use]
    pub fn reads(&self, source: &SourceId) -> bool {
        self.waiting().reads.get(source).is_some_and(|reads| *reads > 0)
    }

    /// The next message whose time has come. Waits for it. Who takes it keeps it until the work is done.
    pub async fn next(&self) -> Taken {
        loop {
            let changed = self.inner.changed.notified();
            let due = {
                let mut waiting = self.waiting();
                let now = self.clock.now();
                match waiting.messages.peek() {
                    Some(Reverse(entry)) if entry.at <= now => {
                        if let Some(Reverse(entry)) = waiting.messages.pop() {
                            return Taken { queue: entry.queue, message: entry.message, queues: self.clone() };
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
            let mut waiting = self.waiting();
            if waiting.messages.len().saturating_add(messages.len()) > MOST {
                return Err(SendError(format!("{MOST} messages are waiting already")));
            }
            for message in messages {
                let order = waiting.sent;
                waiting.sent += 1;
                if let Some(source) = whole_source(queue, &message) {
                    *waiting.reads.entry(source.clone()).or_default() += 1;
                }
                let at = message.not_before.unwrap_or_else(|| self.clock.now());
                waiting.messages.push(Reverse(Entry { at, order, queue, message }));
            }
        }
        self.inner.changed.notify_one();
        Ok(())
    }
}
