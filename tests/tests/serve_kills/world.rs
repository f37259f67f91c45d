//! A company with one shift, a calendar, an app and a `serve` that lives twice.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::clock::Clock;
use dutykey_policy::hold::State;
use dutykey_policy::id::HoldKey;
use dutykey_policy::time::later;
use dutykey_runtime::clock::SystemClock;
use dutykey_store::Store;
use dutykey_tests::calendar;
use dutykey_tests::process::{Process, binary};
use dutykey_tests::proxy::{Counter, Point, Proxy};
use dutykey_tests::scim::{Effect, FakeScim, TOKEN};
use dutykey_tests::table::{every_hold, evidence};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;

use crate::switch::Switch;

/// From the start of the first process to the start of the shift.
pub(super) const START: Duration = Duration::from_secs(4);
/// How often the calendar is read.
pub(super) const EVERY: Duration = Duration::from_secs(10);

/// So many processes start at once; the others wait for their turn.
static STARTING: Semaphore = Semaphore::const_new(4);
/// How long anything may take that is not a shift: that a process starts, dies, or brings everything to rest.
const PATIENCE: Duration = Duration::from_secs(180);

/// What `serve` speaks to, in the order in which a world keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Platform,
    Target,
}

/// When the first process dies.
#[derive(Debug, Clone)]
pub(super) enum Kill {
    /// At the `n`th of those requests to this system.
    At { system: System, request: String, n: usize, point: Point },
    /// So long after its start.
    After(Duration),
}

/// How everything is in the end: what a kill must not change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Story {
    /// Who is in the group.
    pub(super) members: Vec<String>,
    /// How often Ann came into it and went out of it.
    pub(super) effect: Effect,
    /// The same of Bob, who is in it for good.
    standing: Effect,
    /// The ledger: every hold, those that are over included, and where it is in its life.
    holds: Vec<(HoldKey, State)>,
    /// The states that the evidence says the hold came into.
    states: Vec<String>,
}

pub(super) struct World {
    shift: Duration,
    directory: PathBuf,
    scim: FakeScim,
    calendar: Option<Calendar>,
    /// The addresses in the configuration: first the platform's, then the target's.
    fronts: [Switch; 2],
    lives: Vec<Process>,
    /// For messages.
    case: String,
}

