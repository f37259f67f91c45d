//! What a platform says: rotation-sync, for two people on one rotation, and what the other functions make of it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::ReadLedger;
use dutykey_engine::ports::rota::{Directory, ReadRota, RotationHead};
use dutykey_engine::ports::rules::{Pulse, WritePulse, WriteRules};
use dutykey_policy::enrollment::Enrollment;
use dutykey_policy::evidence::ChainHead;
use dutykey_policy::hold::State;
use dutykey_policy::id::{HoldKey, PersonId, UserId};
use dutykey_policy::installation::{PlatformSettings, Rotations, SecretRef, Source};
use dutykey_policy::look::Due;
use dutykey_policy::profile::Automatic;
use dutykey_policy::rota::End;
use dutykey_policy::time::{earlier, later};
use dutykey_runtime::clock::SystemClock;
use dutykey_tests::company::{self, GROUP};
use dutykey_tests::events;
use dutykey_tests::pagerduty::{FakePagerDuty, Kind, Schedule, User};
use dutykey_tests::scim::{Effect, FakeScim};
use dutykey_tests::table::{every_hold, evidence};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::World;
use super::others;
use super::site::{Kill, Lived, Site, Turn};

/// The schedule.
const ROTATION: &str = "PPRIM";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// What the platform says that nobody knows yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Ann is on call and Bob comes after her; neither was ever heard of.
    Everything,
    /// Ann, who has had access, has given the rest of her shift to Bob.
    Swap,
}

/// How everything is in the end: what a kill must not change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Story {
    /// Who is in the group.
    pub(super) members: Vec<String>,
    /// How often each came into it and went out of it.
    pub(super) effects: BTreeMap<(String, String), Effect>,
    /// The ledger: every hold, those that are over included, and where it is in its life.
    holds: BTreeSet<(HoldKey, State)>,
    rotation: RotationHead,
    directory: Directory,
    people: BTreeMap<&'static str, Somebody>,
    /// What each chain of evidence records, in its order.
    records: BTreeMap<String, Vec<Recorded>>,
}

/// What the table knows of somebody.
#[derive(Debug, Clone, PartialEq)]
struct Somebody {
    /// From when until when, by which profile.
    enrollments: Vec<(String, Timestamp, End)>,
    /// What is due to begin and to end: why, and where that does not hang on the time of a look, when.
    due: [Option<(String, Option<Timestamp>)>; 2],
}

/// What was done, by whom, and where it does not hang on the time of the read, what it changed.
#[derive(Debug, Clone, PartialEq)]
struct Recorded {
    act: Value,
    actor: Value,
    change: Option<(Value, Value)>,
}

pub(super) struct Reading {
    begun: Timestamp,
    site: Site,
    pager: FakePagerDuty,
    scim: FakeScim,
    /// How often the schedule's run was tried, and whether it was answered.
    attempts: Cell<u32>,
    sent_for: Cell<bool>,
}

impl Reading {
    /// The platform's times hang on `begun` alone: all cases are told the same.
    pub(super) async fn new(news: News, begun: Timestamp) -> Self {
        let (pager, scim) = (FakePagerDuty::start().await, FakeScim::start().await);
        scim.state(|world| {
            world.add_user("u-ann", "ann@example.com");
            world.add_user("u-bob", "bob@example.com");
            world.add_group(GROUP, "prod-oncall", &[]);
        });
        let mut site = Site::new(&[pager.address(), scim.address()]).await;
        site.set("PD_TOKEN", &pager.token());
        configure(&site).await;
        let (attempts, sent_for) = Default::default();
        let world = Self { begun, site, pager, scim, attempts, sent_for };
        world.pager.state(|account| {
            account.users = ["ann", "bob"].map(user).into();
        });
        world.on_call(later(begun, 6 * HOUR));
        if news == News::Swap {
            let syncer = others::syncer(&world.site.table.store, world.site.lookup());
            syncer.sync(&source(), None).await.unwrap();
            world.site.settle().await;
            world.on_call(begun);
        }
        world
    }

    /// Ann is on call until then, and then Bob.
    fn on_call(&self, until: Timestamp) {
        let (start, end) = (earlier(self.begun, HOUR / 2), later(self.begun, 100 * HOUR));
        let schedule = Schedule::new(ROTATION, Kind::V2).turn("PANN", start, until).turn("PBOB", until, end);
        self.pager.state(|account| account.schedules = vec![schedule]);
    }

    /// A run of the schedule, where none was answered yet, and then what waits in the queue.
    async fn read(&self, kill: Option<Kill>) -> Lived {
        let work = self.site.life("rotation-sync", kill, async |living| {
            if !self.sent_for.get() {
                self.attempts.update(|attempts| attempts + 1);
                let run = events::schedule("sync", self.begun, self.attempts.get());
                assert_eq!(living.answer(&run).await, json!({ "sources": 1 }));
                self.sent_for.set(true);
            }
            self.site.deliver("sync", living).await;
        });
        work.await
    }

