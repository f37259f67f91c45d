//! What is due, found in the sparse indexes. They are read without consistency and only find candidates; a rotation or a
//! notice is then read itself, and a person by whoever takes them.

use async_trait::async_trait;
use dutykey_engine::ports::ledger::{Notice, StoreError};
use dutykey_engine::ports::rota::RotationHead;
use dutykey_engine::ports::rules::{DueItem, ReadDue};
use dutykey_engine::ports::sweep::Sweep;
use dutykey_policy::id::{PersonId, RotationId};
use dutykey_policy::time::later;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use std::time::Duration;

use crate::Store;
use crate::codec::{Item, key_of, text_of};
use crate::io::{Query, Sort};
use crate::keys::{self, Index, Key};
use crate::ledger::read;

#[async_trait]
impl ReadDue for Store {
    async fn due_starts(&self, from: Option<Timestamp>, to: Timestamp) -> Result<Vec<DueItem<PersonId>>, StoreError> {
        Ok(people(self.due(keys::DUE, keys::STARTS, from, to).await?))
    }

    async fn due_ends(&self, from: Option<Timestamp>, to: Timestamp) -> Result<Vec<DueItem<PersonId>>, StoreError> {
        Ok(people(self.due(keys::ENDS, keys::END, from, to).await?))
    }

    async fn due_rotations(&self, to: Timestamp) -> Result<Vec<DueItem<RotationId>>, StoreError> {
        let heads: Vec<RotationHead> = self.due_items(keys::DUE_ROTATIONS, to).await?;
        let due = heads.into_iter().filter_map(|head| Some(DueItem { at: head.due?.at, what: head.id }));
        let mut due: Vec<_> = due.filter(|due| due.at <= to).collect();
        due.sort_by(|a, b| (a.at, &a.what).cmp(&(b.at, &b.what)));
        Ok(due)
    }

    async fn due_sweeps(&self, to: Timestamp) -> Result<Vec<Sweep>, StoreError> {
        let mut sweeps: Vec<Sweep> = self.due_items(keys::SWEEPS, to).await?;
        sweeps.retain(|sweep| sweep.due <= to);
        sweeps.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
        Ok(sweeps)
    }

    async fn due_notices(&self, to: Timestamp) -> Result<Vec<Notice>, StoreError> {
        let mut notices: Vec<Notice> = self.due_items(keys::NOTICES, to).await?;
        notices.retain(|notice| notice.due <= to);
        notices.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
        Ok(notices)
    }
}

fn people(candidates: Vec<(Timestamp, Key)>) -> Vec<DueItem<PersonId>> {
    candidates.into_iter().filter_map(|(at, key)| Some(DueItem { what: keys::person_of(&key.pk)?, at })).collect()
}

impl Store {
    /// Candidates after `from` and until `to`, of all shards of a group, the earliest first.
    async fn due(
        &self,
        index: Index,
        group: &str,
        from: Option<Timestamp>,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, Key)>, StoreError> {
        let last = keys::instant(to);
        let range = match from {
            Some(from) if from >= to => return Ok(Vec::new()),
            // Instants in keys are whole milliseconds.
            Some(from) => Sort::Between(keys::instant(later(from, Duration::from_millis(1))), last),
            None => Sort::UpTo(last),
        };
        let queries: Vec<_> =
            keys::shards(group).into_iter().map(|shard| Query::index(index, shard, range.clone())).collect();
        let shards = try_join_all(queries.iter().map(|query| self.query(query))).await?;
        let mut due: Vec<_> =
            shards.iter().flatten().filter_map(|item| Some((at(item, index)?, key_of(item)))).collect();
        due.sort();
        Ok(due)
    }

    /// What is due of a group, read consistently; what has left the index meanwhile is left out.
    async fn due_items<T: serde::de::DeserializeOwned>(
        &self,
        group: &str,
        to: Timestamp,
    ) -> Result<Vec<T>, StoreError> {
        let candidates = self.due(keys::DUE, group, None, to).await?;
        let items = self.batch_get(candidates.into_iter().map(|(_, key)| key)).await?;
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for item in items.into_values().filter(|item| item.contains_key(keys::DUE.partition)) {
            read(item, &mut found, &mut unreadable);
        }
        Ok(found)
    }
}

fn at(item: &Item, index: Index) -> Option<Timestamp> {
    text_of(item, index.sort)?.parse().ok()
}
