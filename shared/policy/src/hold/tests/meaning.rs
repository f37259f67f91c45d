//! What a read means, and what an answer means, at their edges.

use serde_json::json;

use super::company::rank;
use super::{CAPS, facts};
use crate::hold::step::{
    Answer, Facts, Order, Purpose, Verdict, after_answer, after_read, after_read_back, unreadable,
};
use crate::hold::{
    Act, Attempt, Call, Capabilities, Failure, Held, Hold, Observation, Outcome, Owner, Ownership, Pending, Retry,
    Side, State,
};
use crate::testing::{held, minute, second};
use crate::wants::{Shape, Want};

/// From when on, in seconds, a read shows what was answered at minute 10: a minute of the target's own, and the 6 s by
/// which two clocks may differ.
const SHOWS: i64 = 10 * 60 + 66;

fn seen(held: Held) -> Observation {
    Observation { held, value: None, owner: Owner::Unknown, native_end: None }
}

fn shown(value: &str) -> Observation {
    Observation { value: Some(value.to_owned()), ..seen(Held::No) }
}

fn value(value: &str) -> Shape {
    Shape::Value { rank: rank(value).unwrap(), value: value.to_owned() }
}

fn want(shape: Shape) -> Want {
    Want { shape, reasons: held().reasons, frozen: false }
}

/// What is being granted, and may be there.
fn granting(shape: Shape) -> Hold {
    let base = if shape == Shape::Member { None } else { Some("responder".to_owned()) };
    Hold { state: State::Granting, shape, base, touched: true, ..held() }
}

/// The same, after an answer at minute 10.
fn granted(shape: Shape) -> Hold {
    Hold { answered: Some(Call::Grant), answered_at: Some(minute(10)), ..granting(shape) }
}

/// A grant that a read showed at this minute, or never.
fn act(done: Option<i64>) -> Option<Act> {
    Some(Act { due: minute(0), known: minute(0), started: minute(0), turn_since: None, done: done.map(minute) })
}

fn attempt(call: Call, pending: Option<Pending>) -> Attempt {
    Attempt { number: 1, call, started: minute(0), not_after: minute(2), pending, turns: Vec::new() }
}

fn failed(failure: Failure) -> Answer {
    Answer::Failed { failure, after: None, because: "it said so".to_owned() }
}

fn told(verdict: Verdict) -> Hold {
    match verdict {
        Verdict::Write(hold) | Verdict::Call(hold, _) => *hold,
    }
}

fn failures(hold: &Hold) -> Option<u32> {
    hold.retry.as_ref().map(|retry| retry.failures)
}

#[test]
fn r14_no_error_ends_anything_unless_the_account_is_gone_and_what_does_not_pass_is_tried_hourly() {
    use Failure::{AccountGone, Conflict, Permanent, Throttled, Transient};
    for (failure, side, state, seconds) in [
        (AccountGone, Side::Ends, State::Ended(Outcome::AccountGone), None),
        (AccountGone, Side::Starts, State::Stuck, Some(3_600)),
        (Permanent, Side::Ends, State::Stuck, Some(3_600)),
        (Permanent, Side::Starts, State::Stuck, Some(3_600)),
        (Conflict, Side::Ends, State::Ending, Some(1)),
        (Throttled, Side::Ends, State::Ending, Some(1)),
        (Transient, Side::Starts, State::Granting, Some(1)),
    ] {
        let (call, purpose, before) = match side {
            Side::Starts => (Call::Grant, Purpose::Start, State::Granting),
            Side::Ends => (Call::Revoke, Purpose::End, State::Ending),
        };
        let before = Hold { state: before, ..granting(Shape::Member) };
        let open = Hold { open: Some(attempt(call, None)), ..before.clone() };
        let unread = (failure.clone(), None, "it said so".to_owned());
        let called = after_answer(&open, failed(failure.clone()), minute(5));
        for next in [called, unreadable(&before, purpose, unread, &facts(minute(5)))] {
            let retry = next.retry.as_ref().map(|retry| (retry.side, retry.at));
            let expected = seconds.map(|seconds| (side, second(5 * 60 + seconds)));
            assert_eq!((next.state, retry), (state, expected), "{failure:?} on {side:?}");
            assert_eq!((next.open.is_none(), next.touched), (true, !next.is_over()), "{failure:?} on {side:?}");
        }
    }
}

