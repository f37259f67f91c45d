//! The Lambda Runtime API, so that the shipped binaries run as Lambda runs them. One [`RuntimeApi`] is one execution
//! environment: one process at a time, one event at a time, killed at the deadline. Sources: the Lambda developer guide
//! (*Using the Lambda runtime API*) and what `lambda_runtime` reads.

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path as FilePath;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex as Turn, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::aws::{ACCOUNT, REGION};
use crate::process::{Handle, Process, ProcessError};

/// How long a function may take from its start to its first `/next`: Lambda's limit.
pub const INIT: Duration = Duration::from_secs(10);
/// The longest answer that Lambda takes, in bytes.
const MAX_ANSWER: usize = 6 << 20;

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The function answered.
    Answered(Value),
    /// The function reported an error, or its answer was none that Lambda takes.
    Failed(FunctionError),
    /// The function did not start, and said why.
    NotStarted(FunctionError),
    /// The process ended.
    Died(ExitStatus),
    /// The deadline passed; the process was killed.
    TimedOut,
}

/// An error as a function reports it to Lambda.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    /// What kind of error.
    pub error_type: String,
    /// What happened.
    pub error_message: String,
}

impl FunctionError {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            error_type: "Harness.UnreadableError".to_owned(),
            error_message: String::from_utf8_lossy(body).into_owned(),
        })
    }
}

/// The Runtime API of one execution environment. It goes away when it is dropped, and its process with it.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Invocation>,
    /// Held by the event that the function works on.
    turn: Turn<()>,
    process: Mutex<Option<(Handle, Instant)>>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    function: Mutex<String>,
    events: Turn<mpsc::UnboundedReceiver<Invocation>>,
    current: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
    /// When the first `/next` came.
    ready: watch::Sender<Option<Instant>>,
    not_started: watch::Sender<Option<FunctionError>>,
}

/// An event on its way to the function.
#[derive(Debug)]
struct Invocation {
    id: String,
    event: String,
    allowed: Duration,
    taken: oneshot::Sender<()>,
    answer: oneshot::Sender<Outcome>,
}

