//! A worker's look at one person: all that is due for them on its side, in rounds of one transaction for the intents,
//! the calls side by side, and one transaction for the results.

use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::bug::Bug;
use dutykey_policy::evidence::of_hold;
use dutykey_policy::hold::step::{self, Facts, Order, Purpose, Step, Verdict, after_read, unreadable};
use dutykey_policy::hold::{Hold, Observation, Side, State};
use dutykey_policy::id::{AppId, PersonId};
use dutykey_policy::identity::Account;
use dutykey_policy::look::{Due, Look, Planned, decision_time, look, tell_unreached};
use dutykey_policy::time::later;
use dutykey_policy::turn;
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::call::{Caller, unread};
use crate::directory::{self, directory_app};
use crate::due::{NEARLY, announce, send, soonest};
use crate::ports::clock::{Chance, Clock, trusted};
use crate::ports::ledger::{Committed, LivePerson, Notice, PersonChange, PersonHead, StoreError, WriteLedger};
use crate::ports::queue::{About, Enqueue, Message};
use crate::ports::rota::ReadRota;
use crate::ports::rules::ReadRules;
use crate::ports::sweep::WorkSweeps;
use crate::ports::target::Targets;
use crate::ports::turns::ReadTurns;
use crate::ports::witness::{Event, Witness};
use crate::settle;
use crate::snapshot::Snapshot;
use crate::told::{self, Reach};
use crate::turns::{self, Intended, Shared};

/// A look that finds work this often hands the rest to a message.
const ROUNDS: usize = 12;
/// How often a loser of a race reads again before it hands over to a message.
const RACES: usize = 8;
/// How long until an app is tried again whose credentials cannot be read.
const NO_ADAPTER: Duration = Duration::from_secs(30);

/// A worker on one side: provisioning or revocation.
#[derive(Clone)]
pub struct Worker {
    /// Beginnings or ends.
    pub side: Side,
    /// The name under which its acts are recorded.
    pub actor: &'static str,
    /// People's items.
    pub ledger: Arc<dyn WriteLedger>,
    /// Rotations' heads.
    pub rota: Arc<dyn ReadRota>,
    /// Profiles, blocks, the installation.
    pub rules: Arc<dyn ReadRules>,
    /// Sweeps, which the side of beginnings works off.
    pub sweeps: Arc<dyn WorkSweeps>,
    /// Who holds which turn at the apps.
    pub turns: Arc<dyn ReadTurns>,
    /// Adapters of the apps.
    pub targets: Arc<dyn Targets>,
    /// The queues of both sides.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter.
    pub chance: Arc<dyn Chance>,
    /// Whoever watches.
    pub witness: Arc<dyn Witness>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("side", &self.side).finish_non_exhaustive()
    }
}

/// What one round did.
enum Round {
    /// There may be more.
    Again,
    /// Nothing is due on this side before then.
    Until(Option<Timestamp>),
}

/// What a look knows of others that look at the same person on its side.
#[derive(Default)]
struct Others {
    /// Whether somebody wrote after this look last did.
    ahead: bool,
    /// When this side was due by what was read last.
    next: Option<Timestamp>,
}

impl Others {
    /// Takes in when this side is due by what is read now. Answers whether others have moved that: then they wait for it,
    /// or have sent its message, and this look need not. Looks that came together would go on together for ever else.
    fn have_it(&mut self, next: Option<Timestamp>) -> bool {
        let before = std::mem::replace(&mut self.next, next);
        self.ahead && before != next
    }
}

