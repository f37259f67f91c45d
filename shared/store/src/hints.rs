//! Hints: taken once, joined to one read, within a budget.
//!
//! Nothing here is sent to a platform. A hint costs a batch read and one write; one that asks for a read costs a
//! transaction of three items.

use async_trait::async_trait;
use dutykey_engine::ports::hints::{Hint, JOINED, REMEMBERED, Taken, WriteHints};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::time::later;
use jiff::Timestamp;

use crate::Store;
use crate::codec::{Item, number, text, text_of};
use crate::error::Refused;
use crate::keys::{self, Key};
use crate::write::{Condition, Write};

/// How often a hint is tried again when another one was faster.
const ATTEMPTS: usize = 8;
/// When the next read is, or was, that hints have asked for.
const READ_AT: &str = "read_at";
/// How many rotations hints have had read in a minute.
const READS: &str = "reads";

#[async_trait]
impl WriteHints for Store {
    async fn take(&self, hint: &Hint) -> Result<Taken, StoreError> {
        for _ in 0..ATTEMPTS {
            let (taken, writes) = self.plan_hint(hint).await?;
            if taken == Taken::Duplicate {
                return Ok(taken);
            }
            match self.transact(writes).await {
                Ok(()) => return Ok(taken),
                Err(Refused::Conditions(_) | Refused::Conflict) => {}
                Err(Refused::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Changed(format!("hints of source {}", hint.source)))
    }
}

impl Store {
    async fn plan_hint(&self, hint: &Hint) -> Result<(Taken, Vec<Write>), StoreError> {
        let this = keys::hint(&hint.source, &hint.id);
        let read = hint.about.as_deref().map(|about| keys::hinted_read(&hint.source, about));
        let minute = keys::hinted_minute(&hint.source, hint.at);
        let found =
            self.batch_get([Some(this.clone()), read.clone(), Some(minute.clone())].into_iter().flatten()).await?;
        if found.contains_key(&this) {
            return Ok((Taken::Duplicate, Vec::new()));
        }
        let mut writes = vec![until(Write::put(this, Item::new()), later(hint.at, REMEMBERED)).when(Condition::new())];
        let Some(read) = read else { return Ok((Taken::Joined, writes)) };
        let before = found.get(&read).and_then(|item| text_of(item, READ_AT));
        let last: Option<Timestamp> = before.and_then(|at| at.parse().ok());
        if last.is_some_and(|last| last > hint.at) {
            return Ok((Taken::Joined, writes));
        }
        let spent = found.get(&minute).and_then(|item| item.get(READS)?.as_n().ok()?.parse().ok()).unwrap_or(0_u32);
        let spending = spent.saturating_add(hint.rotations);
        if spending > hint.most {
            return Ok((Taken::OverBudget, writes));
        }
        let at = last.map_or(hint.at, |last| later(last, JOINED).max(hint.at));
        let unchanged = |key: &Key, name: &str| match found.get(key).and_then(|item| item.get(name)) {
            Some(value) => Condition::is(name, value.clone()),
            None => Condition::Absent(name.to_owned()),
        };
        let forgotten = later(at, REMEMBERED);
        let next = Item::from([(READ_AT.to_owned(), text(keys::instant(at)))]);
        writes.push(until(Write::update(read.clone(), next), forgotten).when(unchanged(&read, READ_AT)));
        let next = Item::from([(READS.to_owned(), number(spending))]);
        writes.push(until(Write::update(minute.clone(), next), forgotten).when(unchanged(&minute, READS)));
        Ok((Taken::First(at), writes))
    }
}

/// The table may remove it after this.
fn until(write: Write, at: Timestamp) -> Write {
    write.with(keys::TTL, number(at.as_second()))
}
