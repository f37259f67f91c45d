//! The life of a hold: `wanted → granting → held → ending → ended`, and beside it `kept` and `stuck`.
//!
//! A hold is the ledger's record of one place in one account of one app. It moves only through the functions of this
//! module and of [`crate::hold::step`], which are pure: they take the hold, what is wanted, what a read of the target
//! showed and the time, and answer the next hold and, where one is due, the call to make. Four rules shape them:
//!
//! - One call at a time: an attempt is in the record before its call, and nobody else calls while it may still act.
//! - Each attempt is preceded by its own read. What that read finds before anything of ours is standing access.
//! - A call that was accepted is not done; done is what a read has shown.
//! - After a lost answer the next read tells what happened, as far as the target lets anyone know.

pub mod step;
#[cfg(test)]
mod tests;
pub mod write_off;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::clock::AGREES_MS;
use crate::id::{HoldKey, PersonId};
use crate::rota::hex;
use crate::time::later;
use crate::turn::Turn;
use crate::wants::{Reason, Shape, Want};

/// Added to the last reason's end where the target can end access by itself: late enough not to come before our own
/// revocation, early enough to matter when every part of Dutykey is down.
pub const NATIVE_MARGIN: Duration = Duration::from_secs(900);

/// Added to the time for which a call may act: one that has no recorded result by then is taken to act no more.
pub const SETTLE_MARGIN: Duration = Duration::from_secs(30);
/// Two workers' clocks differ by at most so much: each agrees with the same table's ([`AGREES_MS`]).
pub const CLOCKS_APART: Duration = Duration::from_millis(2 * AGREES_MS.unsigned_abs());

/// Where a hold is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A reason lives and nothing has been put there yet, as far as is known.
    Wanted,
    /// A grant is under way or its outcome is not known yet.
    Granting,
    /// A read has shown it in place.
    Held,
    /// No reason lives; it is being taken back.
    Ending,
    /// Over.
    Ended(Outcome),
    /// Standing access: it was there before us, and nothing is called.
    Kept,
    /// An error that does not pass by itself, or doubt: shown, told, tried again hourly.
    Stuck,
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A read has shown that it is gone.
    Proven,
    /// Nothing of ours was ever put there.
    NeverGranted,
    /// It was standing access and stays.
    StandingKept,
    /// Others have changed it since; it is theirs now and stays.
    ChangedByOthers,
    /// The account is gone, and the access with it.
    AccountGone,
    /// A named administrator has written it off: nothing has shown that it is gone.
    WrittenOff,
}

/// On which side a step is: each has its own function, queue and share of a target's turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Beginnings: provisioning.
    Starts,
    /// Ends: revocation.
    Ends,
}

/// What an attempt does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Puts access in place, or sets a value.
    Grant,
    /// Takes access away, or puts the base back.
    Revoke,
    /// Moves the end that the target keeps by itself.
    Extend,
}

/// One call to a target. It is in the hold before the call is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counts up over the hold's life.
    pub number: u32,
    /// What it does.
    pub call: Call,
    /// When it was begun.
    pub started: Timestamp,
    /// After this the call is taken to act no more.
    pub not_after: Timestamp,
    /// The operation at the target that is polled to its end, with the time of the next poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// The turns that it holds until its result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
}

/// An asynchronous operation at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The target's handle of it.
    pub operation: String,
    /// When it is asked for next.
    pub poll_at: Timestamp,
}

/// Why something is tried again, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// When.
    pub at: Timestamp,
    /// Which way it was going.
    pub side: Side,
    /// How many times in a row it has failed.
    pub failures: u32,
    /// What happened, in a sentence; foreign text in it is bounded.
    pub because: String,
    /// What it waits for is a turn, which is no failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnWait>,
}

/// A wait for a turn at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnWait {
    /// Since when.
    pub since: Timestamp,
    /// How often none was free.
    pub looks: u32,
}

