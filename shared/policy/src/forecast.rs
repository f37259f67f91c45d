//! The forecast: who will hold what over a window, where nobody will be on call, and who cannot be matched.
//!
//! It shows what the rota and the profiles say, with the locks of late changes. Where a view is stale it says when its lease
//! ends and cuts nothing, for the next good read restores it. What only the day itself brings (blocks, requests, an account
//! in doubt) is not in it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::enrollment::{Cover, expand};
use crate::explain::{period, unless_read};
use crate::id::{AppId, EntitlementRef, PersonId, ProfileId, RotationId, SourceId, UserId};
use crate::identity::Doubt;
use crate::lease::Views;
use crate::lock::{Lock, in_force};
use crate::profile::{Mode, Profile};
use crate::rota::{KnownShift, Shift};
use crate::time::{Span, instant_text, uncovered, union};

/// A person as reports show them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shown {
    /// Dutykey's own ID; `None` before the first match was stored.
    pub id: Option<PersonId>,
    /// The address; `None` where the person was erased or never had one.
    pub email: Option<String>,
    /// When the person was erased; `None` where they were not.
    #[serde(default, serialize_with = "instant_text::optional", skip_serializing_if = "Option::is_none")]
    pub erased: Option<Timestamp>,
}

/// What a forecast is made from.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// What is asked for.
    pub window: Span,
    /// What is known of each rotation; one of which no shift stands is a gap.
    pub shifts: &'a BTreeMap<RotationId, Vec<KnownShift>>,
    /// How fresh what is known of each rotation is.
    pub views: &'a Views,
    /// Who each user is. One who is not in it is unmatched.
    pub users: &'a BTreeMap<(SourceId, UserId), Result<Shown, Doubt>>,
    /// The current version of each profile.
    pub profiles: &'a [Profile],
}

/// Who will hold what. Instants are RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Where the window begins.
    #[serde(serialize_with = "instant_text::serialize")]
    pub from: Timestamp,
    /// The first instant after it.
    #[serde(serialize_with = "instant_text::serialize")]
    pub to: Timestamp,
    /// What will be held, each with its own ends, which may lie outside the window.
    pub holds: Vec<Forecasted>,
    /// When nobody will be on call, within the window.
    pub gaps: Vec<Gap>,
    /// Who will be on call and is in doubt.
    pub unmatched: Vec<Unmatched>,
    /// Every shift that touches the window.
    pub shifts: Vec<Turn>,
}

/// One entitlement of one person over one stretch: every reason that overlaps or touches is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecasted {
    /// Who.
    pub person: Shown,
    /// The profile whose reason begins first.
    pub profile: ProfileId,
    /// Where.
    pub app: AppId,
    /// The app's word for what it is.
    pub kind: String,
    /// The app's ID of it.
    pub id: String,
    /// When it begins, lead inside.
    #[serde(serialize_with = "instant_text::serialize")]
    pub start: Timestamp,
    /// When it ends, grace inside; `None` while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    pub end: Option<Timestamp>,
    /// Every reason.
    pub reasons: Vec<ForecastReason>,
    /// The reasons in sentences.
    pub why: String,
    /// Whether the profile only shows what would happen; then nothing is granted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub observed: bool,
}

/// A reason in a forecast.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ForecastReason {
    /// `coverage`; requests and break-glass are never forecast.
    pub kind: &'static str,
    /// The rotation.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When it begins, lead inside.
    #[serde(serialize_with = "instant_text::serialize")]
    pub start: Timestamp,
    /// When it ends, grace inside; `None` while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    pub end: Option<Timestamp>,
    /// Beyond when it does not last unless the rota is read again: the end of the lease of a view that is stale.
    #[serde(serialize_with = "instant_text::optional", skip_serializing_if = "Option::is_none")]
    pub lease_end: Option<Timestamp>,
}

/// A stretch in which nobody is on call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Where.
    pub rotation: RotationId,
    /// From when.
    #[serde(serialize_with = "instant_text::serialize")]
    pub start: Timestamp,
    /// Until when.
    #[serde(serialize_with = "instant_text::serialize")]
    pub end: Timestamp,
}

