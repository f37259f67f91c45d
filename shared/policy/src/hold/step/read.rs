//! What a read of the target means, and the attempt that follows from it.

use jiff::Timestamp;

use super::{Facts, Order, Purpose, Verdict, act, failed, open, restate, stuck, wait};
use crate::bug::Bug;
use crate::hold::{Act, Call, Hold, NATIVE_MARGIN, Observation, Outcome, Owner, Ownership, Side, State};
use crate::retry::LONGEST;
use crate::time::{later, rfc3339};
use crate::wants::{Shape, Want};

/// Whether what was read is what the hold wants there.
pub(super) fn in_place(hold: &Hold, seen: &Observation) -> bool {
    match &hold.shape {
        Shape::Member => seen.direct(),
        Shape::Value { value, .. } => seen.value.as_ref() == Some(value),
    }
}

/// Whether what was read may be what we put there. The base is never ours, even where we asked for it.
pub(super) fn ours(hold: &Hold, seen: &Observation) -> bool {
    match &hold.shape {
        Shape::Member => seen.direct(),
        Shape::Value { .. } => {
            seen.value.is_some() && seen.value != hold.base && (seen.value == hold.set || seen.value == hold.setting)
        }
    }
}

/// Whether a read that was asked for then can be believed: nothing of ours can act any more, and what acted can be seen.
fn settled(hold: &Hold, facts: &Facts<'_>) -> bool {
    hold.settled_at(facts.caps.propagation) <= facts.asked
}

/// What a read that can be believed says of the value that was asked for.
fn resolve(hold: &mut Hold, seen: &Observation) {
    if let Some(asked) = hold.setting.take()
        && seen.value.as_ref() == Some(&asked)
    {
        hold.set = Some(asked);
    }
}

/// What a read means, and the attempt that follows from it.
#[must_use]
pub fn after_read(
    hold: &Hold,
    want: Option<&Want>,
    seen: &Observation,
    purpose: Purpose,
    facts: &Facts<'_>,
) -> Verdict {
    let mut next = hold.clone();
    next.checked_at = Some(facts.now);
    match (purpose, want) {
        (Purpose::Start, Some(want)) => {
            restate(&mut next, want);
            start(next, want, seen, facts)
        }
        (Purpose::Sweep, Some(want)) => Verdict::Write(Box::new(swept(next, want, seen, facts))),
        (Purpose::End, _) => end(next, seen, facts),
        (Purpose::Start | Purpose::Sweep, None) => Verdict::Write(Box::new(next)),
    }
}

fn swept(mut hold: Hold, want: &Want, seen: &Observation, facts: &Facts<'_>) -> Hold {
    if hold.answered == Some(Call::Extend) {
        return extended(hold, seen, facts);
    }
    let believable = hold.settled_at(facts.caps.propagation);
    hold.retry = None;
    match hold.state {
        State::Kept if !gives(want, seen.direct(), seen.value.as_deref(), facts) => {
            hold.enter(State::Wanted, facts.now);
            hold
        }
        State::Held if in_place(&hold, seen) => hold,
        State::Held if believable > facts.asked => wait(hold, Side::Starts, believable, NOT_BELIEVABLE),
        State::Held => missing(hold, seen, facts.now),
        _ => hold,
    }
}

/// What a read has shown in place is not there any more: others did that.
pub(super) fn missing(mut hold: Hold, seen: &Observation, now: Timestamp) -> Hold {
    // The target has nothing to end any more: when that end passes, it is not what took the access away.
    hold.native_end = None;
    if Bug::PutBackUnasked.is_chosen() {
        disproved(&mut hold);
        hold.granted = None;
        hold.enter(State::Wanted, now);
        return hold;
    }
    let changed = matches!(hold.shape, Shape::Value { .. }) && seen.value != hold.base;
    stuck(hold, Side::Starts, if changed { CHANGED_BY_OTHERS } else { REMOVED_BY_OTHERS }, now)
}

const REMOVED_BY_OTHERS: &str = "others have removed it while a reason lives; it is not put back unasked";
const CHANGED_BY_OTHERS: &str = "others have set another value while a reason lives; it is left alone";

const NOT_BELIEVABLE: &str = "waiting until a read can be believed";

/// Whether what is there gives what is wanted: the membership, or a value as high.
fn gives(want: &Want, direct: bool, value: Option<&str>, facts: &Facts<'_>) -> bool {
    match &want.shape {
        Shape::Member => direct,
        Shape::Value { rank: wanted, .. } => value.and_then(|v| (facts.rank)(v)).is_some_and(|rank| rank >= *wanted),
    }
}

