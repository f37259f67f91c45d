//! What is in each place of each account, whose doing that was, and whether it may be.

use dutykey_policy::hold::Call;
use dutykey_policy::id::{AccountId, Place};
use dutykey_policy::time::rfc3339;
use dutykey_targets::sandbox::{By, Change, Effect};
use jiff::Timestamp;

use super::desire::Wanted;
use super::{Oracle, Sure, minutes, plus, seconds};

/// One place in one account of one app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// The number of the app.
    pub app: usize,
    /// The account.
    pub account: String,
    /// The place: `group/prod`, `role/role`.
    pub place: String,
}

impl Seat {
    /// The seat of a call.
    #[must_use]
    pub fn of(app: usize, account: &AccountId, place: &Place) -> Self {
        Self { app, account: account.to_string(), place: format!("{}/{}", place.kind, place.id) }
    }

    pub(super) fn has_values(&self) -> bool {
        self.place.starts_with("role/")
    }
}

impl std::fmt::Display for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} in app {}", self.place, self.account, self.app)
    }
}

/// What is known of a seat.
#[derive(Debug, Clone, Default)]
pub(super) struct SeatState {
    /// What should be there.
    pub wanted: Wanted,
    /// Since when nothing should be there.
    pub absent_since: Option<Timestamp>,
    /// Since when something should be there for sure.
    pub wanted_since: Option<Timestamp>,
    /// Whether Dutykey put there what is there.
    pub ours: bool,
    /// Whether others did.
    pub theirs: bool,
    /// The value that others have put there.
    pub base: Option<String>,
    /// The value that is there.
    pub value: Option<String>,
    /// Whether others have changed it since it came to be wanted: then it is theirs to put right.
    pub touched_by_others: bool,
    /// When others last changed it.
    pub others_at: Option<Timestamp>,
    /// When Dutykey first called for it in this hold's life.
    pub called_at: Option<Timestamp>,
    /// When an answer of a grant was lost: what is found afterwards counts as ours.
    pub lost_at: Option<Timestamp>,
    /// When the last call that gives was over: only then may another one begin.
    pub given_by: Option<Timestamp>,
    /// When the last call that takes was over.
    pub taken_by: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Option<Timestamp>,
    /// Whether Dutykey has said that a read has shown what it put there.
    pub proven: bool,
    /// Whether others have taken that away while its reason lives.
    pub thrown_out: bool,
    /// When others have taken away what was standing, while a reason lives.
    pub stripped: Option<Timestamp>,
    /// When Dutykey last took it away, or found that others had, although its reason lived for a moment more, as a clock that
    /// is ahead makes it.
    pub taken_early: Option<Timestamp>,
}

/// A call that may still act.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    pub number: u64,
    pub seat: Seat,
    pub what: Call,
    pub key: Option<String>,
    pub begun: Timestamp,
    pub over: Timestamp,
}

/// Something that must be true from an instant on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Nothing of ours is there, where nothing has been wanted since then.
    Gone(Seat, Timestamp),
    /// It is there, where it has been wanted since then.
    There(Seat, Timestamp),
    /// It is there again, where others have taken away what was standing then.
    Back(Seat, Timestamp),
}

impl Oracle {
    /// Takes in what has changed in the apps.
    pub(super) fn take_effects(&mut self, _now: Timestamp) {
        let mut news = Vec::new();
        for (app, target, seen) in &mut self.targets {
            let effects = target.effects_after(*seen);
            *seen += effects.len();
            let number = self.plan.app_number(app.as_str()).unwrap_or_default();
            news.extend(effects.into_iter().map(|effect| (number, effect)));
        }
        news.sort_by_key(|(_, effect)| effect.at);
        for (app, effect) in news {
            // What is wanted may have changed before that, and nobody has looked since.
            while self.next_change <= effect.at {
                self.desire(self.next_change.max(self.plan.epoch));
            }
            self.effect(app, effect);
        }
    }

