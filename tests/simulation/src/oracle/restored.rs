//! A table that is put back to a backup and rebuilt: what it has forgotten by that, what it must not have forgotten, and
//! that nothing happens until it is let go on.

use std::collections::BTreeSet;

use dutykey_engine::ports::ledger::ReadLedger as _;
use dutykey_policy::evidence::Chain;
use dutykey_policy::hold::Hold;
use dutykey_store::{MAX_PAGE, Store};
use jiff::Timestamp;

use super::over::despite;
use super::seats::{Seat, SeatState};
use super::{Oracle, minutes, plus, seconds};

/// Whatever was under way so long ago may have been recorded by nobody.
const UNDER_WAY: i64 = 60;

/// A restore.
#[derive(Debug, Clone)]
pub(super) struct Restored {
    /// When the backup was taken.
    backup: Timestamp,
    /// When the table was put back.
    at: Timestamp,
    /// By when everybody was looked at after it went on, at the latest.
    by: Timestamp,
    /// When it went on.
    released: Option<Timestamp>,
}

impl Restored {
    /// By when all that was read since it was put back is on record, at the latest.
    fn recorded(&self) -> Timestamp {
        plus(self.by, minutes(6))
    }
}

impl Oracle {
    /// The table is as it was at `backup`, with the evidence that it had until now, and stands still until `latest` or
    /// less long. Nothing has to be on time until it goes on.
    pub(crate) fn restored(&mut self, backup: Timestamp, now: Timestamp, latest: Timestamp, records: Vec<String>) {
        self.look(now);
        // When it goes on, everybody is looked at by a sweep of the next tick.
        let restored = Restored { backup, at: now, by: plus(latest, minutes(2)), released: None };
        self.disturbances.push((now, restored.by));
        let recorded = restored.recorded();
        self.rotas.iter_mut().for_each(|rota| rota.restored(backup, now, recorded));
        self.forget_given(backup, now);
        let open = self.in_flight.iter().filter(|call| plus(call.over, seconds(UNDER_WAY)) >= now);
        let open: Vec<Seat> = open.map(|call| call.seat.clone()).collect();
        for seat in open {
            self.seats.entry(seat).or_default().lost_at.get_or_insert(now);
        }
        self.seats.values_mut().for_each(SeatState::begins_anew);
        self.copied.extend(records);
        self.restores.push(restored);
        self.dirty = true;
    }

    /// The table goes on.
    pub(crate) fn released(&mut self, now: Timestamp) {
        let Some(restored) = self.restores.last_mut().filter(|restored| restored.released.is_none()) else { return };
        restored.released = Some(now);
        let (at, by, recorded) = (restored.at, restored.by, restored.recorded());
        for (_, end) in self.disturbances.iter_mut().filter(|span| **span == (at, by)) {
            *end = plus(now, minutes(2)).min(by);
        }
        self.rotas.iter_mut().for_each(|rota| rota.released(at, recorded, now));
        self.dirty = true;
    }

    /// Whether the table was put back and nobody has let it go on.
    pub(super) fn stands_still(&self, now: Timestamp) -> bool {
        let lasts = |restored: &Restored| restored.released.is_none_or(|released| now < released);
        self.restores.iter().any(|restored| restored.at <= now && lasts(restored))
    }

    /// Whether the person was first met after a backup to which the table was put back: by design they are somebody else
    /// from then on, and what they held as whom they were before ends.
    pub(super) fn is_met_anew(&self, person: usize) -> bool {
        let Some(shown) = self.shown.get(&person) else { return false };
        // A platform's answer is on record a while after it came.
        self.restores.iter().any(|restored| plus(restored.backup, minutes(-10)) < *shown && *shown <= restored.at)
    }

    /// The same of whoever has the account.
    pub(super) fn is_met_anew_by(&self, account: &str) -> bool {
        !self.restores.is_empty() && self.owner(account).is_some_and(|person| self.is_met_anew(person))
    }

    /// Whether the account may have been one person's and then another's by design: whoever was met anew is another, and
    /// of two who are linked to it the restored table may have forgotten who was the first.
    pub(super) fn changes_hands(&self, account: &str) -> bool {
        let has = |person: usize| self.accounts(person, Timestamp::MIN).any(|(known, _)| known == account);
        let anew = |person: usize| self.is_met_anew(person) && has(person);
        let restored = !self.restores.is_empty();
        restored && (self.plan.is_shared(account) || (0..self.plan.people.len()).any(anew))
    }

    /// By when the directory was asked about somebody who left then. A restored table asks again, once it goes on.
    pub(super) fn asked_by(&self, left: Timestamp) -> Timestamp {
        let within = seconds(3_600) + minutes(6);
        // A directory that cannot say is asked again as if it had.
        let asked = despite(self.app_disturbances.first().map_or(&[], Vec::as_slice), left, within);
        let forgotten = self.restores.iter().filter(|restored| restored.backup < asked && left < restored.by);
        let again = |restored: &Restored| {
            let over = restored.released.map_or(restored.by, |released| plus(released, minutes(2)));
            plus(over, within)
        };
        forgotten.map(again).max().map_or(asked, |again| again.max(asked))
    }

    /// How many records of those that were there before a restore are not among these lines.
    pub(super) fn missing_records(&self, text: &str) -> usize {
        let lines: BTreeSet<&str> = text.lines().collect();
        self.copied.iter().filter(|line| !lines.contains(line.as_str())).count()
    }
}

/// The open holds of everybody who has evidence that are such: also of whoever is called otherwise since a restore.
pub(super) async fn holds(store: &Store, is: impl Fn(&Hold) -> bool) -> Vec<Hold> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let Ok(page) = store.list_chain_heads(cursor.as_ref(), MAX_PAGE).await else { return found };
        for (chain, _) in page.items {
            let Chain::Person(person) = chain else { continue };
            let live = store.load(&person).await.ok().flatten();
            found.extend(live.into_iter().flat_map(|live| live.holds).filter(&is));
        }
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}
