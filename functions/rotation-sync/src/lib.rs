//! The function that reads platforms and plans enrollments.

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::Message;
use dutykey_engine::sync::Syncer;

/// Takes one message of the `sync` queue.
///
/// # Errors
/// The table cannot be used; the message comes again.
pub async fn take(syncer: &Syncer, message: &Message) -> Result<(), StoreError> {
    syncer.take(message).await
}
