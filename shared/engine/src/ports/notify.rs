//! Telling people.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::ledger::Notice;

/// A notice could not be delivered on every channel that wants it; it stays due for the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not deliver the notice: {what}")]
pub struct NotifyError {
    /// What went wrong.
    pub what: String,
    /// The channels that have taken it by now.
    pub told: BTreeSet<String>,
}

/// Nobody was told.
impl From<String> for NotifyError {
    fn from(what: String) -> Self {
        Self { what, told: BTreeSet::new() }
    }
}

/// The power to tell people.
#[async_trait]
pub trait Notify: Send + Sync {
    /// Tells it on every channel that wants it and has not taken it yet. With no channel the log is the channel.
    async fn tell(&self, notice: &Notice) -> Result<(), NotifyError>;
}
