//! Where people and administrators act: through the same code as the API.

mod alone;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dutykey_engine::block::{BlockError, Blocks, Denial};
use dutykey_engine::brake::{Brakes, By, Said, Word};
use dutykey_engine::emergency::Emergencies;
use dutykey_engine::ports::ledger::FindPeople as _;
use dutykey_engine::ports::queue::Enqueue;
use dutykey_engine::request::{Caller, Order, Requests};
use dutykey_policy::block::{Denied, Reach};
use dutykey_policy::id::{PersonId, ProfileId, RequestId, RotationId};
use dutykey_policy::request::Verdict;
use dutykey_policy::time::later;
use dutykey_runtime::clock::SeededChance;
use dutykey_store::Store;
use jiff::Timestamp;

use crate::company::{APPROVERS, RESCUERS};
use crate::fleet::Ground;
use crate::oracle::given::Bound;
use crate::plan::{Denies, Happening, Plan, Second};
use crate::world::World;
use crate::world::platform::their_clock;
use crate::world::queue::Sender;

/// Where people act.
pub(crate) struct Office {
    /// What everything works on.
    pub(crate) ground: Ground,
    /// A table that never fails.
    pub(crate) ledger: Store,
    /// What IDs are drawn from.
    pub(crate) chance: Arc<SeededChance>,
    /// Until when people wait before they act again.
    pub(crate) waiting: Rc<RefCell<Vec<Timestamp>>>,
    /// How many are at work. Whoever waits is not.
    pub(crate) busy: Rc<RefCell<usize>>,
}

fn long(seconds: Second) -> Duration {
    Duration::from_secs(seconds.into())
}

impl Office {
    fn world(&self) -> &World {
        &self.ground.world
    }

    fn plan(&self) -> &Plan {
        &self.ground.world.plan
    }

    fn queues(&self) -> Arc<dyn Enqueue> {
        Arc::new(Sender { queues: self.ground.queues.clone(), clock: their_clock(&self.world().clock) })
    }

    fn blocks(&self) -> Blocks {
        Blocks {
            blocks: Arc::new(self.ledger.clone()),
            queues: self.queues(),
            clock: their_clock(&self.world().clock),
            chance: self.chance.clone(),
        }
    }

    fn requests(&self) -> Requests {
        let store = Arc::new(self.ledger.clone());
        Requests {
            ledger: store.clone(),
            people: store.clone(),
            rota: store.clone(),
            rules: store,
            queues: self.queues(),
            clock: their_clock(&self.world().clock),
            chance: self.chance.clone(),
        }
    }

    fn emergencies(&self) -> Emergencies {
        let store = Arc::new(self.ledger.clone());
        Emergencies {
            ledger: store.clone(),
            people: store.clone(),
            emergencies: store.clone(),
            rules: store,
            queues: self.queues(),
            clock: their_clock(&self.world().clock),
            chance: self.chance.clone(),
        }
    }

    fn brakes(&self) -> Brakes {
        Brakes::over(Arc::new(self.ledger.clone()), their_clock(&self.world().clock))
    }

    /// The digests of what the brake holds of rotations, the longest held first.
    async fn held(&self) -> Vec<String> {
        let Ok(holding) = self.brakes().holding().await else { return Vec::new() };
        holding.rotations.into_iter().map(|(_, held)| held.digest).collect()
    }

    /// Whether anything is taken from people: not before a restored table is rebuilt.
    async fn is_open(&self) -> bool {
        self.ledger.may_record().await.is_ok()
    }

    /// The person of a number, where nobody can be taken for them and anything is taken from them.
    pub(crate) async fn person(&self, number: usize) -> Option<PersonId> {
        if !self.is_open().await {
            return None;
        }
        if !self.world().oracle().is_sure_of(number) {
            return None;
        }
        let address = self.plan().people.get(number)?.address.to_lowercase();
        self.ledger.find_person(&address).await.ok().flatten()
    }

    /// Somebody else than the person of a number, where there is anybody.
    pub(crate) async fn another(&self, than: usize) -> Option<PersonId> {
        for number in (0..self.plan().people.len()).filter(|number| *number != than) {
            if let Some(person) = self.person(number).await {
                return Some(person);
            }
        }
        None
    }

