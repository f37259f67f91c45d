//! What the oracle reads in the table itself: that the end was written before the start, that what is late is shown, that
//! nothing is under way for nobody, and that the evidence explains everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dutykey_engine::ports::ledger::{FindPeople as _, ReadLedger};
use dutykey_policy::evidence::Verifier;
use dutykey_policy::hold::{Call, Hold, State};
use dutykey_policy::id::{AccountId, AppId, Place};
use dutykey_policy::time::rfc3339;
use dutykey_store::{Range, Store};
use jiff::Timestamp;
use serde_json::Value;

use super::seats::Seat;
use super::{Oracle, Sure, minutes, plus, restored, seconds};
use crate::world::World;

impl Oracle {
    /// Seats on which something of ours is later than a minute and a half after its end, in a time in which the table and
    /// the workers have been well for as long.
    #[must_use]
    pub fn late(&mut self, now: Timestamp) -> Vec<Seat> {
        self.look(now);
        let late = |since: Timestamp| plus(since, seconds(120) + self.slowest_clock()) < now;
        let well = !self.disturbances.iter().any(|(from, to)| *from <= now && plus(*to, seconds(420)) > now);
        let seats = self.seats.iter().filter(|(_, state)| state.ours && state.absent_since.is_some_and(late));
        if well { seats.map(|(seat, _)| seat.clone()).collect() } else { Vec::new() }
    }

    pub(super) fn slowest_clock(&self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_millis(self.plan.clocks_ms.iter().map(|ms| ms.abs()).max().unwrap_or_default())
    }

    /// The person whose account it is, by number.
    pub(super) fn owner(&self, account: &str) -> Option<usize> {
        self.plan.people.iter().position(|human| human.accounts.iter().any(|(id, _)| id == account))
    }

    /// Whether the person has something that Dutykey gave.
    pub(crate) fn holds_something(&self, person: usize) -> bool {
        self.seats.iter().any(|(seat, state)| state.ours && self.owner(&seat.account) == Some(person))
    }

    /// By when nothing must be under way on the seat any more; `None` where somebody may want something there.
    fn over_by(&self, seat: &Seat) -> Option<Timestamp> {
        let state = self.seats.get(seat).filter(|state| state.wanted.sure == Sure::No)?;
        state.absent_since.map(|since| self.deadline(seat.app, since, self.takes(seat.app)))
    }

    /// What is not as it should be once everything has come to rest.
    pub fn at_rest(&mut self, now: Timestamp) {
        self.look(now);
        let mut found = Vec::new();
        for (seat, state) in &self.seats {
            if state.ours && self.over_by(seat).is_some_and(|by| by < now) {
                found.push(format!("{seat} is still there, and no reason lives"));
            }
        }
        for what in found {
            self.violated("P10", now, what);
        }
    }
}

fn is_at(hold: &Hold, app: &AppId, account: &AccountId, place: &Place) -> bool {
    hold.key.app == *app && hold.key.account == *account && hold.key.place == *place
}

async fn hold_of(world: &World, app: &AppId, account: &AccountId, place: &Place) -> Option<Hold> {
    let person = world.oracle().owner(account.as_str())?;
    let address = world.plan.people.get(person)?.address.to_lowercase();
    let store = world.ledger.get()?;
    let live = match store.find_person(&address).await.ok()? {
        Some(id) => store.load(&id).await.ok()?,
        None => None,
    };
    let hold = live.and_then(|live| live.holds.into_iter().find(|hold| is_at(hold, app, account, place)));
    // Whoever has the account may not be the one by whose address it goes.
    let others = world.oracle().changes_hands(account.as_str()) || world.plan.is_shared(account.as_str());
    if !others || hold.as_ref().is_some_and(|hold| hold.open.is_some()) {
        return hold;
    }
    let others = restored::holds(store, |hold| is_at(hold, app, account, place)).await;
    others.into_iter().max_by_key(|other| other.open.is_some()).or(hold)
}

/// The record that must be there before a call leaves.
pub async fn before_call(world: &Arc<World>, what: Call, app: &AppId, account: &AccountId, place: &Place) {
    let hold = hold_of(world, app, account, place).await;
    let now = world.now();
    let mut oracle = world.oracle();
    let Some(number) = world.plan.app_number(app.as_str()) else { return };
    let seat = Seat::of(number, account, place);
    match hold.as_ref().and_then(|hold| Some((hold, hold.open.as_ref()?))) {
        None => oracle.violated("P2", now, format!("{seat} is called and no attempt is on record")),
        Some((_, attempt)) if attempt.call != what => {
            oracle.violated("P2", now, format!("{seat}: {what:?} is called and {:?} is on record", attempt.call));
        }
        Some((hold, _)) if what == Call::Grant && hold.due == Timestamp::MIN => {
            oracle.violated("P2", now, format!("{seat} is granted and its end is not on record"));
        }
        Some(_) => {}
    }
}

