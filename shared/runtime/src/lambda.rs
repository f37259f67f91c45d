//! What the `main` of every Lambda function needs, so that it is wiring that fits on a screen: start once or say clearly
//! why not, run the loop, give each failure a type that alarms and people can rely on.
//!
//! ```no_run
//! use dutykey_runtime::lambda::{self, ErrorType, Event, Failure};
//!
//! fn main() -> std::process::ExitCode {
//!     lambda::main(async {
//!         let table = std::env::var("DUTYKEY_TABLE")
//!             .map_err(|_| Failure::new(ErrorType::Configuration, "DUTYKEY_TABLE is not set; name the table in it"))?;
//!         Ok(lambda_runtime::run(lambda::function(async move |_: Event| Ok(table.clone()))))
//!     })
//! }
//! ```
//!
//! `lambda_runtime::run` (and `lambda_http::run`) puts each invocation into a span with its `requestId` and, where X-Ray
//! sent one, its `xrayTraceId`; what is logged inside carries both.

use std::fmt::{Display, Write as _};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use futures_util::FutureExt;
use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, Service, service_fn};
use serde::Deserialize;
use serde_json::Value;

use crate::stream::StreamEvent;

/// The longest message of a failure, in characters.
const MAX_MESSAGE: usize = 500;
/// How long the report of a failed start may take.
const REPORT: Duration = Duration::from_secs(2);
/// The exit code of a start that was refused.
const REFUSED: u8 = 2;

/// What kind of failure it was. The text is the `errorType` that Lambda, alarms and dashboards see; it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// The environment or the configuration is wrong; somebody has to change it.
    Configuration,
    /// The event cannot be read.
    Input,
    /// The table cannot be read or written.
    Table,
    /// A queue or a topic does not take messages.
    Queue,
    /// A secret cannot be read.
    Secret,
    /// A bucket does not take objects.
    Bucket,
    /// A mistake in the program.
    Panic,
}

impl ErrorType {
    /// The text that Lambda is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "ConfigurationInvalid",
            Self::Input => "InputUnreadable",
            Self::Table => "TableUnavailable",
            Self::Queue => "QueueUnavailable",
            Self::Secret => "SecretUnavailable",
            Self::Bucket => "BucketUnavailable",
            Self::Panic => "Panicked",
        }
    }
}

impl Display for ErrorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a start, an invocation or a record failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: ErrorType,
    message: String,
}

impl Failure {
    /// A failure of a kind. Of its text at most 500 characters are kept, control characters as escapes.
    #[must_use]
    pub fn new(kind: ErrorType, message: impl Display) -> Self {
        Self { kind, message: bounded(&message) }
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorType {
        self.kind
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.kind.as_str().to_owned(), error_message: failure.message }
    }
}

/// At most 500 characters of a text, control characters as escapes.
pub(crate) fn bounded(text: &impl Display) -> String {
    let mut whole = String::new();
    if write!(whole, "{text}").is_err() {
        return "an error that cannot be shown".to_owned();
    }
    let mut out = String::new();
    for (n, c) in whole.chars().enumerate() {
        if n == MAX_MESSAGE {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_debug()) } else { out.push(c) }
    }
    out
}

/// What EventBridge Scheduler has a function do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Find what is due.
    Handoff,
    /// Have the sources read.
    Sync,
    /// Read the apps' catalogs.
    Catalog,
}

/// The input of a schedule: `{"v":1,"job":"handoff","scheduled_time":"…","execution_id":"…","attempt":"1"}`. All but the
/// first two come from the Scheduler's context attributes, so each is a JSON string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What to do.
    pub task: Task,
    /// The minute that the run is for, in UTC.
    pub scheduled_time: Timestamp,
    /// The Scheduler's ID of this run.
    pub execution_id: String,
    /// The how-manieth try of this run it is, from 1.
    pub attempt: u32,
}

/// What invokes a function that has no HTTP interface.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Records of its queue.
    Queue(SqsEvent),
    /// Changes of the table.
    Stream(StreamEvent),
    /// A run of a schedule.
    Schedule(Job),
}

impl Event {
    /// Reads an event document.
    ///
    /// # Errors
    /// It is neither an SQS event, nor one of a table's stream, nor the input of one of our schedules, or is one of a version that this release does
    /// not know.
    pub fn parse(document: Value) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Input {
            v: u32,
            job: Task,
            scheduled_time: Timestamp,
            execution_id: String,
            attempt: String,
        }

