//! Access requests and the texts that go with them, for people to look at.

use std::collections::BTreeMap;

use dutykey_engine::ports::ledger::{FindPeople as _, StoreError};
use dutykey_policy::evidence::Sealed;
use dutykey_policy::id::{PersonId, RequestId};
use dutykey_policy::request::Request;

use crate::Store;
use crate::codec::decode;
use crate::io::{Query, Sort};
use crate::keys;
use crate::list::{Cursor, Page};

impl Store {
    /// A request, over or not.
    ///
    /// # Errors
    /// The table cannot be used, or the record cannot be read.
    pub async fn request(&self, id: &RequestId) -> Result<Option<Request>, StoreError> {
        let Some(owner) = self.requester(id).await? else { return Ok(None) };
        let (live, past) = (keys::request(&owner, id), keys::past_request(&owner, id));
        let mut found = self.batch_get([live.clone(), past.clone()]).await?;
        found.remove(&past).or_else(|| found.remove(&live)).map(decode).transpose()
    }

    /// A person's requests that are not over, the newest first.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn live_requests(&self, person: &PersonId) -> Result<Vec<Request>, StoreError> {
        let query = Query::items(keys::person(person), Sort::Begins(keys::LIVE_REQUESTS.to_owned())).newest_first();
        self.query(&query).await?.into_iter().map(decode).collect()
    }

    /// A person's requests that are over, the newest first.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_past_requests(
        &self,
        person: &PersonId,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Request>, StoreError> {
        let query = Query::items(keys::person(person), Sort::Begins(keys::PAST_REQUESTS.to_owned())).newest_first();
        self.items(vec![query], cursor, limit).await
    }

    /// Every request that waits to be decided; in each shard the one that expires first comes first.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_waiting_requests(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Request>, StoreError> {
        self.listed(keys::shards(keys::REQUESTS), cursor, limit).await
    }

    /// Texts of people by their names, which no two have alike; those that are there: one that was erased is not.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn texts(&self, wanted: &[(PersonId, String)]) -> Result<BTreeMap<String, String>, StoreError> {
        let mut found = self.batch_get(wanted.iter().map(|(person, name)| keys::text(person, name))).await?;
        let mut texts = BTreeMap::new();
        for (person, name) in wanted {
            if let Some(item) = found.remove(&keys::text(person, name)) {
                texts.insert(name.clone(), decode::<Sealed>(item)?.text);
            }
        }
        Ok(texts)
    }
}
