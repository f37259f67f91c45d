//! People with what platforms and apps know of them, the apps, and the profiles.

use std::collections::BTreeSet;
use std::num::NonZeroU8;

use super::{Size, one_in};
use crate::plan::{App, Gives, Group, Human, Offer, Plan, Profile, What};

/// People: most of them plain, some such that nobody can be sure who they are.
pub(super) fn people(chance: &mut fastrand::Rng, size: Size) -> Vec<Human> {
    let count = chance.usize(size.least..=size.most);
    let mut people: Vec<Human> = Vec::with_capacity(count);
    for number in 0..count {
        let address = format!("p{number:03}@example.com");
        let account = (format!("acc{number:03}"), address.clone());
        let mut human = Human { address: address.clone(), accounts: vec![account.clone()], active: true };
        match chance.u8(..24) {
            0 => human.accounts.clear(),
            1 => human.accounts.push((format!("acc{number:03}b"), address)),
            2 => human.address = format!("p{number:03}@elsewhere.test"),
            3 => human.active = false,
            4 => human.address = address.to_uppercase(),
            5 if number > 0 => {
                let other = chance.usize(..number);
                if let Some(other) = people.get(other) {
                    human.address = other.address.clone();
                }
            }
            _ => {}
        }
        people.push(human);
    }
    people
}

/// Apps with standing access in them.
pub(super) fn apps(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<App> {
    let people = plan.people.len();
    let count = 1 + usize::from(one_in(chance, 3));
    let some = |chance: &mut fastrand::Rng, many: u32| -> BTreeSet<usize> {
        (0..people).filter(|_| one_in(chance, many)).collect()
    };
    (0..count)
        .map(|number| {
            let groups = (0..chance.usize(1..=3)).map(|group| Group {
                id: format!("g{group}"),
                members: some(chance, 6),
                inherited: some(chance, 12),
            });
            let groups = groups.collect();
            let roles: Vec<String> = match chance.u8(..2) {
                0 => Vec::new(),
                _ => ["viewer", "responder", "manager", "admin"].map(str::to_owned).to_vec(),
            };
            let values = if roles.is_empty() { BTreeSet::new() } else { some(chance, 2) };
            let values = values.into_iter().map(|person| (person, chance.usize(..3))).collect();
            let asynchronous = one_in(chance, 4).then(|| chance.u32(1..=20));
            App {
                id: format!("app{number}"),
                groups,
                roles,
                values,
                latency_ms: *[0, 40, 300].get(chance.usize(..3)).unwrap_or(&0),
                asynchronous,
                propagation: if one_in(chance, 3) { chance.u32(1..=30) } else { 0 },
                native_end: one_in(chance, 4),
                tells_owner: one_in(chance, 3),
                serialize: one_in(chance, 5).then(|| {
                    let by = ["place", "account", "app"];
                    by.get(chance.usize(..3)).copied().unwrap_or("place").to_owned()
                }),
                turns: NonZeroU8::MIN,
                limit: one_in(chance, 10).then(|| chance.u32(2..=10)),
            }
        })
        .collect()
}

/// A profile over some of the rotations and some of what the apps have, with no shorter a lease than the one it is like.
pub(super) fn profile(chance: &mut fastrand::Rng, plan: &Plan, number: usize, like: Option<&Profile>) -> Profile {
    let mut gives = BTreeSet::new();
    for (app, known) in plan.apps.iter().enumerate() {
        for group in 0..known.groups.len() {
            if one_in(chance, 2) {
                gives.insert(Gives { app, what: What::Group(group) });
            }
        }
        if !known.roles.is_empty() && one_in(chance, 2) {
            gives.insert(Gives { app, what: What::Role(chance.usize(1..known.roles.len())) });
        }
    }
    if gives.is_empty() {
        gives.insert(Gives { app: 0, what: What::Group(0) });
    }
    let mut rotations: BTreeSet<usize> = (0..plan.rotations.len()).filter(|_| one_in(chance, 2)).collect();
    if rotations.is_empty() {
        rotations.insert(chance.usize(..plan.rotations.len().max(1)));
    }
    // Short leases are for some companies only: whoever has one is read the more often for it.
    let lease = match chance.u8(..16) {
        0 => 3_600,
        1 => 4 * 3_600,
        2 | 3 => 12 * 3_600,
        _ => 24 * 3_600,
    };
    let pick = |chance: &mut fastrand::Rng, of: &[u32]| *of.get(chance.usize(..of.len())).unwrap_or(&0);
    Profile {
        id: format!("profile{number}"),
        gives: gives.into_iter().collect(),
        rotations,
        lead: pick(chance, &[0, 0, 0, 60, 300, 900]),
        grace: pick(chance, &[0, 0, 0, 60, 60, 600, 600, 3_600]),
        lease: like.map_or(lease, |first| if one_in(chance, 4) { 24 * 3_600 } else { first.lease }),
        lock: pick(chance, &[0, 0, 600, 1_800]),
        enrolls: true,
        offer: like.map_or(Offer::None, |first| first.offer),
    }
}

/// Profiles, some of which give the same.
pub(super) fn profiles(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Profile> {
    let count = chance.usize(1..=3) + plan.people.len() / 60;
    let first = profile(chance, plan, 0, None);
    let others: Vec<Profile> = (1..count).map(|number| profile(chance, plan, number, Some(&first))).collect();
    let mut profiles = vec![first];
    profiles.extend(others);
    // A rotation that gives nothing is rare.
    for rotation in 0..plan.rotations.len() {
        let owned = profiles.iter().any(|profile| profile.rotations.contains(&rotation));
        let taker = chance.usize(..profiles.len().max(1));
        if !owned
            && !one_in(chance, 8)
            && let Some(profile) = profiles.get_mut(taker)
        {
            profile.rotations.insert(rotation);
        }
    }
    profiles
}
