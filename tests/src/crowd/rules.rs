//! What is configured: a source, an app, and two profiles for each team.

use std::collections::BTreeSet;
use std::time::Duration;

use dutykey_policy::id::{EntitlementRef, IdError, ProfileId, RotationId};
use dutykey_policy::installation::{App, Installation, PlatformSettings, Rotations, SecretRef, Source, TargetSettings};
use dutykey_policy::profile::{Approvers, Automatic, Mode, Profile, SelfOverride, SelfService, Step};

use super::names::{APP, SOURCE, entitlement, given_id, offered_id, rotation_id};
use super::{ADMINS, AUDIT, Crowd, CrowdError, HOUR, LEADS, TEAM};

impl Crowd {
    pub(super) fn installation(&self) -> Result<Installation, CrowdError> {
        let teams = self.size.rotations.div_ceil(TEAM);
        let mut profiles = Vec::new();
        for team in 0..teams {
            let rotations = team * TEAM..self.size.rotations.min((team + 1) * TEAM);
            let rotations: BTreeSet<RotationId> = rotations.map(rotation_id).collect::<Result<_, _>>()?;
            profiles.extend([self.given(team, rotations.clone())?, offered(team, rotations)?]);
        }
        let token = SecretRef::Env("NOBODY_ASKS".to_owned());
        let source = Source {
            id: SOURCE.parse()?,
            settings: PlatformSettings::Pagerduty {
                base_url: "https://api.pagerduty.com".to_owned(),
                token: token.clone(),
                webhook_secrets: Vec::new(),
            },
            rotations: Rotations::All,
            every: 5 * HOUR / 60,
            retiring: false,
        };
        let base_url = "https://scim.example.com/v2".to_owned();
        let settings = TargetSettings::Scim { base_url, token, propagation: None };
        let mut installation = Installation {
            verified_domains: vec!["example.com".to_owned()],
            sources: vec![source],
            apps: vec![App { id: APP.parse()?, settings, retiring: false }],
            profiles,
            ..Installation::default()
        };
        installation.api.administrators = vec![ADMINS.to_owned()];
        installation.api.auditors = vec![AUDIT.to_owned()];
        Ok(installation)
    }

    /// What a team's people on call have.
    fn given(&self, team: u32, rotations: BTreeSet<RotationId>) -> Result<Profile, CrowdError> {
        let rule = Automatic { rotations, lead: HOUR / 60, grace: HOUR / 6, lease: 4 * HOUR };
        let entitlements: Result<_, IdError> =
            (0..self.size.holds / self.size.rotations).map(|group| entitlement(team, group)).collect();
        Ok(Profile { enrollment: Some(rule), ..profile(given_id(team)?, format!("Team {team}"), entitlements?) })
    }
}

/// What a team's people on call may ask for.
fn offered(team: u32, rotations: BTreeSet<RotationId>) -> Result<Profile, CrowdError> {
    let service = SelfService {
        rotations,
        max_duration: 4 * HOUR,
        justification_required: true,
        expires: HOUR,
        steps: vec![Step { approvers: Approvers::Groups([LEADS.to_owned()].into()), any: 1 }],
    };
    let entitlements = vec![entitlement(team, 1_000)?];
    let name = format!("Team {team}, in trouble");
    Ok(Profile { self_service: Some(service), ..profile(offered_id(team)?, name, entitlements) })
}

fn profile(id: ProfileId, name: String, entitlements: Vec<EntitlementRef>) -> Profile {
    Profile {
        id,
        version: 1,
        name,
        entitlements,
        mode: Mode::Enforce,
        enrollment: None,
        self_service: None,
        self_override: SelfOverride::Hold,
        override_lock: Duration::ZERO,
        break_glass: None,
    }
}
