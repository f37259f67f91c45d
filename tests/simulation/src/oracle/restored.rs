//! A table that is put back to a backup and rebuilt: what it has forgotten by that, what it must not have forgotten, and
//! that nothing happens until it is let go on.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::ledger::ReadLedger as _;
use dutykey_policy::evidence::Chain;
use dutykey_policy::hold::Hold;
use dutykey_store::{MAX_PAGE, Store};
use jiff::Timestamp;

use super::over::despite;
use super::seats::{Seat, SeatState};
use super::{Block, Oracle, Sure, minutes, plus, seconds};

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
    /// Where something should be for sure when it was put back.
    sure: BTreeSet<Seat>,
    /// Whom it knew then and the backup does not: they are met anew under another ID, and what they held ends.
    anew: BTreeSet<usize>,
    /// Where those had something when it went on, and when that was gone.
    left: BTreeMap<Seat, Option<Timestamp>>,
}

impl Restored {
    /// By when all that was read since it was put back is on record, at the latest.
    fn recorded(&self) -> Timestamp {
        plus(self.by, minutes(6))
    }

    /// When everybody was looked at after it went on; the end of time while nobody knows when that is.
    fn settled(&self) -> Timestamp {
        self.released.map_or(Timestamp::MAX, |released| plus(released, minutes(8)))
    }

    /// When an account is free of what its person held under their former ID.
    fn frees(&self, account: &str) -> Timestamp {
        let left = self.left.iter().filter(|(seat, _)| seat.account == account);
        let gone = left.map(|(_, gone)| gone.map_or(Timestamp::MAX, |gone| plus(gone, minutes(2))));
        gone.max().unwrap_or(Timestamp::MIN).max(self.settled())
    }
}

