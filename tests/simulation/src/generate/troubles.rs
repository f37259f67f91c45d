//! Everything that goes wrong, and everything that other people do. Many seeds have none of it, so that what should be on
//! time in quiet times is.

use super::{company, one_in};
use crate::plan::{AppFault, Denies, Happening, Plan, PlatformFault, QueueFault, Second, TableFault};
use crate::world::faults::{QueueTrouble, TableTrouble};

const PLATFORM: [&str; 10] =
    ["outage", "throttled", "unauthorized", "forbidden", "not_found", "garbage", "slow", "empty", "half", "stale"];
const APP: [&str; 9] =
    ["fail", "throttled", "conflict", "permanent", "lost_before", "lost_after", "lie", "late_failure", "slow"];

/// An instant at which something is likely to be going on: near a boundary as often as not.
fn moment(chance: &mut fastrand::Rng, plan: &Plan) -> Second {
    let rotation = plan.rotations.get(chance.usize(..plan.rotations.len().max(1)));
    let shift = rotation.and_then(|rotation| rotation.shifts.get(chance.usize(..rotation.shifts.len().max(1))));
    match shift.filter(|shift| one_in(chance, 2) && shift.from > 0 && shift.from < plan.lasts) {
        Some(shift) => (shift.from + chance.u32(..240)).saturating_sub(120),
        None => chance.u32(..plan.lasts.max(1)),
    }
}

pub(super) fn happenings(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Happening> {
    let mut happens = Vec::new();
    if !one_in(chance, 3) {
        let days = (plan.lasts / 86_400).max(1);
        for _ in 0..chance.u32(1..=4) * days.div_ceil(2) {
            let trouble = trouble(chance, plan);
            happens.push(trouble);
        }
    }
    if one_in(chance, 2) {
        for _ in 0..chance.u32(1..=3) {
            happens.extend(others(chance, plan));
        }
    }
    happens
}

fn trouble(chance: &mut fastrand::Rng, plan: &Plan) -> Happening {
    let from = moment(chance, plan);
    let short = from + chance.u32(5..=600);
    match chance.u8(..20) {
        0..=4 => {
            let kind = PLATFORM.get(chance.usize(..PLATFORM.len())).copied().unwrap_or("outage");
            let long = one_in(chance, 4) && !matches!(kind, "empty" | "half" | "stale");
            let source = plan.rotations.get(chance.usize(..plan.rotations.len().max(1)));
            Happening::Platform(PlatformFault {
                source: source.map_or_else(|| "pd".to_owned(), |rotation| rotation.source.clone()),
                kind: kind.to_owned(),
                from,
                to: if long { from + chance.u32(3_600..=6 * 3_600) } else { from + chance.u32(60..=2_400) },
                rotation: None,
                after: match kind {
                    "slow" | "throttled" => Some(chance.u32(1..=40)),
                    "stale" => Some(chance.u32(60..=7_200)),
                    _ => None,
                },
            })
        }
        5..=9 => {
            let kind = APP.get(chance.usize(..APP.len())).copied().unwrap_or("fail");
            Happening::App(AppFault {
                app: chance.usize(..plan.apps.len().max(1)),
                kind: kind.to_owned(),
                from,
                to: short,
                on: None,
                times: one_in(chance, 2).then(|| chance.u32(1..=4)),
                after: match kind {
                    "slow" => Some(chance.u32(1..=25)),
                    "fail" | "throttled" => one_in(chance, 2).then(|| chance.u32(1..=60)),
                    _ => None,
                },
            })
        }
        10 | 11 => {
            let kinds =
                [TableTrouble::Throttled, TableTrouble::LostRequest, TableTrouble::LostAnswer, TableTrouble::Conflict];
            let kind = *kinds.get(chance.usize(..4)).unwrap_or(&TableTrouble::Throttled);
            Happening::Table(TableFault { kind, from, to: from + chance.u32(5..=180), one_in: chance.u32(1..=8) })
        }
        12 | 13 => {
            let kinds = [QueueTrouble::Duplicated, QueueTrouble::Delayed, QueueTrouble::Lost, QueueTrouble::Refused];
            let kind = *kinds.get(chance.usize(..4)).unwrap_or(&QueueTrouble::Lost);
            let after = chance.u32(1..=200);
            Happening::Queue(QueueFault { kind, from, to: short, one_in: chance.u32(1..=3), after })
        }
        14..=16 => Happening::Crash { at: from, point: chance.u32(..60) },
        17 => Happening::Deploy { at: from },
        18 if one_in(chance, 2) => Happening::Pause { from, to: from + chance.u32(60..=4 * 3_600) },
        18 => Happening::TickSkipped { from, to: from + chance.u32(60..=360) },
        _ => Happening::TickDoubled { from, to: from + chance.u32(60..=1_800) },
    }
}

fn others(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Happening> {
    let at = moment(chance, plan);
    let person = chance.usize(..plan.people.len().max(1));
    let app = chance.usize(..plan.apps.len().max(1));
    let known = plan.apps.get(app);
    match chance.u8(..10) {
        0..=2 => {
            let group = chance.usize(..known.map_or(1, |app| app.groups.len()).max(1));
            vec![Happening::Others { at, app, group, person, add: one_in(chance, 2) }]
        }
        3 => {
            let roles = known.map_or(0, |app| app.roles.len());
            let value = (roles > 0 && !one_in(chance, 4)).then(|| chance.usize(..roles));
            if roles == 0 { Vec::new() } else { vec![Happening::Valued { at, app, person, value }] }
        }
        4 => vec![Happening::Leaves { at, person }],
        5 => {
            let taken = chance.usize(..plan.people.len().max(1));
            let fresh = format!("new{person:03}@example.com");
            let address = if one_in(chance, 2) {
                fresh
            } else {
                plan.people.get(taken).map_or(fresh, |other| other.address.clone())
            };
            vec![Happening::Renamed { at, person, address }]
        }
        6 | 7 => {
            let denies = match chance.u8(..5) {
                0 => Denies::Everything,
                1 => Denies::Profile(chance.usize(..plan.profiles.len().max(1))),
                2 => Denies::App(app),
                _ => Denies::Person(person),
            };
            let until = one_in(chance, 2).then(|| at + chance.u32(60..=14_400));
            vec![Happening::Block { at, denies, freeze: one_in(chance, 3), until }]
        }
        _ => {
            let number = chance.usize(..plan.profiles.len().max(1));
            let to = (!one_in(chance, 4)).then(|| company::profile(chance, plan, number));
            vec![Happening::Edit { at, profile: number, to }]
        }
    }
}