#[test]
fn p1_an_end_has_begun_with_its_first_read_whatever_that_shows_and_stays_due_when_it_was() {
    let read = |hold: &Hold, ended: i64, fails: bool| {
        let facts = Facts { ended: (minute(ended), minute(ended)), ..facts(minute(12)) };
        if fails {
            let failure = (Failure::Transient, None, "it does not answer".to_owned());
            return unreadable(hold, Purpose::End, failure, &facts);
        }
        told(after_read(hold, None, &seen(Held::Direct), Purpose::End, &facts))
    };
    let (side, because) = (Side::Starts, "no licence".to_owned());
    let retry = Some(Retry { at: minute(90), side, failures: 5, because, turn: None });
    let before = Hold { touched: true, retry, ..held() };
    for (fails, counted) in [(true, Some(1)), (false, None)] {
        let first = read(&before, 9, fails);
        assert_eq!((first.state, first.due), (State::Ending, minute(9)));
        assert_eq!(failures(&first), counted, "what failed on the other side does not count");
        let again = read(&Hold { open: None, ..first }, 11, fails);
        assert_eq!((again.state, again.due), (State::Ending, minute(9)));
    }
}

#[test]
fn r1_r6_what_may_have_been_accepted_may_be_there_and_what_was_refused_changes_nothing() {
    let accepted = Answer::Done { receipt: None, native_end: None };
    let pending = Answer::Pending { operation: "op".to_owned(), poll_at: minute(3) };
    let answers =
        [(accepted, true), (pending, true), (failed(Failure::Lost), true), (failed(Failure::Throttled), false)];
    for call in [Call::Grant, Call::Extend, Call::Revoke] {
        for touched in [false, true] {
            let (open, setting) = (Some(attempt(call, None)), Some("admin".to_owned()));
            let hold = Hold { touched, setting, open, ..held() };
            for (answer, may_act) in &answers {
                let (next, grants) = (after_answer(&hold, answer.clone(), minute(1)), call == Call::Grant);
                assert_eq!(next.touched, touched || (grants && *may_act), "{call:?}, {answer:?}");
                assert_eq!(next.setting.is_some(), !grants || *may_act, "{call:?}, {answer:?}");
            }
        }
    }
}

#[test]
fn r1_a_lost_answer_leaves_its_attempt_open_until_it_can_act_no_more() {
    for (call, ownership) in [(Call::Grant, Ownership::Unproven), (Call::Revoke, Ownership::Ours)] {
        let hold = Hold { open: Some(attempt(call, None)), ..held() };
        for (at, until) in [(1, 2), (3, 3)] {
            let lost = after_answer(&hold, failed(Failure::Lost), minute(at));
            let again = lost.retry.as_ref().map(|retry| retry.at);
            assert_eq!((lost.ownership, again), (ownership, Some(minute(until))), "{call:?} at minute {at}");
            assert_eq!(lost.open, Some(Attempt { not_after: minute(until), ..attempt(call, None) }), "{call:?}");
        }
    }
}

#[test]
fn p5_a_poll_without_an_answer_is_no_end_of_its_operation() {
    let polled = |at: i64| {
        let pending = Pending { operation: "op".to_owned(), poll_at: second(at) };
        Some(attempt(Call::Grant, Some(pending)))
    };
    let hold = Hold { open: polled(60), setting: Some("admin".to_owned()), ..granting(value("admin")) };
    for failure in [Failure::Throttled, Failure::Transient, Failure::Lost] {
        let next = after_answer(&hold, failed(failure.clone()), minute(1));
        assert_eq!(next.open, polled(61), "{failure:?}: it is asked for again");
    }
    for failure in [Failure::Conflict, Failure::Permanent] {
        let next = after_answer(&hold, failed(failure.clone()), minute(1));
        let left = (next.open.is_none(), next.touched, next.setting.is_some());
        assert_eq!(left, (true, true, true), "R6: it was accepted, and {failure:?} tells not how far it came");
    }
}

