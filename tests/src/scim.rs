//! A SCIM 2.0 server on loopback: users, groups, two dialects, and faults on demand.
//!
//! It counts requests, and of the changes those that had an effect. A request is worked off in a task of its own, so
//! that it takes effect even when its client has gone, as with a real server.

mod filter;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, Response};
use axum::routing::any;
use serde_json::{Value, json};
use tokio::sync::watch;

pub use world::{Dialect, Effect, Group, Kind, User, World};

/// The token that the server takes unless told otherwise.
pub const TOKEN: &str = "fake-scim-token-1f0c";

/// A request as it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its number, from 1.
    pub number: usize,
    /// The method.
    pub method: String,
    /// `Users`, `Groups`, ...
    pub endpoint: String,
    /// The ID after it, decoded.
    pub id: Option<String>,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The body.
    pub body: Option<Value>,
    /// The token that it brought.
    pub bearer: Option<String>,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
}

impl Request {
    /// The value of a query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether it asks for a change.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.method != "GET"
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers beside `Content-Type`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A status without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// A status with a document.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self { body: body.to_string(), ..Self::status(status) }
    }

    /// A refusal as RFC 7644 §3.12 shapes it; `scim_type` may be empty.
    #[must_use]
    pub fn error(status: u16, scim_type: &str, detail: &str) -> Self {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(),
            "detail": detail,
        });
        if !scim_type.is_empty() {
            world::add(&mut body, "scimType", Value::from(scim_type));
        }
        Self::json(status, &body)
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// When in a request's life something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before it takes effect.
    BeforeEffect,
    /// After it took effect, before the answer.
    AfterEffect,
}

/// What the client gets in place of the true answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This answer. Before the effect it is a refusal or, as a success, a lie; after it the effect stands.
    Answer(Reply),
    /// The connection closes without an answer.
    Close,
}

type Matcher = Box<dyn Fn(&Request) -> bool + Send>;

struct Planned {
    matches: Matcher,
    times: usize,
    moment: Moment,
    action: Action,
}

#[derive(Clone)]
enum Action {
    Fault(Fault),
    Stop(Stop),
}

/// A request that is stopped, as the test sees it. Dropping it lets the request go on.
#[derive(Debug)]
pub struct Gate {
    reached: watch::Receiver<bool>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Waits until a request stands before the gate.
    pub async fn reached(&mut self) {
        // An error means that the server is gone; the test then fails at what it checks next.
        let _ = self.reached.wait_for(|reached| *reached).await;
    }

    /// Lets the request go on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

#[derive(Clone)]
struct Stop {
    reached: Arc<watch::Sender<bool>>,
    open: watch::Receiver<bool>,
}

impl Stop {
    async fn pass(mut self) {
        self.reached.send_replace(true);
        let _ = self.open.wait_for(|open| *open).await;
    }
}

struct Inner {
    world: World,
    requests: Vec<Request>,
    planned: Vec<Planned>,
}

type Shared = Arc<Mutex<Inner>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Inner> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server; it stops when dropped.
pub struct FakeScim {
    address: SocketAddr,
    shared: Shared,
    server: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for FakeScim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeScim").field("address", &self.address).finish_non_exhaustive()
    }
}

impl FakeScim {
    /// Starts an empty server that keeps to the RFC.
    pub async fn start() -> Self {
        Self::start_as(Dialect::Rfc).await
    }

    /// Starts an empty server of a dialect.
    pub async fn start_as(dialect: Dialect) -> Self {
        Self::start_at(dialect, "127.0.0.1:0").await
    }

