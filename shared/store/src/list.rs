//! Pages of things, for people to look at.

use dutykey_engine::ports::ledger::{PersonHead, StoreError};
use dutykey_engine::ports::rota::RotationHead;
use dutykey_policy::enrollment::Enrollment;
use dutykey_policy::evidence::{Chain, ChainHead};
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{PersonId, ProfileId};
use dutykey_policy::identity::Person;
use dutykey_policy::rota::hex;
use dutykey_policy::time::Span;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::Store;
use crate::codec::{Item, decode, key_of, text, text_of};
use crate::io::{Query, Sort};
use crate::keys::{self, Key, LISTS};
use crate::ledger::{identity, read};

/// At most this many things on a page.
pub const MAX_PAGE: usize = 200;

/// Where the next page begins. Opaque: it goes out as text and comes back as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor that came back.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text: hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The things. There may be fewer than asked for while there are more pages.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// Keys of records on this page that this release cannot read.
    pub unreadable: Vec<String>,
}

/// A person in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Who they are.
    pub person: Person,
    /// Their head.
    pub head: PersonHead,
}

/// What a cursor says: the query, by its place, and the last key on the page before, by the names of its attributes.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    shard: usize,
    after: Option<BTreeMap<String, String>>,
}

impl Place {
    fn read(cursor: Option<&Cursor>) -> Result<Self, StoreError> {
        let Some(Cursor(text)) = cursor else { return Ok(Self::default()) };
        let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        let digits = digits.unwrap_or_default();
        let bytes = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8));
        let bytes: Vec<u8> = bytes.collect();
        serde_json::from_slice(&bytes).map_err(|_| StoreError::Limit("the cursor is not one of this list".to_owned()))
    }

    fn cursor(&self) -> Result<Cursor, StoreError> {
        let bytes = serde_json::to_vec(self).map_err(|error| StoreError::Limit(error.to_string()))?;
        Ok(Cursor(hex(&bytes)))
    }

    fn key(&self) -> Option<Item> {
        let after = self.after.as_ref()?;
        Some(after.iter().map(|(name, value)| (name.clone(), text(value))).collect())
    }

    fn after(shard: usize, key: Option<&Item>) -> Self {
        let texts =
            |key: &Item| key.keys().filter_map(|name| Some((name.clone(), text_of(key, name)?.to_owned()))).collect();
        Self { shard, after: key.map(texts) }
    }
}

/// The lists of everything that has a chain of its own.
fn chains_listed() -> Vec<Query> {
    let lists = [keys::PEOPLE, keys::ROTATIONS, keys::PROFILES].into_iter().flat_map(keys::shards);
    lists.map(|shard| Query::index(LISTS, shard, Sort::All)).collect()
}

/// The chain of what such a list names.
fn chain_listed(item: &Item) -> Option<Chain> {
    let (list, _) = text_of(item, LISTS.partition)?.split_once('#')?;
    let name = text_of(item, LISTS.sort)?;
    match list {
        keys::PEOPLE => keys::person_of(&key_of(item).pk).map(Chain::Person),
        keys::ROTATIONS => name.parse().ok().map(Chain::Rotation),
        keys::PROFILES => name.parse().ok().map(Chain::Profile),
        _ => None,
    }
}