#[test]
fn p2_what_a_grant_answers_of_its_end_is_on_record_and_a_revocation_has_none() {
    let answer = Answer::Done { receipt: Some(json!({ "id": 7 })), native_end: Some(minute(75)) };
    for (call, kept) in [(Call::Grant, true), (Call::Extend, true), (Call::Revoke, false)] {
        let next = after_answer(&Hold { open: Some(attempt(call, None)), ..held() }, answer.clone(), minute(10));
        assert_eq!((next.answered, next.answered_at), (Some(call), Some(minute(10))));
        assert_eq!((next.receipt.is_some(), next.native_end), (kept, kept.then_some(minute(75))), "{call:?}");
    }
}

#[test]
fn p2_a_grant_has_its_end_on_record_and_at_a_target_that_can_end_it_by_itself() {
    let mut want = want(Shape::Member);
    want.reasons[0].until = minute(480);
    for (native_end, expected) in [(false, None), (true, Some(minute(495)))] {
        let caps = Capabilities { native_end, ..CAPS };
        let facts = Facts { caps: &caps, ..facts(minute(0)) };
        let hold = Hold { state: State::Wanted, ..held() };
        let Verdict::Call(next, order) = after_read(&hold, Some(&want), &seen(Held::No), Purpose::Start, &facts) else {
            panic!("nothing is there, and it is not granted")
        };
        assert_eq!((next.state, next.due), (State::Granting, minute(480)));
        assert_eq!(order, Order::Grant { native_end: expected }, "R13: a quarter of an hour later");
    }
}

#[test]
fn p5_what_was_accepted_and_does_not_show_has_failed_once_the_read_can_be_believed() {
    let revoked = Hold { state: State::Ending, answered: Some(Call::Revoke), ..granted(Shape::Member) };
    let want = want(Shape::Member);
    for (hold, there, want, purpose, side) in [
        (granted(Shape::Member), Held::No, Some(&want), Purpose::Start, Side::Starts),
        (revoked, Held::Direct, None, Purpose::End, Side::Ends),
    ] {
        for (at, failures, answered) in [(SHOWS - 1, 0, true), (SHOWS, 1, false)] {
            let (seen, facts) = (seen(there), facts(second(at)));
            let again = told(after_read(&hold, want, &seen, purpose, &facts));
            for next in [after_read_back(&hold, &seen, &facts), again] {
                let retry = next.retry.as_ref().unwrap();
                assert_eq!((next.state, retry.side, retry.failures), (hold.state, side, failures), "{side:?} at {at}");
                assert!(retry.at >= second(SHOWS) && next.open.is_none(), "{side:?} at {at}: {retry:?}");
                assert_eq!(next.answered.is_some(), answered, "{side:?} at {at}");
            }
        }
    }
}

#[test]
fn p5_r1_gone_is_proven_by_a_read_that_can_be_believed_and_not_a_second_before() {
    let revoked = Hold { state: State::Ending, answered: Some(Call::Revoke), ..granted(Shape::Member) };
    for (at, state) in [(SHOWS - 1, State::Ending), (SHOWS, State::Ended(Outcome::Proven))] {
        let (seen, facts) = (seen(Held::No), facts(second(at)));
        let again = told(after_read(&revoked, None, &seen, Purpose::End, &facts));
        assert_eq!([after_read_back(&revoked, &seen, &facts).state, again.state], [state, state], "at second {at}");
    }
}

#[test]
fn r6_r14_what_no_read_has_ever_shown_is_not_ours_and_what_one_has_shown_is_missed() {
    let admin = |seen: &str| (granted(value("admin")), shown(seen));
    let group = |done: Option<i64>| (Hold { granted: act(done), ..granted(Shape::Member) }, seen(Held::No));
    for (what, (hold, seen), ours) in [
        ("never seen", group(None), false),
        ("seen before", group(Some(5)), true),
        ("the base was never changed", admin("responder"), false),
        ("others have set a value", admin("manager"), true),
    ] {
        let facts = facts(second(SHOWS));
        let back = after_read_back(&hold, &seen, &facts);
        let again = told(after_read(&hold, Some(&want(hold.shape.clone())), &seen, Purpose::Start, &facts));
        assert_eq!((back.touched, again.touched), (ours, ours), "{what}");
        assert_eq!((failures(&back), failures(&again)), (Some(1), Some(1)), "{what}: it is told");
        assert_eq!(again.state, if ours { State::Stuck } else { State::Granting }, "{what}");
    }
}