/// What is late must be shown as late, and somebody must have been told.
pub async fn late_is_shown(world: &Arc<World>) {
    let now = world.now();
    let late = world.oracle().late(now);
    for seat in late {
        let (Some(app), Some((kind, id))) = (world.plan.apps.get(seat.app), seat.place.split_once('/')) else {
            continue;
        };
        let (Ok(app), Ok(account)) = (app.id.parse(), seat.account.parse()) else { continue };
        let place = Place { kind: kind.to_owned(), id: id.to_owned() };
        let hold = hold_of(world, &app, &account, &place).await;
        let shown = hold.as_ref().is_some_and(|hold| hold.overdue(now).is_some() || hold.told);
        let told = hold.as_ref().is_some_and(|hold| {
            let oracle = world.oracle();
            oracle.was_told(hold.person.as_str(), plus(now, seconds(-86_400)))
        });
        let mut oracle = world.oracle();
        if !shown {
            let state =
                hold.map_or_else(|| "no hold".to_owned(), |hold| format!("{:?} due {}", hold.state, rfc3339(hold.due)));
            oracle.violated("P1", now, format!("{seat} is past its end and not shown as overdue: {state}"));
        } else if !told {
            oracle.violated("P1", now, format!("{seat} is past its end and nobody was told"));
        }
    }
}

/// Once everything has come to rest nothing is being begun or ended for a seat that nobody wants: neither for what is ours,
/// nor for what is there otherwise and never goes away.
pub async fn left_over(world: &World, store: &Store) {
    let under_way = |hold: &Hold| matches!(hold.state, State::Granting | State::Ending);
    let holds = restored::holds(store, under_way).await;
    let now = world.now();
    let mut oracle = world.oracle();
    for hold in holds {
        let Some(app) = oracle.plan.app_number(hold.key.app.as_str()) else { continue };
        let seat = Seat::of(app, &hold.key.account, &hold.key.place);
        if oracle.over_by(&seat).is_some_and(|by| plus(by, minutes(10)) < now) {
            let (state, since) = (hold.state, rfc3339(hold.since));
            oracle.violated("P10", now, format!("{seat} is {state:?} since {since}, and nobody wants it"));
        }
    }
}

/// The evidence verifies offline, explains each effect once, and knows one person for each account.
pub async fn evidence(world: &Arc<World>, store: &Store) -> u64 {
    let mut export = Vec::new();
    let exported = store.export(None, Range::default(), &mut export).await;
    let now = world.now();
    let text = String::from_utf8_lossy(&export).into_owned();
    let mut verifier = Verifier::default();
    let checked = text.lines().try_for_each(|line| verifier.line(line)).and_then(|()| verifier.finish());
    let mut oracle = world.oracle();
    if let Err(error) = exported {
        oracle.violated("P9", now, format!("the evidence cannot be exported: {error}"));
    }
    if let Err(fault) = checked {
        oracle.violated("P9", now, format!("the evidence does not verify: {fault}"));
    }
    let missing = oracle.missing_records(&text);
    if missing > 0 {
        oracle.violated(
            "P9",
            now,
            format!("{missing} records that were there before a restore are not there any more"),
        );
    }
    let mut attempts: BTreeMap<Seat, Vec<Timestamp>> = BTreeMap::new();
    let mut called_for: BTreeMap<(usize, String), BTreeSet<String>> = BTreeMap::new();
    let mut records = 0;
    for line in text.lines() {
        records += 1;
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        let field = |name: &str| record.get(name).cloned().unwrap_or_default();
        let (act, subject) = (field("act"), field("subject"));
        if !act.as_str().is_some_and(|act| act.ends_with(".attempt")) {
            continue;
        }
        let text = |name: &str| subject.get(name).and_then(Value::as_str).map(str::to_owned);
        let at: Option<Timestamp> = field("at").as_str().and_then(|at| at.parse().ok());
        let (Some(app), Some(account), Some(kind), Some(id), Some(at)) =
            (text("app"), text("account"), text("kind"), text("place").or_else(|| text("id")), at)
        else {
            continue;
        };
        let Some(app) = oracle.plan.app_number(&app) else { continue };
        let chain = field("chain").as_str().map(str::to_owned);
        called_for.entry((app, account.clone())).or_default().extend(chain);
        attempts.entry(Seat { app, account, place: format!("{kind}/{id}") }).or_default().push(at);
    }
    for ((app, account), people) in called_for {
        if people.len() > 1 && !oracle.changes_hands(&account) {
            let people: Vec<String> = people.into_iter().collect();
            let what = format!("{account} in app {app} is one person's, and was called for {} (R5)", people.join(", "));
            oracle.violated("P8", now, what);
        }
    }
    let effects = oracle.effects.clone();
    let mut by_seat: BTreeMap<Seat, Vec<Timestamp>> = BTreeMap::new();
    for (at, seat) in effects {
        by_seat.entry(seat).or_default().push(at);
    }
    let clocks = oracle.slowest_clock();
    for (seat, effects) in by_seat {
        let mut left = attempts.remove(&seat).unwrap_or_default();
        left.sort();
        for effect in effects {
            // The last attempt that was on record by then, each for one effect.
            let explains = left.iter().rposition(|at| *at <= plus(effect, clocks));
            match explains {
                Some(place) => drop(left.remove(place)),
                None => {
                    let at = rfc3339(effect);
                    oracle.violated("P9", now, format!("{seat} changed at {at} and no record explains it"));
                }
            }
        }
    }
    records
}
