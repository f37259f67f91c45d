//! Writing a hold off: a named administrator ends the record of access that nobody can take back any more, because what it
//! was access to is gone for good. Nothing has shown that the access is gone, and the outcome never says so: whoever still
//! has it keeps it.
//!
//! What was written off is remembered. Found there when the place is wanted again, it may be ours or others': nobody can
//! tell, so it is left alone as standing access (never touching what is not ours comes first), and somebody is told.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::step::settle;
use super::{Call, Hold, Outcome, Side, State};
use crate::id::PersonId;
use crate::look::TELL_OVERDUE;
use crate::time::later;
use crate::wants::{Shape, Want};

/// Why a hold is not written off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would leave its author access that nobody takes back.
    #[error("it is your own, and nobody would take it back; another administrator must write it off")]
    OwnGain,
    /// A reason lives.
    #[error(
        "a reason still wants it; end that first: give back or cancel what was asked for, take it out of the profile, or \
         block the person"
    )]
    Wanted,
    /// An attempt may still act.
    #[error("a call to the app may still act until {0}; write it off after that, where it is still there")]
    InFlight(Timestamp),
    /// Nothing keeps it from ending by itself, as far as is known.
    #[error("it has not failed to end yet; where it is still there at {0}, it can be written off then")]
    Ending(Timestamp),
}

/// The hold as written off by this administrator. `want` is what live reasons want in its place.
///
/// # Errors
/// It may not be written off, or not yet.
pub fn write_off(hold: &Hold, by: &PersonId, want: Option<&Want>, now: Timestamp) -> Result<Hold, Refusal> {
    if *by == hold.person {
        return Err(Refusal::OwnGain);
    }
    if want.is_some() {
        return Err(Refusal::Wanted);
    }
    let mut next = settle(hold, now);
    if let Some(open) = next.open.take() {
        if open.not_after > now {
            return Err(Refusal::InFlight(open.not_after));
        }
        // An operation whose end the app does not tell: by the longest that it says one goes on, it acts no more.
        next.unsettled_until = next.unsettled_until.max(Some(open.not_after));
    }
    let from = hopeless_from(hold);
    if from > now {
        return Err(Refusal::Ending(from));
    }
    next.retry = None;
    next.enter(State::Ended(Outcome::WrittenOff), now);
    Ok(next)
}

/// From when on it counts as one that cannot be ended: its end, and whatever it waits for without having failed, have
/// passed for as long as somebody is told after.
fn hopeless_from(hold: &Hold) -> Timestamp {
    let waits = hold.retry.as_ref().filter(|retry| retry.side == Side::Ends && retry.failures == 0);
    later(waits.map_or(hold.due, |retry| retry.at.max(hold.due)), TELL_OVERDUE)
}

/// A new hold in a place of which one was written off. Its attempts count on, so that a late result of that one's is never
/// taken for its own, and no read is believed before the calls of that one can act no more.
#[must_use]
pub fn follow(gone: &Hold, fresh: Hold) -> Hold {
    Hold {
        attempts: gone.attempts,
        unsettled_until: gone.unsettled_until,
        answered_at: gone.answered_at,
        answered: gone.answered.filter(|call| *call == Call::Revoke),
        ..fresh
    }
}

/// Whether what a hold has found before its first attempt may be what was written off there. A single value that was there
/// before the first of ours is not.
#[must_use]
pub fn shows(gone: &Hold, hold: &Hold) -> bool {
    let begun = matches!(hold.state, State::Kept | State::Granting);
    let there = match hold.shape {
        Shape::Member => hold.state == State::Kept,
        Shape::Value { .. } => hold.base.is_some() && hold.base != gone.base,
    };
    begun && there
}
