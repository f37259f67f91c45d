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

use dutykey_engine::ports::callers::Subject;
use dutykey_engine::ports::ledger::Notice;
use dutykey_policy::emergency::Emergency;
use dutykey_policy::enrollment::{Enrollment, Origin};
use dutykey_policy::evidence::Chain;
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{
    AccountId, AppId, EmergencyId, EntitlementRef, HoldKey, PersonId, ProfileId, RequestId, RotationId, SourceId,
    UserId,
};
use dutykey_policy::rota::hex;
use dutykey_policy::time::rfc3339;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The attribute that is the partition key.
pub const PK: &str = "pk";
/// The attribute that is the sort key.
pub const SK: &str = "sk";
/// The attribute after whose time, in seconds since 1970, DynamoDB may remove an item.
pub const TTL: &str = "ttl";

/// A sparse index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// The attribute that is its partition key.
    pub partition: &'static str,
    /// The attribute that is its sort key.
    pub sort: &'static str,
}

/// What may begin, rotations and notices, by when they are due.
pub const DUE: Index = Index { name: "due", partition: "due_shard", sort: "due_at" };
/// What may end, by when it is due.
pub const ENDS: Index = Index { name: "due_ends", partition: "ends_shard", sort: "ends_at" };
/// Pages of things.
pub const LISTS: Index = Index { name: "lists", partition: "list", sort: "list_key" };
/// Every index.
pub const INDEXES: [Index; 3] = [DUE, ENDS, LISTS];

/// In the index of what is due: people for whom something may begin.
pub const STARTS: &str = "start";
/// In the index of ends: people for whom something may end.
pub const END: &str = "end";
/// In the index of what is due, and in the lists: rotations.
pub const DUE_ROTATIONS: &str = "rotation";
/// In the index of what is due: notices.
pub const NOTICES: &str = "notice";
/// In the index of what is due: sweeps.
pub const SWEEPS: &str = "sweep";
/// In the lists: profiles that have a chain of their own.
pub const PROFILES: &str = "profiles";
/// In the lists: people whom the directory has shown active, by when it was last asked.
pub const ACTIVE: &str = "active";
/// Comes after every instant in a key.
pub const AFTER_INSTANTS: &str = "~";
/// In the lists: people.
pub const PEOPLE: &str = "people";
/// In the lists: rotations.
pub const ROTATIONS: &str = "rotations";
/// In the lists: requests that wait to be decided, by when they expire.
pub const REQUESTS: &str = "requests";
/// In the lists: emergencies that wait for their review, by when they began.
pub const EMERGENCIES: &str = "emergencies";
/// In the lists: emergencies that were reviewed, by when they were.
pub const REVIEWED: &str = "reviewed";
/// In the lists: holds that are not over.
pub const HOLDS: &str = "holds";
/// In the lists: holds that are over and for which something was done, by when they ended. One shard: fewer than a
/// thousand end in a second, and it is read as a whole.
pub const LAGS: &str = "lags";

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

/// How many shards each group of an index has.
pub const SHARDS: u8 = 4;

/// The shard of a group in which an item lies.
#[must_use]
pub fn shard(group: &str, id: &str) -> String {
    let first = Sha256::digest(id).first().copied().unwrap_or_default();
    format!("{group}#{}", first % SHARDS)
}

/// Every shard of a group.
#[must_use]
pub fn shards(group: &str) -> Vec<String> {
    (0..SHARDS).map(|shard| format!("{group}#{shard}")).collect()
}

/// An instant in a key. Fixed width, so that text order is time order; what lies before the year 0 counts as its begin.
#[must_use]
pub fn instant(at: Timestamp) -> String {
    const YEAR_ZERO: i64 = -62_167_219_200;
    let floor = Timestamp::from_second(YEAR_ZERO).unwrap_or(Timestamp::UNIX_EPOCH);
    rfc3339(at.max(floor))
}

/// The installation's ID, and which table this is.
#[must_use]
pub fn installation() -> Key {
    key("INSTALLATION", "INSTALLATION")
}

/// The head of the configuration.
#[must_use]
pub fn config() -> Key {
    key("CONFIG", "HEAD")
}

/// A change of the configuration that waits for another administrator.
#[must_use]
pub fn configuration_proposal() -> Key {
    key("CONFIG", "PROPOSAL")
}

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

/// The partition of a profile's versions.
#[must_use]
pub fn profile(id: &ProfileId) -> String {
    format!("PROFILE#{id}")
}

/// The first part of the sort keys of a profile's versions.
pub const VERSIONS: &str = "V#";

