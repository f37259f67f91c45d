//! Break-glass: somebody whom a profile names takes it at once, for a while. Nobody approves it before; everybody is told,
//! and it stays to be reviewed until somebody else has done so.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::enrollment::{Enrollment, Origin, Period};
use crate::evidence::Draft;
use crate::id::{EmergencyId, PersonId, ProfileId};
use crate::profile::{Mode, Profile};
use crate::request::{Access, Wish};
use crate::rota::End;
use crate::time::{later, rfc3339};

/// That somebody else has looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Who.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// The salted digest of what they say of it.
    pub comment: String,
}

/// A profile that somebody took in an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// Names it.
    pub id: EmergencyId,
    /// Who took it.
    pub person: PersonId,
    /// What.
    pub profile: ProfileId,
    /// The version of the profile that was taken: access never grows beyond it.
    pub version: u64,
    /// The access that it gives, or gave.
    pub access: Access,
    /// The salted digest of the justification.
    pub justification: String,
    /// The incident that it is for, as its taker named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Its review; `None` while it waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
}

/// Why something is not possible. Each is something else for whoever tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The profile names others, or nobody.
    #[error("the profile does not name this person for emergencies; ask for it in the ordinary way")]
    NotNamed,
    /// The profile is in mode `observe`.
    #[error("the profile only observes: it gives nothing to anybody, not even in an emergency")]
    Observes,
    /// A block denies it.
    #[error("a block denies it")]
    Blocked,
    /// No justification was given.
    #[error("an emergency needs a justification")]
    Unjustified,
    /// It is wanted for no time, or for longer than the profile allows.
    #[error("it is wanted for no time, or for longer than the profile allows in an emergency")]
    Duration,
    /// It gives no access any more.
    #[error("it gives no access any more")]
    Over,
    /// Nobody reviews what they took themselves.
    #[error("nobody reviews an emergency of their own")]
    OwnReview,
    /// It was reviewed before.
    #[error("it was reviewed before")]
    Reviewed,
}

/// What is known of somebody at the instant at which they take a profile.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Whether the profile names them, or a group of theirs.
    pub named: bool,
    /// Whether a block denies them the profile, or keeps even break-glass from being begun.
    pub blocked: bool,
    /// The instant.
    pub now: Timestamp,
}

impl Emergency {
    /// Takes the profile.
    ///
    /// # Errors
    /// The profile does not name them or gives nothing, a block denies it, or what they want of it cannot be had.
    pub fn taken(
        id: EmergencyId,
        person: PersonId,
        profile: &Profile,
        wish: Wish,
        known: Known,
    ) -> Result<Self, Refusal> {
        let rule = profile.break_glass.as_ref().filter(|_| known.named).ok_or(Refusal::NotNamed)?;
        if profile.mode == Mode::Observe {
            return Err(Refusal::Observes);
        }
        if known.blocked {
            return Err(Refusal::Blocked);
        }
        let Wish { wanted, justification, incident } = wish;
        let justification = justification.ok_or(Refusal::Unjustified)?;
        if wanted.is_zero() || wanted > rule.max_duration {
            return Err(Refusal::Duration);
        }
        let (now, until) = (known.now, later(known.now, wanted));
        let access = Access { from: now, until, until_known: now };
        let (profile, version) = (profile.id.clone(), profile.version);
        Ok(Self { id, person, profile, version, access, justification, incident, review: None })
    }

    /// Gives back early what was taken: at once and without grace. It stays to be reviewed.
    ///
    /// # Errors
    /// It gives no access any more.
    pub fn given_back(&self, now: Timestamp) -> Result<Self, Refusal> {
        if self.access.until <= now {
            return Err(Refusal::Over);
        }
        let access = Access { until: now, until_known: now, ..self.access };
        Ok(Self { access, ..self.clone() })
    }

    /// Closes the review.
    ///
    /// # Errors
    /// It is the reviewer's own, or was reviewed before.
    pub fn reviewed(&self, review: Review) -> Result<Self, Refusal> {
        if review.by == self.person {
            return Err(Refusal::OwnReview);
        }
        if self.review.is_some() {
            return Err(Refusal::Reviewed);
        }
        Ok(Self { review: Some(review), ..self.clone() })
    }

    /// The enrollment that it gives; without periods where it gives none.
    #[must_use]
    pub fn enrollment(&self) -> Enrollment {
        Enrollment {
            person: self.person.clone(),
            profile: self.profile.clone(),
            origin: Origin::BreakGlass(self.id.to_string()),
            periods: self.access.period().into_iter().collect(),
            version: Some(self.version),
        }
    }

    /// What has become of it, as evidence. Texts are in it as their digests only.
    #[must_use]
    pub fn record(&self, before: Option<&Self>, actor: &str) -> Draft {
        let access = |it: &Self| json!([rfc3339(it.access.from), rfc3339(it.access.until)]);
        let (act, was, is, why) = match (before, &self.review) {
            (None, _) => {
                let why = json!({ "justification": self.justification, "incident": self.incident });
                ("taken", Value::Null, access(self), why)
            }
            (Some(before), Some(review)) if before.review.is_none() => {
                let is = json!({ "by": review.by, "at": rfc3339(review.at) });
                ("reviewed", Value::Null, is, json!({ "comment": review.comment }))
            }
            (Some(before), _) => ("given_back", access(before), access(self), Value::Null),
        };
        let subject = json!({
            "person": self.person, "emergency": self.id, "profile": self.profile, "version": self.version,
        });
        Draft { act: format!("break_glass.{act}"), actor: actor.to_owned(), subject, before: was, after: is, why }
    }
}

/// When what was taken at `from` ends at the latest, by what its profile allows now: at once, where nobody may take it any
/// more (R17).
#[must_use]
pub fn limit(profile: &Profile, from: Timestamp) -> Timestamp {
    profile.break_glass.as_ref().map_or(Timestamp::MIN, |rule| later(from, rule.max_duration))
}

/// What is left of an enrollment that was taken, where its profile is gone or allows less by now: it is only ever cut, and
/// does not come back with a later edit. `None` where nothing is to be cut.
#[must_use]
pub fn cut(enrollment: &Enrollment, profile: Option<&Profile>, now: Timestamp) -> Option<Enrollment> {
    let latest = |period: &Period| profile.map_or(Timestamp::MIN, |profile| limit(profile, period.from));
    let cut = |period: &Period| {
        let until = latest(period).max(now).max(period.from);
        let shorter = until < period.until.or_max();
        if shorter { Period { until: End::At(until), until_known: now, ..*period } } else { *period }
    };
    let periods: Vec<Period> = enrollment.periods.iter().map(cut).collect();
    (periods != enrollment.periods).then(|| Enrollment { periods, ..enrollment.clone() })
}

/// The evidence that an enrollment which was taken is cut.
#[must_use]
pub fn cut_record(before: &Enrollment, after: &Enrollment, actor: &str) -> Draft {
    let until = |it: &Enrollment| json!(it.periods.iter().map(|p| p.until.at().map(rfc3339)).collect::<Vec<_>>());
    let emergency = match &before.origin {
        Origin::BreakGlass(id) | Origin::Request(id) => json!(id),
        Origin::Coverage(_) => Value::Null,
    };
    Draft {
        act: "break_glass.cut".to_owned(),
        actor: actor.to_owned(),
        subject: json!({ "person": before.person, "emergency": emergency, "profile": before.profile }),
        before: until(before),
        after: until(after),
        why: Value::Null,
    }
}
