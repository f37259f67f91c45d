//! The first match of a platform's user: the link, the address and the person are one transaction.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::{FindPeople, PersonHead, ReadLedger, StoreError};
use dutykey_engine::ports::rota::UserLink;
use dutykey_policy::bug::Bug;
use dutykey_policy::evidence::{Chain, Draft};
use dutykey_policy::id::{PersonId, RequestId};
use dutykey_policy::identity::{Doubt, Person};
use serde_json::{Value, json};

use crate::Store;
use crate::codec::{Item, text, text_of, unreadable};
use crate::error::Refused;
use crate::evidence::appended;
use crate::keys::{self, Key};
use crate::ledger::{as_read, head_step, head_write, identity_writes};
use crate::write::{Condition, Write};

/// How often a link is tried again when somebody else was faster.
const ATTEMPTS: usize = 4;

impl Store {
    /// Links a user to the person with this address, who is made where nobody has it.
    pub(crate) async fn linked(&self, link: &UserLink) -> Result<Result<PersonId, Doubt>, StoreError> {
        for _ in 0..ATTEMPTS {
            let (user, address) = (keys::link(&link.source, &link.user), keys::address(&link.address));
            let mut found = self.batch_get([user.clone(), address.clone()]).await?;
            // A link once made stays, whatever the address says now.
            if Bug::EmailAsKey.is_chosen()
                && let Some(item) = found.remove(&address)
            {
                return owner(&item, &address).map(Ok);
            }
            if let Some(item) = found.remove(&user) {
                return owner(&item, &user).map(Ok);
            }
            let (id, writes) = match found.remove(&address) {
                None => (link.fresh.clone(), newcomer(link)?),
                Some(item) => {
                    let id = owner(&item, &address)?;
                    match self.joining(link, &id).await? {
                        Ok(writes) => (id, writes),
                        Err(doubt) => return Ok(Err(doubt)),
                    }
                }
            };
            match self.transact(writes).await {
                Ok(()) => return Ok(Ok(id)),
                Err(Refused::Conditions(_) | Refused::Conflict) => {}
                Err(Refused::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Changed(format!("user {} of {}", link.user, link.source)))
    }

    /// The writes that link one more user to a person.
    async fn joining(&self, link: &UserLink, id: &PersonId) -> Result<Result<Vec<Write>, Doubt>, StoreError> {
        let Some(live) = self.load(id).await? else {
            return Err(unreadable(&keys::address(&link.address), format!("it names {id}, who does not exist")));
        };
        if live.person.users.get(&link.source).is_some_and(|other| *other != link.user) {
            return Ok(Err(Doubt::Ambiguous));
        }
        let mut person = live.person;
        person.users.insert(link.source.clone(), link.user.clone());
        let at = live.head.last_at.map_or(link.at, |last| last.max(link.at));
        let evidence = appended(&Chain::Person(id.clone()), &live.head.chain, at, &[draft(link, id)])?;
        let [links, _] = identity_writes(&person)?;
        let still = Condition::is("person", text(id.as_str()));
        let mut writes = vec![head_step(id, &live.head, &evidence.head, at)?, links, link_write(link, id)];
        writes.push(Write::check(keys::address(&link.address), still));
        writes.extend(evidence.writes);
        Ok(Ok(writes))
    }

    async fn owner_of(&self, key: &Key) -> Result<Option<PersonId>, StoreError> {
        self.get(key).await?.map(|item| owner(&item, key)).transpose()
    }
}

#[async_trait]
impl FindPeople for Store {
    async fn find_person(&self, address: &str) -> Result<Option<PersonId>, StoreError> {
        self.owner_of(&keys::address(address)).await
    }

    async fn requester(&self, request: &RequestId) -> Result<Option<PersonId>, StoreError> {
        self.owner_of(&keys::request_owner(request)).await
    }
}

/// The writes that make a person.
fn newcomer(link: &UserLink) -> Result<Vec<Write>, StoreError> {
    let id = &link.fresh;
    let evidence = appended(&Chain::Person(id.clone()), &PersonHead::default().chain, link.at, &[draft(link, id)])?;
    let head = PersonHead { rev: 1, chain: evidence.head, last_at: Some(link.at), ..PersonHead::default() };
    let person = Person {
        id: id.clone(),
        email: Some(link.address.clone()),
        name: link.name.clone(),
        active: None,
        active_at: None,
        held_since: None,
        users: BTreeMap::from([(link.source.clone(), link.user.clone())]),
        accounts: BTreeMap::new(),
    };
    let address = Write::put(keys::address(&link.address), owned(id)).when(Condition::new());
    let head = head_write(id, &head)?.when(as_read(&PersonHead::default()));
    let [links, words] = identity_writes(&person)?;
    let mut writes = vec![head, links, words, link_write(link, id), address];
    writes.extend(evidence.writes);
    Ok(writes)
}

fn link_write(link: &UserLink, id: &PersonId) -> Write {
    Write::put(keys::link(&link.source, &link.user), owned(id)).when(Condition::new())
}

fn owned(id: &PersonId) -> Item {
    Item::from([("person".to_owned(), text(id.as_str()))])
}

/// The person whom a unique item names.
pub(crate) fn owner(item: &Item, key: &Key) -> Result<PersonId, StoreError> {
    let person = text_of(item, "person").ok_or_else(|| unreadable(key, "it names no person"))?;
    person.parse().map_err(|error| unreadable(key, error))
}

/// The evidence of a link. It does not name the user: a user's ID may be an address or a name, and evidence stays for
/// ever.
fn draft(link: &UserLink, id: &PersonId) -> Draft {
    Draft {
        act: "person.linked".to_owned(),
        actor: "rotation-sync".to_owned(),
        subject: json!({ "person": id, "source": link.source }),
        before: Value::Null,
        after: json!({ "linked": true }),
        why: json!(if link.said { "an administrator says so" } else { "the verified address matches" }),
    }
}
