//! Escalation policies: each level of one is a rotation.

use dutykey_engine::ports::platform::PlatformError;
use serde::Deserialize;

use super::http::{Failed, Http};
use super::schedule::{Kind, Reference};

/// An escalation policy. Its rules are in order, and level N is the rule N, from 1.
#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) escalation_rules: Vec<Rule>,
}

/// Whom a level pages. With round robin it pages one of them per incident; all of them are on call.
#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    pub(super) targets: Vec<Reference>,
}

/// What a level points at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// Somebody by name.
    User(&'a str),
    /// Whoever is on call in a schedule.
    Schedule(&'a str, Kind),
}

impl<'a> Target<'a> {
    /// What a reference of a level means; `None` for a type that is not known.
    pub(super) fn of(reference: &'a Reference) -> Option<Self> {
        match reference.r#type.as_deref()? {
            "user" | "user_reference" => Some(Self::User(&reference.id)),
            "schedule" | "schedule_reference" => Some(Self::Schedule(&reference.id, Kind::Layered)),
            "schedule_v3" | "schedule_v3_reference" => Some(Self::Schedule(&reference.id, Kind::ShiftBased)),
            _ => None,
        }
    }
}

impl Rule {
    /// Everything that the level points at.
    ///
    /// # Errors
    /// `Faulty` where it points at nothing, which PagerDuty does not allow, or at something unknown.
    pub(super) fn targets(&self) -> Result<Vec<Target<'_>>, PlatformError> {
        if self.targets.is_empty() {
            return Err(PlatformError::Faulty("a level of an escalation policy has no targets".to_owned()));
        }
        let unknown = || PlatformError::Faulty("an escalation policy has a target of an unknown type".to_owned());
        self.targets.iter().map(|target| Target::of(target).ok_or_else(unknown)).collect()
    }
}

#[derive(Deserialize)]
struct Answered {
    escalation_policy: Policy,
}

/// One policy.
pub(super) async fn get(http: &Http, id: &str) -> Result<Policy, Failed> {
    Ok(http.get::<Answered>(&["escalation_policies", id], &[]).await?.body.escalation_policy)
}
