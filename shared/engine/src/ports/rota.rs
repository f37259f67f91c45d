//! Rotations as the table keeps them: heads, accepted shifts, what the brake holds, and who is who on a platform.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dutykey_policy::brake::Word;
use dutykey_policy::bug::Bug;
use dutykey_policy::evidence::{ChainHead, Draft, Sealed};
use dutykey_policy::id::{PersonId, ProfileId, RotationId, SourceId, UserId};
use dutykey_policy::identity::{Departed, Doubt, first_match, verified_address};
use dutykey_policy::installation::Installation;
use dutykey_policy::look::Due;
use dutykey_policy::rota::{Difference, KnownShift, PlatformUser, Team};
use dutykey_policy::time::Span;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ledger::{Notice, StoreError};

/// The head of a rotation. A sync that finds nothing new writes only this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationHead {
    /// The rotation.
    pub id: RotationId,
    /// A name for people to read.
    pub name: String,
    /// Counts up with each complete view. Taken before the read begins: a view that was begun on an older one is refused.
    pub generation: u64,
    /// When a complete view was last read.
    pub fresh_at: Option<Timestamp>,
    /// When a read last failed, where that was after the last complete view.
    pub failed_at: Option<Timestamp>,
    /// How it failed.
    pub failure: Option<String>,
    /// What the last complete view said, whether accepted or held.
    pub digest: String,
    /// The window of the last complete view.
    pub window: Option<Span>,
    /// A digest of the shifts that stand.
    #[serde(default)]
    pub accepted: String,
    /// How many users on call could not be matched to a person when people's enrollments were last planned.
    #[serde(default)]
    pub unmatched: u32,
    /// The digest of everything from which people's enrollments were last planned; empty where they must be planned again.
    pub planned: String,
    /// Until when an administrator has prolonged the leases.
    pub prolonged_until: Option<Timestamp>,
    /// The digest of why, which names its text.
    #[serde(default)]
    pub prolonged_why: Option<String>,
    /// What the brake holds.
    pub held: Option<HeldChange>,
    /// When nobody is on call, by the last complete view and for the days right after it; empty where the rotation gives
    /// no profile.
    #[serde(default)]
    pub gaps: Vec<Span>,
    /// Whether somebody was told that the view is stale: how often.
    #[serde(default)]
    pub told_stale: u8,
    /// Whose gain of coverage waits for a profile's lock, as far as it is to be recorded when that has ended.
    #[serde(default)]
    pub waiting: Vec<Waiting>,
    /// When the rotation must be looked at for itself: a boundary of a shift, a lease, a lock.
    pub due: Option<Due>,
    /// The end of the rotation's chain of evidence.
    pub chain: ChainHead,
}

impl RotationHead {
    /// When the next lock ends.
    #[must_use]
    pub fn next_lock(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|one| one.until).min()
    }

    /// Until when a profile's lock keeps the user waiting.
    #[must_use]
    pub fn lock(&self, user: &UserId, profile: &ProfileId) -> Option<Timestamp> {
        let theirs = self.waiting.iter().filter(|one| one.user == *user && one.profile == *profile);
        theirs.map(|one| one.until).max()
    }

    /// Why the rotation does not count yet as its platform has shown it since then. A table that was restored must not go on
    /// before: by a view as old as the backup leases would end, and whoever is on call by one that was not accepted would
    /// lose what was rebuilt.
    #[must_use]
    pub fn unsettled(&self, since: Timestamp) -> Option<Unsettled> {
        if Bug::ReleaseBeforeRead.is_chosen() {
            None
        } else if self.fresh_at.is_none_or(|at| at < since) {
            Some(Unsettled::Unread)
        } else if self.held.as_ref().is_some_and(|held| !held.discarded) {
            Some(Unsettled::Held)
        } else if self.planned.is_empty() || !self.planned.starts_with(&self.accepted) {
            Some(Unsettled::Unplanned)
        } else {
            None
        }
    }

    /// The head of a rotation that was never read.
    #[must_use]
    pub fn new(id: RotationId, name: String) -> Self {
        Self {
            id,
            name,
            generation: 0,
            fresh_at: None,
            failed_at: None,
            failure: None,
            digest: String::new(),
            window: None,
            accepted: String::new(),
            unmatched: 0,
            planned: String::new(),
            prolonged_until: None,
            prolonged_why: None,
            held: None,
            gaps: Vec::new(),
            told_stale: 0,
            waiting: Vec::new(),
            due: None,
            chain: ChainHead::default(),
        }
    }
}

/// Why a rotation does not count yet as its platform shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsettled {
    /// It was not read.
    Unread,
    /// The brake holds a part of what was read.
    Held,
    /// People's enrollments were not planned from it yet.
    Unplanned,
}

/// Somebody whom a change of the forecast puts on call once a profile's lock has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Who, as the source names them.
    pub user: UserId,
    /// By which profile.
    pub profile: ProfileId,
    /// The first instant of it that was not over when it began to wait.
    pub from: Timestamp,
    /// Until when it waits.
    pub until: Timestamp,
}

impl Waiting {
    /// Whether the two are the same wait; that time has gone on makes no other of it.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (&self.user, &self.profile, self.until) == (&other.user, &other.profile, other.until)
    }
}