    async fn rotation(&self) -> RotationHead {
        let heads = self.site.table.store.rotations(&source()).await.unwrap();
        let [head] = heads.as_slice() else { panic!("one rotation: {heads:?}") };
        // Each complete read counts up, and has its time.
        assert!(head.generation > 0 && head.fresh_at.is_some() && head.window.is_some(), "{head:?}");
        let chain = ChainHead { seq: head.chain.seq, ..ChainHead::default() };
        // The configuration's digest differs: each case has an app at an address of its own.
        let (accepted, rules) = head.planned.split_once('/').expect("a view is planned by rules");
        let profiles = rules.split_once(',').map(|(_, profiles)| profiles).expect("rules have profiles");
        let planned = format!("{accepted}/{profiles}");
        RotationHead { generation: 0, fresh_at: None, window: None, planned, chain, ..head.clone() }
    }

    async fn somebody(&self, person: &PersonId) -> Somebody {
        let live = self.site.table.store.load(person).await.unwrap().expect("the person is there");
        let periods = |enrollment: &Enrollment| {
            let profile = enrollment.profile.to_string();
            enrollment
                .periods
                .iter()
                .map(move |period| (profile.clone(), period.from, period.until))
                .collect::<Vec<_>>()
        };
        let enrollments = live.enrollments.iter().flat_map(periods).collect();
        let due = |due: Due| {
            let hourly = due.cause == "sweep";
            (due.cause, (!hourly).then_some(due.at))
        };
        let heads = [live.head.next_start, live.head.next_end];
        Somebody { enrollments, due: heads.map(|head| head.map(due)) }
    }
}

impl World for Reading {
    type Story = Story;

    async fn life(&self, kill: Option<Kill>) -> Vec<String> {
        self.read(kill).await.requests
    }

    async fn converge(&self, _turn: Turn) {
        self.read(None).await;
        self.site.settle().await;
    }

    async fn story(&self) -> Story {
        let store = &self.site.table.store;
        let users = [("ann", "PANN"), ("bob", "PBOB")].map(|(name, id)| (name, id.parse::<UserId>().unwrap()));
        let known = store.people(&source(), &users.clone().map(|(_, id)| id)).await.unwrap();
        let mut people = BTreeMap::new();
        for (name, user) in &users {
            let person = known.get(user).unwrap_or_else(|| panic!("{name} is nobody: {known:?}"));
            people.insert(*name, self.somebody(person).await);
        }
        let mut records: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
        for record in evidence(store, None).await {
            // Everybody's ID is made by chance.
            let chain = record["chain"].as_str().unwrap();
            let named = users.iter().filter_map(|(name, user)| Some((name, known.get(user)?)));
            let chain = named.fold(chain.to_owned(), |chain, (name, id)| chain.replace(id.as_str(), name));
            records.entry(chain).or_default().push(Recorded::of(&record));
        }
        let directory = store.directory(&source()).await.unwrap();
        Story {
            members: self.scim.state(|world| world.groups[GROUP].members.keys().cloned().collect()),
            effects: self.scim.effects(),
            holds: every_hold(store).await.into_iter().map(|hold| (hold.key, hold.state)).collect(),
            rotation: self.rotation().await,
            directory: Directory { read_at: None, ..directory },
            people,
            records,
        }
    }
}

impl Recorded {
    fn of(record: &Value) -> Self {
        let of_the_read = ["view.accepted", "enrollment.planned"].iter().any(|act| record["act"] == *act);
        let change = of_the_read.then(|| (record["before"].clone(), record["after"].clone()));
        Self { act: record["act"].clone(), actor: record["actor"].clone(), change }
    }
}

fn source() -> dutykey_policy::id::SourceId {
    "pd".parse().unwrap()
}

fn user(name: &str) -> User {
    User { id: format!("P{}", name.to_uppercase()), name: name.to_owned(), email: format!("{name}@example.com") }
}

/// Whoever is on call gets the profile. A tick has just run: what it has sent it does not send again at once.
async fn configure(site: &Site) {
    let now = SystemClock.now();
    let token = SecretRef::Env("SCIM_TOKEN".to_owned());
    let mut installation = company::installation(format!("{}/scim/v2", site.url(1)), token);
    installation.profiles[0].enrollment = Some(Automatic {
        rotations: BTreeSet::from([format!("pd:{ROTATION}").parse().unwrap()]),
        lead: Duration::ZERO,
        grace: Duration::ZERO,
        // Half of it is longer than any shift, so that what is due for the rotation is a boundary.
        lease: 300 * HOUR,
    });
    let settings = PlatformSettings::Pagerduty {
        base_url: site.url(0),
        token: SecretRef::Env("PD_TOKEN".to_owned()),
        webhook_secrets: Vec::new(),
    };
    installation.sources =
        vec![Source { id: source(), settings, rotations: Rotations::All, every: MINUTE, retiring: false }];
    let store = &site.table.store;
    store.configure(0, &installation, now).await.unwrap();
    let sent = Some(later(now, Duration::from_secs(150)));
    let pulse = Pulse { ticked_at: Some(now), starts_sent: sent, ends_sent: sent, ..Pulse::default() };
    store.keep_pulse(&pulse).await.unwrap();
}
