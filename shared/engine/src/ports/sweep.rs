//! Sweeps: a change for many people is written together with the order to look at each of them, which is then worked off
//! in pages.

use async_trait::async_trait;
use dutykey_policy::id::{PersonId, ProfileId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ledger::StoreError;

/// Among whom a sweep looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Among {
    /// Everybody.
    Everybody,
    /// Whoever is enrolled in a profile.
    Profile(ProfileId),
}

/// A sweep that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// Names the change that made it.
    pub id: String,
    /// Among whom it looks.
    pub among: Among,
    /// Why, in a word.
    pub cause: String,
    /// When it goes on, where nobody is at work on it.
    pub due: Timestamp,
    /// How far it has come; `None` at its beginning. Opaque.
    pub after: Option<String>,
    /// Counts up with each page.
    pub rev: u64,
}

impl Sweep {
    /// A sweep at its beginning.
    #[must_use]
    pub fn new(id: String, among: Among, cause: &str, due: Timestamp) -> Self {
        Self { id, among, cause: cause.to_owned(), due, after: None, rev: 0 }
    }
}

/// One page of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepPage {
    /// Whom to look at. Candidates: whoever looks reads them again.
    pub people: Vec<PersonId>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// The power to work off sweeps.
#[async_trait]
pub trait WorkSweeps: Send + Sync {
    /// A sweep, read consistently; `None` once it is over.
    async fn sweep(&self, id: &str) -> Result<Option<Sweep>, StoreError>;

    /// The next page of a sweep.
    async fn sweep_page(&self, sweep: &Sweep) -> Result<SweepPage, StoreError>;

    /// Remembers how far the sweep has come. Refused where its `rev` is not the one that was read.
    async fn keep_sweep(&self, sweep: &Sweep) -> Result<(), StoreError>;

    /// The sweep is over. Refused where its `rev` is not the one that was read.
    async fn end_sweep(&self, sweep: &Sweep) -> Result<(), StoreError>;
}
