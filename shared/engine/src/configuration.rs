//! Changing the whole configuration as its author, and confirming what gives its author more: one transaction, then those
//! whom it concerns are looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use dutykey_policy::bug::Bug;
use dutykey_policy::configure::Proposal;
use dutykey_policy::difference;
use dutykey_policy::edit::{EditRefusal, Precondition, Standing};
use dutykey_policy::gain::Power;
use dutykey_policy::id::PersonId;
use dutykey_policy::installation::Installation;

use crate::ports::clock::{Clock, trusted};
use crate::ports::configuration::{Change, WriteConfiguration};
use crate::ports::ledger::StoreError;
use crate::ports::queue::{Enqueue, Message, Queue};

/// Changes the configuration.
#[derive(Clone)]
pub struct Configurations {
    /// Where it is written.
    pub configuration: Arc<dyn WriteConfiguration>,
    /// The queues of reads and of both sides.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Configurations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configurations").finish_non_exhaustive()
    }
}

/// A configuration as an administrator wants it, judged on one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it would be, the profiles that the API made aside.
    pub installation: Installation,
    /// What differs.
    pub changes: Vec<difference::Change>,
    /// What they take the one before it to be.
    pub taken_for: Precondition,
    /// Who wants it.
    pub author: PersonId,
    /// The version on which it was judged.
    pub on: u64,
    /// What it gives its author.
    pub gain: BTreeSet<Power>,
}

/// What became of a wanted configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Become {
    /// It is in force.
    InForce,
    /// It waits for another administrator.
    Waits(Box<Proposal>),
}

/// Why the configuration was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// It may not be changed like this.
    #[error(transparent)]
    Refused(#[from] EditRefusal),
    /// No change of it waits to be confirmed.
    #[error("no change of the configuration waits to be confirmed")]
    NothingWaits,
    /// Whoever confirms it proposed it.
    #[error("it gives you more than you have, and you proposed it; another administrator must confirm it")]
    OwnGain,
    /// Something has changed since it was judged.
    #[error("this is not what waits, or something has changed since; look at it again")]
    Moved,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Configurations {
    /// Puts a configuration in force; has it wait for another administrator where it gives its author more than they had
    /// (R20). One that changes nothing is in force already.
    ///
    /// # Errors
    /// The configuration is not the one that they take it for, or what the API made could not stay; the table.
    pub async fn put(&self, wanted: Wanted) -> Result<Become, ConfigurationError> {
        trusted(self.clock.as_ref())?;
        let Wanted { installation, changes, taken_for, author, on, gain } = wanted;
        Standing::Made(on).may_become(taken_for)?;
        if changes.is_empty() {
            return Ok(Become::InForce);
        }
        let at = self.clock.now();
        let done = if gain.is_empty() {
            let change = Change { installation, by: author, confirmed: None, on, at };
            self.change(change).await.map(|()| Become::InForce)
        } else {
            let proposal = Proposal::new(installation, &changes, author, on, gain, at);
            let proposed = self.configuration.propose_configuration(&proposal).await;
            proposed.map(|()| Become::Waits(Box::new(proposal)))
        };
        done.map_err(|error| match error {
            StoreError::Changed(_) => EditRefusal::Stale.into(),
            error => error.into(),
        })
    }

    /// Confirms what another administrator has proposed, so that it takes effect.
    ///
    /// # Errors
    /// Nothing waits, it is their own, something has changed since; the table.
    pub async fn confirm(&self, digest: &str, by: &PersonId) -> Result<(), ConfigurationError> {
        trusted(self.clock.as_ref())?;
        let proposal = self.waiting().await?.ok_or(ConfigurationError::NothingWaits)?;
        if proposal.author == *by && !Bug::OwnGainConfirmed.is_chosen() {
            return Err(ConfigurationError::OwnGain);
        }
        if proposal.digest != digest {
            return Err(ConfigurationError::Moved);
        }
        let (installation, on) = (proposal.wanted.clone(), proposal.configuration);
        let at = self.clock.now();
        let change = Change { installation, by: by.clone(), confirmed: Some(proposal), on, at };
        self.change(change).await.map_err(|error| match error {
            StoreError::Changed(_) => ConfigurationError::Moved,
            error => error.into(),
        })
    }

    /// The change that waits for another administrator.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn waiting(&self) -> Result<Option<Proposal>, StoreError> {
        self.configuration.proposed_configuration(self.clock.now()).await
    }

    /// Whoever commits a change sends its messages: the tick and the next reads only find what was lost.
    async fn change(&self, change: Change) -> Result<(), StoreError> {
        let applied = self.configuration.change_configuration(&change).await?;
        let sources = change.installation.sources.into_iter().filter(|source| !source.retiring);
        let reads: Vec<Message> = sources.map(|source| Message::rota(source.id, None, "configuration")).collect();
        let mut looks: Vec<Message> =
            applied.sweeps.iter().map(|sweep| Message::sweep(sweep, "configuration")).collect();
        looks.push(Message::catalog(None, "configuration"));
        for (queue, messages) in [(Queue::Provisioning, looks), (Queue::Sync, reads)] {
            if messages.is_empty() {
                continue;
            }
            if let Err(error) = self.queues.send(queue, messages).await {
                tracing::warn!(
                    error = %error,
                    config.version = applied.version,
                    "version {} of the configuration takes effect with the next tick or read: {error}",
                    applied.version
                );
            }
        }
        Ok(())
    }
}