impl Oracle {
    /// The table is as it was at `backup`, with the evidence that it had until now, and stands still until `latest` or
    /// less long. Nothing has to be on time until it goes on. It does not know the people in `anew` any more.
    pub(crate) fn restored(
        &mut self,
        backup: Timestamp,
        now: Timestamp,
        latest: Timestamp,
        records: Vec<String>,
        anew: BTreeSet<usize>,
    ) {
        self.look(now);
        self.forget_given(backup, now);
        let sure = self.seats.iter().filter(|(_, state)| state.wanted.sure == Sure::Yes);
        let sure = sure.map(|(seat, _)| seat.clone()).collect();
        self.shown.retain(|person| !anew.contains(person));
        // When it goes on, everybody is looked at by a sweep of the next tick.
        let by = plus(latest, minutes(2));
        let restored = Restored { backup, at: now, by, released: None, sure, anew, left: BTreeMap::new() };
        self.disturbances.push((now, restored.by));
        let recorded = restored.recorded();
        self.rotas.iter_mut().for_each(|rota| rota.restored(backup, now, recorded));
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

    /// The table goes on; `planned` says that each rota counts as it was read since.
    pub(crate) fn released(&mut self, now: Timestamp, planned: bool) {
        let Some(restored) = self.restores.last().filter(|restored| restored.released.is_none()) else { return };
        let anew = |seat: &Seat| self.owner(&seat.account).is_some_and(|person| restored.anew.contains(&person));
        let left = self.seats.iter().filter(|(seat, state)| state.ours && anew(seat));
        let left = left.map(|(seat, _)| (seat.clone(), None)).collect();
        let Some(restored) = self.restores.last_mut() else { return };
        (restored.released, restored.left) = (Some(now), left);
        let (at, by, recorded) = (restored.at, restored.by, restored.recorded());
        for (_, end) in self.disturbances.iter_mut().filter(|span| **span == (at, by)) {
            *end = plus(now, minutes(2)).min(by);
        }
        self.rotas.iter_mut().for_each(|rota| rota.released((at, now), recorded, planned));
        self.dirty = true;
        // What should be there counts from now on, whenever somebody looks next.
        self.look(now);
    }

    /// Whether the table was put back and nobody has let it go on.
    pub(super) fn stands_still(&self, now: Timestamp) -> bool {
        let lasts = |restored: &Restored| restored.released.is_none_or(|released| now < released);
        self.restores.iter().any(|restored| restored.at <= now && lasts(restored))
    }

    /// Whether the person has had another ID since before a restore.
    pub(super) fn was_met_anew(&self, person: usize) -> bool {
        self.restores.iter().any(|restored| restored.anew.contains(&person))
    }

    /// From when on somebody has their account for sure: whoever was met anew, once nothing is left in it of what they held
    /// under the ID that they had before.
    pub(super) fn free_at(&self, person: usize, account: &str) -> Timestamp {
        let anew = self.restores.iter().filter(|restored| restored.anew.contains(&person));
        anew.map(|restored| restored.frees(account)).max().unwrap_or(Timestamp::MIN)
    }

    /// Whether the account may have been one person's and then another's by design: whoever was met anew is another, and
    /// of two who are linked to it the restored table may have forgotten who was the first.
    pub(super) fn changes_hands(&self, account: &str) -> bool {
        let has = |person: usize| self.accounts(person, Timestamp::MIN).any(|(known, _)| known == account);
        let anew = |person: usize| self.was_met_anew(person) && has(person);
        let restored = !self.restores.is_empty();
        restored && (self.plan.is_shared(account) || (0..self.plan.people.len()).any(anew))
    }

    /// Every instant from which on an account is somebody's for sure.
    pub(super) fn freed(&self) -> impl Iterator<Item = Timestamp> {
        self.restores.iter().flat_map(|restored| {
            let left = restored.left.keys().map(move |seat| restored.frees(&seat.account));
            left.chain([restored.settled()])
        })
    }

    /// Nothing of ours is in a place any more.
    pub(super) fn emptied(&mut self, seat: &Seat, at: Timestamp) {
        for restored in &mut self.restores {
            if let Some(gone) = restored.left.get_mut(seat).filter(|gone| gone.is_none()) {
                *gone = Some(at);
                self.dirty = true;
            }
        }
    }

    /// Whether a block on somebody is on an ID that they have no more: it must be placed again.
    pub(super) fn is_on_nobody(&self, block: &Block, person: usize) -> bool {
        self.restores.iter().any(|restored| restored.anew.contains(&person) && block.from <= restored.at)
    }

    /// Whether what should be in a place has been sure since before a restore, or since the table went on at the latest:
    /// then whoever looks after that knows of it.
    pub(super) fn outlasts_a_restore(&self, seat: &Seat, state: &SeatState) -> bool {
        let Some(since) = state.wanted_since else { return false };
        let knows = |restored: &Restored| restored.released.is_some_and(|released| since <= released);
        self.restores.iter().any(|restored| restored.sure.contains(seat) && knows(restored))
    }

    /// From when on an edit counts for everybody. What came after a backup is applied again, and counts once the table has
    /// gone on.
    pub(super) fn edit_counts(&self, edited: Timestamp) -> Timestamp {
        let by = plus(edited, minutes(6));
        let again = |restored: &&Restored| restored.released.is_none_or(|released| edited <= released);
        let forgotten = self.restores.iter().filter(|restored| restored.backup < by).filter(again);
        forgotten.map(Restored::settled).max().map_or(by, |settled| settled.max(by))
    }

    /// By when the directory was asked about somebody who left then. A restored table asks again, once it goes on.
    pub(super) fn asked_by(&self, left: Timestamp) -> Timestamp {
        let within = seconds(3_600) + minutes(6);
        // A directory that cannot say is asked again as if it had.
        let asked = despite(self.app_disturbances.first().map_or(&[], Vec::as_slice), left, within);
        let forgotten = self.restores.iter().filter(|restored| restored.backup < asked && left < restored.by);
        let again = |restored: &Restored| {
            let over = restored.released.map_or(restored.by, |released| plus(released, minutes(2)));
            plus(over, minutes(6))
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
