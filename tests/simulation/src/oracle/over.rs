//! What is over before the rota says so: a profile that was given back, an app or a source that retires, and whoever has
//! left.

use dutykey_engine::ports::ledger::Notice;
use jiff::{SignedDuration, Timestamp};

use super::{Oracle, Sure, minutes, plus};
use crate::plan::{Happening, System};

/// People are looked at by a sweep, which the next tick finds.
const SWEPT: i64 = 6;
/// What a source gave is planned with its next read, of which there is one each five minutes.
const READ: i64 = 5;

/// A profile that somebody has given back.
#[derive(Debug, Clone)]
pub(super) struct Returned {
    person: usize,
    profile: usize,
    from: Timestamp,
    /// When the access would have ended; `None` where nobody knows.
    until: Option<Timestamp>,
}

/// An app or a source that has left the configuration.
#[derive(Debug, Clone)]
pub(super) struct Retired {
    what: System,
    at: Timestamp,
    /// By when everybody was looked at.
    by: Timestamp,
}

/// By when something that takes so long from `since` on is done, where it begins anew whenever one of the troubles is over.
pub(super) fn despite(troubles: &[(Timestamp, Timestamp)], since: Timestamp, takes: SignedDuration) -> Timestamp {
    let mut by = plus(since, takes);
    loop {
        let met = troubles.iter().filter(|(from, to)| *from <= by && since <= *to);
        match met.map(|(_, to)| plus(*to, takes)).max() {
            Some(later) if later > by => by = later,
            _ => return by,
        }
    }
}

impl Oracle {
    /// Somebody has given a profile back: what they have by being on call is denied to them until then (R2).
    pub(crate) fn returned(&mut self, person: usize, profile: usize, from: Timestamp, until: Option<Timestamp>) {
        self.returned.push(Returned { person, profile, from, until });
        self.dirty = true;
    }

    /// Whether the person has given the profile back for that time. Whoever is met anew is somebody else, who has not.
    pub(super) fn has_returned(&self, person: usize, profile: usize, at: Timestamp) -> bool {
        let lasts = |it: &Returned| it.from <= at && it.until.is_none_or(|until| at < until);
        let mut theirs = self.returned.iter().filter(|it| (it.person, it.profile) == (person, profile));
        theirs.any(lasts) && !self.was_met_anew(person)
    }

    /// An app or a source has left the configuration: what it gives ends now, without grace (R23).
    pub(crate) fn retires(&mut self, what: System, now: Timestamp) {
        let by = match &what {
            System::App(_) => plus(now, minutes(SWEPT)),
            System::Source(source) => {
                let slow = self.plan.happens.iter().filter_map(|happening| match happening {
                    Happening::Platform(fault) if fault.source == *source => {
                        Some((self.plan.at(fault.from), self.plan.at(fault.to)))
                    }
                    _ => None,
                });
                let troubles: Vec<_> = slow.chain(self.disturbances.iter().copied()).collect();
                despite(&troubles, now, minutes(SWEPT + READ))
            }
        };
        self.retired.push(Retired { what, at: now, by });
        self.dirty = true;
    }

    /// How sure it is that an app gives anything still.
    pub(super) fn app_gives(&self, app: usize, at: Timestamp) -> Sure {
        self.gives_still(at, |what| matches!(what, System::App(number) if *number == app))
    }

    /// How sure it is that being on call in a rotation gives anything still.
    pub(super) fn rotation_gives(&self, rotation: usize, at: Timestamp) -> Sure {
        let source = self.plan.rotations.get(rotation).map(|rotation| &rotation.source);
        self.gives_still(at, |what| matches!(what, System::Source(id) if Some(id) == source))
    }

    fn gives_still(&self, at: Timestamp, is: impl Fn(&System) -> bool) -> Sure {
        match self.retired.iter().find(|retired| retired.at <= at && is(&retired.what)) {
            None => Sure::Yes,
            Some(retired) if at < retired.by => Sure::Maybe,
            Some(_) => Sure::No,
        }
    }

    /// Takes in what somebody was told: perhaps that the brake holds whom the directory shows inactive. Whether they are more
    /// than half of those whom it has lately shown active, only whoever asks it can know.
    pub(super) fn hears_of_leavers(&mut self, notice: &Notice) {
        if notice.id.starts_with("brake/directory/") {
            self.leavers_held = true;
            self.dirty = true;
        }
    }

    /// Whether whoever left then has lost everything for sure. Where several have left the brake may hold them, and then
    /// somebody is told; whoever has held something for long enough since was found, and that was told.
    pub(super) fn is_cut_off(&self, account: &str, left: Timestamp, at: Timestamp) -> bool {
        let Some(directory) = self.plan.apps.first().filter(|_| self.plan.directory) else { return false };
        if self.left.len() < 2 {
            return at >= self.asked_by(left);
        }
        let theirs = self.seats.iter().filter(|(seat, state)| seat.account == account && state.ours);
        let holds = theirs.filter_map(|(_, state)| state.changed_at).min();
        // One that throttles may say nothing for hours.
        let answers = directory.limit.is_none();
        answers && !self.leavers_held && holds.is_some_and(|holds| at >= self.told_by(left.max(holds)))
    }

    /// By when somebody was told that the brake holds whoever has left then.
    fn told_by(&self, left: Timestamp) -> Timestamp {
        plus(self.asked_by(left), minutes(6))
    }

    /// Every instant at which any of this may change by itself.
    pub(super) fn over_edges(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let returned = self.returned.iter().flat_map(|it| [Some(it.from), it.until]).flatten();
        let retired = self.retired.iter().flat_map(|retired| [retired.at, retired.by]);
        let left = self.left.values().flat_map(|left| [self.asked_by(*left), self.told_by(*left)]);
        returned.chain(retired).chain(left)
    }
}
