//! The power to change the whole configuration over the API, as a person.

use async_trait::async_trait;
use dutykey_policy::configure::Proposal;
use dutykey_policy::id::PersonId;
use dutykey_policy::installation::Installation;
use jiff::Timestamp;

use super::ledger::StoreError;

/// A configuration that comes into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it becomes, the profiles that the API made aside.
    pub installation: Installation,
    /// Who decides it.
    pub by: PersonId,
    /// The proposal that is confirmed by it.
    pub confirmed: Option<Proposal>,
    /// The version on which it was decided. On another one it is refused.
    pub on: u64,
    /// When it is decided.
    pub at: Timestamp,
}

/// What a change of the configuration has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The version that is in force now.
    pub version: u64,
    /// The sweeps that have everybody looked at whom it concerns.
    pub sweeps: Vec<String>,
}

/// The power to change the configuration.
#[async_trait]
pub trait WriteConfiguration: Send + Sync {
    /// The change that waits for another administrator at this instant.
    async fn proposed_configuration(&self, now: Timestamp) -> Result<Option<Proposal>, StoreError>;

    /// Has a change wait, in the place of any that waits, in one transaction with its evidence. Refused where the
    /// configuration is not the one on which it was judged.
    async fn propose_configuration(&self, proposal: &Proposal) -> Result<(), StoreError>;

    /// Writes the new versions first; then one transaction moves the head of the configuration, with its evidence, and
    /// makes those due whom it concerns. What the API made stays; what waits is gone then. Refused where the configuration
    /// has changed, or where what the API made could not stay.
    async fn change_configuration(&self, change: &Change) -> Result<Applied, StoreError>;
}
