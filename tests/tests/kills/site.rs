//! Where the real functions live and die: a table and queues of their own, and what else they speak to, all behind
//! proxies while a process lives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::Message;
use dutykey_engine::ports::rules::{DueItem, ReadDue};
use dutykey_policy::hold::Side;
use dutykey_policy::id::PersonId;
use dutykey_policy::time::later;
use dutykey_runtime::clock::SystemClock;
use dutykey_tests::aws::FakeAws;
use dutykey_tests::process::{Process, binary};
use dutykey_tests::proxy::{Counter, Point, Proxy};
use dutykey_tests::runtime_api::{Outcome, RuntimeApi};
use dutykey_tests::surroundings::{failed, queue_variable};
use dutykey_tests::table::{self, Table};
use dutykey_tests::{events, scim};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::others;
use crate::switch::Switch;

/// So many cases are at work at once; the others wait for their turn, or until something is due. All share the thread
/// that serves their tables.
static BUSY: Semaphore = Semaphore::const_new(4);
/// How long a case may take to come to rest, its turns to run a process included.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// What is due later than in this is not waited for.
const SOON: Duration = Duration::from_secs(150);
/// The time of one invocation.
const ALLOWED: Duration = Duration::from_secs(60);

/// A case's turn, which ends when it is dropped.
pub(super) type Turn = SemaphorePermit<'static>;

/// Waits for a turn.
pub(super) async fn turn() -> Turn {
    BUSY.acquire().await.unwrap()
}

/// The request at which a process dies, from 1, and on which side of its effect.
pub(super) type Kill = (usize, Point);

/// A process's life that is over.
pub(super) struct Lived {
    /// What it asked of others.
    pub(super) requests: Vec<String>,
    /// What it wrote.
    pub(super) output: String,
}

/// A process that lives.
pub(super) struct Living {
    api: RuntimeApi,
    process: Process,
}

impl Living {
    /// What it answers to an event.
    pub(super) async fn answer(&self, event: &Value) -> Value {
        match self.api.invoke(event, ALLOWED).await {
            Outcome::Answered(answer) => answer,
            outcome => panic!("{outcome:?} to {event}\n{}", self.process.output()),
        }
    }

    /// It takes every record of a batch.
    pub(super) async fn takes(&self, batch: &Value) {
        let outcome = self.api.invoke(batch, ALLOWED).await;
        assert_eq!(outcome, failed(&[]), "to {batch}\n{}", self.process.output());
    }
}

pub(super) struct Site {
    pub(super) table: Table,
    pub(super) aws: FakeAws,
    /// Addresses that are in the table, and who is behind them.
    fronts: Vec<(Switch, SocketAddr)>,
    variables: Vec<(String, String)>,
    /// What queues took and nobody has acknowledged, each with the time from which on it is delivered.
    waiting: RefCell<BTreeMap<String, Vec<(Timestamp, String)>>>,
}

impl Site {
    /// With these others to speak to.
    pub(super) async fn new(others: &[SocketAddr]) -> Self {
        let mut fronts = Vec::new();
        for other in others {
            fronts.push((Switch::start(*other).await, *other));
        }
        let aws = FakeAws::start().await.unwrap();
        let own = [("DUTYKEY_TABLE", table::NAME), ("SCIM_TOKEN", scim::TOKEN)];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let queues = ["sync", "provisioning", "revocation"].map(|queue| queue_variable(&aws, queue));
        let variables = own.into_iter().chain(queues).collect();
        Self { table: Table::start().await, aws, fronts, variables, waiting: RefCell::default() }
    }

    /// Sets a variable for every function.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The address that stands for one of the others, in the order in which they were named.
    pub(super) fn url(&self, other: usize) -> String {
        format!("http://{}", self.fronts[other].0.address())
    }