fn start(mut next: Hold, want: &Want, seen: &Observation, facts: &Facts<'_>) -> Verdict {
    let now = facts.now;
    // A young grant that shows is there. What else could have been asked for may still vanish, or come.
    let other_value = matches!(want.shape, Shape::Value { .. }) && next.shape != want.shape;
    let in_doubt = next.answered == Some(Call::Revoke) || next.unsettled_until.is_some() || other_value;
    if settled(&next, facts) {
        resolve(&mut next, seen);
        next.answered = next.answered.filter(|call| *call == Call::Grant && !other_value);
    } else if Bug::StandingInsidePropagation.is_chosen() {
        next.touched = false;
    } else if in_doubt {
        let at = next.settled_at(facts.caps.propagation);
        return keep(wait(next, Side::Starts, at, "an earlier call may still take effect"));
    }
    if next.native_end.is_some_and(|end| end <= now) && settled(&next, facts) {
        if ours(&next, seen) && seen.native_end.is_some_and(|end| end <= now) {
            let because = "the target's own end has passed, and it still shows the access";
            return keep(failed(next, Side::Starts, None, because.to_owned(), now));
        }
        if !ours(&next, seen) {
            // The target's own end came first: nothing of ours is there any more, and it is wanted again.
            next.touched = false;
            next.granted = None;
            next.enter(State::Wanted, now);
        } else if seen.native_end.is_none() {
            // Its end was lifted, or others have put it back: it lives and ends with the hold.
            next.ownership = Ownership::Unproven;
        }
        next.native_end = None;
    }
    if next.touched { restart(next, want, seen, facts) } else { begin(next, want, seen, facts) }
}

/// Nothing of ours is there: what is found is standing, and becomes the base.
fn begin(mut next: Hold, want: &Want, seen: &Observation, facts: &Facts<'_>) -> Verdict {
    next.shape = want.shape.clone();
    next.base.clone_from(&seen.value);
    next.set = None;
    next.setting = None;
    next.ownership = Ownership::Ours;
    if gives(want, seen.direct(), seen.value.as_deref(), facts) && !Bug::StandingIgnored.is_chosen() {
        return keep(kept(next, facts.now));
    }
    grant(next, want, facts)
}

pub(super) fn kept(mut next: Hold, now: Timestamp) -> Hold {
    next.touched = false;
    // Whatever was granted is not what stands there now: should that go, nobody has taken ours, nor has its end come.
    next.granted = None;
    next.native_end = None;
    next.retry = None;
    next.answered = None;
    next.enter(State::Kept, now);
    next
}

/// Something of ours may be there: after a lost answer, with another value wanted, or found missing.
fn restart(mut next: Hold, want: &Want, seen: &Observation, facts: &Facts<'_>) -> Verdict {
    let was_held = next.granted.is_some_and(|act| act.done.is_some());
    let believable = settled(&next, facts);
    let others = !ours(&next, seen) || (facts.caps.tells_owner && seen.owner == Owner::Other);
    let theirs = others && gives(want, seen.direct(), seen.value.as_deref(), facts);
    let base_gives = gives(want, false, next.base.as_deref(), facts);
    let back = base_gives && seen.value == next.base;
    if believable && theirs {
        next.shape = want.shape.clone();
        return keep(kept(next, facts.now));
    }
    next.shape = match (&next.base, base_gives) {
        (Some(base), true) => Shape::Value { rank: (facts.rank)(base).unwrap_or_default(), value: base.clone() },
        _ => want.shape.clone(),
    };
    if in_place(&next, seen) && !back {
        return keep(proven_held(next, seen, facts.now));
    }
    if !believable {
        let at = next.settled_at(facts.caps.propagation);
        return keep(wait(next, Side::Starts, at, NOT_BELIEVABLE));
    }
    if !ours(&next, seen) {
        if was_held || (matches!(want.shape, Shape::Value { .. }) && seen.value != next.base) {
            return keep(missing(next, seen, facts.now));
        }
        disproved(&mut next);
    }
    if Bug::PreviousValuePerHold.is_chosen() {
        next.base.clone_from(&seen.value);
    }
    if next.answered.take() == Some(Call::Grant) {
        return keep(unseen(next, Side::Starts, facts.now));
    }
    grant(next, want, facts)
}

/// The target's own end has moved once a read shows it no earlier than the hold is due.
pub(super) fn extended(mut next: Hold, seen: &Observation, facts: &Facts<'_>) -> Hold {
    let unsure = next.settled_at(facts.caps.propagation);
    if unsure <= facts.asked {
        next.answered = None;
        if !in_place(&next, seen) {
            return missing(next, seen, facts.now);
        }
    }
    next.native_end = if unsure > facts.asked { next.native_end.max(seen.native_end) } else { seen.native_end };
    if next.native_end.is_none_or(|end| end >= next.due) {
        next.answered = None;
        next.retry = None;
        return next;
    }
    if unsure > facts.asked {
        return wait(next, Side::Starts, unsure, NOT_BELIEVABLE);
    }
    failed(next, Side::Starts, None, "accepted, but the target's own end has not moved".to_owned(), facts.now)
}

/// No call of ours has had an effect. What is found from now on is again somebody else's.
pub(super) fn disproved(hold: &mut Hold) {
    hold.touched = false;
    hold.ownership = Ownership::Ours;
}