/// One version of a profile.
#[must_use]
pub fn profile_version(id: &ProfileId, version: u64) -> Key {
    key(profile(id), format!("{VERSIONS}{version:020}"))
}

/// A change of a profile that waits for another administrator.
#[must_use]
pub fn proposal(id: &ProfileId) -> Key {
    key(profile(id), "PROPOSAL")
}

/// The partition of the blocks.
pub const BLOCKS: &str = "BLOCK";

/// The first part of the sort keys of the blocks.
pub const BLOCK: &str = "BLOCK#";

/// A block.
#[must_use]
pub fn block(id: &str) -> Key {
    key(BLOCKS, format!("{BLOCK}{}", part(id)))
}

/// The reason of a block. With the person whom it concerns, where that is one: it is erased with them.
#[must_use]
pub fn block_text(of: Option<&PersonId>, id: &str) -> Key {
    of.map_or_else(|| key(BLOCKS, format!("{TEXTS}{}", part(id))), |person| text(person, id))
}

/// The roll of a directory.
#[must_use]
pub fn roll(directory: &str) -> Key {
    key(format!("ROLL#{}", part(directory)), "ROLL")
}

/// The place of somebody active in the lists.
#[must_use]
pub fn active_list(id: &PersonId, asked: Timestamp) -> (String, String) {
    (shard(ACTIVE, id.as_str()), format!("{}#{id}", instant(asked)))
}

/// The partition of an app's catalog.
#[must_use]
pub fn catalog(app: &AppId) -> String {
    format!("CATALOG#{app}")
}

/// The head of an app's catalog.
#[must_use]
pub fn catalog_head(app: &AppId) -> Key {
    key(catalog(app), "HEAD")
}

/// The first part of the sort keys of what an app has.
pub const ENTRIES: &str = "ENTRY#";

/// The first part of the sort keys of what an app has of a kind.
#[must_use]
pub fn entries_of(kind: &str) -> String {
    format!("{ENTRIES}{}#", part(kind))
}

/// An entitlement that an app has.
#[must_use]
pub fn entry(it: &EntitlementRef) -> Key {
    key(catalog(&it.app), format!("{}{}", entries_of(&it.kind), part(&it.id)))
}

const WORDS: &str = "WORD#";

/// The first part of the sort keys of the words that begin so, in names of a kind. Words are letters and digits only.
#[must_use]
pub fn words_of(kind: &str, beginning: &str) -> String {
    format!("{WORDS}{}#{beginning}", part(kind))
}

/// That a word is one of an entitlement's name.
#[must_use]
pub fn word(it: &EntitlementRef, word: &str) -> Key {
    key(catalog(&it.app), format!("{}#{}", words_of(&it.kind, word), part(&it.id)))
}

/// The word of such a key, and the entitlement whose name has it.
#[must_use]
pub fn entry_of_word(key: &Key) -> Option<(String, Key)> {
    let (kind, rest) = key.sk.strip_prefix(WORDS)?.split_once('#')?;
    let (word, id) = rest.split_once('#')?;
    Some((word.to_owned(), Key { pk: key.pk.clone(), sk: format!("{ENTRIES}{kind}#{id}") }))
}

/// A sweep.
#[must_use]
pub fn sweep(id: &str) -> Key {
    key(format!("SWEEP#{}", part(id)), "SWEEP")
}

/// The partition of the turns of an app's key.
#[must_use]
pub fn turns(app: &AppId, of: &str) -> String {
    format!("TURN#{app}#{}", part(of))
}

/// The first part of the sort keys of turns.
pub const TURNS: &str = "TURN#";

/// A turn that was taken.
#[must_use]
pub fn turn(app: &AppId, of: &str, number: u8) -> Key {
    key(turns(app, of), format!("{TURNS}{number:03}"))
}

/// The number of a turn.
#[must_use]
pub fn turn_number(sk: &str) -> Option<u8> {
    sk.strip_prefix(TURNS)?.parse().ok()
}

/// When Dutykey last ran.
#[must_use]
pub fn pulse() -> Key {
    key("PULSE", "PULSE")
}

/// How Dutykey stood when it last ran.
#[must_use]
pub fn summary() -> Key {
    key("PULSE", "SUMMARY")
}

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
/// The first part of the sort keys of a person's enrollments.
pub const ENROLLMENTS: &str = "LIVE#ENROLLMENT#";
/// The first part of the sort keys of a person's holds that are not over.
pub const OPEN_HOLDS: &str = "LIVE#HOLD#";
/// The first part of the sort keys of what says that a person's hold was written off.
pub const WRITTEN_OFF: &str = "LIVE#WRITTEN_OFF#";
/// The first part of the sort keys of a person's holds that are over.
pub const ENDED: &str = "ENDED#";

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

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Coverage(rotation) => format!("coverage#{}", part(&rotation.to_string())),
        Origin::Request(id) => format!("request#{}", part(id)),
        Origin::BreakGlass(id) => format!("break_glass#{}", part(id)),
    }
}

