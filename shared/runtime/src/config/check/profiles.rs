//! Access profiles: what they give, to whom, and who must approve.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dutykey_policy::id::{AccountId, EntitlementRef, RotationId};
use dutykey_policy::installation::{PlatformSettings, Rotations, TargetSettings};
use dutykey_policy::profile::{
    Approvers, Automatic, BreakGlass, MAX_ENTITLEMENTS, MAX_PROFILES, Mode, Profile, SelfOverride, SelfService, Step,
};
use dutykey_policy::time::format_duration;

use super::super::document::{Draft, NamedEntitlement, Wanted};
use super::super::problem::Problems;
use super::super::raw::{
    RawApprovers, RawBreakGlass, RawEnrollment, RawEntitlement, RawJustification, RawMode, RawPolicy, RawProfile,
    RawSelfOverride, RawSelfService,
};
use super::super::read::At;
use super::{DAY, HOUR, Known, MINUTE, duration, known_address, not_empty, seconds, unique};

/// At most this many steps of a request policy.
const MAX_STEPS: usize = 10;
/// A lease must outlast this many reads, so that a few that fail in a row take nobody's access (R8).
const READS_IN_A_LEASE: u32 = 12;

/// The default lead.
const LEAD: Duration = MINUTE;
/// The default lease.
const LEASE: Duration = seconds(4 * 3_600);
/// The default lock.
const LOCK: Duration = seconds(600);
/// After how long an undecided request expires by default.
const EXPIRES: Duration = HOUR;

pub(super) fn profiles(raw: Option<&At<Vec<At<RawProfile>>>>, known: &Known, problems: &mut Problems) -> Vec<Draft> {
    let Some((at, profiles)) = raw.and_then(|at| Some((at, at.get()?))) else { return Vec::new() };
    if profiles.len() > MAX_PROFILES {
        at.problem(problems, format!("are {}; there can be at most {MAX_PROFILES}", profiles.len()));
    }
    let mut seen = BTreeMap::new();
    let mut drafts = Vec::new();
    for at in profiles {
        let Some(raw) = at.get() else { continue };
        unique(&raw.id, &mut seen, problems);
        drafts.extend(profile(at, known, problems));
    }
    drafts
}

/// One profile, by itself.
pub(super) fn profile(at: &At<RawProfile>, known: &Known, problems: &mut Problems) -> Option<Draft> {
    let raw = at.get()?;
    if raw.enrollment.is_none() && raw.self_service.is_none() && raw.break_glass.is_none() {
        at.problem(problems, "gives access to nobody; it needs enrollment, self_service or break_glass");
    }
    let wanted = entitlements(raw, known, problems);
    let enrollment = raw.enrollment.as_ref().and_then(|at| enrollment(at, known, problems));
    let self_service = raw.self_service.as_ref().and_then(|at| self_service(at, known, problems));
    let break_glass = raw.break_glass.as_ref().and_then(|at| break_glass(at, known, problems));
    let override_lock = duration(raw.override_lock.as_ref(), LOCK, (Duration::ZERO, DAY), problems);
    let self_override = raw.self_override.as_ref();
    if let Some(at) = self_override
        && at.get() == Some(&RawSelfOverride::Hold)
        && override_lock.is_zero()
    {
        at.problem(problems, "cannot be `hold` with an override_lock of 0, which only flags; write `flag`, or a lock");
    }
    let profile = Profile {
        id: raw.id.get()?.clone(),
        version: 0,
        name: raw.name.get()?.clone(),
        entitlements: Vec::new(),
        mode: match raw.mode.as_ref().and_then(At::get) {
            Some(RawMode::Observe) => Mode::Observe,
            Some(RawMode::Enforce) | None => Mode::Enforce,
        },
        enrollment,
        self_service,
        self_override: match self_override.and_then(At::get) {
            Some(RawSelfOverride::Flag) => SelfOverride::Flag,
            Some(RawSelfOverride::Hold) | None => SelfOverride::Hold,
        },
        override_lock,
        break_glass,
    };
    Some(Draft { profile, wanted })
}

