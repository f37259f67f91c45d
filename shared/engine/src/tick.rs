//! The tick of each minute: what is due within the next 150 seconds is sent, to the second; what is overdue is sent
//! again; notices are delivered; how Dutykey stands is counted.
//!
//! # When overdue access is told
//! Access that is past its end is shown as overdue at once. The worker on ends writes the notice 30 seconds after the end,
//! which its queue tells it to the second. A tick that runs within those 30 seconds and sees such access waits for the
//! notice and delivers it; a later one finds it written. So it is told by the first tick after the end, no more than 33
//! seconds after that tick began where there is no tick between, and within 60 seconds of the end where ticks are a minute
//! apart. EventBridge Scheduler runs a schedule at any second of its minute, which may add up to another minute.

use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::id::PersonId;
use dutykey_policy::retry::backoff;
use dutykey_policy::time::{earlier, later};
use jiff::Timestamp;

use crate::ports::clock::{Clock, trusted, within};
use crate::ports::ledger::{Notice, StoreError};
use crate::ports::notify::Notify;
use crate::ports::queue::{Enqueue, Message, Queue};
use crate::ports::rules::{DueItem, Pulse, WritePulse};
use crate::ports::summary::KeepSummary;
use crate::ports::witness::{Event, Witness};
use crate::snapshot::{AHEAD, resumed_at};
use crate::summary::Standing;

/// What is past due for so long was sent and has not been applied.
pub const OVERDUE: Duration = Duration::from_secs(10);
/// A rotation is read once more this long before its boundary: late enough to see a late override, early enough for
/// the platform to answer.
pub(crate) const BEFORE_BOUNDARY: Duration = Duration::from_secs(45);
/// Each tick looks only as far as the reads that fall before the next one: a view that changes meanwhile may still move
/// the boundary.
pub const ROTATIONS_AHEAD: Duration = Duration::from_secs(110);
/// Counting is given up after this time: what is due must not wait for numbers.
const COUNTING: Duration = Duration::from_secs(10);
/// Notices that are not delivered within this time wait for the next tick: a channel that hangs must not keep what is due.
const DELIVERING: Duration = Duration::from_secs(10);
/// A worker that is on time has written a notice so long after it was to.
const WRITTEN: Duration = Duration::from_secs(3);

/// The tick.
#[derive(Clone)]
pub struct Ticker {
    /// What is due, and the tick's own memory.
    pub due: Arc<dyn WritePulse>,
    /// What is counted, and where that is kept.
    pub numbers: Arc<dyn KeepSummary>,
    /// All three queues.
    pub queues: Arc<dyn Enqueue>,
    /// Whom to tell.
    pub notify: Arc<dyn Notify>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whoever watches.
    pub witness: Arc<dyn Witness>,
}

impl std::fmt::Debug for Ticker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticker").finish_non_exhaustive()
    }
}

/// What a tick has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Messages for beginnings.
    pub starts: usize,
    /// Messages for ends.
    pub ends: usize,
    /// Rotations to be read.
    pub rotations: usize,
    /// Sweeps to go on with.
    pub sweeps: usize,
    /// Notices delivered.
    pub notices: usize,
}

impl Ticker {
    /// One tick.
    ///
    /// # Errors
    /// The table cannot be used, or a queue: what was not sent is found again by the next tick.
    pub async fn tick(&self) -> Result<Ticked, TickError> {
        let pulse = self.due.pulse().await?;
        trusted(self.clock.as_ref())?;
        if let Some(standstill) = &pulse.standstill {
            tracing::warn!("nothing is begun or ended: {standstill}");
        }
        let standstill = pulse.standstill.is_some();
        let now = self.clock.now();
        let resumed = resumed_at(&pulse, now);
        let mut ticked = if resumed == pulse.resumed_at {
            self.send(pulse, now).await?
        } else {
            // Before anything is sent: whoever looks from here on must know of the pause.
            self.due.keep_pulse(&Pulse { resumed_at: resumed, ..pulse.clone() }).await?;
            self.send(Pulse { resumed_at: resumed, rev: pulse.rev + 1, ..pulse }, now).await?
        };
        ticked.notices = self.deliver(now).await?;
        let told_at = self.count().await.and_then(|standing| standing.told_at());
        if let Some(at) = told_at {
            self.clock.sleep_until(later(at, WRITTEN)).await;
            ticked.notices += self.deliver(self.clock.now()).await?;
        }
        self.witness.saw(&Event::Ticked { standstill });
        Ok(ticked)
    }