impl Store {
    /// Everybody.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_people(&self, cursor: Option<&Cursor>, limit: usize) -> Result<Page<Listed>, StoreError> {
        let (found, next) = self.candidates(keys::shards(keys::PEOPLE), cursor, limit).await?;
        let ids: Vec<PersonId> = found.iter().filter_map(|key| keys::person_of(&key.pk)).collect();
        let parts = [keys::person_head, keys::person_links, keys::person_text];
        let mut items = self.batch_get(ids.iter().flat_map(|id| parts.map(|part| part(id)))).await?;
        let mut page = Page { items: Vec::new(), next, unreadable: Vec::new() };
        for id in ids {
            let [head, links, words] = parts.map(|part| items.remove(&part(&id)));
            let Some(head) = head else { continue };
            let listed = decode(head).and_then(|head| Ok(Listed { person: identity(&id, links, words)?, head }));
            match listed {
                Ok(listed) => page.items.push(listed),
                Err(error) => {
                    tracing::error!(person = %id, %error, "a person is set aside");
                    page.unreadable.push(keys::person_head(&id).to_string());
                }
            }
        }
        Ok(page)
    }

    /// Who these people are, of those who exist: two small items for each.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn who(&self, people: &[PersonId]) -> Result<BTreeMap<PersonId, Person>, StoreError> {
        let parts = [keys::person_links, keys::person_text];
        let mut items = self.batch_get(people.iter().flat_map(|id| parts.map(|part| part(id)))).await?;
        let mut found = BTreeMap::new();
        for id in people {
            let [links, words] = parts.map(|part| items.remove(&part(id)));
            if links.is_some() || words.is_some() {
                found.insert(id.clone(), identity(id, links, words)?);
            }
        }
        Ok(found)
    }

    /// Every hold that is not over; in each shard the one that ends first comes first.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_open_holds(&self, cursor: Option<&Cursor>, limit: usize) -> Result<Page<Hold>, StoreError> {
        self.listed(keys::shards(keys::HOLDS), cursor, limit).await
    }

    /// Who is in a profile, and why.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_enrollments(
        &self,
        profile: &ProfileId,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Enrollment>, StoreError> {
        self.listed(vec![keys::enrollments_of(profile)], cursor, limit).await
    }

    /// Every rotation of every source, those of sources that have left the configuration included.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_rotations(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<RotationHead>, StoreError> {
        self.listed(keys::shards(keys::ROTATIONS), cursor, limit).await
    }

    /// A person's holds that ended in the interval, the oldest first.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_ended_holds(
        &self,
        person: &PersonId,
        within: Span,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Hold>, StoreError> {
        let bound = |at: Timestamp| format!("{}{}", keys::ENDED, keys::instant(at));
        let query = Query::items(keys::person(person), Sort::Between(bound(within.start), bound(within.end)));
        self.items(vec![query], cursor, limit).await
    }

    /// A page of the items of some queries, one after the other.
    pub(crate) async fn items<T: DeserializeOwned>(
        &self,
        queries: Vec<Query>,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<T>, StoreError> {
        let (found, next) = self.walk(queries, cursor, limit).await?;
        let mut page = Page { items: Vec::new(), next, unreadable: Vec::new() };
        for item in found {
            read(item, &mut page.items, &mut page.unreadable);
        }
        Ok(page)
    }

    /// Every chain of evidence, sorted by name. What began within the last moments may be missing: the lists are indexes.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn list_chains(&self) -> Result<Vec<Chain>, StoreError> {
        let mut chains = vec![Chain::System];
        for query in chains_listed() {
            chains.extend(self.query(&query).await?.iter().filter_map(chain_listed));
        }
        chains.sort_by_cached_key(ToString::to_string);
        chains.dedup();
        Ok(chains)
    }

    /// Where the chains that have records end: the installation's own on the first page, and the others as they are listed.
    /// What began within the last moments may be missing.
    ///
    /// # Errors
    /// The table cannot be used, or the cursor is not one of this list.
    pub async fn list_chain_heads(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(Chain, ChainHead)>, StoreError> {
        let (found, next) = self.walk(chains_listed(), cursor, limit).await?;
        let own = cursor.is_none().then_some(Chain::System);
        let chains = own.into_iter().chain(found.iter().filter_map(chain_listed)).collect();
        Ok(Page { items: self.heads_of(chains).await?, next, unreadable: Vec::new() })
    }

    /// A page of items that an index lists, in its order.
    pub(crate) async fn listed<T: DeserializeOwned>(
        &self,
        partitions: Vec<String>,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<T>, StoreError> {
        let (keys, next) = self.candidates(partitions, cursor, limit).await?;
        let mut items = self.batch_get(keys.iter().cloned()).await?;
        let mut page = Page { items: Vec::new(), next, unreadable: Vec::new() };
        for item in keys.iter().filter_map(|key| items.remove(key)) {
            read(item, &mut page.items, &mut page.unreadable);
        }
        Ok(page)
    }

    /// A page of keys from the partitions of the lists, one after the other.
    pub(crate) async fn candidates(
        &self,
        partitions: Vec<String>,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<Key>, Option<Cursor>), StoreError> {
        let queries = partitions.into_iter().map(|partition| Query::index(LISTS, partition, Sort::All));
        let (found, next) = self.walk(queries.collect(), cursor, limit).await?;
        Ok((found.iter().map(key_of).collect(), next))
    }

    /// A page of what some queries find, one after the other.
    pub(crate) async fn walk(
        &self,
        queries: Vec<Query>,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<Cursor>), StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut place = Place::read(cursor)?;
        let mut items = Vec::new();
        while let Some(query) = queries.get(place.shard) {
            if items.len() >= limit {
                return Ok((items, Some(place.cursor()?)));
            }
            let found = self.page(query, place.key(), Some(limit - items.len())).await?;
            items.extend(found.items);
            place = match found.next {
                Some(next) => Place::after(place.shard, Some(&next)),
                None => Place::after(place.shard + 1, None),
            };
        }
        Ok((items, None))
    }
}
