//! What the brake holds, of rotations and of a directory's people: listed, released, discarded (R7). A word is said of
//! exactly what a digest names, and takes effect with the next read that shows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use dutykey_policy::evidence::Draft;
use dutykey_policy::id::{PersonId, RotationId, SourceId, UserId};
use dutykey_policy::installation::Topic;
use dutykey_policy::roll::{self, Roll};
use dutykey_policy::rota::Shift;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ports::clock::Clock;
use crate::ports::ledger::{FindPeople, Notice, StoreError};
use crate::ports::roll::{RollChange, WriteRoll};
use crate::ports::rota::{HeldChange, RotationChange, RotationHead, WriteRota};
use crate::ports::rules::ReadRules;
use crate::ports::summary::ReadSummary;

/// How often a change is tried again where a sync was faster.
const RACES: usize = 16;

/// Lists, releases and discards.
#[derive(Clone)]
pub struct Brakes {
    /// Every rotation that is followed, and the roll.
    pub numbers: Arc<dyn ReadSummary>,
    /// Rotations' heads.
    pub rota: Arc<dyn WriteRota>,
    /// The directory's roll.
    pub rolls: Arc<dyn WriteRoll>,
    /// Which directory is followed, and who is who.
    pub rules: Arc<dyn ReadRules>,
    /// Whose an address is.
    pub people: Arc<dyn FindPeople>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Brakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brakes").finish_non_exhaustive()
    }
}

/// What somebody says of a held change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It may pass.
    Release,
    /// It is no truth; what was believed before stays.
    Discard,
}

impl Word {
    fn act(self) -> &'static str {
        match self {
            Self::Release => "brake.released",
            Self::Discard => "brake.discarded",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Release => "released",
            Self::Discard => "discarded",
        }
    }
}

/// Who says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Whoever may use the table itself.
    CommandLine,
    /// An administrator: it must not give them more than they have (R20).
    Administrator(PersonId),
}

impl By {
    pub(crate) fn person(&self) -> Option<&PersonId> {
        match self {
            Self::CommandLine => None,
            Self::Administrator(person) => Some(person),
        }
    }

    pub(crate) fn actor(&self) -> String {
        match self {
            Self::CommandLine => "cli".to_owned(),
            Self::Administrator(person) => person.to_string(),
        }
    }

    pub(crate) fn from(&self) -> String {
        match self {
            Self::CommandLine => "from the command line".to_owned(),
            Self::Administrator(person) => format!("by {person}"),
        }
    }
}

/// All that the brake holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Of rotations, the longest held first.
    pub rotations: Vec<(RotationHead, HeldChange)>,
    /// Of people whom a directory shows inactive: the directory and its roll; nothing where it holds none of them.
    pub people: Option<(String, Roll)>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Of a change of these rotations: those that mirror each other have the same change under the same digest.
    Rotations {
        /// The change.
        digest: String,
        /// The rotations.
        rotations: Vec<RotationId>,
    },
    /// Of so many people.
    People {
        /// The group.
        digest: String,
        /// How many they are.
        count: usize,
    },
}

