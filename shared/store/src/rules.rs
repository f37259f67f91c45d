//! What is read beside people's and rotations' own items: the configuration, profiles, blocks, the pulse.

use std::collections::{BTreeMap, BTreeSet};

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
use crate::configure::By;
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
    /// Those of them that the API made: a new configuration leaves them alone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) made: BTreeSet<ProfileId>,
}

#[async_trait]
impl ReadRules for Store {
    async fn installation(&self) -> Result<Option<Configured>, StoreError> {
        let Some((head, mut installation)) = self.configuration().await? else { return Ok(None) };
        installation.profiles = self.profile_versions(&head.profiles).await?;
        Ok(Some(Configured { version: head.version, at: head.at, installation, made: head.made }))
    }

    async fn settings(&self) -> Result<Option<Installation>, StoreError> {
        Ok(self.configuration().await?.map(|(_, installation)| installation))
    }

    async fn profiles(&self, ids: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        let Some(head) = self.config_head().await? else { return Ok(Vec::new()) };
        let mut wanted = head.profiles;
        wanted.retain(|id, _| ids.contains(id));
        self.profile_versions(&wanted).await
    }

    async fn versions(&self, wanted: &BTreeSet<(ProfileId, u64)>) -> Result<Vec<Profile>, StoreError> {
        Ok(self.found_versions(wanted).await?.into_values().collect())
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
        Ok(self.configured(expected, installation, at, By::Apply).await?.version)
    }
}

impl Store {
    /// The head of the configuration; `None` before the first was applied.
    pub(crate) async fn config_head(&self) -> Result<Option<ConfigHead>, StoreError> {
        self.get(&keys::config()).await?.map(decode).transpose()
    }

    /// The head of the configuration and what it names, without the profiles; `None` before the first was applied.
    async fn configuration(&self) -> Result<Option<(ConfigHead, Installation)>, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(head) = self.config_head().await? else { return Ok(None) };
            if let Some(installation) = self.installation_of(&head).await? {
                return Ok(Some((head, installation)));
            }
        }
        Err(missing(&keys::config()))
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
        let wanted: BTreeSet<(ProfileId, u64)> = wanted.iter().map(|(id, version)| (id.clone(), *version)).collect();
        let mut found = self.found_versions(&wanted).await?;
        let found = wanted.iter().map(|one| {
            let missing = || missing(&keys::profile_version(&one.0, one.1));
            found.remove(one).ok_or_else(missing)
        });
        found.collect()
    }

    /// Those of these versions that there are.
    async fn found_versions(
        &self,
        wanted: &BTreeSet<(ProfileId, u64)>,
    ) -> Result<BTreeMap<(ProfileId, u64), Profile>, StoreError> {
        let mut found = BTreeMap::new();
        let mut unknown = Vec::new();
        for (id, version) in wanted {
            match self.kept.profile(id, *version) {
                Some(profile) => drop(found.insert((id.clone(), *version), profile)),
                None => unknown.push((id, *version, keys::profile_version(id, *version))),
            }
        }
        let mut items = self.batch_get(unknown.iter().map(|(.., key)| key.clone())).await?;
        for (id, version, key) in unknown {
            let Some(item) = items.remove(&key) else { continue };
            let profile: Profile = decode(item)?;
            self.kept.keep_profile(version, &profile);
            found.insert((id.clone(), version), profile);
        }
        Ok(found)
    }
}
