//! Access profiles: named, versioned bundles of entitlements, with who gets them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bug::Bug;
use crate::id::{EntitlementRef, ProfileId, RotationId};
use crate::time::duration_text;

/// At most this many profiles.
pub const MAX_PROFILES: usize = 500;
/// At most this many entitlements in one profile.
pub const MAX_ENTITLEMENTS: usize = 200;

/// Whether a profile acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Grants and revokes.
    #[default]
    Enforce,
    /// Shows what would happen and touches nothing.
    Observe,
}

/// What happens with an override that a person made for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfOverride {
    /// It waits for the lock or for an approver.
    #[default]
    Hold,
    /// It passes and is shown.
    Flag,
}

/// A version of an access profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The profile.
    pub id: ProfileId,
    /// Counts up with each change.
    pub version: u64,
    /// A name for people to read.
    pub name: String,
    /// What it gives, each by the app's immutable ID.
    pub entitlements: Vec<EntitlementRef>,
    /// Whether it acts.
    #[serde(default)]
    pub mode: Mode,
    /// Who gets it without asking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment: Option<Automatic>,
    /// Who may ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_service: Option<SelfService>,
    /// What happens with a self-made override.
    #[serde(default)]
    pub self_override: SelfOverride,
    /// How long a change of the forecast waits before it takes effect, from when it was first seen; zero only flags it.
    #[serde(with = "duration_text")]
    pub override_lock: Duration,
    /// Who may take it at once in an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
}

/// Automatic enrollment: whoever is on call in the rotations gets the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Automatic {
    /// The rotations that give it.
    pub rotations: BTreeSet<RotationId>,
    /// How long before the coverage access begins.
    #[serde(with = "duration_text")]
    pub lead: Duration,
    /// How long after the coverage access ends.
    #[serde(with = "duration_text")]
    pub grace: Duration,
    /// How long a view may stand that no fresh one has confirmed.
    #[serde(with = "duration_text")]
    pub lease: Duration,
}

/// Self-service: whoever is on call in the rotations may ask for the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfService {
    /// The rotations whose people may ask.
    pub rotations: BTreeSet<RotationId>,
    /// The longest that a request may last; never past the end of the coverage and its grace.
    #[serde(with = "duration_text")]
    pub max_duration: Duration,
    /// Whether a justification must be given.
    pub justification_required: bool,
    /// After how long an undecided request expires.
    #[serde(with = "duration_text")]
    pub expires: Duration,
    /// What must pass before the request is approved, in order; none approves at once.
    pub steps: Vec<Step>,
}

/// A step of a request policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Who may approve it.
    pub approvers: Approvers,
    /// How many of them must.
    pub any: u16,
}

/// Who may approve a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approvers {
    /// Whoever is on call in this rotation.
    OnCall(RotationId),
    /// The people with these addresses.
    People(BTreeSet<String>),
    /// Whoever is in one of these groups.
    Groups(BTreeSet<String>),
}

/// Who may take a profile at once in an emergency, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// People, by address.
    #[serde(default)]
    pub people: BTreeSet<String>,
    /// Groups.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// The longest that it may last.
    #[serde(with = "duration_text")]
    pub max_duration: Duration,
}

impl Profile {
    /// Whether people on call in the rotation get the profile without asking.
    #[must_use]
    pub fn enrolls(&self, rotation: &RotationId) -> bool {
        let policy = |id: &RotationId| format!("{}:{}", id.source, id.local().split('@').next().unwrap_or_default());
        let same =
            |id: &RotationId| id == rotation || (Bug::LevelIgnored.is_chosen() && policy(id) == policy(rotation));
        self.enrollment.as_ref().is_some_and(|automatic| automatic.rotations.iter().any(same))
    }

