//! Telling people.

use async_trait::async_trait;

use super::ledger::Notice;

/// A notice could not be delivered on any channel; it stays due.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not deliver the notice: {0}")]
pub struct NotifyError(pub String);

/// The power to tell people.
#[async_trait]
pub trait Notify: Send + Sync {
    /// Tells it on every channel that wants it; told on one, it is told. With no channel the log is the channel.
    async fn tell(&self, notice: &Notice) -> Result<(), NotifyError>;
}
