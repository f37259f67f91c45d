//! What people were given because they asked, or took: how long it lasts by the promises alone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::desire::Wanted;
use super::seats::Seat;
use super::{Oracle, Sure, minutes, plus, seconds};
use crate::oracle::rota::Terms;
use crate::plan::{Gives, LONGEST, Offer, Profile};

/// Within so long after something has ended somebody has looked, and that is on record.
const LOOKED: SignedDuration = SignedDuration::from_mins(10);

/// What binds something that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    /// To whom.
    pub(crate) person: usize,
    /// Which profile.
    pub(crate) profile: usize,
    /// By being on call in what; `None` in an emergency.
    pub(crate) rotation: Option<usize>,
    /// Until when it was wanted, at most.
    pub(crate) until: Timestamp,
}

/// Something that was given.
#[derive(Debug, Clone)]
pub(super) struct Given {
    bound: Bound,
    from: Timestamp,
    /// What the profile gave then: it never grows (R17).
    gives: Vec<Gives>,
    /// When it was found over, for good.
    over: Option<Timestamp>,
    /// Whether it was given back, which is on record at once.
    back: bool,
    /// Whether it may be over for good already.
    doubt: bool,
    /// When it was made to last longer, and how long it had lasted before, at most and for sure.
    longer: Option<(Timestamp, Timestamp, Timestamp)>,
    /// Until when it lasts for sure. It was given no further than the duty went by what was known then, and is cut where the
    /// duty is; whether it goes on with a duty that has become longer since is left open.
    sure_until: Timestamp,
}

impl Oracle {
    /// Whether the person of a number is nobody else, and nobody else is them.
    pub(crate) fn is_sure_of(&self, person: usize) -> bool {
        self.renamed.is_empty() && self.accounts.get(person).is_some_and(Option::is_some)
    }

    /// Something is given, until `least` for sure; answers its number.
    pub(crate) fn gives_to(&mut self, bound: Bound, from: Timestamp, least: Timestamp) -> usize {
        let gives = self.profile_at(bound.profile, from).map(|profile| profile.gives.clone()).unwrap_or_default();
        let latest = plus(from, seconds(LONGEST.into()));
        let bound = Bound { until: bound.until.min(latest), ..bound };
        let sure_until = self.duty_until(&bound, from, bound.until.min(least));
        self.given.push(Given { bound, from, gives, over: None, back: false, doubt: false, longer: None, sure_until });
        self.dirty = true;
        self.given.len() - 1
    }

    /// It lasts longer now, where it still lasts: until `until` at most, and until `least` for sure.
    pub(crate) fn given_longer(&mut self, number: usize, until: Timestamp, least: Timestamp, now: Timestamp) {
        let longer = self.given.get(number).filter(|given| given.over.is_none()).map(|given| {
            let until = until.min(plus(given.from, seconds(LONGEST.into())));
            (until, self.duty_until(&given.bound, now, until.min(least)))
        });
        if let Some((given, (until, sure_until))) = self.given.get_mut(number).zip(longer) {
            // What was over by then was not prolonged; what was about to be may have been.
            given.doubt |= given.sure_until <= plus(now, minutes(1));
            given.longer = Some((now, given.bound.until, given.sure_until));
            given.bound.until = given.bound.until.max(until);
            given.sure_until = given.sure_until.max(sure_until);
        }
        self.dirty = true;
    }

    /// The table is as it was at `backup`: what was given since is gone, and so is time that was added. What has ended since
    /// stays so, where that was on record by now.
    pub(super) fn forget_given(&mut self, backup: Timestamp, now: Timestamp) {
        let Self { given, disturbances, .. } = self;
        // Nobody looks in times of trouble.
        let troubled =
            |at: Timestamp, by: Timestamp| disturbances.iter().any(|(from, to)| *from <= by && plus(*to, LOOKED) > at);
        let looked = |over: Timestamp| plus(over, LOOKED) <= now && !troubled(over, plus(over, LOOKED));
        for given in given {
            if given.from > backup {
                given.over = Some(given.over.map_or(now, |over| over.min(now)));
                continue;
            }
            let unrecorded = given.over.is_some_and(|over| over > backup && !given.back && !looked(over));
            if unrecorded {
                given.over = None;
            }
            let longer = given.longer.take_if(|(at, ..)| *at >= backup);
            if let Some((_, until, sure_until)) = longer {
                given.bound.until = until;
                given.sure_until = given.sure_until.min(sure_until);
            }
            given.doubt |= unrecorded || given.from == backup || longer.is_some_and(|(at, ..)| at == backup);
        }
    }

    /// It was given back.
    pub(crate) fn given_back(&mut self, number: usize, now: Timestamp) {
        if let Some(given) = self.given.get_mut(number) {
            given.over = Some(given.over.map_or(now, |over| over.min(now)));
            given.back = true;
        }
        self.dirty = true;
    }

