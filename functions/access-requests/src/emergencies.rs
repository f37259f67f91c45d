//! Break-glass: taking a profile in an emergency, giving it back, and reviewing what others took.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use dutykey_engine::emergency::{justification_name, review_name};
use dutykey_engine::ports::emergencies::ReadEmergencies as _;
use dutykey_policy::emergency::Emergency;
use dutykey_policy::id::{EmergencyId, PersonId};
use dutykey_policy::identity::Person;
use dutykey_policy::time::instant_text;
use dutykey_store::Reviewed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Anyone, Reviewer, Somebody};
use crate::lists::{listing, next};
use crate::query::{Parameters, excerpt};
use crate::requests::{AccessView, id, order};
use crate::views::{PersonView, shown};
use crate::{Api, Problem};

/// What is taken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEmergency {
    /// The profile.
    #[schema(example = "prod-admin", pattern = "^[a-z0-9-]{1,40}$")]
    profile: String,
    /// For how long: a whole number and s, m, h or d.
    #[schema(example = "30m", pattern = "^[0-9]{1,9}[smhd]$")]
    duration: String,
    /// Why.
    #[schema(min_length = 1, max_length = 2_000)]
    justification: String,
    /// The incident that it is for.
    #[schema(max_length = 200)]
    incident: Option<String>,
}

/// What was found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReview {
    /// In words.
    #[schema(min_length = 1, max_length = 2_000)]
    comment: String,
}

/// A profile that somebody took in an emergency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Emergency)]
pub(crate) struct EmergencyView {
    /// Its ID.
    id: String,
    /// Who took it.
    person: PersonView,
    /// What.
    profile: String,
    /// The version of the profile that was taken: access never grows beyond it.
    version: u64,
    /// The access that it gives, or gave.
    access: AccessView,
    /// Why; nothing where it was erased.
    justification: Option<String>,
    /// The incident that it is for.
    incident: Option<String>,
    /// Its review; nothing while it waits for one.
    review: Option<ReviewView>,
}

/// A review.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Review)]
struct ReviewView {
    /// Who.
    by: PersonView,
    /// When.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What was found; nothing where it was erased.
    comment: Option<String>,
}

/// A page of emergencies.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Emergencies)]
pub(crate) struct EmergenciesView {
    emergencies: Vec<EmergencyView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
    /// Records on this page that this release cannot read.
    unreadable: Vec<String>,
}

