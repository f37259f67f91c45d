//! What a change of the configuration means for people: who gains and who loses what, and who loses it at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::enrollment::Origin;
use crate::forecast::{Forecast, Shown};
use crate::hold::{Hold, State};
use crate::id::{AppId, ProfileId};
use crate::profile::{Mode, Profile};
use crate::time::{Span, instant_text, uncovered, union};
use crate::wants::{Reason, Shape};

/// Access over a stretch that one forecast has and the other has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Whose.
    pub person: Shown,
    /// Where.
    pub app: AppId,
    /// The app's word for what it is.
    pub kind: String,
    /// The app's ID of it.
    pub id: String,
    /// From when.
    #[serde(serialize_with = "instant_text::serialize")]
    pub start: Timestamp,
    /// Until when.
    #[serde(serialize_with = "instant_text::serialize")]
    pub end: Timestamp,
}

type What<'a> = (&'a Shown, &'a AppId, &'a str, &'a str);

/// What each person would have under each forecast, clipped to the window. What is only observed is nobody's.
fn spans(forecast: &Forecast) -> BTreeMap<What<'_>, Vec<Span>> {
    let mut all: BTreeMap<What<'_>, Vec<Span>> = BTreeMap::new();
    for hold in forecast.holds.iter().filter(|hold| !hold.observed) {
        let end = hold.end.unwrap_or(Timestamp::MAX).min(forecast.to);
        let what = (&hold.person, &hold.app, hold.kind.as_str(), hold.id.as_str());
        all.entry(what).or_default().extend(Span::new(hold.start.max(forecast.from), end));
    }
    all.into_iter().map(|(what, spans)| (what, union(spans))).collect()
}

/// What the second forecast has and the first has not.
#[must_use]
pub fn gained(before: &Forecast, after: &Forecast) -> Vec<Stretch> {
    let before = spans(before);
    let mut found = Vec::new();
    for (what, spans) in spans(after) {
        let had = before.get(&what).map_or(&[][..], Vec::as_slice);
        let (person, app, kind, id) = what;
        for Span { start, end } in spans.into_iter().flat_map(|span| uncovered(had.to_vec(), span)) {
            let (person, app) = (person.clone(), app.clone());
            found.push(Stretch { person, app, kind: kind.to_owned(), id: id.to_owned(), start, end });
        }
    }
    found.sort_by(|a, b| (a.start, &a.person, &a.app, &a.id).cmp(&(b.start, &b.person, &b.app, &b.id)));
    found
}

/// Whether somebody who has this now loses it at once, for no reason of it survives under these profiles.
#[must_use]
pub fn ends_now(hold: &Hold, next: &[Profile]) -> bool {
    matches!(hold.state, State::Granting | State::Held | State::Stuck)
        && !hold.reasons.iter().any(|reason| survives(hold, reason, next))
}

fn survives(hold: &Hold, reason: &Reason, next: &[Profile]) -> bool {
    let Some(profile) = next.iter().find(|profile| profile.id == reason.profile) else { return false };
    let gives = profile.entitlements.iter().any(|entitlement| {
        let same = match &hold.shape {
            Shape::Member => entitlement.id == hold.key.place.id,
            Shape::Value { value, .. } => entitlement.id == *value,
        };
        same && entitlement.app == hold.key.app && entitlement.kind == hold.key.place.kind
    });
    let enrolls = match &reason.origin {
        Origin::Coverage(rotation) => profile.enrolls(rotation),
        Origin::Request(_) | Origin::BreakGlass(_) => true,
    };
    gives && enrolls && profile.mode == Mode::Enforce
}

/// Access that ends with the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Whose.
    pub person: Shown,
    /// By which profiles they have it.
    pub profiles: Vec<ProfileId>,
    /// Where.
    pub app: AppId,
    /// The app's word for what it is.
    pub kind: String,
    /// The app's ID of it.
    pub id: String,
}

impl Ending {
    /// That this person's hold ends.
    #[must_use]
    pub fn of(hold: &Hold, person: Shown) -> Self {
        let profiles: BTreeSet<&ProfileId> = hold.reasons.iter().map(|reason| &reason.profile).collect();
        let (app, place) = (hold.key.app.clone(), hold.key.place.clone());
        Self { person, profiles: profiles.into_iter().cloned().collect(), app, kind: place.kind, id: place.id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Forecasted;
    use crate::testing::{automatic, held};

    fn instant(text: &str) -> Timestamp {
        format!("2026-03-02T{text}:00Z").parse().expect("an instant")
    }

    fn forecast(holds: &[(&str, &str, &str)]) -> Forecast {
        let hold = |(person, start, end): &(&str, &str, &str)| Forecasted {
            person: Shown { id: None, email: Some((*person).to_owned()), erased: None },
            profile: "on-call".parse().expect("a profile"),
            app: "directory".parse().expect("an app"),
            kind: "group".to_owned(),
            id: "g-1".to_owned(),
            start: instant(start),
            end: Some(instant(end)),
            reasons: Vec::new(),
            why: String::new(),
            observed: false,
        };
        let holds = holds.iter().map(hold).collect();
        let (from, to) = (instant("08:00"), instant("20:00"));
        Forecast { from, to, holds, gaps: Vec::new(), unmatched: Vec::new(), shifts: Vec::new() }
    }

    #[test]
    fn only_what_differs_inside_the_window_is_gained_or_lost() {
        let before = forecast(&[("ann", "07:00", "12:00"), ("bob", "12:00", "23:00")]);
        let after = forecast(&[("ann", "07:30", "13:00"), ("cat", "14:00", "15:00")]);
        let said = |stretches: Vec<Stretch>| -> Vec<(String, Timestamp, Timestamp)> {
            stretches.into_iter().map(|s| (s.person.email.unwrap_or_default(), s.start, s.end)).collect()
        };
        let gains = [
            ("ann".to_owned(), instant("12:00"), instant("13:00")),
            ("cat".to_owned(), instant("14:00"), instant("15:00")),
        ];
        assert_eq!(said(gained(&before, &after)), gains);
        assert_eq!(said(gained(&after, &before)), [("bob".to_owned(), instant("12:00"), instant("20:00"))]);
        assert_eq!(gained(&before, &before), []);
    }

    #[test]
    fn a_hold_ends_at_once_where_no_reason_of_it_survives() {
        assert!(!ends_now(&held(), &[automatic()]), "nothing has changed");
        assert!(ends_now(&held(), &[]), "the profile is gone");
        let changed = |change: fn(&mut Profile)| {
            let mut next = automatic();
            change(&mut next);
            ends_now(&held(), &[next])
        };
        assert!(changed(|next| next.entitlements[0].id = "g-2".to_owned()), "it gives something else");
        assert!(changed(|next| next.enrollment = None), "nobody is enrolled");
        assert!(changed(|next| next.mode = Mode::Observe), "it only observes");
        assert!(!changed(|next| next.name = "Other".to_owned()), "a name gives nothing");
    }

    #[test]
    fn r3_a_single_value_survives_where_a_profile_gives_that_value() {
        let set = |value: &str| {
            let mut hold = Hold { shape: Shape::Value { rank: 1, value: value.to_owned() }, ..held() };
            hold.key.place.id = "seat".to_owned();
            hold
        };
        let ends = |value: &str| ends_now(&set(value), &[automatic()]);
        assert_eq!((ends("g-1"), ends("g-2")), (false, true), "its place is the seat, whatever sits there");
    }
}
