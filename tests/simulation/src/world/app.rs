//! Target systems: the sandbox's, behind a network. Before each call the oracle sees whether it may be made.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dutykey_engine::ports::target::{Accepted, GrantOrder, Page, Resolved, RevokeOrder, Target, TargetError, Targets};
use dutykey_policy::hold::{Call, Capabilities, Observation};
use dutykey_policy::id::{AccountId, AppId, EntitlementRef, Place};
use dutykey_policy::installation;
use dutykey_policy::turn::TurnKey;
use dutykey_policy::wants::Slot;
use dutykey_targets::sandbox::SandboxTarget;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::World;
use super::platform::{put, seconds, their_clock};
use crate::plan::{App, Happening, Plan};

/// The client's deadline for one call, in seconds.
pub const DEADLINE: u64 = 10;

/// The apps of a company.
#[derive(Debug)]
pub struct CompanyApps {
    world: Arc<World>,
    apps: BTreeMap<AppId, SandboxTarget>,
}

/// An app's script, as the sandbox reads it.
fn script(plan: &Plan, number: usize, app: &App) -> Value {
    let account = |person: usize| plan.people.get(person).and_then(|human| human.accounts.first()).map(|(id, _)| id);
    let accounts: Vec<Value> = plan
        .people
        .iter()
        .flat_map(|human| human.accounts.iter().map(move |(id, address)| (id, address, human.active)))
        .map(|(id, address, active)| json!({ "id": id, "address": address, "active": active }))
        .collect();
    let groups: Vec<Value> = app
        .groups
        .iter()
        .map(|group| {
            let ids = |people: &std::collections::BTreeSet<usize>| -> Vec<&String> {
                people.iter().filter_map(|person| account(*person)).collect()
            };
            json!({ "id": group.id, "members": ids(&group.members), "inherited": ids(&group.inherited) })
        })
        .collect();
    let faults: Vec<Value> = plan
        .happens
        .iter()
        .filter_map(|happening| match happening {
            Happening::App(fault) if fault.app == number => {
                let mut value =
                    json!({ "fault": fault.kind, "from": format!("{}s", fault.from), "to": format!("{}s", fault.to) });
                put(&mut value, "on", fault.on.clone());
                put(&mut value, "times", fault.times);
                put(&mut value, "after", fault.after.map(seconds));
                Some(value)
            }
            _ => None,
        })
        .collect();
    let mut script = json!({
        "accounts": accounts, "groups": groups, "faults": faults, "latency_ms": app.latency_ms,
        "deadline": format!("{DEADLINE}s"), "propagation": format!("{}s", app.propagation),
        "native_end": app.native_end, "tells_owner": app.tells_owner,
    });
    let values: BTreeMap<&String, &String> =
        app.values.iter().filter_map(|(person, value)| Some((account(*person)?, app.roles.get(*value)?))).collect();
    let roles = (!app.roles.is_empty()).then(|| json!({ "order": app.roles, "values": values }));
    put(&mut script, "roles", roles);
    put(&mut script, "asynchronous", app.asynchronous.map(seconds));
    put(&mut script, "serialize", app.serialize.as_ref().map(|by| json!({ "by": by, "turns": app.turns })));
    put(&mut script, "limit", app.limit.map(|limit| json!({ "calls": limit, "every": "1s" })));
    script
}

impl CompanyApps {
    /// The apps of the plan.
    ///
    /// # Errors
    /// The plan makes no sense to the sandbox.
    pub fn new(world: &Arc<World>) -> anyhow::Result<Self> {
        let mut apps = BTreeMap::new();
        for (number, app) in world.plan.apps.iter().enumerate() {
            let id: AppId = app.id.parse()?;
            let script = script(&world.plan, number, app);
            let target = SandboxTarget::new(id.clone(), &script, world.plan.epoch, their_clock(&world.clock))?;
            world.oracle().watch(id.clone(), target.clone());
            apps.insert(id, target);
        }
        Ok(Self { world: world.clone(), apps })
    }

    /// The app with this number.
    #[must_use]
    pub fn of(&self, number: usize) -> Option<&SandboxTarget> {
        let app = self.world.plan.apps.get(number)?;
        self.apps.iter().find(|(id, _)| id.as_str() == app.id).map(|(_, target)| target)
    }

