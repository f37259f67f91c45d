//! Hints: what a platform's webhook says. A hint only ever makes a read come sooner.

use std::time::Duration;

use async_trait::async_trait;
use dutykey_policy::id::SourceId;
use jiff::Timestamp;

use super::ledger::StoreError;

/// The IDs of hints are remembered for so long: longer than any platform delivers one again.
pub const REMEMBERED: Duration = Duration::from_secs(72 * 3_600);

/// Hints about the same thing lead to one read in this time.
pub const JOINED: Duration = Duration::from_secs(30);

/// A verified hint, with what it would have read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The source whose platform sent it.
    pub source: SourceId,
    /// Its own ID, the same on every delivery of it.
    pub id: String,
    /// What it makes worth reading, by the platform's ID; `None` where that is nothing.
    pub about: Option<String>,
    /// How many rotations one read of that covers.
    pub rotations: u32,
    /// How many rotations of the source all hints together may have read in one minute.
    pub most: u32,
    /// When it came.
    pub at: Timestamp,
}

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It came before: nothing is to do.
    Duplicate,
    /// A read that is still to come shows what it hints at, or there is nothing to read.
    Joined,
    /// It is the first since the last read: read at this instant, which is now or the end of the time in which hints are
    /// joined. So every hint is followed by a read, and no two reads are nearer than [`JOINED`].
    First(Timestamp),
    /// Hints have asked for all the reads that they may in this minute: the schedule's next read must do.
    OverBudget,
}

/// The power to remember hints, and nothing else.
#[async_trait]
pub trait WriteHints: Send + Sync {
    /// Remembers a verified hint and says what became of it, as one transaction.
    ///
    /// # Errors
    /// The table cannot be used, or too many others were faster; the platform delivers the hint again.
    async fn take(&self, hint: &Hint) -> Result<Taken, StoreError>;
}
