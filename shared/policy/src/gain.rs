//! Whether a change of a profile or of the configuration gives its author more than they had: then another administrator
//! must confirm it.
//!
//! What counts is power, not use: whoever could ask for something, take it or pass it has it in their reach, whether or
//! not they are on call today. And whoever has written who is who, who is on call or where access lies could give
//! themselves anything.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::Stretch;
use crate::id::{AppId, EntitlementRef, PersonId, RotationId, SourceId};
use crate::installation::{Installation, Link};
use crate::profile::{Approvers, BreakGlass, Mode, Profile, SelfOverride, SelfService, Step};

/// Whoever makes a change, and by what profiles could mean them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The person.
    pub person: PersonId,
    /// Their addresses.
    pub addresses: BTreeSet<String>,
    /// Their groups, as their token says.
    pub groups: BTreeSet<String>,
    /// The sources that know them: somebody may put them on call there.
    pub sources: BTreeSet<SourceId>,
    /// Rotations whose rota nobody has seen yet: they may be on call there.
    pub unseen: BTreeSet<RotationId>,
}

/// Something that the author could not do before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// They will have it without asking by the rota that is known, or may by one that nobody has seen yet.
    Have(EntitlementRef),
    /// They could ask for it, or have it for longer or past fewer approvers than before.
    Ask(EntitlementRef),
    /// They could take it in an emergency, or for longer than before.
    Take(EntitlementRef),
    /// They could approve it for others.
    Approve(EntitlementRef),
    /// Less stands in the way of putting themselves on call.
    Override,
    /// They have written something by which it is decided who gets what, and who hears of it.
    Configure(Section),
}

/// A part of the configuration. It names no person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// How a platform is reached, and which of its rotations are read.
    Source(SourceId),
    /// How an app is reached.
    App(AppId),
    /// Who is who.
    Links,
    /// A setting of the installation as a whole, by its key.
    Setting(String),
}

/// What a change of the configuration gives whoever has written it, its profiles aside. A source or an app that leaves gives
/// nobody more; of all else, what cannot be shown to give nothing counts.
#[must_use]
pub fn configures(before: &Installation, after: &Installation) -> BTreeSet<Power> {
    let Installation { verified_domains, directory, api, sources, apps, links, profiles: _, sync, brake, notify } =
        after;
    // What retires is what it was before, and only ends.
    let sources = sources.iter().filter(|it| !it.retiring && !before.sources.contains(it));
    let apps = apps.iter().filter(|it| !it.retiring && !before.apps.contains(it));
    let settings = [
        ("verified_domains", *verified_domains != before.verified_domains),
        ("directory", *directory != before.directory),
        ("api", *api != before.api),
        ("sync", *sync != before.sync),
        ("brake", *brake != before.brake),
        ("notify", *notify != before.notify),
    ];
    let settings = settings.into_iter().filter(|(_, differs)| *differs);
    // Whom a link that is gone no longer names is matched by their address, and that may be anybody's.
    let links = (by_person(links) != by_person(&before.links)).then_some(Section::Links);
    let sections = sources.map(|it| Section::Source(it.id.clone()));
    let sections = sections.chain(apps.map(|it| Section::App(it.id.clone()))).chain(links);
    sections.chain(settings.map(|(key, _)| Section::Setting(key.to_owned()))).map(Power::Configure).collect()
}

fn by_person(links: &[Link]) -> BTreeMap<&str, &Link> {
    links.iter().map(|link| (link.person.as_str(), link)).collect()
}

/// What the change gives its author. `foreseen` is what people gain by it under the rota that is known.
#[must_use]
pub fn gain(author: &Author, before: Option<&Profile>, after: &Profile, foreseen: &[Stretch]) -> BTreeSet<Power> {
    let theirs = foreseen.iter().filter(|stretch| stretch.person.id.as_ref() == Some(&author.person));
    let have = |stretch: &Stretch| {
        let (app, kind, id) = (stretch.app.clone(), stretch.kind.clone(), stretch.id.clone());
        Power::Have(EntitlementRef { app, kind, id })
    };
    let mut powers: BTreeSet<Power> = theirs.map(have).collect();
    if after.mode == Mode::Observe {
        return powers;
    }
    let before = before.filter(|profile| profile.mode == Mode::Enforce);
    let had: BTreeSet<&EntitlementRef> = before.iter().flat_map(|profile| &profile.entitlements).collect();
    let mut add = |more: More, power: fn(EntitlementRef) -> Power| {
        let given = after.entitlements.iter().filter(|one| match more {
            More::Everything => true,
            More::WhatIsNew => !had.contains(one),
            More::Nothing => false,
        });
        powers.extend(given.cloned().map(power));
    };
    add(author.may_have(before, after), Power::Have);
    add(author.asks(before, after), Power::Ask);
    add(author.takes(before, after), Power::Take);
    add(author.approves(before, after), Power::Approve);
    // The lock guards those who approve by being on call as it guards those who get it.
    if before.is_some_and(|before| eases_overrides(before, after)) && after.rotations().any(|it| author.is_known(it)) {
        powers.insert(Power::Override);
    }
    powers
}

