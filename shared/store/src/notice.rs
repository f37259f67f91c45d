//! Notices: written with what they tell, due until delivered.

use dutykey_engine::ports::ledger::{Notice, StoreError};
use jiff::Timestamp;

use crate::KEPT_SECONDS;
use crate::Store;
use crate::codec::{number, text};
use crate::keys;
use crate::write::{Condition, Write};

/// Writes a notice that nobody has written yet. The same cause never makes two: where there is one, delivered or not,
/// the condition fails and the change goes on without it.
pub(crate) fn written(notice: &Notice) -> Result<Write, StoreError> {
    Ok(due(notice)?.when(Condition::new()))
}

fn due(notice: &Notice) -> Result<Write, StoreError> {
    let key = keys::notice(notice);
    let shard = keys::shard(keys::NOTICES, &notice.id);
    Ok(Write::save(key, notice)?
        .with(keys::DUE.partition, text(shard))
        .with(keys::DUE.sort, text(keys::instant(notice.due))))
}

/// The second after which DynamoDB may remove what was over at the instant.
pub(crate) fn expiry(at: Timestamp) -> i64 {
    at.as_second().saturating_add(KEPT_SECONDS)
}

impl Store {
    /// Takes a delivered notice out of what is due; it is kept for a while.
    pub(crate) async fn notice_delivered(&self, notice: &Notice) -> Result<(), StoreError> {
        let write = Write::save(keys::notice(notice), notice)?
            .without(&[keys::DUE.partition, keys::DUE.sort])
            .with(keys::TTL, number(expiry(notice.at)))
            .when(Condition::exists());
        self.write(write).await.map_err(|refused| refused.changed(format!("notice {}", notice.id)))
    }

    /// Makes a notice due again. One that was delivered meanwhile stays delivered.
    pub(crate) async fn notice_postponed(&self, notice: &Notice) -> Result<(), StoreError> {
        let write = due(notice)?.when(Condition::Present(keys::DUE.partition.to_owned()));
        self.write(write).await.map_err(|refused| refused.changed(format!("notice {}", notice.id)))
    }
}
