//! Whom a change of the forecast replaces: they stay while it waits, for it waits as a whole (R16).

use jiff::Timestamp;

use super::{Duty, Known, Rota, Standing, Terms};
use crate::oracle::{plus, seconds};

/// A lock may begin and end so much earlier than by the world's clock.
const EARLIER: i64 = 60;

/// Until when somebody is kept at least, where what has replaced them waits.
pub(super) fn kept_until(known: &Known, terms: &Terms) -> Option<Timestamp> {
    match known.standing {
        Standing::Gone(gone) => Some(plus(gone, seconds(terms.lock - EARLIER))),
        Standing::Shown | Standing::Held(_) | Standing::Doubtful => None,
    }
}

impl Rota {
    /// Whether a duty that is gone counts at `at` for sure all the same: the answer that showed it no more was the first to
    /// show somebody in its place, who waits for the lock.
    pub(super) fn is_kept(
        &self,
        (duty, known): (&Duty, &Known),
        gone: Timestamp,
        at: Timestamp,
        terms: &Terms,
    ) -> bool {
        // It counted until then: it had been recorded, and waited for no lock of its own.
        let counted = known.away.is_none()
            && known.sure_since < gone
            && known.recorded <= gone
            && !self.waits(known, known.recorded, plus(gone, seconds(-EARLIER)), terms);
        let lasts = duty.covers(at) && known.again <= at && kept_until(known, terms).is_some_and(|until| at < until);
        counted
            && lasts
            && self.duties.iter().any(|other| other.0.user != duty.user && self.has_come(other, gone, at, terms))
    }

    /// Whether somebody whom `at` finds on call by nothing else came at that time, and waits.
    fn has_come(&self, (duty, known): (&Duty, &Known), came: Timestamp, at: Timestamp, terms: &Terms) -> bool {
        let theirs = self.duties.keys().filter(|other| other.user == duty.user && other.covers(at)).count();
        duty.covers(at)
            && theirs == 1
            && known.standing == Standing::Shown
            && known.seen == came
            && known.away.is_none()
            && self.waits(known, known.again, at, terms)
    }
}
