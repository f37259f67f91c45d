//! The power to change access profiles one by one, beside the configuration file.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dutykey_policy::edit::Proposal;
use dutykey_policy::id::{PersonId, ProfileId, RotationId};
use dutykey_policy::profile::Profile;
use jiff::Timestamp;

use super::ledger::StoreError;

/// A change of one profile that takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Which profile.
    pub id: ProfileId,
    /// What it becomes; `None` where it is deleted.
    pub becomes: Option<Profile>,
    /// Who decides it.
    pub by: PersonId,
    /// The proposal that is confirmed by it.
    pub confirmed: Option<Proposal>,
    /// The version of the configuration on which it was decided. On another one it is refused.
    pub on: u64,
    /// When it is decided.
    pub at: Timestamp,
}

/// What a change of a profile has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The rotations whose people are planned again, by a read.
    pub rotations: BTreeSet<RotationId>,
    /// The sweep that has everybody in the profile looked at.
    pub sweep: String,
}

/// The power to change profiles.
#[async_trait]
pub trait WriteProfiles: Send + Sync {
    /// The change of the profile that was proposed last and not decided, whether or not it still waits.
    async fn proposal(&self, id: &ProfileId) -> Result<Option<Proposal>, StoreError>;

    /// Has a change wait, in the place of any that waits, in one transaction with its evidence. Refused where the
    /// configuration is not the one on which it was judged.
    async fn propose(&self, proposal: &Proposal) -> Result<(), StoreError>;

    /// Changes a profile: its new version first, then one transaction that moves the head of the configuration, with its
    /// evidence, and makes those due whom it concerns. What waits for the profile is gone then. Refused where the
    /// configuration has changed, or where the file brought the profile.
    async fn edit(&self, edit: &Edit) -> Result<Edited, StoreError>;
}
