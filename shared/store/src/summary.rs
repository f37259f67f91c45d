//! What a summary is counted from.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::roll::ReadRoll as _;
use dutykey_engine::ports::rota::ReadRota as _;
use dutykey_engine::ports::summary::{Followed, KeepSummary, Lags, ReadSummary};
use dutykey_engine::summary::{Lag, Summary};
use dutykey_policy::hold::Hold;
use dutykey_policy::id::RotationId;
use dutykey_policy::profile::Profile;
use dutykey_policy::roll::Roll;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::codec::{decode, key_of, text_of};
use crate::document::missing;
use crate::io::{Query, Sort};
use crate::keys::{self, LISTS};
use crate::ledger::read;
use crate::write::Write;

#[async_trait]
impl ReadSummary for Store {
    async fn followed(&self) -> Result<(Vec<Followed>, Roll), StoreError> {
        let Some(head) = self.config_head().await? else { return Ok(Default::default()) };
        let installation = self.installation_of(&head).await?.ok_or_else(|| missing(&keys::config()))?;
        let profiles = self.profile_versions(&head.profiles).await?;
        let mut followed = Vec::new();
        for source in installation.sources.into_iter().filter(|source| !source.retiring) {
            let named = profiles.iter().flat_map(Profile::rotations).filter(|rotation| rotation.source == source.id);
            let named: BTreeSet<RotationId> = named.cloned().collect();
            followed.push(Followed { rotations: self.rotations(&source.id).await?, named, source });
        }
        let roll = match installation.directory {
            Some(directory) => self.roll(&directory).await?,
            None => Roll::default(),
        };
        Ok((followed, roll))
    }

    async fn past_due(&self, now: Timestamp, most: usize) -> Result<Vec<Hold>, StoreError> {
        let mut candidates = Vec::new();
        for shard in keys::shards(keys::HOLDS) {
            // In each shard the hold that is due first comes first.
            let query = Query::index(LISTS, shard, Sort::UpTo(keys::instant(now)));
            let found = self.page(&query, None, Some(most)).await?.items;
            let place = |item| Some((text_of(item, LISTS.sort)?.to_owned(), key_of(item)));
            candidates.extend(found.iter().filter_map(place));
        }
        candidates.sort();
        candidates.truncate(most);
        let (mut holds, mut unreadable) = (Vec::new(), Vec::new());
        let mut items = self.batch_get(candidates.iter().map(|(_, key)| key.clone())).await?;
        for item in candidates.iter().filter_map(|(_, key)| items.remove(key)) {
            read(item, &mut holds, &mut unreadable);
        }
        Ok(holds)
    }

    async fn lags(&self, since: Timestamp) -> Result<Lags, StoreError> {
        let range = Sort::Between(keys::instant(since), keys::AFTER_INSTANTS.to_owned());
        let mut lags = Lags::default();
        for item in self.query(&Query::index(LISTS, keys::LAGS, range)).await? {
            let [granted, revoked] = text_of(&item, LISTS.sort).map(keys::lags).unwrap_or_default();
            lags.granted.extend(granted);
            lags.revoked.extend(revoked);
        }
        Ok(lags)
    }
}

/// A summary as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    at: Timestamp,
    overdue: usize,
    oldest_s: u64,
    stale_sources: usize,
    brakes: usize,
    unmatched: u64,
    gaps: usize,
    #[serde(default)]
    grants: Option<Lag>,
    #[serde(default)]
    revocations: Option<Lag>,
}

#[async_trait]
impl KeepSummary for Store {
    async fn keep_summary(&self, summary: &Summary) -> Result<(), StoreError> {
        let Summary { at, overdue, oldest, stale_sources, brakes, unmatched, gaps, grants, revocations } = *summary;
        let oldest_s = oldest.as_secs();
        let kept = Kept { at, overdue, oldest_s, stale_sources, brakes, unmatched, gaps, grants, revocations };
        let write = Write::save(keys::summary(), &kept)?;
        self.write(write).await.map_err(|refused| refused.changed("the summary"))
    }
}

impl Store {
    /// How Dutykey stood when it was last counted, to the second; `None` before that.
    ///
    /// # Errors
    /// The table cannot be used, or the record cannot be read.
    pub async fn last_summary(&self) -> Result<Option<Summary>, StoreError> {
        let Some(item) = self.get(&keys::summary()).await? else { return Ok(None) };
        let Kept { at, overdue, oldest_s, stale_sources, brakes, unmatched, gaps, grants, revocations } = decode(item)?;
        let oldest = Duration::from_secs(oldest_s);
        Ok(Some(Summary { at, overdue, oldest, stale_sources, brakes, unmatched, gaps, grants, revocations }))
    }
}
