//! Every key of the table, and every access pattern. Only this module builds keys.
//!
//! IAM separates partition keys, not sort keys, so each kind of partition has a prefix of its own.
//!
//! | partition | sort key | item | read by |
//! |---|---|---|---|
//! | `INSTALLATION` | `INSTALLATION` | the installation's ID, and which table this is | get |
//! | `CONFIG` | `HEAD` | version, profiles' versions, which of them the API made, document | get |
//! | | `PROPOSAL` | a change of the configuration that waits for another administrator, document | get |
//! | | `DOCUMENT#<id>#<part>` | what the configuration consists of, and what is proposed | query by prefix |
//! | `PROFILE#<profile>` | `V#<version>` | one version of a profile | batch get; newest first |
//! | | `PROPOSAL` | a change of the profile that waits for another administrator | get |
//! | | `HEAD`, `EVIDENCE#<seq>` | the profile's own chain | |
//! | `BLOCK` | `BLOCK#<id>` | a block | query by prefix |
//! | | `TEXT#<id>` | the reason of a block, which can be erased; of one on a person it lies with the person | get |
//! | `ROLL#<directory>` | `ROLL` | whom a directory shows inactive, and whom of them the brake holds | get |
//! | `CATALOG#<app>` | `HEAD` | how fresh the app's catalog is | batch get |
//! | | `ENTRY#<kind>#<entitlement>` | an entitlement that the app has | query by prefix; batch get |
//! | | `WORD#<kind>#<word>#<entitlement>` | that the word is one of its name | query by the word's beginning |
//! | `SWEEP#<id>` | `SWEEP` | a sweep that is not over | get, batch get |
//! | `TURN#<app>#<key>` | `TURN#<number>` | who holds this turn, until when | query |
//! | `PULSE` | `PULSE` | when Dutykey last ran, and whether it stands still | get |
//! | | `SUMMARY` | how it stood then, in numbers | get |
//! | `PERSON#<person>` | `LIVE#HEAD` | revision, end of the chain, due times | with all of `LIVE#`: one query |
//! | | `LIVE#PERSON`, `LIVE#TEXT` | links and accounts; address and name, which can be erased | |
//! | | `LIVE#ENROLLMENT#<profile>#<origin>` | an enrollment | |
//! | | `LIVE#HOLD#<app>#<account>#<kind>#<place>` | a hold that is not over | |
//! | | `LIVE#REQUEST#<id>` | an access request that is not over | |
//! | | `LIVE#WRITTEN_OFF#<app>#<account>#<kind>#<place>` | the last hold of a place that was written off | |
//! | | `ENDED#<when>#<hold>` | a hold that is over | query by time |
//! | | `REQUEST#<id>` | an access request that is over | get; newest first |
//! | | `TEXT#<id>` | the reason of a block on the person, the texts of a request | get, batch get |
//! | | `CALLS#<issuer>` | which of an issuer's subjects is theirs | get |
//! | | `ONCE#<key>` | what was made under an idempotency key | get |
//! | | `EVIDENCE#<seq>` | records of the person's chain up to `seq` | query from a sequence number |
//! | `SOURCE#<source>` | `ROTATION#<rotation>` | a rotation's head | query by prefix; batch get |
//! | | `DIRECTORY`, `DOCUMENT#<id>#<part>` | users and teams as last read | get, query by prefix |
//! | `ROTATION#<rotation>` | `DAY#<date>` | the known shifts that start on this UTC day | query by range |
//! | | `TEXT#<digest>` | why its leases were prolonged, which can be erased | batch get |
//! | | `EVIDENCE#<seq>` | records of the rotation's chain | |
//! | `LINK#<source>#<user>` | `LINK` | who the user is | batch get |
//! | `REQUEST#<id>` | `REQUEST` | whose request it is | get |
//! | `EMERGENCY#<id>` | `EMERGENCY` | a profile that somebody took in an emergency, and its review | get |
//! | `CALLER#<subject>` | `CALLER` | who an issuer's subject is | get |
//! | `ADDRESS#<address>` | `ADDRESS` | whose address it is | get |
//! | `ACCOUNT#<app>#<account>` | `ACCOUNT` | whose account it is | condition of a transaction; get |
//! | `NOTICE#<id>` | `NOTICE` | a notice | batch get |
//! | `HINT#<source>#<id>` | `HINT` | a webhook that was taken | batch get |
//! | `HINT#<source>` | `READ#<what>`, `MINUTE#<when>` | the read that hints have asked for; how many reads in a minute | |
//! | `SYSTEM` | `HEAD`, `EVIDENCE#<seq>` | the installation's own chain | |
//!
//! | index | keys | partitions | finds |
//! |---|---|---|---|
//! | `due` | `due_shard`, `due_at` | `start#N`, `rotation#N`, `notice#N`, `sweep#N` | what may begin; rotations; notices; sweeps |
//! | `due_ends` | `ends_shard`, `ends_at` | `end#N` | what may end |
//! | `lists` | `list`, `list_key` | `people#N`, `active#N`, `rotations#N`, `profiles#N`, `holds#N`, `requests#N`, `emergencies#N`, `reviewed#N`, `profile#<profile>`, `texts#<person>`, `lags` | pages of things; what a person wrote that lies with others; how late acts were |
//!
//! The indexes are sparse and hold keys only: they find candidates, and the items themselves are then read consistently.
//! `N` is 0 to 3, by a stable hash, so that no index partition is hot. Instants in keys are RFC 3339 in UTC with
//! milliseconds. Texts from outside are escaped, and replaced by their hash where they are long.

