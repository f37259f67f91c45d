//! What is due: handoff, for one whose access begins, one whose access ends, a rotation to be read and a notice to be
//! told, and what the other functions make of its messages.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::{Notice, PersonChange, ReadLedger, WriteLedger};
use dutykey_engine::ports::queue::{About, Message};
use dutykey_engine::ports::rota::{RotationChange, RotationHead, WriteRota};
use dutykey_engine::ports::rules::{ReadDue, ReadRules, WriteRules};
use dutykey_policy::evidence::Chain;
use dutykey_policy::hold::{Hold, State as Stage};
use dutykey_policy::id::{HoldKey, PersonId};
use dutykey_policy::installation::{NotifyChannel, SecretRef, Topic};
use dutykey_policy::look::Due;
use dutykey_policy::time::{earlier, later};
use dutykey_runtime::clock::SystemClock;
use dutykey_tests::company::{self, Access, Dues, GROUP};
use dutykey_tests::scim::{Effect, FakeScim};
use dutykey_tests::table::{every_hold, evidence};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::World;
use super::site::{Kill, Site, Turn};

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:notices";

/// How everything is in the end: what a kill must not change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Story {
    /// What was sent for, by queue. A message may have come more than once.
    sent: BTreeMap<&'static str, BTreeSet<About>>,
    /// The notices that the webhook was told. It may have been told more than once, by the same ID.
    pub(super) told: BTreeSet<String>,
    /// The same of the topic, by their texts.
    published: BTreeSet<String>,
    /// The notices that nobody was told of yet.
    untold: Vec<Notice>,
    /// Who is in the group.
    pub(super) members: Vec<String>,
    /// How often each came into it and went out of it.
    pub(super) effects: BTreeMap<(String, String), Effect>,
    /// The ledger: every hold, those that are over included, and where it is in its life.
    holds: BTreeSet<(HoldKey, Stage)>,
    /// What the evidence says of each person.
    records: Vec<Vec<Value>>,
    /// Whether something is due for each person now.
    due: Vec<[bool; 2]>,
}

pub(super) struct Ticking {
    site: Site,
    scim: FakeScim,
    hook: Hook,
    /// Bob and Cy.
    people: [PersonId; 2],
    attempts: Cell<u32>,
    ticked: Cell<bool>,
    /// What the ticks have sent.
    sent: RefCell<BTreeMap<&'static str, BTreeSet<About>>>,
}

impl Ticking {
    pub(super) async fn new() -> Self {
        let (scim, hook) = (FakeScim::start().await, Hook::start().await);
        scim.state(|world| {
            world.add_user("u-bob", "bob@example.com");
            world.add_user("u-cy", "cy@example.com");
            world.add_group(GROUP, "prod-oncall", &["u-cy"]);
        });
        let mut site = Site::new(&[scim.address(), hook.address]).await;
        let url = site.url(1);
        site.set("OPS_HOOK", &url);
        site.set("OPS_HOOK_SECRET", "shared-between-two");
        site.set("DUTYKEY_NOTICE_TOPIC_ARN", TOPIC);
        let people = seed(&site).await;
        let (attempts, ticked, sent) = Default::default();
        Self { site, scim, hook, people, attempts, ticked, sent }
    }

    /// The run of one minute, tried again until it was answered.
    async fn tick(&self, kill: Option<Kill>) -> Vec<String> {
        self.attempts.update(|attempts| attempts + 1);
        let (lived, answer) = self.site.tick(self.attempts.get(), kill).await;
        self.ticked.set(answer.is_some());
        for queue in ["sync", "provisioning", "revocation"] {
            let messages = self.site.waiting(queue).into_iter();
            let about = messages.map(|body| serde_json::from_str::<Message>(&body).unwrap().about);
            self.sent.borrow_mut().entry(queue).or_default().extend(about);
        }
        lived.requests
    }
}

impl World for Ticking {
    type Story = Story;

    async fn life(&self, kill: Option<Kill>) -> Vec<String> {
        self.tick(kill).await
    }

    async fn converge(&self, _turn: Turn) {
        if !self.ticked.get() {
            self.tick(None).await;
        }
        self.site.settle().await;
    }

