//! One request and its answer: the deadline, the bounds, and what each way to fail means.

use std::error::Error as _;
use std::time::Duration;

use dutykey_engine::ports::clock::Listener;
use dutykey_engine::ports::secrets::Secret;
use dutykey_engine::ports::target::{MAX_DETAIL, TargetError};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{ACCEPT, AGE, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect, retry};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::{Host, Url};

use super::ScimError;
use super::wire::Patch;

const MEDIA_TYPE: &str = "application/scim+json";
const MAX_BODY: usize = 20 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
/// Short, so that a request seldom leaves on a connection that the server is about to close: whether such a request
/// took effect is not known.
const IDLE: Duration = Duration::from_secs(20);

/// The service: where it is and how to reach it.
pub(super) struct Http {
    client: Client,
    base: Url,
    bearer: HeaderValue,
    token: Secret,
    listener: Option<Listener>,
}

impl Http {
    pub(super) fn new(base_url: &str, token: Secret) -> Result<Self, ScimError> {
        let base = parse_base(base_url)?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| ScimError::Token)?;
        bearer.set_sensitive(true);
        if token.expose().is_empty() {
            return Err(ScimError::Token);
        }
        // A redirect could carry the token to another host, and a retry of the client's own could repeat a write
        // after the read that it was decided on.
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("dutykey/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // What is plain text stays on this machine.
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| ScimError::Client(error.without_url().to_string()))?;
        Ok(Self { client, base, bearer, token, listener: None })
    }

    /// The same, whose answers say to the listener what time it is there.
    pub(super) fn heard_by(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let asked = Instant::now();
        let response = request.send().await?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(listener) = &self.listener {
            let host = self.base.host_str().unwrap_or_default();
            listener.hear(host, text(DATE), text(AGE), asked.elapsed());
        }
        Ok(response)
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Begins a call to the target: all its requests share one deadline.
    pub(super) fn call(&self, deadline: Duration) -> Call<'_> {
        Call { http: self, until: Instant::now() + deadline }
    }

    /// Foreign text for a message: without the token, control characters as escapes, bounded.
    fn foreign(&self, text: &str) -> String {
        let clean = text.replace(self.token.expose(), "…");
        clean
            .chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .take(MAX_DETAIL)
            .collect()
    }

    /// The URL of a path below the base, each part encoded. `None` for a part that a URL would take as a direction or
    /// shorten: a URL has no control characters.
    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Option<Url> {
        let unfit = |part: &&str| matches!(*part, "" | "." | "..") || part.chars().any(char::is_control);
        if path.iter().any(unfit) {
            return None;
        }
        let mut url = self.base.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
            // Not every server takes `+` as a space; a plus sign itself is `%2B` already.
            let spaced = url.query().map(|query| query.replace('+', "%20"));
            url.set_query(spaced.as_deref());
        }
        Some(url)
    }
}

/// The base URL: https, or http to this machine; nothing in it but host and path.
fn parse_base(text: &str) -> Result<Url, ScimError> {
    let url = Url::parse(text).map_err(|error| ScimError::NotAUrl(error.to_string()))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err(ScimError::Insecure),
    }
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if bare { Ok(url) } else { Err(ScimError::MoreThanPath) }
}

/// One call to the target, of one or more requests under one deadline.
pub(super) struct Call<'a> {
    http: &'a Http,
    until: Instant,
}

/// How a request failed.
pub(super) enum Fault {
    /// The server said no.
    Refused(Refusal),
    /// There was no usable answer.
    Failed(TargetError),
}

/// A status other than success, with what the server said.
pub(super) struct Refusal {
    asked: String,
    writes: bool,
    pub(super) status: StatusCode,
    pub(super) scim_type: String,
    detail: String,
    after: Option<Duration>,
}

impl From<Fault> for TargetError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => refusal.into(),
            Fault::Failed(error) => error,
        }
    }
}

impl Refusal {
    /// Whether the server can't do what was asked, a filter above all: 400 (`invalidFilter`) or 501.
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 501)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.asked, self.status)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl From<Refusal> for TargetError {
    /// What a status means (RFC 7644 §3.12, RFC 9110 §15). For a write the question is whether it may have happened: 429
    /// and 503 are refusals before anything was done; the other 5xx may come from something in front of a server that
    /// did it. A 403 that says when to come back is a limit, not a missing right: GitHub's secondary limits answer so
    /// (GitHub's documentation, "Rate limits for the REST API").
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let after = refusal.after;
        let permanent = |advice: &str| Self::Permanent(format!("{detail}; {advice}"));
        match refusal.status.as_u16() {
            429 => Self::Throttled { after, detail },
            403 if after.is_some() => Self::Throttled { after, detail },
            503 => Self::Transient { after, detail },
            501 => permanent("the server cannot do this"),
            408 | 500..=599 if refusal.writes => Self::Lost(detail),
            408 | 500..=599 => Self::Transient { after, detail },
            200..=299 if refusal.writes => Self::Lost(detail),
            200..=299 => Self::Transient { after, detail },
            300..=399 => permanent("redirects are not followed; set base_url to where the service is"),
            401 => permanent("put a valid token where the configuration points"),
            403 => permanent("give the token the right to read users and to change members of groups"),
            404 => permanent("check base_url and the ID"),
            // Cursors grow old (RFC 9865 §2.3); the list is read again from its beginning.
            400 if matches!(refusal.scim_type.as_str(), "expiredCursor" | "invalidCursor") => {
                Self::Transient { after, detail }
            }
            409 if refusal.scim_type != "uniqueness" => Self::Conflict(detail),
            412 => Self::Conflict(detail),
            _ => permanent("the server takes the request as wrong"),
        }
    }
}

