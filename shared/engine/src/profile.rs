//! Changing profiles one by one, and confirming what gives its author more: one transaction, then those whom it concerns
//! are looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use dutykey_policy::edit::{EditRefusal, Precondition, Proposal, Standing};
use dutykey_policy::gain::Power;
use dutykey_policy::id::{PersonId, ProfileId, RotationId};
use dutykey_policy::profile::{MAX_PROFILES, Profile};

use crate::ports::clock::{Clock, trusted};
use crate::ports::ledger::StoreError;
use crate::ports::profiles::{Edit, WriteProfiles};
use crate::ports::queue::{Enqueue, Message, Queue};
use crate::ports::rules::{Configured, ReadRules};

/// How often a change that does not depend on the rest of the configuration is tried again on a newer one.
const RACES: usize = 5;

/// Changes profiles.
#[derive(Clone)]
pub struct Profiles {
    /// Where they are written.
    pub profiles: Arc<dyn WriteProfiles>,
    /// What is in force.
    pub rules: Arc<dyn ReadRules>,
    /// The queues of reads and of both sides.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Profiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profiles").finish_non_exhaustive()
    }
}

/// A profile as an administrator wants it, judged on one version of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The profile.
    pub profile: Profile,
    /// What they take the one before it to be.
    pub taken_for: Precondition,
    /// Who wants it.
    pub author: PersonId,
    /// The version of the configuration on which it was judged.
    pub on: u64,
    /// What it gives its author.
    pub gain: BTreeSet<Power>,
}

/// What became of a wanted profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Become {
    /// It is new, and in force.
    Made,
    /// It is in force.
    Changed,
    /// It waits for another administrator.
    Waits(Box<Proposal>),
}

/// Why a profile was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// There is no such profile.
    #[error("there is no profile {0}")]
    NoProfile(ProfileId),
    /// It may not be changed, or not like this.
    #[error(transparent)]
    Refused(#[from] EditRefusal),
    /// There are as many profiles as there can be.
    #[error("there are {MAX_PROFILES} profiles, and there can be no more; delete one first")]
    TooMany,
    /// No change of it waits to be confirmed.
    #[error("no change of profile {0} waits to be confirmed")]
    NothingWaits(ProfileId),
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

impl Profiles {
    /// Changes a profile or makes it; has it wait for another administrator where it gives its author more than they had
    /// (R20).
    ///
    /// # Errors
    /// It may not be changed by them, or not like this; the configuration is not the one on which it was judged; the table.
    pub async fn put(&self, wanted: Wanted) -> Result<Become, ProfileError> {
        trusted(self.clock.as_ref())?;
        let Wanted { profile, taken_for, author, on, gain } = wanted;
        let configured = self.configured().await?;
        if configured.version != on {
            return Err(StoreError::Changed("the configuration".to_owned()).into());
        }
        let before = standing(&configured, &profile.id);
        before.may_become(taken_for)?;
        if before == Standing::Absent && configured.installation.profiles.len() >= MAX_PROFILES {
            return Err(ProfileError::TooMany);
        }
        if configured.installation.profiles.iter().any(|known| known.id == profile.id && known.says_the_same(&profile))
        {
            return Ok(Become::Changed);
        }
        let at = self.clock.now();
        if !gain.is_empty() {
            let proposal = Proposal::new(profile, author, on, gain, at);
            self.profiles.propose(&proposal).await?;
            return Ok(Become::Waits(Box::new(proposal)));
        }
        let id = profile.id.clone();
        self.edit(Edit { id, becomes: Some(profile), by: author, confirmed: None, on, at }).await?;
        Ok(if before == Standing::Absent { Become::Made } else { Become::Changed })
    }

    /// Deletes a profile: all its reasons end. That gives nobody more.
    ///
    /// # Errors
    /// There is none, it may not be deleted by them, or not like this; the table.
    pub async fn delete(&self, id: &ProfileId, taken_for: Precondition, author: &PersonId) -> Result<(), ProfileError> {
        trusted(self.clock.as_ref())?;
        let mut races = 0;
        loop {
            let configured = self.configured().await?;
            let before = standing(&configured, id);
            if before == Standing::Absent {
                return Err(ProfileError::NoProfile(id.clone()));
            }
            before.may_become(taken_for)?;
            let (at, on) = (self.clock.now(), configured.version);
            let edit = Edit { id: id.clone(), becomes: None, by: author.clone(), confirmed: None, on, at };
            match self.edit(edit).await {
                Err(ProfileError::Store(StoreError::Changed(_))) if races < RACES => races += 1,
                done => return done,
            }
        }
    }

    /// Confirms what another administrator has proposed, so that it takes effect.
    ///
    /// # Errors
    /// Nothing waits, it is their own, something has changed since; the table.
    pub async fn confirm(&self, id: &ProfileId, digest: &str, by: &PersonId) -> Result<(), ProfileError> {
        trusted(self.clock.as_ref())?;
        let at = self.clock.now();
        let proposal = self.waiting(id).await?.ok_or_else(|| ProfileError::NothingWaits(id.clone()))?;
        if proposal.author == *by {
            return Err(ProfileError::OwnGain);
        }
        let on = self.configured().await?.version;
        if proposal.digest != digest || proposal.configuration != on {
            return Err(ProfileError::Moved);
        }
        let becomes = Some(proposal.wanted.clone());
        let edit = Edit { id: id.clone(), becomes, by: by.clone(), confirmed: Some(proposal), on, at };
        self.edit(edit).await.map_err(|error| match error {
            ProfileError::Store(StoreError::Changed(_)) => ProfileError::Moved,
            error => error,
        })
    }

    /// The change of the profile that waits for another administrator.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn waiting(&self, id: &ProfileId) -> Result<Option<Proposal>, StoreError> {
        let now = self.clock.now();
        Ok(self.profiles.proposal(id).await?.filter(|proposal| proposal.waits(now)))
    }

    async fn configured(&self) -> Result<Configured, StoreError> {
        let configured = self.rules.installation().await?;
        configured.ok_or_else(|| StoreError::Unavailable("no configuration was applied yet".to_owned()))
    }

    /// Whoever commits a change sends its messages: the tick and the next reads only find what was lost.
    async fn edit(&self, edit: Edit) -> Result<(), ProfileError> {
        let edited = self.profiles.edit(&edit).await?;
        let read = |rotation: RotationId| Message::rota(rotation.source.clone(), Some(rotation.local()), "profile");
        let reads: Vec<Message> = edited.rotations.into_iter().map(read).collect();
        let looks = vec![Message::sweep(&edited.sweep, "profile")];
        for (queue, messages) in [(Queue::Provisioning, looks), (Queue::Sync, reads)] {
            if messages.is_empty() {
                continue;
            }
            if let Err(error) = self.queues.send(queue, messages).await {
                tracing::warn!(error = %error, "a change of `{}` takes effect with the next tick or read: {error}", edit.id);
            }
        }
        Ok(())
    }
}

fn standing(configured: &Configured, id: &ProfileId) -> Standing {
    match configured.installation.profiles.iter().find(|profile| profile.id == *id) {
        None => Standing::Absent,
        Some(profile) if configured.made.contains(id) => Standing::Made(profile.version),
        Some(_) => Standing::FromFile,
    }
}