    fn effect(&mut self, app: usize, effect: Effect) {
        let seat = Seat::of(app, &effect.account, &effect.place);
        let tells = self.plan.apps.get(app).is_some_and(|app| app.tells_owner);
        let allowed = self.allowed(&seat, effect.at);
        let unread = self.unread(app);
        let mut state = self.seats.get(&seat).cloned().unwrap_or_default();
        let at = effect.at;
        state.changed_at = Some(at);
        match (effect.by, effect.change) {
            (By::Others, change) => {
                self.meddled(&seat, &mut state, &change, at);
                state.others_at = Some(at);
                state.touched_by_others = true;
                match change {
                    Change::Added => state.theirs = true,
                    Change::Removed => (state.theirs, state.ours) = (false, false),
                    Change::Set { to, .. } => {
                        (state.theirs, state.ours) = (to.is_some(), false);
                        (state.base, state.value) = (to.clone(), to);
                    }
                    // The same value again, and now it is theirs, where anybody can tell.
                    Change::Noted if seat.has_values() && (tells || !state.ours) => {
                        (state.theirs, state.ours, state.base) = (state.value.is_some(), false, state.value.clone());
                    }
                    Change::Noted => {}
                }
            }
            (By::Dutykey, change) => {
                self.effects.push((at, seat.clone()));
                match change {
                    Change::Added => {
                        state.ours = true;
                        if allowed == Sure::No {
                            self.violated(
                                "P8",
                                at,
                                format!("{seat} is given to an account that nobody may have it through"),
                            );
                        }
                    }
                    Change::Removed => {
                        let standing = state.theirs && !state.ours && !tells;
                        // What others added while ours was called for, or so shortly before that no read could show it,
                        // ends with ours, and so does what a lost answer hid.
                        let called = |others| state.called_at.is_some_and(|called| plus(others, unread) > called);
                        let during = state.others_at.is_some_and(|others| called(others) || self.is_unrecorded(others));
                        if standing && !during && state.lost_at.is_none() {
                            self.violated("P3", at, format!("{seat} was standing access and is taken away"));
                        }
                        if !tells || state.ours {
                            state.theirs &= tells;
                        }
                        state.ours = false;
                    }
                    Change::Set { from, to } => {
                        let ours = to.is_some() && to != state.base;
                        let others = !state.ours && from != state.base;
                        if others {
                            self.violated("P3", at, format!("{seat}: a value that others set is changed"));
                        }
                        // What others set so shortly before us that no read could show it is not known to have been there.
                        let unseen = state
                            .others_at
                            .zip(state.called_at)
                            .is_some_and(|(others, called)| others <= called && called < plus(others, unread));
                        if !ours && to != state.base && !unseen {
                            self.violated(
                                "P3",
                                at,
                                format!("{seat} was {:?} before us and becomes {to:?}", state.base),
                            );
                        }
                        if ours && allowed == Sure::No {
                            self.violated(
                                "P8",
                                at,
                                format!("{seat} is given to an account that nobody may have it through"),
                            );
                        }
                        (state.ours, state.value) = (ours, to);
                    }
                    Change::Noted => {}
                }
                if !state.ours {
                    state.lost_at = None;
                }
            }
            (By::NativeEnd, _) => {
                if self.ends_too_soon(&seat, &state, at) {
                    self.violated("P12", at, format!("{seat}: the app's own end came while a reason lives (R13)"));
                }
                state.ours = false;
            }
        }
        state.proven &= state.ours;
        if !state.ours && state.wanted.sure == Sure::No {
            state.called_at = None;
        }
        if !state.ours {
            self.emptied(&seat, at);
        }
        self.seats.insert(seat, state);
    }

    /// Whether the account is one that some person may have access through.
    fn allowed(&self, seat: &Seat, at: Timestamp) -> Sure {
        let accounts = (0..self.plan.people.len()).flat_map(|person| self.accounts(person, at));
        accounts.filter(|(account, _)| *account == seat.account).map(|(_, sure)| sure).max().unwrap_or_default()
    }

