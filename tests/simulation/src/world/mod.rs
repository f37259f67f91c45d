//! The world around Dutykey: time, the table, queues, platforms and apps, all of them simulated and hostile, and the death
//! of workers. Whatever Dutykey asks of the outside passes through here.

pub mod app;
pub mod faults;
pub mod life;
pub mod newer;
pub mod platform;
pub mod queue;
pub mod table;
pub mod time;
pub mod writes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dutykey_engine::ports::ledger::Notice;
use dutykey_engine::ports::notify::{Notify, NotifyError};
use dutykey_engine::ports::witness::{Event, Witness};
use dutykey_policy::time::{later, rfc3339};
use dutykey_store::Store;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::oracle::Oracle;
use crate::plan::{Happening, Plan, Second};
use life::Lives;
use newer::Newer;
use time::WorldClock;
use writes::Writes;

const BRAKED: &str = "the brake holds";

/// The world. Everybody in it holds the same one.
pub struct World {
    /// What happens.
    pub plan: Plan,
    /// Time.
    pub clock: WorldClock,
    /// Who is at work, and who dies.
    pub lives: Lives,
    /// What the table was written.
    pub writes: Writes,
    /// What a newer release has written.
    pub newer: Newer,
    /// Who knows the truth, and checks every promise.
    oracle: Mutex<Oracle>,
    /// The table as it is, without faults: for the oracle and administrators.
    pub ledger: OnceLock<Store>,
    state: Mutex<State>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("seed", &self.plan.seed).finish_non_exhaustive()
    }
}

struct State {
    chance: fastrand::Rng,
    counts: BTreeMap<String, u64>,
    runs: BTreeMap<&'static str, u64>,
    steps: u64,
    trace: Sha256,
    story: Option<Vec<String>>,
}

impl World {
    /// The world of a plan, before anything has happened in it. With a `story`, what happens is kept to be read.
    #[must_use]
    pub fn new(plan: Plan, story: bool) -> Self {
        let clock = WorldClock::starting_at(plan.epoch);
        let state = State {
            chance: fastrand::Rng::with_seed(plan.seed ^ 0x5eed),
            counts: BTreeMap::new(),
            runs: BTreeMap::new(),
            steps: 0,
            trace: Sha256::new(),
            story: story.then(Vec::new),
        };
        Self {
            lives: Lives::new(&plan),
            writes: Writes::default(),
            newer: Newer::default(),
            oracle: Mutex::new(Oracle::new(&plan)),
            plan,
            clock,
            ledger: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oracle.
    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The second of the run.
    #[must_use]
    pub fn second(&self) -> Second {
        Second::try_from(self.now().duration_since(self.plan.epoch).as_secs()).unwrap_or_default()
    }

    /// A number below `below`, by the plan's chance.
    #[must_use]
    pub fn draw(&self, below: u32) -> u32 {
        self.state().chance.u32(..below.max(1))
    }

    /// How much has happened that no plan foretells and after which platforms must be read again.
    #[must_use]
    pub fn unforeseen(&self) -> u64 {
        let state = self.state();
        state
            .counts
            .iter()
            .filter(|(what, _)| what.starts_with("crash") || *what == BRAKED)
            .map(|(_, count)| count)
            .sum()
    }

    /// Whether the brake has ever held something.
    #[must_use]
    pub fn braked(&self) -> bool {
        self.state().counts.contains_key(BRAKED)
    }

    /// Counts that a fault has struck.
    pub fn struck(&self, what: impl Into<String>) {
        *self.state().counts.entry(what.into()).or_default() += 1;
    }

    /// How often each fault has struck.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().counts.clone()
    }

    /// Counts a run of a function.
    pub fn did(&self, what: &'static str) {
        *self.state().runs.entry(what).or_default() += 1;
    }

    /// How often each function ran.
    #[must_use]
    pub fn runs(&self) -> BTreeMap<&'static str, u64> {
        self.state().runs.clone()
    }

    /// How many steps were checked.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Something happens: it is part of the trace, and of the story where one is kept.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        let text = format!("{} {}", rfc3339(self.now()), what());
        let mut state = self.state();
        state.trace.update(text.as_bytes());
        state.trace.update(b"\n");
        if let Some(story) = &mut state.story {
            story.push(text);
        }
    }

    /// A digest of everything that has happened, and the story.
    #[must_use]
    pub fn trace(&self) -> (String, Vec<String>) {
        let state = self.state();
        (dutykey_policy::rota::hex(&state.trace.clone().finalize()), state.story.clone().unwrap_or_default())
    }

    /// A request of a worker begins or has been answered: they may die here, and the oracle looks.
    pub async fn point(&self, what: &'static str) {
        self.state().steps += 1;
        self.oracle().look(self.now());
        if self.lives.pass(self.second()) {
            self.struck(format!("crash at {what}"));
            self.tell(|| format!("the worker dies at {what}"));
            let now = self.now();
            self.oracle().dies(now, later(now, life::REDELIVERY));
        }
        self.lives.stay().await;
    }

    /// Waits for a while, as an answer from elsewhere makes one wait.
    pub async fn latency(&self, from_ms: u32, to_ms: u32) {
        let takes = from_ms + self.draw(to_ms.saturating_sub(from_ms) + 1);
        self.clock.until(later(self.now(), std::time::Duration::from_millis(takes.into()))).await;
    }

    /// The trouble of some kind that a request meets now.
    pub fn trouble<T: Copy>(&self, find: impl Fn(&Happening) -> Option<(T, Second, Second, u32)>) -> Option<T> {
        let now = self.second();
        let mut met = self.plan.happens.iter().filter_map(find).filter(|(_, from, to, _)| (*from..*to).contains(&now));
        met.find(|(_, _, _, one_in)| self.draw(*one_in) == 0).map(|(kind, ..)| kind)
    }
}

/// What Dutykey says to whoever watches.
#[derive(Debug)]
pub struct Watching(pub Arc<World>);

impl Witness for Watching {
    fn saw(&self, event: &Event) {
        let now = self.0.now();
        if matches!(event, Event::Braked { .. }) {
            self.0.struck(BRAKED);
        }
        if !matches!(event, Event::Counted(_) | Event::Ticked { .. } | Event::PlatformAsked(_) | Event::Calling(_)) {
            self.0.tell(|| crate::story::event(event));
        }
        self.0.oracle().saw(event, now);
    }
}

#[async_trait::async_trait]
impl Notify for Watching {
    async fn tell(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.0.point("a notice").await;
        self.0.tell(|| format!("people are told: {}", notice.text));
        let now = self.0.now();
        self.0.oracle().told(notice, now);
        Ok(())
    }
}
