//! The simulated target as the engine sees it: how calls arrive, act and are answered.

use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::target::{
    Accepted, Entitlement, GrantOrder, Page, Resolved, RevokeOrder, Target, TargetError,
};
use dutykey_policy::hold::{Capabilities, Observation};
use dutykey_policy::id::{AccountId, EntitlementRef, Place};
use dutykey_policy::identity::Doubt;
use dutykey_policy::time::later;
use dutykey_policy::turn::TurnKey;
use dutykey_policy::wants::{Shape, Slot};
use jiff::Timestamp;

use super::fact::{By, Deed};
use super::fault::{Fault, FaultKind, Operation};
use super::script::{Alike, Serialize};
use super::world::{Event, Pending, World};
use super::{GROUP, ROLE, SandboxTarget, group, role};

/// How many entitlements a page of the catalog lists.
const PAGE: usize = 50;

/// How often a pending operation should be asked for.
pub(super) const POLL: Duration = Duration::from_secs(1);

const LOST: &str = "the connection broke before an answer came";

/// A call that has arrived.
struct Arrived {
    /// When.
    at: Timestamp,
    /// How long until it acts and is answered.
    takes: Duration,
    /// What goes wrong with it.
    fault: Option<Fault>,
}

impl SandboxTarget {
    /// Takes note of a call and finds the fault that it meets.
    fn arrive(
        &self,
        world: &mut World,
        operation: Operation,
        account: Option<&AccountId>,
        place: Option<&Place>,
    ) -> Arrived {
        let at = world.now();
        *world.calls.entry(operation).or_default() += 1;
        let fault = world
            .over_limit(self.script.limit)
            .map(|after| Fault { after: Some(after), ..Fault::always(FaultKind::Throttled) })
            .or_else(|| world.faults.iter_mut().find_map(|fault| fault.strike(at, operation, account, place)));
        let slow = fault.as_ref().filter(|fault| fault.kind == FaultKind::Slow);
        let extra = slow.map(|fault| fault.after.unwrap_or(self.script.deadline)).unwrap_or_default();
        Arrived { at, takes: self.script.latency.saturating_add(extra), fault }
    }

    /// Waits for the answer; `false` where it does not come before the client's deadline.
    async fn answered(&self, arrived: &Arrived) -> bool {
        let in_time = arrived.takes < self.script.deadline;
        let wait = if in_time { arrived.takes } else { self.script.deadline };
        if !wait.is_zero() {
            self.clock.sleep_until(later(arrived.at, wait)).await;
        }
        in_time
    }

    async fn read<T: Send>(
        &self,
        operation: Operation,
        account: Option<&AccountId>,
        place: Option<&Place>,
        look: impl FnOnce(&World) -> Result<T, TargetError> + Send,
    ) -> Result<T, TargetError> {
        let (arrived, answer) = {
            let mut world = self.now();
            let arrived = self.arrive(&mut world, operation, account, place);
            let refused = arrived.fault.as_ref().and_then(Fault::refusal);
            let answer = refused.map_or_else(|| look(&world), Err);
            (arrived, answer)
        };
        match self.answered(&arrived).await {
            true if arrived.fault.as_ref().is_some_and(Fault::loses) => Err(TargetError::Lost(LOST.to_owned())),
            true => answer,
            false => Err(TargetError::Transient { after: None, detail: self.late() }),
        }
    }

    async fn write(
        &self,
        operation: Operation,
        account: &AccountId,
        place: &Place,
        deed: Deed,
    ) -> Result<Accepted, TargetError> {
        let (arrived, answer) = {
            let mut world = self.now();
            let arrived = self.arrive(&mut world, operation, Some(account), Some(place));
            let answer = self.begin(&mut world, &arrived, account, place, deed);
            (arrived, answer)
        };
        match self.answered(&arrived).await {
            true if arrived.fault.as_ref().is_some_and(Fault::loses) => Err(TargetError::Lost(LOST.to_owned())),
            true => answer,
            false => Err(TargetError::Lost(self.late())),
        }
    }

