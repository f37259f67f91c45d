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
}
