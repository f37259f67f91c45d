//! What people do themselves: they ask, take and give back. Drawn from a chance of its own, so that everything else of a seed
//! stays as it is.

use std::collections::BTreeSet;

use super::{one_in, troubles};
use crate::plan::{App, Gives, Happening, LONGEST, Offer, Override, Plan, Profile, Second, Shift, What};

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
    for _ in 0..chance.u32(2..=6) * weeks {
        let acts = if one_in(chance, 3) { takes(chance, plan) } else { asks(chance, plan) };
        plan.happens.extend(acts);
    }
    // What nobody has without asking shows what asking gives.
    for profile in &mut plan.profiles {
        profile.enrolls = !one_in(chance, 2);
    }
    let asked: Vec<Happening> =
        plan.happens.iter().filter(|one| matches!(one, Happening::Asks { .. })).cloned().collect();
    for asks in &asked {
        stands_in(chance, plan, asks);
    }
    for _ in 0..2 * weeks {
        let grown = grows(chance, plan);
        plan.happens.extend(grown.into_iter().flatten());
    }
    for happening in &mut plan.happens {
        if let Happening::Edit { profile, to: Some(to), .. } = happening
            && let Some(before) = plan.profiles.get(*profile)
        {
            to.enrolls = before.enrolls;
        }
    }
    let blocks: Vec<Second> = plan.happens.iter().filter_map(blocked).collect();
    for at in blocks {
        if one_in(chance, 2) {
            plan.happens.push(Happening::Lift { at: at + chance.u32(1..=1_800) });
        }
    }
}

/// Another one may stand in for whoever has asked.
fn stands_in(chance: &mut fastrand::Rng, plan: &mut Plan, asks: &Happening) {
    let Happening::Asks { at, person, rotation, .. } = asks else { return };
    let people = plan.people.len();
    if people < 2 || !one_in(chance, 3) {
        return;
    }
    let user = (person + chance.usize(1..people)) % people;
    let at = at + chance.u32(600..=1_800);
    let stands_in =
        Override { user, from: at, to: at + chance.u32(3_600..=14_400), by: None, announced: at, withdrawn: None };
    if let Some(rotation) = plan.rotations.get_mut(*rotation) {
        rotation.overrides.push(stands_in);
    }
}

/// Somebody asks early in a long shift for what nobody has without asking, and then the profile becomes larger; they may give
/// it back after that.
fn grows(chance: &mut fastrand::Rng, plan: &Plan) -> Option<[Happening; 2]> {
    let long = |shift: &Shift| shift.to.unwrap_or(plan.lasts) > shift.from + 3_600;
    let (rotation, shift) = (0..8).filter_map(|_| troubles::shift(chance, plan)).find(|(_, shift)| long(shift))?;
    let person = shift.user?;
    let at = shift.from + chance.u32(300..=900);
    let asked = |number: &usize| {
        let profile = plan.profiles.get(*number);
        profile.is_some_and(|profile| !profile.enrolls && profile.rotations.contains(&rotation))
    };
    let number = chance.choice((0..plan.profiles.len()).filter(asked).collect::<Vec<_>>())?;
    let before = plan.profiles.get(number)?.clone();
    let gives: BTreeSet<Gives> = before.gives.iter().cloned().chain(everything(plan)).collect();
    let to = Some(Profile { gives: gives.into_iter().collect(), ..before });
    let (decided, more, back) = (Some((60, true)), None, one_in(chance, 2).then(|| chance.u32(1_860..=2_600)));
    let asks = Happening::Asks { at, person, profile: number, rotation, lasts: LONGEST, decided, more, back };
    Some([asks, Happening::Edit { at: at + chance.u32(600..=1_800), profile: number, to }])
}

/// Every group of every app.
fn everything(plan: &Plan) -> Vec<Gives> {
    let groups = |app: usize, known: &App| (0..known.groups.len()).map(move |n| Gives { app, what: What::Group(n) });
    plan.apps.iter().enumerate().flat_map(|(app, known)| groups(app, known)).collect()
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