/// An error document (RFC 7644 §3.12).
#[derive(Deserialize)]
struct ErrorBody {
    detail: Option<String>,
    #[serde(rename = "scimType")]
    scim_type: Option<String>,
}

impl Call<'_> {
    /// Reads a document.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, Fault> {
        let asked = format!("GET {}", path.join("/"));
        let transient = |detail: String| TargetError::Transient { after: None, detail: format!("{asked}: {detail}") };
        let request = self.request(Method::GET, path, query)?;
        let response = self.http.send(request).await.map_err(|error| Fault::Failed(transient(told(error))))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = bounded(response).await.map_err(|error| Fault::Failed(transient(told(error))))?;
        if status != StatusCode::OK {
            return Err(self.refused(asked, false, status, &headers, body));
        }
        let Some(body) = body else {
            let limit = format!("{asked}: the answer is longer than {} MiB, which is the limit", MAX_BODY >> 20);
            return Err(Fault::Failed(TargetError::Permanent(limit)));
        };
        serde_json::from_slice(&body).map_err(|error| {
            let why = self.http.foreign(&error.to_string());
            Fault::Failed(transient(format!("the answer is not what SCIM says ({why}); check base_url if it stays so")))
        })
    }

    /// Asks for a change. What a success says in its body is not looked at: done is what a read shows.
    pub(super) async fn patch(&self, path: &[&str], body: &Patch) -> Result<(), Fault> {
        let asked = format!("PATCH {}", path.join("/"));
        let request = self.request(Method::PATCH, path, &[])?.header(CONTENT_TYPE, MEDIA_TYPE).body(body.to_string());
        let lost = |error: reqwest::Error| {
            // Without a connection nothing left; in every other case the request may have arrived.
            let unsent = error.is_connect() || error.is_builder();
            let detail = format!("{asked}: {}", told(error));
            Fault::Failed(if unsent {
                TargetError::Transient { after: None, detail }
            } else {
                TargetError::Lost(detail)
            })
        };
        let response = self.http.send(request).await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = bounded(response).await.map_err(lost)?;
        match status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.refused(asked, true, status, &headers, body)),
        }
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Result<RequestBuilder, Fault> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let detail = format!("{method} {}: not sent, the time for the call was over", path.join("/"));
            return Err(Fault::Failed(TargetError::Transient { after: None, detail }));
        }
        let url = self.http.url(path, query).ok_or_else(|| {
            let id = path.last().copied().unwrap_or_default().escape_debug();
            Fault::Failed(TargetError::Permanent(format!("`{id}` cannot be an ID in a URL; correct it")))
        })?;
        let request = self.http.client.request(method, url).timeout(left);
        Ok(request
            .header(AUTHORIZATION, self.http.bearer.clone())
            .header(ACCEPT, "application/scim+json, application/json"))
    }

    fn refused(
        &self,
        asked: String,
        writes: bool,
        status: StatusCode,
        headers: &HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Fault {
        let body = body.unwrap_or_default();
        let error: Option<ErrorBody> = serde_json::from_slice(&body).ok();
        let scim_type = error.as_ref().and_then(|error| error.scim_type.clone()).unwrap_or_default();
        let place = headers.get(LOCATION).and_then(|place| place.to_str().ok()).filter(|_| status.is_redirection());
        let said = match (place, error.and_then(|error| error.detail)) {
            (Some(place), _) => format!("to {place}"),
            (None, Some(detail)) if scim_type.is_empty() => detail,
            (None, Some(detail)) => format!("{scim_type}: {detail}"),
            (None, None) => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        let detail = self.http.foreign(&said);
        Fault::Refused(Refusal { asked, writes, status, scim_type, detail, after: retry_after(headers) })
    }
}

/// A body within the bound; `None` past it.
async fn bounded(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What went wrong below HTTP, with its causes and without the URL, whose query names people.
fn told(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.chars().take(MAX_DETAIL).collect()
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, which is taken relative to the server's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let instant = |text: &str| Some::<Timestamp>(rfc2822::parse(text).ok()?.timestamp());
    let then = instant(text)?;
    let now = instant(headers.get(DATE)?.to_str().ok()?)?;
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}
