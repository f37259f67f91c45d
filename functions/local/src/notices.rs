//! Notices of a process without channels: the log is the channel.

use async_trait::async_trait;
use dutykey_engine::ports::ledger::Notice;
use dutykey_engine::ports::notify::{Notify, NotifyError};

/// Tells the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogNotices;

#[async_trait]
impl Notify for LogNotices {
    async fn tell(&self, notice: &Notice) -> Result<(), NotifyError> {
        tracing::warn!(notice.id = %notice.id, "{}", notice.text);
        Ok(())
    }
}
