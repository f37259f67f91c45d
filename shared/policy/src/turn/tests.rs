//! Workers that take, keep, give back and lose turns of one key in any order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::hold::{Attempt, Pending};
use crate::id::Place;
use crate::testing::{cases, id, minute, person};
use crate::wants::{Shape, Want};

/// Until when an attempt may act.
const ACTS: Duration = Duration::from_secs(40);

const CAPS: Capabilities = Capabilities {
    native_end: false,
    tells_owner: false,
    asynchronous: None,
    propagation: Duration::ZERO,
    deadline: Duration::from_secs(10),
    session_tail: None,
};

#[derive(Debug, Clone, Copy)]
enum Event {
    Take(Call, u8),
    /// The attempt of the holder with this number, modulo how many there are, has its result.
    Done(usize),
    /// Its operation is pending: nobody else may have its turn.
    Pending(usize),
    /// Its worker has died.
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let call = prop_oneof![3 => Just(Call::Grant), 1 => Just(Call::Extend), 2 => Just(Call::Revoke)];
    prop_oneof![
        8 => (call, any::<u8>()).prop_map(|(call, chance)| Event::Take(call, chance)),
        3 => any::<usize>().prop_map(Event::Done),
        2 => any::<usize>().prop_map(Event::Pending),
        2 => (1_u64..60).prop_map(Event::Passes),
    ]
}

fn attempt(call: Call, number: u32, now: Timestamp) -> Hold {
    let place = Place { kind: "group".to_owned(), id: "g1".to_owned() };
    let key = HoldKey { app: id("directory"), account: id(&format!("a{number}")), place };
    let want = Want { shape: Shape::Member, reasons: Vec::new(), frozen: false };
    let mut hold = Hold::wanted(key, person(number.into()), &want, now);
    hold.attempts = 1;
    let not_after = later(now, ACTS);
    hold.open = Some(Attempt { number: 1, call, started: now, not_after, pending: None, turns: Vec::new() });
    hold
}

/// The table, and the attempts that may still act.
struct World {
    key: TurnKey,
    now: Timestamp,
    table: Read,
    acting: Vec<Hold>,
    begun: u32,
}

impl World {
    /// As the store does it: a condition that fails refuses what is taken, and leaves out what is kept or given back.
    fn write(&mut self, change: &Change) -> bool {
        let (Change::Take(it, _) | Change::Keep(it) | Change::Give(it)) = change;
        let there = self.table.get(&it.number).cloned().flatten();
        let ours = there.as_ref().is_some_and(|there| (&there.hold, there.attempt) == (&it.hold, it.attempt));
        match change {
            Change::Take(it, over) if there.as_ref() == over.as_deref() => {
                self.table.insert(it.number, Some(*it.clone()));
            }
            Change::Take(..) => return false,
            Change::Keep(it) if ours => {
                self.table.insert(it.number, Some(*it.clone()));
            }
            Change::Give(it) if ours => {
                self.table.remove(&it.number);
            }
            Change::Keep(_) | Change::Give(_) => {}
        }
        true
    }

    fn read(&self) -> Turns {
        let of = ("directory".parse().unwrap(), self.key.key.clone());
        Turns::new(BTreeMap::from([(of, self.table.clone())]), self.now)
    }

    fn happens(&mut self, event: Event) -> Result<(), TestCaseError> {
        let pick = |number: usize, of: &[Hold]| (!of.is_empty()).then(|| number % of.len());
        match event {
            Event::Take(call, chance) => {
                self.begun += 1;
                let mut hold = attempt(call, self.begun, self.now);
                let only_grants = self.acting.iter().all(|held| held.open.as_ref().unwrap().call != Call::Revoke);
                let taken = self.read().take(&mut hold, std::slice::from_ref(&self.key), chance);
                if call == Call::Revoke && only_grants && self.key.turns.get() > 2 {
                    prop_assert!(taken.is_some(), "R11: a revocation never waits where only grants hold turns");
                }
                for change in taken.iter().flatten() {
                    prop_assert!(self.write(change), "what was just read is still so");
                }
                self.acting.extend(taken.map(|_| hold));
            }
            Event::Done(number) => {
                if let Some(place) = pick(number, &self.acting) {
                    let before = self.acting.remove(place);
                    let result = Hold { open: None, ..before.clone() };
                    after(&before, &result, &CAPS).iter().for_each(|change| {
                        self.write(change);
                    });
                }
            }
            Event::Pending(number) => {
                if let Some(place) = pick(number, &self.acting) {
                    let before = self.acting[place].clone();
                    let mut result = before.clone();
                    let poll_at = later(self.now, Duration::from_secs(5));
                    result.open.as_mut().unwrap().pending = Some(Pending { operation: "op".to_owned(), poll_at });
                    let changes = after(&before, &result, &CAPS);
                    for change in changes {
                        let (Change::Take(it, _) | Change::Keep(it) | Change::Give(it)) = &change;
                        let after_poll = it.not_after >= later(poll_at, CAPS.deadline);
                        prop_assert!(after_poll, "R11: a pending operation keeps its turn until its poll is answered");
                        result.open.as_mut().unwrap().not_after = it.not_after;
                        self.write(&change);
                    }
                    self.acting[place] = result;
                }
            }
            Event::Passes(seconds) => {
                self.now = later(self.now, Duration::from_secs(seconds));
                self.acting.retain(|hold| hold.open.as_ref().unwrap().not_after > self.now);
            }
        }
        Ok(())
    }

