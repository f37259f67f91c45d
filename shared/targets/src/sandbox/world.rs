//! What is true at the simulated target, what will happen there, and what has.
//!
//! Everything that is to happen stands on one timeline, and is done when somebody next looks at the world: at its own
//! time, in its order. So nothing runs in the background, and a write whose caller has gone away acts all the same.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use dutykey_engine::ports::target::{Accepted, TargetError};
use dutykey_policy::id::{AccountId, Place};
use dutykey_policy::time::{earlier, later};
use dutykey_policy::turn::TurnKey;
use jiff::Timestamp;

use super::fact::{By, Deed, Effect, Fact, Truth};
use super::{group, role};

/// How many effects, and how many operations, are remembered.
const MEMORY: usize = 100_000;

/// An account at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The target's immutable ID.
    pub id: AccountId,
    /// The mail address.
    pub address: String,
    /// Whether it is in use.
    pub active: bool,
}

/// What other people do at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OthersAct {
    /// Put an account into a group.
    Add {
        /// Which.
        account: AccountId,
        /// The group's ID.
        group: String,
    },
    /// Throw an account out of a group, whoever put it there.
    Remove {
        /// Which.
        account: AccountId,
        /// The group's ID.
        group: String,
    },
    /// Set an account's role.
    Set {
        /// Which.
        account: AccountId,
        /// The role; `None` takes it away.
        value: Option<String>,
    },
    /// Make an account, or replace its address and whether it is in use.
    Account(Account),
    /// Delete an account, and all that it has.
    Delete(AccountId),
}

/// Something that will happen.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Deed { by: By, account: AccountId, place: Place, deed: Deed },
    NativeEnd { account: AccountId, place: Place },
    Account(Account),
    Delete(AccountId),
}

impl From<OthersAct> for Event {
    fn from(act: OthersAct) -> Self {
        let by = By::Others;
        match act {
            OthersAct::Add { account, group: id } => {
                Self::Deed { by, account, place: group(&id), deed: Deed::Add { native_end: None } }
            }
            OthersAct::Remove { account, group: id } => {
                Self::Deed { by, account, place: group(&id), deed: Deed::Remove }
            }
            OthersAct::Set { account, value } => Self::Deed { by, account, place: role(), deed: Deed::Set { value } },
            OthersAct::Account(account) => Self::Account(account),
            OthersAct::Delete(account) => Self::Delete(account),
        }
    }
}

/// An operation that is polled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    /// When it is done.
    pub ends: Timestamp,
    /// Whether it fails then.
    pub fails: bool,
    /// What it is answered.
    pub native_end: Option<Timestamp>,
}

/// The state of the simulated target.
#[derive(Debug)]
pub(super) struct World {
    /// Who would have what without Dutykey.
    pub without_us: Truth,
    /// What goes wrong.
    pub faults: Vec<super::Fault>,
    /// How many calls have arrived.
    pub calls: BTreeMap<super::Operation, u64>,
    tells_owner: bool,
    now: Timestamp,
    accounts: BTreeMap<AccountId, Account>,
    facts: BTreeMap<(AccountId, Place), Fact>,
    timeline: BTreeMap<(Timestamp, u64), Event>,
    planned: u64,
    log: VecDeque<(Effect, Fact)>,
    operations: BTreeMap<u64, Pending>,
    begun: u64,
    busy: BTreeMap<String, Vec<Timestamp>>,
    recent: VecDeque<Timestamp>,
}

impl World {
    /// A world with these accounts, in which nobody has anything yet.
    pub(super) fn new(tells_owner: bool, accounts: Vec<Account>) -> Self {
        Self {
            without_us: Truth::default(),
            faults: Vec::new(),
            calls: BTreeMap::new(),
            tells_owner,
            now: Timestamp::MIN,
            accounts: accounts.into_iter().map(|account| (account.id.clone(), account)).collect(),
            facts: BTreeMap::new(),
            timeline: BTreeMap::new(),
            planned: 0,
            log: VecDeque::new(),
            operations: BTreeMap::new(),
            begun: 0,
            busy: BTreeMap::new(),
            recent: VecDeque::new(),
        }
    }

