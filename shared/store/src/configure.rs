//! A new configuration: new versions first, then one transaction that moves its head with the evidence.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::configuration::Applied;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::ReadRota;
use dutykey_engine::ports::sweep::{Among, Sweep};
use dutykey_policy::configure::Proposal;
use dutykey_policy::evidence::{Chain, Draft};
use dutykey_policy::id::{PersonId, ProfileId, RotationId};
use dutykey_policy::installation::Installation;
use dutykey_policy::profile::Profile;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Store;
use crate::block::chain_step;
use crate::codec::{decode, number, text, unreadable};
use crate::commit::{For, Writes};
use crate::document::{Document, Draft as Text};
use crate::error::Refused;
use crate::evidence::appended;
use crate::io::{Query, Sort};
use crate::keys;
use crate::rota::planned_again;
use crate::rules::ConfigHead;
use crate::sweep::sweep_write;
use crate::write::{Condition, Write};

/// At most so many rotations are marked in the transaction that moves the head; others are marked before it.
const MARKED_AT_ONCE: usize = 80;
/// Whoever is in one of so many profiles that change is looked at; where more of them change, everybody.
const MOST_SWEEPS: usize = 10;
/// The parts of the document by which anybody's access may end.
const CONCERN_EVERYBODY: [&str; 4] = ["apps", "directory", "links", "sources"];
/// How often the last transaction is tried again where a rotation was read meanwhile.
const ATTEMPTS: usize = 5;

/// What a new configuration changes.
struct Plan {
    head: ConfigHead,
    /// The version that was in force, for each profile that changes; 0 for a new one.
    changed: BTreeMap<ProfileId, u64>,
    /// Profiles that are gone.
    ended: BTreeMap<ProfileId, u64>,
    /// Which parts of the document change.
    sections: BTreeSet<String>,
    /// Rotations whose people must be planned again.
    rotations: BTreeSet<RotationId>,
}

impl Plan {
    /// What has those looked at whom it concerns (R9): whoever applies a configuration to a table may be nowhere near its
    /// queues.
    fn sweeps(&self) -> Vec<Sweep> {
        let ConfigHead { version, at, .. } = self.head;
        let edited = self.changed.iter().filter(|(_, before)| **before > 0).map(|(id, _)| id).chain(self.ended.keys());
        let edited: BTreeSet<&ProfileId> = edited.collect();
        let concerns = |section: &&str| self.sections.contains(*section);
        let everybody = edited.len() > MOST_SWEEPS || CONCERN_EVERYBODY.iter().any(concerns);
        let among: Vec<Among> = match (version, everybody) {
            // Nobody holds anything yet.
            (1, _) => Vec::new(),
            (_, true) => vec![Among::Everybody],
            (_, false) => edited.into_iter().cloned().map(Among::Profile).collect(),
        };
        let sweep = |among: Among| {
            let id = match &among {
                Among::Everybody => format!("configuration/{version}"),
                Among::Profile(id) => format!("configuration/{version}/{id}"),
            };
            Sweep::new(id, among, "configuration", at)
        };
        among.into_iter().map(sweep).collect()
    }
}

/// By whom a configuration comes into force.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By<'a> {
    /// Whoever may write the table.
    Apply,
    /// A person over the API, and what they confirm by it.
    Person(&'a PersonId, Option<&'a Proposal>),
}

impl By<'_> {
    /// A person's change takes the place of what waits, and nothing else than what was seen to wait is confirmed.
    fn settled(self) -> Option<Write> {
        match self {
            Self::Apply => None,
            Self::Person(_, None) => Some(Write::delete(keys::configuration_proposal())),
            Self::Person(_, Some(proposal)) => {
                let unmoved = Condition::is("digest", text(&proposal.digest));
                Some(Write::delete(keys::configuration_proposal()).when(unmoved))
            }
        }
    }
}

/// One step of the configuration, from the version that is expected to the next head.
pub(crate) struct Move<'a> {
    /// The version that is in force.
    pub(crate) expected: u64,
    /// What comes into force.
    pub(crate) head: &'a ConfigHead,
    /// The rotations whose people must be planned again.
    pub(crate) rotations: &'a BTreeSet<RotationId>,
    /// Where it is recorded.
    pub(crate) chain: &'a Chain,
    /// What is recorded.
    pub(crate) draft: &'a Draft,
    /// What is written with it.
    pub(crate) also: Writes,
}

