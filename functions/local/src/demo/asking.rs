//! Somebody on call asks for more than the shift gives, and the person on call in another rotation approves it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::FindPeople as _;
use dutykey_engine::request::{Caller, Order, Requests};
use dutykey_policy::request::Verdict;
use dutykey_policy::time::later;
use dutykey_runtime::clock::SystemChance;
use dutykey_store::Store;
use jiff::Timestamp;

use super::Screen;
use super::show::{Line, Tone, offset};
use crate::process::Process;

/// When Bob asks, and tries to approve it himself.
const ASKS: Duration = Duration::from_millis(15_500);
/// When Dan approves it: he is on call in the other rotation since a moment before.
const APPROVES: Duration = Duration::from_millis(18_500);

/// What people do by themselves.
pub(super) struct Asking {
    requests: Requests,
    store: Store,
    clock: Arc<dyn Clock>,
    epoch: Timestamp,
}

impl Asking {
    pub(super) fn new(store: &Store, process: &Process, clock: Arc<dyn Clock>, epoch: Timestamp) -> Self {
        let shared = Arc::new(store.clone());
        let requests = Requests {
            ledger: shared.clone(),
            people: shared.clone(),
            rota: shared.clone(),
            rules: shared,
            queues: process.queues(),
            clock: clock.clone(),
            chance: Arc::new(SystemChance),
        };
        Self { requests, store: store.clone(), clock, epoch }
    }

    /// Asks and approves in time, and shows it.
    pub(super) async fn go_on(&self, screen: &Screen) -> anyhow::Result<()> {
        let say = |who: &str, what: &str, why: &str| {
            let (who, what, why) = (who.to_owned(), what.to_owned(), why.to_owned());
            screen.line(&offset(self.epoch, self.clock.now()), &Line { tone: Tone::Calm, who, what, why });
        };
        self.clock.sleep_until(later(self.epoch, ASKS)).await;
        let bob = self.caller("bob@example.com").await?;
        let justification = Some("the disk of db-3 is full".to_owned());
        let order = Order { wanted: Duration::from_secs(60), justification, incident: Some("INC-7".to_owned()) };
        let asked = self.requests.ask(&bob, &"debug".parse()?, None, order, None).await?;
        say("Bob", "asks for prod-debug", "for 1m: the disk of db-3 is full");
        match self.requests.decide(&bob, &asked, Verdict::Approve, None).await {
            Ok(()) => anyhow::bail!("P13: somebody has approved their own request"),
            Err(refused) => say("Bob", "may not approve it himself", &refused.to_string()),
        }
        self.clock.sleep_until(later(self.epoch, APPROVES)).await;
        let dan = self.caller("dan@example.com").await?;
        self.requests.decide(&dan, &asked, Verdict::Approve, Some("until your shift ends".to_owned())).await?;
        say("Dan", "approves it", "on call in pager:incident-lead; it ends with Bob's shift");
        Ok(())
    }

    async fn caller(&self, address: &str) -> anyhow::Result<Caller> {
        let person = self.store.find_person(address).await?;
        let person = person.with_context(|| format!("{address} is nobody whom the platform has shown"))?;
        Ok(Caller { person, groups: Default::default() })
    }
}
