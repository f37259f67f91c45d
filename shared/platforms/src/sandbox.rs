//! A simulated on-call platform: its world is a script, and time passes in it by the engine's clock.
//!
//! It serves the demonstration and tests. To the rest of the program it is an ordinary platform. A script, with offsets
//! from the world's epoch (`12s`, `5m`; a whole number and s, m, h or d); every key but `id`, `user`, `from`, `to` and
//! `fault` may be left out:
//!
//! ```yaml
//! account: example                                  # what `check` answers
//! tells_overrides: true                             # false: causes and makers are hidden, as in an iCalendar feed
//! users: [{ id: u-ann, email: ann@example.com, name: Ann Lee, active: true }]
//! teams: [{ id: t-ops, name: Operations, members: [u-ann] }]
//! rotations:
//!   - id: primary                                   # or policy@1 for a level
//!     name: Primary
//!     time_zone: Europe/Zurich
//!     turns: { users: [u-ann, u-bob, null], every: 6s, from: 0s, until: 60s }   # null is a declared gap
//!     shifts: [{ user: u-ann, from: 2s, to: 14s, cause: base, announced: 1s, withdrawn: 9s }]   # to: open has no end
//!     overrides: [{ user: u-bob, from: 8s, to: 12s, announced: 7s, by: u-bob, replaces: u-ann }]
//! faults: [{ fault: outage, from: 20s, to: 26s, on: shifts, rotation: primary, times: 2, after: 3s }]
//! ```
//!
//! A read sees what is announced when it arrives. An override replaces whoever is on call, or only the user whom it
//! names, and a later one in the list replaces an earlier one. What happens to a read under a fault is said at
//! [`FaultKind`].

mod fault;
mod rota;
mod script;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::platform::{Platform, PlatformError};
use dutykey_policy::id::{RotationId, SourceId, UserId};
use dutykey_policy::rota::{PlatformUser, Rotation, Shift, Team};
use dutykey_policy::time::{Span, later};
use jiff::Timestamp;
use serde_json::Value;

pub use fault::{Fault, FaultKind, Operation};
pub use rota::{Override, Shown};
use script::Script;
pub use script::ScriptError;

/// The client's deadline for one read.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The simulated platforms of one process: each adapter of a source sees the same one.
#[derive(Clone)]
pub struct SandboxWorld {
    epoch: Timestamp,
    clock: Arc<dyn Clock>,
    platforms: Arc<Mutex<BTreeMap<SourceId, (Value, SandboxPlatform)>>>,
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
        Self { epoch, clock, platforms: Arc::default() }
    }

    /// The platform of the source: the one that is there, or a new one where there is none or the script is another.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub fn platform(&self, source: &SourceId, script: &Value) -> Result<SandboxPlatform, ScriptError> {
        let mut platforms = self.platforms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, platform)) = platforms.get(source)
            && known == script
        {
            return Ok(platform.clone());
        }
        let platform = SandboxPlatform::new(source.clone(), script, self.epoch, Arc::clone(&self.clock))?;
        platforms.insert(source.clone(), (script.clone(), platform.clone()));
        Ok(platform)
    }
}

/// A simulated platform. Clones share one state, so that a clone is also the handle by which a test changes it.
#[derive(Clone)]
pub struct SandboxPlatform {
    source: SourceId,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    script: Script,
    calls: BTreeMap<Operation, u64>,
    /// Calls that nobody has counted yet.
    untaken: u64,
}

impl std::fmt::Debug for SandboxPlatform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxPlatform").field("source", &self.source).finish_non_exhaustive()
    }
}