/// An enrollment.
#[must_use]
pub fn enrollment(it: &Enrollment) -> Key {
    key(person(&it.person), format!("{ENROLLMENTS}{}#{}", it.profile, origin(&it.origin)))
}

/// An enrollment's place in the list of its profile.
#[must_use]
pub fn enrollment_list(it: &Enrollment) -> (String, String) {
    (enrollments_of(&it.profile), format!("{}#{}", it.person, origin(&it.origin)))
}

/// The list of a profile's enrollments.
#[must_use]
pub fn enrollments_of(profile: &ProfileId) -> String {
    format!("profile#{profile}")
}

fn hold_key(it: &HoldKey) -> String {
    format!("{}#{}#{}#{}", it.app, part(it.account.as_str()), part(&it.place.kind), part(&it.place.id))
}

/// A hold that is not over.
#[must_use]
pub fn hold(person_id: &PersonId, it: &HoldKey) -> Key {
    key(person(person_id), format!("{OPEN_HOLDS}{}", hold_key(it)))
}

/// That a hold was written off, for whoever wants its place again.
#[must_use]
pub fn written_off(person_id: &PersonId, it: &HoldKey) -> Key {
    key(person(person_id), format!("{WRITTEN_OFF}{}", hold_key(it)))
}

/// A hold's place in the list of open holds: the one that ends first comes first in its shard.
#[must_use]
pub fn hold_list(it: &Hold) -> (String, String) {
    let name = hold_key(&it.key);
    (shard(HOLDS, &name), format!("{}#{name}", instant(it.due)))
}

/// A hold that is over.
#[must_use]
pub fn ended_hold(it: &Hold) -> Key {
    key(person(&it.person), format!("{ENDED}{}#{}", instant(it.since), hold_key(&it.key)))
}

/// The place of a hold that is over in the list of lags, which says them itself: of the grant and of the revocation, in
/// milliseconds. `None` where nothing was done for it.
#[must_use]
pub fn lag_list(it: &Hold) -> Option<(String, String)> {
    let [granted, revoked] = [it.granted, it.revoked].map(|act| act.map(|act| act.lag_ms().max(0)));
    granted.or(revoked)?;
    let word = |lag: Option<i64>| lag.map_or_else(String::new, |lag| lag.to_string());
    Some((LAGS.to_owned(), format!("{}#{}#{}", instant(it.since), word(granted), word(revoked))))
}

/// The lags that such a place says: of the grant and of the revocation, in milliseconds.
#[must_use]
pub fn lags(place: &str) -> [Option<i64>; 2] {
    let mut words = place.split('#').skip(1);
    [(); 2].map(|()| words.next()?.parse().ok())
}

/// The first part of the sort keys of a person's requests that are not over.
pub const LIVE_REQUESTS: &str = "LIVE#REQUEST#";
/// The first part of the sort keys of a person's requests that are over.
pub const PAST_REQUESTS: &str = "REQUEST#";

/// An access request that is not over.
#[must_use]
pub fn request(person_id: &PersonId, id: &RequestId) -> Key {
    key(person(person_id), format!("{LIVE_REQUESTS}{id}"))
}

/// An access request that is over.
#[must_use]
pub fn past_request(person_id: &PersonId, id: &RequestId) -> Key {
    key(person(person_id), format!("{PAST_REQUESTS}{id}"))
}

/// Whose request it is.
#[must_use]
pub fn request_owner(id: &RequestId) -> Key {
    key(format!("REQUEST#{id}"), "REQUEST")
}

/// The place of a request in the list of those that wait: the one that expires first comes first in its shard.
#[must_use]
pub fn request_list(id: &RequestId, expires: Timestamp) -> (String, String) {
    (shard(REQUESTS, id.as_str()), format!("{}#{id}", instant(expires)))
}

/// A profile that somebody took in an emergency.
#[must_use]
pub fn emergency(id: &EmergencyId) -> Key {
    key(format!("EMERGENCY#{id}"), "EMERGENCY")
}

