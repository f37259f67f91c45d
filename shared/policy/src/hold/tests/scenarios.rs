//! Scenarios of the rules, one by one.

use super::company::{Company, Event};
use super::target::{Answering, Behaviour, VALUES};
use crate::hold::step::{Facts, Purpose, Step, Verdict, after_read, next};
use crate::hold::{Call, Held, Hold, Observation, Outcome, Owner, Ownership, Side, State};
use crate::testing::{held, minute};
use crate::wants::{Shape, Want};

const GROUP: Behaviour =
    Behaviour { values: false, standing: None, propagation: 0, longest: 0, native_end: false, tells_owner: false };

fn company(behaviour: Behaviour, events: &[(Event, i64)]) -> Company {
    let mut company = Company::new(behaviour, 1);
    for (event, gap) in events {
        company.happens(*event, *gap).unwrap_or_else(|broken| panic!("{broken}\n{}", company.story()));
    }
    company
}

#[test]
fn r1_a_revocation_waits_for_the_grant_in_flight_and_then_revokes() {
    let lost = Event::NextCall(Answering::CrashWithEffectAfter(50));
    let mut company = company(GROUP, &[(lost, 0), (Event::Wanted(0, 600), 10), (Event::Unwanted, 45)]);
    assert_eq!(company.calls, [Call::Grant], "nobody calls while the grant may still act");
    company.pass(60).unwrap();
    assert_eq!(company.calls, [Call::Grant, Call::Revoke]);
    assert_eq!((company.outcomes.as_slice(), company.target.truth().value), ([Outcome::Proven].as_slice(), None));
}

#[test]
fn r1_an_operation_whose_handle_was_lost_is_waited_for_as_long_as_the_target_says() {
    let slow = Behaviour { longest: 600, ..GROUP };
    let lost = Event::NextCall(Answering::CrashBeforeHandle(100));
    let mut company = company(slow, &[(lost, 0), (Event::Wanted(0, 600), 10), (Event::Unwanted, 600)]);
    assert_eq!((company.calls.as_slice(), company.outcomes.len()), ([Call::Grant].as_slice(), 0), "it may still act");
    company.pass(120).unwrap();
    assert_eq!((company.outcomes.as_slice(), company.target.truth().value), ([Outcome::Proven].as_slice(), None));
    assert_eq!(company.calls, [Call::Grant, Call::Revoke], "what came late was taken back: {}", company.story());
}

#[test]
fn r3_a_value_goes_back_to_the_base_however_the_reasons_overlap() {
    let roles = Behaviour { values: true, standing: Some(0), ..GROUP };
    let (manager, admin) = (Event::Wanted(1, 600), Event::Wanted(2, 600));
    for last in [vec![(admin, 10)], vec![(admin, 10), (manager, 10)]] {
        let events = [vec![(manager, 10)], last, vec![(Event::Unwanted, 10)]].concat();
        let company = company(roles, &events);
        assert_eq!(company.target.truth().value, Some(VALUES[0]), "{}", company.story());
        assert_eq!(company.outcomes, [Outcome::Proven]);
    }
}

#[test]
fn r3_a_base_that_is_enough_is_standing_and_a_value_of_others_is_left_alone() {
    let roles = Behaviour { values: true, standing: Some(2), ..GROUP };
    let kept = company(roles, &[(Event::Wanted(1, 600), 10), (Event::Unwanted, 10)]);
    assert_eq!((kept.calls.len(), kept.outcomes.as_slice()), (0, [Outcome::StandingKept].as_slice()));
    let roles = Behaviour { standing: Some(1), ..roles };
    let events = [(Event::Wanted(2, 600), 10), (Event::OthersSet(Some(0)), 10), (Event::Unwanted, 10)];
    let changed = company(roles, &events);
    assert_eq!(changed.target.truth().value, Some(VALUES[0]), "what an administrator set stays: {}", changed.story());
    assert_eq!(changed.outcomes, [Outcome::ChangedByOthers]);
    let events = [(Event::Wanted(2, 600), 10), (Event::OthersSet(None), 10), (Event::Unwanted, 10)];
    let cleared = company(roles, &events);
    assert_eq!(cleared.target.truth().value, None, "and what one took away stays away: {}", cleared.story());
    assert_eq!((cleared.outcomes.as_slice(), cleared.calls.len()), ([Outcome::ChangedByOthers].as_slice(), 1));
}

#[test]
fn r3_a_base_that_is_enough_again_goes_back_at_once_and_is_standing() {
    let roles = Behaviour { values: true, standing: Some(1), ..GROUP };
    let company = company(roles, &[(Event::Wanted(2, 600), 10), (Event::Wanted(0, 600), 0)]);
    assert_eq!((company.state(), company.target.truth().value), (Some(State::Kept), Some(VALUES[1])));
    assert_eq!(company.calls, [Call::Grant, Call::Grant], "{}", company.story());
}

