//! Profiles, and who is in them.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::enrollment::Enrollment;
use dutykey_policy::id::{EntitlementRef, PersonId, ProfileId, RotationId};
use dutykey_policy::profile::{Mode, Profile};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Anyone;
use crate::lists::{listing, next};
use crate::people::EnrollmentView;
use crate::query::{Parameters, excerpt};
use crate::views::{PersonView, shown};
use crate::{Api, Problem};

/// A page of enrollments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Enrollments)]
pub(crate) struct EnrollmentsView {
    enrollments: Vec<EnrollmentView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
    /// Records on this page that this release cannot read.
    unreadable: Vec<String>,
}

/// Every profile.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Profiles)]
pub(crate) struct ProfilesView {
    profiles: Vec<ProfileView>,
}

/// A version of an access profile.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Profile)]
pub(crate) struct ProfileView {
    id: String,
    /// Counts up with each change.
    version: u64,
    /// A name for people to read.
    name: String,
    /// Whether it acts, or only shows what would happen.
    observed: bool,
    /// What it gives.
    entitlements: Vec<EntitlementView>,
    /// The rotations whose people get it without asking.
    enrolls: Vec<String>,
    /// The rotations whose people may ask for it.
    offered: Vec<String>,
}

/// One grantable thing in an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entitlement)]
struct EntitlementView {
    app: String,
    /// The app's word for what it is.
    kind: String,
    /// The app's ID of it.
    id: String,
}

impl From<Profile> for ProfileView {
    fn from(profile: Profile) -> Self {
        let names =
            |rotations: BTreeSet<RotationId>| -> Vec<String> { rotations.iter().map(ToString::to_string).collect() };
        let entitlement =
            |one: EntitlementRef| EntitlementView { app: one.app.to_string(), kind: one.kind, id: one.id };
        Self {
            id: profile.id.to_string(),
            version: profile.version,
            name: profile.name,
            observed: profile.mode == Mode::Observe,
            entitlements: profile.entitlements.into_iter().map(entitlement).collect(),
            enrolls: names(profile.enrollment.map(|rule| rule.rotations).unwrap_or_default()),
            offered: names(profile.self_service.map(|service| service.rotations).unwrap_or_default()),
        }
    }
}

/// Every profile, as it is now.
#[utoipa::path(
    get, path = "/v1/profiles", tag = "profiles",
    responses((status = 200, description = "In the order of their IDs", body = ProfilesView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn profiles(State(api): State<Api>, _: Anyone, uri: Uri) -> Result<Json<ProfilesView>, Problem> {
    Parameters::of(&uri, &[])?;
    let mut profiles = api.store.all_profiles().await?;
    profiles.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Json(ProfilesView { profiles: profiles.into_iter().map(ProfileView::from).collect() }))
}

/// One profile, as it is now.
#[utoipa::path(
    get, path = "/v1/profiles/{profile}", tag = "profiles",
    params(("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$")),
    responses((status = 200, description = "Its current version", body = ProfileView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn profile(
    State(api): State<Api>,
    _: Anyone,
    Path(text): Path<String>,
) -> Result<Json<ProfileView>, Problem> {
    let none = || Problem::NotFound(format!("profile {}", excerpt(&text)));
    let id: ProfileId = text.parse().map_err(|_| none())?;
    let found = api.store.profiles(std::slice::from_ref(&id)).await?.into_iter().next();
    found.map(|profile| Json(profile.into())).ok_or_else(none)
}

/// Who is in a profile, and why.
#[utoipa::path(
    get, path = "/v1/profiles/{profile}/enrollments", tag = "profiles",
    params(
        ("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$"),
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "Those that are not over", body = EnrollmentsView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn enrollments(
    State(api): State<Api>,
    _: Anyone,
    Path(text): Path<String>,
    uri: Uri,
) -> Result<Json<EnrollmentsView>, Problem> {
    let parameters = Parameters::of(&uri, &["limit", "cursor"])?;
    let id: ProfileId = text.parse().map_err(|_| Problem::NotFound(format!("profile {}", excerpt(&text))))?;
    let page = api.store.list_enrollments(&id, parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let ids: Vec<PersonId> = page.items.iter().map(|enrollment| enrollment.person.clone()).collect();
    let people = api.store.who(&ids).await?;
    let now = api.clock.now();
    let view = |enrollment: &Enrollment| {
        let person = PersonView::from(shown(&enrollment.person, people.get(&enrollment.person)));
        EnrollmentView::of(enrollment, person, now)
    };
    let enrollments = page.items.iter().filter_map(view).collect();
    Ok(Json(EnrollmentsView { enrollments, next: next(&page), unreadable: page.unreadable }))
}
