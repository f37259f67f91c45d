//! Blocks: stored denials. Policy reads them like reasons, and a block wins over every reason.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bug::Bug;
use crate::enrollment::{Enrollment, Origin};
use crate::evidence::{Chain, Draft, Sealed};
use crate::id::{AppId, PersonId, ProfileId};
use crate::profile::Profile;
use crate::time::rfc3339;

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

impl Denied {
    /// The person whom it concerns, where that is one.
    #[must_use]
    pub fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Person(person) | Self::Enrollment(person, _) => Some(person),
            Self::Everything | Self::Profile(_) | Self::App(_) => None,
        }
    }

    /// The chain on which it is recorded: that of the one person or profile whom it concerns.
    #[must_use]
    pub fn chain(&self) -> Chain {
        match self {
            Self::Person(person) | Self::Enrollment(person, _) => Chain::Person(person.clone()),
            Self::Profile(profile) => Chain::Profile(profile.clone()),
            Self::Everything | Self::App(_) => Chain::System,
        }
    }
}

/// Whether a block also ends what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Ends what is held at once, without grace.
    Revoke,
    /// Stops new grants only, but for break-glass; ends come as they would.
    Freeze,
    /// Stops new grants only, break-glass included; ends come as they would.
    FreezeAll,
}

impl Reach {
    /// Whether it keeps what comes of this origin from being begun.
    #[must_use]
    pub fn freezes(self, origin: &Origin) -> bool {
        match self {
            Self::Revoke => false,
            Self::Freeze => !matches!(origin, Origin::BreakGlass(_)),
            Self::FreezeAll => true,
        }
    }
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
            Denied::Enrollment(who, what) => who == person && what == profile && !Bug::GivenBackIgnored.is_chosen(),
            Denied::App(denied) => denied == app,
        }
    }

    /// Whether it keeps the person from anything that they have a reason for, now or later. What is on them alone always
    /// counts: they could be on call again tomorrow.
    #[must_use]
    pub fn keeps_from(
        &self,
        person: &PersonId,
        enrollments: &[Enrollment],
        profiles: &[Profile],
        now: Timestamp,
    ) -> bool {
        let ahead = |enrollment: &&Enrollment| enrollment.periods.iter().any(|period| period.until.or_max() > now);
        let denied = |enrollment: &Enrollment| {
            let given = profiles.iter().find(|profile| profile.id == enrollment.profile);
            given.is_some_and(|profile| profile.entitlements.iter().any(|it| self.denies(person, &profile.id, &it.app)))
        };
        self.denied.person() == Some(person) || enrollments.iter().filter(ahead).any(denied)
    }

    /// The evidence that it was placed. The reason is in it as its digest only.
    #[must_use]
    pub fn placed(&self, reason: &Sealed) -> Draft {
        self.draft("block.placed", &self.author, Value::Null, self.summary(), json!({ "digest": reason.digest() }))
    }

    /// The evidence that somebody has lifted it before its end.
    #[must_use]
    pub fn lifted(&self, by: &str) -> Draft {
        self.draft("block.lifted", by, self.summary(), Value::Null, Value::Null)
    }

    fn draft(&self, act: &str, actor: &str, before: Value, after: Value, why: Value) -> Draft {
        let subject = json!({ "block": self.id, "denied": self.denied });
        Draft { act: act.to_owned(), actor: actor.to_owned(), subject, before, after, why }
    }

    fn summary(&self) -> Value {
        let until = self.until.map(rfc3339);
        json!({ "author": self.author, "reach": self.reach, "from": rfc3339(self.from), "until": until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::Period;
    use crate::rota::End;
    use crate::testing::{automatic, id, minute, person};

    fn block(denied: Denied) -> Block {
        let (author, reach) = ("per_admin".to_owned(), Reach::Revoke);
        Block { id: "B".to_owned(), denied, reach, author, from: minute(0), until: None }
    }

    #[test]
    fn r2_a_block_denies_what_it_names_and_nothing_beside_it() {
        let (ann, bob) = (person(1), person(2));
        let (on_call, other): (ProfileId, ProfileId) = (id("on-call"), id("other"));
        let (directory, cloud): (AppId, AppId) = (id("directory"), id("cloud"));
        let asked = [
            (&ann, &on_call, &directory),
            (&bob, &on_call, &directory),
            (&ann, &other, &directory),
            (&ann, &on_call, &cloud),
        ];
        for (denied, expected) in [
            (Denied::Everything, [true, true, true, true]),
            (Denied::Person(ann.clone()), [true, false, true, true]),
            (Denied::Profile(on_call.clone()), [true, true, false, true]),
            (Denied::Enrollment(ann.clone(), on_call.clone()), [true, false, false, true]),
            (Denied::App(directory.clone()), [true, true, true, false]),
        ] {
            let block = block(denied);
            let found = asked.map(|(person, profile, app)| block.denies(person, profile, app));
            assert_eq!(found, expected, "{:?}: to Ann, to Bob, another profile, another app", block.denied);
        }
    }

    #[test]
    fn r2_a_block_keeps_somebody_from_what_they_have_a_reason_for_or_is_on_them_alone() {
        let (ann, bob) = (person(1), person(2));
        let enrolled = |profile: &str| {
            let (from, until) = (minute(0), End::At(minute(120)));
            Enrollment {
                person: person(1),
                profile: id(profile),
                origin: Origin::Coverage(id("rota:primary")),
                periods: vec![Period { from, until, from_known: from, until_known: from, duty: None }],
                version: None,
            }
        };
        let (nowhere, on_call, elsewhere) = (vec![], vec![enrolled("on-call")], vec![enrolled("other")]);
        for (what, denied, enrollments, at, expected) in [
            ("it is on her alone", Denied::Person(ann.clone()), &nowhere, 100, true),
            ("it is on somebody else", Denied::Person(bob), &on_call, 100, false),
            ("she has it", Denied::Profile(id("on-call")), &on_call, 119, true),
            ("it is over", Denied::Profile(id("on-call")), &on_call, 120, false),
            ("she has no reason for it", Denied::Profile(id("on-call")), &elsewhere, 100, false),
            ("a part of it is there", Denied::App(id("directory")), &on_call, 100, true),
            ("nothing of it is there", Denied::App(id("cloud")), &on_call, 100, false),
        ] {
            let keeps = block(denied).keeps_from(&ann, enrollments, &[automatic()], minute(at));
            assert_eq!(keeps, expected, "{what}");
        }
    }
}
