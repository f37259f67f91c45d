//! The process between the two stand-ins, and what is seen of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dutykey::process::{Parts, Process};
use dutykey_embedded::Embedded;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::Notice;
use dutykey_engine::ports::notify::{Notify, NotifyError};
use dutykey_engine::ports::rota::{Directory, ReadRota as _, RotationHead};
use dutykey_engine::ports::rules::WriteRules as _;
use dutykey_engine::ports::witness::{Event, Witness};
use dutykey_policy::id::RotationId;
use dutykey_policy::rota::KnownShift;
use dutykey_policy::time::{Span, earlier, later, millis_between};
use dutykey_runtime::clock::{SystemChance, SystemClock};
use dutykey_runtime::secrets::Secrets;
use dutykey_store::{Range, Store};
use dutykey_tests::pagerduty::{Account, FakePagerDuty, User};
use dutykey_tests::scim::{FakeScim, Fault, Moment, Reply, Request, TOKEN};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{LEVEL, PRIMARY};

/// How long a condition is waited for before the story has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The latest that a change may come after it was due and known, on a machine with much else to do. Its promise is 2 s.
const LATE: Duration = Duration::from_secs(10);
/// How long adapters keep their secrets: longer than the story.
const KEEP: Duration = Duration::from_secs(300);

/// A change of one member of one group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    op: String,
    group: String,
    user: String,
}

impl Change {
    pub(super) fn added(group: &str, user: &str) -> Self {
        Self { op: "add".to_owned(), group: group.to_owned(), user: user.to_owned() }
    }

    pub(super) fn removed(group: &str, user: &str) -> Self {
        Self { op: "remove".to_owned(), ..Self::added(group, user) }
    }

    /// What a request asks for; `None` where it asks for nothing or for something else.
    fn asked(request: &Request) -> Option<Self> {
        let operation = request.body.as_ref()?.pointer("/Operations/0")?;
        let listed = operation.pointer("/value/0/value").and_then(Value::as_str);
        let selected = || operation.get("path")?.as_str()?.split('"').nth(1);
        let user = listed.or_else(selected)?.to_owned();
        Some(Self { op: operation.get("op")?.as_str()?.to_owned(), group: request.id.clone()?, user })
    }
}

type Log<T> = Arc<Mutex<Vec<T>>>;

