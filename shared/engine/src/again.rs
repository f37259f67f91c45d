//! Trying again at once what waits to be tried again: somebody has mended what was in its way.

use std::sync::Arc;

use dutykey_policy::evidence::Draft;
use dutykey_policy::hold::{Hold, Side};
use dutykey_policy::id::PersonId;
use dutykey_policy::look::{Due, decision_time};
use dutykey_policy::time::rfc3339;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::due::{commit, soonest};
use crate::ports::clock::{Clock, trusted};
use crate::ports::ledger::{LivePerson, PersonChange, StoreError, WriteLedger};
use crate::ports::queue::Enqueue;

/// How often a loser of a race reads again.
const RACES: usize = 16;

/// Has holds tried again.
#[derive(Clone)]
pub struct Again {
    /// People's items.
    pub ledger: Arc<dyn WriteLedger>,
    /// The queues of both sides.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Again").finish_non_exhaustive()
    }
}

/// Why a hold is not tried again now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgainError {
    /// There is no such hold, or it is over.
    #[error("there is no hold {0} that is not over")]
    NoHold(String),
    /// Nothing has failed, or it waits for its turn at the target.
    #[error("nothing of the hold waits to be tried again")]
    NothingWaits,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Again {
    /// Has the hold with this name tried again at once.
    ///
    /// # Errors
    /// There is none, nothing of it waits, or the table cannot be used.
    pub async fn retry(&self, name: &str, by: &PersonId) -> Result<(), AgainError> {
        let unknown = || AgainError::NoHold(name.to_owned());
        let person = Hold::holder(name).ok_or_else(unknown)?;
        let mut races = 0;
        loop {
            let live = self.ledger.load(&person).await?.ok_or_else(unknown)?;
            trusted(self.clock.as_ref())?;
            let now = decision_time(self.clock.now(), live.head.last_at);
            let hold = live.holds.iter().find(|hold| hold.name() == name).ok_or_else(unknown)?;
            let next = hold.tried_now(now).ok_or(AgainError::NothingWaits)?;
            match self.commit(&live, hold, next, by, now).await {
                Err(StoreError::Changed(_)) if races < RACES => races += 1,
                done => return Ok(done?),
            }
        }
    }

    async fn commit(
        &self,
        live: &LivePerson,
        before: &Hold,
        after: Hold,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let side = after.retry.as_ref().map(|retry| retry.side);
        let due = |of: Side| Some(Due { at: now, cause: "again".to_owned() }).filter(|_| side == Some(of));
        let evidence = record(before, by, now);
        let change = PersonChange {
            next_start: soonest(live.head.next_start.clone(), due(Side::Starts)),
            next_end: soonest(live.head.next_end.clone(), due(Side::Ends)),
            holds: vec![after],
            evidence: vec![evidence],
            ..PersonChange::nothing(live, now)
        };
        commit(self.ledger.as_ref(), self.queues.as_ref(), live, &change).await
    }
}

fn record(hold: &Hold, by: &PersonId, now: Timestamp) -> Draft {
    let waited = hold.retry.as_ref().map(|retry| rfc3339(retry.at));
    Draft {
        act: "hold.retried".to_owned(),
        actor: by.to_string(),
        subject: json!({ "person": hold.person, "app": hold.key.app, "kind": hold.key.place.kind, "id": hold.key.place.id }),
        before: json!({ "again_at": waited }),
        after: json!({ "again_at": rfc3339(now) }),
        why: Value::Null,
    }
}
