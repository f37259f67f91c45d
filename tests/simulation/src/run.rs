//! One run of a plan: everything that happens, in its order, and what became of it.

mod erasure;
mod newer;
mod restore;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::queue::{Message, Queue};
use dutykey_engine::ports::rules::{ReadRules, WritePulse, WriteRules};
use dutykey_engine::tick::ticked_at;
use dutykey_policy::rota::PlatformUser;
use dutykey_policy::time::later;
use dutykey_runtime::clock::SeededChance;
use dutykey_store::Store;
use dutykey_targets::sandbox::{Account, OthersAct};
use futures_executor::{LocalPool, LocalSpawner};
use futures_util::task::LocalSpawnExt;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::due::{Dues, EVERY, MINUTE, Reads};
use crate::fleet::{Fleet, Ground};
use crate::office::Office;
use crate::oracle::{Violation, ledger};
use crate::plan::{Happening, Plan, Profile, System};
use crate::world::app::CompanyApps;
use crate::world::life::REDELIVERY;
use crate::world::platform::CompanyPlatforms;
use crate::world::queue::Queues;
use crate::world::{World, table};

/// A message that failed comes again after this time.
const AGAIN: Duration = Duration::from_secs(30);
/// How long it is watched whether the system comes to rest.
const HOUR: Duration = Duration::from_secs(3_600);
/// More steps than this in a simulated hour, and the system does not come to rest.
const BUSY: u64 = 200_000;

/// How a plan is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Leaves out ticks and reads that would find nothing.
    pub skip: bool,
    /// Keeps what happens, to be read.
    pub story: bool,
}

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// A digest of everything that has happened.
    pub trace: String,
    /// What has happened, where it was kept.
    pub story: Vec<String>,
    /// The promises that were not kept.
    pub violations: Vec<Violation>,
    /// How often each fault has struck.
    pub counts: BTreeMap<String, u64>,
    /// How many steps were checked.
    pub steps: u64,
    /// How many requests workers made, each counted before and after.
    pub points: u64,
    /// Records of evidence that were verified.
    pub records: u64,
    /// The lag of what nothing disturbed, in milliseconds.
    pub lags: Vec<i64>,
    /// What Dutykey has changed in the apps, one line a change.
    pub effects: Vec<String>,
    /// How often each function ran.
    pub runs: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// How often each place in the apps was changed.
    #[must_use]
    pub fn changes(&self) -> BTreeMap<&str, usize> {
        let places = self.effects.iter().filter_map(|line| line.split_once(' ')).map(|(_, place)| place);
        places.fold(BTreeMap::new(), |mut counts, place| {
            *counts.entry(place).or_default() += 1;
            counts
        })
    }
}

/// Runs a plan.
///
/// # Errors
/// The plan makes no sense.
pub fn run(plan: &Plan, options: Options) -> anyhow::Result<Outcome> {
    let world = Arc::new(World::new(plan.clone(), options.story));
    let mut pool = LocalPool::new();
    let embedded = Embedded::memory()?;
    let queues = Queues::new(world.clone());
    let platforms = Arc::new(CompanyPlatforms::new(&world)?);
    let apps = Arc::new(CompanyApps::new(&world)?);
    let ground = Ground { world: world.clone(), embedded: embedded.clone(), queues, platforms, apps };
    let ledger = table::store(&embedded, &world, false);
    let _ = world.ledger.set(ledger.clone());
    let over: Rc<RefCell<Option<anyhow::Result<u64>>>> = Rc::default();
    let course = Course::new(ground, ledger, pool.spawner(), options);
    let done = over.clone();
    pool.spawner().spawn_local(async move {
        let records = course.run().await;
        *done.borrow_mut() = Some(records);
    })?;
    let came_to_an_end = world.clock.run(&mut pool, || over.borrow().is_some());
    let now = world.now();
    let records = match over.borrow_mut().take() {
        Some(records) => records?,
        None => {
            world.oracle().violated("P10", now, format!("everybody waits for what cannot come: {came_to_an_end}"));
            0
        }
    };
    let (trace, story) = world.trace();
    let effects = ground_truth(&world);
    let (violations, lags) = {
        let mut oracle = world.oracle();
        (std::mem::take(&mut oracle.violations), std::mem::take(&mut oracle.lags))
    };
    Ok(Outcome {
        trace,
        story,
        violations,
        counts: world.counts(),
        steps: world.steps(),
        points: world.lives.points(),
        records,
        lags,
        effects,
        runs: world.runs(),
    })
}

