//! What is read beside people's and rotations' own items: the configuration, profiles, blocks, the pulse.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::{Notice, StoreError};
use dutykey_engine::ports::rules::{Configured, Pulse, ReadRules, WritePulse, WriteRules};
use dutykey_policy::block::Block;
use dutykey_policy::id::ProfileId;
use dutykey_policy::installation::Installation;
use dutykey_policy::profile::Profile;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::codec::{decode, number};
use crate::document::{Document, missing};
use crate::io::{Query, Sort};
use crate::keys;
use crate::write::{Condition, Write};

/// How often a configuration that is being replaced is read again.
const ATTEMPTS: usize = 3;

/// The head of the configuration: it names every version that is in force, so that moving it is the whole change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ConfigHead {
    /// Counts up with each change.
    pub(crate) version: u64,
    /// When it was applied.
    pub(crate) at: Timestamp,
    /// The installation without its profiles.
    pub(crate) document: Document,
    /// The version of each profile.
    pub(crate) profiles: BTreeMap<ProfileId, u64>,
}

#[async_trait]
impl ReadRules for Store {
    async fn installation(&self) -> Result<Option<Configured>, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(head) = self.config_head().await? else { return Ok(None) };
            if let Some(mut installation) = self.installation_of(&head).await? {
                installation.profiles = self.profile_versions(&head.profiles).await?;
                return Ok(Some(Configured { version: head.version, installation }));
            }
        }
        Err(missing(&keys::config()))
    }

    async fn profiles(&self, ids: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        let Some(head) = self.config_head().await? else { return Ok(Vec::new()) };
        let mut wanted = head.profiles;
        wanted.retain(|id, _| ids.contains(id));
        self.profile_versions(&wanted).await
    }

    async fn all_profiles(&self) -> Result<Vec<Profile>, StoreError> {
        match self.config_head().await? {
            Some(head) => self.profile_versions(&head.profiles).await,
            None => Ok(Vec::new()),
        }
    }

    async fn blocks(&self) -> Result<Vec<Block>, StoreError> {
        let items = self.query(&Query::items(keys::BLOCKS, Sort::Begins(keys::BLOCK.to_owned()))).await?;
        items.into_iter().map(decode).collect()
    }

    async fn pulse(&self) -> Result<Pulse, StoreError> {
        self.get(&keys::pulse()).await?.map_or_else(|| Ok(Pulse::default()), decode)
    }
}

#[async_trait]
impl WritePulse for Store {
    async fn keep_pulse(&self, pulse: &Pulse) -> Result<(), StoreError> {
        let unchanged = match pulse.rev {
            0 => Condition::new(),
            rev => Condition::is("rev", number(rev)),
        };
        let next = Pulse { rev: pulse.rev + 1, ..pulse.clone() };
        let kept = self.write(Write::save(keys::pulse(), &next)?.when(unchanged)).await;
        kept.map_err(|refused| refused.changed("the pulse"))
    }

    async fn delivered(&self, notice: &Notice) -> Result<(), StoreError> {
        self.notice_delivered(notice).await
    }

    async fn postpone(&self, notice: &Notice) -> Result<(), StoreError> {
        self.notice_postponed(notice).await
    }
}

#[async_trait]
impl WriteRules for Store {
    async fn configure(&self, expected: u64, installation: &Installation, at: Timestamp) -> Result<u64, StoreError> {
        self.configured(expected, installation, at).await
    }
}

impl Store {
    /// The head of the configuration; `None` before the first was applied.
    pub(crate) async fn config_head(&self) -> Result<Option<ConfigHead>, StoreError> {
        self.get(&keys::config()).await?.map(decode).transpose()
    }

    /// The installation, without its profiles; `None` where its document is gone because the head has moved meanwhile.
    pub(crate) async fn installation_of(&self, head: &ConfigHead) -> Result<Option<Installation>, StoreError> {
        let kept = self.kept.installation(&head.document.id);
        if kept.is_some() {
            return Ok(kept);
        }
        let read = self.read_document(&keys::config(), &head.document).await?;
        Ok(read.inspect(|read| self.kept.keep_installation(&head.document.id, read)))
    }

    /// These versions of profiles, by ID. One that is missing or cannot be read is an error: without it, it would look
    /// as if the profile had been deleted, and that ends access.
    pub(crate) async fn profile_versions(&self, wanted: &BTreeMap<ProfileId, u64>) -> Result<Vec<Profile>, StoreError> {
        let kept = wanted.iter().filter_map(|(id, version)| self.kept.profile(id, *version));
        let mut profiles: BTreeMap<ProfileId, Profile> = kept.map(|profile| (profile.id.clone(), profile)).collect();
        let unknown: Vec<_> = wanted.iter().filter(|(id, _)| !profiles.contains_key(id)).collect();
        let keys: Vec<_> = unknown.iter().map(|(id, version)| keys::profile_version(id, **version)).collect();
        let mut items = self.batch_get(keys.iter().cloned()).await?;
        for ((_, version), key) in unknown.into_iter().zip(&keys) {
            let profile: Profile = decode(items.remove(key).ok_or_else(|| missing(key))?)?;
            self.kept.keep_profile(*version, &profile);
            profiles.insert(profile.id.clone(), profile);
        }
        Ok(profiles.into_values().collect())
    }
}