/// A call was accepted, and a read that can be believed does not show it: that is a failure like any other.
pub(super) fn unseen(mut hold: Hold, side: Side, now: Timestamp) -> Hold {
    hold.answered = None;
    let at = hold.answered_at.map(rfc3339).unwrap_or_default();
    failed(hold, side, None, format!("accepted at {at}, but a read does not show it"), now)
}

fn keep(hold: Hold) -> Verdict {
    Verdict::Write(Box::new(hold))
}

fn grant(mut next: Hold, want: &Want, facts: &Facts<'_>) -> Verdict {
    if want.frozen && !lowers(&next, facts) {
        if next.touched {
            return keep(wait(next, Side::Starts, later(facts.now, LONGEST), "nothing may be begun yet"));
        }
        next.retry = None;
        next.enter(State::Wanted, facts.now);
        return keep(next);
    }
    next.enter(State::Granting, facts.now);
    if restores(&next) {
        next.granted = None;
    } else {
        let act = act(&next, Side::Starts, want.began(), facts.now);
        next.granted.get_or_insert(act);
    }
    if let Shape::Value { value, .. } = &next.shape {
        next.setting = Some(value.clone());
    }
    open(&mut next, Call::Grant, facts);
    let ends = facts.caps.native_end && !Bug::NoNativeEnd.is_chosen();
    let native_end = ends.then(|| later(next.due, NATIVE_MARGIN));
    Verdict::Call(Box::new(next), Order::Grant { native_end })
}

/// Whether what is asked for is the base itself, which is enough again: once it is back nothing of ours is there.
pub(super) fn restores(hold: &Hold) -> bool {
    matches!(&hold.shape, Shape::Value { value, .. } if hold.base.as_ref() == Some(value))
}

/// Whether the grant to come gives less than what is there of ours: a part of the access ends.
fn lowers(hold: &Hold, facts: &Facts<'_>) -> bool {
    let rank = hold.set.as_deref().and_then(|set| (facts.rank)(set));
    matches!(&hold.shape, Shape::Value { rank: wanted, .. } if hold.touched && rank.is_some_and(|rank| rank > *wanted))
}

fn end(mut next: Hold, seen: &Observation, facts: &Facts<'_>) -> Verdict {
    if !next.is_ending() {
        next.due = facts.ended.0;
        next.retry = None;
    }
    next.enter(State::Ending, facts.now);
    if settled(&next, facts) {
        resolve(&mut next, seen);
    }
    if !ours(&next, seen) || (facts.caps.tells_owner && seen.owner == Owner::Other) {
        return keep(gone_or_wait(next, seen, facts));
    }
    if next.answered == Some(Call::Revoke) {
        let unsure = next.settled_at(facts.caps.propagation);
        let waits = unsure > facts.asked;
        return keep(if waits {
            wait(next, Side::Ends, unsure, NOT_BELIEVABLE)
        } else {
            unseen(next, Side::Ends, facts.now)
        });
    }
    let act = act(&next, Side::Ends, facts.ended, facts.now);
    next.revoked.get_or_insert(act);
    open(&mut next, Call::Revoke, facts);
    let restore = next.base.clone();
    Verdict::Call(Box::new(next), Order::Revoke { restore })
}

/// It is not there any more, or not ours: over, once nothing of ours can act and the read can be believed.
pub(super) fn gone_or_wait(mut next: Hold, seen: &Observation, facts: &Facts<'_>) -> Hold {
    let unsure = next.settled_at(facts.caps.propagation);
    if unsure > facts.asked {
        return wait(next, Side::Ends, unsure, "gone by one read; proven once nothing of ours can act any more");
    }
    let theirs = match &next.shape {
        Shape::Member => seen.direct(),
        Shape::Value { .. } => seen.value != next.base,
    };
    let found = act(&next, Side::Ends, facts.ended, facts.now);
    let act = next.revoked.get_or_insert(found);
    act.done = Some(facts.now);
    next.touched = false;
    next.retry = None;
    next.enter(State::Ended(if theirs { Outcome::ChangedByOthers } else { Outcome::Proven }), facts.now);
    next
}

pub(super) fn proven_held(mut next: Hold, seen: &Observation, now: Timestamp) -> Hold {
    next.enter(State::Held, now);
    next.retry = None;
    next.answered = None;
    next.told = false;
    next.native_end = seen.native_end.or(next.native_end);
    if let Shape::Value { value, .. } = &next.shape {
        next.set = Some(value.clone());
        next.setting = None;
    }
    if seen.owner == Owner::Us {
        next.ownership = Ownership::Ours;
    }
    // Found in place after its end was called off: nothing was begun anew, so nothing is late.
    let found = Act { due: now, known: now, started: now, turn_since: None, done: None };
    next.granted.get_or_insert(found).done.get_or_insert(now);
    next
}
