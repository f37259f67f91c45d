//! Due times and their messages: whoever commits a due time that is near sends its message itself, and the tick only finds
//! what was lost.

use std::time::Duration;

use dutykey_policy::hold::Side;
use dutykey_policy::id::PersonId;
use dutykey_policy::look::Due;
use dutykey_policy::time::later;
use jiff::Timestamp;

use crate::ports::ledger::{Committed, LivePerson, PersonChange, PersonHead, StoreError, WriteLedger};
use crate::ports::queue::{Enqueue, Message, Queue};
use crate::snapshot::is_near;

/// A worker waits out a due time that is this near rather than leave it to the next tick.
pub(crate) const NEARLY: Duration = Duration::from_secs(2);

/// Has the person looked at by this side, at that time.
pub(crate) async fn send(queues: &dyn Enqueue, side: Side, person: &PersonId, at: Timestamp, cause: &str) {
    let queue = if side == Side::Starts { Queue::Provisioning } else { Queue::Revocation };
    if let Err(error) = queues.send(queue, vec![Message::person(person.clone(), cause).at(at)]).await {
        tracing::warn!(person.id = %person, error = %error, "`{person}` is looked at by the next tick: {error}");
    }
}

/// Sends the messages of due times that have become near. `at_work` names the side whose worker sends: what is due for
/// it now it takes itself in its next round.
pub(crate) async fn announce(
    queues: &dyn Enqueue,
    person: &PersonId,
    before: &PersonHead,
    after: &PersonHead,
    now: Timestamp,
    at_work: Option<Side>,
) {
    let sides = [
        (Side::Starts, before.next_start.as_ref(), after.next_start.as_ref()),
        (Side::Ends, before.next_end.as_ref(), after.next_end.as_ref()),
    ];
    for (side, old, new) in sides {
        let Some(due) = new else { continue };
        let taken_here = at_work == Some(side) && due.at <= later(now, NEARLY);
        let moved = old.map(|old| old.at) != Some(due.at);
        if moved && is_near(due.at, now) && !taken_here {
            send(queues, side, person, due.at, &due.cause).await;
        }
    }
}

/// Makes a change that claims no account, and sends the messages of what has become due by it.
///
/// # Errors
/// Somebody else was faster, or the table cannot be used.
pub(crate) async fn commit(
    ledger: &dyn WriteLedger,
    queues: &dyn Enqueue,
    live: &LivePerson,
    change: &PersonChange,
) -> Result<(), StoreError> {
    match ledger.commit(change).await? {
        Committed::Done(head) => {
            announce(queues, &live.person.id, &live.head, &head, change.at, None).await;
            Ok(())
        }
        Committed::Claimed(_) => Err(StoreError::Changed(format!("the person {}", live.person.id))),
    }
}

/// The earlier of the two.
pub(crate) fn soonest(a: Option<Due>, b: Option<Due>) -> Option<Due> {
    [a, b].into_iter().flatten().min_by_key(|due| due.at)
}
