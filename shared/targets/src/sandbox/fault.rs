//! What goes wrong on the simulated target, and when.

use std::time::Duration;

use dutykey_engine::ports::target::TargetError;
use dutykey_policy::id::{AccountId, Place};
use jiff::Timestamp;
use serde::Deserialize;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Of the tenant's name.
    Check,
    /// Looks for an account.
    Resolve,
    /// Whether an account is in use.
    IsActive,
    /// Reads the catalog.
    Catalog,
    /// Reads a place.
    Observe,
    /// Gives access.
    Grant,
    /// Asks for a pending operation.
    Poll,
    /// Moves an end.
    Extend,
    /// Takes access away.
    Revoke,
}

impl Operation {
    /// Whether it changes something.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Grant | Self::Extend | Self::Revoke)
    }
}

/// What a fault does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Refused for now, nothing happens: [`TargetError::Transient`], to be tried again after the fault's `after`.
    Fail,
    /// Too many requests, nothing happens: [`TargetError::Throttled`], to be tried again after the fault's `after`.
    Throttled,
    /// Busy with the same place, nothing happens: [`TargetError::Conflict`].
    Conflict,
    /// Refused for good, nothing happens: [`TargetError::Permanent`].
    Permanent,
    /// The request never arrives and no answer comes: [`TargetError::Lost`].
    LostBefore,
    /// It happens, but no answer comes: [`TargetError::Lost`].
    LostAfter,
    /// A write is accepted and, by the target's word, done; nothing happens.
    Lie,
    /// A write is accepted, is pending (for a second, on a target that is not asynchronous) and then fails; nothing
    /// happens: a poll answers [`TargetError::Conflict`].
    LateFailure,
    /// The call acts and is answered after the fault's `after` (the deadline where it has none). A client whose deadline
    /// comes first has lost the answer, and the write acts nevertheless, later.
    Slow,
}

impl FaultKind {
    /// Whether it makes sense for this kind of call.
    #[must_use]
    pub fn concerns(self, operation: Operation) -> bool {
        operation.writes() || !matches!(self, Self::Lie | Self::LateFailure)
    }
}

/// A fault, and the calls that it strikes. Of several only the first strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it does.
    pub kind: FaultKind,
    /// From when on.
    pub from: Timestamp,
    /// Until when; not at this instant any more.
    pub to: Timestamp,
    /// The calls that it strikes; every kind that it concerns where absent.
    pub on: Option<Operation>,
    /// The place about which a call must be.
    pub place: Option<Place>,
    /// The account about which a call must be.
    pub account: Option<AccountId>,
    /// How often it still strikes; without bounds where absent.
    pub times: Option<u32>,
    /// How long a client should wait, or how long a slow call takes.
    pub after: Option<Duration>,
}

impl Fault {
    /// A fault that strikes every call that it concerns, always.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        let (from, to) = (Timestamp::MIN, Timestamp::MAX);
        Self { kind, from, to, on: None, place: None, account: None, times: None, after: None }
    }

    /// Strikes the call, where it concerns it.
    pub(super) fn strike(
        &mut self,
        at: Timestamp,
        operation: Operation,
        account: Option<&AccountId>,
        place: Option<&Place>,
    ) -> Option<Self> {
        let concerns = (self.from..self.to).contains(&at)
            && self.kind.concerns(operation)
            && self.on.is_none_or(|on| on == operation)
            && (self.place.is_none() || self.place.as_ref() == place)
            && (self.account.is_none() || self.account.as_ref() == account)
            && self.times != Some(0);
        if !concerns {
            return None;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        Some(self.clone())
    }

    /// The definite refusal that it is; `None` for a fault that refuses nothing.
    pub(super) fn refusal(&self) -> Option<TargetError> {
        let detail = "the sandbox's script says so".to_owned();
        Some(match self.kind {
            FaultKind::Fail => TargetError::Transient { after: self.after, detail },
            FaultKind::Throttled => TargetError::Throttled { after: self.after, detail },
            FaultKind::Conflict => TargetError::Conflict(detail),
            FaultKind::Permanent => TargetError::Permanent(detail),
            FaultKind::LostBefore
            | FaultKind::LostAfter
            | FaultKind::Lie
            | FaultKind::LateFailure
            | FaultKind::Slow => return None,
        })
    }

    /// Whether it loses the answer.
    pub(super) fn loses(&self) -> bool {
        matches!(self.kind, FaultKind::LostBefore | FaultKind::LostAfter)
    }
}
