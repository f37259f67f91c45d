//! What the brake holds of rotations and of people: listed, released, discarded. A running `serve` sees it at its next read of the rotation.

use std::sync::Arc;

use dutykey_engine::brake::{Brakes, By, Said, Word};
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::rota::{HeldChange, RotationHead};
use dutykey_policy::roll;
use dutykey_policy::rota::Shift;
use dutykey_policy::time::rfc3339;
use dutykey_runtime::clock::SystemClock;
use dutykey_store::Store;
use serde_json::{Value, json};

mod people;

use super::{plain, print_json};
use crate::cli::BrakeCommand;

/// Lists, releases or discards.
///
/// # Errors
/// The table cannot be used, or the digest names no change or several.
pub(crate) async fn run(command: &BrakeCommand) -> anyhow::Result<bool> {
    let open = async |data| Ok::<_, anyhow::Error>(brakes(crate::data::open(data).await?, Arc::new(SystemClock)));
    let writable = async |data| {
        let store = crate::data::open(data).await?;
        store.may_record().await?;
        Ok::<_, anyhow::Error>(brakes(store, Arc::new(SystemClock)))
    };
    match command {
        BrakeCommand::List { data, json } => {
            let holding = open(data).await?.holding().await?;
            let people = holding.people.as_ref();
            if *json {
                let rotations: Vec<Value> = holding.rotations.iter().map(document).collect();
                print_json(&json!({"held": rotations, "people": people::document(people)}))?
            } else {
                print(&holding.rotations, people.is_none());
                people::print(people);
            }
        }
        BrakeCommand::Release { digest, data } => speak(&writable(data).await?, digest, Word::Release).await?,
        BrakeCommand::Discard { digest, data } => speak(&writable(data).await?, digest, Word::Discard).await?,
    }
    Ok(true)
}

fn brakes(store: Store, clock: Arc<dyn Clock>) -> Brakes {
    Brakes::over(Arc::new(store), clock)
}

/// Says it of whatever the digest names: people whom the directory shows inactive, or a change of rotations.
async fn speak(brakes: &Brakes, beginning: &str, word: Word) -> anyhow::Result<()> {
    match (brakes.say(&plain(beginning), word, &By::CommandLine).await?, word) {
        (Said::People { digest, count }, Word::Release) => {
            out!("{digest}: {count} released; whom the directory still shows inactive is cut off");
        }
        (Said::People { digest, count }, Word::Discard) => {
            out!("{digest}: {count} stay active for as long as the directory shows them inactive");
        }
        (Said::Rotations { digest, rotations }, word) => {
            let done = match word {
                Word::Release => "is released; it passes with the next view that shows it",
                Word::Discard => "is discarded; what was believed before stays",
            };
            for id in rotations {
                out!("{id}: {digest} {done}");
            }
        }
    }
    Ok(())
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
        let said = match held.word() {
            roll::Word::Released => "released",
            roll::Word::Discarded => "discarded",
            roll::Word::Waiting => "",
        };
        let waits = [shifts('-', &held.change.removed), shifts('+', &held.change.added)].concat().join("\n");
        let (digest, since) = (held.digest.chars().take(12).collect::<String>(), rfc3339(held.since));
        table.add_row([plain(&head.id.to_string()), digest, since, plain(&held.why), waits, said.to_owned()]);
    }
    out!("{table}");
}

#[cfg(test)]
mod tests {
    use dutykey_embedded::Embedded;
    use dutykey_engine::ports::rota::{ReadRota as _, RotationChange, WriteRota as _};
    use dutykey_engine::ports::rules::WriteRules as _;
    use dutykey_policy::id::RotationId;
    use dutykey_policy::installation::{Installation, PlatformSettings, Source};
    use dutykey_policy::rota::{Cause, Difference, End};
    use jiff::Timestamp;

    use super::*;

    #[tokio::test]
    async fn p7_a_release_is_recorded_once_and_only_what_was_named_passes() {
        let (now, id) = (Timestamp::UNIX_EPOCH, "pager:primary".parse::<RotationId>().expect("a rotation"));
        let store = Store::new(Embedded::memory().expect("a database").client(), "dutykey");
        store.create_table("test").await.expect("a table");
        let settings = PlatformSettings::Sandbox { script: json!({}) };
        let every = std::time::Duration::from_secs(300);
        let source = Source { id: id.source.clone(), settings, rotations: Default::default(), every, retiring: false };
        let installation = Installation { sources: vec![source], ..Installation::default() };
        store.configure(0, &installation, now).await.expect("a configuration");
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
        let brakes = brakes(store.clone(), Arc::new(SystemClock));
        let by = By::CommandLine;
        brakes.say(&digest[..8], Word::Discard, &by).await.expect("it is held");
        assert_eq!(stands().await, (false, true, 1, 2));
        brakes.say(&digest, Word::Release, &by).await.expect("a second thought");
        assert_eq!(stands().await, (true, false, 2, 3), "one word replaces the other, each with its record");
        brakes.say(&digest, Word::Release, &by).await.expect("it is released already");
        assert_eq!(stands().await, (true, false, 2, 3), "what is said already is not said twice");
        assert_eq!(brakes.holding().await.expect("a list").rotations.len(), 1);
    }
}
