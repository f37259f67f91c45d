//! Everything around one hold: what is wanted, what happens, and the worker that looks when it was told to.

use std::time::Duration;

use jiff::Timestamp;

use super::target::{Answering, Behaviour, By, Effect, Target, VALUES};
use crate::enrollment::Origin;
use crate::evidence::{Chain, ChainHead, Draft, append, of_hold};
use crate::hold::step::{
    self, Answer, Facts, Order, Purpose, Step, Verdict, after_answer, after_read, after_read_back, extending, settle,
    unreadable, without_turn,
};
use crate::hold::{Call, Failure, Hold, Outcome, State};
use crate::id::{HoldKey, Place};
use crate::testing::{id, minute, person};
use crate::time::later;
use crate::wants::{Reason, Shape, Want};

/// More steps than this in one look are a loop without an end.
const STEPS: usize = 8;
const POLL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// This value (any, for a membership) for so many minutes.
    Wanted(usize, i64),
    Unwanted,
    OthersSet(Option<usize>),
    NextCall(Answering),
    ReadsFail(u8),
    /// So many calls get no turn.
    TurnsTaken(u8),
    Frozen(bool),
}

type Checked = Result<(), String>;

fn ensure(ok: bool, promise: &str) -> Checked {
    if ok { Ok(()) } else { Err(promise.to_owned()) }
}

#[derive(Debug)]
pub(super) struct Company {
    pub(super) now: Timestamp,
    pub(super) target: Target,
    pub(super) hold: Option<Hold>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) calls: Vec<Call>,
    pub(super) reads: usize,
    /// The hold as it was written last.
    pub(super) written: Option<Hold>,
    evidence: Vec<(Timestamp, Draft)>,
    want: Option<Want>,
    ended: (Timestamp, Timestamp),
    frozen: bool,
    answering: Answering,
    reads_fail: u8,
    turns_taken: u8,
    polling: Option<Answering>,
    /// Whether a call of ours may have had an effect that no believable read has disproved.
    exposed: bool,
    /// From when on a read can be believed.
    believable: Timestamp,
    /// Whether what others set was set while nothing of ours was, or could have been, there.
    protected: bool,
    interfered: bool,
    story: Vec<String>,
}

impl Company {
    pub(super) fn new(behaviour: Behaviour, chance: u64) -> Self {
        Self {
            now: minute(0),
            target: Target::new(behaviour, chance),
            hold: None,
            outcomes: Vec::new(),
            calls: Vec::new(),
            reads: 0,
            written: None,
            evidence: Vec::new(),
            want: None,
            ended: (minute(0), minute(0)),
            frozen: false,
            answering: Answering::Well,
            reads_fail: 0,
            turns_taken: 0,
            polling: None,
            exposed: false,
            believable: Timestamp::MIN,
            protected: true,
            interfered: false,
            story: Vec::new(),
        }
    }

    pub(super) fn story(&self) -> String {
        self.story.join("\n")
    }

    pub(super) fn state(&self) -> Option<State> {
        self.hold.as_ref().map(|hold| hold.state)
    }

    fn tell(&mut self, what: impl std::fmt::Debug) {
        let seconds = self.now.as_second() - minute(0).as_second();
        self.story.push(format!("{seconds:>6}s {what:?}"));
    }

