//! Access requests: asking, looking, deciding, asking for more time, giving back.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use dutykey_engine::request::{Once, Order, comment_name, justification_name};
use dutykey_policy::id::{PersonId, ProfileId, RequestId, RotationId};
use dutykey_policy::identity::Person;
use dutykey_policy::request::{Access, Ask, Decision, How, Request, Stage, Verdict};
use dutykey_policy::rota::hex;
use dutykey_policy::time::{format_duration, instant_text, parse_duration};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::{Anyone, Decider, Somebody};
use crate::query::{Parameters, excerpt};
use crate::views::{PersonView, shown};
use crate::{Api, Problem};

/// The header of an idempotency key.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest idempotency key, in characters.
const LONGEST_KEY: usize = 200;

/// An ask for a profile.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRequest {
    /// The profile.
    #[schema(example = "prod-debug", pattern = "^[a-z0-9-]{1,40}$")]
    profile: String,
    /// The rotation by which it is asked for; where it is left out, the one of the profile's in which the caller is on
    /// call the longest.
    rotation: Option<String>,
    /// For how long: a whole number and s, m, h or d.
    #[schema(example = "2h", pattern = "^[0-9]{1,9}[smhd]$")]
    duration: String,
    /// Why.
    #[schema(max_length = 2_000)]
    justification: Option<String>,
    /// The incident that it is for.
    #[schema(max_length = 200)]
    incident: Option<String>,
}

/// An ask for more time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoreTime {
    /// For how long from now: a whole number and s, m, h or d.
    #[schema(example = "1h", pattern = "^[0-9]{1,9}[smhd]$")]
    duration: String,
    /// Why.
    #[schema(max_length = 2_000)]
    justification: Option<String>,
    /// The incident that it is for.
    #[schema(max_length = 200)]
    incident: Option<String>,
}

/// A decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDecision {
    /// Whether it may be.
    decision: Word,
    /// Why.
    #[schema(max_length = 2_000)]
    comment: Option<String>,
}

/// What an approver says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// It may be.
    Approve,
    /// It may not be.
    Deny,
}

/// Where a request is in its life.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StateView {
    Asked,
    Approved,
    Denied,
    Cancelled,
    Expired,
    Ended,
    GivenBack,
}

/// An access request. Instants are RFC 3339 in UTC with milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestView {
    /// Its ID.
    id: String,
    /// Who asks.
    person: PersonView,
    /// For what.
    profile: String,
    /// The version of the profile that was asked for: access never grows beyond it.
    version: u64,
    /// By being on call in what.
    rotation: String,
    /// Where it is in its life.
    state: StateView,
    /// What was asked, in order: the first ask, then those for more time.
    asks: Vec<AskView>,
    /// Whether the last ask waits to be decided.
    waits: bool,
    /// The access that it gives, or gave.
    access: Option<AccessView>,
}

/// One ask.
#[derive(Debug, Serialize, ToSchema)]
struct AskView {
    /// When.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it is over undecided.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// For how long access is wanted.
    wanted: String,
    /// Why; nothing where nothing was said, or it was erased.
    justification: Option<String>,
    /// The incident that it is for.
    incident: Option<String>,
    /// What was decided of it, in order.
    decisions: Vec<DecisionView>,
}

/// One decision.
#[derive(Debug, Serialize, ToSchema)]
struct DecisionView {
    /// Who.
    by: PersonView,
    /// When.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What.
    decision: Word,
    /// Why; nothing where nothing was said, or it was erased.
    comment: Option<String>,
}

/// Access.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Access)]
pub(crate) struct AccessView {
    /// From when.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Until when, by what is known now.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

impl From<Access> for AccessView {
    fn from(access: Access) -> Self {
        Self { from: access.from, until: access.until }
    }
}

/// A page of requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestsView {
    requests: Vec<RequestView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
    /// Records on this page that this release cannot read.
    unreadable: Vec<String>,
}

/// Which requests are looked at.
const LISTING: [&str; 4] = ["person", "waiting", "limit", "cursor"];

