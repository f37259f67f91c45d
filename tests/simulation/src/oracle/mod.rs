//! Who knows the truth of the world and checks every promise after every step. It shares no code with the rules that it
//! judges: it hears what the platforms have answered, sees what has changed in the apps, and works out by itself who
//! should have what.
//!
//! Where the promises leave a choice (how far the brake holds, in which of two answers that crossed a worker believes) it
//! says *maybe*, and nothing that happens then is wrong.

mod desire;
pub(crate) mod given;
pub mod ledger;
mod others;
mod over;
mod restored;
mod rota;
mod seats;

use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::ledger::{Notice, StoreError};
use dutykey_engine::ports::target::{Accepted, TargetError};
use dutykey_engine::ports::witness::Event;
use dutykey_policy::hold::{Call, Outcome, State};
use dutykey_policy::id::{AccountId, AppId, Place, RotationId};
use dutykey_policy::rota::Shift;
use dutykey_policy::time::{Span, millis_between, rfc3339};
use dutykey_targets::sandbox::SandboxTarget;
use jiff::{SignedDuration, Timestamp};

use crate::plan::{DEFAULT_LEASE, Denies, Happening, Plan, Profile};
use given::Given;
use over::{Retired, Returned};
use restored::Restored;
use rota::{Answer, Duty, Elsewhere, Rota};
use seats::{InFlight, Seat, SeatState};

pub use seats::Check;

/// How sure it is that somebody should have something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Sure {
    /// They should not.
    #[default]
    No,
    /// Both would be right.
    Maybe,
    /// They should.
    Yes,
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_secs(minutes * 60)
}

