//! Rotations: heads beside those of their source, shifts in days, one transaction for each change.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::{Directory, ReadRota, RotationChange, RotationHead, UserLink, WriteRota};
use dutykey_policy::evidence::{Chain, ChainHead, Draft, Sealed};
use dutykey_policy::id::{PersonId, RotationId, SourceId, UserId};
use dutykey_policy::identity::Doubt;
use dutykey_policy::rota::KnownShift;
use dutykey_policy::time::Span;
use serde_json::{Value, json};

use crate::Store;
use crate::codec::{Item, decode, number};
use crate::commit::{For, Writes};
use crate::erase::written_by;
use crate::evidence::{appended, chain_attribute, ends_at};
use crate::io::{MAX_TRANSACTION, Query, Sort};
use crate::keys;
use crate::ledger::{due, listed, read};
use crate::link::owner;
use crate::notice::expiry;
use crate::write::{Condition, Write};

/// So many days are written ahead of a change that is too large for one transaction.
const DAYS_AHEAD: usize = 90;

#[async_trait]
impl ReadRota for Store {
    async fn heads(&self, rotations: &[RotationId]) -> Result<BTreeMap<RotationId, RotationHead>, StoreError> {
        let items = self.batch_get(rotations.iter().map(keys::rotation_head)).await?;
        Ok(heads(items.into_values()).into_iter().map(|head| (head.id.clone(), head)).collect())
    }

    async fn rotations(&self, source: &SourceId) -> Result<Vec<RotationHead>, StoreError> {
        let query = Query::items(keys::source(source), Sort::Begins(keys::HEADS.to_owned()));
        Ok(heads(self.query(&query).await?))
    }

    async fn known(&self, rotation: &RotationId, within: Span) -> Result<Vec<KnownShift>, StoreError> {
        self.shifts(rotation, within).await
    }

    async fn people(&self, source: &SourceId, users: &[UserId]) -> Result<BTreeMap<UserId, PersonId>, StoreError> {
        let items = self.batch_get(users.iter().map(|user| keys::link(source, user))).await?;
        let mut people = BTreeMap::new();
        for user in users {
            let key = keys::link(source, user);
            if let Some(item) = items.get(&key) {
                people.insert(user.clone(), owner(item, &key)?);
            }
        }
        Ok(people)
    }

    async fn directory(&self, source: &SourceId) -> Result<Directory, StoreError> {
        self.read_directory(source).await
    }
}

/// A head that cannot be read is set aside: its rotation counts as never read, and what it gave stays as it is.
fn heads(items: impl IntoIterator<Item = Item>) -> Vec<RotationHead> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for item in items {
        read(item, &mut found, &mut unreadable);
    }
    found
}

#[async_trait]
impl WriteRota for Store {
    async fn change_rotation(&self, change: &RotationChange) -> Result<RotationHead, StoreError> {
        self.change_with(change, None).await
    }

    async fn change_rotation_because(
        &self,
        change: &RotationChange,
        why: &Sealed,
        author: Option<&PersonId>,
    ) -> Result<RotationHead, StoreError> {
        let text = Write::save(keys::rotation_text(&change.head.id, &why.digest()), why)?;
        let text = if let Some(author) = author { written_by(text, author) } else { text };
        let text = text.with(keys::TTL, number(expiry(change.at))).when(Condition::known_version());
        self.change_with(change, Some(text)).await
    }

    async fn keep_directory(&self, source: &SourceId, directory: &Directory) -> Result<(), StoreError> {
        self.write_directory(source, directory).await
    }

    async fn link_user(&self, link: &UserLink) -> Result<Result<PersonId, Doubt>, StoreError> {
        self.linked(link).await
    }
}

