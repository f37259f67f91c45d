//! What a caller has, and could have.

use axum::Json;
use axum::extract::{Path, State};
use dutykey_engine::ports::ledger::ReadLedger as _;
use dutykey_policy::id::ProfileId;
use dutykey_policy::time::{format_duration, instant_text};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::blocks::BlockView;
use crate::caller::Somebody;
use crate::people::EnrollmentView;
use crate::query::excerpt;
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
    /// What they could take in an emergency.
    emergencies: Vec<ForEmergencies>,
}

/// A profile that names the caller for emergencies.
#[derive(Debug, Serialize, ToSchema)]
struct ForEmergencies {
    /// The profile.
    profile: String,
    /// Its name.
    name: String,
    /// The longest that it may last.
    max_duration: String,
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
    let context = Context::of(&api.store, &live.holds, now).await?;
    let offers = offers.iter().map(|offer| OfferView {
        profile: offer.profile.id.to_string(),
        name: offer.profile.name.clone(),
        rotation: offer.rotation.to_string(),
        now: offer.refusal.is_none(),
        why_not: offer.refusal.as_ref().map(ToString::to_string),
    });
    let taken = api.emergencies.offered(&caller).await?;
    let emergencies = taken.iter().filter_map(|profile| {
        let rule = profile.break_glass.as_ref()?;
        let (profile, name) = (profile.id.to_string(), profile.name.clone());
        Some(ForEmergencies { profile, name, max_duration: format_duration(rule.max_duration) })
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
        emergencies: emergencies.collect(),
    }))
}

/// Gives a profile back that the caller is in by being on call. They are denied it until that access would have ended.
#[utoipa::path(
    delete, path = "/v1/me/enrollments/{profile}", tag = "people",
    params(("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$")),
    responses((status = 200, description = "The block that keeps it away; what it gave ends now", body = BlockView)),
    extensions(("x-callers" = json!("person"))),
)]
pub(crate) async fn give_back(
    State(api): State<Api>,
    Somebody(caller): Somebody,
    Path(text): Path<String>,
) -> Result<Json<BlockView>, Problem> {
    let profile: ProfileId = text.parse().map_err(|_| Problem::NotFound(format!("profile {}", excerpt(&text))))?;
    let block = api.blocks.give_back(&caller.person, &profile, &api.store, &api.store).await?;
    Ok(Json(BlockView::new(block, None)))
}
