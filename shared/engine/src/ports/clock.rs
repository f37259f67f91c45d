//! Time and chance come in as parameters, so that every line can run under a virtual clock and repeat itself exactly.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::ledger::StoreError;

/// An answer from elsewhere that says when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated<'a> {
    /// Whose it is: a source's or an app's ID, for a person to read.
    pub from: &'a str,
    /// The host that gave it. It may be a secret, and is told to nobody.
    pub host: &'a str,
    /// Its `Date` (RFC 9110 §6.6.1).
    pub date: &'a str,
    /// How long ago it was asked for.
    pub took: Duration,
}

/// Tells a clock what the answers of one source or app say of the time there.
#[derive(Clone)]
pub struct Listener {
    clock: Arc<dyn Clock>,
    from: String,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Listener {
    /// For the source or app with this ID.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, from: &impl ToString) -> Self {
        Self { clock, from: from.to_string() }
    }

    /// Takes in the `Date` and the `Age` of an answer that a host gave. One without a date says nothing, nor does one out
    /// of a cache (`Age`, RFC 9111 §5.1): it was made before it was asked for.
    pub fn hear(&self, host: &str, date: Option<&str>, age: Option<&str>, took: Duration) {
        let fresh = age.is_none_or(|age| age.trim() == "0");
        if let Some(date) = date.filter(|_| fresh) {
            self.clock.hear(&Dated { from: &self.from, host, date, took });
        }
    }
}

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, in UTC, to the millisecond.
    fn now(&self) -> Timestamp;

    /// Returns at the instant, or at once where it has passed.
    async fn sleep_until(&self, at: Timestamp);

    /// Takes in what an answer says of the time where it was made, to be compared with this clock.
    fn hear(&self, _answer: &Dated<'_>) {}

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
    clock.doubt().map_or(Ok(()), |why| Err(StoreError::Doubt(why)))
}

/// The answer, where it comes by the deadline. An answer that is there counts, however late it is looked at.
pub async fn within<T>(clock: &dyn Clock, deadline: Timestamp, answer: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = answer => Some(answer),
        () = clock.sleep_until(deadline) => None,
    }
}
