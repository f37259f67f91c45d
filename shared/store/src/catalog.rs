//! Catalogs of entitlements: an entry for each, and beside it one small item for each word of its name.
//!
//! A page is found in the partition of each app by the kind and, where words are sought, by the beginning of one of them,
//! so that it costs what it shows. Items of words are written before their entry and removed before it: an entry that says
//! what the app says has all of them, and one that lies under a word that is no longer its own is left out of a page.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dutykey_engine::ports::catalog::{Catalog, ReadCatalogs, WriteCatalogs};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::catalog::{CatalogEntry, Change, Reading, Words};
use dutykey_policy::id::AppId;

use crate::Store;
use crate::codec::{Item, attributes, key_of, number};
use crate::io::{Query, Sort};
use crate::keys::{self, Key};
use crate::ledger::read;
use crate::list::{Cursor, Page};
use crate::write::{Condition, Write};

#[async_trait]
impl ReadCatalogs for Store {
    async fn catalogs(&self, apps: &[AppId]) -> Result<BTreeMap<AppId, Catalog>, StoreError> {
        let (mut catalogs, mut unreadable) = (Vec::<Catalog>::new(), Vec::new());
        let items = self.batch_get(apps.iter().map(keys::catalog_head)).await?;
        items.into_values().for_each(|item| read(item, &mut catalogs, &mut unreadable));
        Ok(catalogs.into_iter().map(|catalog| (catalog.app.clone(), catalog)).collect())
    }
}

#[async_trait]
impl WriteCatalogs for Store {
    async fn entries(&self, app: &AppId) -> Result<Reading, StoreError> {
        let query = Query::items(keys::catalog(app), Sort::Begins(keys::ENTRIES.to_owned()));
        let (mut reading, mut from) = (Reading::new(), None);
        // Page by page: as items, a large catalog takes many times its own room.
        loop {
            let (mut entries, mut unreadable) = (Vec::<CatalogEntry>::new(), Vec::new());
            let found = self.page(&query, from, None).await?;
            found.items.into_iter().for_each(|item| read(item, &mut entries, &mut unreadable));
            reading.extend(entries.into_iter().map(|entry| (entry.entitlement.clone(), entry)));
            from = found.next;
            if from.is_none() {
                return Ok(reading);
            }
        }
    }

    async fn keep_catalog(&self, catalog: &Catalog) -> Result<Catalog, StoreError> {
        let next = Catalog { rev: catalog.rev.saturating_add(1), ..catalog.clone() };
        let as_read = if catalog.rev == 0 { Condition::new() } else { Condition::is("rev", number(catalog.rev)) };
        let write = Write::save(keys::catalog_head(&next.app), &next)?.when(as_read);
        self.write(write).await.map_err(|refused| refused.changed(format!("the catalog of {}", next.app)))?;
        Ok(next)
    }

    async fn change_entries(&self, changes: &[Change]) -> Result<(), StoreError> {
        let (mut words, mut entries) = (Vec::new(), Vec::new());
        for change in changes {
            let (before, after) = match change {
                Change::Write { before, after } => (before.as_ref(), Some(after)),
                Change::Remove(before) => (Some(before), None),
            };
            let (old, new) = (before.map(word_keys).unwrap_or_default(), after.map(word_keys).unwrap_or_default());
            words.extend(old.iter().filter(|key| !new.contains(key)).cloned().map(Write::delete));
            words.extend(new.into_iter().filter(|key| !old.contains(key)).map(|key| Write::put(key, Item::new())));
            entries.push(match (before, after) {
                (_, Some(after)) => {
                    let key = keys::entry(&after.entitlement);
                    let item = attributes(&key, after)?;
                    Write::put(key, item)
                }
                (Some(before), None) => Write::delete(keys::entry(&before.entitlement)),
                (None, None) => continue,
            });
        }
        self.batch_write(words).await?;
        self.batch_write(entries).await
    }
}

fn word_keys(entry: &CatalogEntry) -> Vec<Key> {
    entry.words.iter().map(|word| keys::word(&entry.entitlement, word)).collect()
}

impl Store {
    /// A page of what these apps have of these kinds; where words are sought, of that of whose name each of them begins a
    /// word.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_entitlements(
        &self,
        places: &[(AppId, String)],
        sought: &Words,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<CatalogEntry>, StoreError> {
        let Some(beginning) = sought.longest() else {
            let query =
                |(app, kind): &(AppId, String)| Query::items(keys::catalog(app), Sort::Begins(keys::entries_of(kind)));
            return self.items(places.iter().map(query).collect(), cursor, limit).await;
        };
        let query = |(app, kind): &(AppId, String)| {
            Query::items(keys::catalog(app), Sort::Begins(keys::words_of(kind, beginning)))
        };
        let (found, next) = self.walk(places.iter().map(query).collect(), cursor, limit).await?;
        let found = found.iter().filter_map(|item| keys::entry_of_word(&key_of(item)));
        let found: Vec<(String, Key)> = found.collect();
        let items = self.batch_get(found.iter().map(|(_, key)| key.clone())).await?;
        let mut page = Page { items: Vec::new(), next, unreadable: Vec::new() };
        for (word, key) in found {
            let Some(item) = items.get(&key).cloned() else { continue };
            let mut entries: Vec<CatalogEntry> = Vec::new();
            read(item, &mut entries, &mut page.unreadable);
            // Under each other word that begins so it is found again.
            let here = |entry: &CatalogEntry| entry.words.first_with(beginning) == Some(&word);
            page.items.extend(entries.into_iter().filter(|entry| here(entry) && entry.words.has_all(sought)));
        }
        page.unreadable.sort();
        page.unreadable.dedup();
        Ok(page)
    }
}