impl SandboxPlatform {
    /// A platform of its own, whose script begins at `epoch`.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub fn new(source: SourceId, script: &Value, epoch: Timestamp, clock: Arc<dyn Clock>) -> Result<Self, ScriptError> {
        let state = State { script: Script::parse(&source, script, epoch)?, calls: BTreeMap::new(), untaken: 0 };
        Ok(Self { source, clock, state: Arc::new(Mutex::new(state)) })
    }

    /// Adds an override to a rotation, over all that are there.
    ///
    /// # Errors
    /// The platform does not know the rotation.
    pub fn add_override(&self, rotation: &RotationId, added: Override) -> Result<(), PlatformError> {
        let mut state = self.lock();
        let rota = state.script.rotas.get_mut(rotation);
        rota.ok_or_else(|| PlatformError::NotFound(rotation.to_string()))?.overrides.push(added);
        Ok(())
    }

    /// Makes a user, or replaces what is known of them.
    pub fn replace_user(&self, user: PlatformUser) {
        let users = &mut self.lock().script.users;
        users.retain(|known| known.id != user.id);
        users.push(user);
        users.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// Lists a user no longer.
    pub fn remove_user(&self, id: &UserId) {
        self.lock().script.users.retain(|known| known.id != *id);
    }

    /// Adds a fault, before all that are there.
    pub fn inject(&self, fault: Fault) {
        self.lock().script.faults.insert(0, fault);
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.lock().script.faults.clear();
    }

    /// How many reads of this kind have arrived, those that failed included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().calls.get(&operation).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A read arrives and meets the fault of the moment. What it answers is as of the instant at which it arrived,
    /// however long it takes.
    async fn arrive(
        &self,
        operation: Operation,
        rotation: Option<&RotationId>,
    ) -> Result<(Timestamp, Option<FaultKind>), PlatformError> {
        let at = self.clock.now();
        let fault = {
            let mut state = self.lock();
            *state.calls.entry(operation).or_default() += 1;
            state.untaken += 1;
            state.script.faults.iter_mut().find_map(|fault| fault.strike(at, operation, rotation))
        };
        let Some((kind, after)) = fault else { return Ok((at, None)) };
        if kind == FaultKind::Slow {
            let takes = after.unwrap_or(DEADLINE);
            self.clock.sleep_until(later(at, takes.min(DEADLINE))).await;
            if takes >= DEADLINE {
                return Err(PlatformError::Unavailable(format!("no answer within {}s", DEADLINE.as_secs())));
            }
        }
        let what = rotation.map_or_else(|| operation.to_string(), RotationId::to_string);
        match kind.error(what, after) {
            Some(error) => Err(error),
            None => Ok((at, Some(kind))),
        }
    }
}

/// What is left of a list under a fault: nothing under `empty`; under `half`, what belongs to the first half, rounded
/// down, of those whom it names.
fn remaining<T>(mut list: Vec<T>, kind: Option<FaultKind>, name: impl Fn(&T) -> String) -> Vec<T> {
    match kind {
        Some(FaultKind::Empty) => list.clear(),
        Some(FaultKind::Half) => {
            let mut names: Vec<String> = list.iter().map(&name).collect();
            names.sort_unstable();
            names.dedup();
            names.truncate(names.len() / 2);
            list.retain(|item| names.binary_search(&name(item)).is_ok());
        }
        _ => {}
    }
    list
}

#[async_trait]
impl Platform for SandboxPlatform {
    fn take_requests(&self) -> u64 {
        std::mem::take(&mut self.lock().untaken)
    }

    async fn check(&self) -> Result<String, PlatformError> {
        self.arrive(Operation::Check, None).await?;
        Ok(self.lock().script.account.clone())
    }

    async fn users(&self) -> Result<Vec<PlatformUser>, PlatformError> {
        let (_, fault) = self.arrive(Operation::Users, None).await?;
        Ok(remaining(self.lock().script.users.clone(), fault, |user| user.id.to_string()))
    }

    async fn teams(&self) -> Result<Vec<Team>, PlatformError> {
        let (_, fault) = self.arrive(Operation::Teams, None).await?;
        Ok(remaining(self.lock().script.teams.clone(), fault, |team| team.id.clone()))
    }

    async fn rotations(&self) -> Result<Vec<Rotation>, PlatformError> {
        let (_, fault) = self.arrive(Operation::Rotations, None).await?;
        Ok(remaining(self.lock().script.rotations.clone(), fault, |rotation| rotation.id.to_string()))
    }

    async fn shifts(&self, rotation: &RotationId, window: Span) -> Result<Vec<Shift>, PlatformError> {
        let (at, fault) = self.arrive(Operation::Shifts, Some(rotation)).await?;
        let state = self.lock();
        let rota = state.script.rotas.get(rotation);
        let rota = rota.ok_or_else(|| PlatformError::NotFound(rotation.to_string()))?;
        let mut shifts = rota.shifts(window, at)?;
        if !state.script.tells_overrides {
            shifts.iter_mut().for_each(rota::hide);
        }
        Ok(remaining(shifts, fault, |shift| shift.user.as_ref().map(ToString::to_string).unwrap_or_default()))
    }
}