    /// Plans what a write does and says what it would be answered.
    fn begin(
        &self,
        world: &mut World,
        arrived: &Arrived,
        account: &AccountId,
        place: &Place,
        deed: Deed,
    ) -> Result<Accepted, TargetError> {
        if let Some(refusal) = arrived.fault.as_ref().and_then(Fault::refusal) {
            return Err(refusal);
        }
        let kind = arrived.fault.as_ref().map(|fault| fault.kind);
        if kind == Some(FaultKind::LostBefore) {
            return Err(TargetError::Lost(LOST.to_owned()));
        }
        self.permits(world, account, place, &deed)?;
        let lasts = match kind {
            Some(FaultKind::LateFailure) => Some(self.script.asynchronous.unwrap_or(Duration::from_secs(1))),
            _ => self.script.asynchronous,
        };
        let acts_at = later(arrived.at, arrived.takes.saturating_add(lasts.unwrap_or_default()));
        if self.turns(account, place).into_iter().any(|key| !world.occupy(key, acts_at)) {
            return Err(TargetError::Conflict("another change is under way there".to_owned()));
        }
        let native_end = match &deed {
            Deed::Add { native_end } => *native_end,
            Deed::MoveEnd { to } => Some(*to),
            _ => None,
        };
        if !matches!(kind, Some(FaultKind::Lie | FaultKind::LateFailure)) {
            world.plan(acts_at, Event::Deed { by: By::Dutykey, account: account.clone(), place: place.clone(), deed });
        }
        Ok(match lasts {
            None => Accepted::Done { receipt: None, native_end },
            Some(lasts) => {
                let fails = kind == Some(FaultKind::LateFailure);
                let operation = world.begin(Pending { ends: acts_at, fails, native_end });
                Accepted::Pending { operation, after: lasts.min(POLL) }
            }
        })
    }

    /// Whether the target would do it at all.
    fn permits(&self, world: &World, account: &AccountId, place: &Place, deed: &Deed) -> Result<(), TargetError> {
        let refuse = |why: String| Err(TargetError::Permanent(why));
        let known = world.account(account)?;
        self.inherited(account, place)?;
        match deed {
            Deed::Add { .. } | Deed::Remove if place.kind != GROUP => {
                refuse(format!("a {} has no members", place.kind))
            }
            Deed::Set { .. } | Deed::Restore { .. } if place.kind != ROLE => {
                refuse(format!("a {} has no value", place.kind))
            }
            Deed::MoveEnd { .. } if !self.capabilities(&place.kind).native_end => {
                refuse("it does not end access by itself".to_owned())
            }
            Deed::Add { .. } | Deed::Set { .. } if !known.active => refuse(format!("{account} is not in use")),
            Deed::Set { value: Some(value) } | Deed::Restore { value: Some(value) }
                if self.script.rank(value).is_none() =>
            {
                refuse(format!("there is no role `{value}`"))
            }
            _ => match self.script.groups.get(&place.id).and_then(|group| group.unmanageable.clone()) {
                Some(why) if place.kind == GROUP => refuse(why),
                _ => Ok(()),
            },
        }
    }

    /// Whether the account is in the place through something else; refused where there is no such place.
    fn inherited(&self, account: &AccountId, place: &Place) -> Result<bool, TargetError> {
        match self.script.groups.get(&place.id) {
            Some(group) if place.kind == GROUP => Ok(group.inherited.contains(account)),
            _ if *place == role() && self.script.has_roles() => Ok(false),
            _ => Err(TargetError::Permanent(format!("there is no {} `{}`", place.kind, place.id))),
        }
    }

    fn late(&self) -> String {
        format!("no answer within {}s", self.script.deadline.as_secs())
    }
}

#[async_trait]
impl Target for SandboxTarget {
    fn capabilities(&self, kind: &str) -> Capabilities {
        Capabilities {
            native_end: self.script.native_end && kind == GROUP,
            tells_owner: self.script.tells_owner,
            asynchronous: self.script.asynchronous,
            propagation: self.script.propagation,
            deadline: self.script.deadline,
            session_tail: None,
        }
    }

    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot> {
        match entitlement.kind.as_str() {
            GROUP => Some(Slot { place: group(&entitlement.id), shape: Shape::Member }),
            ROLE => {
                let value = entitlement.id.clone();
                Some(Slot { place: role(), shape: Shape::Value { rank: self.script.rank(&value)?, value } })
            }
            _ => None,
        }
    }

    fn rank(&self, place: &Place, value: &str) -> Option<i64> {
        if place.kind == ROLE { self.script.rank(value) } else { None }
    }