/// How much of a profile comes into somebody's reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    Nothing,
    /// What the profile did not give before.
    WhatIsNew,
    Everything,
}

impl More {
    fn of(has: bool, had: bool) -> Self {
        match (has, had) {
            (false, _) => Self::Nothing,
            (true, true) => Self::WhatIsNew,
            (true, false) => Self::Everything,
        }
    }
}

impl Author {
    fn is_known(&self, rotation: &RotationId) -> bool {
        self.sources.contains(&rotation.source)
    }

    fn may_have(&self, before: Option<&Profile>, after: &Profile) -> More {
        let unseen = |profile: &Profile| -> BTreeSet<RotationId> {
            let enrolling = profile.enrollment.iter().flat_map(|rule| &rule.rotations);
            enrolling.filter(|it| self.unseen.contains(it) && self.is_known(it)).cloned().collect()
        };
        let now = unseen(after);
        More::of(!now.is_empty(), before.is_some_and(|before| now.is_subset(&unseen(before))))
    }

    fn asks(&self, before: Option<&Profile>, after: &Profile) -> More {
        let known = |service: &SelfService| -> BTreeSet<RotationId> {
            service.rotations.iter().filter(|rotation| self.is_known(rotation)).cloned().collect()
        };
        // Access outlives a duty by it, so it lengthens what may be asked for.
        let grace = |profile: Option<&Profile>| {
            let rule = profile.and_then(|profile| profile.enrollment.as_ref());
            rule.map_or(Duration::ZERO, |rule| rule.grace)
        };
        let Some(now) = &after.self_service else { return More::Nothing };
        let was = before.and_then(|profile| profile.self_service.as_ref());
        let had = was.is_some_and(|was| {
            now.max_duration <= was.max_duration
                && grace(Some(after)) <= grace(before)
                && asks_as_many(&now.steps, &was.steps)
                && known(now).is_subset(&known(was))
        });
        More::of(!known(now).is_empty(), had)
    }

    fn takes(&self, before: Option<&Profile>, after: &Profile) -> More {
        let named =
            |rule: &BreakGlass| !rule.people.is_disjoint(&self.addresses) || !rule.groups.is_disjoint(&self.groups);
        let Some(now) = &after.break_glass else { return More::Nothing };
        let was = before.and_then(|profile| profile.break_glass.as_ref());
        More::of(named(now), was.is_some_and(|was| named(was) && now.max_duration <= was.max_duration))
    }

    fn approves(&self, before: Option<&Profile>, after: &Profile) -> More {
        let named = |step: &Step| match &step.approvers {
            Approvers::OnCall(rotation) => self.is_known(rotation),
            Approvers::People(people) => !people.is_disjoint(&self.addresses),
            Approvers::Groups(groups) => !groups.is_disjoint(&self.groups),
        };
        // With fewer approvals beside theirs, theirs weighs more.
        let had = before
            .is_some_and(|profile| profile.steps().iter().any(named) && asks_as_many(after.steps(), profile.steps()));
        More::of(after.steps().iter().any(named), had)
    }
}

/// Whether every approval that was needed still is, of the same approvers and in the same order.
fn asks_as_many(now: &[Step], was: &[Step]) -> bool {
    let mut left = now.iter();
    was.iter().all(|was| left.any(|now| now.approvers == was.approvers && now.any >= was.any))
}

fn eases_overrides(before: &Profile, after: &Profile) -> bool {
    let flags = before.self_override == SelfOverride::Hold && after.self_override == SelfOverride::Flag;
    flags || after.override_lock < before.override_lock
}
