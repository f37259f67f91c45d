//! What the brake holds of rotations and of people: listed, released, discarded. A running `serve` sees it at its next read of the rotation.

use anyhow::Context as _;
use dutykey_engine::ports::clock::Clock as _;
use dutykey_engine::ports::ledger::{Notice, StoreError};
use dutykey_engine::ports::rota::{HeldChange, ReadRota as _, RotationChange, RotationHead, WriteRota as _};
use dutykey_policy::evidence::Draft;
use dutykey_policy::id::RotationId;
use dutykey_policy::installation::Topic;
use dutykey_policy::rota::Shift;
use dutykey_policy::time::rfc3339;
use dutykey_runtime::clock::SystemClock;
use dutykey_store::{MAX_PAGE, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

mod people;

use super::{plain, print_json};
use crate::cli::BrakeCommand;

/// How often a change is tried again where a sync was faster.
const RACES: usize = 16;

/// What an administrator says of a held change.
#[derive(Debug, Clone, Copy)]
enum Word {
    Release,
    Discard,
}

/// Lists, releases or discards.
///
/// # Errors
/// The table cannot be used, or the digest names no change or several.
pub(crate) async fn run(command: &BrakeCommand) -> anyhow::Result<bool> {
    let now = SystemClock.now();
    match command {
        BrakeCommand::List { data, json } => {
            let store = crate::data::open(data).await?;
            let (held, people) = (held(&store).await?, people::held(&store).await?);
            if *json {
                let rotations: Vec<Value> = held.iter().map(document).collect();
                print_json(&json!({"held": rotations, "people": people::document(people.as_ref())}))?
            } else {
                print(&held, people.is_none());
                people::print(people.as_ref());
            }
        }
        BrakeCommand::Release { digest, data } => {
            for said in speak(&crate::data::open(data).await?, digest, Word::Release, now).await? {
                out!("{said}");
            }
        }
        BrakeCommand::Discard { digest, data } => {
            for said in speak(&crate::data::open(data).await?, digest, Word::Discard, now).await? {
                out!("{said}");
            }
        }
    }
    Ok(true)
}

/// Says it of whatever the digest names: people whom the directory shows inactive, or a change of rotations. Answers what
/// was done, a line each.
async fn speak(store: &Store, beginning: &str, word: Word, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let rotations: Vec<String> = held(store).await?.into_iter().map(|(_, held)| held.digest).collect();
    if let Some((digest, count)) = people::say(store, beginning, &rotations, word, now).await? {
        return Ok(vec![match word {
            Word::Release => format!("{digest}: {count} released; whom the directory still shows inactive is cut off"),
            Word::Discard => format!("{digest}: {count} stay active for as long as the directory shows them inactive"),
        }]);
    }
    let (digest, rotations) = say(store, beginning, word, now).await?;
    let done = match word {
        Word::Release => "is released; it passes with the next view that shows it",
        Word::Discard => "is discarded; what was believed before stays",
    };
    Ok(rotations.iter().map(|id| format!("{id}: {digest} {done}")).collect())
}

/// Every rotation of which something is held, with what is.
async fn held(store: &Store) -> anyhow::Result<Vec<(RotationHead, HeldChange)>> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.list_rotations(cursor.as_ref(), MAX_PAGE).await?;
        found.extend(page.items.into_iter().filter_map(|head| head.held.clone().map(|held| (head, held))));
        cursor = page.next;
        if cursor.is_none() {
            found.sort_by_key(|(_, held)| held.since);
            return Ok(found);
        }
    }
}

fn document((head, held): &(RotationHead, HeldChange)) -> Value {
    let shift =
        |shift: &Shift| json!({"user": shift.user, "start": rfc3339(shift.start), "end": shift.end.at().map(rfc3339)});
    let shifts = |shifts: &[Shift]| shifts.iter().map(shift).collect::<Vec<_>>();
    json!({
        "rotation": head.id, "name": head.name, "digest": held.digest, "since": rfc3339(held.since), "why": held.why,
        "released": held.released, "discarded": held.discarded,
        "removed": shifts(&held.change.removed), "added": shifts(&held.change.added),
    })
}

fn print(held: &[(RotationHead, HeldChange)], nobody: bool) {
    if held.is_empty() {
        if nobody {
            out!("the brake holds nothing");
        }
        return;
    }
    let shifts = |sign: char, shifts: &[Shift]| {
        let line = |shift: &Shift| {
            let user = shift.user.as_ref().map_or("nobody", |user| user.as_str());
            let end = shift.end.at().map_or_else(|| "open".to_owned(), rfc3339);
            format!("{sign} {} {} to {end}", plain(user), rfc3339(shift.start))
        };
        shifts.iter().map(line).collect::<Vec<_>>()
    };
    let mut table = crate::output::table(&["rotation", "digest", "since", "why", "what waits", "said"]);
    for (head, held) in held {
        let said = match (held.released, held.discarded) {
            (true, _) => "released",
            (_, true) => "discarded",
            _ => "",
        };
        let waits = [shifts('-', &held.change.removed), shifts('+', &held.change.added)].concat().join("\n");
        let (digest, since) = (held.digest.chars().take(12).collect::<String>(), rfc3339(held.since));
        table.add_row([plain(&head.id.to_string()), digest, since, plain(&held.why), waits, said.to_owned()]);
    }
    out!("{table}");
}