fn plus(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// The address of a person and the one account in use that bears it; `None` where anybody could be meant, or nobody, or
/// where the account may be another one's.
fn surely(plan: &Plan, person: usize) -> Option<(String, String)> {
    if plan.links.iter().any(|link| link.person == person || link.to == person) {
        return None;
    }
    let address = plan.people.get(person)?.address.to_lowercase();
    let alike = plan.people.iter().filter(|other| other.address.to_lowercase() == address).count();
    let accounts = plan.people.iter().filter(|other| other.active).flat_map(|other| &other.accounts);
    let mut theirs = accounts.filter(|(_, owner)| owner.to_lowercase() == address);
    let (account, _) = theirs.next()?;
    let sure = theirs.next().is_none() && alike == 1 && address.ends_with("@example.com");
    sure.then(|| (address, account.clone()))
}

/// When Dutykey is away for so long that it notices.
fn pauses(plan: &Plan) -> Vec<(Timestamp, Timestamp)> {
    let away = |happening: &Happening| match happening {
        Happening::Pause { from, to } if to.saturating_sub(*from) > 240 => Some((plan.at(*from), plan.at(*to))),
        _ => None,
    };
    plan.happens.iter().filter_map(away).collect()
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which: `P1`.
    pub promise: &'static str,
    /// When it was found.
    pub at: Timestamp,
    /// What happened, in a sentence.
    pub what: String,
}

/// A denial in force.
#[derive(Debug, Clone)]
struct Block {
    id: String,
    denies: Denies,
    freeze: bool,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// Other addresses of somebody.
#[derive(Debug, Clone)]
struct Renamed {
    /// Which, in small letters.
    addresses: Vec<String>,
    /// Whether they had been on call before they got the first of them, as nobody but themselves.
    known: bool,
}

/// The oracle.
#[derive(Debug)]
pub struct Oracle {
    plan: Plan,
    rotas: Vec<Rota>,
    /// The address and the account of everybody of whom one can be sure, in small letters.
    accounts: Vec<Option<(String, String)>>,
    profiles: Vec<Vec<(Timestamp, Option<Profile>)>>,
    blocks: Vec<Block>,
    given: Vec<Given>,
    /// What was given back before its end.
    returned: Vec<Returned>,
    /// What has left the configuration.
    retired: Vec<Retired>,
    left: BTreeMap<usize, Timestamp>,
    /// Whether somebody was told that the brake holds people who have left.
    leavers_held: bool,
    /// Who has another address.
    renamed: BTreeMap<usize, Renamed>,
    /// Whom platforms have ever shown on call, of those whom the table has not forgotten since.
    shown: BTreeSet<usize>,
    /// When the table was put back to a backup.
    restores: Vec<Restored>,
    /// The records that were there before that.
    copied: Vec<String>,
    seats: BTreeMap<Seat, SeatState>,
    targets: Vec<(AppId, SandboxTarget, usize)>,
    disturbances: Vec<(Timestamp, Timestamp)>,
    app_disturbances: Vec<Vec<(Timestamp, Timestamp)>>,
    in_flight: Vec<InFlight>,
    calls: u64,
    checks: BTreeSet<(Timestamp, Check)>,
    next_change: Timestamp,
    dirty: bool,
    told: Vec<(Timestamp, Notice)>,
    /// What the ledger and the table must be asked.
    pub overdue: Vec<(Timestamp, Seat)>,
    /// The lag of each grant and revocation that nothing disturbed, in milliseconds.
    pub lags: Vec<i64>,
    /// Every change that Dutykey has made, for the evidence.
    pub effects: Vec<(Timestamp, Seat)>,
    /// What was not kept.
    pub violations: Vec<Violation>,
}

impl Oracle {
    /// An oracle that has seen nothing yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut oracle = Self {
            accounts: (0..plan.people.len()).map(|person| surely(plan, person)).collect(),
            rotas: vec![Rota::watched(pauses(plan)); plan.rotations.len()],
            profiles: plan.profiles.iter().map(|profile| vec![(plan.epoch, Some(profile.clone()))]).collect(),
            blocks: Vec::new(),
            given: Vec::new(),
            returned: Vec::new(),
            retired: Vec::new(),
            left: BTreeMap::new(),
            leavers_held: false,
            renamed: BTreeMap::new(),
            shown: BTreeSet::new(),
            restores: Vec::new(),
            copied: Vec::new(),
            seats: BTreeMap::new(),
            targets: Vec::new(),
            disturbances: Vec::new(),
            app_disturbances: vec![Vec::new(); plan.apps.len()],
            in_flight: Vec::new(),
            calls: 0,
            checks: BTreeSet::new(),
            next_change: Timestamp::MIN,
            dirty: true,
            told: Vec::new(),
            overdue: Vec::new(),
            lags: Vec::new(),
            effects: Vec::new(),
            violations: Vec::new(),
            plan: plan.clone(),
        };
        oracle.foresee();
        oracle
    }

    /// When the plan makes trouble: nothing has to be on time then.
    fn foresee(&mut self) {
        let plan = self.plan.clone();
        let span = |from: u32, to: u32| (plan.at(from), plan.at(to));
        for happening in &plan.happens {
            match happening {
                Happening::Table(fault) => self.disturbances.push(span(fault.from, fault.to)),
                Happening::Queue(fault) => {
                    self.disturbances.push(span(fault.from, fault.to.saturating_add(fault.after.max(90))));
                }
                Happening::Pause { from, to } | Happening::TickSkipped { from, to } => {
                    self.disturbances.push(span(*from, to.saturating_add(120)));
                }
                Happening::Deploy { at } | Happening::RolledBack { at } => {
                    self.disturbances.push(span(*at, at.saturating_add(360)));
                }
                Happening::App(fault) => {
                    let lasts = if fault.kind == "permanent" { 3_900 } else { 0 };
                    let span = (plan.at(fault.from), plan.at(fault.to.saturating_add(lasts)));
                    // Whoever waits for one app's answer about somebody waits for it with everything of theirs.
                    let hangs = matches!(fault.kind.as_str(), "slow" | "lost_before" | "lost_after");
                    for (number, list) in self.app_disturbances.iter_mut().enumerate() {
                        if hangs || number == fault.app {
                            list.push(span);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// A worker dies, and nobody knows what became of its calls before somebody looks again.
    pub fn dies(&mut self, now: Timestamp, redelivered: Timestamp) {
        self.disturbances.push((now, redelivered));
        self.rotas.iter_mut().for_each(|rota| rota.forgets(now, plus(redelivered, minutes(1))));
        let open: Vec<Seat> =
            self.in_flight.iter().filter(|call| call.over >= now).map(|call| call.seat.clone()).collect();
        for seat in open {
            self.seats.entry(seat).or_default().lost_at.get_or_insert(now);
        }
    }

    /// Says that a promise was not kept.
    pub fn violated(&mut self, promise: &'static str, at: Timestamp, what: String) {
        self.violations.push(Violation { promise, at, what });
    }

    /// An app that it watches.
    pub fn watch(&mut self, app: AppId, target: SandboxTarget) {
        let truth = target.truth();
        let number = self.plan.app_number(app.as_str()).unwrap_or_default();
        for (group, members) in truth.members {
            for account in members {
                let seat = Seat { app: number, account: account.to_string(), place: format!("group/{group}") };
                self.seats.entry(seat).or_default().theirs = true;
            }
        }
        for (account, value) in truth.roles {
            let seat = Seat { app: number, account: account.to_string(), place: "role/role".to_owned() };
            let state = self.seats.entry(seat).or_default();
            (state.theirs, state.base, state.value) = (true, Some(value.clone()), Some(value));
        }
        self.targets.push((app, target, 0));
    }

    fn rotation(&self, rotation: &RotationId) -> Option<usize> {
        let is =
            |known: &crate::plan::Rotation| known.source == rotation.source.as_str() && known.id == rotation.local();
        self.plan.rotations.iter().position(is)
    }

    /// A platform has answered.
    pub fn answered(
        &mut self,
        rotation: &RotationId,
        asked: Timestamp,
        now: Timestamp,
        window: Span,
        shifts: &[Shift],
    ) {
        let Some(number) = self.rotation(rotation) else { return };
        let shown: BTreeMap<Duty, bool> = shifts
            .iter()
            .filter_map(|shift| {
                let user = shift.user.as_ref()?.as_str().trim_start_matches('u').parse().ok()?;
                let other = shift.maker.as_ref().is_some_and(|maker| Some(maker) != shift.user.as_ref());
                Some((Duty { user, start: shift.start, end: shift.end.or_max() }, other))
            })
            .collect();
        self.shown.extend(shown.keys().map(|duty| duty.user));
        let lease = self.shortest_lease(number, now);
        let source = rotation.source.as_str();
        let lost = self
            .plan
            .rotations
            .iter()
            .zip(&self.rotas)
            .enumerate()
            .filter(|(other, (known, _))| *other != number && known.source == source)
            .flat_map(|(_, (_, rota))| rota.losses.iter())
            .filter(|(at, _)| plus(*at, seconds(3_600)) > now)
            .map(|(_, lost)| lost)
            .sum();
        let troubles = self.disturbances.iter().filter(|(begin, end)| *begin <= plus(now, seconds(5)) && *end > now);
        let recorded = troubles.map(|(_, end)| plus(*end, minutes(6))).max().unwrap_or(now);
        let alone = self.plan.rotations.iter().filter(|known| known.source == source).count() == 1;
        let answer = Answer { asked, now, recorded, window: (window.start, window.end), shown };
        if let Some(rota) = self.rotas.get_mut(number) {
            rota.answered(&answer, &Elsewhere { lost, lease, alone });
        }
        self.dirty = true;
    }

    /// A platform could not be read.
    pub fn unanswered(&mut self, rotation: &RotationId, now: Timestamp) {
        if let Some(rota) = self.rotation(rotation).and_then(|number| self.rotas.get_mut(number)) {
            rota.fails(now);
        }
        self.dirty = true;
    }

    /// An administrator has released what the brake holds of a rotation.
    pub(crate) fn lets_pass(&mut self, rotation: &RotationId, now: Timestamp) {
        if let Some(rota) = self.rotation(rotation).and_then(|number| self.rotas.get_mut(number)) {
            rota.lets_pass(now);
        }
    }

    fn shortest_lease(&self, rotation: usize, at: Timestamp) -> i64 {
        let leases = (0..self.profiles.len()).filter_map(|number| self.profile_at(number, at));
        let enrolling = leases.filter(|profile| profile.enrolls && profile.rotations.contains(&rotation));
        enrolling.map(|profile| i64::from(profile.lease)).min().unwrap_or(DEFAULT_LEASE.into())
    }

    fn profile_at(&self, number: usize, at: Timestamp) -> Option<&Profile> {
        let versions = self.profiles.get(number)?;
        versions.iter().rev().find(|(from, _)| *from <= at).and_then(|(_, profile)| profile.as_ref())
    }

    /// A profile has become another.
    pub fn edited(&mut self, number: usize, to: Option<Profile>, now: Timestamp) {
        if let Some(versions) = self.profiles.get_mut(number) {
            versions.push((now, to));
        }
        self.dirty = true;
    }

    /// An administrator has placed a block.
    pub fn blocked(&mut self, id: String, denies: Denies, freeze: bool, now: Timestamp, until: Option<Timestamp>) {
        self.blocks.push(Block { id, denies, freeze, from: now, until });
        self.dirty = true;
    }

    /// The block that was placed last.
    #[must_use]
    pub fn last_block(&self) -> Option<String> {
        self.blocks.last().map(|block| block.id.clone())
    }

    /// An administrator has lifted a block.
    pub fn lifted(&mut self, id: &str, now: Timestamp) {
        for block in self.blocks.iter_mut().filter(|block| block.id == id) {
            block.until = Some(block.until.map_or(now, |until| until.min(now)));
        }
        self.dirty = true;
    }

    /// Somebody has left.
    pub fn leaves(&mut self, person: usize, now: Timestamp) {
        self.left.entry(person).or_insert(now);
        self.dirty = true;
    }

    /// Somebody has another address.
    pub fn renames(&mut self, person: usize, address: &str) {
        let own = self.plan.people.get(person).map(|human| human.address.to_lowercase());
        let alike =
            self.renamed.values().flat_map(|renamed| &renamed.addresses).any(|other| Some(other) == own.as_ref());
        let known = self.shown.contains(&person) && !alike;
        let renamed = self.renamed.entry(person).or_insert(Renamed { addresses: Vec::new(), known });
        renamed.addresses.push(address.to_lowercase());
        self.dirty = true;
    }

    /// Dutykey says that something has happened.
    pub fn saw(&mut self, event: &Event, now: Timestamp) {
        let (Event::Granted(hold) | Event::Revoked(hold)) = event else { return };
        let Some(app) = self.plan.app_number(hold.key.app.as_str()) else { return };
        let seat = Seat::of(app, &hold.key.account, &hold.key.place);
        if let State::Ended(Outcome::Proven) = hold.state {
            self.take_effects(now);
            let ours = self.seats.get(&seat).is_some_and(|state| state.ours);
            // Whose a value is cannot be told where others may have set it before a read could show that.
            let unclear = seat.has_values() && self.propagates(app);
            if ours && !unclear {
                self.violated("P5", now, format!("{seat} is called proven gone, and it is there"));
            }
        }
        if hold.is_over() {
            self.is_over(&seat, now);
        }
        let gives = matches!(event, Event::Granted(_));
        if gives {
            self.take_effects(now);
            if let Some(state) = self.seats.get_mut(&seat) {
                state.proven = state.ours;
            }
        }
        let Some(act) = (if gives { hold.granted } else { hold.revoked }) else { return };
        // What a block, an edit or a lock has put off is late from its own end on; where nobody can be sure when that was, it
        // says nothing. Nor does what is given because others have taken what stood: that is found within the hour.
        let state = self.seats.get(&seat).filter(|state| !gives || state.stripped.is_none());
        let since = state.and_then(|state| if gives { state.wanted_since } else { state.absent_since });
        let Some(since) = since else { return };
        let begins = act.due.max(act.known).max(since);
        if !self.is_disturbed(app, begins, now) {
            self.lags.push(millis_between(begins, act.turn_since.unwrap_or(act.started)).max(0));
        }
    }

    fn propagates(&self, app: usize) -> bool {
        self.plan.apps.get(app).is_some_and(|app| app.propagation > 0)
    }

    /// Somebody was told.
    pub fn told(&mut self, notice: &Notice, now: Timestamp) {
        self.hears_of_leavers(notice);
        self.told.push((now, notice.clone()));
    }

    /// A message has failed at which somebody was since then. The table's trouble may fail one; an app's or a platform's is
    /// state, and never does.
    pub(crate) fn message_failed(&mut self, error: &StoreError, begun: Timestamp, now: Timestamp) {
        if !self.disturbances.iter().any(|(from, to)| *from <= now && begun <= *to) {
            self.violated("P10", now, format!("a message fails and the table is well (R9): {error}"));
        }
    }

    /// Whether anything was out of order at any time between the two instants, or so shortly before that it still shows.
    fn is_disturbed(&self, app: usize, from: Timestamp, to: Timestamp) -> bool {
        let apps = self.app_disturbances.get(app).into_iter().flatten();
        self.disturbances.iter().chain(apps).any(|(begin, end)| *begin <= to && plus(*end, minutes(6)) > from)
    }

    /// By when something that was due at `at` must be done: in quiet times at once, else when the trouble has been over
    /// for as long as the longest pause between two tries.
    fn deadline(&self, app: usize, at: Timestamp, takes: SignedDuration) -> Timestamp {
        let apps = || self.app_disturbances.get(app).into_iter().flatten();
        let mut by = plus(at, takes);
        loop {
            let met = self.disturbances.iter().chain(apps());
            let later = met
                .filter(|(begin, end)| *begin <= by && plus(*end, minutes(6) + takes) > at)
                .map(|(_, end)| plus(*end, minutes(6) + takes))
                .max();
            match later {
                Some(later) if later > by => by = later,
                _ => return by,
            }
        }
    }

    /// A call leaves for an app. Answers a number by which its answer is told.
    pub fn begins(&mut self, what: Call, app: &AppId, account: &AccountId, place: &Place, now: Timestamp) -> u64 {
        self.look(now);
        self.calls += 1;
        if let Some(app) = self.plan.app_number(app.as_str()) {
            self.begun(self.calls, what, Seat::of(app, account, place), now);
        }
        self.calls
    }

    /// The answer of a call has come.
    pub fn answers(&mut self, number: u64, answer: &Result<Accepted, TargetError>, now: Timestamp) {
        let takes = |call: &InFlight| {
            let app = self.plan.apps.get(call.seat.app);
            seconds(i64::from(app.and_then(|app| app.asynchronous).unwrap_or(1)))
        };
        let Some(call) = self.in_flight.iter().find(|call| call.number == number) else { return };
        if matches!(answer, Err(TargetError::Lost(_)))
            && let Some(state) = self.seats.get_mut(&call.seat)
        {
            state.lost_at.get_or_insert(now);
        }
        let refused =
            call.what == Call::Grant && matches!(answer, Err(error) if !matches!(error, TargetError::Lost(_)));
        let refused = refused.then(|| call.seat.clone());
        let over = match answer {
            Ok(Accepted::Pending { .. }) => plus(now, takes(call)),
            Ok(Accepted::Done { .. }) => now,
            Err(TargetError::Lost(_)) => call.over,
            Err(_) => now,
        };
        for call in self.in_flight.iter_mut().filter(|call| call.number == number) {
            call.over = over;
            let state = self.seats.entry(call.seat.clone()).or_default();
            let last = if call.what == Call::Revoke { &mut state.taken_by } else { &mut state.given_by };
            *last = Some(over);
        }
        if let Some(seat) = refused {
            self.refused(&seat);
        }
        self.look(now);
    }

    /// Looks at everything that has happened until now.
    pub fn look(&mut self, now: Timestamp) {
        self.take_effects(now);
        while self.dirty || self.next_change <= now {
            let at = if self.next_change <= now { self.next_change.max(self.plan.epoch) } else { now };
            self.dirty = false;
            self.desire(at);
        }
        while let Some((at, check)) = self.checks.first().cloned() {
            if at >= now {
                break;
            }
            self.checks.pop_first();
            self.check(&check, now);
        }
    }

    /// The promise that somebody was told of access past its end.
    #[must_use]
    pub fn was_told(&self, person: &str, since: Timestamp) -> bool {
        self.told.iter().any(|(at, notice)| *at >= since && notice.text.contains(person))
    }

    /// A summary of what is not as it should be, for a person.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let first = self.violations.first()?;
        Some(format!("{} {}: {}", rfc3339(first.at), first.promise, first.what))
    }
}
