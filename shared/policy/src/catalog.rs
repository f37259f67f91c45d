//! What apps have to give, as the catalog keeps it: how a name is found by the beginnings of its words, and what a
//! reading of an app changes.
//!
//! Only a complete reading takes anything out. One that lacks more than half of a large catalog looks like a fault of the
//! app: what it lacks stays until readings have lacked so much for a day. What a reading shows is taken in at once.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::EntitlementRef;
use crate::rota::hex;
use crate::time::later;

/// At most this many words of a text count.
pub const MAX_WORDS: usize = 16;
/// At most this many characters of a word count.
pub const MAX_WORD: usize = 40;
/// At most this many characters of a name are kept.
pub const MAX_NAME: usize = 256;
/// At most this many characters of what an app says of an entitlement are kept.
pub const MAX_TEXT: usize = 500;
/// The longest ID of an entitlement, in characters. An ID cannot be shortened.
pub const MAX_ID: usize = 256;

/// A catalog of fewer entitlements is believed whatever it loses.
pub const LARGE: usize = 100;
/// For so long a large catalog must have lacked more than its half before that is believed.
pub const PATIENCE: Duration = Duration::from_secs(86_400);

/// The words of a text: its runs of letters and digits in lower case, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(BTreeSet<String>);

impl Words {
    /// The words of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let runs = lower.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
        Self(runs.take(MAX_WORDS).map(|run| run.chars().take(MAX_WORD).collect()).collect())
    }

    /// Each word, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The longest word: as the beginning of a name's word it finds the fewest.
    #[must_use]
    pub fn longest(&self) -> Option<&str> {
        self.iter().max_by_key(|word| word.len())
    }

    /// The first word that begins so. Whoever finds a name under several of its words keeps it under this one.
    #[must_use]
    pub fn first_with(&self, beginning: &str) -> Option<&str> {
        self.iter().find(|word| word.starts_with(beginning))
    }

    /// Whether each of the words that are sought begins one of these.
    #[must_use]
    pub fn has_all(&self, sought: &Self) -> bool {
        sought.iter().all(|word| self.first_with(word).is_some())
    }
}

/// An entitlement whose ID is too long to be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the catalog lists a {kind} whose ID is longer than {MAX_ID} characters: `{begins}…`")]
pub struct LongId {
    kind: String,
    begins: String,
}

/// One grantable thing as the catalog keeps it. What the app says of it is bounded and holds no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogEntry {
    /// The entitlement.
    pub entitlement: EntitlementRef,
    /// A name for people to read; the ID where the app has none.
    pub name: String,
    /// What the app says of it.
    #[serde(default)]
    pub description: Option<String>,
    /// Why Dutykey cannot manage it; `None` where it can.
    #[serde(default)]
    pub unmanageable: Option<String>,
    /// The words of its name, under which it is found.
    #[serde(default)]
    pub words: Words,
    /// When a reading first showed it like this.
    pub seen_at: Timestamp,
}

/// What an app says, as it is kept.
fn kept(text: &str, most: usize) -> Option<String> {
    let tame = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.trim().chars().take(most).map(tame).collect();
    (!text.is_empty()).then_some(text)
}

impl CatalogEntry {
    /// The entry of what an app lists.
    ///
    /// # Errors
    /// Its ID is too long.
    pub fn new(
        entitlement: EntitlementRef,
        name: &str,
        description: Option<&str>,
        unmanageable: Option<&str>,
        seen_at: Timestamp,
    ) -> Result<Self, LongId> {
        if entitlement.id.chars().count() > MAX_ID {
            let begins = kept(&entitlement.id, 80).unwrap_or_default();
            return Err(LongId { kind: entitlement.kind, begins });
        }
        let name = kept(name, MAX_NAME).unwrap_or_else(|| entitlement.id.clone());
        // Without a word of its own it still cannot be managed.
        let why = |text: &str| kept(text, MAX_TEXT).unwrap_or_else(|| "the app does not say why".to_owned());
        Ok(Self {
            words: Words::of(&name),
            entitlement,
            name,
            description: description.and_then(|text| kept(text, MAX_TEXT)),
            unmanageable: unmanageable.map(why),
            seen_at,
        })
    }

    /// Whether the other says the same, whenever it was first seen.
    fn is_like(&self, other: &Self) -> bool {
        let Self { entitlement, name, description, unmanageable, words, seen_at: _ } = self;
        (entitlement, name, description, unmanageable, words)
            == (&other.entitlement, &other.name, &other.description, &other.unmanageable, &other.words)
    }
}

/// Everything that an app has to give.
pub type Reading = BTreeMap<EntitlementRef, CatalogEntry>;

/// A digest of all that a reading says. While it stays, nothing of the catalog is to be written.
#[must_use]
pub fn digest(reading: &Reading) -> String {
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    };
    for entry in reading.values() {
        let CatalogEntry { entitlement, name, description, unmanageable, words, seen_at: _ } = entry;
        let [description, unmanageable] = [description, unmanageable].map(|text| text.as_deref().unwrap_or_default());
        for text in [&entitlement.kind, &entitlement.id, name.as_str(), description, unmanageable] {
            field(text);
        }
        field(&words.iter().collect::<Vec<_>>().join(" "));
    }
    hex(&hash.finalize())
}

/// A change of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new, or says something else than before.
    Write {
        /// What the catalog has of it.
        before: Option<CatalogEntry>,
        /// What it says now.
        after: CatalogEntry,
    },
    /// The app has it no more.
    Remove(CatalogEntry),
}

/// What a reading changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// The changes; first what is written.
    pub changes: Vec<Change>,
    /// What the reading lacks and nobody believes yet.
    pub doubted: Option<Doubted>,
}

/// Entitlements that readings lack, too many to be believed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubted {
    /// Since when readings lack so many.
    pub since: Timestamp,
    /// How many this one lacks.
    pub missing: usize,
}

/// Compares a complete reading with what the catalog has. `doubted_since` is since when the readings before it lacked too
/// many to be believed.
#[must_use]
pub fn difference(stored: &Reading, reading: &Reading, doubted_since: Option<Timestamp>, now: Timestamp) -> Difference {
    let mut changes = Vec::new();
    for (entitlement, after) in reading {
        let before = stored.get(entitlement);
        if before.is_none_or(|before| !before.is_like(after)) {
            changes.push(Change::Write { before: before.cloned(), after: after.clone() });
        }
    }
    let missing: Vec<&CatalogEntry> = stored.values().filter(|one| !reading.contains_key(&one.entitlement)).collect();
    let many = stored.len() >= LARGE && missing.len() > stored.len() / 2;
    let since = doubted_since.unwrap_or(now);
    if many && now < later(since, PATIENCE) {
        return Difference { changes, doubted: Some(Doubted { since, missing: missing.len() }) };
    }
    changes.extend(missing.into_iter().cloned().map(Change::Remove));
    Difference { changes, doubted: None }
}