/// Somebody on call who is in doubt, once for each stretch of their coverage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmatched {
    /// On which source.
    pub source: SourceId,
    /// The source's user.
    pub user: UserId,
    /// Where.
    pub rotation: RotationId,
    /// From when.
    #[serde(serialize_with = "instant_text::serialize")]
    pub start: Timestamp,
    /// The doubt.
    pub problem: Doubt,
}

/// A shift in a forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Where.
    pub rotation: RotationId,
    /// Who; `None` where nobody is matched.
    pub person: Option<Shown>,
    /// The source's user; `None` where the platform declares a gap.
    pub user: Option<UserId>,
    /// From when.
    #[serde(serialize_with = "instant_text::serialize")]
    pub start: Timestamp,
    /// Until when; `None` while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    pub end: Option<Timestamp>,
}

/// The end as people see it: none where it is open.
fn known_end(span: Span) -> Option<Timestamp> {
    (span.end != Timestamp::MAX).then_some(span.end)
}

/// Why somebody would hold something, over a stretch.
struct Cause<'a> {
    span: Span,
    profile: &'a Profile,
    rotation: &'a RotationId,
    /// Whether it begins as late as it does because of the override lock.
    locked: bool,
    /// When the lease of the stale view ends, where that is before its end.
    lease_end: Option<Timestamp>,
}

/// Causes that overlap or touch.
struct Stretch<'a> {
    span: Span,
    /// The profile of the first.
    profile: &'a ProfileId,
    causes: Vec<Cause<'a>>,
}

/// The forecast. `O(n log n)` in the shifts, and linear in what they give.
#[must_use]
pub fn forecast(input: &Input<'_>) -> Forecast {
    let mut forecast = Forecast {
        from: input.window.start,
        to: input.window.end,
        holds: Vec::new(),
        gaps: Vec::new(),
        unmatched: Vec::new(),
        shifts: Vec::new(),
    };
    let mut enrolling: BTreeMap<&RotationId, Vec<&Profile>> = BTreeMap::new();
    for profile in input.profiles {
        for rotation in profile.enrollment.iter().flat_map(|rule| &rule.rotations) {
            enrolling.entry(rotation).or_default().push(profile);
        }
    }
    let mut causes: BTreeMap<(bool, &Shown, &EntitlementRef), Vec<Cause<'_>>> = BTreeMap::new();
    for (rotation, known) in input.shifts {
        let shifts = || known.iter().filter(|known| known.stands()).map(|known| &known.shift);
        let mut spans: BTreeMap<&UserId, Vec<Span>> = BTreeMap::new();
        for shift in shifts() {
            if let (Some(user), Some(span)) = (&shift.user, Span::new(shift.start, shift.end.or_max())) {
                spans.entry(user).or_default().push(span);
            }
        }
        forecast.gaps.extend(gaps(rotation, spans.values().flatten().copied().collect(), input.window));
        for shift in shifts().filter(|shift| shift.touches(&input.window)) {
            forecast.shifts.push(turn(rotation, shift, input));
        }
        for (user, spans) in spans {
            if let Err(problem) = who(rotation, user, input) {
                let ahead = union(spans).into_iter().filter(|span| span.overlaps(&input.window));
                forecast.unmatched.extend(ahead.map(|span| Unmatched {
                    source: rotation.source.clone(),
                    user: user.clone(),
                    rotation: rotation.clone(),
                    start: span.start,
                    problem,
                }));
            }
        }
        for profile in enrolling.get(rotation).into_iter().flatten() {
            let Some(rule) = &profile.enrollment else { continue };
            let observed = profile.mode == Mode::Observe;
            let lease_end = input.views.lease_end(rotation, rule.lease);
            let mut covered: BTreeMap<&Shown, Vec<Cover>> = BTreeMap::new();
            for (user, covers) in in_force(known, Lock::from(*profile), input.window.start).covers {
                if let Ok(person) = who(rotation, user, input) {
                    covered.entry(person).or_default().extend(covers);
                }
            }
            for (person, coverage) in covered {
                for period in expand(&coverage, rule, input.window.start) {
                    let Some(span) = Span::new(period.from, period.until.or_max()) else { continue };
                    let locked = coverage.iter().any(|cover| cover.opens == span.start);
                    let lease_end = lease_end.filter(|end| *end < span.end);
                    for entitlement in &profile.entitlements {
                        let entry = causes.entry((observed, person, entitlement)).or_default();
                        entry.push(Cause { span, profile, rotation, locked, lease_end });
                    }
                }
            }
        }
    }
    for ((observed, person, entitlement), causes) in causes {
        let holds = merge(causes).into_iter().filter(|stretch| stretch.span.overlaps(&input.window));
        forecast.holds.extend(holds.map(|stretch| hold(observed, person, entitlement, &stretch)));
    }
    forecast.holds.sort_by(|a, b| (a.start, &a.person, &a.app, &a.id).cmp(&(b.start, &b.person, &b.app, &b.id)));
    forecast.gaps.sort_by(|a, b| (a.start, &a.rotation).cmp(&(b.start, &b.rotation)));
    forecast.unmatched.sort_by(|a, b| (a.start, &a.rotation, &a.user).cmp(&(b.start, &b.rotation, &b.user)));
    forecast.shifts.sort_by(|a, b| (a.start, &a.rotation, &a.user).cmp(&(b.start, &b.rotation, &b.user)));
    forecast
}

