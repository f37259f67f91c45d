//! Every line, asked of a company and of one with a tenth of it, side by side.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access_requests::{DEVELOPER, DEVELOPER_GROUPS, KeysError, Ports, ReadKeys, Unconfigured};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use dutykey_runtime::clock::{SeededChance, VirtualClock};
use dutykey_store::Store;
use dutykey_tests::crowd::{Crowd, NOW, Size, address};
use jsonwebtoken::jwk::JwkSet;
use serde_json::Value;
use tower::ServiceExt as _;

use super::lines::{Call, Failed, KNOWN_TO_GROW, LINES, Line, Process, Scene};
use super::meter::{Meter, Spent};

/// The table's name.
const TABLE: &str = "dutykey";
/// The larger company may cost so many times as much as the smaller, and `SLACK` units more: a page that begins in
/// another shard, or an item that has grown over a boundary.
const FACTOR: f64 = 1.5;
const SLACK: f64 = 8.0;
/// The longest answer that is read, in bytes.
const LONGEST: usize = 1 << 28;
/// No line is asked again after so long.
const ENOUGH: Duration = Duration::from_secs(2);

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The larger company. The smaller one has a tenth of everything.
    pub(crate) size: Size,
    /// How often each line is asked, unless that takes too long.
    pub(crate) samples: u32,
}

impl Plan {
    /// How many things are on a page: as many as there are in the smaller company, and at most what a page has where
    /// nobody says.
    fn page(&self) -> u32 {
        (self.size.rotations / 10).clamp(1, 50)
    }
}

/// Nobody takes messages.
struct NoQueues;

#[async_trait]
impl Enqueue for NoQueues {
    async fn send(&self, _: Queue, _: Vec<Message>) -> Result<(), SendError> {
        Ok(())
    }
}

/// Nobody is an issuer.
struct NoKeys;

#[async_trait]
impl ReadKeys for NoKeys {
    async fn keys(&self, _: &str, _: bool) -> Result<Arc<JwkSet>, KeysError> {
        Ok(Arc::new(JwkSet { keys: Vec::new() }))
    }
}

/// A company whose API is asked.
struct Site {
    crowd: Crowd,
    /// How long it took to fill it.
    filled: Duration,
    embedded: Embedded,
    meter: Meter,
    running: Router,
    /// Who has called before: the first call links a caller to a person.
    callers: RefCell<BTreeSet<u32>>,
}

/// What one line has cost.
struct Cost {
    spent: Spent,
    bytes: usize,
    /// How many things the answer lists.
    things: Option<usize>,
    median: Duration,
}

/// A line in both companies.
struct Row {
    line: &'static Line,
    small: Cost,
    big: Cost,
}

impl Site {
    async fn filled(size: Size) -> Result<Self, Failed> {
        let embedded = Embedded::memory()?;
        let store = Store::new(embedded.client(), TABLE);
        store.create_table("speed").await?;
        let begun = Instant::now();
        let crowd = Crowd::fill(&store, size).await?;
        let filled = begun.elapsed();
        let meter = Meter::default();
        let running = process(&embedded, &meter);
        Ok(Self { crowd, filled, embedded, meter, running, callers: RefCell::default() })
    }

