//! A stand-in for PagerDuty's REST API on loopback: it serves an [`Account`] in the documented shapes, to whoever sends
//! its token, and misbehaves on demand.

mod account;
mod answers;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, yield_now};

pub use self::account::{Account, Audit, Custom, Kind, Override, Policy, Schedule, Target, Team, Turn, Upgraded, User};

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its path.
    pub path: String,
    /// Its query, in order.
    pub query: Vec<(String, String)>,
}

impl Request {
    /// The first value of a query parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A way to misbehave.
pub enum Fault {
    /// This answer instead of the true one.
    Raw {
        /// The status.
        status: u16,
        /// Headers beside those of every answer.
        headers: Vec<(&'static str, String)>,
        /// The body, as it is.
        body: String,
    },
    /// No answer, ever; the connection stays open.
    Silence,
    /// The true answer after a change.
    Altered(Box<dyn Fn(&mut Value) + Send + Sync>),
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raw { status, .. } => write!(f, "Raw({status})"),
            Self::Silence => f.write_str("Silence"),
            Self::Altered(_) => f.write_str("Altered"),
        }
    }
}

impl Fault {
    /// A refusal in PagerDuty's form.
    #[must_use]
    pub fn refusal(status: u16, message: &str) -> Self {
        Self::Raw { status, headers: Vec::new(), body: refusal(message).to_string() }
    }

    /// 503, as a proxy in front of an outage says it.
    #[must_use]
    pub fn outage() -> Self {
        Self::Raw { status: 503, headers: Vec::new(), body: "<html>Service Unavailable</html>".to_owned() }
    }

    /// 429 with `ratelimit-reset`, or bare: without headers and body.
    #[must_use]
    pub fn throttled(reset: Option<u64>) -> Self {
        match reset {
            Some(seconds) => Self::Raw {
                status: 429,
                headers: vec![("ratelimit-reset", seconds.to_string()), ("ratelimit-remaining", "0".to_owned())],
                body: json!({ "error": { "message": "Rate Limit Exceeded", "code": 2020 } }).to_string(),
            },
            None => Self::Raw { status: 429, headers: Vec::new(), body: String::new() },
        }
    }

    /// 200 and half of a JSON document.
    #[must_use]
    pub fn garbage() -> Self {
        Self::Raw { status: 200, headers: Vec::new(), body: r#"{"users":[{"id":"#.to_owned() }
    }

    /// The true answer with this changed.
    #[must_use]
    pub fn altered(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Altered(Box::new(change))
    }

    /// The list under this name empty, and nothing after it.
    #[must_use]
    pub fn empty(list: &'static str) -> Self {
        Self::altered(move |answer| {
            answer[list] = json!([]);
            answer["more"] = json!(false);
        })
    }
}

#[derive(Debug)]
struct Planned {
    path: String,
    times: usize,
    fault: Arc<Fault>,
}

#[derive(Debug, Default)]
struct Shared {
    account: Mutex<Account>,
    faults: Mutex<Vec<Planned>>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    requests: Vec<Request>,
    open: usize,
    most_open: usize,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The running stand-in. It stops when it is dropped.
#[derive(Debug)]
pub struct FakePagerDuty {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl FakePagerDuty {
    /// Starts it on a free port of 127.0.0.1, with an account that has nothing in it yet.
    ///
    /// # Panics
    /// Where no port can be had.
    #[expect(clippy::expect_used, reason = "a test without its stand-in cannot go on")]
    pub async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("an address of a bound port");
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, shared, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client takes as its `base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token that it lets in.
    #[must_use]
    pub fn token(&self) -> String {
        self.state(|account| account.token.clone())
    }

    /// Reads or changes the account, between two answers.
    pub fn state<R>(&self, change: impl FnOnce(&mut Account) -> R) -> R {
        change(&mut locked(&self.shared.account))
    }

    /// Misbehaves from now on, on this exact path, or with `*` at its end on all that begin so.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.fault_times(path, usize::MAX, fault);
    }

    /// Misbehaves so many times.
    pub fn fault_times(&self, path: &str, times: usize, fault: Fault) {
        locked(&self.shared.faults).push(Planned { path: path.to_owned(), times, fault: Arc::new(fault) });
    }

    /// Behaves again.
    pub fn heal(&self) {
        locked(&self.shared.faults).clear();
    }

    /// What came in since the start or since the last [`Self::forget`], in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.shared.log).requests.clone()
    }

    /// The paths of what came in, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.path).collect()
    }

    /// How often this path was asked for.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.paths().iter().filter(|asked| *asked == path).count()
    }

    /// Forgets what came in.
    pub fn forget(&self) {
        locked(&self.shared.log).requests.clear();
    }

    /// The most requests that were open at once.
    #[must_use]
    pub fn most_open(&self) -> usize {
        locked(&self.shared.log).most_open
    }
}

impl Drop for FakePagerDuty {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn refusal(message: &str) -> Value {
    json!({ "error": { "message": message, "code": 2001 } })
}

async fn serve(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&uri).map(|Query(query)| query).unwrap_or_default();
    let request = Request { path: uri.path().to_owned(), query };
    {
        let mut log = locked(&shared.log);
        log.requests.push(request.clone());
        log.open += 1;
        log.most_open = log.most_open.max(log.open);
    }
    // Room for a second request to come in, if a client has sent one.
    for _ in 0..20 {
        yield_now().await;
    }
    let answer = answer(&shared, &method, &request, &headers).await;
    locked(&shared.log).open -= 1;
    answer
}

async fn answer(shared: &Shared, method: &Method, request: &Request, headers: &HeaderMap) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !locked(&shared.account).admits(header(header::AUTHORIZATION)) {
        return response(401, &[], refusal("Invalid token").to_string());
    }
    if header(header::ACCEPT) != "application/vnd.pagerduty+json;version=2" || method != Method::GET {
        return response(400, &[], refusal("Unknown version or method").to_string());
    }
    let fault = planned(&mut locked(&shared.faults), &request.path);
    match fault.as_deref() {
        Some(Fault::Raw { status, headers, body }) => return response(*status, headers, body.clone()),
        Some(Fault::Silence) => loop {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
        },
        Some(Fault::Altered(_)) | None => {}
    }
    let (status, mut body) = locked(&shared.account).answer(request);
    if let Some(Fault::Altered(change)) = fault.as_deref() {
        change(&mut body);
    }
    response(status, &[], body.to_string())
}

fn planned(faults: &mut [Planned], path: &str) -> Option<Arc<Fault>> {
    let hits = |planned: &str| match planned.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => planned == path,
    };
    let planned = faults.iter_mut().find(|planned| planned.times > 0 && hits(&planned.path))?;
    planned.times = planned.times.saturating_sub(1);
    Some(Arc::clone(&planned.fault))
}

#[expect(clippy::expect_used, reason = "the tests' own headers")]
fn response(status: u16, headers: &[(&str, String)], body: String) -> Response {
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(body)).expect("a response of a test's own making")
}
