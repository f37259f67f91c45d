//! A hold's steps: what is due, what a read means, what an answer means.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Act, Attempt, Call, Capabilities, Failure, Hold, NATIVE_MARGIN, Observation, Outcome, Owner, Ownership, Pending,
    Retry, SETTLE_MARGIN, Side, State,
};
use crate::retry::{HOURLY, backoff};
use crate::time::{later, rfc3339};
use crate::wants::{Shape, Want};

/// Why the target is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To begin, to go on after a lost answer, or to change a value.
    Start,
    /// To end.
    End,
    /// To see that what the ledger says is still so.
    Sweep,
}

/// What is due for a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, now or later.
    Nothing,
    /// Nothing until then.
    Wait(Side, Timestamp),
    /// The record changes and nothing is called.
    Write(Side, Box<Hold>),
    /// The target is read, then [`after_read`] decides.
    Read(Purpose),
    /// The pending operation is asked for, then [`after_answer`] decides.
    Poll(Side),
    /// The target's own end is moved to then.
    Extend(Timestamp),
}

impl Step {
    /// The side that takes it, where there is something to take.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        match self {
            Self::Nothing => None,
            Self::Wait(side, _) | Self::Write(side, _) | Self::Poll(side) => Some(*side),
            Self::Read(Purpose::End) => Some(Side::Ends),
            Self::Read(Purpose::Start | Purpose::Sweep) | Self::Extend(_) => Some(Side::Starts),
        }
    }

    /// When it is due: now, unless it waits. `None` where there is nothing to come.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Nothing => None,
            Self::Wait(_, at) => Some(*at),
            Self::Write(..) | Self::Read(_) | Self::Poll(_) | Self::Extend(_) => Some(now),
        }
    }
}

/// What a call to the target should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Put the hold's shape in place, with the target's own end at that time where it can have one.
    Grant {
        /// When the target should end it by itself.
        native_end: Option<Timestamp>,
    },
    /// Take it away; for a single value, put this one back.
    Revoke {
        /// The base.
        restore: Option<String>,
    },
    /// Move the target's own end.
    Extend {
        /// To then.
        native_end: Timestamp,
    },
}

/// What a read has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The record changes and nothing is called.
    Write(Box<Hold>),
    /// The record, with its attempt, is written first; then the call is made.
    Call(Box<Hold>, Order),
}

/// What a target answered to a call or a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted and, by its own word, done.
    Done {
        /// The adapter's record of it.
        receipt: Option<serde_json::Value>,
        /// When the target ends it by itself.
        native_end: Option<Timestamp>,
    },
    /// Accepted; to be asked for again.
    Pending {
        /// The target's handle of the operation.
        operation: String,
        /// When to ask.
        poll_at: Timestamp,
    },
    /// Not accepted, or nobody knows.
    Failed {
        /// How.
        failure: Failure,
        /// How long the target asks to wait.
        after: Option<Duration>,
        /// What it said, bounded.
        because: String,
    },
}

/// What a decision is made with: the time and what the target's adapter says.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Now.
    pub now: Timestamp,
    /// What the adapter can do.
    pub caps: &'a Capabilities,
    /// The adapter's order of the single values of this place.
    pub rank: &'a dyn Fn(&str) -> Option<i64>,
    /// When the last reason ended and when that was known, for a hold without one.
    pub ended: (Timestamp, Timestamp),
}

impl std::fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("now", &self.now).field("caps", &self.caps).finish_non_exhaustive()
    }
}

/// The hold as it stands at `now`: an attempt that was never answered and can act no more is closed as lost.
#[must_use]
pub fn settle(hold: &Hold, now: Timestamp) -> Hold {
    let mut next = hold.clone();
    let over = next.open.as_ref().is_some_and(|attempt| attempt.pending.is_none() && attempt.not_after <= now);
    if over && let Some(attempt) = next.open.take() {
        next.unsettled_until = next.unsettled_until.max(Some(attempt.not_after));
        next.retry = None;
        if attempt.call == Call::Grant {
            next.touched = true;
            next.ownership = Ownership::Unproven;
        }
    }
    next
}

/// What is due for a settled hold at `now`. `want` is what live reasons want in its place.
#[must_use]
pub fn next(hold: &Hold, want: Option<&Want>, now: Timestamp) -> Step {
    if let Some(attempt) = &hold.open {
        let side = if attempt.call == Call::Revoke { Side::Ends } else { Side::Starts };
        return match &attempt.pending {
            Some(pending) => wait_or(side, pending.poll_at, now, Step::Poll(side)),
            None => Step::Wait(side, attempt.not_after),
        };
    }
    match want {
        Some(want) => next_wanted(hold, want, now),
        None => next_unwanted(hold, now),
    }
}

