//! What each address answers that is only looked at.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use dutykey_policy::evidence::Chain;
use dutykey_store::Page;
use jiff::Timestamp;
use serde::Deserialize;

use crate::caller::{Anyone, Auditor};
use crate::query::{Parameters, excerpt};
use crate::views::Context;
use crate::views::rota::{EvidenceView, ForecastView, HoldsView, RotationView, RotationsView};
use crate::{Api, Problem, Who};

type Answer<T> = Result<Json<T>, Problem>;

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
    responses((status = 200, description = "As it is", body = ForecastView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn forecast(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<ForecastView> {
    let parameters = Parameters::of(&uri, &["from", "to"])?;
    let window = crate::shifts::window(&parameters, api.clock.now())?;
    Ok(Json(crate::forecast(&api.store, window).await?.into()))
}

/// Every hold that is not over.
#[utoipa::path(
    get, path = "/v1/holds", tag = "looking",
    params(
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As it is", body = HoldsView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn holds(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<HoldsView> {
    let parameters = Parameters::of(&uri, &["limit", "cursor"])?;
    let page = api.store.list_open_holds(parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let context = Context::of(&api.store, &page.items, api.clock.now()).await?;
    let holds = page.items.iter().map(|hold| context.show(hold)).collect();
    Ok(Json(HoldsView { holds, next: next(&page), unreadable: page.unreadable }))
}

/// Every rotation, and how fresh what is known of it is.
#[utoipa::path(
    get, path = "/v1/rotations", tag = "looking",
    params(
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As it is", body = RotationsView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn rotations(State(api): State<Api>, _: Anyone, uri: Uri) -> Answer<RotationsView> {
    let parameters = Parameters::of(&uri, &["limit", "cursor"])?;
    let page = api.store.list_rotations(parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let rotations = page.items.iter().map(RotationView::from).collect();
    Ok(Json(RotationsView { rotations, next: next(&page), unreadable: page.unreadable }))
}

/// The records of a chain of evidence.
#[utoipa::path(
    get, path = "/v1/evidence", tag = "looking",
    params(
        ("chain" = Option<String>, Query, description = "`person/ID`, `profile/ID`, `rotation/ID` or `system`"),
        ("from_seq" = Option<u64>, Query, description = "From which record on", minimum = 1),
        ("from" = Option<String>, Query, description = "Only what was recorded then or later", format = DateTime),
        ("to" = Option<String>, Query, description = "Only what was recorded before", format = DateTime),
        ("act" = Option<String>, Query, description = "Only acts that begin like this, `hold.` or `grant.attempt`", max_length = 80),
        ("limit" = Option<u16>, Query, description = "At most so many records are looked at", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "As it is", body = EvidenceView)),
    extensions(("x-callers" = json!("auditor"))),
)]
pub(crate) async fn evidence(State(api): State<Api>, _: Auditor, uri: Uri) -> Answer<EvidenceView> {
    let parameters = Parameters::of(&uri, &["chain", "from_seq", "from", "to", "act", "limit"])?;
    let text = parameters.text("chain").unwrap_or("system");
    let chain = chain(text).ok_or_else(|| {
        let form = "person/ID, profile/ID, rotation/ID or system";
        Problem::Parameter(format!("`chain` is `{}`, not {form}", excerpt(text)))
    })?;
    let from = parameters.value("from_seq", "a whole number from 1")?.unwrap_or(1_u64).max(1);
    let limit = parameters.limit()?;
    let lines = api.store.evidence(&chain, from, limit).await?;
    let next_seq = lines.last().filter(|_| lines.len() == limit).map(|line| line.seq.saturating_add(1));
    let wanted = Wanted::of(&parameters)?;
    let records = lines.into_iter().map(|line| line.line).filter(|line| wanted.is(line)).collect();
    Ok(Json(EvidenceView { chain: chain.to_string(), records, next_seq }))
}

/// Which records are shown.
struct Wanted<'a> {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    act: &'a str,
}

/// What records are picked by.
#[derive(Deserialize)]
struct Picked {
    at: Timestamp,
    act: String,
}

impl<'a> Wanted<'a> {
    fn of(parameters: &'a Parameters) -> Result<Self, Problem> {
        let (from, to) = (parameters.instant("from")?, parameters.instant("to")?);
        Ok(Self { from, to, act: parameters.text("act").unwrap_or_default() })
    }

    /// Whether a record is one of them. What cannot be told of it hides nothing.
    fn is(&self, line: &str) -> bool {
        let Ok(Picked { at, act }) = serde_json::from_str(line) else { return true };
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to) && act.starts_with(self.act)
    }
}

/// A list can refuse the cursor only for not being one of its own.
pub(crate) fn listing(error: dutykey_engine::ports::ledger::StoreError, parameters: &Parameters) -> Problem {
    let refused = matches!(error, dutykey_engine::ports::ledger::StoreError::Limit(_));
    if refused && parameters.text("cursor").is_some() { Problem::Cursor } else { error.into() }
}

/// The cursor of the next page, if there is one.
pub(crate) fn next<T>(page: &Page<T>) -> Option<String> {
    page.next.as_ref().map(|next| next.as_str().to_owned())
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