fn ground_truth(world: &World) -> Vec<String> {
    let oracle = world.oracle();
    oracle.effects.iter().map(|(at, seat)| format!("{} {seat}", dutykey_policy::time::rfc3339(*at))).collect()
}

/// Something that happens at its time.
#[derive(Debug)]
enum Event {
    /// By the plan.
    Happens(Happening),
    /// What is done for a restore.
    Restore(restore::Act),
}

/// When ticks run, and which were left out.
struct Ticks {
    next: Timestamp,
    /// When the last tick ran, or was left out.
    last: Option<Timestamp>,
    /// The last of those that were left out since one has run.
    left_out: Option<Timestamp>,
    /// Whether ticks are missing by the plan since one has run.
    missed: bool,
    dues: Dues,
    /// How many writes there were when it was last looked at what is due.
    looked_at: u64,
}

impl Ticks {
    fn new(plan: &Plan) -> Self {
        let next = plan.at(plan.tick_second % 60);
        Self { next, last: None, left_out: None, missed: true, dues: Dues::default(), looked_at: u64::MAX }
    }
}

/// What the run is done with.
struct Course {
    ground: Ground,
    world: Arc<World>,
    ledger: Store,
    client: Client,
    spawner: LocalSpawner,
    options: Options,
    fleet: Rc<Fleet>,
    fleets: u64,
    busy: Rc<RefCell<usize>>,
    /// Until when people wait before they act again.
    waiting: Rc<RefCell<Vec<Timestamp>>>,
    ended: Rc<Notify>,
    profiles: Vec<Option<Profile>>,
    /// What has left the configuration.
    retired: BTreeSet<System>,
    version: u64,
    /// Backups of the table, by when they were taken.
    backups: BTreeMap<Timestamp, restore::Items>,
    /// The copy of the evidence, from which a table that was put back is still to be rebuilt.
    unrebuilt: Option<restore::Copied>,
    /// What administrators draw their IDs from.
    chance: Arc<SeededChance>,
}

impl Course {
    fn new(ground: Ground, ledger: Store, spawner: LocalSpawner, options: Options) -> Self {
        let world = ground.world.clone();
        Self {
            fleet: Rc::new(Fleet::start(&ground, 0)),
            client: table::client(table::counted(&ground.embedded, &world), &ground.embedded, &world),
            profiles: world.plan.profiles.iter().cloned().map(Some).collect(),
            chance: Arc::new(SeededChance::new(world.plan.seed)),
            ground,
            world,
            ledger,
            spawner,
            options,
            fleets: 0,
            busy: Rc::default(),
            waiting: Rc::default(),
            ended: Rc::new(Notify::new()),
            retired: BTreeSet::new(),
            version: 0,
            backups: BTreeMap::new(),
            unrebuilt: None,
        }
    }

    fn plan(&self) -> &Plan {
        &self.world.plan
    }

