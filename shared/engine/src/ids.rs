//! IDs that are made here.

use std::str::FromStr;

use jiff::Timestamp;
use ulid::Ulid;

use crate::ports::clock::Chance;
use crate::ports::ledger::StoreError;

/// A new ULID: it sorts by the time at which it was made, and nobody can guess it.
pub(crate) fn fresh(chance: &dyn Chance, now: Timestamp) -> Ulid {
    let random = chance.bytes().iter().take(16).fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
    Ulid::from_parts(u64::try_from(now.as_millisecond()).unwrap_or_default(), random)
}

/// A new ID that begins like this.
pub(crate) fn named<T>(prefix: &str, chance: &dyn Chance, now: Timestamp) -> Result<T, StoreError>
where
    T: FromStr<Err: std::fmt::Display>,
{
    // Only a clock that is tens of centuries off makes none.
    format!("{prefix}_{}", fresh(chance, now)).parse().map_err(|error: T::Err| StoreError::Limit(error.to_string()))
}
