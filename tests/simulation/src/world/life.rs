//! Lives of workers: each invocation of a function is one, and may end at any request that it makes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::plan::{Happening, Plan, Second};

/// A message whose worker died comes again after this time: the queue's visibility time-out.
pub const REDELIVERY: Duration = Duration::from_secs(360);

tokio::task_local! {
    static LIFE: Arc<Life>;
}

/// One life.
#[derive(Debug, Default)]
pub struct Life {
    dead: AtomicBool,
    death: Notify,
}

impl Life {
    fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.death.notify_one();
    }
}

/// Everybody who is at work, and who will die when.
#[derive(Debug)]
pub struct Lives(Mutex<State>);

#[derive(Debug)]
struct State {
    /// From this second on, at the request that is so many away.
    crashes: Vec<(Second, u32)>,
    living: Vec<Weak<Life>>,
    points: u64,
}

impl Lives {
    /// Those who die by the plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let crash = |happening: &Happening| match happening {
            Happening::Crash { at, point } => Some((*at, *point)),
            _ => None,
        };
        let crashes = plan.happens.iter().filter_map(crash).collect();
        Self(Mutex::new(State { crashes, living: Vec::new(), points: 0 }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests workers have made, each counted before and after.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.state().points
    }

    /// Works for as long as the worker lives; `None` where it died.
    pub async fn live<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let life = Arc::new(Life::default());
        {
            let mut state = self.state();
            state.living.retain(|life| life.strong_count() > 0);
            state.living.push(Arc::downgrade(&life));
        }
        let work = LIFE.scope(life.clone(), work);
        tokio::select! {
            biased;
            () = life.death.notified() => None,
            done = work => Some(done),
        }
    }

    /// Ends every life.
    pub fn end_all(&self) {
        for life in self.state().living.drain(..).filter_map(|life| life.upgrade()) {
            life.end();
        }
    }

    /// Passes a request of the worker at hand; answers whether they die here. Administrators do not die.
    pub fn pass(&self, second: Second) -> bool {
        let Ok(life) = LIFE.try_with(Arc::clone) else { return false };
        if life.dead.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state();
        state.points += 1;
        let mut dies = false;
        state.crashes.retain_mut(|(at, left)| {
            if *at > second || dies {
                return true;
            }
            dies = *left == 0;
            *left = left.saturating_sub(1);
            !dies
        });
        if dies {
            life.end();
        }
        dies
    }

    /// Goes on, where the worker at hand lives.
    pub async fn stay(&self) {
        let dead = LIFE.try_with(|life| life.dead.load(Ordering::Relaxed)).unwrap_or(false);
        if dead {
            std::future::pending::<()>().await;
        }
    }
}
