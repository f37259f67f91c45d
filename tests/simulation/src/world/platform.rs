//! On-call platforms: the sandbox's, behind a network, with answers that may be old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::platform::{Platform, PlatformError, Platforms};
use dutykey_platforms::sandbox::SandboxPlatform;
use dutykey_policy::id::{RotationId, SourceId, UserId};
use dutykey_policy::installation::Source;
use dutykey_policy::rota::{PlatformUser, Rotation, Shift, Team};
use dutykey_policy::time::{Span, earlier};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::World;
use super::time::WorldClock;
use crate::plan::{Happening, Plan};

/// The platforms of a company.
#[derive(Debug)]
pub struct CompanyPlatforms {
    world: Arc<World>,
    sources: BTreeMap<SourceId, SandboxPlatform>,
}

/// A clock that shows an old time where the answers of a source are old.
struct OldClock {
    world: Arc<World>,
    source: String,
}

#[async_trait]
impl Clock for OldClock {
    fn now(&self) -> Timestamp {
        let age = self.world.trouble(|happening| match happening {
            Happening::Platform(fault) if fault.kind == "stale" && fault.source == self.source => {
                Some((fault.after.unwrap_or_default(), fault.from, fault.to, 1))
            }
            _ => None,
        });
        if age.is_some() {
            self.world.struck("platform: stale answer");
        }
        earlier(self.world.now(), Duration::from_secs(u64::from(age.unwrap_or_default())))
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.world.clock.until(at).await;
    }
}

/// A time or a length as scripts have it.
pub(super) fn seconds(second: u32) -> String {
    format!("{second}s")
}

/// Puts a key into a script, where there is something to put.
pub(super) fn put(script: &mut Value, key: &str, what: Option<impl Into<Value>>) {
    if let (Some(script), Some(what)) = (script.as_object_mut(), what) {
        script.insert(key.to_owned(), what.into());
    }
}

/// A source's script, as the sandbox reads it.
fn script(plan: &Plan, source: &str) -> Value {
    let user = |number: usize| json!(Plan::user(number));
    let users: Vec<Value> = plan
        .people
        .iter()
        .enumerate()
        .map(|(number, human)| json!({ "id": user(number), "email": human.address, "active": true }))
        .collect();
    let rotations: Vec<Value> = plan
        .rotations
        .iter()
        .filter(|rotation| rotation.source == source)
        .map(|rotation| {
            let shifts: Vec<Value> = rotation
                .shifts
                .iter()
                .map(|shift| {
                    let mut value = json!({
                        "user": shift.user.map(user),
                        "from": seconds(shift.from),
                        "to": shift.to.map_or_else(|| "open".to_owned(), seconds),
                        "announced": seconds(shift.announced),
                    });
                    put(&mut value, "withdrawn", shift.withdrawn.map(seconds));
                    value
                })
                .collect();
            let overrides: Vec<Value> = rotation
                .overrides
                .iter()
                .map(|laid| {
                    let mut value = json!({
                        "user": user(laid.user), "from": seconds(laid.from), "to": seconds(laid.to),
                        "announced": seconds(laid.announced), "by": laid.by.map(user),
                    });
                    put(&mut value, "withdrawn", laid.withdrawn.map(seconds));
                    value
                })
                .collect();
            json!({ "id": rotation.id, "shifts": shifts, "overrides": overrides })
        })
        .collect();
    let faults: Vec<Value> = plan
        .happens
        .iter()
        .filter_map(|happening| match happening {
            Happening::Platform(fault) if fault.source == source && fault.kind != "stale" => {
                let mut value = json!({ "fault": fault.kind, "from": seconds(fault.from), "to": seconds(fault.to) });
                let rotation = fault.rotation.and_then(|number| plan.rotations.get(number));
                put(&mut value, "on", rotation.map(|_| "shifts"));
                put(&mut value, "rotation", rotation.map(|rotation| rotation.id.clone()));
                put(&mut value, "after", fault.after.map(seconds));
                Some(value)
            }
            _ => None,
        })
        .collect();
    json!({ "users": users, "rotations": rotations, "faults": faults, "tells_overrides": plan.tells_makers })
}

