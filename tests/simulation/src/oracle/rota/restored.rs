//! What becomes of a rotation's views where the table is put back to a backup: what was read since counts from the next
//! read on, as if it were new, and until then nothing of the rotation is sure.

use jiff::Timestamp;

use super::{Away, Known, Rota, Standing};
use crate::oracle::{minutes, plus};

impl Rota {
    /// The table is as it was at `backup`. What is read anew is on record by `recorded`.
    pub(in crate::oracle) fn restored(&mut self, backup: Timestamp, now: Timestamp, recorded: Timestamp) {
        self.duties.values_mut().for_each(|known| known.restored(backup, now, recorded));
        // Where there was no read yet there is no forecast that could change.
        self.first = self.first.filter(|first| *first <= backup);
        self.unread = true;
        (self.quiet, self.waiting.vague) = (false, true);
        self.unsure_until = self.unsure_until.max(Some(recorded));
    }

    /// The table that was put back at `at` goes on. What was to be on record at `recorded` at the latest is so earlier.
    pub(in crate::oracle) fn released(&mut self, at: Timestamp, recorded: Timestamp, now: Timestamp) {
        // Whoever stood still asks before a lease ends, as after any pause.
        self.pauses.push((at, now));
        let earlier = plus(now, minutes(8)).min(recorded);
        for known in self.duties.values_mut().filter(|known| known.again == recorded) {
            known.again = earlier;
        }
        if self.unsure_until == Some(recorded) {
            self.unsure_until = Some(earlier);
        }
    }

    /// A complete answer has come, which is on record by `recorded`: perhaps the first since a restore.
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
        if since.max(self.seen).max(self.again) <= backup {
            return;
        }
        // It was there, and has been gone and come back since.
        let away = self.away.filter(|away| away.first_seen <= backup && away.gone > backup);
        let there = self.seen <= backup || away.is_some();
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
        self.again = recorded;
    }
}
