//! Who calls the API: a subject of an issuer, linked once to a person.

use async_trait::async_trait;
use dutykey_policy::id::PersonId;
use dutykey_policy::identity::Doubt;
use jiff::Timestamp;

use super::ledger::StoreError;

/// Whoever an issuer's token is about (OpenID Connect Core 1.0 §2: `iss` and `sub` together are unique and never given to
/// somebody else).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The issuer.
    pub issuer: String,
    /// Its name for them.
    pub id: String,
}

/// A caller whom nobody has seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerLink {
    /// Who calls.
    pub subject: Subject,
    /// Their verified address, in lower case.
    pub address: String,
    /// The ID of the person, where nobody has the address yet.
    pub fresh: PersonId,
    /// When it is decided.
    pub at: Timestamp,
}

/// The power to tell who calls.
#[async_trait]
pub trait Callers: Send + Sync {
    /// The person whom the subject is linked to.
    async fn caller(&self, subject: &Subject) -> Result<Option<PersonId>, StoreError>;

    /// Links a subject to the person with this address, who is made where nobody has it. The link, the address and the
    /// person are one transaction with its evidence. A person has at most one subject of an issuer: a second is doubt, as
    /// an address may be given to somebody else.
    async fn link_caller(&self, link: &CallerLink) -> Result<Result<PersonId, Doubt>, StoreError>;
}
