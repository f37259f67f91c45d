//! The ledger: a person's live items, and the one transaction that changes them with its evidence.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dutykey_policy::emergency::Emergency;
use dutykey_policy::enrollment::Enrollment;
use dutykey_policy::evidence::{ChainHead, Draft, Sealed};
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{AccountId, AppId, PersonId, RequestId};
use dutykey_policy::identity::Person;
use dutykey_policy::installation::Topic;
use dutykey_policy::look::Due;
use dutykey_policy::request::Request;
use dutykey_policy::turn;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::roll::{ReadRoll, RollChange};

/// At most this many holds in one transaction: with their evidence and the head they stay under the table's 100 items.
pub const MAX_HOLDS: usize = 40;
/// At most this many items for holds, their notices and their turns in one transaction. A hold counts for two: the item
/// that it leaves and the one that it becomes.
pub const MAX_HOLD_ITEMS: usize = 2 * MAX_HOLDS;

/// How the table failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was faster. Read again and decide again.
    #[error("the record of {0} has changed since it was read")]
    Changed(String),
    /// The table could not be reached, or asks to slow down: nobody knows whether it happened. Read again.
    #[error("the table cannot be used now: {0}")]
    Unavailable(String),
    /// The clock of whoever decides cannot be trusted now, so nothing is decided. Read again.
    #[error("nothing is decided now: {0}")]
    Doubt(String),
    /// It belongs to somebody else: what the configuration file brought to the file, what the API made to the API.
    #[error("{0}")]
    Owned(String),
    /// A limit of the product.
    #[error("{0}")]
    Limit(String),
    /// A record that this release cannot read.
    #[error("the record {key} cannot be read: {problem}")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

impl StoreError {
    /// Whether only what is at hand cannot be read or kept: nothing else has to wait for it (R24).
    #[must_use]
    pub fn is_of_one_record(&self) -> bool {
        matches!(self, Self::Limit(_) | Self::Unreadable { .. })
    }
}

/// The head of a person's items: its revision fences every change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonHead {
    /// Counts up with each change.
    pub rev: u64,
    /// The end of the person's chain of evidence.
    pub chain: ChainHead,
    /// The time of the last record. Time never runs backwards for a person.
    pub last_at: Option<Timestamp>,
    /// When the next thing may begin.
    pub next_start: Option<Due>,
    /// When the next thing may end.
    pub next_end: Option<Due>,
}

/// All that a look needs of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePerson {
    /// The head.
    pub head: PersonHead,
    /// Who they are.
    pub person: Person,
    /// Their enrollments.
    pub enrollments: Vec<Enrollment>,
    /// Their holds that are not over.
    pub holds: Vec<Hold>,
    /// Holds of theirs that were written off although something of ours was there: the last of each place.
    pub written_off: Vec<Hold>,
    /// Their access requests that are not over.
    pub requests: Vec<Request>,
    /// Keys of live items that this release cannot read. They are set aside and shown; the rest goes on.
    pub unreadable: Vec<String>,
}

impl LivePerson {
    /// Whether a restored table has things of theirs and knows nobody of that ID: they were first met after the backup, and
    /// are met anew under another one. Nothing can give them anything any more; what they hold ends.
    #[must_use]
    pub fn is_left_over(&self) -> bool {
        self.person.is_nobody() && self.enrollments.is_empty() && self.requests.is_empty()
    }

    /// Whether they hold, or may hold, anything in an account.
    #[must_use]
    pub fn may_hold_in(&self, app: &AppId, account: &AccountId) -> bool {
        let there = |hold: &Hold| hold.key.app == *app && hold.key.account == *account;
        !self.unreadable.is_empty() || self.holds.iter().any(there)
    }
}

/// Somebody has to be told. A notice is written with what caused it and stays due until it was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Names it for good: the same cause never makes two.
    pub id: String,
    /// What it is about.
    pub topic: Topic,
    /// When it was written.
    pub at: Timestamp,
    /// What happened, to what, and what to do, in a sentence. People by ID.
    pub text: String,
    /// How often a delivery has failed.
    #[serde(default)]
    pub failures: u32,
    /// The channels that have taken it, while another has not: nobody is told twice for the sake of somebody else.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub told: BTreeSet<String>,
    /// When it is delivered next.
    pub due: Timestamp,
}

impl Notice {
    /// A notice that is written now, and due at once.
    #[must_use]
    pub fn new(id: String, topic: Topic, text: String, now: Timestamp) -> Self {
        Self { id, topic, at: now, text, failures: 0, told: BTreeSet::new(), due: now }
    }
}