    /// One process's life, from its start to the end of its work or until it is killed at a request.
    pub(super) async fn life(&self, function: &str, kill: Option<Kill>, work: impl AsyncFnOnce(&Living)) -> Lived {
        let counter = Counter::new();
        let reached = kill.map(|(n, point)| counter.stop_at(n, point));
        let table = Proxy::start(self.table.address(), &counter).await.unwrap();
        let aws = Proxy::start(self.aws.address(), &counter).await.unwrap();
        let mut proxies = Vec::new();
        for (front, other) in &self.fronts {
            let proxy = Proxy::start(*other, &counter).await.unwrap();
            front.lead_to(proxy.address());
            proxies.push(proxy);
        }
        let api = RuntimeApi::start().await.unwrap();
        let process = self.start(function, &api, table.address(), aws.address());
        let living = Living { api, process };
        let reached = async {
            match reached {
                Some(reached) => reached.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = reached => living.process.kill().await,
            () = work(&living) => assert_eq!(kill, None, "it made fewer requests: {:#?}", counter.requests()),
        }
        Lived { requests: counter.requests(), output: living.process.output() }
    }

    /// A process that nobody is going to kill, straight beside what it speaks to.
    pub(super) fn start_unwatched(&self, function: &str, api: &RuntimeApi) -> Process {
        self.lead_straight();
        self.start(function, api, self.table.address(), self.aws.address())
    }

    /// Whoever speaks to the others from now on speaks to them without a proxy.
    pub(super) fn lead_straight(&self) {
        for (front, other) in &self.fronts {
            front.lead_to(*other);
        }
    }

    /// Where secrets are.
    pub(super) fn lookup(&self) -> impl Fn(&str) -> Option<String> + Send + Sync + use<> {
        let variables = self.variables.clone();
        move |wanted| variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    }

    fn start(&self, function: &str, api: &RuntimeApi, table: SocketAddr, aws: SocketAddr) -> Process {
        let mut variables = self.variables.clone();
        variables.extend(FakeAws::environment_through(aws));
        variables.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), format!("http://{table}")));
        let binary = binary(function).unwrap_or_else(|error| panic!("{error}"));
        api.launch(&binary, function, 256, &variables).unwrap()
    }

    /// The messages of a queue that are not held back and that nobody has acknowledged.
    pub(super) fn waiting(&self, queue: &str) -> Vec<String> {
        let now = SystemClock.now();
        let mut waiting = self.waiting.borrow_mut();
        let waiting = waiting.entry(queue.to_owned()).or_default();
        waiting.extend(self.aws.messages(queue).into_iter().map(|sent| (later(now, sent.delay), sent.body)));
        waiting.iter().filter(|(from, _)| *from <= now).map(|(_, body)| body.clone()).collect()
    }

    /// Gives the process what waits in its queue, until nothing does. A batch is acknowledged when it is answered: what
    /// a killed process had comes again.
    pub(super) async fn deliver(&self, queue: &str, living: &Living) {
        loop {
            let mut batch = self.waiting(queue);
            batch.truncate(10);
            if batch.is_empty() {
                return;
            }
            living.takes(&events::sqs(queue, &batch, SystemClock.now())).await;
            for done in batch {
                self.acknowledge(queue, &done);
            }
        }
    }

    fn acknowledge(&self, queue: &str, done: &str) {
        let mut waiting = self.waiting.borrow_mut();
        let waiting = waiting.entry(queue.to_owned()).or_default();
        waiting.iter().position(|(_, body)| body == done).map(|place| waiting.remove(place));
    }

    /// The tick of a minute; it answers what it has sent where nobody kills it.
    pub(super) async fn tick(&self, attempt: u32, kill: Option<Kill>) -> (Lived, Option<Value>) {
        let answer = RefCell::new(None);
        let run = events::schedule("handoff", SystemClock.now(), attempt);
        let life = self.life("handoff", kill, async |living| drop(answer.replace(Some(living.answer(&run).await))));
        (life.await, answer.into_inner())
    }

    /// What one function has left is done by the others, whom nobody kills: the messages that it has sent are taken,
    /// and whoever is due is looked at, as a tick would have it.
    pub(super) async fn settle(&self) {
        self.lead_straight();
        let patience = later(SystemClock.now(), PATIENCE);
        let workers = [("revocation", Side::Ends), ("provisioning", Side::Starts)]
            .map(|(queue, side)| (queue, others::worker(&self.table.store, side, self.lookup())));
        loop {
            for (queue, worker) in &workers {
                for body in self.waiting(queue) {
                    worker.take(&serde_json::from_str(&body).unwrap()).await.unwrap();
                    self.acknowledge(queue, &body);
                }
            }
            let now = SystemClock.now();
            let open = self.open(later(now, SOON)).await;
            let Some(soonest) = open.first() else { return };
            assert!(now < patience, "open for too long: {open:?}");
            SystemClock.sleep_until(soonest.at).await;
            for (_, worker) in &workers {
                worker.take(&Message::person(soonest.what.clone(), "tick")).await.unwrap();
            }
        }
    }

    /// What is due for people until then, the soonest first.
    async fn open(&self, until: Timestamp) -> Vec<DueItem<PersonId>> {
        let store = &self.table.store;
        let mut due = store.due_ends(None, until).await.unwrap();
        due.extend(store.due_starts(None, until).await.unwrap());
        due.sort_by_key(|due| due.at);
        due
    }
}
