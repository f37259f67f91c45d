//! A company of one person, with a table, an app and queues of its own, and real functions that live and die.

use std::net::SocketAddr;
use std::time::Duration;

use dutykey_embedded::Embedded;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::{LivePerson, PersonChange, ReadLedger, WriteLedger};
use dutykey_engine::ports::queue::Message;
use dutykey_engine::ports::rota::{UserLink, WriteRota};
use dutykey_engine::ports::rules::WriteRules;
use dutykey_policy::enrollment::{Enrollment, Origin, Period};
use dutykey_policy::evidence::{Chain, Verifier};
use dutykey_policy::hold::{Hold, State};
use dutykey_policy::id::{EntitlementRef, HoldKey, PersonId, Place};
use dutykey_policy::identity::Account;
use dutykey_policy::installation::{App, Installation, SecretRef, TargetSettings};
use dutykey_policy::profile::{Mode, Profile, SelfOverride};
use dutykey_policy::rota::End;
use dutykey_policy::time::{Span, earlier, later};
use dutykey_policy::wants::{Reason, Shape, Want};
use dutykey_runtime::clock::SystemClock;
use dutykey_store::{MAX_PAGE, Range, Store};
use dutykey_tests::aws::FakeAws;
use dutykey_tests::events;
use dutykey_tests::process::{Process, binary};
use dutykey_tests::proxy::{Counter, Point, Proxy};
use dutykey_tests::runtime_api::{Outcome, RuntimeApi};
use dutykey_tests::scim::{Effect, FakeScim, TOKEN};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::switch::Switch;

/// So many cases have a process; the others wait for their turn, or until something is due.
static BUSY: Semaphore = Semaphore::const_new(4);
/// The time of one invocation.
const ALLOWED: Duration = Duration::from_secs(60);
/// How long a case may take to come to rest, its turns to run a process included.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the message of a case leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Grant,
    Revoke,
}

impl Act {
    fn function(self) -> &'static str {
        match self {
            Self::Grant => "provisioning",
            Self::Revoke => "revocation",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Grant => Self::Revoke,
            Self::Revoke => Self::Grant,
        }
    }
}

/// How everything is in the end: what a kill must not change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Story {
    /// Who is in the group.
    members: Vec<String>,
    /// How often Ann came into it and went out of it.
    effect: Effect,
    /// The ledger: every hold, those that are over included, and where it is in its life.
    holds: Vec<(HoldKey, State)>,
    /// The states that the evidence says the hold came into.
    states: Vec<String>,
}

impl Story {
    pub(super) fn effective(&self, act: Act) -> u32 {
        match act {
            Act::Grant => self.effect.adds,
            Act::Revoke => self.effect.removes,
        }
    }
}

pub(super) struct World {
    act: Act,
    store: Store,
    table: SocketAddr,
    serving: JoinHandle<()>,
    scim: FakeScim,
    app: Switch,
    aws: FakeAws,
    ann: PersonId,
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl World {
    /// Ann's shift is running and she has nothing yet; or it has just ended and she is still in the group.
    pub(super) async fn new(act: Act) -> Self {
        let embedded = Embedded::memory().unwrap();
        let store = Store::new(embedded.client(), "dutykey");
        store.create_table("table-1").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let table = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { embedded.serve_on(listener).await.unwrap() });
        let scim = FakeScim::start().await;
        let members: &[&str] = if act == Act::Revoke { &["u-ann", "u-bob"] } else { &["u-bob"] };
        scim.state(|world| {
            world.add_user("u-ann", "ann@example.com");
            world.add_user("u-bob", "bob@example.com");
            world.add_group("g-prod", "prod-oncall", members);
        });
        let app = Switch::start(address(&scim)).await;
        let ann = seed(&store, act, &app).await;
        Self { act, store, table, serving, scim, app, aws: FakeAws::start().await.unwrap(), ann }
    }

