//! What others do in a seat while Dutykey is at work there, and what it may make of that: what may pass for its own doing,
//! what it must not put back, what it must.

use dutykey_targets::sandbox::Change;
use jiff::{SignedDuration, Timestamp};

use super::seats::{Check, Seat, SeatState};
use super::{Oracle, Sure, minutes, plus, seconds};

/// A call leaves at most so long after the read that it follows from has begun: a read has its deadline, and what takes
/// half a minute longer to write is not called for any more.
const FOLLOWS: i64 = 40;
/// What is there is looked at each hour; a minute more, for whoever comes to it.
const SWEPT: i64 = 3_600 + 60;
/// For so long nothing may have been wrong, and the reason must have lived, where the app's own end should have moved on.
const MOVES_ON: i64 = 20;

impl Oracle {
    /// For how long no read that a call follows from needs to have shown what others have changed.
    pub(super) fn unread(&self, app: usize) -> SignedDuration {
        let shows = self.plan.apps.get(app).map_or(0, |app| app.propagation);
        seconds(FOLLOWS + i64::from(shows))
    }

    /// Whether a worker may have begun something around that time and never called, or called and never recorded it: then
    /// what it found afterwards passed for its own.
    pub(super) fn is_unrecorded(&self, at: Timestamp) -> bool {
        self.disturbances.iter().any(|(begin, end)| plus(*begin, minutes(-1)) <= at && at < plus(*end, minutes(6)))
    }

    /// The app has refused a grant and says that nothing has happened: what others add from now on is not ours (R6), where
    /// nothing of ours may be there for another reason.
    pub(super) fn refused(&mut self, seat: &Seat) {
        if let Some(state) = self.seats.get_mut(seat).filter(|state| !state.ours && state.lost_at.is_none()) {
            state.called_at = None;
        }
    }

    /// Others change something. What they take away of ours while a reason lives stays away; what was standing is wanted
    /// from us once it is gone (R14).
    pub(super) fn meddled(&mut self, seat: &Seat, state: &mut SeatState, change: &Change, at: Timestamp) {
        let takes = *change == Change::Removed && state.wanted.sure == Sure::Yes;
        // Where the app has an end of its own that comes before anybody has looked, that may have been it.
        let ends_itself = self.plan.apps.get(seat.app).is_some_and(|app| app.native_end);
        state.thrown_out = takes && state.proven && !ends_itself;
        let unread = self.unread(seat.app);
        let since = state.wanted_since.unwrap_or(Timestamp::MIN);
        let shown = state.others_at.is_none_or(|others| plus(others, unread) < since);
        let stood = state.theirs && !state.ours && state.called_at.is_none() && state.lost_at.is_none() && shown;
        state.stripped = (takes && stood).then_some(at);
        if state.stripped.is_some() {
            self.checks.insert((at, Check::Back(seat.clone(), at)));
        }
    }

    /// Dutykey says that it is over. Where its reason ends before it is that late by every clock, it is over for that person
    /// from now on, for time never runs backwards for them (R25): who takes it or asks for it now has a reason of its own, and
    /// is not kept from it by what others did before. The reason that has ended must still not give it again.
    pub(super) fn is_over(&mut self, seat: &Seat, now: Timestamp) {
        let thrown_out = self.seats.get(seat).is_some_and(|state| state.thrown_out);
        let early = thrown_out && self.soon(seat, now).any(|sure| sure != Sure::Yes);
        if let Some(state) = self.seats.get_mut(seat).filter(|_| early) {
            (state.thrown_out, state.taken_early) = (false, Some(now));
        }
    }

    /// Whether the app ends something by itself that it should have been told to keep: a reason lives for sure, nobody else
    /// had a hand in it, and there was time to move the end on.
    pub(super) fn ends_too_soon(&self, seat: &Seat, state: &SeatState, at: Timestamp) -> bool {
        let since = plus(at, minutes(-MOVES_ON));
        let lived = state.wanted.sure == Sure::Yes && state.wanted_since.is_some_and(|wanted| wanted <= since);
        // It may have ended since anybody last looked.
        let lives = lived && self.wanted_at(at).get(seat).is_some_and(|wanted| wanted.sure == Sure::Yes);
        lives && !state.theirs && !state.touched_by_others && !self.is_disturbed(seat.app, since, at)
    }

    /// From when on what others have taken away then must be there again, as far as looking takes.
    pub(super) fn noticed(at: Timestamp) -> Timestamp {
        plus(at, seconds(SWEPT))
    }
}

impl SeatState {
    /// The reason may have ended, or Dutykey may have forgotten what it saw: what it may do begins anew.
    pub(super) fn begins_anew(&mut self) {
        (self.proven, self.thrown_out, self.stripped) = (false, false, None);
    }
}
