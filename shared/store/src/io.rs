//! Requests to the table: consistent reads to the last page, batches to the last unprocessed item, transactions.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};
use dutykey_engine::ports::ledger::StoreError;

use crate::Store;
use crate::codec::{Item, key_item, key_of, text};
use crate::error::{Refused, refused, store_error, transaction_refused};
use crate::keys::{Index, Key, PK, SK};
use crate::write::{Action, Names, Write, incomplete};

/// At most this many items in one transaction (Amazon DynamoDB, service quotas).
pub(crate) const MAX_TRANSACTION: usize = 100;
/// At most this many items in one BatchGetItem.
const MAX_BATCH_GET: usize = 100;
/// At most this many items in one BatchWriteItem.
const MAX_BATCH_WRITE: usize = 25;
/// How often what a batch left unprocessed is asked for again.
const BATCH_ATTEMPTS: u32 = 8;
/// The wait after the first such answer; it doubles.
const BATCH_WAIT: Duration = Duration::from_millis(25);

/// Which sort keys a query reads.
#[derive(Debug, Clone)]
pub(crate) enum Sort {
    /// Those that begin with this.
    Begins(String),
    /// Those from the first to the second, both included.
    Between(String, String),
    /// Those up to this one.
    UpTo(String),
    /// All.
    All,
}

/// One page of a query.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<Item>,
}

/// What a query reads.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    index: Option<Index>,
    partition: String,
    sort: Sort,
    newest_first: bool,
}

impl Query {
    /// Items of one partition.
    pub(crate) fn items(pk: impl Into<String>, sort: Sort) -> Self {
        Self { index: None, partition: pk.into(), sort, newest_first: false }
    }

    /// Keys of one partition of an index.
    pub(crate) fn index(index: Index, partition: impl Into<String>, sort: Sort) -> Self {
        Self { index: Some(index), partition: partition.into(), sort, newest_first: false }
    }

    /// The greatest sort key first.
    pub(crate) fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }
}

