//! Changes of profiles by administrators: looked at first, made, deleted, and confirmed by another administrator where they
//! give their author more.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::profile::{Become, ProfileError, Wanted};
use dutykey_policy::edit::{Precondition, Proposal, digest};
use dutykey_policy::effect::{Ending, Stretch};
use dutykey_policy::id::ProfileId;
use dutykey_policy::time::instant_text;
use dutykey_runtime::config::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::judged::{Effect, Judged, judge, judge_deletion};
use super::{found, named};
use crate::body::Body;
use crate::caller::{Administrator, Author, only};
use crate::query::excerpt;
use crate::views::{PersonView, shown};
use crate::{Api, Problem};

/// How often a change is judged again where somebody else has changed the configuration meanwhile.
const RACES: usize = 5;
/// At most so many gains, losses and endings are listed.
pub(crate) const LISTED: usize = 200;
/// The name of the schema of a profile as somebody says it.
pub(crate) const DEFINITION: &str = "ProfileDefinition";

/// A profile in the words of the configuration file, without its ID; each entitlement by its ID.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Definition(pub(super) Value);

/// Its schema is the configuration file's own, which stands under this name.
impl PartialSchema for Definition {
    fn schema() -> RefOr<Schema> {
        RefOr::Ref(Ref::from_schema_name(DEFINITION))
    }
}

impl ToSchema for Definition {
    fn name() -> std::borrow::Cow<'static, str> {
        DEFINITION.into()
    }
}

/// What a change would mean.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Preview)]
pub(crate) struct PreviewView {
    /// Names the change: what is wanted, on which configuration, and what it gives whoever asks.
    digest: String,
    /// What it would mean for people.
    #[serde(flatten)]
    effect: EffectView,
    /// Whether another administrator must confirm it, for it gives whoever asks more than they have.
    needs_another: bool,
}

/// What a change would mean for people.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Effect)]
pub(crate) struct EffectView {
    /// Who would have what within the next seven days that they would not have otherwise; at most 200.
    gains: Vec<StretchView>,
    /// Who would not have what they would have otherwise; at most 200.
    losses: Vec<StretchView>,
    /// Who has something now and loses it at once; at most 200.
    ends_now: Vec<EndingView>,
    /// How many more there are than are listed.
    more: MoreView,
}

impl From<Effect> for EffectView {
    fn from(Effect { gains, losses, ends_now }: Effect) -> Self {
        let more = |all: usize| all.saturating_sub(LISTED);
        Self {
            more: MoreView { gains: more(gains.len()), losses: more(losses.len()), ends_now: more(ends_now.len()) },
            gains: gains.into_iter().take(LISTED).map(StretchView::from).collect(),
            losses: losses.into_iter().take(LISTED).map(StretchView::from).collect(),
            ends_now: ends_now.into_iter().take(LISTED).map(EndingView::from).collect(),
        }
    }
}

/// How many more there are than are listed.
#[derive(Debug, Serialize, ToSchema)]
struct MoreView {
    gains: usize,
    losses: usize,
    ends_now: usize,
}

/// Access over a stretch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StretchView {
    person: PersonView,
    app: String,
    /// The app's word for what it is.
    kind: String,
    /// The app's ID of it.
    id: String,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
}

impl From<Stretch> for StretchView {
    fn from(stretch: Stretch) -> Self {
        let Stretch { person, app, kind, id, start, end } = stretch;
        Self { person: person.into(), app: app.to_string(), kind, id, start, end }
    }
}

/// Access that ends with the change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndingView {
    person: PersonView,
    /// By which profiles they have it.
    profiles: Vec<String>,
    app: String,
    /// The app's word for what it is.
    kind: String,
    /// The app's ID of it.
    id: String,
}

impl From<Ending> for EndingView {
    fn from(ending: Ending) -> Self {
        let Ending { person, profiles, app, kind, id } = ending;
        let profiles = profiles.iter().map(ToString::to_string).collect();
        Self { person: person.into(), profiles, app: app.to_string(), kind, id }
    }
}

/// A change that waits for another administrator.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Proposal)]
pub(crate) struct ProposalView {
    /// Who wants it.
    by: PersonView,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Until when it waits.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Names it; whoever confirms it repeats this.
    digest: String,
    /// What the profile would be.
    wanted: Definition,
}

impl ProposalView {
    pub(super) async fn of(api: &Api, proposal: &Proposal) -> Result<Self, StoreError> {
        let people = api.store.who(std::slice::from_ref(&proposal.author)).await?;
        Ok(Self {
            by: shown(&proposal.author, people.get(&proposal.author)).into(),
            at: proposal.at,
            until: proposal.until,
            digest: proposal.digest.clone(),
            wanted: Definition(words(&proposal.wanted)),
        })
    }
}

/// A confirmation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmation {
    /// The digest of what waits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub(crate) digest: String,
}

