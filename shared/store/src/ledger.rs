//! People: the live items of one, and the one transaction that changes them with its evidence.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::{
    Claim, Committed, LivePerson, MAX_HOLDS, Made, PersonChange, PersonHead, ReadLedger, StoreError, Text, WriteLedger,
};
use dutykey_policy::bug::Bug;
use dutykey_policy::enrollment::Enrollment;
use dutykey_policy::evidence::{Chain, ChainHead};
use dutykey_policy::hold::{Hold, Outcome, State};
use dutykey_policy::id::{AccountId, AppId, PersonId};
use dutykey_policy::identity::Person;
use dutykey_policy::look::Due;
use dutykey_policy::request::Request;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::codec::{Item, attribute, attributes, decode, fields, key_of, number, text};
use crate::commit::{For, Writes};
use crate::emergency::emergency_write;
use crate::erase::written_by;
use crate::evidence::{appended, chain_attribute};
use crate::io::{Query, Sort};
use crate::keys::{self, Index, Key};
use crate::link::owned;
use crate::notice::expiry;
use crate::turns::turn_writes;
use crate::write::{Condition, Write};

/// The table may forget after so many seconds what was made under an idempotency key.
const MADE_SECONDS: i64 = 2 * 86_400;

/// A person's texts: an item of their own, so that they can be erased.
#[derive(Serialize, Deserialize)]
struct Texts {
    email: Option<String>,
    name: Option<String>,
}

#[async_trait]
impl ReadLedger for Store {
    async fn load(&self, person: &PersonId) -> Result<Option<LivePerson>, StoreError> {
        let items = self.query(&Query::items(keys::person(person), Sort::Begins(keys::LIVE.to_owned()))).await?;
        let (head, links, words) = (keys::person_head(person), keys::person_links(person), keys::person_text(person));
        let (mut found, mut linked, mut named) = (None, None, None);
        let (mut enrollments, mut holds, mut requests) = (Vec::new(), Vec::new(), Vec::new());
        let (mut written_off, mut unreadable) = (Vec::new(), Vec::new());
        for item in items {
            let key = key_of(&item);
            if key == head {
                found = Some(decode(item)?);
            } else if key == links {
                linked = Some(item);
            } else if key == words {
                named = Some(item);
            } else if key.sk.starts_with(keys::ENROLLMENTS) {
                read(item, &mut enrollments, &mut unreadable);
            } else if key.sk.starts_with(keys::OPEN_HOLDS) {
                read(item, &mut holds, &mut unreadable);
            } else if key.sk.starts_with(keys::WRITTEN_OFF) {
                read(item, &mut written_off, &mut unreadable);
            } else if key.sk.starts_with(keys::LIVE_REQUESTS) {
                read(item, &mut requests, &mut unreadable);
            }
        }
        let Some(head) = found else { return Ok(None) };
        let person = identity(person, linked, named)?;
        Ok(Some(LivePerson { head, person, enrollments, holds, written_off, requests, unreadable }))
    }

    async fn made(&self, person: &PersonId, name: &str) -> Result<Option<Made>, StoreError> {
        self.get(&keys::once(person, name)).await?.map(decode).transpose()
    }

    async fn owner(&self, app: &AppId, account: &AccountId) -> Result<Option<PersonId>, StoreError> {
        self.owner_of(&keys::account(app, account)).await
    }
}

/// Who a person is, of their two items. One whose texts were erased has none.
pub(crate) fn identity(id: &PersonId, links: Option<Item>, words: Option<Item>) -> Result<Person, StoreError> {
    let mut person = match links {
        Some(links) => decode(links)?,
        None => Person::nobody(id.clone()),
    };
    if let Some(Texts { email, name }) = words.map(decode).transpose()? {
        (person.email, person.name) = (email, name);
    }
    Ok(person)
}

/// Reads a record, or sets it aside.
pub(crate) fn read<T: serde::de::DeserializeOwned>(item: Item, found: &mut Vec<T>, unreadable: &mut Vec<String>) {
    let key = key_of(&item);
    match decode(item) {
        Ok(value) => found.push(value),
        Err(error) => {
            tracing::error!(%key, %error, "a record is set aside");
            unreadable.push(key.to_string());
        }
    }
}

