//! One request to PagerDuty: serial, bounded in time and size, tried again where that may help, and typed when it fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dutykey_engine::ports::clock::Listener;
use dutykey_engine::ports::platform::PlatformError;
use dutykey_engine::ports::secrets::Secret;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use url::{Host, Url};

/// The longest foreign text in an error, in characters.
const EXCERPT: usize = 500;
/// How much of a refusal's body is read, in bytes.
const REFUSAL: usize = 64 * 1024;
/// The longest ID that PagerDuty is believed to give, in characters.
const LONGEST_ID: usize = 64;

/// How long and how much to wait for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The longest time for one attempt, its body included.
    pub(super) attempt: Duration,
    /// The longest time for one request, all attempts and the waits between them included.
    pub(super) request: Duration,
    /// The longest time for one call of the port, all its requests and its turn in the queue included.
    pub(super) call: Duration,
    /// How often a request is tried.
    pub(super) attempts: u32,
    /// The first wait between two attempts; it doubles.
    pub(super) wait: Duration,
    /// The longest body, in bytes.
    pub(super) body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(15),
            request: Duration::from_secs(60),
            call: Duration::from_secs(300),
            attempts: 4,
            wait: Duration::from_millis(500),
            body: 20 * 1024 * 1024,
        }
    }
}

/// A request that failed, with the status of the answer where there was one.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) status: Option<StatusCode>,
    pub(super) error: PlatformError,
}

impl Failed {
    /// An answer that was read and cannot be used.
    pub(super) fn faulty(text: String) -> Self {
        Self { status: None, error: PlatformError::Faulty(text) }
    }

    /// Whether the answer had this status.
    pub(super) fn is(&self, status: StatusCode) -> bool {
        self.status == Some(status)
    }
}

impl From<Failed> for PlatformError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

/// A whole, well-formed answer.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) body: T,
    /// What PagerDuty's clock said, where it said it.
    pub(super) date: Option<Timestamp>,
}

/// The way to one PagerDuty account. Requests go one after the other, as PagerDuty asks for (its rate-limit page): who
/// waits out a 429 makes the others wait too.
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    token: Secret,
    limits: Limits,
    listener: Option<Listener>,
    turn: Mutex<()>,
    sent: AtomicU64,
}