        let unreadable = |what: &str, why: &dyn Display| Failure::new(ErrorType::Input, format_args!("{what}: {why}"));
        if document.pointer("/Records/0/eventSource").is_some_and(|source| source == "aws:dynamodb") {
            return serde_json::from_value(document)
                .map(Self::Stream)
                .map_err(|error| unreadable("the event is not one of a table's stream", &error));
        }
        if document.get("Records").is_some() {
            return serde_json::from_value(document)
                .map(Self::Queue)
                .map_err(|error| unreadable("the event is not an SQS event", &error));
        }
        let Input { v, job, scheduled_time, execution_id, attempt } = serde_json::from_value(document)
            .map_err(|error| unreadable("the event is neither of a queue nor of a schedule", &error))?;
        if v != 1 {
            return Err(unreadable("the schedule's input", &format_args!("version {v} is not known; only 1 is")));
        }
        let attempt = attempt.parse().map_err(|error| unreadable("the schedule's input: `attempt`", &error))?;
        Ok(Self::Schedule(Job { task: job, scheduled_time, execution_id, attempt }))
    }

    /// Logs what a schedule had to try more than once: the run before it failed or was never answered.
    fn note(&self) {
        if let Self::Schedule(job) = self
            && job.attempt > 1
        {
            let Job { task, scheduled_time, execution_id, attempt } = job;
            tracing::warn!(?task, %scheduled_time, %execution_id, attempt, "attempt {attempt} of a scheduled run");
        }
    }
}

/// A handler as the service that `lambda_runtime::run` takes. An event that cannot be read and a panic are failures of
/// that invocation, with their own types; the environment lives on.
pub fn function<R>(
    handle: impl AsyncFn(Event) -> Result<R, Failure>,
) -> impl Service<LambdaEvent<Value>, Response = R, Error = Failure, Future = impl Future<Output = Result<R, Failure>>>
{
    let handle = Arc::new(handle);
    service_fn(move |event: LambdaEvent<Value>| {
        let handle = handle.clone();
        async move {
            let event = Event::parse(event.payload)?;
            event.note();
            caught(async { handle(event).await }).await
        }
    })
}

/// The result of the work, where a panic is a failure too.
pub(crate) async fn caught<R>(work: impl Future<Output = Result<R, Failure>>) -> Result<R, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("without a text");
        Err(Failure::new(ErrorType::Panic, format_args!("the handler panicked, which is a bug in Dutykey: {said}")))
    })
}

/// Runs a function on a single thread until Lambda ends its environment. `start` reads the configuration, builds what the
/// handler needs and gives back the loop, not yet begun.
///
/// A start that fails is told to Lambda (`/init/error`) and the log, and the process ends with exit code 2; a loop that
/// loses Lambda ends it with 1.
pub fn main<L, E>(start: impl Future<Output = Result<L, Failure>>) -> ExitCode
where
    L: Future<Output = Result<(), E>>,
    E: Display,
{
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say("the process cannot start its runtime", &error);
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        if let Err(failure) = started_by_lambda(|name| std::env::var(name).ok()) {
            say("the function does not start", &failure);
            return ExitCode::from(REFUSED);
        }
        match caught(start).await {
            Ok(run) => match run.await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    say("the function lost the Lambda runtime API", &error);
                    ExitCode::FAILURE
                }
            },
            Err(failure) => {
                say("the function does not start", &failure);
                report(failure).await;
                ExitCode::from(REFUSED)
            }
        }
    })
}

/// What the runtime cannot do without. It would panic where one is absent.
fn started_by_lambda(var: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    let refused = |what: String| {
        let help =
            "this program is an AWS Lambda function and is started by Lambda; on a laptop or a server, run `dutykey`";
        Failure::new(ErrorType::Configuration, format_args!("{what}: {help}"))
    };
    for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"] {
        if var(name).is_none_or(|value| value.is_empty()) {
            return Err(refused(format!("{name} is not set")));
        }
    }
    let memory = var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|value| value.parse::<i32>().ok());
    memory.map(|_| ()).ok_or_else(|| refused("AWS_LAMBDA_FUNCTION_MEMORY_SIZE is not a number of megabytes".to_owned()))
}

/// Tells Lambda why the start failed, as the Runtime API's page *Initialization error* has it.
async fn report(failure: Failure) {
    let sent = async {
        let kind = failure.kind();
        let body = serde_json::to_vec(&Diagnostic::from(failure))?;
        let request = lambda_runtime_api_client::build_request()
            .method("POST")
            .uri("/2018-06-01/runtime/init/error")
            .header("lambda-runtime-function-error-type", format!("Runtime.{kind}"))
            .body(lambda_runtime_api_client::body::Body::from(body))?;
        lambda_runtime_api_client::PooledClient::builder().build().call(request).await
    };
    match tokio::time::timeout(REPORT, sent).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => say("Lambda could not be told so", &error),
        Err(late) => say("Lambda could not be told so", &late),
    }
}

