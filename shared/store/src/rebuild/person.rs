//! One person of a restored table: what their chain lacks, the holds of which that speaks, whose accounts those are in, and
//! what of that which they had asked for or taken has ended since.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::ledger::{Claim, LivePerson, MAX_HOLDS, PersonHead, ReadLedger as _, StoreError};
use dutykey_policy::enrollment::{Enrollment, Origin};
use dutykey_policy::evidence::{Chain, ChainHead};
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{AccountId, AppId, PersonId};
use dutykey_policy::identity::{Account, Person};
use dutykey_policy::look::Due;
use dutykey_policy::rebuild::{Ending, Rebuilt, endings, holds};
use dutykey_policy::request::Request;
use jiff::Timestamp;

use super::{ITEMS, Part, Recovered};
use crate::Store;
use crate::codec::unreadable;
use crate::commit::{For, Writes};
use crate::keys;
use crate::ledger::{as_read, claim_write, enrollment_write, head_write, identity_writes};

/// So many holds in one transaction: with their accounts, the evidence and the head they stay under its 100 items.
const HOLDS: usize = MAX_HOLDS / 2;
/// So many requests, or enrollments, that have ended in one transaction.
const ENDED: usize = MAX_HOLDS / 2;

impl Store {
    pub(super) async fn rebuild_person(
        &self,
        id: &PersonId,
        (end, surely): (&ChainHead, u64),
        items: &[Vec<String>],
        parts: Vec<Part>,
        now: Timestamp,
    ) -> Result<Vec<Recovered>, StoreError> {
        let known = self.load(id).await?;
        let mut head = known.as_ref().map_or_else(PersonHead::default, |live| live.head.clone());
        // Of somebody first met since the backup there is nothing but what a run before this one has rebuilt.
        let met = known.as_ref().filter(|live| !live.person.is_nobody());
        let Some(last) = parts.last().filter(|_| head.chain == *end) else {
            return Err(StoreError::Changed(id.to_string()));
        };
        let at = last.at.max(head.last_at.unwrap_or(last.at));
        let found = spoken_of(id, surely, items)?;
        let (requests, enrollments) = ended(met, id, surely, items)?;
        let (early, late) = found.split_at(found.len().saturating_sub(HOLDS));
        // Whoever goes on where the chain ends does not see the records before: nothing else comes after the first of them.
        for requests in requests.chunks(ENDED) {
            let writes = self.request_writes(requests, at).await?;
            head = self.step(id, head.clone(), None, at, now, writes).await?;
        }
        for enrollments in enrollments.chunks(ENDED) {
            let writes = enrollments.iter().map(|one| enrollment_write(one).map(|write| (For::Record, write)));
            head = self.step(id, head.clone(), None, at, now, writes.collect::<Result<_, _>>()?).await?;
        }
        for holds in early.chunks(HOLDS) {
            let writes = self.hold_writes(holds, at).await?;
            head = self.step(id, head.clone(), None, at, now, writes).await?;
        }
        for (number, batch) in parts.chunks(ITEMS).enumerate() {
            let mut writes: Writes = batch.iter().map(|part| (For::Evidence, part.write.clone())).collect();
            if number == 0 {
                writes.extend(self.hold_writes(late, at).await?);
                writes.extend(match met {
                    Some(live) => self.identity_rebuilt(&live.person, &found).await?,
                    None => self.left_over(id, &found).await?,
                });
            }
            head = self.step(id, head.clone(), batch.last(), at, now, writes).await?;
        }
        let recovered = |copy| Recovered { table: before(known.as_ref(), &copy), copy, met: met.is_some() };
        Ok(found.into_iter().map(recovered).collect())
    }

    /// One transaction of a person, who is to be looked at now.
    async fn step(
        &self,
        id: &PersonId,
        before: PersonHead,
        to: Option<&Part>,
        at: Timestamp,
        now: Timestamp,
        writes: Writes,
    ) -> Result<PersonHead, StoreError> {
        let due = Some(Due { at: now, cause: "rebuild".to_owned() });
        let head = PersonHead {
            rev: before.rev + 1,
            chain: to.map_or_else(|| before.chain.clone(), |part| part.end.clone()),
            last_at: Some(at),
            next_start: due.clone(),
            next_end: due,
        };
        let mut all: Writes = vec![(For::Head, head_write(id, &head)?.when(as_read(&before)))];
        all.extend(writes);
        let claimed = self.commit_all(id, all, &[]).await?;
        if claimed.is_empty() { Ok(head) } else { Err(StoreError::Changed(format!("the accounts of {id}"))) }
    }