/// Asks for a profile.
#[utoipa::path(
    post, path = "/v1/requests", tag = "requests", request_body = NewRequest,
    params(("idempotency-key" = Option<String>, Header, description = "Under the same key the same is asked for once \
        within 24 hours", max_length = 200)),
    responses((status = 201, description = "It is asked for; approved already, where no step is in its way", body = RequestView,
        headers(("location" = String, description = "Where it is")))),
    extensions(("x-callers" = json!("person"))),
)]
pub(crate) async fn ask(
    State(api): State<Api>,
    Somebody(caller): Somebody,
    headers: HeaderMap,
    Body(new): Body<NewRequest>,
) -> Result<Response, Problem> {
    let profile: ProfileId = id(&new.profile, "profile")?;
    let rotation: Option<RotationId> = new.rotation.as_deref().map(|text| id(text, "rotation")).transpose()?;
    let once = once(&headers, &new)?;
    let order = order(&new.duration, new.justification, new.incident)?;
    let request = api.requests.ask(&caller, &profile, rotation.as_ref(), order, once.as_ref()).await?;
    let mut response = (StatusCode::CREATED, show(&api, &request).await?).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/requests/{request}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Requests: the caller's own, those of a person, or everything that waits to be decided.
#[utoipa::path(
    get, path = "/v1/requests", tag = "requests",
    params(
        ("person" = Option<String>, Query, description = "Whose; the caller's where it is left out"),
        ("waiting" = Option<bool>, Query, description = "Instead, everybody's that wait to be decided"),
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "The newest first; of those that wait, the one that expires first comes first",
        body = RequestsView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Anyone(caller): Anyone,
    uri: Uri,
) -> Result<Json<RequestsView>, Problem> {
    let parameters = Parameters::of(&uri, &LISTING)?;
    let (cursor, limit) = (parameters.cursor()?, parameters.limit()?);
    let waiting = parameters.value("waiting", "true or false")?.unwrap_or(false);
    let person: Option<PersonId> = parameters.value("person", "a person's ID")?;
    if waiting && person.is_some() {
        return Err(Problem::Parameter("`person` and `waiting` do not go together".to_owned()));
    }
    // Whoever is nobody in particular has none of their own.
    let person = person.or_else(|| caller.person().ok().map(|caller| caller.person)).filter(|_| !waiting);
    let page = if let Some(person) = person {
        let live = match &cursor {
            Some(_) => Vec::new(),
            None => api.store.live_requests(&person).await?,
        };
        api.store.list_past_requests(&person, cursor.as_ref(), limit).await.map(|mut page| {
            page.items.splice(0..0, live);
            page
        })
    } else {
        api.store.list_waiting_requests(cursor.as_ref(), limit).await
    };
    let page = page.map_err(|error| crate::lists::listing(error, &parameters))?;
    let requests = views(&api, &page.items).await?;
    Ok(Json(RequestsView { requests, next: crate::lists::next(&page), unreadable: page.unreadable }))
}

/// One request.
#[utoipa::path(
    get, path = "/v1/requests/{id}", tag = "requests", params(("id" = String, Path, description = "The request", pattern = "^req_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "As it is now", body = RequestView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn one(
    State(api): State<Api>,
    _: Anyone,
    Path(text): Path<String>,
) -> Result<Json<RequestView>, Problem> {
    show(&api, &named(&text)?).await
}

/// Decides what waits.
#[utoipa::path(
    post, path = "/v1/requests/{id}/decision", tag = "requests", request_body = NewDecision,
    params(("id" = String, Path, description = "The request", pattern = "^req_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "It is decided, as far as this word goes", body = RequestView)),
    extensions(("x-callers" = json!("approver"))),
)]
pub(crate) async fn decide(
    State(api): State<Api>,
    Decider(caller): Decider,
    Path(text): Path<String>,
    Body(new): Body<NewDecision>,
) -> Result<Json<RequestView>, Problem> {
    let request = named(&text)?;
    let verdict = match new.decision {
        Word::Approve => Verdict::Approve,
        Word::Deny => Verdict::Deny,
    };
    api.requests.decide(&caller, &request, verdict, new.comment).await?;
    show(&api, &request).await
}

/// Asks for more time for what was approved.
#[utoipa::path(
    post, path = "/v1/requests/{id}/extend", tag = "requests", request_body = MoreTime,
    params(("id" = String, Path, description = "The request", pattern = "^req_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "It is asked for; given already, where no step is in its way", body = RequestView)),
    extensions(("x-callers" = json!("requester"))),
)]
pub(crate) async fn extend(
    State(api): State<Api>,
    Somebody(caller): Somebody,
    Path(text): Path<String>,
    Body(new): Body<MoreTime>,
) -> Result<Json<RequestView>, Problem> {
    let request = named(&text)?;
    let order = order(&new.duration, new.justification, new.incident)?;
    api.requests.longer(&caller, &request, order).await?;
    show(&api, &request).await
}

/// Takes a request back, or gives back early what it gave.
#[utoipa::path(
    delete, path = "/v1/requests/{id}", tag = "requests", params(("id" = String, Path, description = "The request", pattern = "^req_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "It is over; what it gave ends now", body = RequestView)),
    extensions(("x-callers" = json!("requester"))),
)]
pub(crate) async fn cancel(
    State(api): State<Api>,
    Somebody(caller): Somebody,
    Path(text): Path<String>,
) -> Result<Json<RequestView>, Problem> {
    let request = named(&text)?;
    api.requests.cancel(&caller, &request).await?;
    show(&api, &request).await
}

pub(crate) fn id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::Field(format!("`{}` is no {what}'s ID", excerpt(text))))
}

