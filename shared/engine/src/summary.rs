//! How Dutykey stands, in numbers: counted by each tick.

use std::time::Duration;

use dutykey_policy::hold::Hold;
use dutykey_policy::look::TELL_OVERDUE;
use dutykey_policy::roll::{Roll, Word};
use dutykey_policy::time::{earlier, later};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::ledger::StoreError;
use crate::ports::rota::RotationHead;
use crate::ports::summary::{Followed, Lags, ReadSummary};
use crate::view::GAP_AHEAD;

/// At most this many holds that are past due are read.
pub const MOST_OVERDUE: usize = 2_000;
/// Lags are of access that has ended within this time.
pub const LAGS_OF: Duration = Duration::from_secs(86_400);
/// A source is stale when a view of it has missed so many reads.
const MISSED: u32 = 3;

/// How late acts were: after they were due and known, whichever came later, without the wait for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// At most this late, in milliseconds, was half of them.
    pub p50_ms: i64,
    /// At most this late, in milliseconds, were 99 of 100.
    pub p99_ms: i64,
}

impl Lag {
    /// Of these acts; `None` where there are none. `O(n log n)`.
    #[must_use]
    pub fn of(mut acts: Vec<i64>) -> Option<Self> {
        acts.sort_unstable();
        // The nearest rank: the least that so many are not above.
        let at = |percent: usize| acts.get((acts.len() * percent).div_ceil(100).checked_sub(1)?).copied();
        Some(Self { p50_ms: at(50)?, p99_ms: at(99)? })
    }
}

/// How Dutykey stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// When it was counted.
    pub at: Timestamp,
    /// Holds past their end that are not proven gone; at most [`MOST_OVERDUE`] are counted.
    pub overdue: usize,
    /// For how long the oldest of them has been past its end.
    pub oldest: Duration,
    /// Sources of which some view has not been fresh for a while, where something hangs on it.
    pub stale_sources: usize,
    /// Changes that the brake holds and of which nobody has said a word. What was discarded stays held for weeks.
    pub brakes: usize,
    /// People on call, now or soon, whom nothing matches, where something hangs on it.
    pub unmatched: u64,
    /// Times within the day ahead when nobody is on call in a rotation that gives a profile.
    pub gaps: usize,
    /// How late grants were of what ended within [`LAGS_OF`]; `None` where there were none.
    pub grants: Option<Lag>,
    /// How late revocations were of what ended within [`LAGS_OF`]; `None` where there were none.
    pub revocations: Option<Lag>,
}

/// What a summary is counted from, as read at one instant.
pub(crate) struct Standing {
    now: Timestamp,
    followed: Vec<Followed>,
    past_due: Vec<Hold>,
    roll: Roll,
    grants: Option<Lag>,
    revocations: Option<Lag>,
}

impl Standing {
    pub(crate) async fn read<T: ReadSummary + ?Sized>(table: &T, now: Timestamp) -> Result<Self, StoreError> {
        let (followed, roll) = table.followed().await?;
        let past_due = table.past_due(now, MOST_OVERDUE).await?;
        let Lags { granted, revoked } = table.lags(earlier(now, LAGS_OF)).await?;
        Ok(Self { now, followed, past_due, roll, grants: Lag::of(granted), revocations: Lag::of(revoked) })
    }

    pub(crate) fn summary(&self) -> Summary {
        let now = self.now;
        let waits = |head: &&RotationHead| head.held.as_ref().is_some_and(|held| held.word() == Word::Waiting);
        let overdue: Vec<Duration> = self.past_due.iter().filter_map(|hold| hold.overdue(now)).collect();
        let heads = || self.followed.iter().flat_map(|followed| &followed.rotations);
        let relied_on = self.followed.iter().flat_map(Followed::relied_on);
        let near =
            heads().flat_map(|head| &head.gaps).filter(|gap| gap.end > now && gap.start <= later(now, GAP_AHEAD));
        Summary {
            at: now,
            overdue: overdue.len(),
            oldest: overdue.into_iter().max().unwrap_or_default(),
            stale_sources: self.followed.iter().filter(|followed| stale(followed, now)).count(),
            brakes: heads().filter(waits).count() + usize::from(self.roll.group(Word::Waiting).is_some()),
            unmatched: relied_on.map(|head| u64::from(head.unmatched)).sum(),
            gaps: near.count(),
            grants: self.grants,
            revocations: self.revocations,
        }
    }

    /// When the last of the notices is written that the next tick would tell too late: of access that is past its end
    /// and comes to be told before that tick.
    pub(crate) fn told_at(&self) -> Option<Timestamp> {
        let untold = self.past_due.iter().filter(|hold| !hold.told && hold.overdue(self.now).is_some());
        untold.map(|hold| later(hold.due, TELL_OVERDUE)).filter(|at| *at >= self.now).max()
    }
}

fn stale(followed: &Followed, now: Timestamp) -> bool {
    let since = earlier(now, followed.source.every * MISSED);
    followed.relied_on().any(|head| head.fresh_at.is_none_or(|fresh| fresh < since))
}

#[cfg(test)]
mod tests {
    use super::Lag;

    #[test]
    fn p12_half_and_all_but_one_in_a_hundred_are_no_later() {
        assert_eq!(Lag::of(vec![]), None);
        assert_eq!(Lag::of(vec![7]), Some(Lag { p50_ms: 7, p99_ms: 7 }));
        assert_eq!(Lag::of(vec![30, 10, 20]), Some(Lag { p50_ms: 20, p99_ms: 30 }));
        let hundred = (1..=100).rev().collect();
        assert_eq!(Lag::of(hundred), Some(Lag { p50_ms: 50, p99_ms: 99 }), "the one slow act of a hundred is left out");
        let two_hundred = (1..=200).collect();
        assert_eq!(Lag::of(two_hundred), Some(Lag { p50_ms: 100, p99_ms: 198 }));
    }
}
