//! What becomes of a rotation's views where the table is put back to a backup: what has changed since counts from the next
//! read on, as if it were new. What has not goes on as it was.

use jiff::Timestamp;

use super::{Away, Known, Rota, Standing};
use crate::oracle::{minutes, plus};

impl Rota {
    /// The table is as it was at `backup`. What is read anew is on record by `recorded`.
    pub(in crate::oracle) fn restored(&mut self, backup: Timestamp, now: Timestamp, recorded: Timestamp) {
        self.duties.values_mut().for_each(|known| known.restored(backup, now, recorded));
        // Where there was no read yet there is no forecast that could change.
        self.first = self.first.filter(|first| *first <= backup);
        (self.quiet, self.waiting.vague) = (false, true);
    }

    /// The table that was put back at the first instant goes on at the second. Where it is `planned`, what was read since
    /// counts. Where it is not, nothing of the rotation is sure until it was read and had time to count, which at the
    /// latest would have been at `recorded`.
    pub(in crate::oracle) fn released(
        &mut self,
        (at, now): (Timestamp, Timestamp),
        recorded: Timestamp,
        planned: bool,
    ) {
        // Whoever stood still asks before a lease ends, as after any pause.
        self.pauses.push((at, now));
        let earlier = plus(now, minutes(8)).min(recorded);
        for (duty, known) in self.duties.iter_mut().filter(|(_, known)| known.again == recorded) {
            // What is over is read no more.
            known.forgotten &= now < duty.end;
            known.released(now, earlier, planned);
        }
        if !planned {
            self.unread = self.fresh.is_none_or(|fresh| fresh < at);
            self.unsure_until = self.unsure_until.max(Some(earlier));
        }
    }

    /// A complete answer has come, which is on record by `recorded`: perhaps the first for a table that went on without.
    pub(super) fn reads_again(&mut self, now: Timestamp, recorded: Timestamp) {
        if std::mem::take(&mut self.unread) {
            self.reread = Some(now);
            self.unsure_until = self.unsure_until.max(Some(recorded));
        }
    }

    /// What was read just now may be on record only at `recorded`: then so is what a restore had forgotten.
    pub(super) fn rereads(&mut self, now: Timestamp, recorded: Timestamp) {
        if self.reread.is_some_and(|at| plus(at, minutes(1)) > now) {
            self.unsure_until = self.unsure_until.max(Some(recorded));
        }
    }
}

impl Known {
    fn restored(&mut self, backup: Timestamp, now: Timestamp, recorded: Timestamp) {
        let since = match self.standing {
            Standing::Held(since) | Standing::Gone(since) => since,
            Standing::Shown | Standing::Doubtful => self.seen,
        };
        // What was shown shortly before the backup was taken may not be in it.
        if plus(since.max(self.seen).max(self.again), minutes(10)) <= backup {
            return;
        }
        // It was there, and has been gone and come back since.
        let away = self.away.filter(|away| away.first_seen <= backup && away.gone > backup);
        let there = self.seen <= backup || away.is_some();
        self.forgotten = self.standing == Standing::Shown;
        self.standing = match self.standing {
            // The table has it as it was, and the next read may be held against that.
            _ if there => Standing::Doubtful,
            Standing::Gone(gone) => Standing::Gone(gone),
            // The table has never heard of it.
            Standing::Shown | Standing::Held(_) | Standing::Doubtful => Standing::Gone(now),
        };
        if there {
            self.sure_since = Timestamp::MAX;
        }
        // What the table never saw gone is no change of the forecast.
        if let Some(away) = away {
            self.away = Some(Away { gone: away.back, ..away });
        }
        (self.again, self.recorded) = (recorded, recorded);
    }

    /// The table goes on. Where every rota counts as it was read since, so does this; had it not been read, whoever let the
    /// table go on would say that it is as it was shown last.
    fn released(&mut self, now: Timestamp, earlier: Timestamp, planned: bool) {
        let forgotten = std::mem::take(&mut self.forgotten) && planned;
        if forgotten {
            (self.standing, self.seen, self.sure_since) = (Standing::Shown, now, now);
        }
        let counts = self.standing == Standing::Shown && plus(self.seen.max(self.sure_since), minutes(1)) <= now;
        self.again = if planned && (forgotten || counts) { now } else { earlier };
    }
}
