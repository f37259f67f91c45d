//! A read that is slow, and another that is asked for later and answered sooner, while the platform changes what it shows in
//! between: the older of the two must not win (R15). Drawn last and from a chance of its own, so that everything else of a
//! seed stays as it is.

use super::{is_restored, joins, one_in, some};
use crate::plan::{Happening, Plan, PlatformFault, Second, Shift};

/// What makes this chance another one than the rest of a seed has.
pub(super) const APART: u64 = 0xc405_5ed0;

/// The source.
const SOURCE: &str = "slow";
/// So often a platform is read.
const READ: Second = 300;
/// A rotation is read once more so long before a boundary.
const BEFORE_BOUNDARY: Second = 45;
/// How long anybody is on call.
const SHIFT: Second = 3_600;

/// One company in eight meets such reads.
pub(super) fn reads(chance: &mut fastrand::Rng, plan: &mut Plan) {
    if !one_in(chance, 8) || is_restored(plan) {
        return;
    }
    let &[before, wrong, right] = some(chance, plan, 3).as_slice() else { return };
    let slow = READ * chance.u32(SHIFT / READ..=4 * SHIFT / READ);
    let changes = slow + 6;
    let boundary = slow + 10 + BEFORE_BOUNDARY;
    let ends = Some(boundary + SHIFT);
    let shifts = vec![
        Shift { user: Some(before), from: boundary - SHIFT, to: Some(boundary), announced: 0, withdrawn: None },
        Shift { user: Some(wrong), from: boundary, to: ends, announced: 0, withdrawn: Some(changes) },
        Shift { user: Some(right), from: boundary, to: ends, announced: changes, withdrawn: None },
    ];
    let rotation = joins(plan, SOURCE, shifts);
    plan.happens.push(Happening::Platform(PlatformFault {
        source: SOURCE.to_owned(),
        kind: "slow".to_owned(),
        from: slow - 5,
        to: slow + 5,
        rotation: Some(rotation),
        after: Some(25),
    }));
}