#[async_trait]
impl WriteLedger for Store {
    async fn commit(&self, change: &PersonChange) -> Result<Committed, StoreError> {
        if change.holds.len() > MAX_HOLDS {
            return Err(StoreError::Limit(format!(
                "a change of {} holds of {} at once: at most {MAX_HOLDS}, then the next change",
                change.holds.len(),
                change.person
            )));
        }
        let at = change.head.last_at.map_or(change.at, |last| last.max(change.at));
        let evidence = appended(&Chain::Person(change.person.clone()), &change.head.chain, at, &change.evidence)?;
        let head = PersonHead {
            rev: change.head.rev + 1,
            chain: evidence.head,
            last_at: Some(at),
            next_start: change.next_start.clone(),
            next_end: change.next_end.clone(),
        };
        let mut writes: Writes = vec![(For::Head, head_write(&change.person, &head)?.when(as_read(&change.head)))];
        if let Some(identity) = &change.identity {
            let [links, words] = identity_writes(identity)?;
            writes.extend([(For::Record, links), (For::Record, words)]);
        }
        let claims = change.claims.iter().collect::<BTreeSet<_>>();
        writes.extend(claims.into_iter().map(|claim| claim_write(&change.person, claim)));
        if let Some(roll) = &change.roll {
            writes.extend(self.roll_writes(roll, at).await?);
        }
        for enrollment in &change.enrollments {
            writes.push((For::Record, enrollment_write(enrollment)?));
        }
        writes.extend(self.hold_writes(&change.holds, at).await?);
        writes.extend(self.request_writes(&change.requests, at).await?);
        if let Some(emergency) = &change.emergency {
            writes.push((For::Record, emergency_write(emergency)?));
        }
        for Text { name, by, sealed } in &change.texts {
            let text = Write::save(keys::text(&change.person, name), sealed)?.with(keys::TTL, number(expiry(at)));
            let text = if *by == change.person { text } else { written_by(text, by) };
            writes.push((For::Record, text.when(Condition::known_version())));
        }
        if let Some(made) = &change.made {
            let once = Write::save(keys::once(&change.person, &made.name), made)?;
            let forgotten = number(made.at.as_second().saturating_add(MADE_SECONDS));
            writes.push((For::Record, once.with(keys::TTL, forgotten).when(Condition::known_version())));
        }
        writes.extend(turn_writes(&change.turns)?);
        let evidence: Writes = evidence.writes.into_iter().map(|write| (For::Evidence, write)).collect();
        if Bug::EvidenceOutside.is_chosen() {
            let claimed = self.commit_all(&change.person, writes, &change.notices).await?;
            if claimed.is_empty() && !evidence.is_empty() {
                self.commit_all(&change.person, evidence, &[]).await?;
            }
            return Ok(if claimed.is_empty() { Committed::Done(head) } else { Committed::Claimed(claimed) });
        }
        writes.extend(evidence);
        let claimed = self.commit_all(&change.person, writes, &change.notices).await?;
        Ok(if claimed.is_empty() { Committed::Done(head) } else { Committed::Claimed(claimed) })
    }
}

impl Store {
    /// The writes of holds. One that is over moves out of the live items; that it was written off stays among them, where
    /// something of ours was there.
    pub(crate) async fn hold_writes(&self, holds: &[Hold], at: Timestamp) -> Result<Writes, StoreError> {
        let over = holds.iter().filter(|hold| hold.is_over()).map(|hold| keys::hold(&hold.person, &hold.key));
        let mut before = self.batch_get(over).await?;
        let mut writes = Writes::new();
        for hold in holds {
            let key = keys::hold(&hold.person, &hold.key);
            if !hold.is_over() {
                let (list, place) = keys::hold_list(hold);
                let write = listed(Write::save(key, hold)?, keys::LISTS, list, place);
                writes.push((For::Record, write.when(Condition::known_version())));
                continue;
            }
            if hold.touched && hold.state == State::Ended(Outcome::WrittenOff) {
                let gone = Write::save(keys::written_off(&hold.person, &hold.key), hold)?;
                let gone = gone.with(keys::TTL, number(expiry(at)));
                writes.push((For::Record, gone.when(Condition::known_version())));
            }
            writes.extend(moved(before.remove(&key), key, keys::ended_hold(hold), keys::lag_list(hold), hold, at)?);
        }
        Ok(writes)
    }

    /// The writes of access requests, each with whose it is. One that is over moves out of the live items as holds do.
    pub(crate) async fn request_writes(&self, requests: &[Request], at: Timestamp) -> Result<Writes, StoreError> {
        let over = requests.iter().filter(|request| request.is_over());
        let mut before = self.batch_get(over.map(|request| keys::request(&request.person, &request.id))).await?;
        let mut writes = Writes::new();
        for request in requests {
            let key = keys::request(&request.person, &request.id);
            let owner = Item::from([("person".to_owned(), text(request.person.as_str()))]);
            let owner = Write::update(keys::request_owner(&request.id), owner).with(keys::TTL, number(expiry(at)));
            writes.push((For::Record, owner.when(Condition::known_version())));
            if request.is_over() {
                let past = keys::past_request(&request.person, &request.id);
                writes.extend(moved(before.remove(&key), key, past, None, request, at)?);
                continue;
            }
            let write = Write::save(key, request)?;
            let write = match request.ask() {
                Some(ask) => {
                    let (list, place) = keys::request_list(&request.id, ask.expires);
                    listed(write, keys::LISTS, list, place)
                }
                None => write.without(&[keys::LISTS.partition, keys::LISTS.sort]),
            };
            writes.push((For::Record, write.when(Condition::known_version())));
        }
        Ok(writes)
    }
}