/// A change that the brake holds: the rest of its view was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldChange {
    /// Names exactly this change, for the person who releases it.
    pub digest: String,
    /// Since when it waits.
    pub since: Timestamp,
    /// Why, in a sentence.
    pub why: String,
    /// What waits.
    pub change: Difference,
    /// Whether an administrator has released exactly this.
    #[serde(default)]
    pub released: bool,
    /// Whether an administrator has discarded exactly this.
    #[serde(default)]
    pub discarded: bool,
}

impl HeldChange {
    /// What an administrator has said of it.
    #[must_use]
    pub fn word(&self) -> Word {
        match (self.released, self.discarded) {
            (true, _) => Word::Released,
            (false, true) => Word::Discarded,
            (false, false) => Word::Waiting,
        }
    }
}

/// A change of one rotation, in one transaction: conditional on the head that was read.
#[derive(Debug, Clone)]
pub struct RotationChange {
    /// The generation that was read; the change is refused where it is not that any more.
    pub expected: u64,
    /// The head after it, with the next generation.
    pub head: RotationHead,
    /// When it is decided.
    pub at: Timestamp,
    /// What is known of an interval, where that changes. Only days that differ are written.
    pub known: Option<KnownChange>,
    /// What is recorded.
    pub evidence: Vec<Draft>,
    /// Whom to tell what.
    pub notices: Vec<Notice>,
}

/// What is known of an interval: these shifts are all that touch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownChange {
    /// The interval. Shifts that do not touch it stay as they are.
    pub within: Span,
    /// Every shift that touches it, those that are gone included.
    pub shifts: Vec<KnownShift>,
}

/// Users and teams of a source as last read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// When they were read.
    pub read_at: Option<Timestamp>,
    /// Every user.
    pub users: Vec<PlatformUser>,
    /// Every team.
    pub teams: Vec<Team>,
    /// Who was listed before and is not, for a while.
    pub departed: Vec<Departed>,
}

impl Directory {
    /// Whoever has an address on the platform: those who are listed, and those who have lately departed.
    pub fn holders(&self) -> impl Iterator<Item = &PlatformUser> {
        self.users.iter().chain(self.departed.iter().map(|departed| &departed.user))
    }

    /// The address by which a user of the source is met for the first time: the one that the configuration says, else the one
    /// that the platform has, where it can be nobody else's.
    ///
    /// # Errors
    /// Why they cannot be met.
    pub fn first_address(
        &self,
        installation: &Installation,
        source: &SourceId,
        user: &UserId,
    ) -> Result<String, Doubt> {
        let domains = &installation.verified_domains;
        if let Some(link) = installation.link_of(source, user) {
            return verified_address(&link.person, domains).ok_or(Doubt::Unmatched);
        }
        let profile = self.users.iter().find(|known| known.id == *user).ok_or(Doubt::Unmatched)?;
        first_match(profile, self.holders(), domains)
    }
}

/// The power to read rotations.
#[async_trait]
pub trait ReadRota: Send + Sync {
    /// The heads of these rotations, read consistently; those that exist.
    async fn heads(&self, rotations: &[RotationId]) -> Result<BTreeMap<RotationId, RotationHead>, StoreError>;

    /// Every rotation of a source.
    async fn rotations(&self, source: &SourceId) -> Result<Vec<RotationHead>, StoreError>;

    /// The shifts that are known of a rotation and touch the interval, those that are gone included.
    async fn known(&self, rotation: &RotationId, within: Span) -> Result<Vec<KnownShift>, StoreError>;

    /// Who the users of a source are, of those who are linked.
    async fn people(&self, source: &SourceId, users: &[UserId]) -> Result<BTreeMap<UserId, PersonId>, StoreError>;

    /// The users and teams of a source as last read.
    async fn directory(&self, source: &SourceId) -> Result<Directory, StoreError>;
}

/// The power to change rotations and to link users to people.
#[async_trait]
pub trait WriteRota: ReadRota {
    /// Makes the change and its evidence one transaction, and answers the head with the new end of its chain. A rotation
    /// that does not exist yet has generation 0.
    async fn change_rotation(&self, change: &RotationChange) -> Result<RotationHead, StoreError>;

    /// The same with why: a text beside the evidence, which has its digest. It is erased with its author, where that is a
    /// person.
    async fn change_rotation_because(
        &self,
        change: &RotationChange,
        why: &Sealed,
        author: Option<&PersonId>,
    ) -> Result<RotationHead, StoreError>;

    /// Keeps the users and teams of a source.
    async fn keep_directory(&self, source: &SourceId, directory: &Directory) -> Result<(), StoreError>;

    /// Links a user to the person with this address, who is made where nobody has it. The link, the address and the
    /// person are one transaction with its evidence. A person has at most one user on a source: a second is doubt.
    async fn link_user(&self, link: &UserLink) -> Result<Result<PersonId, Doubt>, StoreError>;
}

/// A first match of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLink {
    /// The source.
    pub source: SourceId,
    /// The user.
    pub user: UserId,
    /// The verified address, in lower case.
    pub address: String,
    /// A name for people to read.
    pub name: Option<String>,
    /// The ID of the person, where nobody has the address yet.
    pub fresh: PersonId,
    /// Whether an administrator says so: then a second user of the person on the source is refused, not doubted.
    pub said: bool,
    /// When it is decided.
    pub at: Timestamp,
}