impl Store {
    /// Applies a configuration and answers its version, with the sweeps that follow; where it says what is in force already,
    /// that version.
    pub(crate) async fn configured(
        &self,
        expected: u64,
        installation: &Installation,
        at: Timestamp,
        by: By<'_>,
    ) -> Result<Applied, StoreError> {
        let before = self.config_head().await?;
        if before.as_ref().map_or(0, |head| head.version) != expected {
            return Err(changed());
        }
        let bare = Installation { profiles: Vec::new(), ..installation.clone() };
        let text = Text::new(&keys::config(), &bare)?;
        let plan = self.plan(before.as_ref(), installation, &bare, &text, at).await?;
        if plan.changed.is_empty() && plan.ended.is_empty() && plan.sections.is_empty() {
            return Ok(Applied { version: expected, sweeps: Vec::new() });
        }
        let (head, rotations, draft) = (&plan.head, &plan.rotations, &draft(expected, &plan, by));
        let sweeps = plan.sweeps();
        let mut also: Writes = by.settled().into_iter().map(|write| (For::Head, write)).collect();
        for sweep in &sweeps {
            also.push((For::Record, sweep_write(sweep)?.when(Condition::known_version())));
        }
        let step = Move { expected, head, rotations, chain: &Chain::System, draft, also };
        let version = match self.move_head(step).await {
            Ok(version) => version,
            Err(error) => {
                self.abandon_document(&keys::config(), &plan.head.document).await?;
                return Err(error);
            }
        };
        if let Some(before) = before.filter(|before| before.document.id != plan.head.document.id) {
            // The change is made. What stays of the document before it costs a few kilobytes.
            if let Err(error) = self.remove_document(&keys::config(), &before.document).await {
                tracing::warn!(error = %error, "parts of the configuration before version {version} stay: {error}");
            }
        }
        Ok(Applied { version, sweeps: sweeps.into_iter().map(|sweep| sweep.id).collect() })
    }

    /// Writes what is new and finds out what it changes.
    async fn plan(
        &self,
        before: Option<&ConfigHead>,
        installation: &Installation,
        bare: &Installation,
        text: &Text,
        at: Timestamp,
    ) -> Result<Plan, StoreError> {
        let old = match before {
            Some(head) => self.profile_versions(&head.profiles).await?,
            None => Vec::new(),
        };
        let mut old: BTreeMap<ProfileId, Profile> =
            old.into_iter().map(|profile| (profile.id.clone(), profile)).collect();
        let made = before.map(|head| head.made.clone()).unwrap_or_default();
        let (mut versions, mut changed, mut rotations) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for kept in made.iter().filter_map(|id| old.remove(id)) {
            if let Some(why) = installation.conflict(&kept) {
                return Err(StoreError::Owned(why));
            }
            versions.insert(kept.id.clone(), kept.version);
        }
        for profile in &installation.profiles {
            let current = old.remove(&profile.id);
            if let Some(current) = current.as_ref().filter(|current| current.says_the_same(profile)) {
                versions.insert(profile.id.clone(), current.version);
                continue;
            }
            let version = self.new_version(profile, current.as_ref().map_or(0, |current| current.version)).await?;
            versions.insert(profile.id.clone(), version);
            changed.insert(profile.id.clone(), current.as_ref().map_or(0, |current| current.version));
            rotations.extend([Some(profile), current.as_ref()].into_iter().flatten().flat_map(enrolling));
        }
        rotations.extend(old.values().flat_map(enrolling));
        let version = before.map_or(0, |head| head.version) + 1;
        let (document, sections) = self.new_document(before, bare, text, version).await?;
        let head = ConfigHead { version, at, document, profiles: versions, made };
        let ended = old.into_iter().map(|(id, profile)| (id, profile.version)).collect();
        Ok(Plan { head, changed, ended, sections, rotations })
    }

    /// Writes the document where it has changed, and names the sections that differ.
    async fn new_document(
        &self,
        before: Option<&ConfigHead>,
        bare: &Installation,
        text: &Text,
        version: u64,
    ) -> Result<(Document, BTreeSet<String>), StoreError> {
        let key = keys::config();
        if let Some(same) = before.filter(|head| head.document.hash == text.hash) {
            return Ok((same.document.clone(), BTreeSet::new()));
        }
        let old: Option<Map<String, Value>> = match before {
            Some(head) => self.read_document(&key, &head.document).await?,
            None => None,
        };
        let old = old.unwrap_or_default();
        let Value::Object(new) = serde_json::to_value(bare).map_err(|error| unreadable(&key, error))? else {
            return Err(unreadable(&key, "it is no object"));
        };
        let differs = |name: &&String| old.get(*name) != new.get(*name);
        let mut sections: BTreeSet<String> = old.keys().chain(new.keys()).filter(differs).cloned().collect();
        if sections.is_empty() {
            // The same values in another form, as an older release wrote them.
            sections.insert("form".to_owned());
        }
        let document = self.write_document(&key, format!("{version:020}#{}", text.hash), text, None).await?;
        Ok((document, sections))
    }

