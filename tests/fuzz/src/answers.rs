//! A server on loopback that answers what an input says, so that the real adapters run, their HTTP included.
//!
//! An input is JSON: `{"ask": WHAT, "answers": [{"to": "GET /users", "status": 200, "headers": {}, "body": …}]}`. A body
//! that is a text goes out as it is, anything else as JSON. Each request takes the first answer to it that is left, or
//! the last one again; there is 404 where there is none.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// What came in: method and path.
type Asked = Vec<String>;

#[derive(Default)]
struct Script {
    answers: Vec<(Value, bool)>,
    /// The request that is refused as unauthorised, by its number.
    refuse: Option<usize>,
    asked: Asked,
}

/// The server, and the runtime that it shares with its client.
pub(crate) struct Server {
    runtime: Runtime,
    address: String,
    script: Arc<Mutex<Script>>,
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// There is none.
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { runtime, address, script }
    }

    /// Where it is.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a call against these answers, with the request of this number refused; answers what was asked, too.
    pub(crate) fn run<T>(&self, answers: &[Value], refuse: Option<usize>, call: impl Future<Output = T>) -> (T, Asked) {
        let answers = answers.iter().map(|answer| (answer.clone(), false)).collect();
        *self.locked() = Script { answers, refuse, asked: Vec::new() };
        let done = self.runtime.block_on(call);
        (done, std::mem::take(&mut self.locked().asked))
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server of this thread.
pub(crate) fn server() -> Rc<Server> {
    thread_local!(static SERVER: RefCell<Option<Rc<Server>>> = const { RefCell::new(None) });
    SERVER.with_borrow_mut(|server| server.get_or_insert_with(|| Rc::new(Server::new())).clone())
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response<Body> {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    let number = script.asked.len();
    script.asked.push(asked.clone());
    if script.refuse == Some(number) {
        return with(401, Body::empty());
    }
    let mut fitting = script.answers.iter_mut().filter(|(answer, _)| answer["to"] == asked.as_str());
    let Some(mut chosen) = fitting.next() else { return with(404, Body::empty()) };
    for next in fitting {
        if chosen.1 {
            chosen = next;
        }
    }
    chosen.1 = true;
    let said = &chosen.0;
    let body = match &said["body"] {
        Value::String(text) => Body::from(text.clone()),
        Value::Null => Body::empty(),
        other => Body::from(other.to_string()),
    };
    let mut response = with(said["status"].as_u64().unwrap_or(200), body);
    for (name, value) in said["headers"].as_object().into_iter().flatten() {
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        if let (Ok(name @ ("location" | "retry-after" | "ratelimit-reset" | "date" | "age")), Ok(value)) =
            (Ok::<_, ()>(name.as_str()), value)
        {
            response.headers_mut().insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
    }
    response
}

fn with(status: u64, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let status = u16::try_from(status).ok().filter(|status| *status >= 200);
    *response.status_mut() = status.and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(StatusCode::OK);
    response
}
