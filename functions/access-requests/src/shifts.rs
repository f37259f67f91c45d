//! The shifts of a rotation.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use dutykey_engine::ports::rota::ReadRota as _;
use dutykey_policy::id::RotationId;
use dutykey_policy::rota::KnownShift;
use dutykey_policy::time::{Span, instant_text, later};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Anyone;
use crate::query::{Parameters, excerpt};
use crate::views::{PersonView, shown};
use crate::{Api, MAX_WINDOW, Problem};

/// How far ahead is looked where nothing is said.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// The shifts of a rotation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shifts)]
pub(crate) struct ShiftsView {
    shifts: Vec<ShiftView>,
}

/// A shift that the last view shows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnownShift)]
pub(crate) struct ShiftView {
    /// Names it in addresses, for as long as the platform shows it so.
    id: String,
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
    /// When an accepted view first showed it.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    seen: Timestamp,
}

/// The shifts of a rotation, as its last view shows them.
#[utoipa::path(
    get, path = "/v1/rotations/{rotation}/shifts", tag = "looking",
    params(
        ("rotation" = String, Path, description = "The rotation, `SOURCE:ID` or `SOURCE:ID@LEVEL`"),
        ("from" = Option<String>, Query, description = "From when; now where it is left out", format = DateTime),
        ("to" = Option<String>, Query, description = "Until when, at most 90 days later; a week where it is left out", format = DateTime),
    ),
    responses((status = 200, description = "Those that touch the stretch, in order", body = ShiftsView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn shifts(
    State(api): State<Api>,
    _: Anyone,
    Path(text): Path<String>,
    uri: Uri,
) -> Result<Json<ShiftsView>, Problem> {
    let window = window(&Parameters::of(&uri, &["from", "to"])?, api.clock.now())?;
    let none = || Problem::NotFound(format!("rotation {}", excerpt(&text)));
    let id: RotationId = text.parse().map_err(|_| none())?;
    if api.store.heads(std::slice::from_ref(&id)).await?.is_empty() {
        return Err(none());
    }
    let mut known = api.store.known(&id, window).await?;
    known.retain(|known| known.stands());
    known.sort_by_key(|known| known.shift.start);
    let users: Vec<_> = known.iter().filter_map(|known| known.shift.user.clone()).collect();
    let linked = api.store.people(&id.source, &users).await?;
    let people = api.store.who(&linked.values().cloned().collect::<Vec<_>>()).await?;
    let person = |known: &KnownShift| {
        let linked = known.shift.user.as_ref().and_then(|user| linked.get(user));
        linked.map(|id| shown(id, people.get(id)).into())
    };
    Ok(Json(ShiftsView { shifts: known.iter().map(|known| ShiftView::new(&id, known, person(known))).collect() }))
}

impl ShiftView {
    pub(crate) fn new(rotation: &RotationId, known: &KnownShift, person: Option<PersonView>) -> Self {
        Self {
            id: known.shift.name(rotation),
            person,
            user: known.shift.user.as_ref().map(ToString::to_string),
            start: known.shift.start,
            end: known.shift.end.at(),
            seen: known.seen,
        }
    }
}

/// The stretch that is asked for: from now on for a week, where nothing else is said.
pub(crate) fn window(parameters: &Parameters, now: Timestamp) -> Result<Span, Problem> {
    let from = parameters.instant("from")?.unwrap_or(now);
    let to = parameters.instant("to")?.unwrap_or_else(|| later(from, WEEK));
    let window = Span::new(from, to).filter(|window| window.end <= later(from, MAX_WINDOW));
    window.ok_or_else(|| Problem::Parameter("`to` must be after `from`, and at most 90 days after it".to_owned()))
}
