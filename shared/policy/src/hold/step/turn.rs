//! What becomes of a call that gets no turn.

use super::{Facts, Purpose, restate};
use crate::hold::{Hold, Retry, Side, State, TurnWait};
use crate::retry::turn_wait;
use crate::time::later;
use crate::wants::Want;

/// Why a hold waits.
const NO_TURN: &str = "waiting for a turn: as many calls as the target bears at a time are under way there";

/// The call that a read of this hold led to got no turn: it is not made, what was read counts no more, and the next look
/// reads again. A wait is not a failure. `chance` spreads those who wait.
#[must_use]
pub fn without_turn(hold: &Hold, want: Option<&Want>, purpose: Purpose, facts: &Facts<'_>, chance: u8) -> Hold {
    let mut next = hold.clone();
    let side = if purpose == Purpose::End { Side::Ends } else { Side::Starts };
    if let Some(want) = want.filter(|_| side == Side::Starts) {
        restate(&mut next, want);
    }
    if side == Side::Ends && !next.is_ending() {
        next.due = facts.ended.0;
        next.retry = None;
        next.enter(State::Ending, facts.now);
    }
    let before = next.retry.filter(|retry| retry.side == side);
    let failures = before.as_ref().map_or(0, |retry| retry.failures);
    let wait = before.and_then(|retry| retry.turn).unwrap_or(TurnWait { since: facts.now, looks: 0 });
    next.retry = Some(Retry {
        at: later(facts.now, turn_wait(wait.looks, chance)),
        side,
        failures,
        because: NO_TURN.to_owned(),
        turn: Some(TurnWait { looks: wait.looks.saturating_add(1), ..wait }),
    });
    next
}
