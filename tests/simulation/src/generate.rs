//! From a seed to a plan: a random company with a random rota, and everything that goes wrong.

mod added;
mod coincidences;
mod company;
mod crossed;
mod crowds;
mod people;
mod rare;
mod restores;
mod rota;
mod troubles;

use jiff::Timestamp;

use crate::plan::{Happening, Human, Plan, Profile, Rotation, Second, Shift};

/// How large the companies are and how long they are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// At least so many people.
    pub least: usize,
    /// At most so many.
    pub most: usize,
    /// For so many days.
    pub days: u32,
}

/// Days on which clocks change in one direction or the other, a leap day, and an ordinary one.
const BEGINNINGS: [&str; 6] = [
    "2026-03-28T12:00:00Z",
    "2026-10-24T12:00:00Z",
    "2026-03-07T12:00:00Z",
    "2026-10-31T12:00:00Z",
    "2028-02-28T12:00:00Z",
    "2026-11-23T00:00:00Z",
];

/// The plan of a seed.
#[must_use]
pub fn plan(seed: u64, size: Size) -> Plan {
    let mut chance = fastrand::Rng::with_seed(seed);
    let begins = chance.choice(BEGINNINGS).and_then(|begins| begins.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let lasts: Second = size.days * 86_400;
    let clock = |chance: &mut fastrand::Rng| if chance.u8(..4) == 0 { chance.i64(-900..=900) } else { 0 };
    let mut plan = Plan {
        seed,
        epoch: begins,
        lasts,
        rest: 3 * 3_600,
        tick_second: chance.u32(..60),
        clocks_ms: std::array::from_fn(|_| clock(&mut chance)),
        people: company::people(&mut chance, size),
        rotations: Vec::new(),
        apps: Vec::new(),
        profiles: Vec::new(),
        directory: chance.u8(..4) == 0,
        tells_makers: chance.u8(..3) > 0,
        happens: Vec::new(),
        links: Vec::new(),
    };
    plan.rotations = rota::rotations(&mut chance, &plan);
    plan.apps = company::apps(&mut chance, &plan);
    plan.profiles = company::profiles(&mut chance, &plan);
    plan.happens = troubles::happenings(&mut chance, &plan);
    people::act(&mut fastrand::Rng::with_seed(!seed), &mut plan);
    let restores = restores::restores(&mut fastrand::Rng::with_seed(seed ^ restores::APART), &plan);
    plan.happens.extend(restores);
    added::add(&mut plan);
    coincidences::meet(&mut fastrand::Rng::with_seed(seed ^ coincidences::APART), &mut plan);
    crowds::gather(&mut fastrand::Rng::with_seed(seed ^ crowds::APART), &mut plan);
    crossed::reads(&mut fastrand::Rng::with_seed(seed ^ crossed::APART), &mut plan);
    rare::add(&mut plan);
    plan
}

/// Whether the table is restored: then nobody may come whom the restores were not drawn with.
fn is_restored(plan: &Plan) -> bool {
    plan.happens.iter().any(|happening| matches!(happening, Happening::Restored { .. }))
}

/// So many different people, where there are as many.
fn some(chance: &mut fastrand::Rng, plan: &Plan, count: usize) -> Vec<usize> {
    let mut people: Vec<usize> = (0..plan.people.len()).collect();
    chance.shuffle(&mut people);
    people.truncate(count);
    people
}

/// Adds somebody of whom nobody can be in doubt, and answers their number.
fn newcomer(plan: &mut Plan) -> usize {
    let number = plan.people.len();
    let address = format!("p{number:03}@example.com");
    let accounts = vec![(format!("acc{number:03}"), address.clone())];
    plan.people.push(Human { address, accounts, active: true });
    number
}

/// Adds a rotation on a source of its own, and a profile of its people, who get on time what the first profile gives. Answers
/// the number of the rotation.
fn joins(plan: &mut Plan, source: &str, shifts: Vec<Shift>) -> usize {
    let number = plan.rotations.len();
    let id = format!("r{number}");
    plan.rotations.push(Rotation { source: source.to_owned(), id, shifts, overrides: Vec::new() });
    let id = format!("profile{}", plan.profiles.len());
    let like = plan.profiles.first().cloned();
    let rotations = [number].into();
    plan.profiles.extend(like.map(|like| Profile { id, rotations, lead: 0, lock: 0, enrolls: true, ..like }));
    number
}

/// Draws true one time in so many.
fn one_in(chance: &mut fastrand::Rng, many: u32) -> bool {
    chance.u32(..many.max(1)) == 0
}
