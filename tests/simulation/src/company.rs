//! The configuration of a plan's company.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dutykey_policy::id::{EntitlementRef, RotationId};
use dutykey_policy::installation::{self, Installation, Link, PlatformSettings, Rotations, Source, TargetSettings};
use dutykey_policy::profile::{Approvers, Automatic, BreakGlass, Profile, SelfService, Step};
use serde_json::Value;

use crate::plan::{self, LONGEST, Offer, Plan, System, What};

/// Whoever may decide is in this group.
pub(crate) const APPROVERS: &str = "approvers";
/// Whoever may take a profile in an emergency is in this one.
pub(crate) const RESCUERS: &str = "rescuers";

/// The configuration, with these profiles, and without what has retired.
///
/// # Errors
/// An ID of the plan is none.
pub(crate) fn installation(
    plan: &Plan,
    profiles: &[Option<plan::Profile>],
    retired: &BTreeSet<System>,
) -> anyhow::Result<Installation> {
    let sources: BTreeSet<&String> = plan.rotations.iter().map(|rotation| &rotation.source).collect();
    let mut installation = Installation {
        verified_domains: vec!["example.com".to_owned()],
        directory: plan.apps.first().filter(|_| plan.directory).map(|app| app.id.clone()),
        ..Installation::default()
    };
    for source in sources {
        installation.sources.push(Source {
            id: source.parse()?,
            settings: PlatformSettings::Sandbox { script: Value::Null },
            rotations: Rotations::All,
            every: installation.sync.every,
            retiring: retired.contains(&System::Source(source.clone())),
        });
    }
    for (number, app) in plan.apps.iter().enumerate() {
        let settings = TargetSettings::Sandbox { script: Value::Null };
        let retiring = retired.contains(&System::App(number));
        installation.apps.push(installation::App { id: app.id.parse()?, settings, retiring });
    }
    for linked in &plan.links {
        let (Some(human), Some(account)) = (plan.people.get(linked.person), plan.account(linked.to)) else { continue };
        let apps = installation.apps.iter().map(|app| (app.id.clone(), account.to_owned())).collect();
        installation.links.push(Link { person: human.address.to_lowercase(), sources: BTreeMap::new(), apps });
    }
    for profile in profiles.iter().flatten() {
        installation.profiles.push(of(plan, profile)?);
    }
    Ok(installation)
}

fn of(plan: &Plan, profile: &plan::Profile) -> anyhow::Result<Profile> {
    let long = |seconds: u32| Duration::from_secs(seconds.into());
    let mut rotations: BTreeSet<RotationId> = BTreeSet::new();
    for rotation in profile.rotations.iter().filter_map(|number| plan.rotations.get(*number)) {
        rotations.insert(format!("{}:{}", rotation.source, rotation.id).parse()?);
    }
    let mut entitlements = Vec::new();
    for gives in &profile.gives {
        let Some(app) = plan.apps.get(gives.app) else { continue };
        let (kind, id) = match gives.what {
            What::Group(number) => ("group", app.groups.get(number).map(|group| &group.id)),
            What::Role(number) => ("role", app.roles.get(number)),
        };
        let Some(id) = id else { continue };
        entitlements.push(EntitlementRef { app: app.id.parse()?, kind: kind.to_owned(), id: id.clone() });
    }
    let approvers = Step { approvers: Approvers::Groups([APPROVERS.to_owned()].into()), any: 1 };
    let steps = match profile.offer {
        Offer::None => None,
        Offer::Asked => Some(Vec::new()),
        Offer::Approved => Some(vec![approvers]),
    };
    let (people, groups) = (BTreeSet::new(), [RESCUERS.to_owned()].into());
    let break_glass = steps.as_ref().map(|_| BreakGlass { people, groups, max_duration: long(LONGEST) });
    let service = steps.map(|steps| SelfService {
        rotations: rotations.clone(),
        max_duration: long(LONGEST),
        justification_required: false,
        expires: long(LONGEST),
        steps,
    });
    Ok(Profile {
        id: profile.id.parse()?,
        version: 0,
        name: profile.id.clone(),
        entitlements,
        mode: Default::default(),
        enrollment: profile.enrolls.then(|| Automatic {
            rotations,
            lead: long(profile.lead),
            grace: long(profile.grace),
            lease: long(profile.lease),
        }),
        self_service: service,
        self_override: Default::default(),
        override_lock: long(profile.lock),
        break_glass,
    })
}