    /// A call leaves: it may be made only where it is wanted, and only one at a time.
    pub(super) fn begun(&mut self, number: u64, what: Call, seat: Seat, now: Timestamp) {
        let plan = self.plan.apps.get(seat.app).cloned();
        let lasts = plan.as_ref().and_then(|app| app.asynchronous).unwrap_or_default();
        // Half a minute after its deadline it may still act; that counts from its intent, which was written a moment before,
        // or longer where something else was slow.
        let disturbed = self.is_disturbed(seat.app, plus(now, seconds(-60)), now);
        let deadline = i64::try_from(crate::world::app::DEADLINE).unwrap_or(10);
        let over = plus(now, seconds(deadline + if disturbed { 0 } else { 27 } + i64::from(lasts)));
        if self.stands_still(now) {
            self.violated("P10", now, format!("{seat} is called while the restored table stands still (R18)"));
        }
        self.in_flight.retain(|call| call.over > now);
        let other = self.in_flight.iter().find(|call| call.seat == seat);
        if let Some(other) = other {
            let begun = rfc3339(other.begun);
            self.violated("P10", now, format!("{seat} is called while the call of {begun} may still act (R1)"));
        }
        let key = plan.as_ref().and_then(|app| app.serialize.as_deref()).map(|by| match by {
            "account" => format!("{}/{}", seat.app, seat.account),
            "place" => format!("{}/{}", seat.app, seat.place),
            _ => seat.app.to_string(),
        });
        let turns = plan.as_ref().map_or(1, |app| usize::from(app.turns.get()));
        let alike = self.in_flight.iter().filter(|call| key.is_some() && call.key == key);
        let alike: Vec<Call> = alike.map(|call| call.what).collect();
        let (calls, ends) = (alike.len(), alike.iter().filter(|what| **what == Call::Revoke).count());
        // Of more than two turns two are the revocations' own.
        let for_others = if turns > 2 { turns - 2 } else { turns };
        if calls >= turns || (what != Call::Revoke && calls - ends >= for_others) {
            let busy =
                format!("{calls} calls are under way there, {ends} of them revocations, and it has {turns} turns");
            self.violated("P10", now, format!("{seat} is called out of turn: {busy} (R11)"));
        }
        let late = if disturbed { minutes(8) } else { seconds(12) };
        let state = self.seats.get(&seat).cloned().unwrap_or_default();
        let soon = || self.soon(&seat, now).max().unwrap_or_default();
        let long = |since: Option<Timestamp>| since.is_some_and(|since| plus(since, late + self.takes(seat.app)) < now);
        let early = what == Call::Revoke
            && state.wanted.sure == Sure::Yes
            && self.soon(&seat, now).any(|sure| sure == Sure::No);
        let flaps =
            what == Call::Grant && state.taken_early.is_some() && !long(state.taken_early) && soon() == Sure::No;
        match what {
            Call::Grant if state.absent_since.is_some() && long(state.absent_since) && soon() == Sure::No => {
                self.violated("P1", now, format!("{seat} is asked for and no reason lives"));
            }
            Call::Grant if state.wanted.sure == Sure::No && state.absent_since.is_none() && soon() == Sure::No => {
                self.violated("P1", now, format!("{seat} is asked for and there never was a reason"));
            }
            Call::Grant if self.only_waits(&seat, plus(now, self.slowest_clock() + seconds(1))) => {
                self.violated("P11", now, format!("{seat} is given by a change of the rota that waits for its lock"));
            }
            Call::Grant
                if state.theirs
                    && !state.ours
                    && !seat.has_values()
                    && state.others_at.is_none_or(|at| plus(at, late + self.takes(seat.app)) < now) =>
            {
                self.violated("P3", now, format!("{seat} is standing access and is asked for all the same"));
            }
            Call::Revoke
                if (long(state.wanted_since) || self.outlasts_a_restore(&seat, &state))
                    && self.still_wanted(&seat, &state)
                    && self.soon(&seat, now).all(|sure| sure == Sure::Yes) =>
            {
                self.violated("P4", now, format!("{seat} is taken away while a reason lives"));
            }
            _ => {}
        }
        if flaps {
            self.violated("P10", now, format!("{seat} is given again for a reason that has just ended (R25)"));
        }
        if what == Call::Grant && state.thrown_out {
            self.violated("P3", now, format!("{seat} is put back unasked; others have taken it away (R14)"));
        }
        let state = self.seats.entry(seat.clone()).or_default();
        if what == Call::Grant {
            state.called_at.get_or_insert(now);
            state.taken_early = None;
        } else if early {
            state.taken_early = Some(now);
        }
        self.in_flight.push(InFlight { number, seat, what, key, begun: now, over });
    }

