//! Changes of the whole configuration by administrators: what names them, and those that wait for another administrator.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::difference::{Change, Part};
use crate::edit::WAITS;
use crate::evidence::Draft;
use crate::gain::Power;
use crate::id::PersonId;
use crate::installation::Installation;
use crate::rota::hex;
use crate::time::{later, rfc3339};

/// Names a change: what is wanted, on which version of the configuration, and what it gives its author.
#[must_use]
pub fn digest(wanted: &Installation, configuration: u64, gain: &BTreeSet<Power>) -> String {
    hex(&Sha256::digest(json!({ "wanted": wanted, "configuration": configuration, "gain": gain }).to_string()))
}

/// A change that waits for another administrator, for it gives its author more than they had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What the configuration would be, the profiles that the API made aside. No version is given yet.
    pub wanted: Installation,
    /// Who wants it.
    pub author: PersonId,
    /// Since when it waits.
    pub at: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The version on which it was judged. On another one it counts no more.
    pub configuration: u64,
    /// What it gives its author.
    pub gain: BTreeSet<Power>,
    /// Which parts of the configuration change.
    pub sections: BTreeSet<String>,
    /// Names it.
    pub digest: String,
}

impl Proposal {
    /// A change that waits from now on. `changes` is what differs.
    #[must_use]
    pub fn new(
        wanted: Installation,
        changes: &[Change],
        author: PersonId,
        configuration: u64,
        gain: BTreeSet<Power>,
        at: Timestamp,
    ) -> Self {
        let digest = digest(&wanted, configuration, &gain);
        let sections = changes.iter().map(section).collect();
        Self { wanted, author, at, until: later(at, WAITS), configuration, gain, sections, digest }
    }

    /// Whether it still waits.
    #[must_use]
    pub fn waits(&self, at: Timestamp) -> bool {
        at < self.until
    }

    /// The evidence that somebody has proposed it. Its content has addresses in it: the record names sections and the digest.
    #[must_use]
    pub fn proposed(&self) -> Draft {
        Draft {
            act: "configuration.proposed".to_owned(),
            actor: self.author.to_string(),
            subject: json!({ "configuration": self.configuration }),
            before: json!({ "version": self.configuration }),
            after: json!({ "until": rfc3339(self.until), "digest": self.digest, "sections": self.sections }),
            why: json!({ "gain": self.gain }),
        }
    }

    /// What the evidence of a change says of the proposal that it confirms.
    #[must_use]
    pub fn confirmed(&self) -> Value {
        json!({ "by": self.author, "at": rfc3339(self.at), "digest": self.digest, "gain": self.gain })
    }
}

fn section(change: &Change) -> String {
    match change.part {
        Part::Setting => change.id.clone(),
        Part::Source => "sources".to_owned(),
        Part::App => "apps".to_owned(),
        Part::Link => "links".to_owned(),
        Part::Profile => "profiles".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::difference;
    use crate::gain::configures;
    use crate::testing::{installation, minute, person};

    #[test]
    fn r19_r20_a_proposal_is_named_by_all_that_was_judged_and_its_evidence_has_no_address() {
        let (before, mut wanted) = (installation(), installation());
        wanted.links[0].person = "eve@example.com".to_owned();
        wanted.brake.rotation = 100;
        let (changes, gain) = (difference(Some(&before), &wanted).unwrap(), configures(&before, &wanted));
        let proposal = Proposal::new(wanted.clone(), &changes, person(1), 7, gain.clone(), minute(0));
        assert_eq!(proposal.sections, ["brake", "links"].map(str::to_owned).into());
        assert_eq!(proposal.digest, digest(&wanted, 7, &gain));
        assert_ne!(proposal.digest, digest(&before, 7, &gain), "what is wanted");
        assert_ne!(proposal.digest, digest(&wanted, 8, &gain), "on what");
        assert_ne!(proposal.digest, digest(&wanted, 7, &BTreeSet::new()), "what it gives");
        assert!(proposal.waits(minute(24 * 60 - 1)) && !proposal.waits(minute(24 * 60)));
        let evidence = proposal.proposed();
        let said = format!("{evidence:?}{}", proposal.confirmed());
        assert!(said.contains("links") && !said.contains('@'), "{said}");
        let at = "2026-03-02T00:00:00.000Z";
        let by = json!({ "by": person(1), "at": at, "digest": proposal.digest, "gain": gain });
        assert_eq!(proposal.confirmed(), by, "P9: whoever confirms it vouches for this one");
    }
}