    /// The rotations whose people get the profile, or may ask for it.
    pub fn giving(&self) -> impl Iterator<Item = &RotationId> {
        let enrolled = self.enrollment.iter().flat_map(|rule| &rule.rotations);
        enrolled.chain(self.self_service.iter().flat_map(|service| &service.rotations))
    }

    /// Every rotation that the profile names: those that give it, and those whose people approve.
    pub fn rotations(&self) -> impl Iterator<Item = &RotationId> {
        let approving = self.steps().iter().filter_map(|step| match &step.approvers {
            Approvers::OnCall(rotation) => Some(rotation),
            Approvers::People(_) | Approvers::Groups(_) => None,
        });
        self.giving().chain(approving)
    }

    /// Every address that the profile names: of those who approve, and of those who may take it in an emergency.
    pub fn addresses(&self) -> impl Iterator<Item = &String> {
        let approving = self.steps().iter().filter_map(|step| match &step.approvers {
            Approvers::People(people) => Some(people),
            Approvers::OnCall(_) | Approvers::Groups(_) => None,
        });
        let taking = self.break_glass.iter().map(|rule| &rule.people);
        approving.chain(taking).flatten()
    }

    /// What must pass before a request for it is approved, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        self.self_service.as_ref().map_or(&[], |service| &service.steps)
    }

    /// Whether two versions of a profile say the same.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { version: other.version, ..self.clone() } == *other
    }

    /// Whether people on call in the rotation may ask for the profile.
    #[must_use]
    pub fn offers(&self, rotation: &RotationId) -> bool {
        self.self_service.as_ref().is_some_and(|service| service.rotations.contains(rotation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{automatic, id};

    /// Whoever is on call in `rota:primary` has it, and in `pd:second` may ask for it; three kinds of people approve.
    fn asked() -> Profile {
        let approvers = [
            Approvers::OnCall(id("pd:third")),
            Approvers::People(["lead@example.com".to_owned()].into()),
            Approvers::Groups(["leads".to_owned()].into()),
        ];
        let service = SelfService {
            rotations: [id("pd:second")].into(),
            max_duration: Duration::from_secs(8 * 3_600),
            justification_required: true,
            expires: Duration::from_secs(3_600),
            steps: approvers.map(|approvers| Step { approvers, any: 1 }).into(),
        };
        let people = ["ann@example.com".to_owned()].into();
        let rule = BreakGlass { people, groups: BTreeSet::new(), max_duration: Duration::from_secs(60) };
        Profile { self_service: Some(service), break_glass: Some(rule), ..automatic() }
    }

    #[test]
    fn r4_each_level_of_a_policy_is_a_rotation_of_its_own() {
        let mut profile = automatic();
        profile.enrollment.as_mut().unwrap().rotations = [id("pd:P1@1")].into();
        let enrolled = ["pd:P1@1", "pd:P1@2", "pd:P1", "rota:P1@1"].map(|rotation| profile.enrolls(&id(rotation)));
        assert_eq!(enrolled, [true, false, false, false], "on call as the second is not on call as the first");
    }

    #[test]
    fn what_a_profile_names_is_found_wherever_it_stands() {
        let profile = asked();
        let named = |rotations: Vec<&RotationId>| rotations.into_iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(named(profile.giving().collect()), ["rota:primary", "pd:second"]);
        assert_eq!(named(profile.rotations().collect()), ["rota:primary", "pd:second", "pd:third"]);
        assert_eq!(profile.addresses().collect::<Vec<_>>(), ["lead@example.com", "ann@example.com"]);
    }

    #[test]
    fn r24_a_stored_profile_is_read_as_it_was_written_and_says_the_same_in_another_version() {
        let profile = asked();
        let stored = serde_json::to_value(&profile).unwrap();
        assert_eq!(serde_json::from_value::<Profile>(stored).unwrap(), profile);
        assert!(profile.says_the_same(&Profile { version: 7, ..asked() }));
        assert!(!profile.says_the_same(&Profile { name: "Other".to_owned(), ..asked() }));
    }
}