/// Shows what a change would mean. Nothing is changed.
#[utoipa::path(
    post, path = "/v1/profiles/{profile}/preview", tag = "profiles", request_body = Definition,
    params(("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$")),
    responses((status = 200, description = "By what is stored of the rota", body = PreviewView)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn preview(
    State(api): State<Api>,
    Author(caller): Author,
    Path(text): Path<String>,
    Body(Definition(said)): Body<Definition>,
) -> Result<Json<PreviewView>, Problem> {
    let Judged { wanted, on, effect, gain } = judge(&api, &caller, &named(&text)?, said).await?;
    let (digest, needs_another) = (digest(&wanted, on, &gain), !gain.is_empty());
    Ok(Json(PreviewView { digest, effect: effect.into(), needs_another }))
}

/// Shows what the deletion of a profile would mean. Nothing is changed.
#[utoipa::path(
    get, path = "/v1/profiles/{profile}/deletion", tag = "profiles",
    params(("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$")),
    responses((status = 200, description = "By what is stored of the rota", body = EffectView)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn deletion(
    State(api): State<Api>,
    _: Author,
    Path(text): Path<String>,
) -> Result<Json<EffectView>, Problem> {
    Ok(Json(judge_deletion(&api, &named(&text)?).await?.into()))
}

/// Makes a profile, or changes it. What gives its author more waits for another administrator.
#[utoipa::path(
    put, path = "/v1/profiles/{profile}", tag = "profiles", request_body = Definition,
    params(
        ("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$"),
        ("if-match" = Option<String>, Header, description = "The `etag` of what is changed"),
        ("if-none-match" = Option<String>, Header, description = "`*`, where it is new"),
    ),
    responses(
        (status = 200, description = "It is in force; those whom it concerns are looked at at once", body = super::ProfileView),
        (status = 201, description = "It is new, and in force", body = super::ProfileView),
        (status = 202, description = "It waits for another administrator", body = ProposalView,
            headers(("location" = String, description = "Where it waits"))),
    ),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn put(
    State(api): State<Api>,
    Author(caller): Author,
    Path(text): Path<String>,
    headers: HeaderMap,
    Body(Definition(said)): Body<Definition>,
) -> Result<Response, Problem> {
    let id = named(&text)?;
    let taken_for = precondition(&headers)?;
    let mut races = 0;
    let become_of = loop {
        let Judged { wanted: profile, on, gain, .. } = judge(&api, &caller, &id, said.clone()).await?;
        let wanted = Wanted { profile, taken_for, author: caller.person.clone(), on, gain };
        match api.profiles.put(wanted).await {
            Err(ProfileError::Store(StoreError::Changed(_))) if races < RACES => races += 1,
            done => break done?,
        }
    };
    match become_of {
        Become::Made => Ok((StatusCode::CREATED, found(&api, &id).await?).into_response()),
        Become::Changed => found(&api, &id).await,
        Become::Waits(proposal) => {
            let view = Json(ProposalView::of(&api, &proposal).await?);
            let mut response = (StatusCode::ACCEPTED, view).into_response();
            if let Ok(location) = HeaderValue::from_str(&format!("/v1/profiles/{id}")) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
    }
}

/// Deletes a profile. Everything that it gave ends now.
#[utoipa::path(
    delete, path = "/v1/profiles/{profile}", tag = "profiles",
    params(
        ("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$"),
        ("if-match" = Option<String>, Header, description = "The `etag` of what is deleted"),
    ),
    responses((status = 204, description = "It is gone; those whom it concerned are looked at at once")),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Administrator(author): Administrator,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    api.profiles.delete(&named(&text)?, precondition(&headers)?, &author).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirms what another administrator has proposed.
#[utoipa::path(
    post, path = "/v1/profiles/{profile}/confirm", tag = "profiles", request_body = Confirmation,
    params(("profile" = String, Path, description = "The profile", pattern = "^[a-z0-9-]{1,40}$")),
    responses((status = 200, description = "It is in force; those whom it concerns are looked at at once", body = super::ProfileView)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn confirm(
    State(api): State<Api>,
    Administrator(by): Administrator,
    Path(text): Path<String>,
    Body(Confirmation { digest }): Body<Confirmation>,
) -> Result<Response, Problem> {
    let id: ProfileId = named(&text)?;
    api.profiles.confirm(&id, &digest, &by).await?;
    found(&api, &id).await
}

/// What a change says of the profile that it changes.
pub(crate) fn precondition(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let wrong = |name: &str, said: &str, expected: &str| {
        Problem::Parameter(format!("the header `{name}` is `{}`, not {expected}", excerpt(said)))
    };
    let matches = only(headers, header::IF_MATCH.as_str())?;
    let none_matches = only(headers, header::IF_NONE_MATCH.as_str())?;
    match (matches, none_matches) {
        (None, None) => Ok(Precondition::Unsaid),
        (None, Some("*")) => Ok(Precondition::New),
        (None, Some(said)) => Err(wrong("if-none-match", said, "`*`")),
        (Some(said), None) => {
            let version = said.strip_prefix('"').and_then(|said| said.strip_suffix('"'));
            let version = version.and_then(|version| version.parse().ok());
            version.map(Precondition::Version).ok_or_else(|| wrong("if-match", said, "an `etag` like `\"7\"`"))
        }
        (Some(_), Some(_)) => {
            Err(Problem::Parameter("the headers `if-match` and `if-none-match` do not go together".to_owned()))
        }
    }
}
