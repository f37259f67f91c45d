//! Emergencies as the table keeps them.

use async_trait::async_trait;
use dutykey_policy::emergency::Emergency;
use dutykey_policy::id::{EmergencyId, PersonId};

use super::ledger::StoreError;

/// The power to read emergencies.
#[async_trait]
pub trait ReadEmergencies: Send + Sync {
    /// An emergency, over or not, read consistently.
    async fn emergency(&self, id: &EmergencyId) -> Result<Option<Emergency>, StoreError>;

    /// One that a person took and nobody has reviewed, if there is one. Found in an index.
    async fn unreviewed(&self, of: &PersonId) -> Result<Option<EmergencyId>, StoreError>;
}
