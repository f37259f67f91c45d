use std::time::Duration;

use super::*;
use crate::evidence::{Chain, ChainHead, Sealed, append, of_hold, of_write_off};
use crate::hold::step::{Facts, Purpose, Verdict, after_read};
use crate::hold::{Attempt, Capabilities, Held, Observation, Owner, Pending, Retry};
use crate::rebuild;
use crate::testing::{held, minute, person, second};

/// Ann's, due at minute 10 and failing since.
fn failing() -> Hold {
    let because = "the tenant is gone".to_owned();
    let retry = Retry { at: minute(60), side: Side::Ends, failures: 3, because, turn: None };
    Hold { state: State::Ending, touched: true, due: minute(10), attempts: 4, retry: Some(retry), ..held() }
}

fn want() -> Want {
    Want { shape: Shape::Member, reasons: held().reasons, frozen: false }
}

fn refused(hold: &Hold, now: Timestamp) -> Option<Refusal> {
    write_off(hold, &person(2), None, now).err()
}

#[test]
fn r14_what_cannot_be_ended_is_written_off_by_somebody_else_and_never_called_proven() {
    let gone = write_off(&failing(), &person(2), None, minute(20)).unwrap();
    assert_eq!((gone.state, gone.since), (State::Ended(Outcome::WrittenOff), minute(20)));
    assert!(gone.touched && gone.revoked.is_none_or(|act| act.done.is_none()), "P5: no read has shown it gone");
    assert_eq!((gone.overdue(minute(30)), gone.retry.as_ref()), (None, None), "it is OVERDUE and retried no more");
    let unreached = Hold { state: State::Held, retry: None, ..failing() };
    assert_eq!(refused(&unreached, minute(20)), None, "an app without credentials is not even asked");

    assert_eq!(write_off(&failing(), &person(1), None, minute(20)), Err(Refusal::OwnGain), "R20");
    assert_eq!(write_off(&failing(), &person(2), Some(&want()), minute(20)), Err(Refusal::Wanted));
    let young = Hold { due: minute(20), ..failing() };
    assert_eq!(refused(&young, minute(20)), Some(Refusal::Ending(second(20 * 60 + 30))), "it has hardly begun to end");
    assert_eq!(refused(&young, second(20 * 60 + 30)), None, "the refusal says from when on");
    let retry = failing().retry.map(|retry| Retry { at: minute(25), failures: 0, ..retry });
    let waits = Hold { retry, ..failing() };
    assert_eq!(
        refused(&waits, minute(20)),
        Some(Refusal::Ending(second(25 * 60 + 30))),
        "it waits, and has not failed"
    );
}

#[test]
fn r1_what_a_call_may_still_change_is_not_written_off() {
    let operation = Pending { operation: "op-1".to_owned(), poll_at: minute(22) };
    for pending in [None, Some(operation)] {
        let (call, started, not_after) = (Call::Revoke, minute(18), minute(21));
        let open = Attempt { number: 4, call, started, not_after, pending, turns: Vec::new() };
        let hold = Hold { open: Some(open), ..failing() };
        assert_eq!(refused(&hold, minute(20)), Some(Refusal::InFlight(minute(21))), "R1: {hold:#?}");
        let gone = write_off(&hold, &person(2), None, minute(21)).unwrap();
        let fresh = follow(&gone, Hold::wanted(gone.key.clone(), person(1), &want(), minute(21)));
        assert_eq!(fresh.settled_at(Duration::from_secs(600)), minute(31), "R6: until then it may still show");
        assert_eq!((gone.open, gone.unsettled_until), (None, Some(minute(21))), "R1: its time is over");
    }
}

#[test]
fn r18_r19_evidence_leaves_what_was_written_off_and_the_reason_as_its_digest() {
    let before = failing();
    let gone = write_off(&before, &person(2), None, minute(20)).unwrap();
    let reason = Sealed::new("the tenant was closed on Friday", [7; 32]);
    let said = [of_hold(None, &before, "test").unwrap(), of_write_off(&before, &gone, &person(2), &reason)];
    assert_eq!((said[1].act.as_str(), said[1].actor.as_str()), ("hold.written_off", person(2).as_str()));
    let records = append(&Chain::Person(person(1)), &ChainHead::default(), minute(20), &said).unwrap();
    assert!(records[1].line.contains(&reason.digest()) && !records[1].line.contains("Friday"), "{}", records[1].line);
    let rebuilt = rebuild::holds(records.iter().map(|record| record.line.as_str())).unwrap();
    let found = &rebuilt[&gone.key].hold;
    let matters = |hold: &Hold| (hold.state, hold.since, hold.touched, hold.attempts, hold.base.clone());
    assert_eq!(matters(found), matters(&gone), "R18: what a restored table must know of it");
}

#[test]
fn r3_r6_what_is_found_where_it_was_written_off_is_standing_and_said_to_be_found() {
    let answered = Hold { answered: Some(Call::Revoke), answered_at: Some(minute(19)), ..failing() };
    let gone = write_off(&answered, &person(2), None, minute(20)).unwrap();
    let fresh = follow(&gone, Hold::wanted(gone.key.clone(), person(1), &want(), minute(21)));
    let caps = Capabilities {
        native_end: false,
        tells_owner: false,
        asynchronous: None,
        propagation: Duration::from_secs(600),
        deadline: Duration::from_secs(10),
        session_tail: None,
    };
    let rank = |_: &str| None::<i64>;
    let read = |seen: Held, now: Timestamp| {
        let facts = Facts { now, asked: now, caps: &caps, rank: &rank, ended: (now, now) };
        let seen = Observation { held: seen, value: None, owner: Owner::Unknown, native_end: None };
        match after_read(&fresh, Some(&want()), &seen, Purpose::Start, &facts) {
            Verdict::Write(hold) | Verdict::Call(hold, _) => *hold,
        }
    };
    let early = read(Held::Direct, minute(21));
    assert_eq!((early.state, shows(&gone, &early)), (State::Wanted, false), "R6: our own revoke may still show");
    let found = read(Held::Direct, minute(40));
    assert_eq!((found.state, shows(&gone, &found)), (State::Kept, true), "it is nobody's to take back, and told");
    let absent = read(Held::No, minute(40));
    assert_eq!((absent.state, shows(&gone, &absent)), (State::Granting, false), "it is gone");
    assert_eq!(absent.attempts, 5, "a late result of the earlier hold is not taken for this one's");

    let value = |base: &str| Hold {
        state: State::Granting,
        shape: Shape::Value { rank: 2, value: "admin".to_owned() },
        base: Some(base.to_owned()),
        ..fresh.clone()
    };
    let gone = Hold { base: Some("responder".to_owned()), ..gone.clone() };
    assert!(shows(&gone, &value("manager")), "R3: a base that may be what we set is told");
    assert!(!shows(&gone, &value("responder")), "R3: the base before ours is none of ours");
}
