//! What a newer release has written into the table before it was rolled back: nobody may write it over (R24). It is watched
//! where the database carries requests out, whatever becomes of an answer on its way.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dutykey_store::keys::{PK, SK, TURNS};
use serde_json::Value;

/// What each item says by then that this release does not know.
pub const SAID: &str = "said_by_a_newer_release";

type Key = (String, String);

/// The items that a newer release has written, and those of them that have lost it. Clones know the same.
#[derive(Debug, Clone, Default)]
pub struct Newer(Arc<Mutex<Items>>);

#[derive(Debug, Default)]
struct Items {
    says: BTreeSet<Key>,
    lost: BTreeSet<Key>,
}

impl Newer {
    fn items(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has written this item.
    pub fn wrote(&self, key: Key) {
        self.items().says.insert(key);
    }

    /// The table has become another one.
    pub fn forget(&self) {
        *self.items() = Items::default();
    }

    /// The items that were there all the time and do not say it any more.
    #[must_use]
    pub fn lost(&self) -> Vec<Key> {
        self.items().lost.iter().cloned().collect()
    }

    fn is_silent(&self) -> bool {
        self.items().says.is_empty()
    }

    fn carried_out(&self, writes: &[Write]) {
        let mut items = self.items();
        for write in writes {
            let (Write::Puts { key, says: false } | Write::Removes(key)) = write else { continue };
            // Whoever takes a turn makes it anew.
            if items.says.remove(key) && matches!(write, Write::Puts { .. }) && !key.1.starts_with(TURNS) {
                items.lost.insert(key.clone());
            }
        }
    }
}

/// A write that leaves nothing of what was there.
#[derive(Debug)]
enum Write {
    Puts { key: Key, says: bool },
    Removes(Key),
}

/// The database, with what is written over watched. It does not know the world, which may have it in turn.
#[derive(Debug)]
pub struct KeptTable {
    inner: SharedHttpConnector,
    newer: Newer,
}

impl KeptTable {
    /// Watches what is written here.
    #[must_use]
    pub fn new(inner: SharedHttpConnector, newer: Newer) -> Self {
        Self { inner, newer }
    }
}

impl HttpConnector for KeptTable {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if self.newer.is_silent() {
            return self.inner.call(request);
        }
        let writes = replacing(&request);
        let (answer, newer) = (self.inner.call(request), self.newer.clone());
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                newer.carried_out(&writes);
            }
            answer
        })
    }
}

/// What a request replaces or removes.
fn replacing(request: &HttpRequest) -> Vec<Write> {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let asked: Option<Value> = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
    let Some(asked) = asked else { return Vec::new() };
    let each = |of: &Value, put: &str, delete: &str| {
        let puts = of.get(put).and_then(puts);
        puts.or_else(|| of.get(delete).and_then(removes))
    };
    match operation {
        "PutItem" => puts(&asked).into_iter().collect(),
        "DeleteItem" => removes(&asked).into_iter().collect(),
        "TransactWriteItems" => {
            let all = asked.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            all.filter_map(|one| each(one, "Put", "Delete")).collect()
        }
        "BatchWriteItem" => {
            let tables = asked.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
            let all = tables.filter_map(|(_, all)| all.as_array()).flatten();
            all.filter_map(|one| each(one, "PutRequest", "DeleteRequest")).collect()
        }
        _ => Vec::new(),
    }
}

fn puts(write: &Value) -> Option<Write> {
    let item = write.get("Item")?;
    Some(Write::Puts { key: key(item)?, says: item.get(SAID).is_some() })
}

fn removes(write: &Value) -> Option<Write> {
    key(write.get("Key")?).map(Write::Removes)
}

fn key(item: &Value) -> Option<Key> {
    let part = |name: &str| item.get(name)?.get("S")?.as_str().map(str::to_owned);
    part(PK).zip(part(SK))
}
