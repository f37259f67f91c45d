//! What people do themselves: they ask, take and give back. Drawn from a chance of its own, so that everything else of a seed
//! stays as it is.

use super::{one_in, troubles};
use crate::plan::{Happening, LONGEST, Offer, Plan, Second};

/// Lets people of one company in two act on their own.
pub(super) fn act(chance: &mut fastrand::Rng, plan: &mut Plan) {
    if one_in(chance, 2) {
        return;
    }
    for profile in &mut plan.profiles {
        profile.offer = if one_in(chance, 2) { Offer::Asked } else { Offer::Approved };
    }
    // Whoever edits a profile leaves its offer, mostly.
    for happening in &mut plan.happens {
        if let Happening::Edit { profile, to: Some(to), .. } = happening
            && let Some(before) = plan.profiles.get(*profile)
        {
            to.offer = if one_in(chance, 4) { Offer::None } else { before.offer };
        }
    }
    let weeks = plan.lasts.div_ceil(7 * 86_400).max(1);
    for _ in 0..chance.u32(1..=4) * weeks {
        let acts = if one_in(chance, 3) { takes(chance, plan) } else { asks(chance, plan) };
        plan.happens.extend(acts);
    }
    let blocks: Vec<Second> = plan.happens.iter().filter_map(blocked).collect();
    for at in blocks {
        if one_in(chance, 2) {
            plan.happens.push(Happening::Lift { at: at + chance.u32(1..=1_800) });
        }
    }
}

fn blocked(happening: &Happening) -> Option<Second> {
    match happening {
        Happening::Block { at, .. } => Some(*at),
        _ => None,
    }
}

fn lasts(chance: &mut fastrand::Rng) -> Second {
    if one_in(chance, 3) { chance.u32(30..=600) } else { chance.u32(600..=LONGEST) }
}

fn takes(chance: &mut fastrand::Rng, plan: &Plan) -> Option<Happening> {
    let at = troubles::moment(chance, plan);
    let person = chance.usize(..plan.people.len().max(1));
    let (profile, lasts) = (chance.usize(..plan.profiles.len().max(1)), lasts(chance));
    let back = one_in(chance, 3).then(|| chance.u32(..lasts));
    Some(Happening::Takes { at, person, profile, lasts, back })
}

/// Somebody asks in the midst of a shift, or shortly before it ends.
fn asks(chance: &mut fastrand::Rng, plan: &Plan) -> Option<Happening> {
    let (rotation, shift) = troubles::shift(chance, plan)?;
    let person = shift.user?;
    let to = shift.to.unwrap_or(plan.lasts).min(plan.lasts).max(shift.from + 1);
    let late = one_in(chance, 3);
    let from = if late { to.saturating_sub(900).max(shift.from) } else { shift.from };
    let at = chance.u32(from..to);
    let giving = (0..plan.profiles.len())
        .filter(|number| plan.profiles.get(*number).is_some_and(|profile| profile.rotations.contains(&rotation)));
    let profile = chance.choice(giving.collect::<Vec<_>>())?;
    let lasts = lasts(chance);
    let decided = (!one_in(chance, 6)).then(|| (chance.u32(1..=900), !one_in(chance, 5)));
    let more = one_in(chance, 4).then(|| (chance.u32(1_000..=1_000 + lasts), chance.u32(600..=LONGEST)));
    let back = one_in(chance, 4).then(|| chance.u32(1..=lasts));
    Some(Happening::Asks { at, person, profile, rotation, lasts, decided, more, back })
}