/// An `.ics` feed with one shift of Ann's.
struct Calendar {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Calendar {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.lives.clear();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl World {
    /// Its shift lasts so long.
    pub(super) async fn new(shift: Duration) -> Self {
        static WORLDS: AtomicU32 = AtomicU32::new(0);
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("dutykey-serve-kills-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let scim = FakeScim::start().await;
        scim.state(|world| {
            world.add_user("u-ann", "ann@example.com");
            world.add_user("u-bob", "bob@example.com");
            world.add_group("g-oncall", "prod-oncall", &["u-bob"]);
        });
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let fronts = [Switch::start(nobody).await, Switch::start(scim.address()).await];
        let world = Self { shift, directory, scim, calendar: None, fronts, lives: Vec::new(), case: String::new() };
        std::fs::write(world.file("dutykey.yaml"), world.configuration()).unwrap();
        world
    }

    /// One life, from before the shift until everything is over; or two, where the first is killed. Answers the requests
    /// of the first life, to the platform and to the target.
    pub(super) async fn run(&mut self, kill: Option<&Kill>) -> [Vec<String>; 2] {
        self.case = kill.map_or_else(|| "not killed".to_owned(), |kill| format!("killed {kill:?}"));
        let turn = STARTING.acquire().await.unwrap();
        let begun = SystemClock.now();
        let calendar = Calendar::start(begun, self.shift).await;
        let upstreams = [calendar.address, self.scim.address()];
        self.calendar = Some(calendar);
        let counters = [Counter::new(), Counter::new()];
        let mut proxies = Vec::new();
        for ((upstream, counter), front) in upstreams.into_iter().zip(&counters).zip(&self.fronts) {
            let proxy = Proxy::start(upstream, counter).await.unwrap();
            front.lead_to(proxy.address());
            proxies.push(proxy);
        }
        let reached = match kill {
            Some(Kill::At { system, request, n, point }) => {
                Some(counters[*system as usize].stop_at_this(request, *n, *point))
            }
            Some(Kill::After(_)) | None => None,
        };
        self.start();
        let death = async {
            match (kill, reached) {
                (_, Some(reached)) => reached.await,
                (Some(Kill::After(moment)), None) => SystemClock.sleep_until(later(begun, *moment)).await,
                (_, None) => std::future::pending().await,
            }
        };
        let over = async {
            self.to_the_end(turn).await;
            if let Some(Kill::After(_)) = kill {
                std::future::pending().await
            }
        };
        let killed = tokio::select! {
            biased;
            () = death => true,
            () = over => false,
        };
        if killed {
            self.life().kill().await;
        } else if let Some(Kill::At { request, .. }) = kill {
            // How often an account is looked up depends on which reads of its person meet.
            assert!(request.contains("/Users?"), "it was over before it was killed; {}", self.output());
        }
        let requests = counters.map(|counter| counter.requests());
        if killed {
            for (front, upstream) in self.fronts.iter().zip(upstreams) {
                front.lead_to(upstream);
            }
            drop(proxies);
            let turn = STARTING.acquire().await.unwrap();
            self.start();
            self.to_the_end(turn).await;
        }
        self.life().signal("TERM").await.unwrap();
        let ended = self.life().wait(PATIENCE).await.unwrap_or_else(|error| panic!("{error}\n{}", self.output()));
        assert!(ended.success(), "{ended} at SIGTERM; {}", self.output());
        requests
    }

    pub(super) async fn story(&self) -> Story {
        let store = self.store();
        let records = evidence(&store, None).await;
        let acts = records.iter().filter_map(|record| record["act"].as_str().map(str::to_owned));
        Story {
            members: self.scim.state(|world| world.groups["g-oncall"].members.keys().cloned().collect()),
            effect: self.scim.effect("g-oncall", "u-ann"),
            standing: self.scim.effect("g-oncall", "u-bob"),
            holds: holds(&store).await,
            states: acts.filter(|act| act.starts_with("hold.")).collect(),
        }
    }

    /// The case, and what each of its lives wrote.
    pub(super) fn output(&self) -> String {
        let lives = (1..).zip(&self.lives).map(|(n, life)| format!("--- life {n}\n{}", life.output()));
        format!("{}\n{}", self.case, lives.collect::<Vec<_>>().join("\n"))
    }

    /// Waits until the process is there, which ends its turn, and then until what it put in place is over.
    async fn to_the_end(&self, turn: SemaphorePermit<'_>) {
        let listening = self.life().line(PATIENCE, |line| line.starts_with("listening on ").then_some(())).await;
        listening.unwrap_or_else(|error| panic!("{error}\n{}", self.output()));
        drop(turn);
        let patience = later(SystemClock.now(), self.shift + PATIENCE);
        let store = self.store();
        loop {
            let holds = holds(&store).await;
            if !holds.is_empty() && holds.iter().all(|(_, state)| matches!(state, State::Ended(_))) {
                return;
            }
            let now = SystemClock.now();
            assert!(now < patience, "not over after {:?}: {holds:?}\n{}", self.shift + PATIENCE, self.output());
            SystemClock.sleep_until(later(now, Duration::from_millis(500))).await;
        }
    }

    fn start(&mut self) {
        let binary = binary("dutykey").unwrap_or_else(|error| panic!("{error}"));
        let [config, data] = ["dutykey.yaml", "dutykey.db"].map(|name| self.file(name).display().to_string());
        let arguments = ["serve", "--config", &config, "--data", &data, "--listen", "127.0.0.1:0"];
        let variables = [("SCIM_TOKEN", TOKEN), ("DUTYKEY_LOG", "info")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.lives.push(Process::start(&binary, &arguments, variables).unwrap());
    }

    fn life(&self) -> &Process {
        self.lives.last().expect("it was started")
    }

    /// The data file, beside the process that serves it.
    fn store(&self) -> Store {
        Store::new(Embedded::open(&self.file("dutykey.db")).unwrap().client(), "dutykey")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn configuration(&self) -> String {
        let [calendar, app] = self.fronts.each_ref().map(Switch::address);
        let every = EVERY.as_secs();
        format!(
            r#"
version: 1
verified_domains: [example.com]
sync: {{ every: {every}s }}
sources:
  - {{ id: rota, platform: icalendar, url: "http://{calendar}/rota.ics", rotation: primary }}
apps:
  - {{ id: directory, target: scim, base_url: "http://{app}/scim/v2", token: {{ env: SCIM_TOKEN }}, propagation: 0s }}
profiles:
  - id: on-call
    name: On-call
    mode: enforce
    override_lock: 0s
    entitlements: [{{ app: directory, kind: group, name: prod-oncall }}]
    enrollment: {{ rotations: ["rota:primary"], lead: 0s, grace: 0s, lease: 4h }}
"#
        )
    }
}

impl Calendar {
    /// The shift begins so long after that instant.
    async fn start(begun: Timestamp, shift: Duration) -> Self {
        let start = later(begun, START);
        let text = calendar::ann_s_shift(start, later(start, shift));
        let router =
            Router::new().route("/rota.ics", get(|| async move { ([("content-type", "text/calendar")], text) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, serving }
    }
}

/// Every hold, those that are over included, and where it is in its life.
async fn holds(store: &Store) -> Vec<(HoldKey, State)> {
    every_hold(store).await.into_iter().map(|hold| (hold.key, hold.state)).collect()
}