/// The request that an address names. What cannot be one is none.
fn named(text: &str) -> Result<RequestId, Problem> {
    text.parse().map_err(|_| Problem::NotFound(format!("request {}", excerpt(text))))
}

pub(crate) fn order(duration: &str, justification: Option<String>, incident: Option<String>) -> Result<Order, Problem> {
    let wanted: Duration = parse_duration(duration).map_err(|error| Problem::Field(format!("`duration`: {error}")))?;
    Ok(Order { wanted, justification, incident })
}

/// The name under which something is asked for once, and the digest of everything that is asked.
fn once(headers: &HeaderMap, new: &NewRequest) -> Result<Option<Once>, Problem> {
    let Some(key) = crate::caller::only(headers, IDEMPOTENCY_KEY)? else { return Ok(None) };
    if key.is_empty() || key.chars().count() > LONGEST_KEY {
        return Err(Problem::Parameter(format!("the header `{IDEMPOTENCY_KEY}` is not 1 to {LONGEST_KEY} characters")));
    }
    let NewRequest { profile, rotation, duration, justification, incident } = new;
    let asked = serde_json::json!([profile, rotation, duration, justification, incident]).to_string();
    Ok(Some(Once { name: key.to_owned(), of: hex(&Sha256::digest(asked)) }))
}

async fn show(api: &Api, id: &RequestId) -> Result<Json<RequestView>, Problem> {
    let request = api.store.request(id).await?.ok_or_else(|| Problem::NotFound(format!("request {id}")))?;
    let view = views(api, std::slice::from_ref(&request)).await?.pop();
    view.map(Json).ok_or_else(|| Problem::NotFound(format!("request {id}")))
}

/// Requests with their texts and the names of their people.
pub(crate) async fn views(api: &Api, requests: &[Request]) -> Result<Vec<RequestView>, Problem> {
    let decided_by = |request: &Request| -> Vec<PersonId> {
        request.asks().flat_map(|ask| &ask.decisions).map(|decision| decision.by.clone()).collect()
    };
    let mut people: Vec<PersonId> = requests.iter().map(|request| request.person.clone()).collect();
    people.extend(requests.iter().flat_map(decided_by));
    let people = api.store.who(&people).await?;
    let names = |request: &Request| -> Vec<(PersonId, String)> {
        let justifications = (0..request.asks().count()).map(|ask| justification_name(&request.id, ask));
        let comments = (0..decided_by(request).len()).map(|decision| comment_name(&request.id, decision));
        justifications.chain(comments).map(|name| (request.person.clone(), name)).collect()
    };
    let texts = api.store.texts(&requests.iter().flat_map(names).collect::<Vec<_>>()).await?;
    Ok(requests.iter().map(|request| view(request, &people, &texts)).collect())
}

fn view(request: &Request, people: &BTreeMap<PersonId, Person>, texts: &BTreeMap<String, String>) -> RequestView {
    let person = |id: &PersonId| PersonView::from(shown(id, people.get(id)));
    let mut decided = 0..;
    let mut decision = |decision: &Decision| DecisionView {
        by: person(&decision.by),
        at: decision.at,
        decision: match decision.verdict {
            Verdict::Approve => Word::Approve,
            Verdict::Deny => Word::Deny,
        },
        comment: decided.next().and_then(|nth| texts.get(&comment_name(&request.id, nth)).cloned()),
    };
    let asks = request.asks().enumerate().map(|(nth, ask): (usize, &Ask)| AskView {
        at: ask.at,
        expires: ask.expires,
        wanted: format_duration(ask.wanted),
        justification: texts.get(&justification_name(&request.id, nth)).cloned(),
        incident: ask.incident.clone(),
        decisions: ask.decisions.iter().map(&mut decision).collect(),
    });
    RequestView {
        id: request.id.to_string(),
        person: person(&request.person),
        profile: request.profile.to_string(),
        version: request.version,
        rotation: request.rotation.to_string(),
        state: match request.stage {
            Stage::Asked(_) => StateView::Asked,
            Stage::Approved { .. } => StateView::Approved,
            Stage::Over { how: How::Denied, .. } => StateView::Denied,
            Stage::Over { how: How::Cancelled, .. } => StateView::Cancelled,
            Stage::Over { how: How::Expired, .. } => StateView::Expired,
            Stage::Over { how: How::Ended, .. } => StateView::Ended,
            Stage::Over { how: How::GivenBack, .. } => StateView::GivenBack,
        },
        asks: asks.collect(),
        waits: request.ask().is_some(),
        access: request.access().map(AccessView::from),
    }
}