fn read<T: Clone>(log: &Log<T>) -> Vec<T> {
    log.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

struct Seen(Log<Event>);

impl Witness for Seen {
    fn saw(&self, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
    }
}

struct Nobody;

#[async_trait]
impl Notify for Nobody {
    async fn tell(&self, _: &Notice) -> Result<(), NotifyError> {
        Ok(())
    }
}

/// Everything that takes part.
pub(super) struct Story {
    pub(super) pager: FakePagerDuty,
    pub(super) scim: FakeScim,
    /// When it began, in whole seconds, as PagerDuty writes times.
    pub(super) begun: Timestamp,
    store: Store,
    events: Log<Event>,
    /// Each change that was asked for, and when it came in.
    changes: Log<(Timestamp, Change)>,
    /// Each change that must come, when it is due, and when that was known at the latest.
    expected: Vec<(Change, Timestamp, Timestamp)>,
    halt: watch::Sender<bool>,
    running: JoinHandle<()>,
}

pub(super) fn after(at: Timestamp, seconds: u64) -> Timestamp {
    later(at, Duration::from_secs(seconds))
}

/// The start of a turn that began a week before the story.
pub(super) fn since_long(story: &Story) -> Timestamp {
    earlier(story.begun, Duration::from_secs(7 * 86_400))
}

/// The end of a turn that ends behind every window.
pub(super) fn ever(story: &Story) -> Timestamp {
    after(story.begun, 60 * 86_400)
}

fn configuration(pager: &FakePagerDuty, scim: &FakeScim) -> String {
    let (pager, scim) = (pager.base_url(), scim.base_url());
    format!(
        r#"
version: 1
verified_domains: [example.com]
directory: directory
sync: {{ every: 1s, directory_every: 10s, horizon: 14d }}
sources:
  - id: pd
    platform: pagerduty
    base_url: {pager}
    token: {{ env: PAGERDUTY_TOKEN }}
    rotations: [PPRIM, "PESC@1"]
apps:
  - {{ id: directory, target: scim, base_url: {scim}, token: {{ env: SCIM_TOKEN }}, propagation: 0s }}
profiles:
  - id: on-call
    name: On-call
    entitlements: [{{ app: directory, kind: group, id: g-prod }}]
    enrollment: {{ rotations: ["{PRIMARY}"], lead: 0s, grace: 0s, lease: 5m }}
    override_lock: 0s
  - id: back-up
    name: Back-up
    entitlements: [{{ app: directory, kind: group, id: g-logs }}]
    enrollment: {{ rotations: ["{LEVEL}"], lead: 0s, grace: 0s, lease: 5m }}
    override_lock: 0s
"#
    )
}

impl Story {
    /// Starts everything. `company` gives the account its schedules and policies; its users are there.
    pub(super) async fn begin(company: fn(&mut Account, &Self)) -> Self {
        let (pager, scim) = (FakePagerDuty::start().await, FakeScim::start().await);
        scim.state(|world| {
            world.add_group("g-prod", "prod-oncall", &["u-hal"]);
            world.add_group("g-logs", "customer-logs", &[]);
            for name in ["ann", "bob", "cat", "dan", "eve", "fay", "hal"] {
                world.add_user(&format!("u-{name}"), &format!("{name}@example.com"));
            }
        });
        for name in ["Ann", "Bob", "Cat", "Dan", "Eve", "Fay"] {
            let (id, email) = (format!("P{}", name.to_uppercase()), format!("{name}@example.com"));
            pager.state(|account| account.users.push(User { id, name: name.to_owned(), email }));
        }
        let changes = watch_changes(&scim);

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = clock.now();
        let document = dutykey_runtime::config::parse(configuration(&pager, &scim).as_bytes(), Path::new("/"));
        let installation = document.unwrap().pin(|named| Err(format!("{named:?} is a name"))).unwrap();
        let store = Store::new(Embedded::memory().unwrap().client(), "dutykey");
        store.create_table("story").await.unwrap();
        store.configure(0, &installation, now).await.unwrap();

        let key = pager.token();
        let lookup = move |name: &str| match name {
            "PAGERDUTY_TOKEN" => Some(key.clone()),
            "SCIM_TOKEN" => Some(TOKEN.to_owned()),
            _ => None,
        };
        let secrets = Arc::new(Secrets::new(lookup, None, clock.clone(), KEEP));
        let sandbox = dutykey_platforms::sandbox::SandboxWorld::new(now, clock.clone());
        let platforms = dutykey_platforms::adapters::Adapters::new(secrets.clone(), clock.clone(), sandbox, KEEP);
        let sandbox = dutykey_targets::sandbox::SandboxWorld::new(now, clock.clone());
        let targets = dutykey_targets::adapters::Adapters::new(secrets, clock.clone(), sandbox, KEEP);
        let events = Log::default();
        let process = Process::new(Parts {
            store: store.clone(),
            platforms: Arc::new(platforms),
            targets: Arc::new(targets),
            notify: Arc::new(Nobody),
            clock,
            chance: Arc::new(SystemChance),
            witness: Arc::new(Seen(events.clone())),
        });
        let (halt, halted) = watch::channel(false);
        let begun = Timestamp::from_second(now.as_second()).unwrap();
        let idle = tokio::spawn(async {});
        let mut story = Self { pager, scim, begun, store, events, changes, expected: Vec::new(), halt, running: idle };
        let mut account = story.pager.state(|account| account.clone());
        company(&mut account, &story);
        story.pager.state(|now| *now = account);
        story.running = tokio::spawn(async move { process.run(halted).await });
        story
    }

    /// Stops the process; the stand-ins and the table stay for the verdict.
    pub(super) async fn end(mut self) -> Self {
        let _ = self.halt.send(true);
        (&mut self.running).await.expect("the process ends of its own accord");
        self
    }

    /// A whole second so many from now.
    pub(super) fn soon(&self, seconds: u64) -> Timestamp {
        after(Timestamp::from_second(SystemClock.now().as_second() + 1).unwrap(), seconds)
    }

    /// Waits for a condition.
    pub(super) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let end = later(SystemClock.now(), PATIENCE);
        while !condition().await {
            if SystemClock.now() > end || self.running.is_finished() {
                let last: Vec<String> = read(&self.events)
                    .iter()
                    .rev()
                    .take(12)
                    .map(|event| format!("{event:?}").chars().take(400).collect())
                    .collect();
                panic!(
                    "in vain waited for: {what}\nchanges: {:#?}\nlast events, newest first: {last:#?}",
                    read(&self.changes)
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where the events are now.
    pub(super) fn mark(&self) -> usize {
        read(&self.events).len()
    }

    /// What happened since then.
    pub(super) fn since(&self, mark: usize) -> Vec<Event> {
        read(&self.events).split_off(mark)
    }

    /// Whether a failure or the brake has shown these words of a rotation since then.
    pub(super) fn has_shown(&self, mark: usize, rotation: &str, words: &str) -> bool {
        self.since(mark).iter().any(|event| match event {
            Event::ViewFailed { rotation: of, because } | Event::Braked { rotation: of, because } => {
                of.to_string() == rotation && because.contains(words)
            }
            _ => false,
        })
    }

    /// Waits until a failure or the brake shows these words of a rotation.
    pub(super) async fn shows(&self, mark: usize, rotation: &str, words: &str) {
        self.until(&format!("{rotation} shows `{words}`"), async || self.has_shown(mark, rotation, words)).await;
    }

    /// Lets PagerDuty behave again and waits until both rotations are read and nothing waits at the brake.
    pub(super) async fn heal(&self) {
        self.pager.heal();
        let healed = SystemClock.now();
        let rotations: [RotationId; 2] = [PRIMARY, LEVEL].map(|id| id.parse().unwrap());
        let whole = async || {
            let heads = self.store.heads(&rotations).await.unwrap();
            let whole =
                |head: &RotationHead| head.fresh_at > Some(healed) && head.failure.is_none() && head.held.is_none();
            heads.len() == rotations.len() && heads.values().all(whole)
        };
        self.until("both rotations are read again, and nothing waits at the brake", whole).await;
    }

    /// Every shift that stands in the rotation and was not over when the story began.
    pub(super) async fn known(&self, rotation: &str) -> Vec<KnownShift> {
        let now_on = Span { start: self.begun, end: Timestamp::MAX };
        let mut known = self.store.known(&rotation.parse().unwrap(), now_on).await.unwrap();
        known.retain(KnownShift::stands);
        known
    }

    /// Waits until a turn is accepted; answers when that was seen.
    pub(super) async fn accepted(&self, rotation: &str, user: &str, start: Timestamp) -> Timestamp {
        let turn = |known: &KnownShift| {
            known.shift.start == start && known.shift.user.as_ref().is_some_and(|id| id.as_str() == user)
        };
        self.until(&format!("{user}'s turn is accepted"), async || self.known(rotation).await.iter().any(turn)).await;
        SystemClock.now()
    }

    pub(super) async fn directory(&self) -> Directory {
        self.store.directory(&"pd".parse().unwrap()).await.unwrap()
    }

    /// Waits until exactly these users are in these groups.
    pub(super) async fn members_become<const N: usize>(&self, members: [(&str, &str); N]) {
        let expected: BTreeSet<(String, String)> =
            members.iter().map(|(group, user)| ((*group).to_owned(), (*user).to_owned())).collect();
        let now = || -> BTreeSet<(String, String)> {
            self.scim.state(|world| {
                let groups = world.groups.iter();
                groups.flat_map(|(id, group)| group.members.keys().map(|user| (id.clone(), user.clone()))).collect()
            })
        };
        self.until(&format!("the members are {expected:?}"), async || now() == expected).await;
    }

    /// Every change that was asked for, in order.
    pub(super) fn changes(&self) -> Vec<Change> {
        read(&self.changes).into_iter().map(|(_, change)| change).collect()
    }

    /// A change must come when it is due, or when that is known.
    pub(super) fn expect(&mut self, change: Change, due: Timestamp, known: Timestamp) {
        self.expected.push((change, due, known));
    }

    /// Every change is one that was expected, and came at its time.
    pub(super) fn assert_changes(&self) {
        let mut expected: Vec<Change> = self.expected.iter().map(|(change, ..)| change.clone()).collect();
        let mut changes = self.changes();
        expected.sort();
        changes.sort();
        assert_eq!(changes, expected, "exactly the changes that the rota asks for");
        for (came, change) in read(&self.changes) {
            let expected = self.expected.iter().find(|(expected, ..)| *expected == change);
            let (_, due, known) = expected.unwrap();
            assert!(came >= *due, "P6: {change:?} came at {came}, before it was due at {due}");
            let late = millis_between(*due.max(known), came);
            let limit = i64::try_from(LATE.as_millis()).unwrap();
            assert!(late <= limit, "P12: {change:?} was due at {due} and came {late} ms later");
        }
    }

    /// The exported evidence.
    pub(super) async fn export(&self) -> String {
        let mut export = Vec::new();
        self.store.export(None, Range::default(), &mut export).await.unwrap();
        String::from_utf8(export).unwrap()
    }
}

/// Writes down each change as it comes in, before it takes effect: a fault that never strikes sees every request.
fn watch_changes(scim: &FakeScim) -> Log<(Timestamp, Change)> {
    let changes = Log::default();
    let log = Arc::clone(&changes);
    let look = move |request: &Request| {
        if request.writes() {
            let change = Change::asked(request).unwrap_or_else(|| panic!("{request:?} is no change of one member"));
            log.lock().unwrap_or_else(PoisonError::into_inner).push((SystemClock.now(), change));
        }
        false
    };
    scim.fault(usize::MAX, look, Moment::BeforeEffect, Fault::Answer(Reply::status(500)));
    changes
}
