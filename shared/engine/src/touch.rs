//! Making people due now, one by one or in a sweep: something that was decided with beside their own items has changed.

use dutykey_policy::bug::Bug;
use dutykey_policy::id::PersonId;
use dutykey_policy::look::Due;
use dutykey_policy::time::later;
use futures_util::future::join_all;
use jiff::Timestamp;
use std::time::Duration;

use crate::due::{announce, soonest};
use crate::look::Worker;
use crate::ports::ledger::{Committed, LivePerson, PersonChange, StoreError, WriteLedger};
use crate::ports::queue::{Enqueue, Message, Queue};

/// How often a loser of a race reads again.
const RACES: usize = 16;
/// A sweep whose worker died goes on after this.
const ABANDONED: Duration = Duration::from_secs(120);
/// After so many pages a sweep hands the rest to a message.
const PAGES: usize = 20;

/// Has the person looked at now, on both sides, where `concerned` says so of what they are in.
///
/// # Errors
/// The table cannot be used, or the person changes over and over.
pub(crate) async fn touch(
    ledger: &dyn WriteLedger,
    queues: &dyn Enqueue,
    person: &PersonId,
    cause: &str,
    now: Timestamp,
    concerned: impl Fn(&LivePerson) -> bool,
) -> Result<(), StoreError> {
    let mut races = 0;
    loop {
        let Some(live) = ledger.load(person).await?.filter(&concerned) else { return Ok(()) };
        let due = Some(Due { at: now, cause: cause.to_owned() });
        let change = PersonChange {
            next_start: soonest(live.head.next_start.clone(), due.clone()),
            next_end: soonest(live.head.next_end.clone(), due),
            ..PersonChange::nothing(&live, now)
        };
        match ledger.commit(&change).await {
            Ok(Committed::Done(head)) => {
                announce(queues, person, &live.head, &head, now, None).await;
                return Ok(());
            }
            Ok(Committed::Claimed(_)) => return Ok(()),
            Err(StoreError::Changed(_)) if races < RACES => races += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Worker {
    /// Works off a sweep, page by page. Two workers at one sweep cost time only: the one that is slower stops.
    ///
    /// # Errors
    /// The table cannot be used. The sweep goes on where it was.
    pub(crate) async fn sweep(&self, id: &str) -> Result<(), StoreError> {
        for _ in 0..PAGES {
            if Bug::SweepForgotten.is_chosen() {
                return Ok(());
            }
            let Some(mut sweep) = self.sweeps.sweep(id).await? else { return Ok(()) };
            let page = self.sweeps.sweep_page(&sweep).await?;
            let now = self.clock.now();
            let looks = page.people.iter().map(|person| {
                let holds_or_will = |live: &LivePerson| !live.enrollments.is_empty() || !live.holds.is_empty();
                touch(self.ledger.as_ref(), self.queues.as_ref(), person, &sweep.cause, now, holds_or_will)
            });
            for looked in join_all(looks).await {
                match looked {
                    Ok(()) => {}
                    // Whoever cannot be read keeps nobody else from being looked at.
                    Err(error) if error.is_of_one_record() => {
                        tracing::error!(sweep.id = %id, error = %error, "the sweep `{id}` passes somebody over: {error}");
                    }
                    Err(error) => return Err(error),
                }
            }
            let kept = match page.next {
                Some(next) => {
                    sweep.after = Some(next);
                    sweep.due = later(now, ABANDONED);
                    self.sweeps.keep_sweep(&sweep).await
                }
                None => self.sweeps.end_sweep(&sweep).await,
            };
            match kept {
                Ok(()) => {}
                Err(StoreError::Changed(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if let Err(error) = self.queues.send(Queue::Provisioning, vec![Message::sweep(id, "more")]).await {
            tracing::warn!(sweep.id = %id, error = %error, "the sweep `{id}` goes on with the next tick: {error}");
        }
        Ok(())
    }
}
