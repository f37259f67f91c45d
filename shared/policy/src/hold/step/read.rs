//! What a read of the target means, and the attempt that follows from it.

use jiff::Timestamp;

use super::{Facts, Order, Purpose, Verdict, open, restate, stuck, wait};
use crate::hold::{Act, Call, Hold, NATIVE_MARGIN, Observation, Outcome, Owner, Ownership, Side, State};
use crate::time::later;
use crate::wants::{Shape, Want};

/// Whether what was read is what the hold wants there.
pub(super) fn in_place(hold: &Hold, seen: &Observation) -> bool {
    match &hold.shape {
        Shape::Member => seen.direct(),
        Shape::Value { value, .. } => seen.value.as_ref() == Some(value),
    }
}

/// Whether what was read may be what we put there.
pub(super) fn ours(hold: &Hold, seen: &Observation) -> bool {
    match &hold.shape {
        Shape::Member => seen.direct(),
        Shape::Value { .. } => seen.value.is_some() && (seen.value == hold.set || seen.value == hold.setting),
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
    hold.retry = None;
    match hold.state {
        State::Kept if !gives(want, seen.direct(), seen.value.as_deref(), facts) => {
            hold.enter(State::Wanted, facts.now);
            hold
        }
        State::Held if !in_place(&hold, seen) => stuck(hold, Side::Starts, REMOVED_BY_OTHERS, facts.now),
        _ => hold,
    }
}

const REMOVED_BY_OTHERS: &str = "others have removed it while a reason lives; it is not put back unasked";
const CHANGED_BY_OTHERS: &str = "others have set another value while a reason lives; it is left alone";

/// Whether what is there gives what is wanted: the membership, or a value as high.
fn gives(want: &Want, direct: bool, value: Option<&str>, facts: &Facts<'_>) -> bool {
    match &want.shape {
        Shape::Member => direct,
        Shape::Value { rank: wanted, .. } => value.and_then(|v| (facts.rank)(v)).is_some_and(|rank| rank >= *wanted),
    }
}

fn start(mut next: Hold, want: &Want, seen: &Observation, facts: &Facts<'_>) -> Verdict {
    let now = facts.now;
    if next.native_end.is_some_and(|end| end <= now) && !ours(&next, seen) {
        // The target's own end came first: nothing of ours is there any more, and it is wanted again.
        next.native_end = None;
        next.touched = false;
        next.granted = None;
        next.enter(State::Wanted, now);
    }
    let unsure_until = next.settled_at(facts.caps.propagation);
    let may_vanish = next.answered == Some(Call::Revoke) || next.unsettled_until.is_some();
    if unsure_until > now && may_vanish {
        return keep(wait(next, Side::Starts, unsure_until, "an earlier call may still take effect"));
    }
    if next.touched { restart(next, want, seen, facts) } else { begin(next, want, seen, facts) }
}

/// Nothing of ours is there: what is found is standing, and becomes the base.
fn begin(mut next: Hold, want: &Want, seen: &Observation, facts: &Facts<'_>) -> Verdict {
    next.shape = want.shape.clone();
    next.base.clone_from(&seen.value);
    next.set = None;
    next.setting = None;
    if gives(want, seen.direct(), seen.value.as_deref(), facts) {
        next.enter(State::Kept, facts.now);
        next.retry = None;
        return keep(next);
    }
    grant(next, want, facts)
}

/// Something of ours may be there: after a lost answer, with another value wanted, or found missing.
fn restart(mut next: Hold, want: &Want, seen: &Observation, facts: &Facts<'_>) -> Verdict {
    let was_held = next.granted.is_some_and(|act| act.done.is_some());
    let base_gives = next.base.is_some() && gives(want, false, next.base.as_deref(), facts);
    if base_gives && seen.value == next.base {
        next.touched = false;
        next.shape = want.shape.clone();
        next.enter(State::Kept, facts.now);
        next.retry = None;
        return keep(next);
    }
    if matches!(want.shape, Shape::Value { .. }) && !ours(&next, seen) && seen.value != next.base {
        return keep(stuck(next, Side::Starts, CHANGED_BY_OTHERS, facts.now));
    }
    next.shape = match (&next.base, base_gives) {
        (Some(base), true) => Shape::Value { rank: (facts.rank)(base).unwrap_or_default(), value: base.clone() },
        _ => want.shape.clone(),
    };
    if in_place(&next, seen) {
        return keep(proven_held(next, seen, facts.now));
    }
    if was_held && !ours(&next, seen) {
        return keep(stuck(next, Side::Starts, REMOVED_BY_OTHERS, facts.now));
    }
    if next.settled_at(facts.caps.propagation) > facts.now {
        let at = next.settled_at(facts.caps.propagation);
        return keep(wait(next, Side::Starts, at, "accepted; waiting until a read can be believed"));
    }
    grant(next, want, facts)
}

fn keep(hold: Hold) -> Verdict {
    Verdict::Write(Box::new(hold))
}

fn grant(mut next: Hold, want: &Want, facts: &Facts<'_>) -> Verdict {
    let (due, known) = want.began();
    next.enter(State::Granting, facts.now);
    next.granted.get_or_insert(Act { due, known, started: facts.now, done: None });
    if let Shape::Value { value, .. } = &next.shape {
        next.setting = Some(value.clone());
    }
    open(&mut next, Call::Grant, facts);
    let native_end = facts.caps.native_end.then(|| later(next.due, NATIVE_MARGIN));
    Verdict::Call(Box::new(next), Order::Grant { native_end })
}

fn end(mut next: Hold, seen: &Observation, facts: &Facts<'_>) -> Verdict {
    let (due, known) = facts.ended;
    if !next.is_ending() {
        next.due = due;
        next.retry = None;
    }
    next.enter(State::Ending, facts.now);
    if !ours(&next, seen) || (facts.caps.tells_owner && seen.owner == Owner::Other) {
        return keep(gone_or_wait(next, seen, facts));
    }
    let unsure = next.settled_at(facts.caps.propagation);
    if next.answered == Some(Call::Revoke) && unsure > facts.now {
        return keep(wait(next, Side::Ends, unsure, "accepted; waiting until a read can be believed"));
    }
    next.revoked.get_or_insert(Act { due, known, started: facts.now, done: None });
    open(&mut next, Call::Revoke, facts);
    let restore = next.base.clone();
    Verdict::Call(Box::new(next), Order::Revoke { restore })
}

/// It is not there any more, or not ours: over, once nothing of ours can act and the read can be believed.
pub(super) fn gone_or_wait(mut next: Hold, seen: &Observation, facts: &Facts<'_>) -> Hold {
    let unsure = next.settled_at(facts.caps.propagation);
    if unsure > facts.now {
        return wait(next, Side::Ends, unsure, "gone by one read; proven once nothing of ours can act any more");
    }
    let theirs = match &next.shape {
        Shape::Member => seen.direct(),
        Shape::Value { .. } => seen.value != next.base,
    };
    let (due, known) = facts.ended;
    let act = next.revoked.get_or_insert(Act { due, known, started: facts.now, done: None });
    act.done = Some(facts.now);
    next.touched = false;
    next.retry = None;
    next.enter(State::Ended(if theirs { Outcome::ChangedByOthers } else { Outcome::Proven }), facts.now);
    next
}

pub(super) fn proven_held(mut next: Hold, seen: &Observation, now: Timestamp) -> Hold {
    next.enter(State::Held, now);
    next.retry = None;
    next.told = false;
    next.native_end = seen.native_end.or(next.native_end);
    if let Shape::Value { value, .. } = &next.shape {
        next.set = Some(value.clone());
        next.setting = None;
    }
    if seen.owner == Owner::Us {
        next.ownership = Ownership::Ours;
    }
    if let Some(act) = &mut next.granted {
        act.done.get_or_insert(now);
    }
    next
}