    fn turns(&self, account: &AccountId, place: &Place) -> Vec<TurnKey> {
        let key = |serialize: &Serialize| match serialize.by {
            Alike::App => "app".to_owned(),
            Alike::Account => format!("account/{account}"),
            Alike::Place => format!("place/{}/{}", place.kind, place.id),
        };
        self.script.serialize.iter().map(|it| TurnKey { key: key(it), turns: it.turns }).collect()
    }

    async fn check(&self) -> Result<String, TargetError> {
        self.read(Operation::Check, None, None, |_| Ok(())).await?;
        Ok(self.script.tenant.clone().unwrap_or_else(|| self.app.to_string()))
    }

    async fn resolve(&self, address: &str) -> Result<Resolved, TargetError> {
        let address = address.trim().to_lowercase();
        let look = |world: &World| {
            let matching = world.accounts().filter(|account| account.address.to_lowercase() == address);
            let (active, idle): (Vec<_>, Vec<_>) = matching.partition(|account| account.active);
            Ok(match active.as_slice() {
                [one] => Resolved::Account(one.id.clone()),
                [] if idle.is_empty() => Resolved::Doubt(Doubt::Unmatched),
                [] => Resolved::Doubt(Doubt::Inactive),
                [..] => Resolved::Doubt(Doubt::Ambiguous),
            })
        };
        self.read(Operation::Resolve, None, None, look).await
    }

    async fn is_active(&self, account: &AccountId) -> Result<Option<bool>, TargetError> {
        let look = |world: &World| Ok(world.account(account).ok().map(|known| known.active));
        self.read(Operation::IsActive, Some(account), None, look).await
    }

    async fn catalog(&self, page: Option<&str>) -> Result<Page, TargetError> {
        self.read(Operation::Catalog, None, None, |_| Ok(())).await?;
        let wrong = || TargetError::Permanent("there is no such page of the catalog; begin at the first".to_owned());
        let from: usize = page.map_or(Ok(0), |page| page.parse().map_err(|_| wrong()))?;
        let groups = self.script.groups.iter().map(|(id, group)| Entitlement {
            entitlement: EntitlementRef { app: self.app.clone(), kind: GROUP.to_owned(), id: id.clone() },
            name: group.name.clone(),
            description: group.description.clone(),
            unmanageable: group.unmanageable.clone(),
        });
        let roles = self.script.order.iter().map(|value| Entitlement {
            entitlement: EntitlementRef { app: self.app.clone(), kind: ROLE.to_owned(), id: value.clone() },
            name: value.clone(),
            description: None,
            unmanageable: None,
        });
        let mut rest = groups.chain(roles).skip(from);
        let entitlements = rest.by_ref().take(PAGE).collect();
        let next = rest.next().map(|_| from.saturating_add(PAGE).to_string());
        Ok(Page { entitlements, next })
    }

    async fn observe(&self, account: &AccountId, place: &Place) -> Result<Observation, TargetError> {
        let look = |world: &World| {
            world.account(account)?;
            let inherited = self.inherited(account, place)?;
            let seen = world.seen(account, place, self.script.propagation);
            Ok(seen.observation(inherited, self.script.tells_owner))
        };
        self.read(Operation::Observe, Some(account), Some(place), look).await
    }

    async fn grant(&self, order: &GrantOrder) -> Result<Accepted, TargetError> {
        let deed = match &order.shape {
            Shape::Member => {
                let native_end = order.native_end.filter(|_| self.capabilities(&order.place.kind).native_end);
                Deed::Add { native_end }
            }
            Shape::Value { value, .. } => Deed::Set { value: Some(value.clone()) },
        };
        self.write(Operation::Grant, &order.account, &order.place, deed).await
    }

    async fn poll(&self, operation: &str) -> Result<Accepted, TargetError> {
        self.read(Operation::Poll, None, None, |world| world.poll(operation)).await
    }

    async fn extend(&self, order: &RevokeOrder, native_end: Timestamp) -> Result<Accepted, TargetError> {
        self.write(Operation::Extend, &order.account, &order.place, Deed::MoveEnd { to: native_end }).await
    }

    async fn revoke(&self, order: &RevokeOrder) -> Result<Accepted, TargetError> {
        let deed = match &order.shape {
            Shape::Member => Deed::Remove,
            Shape::Value { .. } => Deed::Restore { value: order.restore.clone() },
        };
        self.write(Operation::Revoke, &order.account, &order.place, deed).await
    }
}