    async fn run(mut self) -> anyhow::Result<u64> {
        self.ledger.create_table("simulation").await?;
        self.configure().await?;
        let mut events = self.events().into_iter().peekable();
        let end = self.plan().at(self.plan().lasts.saturating_add(self.plan().rest));
        let mut ticks = Ticks::new(self.plan());
        let mut reads = Reads::new(self.plan());
        let mut next_read = self.plan().epoch;
        let mut hour = (self.plan().epoch, 0);
        let (mut troubles, mut turns) = (0, 0);
        loop {
            let now = self.world.now();
            if now >= end {
                break;
            }
            turns += 1;
            let steps = self.world.steps() + turns;
            if later(hour.0, HOUR) <= now {
                hour = (now, steps);
            }
            if steps > hour.1 + BUSY {
                self.world.oracle().violated(
                    "P10",
                    now,
                    format!("{BUSY} steps in an hour, and it does not come to rest"),
                );
                break;
            }
            // Whoever's time to act has come has been woken, and acts first: nothing may be left out before they have.
            if self.waiting.borrow().iter().any(|at| *at <= now) {
                tokio::task::yield_now().await;
                continue;
            }
            // A worker that died may have read a platform and told nobody; what the brake holds is judged at each read.
            let counted = self.world.unforeseen();
            if counted != troubles {
                troubles = counted;
                reads.add(now, later(now, EVERY * 3));
                for profile in self.plan().profiles.iter().filter(|_| self.world.braked()) {
                    let over = later(now, Duration::from_secs(profile.leased().into()));
                    reads.add(over, later(over, EVERY * 4));
                }
            }
            while let Some((_, event)) = events.next_if(|(at, _)| *at <= now) {
                match event {
                    Event::Happens(happening) => self.happens(&happening).await?,
                    Event::Restore(act) => {
                        // A backup holds what ticks left behind, and after a restore they find what they had sent already.
                        self.catch_up(&mut ticks).await;
                        ticks.missed = true;
                        self.restore(act).await?;
                    }
                }
            }
            let paused = self.silent_at(now, |happening| matches!(happening, Happening::Pause { .. }));
            while !paused && let Some((queue, message)) = self.ground.queues.take(now) {
                self.catch_up(&mut ticks).await;
                self.start(queue, message);
            }
            if next_read <= now {
                if !paused && (!self.options.skip || reads.finds(now)) {
                    reads.read(now);
                    self.read(now);
                }
                next_read = later(next_read, EVERY);
            }
            if ticks.next <= now {
                self.minute(&mut ticks, now).await;
            }
            let event = events.peek().map_or(Timestamp::MAX, |(at, _)| *at);
            let message = if paused { None } else { self.ground.queues.next_at() };
            let read = if self.options.skip { reads.next(next_read) } else { next_read };
            let acts = self.waiting.borrow().iter().min().copied().unwrap_or(Timestamp::MAX);
            let wakes = event.min(read).min(message.unwrap_or(Timestamp::MAX)).min(acts).min(end);
            if self.options.skip && *self.busy.borrow() == 0 {
                self.leave_out(&mut ticks, wakes).await;
            }
            while next_read < wakes.min(ticks.next) && next_read < read {
                next_read = later(next_read, EVERY);
            }
            tokio::select! {
                biased;
                () = self.ground.queues.changed() => {}
                () = self.ended.notified() => {}
                () = self.world.clock.until(wakes.min(ticks.next)) => {}
            }
        }
        let now = self.world.now();
        self.world.oracle().at_rest(now);
        self.still_says();
        ledger::left_over(&self.world, &self.ledger).await;
        Ok(ledger::evidence(&self.world, &self.ledger).await)
    }

    /// The minute of a tick has come.
    async fn minute(&self, ticks: &mut Ticks, now: Timestamp) {
        let silent = self
            .silent_at(now, |happening| matches!(happening, Happening::Pause { .. } | Happening::TickSkipped { .. }));
        if silent {
            self.catch_up(ticks).await;
            ticks.missed = true;
        } else {
            if self.options.skip && !ticks.missed {
                self.look(ticks).await;
            }
            if !self.options.skip || ticks.missed || ticks.dues.next(ticks.last) <= now {
                self.catch_up(ticks).await;
                ledger::late_is_shown(&self.world).await;
                self.tick();
                ticks.missed = false;
            } else {
                ticks.left_out = Some(now);
            }
            ticks.last = Some(now);
        }
        ticks.next = later(ticks.next, MINUTE);
    }

    /// Looks at what is due, where anything was written since that may have moved it.
    async fn look(&self, ticks: &mut Ticks) {
        let writes = self.world.writes.count();
        if ticks.looked_at != writes {
            (ticks.dues, ticks.looked_at) = (Dues::look(&self.client).await, writes);
        }
    }

    /// Leaves out the ticks before `wakes` that would find nothing: nothing else happens until then.
    async fn leave_out(&self, ticks: &mut Ticks, wakes: Timestamp) {
        if ticks.missed || ticks.next >= wakes {
            return;
        }
        self.look(ticks).await;
        let silence =
            |happening: &Happening| matches!(happening, Happening::Pause { .. } | Happening::TickSkipped { .. });
        while ticks.next < wakes && ticks.dues.next(ticks.last) > ticks.next && !self.silent_at(ticks.next, silence) {
            ticks.left_out = Some(ticks.next);
            ticks.last = Some(ticks.next);
            ticks.next = later(ticks.next, MINUTE);
        }
    }

    /// Whether the plan silences something at that time.
    fn silent_at(&self, at: Timestamp, what: impl Fn(&Happening) -> bool) -> bool {
        self.plan().happens.iter().filter(|happening| what(happening)).any(|happening| match happening {
            Happening::Pause { from, to }
            | Happening::TickSkipped { from, to }
            | Happening::TickDoubled { from, to } => self.plan().at(*from) <= at && at < self.plan().at(*to),
            _ => false,
        })
    }

