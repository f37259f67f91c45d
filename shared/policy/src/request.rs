//! Access requests: a person on call asks for a profile; approvers pass it step by step; it ends with what allowed it.
//!
//! Every move is a pure function from a request, and what is known at an instant, to the next request. Nothing that could
//! be worked out again is stored: how many steps have passed follows from the decisions and from who may decide *now*, so
//! that the word of somebody who has stopped being an approver does not count.

mod ends;
mod moves;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::enrollment::{Cover, Enrollment, Origin, Period};
use crate::id::{PersonId, ProfileId, RequestId, RotationId};
use crate::profile::{Approvers, Profile};
use crate::rota::End;
use crate::time::duration_text;

pub use record::of_request;

/// At most this many decisions on one ask.
pub const MAX_DECISIONS: usize = 50;
/// At most this many asks in the life of a request.
pub const MAX_ASKS: usize = 20;

/// What an approver said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may be.
    Approve,
    /// It may not be.
    Deny,
}

/// What somebody decided, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub by: PersonId,
    /// Their groups, of those that the policy named then.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub verdict: Verdict,
    /// The salted digest of their comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// An ask that is not decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// When it was asked.
    pub at: Timestamp,
    /// When it is over undecided.
    pub expires: Timestamp,
    /// For how long access is wanted, from its approval on.
    #[serde(with = "duration_text")]
    pub wanted: Duration,
    /// The salted digest of the justification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The incident that it is for, as the requester named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// What was decided so far, in order of time.
    #[serde(default)]
    pub decisions: Vec<Decision>,
}

/// Access that was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// From when.
    pub from: Timestamp,
    /// Until when, by what is known now. It is only ever cut, but for an extension that was approved.
    pub until: Timestamp,
    /// When Dutykey learnt of that end.
    pub until_known: Timestamp,
}

impl Access {
    /// The period of an enrollment that gives it; `None` where it ends as it begins.
    pub(crate) fn period(self) -> Option<Period> {
        let Self { from, until, until_known } = self;
        let period = Period { from, until: End::At(until), from_known: from, until_known, duty: None };
        (from < until).then_some(period)
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// An approver denied it.
    Denied,
    /// The requester took it back before it was decided.
    Cancelled,
    /// Nobody decided it in time, or nobody may decide it any more: the duty or the offer for which it was asked is over.
    Expired,
    /// Its time was over, or what allowed it has ended.
    Ended,
    /// The requester gave the access back early.
    GivenBack,
}

/// Where a request is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It waits to be decided.
    Asked(Ask),
    /// It was approved.
    Approved {
        /// The access.
        access: Access,
        /// An ask for more time that waits to be decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        longer: Option<Ask>,
    },
    /// It is over.
    Over {
        /// How.
        how: How,
        /// When.
        at: Timestamp,
        /// The access that there was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        access: Option<Access>,
    },
}

/// A person's ask for a profile, bound to their coverage of one rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The request.
    pub id: RequestId,
    /// Who asks.
    pub person: PersonId,
    /// For what.
    pub profile: ProfileId,
    /// The version of the profile that was asked for, which is what approvers see: access never grows beyond it.
    pub version: u64,
    /// By being on call in what.
    pub rotation: RotationId,
    /// Where it is in its life.
    pub stage: Stage,
    /// Asks that wait no more, in order, with what was decided of them.
    #[serde(default)]
    pub past: Vec<Ask>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// For how long.
    pub wanted: Duration,
    /// The salted digest of the justification.
    pub justification: Option<String>,
    /// The incident that it is for.
    pub incident: Option<String>,
}

/// Why a move is not possible. Each is something else for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The profile is not offered, or not to people on call in this rotation.
    #[error("the profile is not offered to people on call in this rotation")]
    NotOffered,
    /// The requester is not on call in the rotation now.
    #[error("the requester is not on call in the rotation now")]
    NotOnCall,
    /// A block denies it.
    #[error("a block denies it")]
    Blocked,
    /// No justification was given, and the profile requires one.
    #[error("the profile requires a justification")]
    Unjustified,
    /// It is wanted for no time, or for longer than the profile allows.
    #[error("it is wanted for no time, or for longer than the profile allows")]
    Duration,
    /// Nobody approves their own request, whichever identity they use.
    #[error("nobody approves their own request")]
    OwnRequest,
    /// Whoever decides is no approver of the step that is next.
    #[error("the decision is not of an approver of the step that is next")]
    NotApprover,
    /// Whoever decides has approved it already.
    #[error("this person has approved it already")]
    Repeated,
    /// There have been as many asks, or decisions on one, as there can be.
    #[error("a request has at most {MAX_ASKS} asks, and each of them {MAX_DECISIONS} decisions")]
    TooMany,
    /// Nothing waits to be decided.
    #[error("nothing waits to be decided")]
    Decided,
    /// An ask for more time waits already.
    #[error("an ask for more time waits already")]
    Waiting,
    /// It is over, or not approved yet.
    #[error("the request gives no access now")]
    NotApproved,
    /// More time was asked for, and it would end no later.
    #[error("it would end no later than it does")]
    NoLonger,
}

/// What is known at the instant of a move.
pub struct Known<'a> {
    /// The profile as it is now; `None` once it was deleted.
    pub profile: Option<&'a Profile>,
    /// When the requester is on call in the request's rotation, by what is in force (see [`crate::lock`]).
    pub covers: &'a [Cover],
    /// Whether a block denies the requester the profile, or keeps it from being begun.
    pub blocked: bool,
    /// Whether a person, with these groups, may decide for such approvers now.
    pub may: &'a dyn Fn(&Approvers, &PersonId, &BTreeSet<String>) -> bool,
    /// The instant.
    pub now: Timestamp,
}

/// For moves that decide nothing: nobody may decide.
#[must_use]
pub fn nobody(_: &Approvers, _: &PersonId, _: &BTreeSet<String>) -> bool {
    false
}

impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Request {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over { .. })
    }

    /// What waits to be decided.
    #[must_use]
    pub fn ask(&self) -> Option<&Ask> {
        match &self.stage {
            Stage::Asked(ask) => Some(ask),
            Stage::Approved { longer, .. } => longer.as_ref(),
            Stage::Over { .. } => None,
        }
    }

    /// Every ask, in order; what waits comes last.
    pub fn asks(&self) -> impl Iterator<Item = &Ask> {
        self.past.iter().chain(self.ask())
    }

    /// The access that it gives, or gave.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        match self.stage {
            Stage::Asked(_) => None,
            Stage::Approved { access, .. } => Some(access),
            Stage::Over { access, .. } => access,
        }
    }

    /// When it must be looked at for itself: an ask expires, or its access ends.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        let access = self.access().filter(|_| !self.is_over()).map(|access| access.until);
        [self.ask().map(|ask| ask.expires), access].into_iter().flatten().min()
    }

    /// The enrollment that it gives; without periods where it gives none.
    #[must_use]
    pub fn enrollment(&self) -> Enrollment {
        Enrollment {
            person: self.person.clone(),
            profile: self.profile.clone(),
            origin: Origin::Request(self.id.to_string()),
            periods: self.access().and_then(Access::period).into_iter().collect(),
            version: Some(self.version),
        }
    }
}