    /// One process's life, from its start to the end of its invocation or until it is killed at a request. Answers the
    /// requests that it made of table and app.
    pub(super) async fn life(&self, kill: Option<(usize, Point)>) -> Vec<String> {
        let _turn = BUSY.acquire().await.unwrap();
        let counter = Counter::new();
        let reached = kill.map(|(n, point)| counter.stop_at(n, point));
        let table = Proxy::start(self.table, &counter).await.unwrap();
        let app = Proxy::start(address(&self.scim), &counter).await.unwrap();
        self.app.lead_to(app.address());
        let api = RuntimeApi::start().await.unwrap();
        let process = self.start(&api, self.act, table.address());
        let reached = async {
            match reached {
                Some(reached) => reached.await,
                None => std::future::pending().await,
            }
        };
        let event = self.event(1);
        tokio::select! {
            biased;
            () = reached => process.kill().await,
            outcome = api.invoke(&event, ALLOWED) => {
                assert_eq!(outcome, done(), "{}", process.output());
                assert_eq!(kill, None, "it made fewer requests: {:#?}", counter.requests());
            }
        }
        self.app.lead_to(address(&self.scim));
        counter.requests()
    }

    /// The message comes again, and whenever something is due, each time to a new process, until nothing is open.
    pub(super) async fn converge(&self) {
        let patience = later(SystemClock.now(), PATIENCE);
        loop {
            let output = self.whole_life(self.act).await;
            let live = self.live().await;
            let over = match self.act {
                Act::Grant => live.holds.iter().any(|hold| hold.state == State::Held),
                Act::Revoke => live.holds.is_empty(),
            };
            if over {
                return;
            }
            let due = if self.act == Act::Grant { &live.head.next_start } else { &live.head.next_end };
            let Some(due) = due else { panic!("open, and nothing is due: {:?} {output}", live.holds) };
            assert!(due.at < patience, "open for too long: {due:?} {:?} {output}", live.holds);
            SystemClock.sleep_until(due.at).await;
        }
    }

    /// A message that is late, or early: one for the side that has nothing to do.
    pub(super) async fn message_of_the_other_side(&self) {
        self.whole_life(self.act.other()).await;
    }

    /// Two processes at once, each with a batch that has the message twice.
    pub(super) async fn twice_in_two_processes(&self) {
        let _turn = BUSY.acquire_many(2).await.unwrap();
        let apis = [RuntimeApi::start().await.unwrap(), RuntimeApi::start().await.unwrap()];
        let processes = apis.each_ref().map(|api| self.start(api, self.act, self.table));
        for (api, process) in apis.iter().zip(&processes) {
            api.ready().await.unwrap_or_else(|outcome| panic!("{outcome:?} {}", process.output()));
        }
        let event = self.event(2);
        let (one, two) = tokio::join!(apis[0].invoke(&event, ALLOWED), apis[1].invoke(&event, ALLOWED));
        assert_eq!((one, two), (done(), done()), "{} {}", processes[0].output(), processes[1].output());
    }

    pub(super) async fn story(&self) -> Story {
        let live = self.live().await;
        let within = Span::new(Timestamp::UNIX_EPOCH, later(SystemClock.now(), Duration::from_secs(60))).unwrap();
        let ended = self.store.list_ended_holds(&self.ann, within, None, MAX_PAGE).await.unwrap().items;
        let mut export = Vec::new();
        let chain = Chain::Person(self.ann.clone());
        self.store.export(Some(&chain), Range::default(), &mut export).await.unwrap();
        let export = String::from_utf8(export).unwrap();
        let mut verifier = Verifier::default();
        let checked = export.lines().try_for_each(|line| verifier.line(line)).and_then(|()| verifier.finish());
        checked.unwrap_or_else(|fault| panic!("P9: {fault}\n{export}"));
        let records = export.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let acts = records.filter_map(|record| record["act"].as_str().map(str::to_owned));
        Story {
            members: self.scim.state(|world| world.groups["g-prod"].members.keys().cloned().collect()),
            effect: self.scim.effect("g-prod", "u-ann"),
            holds: live.holds.iter().chain(&ended).map(|hold| (hold.key.clone(), hold.state)).collect(),
            states: acts.filter(|act| act.starts_with("hold.")).collect(),
        }
    }

    /// A process that nobody kills; answers what it wrote.
    async fn whole_life(&self, act: Act) -> String {
        let _turn = BUSY.acquire().await.unwrap();
        let api = RuntimeApi::start().await.unwrap();
        let process = self.start(&api, act, self.table);
        assert_eq!(api.invoke(&self.event(1), ALLOWED).await, done(), "{}", process.output());
        process.output()
    }

