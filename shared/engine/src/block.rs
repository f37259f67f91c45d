//! Placing and lifting blocks: one transaction, then those whom it concerns are looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use dutykey_policy::block::{Block, Denied, Reach};
use dutykey_policy::enrollment::Origin;
use dutykey_policy::evidence::Sealed;
use dutykey_policy::id::{PersonId, ProfileId};
use dutykey_policy::profile::Profile;
use jiff::Timestamp;

use crate::ids;
use crate::ports::blocks::{Concerned, WriteBlocks};
use crate::ports::clock::{Chance, Clock, trusted};
use crate::ports::ledger::{ReadLedger, StoreError};
use crate::ports::queue::{Enqueue, Message, Queue};
use crate::ports::rules::ReadRules;

/// The longest reason, in characters.
pub const LONGEST_REASON: usize = 2_000;

/// Places and lifts blocks.
#[derive(Clone)]
pub struct Blocks {
    /// Where they are written.
    pub blocks: Arc<dyn WriteBlocks>,
    /// The queues of both sides.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for IDs and for what seals the reason.
    pub chance: Arc<dyn Chance>,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks").finish_non_exhaustive()
    }
}

/// Why a block was neither placed nor lifted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Nobody answers for it.
    #[error("a block needs its author")]
    NoAuthor,
    /// The reason is empty or too long.
    #[error("a block needs a reason of 1 to {LONGEST_REASON} characters")]
    Reason,
    /// It would end before it begins.
    #[error("the block would have ended by {0} already")]
    Over(Timestamp),
    /// It names a person who does not exist, or was erased.
    #[error("the block names a person who does not exist, or was erased")]
    Nobody,
    /// Whoever lifts it would have more by it than they have.
    #[error("lifting the block would give you access; another administrator must do it")]
    OwnGain,
    /// Whoever gives a profile back is not in it by being on call.
    #[error("nobody is in {0} now by being on call; what was asked for or taken is given back where it was")]
    NotEnrolled(ProfileId),
    /// There is no such block, or it has ended.
    #[error("there is no block {0} that has not ended")]
    NoBlock(String),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is asked to be denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What.
    pub denied: Denied,
    /// Whether what is held ends too.
    pub reach: Reach,
    /// Who asks: a person by ID.
    pub author: String,
    /// Why. Free text, kept apart from the evidence.
    pub reason: String,
    /// When it ends by itself; `None` until somebody lifts it.
    pub until: Option<Timestamp>,
}

impl Blocks {
    /// Places a block that begins now.
    ///
    /// # Errors
    /// It is not whole, it names nobody, or the table cannot be used.
    pub async fn place(&self, denial: Denial) -> Result<Block, BlockError> {
        let Denial { denied, reach, author, reason, until } = denial;
        trusted(self.clock.as_ref())?;
        let now = self.clock.now();
        if author.trim().is_empty() {
            return Err(BlockError::NoAuthor);
        }
        if reason.trim().is_empty() || reason.chars().count() > LONGEST_REASON {
            return Err(BlockError::Reason);
        }
        if let Some(until) = until.filter(|until| *until <= now) {
            return Err(BlockError::Over(until));
        }
        let id = ids::fresh(self.chance.as_ref(), now).to_string();
        let block = Block { id, denied, reach, author, from: now, until };
        let sealed = Sealed::new(&reason, self.chance.bytes());
        let concerned = self.blocks.place(&block, &sealed, now).await?.ok_or(BlockError::Nobody)?;
        self.announce(concerned, now).await;
        Ok(block)
    }

