//! IDs that are made here.

use jiff::Timestamp;
use ulid::Ulid;

use crate::ports::clock::Chance;

/// A new ULID: it sorts by the time at which it was made, and nobody can guess it.
pub(crate) fn fresh(chance: &dyn Chance, now: Timestamp) -> Ulid {
    let random = chance.bytes().iter().take(16).fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
    Ulid::from_parts(u64::try_from(now.as_millisecond()).unwrap_or_default(), random)
}
