//! Everything that goes wrong, and everything that other people do. Many seeds have none of it, so that what should be on
//! time in quiet times is.

use super::{company, one_in};
use crate::plan::{AppFault, Denies, Happening, Plan, PlatformFault, QueueFault, Second, Shift, TableFault};
use crate::world::faults::{QueueTrouble, TableTrouble};

const PLATFORM: [&str; 10] =
    ["outage", "throttled", "unauthorized", "forbidden", "not_found", "garbage", "slow", "empty", "half", "stale"];
const APP: [&str; 10] =
    ["fail", "throttled", "conflict", "permanent", "lost_before", "lost_after", "lie", "lie", "late_failure", "slow"];

/// An instant at which something is likely to be going on: around the time at which access begins or ends, within a shift,
/// or once in a while at any time.
pub(super) fn moment(chance: &mut fastrand::Rng, plan: &Plan) -> Second {
    match chance.u8(..8) {
        0..=4 => turn(chance, plan, 120),
        5 | 6 => {
            let Some(shift) = shift(chance, plan).map(|(_, shift)| shift) else { return 0 };
            let until = shift.to.unwrap_or(plan.lasts).min(plan.lasts).max(shift.from + 1);
            chance.u32(shift.from..until)
        }
        _ => chance.u32(..plan.lasts.max(1)),
    }
}

/// A shift in the time that is watched, with the number of its rotation.
pub(super) fn shift<'a>(chance: &mut fastrand::Rng, plan: &'a Plan) -> Option<(usize, &'a Shift)> {
    let number = chance.usize(..plan.rotations.len().max(1));
    let shifts = &plan.rotations.get(number)?.shifts;
    let shift = shifts.get(chance.usize(..shifts.len().max(1)))?;
    Some((number, shift)).filter(|_| shift.from < plan.lasts)
}

/// A time at which access begins or ends, by one of the profiles that the rotation gives, or up to so many seconds before
/// it or after it.
fn turn(chance: &mut fastrand::Rng, plan: &Plan, apart: Second) -> Second {
    let begins = one_in(chance, 2);
    let Some((number, shift)) = shift(chance, plan) else { return chance.u32(..plan.lasts.max(1)) };
    let giving = plan.profiles.iter().filter(|profile| profile.rotations.contains(&number));
    let giving: Vec<_> = giving.collect();
    let (lead, grace) = chance.choice(giving).map_or((0, 0), |profile| (profile.lead, profile.grace));
    let at = match shift.to {
        Some(to) if !begins => to.saturating_add(grace),
        _ => shift.from.saturating_sub(lead),
    };
    (at + chance.u32(..=2 * apart)).saturating_sub(apart).min(plan.lasts)
}

