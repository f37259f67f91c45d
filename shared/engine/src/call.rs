//! Calls to a target, each within its deadline, and what their answers mean.

use std::sync::Arc;

use dutykey_policy::hold::step::{Answer, Facts, Order, after_answer, after_read_back};
use dutykey_policy::hold::{Capabilities, Failure, Hold, Observation};
use dutykey_policy::time::later;
use jiff::Timestamp;

use crate::ports::clock::{Clock, within};
use crate::ports::target::{Accepted, GrantOrder, RevokeOrder, Target, TargetError};

/// One target, with the clock that bounds its calls.
pub(crate) struct Caller<'a> {
    pub(crate) target: &'a Arc<dyn Target>,
    pub(crate) clock: &'a dyn Clock,
}

impl Caller<'_> {
    pub(crate) fn capabilities(&self, hold: &Hold) -> Capabilities {
        self.target.capabilities(&hold.key.place.kind)
    }

    /// Reads the place. A read that is cut off has changed nothing.
    pub(crate) async fn observe(&self, hold: &Hold) -> Result<Observation, TargetError> {
        let deadline = later(self.clock.now(), self.capabilities(hold).deadline);
        let read = self.target.observe(&hold.key.account, &hold.key.place);
        match within(self.clock, deadline, read).await.unwrap_or_else(|| Err(late())) {
            Err(TargetError::Lost(detail)) => Err(TargetError::Transient { after: None, detail }),
            seen => seen,
        }
    }

    /// Makes the call that the hold's open attempt records, reads back what a definite answer says is done, and answers
    /// the next hold.
    pub(crate) async fn make(
        &self,
        hold: &Hold,
        order: &Order,
        seen: &Observation,
        ended: (Timestamp, Timestamp),
    ) -> Hold {
        let Some(attempt) = &hold.open else { return hold.clone() };
        let (now, caps) = (self.clock.now(), self.capabilities(hold));
        let deadline = later(now, caps.deadline);
        if later(now, caps.acts_for()) > attempt.not_after {
            // Writing the intent took so long that the call could outlive its fence. It is not made.
            let because = "the record took too long to write; the call was not made".to_owned();
            return after_answer(
                hold,
                failed(TargetError::Transient { after: None, detail: because }),
                self.clock.now(),
            );
        }
        let answer = within(self.clock, deadline, self.order(hold, order, seen)).await;
        let answer = answer.unwrap_or_else(|| Err(TargetError::Lost("no answer in time".to_owned())));
        self.conclude(hold, answer, ended).await
    }

    /// Asks for the pending operation and answers the next hold.
    pub(crate) async fn poll(&self, hold: &Hold, ended: (Timestamp, Timestamp)) -> Hold {
        let Some(pending) = hold.open.as_ref().and_then(|attempt| attempt.pending.clone()) else { return hold.clone() };
        let deadline = later(self.clock.now(), self.capabilities(hold).deadline);
        let answer = within(self.clock, deadline, self.target.poll(&pending.operation)).await;
        let answer = answer.unwrap_or_else(|| Err(late()));
        // A poll that fails for now says nothing of the operation: it is asked for again.
        let answer = match answer {
            Err(TargetError::Throttled { after, .. } | TargetError::Transient { after, .. }) => {
                let after = dutykey_policy::retry::backoff(4, after);
                Ok(Accepted::Pending { operation: pending.operation, after })
            }
            answer => answer,
        };
        self.conclude(hold, answer, ended).await
    }

    async fn conclude(
        &self,
        hold: &Hold,
        answer: Result<Accepted, TargetError>,
        ended: (Timestamp, Timestamp),
    ) -> Hold {
        let now = self.clock.now();
        let done = matches!(answer, Ok(Accepted::Done { .. }));
        let answer = match answer {
            Ok(Accepted::Done { receipt, native_end }) => Answer::Done { receipt, native_end },
            Ok(Accepted::Pending { operation, after }) => Answer::Pending { operation, poll_at: later(now, after) },
            Err(error) => failed(error),
        };
        let next = after_answer(hold, answer, now);
        if !done {
            return next;
        }
        match self.observe(&next).await {
            Ok(seen) => {
                let caps = self.capabilities(&next);
                let rank = |value: &str| self.target.rank(&next.key.place, value);
                let facts = Facts { now: self.clock.now(), asked: now, caps: &caps, rank: &rank, ended };
                after_read_back(&next, &seen, &facts)
            }
            // Done by the target's word, and no read to prove it: the next look reads first.
            Err(_) => next,
        }
    }

    async fn order(&self, hold: &Hold, order: &Order, seen: &Observation) -> Result<Accepted, TargetError> {
        let token = token(hold);
        let revoke = |restore: Option<String>| RevokeOrder {
            account: hold.key.account.clone(),
            place: hold.key.place.clone(),
            shape: hold.shape.clone(),
            restore,
            receipt: hold.receipt.clone(),
            token: token.clone(),
        };
        match order {
            Order::Grant { native_end } => {
                let order = GrantOrder {
                    account: hold.key.account.clone(),
                    place: hold.key.place.clone(),
                    shape: hold.shape.clone(),
                    native_end: *native_end,
                    before: seen.clone(),
                    token: token.clone(),
                };
                self.target.grant(&order).await
            }
            Order::Revoke { restore } => self.target.revoke(&revoke(restore.clone())).await,
            Order::Extend { native_end } => self.target.extend(&revoke(None), *native_end).await,
        }
    }
}

/// A name for the open attempt: the same for every repetition of the same call.
fn token(hold: &Hold) -> String {
    let (number, started) = hold.open.as_ref().map_or((0, 0), |open| (open.number, open.started.as_millisecond()));
    format!("{}-{started}-{number}", hold.person)
}

/// A read or a poll that was cut off: it has changed nothing.
fn late() -> TargetError {
    TargetError::Transient { after: None, detail: "no answer in time".to_owned() }
}

fn failed(error: TargetError) -> Answer {
    let (failure, after, because) = error.parts();
    Answer::Failed { failure, after, because }
}

/// What an unreadable place means for policy.
pub(crate) fn unread(error: TargetError) -> (Failure, Option<std::time::Duration>, String) {
    let message = error.to_string();
    let (failure, after, _) = error.parts();
    (failure, after, message)
}