    /// The version under which a profile is kept: that of an apply that was interrupted, or the next one.
    pub(crate) async fn new_version(&self, profile: &Profile, current: u64) -> Result<u64, StoreError> {
        let versions = Query::items(keys::profile(&profile.id), Sort::Begins(keys::VERSIONS.to_owned())).newest_first();
        let newest = self.page(&versions, None, Some(1)).await?.items.pop();
        let newest: Option<Profile> = newest.map(decode).transpose()?;
        if let Some(kept) = newest.as_ref().filter(|kept| kept.version > current && kept.says_the_same(profile)) {
            return Ok(kept.version);
        }
        let version = newest.map_or(0, |newest| newest.version).max(current) + 1;
        let next = Profile { version, ..profile.clone() };
        let write = Write::save(keys::profile_version(&profile.id, version), &next)?.when(Condition::new());
        self.write(write).await.map_err(|refused| refused.changed(format!("profile {}", profile.id)))?;
        Ok(version)
    }

    /// One transaction moves the head, records what has changed and marks the rotations.
    pub(crate) async fn move_head(&self, moved: Move<'_>) -> Result<u64, StoreError> {
        let Move { expected, head, rotations, chain, draft, also } = moved;
        let rotations: Vec<RotationId> = rotations.iter().cloned().collect();
        let (ahead, together) = rotations.split_at(rotations.len().saturating_sub(MARKED_AT_ONCE));
        for rotation in ahead {
            self.mark(rotation).await?;
        }
        for _ in 0..ATTEMPTS {
            let end = self.chain_head(chain).await?;
            let evidence = appended(chain, &end, head.at, std::slice::from_ref(draft))?;
            let unmoved = match expected {
                0 => Condition::new(),
                version => Condition::is("version", number(version)),
            };
            let mut writes: Writes = vec![
                (For::Head, Write::save(keys::config(), head)?.when(unmoved)),
                (For::Head, chain_step(chain, &end, &evidence.head)?),
            ];
            let heads = self.heads(together).await?;
            writes.extend(heads.values().map(|head| (For::Head, planned_again(head))));
            writes.extend(also.iter().cloned());
            writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
            match self.commit_all("the configuration", writes, &[]).await {
                Ok(_) => return Ok(head.version),
                Err(StoreError::Changed(_)) => {
                    if self.config_head().await?.map_or(0, |head| head.version) != expected {
                        return Err(changed());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(changed())
    }

    /// Marks one rotation as to be planned again.
    async fn mark(&self, rotation: &RotationId) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let heads = self.heads(std::slice::from_ref(rotation)).await?;
            let Some(head) = heads.get(rotation) else { return Ok(()) };
            match self.write(planned_again(head)).await {
                Ok(()) => return Ok(()),
                Err(Refused::Conditions(_) | Refused::Conflict) => {}
                Err(Refused::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Changed(format!("rotation {rotation}")))
    }
}

pub(crate) fn changed() -> StoreError {
    StoreError::Changed("the configuration".to_owned())
}

/// The rotations whose people are in the profile without asking.
pub(crate) fn enrolling(profile: &Profile) -> BTreeSet<RotationId> {
    profile.enrollment.as_ref().map(|automatic| automatic.rotations.clone()).unwrap_or_default()
}

/// The evidence of a configuration: versions and names of sections only. Its content has addresses in it.
fn draft(expected: u64, plan: &Plan, by: By<'_>) -> Draft {
    let after: BTreeMap<&ProfileId, Option<&u64>> =
        plan.changed.keys().map(|id| (id, plan.head.profiles.get(id))).collect();
    let mut before: BTreeMap<&ProfileId, u64> = plan.changed.iter().map(|(id, version)| (id, *version)).collect();
    before.extend(plan.ended.iter().map(|(id, version)| (id, *version)));
    let (sections, ended) = (&plan.sections, plan.ended.keys().collect::<Vec<_>>());
    let (actor, why) = match by {
        By::Apply => ("apply".to_owned(), json!({ "sections": sections, "ended": ended })),
        By::Person(id, confirmed) => {
            let proposed = confirmed.map(Proposal::confirmed);
            (id.to_string(), json!({ "sections": sections, "ended": ended, "proposed": proposed }))
        }
    };
    Draft {
        act: "configuration.applied".to_owned(),
        actor,
        subject: json!({ "configuration": plan.head.version }),
        before: json!({ "version": expected, "profiles": before }),
        after: json!({ "version": plan.head.version, "profiles": after }),
        why,
    }
}