    async fn wait(&self, from: Timestamp, seconds: Second) {
        let until = later(from, long(seconds));
        self.waiting.borrow_mut().push(until);
        *self.busy.borrow_mut() -= 1;
        self.world().clock.until(until).await;
        *self.busy.borrow_mut() += 1;
        let mut waiting = self.waiting.borrow_mut();
        if let Some(place) = waiting.iter().position(|at| *at == until) {
            waiting.swap_remove(place);
        }
    }

    /// An administrator denies.
    pub(crate) async fn block(&self, denies: &Denies, freeze: bool, until: Option<Second>) -> anyhow::Result<()> {
        if !self.is_open().await {
            return Ok(());
        }
        let plan = self.plan();
        let denied = match denies {
            Denies::Everything => Denied::Everything,
            Denies::Person(person) => {
                let address = plan.people.get(*person).map(|human| human.address.to_lowercase()).unwrap_or_default();
                match self.ledger.find_person(&address).await? {
                    Some(person) => Denied::Person(person),
                    None => return Ok(()),
                }
            }
            Denies::Profile(number) => match plan.profiles.get(*number) {
                Some(profile) => Denied::Profile(profile.id.parse()?),
                None => return Ok(()),
            },
            Denies::App(number) => match plan.apps.get(*number) {
                Some(app) => Denied::App(app.id.parse()?),
                None => return Ok(()),
            },
        };
        let until_at = until.map(|until| plan.at(until));
        let denial = Denial {
            denied,
            reach: if freeze { Reach::Freeze } else { Reach::Revoke },
            until: until_at,
            author: "an administrator".to_owned(),
            reason: "simulated".to_owned(),
        };
        let now = self.world().now();
        let block = self.blocks().place(denial).await?;
        self.world().struck("a block");
        self.world().oracle().blocked(block.id, denies.clone(), freeze, now, until_at);
        Ok(())
    }

