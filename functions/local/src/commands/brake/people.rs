//! People whom the directory shows inactive and the brake holds.

use dutykey_engine::ports::ledger::{Notice, StoreError};
use dutykey_engine::ports::roll::{ReadRoll as _, RollChange, WriteRoll as _};
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::evidence::Draft;
use dutykey_policy::installation::Topic;
use dutykey_policy::roll::{self, Held, Roll};
use dutykey_policy::time::rfc3339;
use dutykey_store::Store;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::plain;
use super::{RACES, Word, only};

/// Every word, in the order in which people are listed.
const WORDS: [roll::Word; 3] = [roll::Word::Waiting, roll::Word::Discarded, roll::Word::Released];

/// The directory and its roll, where the brake holds anybody.
pub(super) async fn held(store: &Store) -> Result<Option<(String, Roll)>, StoreError> {
    let configured = store.installation().await?;
    let Some(directory) = configured.and_then(|configured| configured.installation.directory) else { return Ok(None) };
    let roll = store.roll(&directory).await?;
    Ok(Some((directory, roll)).filter(|(_, roll)| !roll.held.is_empty()))
}

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

/// Says it of the people whom a digest that begins like this names; answers the whole digest and how many they are. `None`
/// where it names no people. `others` are the digests of rotations' changes: a beginning that could mean both is refused.
pub(super) async fn say(
    store: &Store,
    beginning: &str,
    others: &[String],
    word: Word,
    now: Timestamp,
) -> anyhow::Result<Option<(String, usize)>> {
    let beginning = beginning.trim().to_ascii_lowercase();
    for _ in 0..RACES {
        let Some((directory, mut roll)) = held(store).await? else { return Ok(None) };
        let digests: Vec<String> = WORDS.into_iter().flat_map(|word| roll.digests(word)).collect();
        if !digests.iter().any(|digest| digest.starts_with(&beginning)) {
            return Ok(None);
        }
        let digest = only(digests.iter().chain(others).map(String::as_str), &beginning)?.to_owned();
        let (said, act, done) = match word {
            Word::Release => (roll::Word::Released, "brake.released", "released"),
            Word::Discard => (roll::Word::Discarded, "brake.discarded", "discarded"),
        };
        let Some(count) = roll.say(&digest, said) else {
            anyhow::bail!("{digest} is {done} already; it is taken up with the next look at each of them");
        };
        let record = Draft {
            act: act.to_owned(),
            actor: "cli".to_owned(),
            subject: json!({ "directory": directory }),
            before: Value::Null,
            after: json!({ "digest": digest, "people": count }),
            why: json!("an administrator says so"),
        };
        let notice = Notice {
            id: format!("brake/directory/{directory}/{digest}/{done}/{}", roll.rev),
            topic: Topic::Brake,
            at: now,
            text: format!(
                "the {count} people whom the directory `{directory}` shows inactive and the brake holds under {digest} \
                 were {done} from the command line. Look at it."
            ),
            failures: 0,
            due: now,
        };
        match store.say(&RollChange { directory, roll, evidence: vec![record] }, &[notice], now).await {
            Ok(()) => return Ok(Some((digest, count))),
            Err(StoreError::Changed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("people are found over and over; try again")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dutykey_embedded::Embedded;
    use dutykey_engine::ports::rules::{ReadDue as _, WriteRules as _};
    use dutykey_policy::evidence::Chain;
    use dutykey_policy::id::PersonId;
    use dutykey_policy::installation::Installation;
    use dutykey_policy::roll::Census;

    use super::*;

    #[tokio::test]
    async fn r2_a_word_on_people_is_recorded_once_and_has_everybody_looked_at() {
        let now = Timestamp::UNIX_EPOCH;
        let store = Store::new(Embedded::memory().expect("a database").client(), "dutykey");
        store.create_table("test").await.expect("a table");
        let installation = Installation {
            verified_domains: vec![],
            directory: Some("okta".to_owned()),
            api: Default::default(),
            sources: vec![],
            apps: vec![],
            links: vec![],
            profiles: vec![],
            sync: Default::default(),
            brake: Default::default(),
            notify: vec![],
        };
        store.configure(0, &installation, now).await.expect("a configuration");
        assert!(held(&store).await.expect("a table").is_none(), "the brake holds nobody");
        let mut roll = Roll::default();
        for number in 1..=3 {
            let person: PersonId = format!("per_01JD{number:022}").parse().expect("a person");
            roll.found(&person, &BTreeSet::new(), Census { others: 3, answered: 3, inactive: 3 }, now);
        }
        let shown = roll.digests(roll::Word::Waiting);
        let change = RollChange { directory: "okta".to_owned(), roll, evidence: vec![] };
        store.say(&change, &[], now).await.expect("a roll");
        let (_, before) = held(&store).await.expect("a table").expect("the brake holds three");
        assert_eq!(document(Some(&("okta".to_owned(), before.clone()))).len(), 1, "they are one group");

        let said = say(&store, &shown[1][..12], &[], Word::Release, now).await.expect("it names two");
        assert_eq!(said, Some((shown[1].clone(), 2)), "R7: a release passes exactly those who were shown");
        assert!(
            say(&store, &shown[1], &[], Word::Release, now).await.expect_err("once").to_string().contains("already")
        );
        assert_eq!(say(&store, "no digest", &[], Word::Release, now).await.expect("of a rotation, maybe"), None);
        let both = say(&store, &shown[1][..1], &[shown[1][..1].repeat(64)], Word::Discard, now).await;
        assert!(both.is_err(), "what could mean a rotation too is refused");
        let (_, after) = held(&store).await.expect("a table").expect("one waits");
        assert_eq!(after.group(roll::Word::Waiting).map(|(_, people)| people.len()), Some(1));
        assert_eq!(store.due_sweeps(now).await.expect("sweeps").len(), 2, "R9: a release sweeps");
        assert_eq!(store.due_notices(now).await.expect("notices").len(), 1, "somebody is told");
        let records = store.evidence(&Chain::System, 1, 10).await.expect("evidence");
        assert!(records.last().is_some_and(|record| record.line.contains("brake.released")), "{records:?}");
    }
}