    /// What a line costs. Whoever calls has called before, and so has everybody else where the process runs already.
    async fn cost(&self, line: &Line, plan: &Plan) -> Result<Cost, Failed> {
        let (mut first, mut times) = (None, Vec::new());
        let begun = Instant::now();
        for nth in 0..plan.samples.max(1) {
            let call = line.call(&Scene { crowd: &self.crowd, page: plan.page(), nth })?;
            if self.callers.borrow_mut().insert(call.who) {
                let address = "/v1/rotations?limit=1".to_owned();
                self.ask(&self.running, &Call { method: "GET", address, body: Value::Null, ..call.clone() }).await?;
            }
            let process = match line.process {
                Process::Running => self.running.clone(),
                Process::New => process(&self.embedded, &self.meter),
            };
            self.meter.take();
            let started = Instant::now();
            let (bytes, answer) = self.ask(&process, &call).await?;
            times.push(started.elapsed());
            let things = line.things.map(|things| answer.get(things).and_then(Value::as_array).map_or(0, Vec::len));
            let spent = self.meter.take();
            first = first.or(Some((spent, bytes, things)));
            // What changes a request is asked once of each.
            let used_up = line.endpoint.starts_with("POST") && nth + 1 >= self.crowd.size().rotations;
            if used_up || begun.elapsed() > ENOUGH {
                break;
            }
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let (spent, bytes, things) = first.ok_or("nothing was asked")?;
        Ok(Cost { spent, bytes, things, median })
    }

    /// The length of the answer, and the answer.
    async fn ask(&self, process: &Router, call: &Call) -> Result<(usize, Value), Failed> {
        let request = Request::builder().method(call.method).uri(&call.address);
        let request = request.header(DEVELOPER, address(call.who)).header(DEVELOPER_GROUPS, &call.groups);
        let request = request.header("content-type", "application/json");
        let body = if call.body.is_null() { Body::empty() } else { Body::from(call.body.to_string()) };
        let response = process.clone().oneshot(request.body(body)?).await?;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), LONGEST).await?;
        let answer = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if !status.is_success() {
            return Err(format!("{} {} as {}: {status} {answer}", call.method, call.address, call.who).into());
        }
        Ok((bytes.len(), answer))
    }

    /// The endpoints of the description.
    async fn described(&self) -> Result<BTreeSet<String>, Failed> {
        let request = Request::builder().uri("/v1/openapi.json").body(Body::empty())?;
        let response = self.running.clone().oneshot(request).await?;
        let document: Value = serde_json::from_slice(&to_bytes(response.into_body(), LONGEST).await?)?;
        let paths = document.get("paths").and_then(Value::as_object).ok_or("the description has no paths")?;
        let mut endpoints = BTreeSet::new();
        for (path, item) in paths {
            let methods = item.as_object().ok_or("a path of the description has no methods")?.keys();
            endpoints.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
        }
        Ok(endpoints)
    }
}

/// A process that serves the API.
fn process(embedded: &Embedded, meter: &Meter) -> Router {
    let clock = Arc::new(VirtualClock::starting_at(NOW));
    access_requests::router(Ports {
        store: Store::new(meter.client(embedded), TABLE),
        queues: Arc::new(NoQueues),
        keys: Arc::new(NoKeys),
        unconfigured: Unconfigured::Believed,
        clock,
        chance: Arc::new(SeededChance::new(1)),
    })
}

/// Both companies, measured.
pub(crate) struct Comparison {
    /// How long it took to fill the two.
    filled: [Duration; 2],
    rows: Vec<Row>,
    /// What breaks a rule.
    pub(crate) complaints: Vec<String>,
    /// What is known to cost more in a larger company and does not. Small companies need not show it.
    pub(crate) mended: Vec<String>,
}

/// Measures every line in both companies.
pub(crate) async fn compare(plan: Plan) -> Result<Comparison, Failed> {
    let Size { people, rotations, holds } = plan.size;
    let small = Site::filled(Size { people: people / 10, rotations: rotations / 10, holds: holds / 10 }).await?;
    let big = Site::filled(plan.size).await?;
    let mut complaints = incomplete(&big.described().await?);
    let mut rows = Vec::new();
    for line in LINES {
        let (small, big) = (small.cost(line, &plan).await?, big.cost(line, &plan).await?);
        rows.push(Row { line, small, big });
    }
    complaints.extend(rows.iter().filter_map(Row::complaint));
    let mended = rows.iter().filter_map(Row::mended).collect();
    Ok(Comparison { filled: [small.filled, big.filled], rows, complaints, mended })
}

