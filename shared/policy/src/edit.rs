//! Changes of access profiles by administrators: on what they are made, and those that wait for another administrator.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::evidence::Draft;
use crate::gain::Power;
use crate::id::{PersonId, ProfileId};
use crate::profile::Profile;
use crate::rota::hex;
use crate::time::{later, rfc3339};

/// How long a change waits for another administrator.
pub(crate) const WAITS: Duration = Duration::from_secs(86_400);

/// What whoever changes a profile takes it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// They do not say.
    Unsaid,
    /// There is none.
    New,
    /// It has this version.
    Version(u64),
}

/// What a profile is before it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Absent,
    /// The configuration file brought it.
    FromFile,
    /// It was made over the API and has this version.
    Made(u64),
}

/// Why a profile was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    /// It belongs to the configuration file.
    #[error("the configuration file brought this profile; change it there")]
    FileOwned,
    /// Nobody says what is changed.
    #[error("say what you change: its version with If-Match, or that it is new with If-None-Match: *")]
    Unsaid,
    /// It is not what whoever changes it takes it to be.
    #[error("the profile is not what you say that you change; read it again")]
    Stale,
}

impl Standing {
    /// Whether it may be changed by whoever takes it to be this.
    ///
    /// # Errors
    /// Why not.
    pub fn may_become(self, taken_for: Precondition) -> Result<(), EditRefusal> {
        match (self, taken_for) {
            (Self::FromFile, _) => Err(EditRefusal::FileOwned),
            (_, Precondition::Unsaid) => Err(EditRefusal::Unsaid),
            (Self::Absent, Precondition::New) => Ok(()),
            (Self::Made(version), Precondition::Version(said)) if version == said => Ok(()),
            (Self::Absent | Self::Made(_), Precondition::New | Precondition::Version(_)) => Err(EditRefusal::Stale),
        }
    }
}

/// Names a change: what is wanted, on which version of the configuration, and what it gives its author.
#[must_use]
pub fn digest(wanted: &Profile, configuration: u64, gain: &BTreeSet<Power>) -> String {
    let wanted = Profile { version: 0, ..wanted.clone() };
    hex(&Sha256::digest(json!({ "wanted": wanted, "configuration": configuration, "gain": gain }).to_string()))
}

/// A change that waits for another administrator, for it gives its author more than they had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What the profile would be; its version is not given yet.
    pub wanted: Profile,
    /// Who wants it.
    pub author: PersonId,
    /// Since when it waits.
    pub at: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The version of the configuration on which it was judged. On another one it counts no more.
    pub configuration: u64,
    /// What it gives its author.
    pub gain: BTreeSet<Power>,
    /// Names it.
    pub digest: String,
}

impl Proposal {
    /// A change that waits from now on.
    #[must_use]
    pub fn new(wanted: Profile, author: PersonId, configuration: u64, gain: BTreeSet<Power>, at: Timestamp) -> Self {
        let digest = digest(&wanted, configuration, &gain);
        let wanted = Profile { version: 0, ..wanted };
        Self { wanted, author, at, until: later(at, WAITS), configuration, gain, digest }
    }

    /// Whether it still waits.
    #[must_use]
    pub fn waits(&self, at: Timestamp) -> bool {
        at < self.until
    }

    /// The evidence that somebody has proposed it.
    #[must_use]
    pub fn proposed(&self, before: Option<&Profile>) -> Draft {
        Draft {
            act: "profile.proposed".to_owned(),
            actor: self.author.to_string(),
            subject: json!({ "profile": self.wanted.id }),
            before: version(before),
            after: json!({ "until": rfc3339(self.until), "fields": fields(before, Some(&self.wanted)) }),
            why: json!({ "configuration": self.configuration, "gain": self.gain }),
        }
    }
}

/// The evidence of a change that takes effect. Its content has addresses in it: the record names versions and fields.
#[must_use]
pub fn changed(
    id: &ProfileId,
    before: Option<&Profile>,
    after: Option<&Profile>,
    by: &PersonId,
    confirmed: Option<&Proposal>,
) -> Draft {
    let act = match (before, after) {
        (None, _) => "profile.made",
        (Some(_), Some(_)) => "profile.changed",
        (Some(_), None) => "profile.deleted",
    };
    let proposed = |it: &Proposal| json!({ "by": it.author, "at": rfc3339(it.at), "gain": it.gain });
    Draft {
        act: act.to_owned(),
        actor: by.to_string(),
        subject: json!({ "profile": id }),
        before: version(before),
        after: version(after),
        why: json!({ "fields": fields(before, after), "proposed": confirmed.map(proposed) }),
    }
}

