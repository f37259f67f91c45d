//! People: what lies with each of them, and by what they are known: users, accounts, addresses, issuers' subjects.

use dutykey_engine::ports::callers::Subject;
use dutykey_policy::id::{AccountId, AppId, PersonId, SourceId, UserId};
use dutykey_policy::rota::hex;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{ACTIVE, Key, instant, key, part, shard};

const PERSON: &str = "PERSON#";

/// The partition of a person.
#[must_use]
pub fn person(id: &PersonId) -> String {
    format!("{PERSON}{id}")
}

/// The person of a partition, where it is one.
#[must_use]
pub fn person_of(pk: &str) -> Option<PersonId> {
    pk.strip_prefix(PERSON)?.parse().ok()
}

/// The first part of the sort keys of everything that a look reads of a person.
pub const LIVE: &str = "LIVE#";

/// The head of a person.
#[must_use]
pub fn person_head(id: &PersonId) -> Key {
    key(person(id), "LIVE#HEAD")
}

/// A person's links and accounts.
#[must_use]
pub fn person_links(id: &PersonId) -> Key {
    key(person(id), "LIVE#PERSON")
}

/// A person's address and name.
#[must_use]
pub fn person_text(id: &PersonId) -> Key {
    key(person(id), "LIVE#TEXT")
}

/// The place of somebody active in the lists.
#[must_use]
pub fn active_list(id: &PersonId, asked: Timestamp) -> (String, String) {
    (shard(ACTIVE, id.as_str()), format!("{}#{id}", instant(asked)))
}

/// The first part of the sort keys of a person's texts.
pub const TEXTS: &str = "TEXT#";

/// A text of a person, by its name. It is erased with them.
#[must_use]
pub fn text(of: &PersonId, id: &str) -> Key {
    key(person(of), format!("{TEXTS}{}", part(id)))
}

/// The list of a person's texts that lie with others.
#[must_use]
pub fn texts_by(author: &PersonId) -> String {
    format!("texts#{author}")
}

/// The first part of the sort keys of what a person has made under idempotency keys.
pub const MADE: &str = "ONCE#";

/// What a person has made under an idempotency key, which is theirs alone.
#[must_use]
pub fn once(id: &PersonId, named: &str) -> Key {
    key(person(id), format!("{MADE}{}", hex(&Sha256::digest(named))))
}

/// Who a user is.
#[must_use]
pub fn link(source: &SourceId, user: &UserId) -> Key {
    key(format!("LINK#{source}#{}", part(user.as_str())), "LINK")
}

/// Whose an account is.
#[must_use]
pub fn account(app: &AppId, account: &AccountId) -> Key {
    key(format!("ACCOUNT#{app}#{}", part(account.as_str())), "ACCOUNT")
}

/// Whose an address is.
#[must_use]
pub fn address(address: &str) -> Key {
    key(format!("ADDRESS#{}", part(address)), "ADDRESS")
}

/// The name of an issuer's subject in keys. A subject may be an address: it is a hash.
#[must_use]
pub fn subject_name(subject: &Subject) -> String {
    let name = Sha256::new().chain_update(Sha256::digest(&subject.issuer)).chain_update(&subject.id).finalize();
    hex(&name)
}

/// Who the subject of this name is.
#[must_use]
pub fn caller(name: &str) -> Key {
    key(format!("CALLER#{name}"), "CALLER")
}

/// Who an issuer's subject is.
#[must_use]
pub fn subject(subject: &Subject) -> Key {
    caller(&subject_name(subject))
}

/// The first part of the sort keys of a person's items for issuers.
pub const CALLS: &str = "CALLS#";

/// That a subject of the issuer is the person's.
#[must_use]
pub fn calls_as(id: &PersonId, issuer: &str) -> Key {
    key(person(id), format!("{CALLS}{}", hex(&Sha256::digest(issuer))))
}