impl Worker {
    /// Takes a message: waits until its time, then looks, or goes on with a sweep. A message about a rotation or a catalog
    /// is not for a worker.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn take(&self, message: &Message) -> Result<(), StoreError> {
        self.clock.sleep_until(message.not_before.unwrap_or(Timestamp::MIN)).await;
        match &message.about {
            About::Person { person } => self.look(person).await,
            About::Sweep { sweep } => self.sweep(sweep).await,
            About::Rota { .. } | About::Catalog { .. } => Ok(()),
        }
    }

    /// Takes everything that is due for the person on this side.
    ///
    /// # Errors
    /// The table cannot be used. Whatever was recorded by then stands, and the next look goes on from there.
    pub async fn look(&self, person: &PersonId) -> Result<(), StoreError> {
        let (mut races, mut others) = (0, Others::default());
        for _ in 0..ROUNDS {
            match self.round(person, &mut others).await {
                Ok(Round::Again) => others.ahead = false,
                Ok(Round::Until(next)) => match next.filter(|at| *at <= later(self.clock.now(), NEARLY)) {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => return Ok(()),
                },
                Err(StoreError::Changed(_)) if races < RACES => {
                    races += 1;
                    others.ahead = true;
                    self.jitter(races).await;
                }
                Err(StoreError::Changed(_)) => break,
                Err(error) => return Err(error),
            }
        }
        self.send(self.side, person, self.clock.now(), "more").await;
        Ok(())
    }

    async fn jitter(&self, races: usize) {
        let [byte, ..] = self.chance.bytes();
        let span = 10_u64.saturating_mul(1 << races.min(6));
        self.clock.sleep_until(later(self.clock.now(), Duration::from_millis(span * u64::from(byte) / 255))).await;
    }

    async fn round(&self, id: &PersonId, others: &mut Others) -> Result<Round, StoreError> {
        let Some(live) = self.ledger.load(id).await? else { return Ok(Round::Until(None)) };
        let due = if self.side == Side::Starts { &live.head.next_start } else { &live.head.next_end };
        let taken = others.have_it(due.as_ref().map(|due| due.at));
        trusted(self.clock.as_ref())?;
        let now = decision_time(self.clock.now(), live.head.last_at);
        let Some(mut snapshot) =
            Snapshot::read(self.rules.as_ref(), self.rota.as_ref(), &live.enrollments, now).await?
        else {
            return Ok(Round::Until(None));
        };
        if let Some(standstill) = snapshot.standstill.as_ref().filter(|_| !Bug::RestoreUnnoticed.is_chosen()) {
            // What is due stays due, and the tick goes on finding it, and says so once.
            tracing::debug!(person.id = %id, "nothing is begun or ended for {id}: {standstill}");
            return Ok(Round::Until(None));
        }
        self.provide(&live, &mut snapshot).await;
        if let (Some(_), Some(directory)) = (live.person.held_since, snapshot.installation.directory.clone()) {
            snapshot.know_roll(self.ledger.roll(&directory).await?);
        }
        let view = self.view(&live, &live.holds, &snapshot, now);
        if self.side == Side::Starts {
            if let Some(change) = self.settle(&live, &snapshot, now).await? {
                let head = self.commit(&change).await?;
                self.announce(id, &live.head, &head, now).await;
                return Ok(Round::Again);
            }
            for (entitlement, reason) in &view.observed {
                let (entitlement, reason) = (entitlement.clone(), reason.clone());
                self.witness.saw(&Event::WouldHold { person: id.clone(), entitlement, reason });
            }
            let asked = directory::due(&live, &snapshot, now).is_some_and(|at| at <= now);
            if asked || !view.unresolved.is_empty() {
                let mut unresolved = view.unresolved;
                let unlinked = |app: &AppId| !matches!(live.person.accounts.get(app), Some(Account::Linked(_)));
                unresolved.extend(directory_app(&snapshot).filter(|app| asked && unlinked(app)));
                let unresolved = unresolved.into_iter().collect();
                return self.identify(&live, &snapshot, unresolved, now).await.map(|()| Round::Again);
            }
        }
        let due = |planned: &Planned| {
            planned.step.side() == Some(self.side) && planned.step.due(now).is_some_and(|at| at <= now)
        };
        let tell = |hold: &Hold, reach| self.side == Side::Ends && told::is_due(hold, reach, now);
        let awake = view.holds.iter().filter(|planned| due(planned) || tell(&planned.hold, Reach::There)).cloned();
        let missed = live.holds.iter().filter(|hold| reach(&snapshot, hold) == Reach::Missing);
        let asleep = missed.filter(|hold| tell(hold, Reach::Missing)).map(|hold| undecided(hold, now));
        let mine = turns::together(awake.chain(asleep), &snapshot);
        if mine.is_empty() {
            return self.rest(&live, view.next_start, view.next_end, now, taken).await;
        }
        self.act(&live, &snapshot, mine, now).await.map(|()| Round::Again)
    }

    /// What is due for the person with these holds. Without its adapter nothing of an app is decided: neither begun nor
    /// ended.
    fn view(&self, live: &LivePerson, holds: &[Hold], snapshot: &Snapshot, now: Timestamp) -> Look {
        let (asleep, awake): (Vec<Hold>, Vec<Hold>) =
            holds.iter().cloned().partition(|hold| snapshot.misses(&hold.key.app));
        let mut view = look(&live.person, &live.enrollments, &awake, &live.written_off, snapshot, now);
        if !asleep.is_empty() || snapshot.apps().iter().any(|app| snapshot.misses(app)) {
            let due = Due { at: later(now, NO_ADAPTER), cause: "no adapter".to_owned() };
            view.next_start = soonest(view.next_start, Some(due.clone()));
            view.next_end = soonest(view.next_end, Some(due));
        }
        for at in asleep.iter().filter_map(tell_unreached) {
            view.next_end = soonest(view.next_end, Some(Due { at, cause: "overdue".to_owned() }));
        }
        let asked = directory::due(live, snapshot, now).map(|at| Due { at, cause: "directory".to_owned() });
        view.next_start = soonest(soonest(view.next_start, asked), settle::due(live));
        view
    }

    /// Gets the adapters that a look needs.
    async fn provide(&self, live: &LivePerson, snapshot: &mut Snapshot) {
        let mut needed = snapshot.apps();
        needed.extend(live.holds.iter().map(|hold| hold.key.app.clone()));
        needed.extend(directory_app(snapshot));
        for id in needed {
            let Some(app) = snapshot.installation.apps.iter().find(|app| app.id == id).cloned() else {
                snapshot.miss(id);
                continue;
            };
            match self.targets.target(&app).await {
                Ok(target) => snapshot.provide(id, target),
                Err(error) => {
                    tracing::warn!(app.id = %id, error = %error, "the adapter of `{id}` cannot be had now");
                    snapshot.miss(id);
                }
            }
        }
    }

    /// Nothing is due here: the due times are written where they differ, and the other side is told where it has work.
    /// Where they don't and others have `taken` this side, there is nothing to wait for.
    async fn rest(
        &self,
        live: &LivePerson,
        start: Option<Due>,
        end: Option<Due>,
        now: Timestamp,
        taken: bool,
    ) -> Result<Round, StoreError> {
        let next = if self.side == Side::Starts { start.as_ref() } else { end.as_ref() }.map(|due| due.at);
        let (head, person) = (&live.head, &live.person.id);
        // What is due already stays due: only its message counts, and that has been sent.
        let times = |due: &Option<Due>| due.as_ref().map(|due| due.at.max(now));
        if times(&head.next_start) == times(&start) && times(&head.next_end) == times(&end) {
            return Ok(Round::Until(next.filter(|_| !taken)));
        }
        let change = PersonChange { next_start: start, next_end: end, ..PersonChange::nothing(live, now) };
        let head = self.commit(&change).await?;
        self.announce(person, &live.head, &head, now).await;
        Ok(Round::Until(next))
    }

    async fn act(
        &self,
        live: &LivePerson,
        snapshot: &Snapshot,
        mine: Vec<Planned>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let decided = join_all(mine.iter().map(|planned| self.decide(planned, snapshot, now))).await;
        // What was read may have contradicted the clock that all this was decided by: then nothing is called.
        trusted(self.clock.as_ref())?;
        let (mut written, mut intended, mut turns) = (Vec::new(), Vec::new(), Vec::new());
        for (planned, (verdict, seen)) in mine.iter().zip(decided) {
            match verdict {
                Verdict::Write(hold) => {
                    turns.extend(turns::after(&planned.hold, &hold, snapshot));
                    written.push(*hold);
                }
                Verdict::Call(hold, order) => intended.push(Intended { planned, hold: *hold, order, seen }),
            }
        }
        let Shared { calls, waiting, taken } = self.share(intended, &turns, snapshot, now).await?;
        turns.extend(taken);
        written.extend(waiting);
        written.extend(calls.iter().map(|call| call.hold.clone()));
        if Bug::IntentAfterCall.is_chosen() {
            let results = self.call(&calls, snapshot).await;
            let live = self.record(live, snapshot, written, turns, now).await?;
            return self.conclude(live, snapshot, results).await;
        }
        let live = self.record(live, snapshot, written, turns, now).await?;
        if calls.is_empty() {
            return Ok(());
        }
        let results = self.call(&calls, snapshot).await;
        self.conclude(live, snapshot, results).await
    }

    /// Makes the calls side by side; each answers the next hold and what becomes of its turns.
    async fn call(&self, calls: &[Intended<'_>], snapshot: &Snapshot) -> Vec<(Vec<turn::Change>, Hold)> {
        let made = calls.iter().filter_map(|call| {
            let target = snapshot.target(&call.hold.key.app)?;
            self.witness.saw(&Event::Calling(Box::new(call.hold.clone())));
            let caller = Caller { target, clock: self.clock.as_ref() };
            Some(async move {
                let result = caller.make(&call.hold, &call.order, &call.seen, call.planned.ended).await;
                (turns::after(&call.hold, &result, snapshot), result)
            })
        });
        join_all(made).await
    }

    /// What a step leads to: a read of the target where one is needed, then policy's verdict.
    async fn decide(&self, planned: &Planned, snapshot: &Snapshot, now: Timestamp) -> (Verdict, Observation) {
        let (hold, ended) = (&planned.hold, planned.ended);
        let nothing = Observation {
            held: dutykey_policy::hold::Held::No,
            value: None,
            owner: dutykey_policy::hold::Owner::Unknown,
            native_end: None,
        };
        let write = |hold: Hold| Verdict::Write(Box::new(hold));
        let Some(target) = snapshot.target(&hold.key.app) else { return (write(hold.clone()), nothing) };
        let caller = Caller { target, clock: self.clock.as_ref() };
        let caps = caller.capabilities(hold);
        let rank = |value: &str| target.rank(&hold.key.place, value);
        let asked = self.clock.now().max(now);
        let facts = |now: Timestamp| Facts { now, asked, caps: &caps, rank: &rank, ended };
        match &planned.step {
            Step::Nothing | Step::Wait(..) => (write(hold.clone()), nothing),
            Step::Write(_, next) => (write((**next).clone()), nothing),
            Step::Poll(_) => (write(caller.poll(hold, ended).await), nothing),
            Step::Extend(native_end) => {
                let next = step::extending(hold, &facts(now));
                (Verdict::Call(Box::new(next), Order::Extend { native_end: *native_end }), nothing)
            }
            Step::Read(purpose) => match caller.observe(hold).await {
                Ok(seen) => {
                    let now = self.clock.now().max(now);
                    let want = planned.want.as_ref().filter(|_| *purpose != Purpose::End);
                    (after_read(hold, want, &seen, *purpose, &facts(now)), seen)
                }
                Err(error) => {
                    let now = self.clock.now().max(now);
                    (write(unreadable(hold, *purpose, unread(error), &facts(now))), nothing)
                }
            },
        }
    }

    /// Writes the results. A race with another writer of the person is read again: an open attempt is ours alone, so the
    /// result still applies.
    async fn conclude(
        &self,
        mut live: LivePerson,
        snapshot: &Snapshot,
        results: Vec<(Vec<turn::Change>, Hold)>,
    ) -> Result<(), StoreError> {
        let mut races = 0;
        loop {
            let now = decision_time(self.clock.now(), live.head.last_at);
            let ours =
                |hold: &Hold| live.holds.iter().any(|stored| stored.key == hold.key && same_attempt(stored, hold));
            let (turns, holds): (Vec<_>, Vec<_>) = results.iter().filter(|(_, hold)| ours(hold)).cloned().unzip();
            match self.record(&live, snapshot, holds, turns.concat(), now).await {
                Err(StoreError::Changed(_)) if races < RACES => {
                    races += 1;
                    self.jitter(races).await;
                    let Some(again) = self.ledger.load(&live.person.id).await? else { return Ok(()) };
                    live = again;
                }
                done => return done.map(|_| ()),
            }
        }
    }

    /// One transaction: the holds, their turns, their evidence, the notices and the due times that follow from them.
    async fn record(
        &self,
        live: &LivePerson,
        snapshot: &Snapshot,
        mut holds: Vec<Hold>,
        turns: Vec<turn::Change>,
        now: Timestamp,
    ) -> Result<LivePerson, StoreError> {
        let id = &live.person.id;
        let mut notices: Vec<Notice> =
            holds.iter_mut().filter_map(|hold| told::notice(hold, reach(snapshot, hold), now)).collect();
        let mut after = live.clone();
        after.holds.retain(|stored| !holds.iter().any(|hold| hold.key == stored.key));
        after.holds.extend(holds.iter().filter(|hold| !hold.is_over()).cloned());
        let then = self.view(live, &after.holds, snapshot, now);
        let before = |hold: &Hold| live.holds.iter().find(|stored| stored.key == hold.key);
        let gone = |hold: &Hold| live.written_off.iter().find(|gone| gone.key == hold.key);
        let moved = holds.iter().filter(|hold| before(hold).map(|stored| stored.state) != Some(hold.state));
        notices.extend(moved.filter_map(|hold| told::found_again(gone(hold)?, hold, now)));
        let evidence = holds.iter().filter_map(|hold| of_hold(before(hold), hold, self.actor)).collect();
        let change = PersonChange {
            next_start: then.next_start,
            next_end: then.next_end,
            holds: holds.clone(),
            turns,
            evidence,
            notices,
            ..PersonChange::nothing(live, now)
        };
        after.head = self.commit(&change).await?;
        for hold in &holds {
            self.report(before(hold), hold);
        }
        self.announce(id, &live.head, &after.head, now).await;
        Ok(after)
    }

    async fn commit(&self, change: &PersonChange) -> Result<PersonHead, StoreError> {
        match self.ledger.commit(change).await? {
            Committed::Done(head) => Ok(head),
            Committed::Claimed(apps) => {
                Err(StoreError::Changed(format!("the accounts of {} in {apps:?}", change.person)))
            }
        }
    }

    fn report(&self, before: Option<&Hold>, hold: &Hold) {
        let from = before.map(|hold| hold.state);
        let hold = Box::new(hold.clone());
        let event = match hold.state {
            state if from == Some(state) && before.is_some_and(|b| b.retry == hold.retry) => return,
            State::Held if hold.granted.is_some_and(|act| act.done.is_some()) && from == Some(State::Granting) => {
                Event::Granted(hold)
            }
            State::Ended(_) if hold.revoked.is_some() => Event::Revoked(hold),
            State::Kept => Event::Kept(hold),
            _ => Event::Moved { from, hold },
        };
        self.witness.saw(&event);
    }

    /// Whoever commits a due time that is near sends its message: the tick only finds what was lost.
    pub(crate) async fn announce(&self, person: &PersonId, before: &PersonHead, after: &PersonHead, now: Timestamp) {
        announce(self.queues.as_ref(), person, before, after, now, Some(self.side)).await;
    }

    async fn send(&self, side: Side, person: &PersonId, at: Timestamp, cause: &str) {
        send(self.queues.as_ref(), side, person, at, cause).await;
    }
}

fn reach(snapshot: &Snapshot, hold: &Hold) -> Reach {
    if snapshot.misses(&hold.key.app) { Reach::Missing } else { Reach::There }
}

/// A hold of an app that has no adapter, as it stands.
fn undecided(hold: &Hold, now: Timestamp) -> Planned {
    Planned { before: Some(hold.clone()), hold: hold.clone(), want: None, ended: (now, now), step: Step::Nothing }
}

/// Whether the stored hold still has the attempt whose result this is.
fn same_attempt(stored: &Hold, result: &Hold) -> bool {
    stored.attempts == result.attempts && stored.open.is_some()
}
