//! What a summary is counted from.

use async_trait::async_trait;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::roll::ReadRoll as _;
use dutykey_engine::ports::rota::ReadRota as _;
use dutykey_engine::ports::summary::{Followed, ReadSummary};
use dutykey_policy::hold::Hold;
use dutykey_policy::roll::Roll;
use jiff::Timestamp;

use crate::Store;
use crate::codec::{key_of, text_of};
use crate::document::missing;
use crate::io::{Query, Sort};
use crate::keys::{self, LISTS};
use crate::ledger::read;

#[async_trait]
impl ReadSummary for Store {
    async fn followed(&self) -> Result<(Vec<Followed>, Roll), StoreError> {
        let Some(head) = self.config_head().await? else { return Ok(Default::default()) };
        let installation = self.installation_of(&head).await?.ok_or_else(|| missing(&keys::config()))?;
        let mut followed = Vec::new();
        for source in installation.sources.into_iter().filter(|source| !source.retiring) {
            followed.push(Followed { rotations: self.rotations(&source.id).await?, source });
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
}
