//! What is due for a hold as it stands, before anything is read.

use std::time::Duration;

use super::facts;
use crate::enrollment::Origin;
use crate::hold::step::{Facts, Purpose, Step, extending, next, without_turn};
use crate::hold::{Act, Attempt, Call, Hold, Pending, Retry, Side, State, TurnWait};
use crate::testing::{held, id, minute, second};
use crate::time::later;
use crate::wants::{Reason, Shape, Want};

/// What lasts until this minute and was read at minute 0.
fn lasting(state: State, until: i64) -> Hold {
    let mut hold = Hold { state, due: minute(until), checked_at: Some(minute(0)), ..held() };
    hold.reasons[0].until = minute(until);
    hold
}

/// What the hold is there for.
fn wanted(hold: &Hold) -> Want {
    Want { shape: hold.shape.clone(), reasons: hold.reasons.clone(), frozen: false }
}

#[test]
fn r1_an_attempt_without_a_result_is_waited_for_or_asked_for_on_its_own_side() {
    for (call, side) in [(Call::Grant, Side::Starts), (Call::Extend, Side::Starts), (Call::Revoke, Side::Ends)] {
        let open = |pending: Option<Pending>| {
            let (started, not_after, turns) = (minute(0), minute(2), Vec::new());
            Hold { open: Some(Attempt { number: 1, call, started, not_after, pending, turns }), ..held() }
        };
        let polled = open(Some(Pending { operation: "op".to_owned(), poll_at: minute(1) }));
        for want in [None, Some(wanted(&held()))] {
            let due = |hold: &Hold, at: i64| next(hold, want.as_ref(), minute(at));
            assert_eq!(due(&open(None), 1), Step::Wait(side, minute(2)), "{call:?}");
            assert_eq!(due(&polled, 0), Step::Wait(side, minute(1)), "{call:?}");
            assert_eq!(due(&polled, 1), Step::Poll(side), "{call:?}");
        }
    }
}

#[test]
fn r1_an_attempt_is_on_record_with_the_time_for_which_it_may_act() {
    let begun = extending(&Hold { attempts: 3, ..held() }, &facts(minute(0)));
    let (call, started, not_after) = (Call::Extend, minute(0), second(10 + 60 + 30));
    let attempt = Attempt { number: 4, call, started, not_after, pending: None, turns: Vec::new() };
    assert_eq!(begun.open, Some(attempt), "the client's deadline, the longest operation, and 30 s");
}

#[test]
fn r11_an_attempt_forgets_that_it_waited_for_its_turn_and_not_what_failed_before() {
    let left = |failures: u32| {
        let (because, turn) = ("no turn".to_owned(), Some(TurnWait { since: minute(0), looks: 1 }));
        let retry = Some(Retry { at: minute(1), side: Side::Starts, failures, because, turn });
        extending(&Hold { retry, ..held() }, &facts(minute(1))).retry.map(|retry| (retry.failures, retry.turn))
    };
    assert_eq!((left(0), left(2)), (None, Some((2, None))));
}

#[test]
fn r11_whoever_gets_no_turn_waits_longer_each_time_and_its_reasons_are_on_record() {
    let want = wanted(&held());
    let mut hold = Hold { state: State::Wanted, reasons: Vec::new(), due: minute(0), ..held() };
    for (looks, at, millis) in [(1, 10, 500), (2, 11, 1_000), (3, 12, 2_000)] {
        hold = without_turn(&hold, Some(&want), Purpose::Start, &facts(minute(at)), 0);
        let retry = hold.retry.as_ref().unwrap();
        assert_eq!(retry.turn, Some(TurnWait { since: minute(10), looks }), "P12: the whole wait is shown");
        assert_eq!((retry.at, retry.failures), (later(minute(at), Duration::from_millis(millis)), 0));
        assert_eq!((hold.state, &hold.reasons, hold.due), (State::Wanted, &want.reasons, want.until()));
    }
    let failed = |side: Side| {
        let retry = Retry { at: minute(1), side, failures: 2, because: "refused".to_owned(), turn: None };
        let hold = Hold { retry: Some(retry), ..held() };
        without_turn(&hold, Some(&want), Purpose::Start, &facts(minute(2)), 0).retry.map(|retry| retry.failures)
    };
    assert_eq!((failed(Side::Starts), failed(Side::Ends)), (Some(2), Some(0)), "what failed on its own side counts");
}

#[test]
fn p1_r11_an_end_that_gets_no_turn_has_begun_and_stays_due_when_it_was() {
    let first = without_turn(&held(), None, Purpose::End, &facts(minute(10)), 0);
    assert_eq!((first.state, first.since, first.due), (State::Ending, minute(10), minute(9)));
    assert_eq!(first.retry.as_ref().map(|retry| retry.side), Some(Side::Ends));
    let facts = Facts { ended: (minute(11), minute(11)), ..facts(minute(11)) };
    let again = without_turn(&first, None, Purpose::End, &facts, 0);
    assert_eq!((again.state, again.since, again.due), (State::Ending, minute(10), minute(9)));
}

