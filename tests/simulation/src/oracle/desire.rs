//! Who should have what, worked out anew from everything that is known, each time that any of it changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Oracle, Sure, plus, seconds};
use crate::oracle::rota::{Rota, Terms};
use crate::oracle::seats::{Check, Seat};
use crate::plan::{Denies, Gives, Profile, What};

/// What should be in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Whether anything should.
    pub(super) sure: Sure,
    /// The highest value that should be there for sure, and the highest that may; for a place that has values.
    pub(super) value: (Option<usize>, Option<usize>),
}

impl Oracle {
    /// How sure it is that the person is in the profile at `at`.
    fn enrolled(&self, person: usize, number: usize, at: Timestamp) -> Sure {
        let Some(current) = self.profile_at(number, at) else { return self.formerly(person, number, at) };
        let sure = self.gives(person, current, at);
        // A new version counts once its people were planned again.
        sure.max(self.formerly(person, number, at))
    }

    fn gives(&self, person: usize, profile: &Profile, at: Timestamp) -> Sure {
        let terms = Terms::from(profile);
        let on_call = |number: &usize| {
            let rota = self.rotas.get(*number)?;
            Some(rota.on_call(person, at, &terms).min(self.rotation_gives(*number, at)))
        };
        let enrolling = profile.rotations.iter().filter(|_| profile.enrolls);
        enrolling.filter_map(on_call).max().unwrap_or_default()
    }

    /// The rotations that give the profile without asking.
    fn enrolling<'a>(&'a self, profile: &'a Profile) -> impl Iterator<Item = &'a Rota> {
        profile.rotations.iter().filter(|_| profile.enrolls).filter_map(|number| self.rotas.get(*number))
    }

    /// Whether nothing but changes of the forecast that wait for a lock speaks for the seat at `at`.
    pub(super) fn only_waits(&self, seat: &Seat, at: Timestamp) -> bool {
        if self.is_given(seat, at) {
            return false;
        }
        let group = seat.place.strip_prefix("group/");
        let app = self.plan.apps.get(seat.app);
        let gives = |profile: &Profile| {
            let is = |what: What| matches!((what, app), (What::Group(n), Some(app)) if app.groups.get(n).map(|g| g.id.as_str()) == group);
            profile.gives.iter().any(|gives| gives.app == seat.app && is(gives.what))
        };
        let mut waiting = false;
        for person in 0..self.plan.people.len() {
            if self.accounts(person, at).all(|(account, _)| account != seat.account) {
                continue;
            }
            for number in 0..self.profiles.len() {
                let Some(profile) = self.profile_at(number, at).filter(|profile| gives(profile)) else { continue };
                if self.in_edit(number, at) {
                    return false;
                }
                for rota in self.enrolling(profile) {
                    if rota.only_waits(person, at, &Terms::from(profile)) {
                        waiting = true;
                    } else if rota.on_call(person, at, &Terms::from(profile)) != Sure::No {
                        return false;
                    }
                }
            }
        }
        waiting
    }

    /// What the version before gave may be there still for a while after an edit; where the grace of what runs reaches
    /// into what the edit lets begin later, nothing comes in between.
    fn formerly(&self, person: usize, number: usize, at: Timestamp) -> Sure {
        let Some(versions) = self.profiles.get(number) else { return Sure::No };
        let recent = versions.windows(2).filter_map(|pair| {
            let [(_, before), (edited, after)] = pair else { return None };
            let soon = self.edit_counts(*edited);
            let bridged = || {
                after.as_ref().is_some_and(|after| {
                    at < plus(soon, seconds(after.grace.into())) && self.begins_soon(person, after, at)
                })
            };
            (*edited <= at && (at < soon || bridged())).then_some(before.as_ref()?)
        });
        recent.map(|profile| self.gives(person, profile, at)).max().unwrap_or_default().min(Sure::Maybe)
    }

    /// Whether the profile lets something of the person begin within its grace.
    fn begins_soon(&self, person: usize, profile: &Profile, at: Timestamp) -> bool {
        self.enrolling(profile).any(|rota| rota.begins_within(person, at, profile.grace.into(), &Terms::from(profile)))
    }

    /// Whether the profile has been edited so shortly ago that nothing of it is sure.
    pub(super) fn in_edit(&self, number: usize, at: Timestamp) -> bool {
        let versions = self.profiles.get(number).map_or(&[][..], Vec::as_slice);
        versions.iter().skip(1).any(|(edited, _)| *edited <= at && at < self.edit_counts(*edited))
    }