    /// Makes the accounts of open holds those of their person, where they were found after the backup: without them the
    /// holds would have no reason until they are found again. The directory is asked again before anything begins: the
    /// person may have left since.
    async fn identity_rebuilt(&self, person: &Person, holds: &[Hold]) -> Result<Writes, StoreError> {
        let mut person = Person { active_at: None, ..person.clone() };
        let mut writes = Writes::new();
        for (app, account) in accounts(holds) {
            if matches!(person.accounts.get(app), Some(Account::Linked(_))) {
                continue;
            }
            if let Some(claim) = self.free(&person.id, app, account).await? {
                writes.push(claim_write(&person.id, &claim));
                person.accounts.insert(claim.app, Account::Linked(claim.account));
            }
        }
        let [links, _] = identity_writes(&person)?;
        writes.push((For::Record, links));
        Ok(writes)
    }

    /// Keeps the accounts of open holds for somebody whom the table does not know any more: whoever is met anew and is to
    /// have them waits until those holds are over.
    async fn left_over(&self, id: &PersonId, holds: &[Hold]) -> Result<Writes, StoreError> {
        let mut writes = Writes::new();
        for (app, account) in accounts(holds) {
            let claim = self.free(id, app, account).await?;
            writes.extend(claim.map(|claim| claim_write(id, &claim)));
        }
        Ok(writes)
    }

    /// The claim of an account; `None` where it belongs to somebody else by now, whose it stays.
    async fn free(&self, id: &PersonId, app: &AppId, account: &AccountId) -> Result<Option<Claim>, StoreError> {
        let others = self.owner(app, account).await?.is_some_and(|owner| owner != *id);
        Ok((!others).then(|| Claim { app: app.clone(), account: account.clone(), from: None }))
    }
}

/// The accounts in which these holds are open, in their order.
fn accounts(holds: &[Hold]) -> BTreeSet<(&AppId, &AccountId)> {
    let open = holds.iter().filter(|hold| !hold.is_over());
    open.map(|hold| (&hold.key.app, &hold.key.account)).collect()
}

/// As the table knew it.
fn before(known: Option<&LivePerson>, copy: &Hold) -> Option<Hold> {
    known?.holds.iter().find(|hold| hold.key == copy.key).cloned()
}

/// The holds of which the records after this one speak. One that is over has no lag: none was measured.
fn spoken_of(id: &PersonId, after: u64, items: &[Vec<String>]) -> Result<Vec<Hold>, StoreError> {
    let chain = Chain::Person(id.clone());
    let rebuilt = holds(items.iter().flatten().map(String::as_str));
    let rebuilt = rebuilt.map_err(|error| unreadable(&keys::evidence(&chain, error.seq), error.problem))?;
    let missing = rebuilt.into_values().filter(|rebuilt| rebuilt.seq > after);
    let hold = |Rebuilt { hold, .. }: Rebuilt| match hold.is_over() {
        true => Hold { granted: None, revoked: None, ..hold },
        false => hold,
    };
    Ok(missing.map(hold).collect())
}

/// The requests and the enrollments of a person that the records after this one have ended, or cut, as they are then.
fn ended(
    met: Option<&LivePerson>,
    id: &PersonId,
    after: u64,
    items: &[Vec<String>],
) -> Result<(Vec<Request>, Vec<Enrollment>), StoreError> {
    let Some(live) = met else { return Ok((Vec::new(), Vec::new())) };
    let chain = Chain::Person(id.clone());
    let said = endings(after, items.iter().flatten().map(String::as_str));
    let said: BTreeMap<Origin, Ending> =
        said.map_err(|error| unreadable(&keys::evidence(&chain, error.seq), error.problem))?;
    let requests = live.requests.iter();
    let requests =
        requests.filter_map(|request| said.get(&Origin::Request(request.id.to_string()))?.of_request(request));
    let enrollments = live.enrollments.iter();
    let enrollments = enrollments.filter_map(|enrollment| said.get(&enrollment.origin)?.of_enrollment(enrollment));
    Ok((requests.collect(), enrollments.collect()))
}