    /// Who holds a turn whose time is not over, and how many of them are no revocations.
    fn holders(&self) -> (usize, usize) {
        let holds = |taken: &&Taken| !taken.is_over(self.now);
        let holders: Vec<&Taken> = self.table.values().flatten().filter(holds).collect();
        let grants = holders.iter().filter(|taken| {
            let hold = self.acting.iter().find(|hold| taken.is_held_by(hold));
            hold.is_some_and(|hold| hold.open.as_ref().unwrap().call != Call::Revoke)
        });
        (holders.len(), grants.count())
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn r11_never_more_than_n_hold_turns_nor_grants_more_than_n_less_two(
        turns in 1_u8..=10,
        events in prop::collection::vec(event(), 1..80),
    ) {
        let key = TurnKey { key: "app".to_owned(), turns: turns.try_into().unwrap() };
        let mut world = World { key, now: minute(0), table: Read::new(), acting: Vec::new(), begun: 0 };
        let most = usize::from(if turns > 2 { turns - 2 } else { turns });
        for event in events {
            world.happens(event)?;
            let (all, grants) = world.holders();
            prop_assert_eq!(all, world.acting.len(), "each attempt that may act holds its turn, and nobody else one");
            prop_assert!(all <= usize::from(turns), "{} hold turns of {}", all, turns);
            prop_assert!(grants <= most, "grants hold {} of {} turns", grants, turns);
        }
    }

    #[test]
    fn r11_of_several_keys_a_call_takes_all_or_none(
        taken in prop::collection::btree_set(0_u8..3, 0..4),
        chance in any::<u8>(),
    ) {
        let now = minute(0);
        let keys = ["a", "b"].map(|key| TurnKey { key: key.to_owned(), turns: 3.try_into().unwrap() });
        let other = attempt(Call::Revoke, 9, now);
        let held = |number: u8| (number, Some(held_by(&other, "b", number, later(now, ACTS))));
        let read = BTreeMap::from([(("directory".parse().unwrap(), "b".to_owned()), taken.iter().copied().map(held).collect())]);
        let mut turns = Turns::new(read, now);
        let mut first = attempt(Call::Revoke, 1, now);
        let got = turns.take(&mut first, &keys, chance);
        prop_assert_eq!(got.is_some(), taken.len() < 3, "it takes both where the second has one free, else none");
        prop_assert_eq!(first.open.unwrap().turns.len(), got.as_ref().map_or(0, Vec::len), "the attempt names what it holds");
        let mut free = 0;
        while turns.take(&mut attempt(Call::Revoke, 2, now), &keys[..1], chance).is_some() {
            free += 1;
        }
        prop_assert_eq!(free, if got.is_some() { 2 } else { 3 }, "of the first key nothing is taken in vain, and nothing twice");
    }
}

#[test]
fn r11_grants_may_hold_all_turns_but_two_and_revocations_begin_with_those_two() {
    for turns in 1_u8..=10 {
        let grants = if turns > 2 { turns - 2 } else { turns };
        for (side, most, alone) in [(Side::Starts, grants, 0), (Side::Ends, turns, turns - grants)] {
            let mut firsts: BTreeMap<u8, usize> = BTreeMap::new();
            for chance in 0..=u8::MAX {
                let mut order = order(side, turns.try_into().unwrap(), chance);
                *firsts.entry(order[0]).or_default() += 1;
                let begins = order.iter().take(alone.into()).all(|number| *number >= grants);
                assert!(begins, "of {turns} turns, {side:?} take {order:?} in this order");
                order.sort_unstable();
                assert_eq!(order, (0..most).collect::<Vec<_>>(), "of {turns} turns, {side:?} take each once");
            }
            let even = firsts.values().all(|times| times.abs_diff(256 / firsts.len()) <= 1);
            let begun = firsts.len() == usize::from(if alone > 0 { alone } else { grants });
            assert!(even && begun, "of {turns} turns, {side:?} that come together meet at these: {firsts:?}");
        }
    }
}

#[test]
fn p10_r11_an_attempt_finds_its_own_turn_again_and_nobody_elses() {
    let (now, key) = (minute(0), TurnKey { key: "app".to_owned(), turns: NonZeroU8::MIN });
    let hold = attempt(Call::Revoke, 1, now);
    let there = Box::new(held_by(&hold, "app", 0, later(now, ACTS)));
    let take = |change: fn(&mut Hold)| {
        let mut hold = hold.clone();
        change(&mut hold);
        let of = ("directory".parse().unwrap(), "app".to_owned());
        let read = BTreeMap::from([(of, Read::from([(0, Some(*there.clone()))]))]);
        Turns::new(read, now).take(&mut hold, std::slice::from_ref(&key), 0)
    };
    assert_eq!(take(|_| {}), Some(vec![Change::Take(there.clone(), Some(there.clone()))]), "what it took is its own");
    assert_eq!(take(|it| it.attempts = 2), None, "a later attempt of the same hold");
    assert_eq!(take(|it| it.person = person(2)), None, "another person");
    assert_eq!(take(|it| it.key.account = id("a2")), None, "another account");
}

#[test]
fn r24_a_turn_that_cannot_be_read_is_not_free() {
    let now = minute(0);
    let key = TurnKey { key: "app".to_owned(), turns: NonZeroU8::MIN };
    let read = BTreeMap::from([(("directory".parse().unwrap(), "app".to_owned()), Read::from([(0, None)]))]);
    let taken = Turns::new(read, now).take(&mut attempt(Call::Revoke, 1, now), &[key], 0);
    assert_eq!(taken, None, "another release's turn is waited for, not written over");
}
