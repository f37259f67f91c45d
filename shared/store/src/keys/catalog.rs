//! Catalogs: what apps have, and the words by which it is found.

use dutykey_policy::id::{AppId, EntitlementRef};

use super::{Key, key, part};

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
