//! Every function in one process: the same handlers over the embedded table, in-process queues and one clock.

use std::sync::Arc;
use std::time::Duration;

use dutykey_engine::catalog::Catalogs;
use dutykey_engine::look::Worker;
use dutykey_engine::ports::clock::{Chance, Clock};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::notify::Notify;
use dutykey_engine::ports::platform::Platforms;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue};
use dutykey_engine::ports::rules::ReadRules;
use dutykey_engine::ports::target::Targets;
use dutykey_engine::ports::witness::Witness;
use dutykey_engine::sync::Syncer;
use dutykey_engine::tick::Ticker;
use dutykey_policy::hold::Side;
use dutykey_policy::id::SourceId;
use dutykey_policy::retry::HOURLY;
use dutykey_policy::time::{later, millis_between};
use dutykey_store::Store;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::agree;
use crate::queue::LocalQueues;

/// How often the hand-off function runs.
const TICK: Duration = Duration::from_secs(60);
/// How many messages of one queue are worked on side by side.
const SIDE_BY_SIDE: usize = 256;

/// What the process is made of.
#[derive(Clone)]
pub struct Parts {
    /// The table.
    pub store: Store,
    /// Adapters of the sources.
    pub platforms: Arc<dyn Platforms>,
    /// Adapters of the apps.
    pub targets: Arc<dyn Targets>,
    /// Whom to tell.
    pub notify: Arc<dyn Notify>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// Whoever watches.
    pub witness: Arc<dyn Witness>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// Every function in one process.
#[derive(Clone)]
pub struct Process {
    syncer: Syncer,
    provisioning: Worker,
    revocation: Worker,
    catalogs: Catalogs,
    ticker: Ticker,
    queues: LocalQueues,
    store: Store,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

impl Process {
    /// Puts the functions together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { store, platforms, targets, notify, clock, chance, witness } = parts;
        let queues = LocalQueues::new(clock.clone());
        let shared = Arc::new(store.clone());
        let worker = |side: Side, actor: &'static str| Worker {
            side,
            actor,
            ledger: shared.clone(),
            rota: shared.clone(),
            rules: shared.clone(),
            sweeps: shared.clone(),
            turns: shared.clone(),
            targets: targets.clone(),
            queues: Arc::new(queues.clone()),
            clock: clock.clone(),
            chance: chance.clone(),
            witness: witness.clone(),
        };
        Self {
            provisioning: worker(Side::Starts, "provisioning"),
            revocation: worker(Side::Ends, "revocation"),
            catalogs: Catalogs {
                catalogs: shared.clone(),
                rules: shared.clone(),
                targets,
                queues: Arc::new(queues.clone()),
                clock: clock.clone(),
            },
            syncer: Syncer {
                rota: shared.clone(),
                ledger: shared.clone(),
                rules: shared.clone(),
                platforms,
                queues: Arc::new(queues.clone()),
                clock: clock.clone(),
                chance,
                witness: witness.clone(),
            },
            ticker: Ticker {
                due: shared.clone(),
                numbers: shared,
                queues: Arc::new(queues.clone()),
                notify,
                clock: clock.clone(),
                witness,
            },
            queues,
            store,
            clock,
        }
    }

    /// Sends messages as a webhook or a command would.
    #[must_use]
    pub fn queues(&self) -> Arc<dyn Enqueue> {
        Arc::new(self.queues.clone())
    }