    /// An administrator lifts the last block.
    pub(crate) async fn lift(&self) -> anyhow::Result<()> {
        let Some(id) = self.world().oracle().last_block() else { return Ok(()) };
        if !self.is_open().await {
            return Ok(());
        }
        match self.blocks().lift(&id, "another administrator").await {
            Ok(()) => {
                let now = self.world().now();
                self.world().struck("a block is lifted");
                self.world().oracle().lifted(&id, now);
                Ok(())
            }
            // It has ended by itself.
            Err(BlockError::NoBlock(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Somebody gives a profile back that they have by being on call.
    pub(crate) async fn gives_back(&self, number: usize, profile: usize) -> anyhow::Result<()> {
        let (Some(id), Some(person)) = (self.profile(profile), self.person(number).await) else { return Ok(()) };
        match self.blocks().give_back(&person, &id, &self.ledger, &self.ledger).await {
            Ok(block) => {
                self.world().struck("a profile is given back");
                self.world().oracle().returned(number, profile, block.from, block.until);
                Ok(())
            }
            // They are not on call, as far as Dutykey knows.
            Err(BlockError::NotEnrolled(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// An administrator reads what the brake holds, and releases it a while later by the digest that they have read: where it
    /// has become another plan since, nothing may change (R7).
    pub(crate) async fn releases(self, after: Second) {
        let Some(digest) = self.held().await.into_iter().next() else { return };
        self.wait(self.world().now(), after).await;
        let waits = self.held().await.contains(&digest);
        let said = self.brakes().say(&digest, Word::Release, &By::CommandLine).await;
        let now = self.world().now();
        match said {
            Ok(Said::Rotations { rotations, .. }) if waits => {
                self.world().struck("a held change is released");
                for rotation in rotations {
                    self.world().oracle().lets_pass(&rotation, now);
                }
            }
            Ok(said) => {
                let what = format!("the brake does not hold {digest} any more, and a release of it is taken: {said:?}");
                self.world().oracle().violated("P7", now, what);
            }
            Err(_) => self.world().struck("a release is refused: it is another plan by now"),
        }
    }

    /// Somebody takes a profile in an emergency, and may give it back.
    pub(crate) async fn takes(self, number: usize, profile: usize, lasts: Second, back: Option<Second>) {
        let Some(id) = self.profile(profile) else { return };
        let Some(person) = self.person(number).await else { return };
        let caller = Caller { person, groups: [RESCUERS.to_owned()].into() };
        let order = Order { wanted: long(lasts), justification: Some("it burns".to_owned()), incident: None };
        let asked = self.world().now();
        let Ok(taken) = self.emergencies().take(&caller, &id, order).await else { return };
        let from = self.world().now();
        self.world().struck("a profile is taken in an emergency");
        let bound = Bound { person: number, profile, rotation: None, until: later(from, long(lasts)) };
        // It began at some time between.
        let given = self.world().oracle().gives_to(bound, from, later(asked, long(lasts)));
        if let Some(back) = back {
            self.wait(from, back).await;
            if self.is_open().await && self.emergencies().give_back(&caller, &taken).await.is_ok() {
                let now = self.world().now();
                self.world().oracle().given_back(given, now);
            }
        }
    }

    /// Somebody asks for a profile; what becomes of it.
    pub(crate) async fn asks(self, happening: Happening) {
        let Happening::Asks { person: number, profile, rotation, lasts, decided, more, back, .. } = happening else {
            return;
        };
        let (Some(id), Some(on_call)) = (self.profile(profile), self.rotation(rotation)) else { return };
        let Some(person) = self.person(number).await else { return };
        let caller = Caller { person, groups: [].into() };
        let order = |lasts| Order { wanted: long(lasts), justification: None, incident: None };
        let before = self.world().now();
        let asked = self.requests().ask(&caller, &id, Some(&on_call), order(lasts), None).await;
        let Ok(request) = asked else { return };
        self.world().struck("a request is asked");
        let begun = self.world().now();
        let given = match self.access(&request).await {
            Some(_) => Some((before, begun)),
            None => {
                let Some((after, approves)) = decided else { return };
                self.wait(begun, after).await;
                self.decide(number, &request, approves).await
            }
        };
        let Some((before, from)) = given else { return };
        self.world().struck("a request is approved");
        let bound = Bound { person: number, profile, rotation: Some(rotation), until: later(from, long(lasts)) };
        let given = self.world().oracle().gives_to(bound, from, later(before, long(lasts)));
        if let Some((after, lasts)) = more {
            self.wait(from, after).await;
            let before = self.world().now();
            if self.is_open().await && self.requests().longer(&caller, &request, order(lasts)).await.is_ok() {
                let asked = self.world().now();
                let at = match self.waits(&request).await {
                    false => Some((before, asked)),
                    true => match decided {
                        Some((after, approves)) => {
                            self.wait(asked, after).await;
                            self.decide(number, &request, approves).await
                        }
                        None => None,
                    },
                };
                if let Some((before, at)) = at {
                    self.world().struck("a request is given more time");
                    let (most, least) = (later(at, long(lasts)), later(before, long(lasts)));
                    self.world().oracle().given_longer(given, most, least, at);
                }
            }
        }
        if let Some(back) = back {
            self.wait(from, back).await;
            if self.is_open().await && self.requests().cancel(&caller, &request).await.is_ok() {
                let now = self.world().now();
                self.world().oracle().given_back(given, now);
            }
        }
    }

    /// Somebody else decides; between what instants, where that lets the request go on.
    async fn decide(&self, asker: usize, request: &RequestId, approves: bool) -> Option<(Timestamp, Timestamp)> {
        let approver = self.another(asker).await?;
        let caller = Caller { person: approver, groups: [APPROVERS.to_owned()].into() };
        let verdict = if approves { Verdict::Approve } else { Verdict::Deny };
        let before = self.world().now();
        self.requests().decide(&caller, request, verdict, None).await.ok()?;
        let now = self.world().now();
        approves.then_some((before, now))
    }

    async fn access(&self, request: &RequestId) -> Option<Timestamp> {
        let request = self.ledger.request(request).await.ok().flatten()?;
        request.access().map(|access| access.from)
    }

    async fn waits(&self, request: &RequestId) -> bool {
        let request = self.ledger.request(request).await.ok().flatten();
        request.is_some_and(|request| request.ask().is_some())
    }

    fn profile(&self, number: usize) -> Option<ProfileId> {
        self.plan().profiles.get(number)?.id.parse().ok()
    }

    fn rotation(&self, number: usize) -> Option<RotationId> {
        let rotation = self.plan().rotations.get(number)?;
        format!("{}:{}", rotation.source, rotation.id).parse().ok()
    }
}