/// The place of an emergency in the lists.
#[must_use]
pub fn emergency_list(it: &Emergency) -> (String, String) {
    let (list, at) = match &it.review {
        None => (EMERGENCIES, it.access.from),
        Some(review) => (REVIEWED, review.at),
    };
    (shard(list, it.id.as_str()), format!("{}#{}", instant(at), it.id))
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

/// The partition of a source.
#[must_use]
pub fn source(id: &SourceId) -> String {
    format!("SOURCE#{id}")
}

/// The first part of the sort keys of a source's rotations.
pub const HEADS: &str = "ROTATION#";

/// The head of a rotation: beside those of its source, so that one query lists them.
#[must_use]
pub fn rotation_head(id: &RotationId) -> Key {
    key(source(&id.source), format!("{HEADS}{}", part(&id.local())))
}

/// The head of a source's users and teams.
#[must_use]
pub fn directory(id: &SourceId) -> Key {
    key(source(id), "DIRECTORY")
}

/// The partition of a rotation's shifts, texts and evidence.
#[must_use]
pub fn rotation(id: &RotationId) -> String {
    format!("ROTATION#{}", part(&id.to_string()))
}

/// The first part of the sort keys of a rotation's days.
pub const DAYS: &str = "DAY#";

/// The shifts that start on one UTC day, `2026-11-23`.
#[must_use]
pub fn day(id: &RotationId, date: &str) -> Key {
    key(rotation(id), format!("{DAYS}{date}"))
}

/// Why the leases of a rotation were prolonged, by its digest.
#[must_use]
pub fn rotation_text(id: &RotationId, digest: &str) -> Key {
    key(rotation(id), format!("TEXT#{}", part(digest)))
}

/// The UTC day on which an instant lies, `2026-11-23`.
#[must_use]
pub fn date(at: Timestamp) -> String {
    instant(at).chars().take(10).collect()
}

/// Who a user is.
#[must_use]
pub fn link(source: &SourceId, user: &UserId) -> Key {
    key(format!("LINK#{source}#{}", part(user.as_str())), "LINK")
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

/// The first part of the sort keys of what a person has made under idempotency keys.
pub const MADE: &str = "ONCE#";

/// What a person has made under an idempotency key, which is theirs alone.
#[must_use]
pub fn once(id: &PersonId, named: &str) -> Key {
    key(person(id), format!("{MADE}{}", hex(&Sha256::digest(named))))
}

/// Whose an account is.
#[must_use]
pub fn account(app: &AppId, account: &AccountId) -> Key {
    key(format!("ACCOUNT#{app}#{}", part(account.as_str())), "ACCOUNT")
}

/// A notice.
#[must_use]
pub fn notice(it: &Notice) -> Key {
    key(format!("NOTICE#{}", part(&it.id)), "NOTICE")
}

/// A webhook that was taken.
#[must_use]
pub fn hint(source: &SourceId, id: &str) -> Key {
    key(format!("HINT#{source}#{}", part(id)), "HINT")
}

/// The last read of something that hints of a source have asked for.
#[must_use]
pub fn hinted_read(source: &SourceId, what: &str) -> Key {
    key(format!("HINT#{source}"), format!("READ#{}", part(what)))
}

/// How many reads hints of a source have asked for in the minute of this instant.
#[must_use]
pub fn hinted_minute(source: &SourceId, at: Timestamp) -> Key {
    let minute: String = instant(at).chars().take(16).collect();
    key(format!("HINT#{source}"), format!("MINUTE#{minute}"))
}

/// The partition of a chain's records.
#[must_use]
pub fn chain(chain: &Chain) -> String {
    match chain {
        Chain::Person(id) => person(id),
        Chain::Profile(id) => profile(id),
        Chain::Rotation(id) => rotation(id),
        Chain::System => "SYSTEM".to_owned(),
    }
}

/// The item whose `chain` says where a chain ends.
#[must_use]
pub fn chain_head(chain: &Chain) -> Key {
    match chain {
        Chain::Person(id) => person_head(id),
        Chain::Profile(id) => key(profile(id), "HEAD"),
        Chain::Rotation(id) => rotation_head(id),
        Chain::System => key("SYSTEM", "HEAD"),
    }
}

/// The first part of the sort keys of a chain's records.
pub const EVIDENCE: &str = "EVIDENCE#";

/// The records of a chain that end with this sequence number. An item is named by its last record, so that a query from
/// a number begins with the item that holds it.
#[must_use]
pub fn evidence(of: &Chain, last: u64) -> Key {
    key(chain(of), evidence_place(last))
}

/// Where in a chain's partition the records up to this sequence number lie.
#[must_use]
pub fn evidence_place(last: u64) -> String {
    format!("{EVIDENCE}{last:020}")
}