#[test]
fn r14_what_a_sweep_misses_is_told_with_what_others_did_once_the_read_can_be_believed() {
    let sweep = |hold: &Hold, seen: &Observation, at: i64| {
        let want = want(hold.shape.clone());
        let next = told(after_read(hold, Some(&want), seen, Purpose::Sweep, &facts(second(at))));
        (next.state, next.retry.map(|retry| (retry.at, retry.because)))
    };
    let member = Hold { state: State::Held, answered: None, ..granted(Shape::Member) };
    let (state, waits) = sweep(&member, &seen(Held::No), SHOWS - 1);
    assert_eq!((state, waits.map(|(at, _)| at)), (State::Held, Some(second(SHOWS))), "ours may not show yet");
    let admin = Hold { state: State::Held, answered: None, ..granted(value("admin")) };
    for (seen, what) in [(shown("responder"), "removed it"), (shown("owner"), "set another value")] {
        let (state, retry) = sweep(&admin, &seen, SHOWS);
        assert_eq!(state, State::Stuck, "others have {what}");
        assert!(retry.is_some_and(|(_, because)| because.contains(what)), "others have {what}");
    }
}

#[test]
fn p2_r13_where_the_targets_own_end_has_come_first_it_is_wanted_again() {
    let ends = |at: Option<i64>| Observation { native_end: at.map(minute), ..seen(Held::Direct) };
    let (native_end, granted) = (Some(minute(45)), act(Some(1)));
    let hold = Hold { state: State::Held, native_end, granted, ..granting(Shape::Member) };
    let read = |seen: &Observation| {
        let want = want(Shape::Member);
        after_read(&hold, Some(&want), seen, Purpose::Start, &facts(minute(45)))
    };
    let Verdict::Call(again, Order::Grant { .. }) = read(&seen(Held::No)) else { panic!("it ended, and is wanted") };
    assert_eq!((again.state, again.touched, again.native_end), (State::Granting, false, None), "P3: read as if new");
    for (seen, native_end, ownership, failed) in [
        (ends(Some(45)), Some(45), Ownership::Ours, Some(1)),
        (ends(Some(90)), Some(90), Ownership::Ours, None),
        (ends(None), None, Ownership::Unproven, None),
    ] {
        let next = told(read(&seen));
        assert_eq!((next.state, next.native_end), (State::Held, native_end.map(minute)), "{seen:?}");
        assert_eq!((next.ownership, failures(&next)), (ownership, failed), "{seen:?}");
    }
}

#[test]
fn p5_r13_the_targets_own_end_has_moved_on_once_a_read_shows_it() {
    let (answered, answered_at) = (Some(Call::Extend), Some(minute(10)));
    let hold = Hold { due: minute(60), native_end: Some(minute(45)), answered, answered_at, touched: true, ..held() };
    let read = |seen: &Observation, at: i64| {
        let (want, facts) = (want(Shape::Member), facts(second(at)));
        let swept = told(after_read(&hold, Some(&want), seen, Purpose::Sweep, &facts));
        let back = after_read_back(&hold, seen, &facts);
        [back, swept].map(|next| (next.state, next.native_end, next.answered.is_some(), failures(&next)))
    };
    for (at, shows, native_end, waits, failures) in [
        (SHOWS - 1, Some(45), Some(45), true, Some(0)),
        (SHOWS - 1, None, Some(45), true, Some(0)),
        (SHOWS - 1, Some(75), Some(75), false, None),
        (SHOWS, Some(45), Some(45), false, Some(1)),
        (SHOWS, Some(60), Some(60), false, None),
        (SHOWS, None, None, false, None),
    ] {
        let seen = Observation { native_end: shows.map(minute), ..seen(Held::Direct) };
        let expected = (State::Held, native_end.map(minute), waits, failures);
        assert_eq!(read(&seen, at), [expected, expected], "at second {at}, {shows:?}");
    }
    let gone = [SHOWS - 1, SHOWS].map(|at| read(&seen(Held::No), at).map(|(state, ..)| state));
    assert_eq!(gone, [[State::Held; 2], [State::Stuck; 2]], "R14: missing only where the read can be believed");
}