#[test]
fn r2_r3_a_freeze_lets_a_value_go_down_and_not_up() {
    let roles = Behaviour { values: true, standing: Some(0), ..GROUP };
    let frozen = [(Event::Wanted(2, 600), 10), (Event::Frozen(true), 10), (Event::Wanted(1, 600), 10)];
    let mut company = company(roles, &frozen);
    assert_eq!(company.target.truth().value, Some(VALUES[1]), "an end is delayed by no freeze: {}", company.story());
    company.happens(Event::Wanted(2, 600), 10).unwrap();
    assert_eq!(company.target.truth().value, Some(VALUES[1]), "a beginning is: {}", company.story());
}

#[test]
fn r6_a_what_a_manager_adds_while_the_target_refuses_us_is_standing() {
    let events = [
        (Event::NextCall(Answering::Throttled), 0),
        (Event::Wanted(0, 600), 0),
        (Event::OthersSet(Some(0)), 600),
        (Event::Unwanted, 600),
    ];
    let company = company(GROUP, &events);
    assert_eq!(company.outcomes, [Outcome::StandingKept], "{}", company.story());
    assert_eq!((company.calls.as_slice(), company.target.truth().value), ([Call::Grant].as_slice(), Some(VALUES[0])));
}

#[test]
fn r6_b_our_own_young_revocation_is_never_taken_for_standing() {
    for chance in 0..40 {
        let slow = Behaviour { propagation: 80, ..GROUP };
        let mut company = Company::new(slow, chance);
        for (event, gap) in [(Event::Wanted(0, 600), 300), (Event::Unwanted, 20), (Event::Wanted(0, 600), 600)] {
            company.happens(event, gap).unwrap_or_else(|broken| panic!("{broken}\n{}", company.story()));
        }
        assert_eq!(company.state(), Some(State::Held), "{}", company.story());
        assert_eq!(company.target.truth().value, Some(VALUES[0]), "on call and without access: {}", company.story());
    }
}

#[test]
fn r6_after_a_lost_answer_what_is_found_is_ours_and_says_that_it_is_unproven() {
    let lost = Event::NextCall(Answering::LostWithEffectAfter(5));
    let mut company = company(GROUP, &[(lost, 0), (Event::Wanted(0, 600), 120)]);
    assert_eq!(
        company.hold.as_ref().map(|hold| (hold.state, hold.ownership)),
        Some((State::Held, Ownership::Unproven))
    );
    company.happens(Event::Unwanted, 10).unwrap();
    assert_eq!(company.outcomes, [Outcome::Proven]);
}

#[test]
fn r13_the_targets_own_end_moves_on_with_a_lease_before_it_comes() {
    let mut hold = held();
    (hold.reasons[0].rolling, hold.reasons[0].until, hold.due) = (true, minute(30), minute(30));
    (hold.native_end, hold.checked_at) = (Some(minute(45)), Some(minute(10)));
    let mut want = Want { shape: Shape::Member, reasons: hold.reasons.clone(), frozen: false };
    let waits = |at| Step::Wait(Side::Starts, minute(at));
    assert_eq!(next(&hold, Some(&want), minute(10)), waits(30), "not only at the next sweep, which is too late");
    assert_eq!(next(&hold, Some(&want), minute(31)), waits(32), "no view has moved the lease yet, and one may");
    want.reasons[0].until = minute(60);
    let Step::Write(_, hold) = next(&hold, Some(&want), minute(32)) else { panic!("the later end is written first") };
    assert_eq!(next(&hold, Some(&want), minute(32)), Step::Extend(minute(75)));
}

#[test]
fn r13_r14_what_stands_there_without_us_has_no_end_of_ours_to_move_on() {
    let mut want = Want { shape: Shape::Member, reasons: held().reasons, frozen: false };
    (want.reasons[0].rolling, want.reasons[0].until) = (true, minute(30));
    let caps = Behaviour { native_end: true, tells_owner: true, ..GROUP }.capabilities();
    let now = minute(20);
    let seen = Observation { held: Held::Direct, value: None, owner: Owner::Other, native_end: None };
    let facts = Facts { now, asked: now, caps: &caps, rank: &|_| None, ended: (now, now) };
    for (what, touched) in [("ours was taken back", true), ("ours has never come", false)] {
        let before = Hold { state: State::Wanted, touched, native_end: Some(minute(45)), ..held() };
        let Verdict::Write(kept) = after_read(&before, Some(&want), &seen, Purpose::Start, &facts) else {
            panic!("{what}, and what others have put there is called for")
        };
        assert_eq!((kept.state, kept.native_end), (State::Kept, None), "{what}");
        let sweep = Step::Wait(Side::Starts, minute(80));
        assert_eq!(next(&kept, Some(&want), now), sweep, "{what}: it is not looked at each minute");
    }
}

