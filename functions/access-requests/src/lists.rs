//! What each address answers.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use dutykey_engine::ports::rota::RotationHead;
use dutykey_policy::evidence::Chain;
use dutykey_policy::forecast::Forecast;
use dutykey_policy::time::{Span, later, rfc3339};
use dutykey_store::Page;
use serde_json::{Value, json};
use std::time::Duration;

use crate::caller::{Anyone, Auditor};
use crate::query::{Parameters, excerpt};
use crate::views::Context;
use crate::{Api, MAX_WINDOW, Problem, Who};

type Answer<T> = Result<Json<T>, Problem>;

/// How far a forecast reaches that does not say.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Who holds what at an instant.
#[utoipa::path(
    get, path = "/v1/who", tag = "looking",
    params(("at" = Option<String>, Query, description = "The instant; now where it is left out", format = DateTime)),
    responses((status = 200, description = "As it is", body = Who)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn who(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<Who> {
    let now = api.clock.now();
    let at = Parameters::of(&uri, &["at"])?.instant("at")?.unwrap_or(now);
    Ok(Json(crate::who(&api.store, at, now).await?))
}

/// Who will hold what.
#[utoipa::path(
    get, path = "/v1/forecast", tag = "looking",
    params(
        ("from" = Option<String>, Query, description = "From when; now where it is left out", format = DateTime),
        ("to" = Option<String>, Query, description = "Until when, at most 90 days later; a week where it is left out", format = DateTime),
    ),
    responses((status = 200, description = "As it is", body = Object)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn forecast(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<Forecast> {
    let parameters = Parameters::of(&uri, &["from", "to"])?;
    let from = parameters.instant("from")?.unwrap_or_else(|| api.clock.now());
    let to = parameters.instant("to")?.unwrap_or_else(|| later(from, WEEK));
    let window = Span::new(from, to)
        .filter(|window| window.end <= later(from, MAX_WINDOW))
        .ok_or_else(|| Problem::Parameter("`to` must be after `from`, and at most 90 days after it".to_owned()))?;
    Ok(Json(crate::forecast(&api.store, window).await?))
}

/// Every hold that is not over.
#[utoipa::path(
    get, path = "/v1/holds", tag = "looking",
    params(
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As it is", body = Object)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn holds(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<Value> {
    let parameters = Parameters::of(&uri, &["limit", "cursor"])?;
    let page = api.store.list_open_holds(parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let context = Context::of(&api.store, &page.items).await?;
    Ok(paged("holds", &page, |hold| json!(context.show(hold))))
}

/// Every rotation, and how fresh what is known of it is.
#[utoipa::path(
    get, path = "/v1/rotations", tag = "looking",
    params(
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As it is", body = Object)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn rotations(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<Value> {
    let parameters = Parameters::of(&uri, &["limit", "cursor"])?;
    let page = api.store.list_rotations(parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    Ok(paged("rotations", &page, rotation))
}

/// The records of a chain of evidence.
#[utoipa::path(
    get, path = "/v1/evidence", tag = "looking",
    params(
        ("chain" = Option<String>, Query, description = "`person/ID`, `profile/ID`, `rotation/ID` or `system`"),
        ("from_seq" = Option<u64>, Query, description = "From which record on", minimum = 1),
        ("limit" = Option<u16>, Query, description = "At most so many", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "As it is", body = Object)),
    extensions(("x-callers" = json!("auditor"))),
)]
pub(crate) async fn evidence(State(api): State<Api>, _: Auditor, uri: Uri) -> Answer<Value> {
    let parameters = Parameters::of(&uri, &["chain", "from_seq", "limit"])?;
    let text = parameters.text("chain").unwrap_or("system");
    let chain = chain(text).ok_or_else(|| {
        let form = "person/ID, profile/ID, rotation/ID or system";
        Problem::Parameter(format!("`chain` is `{}`, not {form}", excerpt(text)))
    })?;
    let from = parameters.value("from_seq", "a whole number from 1")?.unwrap_or(1_u64).max(1);
    let limit = parameters.limit()?;
    let lines = api.store.evidence(&chain, from, limit).await?;
    let next = lines.last().filter(|_| lines.len() == limit).map(|line| line.seq.saturating_add(1));
    // The canonical text as it is: it is what the hashes are of.
    let records: Vec<&str> = lines.iter().map(|line| line.line.as_str()).collect();
    Ok(Json(json!({"chain": chain.to_string(), "records": records, "next_seq": next})))
}

/// A list can refuse the cursor only for not being one of its own.
pub(crate) fn listing(error: dutykey_engine::ports::ledger::StoreError, parameters: &Parameters) -> Problem {
    let refused = matches!(error, dutykey_engine::ports::ledger::StoreError::Limit(_));
    if refused && parameters.text("cursor").is_some() { Problem::Cursor } else { error.into() }
}

fn paged<T>(name: &str, page: &Page<T>, show: impl Fn(&T) -> Value) -> Json<Value> {
    let items: Vec<Value> = page.items.iter().map(show).collect();
    let next = page.next.as_ref().map(|next| next.as_str());
    Json(json!({name: items, "next": next, "unreadable": page.unreadable}))
}

fn rotation(head: &RotationHead) -> Value {
    let held = head.held.as_ref();
    let held = held.map(|held| json!({"digest": held.digest, "since": rfc3339(held.since), "why": held.why}));
    json!({
        "id": head.id,
        "name": head.name,
        "generation": head.generation,
        "fresh_at": head.fresh_at.map(rfc3339),
        "failed_at": head.failed_at.map(rfc3339),
        "failure": head.failure,
        "window": head.window.map(|window| json!({"from": rfc3339(window.start), "to": rfc3339(window.end)})),
        "unmatched": head.unmatched,
        "held": held,
    })
}

fn chain(text: &str) -> Option<Chain> {
    if text == "system" {
        return Some(Chain::System);
    }
    let (kind, id) = text.split_once('/')?;
    match kind {
        "person" => id.parse().ok().map(Chain::Person),
        "profile" => id.parse().ok().map(Chain::Profile),
        "rotation" => id.parse().ok().map(Chain::Rotation),
        _ => None,
    }
}
