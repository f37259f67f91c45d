//! Evidence: the records of a chain, to look at, and to take away and check elsewhere.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use dutykey_policy::evidence::{Chain, Closing};
use dutykey_store::Line;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::Auditor;
use crate::query::{Parameters, excerpt};
use crate::{Api, Problem};

/// The form in which evidence is exported: one record a line.
const LINES: &str = "application/jsonl";

/// Records of a chain of evidence.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Evidence)]
pub(crate) struct EvidenceView {
    chain: String,
    /// Each in the canonical text of which its hash is.
    records: Vec<String>,
    /// From which record on there may be more.
    next_seq: Option<u64>,
}

/// The records of a chain of evidence. Asked for as `application/jsonl`, a page has one record a line, and the header `link`
/// names the next page; the last page ends with a line that says where the chain ends. All pages of a chain, one after the
/// other, are an export that `dutykey audit verify` checks.
#[utoipa::path(
    get, path = "/v1/evidence", tag = "looking",
    params(
        ("chain" = Option<String>, Query, description = "`person/ID`, `profile/ID`, `rotation/ID` or `system`"),
        ("from_seq" = Option<u64>, Query, description = "From which record on", minimum = 1),
        ("from" = Option<String>, Query, description = "Only what was recorded then or later; not of an export", format = DateTime),
        ("to" = Option<String>, Query, description = "Only what was recorded before; not of an export", format = DateTime),
        ("act" = Option<String>, Query, description = "Only acts that begin like this, `hold.` or `grant.attempt`; not of an export", max_length = 80),
        ("limit" = Option<u16>, Query, description = "At most so many records are looked at", minimum = 1, maximum = 200),
    ),
    responses((
        status = 200, description = "As it is",
        content((EvidenceView = "application/json"), (String = "application/jsonl")),
        headers(("link" = String, description = "Of an export: the next page, if there is one (RFC 8288)")),
    )),
    extensions(("x-callers" = json!("auditor"))),
)]
pub(crate) async fn evidence(
    State(api): State<Api>,
    _: Auditor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["chain", "from_seq", "from", "to", "act", "limit"])?;
    let page = Asked::of(&parameters)?;
    if asks_for_lines(&headers) {
        return exported(&api, &parameters, page).await;
    }
    let (next_seq, lines) = page.read(&api).await?;
    let wanted = Wanted::of(&parameters)?;
    let records = lines.into_iter().map(|line| line.line).filter(|line| wanted.is(line)).collect();
    Ok(Json(EvidenceView { chain: page.chain.to_string(), records, next_seq }).into_response())
}

/// Whether one of the forms that the caller accepts is that of lines.
fn asks_for_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(',')).filter_map(|one| one.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case(LINES))
}

/// A page as lines. Where the chain ends is read first, and from its head: a record that is gone is missed by whoever checks.
async fn exported(api: &Api, parameters: &Parameters, page: Asked) -> Result<Response, Problem> {
    if let Some(picked) = ["from", "to", "act"].into_iter().find(|name| parameters.text(name).is_some()) {
        let problem = format!("`{picked}` picks records, and an export is of every one, or it could not be checked");
        return Err(Problem::Parameter(problem));
    }
    let head = api.store.chain_head(&page.chain).await?;
    let (next, lines) = page.read(api).await?;
    let next = next.filter(|next| *next <= head.seq);
    let shown = lines.into_iter().filter(|line| line.seq <= head.seq);
    let mut text: String = shown.map(|line| line.line + "\n").collect();
    if next.is_none() {
        let heads = BTreeMap::from([(page.chain.to_string(), head)]).into_iter().filter(|(_, head)| head.seq > 0);
        let closing = Closing { heads: heads.collect(), partial: false };
        text += &serde_json::to_string(&closing).map_err(|error| Problem::Unavailable(error.to_string()))?;
        text.push('\n');
    }
    let mut response = ([(header::CONTENT_TYPE, LINES)], text).into_response();
    if let Some(next) = next {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("chain", &page.chain.to_string()).append_pair("from_seq", &next.to_string());
        let query = query.append_pair("limit", &page.limit.to_string()).finish();
        let link = HeaderValue::from_str(&format!("</v1/evidence?{query}>; rel=\"next\""));
        response.headers_mut().insert(header::LINK, link.map_err(|error| Problem::Unavailable(error.to_string()))?);
    }
    Ok(response)
}

/// A page that is asked for.
struct Asked {
    chain: Chain,
    from: u64,
    limit: usize,
}

impl Asked {
    fn of(parameters: &Parameters) -> Result<Self, Problem> {
        let text = parameters.text("chain").unwrap_or("system");
        let chain = chain(text).ok_or_else(|| {
            let form = "person/ID, profile/ID, rotation/ID or system";
            Problem::Parameter(format!("`chain` is `{}`, not {form}", excerpt(text)))
        })?;
        let from = parameters.value("from_seq", "a whole number from 1")?.unwrap_or(1_u64).max(1);
        Ok(Self { chain, from, limit: parameters.limit()? })
    }

    /// Its records, and from which on there may be more.
    async fn read(&self, api: &Api) -> Result<(Option<u64>, Vec<Line>), Problem> {
        let lines = api.store.evidence(&self.chain, self.from, self.limit).await?;
        let next = lines.last().filter(|_| lines.len() == self.limit).map(|line| line.seq.saturating_add(1));
        Ok((next, lines))
    }
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
