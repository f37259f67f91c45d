//! What a look at Ann finds due, and when it wants to look again.

use std::collections::BTreeMap;

use super::*;
use crate::block::Block;
use crate::enrollment::{Origin, Period};
use crate::hold::step::Purpose;
use crate::hold::{Attempt, Call, Outcome, Pending, Retry, TurnWait};
use crate::id::{Place, ProfileId, RotationId, UserId};
use crate::identity::Account;
use crate::profile::Profile;
use crate::rota::End;
use crate::testing::{automatic, held, id, minute, person, second};
use crate::wants::{Freshness, Shape, Slot};

/// A company with one profile, whose rotation was read at minute 0.
struct World(Profile);

impl Rules for World {
    fn profile(&self, id: &ProfileId) -> Option<&Profile> {
        Some(&self.0).filter(|profile| profile.id == *id)
    }
    fn version(&self, _: &ProfileId, _: u64) -> Option<&Profile> {
        None
    }
    fn freshness(&self, _: &RotationId) -> Option<Freshness> {
        Some(Freshness { fresh_at: minute(0), failed_at: None, resumed_at: None, prolonged_until: None })
    }
    fn lock(&self, _: &RotationId, _: &UserId, _: &ProfileId) -> Option<Timestamp> {
        None
    }
    fn blocks(&self) -> &[Block] {
        &[]
    }
    fn slot(&self, it: &EntitlementRef) -> Option<Slot> {
        Some(Slot { place: Place { kind: it.kind.clone(), id: it.id.clone() }, shape: Shape::Member })
    }
    fn grants(&self, _: &AppId) -> bool {
        true
    }
}

fn ann() -> Person {
    Person { accounts: [(id("directory"), Account::Linked(id("acc-ann")))].into(), ..Person::nobody(person(1)) }
}

/// On call from minute 60 on.
fn on_call(until: End) -> Enrollment {
    let from = minute(60);
    let (profile, origin) = (id("on-call"), Origin::Coverage(id("rota:primary")));
    let periods = vec![Period { from, until, from_known: from, until_known: from, duty: None }];
    Enrollment { person: person(1), profile, origin, periods, version: None }
}

/// A look at Ann, who is on call until minute 120.
fn look_at(holds: &[Hold], written_off: &[Hold], now: Timestamp) -> Look {
    look(&ann(), &[on_call(End::At(minute(120)))], holds, written_off, &World(automatic()), now)
}

/// Her hold as her duty begins.
fn wanted() -> Hold {
    look_at(&[], &[], minute(60)).holds.remove(0).hold
}

/// When to look again on either side, and why.
fn due(look: &Look) -> [Option<(Timestamp, &str)>; 2] {
    [&look.next_start, &look.next_end].map(|due| due.as_ref().map(|due| (due.at, due.cause.as_str())))
}

fn retry(at: i64, side: Side, turn: Option<TurnWait>) -> Option<Retry> {
    Some(Retry { at: minute(at), side, failures: 1, because: "throttled".to_owned(), turn })
}

#[test]
fn r9_what_comes_next_begins_on_one_side_and_ends_on_the_other() {
    let before = look_at(&[], &[], minute(0));
    assert_eq!((before.holds.len(), due(&before)), (0, [Some((minute(60), "start")), None]));
    let begins = look_at(&[], &[], minute(60));
    assert_eq!(begins.holds[0].step, Step::Read(Purpose::Start));
    assert_eq!(due(&begins), [Some((minute(60), "now")), Some((minute(120), "end"))]);
    let stranger = Person { accounts: BTreeMap::new(), ..ann() };
    let world = World(automatic());
    let unknown = look(&stranger, &[on_call(End::At(minute(120)))], &[], &[], &world, minute(90));
    assert_eq!(due(&unknown), [Some((minute(90), "account")), Some((minute(120), "end"))], "P8");
}

#[test]
fn r9_p12_a_beginning_that_waits_says_until_when_and_for_what() {
    let open = |pending: Option<Pending>| {
        let (call, started, not_after, turns) = (Call::Grant, minute(89), minute(91), Vec::new());
        Some(Attempt { number: 1, call, started, not_after, pending, turns })
    };
    let polled = Some(Pending { operation: "op".to_owned(), poll_at: minute(92) });
    let turn = Some(TurnWait { since: minute(60), looks: 1 });
    for (at, cause, hold) in [
        (91, "lost answer", Hold { open: open(None), ..wanted() }),
        (92, "poll", Hold { open: open(polled), ..wanted() }),
        (93, "turn", Hold { retry: retry(93, Side::Starts, turn), ..wanted() }),
        (94, "retry", Hold { retry: retry(94, Side::Starts, None), ..wanted() }),
        (90, "now", wanted()),
        (120, "sweep", Hold { state: State::Held, checked_at: Some(minute(60)), ..wanted() }),
    ] {
        let look = look_at(&[hold], &[], minute(90));
        assert_eq!(due(&look), [Some((minute(at), cause)), Some((minute(120), "end"))]);
    }
}

