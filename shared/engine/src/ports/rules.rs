//! What is read beside people's and rotations' own items: the installation, profiles, blocks, and what is due.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dutykey_policy::block::Block;
use dutykey_policy::id::{PersonId, ProfileId, RotationId};
use dutykey_policy::installation::Installation;
use dutykey_policy::profile::Profile;
use dutykey_policy::time::rfc3339;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ledger::{Notice, StoreError};
use super::sweep::Sweep;

/// Nothing is begun or ended: the table is being rebuilt after a restore, and a person lets it go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standstill {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: String,
    /// Whether the table has what it lacked of the copy of its evidence. Before, nothing may be recorded either: a chain
    /// would go another way than its copy.
    #[serde(default)]
    pub rebuilt: bool,
}

impl std::fmt::Display for Standstill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { since, why, rebuilt } = self;
        let next = if *rebuilt { "`dutykey rebuild --release` lets it go on" } else { "`dutykey rebuild` comes first" };
        write!(f, "{why}, which was seen at {}; {next}", rfc3339(*since))
    }
}

/// When Dutykey itself last ran, and whether it had paused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// When the last tick ran.
    pub ticked_at: Option<Timestamp>,
    /// When it last resumed after a pause.
    pub resumed_at: Option<Timestamp>,
    /// How far the starts that are due have been sent.
    pub starts_sent: Option<Timestamp>,
    /// How far the ends that are due have been sent.
    pub ends_sent: Option<Timestamp>,
    /// How far the reads before boundaries have been sent.
    #[serde(default)]
    pub rotations_sent: Option<Timestamp>,
    /// That nothing is begun or ended. Every look reads the pulse, so that this stops them all at no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill: Option<Standstill>,
    /// The revision that was read. Keeping the pulse counts it up and refuses a second writer.
    pub rev: u64,
}

impl Pulse {
    /// The same, with nothing sent: whoever had it in memory is gone.
    #[must_use]
    pub fn unsent(self) -> Self {
        Self { starts_sent: None, ends_sent: None, rotations_sent: None, ..self }
    }

    /// Why nothing may be recorded: the table was restored and not rebuilt yet.
    #[must_use]
    pub fn unrebuilt(&self) -> Option<&Standstill> {
        self.standstill.as_ref().filter(|standstill| !standstill.rebuilt)
    }
}

/// What the configuration consists of, with a number that counts up with each change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Counts up with each change.
    pub version: u64,
    /// When it came into force.
    pub at: Timestamp,
    /// Everything, with the profiles that the API made.
    pub installation: Installation,
    /// The profiles that the API made: the configuration file leaves them alone.
    pub made: BTreeSet<ProfileId>,
}

/// The power to read what decisions are made with.
#[async_trait]
pub trait ReadRules: Send + Sync {
    /// The installation, all of one version; `None` before the first one was applied. Whoever needs profiles beside it
    /// takes its own: what is read apart may be of another version.
    async fn installation(&self) -> Result<Option<Configured>, StoreError>;

    /// The same without its profiles, for whoever needs none of them: a company may have hundreds.
    async fn settings(&self) -> Result<Option<Installation>, StoreError> {
        Ok(self.installation().await?.map(|it| Installation { profiles: Vec::new(), ..it.installation }))
    }

    /// The current versions of these profiles; those that exist.
    async fn profiles(&self, ids: &[ProfileId]) -> Result<Vec<Profile>, StoreError>;

    /// These versions of profiles; those that exist.
    async fn versions(&self, wanted: &BTreeSet<(ProfileId, u64)>) -> Result<Vec<Profile>, StoreError>;

    /// The current version of every profile.
    async fn all_profiles(&self) -> Result<Vec<Profile>, StoreError>;

    /// Every block that is in force or will be, read consistently.
    async fn blocks(&self) -> Result<Vec<Block>, StoreError>;

    /// When Dutykey itself last ran.
    async fn pulse(&self) -> Result<Pulse, StoreError>;
}

/// Something that is due, found in the index. The index only finds candidates: whoever takes one reads it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueItem<T> {
    /// What.
    pub what: T,
    /// When.
    pub at: Timestamp,
}

/// The power to find what is due.
#[async_trait]
pub trait ReadDue: Send + Sync {
    /// People for whom something may begin, after `from` and until `to`.
    async fn due_starts(&self, from: Option<Timestamp>, to: Timestamp) -> Result<Vec<DueItem<PersonId>>, StoreError>;

    /// People for whom something may end.
    async fn due_ends(&self, from: Option<Timestamp>, to: Timestamp) -> Result<Vec<DueItem<PersonId>>, StoreError>;

    /// Rotations that must be looked at for themselves.
    async fn due_rotations(&self, to: Timestamp) -> Result<Vec<DueItem<RotationId>>, StoreError>;

    /// Sweeps that nobody is at work on.
    async fn due_sweeps(&self, to: Timestamp) -> Result<Vec<Sweep>, StoreError>;

    /// Notices to deliver, the one that is due first coming first.
    async fn due_notices(&self, to: Timestamp) -> Result<Vec<Notice>, StoreError>;
}

/// The power that the tick has beside reading: its own memory, and notices.
#[async_trait]
pub trait WritePulse: ReadDue + ReadRules {
    /// Remembers; refused where another tick was faster.
    async fn keep_pulse(&self, pulse: &Pulse) -> Result<(), StoreError>;

    /// A notice was delivered.
    async fn delivered(&self, notice: &Notice) -> Result<(), StoreError>;

    /// A notice could not be delivered and is due again at its `due`.
    async fn postpone(&self, notice: &Notice) -> Result<(), StoreError>;
}

/// The power to change the configuration.
#[async_trait]
pub trait WriteRules: ReadRules {
    /// Writes the new versions first; then one transaction moves the head of the configuration, with its evidence. People
    /// of rotations whose profiles change are planned again. What the API made stays. Refused where `expected` is not the
    /// current version (0 before the first), where it brings a profile that the API made, or where it drops what such a
    /// profile needs.
    async fn configure(&self, expected: u64, installation: &Installation, at: Timestamp) -> Result<u64, StoreError>;
}
