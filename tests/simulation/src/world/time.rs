//! Time in the simulated world: it stands still while anything can happen, then jumps to the next instant that somebody
//! waits for. One thread; whoever waits for the same instant wakes in the order in which they began to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use aws_smithy_async::time::TimeSource;
use dutykey_engine::ports::clock::Clock;
use dutykey_policy::time::later;
use futures_executor::LocalPool;
use jiff::{SignedDuration, Timestamp};

/// The world's clock, and everybody who waits for it. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct WorldClock(Arc<Mutex<Timers>>);

#[derive(Debug)]
struct Timers {
    now: Timestamp,
    waiting: BTreeMap<(Timestamp, u64), Waker>,
    count: u64,
}

impl WorldClock {
    /// A clock that shows this instant.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Timers { now, waiting: BTreeMap::new(), count: 0 })))
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.timers().now
    }

    /// Waits until the instant.
    pub async fn until(&self, at: Timestamp) {
        // A waiter that is dropped before its time must not stay behind: it would wake the world for nothing.
        struct Place<'a>(&'a WorldClock, (Timestamp, u64));
        impl Drop for Place<'_> {
            fn drop(&mut self) {
                self.0.timers().waiting.remove(&self.1);
            }
        }
        if self.now() >= at {
            return;
        }
        let key = {
            let mut timers = self.timers();
            timers.count += 1;
            (at, timers.count)
        };
        let _place = Place(self, key);
        std::future::poll_fn(|context| {
            let mut timers = self.timers();
            if timers.now >= at {
                return Poll::Ready(());
            }
            timers.waiting.insert(key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Jumps to the next instant that somebody waits for and wakes them; `false` where nobody waits.
    fn jump(&self) -> bool {
        let due: Vec<Waker> = {
            let mut timers = self.timers();
            let Some(next) = timers.waiting.keys().next().map(|(at, _)| *at) else { return false };
            timers.now = timers.now.max(next);
            let later = timers.waiting.split_off(&(next, u64::MAX));
            std::mem::replace(&mut timers.waiting, later).into_values().collect()
        };
        due.into_iter().for_each(Waker::wake);
        true
    }

    /// Runs what was spawned until it is `over`; `false` where everybody waits for something that can no longer come.
    pub fn run(&self, pool: &mut LocalPool, over: impl Fn() -> bool) -> bool {
        loop {
            pool.run_until_stalled();
            if over() {
                return true;
            }
            if !self.jump() {
                return false;
            }
        }
    }
}

/// A worker's clock: the world's, and so much ahead of it or behind.
#[derive(Clone, Debug)]
pub struct WorkerClock {
    world: WorldClock,
    ahead: SignedDuration,
}

impl WorkerClock {
    /// A clock that is `ahead_ms` milliseconds ahead of the world's.
    #[must_use]
    pub fn new(world: WorldClock, ahead_ms: i64) -> Self {
        Self { world, ahead: SignedDuration::from_millis(ahead_ms) }
    }
}

#[async_trait]
impl Clock for WorkerClock {
    fn now(&self) -> Timestamp {
        self.world.now().checked_add(self.ahead).unwrap_or(Timestamp::MAX)
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.world.until(at.checked_sub(self.ahead).unwrap_or(at)).await;
    }
}

impl TimeSource for WorldClock {
    fn now(&self) -> SystemTime {
        SystemTime::from(Self::now(self))
    }
}

impl AsyncSleep for WorldClock {
    fn sleep(&self, duration: Duration) -> Sleep {
        let (clock, at) = (self.clone(), later(self.now(), duration));
        Sleep::new(async move { clock.until(at).await })
    }
}