/// Whether every `GET` has a line, and every line and name an endpoint.
pub(crate) fn incomplete(described: &BTreeSet<String>) -> Vec<String> {
    let asked: BTreeSet<&str> = LINES.iter().map(|line| line.endpoint).collect();
    let unasked =
        described.iter().filter(|endpoint| endpoint.starts_with("GET ") && !asked.contains(endpoint.as_str()));
    let unasked = unasked.map(|endpoint| format!("{endpoint} is new: give it a line in LINES, beside its neighbours"));
    let gone = asked.iter().filter(|endpoint| !described.contains(**endpoint));
    let gone = gone.map(|endpoint| format!("{endpoint} has a line in LINES and is not in the description"));
    let names: BTreeSet<String> = LINES.iter().map(Line::name).collect();
    let strange = KNOWN_TO_GROW.iter().filter(|name| !names.contains(**name));
    let strange = strange.map(|name| format!("`{name}` is on a list, and no line is called so"));
    unasked.chain(gone).chain(strange).collect()
}

impl Row {
    /// What is wrong with it.
    fn complaint(&self) -> Option<String> {
        let name = self.line.name();
        let (small, big) = (&self.small, &self.big);
        if small.spent.scans() + big.spent.scans() > 0 {
            return Some(format!("{name} scans: {}", big.spent));
        }
        if small.things == Some(0) || big.things == Some(0) {
            return Some(format!("{name} answers with none of its `{}`", self.line.things.unwrap_or_default()));
        }
        let units = format!("{} → {} read units", small.spent.read, big.spent.read);
        if KNOWN_TO_GROW.contains(&name.as_str()) {
            return None;
        }
        self.grows().then(|| format!("{name} costs more in a larger company: {units}, by {}", big.spent))
    }

    fn mended(&self) -> Option<String> {
        let name = self.line.name();
        let mended = KNOWN_TO_GROW.contains(&name.as_str()) && !self.grows();
        mended.then(|| format!("{name} does not cost more in a larger company any more: take it off KNOWN_TO_GROW"))
    }

    fn grows(&self) -> bool {
        let (small, big) = (&self.small.spent, &self.big.spent);
        let more = |small: f64, big: f64| big > small * FACTOR + SLACK;
        more(small.read, big.read) || more(small.written, big.written)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [small, big] = self.filled.map(|filled| filled.as_secs_f64());
        writeln!(f, "filled in {small:.1} s and {big:.1} s")?;
        let heads = ["answer KiB", "things", "read units", "write units", "median ms"].map(str::to_owned);
        writeln!(f, "{:<50}{}   requests to the table", "", columns(&heads))?;
        for Row { line, small, big } in &self.rows {
            let kib = |cost: &Cost| f64::from(u32::try_from(cost.bytes).unwrap_or(u32::MAX)) / 1_024.0;
            let things = |cost: &Cost| cost.things.and_then(|things| u32::try_from(things).ok()).map(f64::from);
            let things = things(small).zip(things(big)).map_or(String::new(), |(few, many)| format!("{few} → {many}"));
            let milliseconds = |cost: &Cost| cost.median.as_secs_f64() * 1e3;
            let cells = [
                format!("{:.1} → {:.1}", kib(small), kib(big)),
                things,
                side_by_side(small.spent.read, big.spent.read),
                side_by_side(small.spent.written, big.spent.written),
                side_by_side(milliseconds(small), milliseconds(big)),
            ];
            writeln!(f, "{:<50}{}   {}", line.name(), columns(&cells), big.spent)?;
        }
        self.complaints.iter().chain(&self.mended).try_for_each(|said| writeln!(f, "{said}"))
    }
}

fn columns(cells: &[String; 5]) -> String {
    let [bytes, things, read, written, time] = cells;
    format!("{bytes:>22}{things:>18}{read:>28}{written:>22}{time:>28}")
}

/// What the smaller and the larger company have, and how many times as much that is.
fn side_by_side(small: f64, big: f64) -> String {
    if big == 0.0 {
        return String::new();
    }
    format!("{small:.1} → {big:.1} ({:.1}×)", big / small)
}
