//! What a target's answer means, and the read after it.

use std::time::Duration;

use jiff::Timestamp;

use super::read::{disproved, extended, gone_or_wait, in_place, kept, ours, proven_held, restores, unseen};
use super::{Answer, Facts, Purpose, failed, open, stuck, wait};
use crate::bug::Bug;
use crate::hold::{Attempt, Call, Failure, Hold, Observation, Outcome, Ownership, Pending, Side, State};
use crate::wants::Shape;

/// What the target's answer to a call or a poll means. Where it is done, [`after_read_back`] follows.
#[must_use]
pub fn after_answer(hold: &Hold, answer: Answer, now: Timestamp) -> Hold {
    let mut next = hold.clone();
    let Some(attempt) = next.open.take() else { return next };
    let side = if attempt.call == Call::Revoke { Side::Ends } else { Side::Starts };
    let grants = attempt.call == Call::Grant;
    let refused = matches!(&answer, Answer::Failed { failure, .. } if *failure != Failure::Lost);
    if grants && refused && attempt.pending.is_none() {
        next.setting = None;
        next.touched |= Bug::RefusalIsOurs.is_chosen();
    }
    match answer {
        Answer::Done { receipt, native_end } => {
            next.touched |= grants;
            next.answered_at = Some(now);
            next.answered = Some(attempt.call);
            if attempt.call != Call::Revoke {
                next.receipt = receipt.or(next.receipt);
                next.native_end = native_end.or(next.native_end);
            } else if Bug::RevokeBeforeVerify.is_chosen() {
                next.touched = false;
                next.enter(State::Ended(Outcome::Proven), now);
            }
            next
        }
        Answer::Pending { operation, poll_at } => {
            next.touched |= grants;
            next.open = Some(Attempt { pending: Some(Pending { operation, poll_at }), ..attempt });
            next
        }
        Answer::Failed { failure: Failure::Throttled | Failure::Transient | Failure::Lost, after, because }
            if attempt.pending.is_some() =>
        {
            // The poll failed, not the operation: it goes on, and so does the attempt.
            let mut next = failed(next, side, after, because, now);
            let poll_at = next.retry.as_ref().map_or(now, |retry| retry.at);
            let pending = attempt.pending.clone().map(|pending| Pending { poll_at, ..pending });
            next.open = Some(Attempt { pending, ..attempt });
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
                next.open = Some(Attempt { not_after: at, ..attempt });
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
        Some(Call::Grant) if in_place(&next, seen) && !restores(&next) => return proven_held(next, seen, facts.now),
        Some(Call::Grant) if in_place(&next, seen) && unsure <= facts.asked => return kept(next, facts.now),
        Some(Call::Revoke) if !ours(&next, seen) => return gone_or_wait(next, seen, facts),
        Some(Call::Extend) => return extended(next, seen, facts),
        None => return next,
        Some(Call::Grant) => Side::Starts,
        Some(Call::Revoke) => Side::Ends,
    };
    if unsure > facts.asked {
        return wait(next, side, unsure, "accepted; waiting until a read can be believed");
    }
    let was_held = next.granted.is_some_and(|act| act.done.is_some());
    let nothing = matches!(next.shape, Shape::Member) || seen.value == next.base;
    if side == Side::Starts && !was_held && nothing && !ours(&next, seen) {
        disproved(&mut next);
    }
    unseen(next, side, facts.now)
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