impl Store {
    /// One item, read consistently.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request =
            self.client.get_item().table_name(&*self.table).set_key(Some(key_item(key))).consistent_read(true);
        Ok(request.send().await.map_err(store_error)?.item)
    }

    /// One page of a query; consistent where it reads items.
    pub(crate) async fn page(
        &self,
        query: &Query,
        from: Option<Item>,
        limit: Option<usize>,
    ) -> Result<Found, StoreError> {
        let mut names = Names::default();
        let (partition, sort) = query.index.map_or((PK, SK), |index| (index.partition, index.sort));
        let mut condition = format!("{} = {}", names.name(partition), names.value(text(&query.partition)));
        let on_sort = match &query.sort {
            Sort::Begins(prefix) => Some(format!("begins_with({}, {})", names.name(sort), names.value(text(prefix)))),
            Sort::Between(first, last) => {
                let name = names.name(sort);
                Some(format!("{name} BETWEEN {} AND {}", names.value(text(first)), names.value(text(last))))
            }
            Sort::UpTo(last) => Some(format!("{} <= {}", names.name(sort), names.value(text(last)))),
            Sort::All => None,
        };
        if let Some(on_sort) = on_sort {
            condition = format!("{condition} AND {on_sort}");
        }
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .set_index_name(query.index.map(|index| index.name.to_owned()))
            .consistent_read(query.index.is_none())
            .key_condition_expression(condition)
            .set_expression_attribute_names(names.names())
            .set_expression_attribute_values(names.values())
            .scan_index_forward(!query.newest_first)
            .set_limit(limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .set_exclusive_start_key(from);
        let answer = request.send().await.map_err(store_error)?;
        Ok(Found { items: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
    }

    /// A whole query, to its last page.
    pub(crate) async fn query(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let page = self.page(query, from, None).await?;
            items.extend(page.items);
            from = page.next;
            if from.is_none() {
                return Ok(items);
            }
        }
    }

    /// The items with these keys that exist, read consistently.
    pub(crate) async fn batch_get(
        &self,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<HashMap<Key, Item>, StoreError> {
        let wanted: Vec<Key> = keys.into_iter().collect::<BTreeSet<Key>>().into_iter().collect();
        let mut found = HashMap::with_capacity(wanted.len());
        for chunk in wanted.chunks(MAX_BATCH_GET) {
            let mut ask: Vec<Item> = chunk.iter().map(key_item).collect();
            let mut attempt = 0;
            while !ask.is_empty() {
                self.wait_before(attempt).await?;
                attempt += 1;
                let keys = KeysAndAttributes::builder().set_keys(Some(ask)).consistent_read(true).build();
                let keys = keys.map_err(|error| incomplete(&error))?;
                let request = self.client.batch_get_item().request_items(&*self.table, keys);
                let answer = request.send().await.map_err(store_error)?;
                for item in answer.responses.unwrap_or_default().into_values().flatten() {
                    found.insert(key_of(&item), item);
                }
                ask = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys).collect();
            }
        }
        Ok(found)
    }

    /// Puts and deletes without conditions, not as one.
    pub(crate) async fn batch_write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut requests = Vec::with_capacity(writes.len());
        for write in writes {
            let key = key_item(&write.key);
            let request = WriteRequest::builder();
            requests.push(match write.action {
                Action::Put(attributes) => {
                    let item = attributes.into_iter().chain(key).collect();
                    let put = PutRequest::builder().set_item(Some(item)).build();
                    request.put_request(put.map_err(|error| incomplete(&error))?).build()
                }
                Action::Delete => {
                    let delete = DeleteRequest::builder().set_key(Some(key)).build();
                    request.delete_request(delete.map_err(|error| incomplete(&error))?).build()
                }
                Action::Update { .. } | Action::Check => {
                    return Err(StoreError::Limit(format!("{} cannot be part of a batch", write.key)));
                }
            });
        }
        for chunk in requests.chunks(MAX_BATCH_WRITE) {
            let mut ask = chunk.to_vec();
            let mut attempt = 0;
            while !ask.is_empty() {
                self.wait_before(attempt).await?;
                attempt += 1;
                let request = self.client.batch_write_item().request_items(&*self.table, ask);
                let answer = request.send().await.map_err(store_error)?;
                ask = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            }
        }
        Ok(())
    }

    /// Waits before what a batch left unprocessed is asked for again; gives up after a while.
    async fn wait_before(&self, attempt: u32) -> Result<(), StoreError> {
        match attempt {
            0 => Ok(()),
            BATCH_ATTEMPTS.. => Err(StoreError::Unavailable("it leaves parts of a batch unprocessed".to_owned())),
            _ => {
                tokio::time::sleep(BATCH_WAIT.saturating_mul(1 << (attempt - 1))).await;
                Ok(())
            }
        }
    }

    /// All of these or none of them. The SDK gives the request a token, so that its own retries happen once.
    pub(crate) async fn transact(&self, writes: Vec<Write>) -> Result<(), Refused> {
        if writes.len() > MAX_TRANSACTION {
            return Err(Refused::Store(StoreError::Limit(format!(
                "a change of {} items at once is more than the table can take as one ({MAX_TRANSACTION})",
                writes.len()
            ))));
        }
        let items: Result<Vec<_>, StoreError> =
            writes.into_iter().map(|write| write.into_transaction(&self.table)).collect();
        let request = self.client.transact_write_items().set_transact_items(Some(items.map_err(Refused::Store)?));
        request.send().await.map(|_| ()).map_err(transaction_refused)
    }

    /// One write by itself, at half the price of a transaction.
    pub(crate) async fn write(&self, write: Write) -> Result<(), Refused> {
        let mut names = Names::default();
        let condition = write.condition.as_ref().map(|condition| names.condition(condition));
        let key = key_item(&write.key);
        match write.action {
            Action::Put(attributes) => {
                let item: HashMap<String, AttributeValue> = attributes.into_iter().chain(key).collect();
                let request = self.client.put_item().table_name(&*self.table).set_item(Some(item));
                let request = request.set_condition_expression(condition).set_expression_attribute_names(names.names());
                let request = request.set_expression_attribute_values(names.values());
                request.send().await.map(|_| ()).map_err(refused)
            }
            Action::Update { set, remove } => {
                let expression = names.update(set, remove);
                let request = self.client.update_item().table_name(&*self.table).set_key(Some(key));
                let request = request.update_expression(expression).set_condition_expression(condition);
                let request = request.set_expression_attribute_names(names.names());
                request.set_expression_attribute_values(names.values()).send().await.map(|_| ()).map_err(refused)
            }
            Action::Delete | Action::Check => self.transact(vec![write]).await,
        }
    }
}
