//! What should be true of a person at an instant: for each place in each of their accounts, the live reasons.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::block::{Block, Reach};
use crate::bug::Bug;
use crate::emergency;
use crate::enrollment::{Enrollment, Origin, Period};
use crate::id::{AppId, EntitlementRef, HoldKey, Place, ProfileId, RotationId, UserId};
use crate::identity::{Account, Person};
use crate::profile::{Mode, Profile};
use crate::time::{earlier, later};

/// How long before a period begins the person's accounts are looked up, so that doubt is shown in time.
pub const READINESS: Duration = Duration::from_secs(24 * 3_600);

/// After a pause of our own no lease ends before a read has failed or this long has passed.
pub const RESUME: Duration = Duration::from_secs(600);

/// Why a person should hold a profile, over `[from, until)`, lead and grace inside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    /// The profile that gives it.
    pub profile: ProfileId,
    /// The profile's version when the reason was last read.
    pub version: u64,
    /// What brought the person into the profile.
    pub origin: Origin,
    /// When it began.
    pub from: Timestamp,
    /// When it ends by what is known now. An open end is the end of the view's lease.
    pub until: Timestamp,
    /// Whether the end moves on with each fresh view.
    #[serde(default)]
    pub rolling: bool,
    /// When Dutykey learnt of the beginning.
    pub from_known: Timestamp,
    /// When Dutykey learnt of the end.
    pub until_known: Timestamp,
}

/// How fresh the view of a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// When a complete view was last read.
    pub fresh_at: Timestamp,
    /// When a read last failed.
    pub failed_at: Option<Timestamp>,
    /// When Dutykey itself last resumed after a pause.
    pub resumed_at: Option<Timestamp>,
    /// Until when an administrator has prolonged the lease.
    pub prolonged_until: Option<Timestamp>,
}

impl Freshness {
    /// Whether nothing confirms the view: its last read has failed, or half of a lease has passed since it was fresh.
    #[must_use]
    pub fn is_stale(&self, lease: Duration, now: Timestamp) -> bool {
        // Where no read fails none may be made at all: then half of the lease tells.
        self.failed_at.is_some() || later(self.fresh_at, lease / 2) <= now
    }

    /// When a lease on the view runs out, whatever Dutykey itself was doing then.
    #[must_use]
    pub fn runs_out(&self, lease: Duration) -> Timestamp {
        later(self.fresh_at, lease).max(self.prolonged_until.unwrap_or(Timestamp::MIN))
    }

    /// When a lease on the view ends. After a pause of our own it does not end before the platform has been asked: until
    /// then what has run out keeps what is there, and begins nothing.
    #[must_use]
    pub fn lease_end(&self, lease: Duration) -> Timestamp {
        let end = self.runs_out(lease);
        match self.resumed_at {
            Some(resumed)
                if !Bug::LeaseAfterPause.is_chosen() && self.failed_at.is_none_or(|failed| failed < resumed) =>
            {
                end.max(later(resumed, RESUME))
            }
            _ => end,
        }
    }

    /// When it was known that a lease on the view had ended. After a pause of our own that is when the platform was asked
    /// and did not answer, however long ago the lease had ended by then.
    fn lease_end_known(&self, lease: Duration) -> Timestamp {
        let end = self.lease_end(lease);
        match (self.resumed_at, self.failed_at) {
            (Some(resumed), Some(failed)) => end.max(failed.min(later(resumed, RESUME))),
            _ => end,
        }
    }
}

/// What a target's adapter says of an entitlement: where it sits, and as what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Where it sits in an account.
    pub place: Place,
    /// As what.
    pub shape: Shape,
}

/// As what an entitlement sits in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// There or not there: membership of a set.
    Member,
    /// One of several values that exclude each other; the higher rank gives more.
    Value {
        /// The adapter's order.
        rank: i64,
        /// The value.
        value: String,
    },
}

/// What should be in one place, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The highest that a live reason wants.
    pub shape: Shape,
    /// Every live reason.
    pub reasons: Vec<Reason>,
    /// Whether nothing may be begun for it: a freeze says so, or each reason lives on only until its platform was asked after
    /// a pause of our own.
    pub frozen: bool,
}

