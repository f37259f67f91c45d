//! The script of the simulated target: read strictly, with errors that name the key.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;
use std::time::Duration;

use dutykey_policy::id::AccountId;
use dutykey_policy::time::{later, parse_duration};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::fault::{Fault, FaultKind, Operation};
use super::world::{Account, OthersAct, World};
use super::{group, role};

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox's script, at `{key}`: {problem}")]
pub struct ScriptError {
    /// Where, from the script's top: `groups[0].members[1]`.
    pub key: String,
    /// What is wrong and what is expected.
    pub problem: String,
}

impl ScriptError {
    /// The script is foreign text: what is quoted of it is bounded and holds no control characters.
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        let tame = |text: String| text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { key: tame(key.into()), problem: tame(problem.into()) }
    }
}

/// What of a script never changes.
#[derive(Debug)]
pub(super) struct Script {
    pub tenant: Option<String>,
    pub groups: BTreeMap<String, Group>,
    pub order: Vec<String>,
    pub propagation: Duration,
    pub latency: Duration,
    pub deadline: Duration,
    pub asynchronous: Option<Duration>,
    pub native_end: bool,
    pub tells_owner: bool,
    pub serialize: Option<Serialize>,
    pub limit: Option<(usize, Duration)>,
}

impl Script {
    /// The rank of a role: its number in the order.
    pub(super) fn rank(&self, value: &str) -> Option<i64> {
        let number = self.order.iter().position(|known| known == value)?;
        i64::try_from(number).ok()
    }

    pub(super) fn has_roles(&self) -> bool {
        !self.order.is_empty()
    }
}

/// A group, without its members.
#[derive(Debug)]
pub(super) struct Group {
    pub name: String,
    pub description: Option<String>,
    pub inherited: BTreeSet<AccountId>,
    pub unmanageable: Option<String>,
}

/// How many calls at a time the target bears, and where: a word, or `{ by: app, turns: 3 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Serialize {
    pub by: Alike,
    pub turns: NonZeroU8,
}

/// What the calls have in common that the target minds side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Alike {
    Account,
    Place,
    App,
}

impl TryFrom<Value> for Serialize {
    type Error = serde_json::Error;
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Several {
            by: Alike,
            turns: NonZeroU8,
        }
        if value.is_object() {
            let Several { by, turns } = serde_json::from_value(value)?;
            return Ok(Self { by, turns });
        }
        serde_json::from_value(value).map(|by| Self { by, turns: NonZeroU8::MIN })
    }
}

/// An offset from the epoch, or a length.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Offset(Duration);

impl TryFrom<String> for Offset {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    tenant: Option<String>,
    #[serde(default)]
    accounts: Vec<RawAccount>,
    #[serde(default)]
    groups: Vec<RawGroup>,
    roles: Option<RawRoles>,
    propagation: Option<Offset>,
    latency_ms: Option<u32>,
    deadline: Option<Offset>,
    asynchronous: Option<Offset>,
    #[serde(default)]
    native_end: bool,
    #[serde(default)]
    tells_owner: bool,
    serialize: Option<Serialize>,
    limit: Option<RawLimit>,
    #[serde(default)]
    faults: Vec<RawFault>,
    #[serde(default)]
    others: Vec<RawOthers>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    id: AccountId,
    address: String,
    active: Option<bool>,
}

