//! Rotations, forecasts and pages of holds as the API shows them. Instants are RFC 3339 in UTC with milliseconds.

use dutykey_engine::ports::rota::RotationHead;
use dutykey_policy::forecast::{Forecast, Forecasted, Gap, Turn, Unmatched};
use dutykey_policy::time::instant_text;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{HoldView, PersonView, ReasonView};

/// A page of who holds what at an instant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Who)]
pub(crate) struct WhoView {
    /// The instant.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    /// What is held then, on each page by person, app and entitlement.
    pub(crate) holds: Vec<HoldView>,
    /// The cursor of the next page, if there is one.
    pub(crate) next: Option<String>,
    /// Records on this page that this release cannot read.
    pub(crate) unreadable: Vec<String>,
}

/// A page of holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Holds)]
pub(crate) struct HoldsView {
    /// In each part of the list the one that ends first comes first.
    pub(crate) holds: Vec<HoldView>,
    /// The cursor of the next page, if there is one.
    pub(crate) next: Option<String>,
    /// Records on this page that this release cannot read.
    pub(crate) unreadable: Vec<String>,
}

/// A page of rotations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rotations)]
pub(crate) struct RotationsView {
    pub(crate) rotations: Vec<RotationView>,
    /// The cursor of the next page, if there is one.
    pub(crate) next: Option<String>,
    /// Records on this page that this release cannot read.
    pub(crate) unreadable: Vec<String>,
}

/// A rotation, and how fresh what is known of it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rotation)]
pub(crate) struct RotationView {
    id: String,
    /// Its name on the platform.
    name: String,
    /// Counts up with each view.
    generation: u64,
    /// When it was last read completely.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    fresh_at: Option<Timestamp>,
    /// When a read last failed.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    failed_at: Option<Timestamp>,
    /// How.
    failure: Option<String>,
    /// Until when its last view stands, where an administrator has said so; a new view ends that.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    prolonged_until: Option<Timestamp>,
    /// Why; nothing where it was not prolonged, or that was erased.
    prolonged_why: Option<String>,
    /// The stretch of which it was last read.
    window: Option<WindowView>,
    /// How many users are on call whom nobody matches.
    unmatched: u32,
    /// A view that the brake holds.
    held: Option<HeldView>,
}

/// A stretch of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Window)]
struct WindowView {
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
}

/// A view that the brake holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldView)]
struct HeldView {
    /// Names it.
    digest: String,
    /// Since when.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Why.
    why: String,
}

impl RotationView {
    /// With the text of why its leases were prolonged.
    pub(crate) fn new(head: &RotationHead, prolonged_why: Option<String>) -> Self {
        let held = head.held.as_ref();
        Self {
            id: head.id.to_string(),
            name: head.name.clone(),
            generation: head.generation,
            fresh_at: head.fresh_at,
            failed_at: head.failed_at,
            failure: head.failure.clone(),
            prolonged_until: head.prolonged_until,
            prolonged_why,
            window: head.window.map(|window| WindowView { from: window.start, to: window.end }),
            unmatched: head.unmatched,
            held: held.map(|held| HeldView { digest: held.digest.clone(), since: held.since, why: held.why.clone() }),
        }
    }
}

/// Who will hold what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Forecast)]
pub(crate) struct ForecastView {
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// What will be held, each with its own ends, which may lie outside the window.
    holds: Vec<ForecastedView>,
    /// When nobody will be on call, within the window.
    gaps: Vec<GapView>,
    /// Who will be on call and is in doubt.
    unmatched: Vec<UnmatchedView>,
    /// Every shift that touches the window.
    shifts: Vec<TurnView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
    /// Records on this page that this release cannot read.
    unreadable: Vec<String>,
}

/// What somebody will hold.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForecastHold)]
struct ForecastedView {
    person: PersonView,
    /// The profile whose reason begins first.
    profile: String,
    app: String,
    /// The app's word for what it is.
    kind: String,
    /// The app's ID of it.
    id: String,
    /// When it begins, lead inside.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// When it ends, grace inside; nothing while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    end: Option<Timestamp>,
    reasons: Vec<ReasonView>,
    /// The reasons in sentences.
    why: String,
    /// Whether the profile only shows what would happen; then nothing is granted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    observed: bool,
}

/// A stretch in which nobody will be on call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gap)]
struct GapView {
    rotation: String,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
}

/// Somebody on call who is in doubt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Unmatched)]
struct UnmatchedView {
    source: String,
    /// The source's user.
    user: String,
    rotation: String,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// `unmatched`, `ambiguous` or `inactive`.
    problem: String,
}

/// A shift.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shift)]
struct TurnView {
    rotation: String,
    /// Who; nothing where nobody is matched.
    person: Option<PersonView>,
    /// The source's user; nothing where the platform declares a gap.
    user: Option<String>,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// Until when; nothing while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    end: Option<Timestamp>,
}

impl ForecastView {
    pub(crate) fn new(forecast: Forecast, next: Option<String>, unreadable: Vec<String>) -> Self {
        let Forecast { from, to, holds, gaps, unmatched, shifts } = forecast;
        Self {
            next,
            unreadable,
            from,
            to,
            holds: holds.into_iter().map(ForecastedView::from).collect(),
            gaps: gaps.into_iter().map(GapView::from).collect(),
            unmatched: unmatched.into_iter().map(UnmatchedView::from).collect(),
            shifts: shifts.into_iter().map(TurnView::from).collect(),
        }
    }
}

impl From<Forecasted> for ForecastedView {
    fn from(hold: Forecasted) -> Self {
        let Forecasted { person, profile, app, kind, id, start, end, reasons, why, observed } = hold;
        let reasons = reasons.into_iter().map(|reason| ReasonView {
            kind: reason.kind,
            reference: reason.reference,
            start: reason.start,
            end: reason.end,
            lease_end: reason.lease_end,
        });
        Self {
            person: person.into(),
            profile: profile.to_string(),
            app: app.to_string(),
            kind,
            id,
            start,
            end,
            reasons: reasons.collect(),
            why,
            observed,
        }
    }
}

impl From<Gap> for GapView {
    fn from(Gap { rotation, start, end }: Gap) -> Self {
        Self { rotation: rotation.to_string(), start, end }
    }
}

impl From<Unmatched> for UnmatchedView {
    fn from(Unmatched { source, user, rotation, start, problem }: Unmatched) -> Self {
        let (source, user, rotation) = (source.to_string(), user.to_string(), rotation.to_string());
        Self { source, user, rotation, start, problem: problem.to_string() }
    }
}

impl From<Turn> for TurnView {
    fn from(Turn { rotation, person, user, start, end }: Turn) -> Self {
        let user = user.map(|user| user.to_string());
        Self { rotation: rotation.to_string(), person: person.map(PersonView::from), user, start, end }
    }
}