impl Want {
    /// When the last reason ends.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.reasons.iter().map(|reason| reason.until).max().unwrap_or(Timestamp::MIN)
    }

    /// When access was due and when that was known: of the reason that began first.
    #[must_use]
    pub fn began(&self) -> (Timestamp, Timestamp) {
        let first = self.reasons.iter().min_by_key(|reason| reason.from);
        first.map_or((Timestamp::MIN, Timestamp::MIN), |reason| (reason.from, reason.from_known))
    }
}

/// Everything that is wanted for a person at an instant, and when that changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// What should be where.
    pub places: BTreeMap<HoldKey, Want>,
    /// Apps in which the person needs an account within a day and has none pinned.
    pub unresolved: BTreeSet<AppId>,
    /// What profiles in mode `observe` would give.
    pub observed: Vec<(EntitlementRef, Reason)>,
    /// The next instant at which something may begin.
    pub next_start: Option<Timestamp>,
    /// The next instant at which something may end.
    pub next_end: Option<Timestamp>,
}

/// What is read beside a person's own items.
pub trait Rules {
    /// The current version of a profile; `None` once it was deleted.
    fn profile(&self, id: &ProfileId) -> Option<&Profile>;
    /// A version of a profile that an enrollment never grows beyond; `None` where it cannot be had.
    fn version(&self, id: &ProfileId, version: u64) -> Option<&Profile>;
    /// How fresh a rotation's view is; `None` where it was never read.
    fn freshness(&self, rotation: &RotationId) -> Option<Freshness>;
    /// Until when a profile's lock keeps a user waiting for coverage of the rotation, where it does.
    fn lock(&self, rotation: &RotationId, user: &UserId, profile: &ProfileId) -> Option<Timestamp>;
    /// Every block that may be in force.
    fn blocks(&self) -> &[Block];
    /// Where an entitlement sits; `None` where its app is unknown or does not have it.
    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot>;
    /// Whether anything may be held in the app: it can be reached, and is not being retired.
    fn grants(&self, app: &AppId) -> bool;
}

/// The live and the next reasons that an enrollment gives.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) reason: Option<Reason>,
    /// Whether the lease has run out, and the reason lives on only until the platform was asked.
    run_out: bool,
    pub(crate) next_start: Option<Timestamp>,
    next_end: Option<Timestamp>,
}

pub(crate) fn live(enrollment: &Enrollment, profile: &Profile, rules: &impl Rules, now: Timestamp) -> Live {
    let (lease_end, runs_out) = match &enrollment.origin {
        // A rotation that has left the profile gives nothing, now or later (R23).
        Origin::Coverage(rotation) if !profile.enrolls(rotation) => return Live::default(),
        Origin::Coverage(rotation) => match (&profile.enrollment, rules.freshness(rotation)) {
            (Some(rule), Some(fresh)) => (fresh.lease_end(rule.lease), fresh.runs_out(rule.lease)),
            _ => (Timestamp::MIN, Timestamp::MIN),
        },
        Origin::Request(_) | Origin::BreakGlass(_) => (Timestamp::MAX, Timestamp::MAX),
    };
    // What was taken in an emergency ends with the offer, and no later than its limit allows by now (R17).
    let limit = |period: &Period| match &enrollment.origin {
        Origin::BreakGlass(_) => emergency::limit(profile, period.from),
        Origin::Coverage(_) | Origin::Request(_) => Timestamp::MAX,
    };
    let until = |period: &Period| period.until.at().unwrap_or(lease_end).min(limit(period));
    let running = enrollment.periods.iter().find(|period| period.from <= now && now < until(period).min(lease_end));
    let reason = running.map(|period| Reason {
        profile: profile.id.clone(),
        version: profile.version,
        origin: enrollment.origin.clone(),
        from: period.from,
        until: until(period),
        rolling: period.until.at().is_none(),
        from_known: period.from_known,
        until_known: period.until_known,
    });
    Live {
        // A lease's end moves on with each fresh view and is watched on the rotation, not on each person.
        next_end: running.filter(|period| period.until.at().is_some()).map(until),
        next_start: enrollment.periods.iter().map(|period| period.from).filter(|from| *from > now).min(),
        run_out: runs_out <= now,
        reason,
    }
}

