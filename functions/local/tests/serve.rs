//! The real binary over a calendar file and a SCIM server on loopback.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dutykey_engine::ports::clock::Clock as _;
use dutykey_policy::time::{earlier, later, rfc3339};
use dutykey_runtime::clock::SystemClock;
use dutykey_tests::calendar;
use dutykey_tests::scim::{FakeScim, TOKEN};
use jiff::Timestamp;
use serde_json::Value;

#[path = "serve/configuring.rs"]
mod configuring;
#[path = "serve/ending.rs"]
mod ending;
#[path = "serve/office.rs"]
mod office;
#[path = "serve/requests.rs"]
mod requests;
#[path = "serve/restored.rs"]
mod restored;

/// How long anything may take that is not a shift.
const PATIENCE: Duration = Duration::from_secs(40);

/// A directory with a configuration, a calendar and a data file; gone with the test.
struct Place {
    directory: PathBuf,
    scim: FakeScim,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A running server; it does not outlive the test.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap()
}

/// Waits for a condition.
async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let deadline = later(SystemClock.now(), PATIENCE);
    while !met().await {
        assert!(SystemClock.now() < deadline, "{what} did not happen within {PATIENCE:?}");
        SystemClock.sleep_until(later(SystemClock.now(), Duration::from_millis(50))).await;
    }
}