/// Moves what is over out of the live items, with everything that its item has, what this release does not know included,
/// and to another place in the lists, if it has one.
fn moved<'de, T: Serialize + Deserialize<'de>>(
    before: Option<Item>,
    from: Key,
    to: Key,
    place: Option<(String, String)>,
    value: &T,
    at: Timestamp,
) -> Result<Writes, StoreError> {
    let mut item = before.unwrap_or_default();
    for gone in fields::<T>().iter().chain(&[keys::LISTS.partition, keys::LISTS.sort]) {
        item.remove(*gone);
    }
    item.extend(attributes(&from, value)?);
    let over = Write::put(to, item).with(keys::TTL, number(expiry(at)));
    let over = match place {
        Some((list, place)) => listed(over, keys::LISTS, list, place),
        None => over,
    };
    Ok(vec![(For::Record, over), (For::Record, Write::delete(from).when(Condition::known_version()))])
}

/// The condition that a person's head is still what was read.
pub(crate) fn as_read(head: &PersonHead) -> Condition {
    match head.rev {
        0 => Condition::new(),
        _ if Bug::DuplicateActedOn.is_chosen() => Condition::exists(),
        rev => Condition::is("rev", number(rev)),
    }
}

/// Writes a person's head with its places in the indexes.
pub(crate) fn head_write(person: &PersonId, head: &PersonHead) -> Result<Write, StoreError> {
    let write = Write::save(keys::person_head(person), head)?;
    let id = person.as_str();
    let write = due(write, keys::DUE, keys::STARTS, id, head.next_start.as_ref());
    let ends = head.next_end.as_ref().filter(|_| !Bug::DueIndexMissed.is_chosen());
    let write = due(write, keys::ENDS, keys::END, id, ends);
    Ok(listed(write, keys::LISTS, keys::shard(keys::PEOPLE, id), id.to_owned()))
}

/// Moves the end of a person's chain and their revision, and nothing else.
pub(crate) fn head_step(
    person: &PersonId,
    before: &PersonHead,
    chain: &ChainHead,
    at: Timestamp,
) -> Result<Write, StoreError> {
    let key = keys::person_head(person);
    let set = Item::from([
        ("rev".to_owned(), number(before.rev + 1)),
        ("chain".to_owned(), chain_attribute(&key, chain)?),
        ("last_at".to_owned(), attribute(&key, &at)?),
    ]);
    Ok(Write::update(key, set).when(as_read(before)))
}

/// Makes an account the person's, where it is free or theirs already.
///
/// Whoever gives it up was found to hold nothing in it before this transaction, which does not look again, and need not:
/// nobody is enrolled under an ID that is left over from before a restore, so that no hold of theirs is ever begun.
pub(crate) fn claim_write(person: &PersonId, claim: &Claim) -> (For, Write) {
    let Claim { app, account, from } = claim;
    let is = |owner: &PersonId| Condition::is("person", text(owner.as_str()));
    let mut free = vec![Condition::new(), is(person)];
    free.extend(from.as_ref().map(is));
    let write = Write::update(keys::account(app, account), owned(person));
    let write = if Bug::ClaimIgnored.is_chosen() { write } else { write.when(Condition::Any(free)) };
    (For::Claim(app.clone()), write)
}

/// Writes who a person is: links and accounts in one item, texts in another.
pub(crate) fn identity_writes(person: &Person) -> Result<[Write; 2], StoreError> {
    let texts = Texts { email: person.email.clone(), name: person.name.clone() };
    let links = Person { email: None, name: None, ..person.clone() };
    let known = Write::save(keys::person_links(&person.id), &links)?;
    let known = match person.active_at.filter(|_| person.active == Some(true)) {
        Some(asked) => {
            let (list, place) = keys::active_list(&person.id, asked);
            listed(known, keys::LISTS, list, place)
        }
        None => known.without(&[keys::LISTS.partition, keys::LISTS.sort]),
    };
    Ok([known, Write::save(keys::person_text(&person.id), &texts)?])
}

pub(crate) fn enrollment_write(enrollment: &Enrollment) -> Result<Write, StoreError> {
    let key = keys::enrollment(enrollment);
    let write = if enrollment.periods.is_empty() {
        Write::delete(key)
    } else {
        let (list, place) = keys::enrollment_list(enrollment);
        listed(Write::save(key, enrollment)?, keys::LISTS, list, place)
    };
    Ok(write.when(Condition::known_version()))
}

/// Puts an item in an index.
pub(crate) fn listed(write: Write, index: Index, partition: String, sort: String) -> Write {
    write.with(index.partition, text(partition)).with(index.sort, text(sort))
}

/// Puts an item in an index of what is due, or takes it out.
pub(crate) fn due(write: Write, index: Index, group: &str, id: &str, due: Option<&Due>) -> Write {
    match due {
        Some(due) => listed(write, index, keys::shard(group, id), keys::instant(due.at)),
        None => write.without(&[index.partition, index.sort]),
    }
}
