//! What came to plans after many seeds had run: it is drawn last, each part from a chance of its own, so that everything
//! else of a seed stays as it is.

use std::num::NonZeroU8;

use super::restores::SLOW;
use super::{newcomer, one_in, troubles};
use crate::plan::{App, Gives, Group, Happening, Offer, Plan, Profile, Rotation, Second, Shift, System, What};

/// What makes these chances others than the rest of a seed has.
const OUTAGES: u64 = 0x0dea_da99;
const TURNS: u64 = 0x07ac_7e55;
const CROWDED: u64 = 0x0c40_3ded;
const GIVEN_BACK: u64 = 0x09be_bacc;
const RETIRED: u64 = 0x0e71_4ed0;

/// Adds it all.
pub(super) fn add(plan: &mut Plan) {
    let seed = plan.seed;
    let chance = |apart: u64| fastrand::Rng::with_seed(seed ^ apart);
    outages(&mut chance(OUTAGES), plan);
    turns(&mut chance(TURNS), plan);
    crowded(&mut chance(CROWDED), plan);
    give_back(&mut chance(GIVEN_BACK), plan);
    retire(&mut chance(RETIRED), plan);
}

/// One app of two that fails is down for hours (R9).
fn outages(chance: &mut fastrand::Rng, plan: &mut Plan) {
    let end = plan.lasts;
    for happening in &mut plan.happens {
        if let Happening::App(fault) = happening
            && fault.kind == "fail"
            && one_in(chance, 2)
        {
            let to = fault.from + chance.u32(3_600..=6 * 3_600);
            fault.to = fault.to.max(to.min(end));
            (fault.times, fault.after) = (None, None);
        }
    }
}

/// One app of two whose calls take turns has several of them (R11).
fn turns(chance: &mut fastrand::Rng, plan: &mut Plan) {
    for app in plan.apps.iter_mut().filter(|app| app.serialize.is_some()) {
        let several = NonZeroU8::new(chance.u8(2..=4)).filter(|_| one_in(chance, 2));
        app.turns = several.unwrap_or(app.turns);
    }
}

/// In one company of 200 somebody has more by one profile than a transaction holds, for a shift or two (R10).
fn crowded(chance: &mut fastrand::Rng, plan: &mut Plan) {
    if !one_in(chance, 200) {
        return;
    }
    let (person, app, rotation) = (newcomer(plan), plan.apps.len(), plan.rotations.len());
    let group = |group: usize| Group { id: format!("g{group}"), members: [].into(), inherited: [].into() };
    let groups: Vec<Group> = (0..chance.usize(45..=50)).map(group).collect();
    let gives = (0..groups.len()).map(|group| Gives { app, what: What::Group(group) }).collect();
    plan.apps.push(App {
        id: format!("app{app}"),
        groups,
        roles: Vec::new(),
        values: Vec::new(),
        latency_ms: 40,
        asynchronous: None,
        propagation: 0,
        native_end: false,
        tells_owner: false,
        serialize: None,
        turns: NonZeroU8::MIN,
        limit: None,
    });
    let source = plan.rotations.first().map_or_else(|| "pd".to_owned(), |rotation| rotation.source.clone());
    let mut shifts = Vec::new();
    let mut from = chance.u32(600..=(plan.lasts / 2).clamp(600, 43_200));
    for _ in 0..chance.u32(1..=2) {
        let to = from + chance.u32(1_800..=5_400);
        shifts.push(Shift { user: Some(person), from, to: Some(to), announced: 0, withdrawn: None });
        from = to + chance.u32(900..=3_600);
    }
    plan.rotations.push(Rotation { source, id: format!("r{rotation}"), shifts, overrides: Vec::new() });
    plan.profiles.push(Profile {
        id: format!("profile{}", plan.profiles.len()),
        gives,
        rotations: [rotation].into(),
        lead: if one_in(chance, 2) { 60 } else { 0 },
        grace: if one_in(chance, 2) { 600 } else { 0 },
        lease: 24 * 3_600,
        lock: 0,
        enrolls: true,
        offer: Offer::None,
    });
}

/// In one company of three people give back, in the midst of a shift, what they have by being on call (R2).
fn give_back(chance: &mut fastrand::Rng, plan: &mut Plan) {
    if !one_in(chance, 3) {
        return;
    }
    let weeks = plan.lasts.div_ceil(7 * 86_400).max(1);
    for _ in 0..chance.u32(1..=3) * weeks {
        let back = midst(chance, plan).and_then(|(at, rotation, person)| {
            let gives = |number: &usize| {
                let profile = plan.profiles.get(*number);
                profile.is_some_and(|profile| profile.enrolls && profile.rotations.contains(&rotation))
            };
            let profile = chance.choice((0..plan.profiles.len()).filter(gives).collect::<Vec<_>>())?;
            Some(Happening::GivesBack { at, person: person?, profile })
        });
        plan.happens.extend(back);
    }
}

/// In one company of six an app or a source retires in the midst of a shift (R23). The one that says who is active stays.
fn retire(chance: &mut fastrand::Rng, plan: &mut Plan) {
    if !one_in(chance, 6) {
        return;
    }
    let Some((at, rotation, _)) = midst(chance, plan) else { return };
    let app = chance.usize(..plan.apps.len().max(1));
    let source = plan.rotations.get(rotation).map(|rotation| System::Source(rotation.source.clone()));
    let what = source.filter(|_| one_in(chance, 2) || (plan.directory && app == 0)).unwrap_or(System::App(app));
    // A restore forgets a configuration until it is applied again. Edits stay out of its way as well.
    let forgets = |happening: &Happening| match happening {
        Happening::Restored { backup, at: put_back, lasts } => {
            (backup.saturating_sub(SLOW)..=put_back.saturating_add(*lasts)).contains(&at)
        }
        _ => false,
    };
    if !plan.happens.iter().any(forgets) {
        plan.happens.push(Happening::Retires { at, what });
    }
}

/// An instant in the midst of a shift, with the rotation and whoever is on call.
fn midst(chance: &mut fastrand::Rng, plan: &Plan) -> Option<(Second, usize, Option<usize>)> {
    let (rotation, shift) = troubles::shift(chance, plan)?;
    let until = shift.to.unwrap_or(plan.lasts).min(plan.lasts).max(shift.from + 1);
    Some((chance.u32(shift.from..until), rotation, shift.user))
}
