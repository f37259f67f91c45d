//! What a quiet hour and a hand-off cost, for companies of growing size side by side in one run: requests and capacity
//! units of the table, reads of the platform, calls to the target, and the machine's own time and memory.
//!
//! ```text
//! cargo run --release -p dutykey-tests --example costs
//! ```
//!
//! The program is the real one, the process of `dutykey serve`, on the embedded table with a simulated platform and a
//! simulated app, under virtual time. Each rotation has two people who take turns, and gives two groups. Capacity units
//! are the embedded DynamoDB's count. The machine's time is for comparing one release with another on one machine; it
//! grows with the company because every look compares the simulated app's whole script, which real apps don't have.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use dutykey::process::{Parts, Process};
use dutykey_embedded::Embedded;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::rules::WriteRules;
use dutykey_platforms::sandbox::Operation as PlatformOperation;
use dutykey_policy::installation::{Installation, PlatformSettings, TargetSettings};
use dutykey_policy::time::later;
use dutykey_runtime::clock::{SeededChance, VirtualClock};
use dutykey_runtime::config::{self, ConfigProblem};
use dutykey_runtime::metrics::Metrics;
use dutykey_runtime::notify::Notices;
use dutykey_runtime::secrets::Secrets;
use dutykey_runtime::witness::Recorder;
use dutykey_store::Store;
use dutykey_targets::sandbox::{Change, Operation as TargetOperation};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

type Failed = Box<dyn std::error::Error>;

/// How many rotations the companies have.
const SIZES: [u32; 3] = [1, 10, 100];
const EPOCH: &str = "2026-11-23T00:00:00Z";
const HOUR: Duration = Duration::from_secs(3_600);

/// What one stretch of time has used.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    requests: f64,
    read_units: f64,
    write_units: f64,
    platform_reads: f64,
    target_reads: f64,
    target_writes: f64,
    milliseconds: f64,
}

impl Used {
    fn combine(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            requests: with(self.requests, other.requests),
            read_units: with(self.read_units, other.read_units),
            write_units: with(self.write_units, other.write_units),
            platform_reads: with(self.platform_reads, other.platform_reads),
            target_reads: with(self.target_reads, other.target_reads),
            target_writes: with(self.target_writes, other.target_writes),
            milliseconds: with(self.milliseconds, other.milliseconds),
        }
    }

    fn counts(self) -> [f64; 6] {
        [self.requests, self.read_units, self.write_units, self.platform_reads, self.target_reads, self.target_writes]
    }
}

/// The table, with its requests and their capacity units counted.
#[derive(Debug, Clone)]
struct Metered {
    inner: SharedHttpConnector,
    used: Arc<Mutex<Used>>,
}

impl HttpConnector for Metered {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").and_then(|target| target.split('.').nth(1));
        let reads = operation.is_some_and(|operation| operation.contains("Get") || operation == "Query");
        if let Some(Value::Object(mut asked)) =
            request.body().bytes().and_then(|body| serde_json::from_slice(body).ok())
        {
            asked.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"));
            *request.body_mut() = SdkBody::from(Value::Object(asked).to_string());
            request.headers_mut().remove("content-length");
        }
        let Self { inner, used } = self.clone();
        HttpConnectorFuture::new(async move {
            let answer: HttpResponse = inner.call(request).await?;
            let said = answer.body().bytes().and_then(|body| serde_json::from_slice::<Value>(body).ok());
            let units = said.and_then(|said| said.get("ConsumedCapacity").map(units)).unwrap_or_default();
            let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
            used.requests += 1.0;
            *if reads { &mut used.read_units } else { &mut used.write_units } += units;
            Ok(answer)
        })
    }
}

/// One table's units, or a list of them.
fn units(consumed: &Value) -> f64 {
    match consumed {
        Value::Array(tables) => tables.iter().map(units).sum(),
        one => one.get("CapacityUnits").and_then(Value::as_f64).unwrap_or_default(),
    }
}

/// A rotation's turns change each 12 hours, all at once.
fn company(rotations: u32) -> Result<Installation, Failed> {
    let id = |n: u32| format!("p{n}");
    let user = |n: u32| json!({ "id": id(n), "email": format!("{}@example.com", id(n)), "active": true });
    let account = |n: u32| json!({ "id": format!("acc-{}", id(n)), "address": format!("{}@example.com", id(n)) });
    let rota = |n: u32| {
        let shift = |who: u32, from: u32| json!({ "user": id(who), "from": format!("{from}h"), "to": format!("{}h", from + 12) });
        let shifts: Vec<Value> = (0..28).map(|turn| shift(2 * n + turn % 2, 12 * turn)).collect();
        json!({ "id": format!("r{n}"), "shifts": shifts })
    };
    let document = json!({
        "version": 1,
        "verified_domains": ["example.com"],
        "sources": [{ "id": "pd", "platform": "sandbox", "script": {
            "users": (0..2 * rotations).map(user).collect::<Vec<_>>(),
            "rotations": (0..rotations).map(rota).collect::<Vec<_>>(),
        } }],
        "apps": [{ "id": "directory", "target": "sandbox", "script": {
            "accounts": (0..2 * rotations).map(account).collect::<Vec<_>>(),
            "groups": [{ "id": "prod" }, { "id": "logs" }],
        } }],
        "profiles": [{
            "id": "on-call",
            "name": "On-call",
            "entitlements": [
                { "app": "directory", "kind": "group", "id": "prod" },
                { "app": "directory", "kind": "group", "id": "logs" },
            ],
            "enrollment": { "rotations": (0..rotations).map(|n| format!("pd:r{n}")).collect::<Vec<_>>(), "lead": "1m" },
        }],
    });
    let wrong = |problems: Vec<ConfigProblem>| format!("{problems:?}");
    let read = config::parse(document.to_string().as_bytes(), Path::new(".")).map_err(wrong)?;
    Ok(read.pin(|entitlement| Err(format!("{entitlement:?} has an ID"))).map_err(wrong)?)
}