    /// How sure it is that something given lasts at `at`, by its own bounds.
    fn lasts(&self, given: &Given, at: Timestamp) -> Sure {
        let over = given.over.is_some_and(|over| over <= at);
        if at < given.from || given.bound.until <= at || over {
            return Sure::No;
        }
        let edited = self.in_edit(given.bound.profile, at);
        let offered = |profile: &&Profile| {
            let rotation = given.bound.rotation;
            profile.offer != Offer::None && rotation.is_none_or(|rotation| profile.rotations.contains(&rotation))
        };
        let Some(profile) = self.profile_at(given.bound.profile, at).filter(offered) else {
            // The edit that ends it counts once people were looked at.
            return if edited { Sure::Maybe } else { Sure::No };
        };
        let on_call = match given.bound.rotation.map(|rotation| self.rotas.get(rotation)) {
            None => Sure::Yes,
            Some(None) => Sure::No,
            // No lease ends what was asked for; whether it ends with the source of its rotation is left open.
            Some(Some(rota)) => rota.on_call(given.bound.person, at, &self.duty(profile)),
        };
        let retires = given.bound.rotation.is_some_and(|rotation| self.rotation_gives(rotation, at) != Sure::Yes);
        let open = edited || retires || given.doubt || given.sure_until <= at;
        on_call.min(if open { Sure::Maybe } else { Sure::Yes })
    }

    /// Until when the duty by which something is given lasts for sure, with its grace, by what is known at `at`; at most
    /// until `most`.
    fn duty_until(&self, bound: &Bound, at: Timestamp, most: Timestamp) -> Timestamp {
        let rota = bound.rotation.and_then(|rotation| self.rotas.get(rotation));
        let Some((rota, profile)) = rota.zip(self.profile_at(bound.profile, at)) else { return most };
        let terms = self.duty(profile);
        // Grace follows the end of a duty, and joins no two.
        let until = rota.on_call_until(bound.person, at, most, &Terms { grace: 0, ..terms });
        plus(until, seconds(terms.grace)).min(most)
    }

    fn duty(&self, profile: &Profile) -> Terms {
        Terms { lead: 0, lease: i64::from(u32::MAX), ..Terms::from(profile) }
    }

    /// What is over for good by `at`: it does not come back.
    pub(super) fn end_given(&mut self, at: Timestamp) {
        for number in 0..self.given.len() {
            let Some(given) = self.given.get(number).filter(|given| given.from <= at && given.over.is_none()) else {
                continue;
            };
            let (sure, sure_until) = (self.lasts(given, at), self.duty_until(&given.bound, at, given.sure_until));
            if let Some(given) = self.given.get_mut(number) {
                given.sure_until = sure_until;
                match sure {
                    Sure::No => given.over = Some(at),
                    Sure::Maybe => given.doubt = true,
                    Sure::Yes => {}
                }
            }
        }
    }

    /// Whether something given speaks, or may speak, for the seat at `at`.
    pub(super) fn is_given(&self, seat: &Seat, at: Timestamp) -> bool {
        let mut wanted = BTreeMap::new();
        self.want_given(&mut wanted, at);
        wanted.contains_key(seat)
    }

    /// Adds what was given to what is wanted.
    pub(super) fn want_given(&self, wanted: &mut BTreeMap<Seat, Wanted>, at: Timestamp) {
        for given in &self.given {
            let sure = self.lasts(given, at);
            let Bound { person, profile: number, rotation, .. } = given.bound;
            // Whether giving back what comes with being on call denies what was asked for as well is left open.
            let sure = if self.has_returned(person, number, at) { sure.min(Sure::Maybe) } else { sure };
            let edited = self.in_edit(number, at);
            let current = self.profile_at(number, at);
            for gives in given.gives.iter().filter(|_| sure != Sure::No) {
                let still = current.is_some_and(|profile| profile.gives.contains(gives));
                let sure = match (still, self.denied(person, number, gives.app, at)) {
                    (false, _) if !edited => continue,
                    (_, Some(false)) => continue,
                    // A freeze leaves break-glass alone (R2).
                    (_, Some(true)) if rotation.is_some() => sure.min(Sure::Maybe),
                    (true, _) => sure,
                    (false, _) => sure.min(Sure::Maybe),
                };
                let sure = sure.min(self.app_gives(gives.app, at));
                for (account, allowed) in self.accounts(person, at) {
                    self.want(wanted, gives, account, sure.min(allowed));
                }
            }
        }
    }

    /// Every instant at which something given may change by itself.
    pub(super) fn given_edges(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.given.iter().filter(|given| given.over.is_none()).flat_map(|given| {
            let profile = self.profiles.get(given.bound.profile).and_then(|versions| versions.last());
            let terms = profile.and_then(|(_, profile)| profile.as_ref()).map(|profile| self.duty(profile));
            let rota = given.bound.rotation.and_then(|rotation| self.rotas.get(rotation));
            let duty: Vec<Timestamp> =
                rota.zip(terms).map_or_else(Vec::new, |(rota, terms)| rota.edges(&terms).collect());
            duty.into_iter().chain([given.from, given.sure_until, given.bound.until])
        })
    }
}