#[test]
fn r14_removed_by_others_is_stuck_and_not_put_back_and_gone_standing_is_wanted() {
    let removed = company(GROUP, &[(Event::Wanted(0, 600), 10), (Event::OthersSet(None), 10_000)]);
    assert_eq!((removed.state(), removed.calls.as_slice()), (Some(State::Stuck), [Call::Grant].as_slice()));
    let standing = Behaviour { standing: Some(0), ..GROUP };
    let cleaned = company(standing, &[(Event::Wanted(0, 600), 10), (Event::OthersSet(None), 4_000)]);
    assert_eq!((cleaned.state(), cleaned.calls.as_slice()), (Some(State::Held), [Call::Grant].as_slice()));
}

#[test]
fn r14_what_others_had_put_above_ours_and_took_again_is_no_grant_that_was_undone() {
    let roles = Behaviour { values: true, standing: Some(0), ..GROUP };
    let above = [(Event::Wanted(1, 600), 10), (Event::OthersSet(Some(2)), 10_000)];
    assert_eq!(company(roles, &above).state(), Some(State::Kept), "what others have set is enough");
    let again = [(Event::NextCall(Answering::LostWithoutEffect), 0), (Event::OthersSet(Some(0)), 10_000)];
    let company = company(roles, &[above, again].concat());
    assert_eq!(company.state(), Some(State::Held), "a lost call is made again: {}", company.story());
    assert_eq!(company.target.truth().value, Some(VALUES[1]));
}

#[test]
fn r14_no_error_ends_a_revocation() {
    let mut company = company(GROUP, &[(Event::Wanted(0, 600), 10), (Event::NextCall(Answering::Permanent), 0)]);
    company.happens(Event::Unwanted, 10).unwrap();
    assert_eq!(company.state(), Some(State::Stuck));
    assert!(company.hold.as_ref().is_some_and(|hold| hold.is_ending()));
    company.pass(3_700).unwrap();
    assert_eq!(company.outcomes, [Outcome::Proven], "it is tried again hourly: {}", company.story());
}

#[test]
fn p5_r14_what_was_never_granted_ends_without_a_call_and_what_a_read_shows_gone_is_proven_at_once() {
    let refused = (Event::NextCall(Answering::Throttled), 0);
    let never = company(GROUP, &[refused, (Event::Wanted(0, 600), 0), (Event::Unwanted, 0)]);
    assert_eq!((never.outcomes.as_slice(), never.calls.len()), ([Outcome::NeverGranted].as_slice(), 1));
    let gone = company(GROUP, &[(Event::Wanted(0, 600), 10), (Event::Unwanted, 0)]);
    assert_eq!((gone.outcomes.as_slice(), gone.calls.len()), ([Outcome::Proven].as_slice(), 2), "{}", gone.story());
}

#[test]
fn p5_an_answer_that_is_slow_shows_the_place_as_it_was_when_asked() {
    let ending = Hold { state: State::Ending, answered: Some(Call::Grant), answered_at: Some(minute(10)), ..held() };
    let caps = Behaviour { propagation: 60, ..GROUP }.capabilities();
    let nobody = Observation { held: Held::No, value: None, owner: Owner::Unknown, native_end: None };
    let read = |asked| {
        let facts = Facts { now: minute(30), asked, caps: &caps, rank: &|_| None, ended: (minute(10), minute(10)) };
        match after_read(&ending, None, &nobody, Purpose::End, &facts) {
            Verdict::Write(hold) | Verdict::Call(hold, _) => hold.state,
        }
    };
    assert_eq!(read(minute(10)), State::Ending, "asked at once, the app did not show yet what was granted just before");
    assert_eq!(read(minute(20)), State::Ended(Outcome::Proven));
}

#[test]
fn p5_an_asynchronous_revocation_is_polled_to_its_end_and_then_read() {
    let slow = Event::NextCall(Answering::Pending { polls: 4, faults: 2, fails: false });
    let mut company = company(GROUP, &[(Event::Wanted(0, 600), 10), (slow, 0), (Event::Unwanted, 12)]);
    assert_eq!((company.state(), company.outcomes.len()), (Some(State::Ending), 0), "accepted is not done");
    company.pass(120).unwrap();
    assert_eq!((company.outcomes.as_slice(), company.calls.len()), ([Outcome::Proven].as_slice(), 2));
}

#[test]
fn r12_a_wait_for_a_turn_is_shown_and_counted_apart_from_the_lag() {
    let company = company(GROUP, &[(Event::TurnsTaken(3), 0), (Event::Wanted(0, 600), 1)]);
    let hold = company.hold.as_ref().unwrap();
    let retry = hold.retry.as_ref().unwrap();
    let waits = retry.turn.is_some() && retry.because.contains("turn") && retry.failures == 0;
    assert!(waits && hold.attempts == 0, "the hold shows that it waits for a turn, not that it failed: {retry:?}");
    let mut company = company;
    company.pass(30).unwrap();
    let hold = company.hold.as_ref().unwrap();
    let act = hold.granted.unwrap();
    assert_eq!((hold.state, hold.attempts, hold.retry.as_ref()), (State::Held, 1, None));
    assert!((1_500..=7_000).contains(&act.turn_wait_ms()), "three waits of about 1, 2 and 4 s: {act:?}");
    assert_eq!(act.lag_ms(), 0, "the lag leaves out the wait");
}
