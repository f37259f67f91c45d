//! The function of ends: makes holds end, and proves it.

use dutykey_engine::look::Worker;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::Message;

/// The function's name, in evidence, logs and metrics.
pub const NAME: &str = "revocation";

/// Takes one message of the `revocation` queue.
///
/// # Errors
/// The table cannot be used; the message comes again.
pub async fn take(worker: &Worker, message: &Message) -> Result<(), StoreError> {
    worker.take(message).await
}