mod access;
mod catalog;
mod evidence;
mod index;
mod people;
mod rota;
mod rules;
mod work;

use dutykey_policy::rota::hex;
use dutykey_policy::time::rfc3339;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub use access::*;
pub use catalog::*;
pub use evidence::*;
pub use index::*;
pub use people::*;
pub use rota::*;
pub use rules::*;
pub use work::*;

/// The attribute that is the partition key.
pub const PK: &str = "pk";
/// The attribute that is the sort key.
pub const SK: &str = "sk";
/// The attribute after whose time, in seconds since 1970, DynamoDB may remove an item.
pub const TTL: &str = "ttl";

/// An item's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition.
    pub pk: String,
    /// The place in it.
    pub sk: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pk, self.sk)
    }
}

fn key(pk: impl Into<String>, sk: impl Into<String>) -> Key {
    Key { pk: pk.into(), sk: sk.into() }
}

/// The longest text, in bytes, that stands in a key as it is: a sort key has 1024 bytes.
const LONGEST: usize = 200;

/// A text from outside as a part of a key.
fn part(text: &str) -> String {
    let escaped = text.replace('%', "%25").replace('#', "%23");
    if escaped.len() <= LONGEST { escaped } else { format!("%h{}", hex(&Sha256::digest(text))) }
}

/// An instant in a key. Fixed width, so that text order is time order; what lies before the year 0 counts as its begin.
#[must_use]
pub fn instant(at: Timestamp) -> String {
    const YEAR_ZERO: i64 = -62_167_219_200;
    let floor = Timestamp::from_second(YEAR_ZERO).unwrap_or(Timestamp::UNIX_EPOCH);
    rfc3339(at.max(floor))
}

/// Comes after every instant in a key.
pub const AFTER_INSTANTS: &str = "~";

/// The first part of the keys of a document's parts; the partition is that of its head.
#[must_use]
pub fn document(id: &str) -> String {
    format!("DOCUMENT#{id}#")
}

/// One part of a document.
#[must_use]
pub fn document_part(head: &Key, id: &str, number: usize) -> Key {
    key(&head.pk, format!("{}{number:04}", document(id)))
}
