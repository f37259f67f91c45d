//! Writers of one object take turns: which of a round's calls go on, and what is due where a turn is missing.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_policy::bug::Bug;
use dutykey_policy::hold::step::{Facts, Order, Purpose, Step, without_turn};
use dutykey_policy::hold::{Hold, Observation};
use dutykey_policy::look::Planned;
use dutykey_policy::turn::{self, TurnKey, Turns};
use futures_util::future::try_join_all;
use jiff::Timestamp;

use crate::look::Worker;
use crate::ports::ledger::{MAX_HOLD_ITEMS, MAX_HOLDS, StoreError};
use crate::snapshot::Snapshot;

/// A call that is not made yet.
pub(crate) struct Intended<'a> {
    pub(crate) planned: &'a Planned,
    pub(crate) hold: Hold,
    pub(crate) order: Order,
    pub(crate) seen: Observation,
}

/// The calls of a round once turns are shared out.
#[derive(Default)]
pub(crate) struct Shared<'a> {
    /// Those that go on.
    pub(crate) calls: Vec<Intended<'a>>,
    /// The holds of those that don't.
    pub(crate) waiting: Vec<Hold>,
    /// The turns taken.
    pub(crate) taken: Vec<turn::Change>,
}

/// As many of the due holds as one transaction bears with the turns that they need; at least one.
pub(crate) fn together(due: impl Iterator<Item = Planned>, snapshot: &Snapshot) -> Vec<Planned> {
    let mut items = 0;
    let fits = |planned: &Planned| {
        let open = planned.hold.open.as_ref().map_or(0, |open| open.turns.len());
        let first = items == 0;
        items += 2 + open.max(keys(&planned.hold, snapshot).len());
        first || items <= MAX_HOLD_ITEMS
    };
    if Bug::HoldsUnbounded.is_chosen() {
        return due.collect();
    }
    due.take(MAX_HOLDS).take_while(fits).collect()
}

/// The turns that a call for the hold needs.
fn keys(hold: &Hold, snapshot: &Snapshot) -> Vec<TurnKey> {
    let target = snapshot.target(&hold.key.app).filter(|_| !Bug::TurnIgnored.is_chosen());
    target.map(|target| target.turns(&hold.key.account, &hold.key.place)).unwrap_or_default()
}

/// What becomes of the turns of a hold's open attempt with this result.
pub(crate) fn after(before: &Hold, result: &Hold, snapshot: &Snapshot) -> Vec<turn::Change> {
    let caps = snapshot.target(&before.key.app).map(|target| target.capabilities(&before.key.place.kind));
    caps.map(|caps| turn::after(before, result, &caps)).unwrap_or_default()
}

impl Worker {
    /// Shares out what turns are free. `going` are those with which something happens in the same transaction.
    pub(crate) async fn share<'a>(
        &self,
        calls: Vec<Intended<'a>>,
        going: &[turn::Change],
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Shared<'a>, StoreError> {
        let needs: Vec<Vec<TurnKey>> = calls.iter().map(|call| keys(&call.hold, snapshot)).collect();
        let named = |(call, needs): (&Intended<'_>, &Vec<TurnKey>)| -> Vec<_> {
            needs.iter().map(|need| (call.hold.key.app.clone(), need.key.clone())).collect()
        };
        let named: BTreeSet<_> = calls.iter().zip(&needs).flat_map(named).collect();
        let read = try_join_all(named.iter().map(|(app, key)| self.turns.turns(app, key))).await?;
        let read: BTreeMap<_, _> = named.into_iter().zip(read).collect();
        let now = self.clock.now().max(now);
        let [byte, spread, ..] = self.chance.bytes();
        let mut turns = Turns::new(read, now);
        going.iter().for_each(|change| turns.leave(change));
        let mut shared = Shared::default();
        for (mut call, needs) in calls.into_iter().zip(needs) {
            match turns.take(&mut call.hold, &needs, byte) {
                Some(taken) => {
                    shared.taken.extend(taken);
                    shared.calls.push(call);
                }
                None => shared.waiting.extend(waiting(&call, snapshot, spread, now)),
            }
        }
        Ok(shared)
    }
}

fn waiting(call: &Intended<'_>, snapshot: &Snapshot, chance: u8, now: Timestamp) -> Option<Hold> {
    let Planned { hold, want, ended, step, .. } = call.planned;
    let target = snapshot.target(&hold.key.app)?;
    let purpose = if let Step::Read(purpose) = step { *purpose } else { Purpose::Start };
    let (caps, rank) = (target.capabilities(&hold.key.place.kind), |value: &str| target.rank(&hold.key.place, value));
    let facts = Facts { now, asked: now, caps: &caps, rank: &rank, ended: *ended };
    Some(without_turn(hold, want.as_ref(), purpose, &facts, chance))
}
