//! Holds as a person's chain of evidence leaves them: what a table that was restored from a backup is rebuilt from.
//!
//! Evidence says what is where, whose it is, over which base, for which reasons and until when. What it does not say is
//! chosen so that the next look reads the app before it acts, and nothing counts as ours that is not:
//!
//! - The handle of an operation under way: its attempt counts as unanswered, and nobody calls before it can act no more.
//! - Which answers were lost: each attempt counts as one that may act until its own time is over.
//! - When something is tried again: at once. When it was last read: never.
//! - The adapter's receipt, who was told, whether a reason's end moves on with a lease: nothing, nobody, no.
//! - How late an act was: what is rebuilt counts as neither late nor early.

mod endings;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::block::{Block, Denied, Reach};
use crate::enrollment::Origin;
use crate::erase::ERASED;
use crate::evidence::touches;
use crate::hold::{Act, Attempt, Call, Hold, Ownership, State};
use crate::id::{AccountId, AppId, HoldKey, PersonId, Place, ProfileId};
use crate::wants::{Reason, Shape};

pub use endings::{Ending, endings};

/// A hold as the evidence leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The hold; one that is over is the last of its place.
    pub hold: Hold,
    /// The number of the last record that speaks of it.
    pub seq: u64,
}

/// A record of a hold is not one that this release knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} cannot be read, so nothing is rebuilt from it: {problem}")]
pub struct Illegible {
    /// Its number.
    pub seq: u64,
    /// What is wrong with it.
    pub problem: String,
}

#[derive(Deserialize)]
struct Record {
    at: Timestamp,
    act: String,
    subject: Value,
    after: Value,
    why: Value,
}

#[derive(Deserialize)]
struct Done {
    at: Timestamp,
    act: String,
}

#[derive(Deserialize)]
struct Subject {
    person: PersonId,
    app: AppId,
    account: AccountId,
    kind: String,
    place: String,
}