    /// Every app.
    pub fn all(&self) -> impl Iterator<Item = &SandboxTarget> {
        self.apps.values()
    }
}

#[async_trait]
impl Targets for CompanyApps {
    async fn target(&self, app: &installation::App) -> Result<Arc<dyn Target>, TargetError> {
        let inner = self.apps.get(&app.id).cloned();
        let inner = inner.ok_or_else(|| TargetError::Permanent(format!("there is no app {}", app.id)))?;
        Ok(Arc::new(Remote { world: self.world.clone(), app: app.id.clone(), inner }))
    }
}

/// An app behind a network.
struct Remote {
    world: Arc<World>,
    app: AppId,
    inner: SandboxTarget,
}

impl Remote {
    async fn ask<T>(&self, question: impl Future<Output = Result<T, TargetError>> + Send) -> Result<T, TargetError> {
        self.world.point("an app").await;
        let answer = question.await;
        self.world.point("an app's answer").await;
        answer
    }

    async fn call(
        &self,
        what: Call,
        account: &AccountId,
        place: &Place,
        call: impl Future<Output = Result<Accepted, TargetError>> + Send,
    ) -> Result<Accepted, TargetError> {
        self.world.point("an app").await;
        crate::oracle::ledger::before_call(&self.world, what, &self.app, account, place).await;
        let number = self.world.oracle().begins(what, &self.app, account, place, self.world.now());
        let answer = call.await;
        if let Err(error) = &answer {
            self.world.struck(format!("app: {}", error.to_string().split(':').next().unwrap_or_default()));
        }
        self.world.tell(|| crate::story::call(what, &self.app, account, place, &answer));
        self.world.oracle().answers(number, &answer, self.world.now());
        self.world.point("an app's answer").await;
        answer
    }
}

#[async_trait]
impl Target for Remote {
    fn capabilities(&self, kind: &str) -> Capabilities {
        self.inner.capabilities(kind)
    }
    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot> {
        self.inner.slot(entitlement)
    }
    fn rank(&self, place: &Place, value: &str) -> Option<i64> {
        self.inner.rank(place, value)
    }
    fn turns(&self, account: &AccountId, place: &Place) -> Vec<TurnKey> {
        self.inner.turns(account, place)
    }
    async fn check(&self) -> Result<String, TargetError> {
        self.ask(self.inner.check()).await
    }
    async fn resolve(&self, address: &str) -> Result<Resolved, TargetError> {
        self.ask(self.inner.resolve(address)).await
    }
    async fn is_active(&self, account: &AccountId) -> Result<Option<bool>, TargetError> {
        self.ask(self.inner.is_active(account)).await
    }
    async fn catalog(&self, page: Option<&str>) -> Result<Page, TargetError> {
        self.ask(self.inner.catalog(page)).await
    }
    async fn observe(&self, account: &AccountId, place: &Place) -> Result<Observation, TargetError> {
        self.ask(self.inner.observe(account, place)).await
    }
    async fn grant(&self, order: &GrantOrder) -> Result<Accepted, TargetError> {
        if order.native_end.is_none() && self.capabilities(&order.place.kind).native_end {
            let (place, account) = (&order.place, &order.account);
            let what = format!("{}/{} of {account} is given without the end that the app keeps", place.kind, place.id);
            self.world.oracle().violated("P2", self.world.now(), what);
        }
        self.call(Call::Grant, &order.account, &order.place, self.inner.grant(order)).await
    }
    async fn poll(&self, operation: &str) -> Result<Accepted, TargetError> {
        self.ask(self.inner.poll(operation)).await
    }
    async fn extend(&self, order: &RevokeOrder, native_end: Timestamp) -> Result<Accepted, TargetError> {
        self.call(Call::Extend, &order.account, &order.place, self.inner.extend(order, native_end)).await
    }
    async fn revoke(&self, order: &RevokeOrder) -> Result<Accepted, TargetError> {
        self.call(Call::Revoke, &order.account, &order.place, self.inner.revoke(order)).await
    }
}
