//! Time and chance come in as parameters, so that every line can run under a virtual clock and repeat itself exactly.

use async_trait::async_trait;
use jiff::Timestamp;

use super::ledger::StoreError;

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, in UTC, to the millisecond.
    fn now(&self) -> Timestamp;

    /// Returns at the instant, or at once where it has passed.
    async fn sleep_until(&self, at: Timestamp);

    /// Why the clock cannot be trusted now; `None` where it can, as far as anybody has said. A worker whose clock is in
    /// doubt decides nothing.
    fn doubt(&self) -> Option<String> {
        None
    }
}

/// Where chance comes from.
pub trait Chance: Send + Sync {
    /// 32 bytes that nobody can guess.
    fn bytes(&self) -> [u8; 32];
}

/// Refuses to decide anything while the clock is in doubt.
///
/// # Errors
/// The doubt.
pub fn trusted(clock: &dyn Clock) -> Result<(), StoreError> {
    clock.doubt().map_or(Ok(()), |why| Err(StoreError::Unavailable(why)))
}

/// The answer, where it comes by the deadline. An answer that is there counts, however late it is looked at.
pub async fn within<T>(clock: &dyn Clock, deadline: Timestamp, answer: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = answer => Some(answer),
        () = clock.sleep_until(deadline) => None,
    }
}
