//! Erasing a person: their texts first, as many with each transaction as it takes, and last whatever says who they are. Each
//! is fenced by the head that was decided on and has its evidence, so that whoever is interrupted goes on where that was, and
//! the record that says *erased* is there only once it is so.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dutykey_engine::ports::erasures::{ErasePeople, Erased};
use dutykey_engine::ports::ledger::{LivePerson, ReadLedger as _, StoreError};
use dutykey_policy::bug::Bug;
use dutykey_policy::erase::{erased, erasing};
use dutykey_policy::evidence::Chain;
use dutykey_policy::id::PersonId;
use dutykey_policy::identity::{Account, Person};
use dutykey_policy::rebuild;
use jiff::Timestamp;

use crate::Store;
use crate::caller::CALLER;
use crate::codec::{key_of, text, text_of, unreadable};
use crate::commit::{For, Writes};
use crate::evidence::appended;
use crate::io::{MAX_TRANSACTION, Query, Sort};
use crate::keys::{self, Key, LISTS};
use crate::ledger::{head_step, identity_writes, listed};
use crate::link::owner;
use crate::write::{Condition, Write};

/// Lists a text with its author, where it lies with somebody else: it is erased with either.
pub(crate) fn written_by(write: Write, author: &PersonId) -> Write {
    let place = write.key.to_string();
    listed(write, LISTS, keys::texts_by(author), place)
}

#[async_trait]
impl ErasePeople for Store {
    async fn erase(&self, live: &LivePerson, by: &PersonId, at: Timestamp) -> Result<Erased, StoreError> {
        let (id, over) = (&live.person.id, live.person.erased.is_some());
        let mut texts = self.texts_of(id).await?;
        if over && texts.is_empty() {
            return Ok(Erased::Whole);
        }
        let at = live.head.last_at.map_or(at, |last| last.max(at));
        let identity = if over { Writes::new() } else { self.identity_erased(&live.person, at).await? };
        // The head and the evidence go with everything.
        let room = MAX_TRANSACTION - 2;
        let whole = !over && (texts.is_empty() || identity.len() + texts.len() <= room);
        texts.truncate(room);
        let record = if whole { erased } else { erasing };
        let record = record(id, by, texts.len());
        let evidence = appended(&Chain::Person(id.clone()), &live.head.chain, at, &[record])?;
        let mut writes: Writes = vec![(For::Head, head_step(id, &live.head, &evidence.head, at)?)];
        writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
        writes.extend(texts.into_iter().map(gone));
        if whole {
            writes.extend(identity);
        }
        self.commit_all(id, writes, &[]).await?;
        Ok(if whole { Erased::Whole } else { Erased::InPart })
    }
}

impl Store {
    /// Erases again whom the copied records of a chain say erased: a backup has brought back what was gone. There is no new
    /// record of it, for the chain has one; so this comes before those that the chain lacks. Whoever is interrupted begins
    /// again.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn erase_again(&self, chain: &Chain, items: &[Vec<String>]) -> Result<Option<PersonId>, StoreError> {
        let Chain::Person(id) = chain else { return Ok(None) };
        let said = rebuild::erased(items.iter().flatten().map(String::as_str));
        let said = said.map_err(|error| unreadable(&keys::evidence(chain, error.seq), error.problem))?;
        let Some(at) = said else { return Ok(None) };
        let person = self.load(id).await?.map_or_else(|| Person::nobody(id.clone()), |live| live.person);
        let mut writes = self.identity_erased(&person, at).await?;
        writes.extend(self.texts_of(id).await?.into_iter().map(gone));
        for some in writes.chunks(MAX_TRANSACTION) {
            self.commit_all(id, some.to_vec(), &[]).await?;
        }
        Ok(Some(id.clone()))
    }

    /// Everything that a person wrote, or that was written about them, and what they made under names of their own. The index
    /// only finds what lies with others.
    async fn texts_of(&self, id: &PersonId) -> Result<Vec<Key>, StoreError> {
        let mut texts = Vec::new();
        for beginning in [keys::TEXTS, keys::MADE] {
            let theirs = Query::items(keys::person(id), Sort::Begins(beginning.to_owned()));
            texts.extend(self.query(&theirs).await?.iter().map(key_of));
        }
        let elsewhere = self.query(&Query::index(LISTS, keys::texts_by(id), Sort::All)).await?;
        let elsewhere: BTreeSet<Key> = self.batch_get(elsewhere.iter().map(key_of)).await?.into_keys().collect();
        texts.extend(elsewhere);
        Ok(texts)
    }

    /// The writes that leave nothing of who a person is but that they were erased. What is unique goes while it is theirs.
    async fn identity_erased(&self, person: &Person, at: Timestamp) -> Result<Writes, StoreError> {
        let id = &person.id;
        let [links, _] = identity_writes(&Person { erased: Some(at), ..Person::nobody(id.clone()) })?;
        let mut writes: Writes = vec![(For::Record, links)];
        if !Bug::AddressKept.is_chosen() {
            writes.push(gone(keys::person_text(id)));
        }
        let mut unique: BTreeSet<Key> = person.email.iter().map(|address| keys::address(address)).collect();
        unique.extend(person.users.iter().map(|(source, user)| keys::link(source, user)));
        unique.extend(person.accounts.iter().filter_map(|(app, account)| match account {
            Account::Linked(account) => Some(keys::account(app, account)),
            Account::Doubtful { .. } => None,
        }));
        for item in self.query(&Query::items(keys::person(id), Sort::Begins(keys::CALLS.to_owned()))).await? {
            unique.extend(text_of(&item, CALLER).map(keys::caller));
            writes.push(gone(key_of(&item)));
        }
        let mut found = self.batch_get(unique.iter().cloned()).await?;
        for key in unique {
            let Some(item) = found.remove(&key) else { continue };
            if owner(&item, &key)? == *id {
                let theirs = Condition::is("person", text(id.as_str()));
                writes.push((For::Head, Write::delete(key).when(theirs)));
            }
        }
        Ok(writes)
    }
}

fn gone(key: Key) -> (For, Write) {
    (For::Record, Write::delete(key))
}
