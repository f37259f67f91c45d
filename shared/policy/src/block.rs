//! Blocks: stored denials. Policy reads them like reasons, and a block wins over every reason.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{AppId, PersonId, ProfileId};

/// What a block denies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denied {
    /// Everything to everybody.
    Everything,
    /// Everything to one person.
    Person(PersonId),
    /// One profile, to everybody.
    Profile(ProfileId),
    /// One profile to one person: an automatic enrollment that was given back.
    Enrollment(PersonId, ProfileId),
    /// Everything in one app.
    App(AppId),
}

/// Whether a block also ends what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Ends what is held at once, without grace.
    Revoke,
    /// Stops new grants only; ends come as they would.
    Freeze,
}

/// A stored denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// A ULID.
    pub id: String,
    /// What it denies.
    pub denied: Denied,
    /// Whether it also ends what is held.
    pub reach: Reach,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub from: Timestamp,
    /// When it ends by itself; `None` until somebody lifts it.
    pub until: Option<Timestamp>,
}

impl Block {
    /// Whether it is in force at the instant.
    #[must_use]
    pub fn live(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether it denies this person this profile in this app.
    #[must_use]
    pub fn denies(&self, person: &PersonId, profile: &ProfileId, app: &AppId) -> bool {
        match &self.denied {
            Denied::Everything => true,
            Denied::Person(denied) => denied == person,
            Denied::Profile(denied) => denied == profile,
            Denied::Enrollment(who, what) => who == person && what == profile,
            Denied::App(denied) => denied == app,
        }
    }
}
