//! Schedules of every shape: short and long shifts, follow-the-sun, several at once, gaps and overlaps, hand-offs at an hour
//! of the wall clock across its changes, levels, overrides, edits, and a move to another form of schedule.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use super::one_in;
use crate::plan::{Override, Plan, Rotation, Second, Shift};

/// Rotations on one or two platforms.
pub(super) fn rotations(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Rotation> {
    let count = 1 + usize::from(one_in(chance, 3)) + usize::from(one_in(chance, 6)) + plan.people.len() / 25;
    let sources = if one_in(chance, 3) { 2 } else { 1 };
    let mut rotations = Vec::with_capacity(count);
    for number in 0..count {
        let source = ["pd", "ops"].get(chance.usize(..sources)).unwrap_or(&"pd");
        // Levels of one policy are rotations of their own.
        let id = if one_in(chance, 2) { format!("policy@{}", number + 1) } else { format!("r{number}") };
        let mut rotation =
            Rotation { source: (*source).to_owned(), id, shifts: base(chance, plan), overrides: Vec::new() };
        if one_in(chance, 6) {
            rotation.shifts.extend(base(chance, plan));
        }
        edits(chance, plan, &mut rotation);
        overrides(chance, plan, &mut rotation);
        rotations.push(rotation);
    }
    rotations
}

fn anybody(chance: &mut fastrand::Rng, plan: &Plan) -> usize {
    chance.usize(..plan.people.len().max(1))
}

fn days(plan: &Plan) -> usize {
    plan.lasts.div_ceil(86_400) as usize
}

/// The times at which one shift ends and the next begins.
fn boundaries(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Second> {
    let every = |every: Second, from: Second, until: Second| -> Vec<Second> {
        (0..).map(|n| from + n * every).take_while(|at| *at < until).collect()
    };
    let end = plan.lasts + 86_400;
    match chance.u8(..8) {
        // A few short shifts, then a long one.
        0 => {
            let (length, from) = (*[900, 1_800, 3_600].get(chance.usize(..3)).unwrap_or(&900), chance.u32(..43_200));
            let mut at = every(length, from, from + length * chance.u32(3..=8));
            at.push(end);
            at
        }
        1 => every(8 * 3_600, chance.u32(..8) * 3_600, end),
        2 => every(12 * 3_600, chance.u32(..12) * 3_600, end),
        3 => every(7 * 86_400, chance.u32(..86_400), end.max(8 * 86_400)),
        4 => every(14 * 86_400, chance.u32(..86_400), end.max(15 * 86_400)),
        // At an hour of the wall clock, over its changes.
        5 | 6 => {
            let zone = ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe"];
            let zone = zone.get(chance.usize(..3)).and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
            let time = Time::constant(
                i8::try_from(chance.u8(..24)).unwrap_or(9),
                if one_in(chance, 2) { 30 } else { 0 },
                0,
                0,
            );
            let first: Zoned = plan.epoch.to_zoned(zone.clone());
            (0..=days(plan) as i64 + 2)
                .filter_map(|day| {
                    let date = first.date().checked_add(day.days()).ok()?;
                    let at = date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp();
                    Second::try_from(at.duration_since(plan.epoch).as_secs()).ok()
                })
                .collect()
        }
        _ => every(86_400, chance.u32(..86_400), end),
    }
}

/// People who take turns between boundaries.
fn base(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Shift> {
    let mut at = boundaries(chance, plan);
    if at.first().is_none_or(|first| *first > 0) {
        at.insert(0, 0);
    }
    let team: Vec<usize> = (0..chance.usize(1..=4)).map(|_| anybody(chance, plan)).collect();
    let mut shifts = Vec::new();
    let part = !one_in(chance, 10);
    for (turn, pair) in at.windows(2).enumerate() {
        let &[from, to] = pair else { continue };
        if from >= to {
            continue;
        }
        // Most rotas cover a part of the day.
        let longest = if one_in(chance, 4) { 9_000 } else { 3_000 };
        let to = if part { to.min(from + chance.u32(900..=longest)) } else { to };
        let user = if one_in(chance, 20) { None } else { team.get(turn % team.len()).copied() };
        let from = match chance.u8(..16) {
            0 => from.saturating_sub(chance.u32(60..=1_800)),
            1 => (from + chance.u32(60..=1_800)).min(to - 1),
            _ => from,
        };
        shifts.push(Shift { user, from, to: Some(to), announced: 0, withdrawn: None });
    }
    // Somebody is away for a moment, and back before the apps have noticed.
    if one_in(chance, 5) {
        let number = chance.usize(..shifts.len().max(1));
        if let Some(shift) = shifts.get_mut(number)
            && let Some(to) = shift.to
            && to - shift.from > 600
        {
            let leaves = shift.from + chance.u32(60..to - shift.from - 120);
            let back = Shift { from: leaves + chance.u32(1..=20), ..shift.clone() };
            shift.to = Some(leaves);
            shifts.insert(number + 1, back);
        }
    }
    // Most companies are quiet for most of the time: a run is the cheaper for it, and nothing is rarer.
    let few = 2 + days(plan) / 4;
    let most = match chance.u8(..8) {
        0 => shifts.len(),
        1 | 2 => 2 * few.min(days(plan)),
        _ => few,
    };
    let first = chance.usize(..=shifts.len().saturating_sub(most));
    let mut shifts: Vec<Shift> = shifts.into_iter().skip(first).take(most).collect();
    if one_in(chance, 12)
        && let Some(last) = shifts.last_mut()
    {
        last.to = None;
    }
    shifts
}

/// Changes of the schedule itself: a move to another form, a shift that is split, moved, or taken away.
fn edits(chance: &mut fastrand::Rng, plan: &Plan, rotation: &mut Rotation) {
    if one_in(chance, 6) {
        // Everything gets another key and nobody's duty changes.
        let at = chance.u32(1..plan.lasts.max(2));
        let moved: Vec<Shift> = rotation
            .shifts
            .iter_mut()
            .filter(|shift| shift.withdrawn.is_none() && shift.announced < at)
            .map(|shift| {
                shift.withdrawn = Some(at);
                Shift { announced: at, withdrawn: None, ..shift.clone() }
            })
            .collect();
        rotation.shifts.extend(moved);
    }
    for _ in 0..chance.u32(..2) {
        let number = chance.usize(..rotation.shifts.len().max(1));
        let Some(shift) = rotation.shifts.get_mut(number).filter(|shift| shift.withdrawn.is_none()) else { continue };
        let Some(to) = shift.to else { continue };
        let near = shift.from.saturating_sub(7_200)..shift.from + 7_200;
        let at = chance.u32(near).max(shift.announced + 1);
        shift.withdrawn = Some(at);
        let middle = shift.from + (to - shift.from) / 2;
        let same = Shift { announced: at, withdrawn: None, ..shift.clone() };
        let next = match chance.u8(..4) {
            0 => vec![Shift { to: Some(middle), ..same.clone() }, Shift { from: middle, ..same }],
            1 => vec![Shift { from: (same.from + 900).min(to - 1), ..same }],
            2 => vec![Shift { to: Some(to + 1_800), ..same }],
            _ => vec![Shift { user: Some(anybody(chance, plan)), ..same }],
        };
        rotation.shifts.extend(next.into_iter().filter(|shift| shift.to.is_none_or(|to| shift.from < to)));
    }
}

/// Somebody stands in: announced long before, shortly before, at or after it begins.
fn overrides(chance: &mut fastrand::Rng, plan: &Plan, rotation: &mut Rotation) {
    for _ in 0..chance.u32(..3) {
        let number = chance.usize(..rotation.shifts.len().max(1));
        let begin = rotation.shifts.get(number).map_or(0, |shift| shift.from);
        let from = (begin + chance.u32(..7_200)).min(plan.lasts);
        let to = from + chance.u32(600..=14_400);
        let user = anybody(chance, plan);
        let announced = match chance.u8(..4) {
            0 => 0,
            1 => from.saturating_sub(chance.u32(..600)),
            2 => from,
            _ => from + chance.u32(..(to - from)),
        };
        let by = match chance.u8(..3) {
            0 => Some(user),
            1 => Some(anybody(chance, plan)),
            _ => None,
        };
        let withdrawn = one_in(chance, 5).then(|| announced + chance.u32(1..=7_200));
        rotation.overrides.push(Override { user, from, to, by, announced, withdrawn });
    }
}
