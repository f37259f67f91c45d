//! What is under way: sweeps, turns, notices, and the reads that webhooks ask for.

use dutykey_engine::ports::ledger::Notice;
use dutykey_policy::id::{AppId, SourceId};
use jiff::Timestamp;

use super::{Key, instant, key, part};

/// A sweep.
#[must_use]
pub fn sweep(id: &str) -> Key {
    key(format!("SWEEP#{}", part(id)), "SWEEP")
}

/// The partition of the turns of an app's key.
#[must_use]
pub fn turns(app: &AppId, of: &str) -> String {
    format!("TURN#{app}#{}", part(of))
}

/// The first part of the sort keys of turns.
pub const TURNS: &str = "TURN#";

/// A turn that was taken.
#[must_use]
pub fn turn(app: &AppId, of: &str, number: u8) -> Key {
    key(turns(app, of), format!("{TURNS}{number:03}"))
}

/// The number of a turn.
#[must_use]
pub fn turn_number(sk: &str) -> Option<u8> {
    sk.strip_prefix(TURNS)?.parse().ok()
}

/// A notice.
#[must_use]
pub fn notice(it: &Notice) -> Key {
    key(format!("NOTICE#{}", part(&it.id)), "NOTICE")
}

/// A webhook that was taken.
#[must_use]
pub fn hint(source: &SourceId, id: &str) -> Key {
    key(format!("HINT#{source}#{}", part(id)), "HINT")
}

/// The last read of something that hints of a source have asked for.
#[must_use]
pub fn hinted_read(source: &SourceId, what: &str) -> Key {
    key(format!("HINT#{source}"), format!("READ#{}", part(what)))
}

/// How many reads hints of a source have asked for in the minute of this instant.
#[must_use]
pub fn hinted_minute(source: &SourceId, at: Timestamp) -> Key {
    let minute: String = instant(at).chars().take(16).collect();
    key(format!("HINT#{source}"), format!("MINUTE#{minute}"))
}