#[derive(Deserialize)]
struct After {
    state: State,
    shape: Shape,
    base: Option<String>,
    set: Option<String>,
    #[serde(default)]
    setting: Option<String>,
    /// Where it is not what the state tells.
    #[serde(default)]
    touched: Option<bool>,
    due: Timestamp,
    attempt: Option<Tried>,
    attempts: u32,
    ownership: Ownership,
    native_end: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Tried {
    number: u32,
    call: Call,
    started: Timestamp,
    not_after: Timestamp,
}

#[derive(Deserialize)]
struct Why {
    profile: ProfileId,
    version: u64,
    origin: Origin,
    from: Timestamp,
    until: Timestamp,
}

#[derive(Deserialize)]
struct Denies {
    denied: Denied,
}

#[derive(Deserialize)]
struct Placed {
    author: String,
    reach: Reach,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// The holds of a person, by the records of their chain from the first on.
///
/// # Errors
/// A record of a hold cannot be read.
pub fn holds<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<BTreeMap<HoldKey, Rebuilt>, Illegible> {
    let mut holds: BTreeMap<HoldKey, Rebuilt> = BTreeMap::new();
    for (seq, line) in (1..).zip(lines) {
        let illegible = |error: serde_json::Error| Illegible { seq, problem: error.to_string() };
        let Record { at, subject, after, why, .. } = serde_json::from_str(line).map_err(illegible)?;
        if !is_place(&subject) {
            continue;
        }
        let Subject { person, app, account, kind, place } = serde_json::from_value(subject).map_err(illegible)?;
        let after: After = serde_json::from_value(after).map_err(illegible)?;
        let why: Vec<Why> = serde_json::from_value(why).map_err(illegible)?;
        let key = HoldKey { app, account, place: Place { kind, id: place } };
        let before = holds.get(&key).map(|rebuilt| &rebuilt.hold).filter(|hold| !hold.is_over());
        let reasons = why.into_iter().map(|why| reason(why, at)).collect();
        let hold = next(before, key.clone(), person, after, reasons, at);
        holds.insert(key, Rebuilt { hold, seq });
    }
    Ok(holds)
}

/// What the records after this one say of blocks, by their IDs: the block, or that somebody has lifted it.
///
/// # Errors
/// A record of a block cannot be read.
pub fn denials<'a>(
    after: u64,
    lines: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, Option<Block>>, Illegible> {
    let mut blocks = BTreeMap::new();
    for (seq, line) in (1..).zip(lines).filter(|(seq, _)| *seq > after) {
        let illegible = |error: serde_json::Error| Illegible { seq, problem: error.to_string() };
        let Record { subject, after, .. } = serde_json::from_str(line).map_err(illegible)?;
        let Some(id) = subject.get("block").and_then(Value::as_str).map(str::to_owned) else { continue };
        let block = match after {
            Value::Null => None,
            placed => {
                let Denies { denied } = serde_json::from_value(subject).map_err(illegible)?;
                let Placed { author, reach, from, until } = serde_json::from_value(placed).map_err(illegible)?;
                Some(Block { id: id.clone(), denied, reach, author, from, until })
            }
        };
        blocks.insert(id, block);
    }
    Ok(blocks)
}

/// When the records say that the person was erased: their names and texts are to be erased again, whatever a backup brings
/// back of them.
///
/// # Errors
/// A record cannot be read.
pub fn erased<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Option<Timestamp>, Illegible> {
    let mut erased = None;
    for (seq, line) in (1..).zip(lines) {
        let done: Result<Done, _> = serde_json::from_str(line);
        let Done { at, act } = done.map_err(|error| Illegible { seq, problem: error.to_string() })?;
        erased = (act == ERASED).then_some(at).or(erased);
    }
    Ok(erased)
}

/// Only records of holds name the place in an account.
fn is_place(subject: &Value) -> bool {
    subject.get("account").is_some() && subject.get("place").is_some()
}

fn reason(why: Why, at: Timestamp) -> Reason {
    let Why { profile, version, origin, from, until } = why;
    Reason { profile, version, origin, from, until, rolling: false, from_known: at, until_known: at }
}

/// The hold after a record, by the hold before it.
fn next(
    before: Option<&Hold>,
    key: HoldKey,
    person: PersonId,
    after: After,
    reasons: Vec<Reason>,
    at: Timestamp,
) -> Hold {
    let After { state, shape, base, set, setting, touched, due, attempt, attempts, ownership, native_end } = after;
    let open = attempt.map(|tried| Attempt {
        number: tried.number,
        call: tried.call,
        started: tried.started,
        not_after: tried.not_after,
        pending: None,
        turns: Vec::new(),
    });
    let known = before.and_then(|hold| hold.open.as_ref()).map(|open| open.number);
    let begun = open.as_ref().filter(|open| known != Some(open.number));
    let begun = |call: Call| begun.filter(|open| open.call == call).map(|open| act(open.started));
    let touched = touched.unwrap_or_else(|| touches(state));
    Hold {
        key,
        person,
        state,
        since: before.filter(|hold| hold.state == state).map_or(at, |hold| hold.since),
        granted: granted(before, state, &shape, begun(Call::Grant), at),
        revoked: match state {
            State::Ending | State::Stuck => before.and_then(|hold| hold.revoked).or(begun(Call::Revoke)),
            _ => None,
        },
        shape,
        reasons,
        due,
        base,
        set,
        setting,
        touched,
        ownership,
        receipt: None,
        native_end,
        attempts,
        unsettled_until: before.and_then(|hold| hold.unsettled_until).max(open.as_ref().map(|open| open.not_after)),
        open,
        answered_at: touched.then_some(at),
        answered: None,
        retry: None,
        checked_at: Some(Timestamp::UNIX_EPOCH),
        told: false,
    }
}

/// The grant: whether a read has shown it decides what it means when it is missing.
fn granted(before: Option<&Hold>, state: State, shape: &Shape, begun: Option<Act>, at: Timestamp) -> Option<Act> {
    let earlier = before.and_then(|hold| hold.granted);
    match state {
        State::Wanted | State::Kept | State::Ended(_) => None,
        State::Held => {
            let grant = earlier.unwrap_or(act(at));
            Some(Act { done: grant.done.or(Some(at)), ..grant })
        }
        // A membership is asked for where a read has shown nothing of ours; a value also where there is another one.
        State::Granting | State::Ending | State::Stuck => match shape {
            Shape::Member => begun.or(earlier),
            Shape::Value { .. } => earlier.or(begun),
        },
    }
}

fn act(at: Timestamp) -> Act {
    Act { due: at, known: at, started: at, turn_since: None, done: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Denied, Reach};
    use crate::evidence::{Chain, ChainHead, Draft, Sealed, append, of_hold};
    use crate::hold::Outcome;
    use crate::testing::{held, minute, person};

    fn lines(drafts: &[Draft]) -> Vec<String> {
        let records = append(&Chain::Person(person(1)), &ChainHead::default(), minute(1), drafts).unwrap();
        records.into_iter().map(|record| record.line).collect()
    }

    fn rebuilt(drafts: &[Draft]) -> Result<BTreeMap<HoldKey, Rebuilt>, Illegible> {
        holds(lines(drafts).iter().map(String::as_str))
    }

    #[test]
    fn r18_a_hold_is_rebuilt_from_the_last_record_that_speaks_of_it() {
        let had = Hold { touched: true, ..held() };
        let gone = Hold { state: State::Ended(Outcome::Proven), touched: false, ..had.clone() };
        let subject = serde_json::json!({ "app": "directory", "account": "acc-ann" });
        let other = Draft { act: "person.linked".to_owned(), subject, ..of_hold(None, &had, "t").unwrap() };
        let begun = [of_hold(None, &had, "test").unwrap(), other];
        let found = rebuilt(&begun).unwrap();
        let open = &found[&had.key];
        assert_eq!((open.seq, open.hold.state, open.hold.touched), (1, State::Held, true));
        assert_eq!(open.hold.checked_at, Some(Timestamp::UNIX_EPOCH), "it is read before anything is done");
        assert!(open.hold.granted.is_some_and(|act| act.done.is_some()), "that it was held decides what missing means");
        let over = rebuilt(&[&begun[..], &[of_hold(Some(&had), &gone, "test").unwrap()][..]].concat()).unwrap();
        assert_eq!((over[&had.key].seq, over[&had.key].hold.is_over()), (3, true));
    }

    #[test]
    fn r18_records_tell_since_when_a_hold_is_as_it_is_and_when_its_calls_left() {
        let attempt = |number: u32, call: Call, started: i64| {
            let (started, not_after) = (minute(started), minute(started + 2));
            Some(Attempt { number, call, started, not_after, pending: None, turns: Vec::new() })
        };
        let granting = Hold { state: State::Granting, open: attempt(1, Call::Grant, 2), ..held() };
        let had = Hold { state: State::Held, open: None, touched: true, ..granting.clone() };
        let sooner = Hold { due: minute(9), ..had.clone() };
        let ending = Hold { state: State::Ending, open: attempt(2, Call::Revoke, 10), ..sooner.clone() };
        let unanswered = Hold { open: None, ..ending.clone() };
        let again = Hold { open: attempt(3, Call::Revoke, 13), ..ending.clone() };
        let gone = Hold { state: State::Ended(Outcome::Proven), open: None, touched: false, ..again.clone() };
        let anew = Hold { state: State::Wanted, ..held() };
        // When a hold is written, and what is rebuilt then: since when it is so, when its grant left and was shown,
        // when its first revocation left, and until when calls may act.
        let life = [
            (2, granting, (2, Some((2, None)), None, Some(4))),
            (3, had, (3, Some((2, Some(3))), None, Some(4))),
            (5, sooner, (3, Some((2, Some(3))), None, Some(4))),
            (10, ending, (10, Some((2, Some(3))), Some(10), Some(12))),
            (11, unanswered, (10, Some((2, Some(3))), Some(10), Some(12))),
            (13, again, (10, Some((2, Some(3))), Some(10), Some(15))),
            (15, gone, (15, None, None, Some(15))),
            (20, anew, (20, None, None, None)),
        ];
        let (mut head, mut before, mut lines) = (ChainHead::default(), None, Vec::new());
        for (now, hold, (since, granted, revoked, acts_until)) in &life {
            let draft = of_hold(before, hold, "test").unwrap();
            for record in append(&Chain::Person(person(1)), &head, minute(*now), &[draft]).unwrap() {
                head = record.head;
                lines.push(record.line);
            }
            before = Some(hold);
            let rebuilt = &holds(lines.iter().map(String::as_str)).unwrap()[&hold.key].hold;
            let shown = granted.map(|(started, done)| (minute(started), done.map(minute)));
            assert_eq!((rebuilt.since, rebuilt.state), (minute(*since), hold.state), "at minute {now}");
            assert_eq!(rebuilt.granted.map(|act| (act.started, act.done)), shown, "granted, at minute {now}");
            assert_eq!(rebuilt.revoked.map(|act| act.started), revoked.map(minute), "revoked, at minute {now}");
            assert_eq!(rebuilt.unsettled_until, acts_until.map(minute), "may act, at minute {now}");
        }
    }

    #[test]
    fn r2_a_block_of_which_the_records_speak_is_there_again_until_one_says_that_it_was_lifted() {
        let block = Block {
            id: "b".to_owned(),
            denied: Denied::Person(person(1)),
            reach: Reach::Revoke,
            author: "per_admin".to_owned(),
            from: minute(1),
            until: None,
        };
        let reason = Sealed::new("a drill", [0; 32]);
        let said = lines(&[block.placed(&reason), block.lifted("per_other")]);
        let until = |count: usize, after: u64| denials(after, said[..count].iter().map(String::as_str)).unwrap();
        assert_eq!(until(1, 0), BTreeMap::from([("b".to_owned(), Some(block))]));
        assert_eq!(until(2, 1), BTreeMap::from([("b".to_owned(), None)]));
        assert_eq!(until(2, 2), BTreeMap::new());
    }

    #[test]
    fn r19_that_a_person_was_erased_is_found_among_their_records() {
        let had = of_hold(None, &held(), "test").unwrap();
        let said = lines(&[had.clone(), crate::erase::erased(&person(1), &person(2), 1), had]);
        let until = |count: usize| erased(said[..count].iter().map(String::as_str)).unwrap();
        assert_eq!((until(1), until(2), until(3)), (None, Some(minute(1)), Some(minute(1))));
    }

    #[test]
    fn r24_a_record_of_a_hold_that_this_release_does_not_know_is_named() {
        let mut draft = of_hold(None, &held(), "test").unwrap();
        draft.after = serde_json::json!({ "state": "of the next release" });
        assert_eq!(rebuilt(&[draft]).unwrap_err().seq, 1);
    }
}