fn next_unwanted(hold: &Hold, now: Timestamp) -> Step {
    match hold.state {
        State::Ended(_) => Step::Nothing,
        State::Kept => write(hold, Side::Ends, |h| h.enter(State::Ended(Outcome::StandingKept), now)),
        State::Wanted | State::Granting | State::Stuck if !hold.touched => {
            write(hold, Side::Ends, |h| h.enter(State::Ended(Outcome::NeverGranted), now))
        }
        State::Wanted | State::Granting | State::Held | State::Ending | State::Stuck => {
            wait_or(Side::Ends, retry_of(hold, Side::Ends), now, Step::Read(Purpose::End))
        }
    }
}

fn next_wanted(hold: &Hold, want: &Want, now: Timestamp) -> Step {
    let start = || wait_or(Side::Starts, retry_of(hold, Side::Starts), now, Step::Read(Purpose::Start));
    if hold.is_ending() {
        // The reason came back. Before a revoke was sent it is simply held; after it, it is wanted again.
        return write(hold, Side::Starts, |h| {
            let sent = h.revoked.take().is_some();
            h.enter(if sent { State::Wanted } else { State::Held }, now);
            h.retry = None;
            if sent {
                h.granted = None;
            }
            restate(h, want);
        });
    }
    match hold.state {
        State::Ended(_) | State::Ending => Step::Nothing,
        State::Wanted | State::Granting if want.frozen && !hold.touched => Step::Nothing,
        State::Stuck if differs(hold, want) => Step::Read(Purpose::Start),
        State::Wanted | State::Granting | State::Stuck => start(),
        State::Held if hold.native_end.is_some_and(|end| end <= now) => start(),
        State::Held if matches!(want.shape, Shape::Value { .. }) && hold.shape != want.shape => start(),
        State::Held if hold.native_end.is_some_and(|end| want.until() > end) => {
            let until = later(want.until(), NATIVE_MARGIN);
            wait_or(Side::Starts, retry_of(hold, Side::Starts), now, Step::Extend(until))
        }
        State::Held | State::Kept if differs(hold, want) => write(hold, Side::Starts, |h| restate(h, want)),
        State::Held | State::Kept => {
            let due = later(hold.checked_at.unwrap_or(hold.since), HOURLY).max(retry_of(hold, Side::Starts));
            wait_or(Side::Starts, due, now, Step::Read(Purpose::Sweep))
        }
    }
}

fn wait_or(side: Side, at: Timestamp, now: Timestamp, step: Step) -> Step {
    if at > now { Step::Wait(side, at) } else { step }
}

/// When that side may try again. What failed on one side does not delay the other.
fn retry_of(hold: &Hold, side: Side) -> Timestamp {
    hold.retry.as_ref().filter(|retry| retry.side == side).map_or(Timestamp::MIN, |retry| retry.at)
}

fn write(hold: &Hold, side: Side, change: impl FnOnce(&mut Hold)) -> Step {
    let mut next = hold.clone();
    change(&mut next);
    Step::Write(side, Box::new(next))
}

fn restate(hold: &mut Hold, want: &Want) {
    hold.reasons.clone_from(&want.reasons);
    hold.due = want.until();
}

/// Whether the reasons are others than the hold says. An end that only moved on with a lease makes no difference.
fn differs(hold: &Hold, want: &Want) -> bool {
    let same = |(a, b): (&crate::wants::Reason, &crate::wants::Reason)| {
        let ends_alike = a.until == b.until || (a.rolling && b.rolling);
        ends_alike && (&a.profile, a.version, &a.origin, a.from) == (&b.profile, b.version, &b.origin, b.from)
    };
    hold.reasons.len() != want.reasons.len() || !hold.reasons.iter().zip(&want.reasons).all(same)
}

fn open(hold: &mut Hold, call: Call, facts: &Facts<'_>) {
    hold.attempts += 1;
    hold.open = Some(Attempt {
        number: hold.attempts,
        call,
        started: facts.now,
        not_after: later(later(facts.now, facts.caps.deadline), SETTLE_MARGIN),
        pending: None,
    });
}

/// Waits for something that is not a failure.
fn wait(mut hold: Hold, side: Side, at: Timestamp, because: &str) -> Hold {
    let failures = hold.retry.as_ref().map_or(0, |retry| retry.failures);
    hold.retry = Some(Retry { at, side, failures, because: because.to_owned() });
    hold
}

fn failed(mut hold: Hold, side: Side, after: Option<Duration>, because: String, now: Timestamp) -> Hold {
    let failures = hold.retry.as_ref().map_or(0, |retry| retry.failures).saturating_add(1);
    hold.retry = Some(Retry { at: later(now, backoff(failures, after)), side, failures, because });
    hold
}

fn stuck(mut hold: Hold, side: Side, because: &str, now: Timestamp) -> Hold {
    let failures = hold.retry.as_ref().map_or(0, |retry| retry.failures).saturating_add(1);
    hold.enter(State::Stuck, now);
    hold.retry = Some(Retry { at: later(now, HOURLY), side, failures, because: because.to_owned() });
    hold
}

