//! A target with one place, which knows the truth and lies as real ones do.

use std::time::Duration;

use jiff::Timestamp;

use crate::hold::{Capabilities, Held, Observation, Owner};
use crate::time::{earlier, later};

/// The values of a single-valued place, by rank; a membership is there or not.
pub(super) const VALUES: [&str; 4] = ["responder", "manager", "admin", "owner"];

/// The client's deadline.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behaviour {
    /// A single value, or a membership.
    pub(super) values: bool,
    /// What is there before us.
    pub(super) standing: Option<usize>,
    /// Seconds for which a read may show what was before.
    pub(super) propagation: i64,
    /// Seconds that an accepted operation takes at most.
    pub(super) longest: i64,
    pub(super) native_end: bool,
    pub(super) tells_owner: bool,
}

impl Behaviour {
    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities {
            native_end: self.native_end,
            tells_owner: self.tells_owner,
            asynchronous: Some(Duration::from_secs(self.longest.unsigned_abs())),
            propagation: Duration::from_secs(self.propagation.unsigned_abs()),
            deadline: DEADLINE,
            session_tail: None,
        }
    }
}

/// How the next call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answering {
    Well,
    Throttled,
    Transient,
    Permanent,
    LostWithoutEffect,
    /// Seconds until it takes effect.
    LostWithEffectAfter(i64),
    CrashBeforeCall,
    CrashWithEffectAfter(i64),
    /// Accepted at the last moment, as an operation that takes this percentage of the longest time; the worker dies before
    /// it has written down how to ask for it.
    CrashBeforeHandle(u8),
    AcceptedDoesNothing,
    Pending {
        polls: u8,
        /// How many polls are not answered.
        faults: u8,
        /// Whether the operation comes to nothing.
        fails: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Us,
    Others,
}

/// What is in the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) value: Option<&'static str>,
    pub(super) by: By,
    pub(super) native_end: Option<Timestamp>,
}

/// What a call changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Set(&'static str, Option<Timestamp>),
    Restore(Option<&'static str>),
    MoveEnd(Timestamp),
}

#[derive(Debug)]
pub(super) struct Target {
    pub(super) behaviour: Behaviour,
    history: Vec<(Timestamp, Truth)>,
    /// What will take effect, and when; an operation that is polled has no time.
    pub(super) in_flight: Option<(Option<Timestamp>, Effect)>,
    chance: u64,
}

impl Target {
    pub(super) fn new(behaviour: Behaviour, chance: u64) -> Self {
        let value = behaviour.standing.map(|i| if behaviour.values { VALUES[i] } else { VALUES[0] });
        let truth = Truth { value, by: By::Others, native_end: None };
        Self { behaviour, history: vec![(Timestamp::MIN, truth)], in_flight: None, chance }
    }

    /// The truth.
    pub(super) fn truth(&self) -> Truth {
        self.history.last().unwrap().1
    }

    /// Time has come to `now`: what was in flight lands, what ends by itself ends.
    pub(super) fn advance(&mut self, now: Timestamp) {
        if let Some((Some(at), effect)) = self.in_flight
            && at <= now
        {
            self.in_flight = None;
            self.apply(at, effect);
        }
        if let Some(end) = self.truth().native_end.filter(|end| *end <= now) {
            self.history.push((end, Truth { value: None, by: By::Others, native_end: None }));
        }
    }

    pub(super) fn apply(&mut self, at: Timestamp, effect: Effect) {
        let truth = self.truth();
        let next = match effect {
            Effect::Set(value, _) if truth.value == Some(value) => truth,
            Effect::Set(value, native_end) => Truth { value: Some(value), by: By::Us, native_end },
            Effect::Restore(value) => Truth { value, by: By::Others, native_end: None },
            Effect::MoveEnd(end) if truth.by == By::Us => Truth { native_end: Some(end), ..truth },
            Effect::MoveEnd(_) => truth,
        };
        self.history.push((at, next));
    }

    pub(super) fn others_set(&mut self, now: Timestamp, value: Option<&'static str>) {
        if self.truth().value != value {
            self.history.push((now, Truth { value, by: By::Others, native_end: None }));
        }
    }

    /// A read: the truth of some instant since the propagation time.
    pub(super) fn observe(&mut self, now: Timestamp) -> Observation {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let range = self.behaviour.propagation.unsigned_abs();
        let lag = if range == 0 { 0 } else { (self.chance >> 33) % range };
        let then = earlier(now, Duration::from_secs(lag));
        let (_, truth) = *self.history.iter().rev().find(|(at, _)| *at <= then).unwrap();
        let owner = match (self.behaviour.tells_owner, truth.value, truth.by) {
            (false, ..) | (_, None, _) => Owner::Unknown,
            (true, _, By::Us) => Owner::Us,
            (true, _, By::Others) => Owner::Other,
        };
        let held = if truth.value.is_some() && !self.behaviour.values { Held::Direct } else { Held::No };
        let value = truth.value.filter(|_| self.behaviour.values).map(str::to_owned);
        Observation { held, value, owner, native_end: truth.native_end }
    }

    /// When the target changes by itself next.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        let landing = self.in_flight.and_then(|(at, _)| at);
        [landing, self.truth().native_end].into_iter().flatten().min()
    }

    pub(super) fn changed_within_propagation(&self, now: Timestamp) -> bool {
        let range = Duration::from_secs(self.behaviour.propagation.unsigned_abs());
        later(self.history.last().unwrap().0, range) > now
    }
}
