//! How each function starts, beside the least that a Rust function can be, on this machine and in one run: size without
//! symbols, time from its start to its first `/next` and to its first answer, and the most memory that it had.
//!
//! ```text
//! cargo build --release --workspace --bins --examples
//! cargo run --release -p dutykey-tests --example cold_start
//! ```
//!
//! Without `--release` in both it measures the development build, and says so. Each figure is the median of the runs,
//! which take turns, so that what else the machine does hits all alike. Lambda's own part, and TLS and the distance to
//! its services, are not in it; what a function adds to the empty one is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dutykey_embedded::Embedded;
use dutykey_engine::ports::clock::Clock as _;
use dutykey_engine::ports::queue::Message;
use dutykey_runtime::clock::SystemClock;
use dutykey_store::Store;
use dutykey_tests::aws::FakeAws;
use dutykey_tests::events::{self, Change, HttpRequest};
use dutykey_tests::process::binary;
use dutykey_tests::runtime_api::{Outcome, RuntimeApi};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

type Failed = Box<dyn std::error::Error>;

/// How often each function is started.
const RUNS: usize = 9;
const ALLOWED: Duration = Duration::from_secs(30);

struct Function {
    name: &'static str,
    binary: PathBuf,
    bytes: u64,
    event: Value,
    runs: Vec<Run>,
}

struct Run {
    init_ms: f64,
    answer_ms: f64,
    peak_kib: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let now = SystemClock.now();
    let body = serde_json::to_string(&Message::person("per_01JD0000000000000000000001".parse()?, "test"))?;
    let health = HttpRequest::new("GET", "/healthz").header("host", "api.example.com").event(now);
    let hint = HttpRequest::new("POST", "/webhooks/pd").header("host", "api.example.com").body("{}").event(now);
    let beat = Change { what: "MODIFY", keys: json!({"pk": {"S": "PULSE"}, "sk": {"S": "PULSE"}}), image: None };
    let mut functions = Vec::new();
    for (name, event) in [
        ("examples/empty_function", Value::Null),
        ("rotation-sync", events::schedule("sync", now, 1)),
        ("webhook-ingest", hint),
        ("access-requests", health),
        ("handoff", events::schedule("handoff", now, 1)),
        ("provisioning", events::sqs("provisioning", &[&body], now)),
        ("revocation", events::sqs("revocation", &[&body], now)),
        ("evidence-copy", events::stream(&[beat], now)),
    ] {
        let binary = binary(name)?;
        let bytes = stripped(&binary)?;
        functions.push(Function { name: name.trim_start_matches("examples/"), binary, bytes, event, runs: Vec::new() });
    }
    let aws = FakeAws::start().await?;
    let variables = variables(&aws).await?;
    for _ in 0..RUNS {
        for function in &mut functions {
            let run = measured(function, &variables).await.map_err(|error| format!("{}: {error}", function.name))?;
            function.runs.push(run);
        }
    }
    print(&functions);
    Ok(())
}

/// A table with nothing in it, and queues.
async fn variables(aws: &FakeAws) -> Result<Vec<(String, String)>, Failed> {
    let table = Embedded::memory()?;
    Store::new(table.client(), "dutykey").create_table("table-1").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut variables = aws.environment();
    let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
    set("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{}", listener.local_addr()?));
    set("DUTYKEY_TABLE", "dutykey".to_owned());
    set("DUTYKEY_EVIDENCE_BUCKET", "evidence".to_owned());
    set("DUTYKEY_SYNC_QUEUE_URL", aws.queue_url("sync"));
    set("DUTYKEY_PROVISIONING_QUEUE_URL", aws.queue_url("provisioning"));
    set("DUTYKEY_REVOCATION_QUEUE_URL", aws.queue_url("revocation"));
    tokio::spawn(async move { table.serve_on(listener).await });
    Ok(variables)
}

async fn measured(function: &Function, variables: &[(String, String)]) -> Result<Run, Failed> {
    let api = RuntimeApi::start().await?;
    let began = Instant::now();
    let process = api.launch(&function.binary, function.name, 256, variables)?;
    let init = api.ready().await.map_err(|outcome| format!("{outcome:?} {}", process.output()))?;
    let outcome = api.invoke(&function.event, ALLOWED).await;
    let answer = began.elapsed();
    if !matches!(outcome, Outcome::Answered(_)) {
        return Err(format!("{outcome:?} {}", process.output()).into());
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("the kernel tells no VmHWM")?;
    let peak_kib = peak.trim().trim_end_matches("kB").trim().parse()?;
    Ok(Run { init_ms: init.as_secs_f64() * 1e3, answer_ms: answer.as_secs_f64() * 1e3, peak_kib })
}

/// The size without symbols: as it is deployed, whichever profile built it.
fn stripped(binary: &Path) -> Result<u64, Failed> {
    let copy = std::env::temp_dir().join(format!("cold-start-{}", std::process::id()));
    let status = Command::new("strip").arg("-o").arg(&copy).arg(binary).status()?;
    let bytes = std::fs::metadata(&copy).map(|data| data.len());
    let _ = std::fs::remove_file(&copy);
    if status.success() { Ok(bytes?) } else { Err(format!("strip does not take {}", binary.display()).into()) }
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(functions: &[Function]) {
    let profile = if cfg!(debug_assertions) { "development" } else { "release" };
    println!("{profile} build, medians of {RUNS} runs; × is against the empty function\n");
    println!("{:16} {:>18} {:>18} {:>18} {:>18}", "function", "size MB", "to /next ms", "to answer ms", "peak MiB");
    let figures = |function: &Function| {
        [
            function.bytes as f64 / 1e6,
            median(&function.runs, |run| run.init_ms),
            median(&function.runs, |run| run.answer_ms),
            median(&function.runs, |run| run.peak_kib) / 1024.0,
        ]
    };
    let Some(empty) = functions.first().map(figures) else { return };
    for function in functions {
        let cells = figures(function).into_iter().zip(empty);
        let cells = cells.map(|(value, base)| format!("{:>18}", format!("{value:.1} ({:.1}×)", value / base)));
        println!("{:16} {}", function.name, cells.collect::<Vec<_>>().join(" "));
    }
}