    /// Runs until `stop` turns true, then lets what has begun finish, for at most ten seconds.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        let permits: [Arc<Semaphore>; 3] = std::array::from_fn(|_| Arc::new(Semaphore::new(SIDE_BY_SIDE)));
        let stopped = async {
            while !*stop.borrow_and_update() {
                if stop.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::pin!(stopped);
        let (mut ticks, mut syncs) = (std::pin::pin!(self.ticks()), std::pin::pin!(self.syncs()));
        let (platforms, targets) = (self.syncer.platforms.as_ref(), self.provisioning.targets.as_ref());
        let mut asks = std::pin::pin!(agree::asks(self.clock.as_ref(), &self.store, platforms, targets));
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                () = &mut ticks => {}
                () = &mut syncs => {}
                () = &mut asks => {}
                taken = self.queues.next() => {
                    let [sync, starts, ends] = &permits;
                    let permits = match taken.queue { Queue::Sync => sync, Queue::Provisioning => starts, Queue::Revocation => ends }.clone();
                    let process = self.clone();
                    tasks.spawn(async move {
                        let _permit = permits.acquire_owned().await;
                        process.handle(taken.queue, &taken.message).await;
                    });
                }
                Some(_) = tasks.join_next() => {}
            }
        }
        let patience = later(self.clock.now(), Duration::from_secs(10));
        tokio::select! {
            () = async { while tasks.join_next().await.is_some() {} } => {}
            () = self.clock.sleep_until(patience) => tracing::warn!("some work was cut off; it goes on at the next start"),
        }
    }

    /// Has what every app has to give read, now and each hour; for ever.
    pub async fn catalogs(&self) {
        loop {
            agree::agreed(self.clock.as_ref()).await;
            let _ = self.queues.send(Queue::Provisioning, vec![Message::catalog(None, "schedule")]).await;
            agree::pause(self.clock.as_ref(), HOURLY).await;
        }
    }

    /// One message, by the function of its queue, once the clock is trusted. A failed message is sent again after a
    /// while, as SQS would.
    async fn handle(&self, queue: Queue, message: &Message) {
        agree::agreed(self.clock.as_ref()).await;
        let done = match queue {
            Queue::Sync => rotation_sync::take(&self.syncer, message).await,
            Queue::Provisioning => provisioning::take_any(&self.provisioning, &self.catalogs, message).await,
            Queue::Revocation => revocation::take(&self.revocation, message).await,
        };
        if let Err(error) = done {
            let again = match &error {
                // It waits until the clock is trusted, and nobody knows when that is.
                StoreError::Doubt(_) => message.clone(),
                _ => {
                    tracing::error!(error = %error, "a message failed and is tried again: {error}");
                    message.clone().at(later(self.clock.now(), Duration::from_secs(5)))
                }
            };
            let _ = self.queues.send(queue, vec![again]).await;
        }
    }

    async fn ticks(&self) {
        loop {
            agree::agreed(self.clock.as_ref()).await;
            let next = later(self.clock.now(), TICK);
            if let Err(error) = handoff::tick(&self.ticker).await {
                tracing::error!(error = %error, "the tick failed; the next one finds what it left: {error}");
            }
            let left = u64::try_from(millis_between(self.clock.now(), next)).unwrap_or_default();
            agree::pause(self.clock.as_ref(), Duration::from_millis(left).min(TICK)).await;
        }
    }

    /// Has every source read at its own pace. A source whose last read is not over by then is read when it is due again.
    async fn syncs(&self) {
        let mut due: std::collections::BTreeMap<SourceId, jiff::Timestamp> = std::collections::BTreeMap::new();
        let mut version = 0;
        loop {
            let now = self.clock.now();
            let mut next = later(now, TICK);
            match self.store.installation().await {
                Ok(configured) => {
                    let current = configured.as_ref().map_or(0, |configured| configured.version);
                    let changed = std::mem::replace(&mut version, current) != current;
                    if changed {
                        // What a new configuration drops ends now, and what it adds begins now: a read that has begun
                        // knows the one before.
                        due.clear();
                    }
                    for source in configured.into_iter().flat_map(|configured| configured.installation.sources) {
                        let at = due.entry(source.id.clone()).or_insert(now);
                        // A turn further off than the next one was taken by a clock that has been set back.
                        *at = (*at).min(later(now, source.every));
                        if *at <= now {
                            *at = later(now, source.every);
                            if changed || !self.queues.reads(&source.id) {
                                let read = Message::rota(source.id.clone(), None, "schedule");
                                let _ = self.queues.send(Queue::Sync, vec![read]).await;
                            }
                        }
                        next = next.min(*at);
                    }
                }
                Err(error) => tracing::error!(error = %error, "the installation cannot be read: {error}"),
            }
            let until_next = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            agree::pause(self.clock.as_ref(), until_next).await;
        }
    }
}