/// What a company has used.
struct Company {
    rotations: u32,
    /// To read and plan it for the first time.
    first: Used,
    /// In an hour in which nothing changes.
    quiet: Used,
    /// More than that, in an hour in which every rotation hands off once.
    handoff: Used,
    /// The most memory that the process had by then, in MiB.
    peak: f64,
}

async fn measure(rotations: u32) -> Result<Company, Failed> {
    let epoch: Timestamp = EPOCH.parse()?;
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(epoch));
    let used: Arc<Mutex<Used>> = Arc::default();
    let embedded = Embedded::memory()?;
    let table = Metered { inner: embedded.connector(), used: used.clone() };
    let http = http_client_fn(move |_, _| SharedHttpConnector::new(table.clone()));
    let store = Store::new(Client::from_conf(embedded.config().http_client(http).build()), "dutykey");
    store.create_table("costs").await?;
    let installation = company(rotations)?;
    store.configure(0, &installation, epoch).await?;

    let secrets = Arc::new(Secrets::new(|_| None, None, clock.clone(), HOUR));
    let platforms = dutykey_platforms::sandbox::SandboxWorld::new(epoch, clock.clone());
    let targets = dutykey_targets::sandbox::SandboxWorld::new(epoch, clock.clone());
    let ([source], [app]) = (&installation.sources[..], &installation.apps[..]) else {
        return Err("the company has one source and one app".into());
    };
    let (PlatformSettings::Sandbox { script: rota }, TargetSettings::Sandbox { script: groups }) =
        (&source.settings, &app.settings)
    else {
        return Err("both are simulated".into());
    };
    let (platform, target) = (platforms.platform(&source.id, rota)?, targets.target(&app.id, groups)?);
    let metrics = Arc::new(Metrics::new());
    let process = Process::new(Parts {
        store: store.clone(),
        platforms: Arc::new(dutykey_platforms::adapters::Adapters::new(
            secrets.clone(),
            clock.clone(),
            platforms,
            HOUR,
        )),
        targets: Arc::new(dutykey_targets::adapters::Adapters::new(secrets.clone(), clock.clone(), targets, HOUR)),
        notify: Arc::new(Notices::new(Arc::new(store), secrets, clock.clone(), None)?),
        clock: clock.clone(),
        chance: Arc::new(SeededChance::new(1)),
        witness: Arc::new(Recorder::new(metrics)),
    });
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(async move { process.run(stopped).await });

    let total = || {
        let mut used = *used.lock().unwrap_or_else(PoisonError::into_inner);
        used.platform_reads = platform.calls(PlatformOperation::Shifts) as f64;
        used.target_reads = target.calls(TargetOperation::Observe) as f64;
        used.target_writes = (target.calls(TargetOperation::Grant) + target.calls(TargetOperation::Revoke)) as f64;
        used
    };
    let stretch = async |until: Duration| {
        let (before, began) = (total(), Instant::now());
        clock.sleep_until(later(epoch, until)).await;
        let used = total().combine(before, |after, before| after - before);
        Used { milliseconds: began.elapsed().as_secs_f64() * 1e3, ..used }
    };
    let first = stretch(HOUR / 60).await;
    stretch(HOUR * 2).await;
    let quiet = stretch(HOUR * 3).await;
    stretch(HOUR * 23 / 2).await;
    let busy = stretch(HOUR * 25 / 2).await;
    let changed = target.effects().iter().filter(|effect| matches!(effect.change, Change::Removed)).count();
    if changed != 2 * rotations as usize {
        return Err(format!("{rotations} rotations handed off, and {changed} memberships ended").into());
    }
    stop.send(true)?;
    running.await?;
    let handoff = busy.combine(quiet, |busy, quiet| busy - quiet);
    Ok(Company { rotations, first, quiet, handoff, peak: peak()? })
}

/// The most memory that this process had so far, in MiB.
fn peak() -> Result<f64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("the kernel tells no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}

/// One table: what each company has used of it, by rotation.
fn print(what: &str, companies: &[Company], of: impl Fn(&Company) -> Used) {
    println!("\n{what}");
    let heads = ["rotations", "requests", "RCU", "WCU", "rota reads", "app reads", "app calls", "peak MiB"];
    println!("{} {:>16}", heads.map(|head| format!("{head:>10}")).join(" "), "own time ms");
    let per = |company: &Company| of(company).combine(Used::default(), |cell, _| cell / f64::from(company.rotations));
    let base = companies.first().map_or(1.0, |company| per(company).milliseconds);
    for company in companies {
        let (counts, time) = (per(company).counts(), per(company).milliseconds);
        let counts = counts.map(|cell| format!("{cell:>10.1}")).join(" ");
        let time = format!("{time:.2} ({:.2}×)", time / base);
        println!("{:>10} {counts} {:>10.0} {time:>16}", company.rotations, company.peak);
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Failed> {
    let mut companies = Vec::new();
    for rotations in SIZES {
        companies.push(measure(rotations).await?);
    }
    let profile = if cfg!(debug_assertions) { "development" } else { "release" };
    println!("{profile} build; per rotation; a company has two people to a rotation and two groups to a shift");
    print("first read and plan", &companies, |company| company.first);
    print("quiet hour", &companies, |company| company.quiet);
    print("hand-off", &companies, |company| company.handoff);
    Ok(())
}