    /// How sure it is that something should be there, each time that this may change before it is that late by every clock: a
    /// worker whose clock is ahead begins, and ends, that much earlier.
    pub(super) fn soon(&self, seat: &Seat, now: Timestamp) -> impl Iterator<Item = Sure> {
        let last = plus(now, self.slowest_clock() + seconds(1));
        let edges = std::iter::successors(Some(now), move |at| (*at < last).then(|| self.next_edge(*at).min(last)));
        edges.skip(1).map(move |at| self.wanted_at(at).get(seat).map_or(Sure::No, |wanted| wanted.sure))
    }

    fn still_wanted(&self, seat: &Seat, state: &SeatState) -> bool {
        let enough = seat.has_values() && {
            let roles = self.plan.apps.get(seat.app).map_or(&[][..], |app| app.roles.as_slice());
            let base = state.base.as_ref().and_then(|base| roles.iter().position(|role| role == base));
            base >= state.wanted.value.1
        };
        state.wanted.sure == Sure::Yes && !enough
    }

    /// Whether what must be true is true.
    pub(super) fn check(&mut self, check: &Check, now: Timestamp) {
        let (Check::Gone(seat, since) | Check::There(seat, since) | Check::Back(seat, since)) = check;
        let Some(state) = self.seats.get(seat).cloned() else { return };
        let takes = self.takes(seat.app);
        let other = match check {
            Check::Gone(..) => state.given_by,
            // Another value comes only after the one before.
            Check::There(..) if seat.has_values() => state.taken_by.max(state.given_by),
            Check::There(..) => state.taken_by,
            Check::Back(..) => Some(Self::noticed(*since)),
        };
        let begins = other.map_or(*since, |over| over.max(*since));
        let by = self.deadline(seat.app, begins, takes);
        match check {
            Check::Gone(..) if state.absent_since == Some(*since) && state.ours => {
                if now < by {
                    self.checks.insert((by, check.clone()));
                } else {
                    let since = rfc3339(*since);
                    self.violated("P1", now, format!("{seat} is still there; its last reason ended at {since}"));
                }
            }
            Check::There(..) if state.wanted_since == Some(*since) && !state.touched_by_others => {
                let there = if seat.has_values() { self.has_value(seat, &state) } else { state.ours || state.theirs };
                if there {
                    return;
                }
                if now < by {
                    self.checks.insert((by, check.clone()));
                } else {
                    let since = rfc3339(*since);
                    self.violated("P12", now, format!("{seat} is not there; it has been due since {since}"));
                }
            }
            Check::Back(..) if state.stripped == Some(*since) && !(state.ours || state.theirs) => {
                if now < by {
                    self.checks.insert((by, check.clone()));
                } else {
                    let since = rfc3339(*since);
                    self.violated("P12", now, format!("{seat} is not there; what stood there is gone since {since}"));
                }
            }
            _ => {}
        }
    }

    fn has_value(&self, seat: &Seat, state: &SeatState) -> bool {
        let roles = self.plan.apps.get(seat.app).map_or(&[][..], |app| app.roles.as_slice());
        let rank =
            |value: &Option<String>| value.as_ref().and_then(|value| roles.iter().position(|role| role == value));
        let (is, base) = (rank(&state.value), rank(&state.base));
        let (least, most) = state.wanted.value;
        let enough = is >= least;
        // No more than is wanted, unless it was there before.
        enough && (is <= most.max(base))
    }
}