fn earliest(a: &mut Option<Timestamp>, b: Option<Timestamp>) {
    *a = match (*a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

/// What should be true of the person at `now`. Linear in their enrollments and what these give.
#[must_use]
pub fn wants(person: &Person, enrollments: &[Enrollment], rules: &impl Rules, now: Timestamp) -> Wants {
    let mut wants = Wants::default();
    let inactive = person.active == Some(false);
    for block in rules.blocks() {
        if block.denied.person().is_none_or(|denied| *denied == person.id) {
            earliest(&mut wants.next_end, Some(block.from).filter(|at| *at > now));
            earliest(&mut wants.next_start, block.until.filter(|at| *at > now));
        }
    }
    for enrollment in enrollments {
        let Some(profile) = rules.profile(&enrollment.profile) else { continue };
        let live = live(enrollment, profile, rules, now);
        let soon = live.next_start.is_some_and(|start| start <= later(now, READINESS));
        let ready = live.next_start.map(|start| earlier(start, READINESS)).filter(|at| *at > now);
        earliest(&mut wants.next_start, live.next_start);
        earliest(&mut wants.next_end, live.next_end);
        // What was asked for or taken never grows: it gives what is in both versions (R17).
        let grows = Bug::ApprovalGrows.is_chosen();
        let bound = enrollment.version.filter(|version| *version != profile.version && !grows);
        let then = bound.map(|version| rules.version(&profile.id, version).map_or(&[][..], |then| &then.entitlements));
        for entitlement in profile.entitlements.iter().filter(|one| then.is_none_or(|then| then.contains(one))) {
            if profile.mode == Mode::Observe {
                wants.observed.extend(live.reason.clone().map(|reason| (entitlement.clone(), reason)));
                continue;
            }
            if !rules.grants(&entitlement.app) {
                continue;
            }
            let account = match person.accounts.get(&entitlement.app) {
                Some(Account::Linked(account)) => account,
                Some(Account::Doubtful { again, .. }) if *again > now => {
                    let needed = if live.reason.is_some() || soon { Some(*again) } else { ready };
                    earliest(&mut wants.next_start, needed);
                    continue;
                }
                _ => {
                    if (live.reason.is_some() || soon) && !inactive {
                        wants.unresolved.insert(entitlement.app.clone());
                    } else {
                        earliest(&mut wants.next_start, ready);
                    }
                    continue;
                }
            };
            let (Some(reason), Some(slot)) = (&live.reason, rules.slot(entitlement)) else { continue };
            let denying = || {
                let denies = |block: &&Block| block.denies(&person.id, &profile.id, &entitlement.app);
                let live = rules.blocks().iter().filter(|block| block.live(now) && !Bug::BlockIgnored.is_chosen());
                live.filter(denies)
            };
            if inactive || denying().any(|block| block.reach == Reach::Revoke) {
                continue;
            }
            let frozen = live.run_out || denying().any(|block| block.reach.freezes(&enrollment.origin));
            let key = HoldKey { app: entitlement.app.clone(), account: account.clone(), place: slot.place };
            let want = wants.places.entry(key).or_insert_with(|| Want {
                shape: slot.shape.clone(),
                reasons: Vec::new(),
                frozen: true,
            });
            want.shape = want.shape.clone().max(slot.shape);
            want.frozen &= frozen;
            if !want.reasons.contains(reason) {
                want.reasons.push(reason.clone());
            }
        }
    }
    for want in wants.places.values_mut() {
        want.reasons.sort();
    }
    wants
}

/// When the last of these reasons ended and when that was known, for a hold whose reasons no longer live.
///
/// What no period explains (a block, an edited profile, an enrollment given back) ended when it was found.
#[must_use]
pub fn ended(
    reasons: &[Reason],
    enrollments: &[Enrollment],
    rules: &impl Rules,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let end = |reason: &Reason| -> (Timestamp, Timestamp) {
        let enrollment = enrollments.iter().find(|e| e.profile == reason.profile && e.origin == reason.origin);
        let period = enrollment.and_then(|e| {
            e.periods.iter().filter(|p| p.from < reason.until && reason.from < p.until.or_max()).max_by_key(|p| p.from)
        });
        let leased = match (&reason.origin, rules.profile(&reason.profile).and_then(|p| p.enrollment.as_ref())) {
            (Origin::Coverage(rotation), Some(rule)) => {
                rules.freshness(rotation).map(|fresh| (fresh.lease_end(rule.lease), fresh.lease_end_known(rule.lease)))
            }
            _ => None,
        };
        let forecast = period.and_then(|p| p.until.at().map(|until| (until, p.until_known)));
        [forecast, leased].into_iter().flatten().filter(|(at, _)| *at <= now).min().unwrap_or((now, now))
    };
    reasons.iter().map(end).max().unwrap_or((now, now))
}
