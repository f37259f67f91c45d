//! Tables that are put back to a backup while people hold access. Drawn last and from a chance of its own, so that
//! everything else of a seed stays as it is.

use super::{one_in, troubles};
use crate::plan::{Happening, Plan, Second};

/// What makes this chance another one than the rest of a seed has.
pub(super) const APART: u64 = 0x0bac_c0de;

/// The first reads are over by then: a table that knows nobody is no backup.
const FIRST: Second = 1_800;
/// What happened less long before a backup was taken may not be in it yet.
pub(super) const SLOW: Second = 1_200;
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

/// In the midst of somebody's duty, to what was there before it began or was heard of, or minutes to hours ago.
fn restore(chance: &mut fastrand::Rng, plan: &Plan, over: Second) -> Option<(Second, Second, Second)> {
    let Duty { news, from, until } = duty(chance, plan)?;
    let at = chance.u32(from..until);
    let backup = match news {
        Some(news) => news.checked_sub(chance.u32(60..=1_800))?,
        None => at.checked_sub(chance.u32(300..=6 * 3_600))?,
    };
    let lasts = chance.u32(600..=2_400);
    let fits = over < backup && at + lasts <= plan.lasts;
    (fits && !renames(plan, backup.saturating_sub(SLOW), at)).then_some((backup, at, lasts))
}

/// When somebody is on call, and since when there is something to forget of it, where the backup is to be older than that.
struct Duty {
    news: Option<Second>,
    from: Second,
    until: Second,
}

/// A shift, or as often as not an override of which the backup has heard nothing.
fn duty(chance: &mut fastrand::Rng, plan: &Plan) -> Option<Duty> {
    let laid = plan.rotations.iter().flat_map(|rotation| &rotation.overrides);
    let laid = laid.filter(|laid| laid.from.max(laid.announced) < laid.to.min(plan.lasts));
    let laid = chance.choice(laid.collect::<Vec<_>>()).filter(|_| one_in(chance, 2));
    if let Some(laid) = laid {
        let from = laid.from.max(laid.announced);
        return Some(Duty { news: Some(laid.announced), from, until: laid.to.min(plan.lasts) });
    }
    let (_, shift) = troubles::shift(chance, plan)?;
    let until = shift.to.unwrap_or(plan.lasts).min(plan.lasts).max(shift.from + 1);
    let news = one_in(chance, 2).then_some(shift.from);
    Some(Duty { news, from: shift.from, until })
}

/// Whether somebody gets another address between the two: whoever is met anew by it may be anybody.
fn renames(plan: &Plan, from: Second, to: Second) -> bool {
    let between = |at: Second| from <= at && at <= to;
    plan.happens.iter().any(|happening| matches!(happening, Happening::Renamed { at, .. } if between(*at)))
}