/// Why nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrakeError {
    /// Nothing that is held has this digest.
    #[error("the brake holds no change whose digest begins with `{0}`; list what it holds")]
    Unknown(String),
    /// Several have.
    #[error("{} changes begin with `{beginning}`; give more of the digest: {}", digests.len(), digests.join(", "))]
    Several {
        /// What was given.
        beginning: String,
        /// What it could mean.
        digests: Vec<String>,
    },
    /// It was said before.
    #[error("{0} is {1} already; it is taken up with the next look at each of them")]
    SaidAlready(String, &'static str),
    /// The brake no longer holds it.
    #[error("{0}: meanwhile the brake no longer holds {1}; nothing is changed")]
    Meanwhile(RotationId, String),
    /// It would give its author more than they have.
    #[error("it would give you access; another administrator must say it")]
    OwnGain,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Brakes {
    /// All of it over one table.
    #[must_use]
    pub fn over<T>(table: Arc<T>, clock: Arc<dyn Clock>) -> Self
    where
        T: ReadSummary + WriteRota + WriteRoll + ReadRules + FindPeople + 'static,
    {
        Self {
            numbers: table.clone(),
            rota: table.clone(),
            rolls: table.clone(),
            rules: table.clone(),
            people: table,
            clock,
        }
    }

    /// All that the brake holds.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn holding(&self) -> Result<Holding, StoreError> {
        let (followed, roll) = self.numbers.followed().await?;
        let heads = followed.into_iter().flat_map(|followed| followed.rotations);
        let mut rotations: Vec<_> = heads.filter_map(|head| head.held.clone().map(|held| (head, held))).collect();
        rotations.sort_by_key(|(_, held)| held.since);
        let directory = self.rules.settings().await?.and_then(|settings| settings.directory);
        let people = directory.map(|directory| (directory, roll)).filter(|(_, roll)| !roll.held.is_empty());
        Ok(Holding { rotations, people })
    }

    /// Says it of whatever a digest that begins like this names.
    ///
    /// # Errors
    /// It names nothing or several things, it would give its author more, or the table cannot be used.
    pub async fn say(&self, beginning: &str, word: Word, by: &By) -> Result<Said, BrakeError> {
        let beginning = beginning.trim().to_ascii_lowercase();
        let holding = self.holding().await?;
        let of_rotations = holding.rotations.iter().map(|(_, held)| held.digest.as_str());
        let of_people = holding.people.as_ref().map(|(_, roll)| digests(roll)).unwrap_or_default();
        let digest = only(of_rotations.chain(of_people.iter().map(String::as_str)), &beginning)?.to_owned();
        if of_people.contains(&digest) {
            let count = self.say_of_people(&digest, word, by).await?;
            return Ok(Said::People { digest, count });
        }
        let mut rotations = Vec::new();
        for (head, held) in holding.rotations.iter().filter(|(_, held)| held.digest == digest) {
            self.may(head, held, word, by).await?;
            rotations.push(head.id.clone());
        }
        for rotation in &rotations {
            self.say_of_rotation(rotation, &digest, word, by).await?;
        }
        Ok(Said::Rotations { digest, rotations })
    }

    /// Whether it gives its author nothing: neither does a release put them on call, nor does a discard keep them there.
    async fn may(&self, head: &RotationHead, held: &HeldChange, word: Word, by: &By) -> Result<(), BrakeError> {
        let By::Administrator(author) = by else { return Ok(()) };
        let gains: &[Shift] = match word {
            Word::Release => &held.change.added,
            Word::Discard => &held.change.removed,
        };
        let users: BTreeSet<UserId> = gains.iter().filter_map(|shift| shift.user.clone()).collect();
        let people = self.who(&head.id.source, &users.into_iter().collect::<Vec<_>>()).await?;
        if people.contains(author) { Err(BrakeError::OwnGain) } else { Ok(()) }
    }

    /// Who the users of a source are, or will be as soon as they are on call: whoever is not linked yet is linked then.
    async fn who(&self, source: &SourceId, users: &[UserId]) -> Result<BTreeSet<PersonId>, StoreError> {
        let linked = self.rota.people(source, users).await?;
        let strangers: Vec<&UserId> = users.iter().filter(|user| !linked.contains_key(*user)).collect();
        let mut people: BTreeSet<PersonId> = linked.into_values().collect();
        if !strangers.is_empty()
            && let Some(settings) = self.rules.settings().await?
        {
            let directory = self.rota.directory(source).await?;
            for user in strangers {
                if let Ok(address) = directory.first_address(&settings, source, user) {
                    people.extend(self.people.find_person(&address).await?);
                }
            }
        }
        Ok(people)
    }

    async fn say_of_rotation(&self, id: &RotationId, digest: &str, word: Word, by: &By) -> Result<(), BrakeError> {
        for _ in 0..RACES {
            let head = self.rota.heads(std::slice::from_ref(id)).await?.remove(id);
            let head = head.filter(|head| head.held.as_ref().is_some_and(|held| held.digest == digest));
            let head = head.ok_or_else(|| BrakeError::Meanwhile(id.clone(), digest.to_owned()))?;
            let Some(change) = said(head, digest, word, by, self.clock.now()) else { return Ok(()) };
            match self.rota.change_rotation(&change).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Changed(format!("the rotation {id}, which is read over and over; try again")).into())
    }

    async fn say_of_people(&self, digest: &str, word: Word, by: &By) -> Result<usize, BrakeError> {
        for _ in 0..RACES {
            let unknown = || BrakeError::Unknown(digest.to_owned());
            let now = self.clock.now();
            let directory = self.rules.settings().await?.and_then(|settings| settings.directory);
            let directory = directory.ok_or_else(unknown)?;
            let mut roll = self.rolls.roll(&directory).await?;
            if !digests(&roll).iter().any(|known| known == digest) {
                return Err(unknown());
            }
            if let (By::Administrator(author), Word::Discard) = (by, word)
                && roll.held.iter().any(|held| held.person == *author)
            {
                return Err(BrakeError::OwnGain);
            }
            let said = match word {
                Word::Release => roll::Word::Released,
                Word::Discard => roll::Word::Discarded,
            };
            let already = || BrakeError::SaidAlready(digest.to_owned(), word.done());
            let count = roll.say(digest, said).ok_or_else(already)?;
            let record = Draft {
                act: word.act().to_owned(),
                actor: by.actor(),
                subject: json!({ "directory": directory }),
                before: Value::Null,
                after: json!({ "digest": digest, "people": count }),
                why: json!("an administrator says so"),
            };
            let notice = Notice::new(
                format!("brake/directory/{directory}/{digest}/{}/{}", word.done(), roll.rev),
                Topic::Brake,
                format!(
                    "the {count} people whom the directory `{directory}` shows inactive and the brake holds under \
                     {digest} were {} {}. Look at it.",
                    word.done(),
                    by.from()
                ),
                now,
            );
            match self.rolls.say(&RollChange { directory, roll, evidence: vec![record] }, &[notice], now).await {
                Ok(()) => return Ok(count),
                Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Changed("the directory's people, who are found over and over; try again".to_owned()).into())
    }
}

/// Every digest of the people on a roll whom the brake holds, in the order in which they are listed.
fn digests(roll: &Roll) -> Vec<String> {
    let words = [roll::Word::Waiting, roll::Word::Discarded, roll::Word::Released];
    words.into_iter().flat_map(|word| roll.digests(word)).collect()
}

/// The one digest that begins like this.
fn only<'a>(digests: impl Iterator<Item = &'a str>, beginning: &str) -> Result<&'a str, BrakeError> {
    let mut matching: Vec<&str> =
        digests.filter(|digest| !beginning.is_empty() && digest.starts_with(beginning)).collect();
    matching.sort_unstable();
    matching.dedup();
    let beginning: String = beginning.chars().take(80).flat_map(char::escape_debug).collect();
    match matching.as_slice() {
        [one] => Ok(one),
        [] => Err(BrakeError::Unknown(beginning)),
        several => {
            Err(BrakeError::Several { beginning, digests: several.iter().map(|one| (*one).to_owned()).collect() })
        }
    }
}