#[test]
fn p3_r6_found_after_a_lost_answer_it_is_whose_the_target_says_and_else_most_likely_ours() {
    let lost = Hold { ownership: Ownership::Unproven, unsettled_until: Some(minute(2)), ..granting(Shape::Member) };
    let read = |owner: Owner, tells_owner: bool, at: i64| {
        let caps = Capabilities { tells_owner, ..CAPS };
        let (want, facts) = (want(Shape::Member), Facts { caps: &caps, ..facts(second(at)) });
        let seen = Observation { owner, ..seen(Held::Direct) };
        told(after_read(&lost, Some(&want), &seen, Purpose::Start, &facts))
    };
    let said = |owner, tells| {
        let next = read(owner, tells, 180);
        (next.state, next.touched, next.ownership)
    };
    assert_eq!(said(Owner::Unknown, false), (State::Held, true, Ownership::Unproven));
    assert_eq!(said(Owner::Us, true), (State::Held, true, Ownership::Ours));
    let (state, touched, _) = said(Owner::Other, true);
    assert_eq!((state, touched), (State::Kept, false), "P3: it stays when the hold ends");
    for (owner, tells) in [(Owner::Unknown, false), (Owner::Us, true), (Owner::Other, true)] {
        let early = read(owner, tells, 179);
        assert_eq!((early.state, early.retry.map(|retry| retry.at)), (State::Granting, Some(minute(3))), "{owner:?}");
    }
}

#[test]
fn r3_r6_a_young_grant_that_shows_is_there_and_all_else_waits_until_it_must_show() {
    let young = Hold { setting: Some("admin".to_owned()), ..granted(value("admin")) };
    let read = |wanted: &str, seen: &str, at: i64| {
        after_read(&young, Some(&want(value(wanted))), &shown(seen), Purpose::Start, &facts(second(at)))
    };
    let there = told(read("admin", "admin", SHOWS - 1));
    assert_eq!((there.state, there.set.as_deref()), (State::Held, Some("admin")));
    for (wanted, seen) in [("manager", "admin"), ("manager", "responder"), ("admin", "owner")] {
        let early = told(read(wanted, seen, SHOWS - 1));
        let again = early.retry.map(|retry| retry.at);
        assert_eq!((early.state, again), (State::Granting, Some(second(SHOWS))), "{wanted} wanted, {seen} there");
    }
    for seen in ["admin", "responder"] {
        let Verdict::Call(next, _) = read("manager", seen, SHOWS) else { panic!("{seen} is there, and stays") };
        assert_eq!(next.setting.as_deref(), Some("manager"));
    }
    assert_eq!(told(read("admin", "owner", SHOWS)).state, State::Kept, "others have set more than is wanted");
}

#[test]
fn r3_a_base_that_went_back_is_standing_once_nothing_else_can_show_any_more() {
    let (base, setting, set) = (Some("manager".to_owned()), Some("manager".to_owned()), Some("admin".to_owned()));
    let restored = Hold { base, setting, set, ..granted(value("manager")) };
    for (at, state) in [(SHOWS - 1, State::Granting), (SHOWS, State::Kept)] {
        let (seen, facts) = (shown("manager"), facts(second(at)));
        let again = told(after_read(&restored, Some(&want(value("manager"))), &seen, Purpose::Start, &facts));
        assert_eq!([after_read_back(&restored, &seen, &facts).state, again.state], [state, state], "at second {at}");
    }
}

#[test]
fn p3_a_call_that_came_to_nothing_makes_nothing_ours_that_others_set_later() {
    let (setting, unsettled_until) = (Some("admin".to_owned()), Some(minute(2)));
    let lost = Hold { setting, unsettled_until, ownership: Ownership::Unproven, ..granting(value("admin")) };
    let read = |hold: &Hold, seen: &str, at: i64| {
        told(after_read(hold, Some(&want(value("admin"))), &shown(seen), Purpose::Start, &facts(minute(at))))
    };
    let other = read(&lost, "manager", 10);
    assert_eq!(other.state, State::Stuck, "R14: others have set another value, and it is left alone");
    assert_eq!(read(&other, "admin", 80).state, State::Kept, "and this one as well");
}