#[test]
fn r14_a_reason_that_comes_back_finds_it_held_where_no_revocation_was_sent() {
    let act = |done| Act { due: minute(0), known: minute(0), started: minute(0), turn_since: None, done };
    let ending = |shown, revoked| Hold { granted: Some(act(shown)), revoked, ..lasting(State::Ending, 3) };
    let shown = Some(minute(1));
    for (what, hold, state, granted) in [
        ("nothing was sent", ending(shown, None), State::Held, true),
        ("a revocation was sent", ending(shown, Some(act(None))), State::Wanted, false),
        ("no read has shown it yet", ending(None, None), State::Wanted, true),
    ] {
        let want = wanted(&held());
        let Step::Write(Side::Starts, back) = next(&hold, Some(&want), minute(5)) else { panic!("{what}: no record") };
        assert_eq!((back.state, back.granted.is_some(), back.revoked), (state, granted, None), "{what}");
        assert_eq!((&back.reasons, back.due), (&want.reasons, want.until()), "{what}");
    }
}

#[test]
fn r14_r17_other_reasons_are_on_record_at_once_and_what_is_stuck_is_tried_again_with_them() {
    type Change = fn(&mut Vec<Reason>);
    let changes: [(&str, Change); 6] = [
        ("a later end", |them| them[0].until = minute(700)),
        ("an earlier beginning", |them| them[0].from = minute(-5)),
        ("another version", |them| them[0].version = 2),
        ("another profile", |them| them[0].profile = id("other")),
        ("a request", |them| them[0].origin = Origin::Request("req_1".to_owned())),
        ("one more", |them| them.extend_from_within(..)),
    ];
    let (side, because) = (Side::Starts, "no licence".to_owned());
    let hourly = Retry { at: minute(70), side, failures: 4, because, turn: None };
    for (state, retry, rests) in [(State::Held, None, 60), (State::Kept, None, 60), (State::Stuck, Some(hourly), 70)] {
        let hold = Hold { retry, ..lasting(state, 600) };
        let unchanged = next(&hold, Some(&wanted(&hold)), minute(10));
        assert_eq!(unchanged, Step::Wait(Side::Starts, minute(rests)), "{state:?}");
        for (what, change) in changes {
            let mut want = wanted(&hold);
            change(&mut want.reasons);
            let Step::Write(Side::Starts, told) = next(&hold, Some(&want), minute(10)) else {
                panic!("{what} is not recorded of what is {state:?}")
            };
            assert_eq!((told.state, &told.reasons, told.due), (state, &want.reasons, want.until()), "{what}");
            let now = hold.retry.clone().map(|retry| Retry { at: minute(10), ..retry });
            assert_eq!(told.retry, now, "{what} is a change on which what is {state:?} is tried again");
        }
    }
}

#[test]
fn r8_an_end_that_moves_on_with_a_lease_is_no_other_reason() {
    let mut hold = lasting(State::Held, 240);
    hold.reasons[0].rolling = true;
    let step = |rolling: bool| {
        let mut want = wanted(&hold);
        (want.reasons[0].rolling, want.reasons[0].until) = (rolling, minute(300));
        next(&hold, Some(&want), minute(10))
    };
    assert_eq!(step(true), Step::Wait(Side::Starts, minute(60)), "a rewrite of each hold at each sync");
    assert!(matches!(step(false), Step::Write(..)), "R13: its end is known now");
}

#[test]
fn r2_r3_another_value_is_set_at_once_but_under_a_freeze_only_a_lower_one() {
    let value = |rank: i64| Shape::Value { rank, value: format!("level {rank}") };
    let step = |state: State, rank: i64, frozen: bool| {
        let hold = Hold { shape: value(2), ..lasting(state, 600) };
        next(&hold, Some(&Want { shape: value(rank), frozen, ..wanted(&hold) }), minute(10))
    };
    let (reads, rests) = (Step::Read(Purpose::Start), Step::Wait(Side::Starts, minute(60)));
    for (rank, frozen, expected) in [
        (1, false, &reads),
        (2, false, &rests),
        (3, false, &reads),
        (1, true, &reads),
        (2, true, &rests),
        (3, true, &rests),
    ] {
        assert_eq!(&step(State::Held, rank, frozen), expected, "level 2 is held, and {rank} wanted; frozen: {frozen}");
    }
    assert_eq!(step(State::Kept, 3, false), reads, "what was enough before may be too little now");
}

#[test]
fn p5_r13_the_targets_own_end_is_moved_once_and_read_again_when_it_has_come() {
    let step = |hold: &Hold, at: i64| next(hold, Some(&wanted(hold)), minute(at));
    let ending = |native_end: i64, due: i64| Hold { native_end: Some(minute(native_end)), ..lasting(State::Held, due) };
    let early = ending(45, 60);
    assert_eq!(step(&early, 44), Step::Extend(minute(75)), "a quarter of an hour after the last reason");
    assert_eq!(step(&early, 45), Step::Read(Purpose::Start), "it may be gone");
    let accepted = Hold { answered: Some(Call::Extend), ..early };
    assert_eq!(step(&accepted, 44), Step::Read(Purpose::Sweep), "accepted is not done, and not asked for twice");
    let rests = Step::Wait(Side::Starts, minute(60));
    assert_eq!(step(&ending(45, 45), 10), rests, "it comes no earlier than the last end, and that stays where it is");
}