fn version(profile: Option<&Profile>) -> Value {
    profile.map_or(Value::Null, |profile| json!({ "version": profile.version }))
}

/// The fields of a profile that differ, its version aside.
fn fields(before: Option<&Profile>, after: Option<&Profile>) -> BTreeSet<String> {
    let said = |profile: Option<&Profile>| match json!(profile) {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (said(before), said(after));
    let differs = |name: &&String| *name != "version" && before.get(*name) != after.get(*name);
    before.keys().chain(after.keys()).filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::BreakGlass;
    use crate::testing::{automatic, minute, person};

    fn proposed(wanted: &Profile) -> Proposal {
        let gain = BTreeSet::from([Power::Override]);
        Proposal::new(wanted.clone(), person(1), 7, gain, minute(0))
    }

    /// The profile after an edit, in its third version, that names somebody for emergencies.
    fn edited() -> Profile {
        let people = ["eve@example.com".to_owned()].into();
        let rule = BreakGlass { people, groups: BTreeSet::new(), max_duration: Duration::from_secs(3_600) };
        Profile { version: 3, name: "Mine".to_owned(), break_glass: Some(rule), ..automatic() }
    }

    #[test]
    fn r23_what_the_file_brought_is_changed_there_and_the_rest_as_it_was_read() {
        use Precondition::{New, Unsaid, Version};
        for said in [Unsaid, New, Version(3)] {
            assert_eq!(Standing::FromFile.may_become(said), Err(EditRefusal::FileOwned), "{said:?}");
        }
        for (standing, said, expected) in [
            (Standing::Absent, Unsaid, Err(EditRefusal::Unsaid)),
            (Standing::Absent, New, Ok(())),
            (Standing::Absent, Version(3), Err(EditRefusal::Stale)),
            (Standing::Made(3), Unsaid, Err(EditRefusal::Unsaid)),
            (Standing::Made(3), New, Err(EditRefusal::Stale)),
            (Standing::Made(3), Version(2), Err(EditRefusal::Stale)),
            (Standing::Made(3), Version(3), Ok(())),
        ] {
            assert_eq!(standing.may_become(said), expected, "{standing:?} {said:?}");
        }
    }

    #[test]
    fn r20_a_proposal_waits_a_day_and_is_named_by_all_that_was_judged() {
        let (wanted, proposal) = (edited(), proposed(&edited()));
        let another = Profile { version: 4, ..wanted.clone() };
        for same in [&wanted, &another] {
            assert_eq!(proposal.digest, digest(same, 7, &proposal.gain), "whatever version of it is sent");
        }
        assert_ne!(proposal.digest, digest(&automatic(), 7, &proposal.gain), "what is wanted");
        assert_ne!(proposal.digest, digest(&wanted, 8, &proposal.gain), "on what");
        assert_ne!(proposal.digest, digest(&wanted, 7, &BTreeSet::new()), "what it gives");
        assert_eq!(proposal.wanted, Profile { version: 0, ..wanted }, "it is numbered when it takes effect");
        assert!(proposal.waits(minute(24 * 60 - 1)) && !proposal.waits(minute(24 * 60)));
    }

    #[test]
    fn p9_r19_evidence_of_a_change_names_versions_and_fields_and_no_address() {
        let (before, after, id) = (automatic(), edited(), automatic().id);
        let of = |before: Option<&Profile>, after: Option<&Profile>| changed(&id, before, after, &person(2), None);
        let edit = of(Some(&before), Some(&after));
        let fields = json!(["break_glass", "name"]);
        assert_eq!((edit.act.as_str(), &edit.why["fields"]), ("profile.changed", &fields));
        assert_eq!((edit.before, edit.after), (json!({ "version": 0 }), json!({ "version": 3 })));
        let (made, deleted) = (of(None, Some(&after)), of(Some(&after), None));
        assert_eq!((made.act.as_str(), &made.before), ("profile.made", &Value::Null));
        assert_eq!((deleted.act.as_str(), &deleted.after), ("profile.deleted", &Value::Null));
        assert_eq!(made.why["fields"], deleted.why["fields"], "all of it");
        let proposed = proposed(&after).proposed(Some(&before));
        assert_eq!((&proposed.before["version"], &proposed.after["fields"]), (&json!(0), &fields));
        let said = format!("{made:?}{deleted:?}{proposed:?}{:?}", edit.why);
        assert!(said.contains("entitlements") && !said.contains('@'), "{said}");
    }
}
