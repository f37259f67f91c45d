//! Access as it comes and goes: provisioning and revocation, for a company of one person, with an app.

use std::time::Duration;

use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::{LivePerson, ReadLedger};
use dutykey_engine::ports::queue::Message;
use dutykey_engine::ports::rules::WriteRules;
use dutykey_policy::evidence::Chain;
use dutykey_policy::hold::State;
use dutykey_policy::id::{HoldKey, PersonId};
use dutykey_policy::installation::SecretRef;
use dutykey_policy::time::{earlier, later};
use dutykey_runtime::clock::SystemClock;
use dutykey_tests::company::{self, Access, GROUP};
use dutykey_tests::events;
use dutykey_tests::runtime_api::RuntimeApi;
use dutykey_tests::scim::{Effect, FakeScim};
use dutykey_tests::surroundings::{ALLOWED, failed};
use dutykey_tests::table::{every_hold, evidence};
use serde_json::Value;

use super::World;
use super::site::{Kill, PATIENCE, Site, Turn, turn};

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
    /// The states that the evidence says the hold came into. Attempts are not compared: one whose answer was lost is
    /// followed by another.
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

pub(super) struct Changing {
    act: Act,
    site: Site,
    scim: FakeScim,
    ann: PersonId,
}

impl Changing {
    /// Ann's shift is running and she has nothing yet; or it has just ended and she is still in the group.
    pub(super) async fn new(act: Act) -> Self {
        let scim = FakeScim::start().await;
        let members: &[&str] = if act == Act::Revoke { &["u-ann", "u-bob"] } else { &["u-bob"] };
        scim.state(|world| {
            world.add_user("u-ann", "ann@example.com");
            world.add_user("u-bob", "bob@example.com");
            world.add_group(GROUP, "prod-oncall", members);
        });
        let site = Site::new(&[scim.address()]).await;
        let (store, now) = (&site.table.store, SystemClock.now());
        let token = SecretRef::Env("SCIM_TOKEN".to_owned());
        let installation = company::installation(format!("{}/scim/v2", site.url(0)), token);
        store.configure(0, &installation, now).await.unwrap();
        let (until, access) = match act {
            Act::Grant => (later(now, Duration::from_secs(6 * 3_600)), Access::NotYet),
            Act::Revoke => (earlier(now, Duration::from_secs(1)), Access::Held),
        };
        let ann = company::approved(store, "ann", until, access, now).await;
        Self { act, site, scim, ann }
    }

    /// A message that is late, or early: one for the side that has nothing to do.
    pub(super) async fn message_of_the_other_side(&self) {
        let _turn = turn().await;
        self.whole_life(self.act.other()).await;
    }

    /// Two processes at once, each with a batch that has the message twice.
    pub(super) async fn twice_in_two_processes(&self) {
        let _turn = turn().await;
        let apis = [RuntimeApi::start().await.unwrap(), RuntimeApi::start().await.unwrap()];
        let processes = apis.each_ref().map(|api| self.site.start_unwatched(self.act.function(), api));
        for (api, process) in apis.iter().zip(&processes) {
            api.ready().await.unwrap_or_else(|outcome| panic!("{outcome:?} {}", process.output()));
        }
        let event = self.event(2);
        let outcomes = tokio::join!(apis[0].invoke(&event, ALLOWED), apis[1].invoke(&event, ALLOWED));
        assert_eq!(outcomes, (failed(&[]), failed(&[])), "{} {}", processes[0].output(), processes[1].output());
    }

    /// A process that nobody kills; answers what it wrote.
    async fn whole_life(&self, act: Act) -> String {
        self.site.life(act.function(), None, async |living| living.takes(&self.event(1)).await).await.output
    }

    fn event(&self, times: usize) -> Value {
        let message = serde_json::to_string(&Message::person(self.ann.clone(), "test")).unwrap();
        events::sqs(self.act.function(), &vec![message; times], SystemClock.now())
    }

    async fn live(&self) -> LivePerson {
        self.site.table.store.load(&self.ann).await.unwrap().expect("Ann is in the table")
    }
}

impl World for Changing {
    type Story = Story;

    async fn life(&self, kill: Option<Kill>) -> Vec<String> {
        self.site.life(self.act.function(), kill, async |living| living.takes(&self.event(1)).await).await.requests
    }

    /// The message comes again, and whenever something is due, each time to a new process, until nothing is open.
    async fn converge(&self, mut current: Turn) {
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
            drop(current);
            SystemClock.sleep_until(due.at).await;
            current = turn().await;
        }
    }

    async fn story(&self) -> Story {
        let store = &self.site.table.store;
        let records = evidence(store, Some(&Chain::Person(self.ann.clone()))).await;
        let acts = records.iter().filter_map(|record| record["act"].as_str().map(str::to_owned));
        Story {
            members: self.scim.state(|world| world.groups[GROUP].members.keys().cloned().collect()),
            effect: self.scim.effect(GROUP, "u-ann"),
            holds: every_hold(store).await.into_iter().map(|hold| (hold.key, hold.state)).collect(),
            states: acts.filter(|act| act.starts_with("hold.")).collect(),
        }
    }
}