fn who<'a>(rotation: &RotationId, user: &UserId, input: &'a Input<'_>) -> Result<&'a Shown, Doubt> {
    match input.users.get(&(rotation.source.clone(), user.clone())) {
        Some(Ok(person)) => Ok(person),
        Some(Err(doubt)) => Err(*doubt),
        None => Err(Doubt::Unmatched),
    }
}

fn turn(rotation: &RotationId, shift: &Shift, input: &Input<'_>) -> Turn {
    Turn {
        rotation: rotation.clone(),
        person: shift.user.as_ref().and_then(|user| who(rotation, user, input).ok().cloned()),
        user: shift.user.clone(),
        start: shift.start,
        end: shift.end.at(),
    }
}

fn gaps(rotation: &RotationId, spans: Vec<Span>, window: Span) -> impl Iterator<Item = Gap> {
    uncovered(spans, window).into_iter().map(|gap| Gap { rotation: rotation.clone(), start: gap.start, end: gap.end })
}

/// Joins what overlaps or touches, with all that is in it.
fn merge(mut causes: Vec<Cause<'_>>) -> Vec<Stretch<'_>> {
    causes.sort_by(|a, b| (a.span, &a.profile.id, a.rotation).cmp(&(b.span, &b.profile.id, b.rotation)));
    let mut merged: Vec<Stretch<'_>> = Vec::new();
    for cause in causes {
        match merged.last_mut() {
            Some(stretch) if cause.span.start <= stretch.span.end => {
                stretch.span.end = stretch.span.end.max(cause.span.end);
                stretch.causes.push(cause);
            }
            _ => merged.push(Stretch { span: cause.span, profile: &cause.profile.id, causes: vec![cause] }),
        }
    }
    merged
}

fn hold(observed: bool, person: &Shown, what: &EntitlementRef, stretch: &Stretch<'_>) -> Forecasted {
    let reason = |cause: &Cause<'_>| ForecastReason {
        kind: "coverage",
        reference: cause.rotation.to_string(),
        start: cause.span.start,
        end: known_end(cause.span),
        lease_end: cause.lease_end,
    };
    let mut reasons: Vec<ForecastReason> = stretch.causes.iter().map(reason).collect();
    reasons.dedup();
    let sentence = |cause: &Cause<'_>| {
        let (profile, when) = (cause.profile, period(cause.span.start, known_end(cause.span)));
        let lock = if cause.locked { ", after the override lock" } else { "" };
        let (rotation, lease) = (cause.rotation, unless_read(cause.lease_end));
        format!("on call in {rotation} under profile {} version {}, {when}{lock}{lease}", profile.id, profile.version)
    };
    let why: Vec<String> = stretch.causes.iter().map(sentence).collect();
    let start = if observed { "would be held, were the profile not only observed: " } else { "" };
    Forecasted {
        person: person.clone(),
        profile: stretch.profile.clone(),
        app: what.app.clone(),
        kind: what.kind.clone(),
        id: what.id.clone(),
        start: stretch.span.start,
        end: known_end(stretch.span),
        reasons,
        why: format!("{start}{}", why.join("; and ")),
        observed,
    }
}