/// Says it of the one change whose digest begins like this. Answers the digest and the rotations that have it: those that
/// mirror each other have the same change under the same digest.
async fn say(store: &Store, beginning: &str, word: Word, now: Timestamp) -> anyhow::Result<(String, Vec<RotationId>)> {
    let held = held(store).await?;
    let beginning = beginning.trim().to_ascii_lowercase();
    let digest = only(held.iter().map(|(_, held)| held.digest.as_str()), &beginning)?;
    let mut rotations = Vec::new();
    for (head, _) in held.iter().filter(|(_, held)| held.digest == digest) {
        change(store, &head.id, digest, word, now).await?;
        rotations.push(head.id.clone());
    }
    Ok((digest.to_owned(), rotations))
}

/// The one digest that begins like this.
fn only<'a>(digests: impl Iterator<Item = &'a str>, beginning: &str) -> anyhow::Result<&'a str> {
    let mut matching: Vec<&str> =
        digests.filter(|digest| !beginning.is_empty() && digest.starts_with(beginning)).collect();
    matching.sort_unstable();
    matching.dedup();
    match matching.as_slice() {
        [one] => Ok(one),
        [] => anyhow::bail!(
            "the brake holds no change whose digest begins with `{}`; `dutykey brake list` shows what it holds",
            plain(beginning)
        ),
        several => anyhow::bail!(
            "{} changes begin with `{}`; give more of the digest: {}",
            several.len(),
            plain(beginning),
            several.join(", ")
        ),
    }
}

async fn change(store: &Store, id: &RotationId, digest: &str, word: Word, now: Timestamp) -> anyhow::Result<()> {
    for _ in 0..RACES {
        let head = store.heads(std::slice::from_ref(id)).await?.remove(id);
        let head = head.filter(|head| head.held.as_ref().is_some_and(|held| held.digest == digest));
        let head =
            head.with_context(|| format!("{id}: meanwhile the brake no longer holds {digest}; nothing is changed"))?;
        let Some(change) = said(head, digest, word, now) else { return Ok(()) };
        match store.change_rotation(&change).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Changed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("{id} is read over and over; try again")
}

/// The change of a rotation's head that says so; `None` where it is said already.
fn said(head: RotationHead, digest: &str, word: Word, now: Timestamp) -> Option<RotationChange> {
    let before = head.held.clone()?;
    let (released, discarded, act, done) = match word {
        Word::Release => (true, false, "brake.released", "released"),
        Word::Discard => (false, true, "brake.discarded", "discarded"),
    };
    if (before.released, before.discarded) == (released, discarded) {
        return None;
    }
    let state =
        |released: bool, discarded: bool| json!({"digest": digest, "released": released, "discarded": discarded});
    let id = head.id.clone();
    let evidence = Draft {
        act: act.to_owned(),
        actor: "cli".to_owned(),
        subject: json!({"rotation": id}),
        before: state(before.released, before.discarded),
        after: state(released, discarded),
        why: json!("an administrator says so"),
    };
    let notice = Notice {
        id: format!("brake/{id}/{digest}/{done}/{}", head.generation),
        topic: Topic::Brake,
        at: now,
        text: format!(
            "the change {digest} of {id}, which the brake holds, was {done} from the command line. Look at it."
        ),
        failures: 0,
        due: now,
    };
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
    use dutykey_embedded::Embedded;
    use dutykey_policy::rota::{Cause, Difference, End};

    use super::*;

    #[tokio::test]
    async fn p7_a_release_is_recorded_once_and_only_what_was_named_passes() {
        let (now, id) = (Timestamp::UNIX_EPOCH, "pager:primary".parse::<RotationId>().expect("a rotation"));
        let store = Store::new(Embedded::memory().expect("a database").client(), "dutykey");
        store.create_table("test").await.expect("a table");
        let user = Some("u-ann".parse().expect("a user"));
        let (cause, end) = (Cause::Unknown, End::Open);
        let shift = Shift { start: now, end, user, cause, native_id: None, maker: None };
        let change = Difference { removed: vec![shift], added: vec![] };
        let digest = change.digest();
        let why = "everybody is gone".to_owned();
        let held = HeldChange { digest: digest.clone(), since: now, why, change, released: false, discarded: false };
        let head = RotationHead { held: Some(held), ..RotationHead::new(id.clone(), "Primary".to_owned()) };
        let first = RotationChange { expected: 0, head, at: now, known: None, evidence: vec![], notices: vec![] };
        store.change_rotation(&first).await.expect("a head with a held change");
        let stands = async || {
            let head = store.heads(std::slice::from_ref(&id)).await.expect("a head").remove(&id).expect("it is there");
            let held = head.held.expect("the brake holds it until the next view");
            (held.released, held.discarded, head.chain.seq, head.generation)
        };
        say(&store, &digest[..8], Word::Discard, now).await.expect("it is held");
        assert_eq!(stands().await, (false, true, 1, 2));
        say(&store, &digest, Word::Release, now).await.expect("a second thought");
        assert_eq!(stands().await, (true, false, 2, 3), "one word replaces the other, each with its record");
        say(&store, &digest, Word::Release, now).await.expect("it is released already");
        assert_eq!(stands().await, (true, false, 2, 3), "what is said already is not said twice");
        assert_eq!(super::held(&store).await.expect("a list").len(), 1);
    }

    #[test]
    fn a_beginning_that_names_no_change_or_several_is_refused() {
        let digests = || ["abc1", "abd2", "f00d"].into_iter();
        assert_eq!(only(digests(), "abc").expect("one begins so"), "abc1");
        assert_eq!(only(["f00d", "f00d"].into_iter(), "f0").expect("the same change twice"), "f00d");
        for (beginning, says) in [("ab", "2 changes"), ("9", "no change"), ("", "no change")] {
            let refused = only(digests(), beginning).expect_err("nobody knows which is meant").to_string();
            assert!(refused.contains(says), "{beginning}: {refused}");
        }
    }
}
