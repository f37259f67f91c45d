//! Time and chance come in as parameters, so that every line can run under a virtual clock and repeat itself exactly.

use async_trait::async_trait;
use jiff::Timestamp;

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, in UTC, to the millisecond.
    fn now(&self) -> Timestamp;

    /// Returns at the instant, or at once where it has passed.
    async fn sleep_until(&self, at: Timestamp);
}

/// Where chance comes from.
pub trait Chance: Send + Sync {
    /// 32 bytes that nobody can guess.
    fn bytes(&self) -> [u8; 32];
}