pub(super) fn happenings(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Happening> {
    let mut happens = Vec::new();
    let weeks = plan.lasts.div_ceil(7 * 86_400).max(1);
    if !one_in(chance, 4) {
        for _ in 0..chance.u32(1..=4) * weeks {
            let trouble = trouble(chance, plan);
            happens.push(trouble);
        }
    }
    happens.extend(away(chance, plan));
    if one_in(chance, 2) {
        for _ in 0..chance.u32(1..=3) * weeks {
            happens.extend(others(chance, plan));
        }
    }
    happens
}

fn trouble(chance: &mut fastrand::Rng, plan: &Plan) -> Happening {
    let from = moment(chance, plan);
    match chance.u8(..20) {
        0..=4 => Happening::Platform(platform(chance, plan, from)),
        5..=9 => Happening::App(app(chance, plan, from)),
        10 | 11 => {
            let kinds =
                [TableTrouble::Throttled, TableTrouble::LostRequest, TableTrouble::LostAnswer, TableTrouble::Conflict];
            let kind = *kinds.get(chance.usize(..4)).unwrap_or(&TableTrouble::Throttled);
            let from = turn(chance, plan, 10);
            Happening::Table(TableFault { kind, from, to: from + chance.u32(5..=180), one_in: chance.u32(1..=8) })
        }
        12 | 13 => {
            let kinds = [QueueTrouble::Duplicated, QueueTrouble::Delayed, QueueTrouble::Lost, QueueTrouble::Refused];
            let kind = *kinds.get(chance.usize(..4)).unwrap_or(&QueueTrouble::Lost);
            let after = if one_in(chance, 3) { 0 } else { chance.u32(1..=200) };
            let to = from + chance.u32(5..=600);
            Happening::Queue(QueueFault { kind, from, to, one_in: chance.u32(1..=3), after })
        }
        14..=16 => Happening::Crash { at: turn(chance, plan, 3), point: chance.u32(..60) },
        17 => Happening::Deploy { at: from },
        18 if one_in(chance, 2) => Happening::Pause { from, to: from + chance.u32(60..=4 * 3_600) },
        18 => Happening::TickSkipped { from, to: from + chance.u32(60..=360) },
        _ => Happening::TickDoubled { from, to: from + chance.u32(60..=1_800) },
    }
}

/// Dutykey is away for longer than the shortest lease, while somebody is on call who should find it as they left it.
fn away(chance: &mut fastrand::Rng, plan: &Plan) -> Option<Happening> {
    let lease = plan.profiles.iter().map(|profile| profile.lease).min()?;
    let lasts =
        |shift: &&Shift| shift.to.unwrap_or(plan.lasts).min(plan.lasts).saturating_sub(shift.from) > lease + 900;
    let long = plan.rotations.iter().flat_map(|rotation| &rotation.shifts).filter(lasts);
    let shift = chance.choice(long.collect::<Vec<_>>()).filter(|_| lease <= 2 * 3_600)?;
    let from = shift.from + chance.u32(120..=600);
    one_in(chance, 2).then(|| Happening::Pause { from, to: from + lease + chance.u32(..600) })
}

fn platform(chance: &mut fastrand::Rng, plan: &Plan, from: Second) -> PlatformFault {
    let kind = PLATFORM.get(chance.usize(..PLATFORM.len())).copied().unwrap_or("outage");
    let long = one_in(chance, 4) && !matches!(kind, "empty" | "half" | "stale");
    let number = chance.usize(..plan.rotations.len().max(1));
    let source = plan.rotations.get(number);
    PlatformFault {
        source: source.map_or_else(|| "pd".to_owned(), |rotation| rotation.source.clone()),
        kind: kind.to_owned(),
        from,
        to: if long { from + chance.u32(3_600..=6 * 3_600) } else { from + chance.u32(60..=2_400) },
        rotation: one_in(chance, 3).then_some(number),
        after: match kind {
            "slow" | "throttled" => Some(chance.u32(1..=40)),
            "stale" => Some(chance.u32(60..=7_200)),
            _ => None,
        },
    }
}

fn app(chance: &mut fastrand::Rng, plan: &Plan, from: Second) -> AppFault {
    let kind = APP.get(chance.usize(..APP.len())).copied().unwrap_or("fail");
    let writes = matches!(kind, "lie" | "late_failure");
    let on = match chance.u8(..8) {
        0 => Some("grant"),
        1..=3 => Some("revoke"),
        4 if writes => Some("revoke"),
        4 => Some("observe"),
        _ => None,
    };
    let from = if on.is_some() { turn(chance, plan, 10) } else { from };
    AppFault {
        app: chance.usize(..plan.apps.len().max(1)),
        kind: kind.to_owned(),
        from,
        to: from + chance.u32(5..=600),
        on: on.map(str::to_owned),
        times: one_in(chance, 2).then(|| chance.u32(1..=4)),
        after: match kind {
            "slow" => Some(chance.u32(1..=25)),
            "fail" | "throttled" => one_in(chance, 2).then(|| chance.u32(1..=60)),
            _ => None,
        },
    }
}

fn others(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Happening> {
    let at = moment(chance, plan);
    let person = chance.usize(..plan.people.len().max(1));
    let app = chance.usize(..plan.apps.len().max(1));
    let known = plan.apps.get(app);
    match chance.u8(..11) {
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
        5 | 10 => {
            // Some hours before they are on call, as likely as not, and to an address that another one has.
            let soon = shift(chance, plan).and_then(|(_, shift)| Some((shift.user?, shift.from)));
            let (person, at) = match soon {
                Some((user, from)) if !one_in(chance, 4) => (user, from.saturating_sub(chance.u32(5_400..=14_400))),
                _ => (person, at),
            };
            let shifts = plan.rotations.iter().flat_map(|rotation| &rotation.shifts);
            let known = shifts.filter(|shift| shift.from < at).filter_map(|shift| shift.user);
            let known: Vec<usize> = known.filter(|user| *user != person).collect();
            let taken = chance.choice(known).unwrap_or_else(|| chance.usize(..plan.people.len().max(1)));
            let fresh = |person: usize| format!("new{person:03}@example.com");
            let other = plan.people.get(taken).filter(|_| taken != person && !one_in(chance, 3));
            let Some(other) = other else { return vec![Happening::Renamed { at, person, address: fresh(person) }] };
            // The other one still has it, or has given it up.
            let gives_up = Happening::Renamed { at: at.saturating_sub(60), person: taken, address: fresh(taken) };
            let takes = Happening::Renamed { at, person, address: other.address.clone() };
            if one_in(chance, 3) { vec![takes] } else { vec![gives_up, takes] }
        }
        6 | 7 => {
            let denies = match chance.u8(..5) {
                0 => Denies::Everything,
                1 => Denies::Profile(chance.usize(..plan.profiles.len().max(1))),
                2 => Denies::App(app),
                _ => Denies::Person(person),
            };
            let long = if one_in(chance, 2) { 2..=20 } else { 60..=14_400 };
            let until = (!one_in(chance, 3)).then(|| at + chance.u32(long));
            vec![Happening::Block { at, denies, freeze: one_in(chance, 3), until }]
        }
        _ => {
            let number = chance.usize(..plan.profiles.len().max(1));
            let to = (!one_in(chance, 4)).then(|| company::profile(chance, plan, number, plan.profiles.first()));
            vec![Happening::Edit { at, profile: number, to }]
        }
    }
}
