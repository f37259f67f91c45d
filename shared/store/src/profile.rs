//! Changes of profiles one by one, and those that wait: each in one transaction with its evidence.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::profiles::{Edit, Edited, WriteProfiles};
use dutykey_engine::ports::sweep::{Among, Sweep};
use dutykey_policy::edit::{self, Proposal};
use dutykey_policy::evidence::Chain;
use dutykey_policy::id::ProfileId;
use dutykey_policy::profile::Profile;

use crate::Store;
use crate::block::chain_step;
use crate::codec::{decode, number, text};
use crate::commit::{For, Writes};
use crate::configure::{Move, changed, enrolling};
use crate::evidence::appended;
use crate::keys;
use crate::rules::ConfigHead;
use crate::sweep::sweep_write;
use crate::write::{Condition, Write};

/// How often a proposal is tried again where somebody else has recorded something meanwhile.
const ATTEMPTS: usize = 5;
/// The table may forget a proposal so many seconds after it has ceased to wait.
const FORGOTTEN_SECONDS: i64 = 86_400;

#[async_trait]
impl WriteProfiles for Store {
    async fn proposal(&self, id: &ProfileId) -> Result<Option<Proposal>, StoreError> {
        self.get(&keys::proposal(id)).await?.map(decode).transpose()
    }

    async fn propose(&self, proposal: &Proposal) -> Result<(), StoreError> {
        let id = &proposal.wanted.id;
        let chain = Chain::Profile(id.clone());
        for _ in 0..ATTEMPTS {
            let head = self.decided_on(proposal.configuration).await?;
            let before = self.in_force(&head, id).await?;
            let end = self.chain_head(&chain).await?;
            let evidence = appended(&chain, &end, proposal.at, &[proposal.proposed(before.as_ref())])?;
            let forgotten = proposal.until.as_second().saturating_add(FORGOTTEN_SECONDS);
            let kept = Write::save(keys::proposal(id), proposal)?.with(keys::TTL, number(forgotten));
            let unmoved = Condition::is("version", number(proposal.configuration));
            let mut writes: Writes = vec![
                (For::Head, kept.when(Condition::known_version())),
                (For::Head, Write::check(keys::config(), unmoved)),
                (For::Head, chain_step(&chain, &end, &evidence.head)?),
            ];
            writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
            match self.commit_all(format!("profile {id}"), writes, &[]).await {
                Err(StoreError::Changed(_)) => {}
                done => return done.map(|_| ()),
            }
        }
        Err(changed())
    }

    async fn edit(&self, edit: &Edit) -> Result<Edited, StoreError> {
        let Edit { id, becomes, by, confirmed, on, at } = edit;
        let head = self.decided_on(*on).await?;
        let before = self.in_force(&head, id).await?;
        if before.is_some() && !head.made.contains(id) {
            return Err(StoreError::Owned(format!(
                "the configuration file brought the profile `{id}`; change it there"
            )));
        }
        let mut next = ConfigHead { version: head.version + 1, at: *at, ..head };
        let after = match becomes {
            Some(profile) => {
                let version = self.new_version(profile, before.as_ref().map_or(0, |before| before.version)).await?;
                next.profiles.insert(id.clone(), version);
                next.made.insert(id.clone());
                Some(Profile { version, ..profile.clone() })
            }
            None => {
                next.profiles.remove(id);
                next.made.remove(id);
                None
            }
        };
        let rotations = [&before, &after].into_iter().flatten().flat_map(enrolling).collect();
        let sweep = Sweep::new(format!("profile/{id}/{}", next.version), Among::Profile(id.clone()), "profile", *at);
        let waiting = Write::delete(keys::proposal(id));
        let waiting = match confirmed {
            Some(proposal) => waiting.when(Condition::is("digest", text(&proposal.digest))),
            None => waiting,
        };
        let sweeping = sweep_write(&sweep)?.when(Condition::known_version());
        self.move_head(Move {
            expected: *on,
            head: &next,
            rotations: &rotations,
            chain: &Chain::Profile(id.clone()),
            draft: &edit::changed(id, before.as_ref(), after.as_ref(), by, confirmed.as_ref()),
            also: vec![(For::Record, sweeping), (For::Head, waiting)],
        })
        .await?;
        let named = [&before, &after].into_iter().flatten().flat_map(Profile::giving).cloned().collect();
        Ok(Edited { rotations: named, sweep: sweep.id })
    }
}

impl Store {
    /// The head of the configuration, where it still has the version on which something was decided.
    pub(crate) async fn decided_on(&self, version: u64) -> Result<ConfigHead, StoreError> {
        self.config_head().await?.filter(|head| head.version == version).ok_or_else(changed)
    }

    /// The version of a profile that is in force.
    async fn in_force(&self, head: &ConfigHead, id: &ProfileId) -> Result<Option<Profile>, StoreError> {
        let Some(version) = head.profiles.get(id) else { return Ok(None) };
        Ok(self.profile_versions(&BTreeMap::from([(id.clone(), *version)])).await?.pop())
    }
}
