//! The sparse indexes, and the groups of what lies in them.

use sha2::{Digest, Sha256};

/// A sparse index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// The attribute that is its partition key.
    pub partition: &'static str,
    /// The attribute that is its sort key.
    pub sort: &'static str,
}

/// What may begin, rotations and notices, by when they are due.
pub const DUE: Index = Index { name: "due", partition: "due_shard", sort: "due_at" };
/// What may end, by when it is due.
pub const ENDS: Index = Index { name: "due_ends", partition: "ends_shard", sort: "ends_at" };
/// Pages of things.
pub const LISTS: Index = Index { name: "lists", partition: "list", sort: "list_key" };
/// Every index.
pub const INDEXES: [Index; 3] = [DUE, ENDS, LISTS];

/// In the index of what is due: people for whom something may begin.
pub const STARTS: &str = "start";
/// In the index of ends: people for whom something may end.
pub const END: &str = "end";
/// In the index of what is due, and in the lists: rotations.
pub const DUE_ROTATIONS: &str = "rotation";
/// In the index of what is due: notices.
pub const NOTICES: &str = "notice";
/// In the index of what is due: sweeps.
pub const SWEEPS: &str = "sweep";
/// In the lists: profiles that have a chain of their own.
pub const PROFILES: &str = "profiles";
/// In the lists: people whom the directory has shown active, by when it was last asked.
pub const ACTIVE: &str = "active";
/// In the lists: people.
pub const PEOPLE: &str = "people";
/// In the lists: rotations.
pub const ROTATIONS: &str = "rotations";
/// In the lists: requests that wait to be decided, by when they expire.
pub const REQUESTS: &str = "requests";
/// In the lists: emergencies that wait for their review, by when they began.
pub const EMERGENCIES: &str = "emergencies";
/// In the lists: emergencies that were reviewed, by when they were.
pub const REVIEWED: &str = "reviewed";
/// In the lists: holds that are not over.
pub const HOLDS: &str = "holds";
/// In the lists: holds that are over and for which something was done, by when they ended. One shard: fewer than a
/// thousand end in a second, and it is read as a whole.
pub const LAGS: &str = "lags";

/// How many shards each group of an index has.
pub const SHARDS: u8 = 4;

/// The shard of a group in which an item lies.
#[must_use]
pub fn shard(group: &str, id: &str) -> String {
    let first = Sha256::digest(id).first().copied().unwrap_or_default();
    format!("{group}#{}", first % SHARDS)
}

/// Every shard of a group.
#[must_use]
pub fn shards(group: &str) -> Vec<String> {
    (0..SHARDS).map(|shard| format!("{group}#{shard}")).collect()
}
