//! A look at a person: everything that is due for them now, and when to look again.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bug::Bug;
use crate::enrollment::Enrollment;
use crate::hold::step::{self, Step};
use crate::hold::write_off::follow;
use crate::hold::{Hold, Side, State};
use crate::id::{AppId, EntitlementRef};
use crate::identity::Person;
use crate::time::later;
use crate::wants::{Reason, Rules, Want, ended, wants};

/// How long access may be past its end before somebody is told.
pub const TELL_OVERDUE: Duration = Duration::from_secs(30);

/// When to look again, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// Why, in a word.
    pub cause: String,
}

/// One hold in a look.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The hold as the ledger has it; `None` for a new one.
    pub before: Option<Hold>,
    /// The hold as it stands now.
    pub hold: Hold,
    /// What live reasons want in its place.
    pub want: Option<Want>,
    /// When the last reason ended and when that was known; now, for a hold with a live reason.
    pub ended: (Timestamp, Timestamp),
    /// What is due.
    pub step: Step,
}

/// A look at a person.
#[derive(Debug, Clone)]
pub struct Look {
    /// Every hold that is wanted or not over.
    pub holds: Vec<Planned>,
    /// Apps in which an account must be looked up.
    pub unresolved: BTreeSet<AppId>,
    /// What profiles in mode `observe` would give now.
    pub observed: Vec<(EntitlementRef, Reason)>,
    /// When the next thing may begin.
    pub next_start: Option<Due>,
    /// When the next thing may end.
    pub next_end: Option<Due>,
}

/// The time at which a decision is made: the later of the worker's clock and the person's last record, so that time
/// never runs backwards for a person.
#[must_use]
pub fn decision_time(clock: Timestamp, last_record: Option<Timestamp>) -> Timestamp {
    last_record.filter(|_| !Bug::TimeBackwards.is_chosen()).map_or(clock, |last| last.max(clock))
}

/// Looks at a person: what is due now for each of their holds, and when to look again. `written_off` are holds of theirs
/// that an administrator has written off.
#[must_use]
pub fn look(
    person: &Person,
    enrollments: &[Enrollment],
    holds: &[Hold],
    written_off: &[Hold],
    rules: &impl Rules,
    now: Timestamp,
) -> Look {
    let mut wanted = wants(person, enrollments, rules, now);
    let mut look = Look {
        holds: Vec::new(),
        unresolved: std::mem::take(&mut wanted.unresolved),
        observed: std::mem::take(&mut wanted.observed),
        next_start: wanted.next_start.map(|at| Due { at, cause: "start".to_owned() }),
        next_end: wanted.next_end.map(|at| Due { at, cause: "end".to_owned() }),
    };
    for before in holds.iter().filter(|hold| !hold.is_over()) {
        let want = wanted.places.remove(&before.key);
        let one_ended = |want: &Want| before.reasons.iter().any(|reason| !want.reasons.contains(reason));
        let want = want.filter(|want| !(Bug::NoReferenceCount.is_chosen() && one_ended(want)));
        let hold = step::settle(before, now);
        let ended = match want {
            Some(_) => (now, now),
            None => ended(&hold.reasons, enrollments, rules, now),
        };
        let step = step::next(&hold, want.as_ref(), now);
        look.holds.push(Planned { before: Some(before.clone()), hold, want, ended, step });
    }
    for (key, want) in wanted.places.into_iter().filter(|(_, want)| !want.frozen) {
        let gone = written_off.iter().find(|gone| gone.key == key);
        let fresh = Hold::wanted(key, person.id.clone(), &want, now);
        let hold = match gone {
            Some(gone) => follow(gone, fresh),
            None => fresh,
        };
        let step = step::next(&hold, Some(&want), now);
        look.holds.push(Planned { before: None, hold, want: Some(want), ended: (now, now), step });
    }
    if !look.unresolved.is_empty() {
        sooner(&mut look.next_start, now, "account");
    }
    for planned in &look.holds {
        let (start, end) = again(&planned.hold, &planned.step, now);
        if let Some(due) = start {
            sooner(&mut look.next_start, due.at, &due.cause);
        }
        if let Some(due) = end {
            sooner(&mut look.next_end, due.at, &due.cause);
        }
    }
    look
}

/// When a hold is due on each side.
fn again(hold: &Hold, step: &Step, now: Timestamp) -> (Option<Due>, Option<Due>) {
    let due = |side: Side| step.due(now).map(|at| Due { at, cause: cause(hold, side).to_owned() });
    let tell = hold.is_ending() && hold.touched && !hold.told;
    let tell = tell.then(|| Due { at: later(hold.due, TELL_OVERDUE), cause: "overdue".to_owned() });
    match step.side() {
        Some(Side::Starts) => (due(Side::Starts), tell),
        Some(Side::Ends) => {
            let end = [due(Side::Ends), tell].into_iter().flatten().min_by_key(|due| due.at);
            (None, end)
        }
        None => (None, tell),
    }
}

/// Why a hold is due on this side. What it waited for on the other one is no cause here.
fn cause(hold: &Hold, side: Side) -> &'static str {
    let retry = hold.retry.as_ref().filter(|retry| retry.side == side);
    match (&hold.open, hold.state) {
        (Some(attempt), _) if attempt.pending.is_some() => "poll",
        (Some(_), _) => "lost answer",
        (None, _) if retry.is_some_and(|retry| retry.turn.is_some()) => "turn",
        (None, State::Held | State::Kept) if side == Side::Starts => "sweep",
        (None, _) if retry.is_some() => "retry",
        (None, _) => "now",
    }
}

fn sooner(due: &mut Option<Due>, at: Timestamp, cause: &str) {
    if due.as_ref().is_none_or(|due| at < due.at) {
        *due = Some(Due { at, cause: cause.to_owned() });
    }
}

/// Whether somebody must be told of a hold now: it is past its end for too long, or stuck, and nobody was told yet.
#[must_use]
pub fn must_tell(hold: &Hold, now: Timestamp) -> bool {
    let overdue = hold.is_ending() && hold.touched && later(hold.due, TELL_OVERDUE) <= now;
    !hold.told && (overdue || hold.state == State::Stuck)
}

/// When somebody must be told of a hold of which nothing can be decided now, for its app has no adapter: its end stands
/// as it was recorded. `None` where there is nothing to tell, or it was told.
#[must_use]
pub fn tell_unreached(hold: &Hold) -> Option<Timestamp> {
    let at = later(hold.due, TELL_OVERDUE);
    (!hold.told && hold.overdue(at).is_some()).then_some(at)
}