impl RuntimeApi {
    /// Starts the API, with no process yet.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (events, incoming) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            function: Mutex::default(),
            events: Turn::new(incoming),
            current: Mutex::default(),
            ready: watch::Sender::default(),
            not_started: watch::Sender::default(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(MAX_ANSWER))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, events, turn: Turn::default(), process: Mutex::default(), serving })
    }

    /// The variables that Lambda sets for a function of this name and memory, in megabytes; the credentials are nobody's.
    #[must_use]
    pub fn environment(&self, function: &str, memory: u32) -> Vec<(String, String)> {
        function.clone_into(&mut lock(&self.shared.function));
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", function.to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory.to_string()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{function}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/23/[$LATEST]1f0c".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "not-a-key".to_owned()),
            ("AWS_SESSION_TOKEN", "not-a-token".to_owned()),
            ("_HANDLER", "bootstrap".to_owned()),
            ("TZ", ":UTC".to_owned()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Starts a function's binary in this environment, with further variables. A second start is a new environment's work:
    /// make a new API for it.
    ///
    /// # Errors
    /// The binary does not start.
    pub fn launch(
        &self,
        binary: &FilePath,
        function: &str,
        memory: u32,
        variables: &[(String, String)],
    ) -> Result<Process, ProcessError> {
        let variables = self.environment(function, memory).into_iter().chain(variables.iter().cloned());
        let began = Instant::now();
        let process = Process::start(binary, &[], variables)?;
        self.watch(&process, began);
        Ok(process)
    }

    /// Watches a process that the test started itself, at that time: its death ends an invocation, a deadline kills it.
    pub fn watch(&self, process: &Process, began: Instant) {
        *lock(&self.process) = Some((process.handle(), began));
    }

    /// How long the function took from its start to its first `/next`: the init part of a cold start. Waits for it.
    ///
    /// # Errors
    /// It reported an error, died, or took longer than Lambda allows.
    pub async fn ready(&self) -> Result<Duration, Outcome> {
        let (mut ready, mut not_started) = (self.shared.ready.subscribe(), self.shared.not_started.subscribe());
        let began = lock(&self.process).as_ref().map_or_else(Instant::now, |(_, began)| *began);
        tokio::select! {
            biased;
            Ok(at) = ready.wait_for(Option::is_some) => Ok(at.map_or(Duration::ZERO, |at| at.duration_since(began))),
            Ok(error) = not_started.wait_for(Option::is_some) => {
                Err(error.clone().map_or(Outcome::TimedOut, Outcome::NotStarted))
            }
            status = self.died() => Err(self.why_died(status)),
            () = tokio::time::sleep(INIT) => Err(Outcome::TimedOut),
        }
    }

    /// What the function reported where it could not start.
    #[must_use]
    pub fn init_error(&self) -> Option<FunctionError> {
        self.shared.not_started.borrow().clone()
    }

    /// Sends an event, and waits for how it ends. The time allowed runs from when the function takes the event, and is the
    /// deadline that it is told; as on Lambda, the process is killed then. Events of other callers wait their turn.
    pub async fn invoke(&self, event: &Value, allowed: Duration) -> Outcome {
        let _turn = self.turn.lock().await;
        if let Err(outcome) = self.ready().await {
            return outcome;
        }
        let id = request_id();
        let (taken, is_taken) = oneshot::channel();
        let (answer, mut answered) = oneshot::channel();
        let sent = self.events.send(Invocation { id, event: event.to_string(), allowed, taken, answer });
        let outcome = tokio::select! {
            biased;
            outcome = async {
                // A function that does not come back for more is as stuck as one that does not answer.
                if sent.is_err() || !matches!(timeout(INIT, is_taken).await, Ok(Ok(()))) {
                    return Outcome::TimedOut;
                }
                match timeout(allowed, &mut answered).await {
                    Ok(Ok(outcome)) => outcome,
                    _ => Outcome::TimedOut,
                }
            } => outcome,
            status = self.died() => self.why_died(status),
        };
        if outcome == Outcome::TimedOut {
            *lock(&self.shared.current) = None;
            let process = lock(&self.process).as_ref().map(|(process, _)| process.clone());
            if let Some(process) = process {
                process.kill();
                process.ended().await;
            }
        }
        outcome
    }

    async fn died(&self) -> ExitStatus {
        let process = lock(&self.process).as_ref().map(|(process, _)| process.clone());
        match process {
            Some(process) => process.ended().await,
            None => std::future::pending().await,
        }
    }

    /// A process that said why it cannot start, and then ended, did not just die.
    fn why_died(&self, status: ExitStatus) -> Outcome {
        self.init_error().map_or(Outcome::Died(status), Outcome::NotStarted)
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
        if let Some((process, _)) = lock(&self.process).take() {
            process.kill();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request ID that no other invocation of this test run has.
fn request_id() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("8476a536-e9f4-11e8-9739-{n:012x}")
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.ready.send_if_modified(|ready| ready.is_none().then(|| *ready = Some(Instant::now())).is_some());
    let Some(Invocation { id, event, allowed, taken, answer }) = shared.events.lock().await.recv().await else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "the test has ended");
    };
    #[expect(clippy::disallowed_methods, reason = "Lambda's deadline is an instant of the machine's clock")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", id.clone()),
        ("lambda-runtime-invocation-id", id.clone()),
        ("lambda-runtime-deadline-ms", (now + allowed).as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", lock(&shared.function)),
        ),
        (
            "lambda-runtime-trace-id",
            format!(
                "Root=1-{:08x}-{};Parent=53995c3f42cd8ad8;Sampled=0",
                now.as_secs(),
                id.replace('-', "").split_at(8).1
            ),
        ),
    ];
    *lock(&shared.current) = Some((id, answer));
    let _ = taken.send(());
    let mut response = event.into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    let outcome = serde_json::from_slice(&body).map(Outcome::Answered).unwrap_or_else(|error| {
        Outcome::Failed(FunctionError {
            error_type: "Harness.AnswerIsNotJson".to_owned(),
            error_message: format!("{error}: {}", String::from_utf8_lossy(&body)),
        })
    });
    end(&shared, &id, outcome)
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    end(&shared, &id, Outcome::Failed(FunctionError::read(&body)))
}

async fn init_error(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if !headers.contains_key("lambda-runtime-function-error-type") {
        return refused(StatusCode::BAD_REQUEST, "InvalidHeader", "lambda-runtime-function-error-type is not there");
    }
    shared.not_started.send_replace(Some(FunctionError::read(&body)));
    accepted()
}

/// Ends the current invocation, if it is that one.
fn end(shared: &Shared, id: &str, outcome: Outcome) -> Response {
    let mut current = lock(&shared.current);
    match current.take_if(|(current, _)| current == id) {
        Some((_, answer)) => {
            let _ = answer.send(outcome);
            accepted()
        }
        None => refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "no such invocation is being worked on"),
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, json!({"status": "OK"}).to_string()).into_response()
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, json!({"errorType": kind, "errorMessage": message}).to_string()).into_response()
}