impl Store {
    /// Why the leases of these rotations were prolonged; of those of which that is known and was not erased.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn prolonged_why(&self, heads: &[RotationHead]) -> Result<BTreeMap<RotationId, String>, StoreError> {
        let key = |head: &RotationHead| Some(keys::rotation_text(&head.id, head.prolonged_why.as_deref()?));
        let mut found = self.batch_get(heads.iter().filter_map(key).collect::<Vec<_>>()).await?;
        let mut texts = BTreeMap::new();
        for head in heads {
            if let Some(item) = key(head).and_then(|key| found.remove(&key)) {
                texts.insert(head.id.clone(), decode::<Sealed>(item)?.text);
            }
        }
        Ok(texts)
    }

    /// Makes a change, its evidence and the text that belongs to it one transaction.
    async fn change_with(&self, change: &RotationChange, text: Option<Write>) -> Result<RotationHead, StoreError> {
        let id = &change.head.id;
        let mut days = match &change.known {
            Some(known) => self.day_writes(id, known).await?,
            None => Vec::new(),
        };
        let chain = Chain::Rotation(id.clone());
        let mut end = change.head.chain.clone();
        let mut evidence = appended(&chain, &end, change.at, &change.evidence)?;
        let beside = 1 + usize::from(text.is_some()) + change.notices.len();
        while beside + days.len() + evidence.writes.len() > MAX_TRANSACTION && !days.is_empty() {
            let ahead = days.split_off(days.len().saturating_sub(DAYS_AHEAD));
            end = self.days_ahead(change, &end, ahead).await?;
            evidence = appended(&chain, &end, change.at, &change.evidence)?;
        }
        let head = RotationHead { generation: change.expected + 1, chain: evidence.head, ..change.head.clone() };
        let mut writes: Writes = vec![(For::Head, head_write(&head)?.when(as_read(change.expected, &end)))];
        writes.extend(days.into_iter().map(|day| (For::Record, day.when(Condition::known_version()))));
        writes.extend(text.map(|text| (For::Record, text)));
        writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
        self.commit_all(format!("rotation {id}"), writes, &change.notices).await.map(|_| head)
    }

    /// Writes days of a change ahead of it, the latest first, with evidence of their own, on the head that was read: the
    /// first view of a long horizon has more days than one transaction takes. The head stays as it is but for its chain,
    /// so that a reader goes on as before and whoever is interrupted here begins again.
    async fn days_ahead(
        &self,
        change: &RotationChange,
        end: &ChainHead,
        days: Vec<Write>,
    ) -> Result<ChainHead, StoreError> {
        let id = &change.head.id;
        let dates: Vec<&str> = days.iter().map(|day| day.key.sk.trim_start_matches(keys::DAYS)).collect();
        let draft = Draft {
            act: "view.days".to_owned(),
            actor: "rotation-sync".to_owned(),
            subject: json!({ "rotation": id }),
            before: Value::Null,
            after: json!({ "days": dates }),
            why: json!({ "generation": change.expected + 1 }),
        };
        let evidence = appended(&Chain::Rotation(id.clone()), end, change.at, &[draft])?;
        let head = if change.expected == 0 {
            head_write(&RotationHead {
                chain: evidence.head.clone(),
                ..RotationHead::new(id.clone(), change.head.name.clone())
            })?
        } else {
            let key = keys::rotation_head(id);
            let chain = chain_attribute(&key, &evidence.head)?;
            Write::update(key, Item::from([("chain".to_owned(), chain)]))
        };
        let mut writes: Writes = vec![(For::Head, head.when(as_read(change.expected, end)))];
        writes.extend(days.into_iter().map(|day| (For::Record, day.when(Condition::known_version()))));
        writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
        self.commit_all(format!("rotation {id}"), writes, &[]).await?;
        Ok(evidence.head)
    }
}

/// The condition that a rotation's head is still what was read.
fn as_read(generation: u64, end: &ChainHead) -> Condition {
    let same = Condition::All(vec![Condition::is("generation", number(generation)), ends_at(end)]);
    if generation == 0 { Condition::Any(vec![Condition::new(), same]) } else { same }
}

/// Writes a rotation's head with its places in the indexes.
pub(crate) fn head_write(head: &RotationHead) -> Result<Write, StoreError> {
    let id = head.id.to_string();
    let write = Write::save(keys::rotation_head(&head.id), head)?;
    let write = due(write, keys::DUE, keys::DUE_ROTATIONS, &id, head.due.as_ref());
    Ok(listed(write, keys::LISTS, keys::shard(keys::ROTATIONS, &id), id))
}

/// Marks a rotation as to be planned again. The next generation makes whoever planned with the old profiles look again.
pub(crate) fn planned_again(head: &RotationHead) -> Write {
    let set = Item::from([
        ("planned".to_owned(), crate::codec::text("")),
        ("generation".to_owned(), number(head.generation + 1)),
    ]);
    Write::update(keys::rotation_head(&head.id), set).when(Condition::is("generation", number(head.generation)))
}