/// Logs an error, or writes it to stderr where logging has not been set up yet.
fn say(what: &str, error: &dyn Display) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!(%error, "{what}: {error}");
    } else {
        eprintln!("{what}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use serde_json::json;

    use super::*;

    fn handoff(attempt: &str) -> Value {
        json!({"v": 1, "job": "handoff", "scheduled_time": "2026-11-23T07:15:00Z", "execution_id": "d32c5kddcf5bb8c3",
            "attempt": attempt})
    }

    async fn failed(document: Value, handle: impl AsyncFn(Event) -> Result<(), Failure>) -> Diagnostic {
        let event = LambdaEvent::new(document, lambda_runtime::Context::default());
        function(handle).call(event).await.expect_err("the invocation fails").into()
    }

    #[test]
    fn a_schedule_s_input_is_read_with_the_strings_that_the_scheduler_puts_in() {
        let Ok(Event::Schedule(job)) = Event::parse(handoff("2")) else { panic!("the schedule's input is not read") };
        let at: Timestamp = "2026-11-23T07:15:00Z".parse().unwrap();
        assert_eq!(job.scheduled_time, at);
        assert_eq!((job.task, job.attempt, job.execution_id.as_str()), (Task::Handoff, 2, "d32c5kddcf5bb8c3"));
    }

    #[test]
    fn an_event_that_is_not_ours_is_a_failure_that_says_why() {
        let cases = [
            (json!({}), "neither of a queue nor of a schedule: missing field"),
            (json!({"Records": 7}), "not an SQS event"),
            (json!({"Records": [{"eventSource": "aws:dynamodb", "eventName": "READ"}]}), "not one of a table's stream"),
            (handoff("<aws.scheduler.attempt-number>"), "`attempt`"),
            (
                json!({"v": 2, "job": "sync", "scheduled_time": "2026-11-23T07:15:00Z", "execution_id": "e", "attempt": "1"}),
                "version 2",
            ),
            (
                json!({"v": 1, "job": "tidy", "scheduled_time": "2026-11-23T07:15:00Z", "execution_id": "e", "attempt": "1"}),
                "tidy",
            ),
        ];
        for (document, why) in cases {
            let failure = Event::parse(document.clone()).expect_err(&document.to_string());
            assert_eq!(failure.kind(), ErrorType::Input);
            assert!(failure.to_string().contains(why), "{document} says: {failure}");
        }
    }

    #[tokio::test]
    async fn failures_keep_their_type_and_a_panic_is_one_of_them() {
        let refuses = |_| ready(Err(Failure::new(ErrorType::Table, "the table `t` is not there")));
        let diagnostic = failed(handoff("1"), refuses).await;
        assert_eq!(diagnostic.error_type, "TableUnavailable");
        assert_eq!(diagnostic.error_message, "the table `t` is not there");

        let diagnostic = failed(handoff("1"), async |_| panic!("index 3 of 2")).await;
        assert_eq!(diagnostic.error_type, "Panicked");
        assert!(diagnostic.error_message.ends_with("index 3 of 2"), "{}", diagnostic.error_message);

        let diagnostic = failed(json!({"hello": 1}), |_| ready(Ok(()))).await;
        assert_eq!(diagnostic.error_type, "InputUnreadable");
    }

    #[test]
    fn a_failure_s_text_is_bounded_and_cannot_forge_a_log_line() {
        let failure = Failure::new(ErrorType::Queue, format_args!("a\nb{}", "é".repeat(1_000)));
        let text = failure.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("a\\nb") && text.ends_with("é…"), "{text}");
        assert!(text.chars().count() <= MAX_MESSAGE + 2, "{} characters", text.chars().count());
    }

    #[test]
    fn a_program_that_lambda_did_not_start_says_what_to_run_instead() {
        let lambda = |absent: &'static str| {
            move |name: &str| {
                (name != absent).then(|| if name.ends_with("SIZE") { "256".to_owned() } else { "x".to_owned() })
            }
        };
        assert_eq!(started_by_lambda(lambda("nothing")), Ok(()));
        for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION"] {
            let text = started_by_lambda(lambda(name)).expect_err(name).to_string();
            assert!(text.contains(name) && text.contains("run `dutykey`"), "{text}");
        }
    }
}
