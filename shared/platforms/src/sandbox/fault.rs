//! What goes wrong on the simulated platform, and when.

use std::time::Duration;

use dutykey_engine::ports::platform::PlatformError;
use dutykey_policy::id::RotationId;
use jiff::Timestamp;
use serde::Deserialize;

/// A kind of read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Of the account's name.
    Check,
    /// Of users.
    Users,
    /// Of teams.
    Teams,
    /// Of the list of rotations.
    Rotations,
    /// Of a rotation's shifts.
    Shifts,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Check => "the account",
            Self::Users => "the users",
            Self::Teams => "the teams",
            Self::Rotations => "the rotations",
            Self::Shifts => "the shifts",
        })
    }
}

/// What a fault does to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// No answer: [`PlatformError::Unavailable`].
    Outage,
    /// Too many requests: [`PlatformError::Throttled`], to be tried again after the fault's `after`.
    Throttled,
    /// The credentials are refused: [`PlatformError::Unauthorized`].
    Unauthorized,
    /// The right to read is missing: [`PlatformError::Forbidden`].
    Forbidden,
    /// What was there is unknown: [`PlatformError::NotFound`].
    NotFound,
    /// An answer that nobody can read: [`PlatformError::Faulty`].
    Garbage,
    /// The answer, as of when the read arrived, comes after the fault's `after`; not at all where that is not within the
    /// client's deadline.
    Slow,
    /// A lie: a complete, well-formed answer that lists nothing.
    Empty,
    /// A lie: a complete, well-formed answer without half of the people (rounded up), or of whatever is listed.
    Half,
}

impl FaultKind {
    /// The error that a read of `what` meets; `None` for a fault that answers.
    pub(super) fn error(self, what: String, after: Option<Duration>) -> Option<PlatformError> {
        Some(match self {
            Self::Outage => PlatformError::Unavailable("the sandbox has an outage".to_owned()),
            Self::Throttled => PlatformError::Throttled { after },
            Self::Unauthorized => PlatformError::Unauthorized("the sandbox knows no such token".to_owned()),
            Self::Forbidden => PlatformError::Forbidden { what, detail: "the sandbox forbids it".to_owned() },
            Self::NotFound => PlatformError::NotFound(what),
            Self::Garbage => PlatformError::Faulty("the sandbox answers `<html>` where JSON was due".to_owned()),
            Self::Slow | Self::Empty | Self::Half => return None,
        })
    }
}

/// A fault, and the reads that it strikes. Of several only the first strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it does.
    pub kind: FaultKind,
    /// From when on.
    pub from: Timestamp,
    /// Until when; not at this instant any more.
    pub to: Timestamp,
    /// The reads that it strikes; every kind where absent.
    pub on: Option<Operation>,
    /// The rotation whose shifts it strikes; where absent, it makes no difference.
    pub rotation: Option<RotationId>,
    /// How often it still strikes; without bounds where absent.
    pub times: Option<u32>,
    /// How long a throttled client should wait, or how long a slow answer takes.
    pub after: Option<Duration>,
}

impl Fault {
    /// A fault that strikes every read, always.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, from: Timestamp::MIN, to: Timestamp::MAX, on: None, rotation: None, times: None, after: None }
    }

    /// Strikes the read, where it concerns it.
    pub(super) fn strike(
        &mut self,
        at: Timestamp,
        operation: Operation,
        rotation: Option<&RotationId>,
    ) -> Option<(FaultKind, Option<Duration>)> {
        let concerns = (self.from..self.to).contains(&at)
            && self.on.is_none_or(|on| on == operation)
            && (self.rotation.is_none() || self.rotation.as_ref() == rotation)
            && self.times != Some(0);
        if !concerns {
            return None;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        Some((self.kind, self.after))
    }
}
