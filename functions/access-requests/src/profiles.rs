//! Profiles, and who is in them.

pub(crate) mod edits;
pub(crate) mod judged;

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::enrollment::Enrollment;
use dutykey_policy::id::{EntitlementRef, PersonId, ProfileId, RotationId};
use dutykey_policy::profile::{Mode, Profile};
use dutykey_runtime::config::words;
use serde::Serialize;
use utoipa::ToSchema;

use edits::{Definition, ProposalView};

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
    /// Counts up with each change; 0 for one that is only proposed.
    version: u64,
    /// What it belongs to, and where it is changed.
    owner: OwnerView,
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
    /// The whole of it, in the words of the configuration file.
    definition: Definition,
    /// The change that waits for another administrator, if one does; only where one profile is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<ProposalView>,
}

/// What a profile belongs to.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OwnerView {
    /// The configuration file.
    File,
    /// This API.
    Api,
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

impl ProfileView {
    fn new(profile: Profile, owner: OwnerView, proposal: Option<ProposalView>) -> Self {
        let definition = Definition(words(&profile));
        let names =
            |rotations: BTreeSet<RotationId>| -> Vec<String> { rotations.iter().map(ToString::to_string).collect() };
        let entitlement =
            |one: EntitlementRef| EntitlementView { app: one.app.to_string(), kind: one.kind, id: one.id };
        Self {
            id: profile.id.to_string(),
            version: profile.version,
            owner,
            name: profile.name,
            observed: profile.mode == Mode::Observe,
            entitlements: profile.entitlements.into_iter().map(entitlement).collect(),
            enrolls: names(profile.enrollment.map(|rule| rule.rotations).unwrap_or_default()),
            offered: names(profile.self_service.map(|service| service.rotations).unwrap_or_default()),
            definition,
            proposal,
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
    let Some(configured) = api.store.installation().await? else {
        return Ok(Json(ProfilesView { profiles: Vec::new() }));
    };
    let mut profiles = configured.installation.profiles;
    profiles.sort_by(|one, other| one.id.cmp(&other.id));
    let view = |profile: Profile| {
        let owner = owner(&configured.made, &profile.id);
        ProfileView::new(profile, owner, None)
    };
    Ok(Json(ProfilesView { profiles: profiles.into_iter().map(view).collect() }))
}

pub(crate) fn owner(made: &BTreeSet<ProfileId>, id: &ProfileId) -> OwnerView {
    if made.contains(id) { OwnerView::Api } else { OwnerView::File }
}

/// One profile, as it is now.
#[utoipa::path(
    get, path = "/v1/profiles/{profile}", tag = "profiles",
    params(("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$")),
    responses((status = 200, description = "Its current version, and what is proposed", body = ProfileView,
        headers(("etag" = Option<String>, description = "Its version, in quotes, for `if-match`")))),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn profile(State(api): State<Api>, _: Anyone, Path(text): Path<String>) -> Result<Response, Problem> {
    found(&api, &named(&text)?).await
}

/// The profile that an address names. What cannot be one is none.
fn named(text: &str) -> Result<ProfileId, Problem> {
    text.parse().map_err(|_| Problem::NotFound(format!("profile {}", excerpt(text))))
}

/// The profile as it is now, or as it is only proposed.
async fn found(api: &Api, id: &ProfileId) -> Result<Response, Problem> {
    let configured = api.store.installation().await?;
    let made = configured.as_ref().map(|configured| configured.made.clone()).unwrap_or_default();
    let mut profiles = configured.into_iter().flat_map(|configured| configured.installation.profiles);
    let (profile, waiting) = (profiles.find(|profile| profile.id == *id), api.profiles.waiting(id).await?);
    let proposal = match &waiting {
        Some(proposal) => Some(ProposalView::of(api, proposal).await?),
        None => None,
    };
    let Some(profile) = profile else {
        let wanted = waiting.ok_or_else(|| Problem::NotFound(format!("profile {id}")))?.wanted;
        return Ok(Json(ProfileView::new(wanted, OwnerView::Api, proposal)).into_response());
    };
    let etag = HeaderValue::from_str(&format!("\"{}\"", profile.version));
    let mut response = Json(ProfileView::new(profile, owner(&made, id), proposal)).into_response();
    if let Ok(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
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