fn entitlements(raw: &RawProfile, known: &Known, problems: &mut Problems) -> Vec<Wanted> {
    let Some(entitlements) = raw.entitlements.get() else { return Vec::new() };
    not_empty(&raw.entitlements, problems);
    if entitlements.len() > MAX_ENTITLEMENTS {
        let count = entitlements.len();
        raw.entitlements.problem(problems, format!("are {count}; a profile can have at most {MAX_ENTITLEMENTS}"));
    }
    let mut seen = BTreeMap::new();
    let mut wanted = Vec::new();
    for at in entitlements {
        let Some(entitlement) = at.get() else { continue };
        let (app, kind) = (entitlement.app.get(), entitlement.kind.get());
        check_app(entitlement, known, problems);
        let (id, name) = (entitlement.id.as_ref(), entitlement.name.as_ref());
        let given = match (id, name) {
            (Some(id), None) => id,
            (None, Some(name)) => name,
            (Some(_), Some(name)) => {
                name.problem(problems, "stands beside an id; only one of the two can be true");
                continue;
            }
            (None, None) => {
                at.problem(problems, "needs an id or a name");
                continue;
            }
        };
        let (Some(app), Some(kind), Some(text)) = (app, kind, given.get()) else { continue };
        if id.is_some() && text.parse::<AccountId>().is_err() {
            given.problem(problems, "is not an ID: 1 to 256 characters");
        }
        let whole = format!("{app}/{kind}/{}/{text}", if id.is_some() { "id" } else { "name" });
        unique(&At { line: at.line, key: at.key.clone(), value: Some(whole) }, &mut seen, problems);
        let (app, kind, text) = (app.clone(), kind.clone(), text.clone());
        wanted.extend(match (id, raw.id.get().cloned()) {
            (Some(_), _) => Some(Wanted::Pinned(EntitlementRef { app, kind, id: text })),
            (None, Some(profile)) => {
                let (line, key) = (given.line, given.key.clone());
                Some(Wanted::Named(NamedEntitlement { profile, app, kind, name: text, line, key }))
            }
            (None, None) => None,
        });
    }
    wanted
}

/// The app must be there and have entitlements of the kind.
fn check_app(raw: &RawEntitlement, known: &Known, problems: &mut Problems) {
    let Some(app) = raw.app.get() else { return };
    if !known.app_ids.contains(app.as_str()) {
        raw.app.problem(problems, format!("`{app}` is not a configured app"));
    }
    let scim = known.apps.get(app).is_some_and(|app| matches!(app.settings, TargetSettings::Scim { .. }));
    if scim && raw.kind.get().is_some_and(|kind| kind != "group") {
        raw.kind.problem(problems, "must be `group`: a SCIM app has no others");
    }
}

/// The rotations of a list, each one that a source of the file has.
fn rotations(raw: &At<Vec<At<RotationId>>>, known: &Known, problems: &mut Problems) -> BTreeSet<RotationId> {
    not_empty(raw, problems);
    let mut seen = BTreeMap::new();
    let listed = raw.get().map_or(&[][..], Vec::as_slice);
    for at in listed {
        unique(at, &mut seen, problems);
        rotation(at, known, problems);
    }
    seen.into_keys().collect()
}

/// The rotation must be one that its source has, as far as the file tells.
fn rotation(at: &At<RotationId>, known: &Known, problems: &mut Problems) {
    let Some(id) = at.get() else { return };
    if !known.source_ids.contains(id.source.as_str()) {
        return at.problem(problems, format!("`{}` is not a configured source", id.source));
    }
    let Some(source) = known.sources.get(&id.source) else { return };
    if let PlatformSettings::Icalendar { rotation, .. } = &source.settings {
        if id.level.is_some() {
            at.problem(problems, format!("has a level, but `{}` is a calendar, which has none", id.source));
        } else if id.key != *rotation {
            at.problem(problems, format!("is not a rotation of `{0}`; its only one is {0}:{rotation}", id.source));
        }
    }
    if let Rotations::Listed(listed) = &source.rotations
        && !listed.contains(&id.local())
    {
        at.problem(problems, format!("is not among the rotations that `{}` is told to read; add it there", id.source));
    }
}

fn enrollment(at: &At<RawEnrollment>, known: &Known, problems: &mut Problems) -> Option<Automatic> {
    let raw = at.get()?;
    let rotations = rotations(&raw.rotations, known, problems);
    let lead = duration(raw.lead.as_ref(), LEAD, (Duration::ZERO, known.horizon.max(LEAD)), problems);
    let grace = duration(raw.grace.as_ref(), Duration::ZERO, (Duration::ZERO, 30 * DAY), problems);
    let lease = raw.lease.as_ref().map_or(Some(LEASE), |at| at.get().map(|lease| lease.0))?;
    let slowest =
        rotations.iter().filter_map(|rotation| Some((known.every(&rotation.source)?, &rotation.source))).max();
    if let Some((every, source)) = slowest
        && lease < every * READS_IN_A_LEASE
    {
        let (line, key) = match &raw.lease {
            Some(at) => (at.line, at.key.clone()),
            None => (at.line, format!("{}.lease", at.key)),
        };
        let (lease, every, least) =
            (format_duration(lease), format_duration(every), format_duration(every * READS_IN_A_LEASE));
        let message = format!(
            "{lease} is shorter than {READS_IN_A_LEASE} reads of `{source}`, which is read every {every}; it must be at \
             least {least}"
        );
        problems.add(line, key, message);
    }
    Some(Automatic { rotations, lead, grace, lease })
}

