//! The roll of a directory: whom it has lately shown inactive, and whom of them the brake holds.
//!
//! A person whom the directory shows inactive is cut off at once. Many at once look like a fault of the directory: then
//! whoever is found from there on is *held*, which means active as before, until an administrator has released them or a
//! lease has passed. The directory is asked for one person at a time, so a finding is judged together with the others: with
//! those found within the past hour, so that a slow drain adds up, and with what the directory says now of a sample of those
//! whom it knew as active.
//!
//! The roll has one head, which each finding changes in the transaction that makes it so: of two findings at once the second
//! is judged with the first.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::brake::LOOK_BACK;
pub use crate::brake::Word;
use crate::id::PersonId;
use crate::rota::hex;
use crate::time::{earlier, later};

/// Fewer gone never count as many.
const MANY: u64 = 2;
/// At most so many people are named on a roll. Whoever is found beyond that is held all the same, and only cannot be
/// released before the lease ends: the roll is one item of the table.
pub const MOST: usize = 1_000;
/// Of so many others the directory is asked before somebody is cut off.
pub const SAMPLE: usize = 20;
/// What waits or was released and was never looked at again is forgotten after so long: nobody is enrolled any more.
const FORGOTTEN: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// Somebody whom the brake holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Who.
    pub person: PersonId,
    /// Since when.
    pub since: Timestamp,
    /// What has been said.
    pub word: Word,
}

/// Somebody who was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Who.
    pub person: PersonId,
    /// When.
    pub at: Timestamp,
}

/// The roll of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roll {
    /// Counts up with each change.
    pub rev: u64,
    /// Who was cut off within the past hour, because nothing spoke against it.
    pub gone: Vec<Gone>,
    /// Whom the brake holds, in the order in which they were found.
    pub held: Vec<Held>,
}

/// What the directory says of others whom it knew as active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// How many others there are.
    pub others: usize,
    /// Of how many of them it has answered.
    pub answered: usize,
    /// How many of those it shows inactive.
    pub inactive: usize,
}

impl Census {
    /// Whether too many would be gone with `gone` people more: at least two, and more than half. Where only a sample was
    /// asked, its share stands for all.
    #[must_use]
    pub fn many(&self, gone: usize) -> bool {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (others, answered, gone) = (wide(self.others), wide(self.answered).max(1), wide(gone));
        let known = others.saturating_add(gone);
        let lost = wide(self.inactive).saturating_mul(others).div_euclid(answered).saturating_add(gone);
        lost >= MANY && lost.saturating_mul(2) > known
    }
}

/// What becomes of somebody whom the directory newly shows inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are cut off at once.
    Gone,
    /// The brake holds them, beside others whom it holds already.
    Joins,
    /// The brake holds them, as the first: somebody must be told.
    Trips,
}

impl Roll {
    /// What has been said of a person, where the brake holds them.
    #[must_use]
    pub fn word(&self, person: &PersonId) -> Option<Word> {
        self.held.iter().find(|held| held.person == *person).map(|held| held.word)
    }

    /// Whether the brake has held somebody within the past hour and nobody has said anything of it: then it holds whoever
    /// comes next, without a census.
    #[must_use]
    pub fn brakes(&self, now: Timestamp) -> bool {
        self.held.iter().any(|held| held.word == Word::Waiting && held.since > earlier(now, LOOK_BACK))
    }

    /// Judges a finding and enters it. `others` are those whom the directory knew as active, without this person.
    pub fn found(&mut self, person: &PersonId, others: &BTreeSet<PersonId>, census: Census, now: Timestamp) -> Verdict {
        let brakes = self.brakes(now);
        self.forget(now);
        self.gone.retain(|gone| gone.person != *person);
        let gone = self.gone.iter().filter(|gone| !others.contains(&gone.person)).count();
        if !brakes && !census.many(gone + 1) {
            if self.gone.len() < MOST {
                self.gone.push(Gone { person: person.clone(), at: now });
            }
            return Verdict::Gone;
        }
        if self.held.len() < MOST {
            self.held.push(Held { person: person.clone(), since: now, word: Word::Waiting });
        }
        if brakes { Verdict::Joins } else { Verdict::Trips }
    }

    /// Takes a person off: they are active again, or cut off.
    pub fn settled(&mut self, person: &PersonId) {
        self.gone.retain(|gone| gone.person != *person);
        self.held.retain(|held| held.person != *person);
    }

    fn forget(&mut self, now: Timestamp) {
        self.gone.retain(|gone| gone.at > earlier(now, LOOK_BACK));
        self.held.retain(|held| held.word == Word::Discarded || later(held.since, FORGOTTEN) > now);
    }

    /// Those of whom this was said, with the digest that names exactly them; `None` where there is nobody.
    #[must_use]
    pub fn group(&self, word: Word) -> Option<(String, Vec<&Held>)> {
        let people: Vec<&Held> = self.held.iter().filter(|held| held.word == word).collect();
        let digest = digests(&people).pop()?;
        Some((digest, people))
    }

    /// Every digest that names a group of whom this was said: those found first, up to all. Who was shown the digest of a
    /// group means exactly those who were in it, however many have been found since.
    #[must_use]
    pub fn digests(&self, word: Word) -> Vec<String> {
        digests(&self.held.iter().filter(|held| held.word == word).collect::<Vec<_>>())
    }

    /// Says something of the group that the digest names, where there is one of whom it was not said already. Answers how
    /// many they are.
    pub fn say(&mut self, digest: &str, word: Word) -> Option<usize> {
        for before in [Word::Waiting, Word::Discarded, Word::Released].into_iter().filter(|before| *before != word) {
            let Some(last) = self.digests(before).iter().position(|known| known == digest) else { continue };
            for held in self.held.iter_mut().filter(|held| held.word == before).take(last + 1) {
                held.word = word;
            }
            return Some(last + 1);
        }
        None
    }
}

/// The digest of the first one, of the first two, and so on.
fn digests(people: &[&Held]) -> Vec<String> {
    let mut chain = Sha256::new();
    let mut digests = Vec::with_capacity(people.len());
    for held in people {
        chain.update(held.person.as_str());
        chain.update(crate::time::rfc3339(held.since));
        digests.push(hex(&chain.clone().finalize()));
    }
    digests
}
