//! The power to erase people.

use async_trait::async_trait;
use dutykey_policy::id::PersonId;
use jiff::Timestamp;

use super::ledger::{LivePerson, StoreError};

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// Some of their texts are gone, and there are more.
    InPart,
    /// Nothing is left that says who they are, and none of their texts.
    Whole,
}

/// The power to erase people.
#[async_trait]
pub trait ErasePeople: Send + Sync {
    /// Takes the next step in erasing a person as they were read: one transaction with its evidence, refused where their
    /// head is not that any more. Texts go first, as many as fit, and whatever says who they are goes last, with the record
    /// that they are erased; so whoever is interrupted goes on by reading again. Of somebody who is erased already only
    /// texts go that have come since.
    async fn erase(&self, live: &LivePerson, by: &PersonId, at: Timestamp) -> Result<Erased, StoreError>;
}
