//! Who holds which turn.

use async_trait::async_trait;
use dutykey_policy::id::AppId;
use dutykey_policy::turn::Read;

use super::ledger::StoreError;

/// The power to read turns. They change with the holds that they serve, as a part of a person's change.
#[async_trait]
pub trait ReadTurns: Send + Sync {
    /// The turns of an app's key that are in the table, those whose time is over included, read consistently.
    async fn turns(&self, app: &AppId, key: &str) -> Result<Read, StoreError>;
}