/// When an act was due, known, begun and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// When policy said that it should happen.
    pub due: Timestamp,
    /// When Dutykey learnt of that.
    pub known: Timestamp,
    /// When the first call left.
    pub started: Timestamp,
    /// Since when the first call had waited for a turn, where it had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_since: Option<Timestamp>,
    /// When a read showed it done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Timestamp>,
}

impl Act {
    /// How late the first call left, in milliseconds: after it was due and known, whichever came later. The wait for a
    /// turn is not in it.
    #[must_use]
    pub fn lag_ms(&self) -> i64 {
        crate::time::millis_between(self.due.max(self.known), self.turn_since.unwrap_or(self.started))
    }

    /// How long the first call waited for a turn, in milliseconds; zero where it had one at once.
    #[must_use]
    pub fn turn_wait_ms(&self) -> i64 {
        self.turn_since.map_or(0, |since| crate::time::millis_between(since, self.started))
    }

    /// How late the news was, in milliseconds; zero where it came in time.
    #[must_use]
    pub fn late_news_ms(&self) -> i64 {
        crate::time::millis_between(self.due, self.known).max(0)
    }
}

/// Whose the access is, as far as the target lets anyone know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// A read found nothing before our attempt, and the attempt was answered.
    #[default]
    Ours,
    /// It was found after an answer of ours was lost: most likely ours.
    Unproven,
}

/// The ledger's record of one place in one account of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its place.
    pub key: HoldKey,
    /// Whose account it is.
    pub person: PersonId,
    /// Where it is in its life.
    pub state: State,
    /// When it came into this state.
    pub since: Timestamp,
    /// What the reasons want, as of the last look that found any.
    pub shape: Shape,
    /// The reasons, as of the last look that found any.
    pub reasons: Vec<Reason>,
    /// When the last reason ends, by what was known then. Committed before the first call that grants.
    pub due: Timestamp,
    /// A single value's value before the first of ours. `None` where there was none, and for a set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The single value that a read has shown after we set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// The single value that we asked for and no read has shown yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// Whether a call of ours may have had an effect that no revocation has undone.
    #[serde(default)]
    pub touched: bool,
    /// Whose the access is.
    #[serde(default)]
    pub ownership: Ownership,
    /// The adapter's own record of the grant, opaque to everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<serde_json::Value>,
    /// When the target ends the access by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_end: Option<Timestamp>,
    /// How many attempts there were.
    #[serde(default)]
    pub attempts: u32,
    /// The attempt that has no recorded result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Attempt>,
    /// Until when attempts whose answers were lost may still act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled_until: Option<Timestamp>,
    /// When the last call was answered with success: a read sooner than the target's propagation proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// What the last answered call did, until a read has shown its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Call>,
    /// Why and when it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// When a read last confirmed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// The grant, for the lag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Act>,
    /// The revocation, for the lag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Act>,
    /// Whether somebody has been told that it is past its end, or stuck.
    #[serde(default)]
    pub told: bool,
}

impl Hold {
    /// A hold for what is wanted, before anything was read or called.
    #[must_use]
    pub fn wanted(key: HoldKey, person: PersonId, want: &Want, now: Timestamp) -> Self {
        Self {
            key,
            person,
            state: State::Wanted,
            since: now,
            shape: want.shape.clone(),
            reasons: want.reasons.clone(),
            due: want.until(),
            base: None,
            set: None,
            setting: None,
            touched: false,
            ownership: Ownership::Ours,
            receipt: None,
            native_end: None,
            attempts: 0,
            open: None,
            unsettled_until: None,
            answered_at: None,
            answered: None,
            retry: None,
            checked_at: None,
            granted: None,
            revoked: None,
            told: false,
        }
    }

    /// A name that is fit for an address: its person, and a digest of its place.
    #[must_use]
    pub fn name(&self) -> String {
        const BYTES: usize = 10;
        let digest = Sha256::digest(self.key.to_string());
        format!("{}.{}", self.person, hex(digest.get(..BYTES).unwrap_or(&digest)))
    }

    /// Whose a hold with this name would be.
    #[must_use]
    pub fn holder(name: &str) -> Option<PersonId> {
        name.split_once('.')?.0.parse().ok()
    }