    /// The accounts that a person may have access through, and how sure that is.
    pub(super) fn accounts(&self, person: usize, at: Timestamp) -> impl Iterator<Item = (&str, Sure)> {
        let own = self.account(person, at);
        let addresses = self.addresses_since(person);
        // A link names an address: it may count for whoever is first met by it, where nobody was before.
        let named = |whose: usize| {
            let met = self.renamed.get(&whose).is_some_and(|renamed| renamed.known);
            !met && self.address(whose).is_some_and(|address| addresses.contains(&address))
        };
        let links = self.plan.links.iter();
        let links = links.filter(|link| link.person == person || link.to == person || named(link.person));
        let linked: Vec<_> = links.filter_map(|link| Some((self.plan.account(link.to)?, Sure::Maybe))).collect();
        let owned = addresses.into_iter().flat_map(|address| {
            let accounts = self.plan.people.iter().flat_map(|human| &human.accounts);
            accounts.filter(move |(_, owner)| owner.to_lowercase() == address).map(|(id, _)| (id.as_str(), Sure::Maybe))
        });
        own.into_iter().chain(owned).chain(linked)
    }

    /// The address that somebody had at the beginning.
    fn address(&self, person: usize) -> Option<String> {
        self.plan.people.get(person).map(|human| human.address.to_lowercase())
    }

    /// The addresses by which somebody may have been linked since people have got others. A link once made stays; whoever
    /// was not on call yet, or could not be told from somebody else, may be linked by one that was theirs alone.
    fn addresses_since(&self, person: usize) -> Vec<String> {
        let nobody = self.accounts.get(person).is_none_or(Option::is_none);
        let renamed = self.renamed.get(&person);
        let mut addresses = match renamed {
            Some(renamed) if nobody || !renamed.known => renamed.addresses.clone(),
            _ => Vec::new(),
        };
        let own = self.address(person).filter(|_| nobody);
        addresses.extend(own.filter(|own| self.renamed.keys().any(|other| self.address(*other).as_ref() == Some(own))));
        addresses
    }

    fn account(&self, person: usize, at: Timestamp) -> Option<(&str, Sure)> {
        let (address, account) = self.accounts.get(person)?.as_ref()?;
        if let Some(left) = self.left.get(&person) {
            let sure = if self.is_cut_off(account, *left, at) { Sure::No } else { Sure::Maybe };
            return Some((account, sure));
        }
        // Whoever is linked later may be somebody with the same address.
        let taken = self.renamed.values().any(|renamed| renamed.addresses.contains(address));
        let doubt = taken || self.renamed.contains_key(&person) || at < self.free_at(person, account);
        let sure = if doubt { Sure::Maybe } else { Sure::Yes };
        Some((account, sure))
    }

    pub(super) fn denied(&self, person: usize, profile: usize, app: usize, at: Timestamp) -> Option<bool> {
        let live = self.blocks.iter().filter(|block| block.from <= at && block.until.is_none_or(|until| at < until));
        let denies = live.filter(|block| match &block.denies {
            Denies::Everything => true,
            Denies::Person(who) => *who == person && !self.is_on_nobody(block, person),
            Denies::Profile(which) => *which == profile,
            Denies::App(which) => *which == app,
        });
        denies.map(|block| block.freeze).min()
    }

    /// Who should have what at `at`, by what is known now.
    pub(super) fn wanted_at(&self, at: Timestamp) -> BTreeMap<Seat, Wanted> {
        let mut wanted: BTreeMap<Seat, Wanted> = BTreeMap::new();
        let shown: BTreeSet<usize> = self.rotas.iter().flat_map(Rota::people).collect();
        for person in shown {
            let accounts: Vec<(&str, Sure)> = self.accounts(person, at).collect();
            for number in 0..self.profiles.len() {
                let enrolled = self.enrolled(person, number, at);
                if enrolled == Sure::No || self.has_returned(person, number, at) {
                    continue;
                }
                let versions = self.profiles.get(number).map_or(&[][..], Vec::as_slice);
                let edit = self.in_edit(number, at);
                let recent = versions.iter().rev().take(if edit { 2 } else { 1 });
                for (nth, profile) in
                    recent.enumerate().filter_map(|(nth, (_, profile))| Some((nth, profile.as_ref()?)))
                {
                    for gives in &profile.gives {
                        let denied = self.denied(person, number, gives.app, at);
                        let mut sure = if edit || nth > 0 { enrolled.min(Sure::Maybe) } else { enrolled };
                        match denied {
                            Some(false) => continue,
                            Some(true) => sure = sure.min(Sure::Maybe),
                            None => {}
                        }
                        sure = sure.min(self.app_gives(gives.app, at));
                        for (account, allowed) in &accounts {
                            self.want(&mut wanted, gives, account, sure.min(*allowed));
                        }
                    }
                }
            }
        }
        self.want_given(&mut wanted, at);
        wanted
    }