/// Whether what was read is what the hold wants there.
fn in_place(hold: &Hold, seen: &Observation) -> bool {
    match &hold.shape {
        Shape::Member => seen.direct(),
        Shape::Value { value, .. } => seen.value.as_ref() == Some(value),
    }
}

/// Whether what was read may be what we put there.
fn ours(hold: &Hold, seen: &Observation) -> bool {
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
    let may_vanish = next.answered == Some(Call::Revoke) || next.unsettled_until.is_some_and(|until| until > now);
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
fn gone_or_wait(mut next: Hold, seen: &Observation, facts: &Facts<'_>) -> Hold {
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

fn proven_held(mut next: Hold, seen: &Observation, now: Timestamp) -> Hold {
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

/// What the target's answer to a call or a poll means. Where it is done, [`after_read_back`] follows.
#[must_use]
pub fn after_answer(hold: &Hold, answer: Answer, now: Timestamp) -> Hold {
    let mut next = hold.clone();
    let Some(attempt) = next.open.take() else { return next };
    let side = if attempt.call == Call::Revoke { Side::Ends } else { Side::Starts };
    let grants = attempt.call == Call::Grant;
    match answer {
        Answer::Done { receipt, native_end } => {
            next.touched |= grants;
            next.answered_at = Some(now);
            next.answered = Some(attempt.call);
            if attempt.call != Call::Revoke {
                next.receipt = receipt.or(next.receipt);
                next.native_end = native_end.or(next.native_end);
            }
            next
        }
        Answer::Pending { operation, poll_at } => {
            next.touched |= grants;
            next.open = Some(Attempt { pending: Some(Pending { operation, poll_at }), ..attempt });
            next
        }
        Answer::Failed { failure, after, because } => match failure {
            Failure::Lost => {
                // Whether it happened is not known before `not_after`; until then nobody else may call.
                next.touched |= grants;
                if grants {
                    next.ownership = Ownership::Unproven;
                }
                let at = attempt.not_after.max(now);
                next.open = Some(Attempt { pending: None, not_after: at, ..attempt });
                let mut next = failed(next, side, after, because, now);
                if let Some(retry) = &mut next.retry {
                    retry.at = at;
                }
                next
            }
            Failure::AccountGone if side == Side::Ends => account_gone(next, now),
            Failure::AccountGone | Failure::Permanent => stuck(next, side, &because, now),
            Failure::Throttled | Failure::Transient | Failure::Conflict => failed(next, side, after, because, now),
        },
    }
}

fn account_gone(mut hold: Hold, now: Timestamp) -> Hold {
    hold.touched = false;
    hold.retry = None;
    hold.enter(State::Ended(Outcome::AccountGone), now);
    hold
}

/// What the read after an answered call means: done is what was read.
#[must_use]
pub fn after_read_back(hold: &Hold, seen: &Observation, facts: &Facts<'_>) -> Hold {
    let mut next = hold.clone();
    next.checked_at = Some(facts.now);
    let unsure = next.settled_at(facts.caps.propagation);
    let side = match next.answered {
        Some(Call::Grant) if in_place(&next, seen) => return proven_held(next, seen, facts.now),
        Some(Call::Revoke) if !ours(&next, seen) => return gone_or_wait(next, seen, facts),
        Some(Call::Extend) | None => return next,
        Some(Call::Grant) => Side::Starts,
        Some(Call::Revoke) => Side::Ends,
    };
    if unsure > facts.now {
        return wait(next, side, unsure, "accepted; waiting until a read can be believed");
    }
    let at = next.answered_at.map(rfc3339).unwrap_or_default();
    failed(next, side, None, format!("accepted at {at}, but a read does not show it"), facts.now)
}

/// The record of an attempt to move the target's own end.
#[must_use]
pub fn extending(hold: &Hold, facts: &Facts<'_>) -> Hold {
    let mut next = hold.clone();
    open(&mut next, Call::Extend, facts);
    next
}

/// The target could not be read, so nothing was called; it is tried again as after a failed call.
#[must_use]
pub fn unreadable(
    hold: &Hold,
    purpose: Purpose,
    answer: (Failure, Option<Duration>, String),
    facts: &Facts<'_>,
) -> Hold {
    let (failure, after, because) = answer;
    let mut next = hold.clone();
    let side = if purpose == Purpose::End { Side::Ends } else { Side::Starts };
    if side == Side::Ends && !next.is_ending() {
        next.due = facts.ended.0;
        next.retry = None;
        next.enter(State::Ending, facts.now);
    }
    match failure {
        Failure::AccountGone if side == Side::Ends => account_gone(next, facts.now),
        Failure::AccountGone | Failure::Permanent => stuck(next, side, &because, facts.now),
        _ => failed(next, side, after, because, facts.now),
    }
}