/// An account that becomes a person's. It belongs to one person at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The app.
    pub app: AppId,
    /// The account in it.
    pub account: AccountId,
    /// Who gives it up, where it is still theirs: somebody who is left over from before a restore
    /// ([`LivePerson::is_left_over`]) and holds nothing in it.
    pub from: Option<PersonId>,
}

/// A change of one person's items: one transaction, with its evidence.
#[derive(Debug, Clone)]
pub struct PersonChange {
    /// Whose.
    pub person: PersonId,
    /// The head that was read. The change is refused where it is not that any more.
    pub head: PersonHead,
    /// When it is decided.
    pub at: Timestamp,
    /// When the next thing may begin.
    pub next_start: Option<Due>,
    /// When the next thing may end.
    pub next_end: Option<Due>,
    /// The person's new texts and links, where they change.
    pub identity: Option<Person>,
    /// Accounts that become this person's.
    pub claims: Vec<Claim>,
    /// Enrollments, replaced whole; one without periods leaves the live items.
    pub enrollments: Vec<Enrollment>,
    /// Holds; one that is over leaves the live items.
    pub holds: Vec<Hold>,
    /// Access requests; one that is over leaves the live items.
    pub requests: Vec<Request>,
    /// An emergency, as it is from now on.
    pub emergency: Option<Emergency>,
    /// Texts that requests bring: beside the evidence, so that they can be erased.
    pub texts: Vec<Text>,
    /// The request that was made under an idempotency key.
    pub made: Option<Made>,
    /// Turns that its calls take, keep or give back. One that is taken must still be as it was read, or the change is
    /// refused; one that is kept or given back and has become another's is left alone.
    pub turns: Vec<turn::Change>,
    /// The roll of the directory, where it changes with the person.
    pub roll: Option<RollChange>,
    /// What is recorded.
    pub evidence: Vec<Draft>,
    /// Whom to tell what.
    pub notices: Vec<Notice>,
}

impl PersonChange {
    /// A change that changes nothing yet of a person as they were read.
    #[must_use]
    pub fn nothing(live: &LivePerson, at: Timestamp) -> Self {
        Self {
            person: live.person.id.clone(),
            head: live.head.clone(),
            at,
            next_start: live.head.next_start.clone(),
            next_end: live.head.next_end.clone(),
            identity: None,
            claims: Vec::new(),
            enrollments: Vec::new(),
            holds: Vec::new(),
            requests: Vec::new(),
            emergency: None,
            texts: Vec::new(),
            made: None,
            turns: Vec::new(),
            roll: None,
            evidence: Vec::new(),
            notices: Vec::new(),
        }
    }
}

/// A text that lies with a person. It is erased with them, and with whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Names it; no two have one name.
    pub name: String,
    /// Who wrote it.
    pub by: PersonId,
    /// What it says.
    pub sealed: Sealed,
}

/// A request that was made under a name of the requester's own, so that it is not made twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The name.
    pub name: String,
    /// A digest of everything that was asked for.
    pub of: String,
    /// The request.
    pub request: RequestId,
    /// When.
    pub at: Timestamp,
}

/// The outcome of a change that was not refused for being late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is in the table; this is the head now.
    Done(PersonHead),
    /// Nothing was written: these accounts belong to somebody else already.
    Claimed(Vec<AppId>),
}

/// The power to read people's items.
#[async_trait]
pub trait ReadLedger: Send + Sync {
    /// A person's live items, read consistently; `None` for somebody who does not exist.
    async fn load(&self, person: &PersonId) -> Result<Option<LivePerson>, StoreError>;

    /// What a person has made under a name of their own, read consistently.
    async fn made(&self, person: &PersonId, name: &str) -> Result<Option<Made>, StoreError>;

    /// Whose account it is, read consistently.
    async fn owner(&self, app: &AppId, account: &AccountId) -> Result<Option<PersonId>, StoreError>;
}

/// The power to find out whose something is.
#[async_trait]
pub trait FindPeople: Send + Sync {
    /// The person whose first match this address was, in lower case.
    async fn find_person(&self, address: &str) -> Result<Option<PersonId>, StoreError>;

    /// Whose request it is.
    async fn requester(&self, request: &RequestId) -> Result<Option<PersonId>, StoreError>;
}

/// The power to change people's items.
#[async_trait]
pub trait WriteLedger: ReadLedger + ReadRoll {
    /// Makes the change, its evidence and its notices one transaction.
    async fn commit(&self, change: &PersonChange) -> Result<Committed, StoreError>;
}
