//! Sources and their rotations: heads, days of shifts, users and teams.

use dutykey_policy::id::{RotationId, SourceId};
use jiff::Timestamp;

use super::{Key, instant, key, part};

/// The partition of a source.
#[must_use]
pub fn source(id: &SourceId) -> String {
    format!("SOURCE#{id}")
}

/// The first part of the sort keys of a source's rotations.
pub const HEADS: &str = "ROTATION#";

/// The head of a rotation: beside those of its source, so that one query lists them.
#[must_use]
pub fn rotation_head(id: &RotationId) -> Key {
    key(source(&id.source), format!("{HEADS}{}", part(&id.local())))
}

/// The head of a source's users and teams.
#[must_use]
pub fn directory(id: &SourceId) -> Key {
    key(source(id), "DIRECTORY")
}

/// The partition of a rotation's shifts, texts and evidence.
#[must_use]
pub fn rotation(id: &RotationId) -> String {
    format!("ROTATION#{}", part(&id.to_string()))
}

/// The first part of the sort keys of a rotation's days.
pub const DAYS: &str = "DAY#";

/// The shifts that start on one UTC day, `2026-11-23`.
#[must_use]
pub fn day(id: &RotationId, date: &str) -> Key {
    key(rotation(id), format!("{DAYS}{date}"))
}

/// Why the leases of a rotation were prolonged, by its digest.
#[must_use]
pub fn rotation_text(id: &RotationId, digest: &str) -> Key {
    key(rotation(id), format!("TEXT#{}", part(digest)))
}

/// The UTC day on which an instant lies, `2026-11-23`.
#[must_use]
pub fn date(at: Timestamp) -> String {
    instant(at).chars().take(10).collect()
}