    /// Gives a profile back that somebody is in by being on call: they are denied it until that access would have ended
    /// (R2). An end that nobody knows is none: then an administrator lifts it. What was given back already stays so, by the
    /// block that there is.
    ///
    /// # Errors
    /// They are not in it by being on call, or the table cannot be used.
    pub async fn give_back(
        &self,
        person: &PersonId,
        profile: &ProfileId,
        ledger: &dyn ReadLedger,
        rules: &dyn ReadRules,
    ) -> Result<Block, BlockError> {
        let now = self.clock.now();
        let live = ledger.load(person).await?.ok_or_else(|| BlockError::NotEnrolled(profile.clone()))?;
        let theirs = live.enrollments.iter().filter(|it| it.profile == *profile);
        let on_call = theirs.filter(|it| matches!(it.origin, Origin::Coverage(_)));
        let running = on_call.flat_map(|it| &it.periods).filter(|period| period.contains(now));
        let end = running.map(|period| period.until.or_max()).max();
        let end = end.ok_or_else(|| BlockError::NotEnrolled(profile.clone()))?;
        let (denied, reach) = (Denied::Enrollment(person.clone(), profile.clone()), Reach::Revoke);
        let lasts = |block: &Block| block.live(now) && block.until.is_none_or(|until| end <= until);
        let given_back = |block: &Block| block.denied == denied && block.reach == reach && lasts(block);
        if let Some(block) = rules.blocks().await?.into_iter().find(given_back) {
            return Ok(block);
        }
        let denial = Denial {
            denied,
            reach,
            author: person.to_string(),
            reason: "given back by whoever had it".to_owned(),
            until: Some(end).filter(|end| *end != Timestamp::MAX),
        };
        self.place(denial).await
    }

    /// Lifts a block before its end.
    ///
    /// # Errors
    /// Nobody answers for it, there is no such block, or the table cannot be used.
    pub async fn lift(&self, id: &str, author: &str) -> Result<(), BlockError> {
        trusted(self.clock.as_ref())?;
        let now = self.clock.now();
        if author.trim().is_empty() {
            return Err(BlockError::NoAuthor);
        }
        let concerned = self.blocks.lift(id, author, now).await?;
        self.announce(concerned.ok_or_else(|| BlockError::NoBlock(id.to_owned()))?, now).await;
        Ok(())
    }

    /// Lifts a block before its end, as an administrator whom that gives nothing (R20).
    ///
    /// # Errors
    /// It would give them something, there is no such block, or the table cannot be used.
    pub async fn lift_as(
        &self,
        id: &str,
        author: &PersonId,
        ledger: &dyn ReadLedger,
        rules: &dyn ReadRules,
    ) -> Result<(), BlockError> {
        let block = rules.blocks().await?.into_iter().find(|block| block.id == id);
        let block = block.ok_or_else(|| BlockError::NoBlock(id.to_owned()))?;
        let live = ledger.load(author).await?.ok_or(BlockError::NoAuthor)?;
        let enrolled: BTreeSet<ProfileId> = live.enrollments.iter().map(|it| it.profile.clone()).collect();
        let profiles = rules.profiles(&enrolled.into_iter().collect::<Vec<_>>()).await?;
        if block.keeps_from(author, &live.enrollments, &profiles, self.clock.now()) {
            return Err(BlockError::OwnGain);
        }
        self.lift(id, author.as_str()).await
    }

    /// Whoever commits a due time that is near sends its message: the tick only finds what was lost.
    async fn announce(&self, concerned: Concerned, now: Timestamp) {
        let messages = match concerned {
            Concerned::Person(person) => {
                let look = Message::person(person, "block").at(now);
                vec![(Queue::Revocation, look.clone()), (Queue::Provisioning, look)]
            }
            Concerned::Sweep(id) => vec![(Queue::Provisioning, Message::sweep(&id, "block"))],
        };
        for (queue, message) in messages {
            if let Err(error) = self.queues.send(queue, vec![message]).await {
                tracing::warn!(error = %error, "a block takes effect with the next tick: {error}");
            }
        }
    }
}

/// Whether blocks deny the person all that the profile gives, or keep what comes of this origin from being begun.
pub(crate) fn denied(blocks: &[Block], person: &PersonId, profile: &Profile, origin: &Origin, now: Timestamp) -> bool {
    let stops = |block: &&Block| block.live(now) && (block.reach == Reach::Revoke || block.reach.freezes(origin));
    let stopping: Vec<&Block> = blocks.iter().filter(stops).collect();
    let mut gives = profile.entitlements.iter();
    !profile.entitlements.is_empty()
        && gives.all(|one| stopping.iter().any(|block| block.denies(person, &profile.id, &one.app)))
}
