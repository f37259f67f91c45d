//! What the record of a hold tells by itself.

use std::time::Duration;

use jiff::Timestamp;

use crate::hold::{Act, Hold, Outcome, Retry, Side, State, TurnWait};
use crate::testing::{held, minute, person, second};

#[test]
fn p12_an_act_is_late_from_when_it_was_due_and_known_and_the_wait_for_a_turn_is_counted_apart() {
    let times = |due: i64, known: i64, turn: Option<i64>, started: i64| {
        let (due, known, started, turn_since) = (second(due), second(known), second(started), turn.map(second));
        let act = Act { due, known, started, turn_since, done: None };
        (act.lag_ms(), act.turn_wait_ms(), act.late_news_ms())
    };
    assert_eq!(times(10, 5, None, 12), (2_000, 0, 0), "known in time");
    assert_eq!(times(10, 25, None, 27), (2_000, 0, 15_000), "known late");
    assert_eq!(times(10, 5, Some(13), 20), (3_000, 7_000, 0), "no turn was free");
}

#[test]
fn p1_what_is_overdue_is_ours_past_its_end_and_not_proven_gone() {
    let ours = Hold { touched: true, due: minute(10), ..held() };
    let leased = |until: i64| {
        let mut hold = ours.clone();
        (hold.reasons[0].rolling, hold.reasons[0].until) = (true, minute(until));
        hold
    };
    for (what, hold, at, expected) in [
        ("its end comes just now", ours.clone(), 10, None),
        ("a minute past its end", ours.clone(), 11, Some(60)),
        ("nothing of ours is there", Hold { touched: false, ..ours.clone() }, 11, None),
        ("it is over", Hold { state: State::Ended(Outcome::WrittenOff), ..ours.clone() }, 11, None),
        ("its end moves on with a lease", leased(10), 11, None),
        ("another reason outlasts the lease", leased(9), 11, Some(60)),
        ("a look has found the lease over", Hold { state: State::Ending, ..leased(10) }, 11, Some(60)),
    ] {
        assert_eq!(hold.overdue(minute(at)).map(|age| age.as_secs()), expected, "{what}");
    }
}

#[test]
fn r14_what_waits_to_be_tried_again_can_be_tried_now_but_not_what_waits_for_its_turn() {
    let (side, because) = (Side::Ends, "refused".to_owned());
    let retry = Retry { at: minute(20), side, failures: 3, because, turn: None };
    let waits = Hold { state: State::Ending, retry: Some(retry.clone()), ..held() };
    let now = Hold { retry: Some(Retry { at: minute(10), ..retry.clone() }), ..waits.clone() };
    assert_eq!((waits.tried_now(minute(10)), waits.tried_now(minute(20))), (Some(now), None), "its time may have come");
    let turn = Some(TurnWait { since: minute(0), looks: 1 });
    let queued = Hold { retry: Some(Retry { turn, ..retry }), ..waits.clone() };
    let over = Hold { state: State::Ended(Outcome::Proven), ..waits.clone() };
    let resting = Hold { retry: None, ..waits };
    for (what, hold) in [("it waits for its turn", queued), ("it is over", over), ("it waits for nothing", resting)] {
        assert_eq!(hold.tried_now(minute(10)), None, "{what}");
    }
}

#[test]
fn a_name_that_is_fit_for_an_address_says_whose_hold_it_is_and_which() {
    let (one, mut other) = (held(), held());
    other.key.place.id = "g-2".to_owned();
    assert_eq!([&one, &other].map(|hold| Hold::holder(&hold.name())), [Some(person(1)), Some(person(1))]);
    assert_ne!(one.name(), other.name(), "two places of one person");
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    assert!(one.name().chars().all(fit), "{}", one.name());
    for wrong in ["", person(1).as_str(), "ann.0123", "per_1.0123"] {
        assert_eq!(Hold::holder(wrong), None, "{wrong:?}");
    }
}

#[test]
fn r1_r25_a_read_counts_once_nothing_of_ours_can_act_and_what_acted_can_be_seen_by_either_clock() {
    let from = |answered: Option<i64>, lost: Option<i64>, propagation: u64| {
        let (answered_at, unsettled_until) = (answered.map(minute), lost.map(minute));
        Hold { answered_at, unsettled_until, ..held() }.settled_at(Duration::from_secs(propagation))
    };
    assert_eq!(from(None, None, 60), Timestamp::MIN, "nothing was called");
    assert_eq!(from(Some(10), None, 0), minute(10), "what is answered shows at once");
    assert_eq!(from(Some(10), None, 60), second(10 * 60 + 66), "two clocks of which each may be 3 s off");
    assert_eq!(from(None, Some(10), 60), minute(11), "an answer was lost");
    assert_eq!((from(Some(10), Some(11), 60), from(Some(11), Some(10), 60)), (minute(12), second(11 * 60 + 66)));
}
