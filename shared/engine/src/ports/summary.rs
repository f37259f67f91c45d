//! What a summary is counted from.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dutykey_policy::hold::Hold;
use dutykey_policy::id::RotationId;
use dutykey_policy::installation::{Rotations, Source};
use dutykey_policy::roll::Roll;
use jiff::Timestamp;

use super::ledger::StoreError;
use super::rota::RotationHead;
use crate::summary::Summary;

/// A source and every rotation of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The source.
    pub source: Source,
    /// Its rotations.
    pub rotations: Vec<RotationHead>,
    /// Those that a profile names.
    pub named: BTreeSet<RotationId>,
}

impl Followed {
    /// The rotations on which something hangs: those that a profile names, or the source's configuration. A rotation that
    /// only the platform ever listed may be deleted there, and its head stays: nobody need be told that it is not read.
    pub fn relied_on(&self) -> impl Iterator<Item = &RotationHead> {
        self.rotations.iter().filter(move |head| self.names(&head.id))
    }

    fn names(&self, rotation: &RotationId) -> bool {
        let listed = match &self.source.rotations {
            Rotations::All => false,
            Rotations::Listed(listed) => listed.contains(&rotation.local()),
        };
        listed || self.named.contains(rotation)
    }
}

/// How late each act was, in milliseconds, in no order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lags {
    /// Grants.
    pub granted: Vec<i64>,
    /// Revocations.
    pub revoked: Vec<i64>,
}

/// The power to read what a summary is counted from, at a price that each minute can pay: one query for each source, one
/// item, profiles that are new, the keys of what has ended within a day, and no hold but those whose time is over.
#[async_trait]
pub trait ReadSummary: Send + Sync {
    /// Every configured source that is not retiring, with its rotations; the roll of the configured directory, which is
    /// empty where none is configured.
    async fn followed(&self) -> Result<(Vec<Followed>, Roll), StoreError>;

    /// Open holds that were due before `now`, the oldest first, and no more than `most` of them. The index only finds
    /// candidates; the holds themselves are read consistently.
    async fn past_due(&self, now: Timestamp, most: usize) -> Result<Vec<Hold>, StoreError>;

    /// How late what was done for holds was that have ended since the instant.
    async fn lags(&self, since: Timestamp) -> Result<Lags, StoreError>;
}

/// The power to keep a summary, for whoever asks how Dutykey stands.
#[async_trait]
pub trait KeepSummary: ReadSummary {
    /// Keeps it in the place of the one before.
    async fn keep_summary(&self, summary: &Summary) -> Result<(), StoreError>;
}
