//! The whole configuration: what is in force, what a file would change, and putting it in force as its author. What gives
//! its author more waits for another administrator.

mod judged;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use dutykey_engine::configuration::{Become, ConfigurationError, Wanted};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rules::Configured;
use dutykey_policy::configure::{Proposal, digest};
use dutykey_policy::difference::{Change, Key, Part, What};
use dutykey_policy::time::instant_text;
use dutykey_runtime::config::MAX_BYTES;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use judged::open_holds;

use judged::{Judged, judge, judge_waiting, still_fits};

use crate::body::Body;
use crate::caller::{Administrator, Author};
use crate::profiles::edits::{Confirmation, EndingView, LISTED, StretchView, precondition};
use crate::profiles::judged::configured;
use crate::profiles::{OwnerView, owner};
use crate::query::Parameters;
use crate::views::{PersonView, shown};
use crate::{Api, Problem};

/// The name of the schema of a configuration as somebody says it.
pub(crate) const CONFIGURATION: &str = "ConfigurationDefinition";
/// At most so many keys of one change are listed.
const KEYS: usize = 100;

/// A configuration in the words of the file, each entitlement by its ID; at most 1 MiB of it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Definition(Value);

/// Its schema is the configuration file's own, which stands under this name.
impl PartialSchema for Definition {
    fn schema() -> RefOr<Schema> {
        RefOr::Ref(Ref::from_schema_name(CONFIGURATION))
    }
}

impl ToSchema for Definition {
    fn name() -> std::borrow::Cow<'static, str> {
        CONFIGURATION.into()
    }
}

/// What is in force. How sources and apps are reached is left out: an address may be a secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Configuration)]
pub(crate) struct ConfigurationView {
    /// Counts up with each change.
    version: u64,
    /// When it came into force.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    sources: Vec<SystemView>,
    apps: Vec<SystemView>,
    profiles: Vec<OwnedView>,
    /// The change that waits for another administrator, if one does and nothing has changed since.
    proposal: Option<ConfigurationProposalView>,
}

/// A source or an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredSystem)]
struct SystemView {
    id: String,
    /// Whether it has left the configuration and only ends what it began.
    retiring: bool,
}

/// A profile that is in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredProfile)]
struct OwnedView {
    id: String,
    version: u64,
    /// What it belongs to, and where it is changed.
    owner: OwnerView,
}

/// What a change of the configuration would mean.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationPreview)]
pub(crate) struct PreviewView {
    /// The version that it would change.
    version: u64,
    /// Names the change: what is wanted, on which version, and what it gives whoever asks.
    digest: String,
    /// Whether another administrator must confirm it, for it gives whoever asks more than they have.
    needs_another: bool,
    /// What differs; at most 200.
    changes: Vec<ChangeView>,
    /// Who would have what within the next seven days that they would not have otherwise; at most 200.
    gains: Vec<StretchView>,
    /// Who would not have what they would have otherwise; at most 200.
    losses: Vec<StretchView>,
    /// Who has something now and loses it at once; at most 200.
    ends_now: Vec<EndingView>,
    /// How many more there are than are listed.
    more: MoreChangesView,
    /// Why not all of it could be foreseen; at most 200 sentences.
    unforeseen: Vec<String>,
    /// What would retire, which must be said with `?retire=true`.
    retiring: Vec<String>,
    /// Why it cannot come into force.
    refused: Vec<String>,
}

/// How many more there are than are listed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MoreChanges)]
struct MoreChangesView {
    changes: usize,
    gains: usize,
    losses: usize,
    ends_now: usize,
}

/// One change of the configuration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationChange)]
struct ChangeView {
    /// What happens: `added`, `changed`, `removed` or `retiring`.
    #[schema(value_type = String)]
    what: What,
    /// To what: `setting`, `source`, `app`, `link` or `profile`.
    #[schema(value_type = String)]
    part: Part,
    /// Its ID; of a link the person's address, of a setting its key.
    id: String,
    /// What differs, or all of it where it comes or goes; at most 100. Of a calendar's address only the key is named.
    keys: Vec<KeyView>,
    /// How many more keys there are than are listed.
    more: usize,
}

