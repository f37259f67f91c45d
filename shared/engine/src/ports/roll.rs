//! The roll of a directory, as the table keeps it, and who is known as active.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use dutykey_policy::evidence::Draft;
use dutykey_policy::id::PersonId;
use dutykey_policy::identity::Person;
use dutykey_policy::roll::Roll;
use jiff::Timestamp;

use super::ledger::{Notice, StoreError};

/// A change of a roll: refused where its `rev` is not the one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollChange {
    /// The app or source that says who is active.
    pub directory: String,
    /// The roll after it, with the `rev` that was read.
    pub roll: Roll,
    /// What is recorded of the installation.
    pub evidence: Vec<Draft>,
}

/// The power to read rolls.
#[async_trait]
pub trait ReadRoll: Send + Sync {
    /// The roll of a directory, read consistently; an empty one where there is none.
    async fn roll(&self, directory: &str) -> Result<Roll, StoreError>;

    /// Whom the directory was asked of at or after this instant and is known to have shown active. Found in an index.
    async fn active_since(&self, since: Timestamp) -> Result<BTreeSet<PersonId>, StoreError>;

    /// Who these people are, of those who exist.
    async fn persons(&self, people: &[PersonId]) -> Result<BTreeMap<PersonId, Person>, StoreError>;
}

/// The power to say something of whom the brake holds.
#[async_trait]
pub trait WriteRoll: ReadRoll {
    /// Keeps the roll, with its evidence, its notices and a sweep among everybody in one transaction.
    async fn say(&self, change: &RollChange, notices: &[Notice], at: Timestamp) -> Result<(), StoreError>;
}
