//! The configuration over the API: put in force by a person, or kept until another one confirms it. What waits is a document
//! beside that of the configuration, which the table forgets some time after it has ceased to wait.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dutykey_engine::ports::configuration::{Applied, Change, WriteConfiguration};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::configure::Proposal;
use dutykey_policy::evidence::Chain;
use dutykey_policy::gain::Power;
use dutykey_policy::id::PersonId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::block::chain_step;
use crate::codec::{decode, number, text};
use crate::commit::{For, Writes};
use crate::configure::{By, changed};
use crate::document::{Document, Draft as Text, missing};
use crate::evidence::appended;
use crate::keys;
use crate::write::{Condition, Write};

/// How often a proposal is tried again where somebody else has recorded something meanwhile, and read again where it is
/// being replaced.
const ATTEMPTS: usize = 5;
/// The table may forget a proposal so many seconds after it has ceased to wait.
const FORGOTTEN_SECONDS: i64 = 86_400;

/// A change that waits. What it wants is a document of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ProposalHead {
    author: PersonId,
    at: Timestamp,
    until: Timestamp,
    configuration: u64,
    gain: BTreeSet<Power>,
    sections: BTreeSet<String>,
    digest: String,
    document: Document,
}

#[async_trait]
impl WriteConfiguration for Store {
    async fn proposed_configuration(&self, now: Timestamp) -> Result<Option<Proposal>, StoreError> {
        let key = keys::configuration_proposal();
        for _ in 0..ATTEMPTS {
            // The parts of one that is over may have been forgotten before it.
            let head = self.proposal_head().await?.filter(|head| now < head.until);
            let Some(head) = head else { return Ok(None) };
            let Some(wanted) = self.read_document(&key, &head.document).await? else { continue };
            let ProposalHead { author, at, until, configuration, gain, sections, digest, document: _ } = head;
            return Ok(Some(Proposal { wanted, author, at, until, configuration, gain, sections, digest }));
        }
        Err(missing(&key))
    }

    async fn propose_configuration(&self, proposal: &Proposal) -> Result<(), StoreError> {
        let key = keys::configuration_proposal();
        let wanted = Text::new(&key, &proposal.wanted)?;
        let forgotten = proposal.until.as_second().saturating_add(FORGOTTEN_SECONDS);
        let id = format!("proposal#{}#{}", proposal.at, wanted.hash);
        let document = self.write_document(&key, id, &wanted, Some(forgotten)).await?;
        let before = match self.keep_proposal(proposal, &document, forgotten).await {
            Ok(before) => before,
            Err(error) => {
                self.abandon_document(&key, &document).await?;
                return Err(error);
            }
        };
        match before.filter(|before| before.document.id != document.id) {
            Some(before) => self.remove_document(&key, &before.document).await,
            None => Ok(()),
        }
    }

    async fn change_configuration(&self, change: &Change) -> Result<Applied, StoreError> {
        let Change { installation, by, confirmed, on, at } = change;
        let waiting = self.proposal_head().await?;
        let applied = self.configured(*on, installation, *at, By::Person(by, confirmed.as_ref())).await?;
        if let Some(waiting) = waiting.filter(|_| applied.version != *on) {
            let removed = self.remove_document(&keys::configuration_proposal(), &waiting.document).await;
            // The change is made, and the table forgets them.
            if let Err(error) = removed {
                tracing::warn!(error = %error, "parts of a proposal that is settled stay for a while: {error}");
            }
        }
        Ok(applied)
    }
}

impl Store {
    async fn proposal_head(&self) -> Result<Option<ProposalHead>, StoreError> {
        self.get(&keys::configuration_proposal()).await?.map(decode).transpose()
    }

    /// Has a proposal wait, whose document is written. Answers the one in whose place it waits.
    async fn keep_proposal(
        &self,
        proposal: &Proposal,
        document: &Document,
        forgotten: i64,
    ) -> Result<Option<ProposalHead>, StoreError> {
        let Proposal { wanted: _, author, at, until, configuration, gain, sections, digest } = proposal;
        let head = ProposalHead {
            author: author.clone(),
            at: *at,
            until: *until,
            configuration: *configuration,
            gain: gain.clone(),
            sections: sections.clone(),
            digest: digest.clone(),
            document: document.clone(),
        };
        let chain = Chain::System;
        for _ in 0..ATTEMPTS {
            self.decided_on(*configuration).await?;
            let before = self.proposal_head().await?;
            let as_read = match &before {
                Some(before) => Condition::is("digest", text(&before.digest)),
                None => Condition::new(),
            };
            let end = self.chain_head(&chain).await?;
            let evidence = appended(&chain, &end, *at, &[proposal.proposed()])?;
            let kept = Write::save(keys::configuration_proposal(), &head)?.with(keys::TTL, number(forgotten));
            let unmoved = Condition::is("version", number(*configuration));
            let mut writes: Writes = vec![
                (For::Head, kept.when(as_read)),
                (For::Head, Write::check(keys::config(), unmoved)),
                (For::Head, chain_step(&chain, &end, &evidence.head)?),
            ];
            writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
            match self.commit_all("the configuration", writes, &[]).await {
                Ok(_) => return Ok(before),
                Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(changed())
    }
}