    fn value(&self, index: usize) -> &'static str {
        if self.target.behaviour.values { VALUES[index] } else { VALUES[0] }
    }

    /// Something happens, then time passes.
    pub(super) fn happens(&mut self, event: Event, gap: i64) -> Checked {
        self.tell(("event", event));
        match event {
            Event::Wanted(value, minutes) => {
                let from = self.want.as_ref().map_or(self.now, |want| want.reasons[0].from);
                let until = later(self.now, Duration::from_secs(minutes.unsigned_abs() * 60));
                let shape = match self.target.behaviour.values {
                    true => Shape::Value { rank: value as i64, value: VALUES[value].to_owned() },
                    false => Shape::Member,
                };
                let reason = Reason {
                    profile: id("on-call"),
                    version: value as u64,
                    origin: Origin::Coverage(id("pd:P1")),
                    from,
                    until,
                    rolling: false,
                    from_known: from,
                    until_known: from,
                };
                self.want = Some(Want { shape, reasons: vec![reason], frozen: self.frozen });
            }
            Event::Unwanted => self.unwanted(),
            Event::OthersSet(value) => {
                let value = value.map(|i| self.value(i));
                if self.target.truth().value != value {
                    self.protected = !self.exposed;
                    self.interfered |= self.hold.is_some();
                    self.target.others_set(self.now, value);
                }
            }
            Event::NextCall(answering) => self.answering = answering,
            Event::ReadsFail(times) => self.reads_fail = times,
            Event::TurnsTaken(times) => self.turns_taken = times,
            Event::Frozen(frozen) => {
                self.frozen = frozen;
                if let Some(want) = &mut self.want {
                    want.frozen = frozen;
                }
            }
        }
        self.pass(gap)
    }

    fn unwanted(&mut self) {
        if self.want.take().is_some() {
            self.ended = (self.now, self.now);
        }
    }

    /// Time passes; the worker looks at once, and then only when the last look said so.
    pub(super) fn pass(&mut self, seconds: i64) -> Checked {
        let end = later(self.now, Duration::from_secs(seconds.unsigned_abs()));
        loop {
            let wake = self.look()?;
            loop {
                let until = self.want.as_ref().map(|want| want.until());
                let next = [wake, until, self.target.next_change()].into_iter().flatten().filter(|at| *at > self.now);
                let next = next.min().unwrap_or(end).min(end);
                self.now = next;
                self.target.advance(next);
                let over = until.is_some_and(|until| until <= next);
                if over {
                    self.unwanted();
                }
                if over || wake.is_some_and(|wake| wake <= next) {
                    break;
                }
                if next >= end {
                    return Ok(());
                }
            }
        }
    }

    /// No more faults, nobody interferes: everything must come to rest.
    pub(super) fn calm(&mut self) -> Checked {
        self.answering = Answering::Well;
        self.reads_fail = 0;
        self.turns_taken = 0;
        self.frozen = false;
        if let Some(Answering::Pending { polls, fails, .. }) = self.polling {
            self.polling = Some(Answering::Pending { polls, faults: 0, fails });
        }
        if let Some(want) = &mut self.want {
            want.frozen = false;
            want.reasons[0].until = later(self.now, Duration::from_secs(20 * 3_600));
        }
        self.tell("calm");
        self.pass(3 * 3_600)?;
        let (reads, calls) = (self.reads, self.calls.len());
        self.pass(4 * 3_600)?;
        ensure(self.reads - reads <= 6, "at rest it is read about once an hour")?;
        ensure(self.calls.len() == calls, "at rest nothing is called")?;
        let truth = self.target.truth();
        match (&self.want, self.state()) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err("without a reason the hold must come to its end".to_owned()),
            (Some(_), Some(State::Stuck)) => ensure(self.interfered, "without anybody interfering nothing stays stuck"),
            (Some(want), Some(State::Held | State::Kept)) => {
                let there = match &want.shape {
                    Shape::Member => truth.value.is_some(),
                    Shape::Value { rank: wanted, .. } => truth.value.and_then(rank).is_some_and(|rank| rank >= *wanted),
                };
                ensure(there || self.interfered, "what the ledger shows as held must be there")
            }
            (Some(_), _) => Err("with a reason the hold must come to be held".to_owned()),
        }
    }

    /// A look, as the engine takes it; answers when to look again.
    pub(super) fn look(&mut self) -> Result<Option<Timestamp>, String> {
        for _ in 0..STEPS {
            if self.hold.is_none() {
                let Some(want) = self.want.as_ref().filter(|want| !want.frozen) else { return Ok(None) };
                let key = HoldKey {
                    app: id("directory"),
                    account: id("a1"),
                    place: Place { kind: "group".to_owned(), id: "g1".to_owned() },
                };
                self.hold = Some(Hold::wanted(key, person(1), want, self.now));
                self.interfered = self.target.changed_within_propagation(self.now);
            }
            let Some(hold) = self.hold.as_ref().map(|hold| settle(hold, self.now)) else { return Ok(None) };
            let step = step::next(&hold, self.want.as_ref(), self.now);
            match step {
                Step::Nothing => return Ok(None),
                Step::Wait(_, at) => {
                    ensure(at > self.now, "a wait lies in the future")?;
                    return Ok(Some(at));
                }
                Step::Write(_, next) => self.write(*next)?,
                Step::Read(purpose) => self.read(hold, purpose)?,
                Step::Poll(_) => self.poll(hold)?,
                Step::Extend(_) if self.turns_taken > 0 => self.wait(&hold, Purpose::Start)?,
                Step::Extend(until) => {
                    let next = self.with(|facts| extending(&hold, facts));
                    self.call(next, Order::Extend { native_end: until })?;
                }
            }
        }
        Err(format!("the same look took {STEPS} steps: a loop without an end"))
    }

    fn with<T>(&self, decide: impl FnOnce(&Facts<'_>) -> T) -> T {
        let caps = self.target.behaviour.capabilities();
        let ended = if self.want.is_some() { (self.now, self.now) } else { self.ended };
        decide(&Facts { now: self.now, asked: self.now, caps: &caps, rank: &rank, ended })
    }

    fn write(&mut self, next: Hold) -> Checked {
        self.tell((next.state, next.touched, next.retry.as_ref().map(|retry| retry.because.clone())));
        self.record(&next);
        let State::Ended(outcome) = next.state else {
            self.hold = Some(next);
            return Ok(());
        };
        let truth = self.target.truth();
        ensure(!(truth.by == By::Us && truth.value.is_some()), "P5: it is over, and what we put there is still there")?;
        ensure(self.target.in_flight.is_none() && next.open.is_none(), "R1: it is over, and a call may still act")?;
        self.exposed = false;
        self.outcomes.push(outcome);
        self.hold = None;
        Ok(())
    }

    /// What is written leaves evidence.
    fn record(&mut self, next: &Hold) {
        let draft = of_hold(self.written.as_ref(), next, "test");
        self.evidence.extend(draft.map(|draft| (self.now, draft)));
        self.written = Some(next.clone()).filter(|hold| !hold.is_over());
    }

    /// The evidence of it all.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut head = ChainHead::default();
        let mut lines = Vec::new();
        for (at, draft) in &self.evidence {
            let records = append(&Chain::Person(person(1)), &head, *at, std::slice::from_ref(draft)).unwrap();
            for record in records {
                head = record.head;
                lines.push(record.line);
            }
        }
        lines
    }

    fn observe(&mut self) -> crate::hold::Observation {
        self.reads += 1;
        let seen = self.target.observe(self.now);
        self.tell(("read", seen.held, &seen.value, "truth", self.target.truth()));
        let absent = !seen.direct() && (!self.target.behaviour.values || Some(self.target.truth().by) != Some(By::Us));
        // What was held and is missing stays the hold's: others may put it back, and then it ends with the hold.
        let held = self.hold.as_ref().is_some_and(|hold| hold.granted.is_some_and(|act| act.done.is_some()));
        if absent && !held && self.now >= self.believable {
            self.exposed = false;
        }
        seen
    }

    fn read(&mut self, hold: Hold, purpose: Purpose) -> Checked {
        if self.reads_fail > 0 {
            self.reads_fail -= 1;
            let failure = (Failure::Transient, None, "the target does not answer".to_owned());
            return self.write(self.with(|facts| unreadable(&hold, purpose, failure, facts)));
        }
        let seen = self.observe();
        match self.with(|facts| after_read(&hold, self.want.as_ref(), &seen, purpose, facts)) {
            Verdict::Write(next) => self.write(*next),
            Verdict::Call(..) if self.turns_taken > 0 => self.wait(&hold, purpose),
            Verdict::Call(next, order) => {
                if matches!(order, Order::Grant { .. }) {
                    let wanted = |hold: &Hold| match &hold.shape {
                        Shape::Member => seen.direct(),
                        Shape::Value { value, .. } => seen.value.as_ref() == Some(value),
                    };
                    ensure(!wanted(&next), "P4: a grant is asked for where a read has just shown it")?;
                }
                self.call(*next, order)
            }
        }
    }

    /// The call gets no turn.
    fn wait(&mut self, hold: &Hold, purpose: Purpose) -> Checked {
        self.turns_taken -= 1;
        let next = self.with(|facts| without_turn(hold, self.want.as_ref(), purpose, facts, self.turns_taken));
        let failures = |hold: &Hold| hold.retry.as_ref().map_or(0, |retry| retry.failures);
        ensure(failures(&next) <= failures(hold) && next.open.is_none(), "R11: a wait for a turn is no failure")?;
        self.write(next)
    }

    /// The attempt is recorded, the call is made, its answer recorded and read back.
    fn call(&mut self, hold: Hold, order: Order) -> Checked {
        let open = hold.open.clone().ok_or("R1: a call without an attempt in the record")?;
        self.record(&hold);
        self.hold = Some(hold.clone());
        let answering = std::mem::replace(&mut self.answering, Answering::Well);
        self.tell((open.call, &hold.shape, answering));
        // What others did a moment ago no read can show: nobody can protect that.
        self.protected &= !(open.call == Call::Grant && self.target.changed_within_propagation(self.now));
        if answering == Answering::CrashBeforeCall {
            // Nobody but the worker that died knows that nothing was called.
            self.exposed |= open.call == Call::Grant;
            self.believable = self.believable.max(later(open.not_after, self.propagation()));
            return Ok(());
        }
        self.calls.push(open.call);
        ensure(self.target.in_flight.is_none(), "R1: a call while an earlier one may still act")?;
        let effect = self.allowed(&hold, &order)?;
        let asked_at = self.now;
        let after = |seconds: i64| later(asked_at, Duration::from_secs(seconds.unsigned_abs()));
        let failed = |failure| Some(Answer::Failed { failure, after: None, because: "it said so".to_owned() });
        let done = || Some(Answer::Done { receipt: None, native_end: None });
        let answer = match answering {
            Answering::Well => {
                self.target.apply(self.now, effect);
                done()
            }
            Answering::AcceptedDoesNothing => done(),
            Answering::Throttled => failed(Failure::Throttled),
            Answering::Transient => failed(Failure::Transient),
            Answering::Permanent => failed(Failure::Permanent),
            Answering::LostWithoutEffect => failed(Failure::Lost),
            Answering::LostWithEffectAfter(seconds) => {
                self.target.in_flight = Some((Some(after(seconds)), effect));
                failed(Failure::Lost)
            }
            Answering::CrashBeforeCall => None,
            Answering::CrashWithEffectAfter(seconds) => {
                self.target.in_flight = Some((Some(after(seconds)), effect));
                None
            }
            Answering::CrashBeforeHandle(percent) => {
                let longest = self.target.behaviour.longest * i64::from(percent) / 100;
                let lands = later(after(longest), self.target.behaviour.capabilities().deadline);
                self.target.in_flight = Some((Some(lands), effect));
                None
            }
            Answering::Pending { .. } => {
                self.target.in_flight = Some((None, effect));
                self.polling = Some(answering);
                Some(Answer::Pending { operation: "op".to_owned(), poll_at: later(self.now, POLL) })
            }
        };
        self.target.advance(self.now);
        let definite = matches!(answering, Answering::Throttled | Answering::Transient | Answering::Permanent);
        if !definite {
            let until = if answer.as_ref().is_some_and(accepted) { self.now } else { open.not_after };
            self.believable = self.believable.max(later(until, self.propagation()));
            self.exposed |= open.call == Call::Grant;
        }
        match answer {
            Some(answer) => self.answered(&hold, answer),
            None => Ok(()),
        }
    }

    fn propagation(&self) -> Duration {
        self.target.behaviour.capabilities().propagation
    }

    /// Whether the order keeps the promises, and what it does.
    fn allowed(&self, hold: &Hold, order: &Order) -> Result<Effect, String> {
        let truth = self.target.truth();
        let blind = self.target.changed_within_propagation(self.now);
        let theirs = truth.by == By::Others && truth.value.is_some() && !blind;
        let name = |value: &str| VALUES.iter().find(|v| **v == value).copied();
        match order {
            Order::Grant { native_end } => {
                let want = self.want.as_ref().ok_or("P1: a grant without a reason")?;
                let value = match &hold.shape {
                    Shape::Member => VALUES[0],
                    Shape::Value { value, .. } => name(value).ok_or("an unknown value")?,
                };
                let lowers = truth.value.and_then(rank) > rank(value);
                ensure(!want.frozen || lowers || blind, "R2: a grant under a freeze")?;
                if self.target.behaviour.values {
                    // A value that we have set ourselves cannot be told from the same value set by others.
                    let known = [hold.base.as_deref(), hold.set.as_deref()].contains(&truth.value);
                    ensure(!theirs || known, "P3: a value that others set is overwritten")?;
                } else {
                    ensure(!theirs, "P3: standing access is granted again, and would end with us")?;
                }
                let base = self.target.behaviour.values && hold.base.as_deref() == Some(value);
                Ok(if base { Effect::Restore(Some(value)) } else { Effect::Set(value, *native_end) })
            }
            Order::Revoke { restore } => {
                ensure(self.want.is_none(), "P4: a revocation while a reason lives")?;
                if self.target.behaviour.values {
                    let same = [hold.set.as_deref(), hold.setting.as_deref(), restore.as_deref()];
                    ensure(!theirs || same.contains(&truth.value), "P3: a value that others set is taken away")?;
                } else {
                    ensure(!theirs || !self.protected, "P3: standing access is taken away")?;
                    ensure(
                        !theirs || !self.target.behaviour.tells_owner,
                        "P3: what the target says is theirs is taken",
                    )?;
                }
                Ok(Effect::Restore(restore.as_deref().and_then(name)))
            }
            Order::Extend { native_end } => {
                ensure(!theirs || !self.protected, "P3: standing access is given an end")?;
                Ok(Effect::MoveEnd(*native_end))
            }
        }
    }

    fn poll(&mut self, hold: Hold) -> Checked {
        let failed = |failure| Answer::Failed { failure, after: None, because: "it said so".to_owned() };
        let Some(Answering::Pending { polls, faults, fails }) = self.polling else {
            return Err("a poll of an operation that has ended".to_owned());
        };
        let answer = match (faults, polls) {
            (1.., _) => {
                self.polling = Some(Answering::Pending { polls, faults: faults - 1, fails });
                failed(if faults % 2 == 0 { Failure::Lost } else { Failure::Throttled })
            }
            (0, 1..) => {
                self.polling = Some(Answering::Pending { polls: polls - 1, faults, fails });
                Answer::Pending { operation: "op".to_owned(), poll_at: later(self.now, POLL) }
            }
            (0, 0) => {
                self.polling = None;
                let effect = self.target.in_flight.take().filter(|_| !fails);
                if let Some((_, effect)) = effect {
                    self.target.apply(self.now, effect);
                    self.target.advance(self.now);
                }
                self.believable = self.believable.max(later(self.now, self.propagation()));
                if fails { failed(Failure::Permanent) } else { Answer::Done { receipt: None, native_end: None } }
            }
        };
        self.tell(("poll", &answer));
        self.answered(&hold, answer)
    }

    fn answered(&mut self, hold: &Hold, answer: Answer) -> Checked {
        let done = accepted(&answer);
        let next = after_answer(hold, answer, self.now);
        if !done || self.reads_fail > 0 {
            self.reads_fail = self.reads_fail.saturating_sub(u8::from(done));
            return self.write(next);
        }
        let seen = self.observe();
        self.write(self.with(|facts| after_read_back(&next, &seen, facts)))
    }
}

fn accepted(answer: &Answer) -> bool {
    matches!(answer, Answer::Done { .. })
}

pub(super) fn rank(value: &str) -> Option<i64> {
    VALUES.iter().position(|known| *known == value).and_then(|i| i64::try_from(i).ok())
}