    /// Puts access there that was there before the script begins.
    pub(super) fn standing(&mut self, account: &AccountId, place: Place, value: Option<String>) {
        let fact = Fact { theirs: true, value, ..Fact::default() };
        self.without_us.set(account, &place, &fact);
        self.facts.insert((account.clone(), place), fact);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn account(&self, id: &AccountId) -> Result<&Account, TargetError> {
        self.accounts.get(id).ok_or_else(|| TargetError::AccountGone(id.to_string()))
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(super) fn truth(&self) -> Truth {
        let mut truth = Truth::default();
        for ((account, place), fact) in &self.facts {
            truth.set(account, place, fact);
        }
        truth
    }

    pub(super) fn effects(&self) -> Vec<Effect> {
        self.log.iter().map(|(effect, _)| effect.clone()).collect()
    }

    pub(super) fn effects_after(&self, seen: usize) -> Vec<Effect> {
        self.log.iter().skip(seen).map(|(effect, _)| effect.clone()).collect()
    }

    /// Something will happen then.
    pub(super) fn plan(&mut self, at: Timestamp, event: Event) {
        self.planned += 1;
        self.timeline.insert((at, self.planned), event);
    }

    /// Does everything that was to happen until then. Time never runs backwards here.
    pub(super) fn advance(&mut self, to: Timestamp) {
        self.now = self.now.max(to);
        while let Some(next) = self.timeline.first_entry() {
            let at = next.key().0;
            if at > self.now {
                break;
            }
            match next.remove() {
                Event::Deed { by, account, place, deed } => self.act(at, by, &account, &place, &deed),
                Event::NativeEnd { account, place } => {
                    let due = self.fact(&account, &place).native_end.is_some_and(|end| end <= at);
                    if due {
                        self.act(at, By::NativeEnd, &account, &place, &Deed::Remove);
                    }
                }
                Event::Account(account) => {
                    self.accounts.insert(account.id.clone(), account);
                }
                Event::Delete(account) => {
                    let places: Vec<Place> = self
                        .facts
                        .keys()
                        .filter(|(whose, _)| *whose == account)
                        .map(|(_, place)| place.clone())
                        .collect();
                    for place in places {
                        self.act(at, By::Others, &account, &place, &Deed::Remove);
                    }
                    self.without_us.forget(&account);
                    self.accounts.remove(&account);
                }
            }
        }
    }

    fn fact(&self, account: &AccountId, place: &Place) -> Fact {
        self.facts.get(&(account.clone(), place.clone())).cloned().unwrap_or_default()
    }

    fn act(&mut self, at: Timestamp, by: By, account: &AccountId, place: &Place, deed: &Deed) {
        if !self.accounts.contains_key(account) {
            return;
        }
        let before = self.fact(account, place);
        let after = before.after(by, deed, self.tells_owner);
        if by == By::Others {
            match deed {
                Deed::Set { value } => self.without_us.set_role(account, value.as_ref()),
                _ => self.without_us.set_member(&place.id, account, matches!(deed, Deed::Add { .. })),
            }
        }
        if after == before {
            return;
        }
        if after.native_end != before.native_end
            && let Some(end) = after.native_end
        {
            self.plan(end.max(at), Event::NativeEnd { account: account.clone(), place: place.clone() });
        }
        let change = before.change_to(&after);
        let effect = Effect { at, by, account: account.clone(), place: place.clone(), change };
        self.log.push_back((effect, before));
        if self.log.len() > MEMORY {
            self.log.pop_front();
        }
        let key = (account.clone(), place.clone());
        if after == Fact::default() {
            self.facts.remove(&key);
        } else {
            self.facts.insert(key, after);
        }
    }

    /// What a read shows now: what was there before the changes that have not propagated yet.
    pub(super) fn seen(&self, account: &AccountId, place: &Place, propagation: Duration) -> Fact {
        let reached = earlier(self.now, propagation);
        let fresh = self.log.iter().rev().take_while(|(effect, _)| effect.at > reached);
        let first = fresh.filter(|(effect, _)| effect.account == *account && effect.place == *place).last();
        first.map_or_else(|| self.fact(account, place), |(_, before)| before.clone())
    }

    /// Takes a turn until then; `false` where other calls have them all.
    pub(super) fn occupy(&mut self, TurnKey { key, turns }: TurnKey, until: Timestamp) -> bool {
        let now = self.now;
        self.busy.retain(|_, calls| {
            calls.retain(|until| *until > now);
            !calls.is_empty()
        });
        let calls = self.busy.entry(key).or_default();
        let free = calls.len() < usize::from(turns.get());
        if free {
            calls.push(until);
        }
        free
    }

    /// Counts a call against the limit; how long to wait where it is over it.
    pub(super) fn over_limit(&mut self, limit: Option<(usize, Duration)>) -> Option<Duration> {
        let (calls, every) = limit?;
        let now = self.now;
        while self.recent.front().is_some_and(|at| later(*at, every) <= now) {
            self.recent.pop_front();
        }
        match self.recent.front() {
            Some(first) if self.recent.len() >= calls => {
                Some(Duration::try_from(later(*first, every).duration_since(now)).unwrap_or(every))
            }
            _ => {
                self.recent.push_back(now);
                None
            }
        }
    }

    /// Begins an operation that is polled.
    pub(super) fn begin(&mut self, operation: Pending) -> String {
        self.begun += 1;
        self.operations.insert(self.begun, operation);
        if self.operations.len() > MEMORY {
            self.operations.pop_first();
        }
        self.begun.to_string()
    }

    /// Asks for an operation; as often as one likes, also after its end.
    pub(super) fn poll(&self, operation: &str) -> Result<Accepted, TargetError> {
        let known = operation.parse().ok().and_then(|number: u64| self.operations.get(&number));
        match known {
            None => Err(TargetError::Permanent(format!("there is no operation `{}`", operation.escape_debug()))),
            Some(pending) if pending.ends > self.now => {
                Ok(Accepted::Pending { operation: operation.to_owned(), after: super::adapter::POLL })
            }
            Some(pending) if pending.fails => {
                Err(TargetError::Conflict("the operation was accepted and has failed".to_owned()))
            }
            Some(pending) => Ok(Accepted::Done { receipt: None, native_end: pending.native_end }),
        }
    }
}
