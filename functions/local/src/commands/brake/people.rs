//! People whom the directory shows inactive and the brake holds.

use dutykey_policy::roll::{self, Held, Roll};
use dutykey_policy::time::rfc3339;
use serde_json::{Value, json};

use super::super::plain;

/// Every word, in the order in which people are listed.
const WORDS: [roll::Word; 3] = [roll::Word::Waiting, roll::Word::Discarded, roll::Word::Released];

fn groups(roll: &Roll) -> impl Iterator<Item = (roll::Word, String, Vec<&Held>)> {
    WORDS.into_iter().filter_map(|word| roll.group(word).map(|(digest, people)| (word, digest, people)))
}

pub(super) fn document(held: Option<&(String, Roll)>) -> Vec<Value> {
    let Some((directory, roll)) = held else { return Vec::new() };
    let person = |held: &&Held| json!({"person": held.person, "since": rfc3339(held.since)});
    let group = |(word, digest, people): (roll::Word, String, Vec<&Held>)| {
        let people: Vec<Value> = people.iter().map(person).collect();
        json!({"directory": directory, "digest": digest, "said": word, "people": people})
    };
    groups(roll).map(group).collect()
}

pub(super) fn print(held: Option<&(String, Roll)>) {
    let Some((directory, roll)) = held else { return };
    let mut table = crate::output::table(&["directory", "digest", "since", "shown inactive", "said"]);
    for (word, digest, people) in groups(roll) {
        let since = people.first().map(|first| rfc3339(first.since)).unwrap_or_default();
        let names = people.iter().map(|held| held.person.to_string()).collect::<Vec<_>>().join("\n");
        let said = match word {
            roll::Word::Waiting => "",
            roll::Word::Discarded => "discarded",
            roll::Word::Released => "released",
        };
        let digest: String = digest.chars().take(12).collect();
        table.add_row([plain(directory), digest, since, names, said.to_owned()]);
    }
    out!("{table}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use dutykey_embedded::Embedded;
    use dutykey_engine::brake::{BrakeError, By, Said, Word};
    use dutykey_engine::ports::roll::{RollChange, WriteRoll as _};
    use dutykey_engine::ports::rules::{ReadDue as _, WriteRules as _};
    use dutykey_policy::evidence::Chain;
    use dutykey_policy::id::PersonId;
    use dutykey_policy::installation::Installation;
    use dutykey_policy::roll::Census;
    use dutykey_policy::time::later;
    use dutykey_runtime::clock::VirtualClock;
    use dutykey_store::Store;
    use jiff::Timestamp;

    use super::*;

    #[tokio::test]
    async fn r2_a_word_on_people_is_recorded_once_and_has_everybody_looked_at() {
        let now = Timestamp::UNIX_EPOCH;
        let soon = later(now, std::time::Duration::from_secs(60));
        let store = Store::new(Embedded::memory().expect("a database").client(), "dutykey");
        store.create_table("test").await.expect("a table");
        let installation = Installation { directory: Some("okta".to_owned()), ..Installation::default() };
        store.configure(0, &installation, now).await.expect("a configuration");
        let brakes = super::super::brakes(store.clone(), Arc::new(VirtualClock::starting_at(now)));
        let held = async || brakes.holding().await.expect("a table").people;
        assert!(held().await.is_none(), "the brake holds nobody");
        let mut roll = Roll::default();
        for number in 1..=3 {
            let person: PersonId = format!("per_01JD{number:022}").parse().expect("a person");
            roll.found(&person, &BTreeSet::new(), Census { others: 3, answered: 3, inactive: 3 }, now);
        }
        let shown = roll.digests(roll::Word::Waiting);
        let change = RollChange { directory: "okta".to_owned(), roll, evidence: vec![] };
        store.say(&change, &[], now).await.expect("a roll");
        let (_, before) = held().await.expect("the brake holds three");
        assert_eq!(document(Some(&("okta".to_owned(), before.clone()))).len(), 1, "they are one group");

        let say = async |digest: &str, word| brakes.say(digest, word, &By::CommandLine).await;
        let said = say(&shown[1][..12], Word::Release).await.expect("it names two");
        let two = Said::People { digest: shown[1].clone(), count: 2 };
        assert_eq!(said, two, "R7: a release passes exactly those who were shown");
        let again = say(&shown[1], Word::Release).await;
        assert!(matches!(again, Err(BrakeError::SaidAlready(..))), "{again:?}");
        assert!(matches!(say("no digest", Word::Release).await, Err(BrakeError::Unknown(_))));
        let (_, after) = held().await.expect("one waits");
        assert_eq!(after.group(roll::Word::Waiting).map(|(_, people)| people.len()), Some(1));
        assert_eq!(store.due_sweeps(soon).await.expect("sweeps").len(), 2, "R9: a release sweeps");
        assert_eq!(store.due_notices(soon).await.expect("notices").len(), 1, "somebody is told");
        let records = store.evidence(&Chain::System, 1, 10).await.expect("evidence");
        assert!(records.last().is_some_and(|record| record.line.contains("brake.released")), "{records:?}");
    }
}