/// The change of a rotation's head that says so; `None` where it is said already.
fn said(head: RotationHead, digest: &str, word: Word, by: &By, now: Timestamp) -> Option<RotationChange> {
    let before = head.held.clone()?;
    let (released, discarded) = match word {
        Word::Release => (true, false),
        Word::Discard => (false, true),
    };
    if (before.released, before.discarded) == (released, discarded) {
        return None;
    }
    let state =
        |released: bool, discarded: bool| json!({"digest": digest, "released": released, "discarded": discarded});
    let (id, done) = (head.id.clone(), word.done());
    let evidence = Draft {
        act: word.act().to_owned(),
        actor: by.actor(),
        subject: json!({"rotation": id}),
        before: state(before.released, before.discarded),
        after: state(released, discarded),
        why: json!("an administrator says so"),
    };
    let notice = Notice::new(
        format!("brake/{id}/{digest}/{done}/{}", head.generation),
        Topic::Brake,
        format!("the change {digest} of {id}, which the brake holds, was {done} {}. Look at it.", by.from()),
        now,
    );
    let held = Some(HeldChange { released, discarded, ..before });
    Some(RotationChange {
        expected: head.generation,
        head: RotationHead { held, ..head },
        at: now,
        known: None,
        evidence: vec![evidence],
        notices: vec![notice],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_that_names_no_change_or_several_is_refused() {
        let digests = || ["abc1", "abd2", "f00d"].into_iter();
        assert_eq!(only(digests(), "abc"), Ok("abc1"));
        assert_eq!(only(["f00d", "f00d"].into_iter(), "f0"), Ok("f00d"), "the same change twice");
        assert!(matches!(only(digests(), "ab"), Err(BrakeError::Several { digests, .. }) if digests.len() == 2));
        for beginning in ["9", ""] {
            assert!(matches!(only(digests(), beginning), Err(BrakeError::Unknown(_))), "`{beginning}`");
        }
    }
}