    /// Adds that something should be in an account.
    pub(super) fn want(&self, wanted: &mut BTreeMap<Seat, Wanted>, gives: &Gives, account: &str, sure: Sure) {
        let Some(app) = self.plan.apps.get(gives.app).filter(|_| sure != Sure::No) else { return };
        let (place, value) = match gives.what {
            What::Group(group) => {
                let Some(group) = app.groups.get(group) else { return };
                (format!("group/{}", group.id), None)
            }
            What::Role(value) => ("role/role".to_owned(), Some(value)),
        };
        let seat = Seat { app: gives.app, account: account.to_owned(), place };
        let want = wanted.entry(seat).or_default();
        want.sure = want.sure.max(sure);
        want.value.1 = want.value.1.max(value);
        if sure == Sure::Yes {
            want.value.0 = want.value.0.max(value);
        }
    }

    /// Works out who should have what at `at`, notes what has changed, and when it may change next.
    pub(super) fn desire(&mut self, at: Timestamp) {
        self.end_given(at);
        let mut wanted = self.wanted_at(at);
        let known: BTreeSet<Seat> = self.seats.keys().chain(wanted.keys()).cloned().collect();
        for seat in known {
            let want = wanted.remove(&seat).unwrap_or_default();
            let takes = self.takes(seat.app);
            let state = self.seats.entry(seat.clone()).or_default();
            if state.wanted == want {
                continue;
            }
            let was = std::mem::replace(&mut state.wanted, want.clone());
            if want.sure == Sure::No {
                state.absent_since = Some(at);
            } else {
                state.absent_since = None;
            }
            if was.sure == Sure::No {
                (state.touched_by_others, state.taken_early) = (false, None);
            }
            if want.sure != Sure::Yes {
                state.begins_anew();
            }
            // A value that is to be another begins anew.
            let goes_on = was.sure == Sure::Yes && want.sure == Sure::Yes && was.value == want.value;
            state.wanted_since = match (want.sure, goes_on) {
                (Sure::Yes, true) => state.wanted_since,
                (Sure::Yes, false) => Some(at),
                _ => None,
            };
            let by = self.deadline(seat.app, at, takes);
            match want.sure {
                Sure::No => self.checks.insert((by, Check::Gone(seat, at))),
                Sure::Yes => self.checks.insert((by, Check::There(seat, at))),
                Sure::Maybe => false,
            };
        }
        self.next_change = self.next_edge(at);
    }

    /// How long it takes in quiet times until something is as it should be in an app.
    pub(super) fn takes(&self, app: usize) -> jiff::SignedDuration {
        let Some(app) = self.plan.apps.get(app) else { return seconds(3) };
        let queues = if app.serialize.is_some() || app.limit.is_some() { 360 } else { 0 };
        let clocks = self.plan.clocks_ms.iter().map(|ms| ms.abs()).max().unwrap_or_default();
        // What a call has changed is believed once it must show by anybody's clock.
        let shows = if app.propagation == 0 { 0 } else { i64::from(app.propagation) + 6 };
        let takes = i64::from(app.asynchronous.unwrap_or_default()) + shows + 3 + queues;
        seconds(takes) + jiff::SignedDuration::from_millis(i64::from(app.latency_ms) * 3 + clocks)
    }

    pub(super) fn next_edge(&self, after: Timestamp) -> Timestamp {
        let mut next = Timestamp::MAX;
        let mut edge = |at: Timestamp| {
            if at > after && at < next {
                next = at;
            }
        };
        for versions in &self.profiles {
            for (from, profile) in versions.iter().rev().take(2) {
                let counts = self.edit_counts(*from);
                edge(*from);
                edge(counts);
                let Some(profile) = profile else { continue };
                edge(plus(counts, seconds(profile.grace.into())));
                for rota in profile.rotations.iter().filter_map(|number| self.rotas.get(*number)) {
                    rota.edges(&Terms::from(profile)).for_each(&mut edge);
                }
            }
        }
        for block in &self.blocks {
            edge(block.from);
            block.until.into_iter().for_each(&mut edge);
        }
        self.given_edges().for_each(&mut edge);
        self.over_edges().for_each(&mut edge);
        self.freed().for_each(&mut edge);
        next
    }
}
