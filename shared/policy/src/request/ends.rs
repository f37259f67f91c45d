//! When access that was asked for ends.

use std::time::Duration;

use jiff::Timestamp;

use super::{Access, Known};
use crate::bug::Bug;
use crate::enrollment::Cover;
use crate::profile::SelfService;
use crate::time::later;

/// An offer: what the profile says of requests, and how long access outlives the end of a duty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<'a> {
    pub(super) service: &'a SelfService,
    pub(super) grace: Duration,
}

impl Offer<'_> {
    /// When the duty on which the requester is now ends, with grace; `None` where they are on none. It goes on through covers
    /// that touch: a lock parts what is one duty.
    pub(super) fn duty_ends(&self, known: &Known<'_>) -> Option<Timestamp> {
        let on = known.covers.iter().filter(|cover| cover.counts(known.now));
        let mut end = on.map(Cover::end).max()?;
        let goes_on =
            |end: Timestamp| known.covers.iter().filter(move |cover| cover.begin() <= end && end < cover.end());
        while let Some(further) = goes_on(end).map(Cover::end).max() {
            end = further;
        }
        Some(later(end, self.grace))
    }

    /// When access ends that begins, or goes on, now: at the earliest of what was wanted, what the profile allows from
    /// the beginning on, and the end of the duty.
    pub(super) fn until(&self, from: Timestamp, wanted: Duration, known: &Known<'_>) -> Option<Timestamp> {
        let duty = self.duty_ends(known)?;
        Some(later(known.now, wanted).min(later(from, self.service.max_duration)).min(duty))
    }

    /// The access, cut where the duty or the profile's limit has moved before its end. The grace of a duty that is there no
    /// more counts from when that was found; of one that is only over, from its end.
    pub(super) fn cut(&self, access: Access, known: &Known<'_>) -> Access {
        let ends = known.covers.iter().map(Cover::end);
        let over = ends.filter(|end| access.from < *end && *end <= known.now).max();
        let duty = self.duty_ends(known).unwrap_or_else(|| later(over.unwrap_or(known.now), self.grace));
        let duty = if Bug::RequestOutlivesDuty.is_chosen() { Timestamp::MAX } else { duty };
        let until = duty.min(later(access.from, self.service.max_duration));
        if until < access.until { Access { until, until_known: known.now, ..access } } else { access }
    }
}