    fn start(&self, api: &RuntimeApi, act: Act, table: SocketAddr) -> Process {
        let mut variables = self.aws.environment();
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        set("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{table}"));
        set("DUTYKEY_TABLE", "dutykey".to_owned());
        set("DUTYKEY_PROVISIONING_QUEUE_URL", self.aws.queue_url("provisioning"));
        set("DUTYKEY_REVOCATION_QUEUE_URL", self.aws.queue_url("revocation"));
        set("SCIM_TOKEN", TOKEN.to_owned());
        let binary = binary(act.function()).unwrap_or_else(|error| panic!("{error}"));
        api.launch(&binary, act.function(), 256, &variables).unwrap()
    }

    fn event(&self, times: usize) -> Value {
        let message = serde_json::to_string(&Message::person(self.ann.clone(), "test")).unwrap();
        events::sqs(self.act.function(), &vec![message; times], SystemClock.now())
    }

    async fn live(&self) -> LivePerson {
        self.store.load(&self.ann).await.unwrap().expect("Ann is in the table")
    }
}

/// Every record is done.
fn done() -> Outcome {
    Outcome::Answered(json!({ "batchItemFailures": [] }))
}

fn address(scim: &FakeScim) -> SocketAddr {
    let base = scim.base_url();
    base.trim_start_matches("http://").trim_end_matches("/scim/v2").parse().unwrap()
}

/// Writes the installation and Ann, who has an account, one approved request and, where it has ended, still the hold.
async fn seed(store: &Store, act: Act, app: &Switch) -> PersonId {
    let now = SystemClock.now();
    store.configure(0, &installation(app), now).await.unwrap();
    let link = UserLink {
        source: "pd".parse().unwrap(),
        user: "U1".parse().unwrap(),
        address: "ann@example.com".to_owned(),
        name: None,
        fresh: "per_01JD0000000000000000000001".parse().unwrap(),
        said: false,
        at: now,
    };
    let ann = store.link_user(&link).await.unwrap().unwrap();
    let LivePerson { head, mut person, .. } = store.load(&ann).await.unwrap().unwrap();
    person.accounts.insert("directory".parse().unwrap(), Account::Linked("u-ann".parse().unwrap()));
    let from = earlier(now, Duration::from_secs(3_600));
    let until = match act {
        Act::Grant => later(now, Duration::from_secs(6 * 3_600)),
        Act::Revoke => earlier(now, Duration::from_secs(1)),
    };
    let reason = Reason {
        profile: "on-call".parse().unwrap(),
        version: 1,
        origin: Origin::Request("req_1".to_owned()),
        from,
        until,
        rolling: false,
        from_known: from,
        until_known: from,
    };
    let enrollment = Enrollment {
        person: ann.clone(),
        profile: reason.profile.clone(),
        origin: reason.origin.clone(),
        periods: vec![Period { from, until: End::At(until), from_known: from, until_known: from }],
    };
    let place = Place { kind: "group".to_owned(), id: "g-prod".to_owned() };
    let key = HoldKey { app: "directory".parse().unwrap(), account: "u-ann".parse().unwrap(), place };
    let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
    let held = Hold { state: State::Held, touched: true, ..Hold::wanted(key, ann.clone(), &want, from) };
    let change = PersonChange {
        person: ann.clone(),
        head,
        at: now,
        next_start: None,
        next_end: None,
        identity: Some(person),
        claims: Vec::new(),
        enrollments: vec![enrollment],
        holds: if act == Act::Revoke { vec![held] } else { Vec::new() },
        roll: None,
        evidence: Vec::new(),
        notices: Vec::new(),
    };
    store.commit(&change).await.unwrap();
    ann
}

fn installation(app: &Switch) -> Installation {
    let settings = TargetSettings::Scim {
        base_url: format!("http://{}/scim/v2", app.address()),
        token: SecretRef::Env("SCIM_TOKEN".to_owned()),
    };
    let (kind, id) = ("group".to_owned(), "g-prod".to_owned());
    let profile = Profile {
        id: "on-call".parse().unwrap(),
        version: 1,
        name: "On-call".to_owned(),
        entitlements: vec![EntitlementRef { app: "directory".parse().unwrap(), kind, id }],
        mode: Mode::Enforce,
        enrollment: None,
        self_service: None,
        self_override: SelfOverride::Hold,
        override_lock: Duration::ZERO,
        break_glass: None,
    };
    Installation {
        verified_domains: vec!["example.com".to_owned()],
        directory: None,
        api: Default::default(),
        sources: Vec::new(),
        apps: vec![App { id: "directory".parse().unwrap(), settings, retiring: false }],
        links: Vec::new(),
        profiles: vec![profile],
        sync: Default::default(),
        brake: Default::default(),
        notify: Vec::new(),
    }
}
