//! The leases of views that nothing confirms: when they end, and whether an administrator may prolong them, and until when
//! (R8).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::enrollment::{Enrollment, Origin};
use crate::id::RotationId;
use crate::profile::Profile;
use crate::time::{later, rfc3339};
use crate::wants::Freshness;

/// So far ahead a lease is prolonged at most: whoever needs more looks at the rota again, and says so again.
pub const FURTHEST: Duration = Duration::from_secs(24 * 3_600);

/// How fresh the views of rotations are at an instant.
#[derive(Debug, Clone, Default)]
pub struct Views {
    /// Each view; one that is not here has just been read.
    pub fresh: BTreeMap<RotationId, Freshness>,
    /// The instant.
    pub now: Timestamp,
}

impl Views {
    /// When a lease on the rotation's view ends, where the view is stale.
    #[must_use]
    pub fn lease_end(&self, rotation: &RotationId, lease: Duration) -> Option<Timestamp> {
        let stale = self.fresh.get(rotation).filter(|view| view.is_stale(lease, self.now));
        stale.map(|view| view.lease_end(lease))
    }
}

/// Why a lease is not prolonged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was never read, its source retires, or no profile comes with being on call in it.
    #[error("no lease runs on the rotation: it was never read, its source retires, or it gives no profile")]
    NoLease,
    /// The view is fresh: the next read would void the new end.
    #[error("the view is fresh, and the next one begins the lease anew; it is prolonged while none comes")]
    Fresh,
    /// The new end has passed.
    #[error("the new end has passed already")]
    Past,
    /// The new end is too far ahead.
    #[error("the new end is more than 24 hours ahead; prolong it again when that has come nearer")]
    TooFar,
    /// The lease lasts as long without it.
    #[error("the lease lasts until {} already", rfc3339(*until))]
    NotLater {
        /// Until when.
        until: Timestamp,
    },
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Prolonging<'a> {
    /// The rotation.
    pub rotation: &'a RotationId,
    /// How fresh its view is; `None` where it was never read.
    pub view: Option<Freshness>,
    /// The profiles that the rotation gives without asking; none where its source retires.
    pub profiles: &'a [Profile],
    /// Until when the view is to stand.
    pub until: Timestamp,
    /// The instant at which it is asked for.
    pub now: Timestamp,
}