impl Http {
    /// Checks the address and the token; asks nothing yet.
    pub(super) fn new(base_url: &str, token: Secret, limits: Limits) -> Result<Self, PlatformError> {
        let base = base(base_url)?;
        let builder = reqwest::Client::builder()
            .default_headers(headers(&token)?)
            .user_agent(concat!("dutykey/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(limits.attempt.min(Duration::from_secs(5)));
        let builder = if base.scheme() == "http" { builder.no_proxy() } else { builder };
        let client = builder
            .build()
            .map_err(|e| PlatformError::Misconfigured(format!("no HTTP client can be made: {}", causes(&e))))?;
        Ok(Self { client, base, token, limits, listener: None, turn: Mutex::new(()), sent: AtomicU64::new(0) })
    }

    /// The same, whose answers say to the listener what time it is there.
    pub(super) fn heard_by(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// Where requests go, for a person to read.
    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// How many requests were sent since this was last asked.
    pub(super) fn take_requests(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }

    /// Runs one call of the port within its deadline.
    pub(super) async fn within<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, PlatformError>>,
    ) -> Result<T, PlatformError> {
        timeout(self.limits.call, call).await.unwrap_or_else(|_| {
            let seconds = self.limits.call.as_secs();
            Err(PlatformError::Unavailable(format!("{what} was not read to its end in {seconds}s")))
        })
    }

    /// Asks, and asks again after 408, 429, 5xx, a broken connection or a time-out, while the deadline allows.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer<T>, Failed> {
        let what = format!("GET /{}", path.join("/"));
        let url = self.url(path, query)?;
        let _turn = self.turn.lock().await;
        let deadline = Instant::now() + self.limits.request;
        let mut attempt = 1;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).min(self.limits.attempt);
            let failed = match self.attempt(&what, &url, left).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let asked = match &failed.error {
                PlatformError::Throttled { after } => after.unwrap_or_default(),
                PlatformError::Unavailable(_) => Duration::ZERO,
                _ => return Err(failed),
            };
            let wait = asked.max(self.limits.wait.saturating_mul(1 << (attempt - 1).min(16)));
            if attempt >= self.limits.attempts || deadline.saturating_duration_since(Instant::now()) <= wait {
                return Err(failed);
            }
            sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt<T: DeserializeOwned>(&self, what: &str, url: &Url, left: Duration) -> Result<Answer<T>, Failed> {
        let unavailable = |e: reqwest::Error| Failed {
            status: None,
            error: PlatformError::Unavailable(format!("{what}: {}", self.clean(&causes(&e.without_url())))),
        };
        self.sent.fetch_add(1, Ordering::Relaxed);
        let request = self.client.get(url.clone()).timeout(left);
        let response = crate::http::send(request, self.listener.as_ref()).await.map_err(unavailable)?;
        let status = response.status();
        let head = response.headers().clone();
        if status != StatusCode::OK {
            // What a refusal says only explains it; where its body cannot be read, the status still counts.
            let text = read(response, REFUSAL).await.ok().flatten().unwrap_or_default();
            return Err(Failed { status: Some(status), error: self.refusal(what, status, &head, &text) });
        }
        let Some(body) = read(response, self.limits.body).await.map_err(unavailable)? else {
            let limit = self.limits.body / (1024 * 1024);
            return Err(Failed::faulty(format!("{what}: the answer is longer than {limit} MiB")));
        };
        let body = serde_json::from_slice(&body)
            .map_err(|e| Failed::faulty(format!("{what}: {}", self.clean(&e.to_string()))))?;
        Ok(Answer { body, date: date(&head) })
    }

    fn refusal(&self, what: &str, status: StatusCode, head: &HeaderMap, text: &[u8]) -> PlatformError {
        let detail = match self.clean(&message(text)) {
            said if said.is_empty() => status.as_u16().to_string(),
            said => format!("{}: {said}", status.as_u16()),
        };
        match status {
            StatusCode::UNAUTHORIZED => PlatformError::Unauthorized(format!("{what}: {detail}")),
            StatusCode::FORBIDDEN | StatusCode::PAYMENT_REQUIRED => {
                PlatformError::Forbidden { what: what.to_owned(), detail }
            }
            StatusCode::NOT_FOUND => PlatformError::NotFound(format!("{what} ({detail})")),
            StatusCode::TOO_MANY_REQUESTS => PlatformError::Throttled { after: reset(head) },
            StatusCode::REQUEST_TIMEOUT => PlatformError::Unavailable(format!("{what}: {detail}")),
            status if status.is_server_error() => PlatformError::Unavailable(format!("{what}: {detail}")),
            _ => PlatformError::Faulty(format!("{what}: {detail}")),
        }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, PlatformError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty();
                for segment in path {
                    segments.push(id(segment)?);
                }
            }
            Err(()) => return Err(PlatformError::Misconfigured(format!("{} has no path", self.base))),
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Foreign text for a message: without our token, control characters as escapes, bounded.
    pub(super) fn clean(&self, text: &str) -> String {
        let text = text.replace(self.token.expose().trim(), "(token)");
        text.chars().flat_map(char::escape_debug).take(EXCERPT).collect()
    }
}

impl From<PlatformError> for Failed {
    fn from(error: PlatformError) -> Self {
        Self { status: None, error }
    }
}

/// A part of a path: PagerDuty's IDs are ASCII letters and digits, and nothing else may move a request elsewhere.
pub(super) fn id(text: &str) -> Result<&str, PlatformError> {
    let ok = (1..=LONGEST_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let shown = || text.chars().flat_map(char::escape_debug).take(LONGEST_ID).collect::<String>();
    if ok { Ok(text) } else { Err(PlatformError::Misconfigured(format!("`{}` is not an ID of PagerDuty", shown()))) }
}

fn base(text: &str) -> Result<Url, PlatformError> {
    let wrong = |why: &str| {
        PlatformError::Misconfigured(format!(
            "PagerDuty's base_url {why}; for example https://api.pagerduty.com or https://api.eu.pagerduty.com"
        ))
    };
    let base = Url::parse(text).map_err(|e| wrong(&format!("is not an address ({e})")))?;
    let loopback = match base.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err(wrong("names no host")),
    };
    if base.scheme() != "https" && !(base.scheme() == "http" && loopback) {
        return Err(wrong("must begin with https"));
    }
    if !base.username().is_empty() || base.password().is_some() || base.query().is_some() || base.fragment().is_some() {
        return Err(wrong("must be an address alone, without credentials, query or fragment"));
    }
    Ok(base)
}

/// An API key goes as `Token token=…`, an OAuth token (`pdus+…`, `pdeu+…`) as `Bearer …` (PagerDuty, Authentication).
fn headers(token: &Secret) -> Result<HeaderMap, PlatformError> {
    let wrong = |why| PlatformError::Misconfigured(format!("PagerDuty's token {why}; replace the token"));
    let text = token.expose().trim();
    if text.is_empty() {
        return Err(wrong("is empty"));
    }
    let bearer = text.starts_with("pdus+") || text.starts_with("pdeu+");
    let text = if bearer { format!("Bearer {text}") } else { format!("Token token={text}") };
    let mut value = HeaderValue::from_str(&text).map_err(|_| wrong("has characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, value),
        (ACCEPT, HeaderValue::from_static("application/vnd.pagerduty+json;version=2")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ]))
}

/// The body, or `None` where it is longer than the limit.
async fn read(mut response: Response, limit: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Seconds from now, in `ratelimit-reset` or `Retry-After`. PagerDuty may send neither.
fn reset(head: &HeaderMap) -> Option<Duration> {
    [head.get("ratelimit-reset"), head.get(RETRY_AFTER)]
        .into_iter()
        .flatten()
        .find_map(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs)
}

fn date(head: &HeaderMap) -> Option<Timestamp> {
    let text = head.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[derive(Deserialize)]
struct Refusal {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    message: String,
    #[serde(default)]
    errors: Vec<String>,
}

/// What a refusal says: `{"error":{"message":…,"errors":[…]}}`, or the text as it is.
fn message(body: &[u8]) -> String {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error }) if error.errors.is_empty() => error.message,
        Ok(Refusal { error }) => format!("{} ({})", error.message, error.errors.join("; ")),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
