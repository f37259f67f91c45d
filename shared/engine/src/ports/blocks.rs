//! The power to write blocks. A worker only reads them, with everything else that it decides with.

use async_trait::async_trait;
use dutykey_policy::block::Block;
use dutykey_policy::evidence::Sealed;
use dutykey_policy::id::PersonId;
use jiff::Timestamp;

use super::ledger::StoreError;

/// Who must be looked at after a block was placed or lifted. The same transaction has made them due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerned {
    /// One person.
    Person(PersonId),
    /// Many, by the sweep of this ID.
    Sweep(String),
}

/// The power to write blocks.
#[async_trait]
pub trait WriteBlocks: Send + Sync {
    /// Places a block, in one transaction with its evidence, the text of its reason and what makes those due whom it
    /// concerns. Placing the same block again changes nothing. `None` where it names a person who does not exist or was
    /// erased.
    async fn place(&self, block: &Block, reason: &Sealed, at: Timestamp) -> Result<Option<Concerned>, StoreError>;

    /// Lifts a block before its end, in one transaction with its evidence and what makes those due whom it concerned.
    /// `None` where there is no such block, or none that has not ended.
    async fn lift(&self, id: &str, author: &str, at: Timestamp) -> Result<Option<Concerned>, StoreError>;
}
