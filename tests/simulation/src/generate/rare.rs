//! What is rare: somebody who has departed is erased, an administrator is alone with a link, a newer release is rolled back, a
//! platform says the same twice. Drawn last, each from a chance of its own, so that everything else of a seed stays as it is.

use super::{is_restored, joins, newcomer, one_in, some};
use crate::plan::{Happening, Plan, Second, Shift};

/// What makes these chances others than the rest of a seed has.
const ERASED: u64 = 0x0e7a_5ed0;
const ALONE: u64 = 0x0a10_4e00;
const ROLLED_BACK: u64 = 0x0b0a_cced;
const TWICE: u64 = 0x0071_1ce0;

/// One company in so many meets each of them.
const RARE: u32 = 16;
/// Whoever has departed still has their address for so long.
const DAY: Second = 86_400;

/// Adds them all.
pub(super) fn add(plan: &mut Plan) {
    let chance = |apart: u64| fastrand::Rng::with_seed(plan.seed ^ apart);
    let (mut erased, mut alone) = (chance(ERASED), chance(ALONE));
    let (mut back, mut twice) = (chance(ROLLED_BACK), chance(TWICE));
    if is_restored(plan) {
        return;
    }
    if one_in(&mut alone, RARE) {
        link(&mut alone, plan);
    }
    if one_in(&mut back, RARE) {
        let at = back.u32(900..plan.lasts.max(901));
        plan.happens.push(Happening::RolledBack { at });
    }
    if one_in(&mut twice, RARE) {
        said_twice(&mut twice, plan);
    }
    if one_in(&mut erased, RARE) {
        erasure(&mut erased, plan);
    }
}

/// An administrator wants to be taken for somebody else, who may be on call next (R20).
fn link(chance: &mut fastrand::Rng, plan: &mut Plan) {
    let at = chance.u32(plan.lasts / 4..plan.lasts.max(1));
    let &[person, to] = some(chance, plan, 2).as_slice() else { return };
    plan.happens.push(Happening::LinksAlone { at, person, to });
}

/// A platform says twice that somebody is on call, and then that another one is (R4): nothing of it may stay.
fn said_twice(chance: &mut fastrand::Rng, plan: &mut Plan) {
    let &[before, after] = some(chance, plan, 2).as_slice() else { return };
    let from = chance.u32(900..=3_600);
    let swaps = from + chance.u32(1_800..=3_600);
    let to = Some(swaps + chance.u32(3_600..=14_400));
    let shift = Shift { user: Some(before), from, to, announced: 0, withdrawn: Some(swaps) };
    let other = Shift { user: Some(after), from: swaps, to, announced: swaps, withdrawn: None };
    joins(plan, "twice", vec![shift.clone(), shift, other]);
}

/// Somebody is on call once and departs. Administrators try to erase them all the while (R19).
fn erasure(chance: &mut fastrand::Rng, plan: &mut Plan) {
    let person = newcomer(plan);
    let from = chance.u32(900..=3_600);
    let to = from + chance.u32(1_800..=7_200);
    let shift = Shift { user: Some(person), from, to: Some(to), announced: 0, withdrawn: None };
    joins(plan, "departing", vec![shift]);
    let departs = to + chance.u32(..=3_600);
    plan.happens.push(Happening::Departs { at: departs, person });
    let soon = [from + 60, to - 60, to + 60, departs + 600];
    let later = (0..6).map(|hours| departs + DAY + hours * 3_600 + chance.u32(..3_600));
    let times: Vec<Second> = soon.into_iter().chain(later).collect();
    plan.happens.extend(times.into_iter().filter(|at| *at < plan.lasts).map(|at| Happening::Erases { at, person }));
}
