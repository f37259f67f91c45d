//! Chains of evidence: where each lies, and where its records do.

use dutykey_policy::evidence::Chain;

use super::{Key, key, person, person_head, profile, rotation, rotation_head};

/// The partition of a chain's records.
#[must_use]
pub fn chain(chain: &Chain) -> String {
    match chain {
        Chain::Person(id) => person(id),
        Chain::Profile(id) => profile(id),
        Chain::Rotation(id) => rotation(id),
        Chain::System => "SYSTEM".to_owned(),
    }
}

/// The item whose `chain` says where a chain ends.
#[must_use]
pub fn chain_head(chain: &Chain) -> Key {
    match chain {
        Chain::Person(id) => person_head(id),
        Chain::Profile(id) => key(profile(id), "HEAD"),
        Chain::Rotation(id) => rotation_head(id),
        Chain::System => key("SYSTEM", "HEAD"),
    }
}

/// The first part of the sort keys of a chain's records.
pub const EVIDENCE: &str = "EVIDENCE#";

/// The records of a chain that end with this sequence number. An item is named by its last record, so that a query from
/// a number begins with the item that holds it.
#[must_use]
pub fn evidence(of: &Chain, last: u64) -> Key {
    key(chain(of), evidence_place(last))
}

/// Where in a chain's partition the records up to this sequence number lie.
#[must_use]
pub fn evidence_place(last: u64) -> String {
    format!("{EVIDENCE}{last:020}")
}
