//! A hold's steps: what is due, what a read means, what an answer means.

mod answer;
mod read;
mod turn;

use std::time::Duration;

pub use answer::{after_answer, after_read_back, extending, unreadable};
pub use read::after_read;
pub use turn::without_turn;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    Act, Attempt, Call, Capabilities, Failure, Hold, NATIVE_MARGIN, Outcome, Ownership, Retry, SETTLE_MARGIN, Side,
    State,
};
use crate::bug::Bug;
use crate::retry::{HOURLY, backoff_apart};
use crate::time::{earlier, later};
use crate::wants::{Shape, Want};

/// How often a hold is looked at whose target's own end is near and may have to move on.
const MINUTE: Duration = Duration::from_secs(60);

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
    /// When what was read was asked for: an answer that is slow shows the place as it was before.
    pub asked: Timestamp,
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
    if let Some(attempt) = hold.open.as_ref().filter(|_| !Bug::NoAttemptFence.is_chosen()) {
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
        // The reason came back. Before a revoke was sent it is held, if it ever was; else it is wanted again.
        return write(hold, Side::Starts, |h| {
            let sent = h.revoked.take().is_some();
            let held = !sent && h.granted.is_some_and(|act| act.done.is_some());
            h.enter(if held { State::Held } else { State::Wanted }, now);
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
        State::Stuck if differs(hold, want) => write(hold, Side::Starts, |h| {
            restate(h, want);
            h.retry = h.retry.take().map(|retry| Retry { at: now, ..retry });
        }),
        State::Wanted | State::Granting | State::Stuck => start(),
        State::Held if hold.native_end.is_some_and(|end| end <= now) => start(),
        State::Held if other_value(hold, want) => start(),
        State::Held if hold.answered == Some(Call::Extend) => {
            wait_or(Side::Starts, retry_of(hold, Side::Starts), now, Step::Read(Purpose::Sweep))
        }
        State::Held if hold.native_end.is_some_and(|end| want.until() > end) && !Bug::EndNotExtended.is_chosen() => {
            // The later end is in the record before the target is told of it.
            if hold.due != want.until() {
                return write(hold, Side::Starts, |h| restate(h, want));
            }
            let until = later(want.until(), NATIVE_MARGIN);
            wait_or(Side::Starts, retry_of(hold, Side::Starts), now, Step::Extend(until))
        }
        State::Kept if hold.shape != want.shape => start(),
        State::Held | State::Kept if differs(hold, want) => write(hold, Side::Starts, |h| restate(h, want)),
        State::Held | State::Kept => sweep(hold, now),
    }
}

/// Whether another value is wanted and may be set: a freeze lets a value go down, not up.
fn other_value(hold: &Hold, want: &Want) -> bool {
    let raises = want.shape > hold.shape;
    matches!(want.shape, Shape::Value { .. }) && hold.shape != want.shape && !(want.frozen && raises)
}

fn sweep(hold: &Hold, now: Timestamp) -> Step {
    let due = later(hold.checked_at.unwrap_or(hold.since), HOURLY).max(retry_of(hold, Side::Starts));
    if due <= now { Step::Read(Purpose::Sweep) } else { Step::Wait(Side::Starts, due.min(moves_on(hold, now))) }
}

/// When to look again whether the target's own end must move on. A lease moves on without a word to those whose access
/// hangs on it: they are looked at when their hold was due as far as it is known, and from then on each minute, for the
/// view that moves it on may be late.
fn moves_on(hold: &Hold, now: Timestamp) -> Timestamp {
    let rolling = hold.reasons.iter().any(|reason| reason.rolling);
    let own = hold.native_end.filter(|end| rolling && *end > now);
    own.map_or(Timestamp::MAX, |end| earlier(end, NATIVE_MARGIN).max(later(now, MINUTE)))
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
        not_after: later(later(facts.now, facts.caps.acts_for()), SETTLE_MARGIN),
        pending: None,
        turns: Vec::new(),
    });
    // A wait for a turn is over; what failed before it still counts.
    hold.retry = hold.retry.take().filter(|retry| retry.turn.is_none() || retry.failures > 0);
    if let Some(retry) = &mut hold.retry {
        retry.turn = None;
    }
}

/// The act that begins now, with the wait for a turn that went before it.
fn act(hold: &Hold, side: Side, (due, known): (Timestamp, Timestamp), now: Timestamp) -> Act {
    let wait = hold.retry.as_ref().filter(|retry| retry.side == side).and_then(|retry| retry.turn);
    Act { due, known, started: now, turn_since: wait.map(|wait| wait.since), done: None }
}

/// Waits for something that is not a failure.
fn wait(mut hold: Hold, side: Side, at: Timestamp, because: &str) -> Hold {
    let failures = hold.retry.as_ref().map_or(0, |retry| retry.failures);
    hold.retry = Some(Retry { at, side, failures, because: because.to_owned(), turn: None });
    hold
}

fn failed(mut hold: Hold, side: Side, after: Option<Duration>, because: String, now: Timestamp) -> Hold {
    let failures = hold.retry.as_ref().map_or(0, |retry| retry.failures).saturating_add(1);
    // Each hold has a place of its own in the spread, and another one each time.
    let chance = Sha256::digest(format!("{}#{failures}", hold.key)).first().copied().unwrap_or_default();
    let at = later(now, backoff_apart(failures, after, chance));
    hold.retry = Some(Retry { at, side, failures, because, turn: None });
    hold
}

fn stuck(mut hold: Hold, side: Side, because: &str, now: Timestamp) -> Hold {
    let failures = hold.retry.as_ref().map_or(0, |retry| retry.failures).saturating_add(1);
    hold.enter(State::Stuck, now);
    hold.retry = Some(Retry { at: later(now, HOURLY), side, failures, because: because.to_owned(), turn: None });
    hold
}
