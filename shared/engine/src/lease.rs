//! The lease of a stale view: how far it has run down, and when to look at it again. One that was prolonged runs down until
//! its new end.

use std::time::Duration;

use dutykey_policy::look::Due;
use dutykey_policy::profile::Profile;
use dutykey_policy::time::{earlier, later, millis_between};
use dutykey_policy::wants::Freshness;
use jiff::Timestamp;

/// The lease of a rotation that no profile enrolls from.
const DEFAULT: Duration = Duration::from_secs(4 * 3_600);
/// The last warning comes this long before the end.
const LAST_WARNING: Duration = Duration::from_secs(1_800);

/// How far a lease has run down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Not yet half.
    Fresh = 0,
    /// Half of it has passed.
    Half = 1,
    /// It ends within half an hour.
    Last = 2,
    /// It is over.
    Over = 3,
}

/// The shortest lease of the profiles: the first that ends.
pub(crate) fn shortest<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> Duration {
    leases(profiles).min().unwrap_or(DEFAULT)
}

fn leases<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> impl Iterator<Item = Duration> {
    profiles.into_iter().filter_map(|profile| profile.enrollment.as_ref().map(|rule| rule.lease))
}

fn stages(view: Freshness, profiles: &[Profile]) -> [(Stage, Timestamp); 3] {
    let end = view.lease_end(shortest(profiles));
    let lasts = Duration::from_millis(millis_between(view.fresh_at, end).unsigned_abs());
    let half = later(view.fresh_at, lasts / 2);
    [(Stage::Half, half), (Stage::Last, earlier(end, LAST_WARNING).max(half)), (Stage::Over, end)]
}

/// How far the lease has run down at `now`. A view that was never read has none to run down.
pub(crate) fn stage(view: Option<Freshness>, profiles: &[Profile], now: Timestamp) -> Stage {
    let Some(view) = view else { return Stage::Fresh };
    stages(view, profiles).into_iter().rev().find(|(_, at)| *at <= now).map_or(Stage::Fresh, |(stage, _)| stage)
}

/// Whether the lease of one of the profiles, which by what was known `before` lasted beyond `since`, is over by what is
/// known `after` it, at `now`: the access that hangs on it must be looked at.
pub(crate) fn ended(
    (before, since): (Option<Freshness>, Timestamp),
    (after, now): (Option<Freshness>, Timestamp),
    profiles: &[Profile],
) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    leases(profiles).any(|lease| before.lease_end(lease) > since && after.lease_end(lease) <= now)
}

/// Whether the lease of one of the profiles had run out by `now`, whatever a pause of our own adds to it: whoever is on call
/// by the view must be looked at once it is fresh again.
pub(crate) fn ran_out(view: Option<Freshness>, profiles: &[Profile], now: Timestamp) -> bool {
    view.is_some_and(|view| leases(profiles).any(|lease| view.runs_out(lease) <= now))
}

/// When a rotation must be looked at for itself: at its next boundary, when the next lock ends, or when its lease has run
/// down further.
pub(crate) fn due(
    boundary: Option<Timestamp>,
    lock: Option<Timestamp>,
    view: Option<Freshness>,
    profiles: &[Profile],
    now: Timestamp,
) -> Option<Due> {
    let runs_down = |view: Freshness| {
        let stages = stages(view, profiles).into_iter().map(|(_, at)| at);
        stages.chain(leases(profiles).map(move |lease| view.lease_end(lease))).filter(|at| *at > now).min()
    };
    let lease = view.and_then(runs_down);
    let due = |at: Timestamp, cause: &str| Due { at, cause: cause.to_owned() };
    let lease = lease.map(|at| due(at, "lease"));
    [boundary.map(|at| due(at, "boundary")), lock.map(|at| due(at, "lock")), lease]
        .into_iter()
        .flatten()
        .min_by_key(|due| due.at)
}