    /// Starts an empty server of a dialect at an address.
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn start_at(dialect: Dialect, address: &str) -> Self {
        let inner = Inner { world: World::new(dialect), requests: Vec::new(), planned: Vec::new() };
        let shared = Arc::new(Mutex::new(inner));
        let router = axum::Router::new()
            .route("/scim/v2/{endpoint}", any(handle))
            .route("/scim/v2/{endpoint}/{id}", any(handle))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind(address).await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, shared, server }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL of the service.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/scim/v2", self.address)
    }

    /// Reads or changes what the server holds and how it behaves.
    pub fn state<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        look(&mut lock(&self.shared).world)
    }

    /// Every request so far, in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared).requests.clone()
    }

    /// By group and user: how often requests put the user in and took the user out.
    #[must_use]
    pub fn effects(&self) -> BTreeMap<(String, String), Effect> {
        lock(&self.shared).world.effects.clone()
    }

    /// The effects of requests on one user in one group.
    #[must_use]
    pub fn effect(&self, group: &str, user: &str) -> Effect {
        self.effects().get(&(group.to_owned(), user.to_owned())).copied().unwrap_or_default()
    }

    /// Answers the next so many requests that match with a fault.
    pub fn fault(
        &self,
        times: usize,
        matches: impl Fn(&Request) -> bool + Send + 'static,
        moment: Moment,
        fault: Fault,
    ) {
        let action = Action::Fault(fault);
        lock(&self.shared).planned.push(Planned { matches: Box::new(matches), times, moment, action });
    }

    /// Stops the next request that matches, at that moment, until the gate is opened. With a fault planned for the same
    /// moment it waits first. Request n is `|request| request.number == n`.
    pub fn gate(&self, matches: impl Fn(&Request) -> bool + Send + 'static, moment: Moment) -> Gate {
        let (reached, seen) = watch::channel(false);
        let (open, opened) = watch::channel(false);
        let action = Action::Stop(Stop { reached: Arc::new(reached), open: opened });
        lock(&self.shared).planned.push(Planned { matches: Box::new(matches), times: 1, moment, action });
        Gate { reached: seen, open }
    }
}

impl Drop for FakeScim {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Inner {
    /// Writes a request down and takes what is planned for it.
    fn admit(&mut self, request: &mut Request) -> Vec<(Moment, Action)> {
        request.number = self.requests.len() + 1;
        self.requests.push(request.clone());
        let mut actions = Vec::new();
        for planned in &mut self.planned {
            if planned.times > 0 && (planned.matches)(request) {
                planned.times -= 1;
                actions.push((planned.moment, planned.action.clone()));
            }
        }
        actions
    }
}

async fn handle(
    State(shared): State<Shared>,
    method: Method,
    Path(path): Path<BTreeMap<String, String>>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        number: 0,
        method: method.to_string(),
        endpoint: path.get("endpoint").cloned().unwrap_or_default(),
        id: path.get("id").cloned(),
        query,
        body: serde_json::from_slice(&body).ok(),
        bearer: header("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
        content_type: header("content-type").map(str::to_owned),
    };
    let date = lock(&shared).world.date.clone();
    let reply = tokio::spawn(work(shared, request)).await.ok().flatten();
    let response = reply.and_then(|reply| {
        let headers = reply.headers.into_iter().chain(date.map(|date| ("date".to_owned(), date)));
        let builder = Response::builder().status(reply.status).header("content-type", "application/scim+json");
        let builder = headers.fold(builder, |builder, (name, value)| builder.header(name, value));
        builder.body(Body::from(reply.body)).ok()
    });
    // Unwinding out of the connection's task, past the panic hook, closes the connection without a byte.
    response.unwrap_or_else(|| std::panic::resume_unwind(Box::new("closed on demand")))
}

/// Works a request off; `None` closes the connection.
async fn work(shared: Shared, mut request: Request) -> Option<Reply> {
    let actions = lock(&shared).admit(&mut request);
    let mut answer = None;
    for moment in [Moment::BeforeEffect, Moment::AfterEffect] {
        let mut fault = None;
        for (_, action) in actions.iter().filter(|(at, _)| *at == moment) {
            match action {
                Action::Stop(stop) => stop.clone().pass().await,
                Action::Fault(planned) => fault = Some(planned.clone()),
            }
        }
        match fault {
            Some(Fault::Answer(reply)) => return Some(reply),
            Some(Fault::Close) => return None,
            None if moment == Moment::BeforeEffect => answer = Some(lock(&shared).world.answer(&request)),
            None => {}
        }
    }
    answer
}
