//! Time and chance come in as parameters, so that every line can run under a virtual clock and repeat itself exactly.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::ledger::StoreError;

/// An answer from elsewhere that says when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated<'a> {
    /// Whose it is: a host.
    pub from: &'a str,
    /// Its `Date` (RFC 9110 §6.6.1).
    pub date: &'a str,
    /// How long ago it was asked for.
    pub took: Duration,
}

impl<'a> Dated<'a> {
    /// The answer of a host with these headers. `None` where it has no `Date`, or comes out of a cache (`Age`, RFC 9111
    /// §5.1): then it was made before it was asked for.
    #[must_use]
    pub fn new(from: &'a str, date: Option<&'a str>, age: Option<&str>, took: Duration) -> Option<Self> {
        let fresh = age.is_none_or(|age| age.trim() == "0");
        date.filter(|_| fresh).map(|date| Self { from, date, took })
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
