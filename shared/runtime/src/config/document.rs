//! The document that was meant, and how it becomes an installation: only once every name in it is pinned to an ID.

use std::collections::BTreeSet;

use dutykey_policy::id::{AppId, EntitlementRef, ProfileId};
use dutykey_policy::installation::{App, Installation, Link, NotifyChannel, Source, SyncSettings};
use dutykey_policy::profile::Profile;

use super::problem::{ConfigProblem, Problems, bounded};

/// An entitlement that the file gives by its name. The name is looked up once, and from then on the ID counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEntitlement {
    /// The profile that gives it.
    pub profile: ProfileId,
    /// The app that has it.
    pub app: AppId,
    /// The app's word for what it is.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The line of the file.
    pub line: u64,
    /// The key of the file.
    pub key: String,
}

/// An entitlement as the file gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Pinned(EntitlementRef),
    Named(NamedEntitlement),
}

/// A profile whose entitlements may still be names; those in `profile` are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) profile: Profile,
    pub(super) wanted: Vec<Wanted>,
}

/// A sound configuration file. It has entitlements by name where the file says so; [`Document::pin`] is the only way to
/// the installation, so that none can be stored with a name in place of an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    installation: Installation,
    drafts: Vec<Draft>,
}

impl Document {
    pub(super) fn new(installation: Installation, drafts: Vec<Draft>) -> Self {
        Self { installation, drafts }
    }

    /// The entitlements whose names must be looked up, in the order of the file. One name may be there several times.
    pub fn named(&self) -> impl Iterator<Item = &NamedEntitlement> {
        self.drafts.iter().flat_map(|draft| &draft.wanted).filter_map(|wanted| match wanted {
            Wanted::Named(named) => Some(named),
            Wanted::Pinned(_) => None,
        })
    }

    /// On-call platforms, in the order of the file.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.installation.sources
    }

    /// Target systems, in the order of the file.
    #[must_use]
    pub fn apps(&self) -> &[App] {
        &self.installation.apps
    }

    /// Who is who, in the order of the file.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.installation.links
    }

    /// Mail domains that the company owns, in lower case.
    #[must_use]
    pub fn verified_domains(&self) -> &[String] {
        &self.installation.verified_domains
    }

    /// How often platforms are read.
    #[must_use]
    pub fn sync(&self) -> SyncSettings {
        self.installation.sync
    }

    /// The webhooks that are told what happens.
    #[must_use]
    pub fn channels(&self) -> &[NotifyChannel] {
        &self.installation.notify
    }

    /// The installation, with each name replaced by the ID that `id_of` knows for it. `id_of` is asked once for each of
    /// [`Document::named`], in that order. Each profile has version 0: whoever stores it numbers it.
    ///
    /// # Errors
    /// A problem at its line for each name for which `id_of` has none (the text says why), and for each entitlement that
    /// a profile then has twice.
    pub fn pin(
        self,
        mut id_of: impl FnMut(&NamedEntitlement) -> Result<String, String>,
    ) -> Result<Installation, Vec<ConfigProblem>> {
        let Self { mut installation, drafts } = self;
        let mut problems = Vec::new();
        for Draft { mut profile, wanted } in drafts {
            let listed: BTreeSet<EntitlementRef> = wanted.iter().filter_map(pinned).collect();
            let mut found = BTreeSet::new();
            for wanted in wanted {
                let named = match wanted {
                    Wanted::Pinned(entitlement) => {
                        profile.entitlements.push(entitlement);
                        continue;
                    }
                    Wanted::Named(named) => named,
                };
                let mut problem = |message: String| {
                    problems.push(ConfigProblem {
                        line: named.line,
                        key: named.key.clone(),
                        message: bounded(&message),
                    });
                };
                match id_of(&named) {
                    Err(why) => problem(why),
                    Ok(id) => {
                        let entitlement = EntitlementRef { app: named.app.clone(), kind: named.kind.clone(), id };
                        if listed.contains(&entitlement) || !found.insert(entitlement.clone()) {
                            problem(format!("is {entitlement}, which this profile already gives"));
                        }
                        profile.entitlements.push(entitlement);
                    }
                }
            }
            installation.profiles.push(profile);
        }
        if problems.is_empty() { Ok(installation) } else { Err(problems) }
    }

    /// The installation, where each entitlement is given by its ID. Notes each that is not.
    pub(super) fn by_ids(self, problems: &mut Problems) -> Installation {
        let Self { mut installation, drafts } = self;
        installation.profiles = drafts.into_iter().map(|draft| draft.by_ids(problems)).collect();
        installation
    }
}

impl Draft {
    /// The profile, where each entitlement is given by its ID. Notes each that is not.
    pub(super) fn by_ids(self, problems: &mut Problems) -> Profile {
        let Self { mut profile, wanted } = self;
        for wanted in wanted {
            match wanted {
                Wanted::Pinned(entitlement) => profile.entitlements.push(entitlement),
                Wanted::Named(named) => {
                    problems.add(named.line, named.key, "must be an id here; only the file has names")
                }
            }
        }
        profile
    }
}

fn pinned(wanted: &Wanted) -> Option<EntitlementRef> {
    match wanted {
        Wanted::Pinned(entitlement) => Some(entitlement.clone()),
        Wanted::Named(_) => None,
    }
}