#[test]
fn p1_r9_an_end_that_waits_is_looked_at_when_somebody_must_be_told_of_it() {
    let ending = Hold { state: State::Ending, touched: true, retry: retry(125, Side::Ends, None), ..wanted() };
    let (call, started, not_after, turns) = (Call::Grant, minute(119), minute(121), Vec::new());
    let granting = Attempt { number: 1, call, started, not_after, pending: None, turns };
    let (overdue, tried) = (Some((second(120 * 60 + 30), "overdue")), Some((minute(125), "retry")));
    for (what, hold, expected) in [
        ("nobody knows", ending.clone(), [None, overdue]),
        ("somebody was told", Hold { told: true, ..ending.clone() }, [None, tried]),
        ("nothing of ours is there", Hold { touched: false, ..ending.clone() }, [None, tried]),
        ("a grant may land", Hold { open: Some(granting), ..ending }, [Some((minute(121), "lost answer")), overdue]),
    ] {
        assert_eq!(due(&look_at(&[hold], &[], second(120 * 60 + 10))), expected, "{what}");
    }
    let (leased, world) = ([on_call(End::Open)], World(automatic()));
    let hold = look(&ann(), &leased, &[], &[], &world, minute(60)).holds.remove(0).hold;
    let hold = Hold { state: State::Held, touched: true, checked_at: Some(minute(60)), ..hold };
    let rolling = look(&ann(), &leased, &[hold], &[], &world, minute(90));
    assert_eq!(due(&rolling), [Some((minute(120), "sweep")), None], "R8: a lease is watched on its rotation");
}

#[test]
fn r9_p12_what_has_lost_its_reasons_ends_now_whatever_it_waited_for() {
    let turn = Some(TurnWait { since: minute(60), looks: 1 });
    let waits = |turn| Hold { touched: true, retry: retry(125, Side::Starts, turn), ..wanted() };
    for (what, hold) in [
        ("a sweep", Hold { state: State::Held, ..wanted() }),
        ("a sweep, as standing access", Hold { state: State::Kept, ..wanted() }),
        ("another try", waits(None)),
        ("a turn", waits(turn)),
    ] {
        let look = look_at(&[hold], &[], minute(120));
        assert_eq!(due(&look), [None, Some((minute(120), "now"))], "it waited for {what}");
    }
}

#[test]
fn p1_p12_the_next_look_is_at_the_first_of_what_several_holds_wait_for() {
    let ending = |place: &str, at: i64| {
        let mut hold = Hold { state: State::Ending, told: true, retry: retry(at, Side::Ends, None), ..wanted() };
        place.clone_into(&mut hold.key.place.id);
        hold
    };
    let holds = [("g-2", 127), ("g-3", 125), ("g-4", 126)].map(|(place, at)| ending(place, at));
    for turn in 0..3 {
        let mut holds = holds.to_vec();
        holds.rotate_left(turn);
        assert_eq!(due(&look_at(&holds, &[], minute(121))), [None, Some((minute(125), "retry"))]);
    }
}

#[test]
fn p4_what_has_one_reason_left_of_two_goes_on() {
    let mut hold = Hold { state: State::Held, touched: true, ..wanted() };
    let other = Reason { profile: id("other"), until: minute(80), ..hold.reasons[0].clone() };
    hold.reasons.push(other);
    let look = look_at(&[hold], &[], minute(90));
    let [Planned { want: Some(want), step: Step::Write(Side::Starts, next), .. }] = look.holds.as_slice() else {
        panic!("it has a reason, and does not go on: {:?}", look.holds)
    };
    assert_eq!((next.state, &next.reasons, want.reasons.len()), (State::Held, &want.reasons, 1));
}

#[test]
fn r14_what_is_over_makes_room_and_what_was_written_off_is_remembered() {
    let ended = |outcome: Outcome| Hold { state: State::Ended(outcome), attempts: 7, ..wanted() };
    let mut elsewhere = ended(Outcome::WrittenOff);
    elsewhere.key.account = id("acc-bob");
    for (over, written_off, attempts) in [
        (vec![ended(Outcome::Proven)], vec![], 0),
        (vec![], vec![ended(Outcome::WrittenOff)], 7),
        (vec![], vec![elsewhere], 0),
    ] {
        let look = look_at(&over, &written_off, minute(90));
        let planned = &look.holds[0];
        let found = (look.holds.len(), planned.before.is_none(), planned.hold.state, planned.hold.attempts);
        assert_eq!(found, (1, true, State::Wanted, attempts));
    }
}

#[test]
fn r25_time_never_runs_backwards_for_a_person() {
    for (last, expected) in [(None, 10), (Some(9), 10), (Some(12), 12)] {
        assert_eq!(decision_time(minute(10), last.map(minute)), minute(expected), "after a record of {last:?}");
    }
}

#[test]
fn p1_somebody_is_told_once_of_what_is_stuck_or_does_not_end() {
    let ending = Hold { state: State::Ending, touched: true, due: minute(10), ..held() };
    let stuck = Hold { state: State::Stuck, retry: retry(70, Side::Starts, None), ..ending.clone() };
    let late = second(10 * 60 + 30);
    for (what, hold, at, expected) in [
        ("it has hardly begun to end", ending.clone(), second(10 * 60 + 29), false),
        ("it does not end", ending.clone(), late, true),
        ("somebody was told of it", Hold { told: true, ..ending.clone() }, late, false),
        ("nothing of ours is there", Hold { touched: false, ..ending.clone() }, late, false),
        ("no look has found its end", Hold { state: State::Held, ..ending }, late, false),
        ("it is stuck", stuck.clone(), minute(1), true),
        ("somebody was told that it is stuck", Hold { told: true, ..stuck }, minute(1), false),
    ] {
        assert_eq!(must_tell(&hold, at), expected, "{what}");
    }
}

#[test]
fn p1_r23_somebody_is_told_of_an_end_that_nobody_can_reach() {
    let held = Hold { touched: true, due: minute(10), ..held() };
    let mut leased = held.clone();
    leased.reasons[0].rolling = true;
    let late = Some(second(10 * 60 + 30));
    for (what, hold, expected) in [
        ("its end stands on record", held.clone(), late),
        ("somebody was told", Hold { told: true, ..held.clone() }, None),
        ("nothing of ours is there", Hold { touched: false, ..held }, None),
        ("its end moves on with a lease", leased, None),
    ] {
        assert_eq!(tell_unreached(&hold), expected, "{what}");
    }
}