impl Place {
    /// Ann is on call over these instants.
    async fn new(start: Timestamp, end: Timestamp) -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let name = format!("dutykey-serve-{}-{}", std::process::id(), PLACES.fetch_add(1, Ordering::Relaxed));
        let place = Self { directory: std::env::temp_dir().join(name), scim: FakeScim::start().await };
        std::fs::create_dir_all(&place.directory).unwrap();
        place.scim.state(|world| {
            world.add_user("u-ann", "ann@example.com");
            world.add_group("g-oncall", "prod-oncall", &[]);
        });
        place.calendar(start, end);
        place.configure("directory");
        place
    }

    fn calendar(&self, start: Timestamp, end: Timestamp) {
        std::fs::write(self.directory.join("rota.ics"), calendar::ann_s_shift(start, end)).unwrap();
    }

    /// Writes the configuration, with this ID for its app: whoever is on call gets the profile.
    fn configure(&self, app: &str) {
        self.write(app, "enrollment: { rotations: [\"rota:primary\"], lead: 0, grace: 0, lease: 4h }");
    }

    /// The same, but whoever is on call may ask for the profile.
    fn on_request(&self, app: &str) {
        self.write(app, "self_service: { rotations: [\"rota:primary\"], max_duration: 1h, policy: auto_approve }");
    }

    fn write(&self, app: &str, rule: &str) {
        let url = self.scim.base_url();
        let config = format!(
            r#"
version: 1
verified_domains: [example.com]
sources:
  - {{ id: rota, platform: icalendar, url: ./rota.ics, rotation: primary }}
  - {{ id: pd, platform: pagerduty, base_url: "http://127.0.0.1:9", token: {{ env: PD_TOKEN }}, webhook_secret: {{ env: PD_HOOK }} }}
apps:
  - {{ id: {app}, target: scim, base_url: "{url}", token: {{ env: SCIM_TOKEN }}, propagation: 0s }}
profiles:
  - id: on-call
    name: On-call
    entitlements: [{{ app: {app}, kind: group, name: prod-oncall }}]
    {rule}
"#
        );
        std::fs::write(self.directory.join("dutykey.yaml"), config).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dutykey"));
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null());
        command.env("SCIM_TOKEN", TOKEN).env("PD_TOKEN", "token").env("PD_HOOK", "secret").env("DUTYKEY_LOG", "warn");
        command
    }

    /// A command that ends by itself.
    async fn run(&self, arguments: &[&str]) -> (Option<i32>, Output) {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code(), output)
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let (code, output) = self.run(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts the server and waits for its first line.
    async fn serve(&self) -> Server {
        self.serve_with(&[]).await
    }

    async fn serve_with(&self, options: &[&str]) -> Server {
        let mut command = self.command(&[&["serve", "--listen", "127.0.0.1:0"][..], options].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary");
        let stdout = child.stdout.take().unwrap();
        let first = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let line = first.await.unwrap();
        let address = line.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix('\n'));
        Server { address: address.unwrap_or_else(|| panic!("the first line is `{line}`")).to_owned(), child }
    }

    fn is_member(&self) -> bool {
        self.scim.state(|world| world.is_member("g-oncall", "u-ann"))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Server {
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn post(&self, path: &str, host: Option<&str>) -> u16 {
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.address)).body("{}");
        let request = match host {
            Some(host) => request.header("host", host),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -s {name}");
    }

    /// Sends SIGTERM and answers the exit code.
    async fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        let mut ended = None;
        until("the end of the server", async || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        ended.and_then(|status| status.code())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_access_comes_with_the_shift_and_goes_with_it_over_a_restart() {
    let start = later(whole_second(SystemClock.now()), seconds(8));
    let end = later(start, seconds(12));
    let place = Place::new(start, end).await;
    let server = place.serve().await;
    until("a healthy server", async || server.get("/healthz").await.0 == 200).await;
    assert_eq!(server.json("/healthz").await["status"], "ok");
    let (code, second) = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!((code, said(&second).contains("served by another")), (Some(2), true), "{}", said(&second));

    until("the grant", async || place.is_member()).await;
    assert!(SystemClock.now() >= start, "not before the shift");
    until("a hold that was read back", async || server.json("/v1/who").await["holds"][0]["state"] == "held").await;
    let hold = server.json("/v1/who").await["holds"][0].clone();
    assert_eq!(hold["person"]["email"], "ann@example.com");
    assert_eq!((&hold["id"], &hold["until"]), (&"g-oncall".into(), &rfc3339(end).into()), "{hold}");
    let beside = place.json(&["who", "--json"]).await;
    assert_eq!(beside["holds"][0], hold, "a command beside the server shows the same");
    let metrics = server.get("/metrics").await.1;
    assert!(metrics.contains("GrantLagMs_count{Environment=\"default\"} 1"), "P12: the lag is published:\n{metrics}");
    let held = rfc3339(SystemClock.now());
    assert_eq!(server.stop().await, Some(0), "SIGTERM is a clean end");
    assert!(place.is_member() || SystemClock.now() >= end, "a stop takes nothing away");

    let server = place.serve().await;
    until("the revocation", async || !place.is_member()).await;
    assert!(SystemClock.now() >= end, "not before the end of the shift");
    let none = |who: &Value| who["holds"].as_array().is_some_and(Vec::is_empty);
    until("an end that was read back", async || none(&server.json("/v1/who").await)).await;
    let effect = place.scim.effect("g-oncall", "u-ann");
    assert_eq!((effect.adds, effect.removes), (1, 1), "P4: in once, out once");
    let then = server.json(&format!("/v1/who?at={held}")).await;
    assert_eq!((&then["holds"][0]["state"], &then["holds"][0]["id"]), (&"held".into(), &"g-oncall".into()), "{then}");
    let person = hold["person"]["id"].as_str().unwrap();
    let evidence = server.json(&format!("/v1/evidence?chain=person/{person}")).await;
    let records = evidence["records"].as_array().unwrap();
    assert!(records.iter().any(|record| record.as_str().unwrap().contains("g-oncall")), "P9: {evidence}");
    let explained = place.json(&["explain", "Ann@example.com", "on-call", "--json"]).await;
    assert_eq!(explained["has"], "none", "{explained}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_the_server_copies_evidence_as_it_is_written() {
    let start = later(whole_second(SystemClock.now()), seconds(3_600));
    let place = Place::new(start, later(start, seconds(60))).await;
    let server = place.serve_with(&["--evidence-copy", "kept"]).await;
    let first = place.directory.join("kept/system/00000000000000000001.jsonl");
    until("a copy of the first record", async || first.exists()).await;
    assert_eq!(server.stop().await, Some(0));
    let export = place.run(&["audit", "export", "--out", "all.jsonl"]).await;
    assert_eq!(export.0, Some(0), "{}", said(&export.1));
    let compared = place.json(&["audit", "verify", "all.jsonl", "--copy", "kept", "--json"]).await;
    assert_eq!(compared["ok"], true, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r21_r22_what_the_server_refuses() {
    let start = later(whole_second(SystemClock.now()), seconds(3_600));
    let place = Place::new(start, later(start, seconds(60))).await;
    let (code, outside) = place.run(&["serve", "--listen", "0.0.0.0:0"]).await;
    let warned = said(&outside).contains("only where `api.oidc` names an issuer");
    assert_eq!((code, warned), (Some(2), true), "only loopback: {}", said(&outside));
    let (code, lost) = place.run(&["who", "--data", "nowhere.db"]).await;
    assert_eq!((code, said(&lost).contains("nowhere.db")), (Some(2), true), "{}", said(&lost));

    let server = place.serve().await;
    assert_eq!(server.post("/webhooks/pd", None).await, 403, "no signature");
    assert_eq!(server.post("/webhooks/nobody", None).await, 404);
    assert_eq!(server.post("/webhooks/pd", Some("evil.example.com")).await, 421, "another name for this machine");
    let (status, problem) = server.get("/v1/who?at=yesterday").await;
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert_eq!((status, &problem["type"]), (400, &"urn:dutykey:problem:invalid-parameter".into()));
    until("a forecast", async || server.json("/v1/forecast").await["holds"][0]["person"]["email"] == "ann@example.com")
        .await;
    until("a plan for later", async || {
        let who = server.json(&format!("/v1/who?at={}", rfc3339(later(start, seconds(1))))).await;
        who["holds"][0]["state"] == "forecast" && who["holds"][0]["id"] == "g-oncall"
    })
    .await;
    until("the catalog of the app", async || {
        let found = server.json("/v1/entitlements?q=onc").await["entitlements"][0].clone();
        found["id"] == "g-oncall" && found["profiles"][0] == "on-call"
    })
    .await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_a_server_whose_clock_its_app_contradicts_decides_nothing_and_says_so() {
    let start = whole_second(SystemClock.now());
    let place = Place::new(start, later(start, seconds(3_600))).await;
    let hours_ago = earlier(start, seconds(7_200)).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    place.scim.state(|world| world.date = Some(hours_ago));
    let server = place.serve().await;
    until("a question that is asked while in doubt", async || place.scim.requests().len() > 4).await;
    let (status, health) = server.get("/healthz").await;
    assert!(status == 503 && health.contains("clock") && health.contains("that of directory"), "it says so: {health}");
    assert!(!place.is_member() && !place.scim.requests().iter().any(dutykey_tests::scim::Request::writes));
    place.scim.state(|world| world.date = None);
    until("the grant", async || place.is_member()).await;
    until("a healthy server", async || server.get("/healthz").await.0 == 200).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_a_file_that_drops_an_app_with_open_holds_is_refused() {
    let start = whole_second(SystemClock.now());
    let place = Place::new(start, later(start, seconds(3_600))).await;
    let server = place.serve().await;
    until("a hold", async || server.json("/v1/who").await["holds"][0]["state"] == "held").await;
    assert_eq!(server.stop().await, Some(0));
    // The same tenant under another name.
    place.configure("renamed");
    let (code, refused) = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!((code, said(&refused).contains("--retire")), (Some(2), true), "{}", said(&refused));
    assert!(place.is_member(), "nothing was done");

    place.configure("directory");
    let server = place.serve().await;
    // R17: what no profile gives any more ends now.
    place.on_request("directory");
    server.signal("HUP");
    until("the revocation", async || !place.is_member()).await;
    assert_eq!(server.stop().await, Some(0));
}
