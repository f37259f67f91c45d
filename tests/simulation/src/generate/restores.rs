//! Tables that are put back to a backup while people hold access. Drawn last and from a chance of its own, so that
//! everything else of a seed stays as it is.

use super::{one_in, troubles};
use crate::plan::{Happening, Plan, Second};

/// What makes this chance another one than the rest of a seed has.
pub(super) const APART: u64 = 0x0bac_c0de;

/// The first reads are over by then: a table that knows nobody is no backup.
const FIRST: Second = 1_800;
/// So long before the backup was taken whatever platforms began to show may not be in it yet.
pub(super) const SLOW: Second = 1_200;
/// Rotas are read so far ahead.
const HORIZON: Second = 14 * 86_400;
/// So often a time is drawn at which a restore can be judged.
const TRIES: usize = 16;

/// One company in eight has its table restored, one that is watched for long perhaps twice.
pub(super) fn restores(chance: &mut fastrand::Rng, plan: &Plan) -> Vec<Happening> {
    let mut restores = Vec::new();
    if !one_in(chance, 8) {
        return restores;
    }
    let times = if plan.lasts > 7 * 86_400 { chance.u32(1..=2) } else { 1 };
    let mut over = FIRST;
    for _ in 0..times {
        let Some((backup, at, lasts)) = (0..TRIES).find_map(|_| restore(chance, plan, over)) else { break };
        // The next one is put back to what was there after this one.
        over = at + lasts + SLOW;
        restores.push(Happening::Restored { backup, at, lasts });
    }
    restores
}

/// In the midst of a shift, to what was there before it began or minutes to hours ago.
fn restore(chance: &mut fastrand::Rng, plan: &Plan, over: Second) -> Option<(Second, Second, Second)> {
    let (from, until) = {
        let (_, shift) = troubles::shift(chance, plan)?;
        (shift.from, shift.to.unwrap_or(plan.lasts).min(plan.lasts).max(shift.from + 1))
    };
    let at = chance.u32(from..until);
    let before = one_in(chance, 2);
    let earliest = if before { from } else { at };
    let backup = earliest.checked_sub(if before { chance.u32(60..=1_800) } else { chance.u32(300..=6 * 3_600) })?;
    let lasts = chance.u32(600..=2_400);
    let fits = over < backup && at + lasts <= plan.lasts;
    (fits && !meets(plan, backup.saturating_sub(SLOW), at)).then_some((backup, at, lasts))
}

/// Whether somebody may be met for the first time between the two, by their rota, by another address or by another
/// profile: the table forgets who they are, and meets them as somebody else while what they held ends.
fn meets(plan: &Plan, from: Second, to: Second) -> bool {
    let between = |at: Second| from <= at && at <= to;
    let shown = |announced: Second, begins: Second| announced.max(begins.saturating_sub(HORIZON));
    let first = |person: usize| {
        let shifts = plan.rotations.iter().flat_map(|rotation| &rotation.shifts);
        let laid = plan.rotations.iter().flat_map(|rotation| &rotation.overrides);
        let shifts = shifts.filter(|shift| shift.user == Some(person)).map(|shift| shown(shift.announced, shift.from));
        let laid = laid.filter(|laid| laid.user == person).map(|laid| shown(laid.announced, laid.from));
        shifts.chain(laid).min()
    };
    let changes = |happening: &Happening| match happening {
        Happening::Renamed { at, .. } | Happening::Edit { at, .. } => between(*at),
        _ => false,
    };
    (0..plan.people.len()).filter_map(first).any(between) || plan.happens.iter().any(changes)
}
