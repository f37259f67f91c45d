//! What tests of several modules share: short ways to write instants, IDs and shifts.

use jiff::Timestamp;

use crate::id::{PersonId, UserId};
use crate::rota::{End, KnownShift, Shift};

/// Minutes after a fixed Monday, 2026-03-02T00:00Z.
pub(crate) fn minute(n: i64) -> Timestamp {
    second(n * 60)
}

/// Seconds after the same instant.
pub(crate) fn second(n: i64) -> Timestamp {
    Timestamp::from_second(1_772_409_600 + n).unwrap()
}

/// Any of the ID types.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// The person with this number.
pub(crate) fn person(n: u128) -> PersonId {
    id(&format!("per_{}", ulid::Ulid::from(n)))
}

/// A shift of a user over minutes.
pub(crate) fn shift(user: &str, from: i64, to: i64) -> Shift {
    Shift {
        start: minute(from),
        end: End::At(minute(to)),
        user: Some(id::<UserId>(user)),
        cause: crate::rota::Cause::Unknown,
        native_id: None,
        maker: None,
    }
}

/// A shift that was seen at a minute and still stands.
pub(crate) fn known(shift: Shift, seen: i64) -> KnownShift {
    KnownShift { shift, seen: minute(seen), gone: None, reached: None }
}

/// So many random cases, without a file of those that failed.
pub(crate) fn cases(n: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { failure_persistence: None, ..proptest::test_runner::Config::with_cases(n) }
}