/// A key that differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationKey)]
struct KeyView {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

impl From<Change> for ChangeView {
    fn from(Change { what, part, id, keys }: Change) -> Self {
        let key = |Key { key, before, after }: Key| KeyView { key, before, after };
        let more = keys.len().saturating_sub(KEYS);
        Self { what, part, id, keys: keys.into_iter().take(KEYS).map(key).collect(), more }
    }
}

impl From<Judged> for PreviewView {
    fn from(judged: Judged) -> Self {
        let Judged { on, wanted, changes, effect, unforeseen, retiring, refused, gain } = judged;
        let more = |all: usize| all.saturating_sub(LISTED);
        let listed = |sentences: Vec<String>| sentences.into_iter().take(LISTED).collect();
        Self {
            version: on,
            digest: digest(&wanted, on, &gain),
            needs_another: !gain.is_empty(),
            more: MoreChangesView {
                changes: more(changes.len()),
                gains: more(effect.gains.len()),
                losses: more(effect.losses.len()),
                ends_now: more(effect.ends_now.len()),
            },
            changes: changes.into_iter().take(LISTED).map(ChangeView::from).collect(),
            gains: effect.gains.into_iter().take(LISTED).map(StretchView::from).collect(),
            losses: effect.losses.into_iter().take(LISTED).map(StretchView::from).collect(),
            ends_now: effect.ends_now.into_iter().take(LISTED).map(EndingView::from).collect(),
            unforeseen: listed(unforeseen),
            retiring: listed(retiring),
            refused: listed(refused),
        }
    }
}

/// A change of the configuration that waits for another administrator.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationProposal)]
pub(crate) struct ConfigurationProposalView {
    /// Who wants it.
    by: PersonView,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Until when it waits.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// What it would mean, and the digest that whoever confirms it repeats.
    #[serde(flatten)]
    preview: PreviewView,
}

impl ConfigurationProposalView {
    async fn of(api: &Api, proposal: &Proposal, judged: Judged) -> Result<Self, StoreError> {
        let people = api.store.who(std::slice::from_ref(&proposal.author)).await?;
        let by = shown(&proposal.author, people.get(&proposal.author)).into();
        Ok(Self { by, at: proposal.at, until: proposal.until, preview: judged.into() })
    }
}

/// What is in force, and what waits.
#[utoipa::path(
    get, path = "/v1/configuration", tag = "configuration",
    responses((status = 200, description = "Its current version", body = ConfigurationView,
        headers(("etag" = String, description = "The version, in quotes, for `if-match`")))),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn configuration(State(api): State<Api>, _: Author) -> Result<Response, Problem> {
    in_force(&api).await
}

async fn in_force(api: &Api) -> Result<Response, Problem> {
    let proposal = match api.configurations.waiting().await? {
        Some(proposal) => match judge_waiting(api, &proposal).await? {
            Some(judged) => Some(ConfigurationProposalView::of(api, &proposal, judged).await?),
            None => None,
        },
        None => None,
    };
    let Configured { version, at, installation, made } = configured(&api.store).await?;
    let system = |id: String, retiring: bool| SystemView { id, retiring };
    let view = ConfigurationView {
        version,
        at,
        sources: installation.sources.iter().map(|it| system(it.id.to_string(), it.retiring)).collect(),
        apps: installation.apps.iter().map(|it| system(it.id.to_string(), it.retiring)).collect(),
        profiles: installation
            .profiles
            .iter()
            .map(|it| OwnedView { id: it.id.to_string(), version: it.version, owner: owner(&made, &it.id) })
            .collect(),
        proposal,
    };
    let mut response = Json(view).into_response();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

/// Shows what a configuration of at most 1 MiB would change. Nothing is changed.
#[utoipa::path(
    post, path = "/v1/configuration/preview", tag = "configuration", request_body = Definition,
    responses((status = 200, description = "By what is stored of the rota", body = PreviewView)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn preview(
    State(api): State<Api>,
    Author(caller): Author,
    Body(Definition(said)): Body<Definition, MAX_BYTES>,
) -> Result<Json<PreviewView>, Problem> {
    Ok(Json(judge(&api, &caller, said).await?.into()))
}

/// Puts a configuration of at most 1 MiB in force. The profiles that the API made stay. What gives its author more waits for
/// another administrator.
#[utoipa::path(
    put, path = "/v1/configuration", tag = "configuration", request_body = Definition,
    params(
        ("if-match" = Option<String>, Header, description = "The version that is changed, in quotes: the `etag`"),
        ("retire" = Option<bool>, Query, description = "Lets sources and apps that it drops retire: what they gave is ended first"),
    ),
    responses(
        (status = 200, description = "It is in force; those whom it concerns are looked at at once", body = ConfigurationView,
            headers(("etag" = String, description = "The version, in quotes, for `if-match`"))),
        (status = 202, description = "It waits for another administrator", body = ConfigurationProposalView,
            headers(("location" = String, description = "Where it waits"))),
    ),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn put(
    State(api): State<Api>,
    Author(caller): Author,
    uri: Uri,
    headers: HeaderMap,
    Body(Definition(said)): Body<Definition, MAX_BYTES>,
) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["retire"])?;
    let retire = parameters.value("retire", "`true` or `false`")?.unwrap_or(false);
    let taken_for = precondition(&headers)?;
    let judged = judge(&api, &caller, said).await?;
    if !judged.refused.is_empty() {
        return Err(Problem::Unfit(sentences(&judged.refused)));
    }
    if !judged.retiring.is_empty() && !retire {
        return Err(Problem::Retires(format!(
            "{}; say `?retire=true` where that is meant",
            sentences(&judged.retiring)
        )));
    }
    let wanted = Wanted {
        installation: judged.wanted.clone(),
        changes: judged.changes.clone(),
        taken_for,
        author: caller.person,
        on: judged.on,
        gain: judged.gain.clone(),
    };
    match api.configurations.put(wanted).await? {
        Become::InForce => in_force(&api).await,
        Become::Waits(proposal) => {
            let view = Json(ConfigurationProposalView::of(&api, &proposal, judged).await?);
            let mut response = (StatusCode::ACCEPTED, view).into_response();
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/v1/configuration"));
            Ok(response)
        }
    }
}

/// Confirms what another administrator has proposed.
#[utoipa::path(
    post, path = "/v1/configuration/confirm", tag = "configuration", request_body = Confirmation,
    responses((status = 200, description = "It is in force; those whom it concerns are looked at at once", body = ConfigurationView,
        headers(("etag" = String, description = "The version, in quotes, for `if-match`")))),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn confirm(
    State(api): State<Api>,
    Administrator(by): Administrator,
    Body(Confirmation { digest }): Body<Confirmation>,
) -> Result<Response, Problem> {
    if let Some(proposal) = api.configurations.waiting().await?
        && !still_fits(&api, &proposal).await?
    {
        return Err(ConfigurationError::Moved.into());
    }
    api.configurations.confirm(&digest, &by).await?;
    in_force(&api).await
}

/// The first of several sentences, and how many more there are: one problem document is short.
fn sentences(all: &[String]) -> String {
    let more = all.len().saturating_sub(1);
    let first = all.first().map_or("", String::as_str);
    if more > 0 { format!("{first}; and {more} more") } else { first.to_owned() }
}