/// Takes a profile at once, where it names the caller. Everybody is told, and it stays open until somebody else has
/// reviewed it.
#[utoipa::path(
    post, path = "/v1/break-glass", tag = "break-glass", request_body = NewEmergency,
    responses((status = 201, description = "It is taken", body = EmergencyView,
        headers(("location" = String, description = "Where it is")))),
    extensions(("x-callers" = json!("person"))),
)]
pub(crate) async fn take(
    State(api): State<Api>,
    Somebody(caller): Somebody,
    Body(new): Body<NewEmergency>,
) -> Result<Response, Problem> {
    let order = order(&new.duration, Some(new.justification), new.incident)?;
    let taken = api.emergencies.take(&caller, &id(&new.profile, "profile")?, order).await?;
    let mut response = (StatusCode::CREATED, show(&api, &taken).await?).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/break-glass/{taken}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Emergencies: those that wait for their review, or those that were reviewed.
#[utoipa::path(
    get, path = "/v1/break-glass", tag = "break-glass",
    params(
        ("reviewed" = Option<bool>, Query, description = "Those that were reviewed, instead of those that wait"),
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "In each part of the list the oldest comes first", body = EmergenciesView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn list(State(api): State<Api>, _: Anyone, uri: Uri) -> Result<Json<EmergenciesView>, Problem> {
    let parameters = Parameters::of(&uri, &["reviewed", "limit", "cursor"])?;
    let which = match parameters.value("reviewed", "true or false")? {
        Some(true) => Reviewed::Done,
        Some(false) | None => Reviewed::NotYet,
    };
    let page = api.store.list_emergencies(which, parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let emergencies = views(&api, &page.items).await?;
    Ok(Json(EmergenciesView { emergencies, next: next(&page), unreadable: page.unreadable }))
}

/// One emergency.
#[utoipa::path(
    get, path = "/v1/break-glass/{emergency}", tag = "break-glass",
    params(("emergency" = String, Path, description = "The emergency", pattern = "^emg_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "As it is now", body = EmergencyView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn one(
    State(api): State<Api>,
    _: Anyone,
    Path(text): Path<String>,
) -> Result<Json<EmergencyView>, Problem> {
    show(&api, &named(&text)?).await
}

/// Gives back early what the caller took. It stays to be reviewed.
#[utoipa::path(
    delete, path = "/v1/break-glass/{emergency}", tag = "break-glass",
    params(("emergency" = String, Path, description = "The emergency", pattern = "^emg_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "Its access ends now", body = EmergencyView)),
    extensions(("x-callers" = json!("person"))),
)]
pub(crate) async fn give_back(
    State(api): State<Api>,
    Somebody(caller): Somebody,
    Path(text): Path<String>,
) -> Result<Json<EmergencyView>, Problem> {
    let emergency = named(&text)?;
    api.emergencies.give_back(&caller, &emergency).await?;
    show(&api, &emergency).await
}

/// Closes the review of what somebody else took.
#[utoipa::path(
    post, path = "/v1/break-glass/{emergency}/review", tag = "break-glass", request_body = NewReview,
    params(("emergency" = String, Path, description = "The emergency", pattern = "^emg_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "It is reviewed", body = EmergencyView)),
    extensions(("x-callers" = json!("reviewer"))),
)]
pub(crate) async fn review(
    State(api): State<Api>,
    Reviewer(by): Reviewer,
    Path(text): Path<String>,
    Body(new): Body<NewReview>,
) -> Result<Json<EmergencyView>, Problem> {
    let emergency = named(&text)?;
    api.emergencies.review(&by, &emergency, new.comment).await?;
    show(&api, &emergency).await
}

/// The emergency that an address names. What cannot be one is none.
fn named(text: &str) -> Result<EmergencyId, Problem> {
    text.parse().map_err(|_| Problem::NotFound(format!("emergency {}", excerpt(text))))
}

async fn show(api: &Api, id: &EmergencyId) -> Result<Json<EmergencyView>, Problem> {
    let none = || Problem::NotFound(format!("emergency {id}"));
    let emergency = api.store.emergency(id).await?.ok_or_else(none)?;
    views(api, std::slice::from_ref(&emergency)).await?.pop().map(Json).ok_or_else(none)
}

/// Emergencies with their texts and the names of their people.
async fn views(api: &Api, emergencies: &[Emergency]) -> Result<Vec<EmergencyView>, Problem> {
    let reviewers = emergencies.iter().filter_map(|it| it.review.as_ref()).map(|review| review.by.clone());
    let people: Vec<PersonId> = emergencies.iter().map(|it| it.person.clone()).chain(reviewers).collect();
    let people = api.store.who(&people).await?;
    let names =
        |it: &Emergency| [justification_name(&it.id), review_name(&it.id)].map(|name| (it.person.clone(), name));
    let texts = api.store.texts(&emergencies.iter().flat_map(names).collect::<Vec<_>>()).await?;
    Ok(emergencies.iter().map(|it| view(it, &people, &texts)).collect())
}

fn view(it: &Emergency, people: &BTreeMap<PersonId, Person>, texts: &BTreeMap<String, String>) -> EmergencyView {
    let person = |id: &PersonId| PersonView::from(shown(id, people.get(id)));
    EmergencyView {
        id: it.id.to_string(),
        person: person(&it.person),
        profile: it.profile.to_string(),
        version: it.version,
        access: it.access.into(),
        justification: texts.get(&justification_name(&it.id)).cloned(),
        incident: it.incident.clone(),
        review: it.review.as_ref().map(|review| ReviewView {
            by: person(&review.by),
            at: review.at,
            comment: texts.get(&review_name(&it.id)).cloned(),
        }),
    }
}