fn self_service(at: &At<RawSelfService>, known: &Known, problems: &mut Problems) -> Option<SelfService> {
    let raw = at.get()?;
    let rotations = rotations(&raw.rotations, known, problems);
    let some_time = (seconds(1), 400 * DAY);
    let max_duration = duration(Some(&raw.max_duration), Duration::ZERO, some_time, problems);
    let expires = duration(raw.expires.as_ref(), EXPIRES, some_time, problems);
    let steps = match raw.policy.get()? {
        RawPolicy::AutoApprove(_) => Vec::new(),
        RawPolicy::Steps(steps) => {
            if steps.is_empty() {
                raw.policy.problem(problems, "has no step; to approve without anybody write `auto_approve`");
            }
            if steps.len() > MAX_STEPS {
                raw.policy.problem(problems, format!("has {} steps; there can be at most {MAX_STEPS}", steps.len()));
            }
            let step = |at: &At<_>| step(at, &rotations, known, problems);
            steps.iter().filter_map(|step| Some(&step.get()?.approvers)).filter_map(step).collect()
        }
    };
    let justification_required = raw.justification.as_ref().and_then(At::get) != Some(&RawJustification::Optional);
    Some(SelfService { rotations, max_duration, justification_required, expires, steps })
}

/// A step. One that nobody could ever pass is refused: a person never approves their own request.
fn step(at: &At<RawApprovers>, asking: &BTreeSet<RotationId>, known: &Known, problems: &mut Problems) -> Option<Step> {
    let raw = at.get()?;
    let approvers = match (&raw.on_call, &raw.people, &raw.groups) {
        (Some(on_call), None, None) => {
            rotation(on_call, known, problems);
            let id = on_call.get()?;
            if asking.contains(id) {
                let message =
                    "is on call where the request comes from, and nobody approves their own request; name another";
                on_call.problem(problems, message);
            }
            Approvers::OnCall(id.clone())
        }
        (None, Some(people), None) => Approvers::People(addresses(people, known, problems)),
        (None, None, Some(groups)) => Approvers::Groups(texts(groups, problems)),
        _ => {
            at.problem(problems, "must name exactly one of on_call, people and groups");
            return None;
        }
    };
    let any = match &raw.any {
        None => 1,
        Some(any) => {
            let wanted = *any.get()?;
            let people = match &approvers {
                Approvers::People(people) => people.len().max(1),
                Approvers::OnCall(_) | Approvers::Groups(_) => 100,
            };
            match u16::try_from(wanted).ok().filter(|n| *n >= 1 && usize::from(*n) <= people) {
                Some(wanted) => wanted,
                None => {
                    any.problem(problems, format!("{wanted} approvals cannot be had; it must be from 1 to {people}"));
                    return None;
                }
            }
        }
    };
    Some(Step { approvers, any })
}

fn break_glass(at: &At<RawBreakGlass>, known: &Known, problems: &mut Problems) -> Option<BreakGlass> {
    let raw = at.get()?;
    if raw.people.is_none() && raw.groups.is_none() {
        at.problem(problems, "names nobody; it needs people or groups");
    }
    Some(BreakGlass {
        people: raw.people.as_ref().map(|people| addresses(people, known, problems)).unwrap_or_default(),
        groups: raw.groups.as_ref().map(|groups| texts(groups, problems)).unwrap_or_default(),
        max_duration: duration(Some(&raw.max_duration), Duration::ZERO, (seconds(1), 400 * DAY), problems),
    })
}

fn addresses(raw: &At<Vec<At<String>>>, known: &Known, problems: &mut Problems) -> BTreeSet<String> {
    not_empty(raw, problems);
    raw.get().into_iter().flatten().filter_map(|at| known_address(at, known, problems)).collect()
}

fn texts(raw: &At<Vec<At<String>>>, problems: &mut Problems) -> BTreeSet<String> {
    not_empty(raw, problems);
    raw.get().into_iter().flatten().filter_map(|at| at.get().cloned()).collect()
}
