//! The catalog: what apps have to give, as it was last read.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use dutykey_policy::catalog::{Change, Reading};
use dutykey_policy::id::AppId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ledger::StoreError;

/// The head of an app's catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The app.
    pub app: AppId,
    /// Counts up with each change.
    pub rev: u64,
    /// When the last complete reading began.
    #[serde(default)]
    pub refreshed_at: Option<Timestamp>,
    /// The digest of that reading, where the catalog says all of it and nothing else.
    #[serde(default)]
    pub digest: Option<String>,
    /// The kinds of entitlements that it may list.
    #[serde(default)]
    pub kinds: BTreeSet<String>,
    /// Since when readings lack too many entitlements to be believed.
    #[serde(default)]
    pub doubted_since: Option<Timestamp>,
    /// What is wrong, since when; `None` where nothing is.
    #[serde(default)]
    pub failure: Option<CatalogFailure>,
    /// Until when somebody writes its entries, and nobody else does.
    #[serde(default)]
    pub writing_until: Option<Timestamp>,
}

/// Why a catalog is not what the app says now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogFailure {
    /// Since when.
    pub since: Timestamp,
    /// What is wrong, in a sentence; foreign text in it is bounded.
    pub because: String,
}

impl Catalog {
    /// The catalog of an app that was never read.
    #[must_use]
    pub fn new(app: AppId) -> Self {
        Self {
            app,
            rev: 0,
            refreshed_at: None,
            digest: None,
            kinds: BTreeSet::new(),
            doubted_since: None,
            failure: None,
            writing_until: None,
        }
    }
}

/// The power to see how fresh catalogs are.
#[async_trait]
pub trait ReadCatalogs: Send + Sync {
    /// The heads of these apps' catalogs, of those that somebody has tried to read. One that this release cannot read is
    /// set aside.
    async fn catalogs(&self, apps: &[AppId]) -> Result<BTreeMap<AppId, Catalog>, StoreError>;
}

/// The power to bring catalogs up to date.
#[async_trait]
pub trait WriteCatalogs: ReadCatalogs {
    /// Everything that an app's catalog lists. An entry that this release cannot read is left out and so written anew: it
    /// is no more than a copy of what the app says.
    async fn entries(&self, app: &AppId) -> Result<Reading, StoreError>;

    /// Keeps the head, and answers it as it is kept. Refused where its `rev` is not the one that was read.
    async fn keep_catalog(&self, catalog: &Catalog) -> Result<Catalog, StoreError>;

    /// Makes changes of entries. Cut off, it leaves entries that the next comparison finds again.
    async fn change_entries(&self, changes: &[Change]) -> Result<(), StoreError>;
}