impl From<RawAccount> for Account {
    fn from(raw: RawAccount) -> Self {
        Self { id: raw.id, address: raw.address, active: raw.active.unwrap_or(true) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    id: String,
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    members: Vec<AccountId>,
    #[serde(default)]
    inherited: Vec<AccountId>,
    unmanageable: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoles {
    order: Vec<String>,
    #[serde(default)]
    values: BTreeMap<AccountId, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    calls: usize,
    every: Offset,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    fault: FaultKind,
    from: Option<Offset>,
    to: Option<Offset>,
    on: Option<Operation>,
    group: Option<String>,
    account: Option<AccountId>,
    times: Option<u32>,
    after: Option<Offset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOthers {
    at: Offset,
    add: Option<AccountId>,
    remove: Option<AccountId>,
    set: Option<AccountId>,
    account: Option<RawAccount>,
    delete: Option<AccountId>,
    group: Option<String>,
    value: Option<String>,
}

/// What the parts of a script may name.
struct Known {
    accounts: BTreeSet<AccountId>,
    groups: BTreeSet<String>,
    roles: BTreeSet<String>,
}

impl Known {
    fn account(&self, key: String, id: &AccountId) -> Result<(), ScriptError> {
        let known = self.accounts.contains(id);
        if known { Ok(()) } else { Err(ScriptError::new(key, format!("`{id}` is none of the accounts"))) }
    }

    fn group(&self, key: String, id: &str) -> Result<(), ScriptError> {
        let known = self.groups.contains(id);
        if known { Ok(()) } else { Err(ScriptError::new(key, format!("`{id}` is none of the groups"))) }
    }

    fn role(&self, key: String, value: &str) -> Result<(), ScriptError> {
        let known = self.roles.contains(value);
        if known { Ok(()) } else { Err(ScriptError::new(key, format!("`{value}` is not in `roles.order`"))) }
    }
}

/// Collects names, each of which may be there once.
fn unique<T: Ord + Clone + ToString>(
    names: impl Iterator<Item = T>,
    key: impl Fn(usize) -> String,
) -> Result<BTreeSet<T>, ScriptError> {
    let mut seen = BTreeSet::new();
    for (i, name) in names.enumerate() {
        if !seen.insert(name.clone()) {
            return Err(ScriptError::new(key(i), format!("`{}` is there twice", name.to_string())));
        }
    }
    Ok(seen)
}

/// Reads a script: what never changes of it, and the world at the epoch.
pub(super) fn parse(script: &Value, epoch: Timestamp) -> Result<(Script, World), ScriptError> {
    let raw: RawScript = serde_path_to_error::deserialize(script)
        .map_err(|error| ScriptError::new(error.path().to_string(), error.inner().to_string()))?;
    let (order, values) = raw.roles.map_or_else(Default::default, |roles| (roles.order, roles.values));
    // Accounts that others make later may be named as well.
    let made = raw.others.iter().filter_map(|act| act.account.as_ref().map(|account| account.id.clone()));
    let mut accounts = unique(raw.accounts.iter().map(|a| a.id.clone()), |i| format!("accounts[{i}].id"))?;
    accounts.extend(made);
    let known = Known {
        accounts,
        groups: unique(raw.groups.iter().map(|g| g.id.clone()), |i| format!("groups[{i}].id"))?,
        roles: unique(order.iter().cloned(), |i| format!("roles.order[{i}]"))?,
    };
    let mut world = World::new(raw.tells_owner, raw.accounts.into_iter().map(Account::from).collect());
    let mut groups = BTreeMap::new();
    for (i, raw) in raw.groups.into_iter().enumerate() {
        for (list, ids) in [("members", &raw.members), ("inherited", &raw.inherited)] {
            for (j, id) in ids.iter().enumerate() {
                known.account(format!("groups[{i}].{list}[{j}]"), id)?;
            }
        }
        raw.members.iter().for_each(|member| world.standing(member, group(&raw.id), None));
        let name = raw.name.unwrap_or_else(|| raw.id.clone());
        let inherited = raw.inherited.into_iter().collect();
        let (description, unmanageable) = (raw.description, raw.unmanageable);
        groups.insert(raw.id, Group { name, description, inherited, unmanageable });
    }
    for (id, value) in values {
        known.account(format!("roles.values.{id}"), &id)?;
        known.role(format!("roles.values.{id}"), &value)?;
        world.standing(&id, role(), Some(value));
    }
    for (i, raw) in raw.faults.into_iter().enumerate() {
        world.faults.push(fault(&format!("faults[{i}]"), raw, &known, epoch)?);
    }
    for (i, raw) in raw.others.into_iter().enumerate() {
        let at = later(epoch, raw.at.0);
        world.plan(at, others(&format!("others[{i}]"), raw, &known)?.into());
    }
    let limit = match raw.limit {
        Some(limit) if limit.calls == 0 => return Err(ScriptError::new("limit.calls", "must be at least 1")),
        limit => limit.map(|limit| (limit.calls, limit.every.0)),
    };
    let deadline = raw.deadline.map_or(Duration::from_secs(10), |deadline| deadline.0);
    if deadline.is_zero() {
        return Err(ScriptError::new("deadline", "must be at least 1s"));
    }
    let script = Script {
        tenant: raw.tenant,
        groups,
        order,
        propagation: raw.propagation.map_or(Duration::ZERO, |propagation| propagation.0),
        latency: Duration::from_millis(raw.latency_ms.unwrap_or_default().into()),
        deadline,
        asynchronous: raw.asynchronous.map(|lasts| lasts.0),
        native_end: raw.native_end,
        tells_owner: raw.tells_owner,
        serialize: raw.serialize,
        limit,
    };
    Ok((script, world))
}

fn fault(key: &str, raw: RawFault, known: &Known, epoch: Timestamp) -> Result<Fault, ScriptError> {
    let from = raw.from.map_or(Timestamp::MIN, |from| later(epoch, from.0));
    let to = raw.to.map_or(Timestamp::MAX, |to| later(epoch, to.0));
    if from >= to {
        return Err(ScriptError::new(format!("{key}.to"), "must be later than `from`"));
    }
    if let Some(id) = &raw.group {
        known.group(format!("{key}.group"), id)?;
    }
    if let Some(id) = &raw.account {
        known.account(format!("{key}.account"), id)?;
    }
    if raw.on.is_some_and(|on| !raw.fault.concerns(on)) {
        return Err(ScriptError::new(format!("{key}.on"), "this fault strikes grant, revoke and extend only"));
    }
    let (place, after) = (raw.group.as_deref().map(group), raw.after.map(|after| after.0));
    Ok(Fault { kind: raw.fault, from, to, on: raw.on, place, account: raw.account, times: raw.times, after })
}

fn others(key: &str, raw: RawOthers, known: &Known) -> Result<OthersAct, ScriptError> {
    for (verb, id) in [("add", &raw.add), ("remove", &raw.remove), ("set", &raw.set), ("delete", &raw.delete)] {
        if let Some(id) = id {
            known.account(format!("{key}.{verb}"), id)?;
        }
    }
    if let Some(id) = &raw.group {
        known.group(format!("{key}.group"), id)?;
    }
    if let Some(value) = &raw.value {
        known.role(format!("{key}.value"), value)?;
    }
    match (raw.add, raw.remove, raw.set, raw.account, raw.delete, raw.group, raw.value) {
        (Some(account), None, None, None, None, Some(group), None) => Ok(OthersAct::Add { account, group }),
        (None, Some(account), None, None, None, Some(group), None) => Ok(OthersAct::Remove { account, group }),
        (None, None, Some(account), None, None, None, value) => Ok(OthersAct::Set { account, value }),
        (None, None, None, Some(account), None, None, None) => Ok(OthersAct::Account(account.into())),
        (None, None, None, None, Some(account), None, None) => Ok(OthersAct::Delete(account)),
        _ => Err(ScriptError::new(
            key,
            "say one of: `add` or `remove` with `group`, `set` with or without `value`, `account`, `delete`",
        )),
    }
}
