//! What holds for everybody: the installation, its configuration, profiles, blocks, rolls, the pulse.

use dutykey_policy::id::{PersonId, ProfileId};

use super::{Key, TEXTS, key, part, text};

/// The installation's ID, and which table this is.
#[must_use]
pub fn installation() -> Key {
    key("INSTALLATION", "INSTALLATION")
}

/// The head of the configuration.
#[must_use]
pub fn config() -> Key {
    key("CONFIG", "HEAD")
}

/// A change of the configuration that waits for another administrator.
#[must_use]
pub fn configuration_proposal() -> Key {
    key("CONFIG", "PROPOSAL")
}

/// The partition of a profile's versions.
#[must_use]
pub fn profile(id: &ProfileId) -> String {
    format!("PROFILE#{id}")
}

/// The first part of the sort keys of a profile's versions.
pub const VERSIONS: &str = "V#";

/// One version of a profile.
#[must_use]
pub fn profile_version(id: &ProfileId, version: u64) -> Key {
    key(profile(id), format!("{VERSIONS}{version:020}"))
}

/// A change of a profile that waits for another administrator.
#[must_use]
pub fn proposal(id: &ProfileId) -> Key {
    key(profile(id), "PROPOSAL")
}

/// The partition of the blocks.
pub const BLOCKS: &str = "BLOCK";

/// The first part of the sort keys of the blocks.
pub const BLOCK: &str = "BLOCK#";

/// A block.
#[must_use]
pub fn block(id: &str) -> Key {
    key(BLOCKS, format!("{BLOCK}{}", part(id)))
}

/// The reason of a block. With the person whom it concerns, where that is one: it is erased with them.
#[must_use]
pub fn block_text(of: Option<&PersonId>, id: &str) -> Key {
    of.map_or_else(|| key(BLOCKS, format!("{TEXTS}{}", part(id))), |person| text(person, id))
}

/// The roll of a directory.
#[must_use]
pub fn roll(directory: &str) -> Key {
    key(format!("ROLL#{}", part(directory)), "ROLL")
}

/// When Dutykey last ran.
#[must_use]
pub fn pulse() -> Key {
    key("PULSE", "PULSE")
}

/// How Dutykey stood when it last ran.
#[must_use]
pub fn summary() -> Key {
    key("PULSE", "SUMMARY")
}
