//! What a caller has, and could have.

use axum::Json;
use axum::extract::State;
use dutykey_engine::ports::ledger::ReadLedger as _;
use dutykey_policy::time::instant_text;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Somebody;
use crate::people::EnrollmentView;
use crate::requests::{RequestView, views};
use crate::views::{Context, HoldView, PersonView, shown};
use crate::{Api, Problem};

/// The caller. Instants are RFC 3339 in UTC with milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// Who.
    person: PersonView,
    /// In what they are on call now, of the rotations that give something or by which something may be asked for.
    on_call: Vec<DutyView>,
    /// The profiles that they are in now or will be, and why.
    enrollments: Vec<EnrollmentView>,
    /// What they hold, and what is being given or taken.
    holds: Vec<HoldView>,
    /// Their requests that are not over.
    requests: Vec<RequestView>,
    /// What is offered to people on call.
    offers: Vec<OfferView>,
}

/// A duty.
#[derive(Debug, Serialize, ToSchema)]
struct DutyView {
    /// In what.
    rotation: String,
    /// Since when.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Until when; nothing while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// A profile that is offered to people on call in a rotation.
#[derive(Debug, Serialize, ToSchema)]
struct OfferView {
    /// The profile.
    profile: String,
    /// Its name.
    name: String,
    /// The rotation.
    rotation: String,
    /// Whether the caller could ask for it now.
    now: bool,
    /// Why not.
    why_not: Option<String>,
}

/// What the caller has, and could ask for.
#[utoipa::path(
    get, path = "/v1/me", tag = "people",
    responses((status = 200, description = "The caller", body = Me)),
    extensions(("x-callers" = json!("person"))),
)]
pub(crate) async fn me(State(api): State<Api>, Somebody(caller): Somebody) -> Result<Json<Me>, Problem> {
    let now = api.clock.now();
    let live = api.store.load(&caller.person).await?.ok_or(Problem::UnknownCaller)?;
    let offers = api.requests.offers(&caller.person).await?;
    let on_call = api.requests.duties(&live, &offers, now).await?;
    let context = Context::of(&api.store, &live.holds).await?;
    let offers = offers.iter().map(|offer| OfferView {
        profile: offer.profile.id.to_string(),
        name: offer.profile.name.clone(),
        rotation: offer.rotation.to_string(),
        now: offer.refusal.is_none(),
        why_not: offer.refusal.as_ref().map(ToString::to_string),
    });
    let duty = |duty: dutykey_engine::request::Duty| DutyView {
        rotation: duty.rotation.to_string(),
        from: duty.from,
        until: duty.until.at(),
    };
    Ok(Json(Me {
        person: PersonView::from(shown(&live.person.id, Some(&live.person))),
        on_call: on_call.into_iter().map(duty).collect(),
        enrollments: EnrollmentView::all(&live, now),
        holds: live.holds.iter().map(|hold| context.show(hold)).collect(),
        requests: views(&api, &live.requests).await?,
        offers: offers.collect(),
    }))
}
