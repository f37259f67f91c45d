//! Turns: how many calls at a time an object at a target bears, who holds a turn, and which turns a side may take.
//!
//! A turn is held by an attempt from its record to its result, and is free after the attempt's `not_after`, when the call
//! is taken to act no more. Where there are more than two, grants leave two of them alone, so that a revocation never
//! waits for a grant.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bug::Bug;
use crate::hold::{Call, Capabilities, Hold, SETTLE_MARGIN, Side};
use crate::id::{AppId, HoldKey, PersonId};
use crate::time::later;

/// Of more than so many turns grants leave so many alone.
const LEFT_TO_ENDS: u8 = 2;

/// What bears only so many calls at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TurnKey {
    /// Names it within its app.
    pub key: String,
    /// How many calls at a time.
    pub turns: NonZeroU8,
}

/// One of the turns of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Turn {
    /// What it is a turn of, within its app.
    pub key: String,
    /// Which one, from 0.
    pub number: u8,
}

/// A turn that an attempt has taken, as the table has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The app.
    pub app: AppId,
    /// What it is a turn of.
    pub key: String,
    /// Which one, from 0.
    pub number: u8,
    /// Whose hold it serves.
    pub person: PersonId,
    /// The hold.
    pub hold: HoldKey,
    /// The number of the attempt.
    pub attempt: u32,
    /// After this it is free, whatever became of the attempt.
    pub not_after: Timestamp,
}

impl Taken {
    /// Whether the holder's time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.not_after <= now
    }

    fn is_held_by(&self, hold: &Hold) -> bool {
        self.hold == hold.key && self.person == hold.person && self.attempt == hold.attempts
    }
}

/// What happens to a turn in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is taken where it is free, or is still what was read there and is over.
    Take(Box<Taken>, Option<Box<Taken>>),
    /// It is kept until the new time, if it still is the attempt's.
    Keep(Box<Taken>),
    /// It is given back, if it still is the attempt's.
    Give(Box<Taken>),
}

/// The turns of one key as they were read, by number. `None` is one that this release cannot read: it is not free.
pub type Read = BTreeMap<u8, Option<Taken>>;

/// The turns of several keys as they were read, from which the calls of one round take theirs.
#[derive(Debug, Clone)]
pub struct Turns {
    now: Timestamp,
    read: BTreeMap<(AppId, String), Read>,
    gone: BTreeSet<(AppId, String, u8)>,
}

impl Turns {
    /// As they were read, at this time.
    #[must_use]
    pub fn new(read: BTreeMap<(AppId, String), Read>, now: Timestamp) -> Self {
        Self { now, read, gone: BTreeSet::new() }
    }

    /// Nobody takes a turn with which something else happens in the same transaction.
    pub fn leave(&mut self, change: &Change) {
        let (Change::Take(it, _) | Change::Keep(it) | Change::Give(it)) = change;
        self.gone.insert((it.app.clone(), it.key.clone(), it.number));
    }

    /// Takes a turn of each key for the hold's open attempt and notes them in it; takes none where one is missing.
    /// `chance` spreads those who take at the same instant over what is free.
    pub fn take(&mut self, hold: &mut Hold, keys: &[TurnKey], chance: u8) -> Option<Vec<Change>> {
        let mut changes = Vec::with_capacity(keys.len());
        for key in keys {
            changes.push(self.free(hold, key, chance)?);
        }
        changes.iter().for_each(|change| self.leave(change));
        if let Some(open) = &mut hold.open {
            open.turns = keys.iter().zip(&changes).filter_map(|(key, change)| noted(key, change)).collect();
        }
        Some(changes)
    }

    fn free(&self, hold: &Hold, key: &TurnKey, chance: u8) -> Option<Change> {
        let attempt = hold.open.as_ref()?;
        let app = &hold.key.app;
        let read = self.read.get(&(app.clone(), key.key.clone()));
        let side = if attempt.call == Call::Revoke { Side::Ends } else { Side::Starts };
        order(side, key.turns, chance).into_iter().find_map(|number| {
            if self.gone.contains(&(app.clone(), key.key.clone(), number)) {
                return None;
            }
            let over = match read.and_then(|read| read.get(&number)) {
                None => None,
                Some(Some(held)) if held.is_over(self.now) || held.is_held_by(hold) => Some(Box::new(held.clone())),
                Some(_) => return None,
            };
            Some(Change::Take(Box::new(held_by(hold, &key.key, number, attempt.not_after)), over))
        })
    }
}

fn noted(key: &TurnKey, change: &Change) -> Option<Turn> {
    match change {
        Change::Take(taken, _) => Some(Turn { key: key.key.clone(), number: taken.number }),
        Change::Keep(_) | Change::Give(_) => None,
    }
}

fn held_by(hold: &Hold, key: &str, number: u8, not_after: Timestamp) -> Taken {
    Taken {
        app: hold.key.app.clone(),
        key: key.to_owned(),
        number,
        person: hold.person.clone(),
        hold: hold.key.clone(),
        attempt: hold.attempts,
        not_after,
    }
}

/// The turns that a side may take, the first choice first. Revocations begin with those that grants leave alone.
fn order(side: Side, turns: NonZeroU8, chance: u8) -> Vec<u8> {
    let turns = turns.get();
    let leaves = turns > LEFT_TO_ENDS && !Bug::GrantsTakeAllTurns.is_chosen();
    let shared = if leaves { turns - LEFT_TO_ENDS } else { turns };
    let mut order = if side == Side::Ends { turned(shared, turns, chance) } else { Vec::new() };
    order.extend(turned(0, shared, chance));
    order
}

/// The numbers from `first` until before `end`, beginning somewhere among them.
fn turned(first: u8, end: u8, chance: u8) -> Vec<u8> {
    let begin = first + chance % (end - first).max(1);
    (begin..end).chain(first..begin).collect()
}

/// What becomes of the turns of an attempt that was open before: they are given back with its end and kept while its
/// operation is pending. While nobody knows whether it still acts they are left to run out.
#[must_use]
pub fn after(before: &Hold, after: &Hold, caps: &Capabilities) -> Vec<Change> {
    let Some(attempt) = &before.open else { return Vec::new() };
    let change = |turn: &Turn| {
        let of = |not_after: Timestamp| Box::new(held_by(before, &turn.key, turn.number, not_after));
        match &after.open {
            None => Some(Change::Give(of(attempt.not_after))),
            Some(open) => {
                let pending = open.pending.as_ref()?;
                let polled = later(later(pending.poll_at, caps.deadline), SETTLE_MARGIN);
                Some(Change::Keep(of(polled.max(open.not_after))))
            }
        }
    };
    attempt.turns.iter().filter_map(change).collect()
}
