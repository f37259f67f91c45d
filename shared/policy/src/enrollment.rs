//! Enrollments: a person in a profile for one reason, with its periods up to the horizon.
//!
//! An enrollment is one item per (person, profile, origin) and is replaced whole: shift IDs come and go, coverage stays.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bug::Bug;
use crate::id::{PersonId, ProfileId, RotationId};
use crate::profile::Automatic;
use crate::rota::{End, KnownShift};
use crate::time::{Span, earlier, later, union};

/// How long periods that have ended are kept with the enrollment, so that an end which is carried out late still finds
/// when it was due.
pub const KEPT_AFTER_END: Duration = Duration::from_secs(48 * 3_600);

/// What brought a person into a profile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// They are on call in this rotation.
    Coverage(RotationId),
    /// Somebody approved this request.
    Request(String),
    /// They took it in an emergency.
    BreakGlass(String),
}

/// One stretch of access, with lead and grace inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// When access begins.
    pub from: Timestamp,
    /// When it ends; [`End::Open`] while it lasts as long as fresh views show it.
    pub until: End,
    /// When Dutykey learnt of the beginning.
    pub from_known: Timestamp,
    /// When Dutykey learnt of the end.
    pub until_known: Timestamp,
    /// When the duty itself begins, where that is later than access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty: Option<Timestamp>,
}

impl Period {
    /// Whether access is due at the instant.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until.or_max()
    }

    /// Whether the duty has begun, and not only its lead.
    fn has_begun(&self, at: Timestamp) -> bool {
        self.duty.unwrap_or(self.from) <= at
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.from < other.until.or_max() && other.from < self.until.or_max()
    }
}

/// A person in a profile for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// Who.
    pub person: PersonId,
    /// In what.
    pub profile: ProfileId,
    /// Why.
    pub origin: Origin,
    /// When, sorted, without overlap.
    pub periods: Vec<Period>,
    /// The version of the profile beyond which it never grows: that which an approver saw, or which was in force when it
    /// was taken. `None` follows the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// A stretch of the rota for which somebody is on call, and between which instants that is in force: a change of the
/// forecast may have to wait (see [`crate::lock`]). Lead begins no earlier than `opens`; grace follows the end, whichever
/// it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cover {
    /// The stretch, with an open end as the end of time.
    pub span: Span,
    /// From when it is in force; the beginning of time where it never waited.
    pub opens: Timestamp,
    /// From when it is in force no more; the end of time where it stays.
    pub closes: Timestamp,
}

impl From<Span> for Cover {
    fn from(span: Span) -> Self {
        Self { span, opens: Timestamp::MIN, closes: Timestamp::MAX }
    }
}

impl Cover {
    /// When it ends, by what is in force.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.span.end.min(self.closes)
    }

    /// Since when somebody is on call by it.
    #[must_use]
    pub fn begin(&self) -> Timestamp {
        self.span.start.max(self.opens)
    }

    /// Whether somebody is on call by it at the instant.
    #[must_use]
    pub fn counts(&self, at: Timestamp) -> bool {
        self.begin() <= at && at < self.end()
    }

    /// Access under a profile's rule, with lead and grace.
    fn access(&self, rule: &Automatic) -> Option<Span> {
        let from = earlier(self.span.start, rule.lead).max(self.opens);
        let end = self.end();
        let grace = if Bug::GraceDoubled.is_chosen() { rule.grace * 2 } else { rule.grace };
        Span::new(from, end).and_then(|_| Span::new(from, later(end, grace)))
    }
}

/// The union of a person's shifts, with open ends as the end of time. `O(n log n)`.
pub fn coverage<'a>(shifts: impl IntoIterator<Item = &'a KnownShift>) -> Vec<Cover> {
    let spans = shifts.into_iter().filter(|known| known.stands());
    let spans = spans.filter_map(|known| Span::new(known.shift.start, known.shift.end.or_max()));
    union(spans.collect()).into_iter().map(Cover::from).collect()
}

/// The periods that coverage gives under a profile's rule, with lead and grace, and with those that then touch joined.
pub(crate) fn expand(coverage: &[Cover], rule: &Automatic, now: Timestamp) -> Vec<Period> {
    let mut spans = Vec::with_capacity(coverage.len());
    let mut duties: BTreeMap<Timestamp, Timestamp> = BTreeMap::new();
    for cover in coverage {
        let Some(span) = cover.access(rule) else { continue };
        spans.push(span);
        duties.entry(span.start).and_modify(|duty| *duty = cover.span.start.min(*duty)).or_insert(cover.span.start);
    }
    let period = |span: Span| Period {
        from: span.start,
        until: if span.end == Timestamp::MAX { End::Open } else { End::At(span.end) },
        from_known: now,
        until_known: now,
        duty: duties.get(&span.start).copied().filter(|duty| *duty > span.start),
    };
    union(spans).into_iter().map(period).collect()
}

/// The periods of an automatic enrollment after `now` has shown this coverage.
///
/// What was known keeps its time of knowing. A running period that the coverage no longer has ends now, with the grace
/// of an end of coverage where its duty had begun; periods that ended stay for a while, so that a late act still finds
/// when it was due.
#[must_use]
pub fn replan(previous: &[Period], coverage: &[Cover], rule: &Automatic, now: Timestamp) -> Vec<Period> {
    let mut next: Vec<Period> = expand(coverage, rule, now);
    for period in &mut next {
        if let Some(same) = previous.iter().find(|p| p.from == period.from) {
            period.from_known = same.from_known;
        }
        if let Some(same) = previous.iter().find(|p| p.until == period.until) {
            period.until_known = same.until_known;
        }
    }
    next.retain(|period| later(period.until.or_max(), KEPT_AFTER_END) > now);
    let ended = |period: &Period| period.until.or_max() <= now;
    let past = previous.iter().filter(|p| ended(p) && later(p.until.or_max(), KEPT_AFTER_END) > now);
    let past: Vec<Period> = past.filter(|p| !next.iter().any(|n| n.overlaps(p))).copied().collect();
    // What the coverage still has of a running period, be it only its past, says itself when it ends.
    let goes_on = |p: &Period| next.iter().any(|n| n.contains(now) || (n.overlaps(p) && ended(n)));
    if let Some(lost) = previous.iter().find(|p| p.contains(now)).filter(|p| !goes_on(p)) {
        let graced = later(now, rule.grace).min(lost.until.or_max());
        match next.iter_mut().find(|n| n.from > now && n.from <= graced) {
            // Its grace reaches into the next one: one period, without a flap between the two.
            Some(following) => {
                let duty = if lost.has_begun(now) { lost.duty } else { Some(following.duty.unwrap_or(following.from)) };
                *following = Period { from: lost.from, from_known: lost.from_known, duty, ..*following };
            }
            None => {
                let cut = if lost.has_begun(now) { graced } else { now };
                let until_known = if End::At(cut) == lost.until { lost.until_known } else { now };
                next.extend((lost.from < cut).then_some(Period { until: End::At(cut), until_known, ..*lost }));
            }
        }
    }
    next.extend(past);
    next.sort_by_key(|period| period.from);
    next
}