impl CompanyPlatforms {
    /// The platforms of the plan.
    ///
    /// # Errors
    /// The plan makes no sense to the sandbox.
    pub fn new(world: &Arc<World>) -> anyhow::Result<Self> {
        let mut sources = BTreeMap::new();
        for rotation in &world.plan.rotations {
            let id: SourceId = rotation.source.parse()?;
            if sources.contains_key(&id) {
                continue;
            }
            let script = script(&world.plan, &rotation.source);
            let clock = Arc::new(OldClock { world: world.clone(), source: rotation.source.clone() });
            let platform = SandboxPlatform::new(id.clone(), &script, world.plan.epoch, clock)?;
            sources.insert(id, platform);
        }
        Ok(Self { world: world.clone(), sources })
    }

    /// A user becomes another, on every platform.
    pub fn replace_user(&self, user: &PlatformUser) {
        for platform in self.sources.values() {
            platform.replace_user(user.clone());
        }
    }

    /// A user is listed no longer, on any platform.
    pub fn remove_user(&self, id: &UserId) {
        self.sources.values().for_each(|platform| platform.remove_user(id));
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.sources.values().for_each(SandboxPlatform::heal);
    }

    /// The sources.
    pub fn sources(&self) -> impl Iterator<Item = &SourceId> {
        self.sources.keys()
    }
}

#[async_trait]
impl Platforms for CompanyPlatforms {
    async fn platform(&self, source: &Source) -> Result<Arc<dyn Platform>, PlatformError> {
        let known = self.sources.get(&source.id).cloned();
        let inner = known.ok_or_else(|| PlatformError::NotFound(source.id.to_string()))?;
        Ok(Arc::new(Remote { world: self.world.clone(), source: source.id.clone(), inner }))
    }
}

/// A platform behind a network.
struct Remote {
    world: Arc<World>,
    source: SourceId,
    inner: SandboxPlatform,
}

impl Remote {
    async fn ask<T>(&self, question: impl Future<Output = Result<T, PlatformError>>) -> Result<T, PlatformError> {
        self.world.point("a platform").await;
        self.world.latency(30, 300).await;
        let answer = question.await;
        if let Err(error) = &answer {
            let kind =
                format!("platform: {}", error.to_string().split([':', ' ']).take(4).collect::<Vec<_>>().join(" "));
            self.world.struck(kind);
        }
        answer
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("source", &self.source).finish_non_exhaustive()
    }
}

#[async_trait]
impl Platform for Remote {
    fn take_requests(&self) -> u64 {
        self.inner.take_requests()
    }

    async fn check(&self) -> Result<String, PlatformError> {
        self.ask(self.inner.check()).await
    }

    async fn users(&self) -> Result<Vec<PlatformUser>, PlatformError> {
        let users = self.ask(self.inner.users()).await;
        self.world.point("a platform's answer").await;
        users
    }

    async fn teams(&self) -> Result<Vec<Team>, PlatformError> {
        self.ask(self.inner.teams()).await
    }

    async fn rotations(&self) -> Result<Vec<Rotation>, PlatformError> {
        self.ask(self.inner.rotations()).await
    }

    async fn shifts(&self, rotation: &RotationId, window: Span) -> Result<Vec<Shift>, PlatformError> {
        let asked = self.world.now();
        let shifts = self.ask(self.inner.shifts(rotation, window)).await;
        match &shifts {
            Ok(shifts) => {
                self.world.tell(|| crate::story::answer(rotation, shifts));
                let now = self.world.now();
                self.world.oracle().answered(rotation, asked, now, window, shifts);
            }
            Err(error) => {
                self.world.tell(|| format!("{rotation} cannot be read: {error}"));
                self.world.oracle().unanswered(rotation, self.world.now());
            }
        }
        self.world.point("a platform's answer").await;
        shifts
    }
}

/// The world's clock as a platform or an app has it.
#[must_use]
pub fn their_clock(clock: &WorldClock) -> Arc<dyn Clock> {
    Arc::new(super::time::WorkerClock::new(clock.clone(), 0))
}
