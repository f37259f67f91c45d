//! One function and everything around it: its execution environment, AWS and the table.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::FakeAws;
use crate::events;
use crate::process::Process;
use crate::runtime_api::{FunctionError, Outcome, RuntimeApi};
use crate::table::{self, Table};

/// How long an invocation may take.
pub const ALLOWED: Duration = Duration::from_secs(30);
/// In megabytes, as deployed.
const MEMORY: u32 = 256;

/// The surroundings of one function.
#[derive(Debug)]
pub struct Surroundings {
    /// Its execution environment.
    pub api: RuntimeApi,
    /// What it uses of AWS beside the table.
    pub aws: FakeAws,
    /// The table.
    pub table: Table,
    variables: Vec<(String, String)>,
    binary: PathBuf,
}

impl Surroundings {
    /// Those of a function that sends to these queues, by its binary.
    ///
    /// # Panics
    /// Where no port can be had.
    #[expect(clippy::expect_used, reason = "a test without its surroundings cannot go on")]
    pub async fn of(binary: impl AsRef<Path>, queues: &[&str]) -> Self {
        let api = RuntimeApi::start().await.expect("a free port on loopback");
        let aws = FakeAws::start().await.expect("a free port on loopback");
        let table = Table::start().await;
        let mut variables = aws.environment();
        variables.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), format!("http://{}", table.address())));
        variables.push(("DUTYKEY_TABLE".to_owned(), table::NAME.to_owned()));
        variables.extend(queues.iter().map(|queue| queue_variable(&aws, queue)));
        Self { api, aws, table, variables, binary: binary.as_ref().to_owned() }
    }

    /// Sets a variable of the environment of processes that start from now on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.unset(&[name]);
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Takes variables away.
    pub fn unset(&mut self, names: &[&str]) {
        self.variables.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    /// Starts the function.
    ///
    /// # Panics
    /// Where its binary does not start.
    #[must_use]
    #[expect(clippy::panic, reason = "a test without its function cannot go on")]
    pub fn start(&self) -> Process {
        let name = self.binary.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let process = self.api.launch(&self.binary, name, MEMORY, &self.variables);
        process.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Gives the function an event.
    pub async fn invoke(&self, event: &Value) -> Outcome {
        self.api.invoke(event, ALLOWED).await
    }

    /// Starts the function, which must refuse to start, and ends with the exit code that says so: why, and the process.
    ///
    /// # Panics
    /// Where it starts, or does not end.
    #[expect(clippy::panic, reason = "a function that starts has failed the test")]
    pub async fn refused(&self) -> (FunctionError, Process) {
        let process = self.start();
        let Err(Outcome::NotStarted(error)) = self.api.ready().await else {
            panic!("the function starts: {}", process.output());
        };
        let ended = process.wait(ALLOWED).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(ended.code(), Some(2), "{}", process.output());
        (error, process)
    }
}

/// The variable that leads a function to a queue, such as `DUTYKEY_SYNC_QUEUE_URL` to `sync`. The queue is there then.
#[must_use]
pub fn queue_variable(aws: &FakeAws, queue: &str) -> (String, String) {
    (format!("DUTYKEY_{}_QUEUE_URL", queue.to_uppercase()), aws.queue_url(queue))
}

/// The answer to a batch of which these records, from 1, come again.
#[must_use]
pub fn failed(records: &[usize]) -> Outcome {
    let failed: Vec<_> = records.iter().map(|n| json!({"itemIdentifier": events::message_id(*n)})).collect();
    Outcome::Answered(json!({ "batchItemFailures": failed }))
}

/// The lines of a function's stdout that CloudWatch takes metrics from.
#[must_use]
pub fn metrics(process: &Process) -> Vec<Value> {
    let lines = process.stdout();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}
