//! A table in this process, and items as DynamoDB's own tools write them.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use dutykey_embedded::Embedded;
use dutykey_store::Store;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// An item as the table has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

const NAME: &str = "dutykey";

/// What a released version wrote.
static RELEASED: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../shared/store/tests/fixtures/v1.json")).unwrap());

/// A table with what a released version wrote, and the runtime that reaches it.
pub(crate) struct Table {
    /// Runs what uses the table.
    pub(crate) runtime: Runtime,
    client: Client,
    released: BTreeMap<(String, String), Item>,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// A new one.
    ///
    /// # Panics
    /// The database cannot be started.
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let client = Embedded::memory().unwrap().client();
        let mut table = Self { runtime, client, released: BTreeMap::new() };
        table.runtime.block_on(table.store().create_table("fuzz")).unwrap();
        let items: Vec<Item> = RELEASED.iter().map(|item| item_of(item).unwrap()).collect();
        for item in items {
            assert!(table.put(item), "an item of a released version is refused");
        }
        table.released = table.everything();
        table
    }

    /// The store over it, without memory of what another one has read.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.client.clone(), NAME)
    }

    /// Puts an item as it is; `false` where DynamoDB takes no such item.
    pub(crate) fn put(&self, item: Item) -> bool {
        let request = self.client.put_item().table_name(NAME).set_item(Some(item));
        self.runtime.block_on(request.send()).is_ok()
    }

    /// Every item, by its key.
    ///
    /// # Panics
    /// The table cannot be read.
    pub(crate) fn everything(&self) -> BTreeMap<(String, String), Item> {
        let pages = self.client.scan().table_name(NAME).into_paginator().items();
        let items: Result<Vec<Item>, _> = self.runtime.block_on(pages.send().collect());
        items.unwrap().into_iter().map(|item| (key(&item), item)).collect()
    }

    /// Makes the table what it was at first, given what it is.
    ///
    /// # Panics
    /// The table cannot be written.
    pub(crate) fn restore(&self, everything: &BTreeMap<(String, String), Item>) {
        let mut requests = Vec::new();
        for (key, item) in &self.released {
            if everything.get(key) != Some(item) {
                let put = PutRequest::builder().set_item(Some(item.clone())).build().unwrap();
                requests.push(WriteRequest::builder().put_request(put).build());
            }
        }
        for item in everything.iter().filter(|(key, _)| !self.released.contains_key(*key)).map(|(_, item)| item) {
            let named = ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
            let delete = DeleteRequest::builder().set_key(Some(named.into())).build().unwrap();
            requests.push(WriteRequest::builder().delete_request(delete).build());
        }
        for chunk in requests.chunks(25) {
            let request = self.client.batch_write_item().request_items(NAME, chunk.to_vec());
            self.runtime.block_on(request.send()).unwrap();
        }
    }
}

/// An item's key.
pub(crate) fn key(item: &Item) -> (String, String) {
    let part = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    (part("pk"), part("sk"))
}

/// An item in the form of DynamoDB's own tools; `None` for what is none.
pub(crate) fn item_of(value: &Value) -> Option<Item> {
    value.as_object()?.iter().map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}

fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, inner) = value.as_object()?.iter().next()?;
    let texts = || inner.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    Some(match (kind.as_str(), inner) {
        ("S", Value::String(text)) => AttributeValue::S(text.clone()),
        ("N", Value::String(number)) => AttributeValue::N(number.clone()),
        ("B", Value::String(text)) => AttributeValue::B(text.as_bytes().into()),
        ("BOOL", Value::Bool(truth)) => AttributeValue::Bool(*truth),
        ("NULL", Value::Bool(truth)) => AttributeValue::Null(*truth),
        ("L", Value::Array(list)) => AttributeValue::L(list.iter().map(attribute).collect::<Option<_>>()?),
        ("M", Value::Object(_)) => AttributeValue::M(item_of(inner)?),
        ("SS", _) => AttributeValue::Ss(texts()?),
        ("NS", _) => AttributeValue::Ns(texts()?),
        _ => return None,
    })
}