    /// Counts how Dutykey stands. Without these numbers everything else goes on.
    async fn count(&self) -> Option<Standing> {
        let now = self.clock.now();
        let read = within(self.clock.as_ref(), later(now, COUNTING), self.standing(now)).await;
        let late = || Err(format!("not done in {} s", COUNTING.as_secs()));
        let counted = read.map_or_else(late, |read| read.map_err(|error| error.to_string()));
        match counted {
            Ok(standing) => {
                self.witness.saw(&Event::Counted(standing.summary()));
                Some(standing)
            }
            Err(error) => {
                tracing::warn!(error, "how Dutykey stands could not be counted, and its numbers are old: {error}");
                None
            }
        }
    }

    /// Counts, and keeps what was counted: it is told although it could not be kept.
    async fn standing(&self, now: Timestamp) -> Result<Standing, StoreError> {
        let standing = Standing::read(self.numbers.as_ref(), now).await?;
        if let Err(error) = self.numbers.keep_summary(&standing.summary()).await {
            tracing::warn!(error = %error, "how Dutykey stands could not be kept, and the overview is old: {error}");
        }
        Ok(standing)
    }

    async fn send(&self, pulse: Pulse, now: Timestamp) -> Result<Ticked, TickError> {
        let (to, overdue) = (later(now, AHEAD), earlier(now, OVERDUE));
        let starts = unsent(self.due.due_starts(None, to).await?, pulse.starts_sent, overdue);
        let ends = unsent(self.due.due_ends(None, to).await?, pulse.ends_sent, overdue);
        let rotations = self.due.due_rotations(later(now, ROTATIONS_AHEAD)).await?;
        let rotations = unsent(rotations, pulse.rotations_sent, overdue);
        let sweeps = self.due.due_sweeps(now).await?;
        let ticked = Ticked {
            starts: starts.len(),
            ends: ends.len(),
            rotations: rotations.len(),
            sweeps: sweeps.len(),
            notices: 0,
        };
        // Ends first: nothing that begins may delay them.
        self.queues.send(Queue::Revocation, messages(ends)).await?;
        let sweeps = sweeps.iter().map(|sweep| Message::sweep(&sweep.id, "tick")).collect();
        self.queues.send(Queue::Provisioning, sweeps).await?;
        self.queues.send(Queue::Provisioning, messages(starts)).await?;
        let reads = rotations.into_iter().map(|due| {
            let at = earlier(due.at, BEFORE_BOUNDARY).max(now);
            Message::rota(due.what.source.clone(), Some(due.what.local()), "due").at(at)
        });
        self.queues.send(Queue::Sync, reads.collect()).await?;
        self.due.keep_pulse(&ticked_at(pulse, now)).await?;
        Ok(ticked)
    }

    /// Delivers the notices that are due, for as long as [`DELIVERING`] allows, and says how many were told. Those that have
    /// failed least come first, and of those the oldest: what fails each time must not hold up what is new.
    async fn deliver(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut told = 0;
        let mut notices = self.due.due_notices(now).await?;
        notices.sort_by_key(|notice| notice.failures);
        for notice in notices {
            match self.deliver_one(notice).await {
                Ok(delivered) => told += usize::from(delivered),
                // Another tick was at it too.
                Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error),
            }
            if self.clock.now() >= later(now, DELIVERING) {
                break;
            }
        }
        Ok(told)
    }

    async fn deliver_one(&self, notice: Notice) -> Result<bool, StoreError> {
        let Err(error) = self.notify.tell(&notice).await else {
            return self.due.delivered(&notice).await.map(|()| true);
        };
        let failures = notice.failures.saturating_add(1);
        tracing::warn!(notice.id = %notice.id, error = %error, "notice `{}` is tried again: {error}", notice.id);
        let due = later(self.clock.now(), backoff(failures, None));
        let told = notice.told.iter().chain(&error.told).cloned().collect();
        self.due.postpone(&Notice { failures, told, due, ..notice }).await.map(|()| false)
    }
}

/// How a tick failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TickError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A queue.
    #[error(transparent)]
    Send(#[from] crate::ports::queue::SendError),
}

/// What a tick of that time leaves behind.
#[must_use]
pub fn ticked_at(pulse: Pulse, now: Timestamp) -> Pulse {
    let sent = Some(later(now, AHEAD));
    let rotations_sent = Some(later(now, ROTATIONS_AHEAD));
    Pulse { ticked_at: Some(now), starts_sent: sent, ends_sent: sent, rotations_sent, ..pulse }
}

/// What no tick has sent yet, and what is overdue although one has.
fn unsent<T>(mut due: Vec<DueItem<T>>, sent: Option<Timestamp>, overdue: Timestamp) -> Vec<DueItem<T>> {
    due.retain(|due| due.at <= overdue || sent.is_none_or(|sent| due.at > sent));
    due
}

fn messages(due: Vec<DueItem<PersonId>>) -> Vec<Message> {
    due.into_iter().map(|due| Message::person(due.what, "tick").at(due.at)).collect()
}