    async fn story(&self) -> Story {
        let store = &self.site.table.store;
        let now = SystemClock.now();
        let pulse = store.pulse().await.unwrap();
        assert!(pulse.ticked_at.is_some(), "the tick remembers itself: {pulse:?}");
        let (mut records, mut due) = (Vec::new(), Vec::new());
        for person in &self.people {
            let chain = evidence(store, Some(&Chain::Person(person.clone()))).await;
            records.push(chain.into_iter().map(|mut record| record["act"].take()).collect());
            let head = store.load(person).await.unwrap().unwrap().head;
            due.push([head.next_start, head.next_end].map(|due| due.is_some_and(|due| due.at <= now)));
        }
        let sent = self.sent.borrow().clone();
        let told = self.hook.told.lock().unwrap().clone();
        Story {
            sent,
            told,
            published: self.site.aws.published().into_iter().map(|published| published.message).collect(),
            untold: store.due_notices(now).await.unwrap(),
            members: self.scim.state(|world| world.groups[GROUP].members.keys().cloned().collect()),
            effects: self.scim.effects(),
            holds: every_hold(store).await.into_iter().map(|hold| (hold.key, hold.state)).collect(),
            records,
            due,
        }
    }
}

/// A channel for notices.
struct Hook {
    address: SocketAddr,
    told: Arc<Mutex<BTreeSet<String>>>,
    serving: JoinHandle<()>,
}

impl Hook {
    async fn start() -> Self {
        async fn tell(State(told): State<Arc<Mutex<BTreeSet<String>>>>, headers: HeaderMap) -> StatusCode {
            told.lock().unwrap().insert(headers["webhook-id"].to_str().unwrap().to_owned());
            StatusCode::NO_CONTENT
        }
        let told = Arc::default();
        let router = Router::new().fallback(tell).with_state(Arc::clone(&told));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, told, serving }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Bob, for whom something has just begun, and Cy, for whom something has just ended, of which somebody is told; and a
/// rotation that has to be read in good time.
async fn seed(site: &Site) -> [PersonId; 2] {
    let (store, now) = (&site.table.store, SystemClock.now());
    let mut installation =
        company::installation(format!("{}/scim/v2", site.url(0)), SecretRef::Env("SCIM_TOKEN".to_owned()));
    installation.notify = vec![NotifyChannel {
        id: "ops".to_owned(),
        url: SecretRef::Env("OPS_HOOK".to_owned()),
        secret: SecretRef::Env("OPS_HOOK_SECRET".to_owned()),
        on: vec![Topic::Overdue],
    }];
    store.configure(0, &installation, now).await.unwrap();
    let (ago, ahead) = (earlier(now, Duration::from_secs(1)), later(now, Duration::from_secs(6 * 3_600)));
    let bob = company::approved(store, "bob", ahead, Access::NotYet, now).await;
    company::due(store, &bob, Dues { start: Some(now), end: Some(ahead), ..Dues::default() }, now).await;
    let cy = company::approved(store, "cy", ago, Access::Held, now).await;
    // The tick waits for nobody's word on access of which somebody is told already.
    let live = store.load(&cy).await.unwrap().unwrap();
    let holds = live.holds.iter().map(|hold| Hold { told: true, ..hold.clone() }).collect();
    store.commit(&PersonChange { holds, ..PersonChange::nothing(&live, now) }).await.unwrap();
    let text = "Cy still has prod".to_owned();
    let notice = Notice::new("n-1".to_owned(), Topic::Overdue, text, now);
    company::due(store, &cy, Dues { end: Some(ago), notices: vec![notice], ..Dues::default() }, now).await;
    let rotation = RotationHead::new("pd:PPRIM".parse().unwrap(), "Primary".to_owned());
    let due = Some(Due { at: now, cause: "boundary".to_owned() });
    let change = RotationChange {
        expected: 0,
        head: RotationHead { generation: 1, due, ..rotation },
        at: now,
        known: None,
        evidence: Vec::new(),
        notices: Vec::new(),
    };
    store.change_rotation(&change).await.unwrap();
    [bob, cy]
}
