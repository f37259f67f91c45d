//! The first match of a platform's user: the link, the address and the person are one transaction.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::{FindPeople, LivePerson, PersonHead, ReadLedger, StoreError};
use dutykey_engine::ports::rota::UserLink;
use dutykey_policy::bug::Bug;
use dutykey_policy::evidence::{Chain, Draft};
use dutykey_policy::id::{PersonId, RequestId, SourceId, UserId};
use dutykey_policy::identity::{Doubt, Person};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Store;
use crate::codec::{Item, text, text_of, unreadable};
use crate::error::Refused;
use crate::evidence::appended;
use crate::keys::{self, Key};
use crate::ledger::{as_read, head_step, head_write, identity_writes};
use crate::write::{Condition, Write};

/// How often a link is tried again when somebody else was faster.
pub(crate) const ATTEMPTS: usize = 4;

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
        let (live, mut writes) = self.one_more(id, &link.address, &draft(link, id), link.at).await?;
        if live.person.users.get(&link.source).is_some_and(|other| *other != link.user) {
            return Ok(Err(Doubt::Ambiguous));
        }
        let mut person = live.person;
        person.users.insert(link.source.clone(), link.user.clone());
        let [links, _] = identity_writes(&person)?;
        writes.extend([links, link_write(link, id)]);
        Ok(Ok(writes))
    }

    /// The person whose address it is, and the writes that record one more link of theirs while it is.
    pub(crate) async fn one_more(
        &self,
        id: &PersonId,
        address: &str,
        draft: &Draft,
        at: Timestamp,
    ) -> Result<(LivePerson, Vec<Write>), StoreError> {
        let address = keys::address(address);
        let Some(live) = self.load(id).await? else {
            return Err(unreadable(&address, format!("it names {id}, who does not exist")));
        };
        let at = live.head.last_at.map_or(at, |last| last.max(at));
        let evidence = appended(&Chain::Person(id.clone()), &live.head.chain, at, std::slice::from_ref(draft))?;
        let still = Condition::is("person", text(id.as_str()));
        let mut writes = vec![head_step(id, &live.head, &evidence.head, at)?, Write::check(address, still)];
        writes.extend(evidence.writes);
        Ok((live, writes))
    }

    pub(crate) async fn owner_of(&self, key: &Key) -> Result<Option<PersonId>, StoreError> {
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

/// Somebody whom nobody has met before.
pub(crate) struct Newcomer<'a> {
    pub(crate) id: &'a PersonId,
    pub(crate) address: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) users: BTreeMap<SourceId, UserId>,
    pub(crate) draft: Draft,
    pub(crate) at: Timestamp,
}

impl Newcomer<'_> {
    /// The writes that make the person.
    pub(crate) fn writes(self) -> Result<Vec<Write>, StoreError> {
        let Self { id, address, name, users, draft, at } = self;
        let evidence = appended(&Chain::Person(id.clone()), &PersonHead::default().chain, at, &[draft])?;
        let head = PersonHead { rev: 1, chain: evidence.head, last_at: Some(at), ..PersonHead::default() };
        let person = Person {
            email: Some(address.to_owned()),
            name: name.map(str::to_owned),
            users,
            ..Person::nobody(id.clone())
        };
        let address = Write::put(keys::address(address), owned(id)).when(Condition::new());
        let head = head_write(id, &head)?.when(as_read(&PersonHead::default()));
        let [links, words] = identity_writes(&person)?;
        let mut writes = vec![head, links, words, address];
        writes.extend(evidence.writes);
        Ok(writes)
    }
}

/// The writes that make a person of a user.
fn newcomer(link: &UserLink) -> Result<Vec<Write>, StoreError> {
    let id = &link.fresh;
    let newcomer = Newcomer {
        id,
        address: &link.address,
        name: link.name.as_deref(),
        users: BTreeMap::from([(link.source.clone(), link.user.clone())]),
        draft: draft(link, id),
        at: link.at,
    };
    let mut writes = newcomer.writes()?;
    writes.push(link_write(link, id));
    Ok(writes)
}

fn link_write(link: &UserLink, id: &PersonId) -> Write {
    Write::put(keys::link(&link.source, &link.user), owned(id)).when(Condition::new())
}

pub(crate) fn owned(id: &PersonId) -> Item {
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
