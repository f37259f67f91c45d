//! The lease of a stale view: how far it has run down, and when to look at it again.

use std::time::Duration;

use dutykey_policy::look::Due;
use dutykey_policy::profile::Profile;
use dutykey_policy::time::{earlier, later};
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
    profiles
        .into_iter()
        .filter_map(|profile| profile.enrollment.as_ref().map(|rule| rule.lease))
        .min()
        .unwrap_or(DEFAULT)
}

fn stages(fresh_at: Timestamp, profiles: &[Profile]) -> [(Stage, Timestamp); 3] {
    let lease = shortest(profiles);
    let (half, end) = (later(fresh_at, lease / 2), later(fresh_at, lease));
    [(Stage::Half, half), (Stage::Last, earlier(end, LAST_WARNING).max(half)), (Stage::Over, end)]
}

/// How far the lease has run down at `now`. A view that was never read has none to run down.
pub(crate) fn stage(fresh_at: Option<Timestamp>, profiles: &[Profile], now: Timestamp) -> Stage {
    let Some(fresh_at) = fresh_at else { return Stage::Fresh };
    stages(fresh_at, profiles).into_iter().rev().find(|(_, at)| *at <= now).map_or(Stage::Fresh, |(stage, _)| stage)
}

/// Whether the lease of one of the profiles, which by what was known `before` lasted beyond `since`, is over by what is
/// known `after` it, at `now`: the access that hangs on it must be looked at.
pub(crate) fn ended(
    (before, since): (Option<Freshness>, Timestamp),
    (after, now): (Option<Freshness>, Timestamp),
    profiles: &[Profile],
) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let mut leases = profiles.iter().filter_map(|profile| profile.enrollment.as_ref().map(|rule| rule.lease));
    leases.any(|lease| before.lease_end(lease) > since && after.lease_end(lease) <= now)
}

/// When a rotation must be looked at for itself: at its next boundary, when the next lock ends, or when its lease has run
/// down further.
pub(crate) fn due(
    boundary: Option<Timestamp>,
    lock: Option<Timestamp>,
    fresh_at: Timestamp,
    profiles: &[Profile],
    now: Timestamp,
) -> Option<Due> {
    let ends =
        profiles.iter().filter_map(|profile| profile.enrollment.as_ref().map(|rule| later(fresh_at, rule.lease)));
    let lease = stages(fresh_at, profiles).into_iter().map(|(_, at)| at).chain(ends).filter(|at| *at > now).min();
    let due = |at: Timestamp, cause: &str| Due { at, cause: cause.to_owned() };
    let lease = lease.map(|at| due(at, "lease"));
    [boundary.map(|at| due(at, "boundary")), lock.map(|at| due(at, "lock")), lease]
        .into_iter()
        .flatten()
        .min_by_key(|due| due.at)
}
