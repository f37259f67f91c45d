//! Many people on call at once who are taken off one by one, or all together, or come all together: what the brake is there
//! for (R7), and administrators who release what it holds. Drawn last and from a chance of its own, so that everything else
//! of a seed stays as it is.

use super::{is_restored, joins, one_in, some};
use crate::plan::{Happening, Plan, Second, Shift};

/// What makes this chance another one than the rest of a seed has.
pub(super) const APART: u64 = 0x0c40_3ded;

/// Fewer people are no crowd.
const LEAST: usize = 3;
/// No crowd is larger.
const MOST: usize = 8;
/// What platforms show has been believed for more than an hour by then.
const FIRST: Second = 5_400;
/// So often a platform is read.
const READ: Second = 300;

/// How a crowd changes.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// One goes with each read.
    Drains,
    /// They go together.
    Goes,
    /// All but one come together.
    Comes,
}

/// One company in eight has a crowd.
pub(super) fn gather(chance: &mut fastrand::Rng, plan: &mut Plan) {
    if !one_in(chance, 8) || plan.people.len() < LEAST || is_restored(plan) {
        return;
    }
    let count = chance.usize(LEAST..=MOST);
    let crowd = some(chance, plan, count);
    let change = chance.choice([Change::Drains, Change::Drains, Change::Goes, Change::Comes]).unwrap_or(Change::Drains);
    let (from, begins) = (chance.u32(..1_800), FIRST + chance.u32(..7_200));
    let to = begins + chance.u32(2 * 3_600..=10 * 3_600);
    let stay = chance.usize(..=2);
    let mut shifts = Vec::with_capacity(crowd.len());
    let mut last = begins;
    for (number, user) in crowd.into_iter().enumerate() {
        let (announced, withdrawn) = match change {
            Change::Comes => (if number == 0 { 0 } else { begins }, None),
            Change::Drains | Change::Goes if number < stay => (0, None),
            Change::Drains => (0, Some(last)),
            Change::Goes => (0, Some(begins)),
        };
        if let (Change::Drains, Some(at)) = (change, withdrawn) {
            last = at + READ;
        }
        shifts.push(Shift { user: Some(user), from, to: Some(to), announced, withdrawn });
    }
    joins(plan, "crowd", shifts);
    for _ in 0..chance.u32(..3) {
        let at = chance.u32(begins..last + 2 * 3_600);
        // Right away, or when it may have become another plan.
        let after = if one_in(chance, 2) { chance.u32(..10) } else { chance.u32(READ..2 * READ) };
        plan.happens.push(Happening::Releases { at, after });
    }
}
