//! A simulated target: its world is a script, and time passes in it by the engine's clock.
//!
//! It serves the demonstration and tests. To the rest of the program it is an ordinary target with two kinds of
//! entitlements: `group`, a set of which an account is a member or not, and `role`, a single value. A script, with
//! offsets from the world's epoch (`12s`, `5m`; a whole number and s, m, h or d); every key but `id`, `address`,
//! `order`, `fault` and `at` may be left out:
//!
//! ```yaml
//! tenant: example                    # what `check` answers; the app's ID where absent
//! accounts: [{ id: acc-ann, address: ann@example.com, active: true }]
//! groups:
//!   - { id: g-prod, name: prod-oncall, description: Production, members: [acc-cat], inherited: [acc-dan] }
//!   - { id: g-hr, unmanageable: it comes from the directory }
//! roles: { order: [viewer, responder, admin], values: { acc-ann: responder } }   # from the least to the most
//! propagation: 0s                    # for so long after a change a read shows what was there before it
//! latency_ms: 0                      # a call acts and is answered after so many milliseconds
//! deadline: 10s                      # the client's deadline for one call
//! asynchronous: 3s                   # operations are polled and take so long; absent: they are done when answered
//! native_end: false                  # whether it ends a membership by itself at a given time
//! tells_owner: false                 # whether it tells our access from others', and keeps the two apart
//! serialize: place                   # account | place | app: a call while another is under way there is a conflict; or
//!                                    # { by: app, turns: 3 }: one while so many are under way is
//! limit: { calls: 20, every: 1s }    # more calls than that are throttled
//! faults:
//!   - { fault: lost_after, on: grant, from: 0s, to: 60s, group: g-prod, account: acc-ann, times: 2, after: 5s }
//! others:                            # what other people do there
//!   - { at: 9s, add: acc-ann, group: g-prod }          # or remove
//!   - { at: 9s, set: acc-ann, value: admin }           # without a value: no role
//!   - { at: 9s, account: { id: acc-ann, address: ann@example.com, active: false } }   # made or replaced
//!   - { at: 9s, delete: acc-ann }
//! ```
//!
//! A read shows the world as it was when the call arrived; a write acts when it would be answered, whether or not anybody
//! still waits for the answer. What happens to a call under a fault is said at [`FaultKind`].

mod adapter;
mod fact;
mod fault;
mod script;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dutykey_engine::ports::clock::Clock;
use dutykey_policy::id::{AppId, Place};
use jiff::Timestamp;
use serde_json::Value;

pub use fact::{By, Change, Effect, Truth};
pub use fault::{Fault, FaultKind, Operation};
use script::Script;
pub use script::ScriptError;
use world::World;
pub use world::{Account, OthersAct};

/// The kind of a group.
pub const GROUP: &str = "group";

/// The kind of the single value, and the name of its seat.
pub const ROLE: &str = "role";

/// The place of a group.
#[must_use]
pub fn group(id: &str) -> Place {
    Place { kind: GROUP.to_owned(), id: id.to_owned() }
}

/// The place of the role.
#[must_use]
pub fn role() -> Place {
    Place { kind: ROLE.to_owned(), id: ROLE.to_owned() }
}

/// The simulated targets of one process: each adapter of an app sees the same one.
#[derive(Clone)]
pub struct SandboxWorld {
    epoch: Timestamp,
    clock: Arc<dyn Clock>,
    targets: Arc<Mutex<BTreeMap<AppId, (Value, SandboxTarget)>>>,
}

impl std::fmt::Debug for SandboxWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxWorld").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl SandboxWorld {
    /// A world whose scripts begin at `epoch`.
    #[must_use]
    pub fn new(epoch: Timestamp, clock: Arc<dyn Clock>) -> Self {
        Self { epoch, clock, targets: Arc::default() }
    }

    /// The target of the app: the one that is there, or a new one where there is none or the script is another.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub fn target(&self, app: &AppId, script: &Value) -> Result<SandboxTarget, ScriptError> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, target)) = targets.get(app)
            && known == script
        {
            return Ok(target.clone());
        }
        let target = SandboxTarget::new(app.clone(), script, self.epoch, Arc::clone(&self.clock))?;
        targets.insert(app.clone(), (script.clone(), target.clone()));
        Ok(target)
    }
}

/// A simulated target. Clones share one state, so that a clone is also the handle by which a test changes it.
#[derive(Clone)]
pub struct SandboxTarget {
    app: AppId,
    script: Arc<Script>,
    clock: Arc<dyn Clock>,
    world: Arc<Mutex<World>>,
}

impl std::fmt::Debug for SandboxTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxTarget").field("app", &self.app).finish_non_exhaustive()
    }
}

impl SandboxTarget {
    /// A target of its own, whose script begins at `epoch`.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub fn new(app: AppId, script: &Value, epoch: Timestamp, clock: Arc<dyn Clock>) -> Result<Self, ScriptError> {
        let (script, world) = script::parse(script, epoch)?;
        Ok(Self { app, script: Arc::new(script), clock, world: Arc::new(Mutex::new(world)) })
    }

    /// Who has what directly, now.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.now().truth()
    }

    /// Who would have what now, had Dutykey never called: standing access. On a target that does not tell owners, what
    /// others add while ours is there ends with ours, and is here nevertheless.
    #[must_use]
    pub fn without_us(&self) -> Truth {
        self.now().without_us.clone()
    }

    /// Every change that has taken effect, in order; of very many the last.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.now().effects()
    }

    /// The changes that have taken effect after the first `seen`. Of very many some may be forgotten.
    #[must_use]
    pub fn effects_after(&self, seen: usize) -> Vec<Effect> {
        self.now().effects_after(seen)
    }

    /// How many calls of this kind have arrived, those that failed included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.now().calls.get(&operation).copied().unwrap_or_default()
    }

    /// Other people change something, now.
    pub fn others(&self, act: OthersAct) {
        let mut world = self.now();
        let at = world.now();
        world.plan(at, act.into());
        world.advance(at);
    }

    /// Adds a fault, before all that are there.
    pub fn inject(&self, fault: Fault) {
        self.now().faults.insert(0, fault);
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.now().faults.clear();
    }

    /// The world, with everything done that was to happen until now.
    fn now(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(self.clock.now());
        world
    }
}