impl Prolonging<'_> {
    /// When the first of the leases ends as things are, where it may be prolonged. One that is over may be, too: who is on
    /// call has access again.
    ///
    /// # Errors
    /// It may not.
    pub fn judge(&self) -> Result<Timestamp, Refusal> {
        let Self { rotation: _, view, profiles, until, now } = *self;
        let leases = profiles.iter().filter_map(|profile| profile.enrollment.as_ref().map(|rule| rule.lease));
        let (view, shortest) = view.zip(leases.min()).ok_or(Refusal::NoLease)?;
        let end = view.lease_end(shortest);
        if until <= now {
            Err(Refusal::Past)
        } else if until > later(now, FURTHEST) {
            Err(Refusal::TooFar)
        } else if !view.is_stale(shortest, now) {
            Err(Refusal::Fresh)
        } else if until <= end {
            Err(Refusal::NotLater { until: end })
        } else {
            Ok(end)
        }
    }

    /// Whether whoever has these enrollments has access for longer by it (R20): they are on call here after the lease of
    /// their profile would have ended.
    #[must_use]
    pub fn gives(&self, enrollments: &[Enrollment]) -> bool {
        let Some(view) = self.view else { return false };
        let longer = |enrollment: &Enrollment| {
            let given = self.profiles.iter().find(|profile| profile.id == enrollment.profile);
            let end = given.and_then(|profile| profile.enrollment.as_ref()).map(|rule| view.lease_end(rule.lease));
            let after = |end: Timestamp| {
                let mut periods = enrollment.periods.iter();
                periods.any(|period| period.from < self.until && end.max(self.now) < period.until.or_max())
            };
            end.is_some_and(after)
        };
        let here = |origin: &Origin| matches!(origin, Origin::Coverage(rotation) if rotation == self.rotation);
        enrollments.iter().filter(|it| here(&it.origin)).any(longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::Period;
    use crate::rota::End;
    use crate::testing::{automatic, id, minute, person};

    /// The view was read at minute 0 and a read has failed since; its lease is four hours.
    fn stale() -> Option<Freshness> {
        let failed_at = Some(minute(5));
        Some(Freshness { fresh_at: minute(0), failed_at, resumed_at: None, prolonged_until: None })
    }

    fn judged(view: Option<Freshness>, profiles: &[Profile], until: i64, now: i64) -> Result<Timestamp, Refusal> {
        let rotation = id("rota:primary");
        Prolonging { rotation: &rotation, view, profiles, until: minute(until), now: minute(now) }.judge()
    }

    #[test]
    fn r8_a_lease_is_prolonged_while_no_view_comes_to_a_later_end_within_a_day() {
        let given = [automatic()];
        let says = |until: i64, now: i64| judged(stale(), &given, until, now);
        assert_eq!(says(300, 200), Ok(minute(240)), "it answers the end that it takes the place of");
        assert_eq!(says(300, 270), Ok(minute(240)), "what is over begins again");
        assert_eq!(says(270, 270), Err(Refusal::Past));
        assert_eq!(says(240, 200), Err(Refusal::NotLater { until: minute(240) }));
        let day = 24 * 60;
        assert_eq!((says(200 + day, 200), says(201 + day, 200)), (Ok(minute(240)), Err(Refusal::TooFar)));

        let prolonged = stale().map(|view| Freshness { prolonged_until: Some(minute(300)), ..view });
        assert_eq!(judged(prolonged, &given, 300, 250), Err(Refusal::NotLater { until: minute(300) }));
        assert_eq!(judged(prolonged, &given, 301, 250), Ok(minute(300)), "once more");
    }

    #[test]
    fn r8_no_lease_is_prolonged_that_does_not_run_down() {
        let given = [automatic()];
        let answering = stale().map(|view| Freshness { failed_at: None, ..view });
        assert_eq!(judged(answering, &given, 300, 119), Err(Refusal::Fresh), "the next view would void it");
        assert_eq!(judged(answering, &given, 300, 120), Ok(minute(240)), "nobody reads it any more");
        assert_eq!(judged(None, &given, 300, 200), Err(Refusal::NoLease), "it was never read");
        assert_eq!(judged(stale(), &[], 300, 200), Err(Refusal::NoLease), "it gives nothing, or retires");
        let asked = [Profile { enrollment: None, ..automatic() }];
        assert_eq!(judged(stale(), &asked, 300, 200), Err(Refusal::NoLease), "what is asked for hangs on no lease");
    }

    #[test]
    fn r20_whoever_is_on_call_between_the_two_ends_has_more_by_it() {
        let (rotation, given) = (id("rota:primary"), [automatic()]);
        let gives = |now: i64, origin: Origin, from: i64, end: End| {
            let until_known = minute(0);
            let period = Period { from: minute(from), until: end, from_known: minute(0), until_known, duty: None };
            let profile = given[0].id.clone();
            let theirs = Enrollment { person: person(1), profile, origin, periods: vec![period], version: None };
            let (view, until, now) = (stale(), minute(300), minute(now));
            Prolonging { rotation: &rotation, view, profiles: &given, until, now }.gives(&[theirs])
        };
        let here = || Origin::Coverage(id("rota:primary"));
        assert!(gives(200, here(), 0, End::Open) && gives(200, here(), 299, End::At(minute(400))));
        assert!(!gives(200, here(), 0, End::At(minute(240))), "their duty ends no later than the lease");
        assert!(!gives(200, here(), 300, End::Open), "their duty begins no earlier than the new end");
        assert!(!gives(270, here(), 0, End::At(minute(270))), "what was over before it is asked for stays over");
        let elsewhere = [Origin::Coverage(id("rota:second")), Origin::Request("req_1".to_owned())];
        assert!(elsewhere.into_iter().all(|origin| !gives(200, origin, 0, End::Open)), "nothing of theirs hangs on it");
    }
}