    /// What ticks would have left behind that found nothing and were left out.
    async fn catch_up(&self, ticks: &mut Ticks) {
        let Some(at) = ticks.left_out.take() else { return };
        let clock = self.plan().clocks_ms.last().copied().unwrap_or_default();
        let at = at.checked_add(jiff::SignedDuration::from_millis(clock)).unwrap_or(at);
        let Ok(pulse) = self.ledger.pulse().await else { return };
        if pulse.ticked_at.is_some_and(|ticked| ticked >= at) {
            return;
        }
        let _ = self.ledger.keep_pulse(&ticked_at(pulse, at)).await;
    }

    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        *self.busy.borrow_mut() += 1;
        let (busy, ended) = (self.busy.clone(), self.ended.clone());
        // A pool that is gone has ended the run already.
        let _ = self.spawner.spawn_local(async move {
            work.await;
            *busy.borrow_mut() -= 1;
            ended.notify_one();
        });
    }

    fn start(&self, queue: Queue, message: Message) {
        let (world, fleet, queues) = (self.world.clone(), self.fleet.clone(), self.ground.queues.clone());
        world.did(match queue {
            Queue::Sync => "reads of a platform",
            Queue::Provisioning => "looks at beginnings",
            Queue::Revocation => "looks at ends",
        });
        let begun = world.now();
        self.spawn(async move {
            let done = world.lives.live(fleet.take(queue, &message)).await;
            let now = world.now();
            match done {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    world.tell(|| format!("a message fails: {error}"));
                    world.oracle().message_failed(&error, begun, now);
                    queues.put(queue, message, later(now, AGAIN));
                }
                None => queues.put(queue, message, later(now, REDELIVERY)),
            }
        });
    }

    fn tick(&self) {
        let doubled = self.silent_at(self.world.now(), |happening| matches!(happening, Happening::TickDoubled { .. }));
        for _ in 0..=usize::from(doubled) {
            self.world.did("ticks");
            let (world, fleet) = (self.world.clone(), self.fleet.clone());
            self.spawn(async move {
                let _ = world.lives.live(fleet.tick()).await;
            });
        }
    }

    fn read(&self, now: Timestamp) {
        for source in self.ground.platforms.sources() {
            self.ground.queues.put(Queue::Sync, Message::rota(source.clone(), None, "schedule"), now);
        }
    }

    fn events(&self) -> Vec<(Timestamp, Event)> {
        let at = |happening: &Happening| match happening {
            Happening::Deploy { at }
            | Happening::Others { at, .. }
            | Happening::Valued { at, .. }
            | Happening::Leaves { at, .. }
            | Happening::Renamed { at, .. }
            | Happening::Block { at, .. }
            | Happening::Lift { at }
            | Happening::Takes { at, .. }
            | Happening::Asks { at, .. }
            | Happening::GivesBack { at, .. }
            | Happening::Retires { at, .. }
            | Happening::Releases { at, .. }
            | Happening::Departs { at, .. }
            | Happening::Erases { at, .. }
            | Happening::LinksAlone { at, .. }
            | Happening::RolledBack { at }
            | Happening::Edit { at, .. } => Some(self.plan().at(*at)),
            Happening::Pause { from, .. } => Some(self.plan().at(*from)),
            _ => None,
        };
        let wakes = self.plan().happens.iter().filter_map(|happening| match happening {
            Happening::Pause { to, .. } => Some((self.plan().at(*to), Happening::Deploy { at: *to })),
            _ => None,
        });
        let mut events: Vec<_> = self
            .plan()
            .happens
            .iter()
            .filter_map(|happening| Some((at(happening)?, happening.clone())))
            .chain(wakes)
            .map(|(at, happening)| (at, Event::Happens(happening)))
            .chain(restore::acts(self.plan()).into_iter().map(|(at, act)| (at, Event::Restore(act))))
            .collect();
        events.sort_by_key(|(at, _)| *at);
        events
    }

    async fn configure(&mut self) -> anyhow::Result<()> {
        let installation = crate::company::installation(self.plan(), &self.profiles, &self.retired)?;
        self.version = self.ledger.configure(self.version, &installation, self.world.now()).await?;
        Ok(())
    }

    async fn happens(&mut self, happening: &Happening) -> anyhow::Result<()> {
        let (world, now) = (self.world.clone(), self.world.now());
        world.tell(|| format!("{happening:?}"));
        let account = |person: usize| {
            world.plan.people.get(person).and_then(|human| human.accounts.first()).and_then(|(id, _)| id.parse().ok())
        };
        match happening {
            Happening::Deploy { .. } | Happening::Pause { .. } => self.deploy(),
            Happening::Others { app, group, person, add, .. } => {
                let group =
                    world.plan.apps.get(*app).and_then(|app| app.groups.get(*group)).map(|group| group.id.clone());
                if let (Some(target), Some(account), Some(group)) = (self.ground.apps.of(*app), account(*person), group)
                {
                    target.others(if *add {
                        OthersAct::Add { account, group }
                    } else {
                        OthersAct::Remove { account, group }
                    });
                    world.struck("others: a group changed");
                }
            }
            Happening::Valued { app, person, value, .. } => {
                let roles = world.plan.apps.get(*app).map_or(&[][..], |app| app.roles.as_slice());
                let value = value.and_then(|value| roles.get(value)).cloned();
                if let (Some(target), Some(account)) = (self.ground.apps.of(*app), account(*person)) {
                    target.others(OthersAct::Set { account, value });
                    world.struck("others: a value changed");
                }
            }
            Happening::Leaves { person, .. } => {
                let human = world.plan.people.get(*person);
                for (id, address) in human.map_or(&[][..], |human| human.accounts.as_slice()) {
                    let account = Account { id: id.parse()?, address: address.clone(), active: false };
                    self.ground.apps.all().for_each(|target| target.others(OthersAct::Account(account.clone())));
                }
                world.oracle().leaves(*person, now);
            }
            Happening::Renamed { person, address, .. } => {
                let user = PlatformUser {
                    id: Plan::user(*person).parse()?,
                    email: Some(address.clone()),
                    name: None,
                    active: Some(true),
                };
                self.ground.platforms.replace_user(&user);
                world.oracle().renames(*person, address);
            }
            Happening::Block { denies, freeze, until, .. } => self.office().block(denies, *freeze, *until).await?,
            Happening::Lift { .. } => self.office().lift().await?,
            Happening::Takes { person, profile, lasts, back, .. } => {
                self.spawn(self.office().takes(*person, *profile, *lasts, *back));
            }
            Happening::Asks { .. } => self.spawn(self.office().asks(happening.clone())),
            Happening::Releases { after, .. } => self.spawn(self.office().releases(*after)),
            Happening::Edit { profile, to, .. } => {
                if let Some(known) = self.profiles.get_mut(*profile) {
                    *known = to.clone();
                }
                // What is not rebuilt yet takes no configuration; it gets this one then.
                if self.unrebuilt.is_none() {
                    self.configure().await?;
                }
                world.oracle().edited(*profile, to.clone(), now);
            }
            Happening::GivesBack { person, profile, .. } => self.office().gives_back(*person, *profile).await?,
            Happening::Retires { what, .. } => {
                self.retired.insert(what.clone());
                if self.unrebuilt.is_none() {
                    self.configure().await?;
                }
                world.struck(match what {
                    System::App(_) => "an app retires",
                    System::Source(_) => "a source retires",
                });
                world.oracle().retires(what.clone(), now);
            }
            Happening::Departs { person, .. } => {
                self.ground.platforms.remove_user(&Plan::user(*person).parse()?);
                world.struck("somebody departs");
            }
            Happening::Erases { person, .. } => self.erases(*person).await?,
            Happening::LinksAlone { person, to, .. } => {
                self.office().links_alone(*person, *to).await?;
                self.version = self.ledger.installation().await?.map_or(0, |configured| configured.version);
            }
            Happening::RolledBack { .. } => self.rolled_back().await?,
            _ => {}
        }
        Ok(())
    }

    /// Every worker is replaced by a fresh one.
    fn deploy(&mut self) {
        self.world.lives.end_all();
        self.fleets += 1;
        self.fleet = Rc::new(Fleet::start(&self.ground, self.fleets));
    }

    /// Where people and administrators act.
    fn office(&self) -> Office {
        Office {
            ground: self.ground.clone(),
            ledger: self.ledger.clone(),
            chance: self.chance.clone(),
            waiting: self.waiting.clone(),
            busy: self.busy.clone(),
        }
    }
}