    /// Whether the hold is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// How long access of ours has been past its end, where it is: no reason lives and it is not proven gone. An end
    /// that moves on with a lease counts only once a look has found the lease over.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Option<Duration> {
        let rolling = self.reasons.iter().any(|reason| reason.rolling && reason.until >= self.due);
        let past = self.due < now && (self.is_ending() || !rolling);
        let ours = self.touched && !self.is_over();
        (ours && past).then(|| Duration::try_from(now.duration_since(self.due)).unwrap_or_default())
    }

    /// The same, to be tried again now rather than when it was to be; `None` where it waits for nothing but its turn.
    #[must_use]
    pub fn tried_now(&self, now: Timestamp) -> Option<Self> {
        let retry = self.retry.as_ref().filter(|retry| retry.turn.is_none() && retry.at > now && !self.is_over())?;
        Some(Self { retry: Some(Retry { at: now, ..retry.clone() }), ..self.clone() })
    }

    /// Whether it is on its way out.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        let stuck = self.state == State::Stuck && self.retry.as_ref().is_some_and(|retry| retry.side == Side::Ends);
        self.state == State::Ending || stuck
    }

    /// When nothing of ours can act any more and a read can be believed. Where that takes time, the one who was answered
    /// and the one who reads may have different clocks.
    #[must_use]
    pub fn settled_at(&self, propagation: Duration) -> Timestamp {
        let apart = if propagation.is_zero() { Duration::ZERO } else { CLOCKS_APART };
        let last = self.answered_at.map(|at| later(at, apart)).max(self.unsettled_until);
        last.map_or(Timestamp::MIN, |at| later(at, propagation))
    }

    fn enter(&mut self, state: State, now: Timestamp) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }
}

/// What a read of the target showed of one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Whether it is there, and how.
    pub held: Held,
    /// The value, where the place has one.
    pub value: Option<String>,
    /// Who put it there, where the target tells.
    pub owner: Owner,
    /// When the target ends it by itself.
    pub native_end: Option<Timestamp>,
}

impl Observation {
    /// Whether the person has it directly, by what the target tells.
    #[must_use]
    pub fn direct(&self) -> bool {
        matches!(self.held, Held::Direct | Held::DirectAndInherited)
    }
}

/// Whether access is there, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Not there.
    No,
    /// There, for this account itself.
    Direct,
    /// There through something else, which is not ours to change.
    Inherited,
    /// Both.
    DirectAndInherited,
}

/// Who put access there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Dutykey.
    Us,
    /// Somebody else.
    Other,
    /// The target does not tell.
    Unknown,
}

/// What an adapter can do and how its target behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether the target ends access by itself at a time.
    pub native_end: bool,
    /// Whether the target tells who put access there.
    pub tells_owner: bool,
    /// The longest that an accepted operation goes on, by the target's own word, where operations are asynchronous and
    /// polled; `None` where a call has done what it does when it is answered.
    pub asynchronous: Option<Duration>,
    /// How long after a change a read may still show the state before it.
    pub propagation: Duration,
    /// The client's deadline for one call.
    pub deadline: Duration,
    /// How long sessions that have begun outlive the access; `None` where they end with it.
    pub session_tail: Option<Duration>,
}

impl Capabilities {
    /// How long after its beginning a call may still act: it may be accepted just before the client's deadline, and go on
    /// from there although nobody knows of the operation to ask for it.
    #[must_use]
    pub fn acts_for(&self) -> Duration {
        self.deadline.saturating_add(self.asynchronous.unwrap_or_default())
    }
}

/// How a call to a target failed. Each is treated differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Too many requests; nothing happened.
    Throttled,
    /// Refused for now; nothing happened.
    Transient,
    /// Something else was going on at the same place; nothing happened.
    Conflict,
    /// The request may have left and no answer came: it may have happened.
    Lost,
    /// The account does not exist any more.
    AccountGone,
    /// It will not work until somebody changes something.
    Permanent,
}
