//! Profiles that are changed one by one, beside a configuration file.

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::profiles::{Edit, Edited, WriteProfiles};
use dutykey_engine::ports::rules::{ReadDue, ReadRules, WriteRules};
use dutykey_engine::ports::sweep::Among;
use dutykey_policy::edit::Proposal;
use dutykey_policy::evidence::Chain;
use dutykey_policy::gain::Power;
use dutykey_policy::id::EntitlementRef;
use dutykey_policy::installation::{Installation, PlatformSettings, Source};
use dutykey_policy::profile::Profile;

use crate::harness::{World, is_changed, nine, person, world};
use crate::rules::{installation, profile};

/// A configuration file with these profiles, and the source that all profiles here name.
fn file(profiles: &[&str]) -> Installation {
    let settings = PlatformSettings::Sandbox { script: serde_json::json!({}) };
    let every = std::time::Duration::from_secs(300);
    let source = Source { id: "pd".parse().unwrap(), settings, rotations: Default::default(), every, retiring: false };
    Installation { sources: vec![source], ..installation(profiles) }
}

fn edit(id: &str, becomes: Option<Profile>, on: u64) -> Edit {
    Edit { id: id.parse().unwrap(), becomes, by: person(7), confirmed: None, on, at: nine() }
}

fn called(id: &str, name: &str) -> Option<Profile> {
    Some(Profile { name: name.to_owned(), ..profile(id) })
}

/// The profiles in force, each with its version.
async fn in_force(world: &World) -> (u64, Vec<(String, String, u64)>) {
    let configured = world.store.installation().await.unwrap().unwrap();
    let profiles = configured.installation.profiles.into_iter();
    (configured.version, profiles.map(|it| (it.id.to_string(), it.name, it.version)).collect())
}

fn said(id: &str, name: &str, version: u64) -> (String, String, u64) {
    (id.to_owned(), name.to_owned(), version)
}

async fn acts(world: &World, id: &str) -> Vec<String> {
    let chain = Chain::Profile(id.parse().unwrap());
    let lines = world.store.evidence(&chain, 1, 10).await.unwrap();
    let act = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["act"].as_str().unwrap().to_owned();
    lines.iter().map(|line| act(&line.line)).collect()
}

#[tokio::test]
async fn r23_what_the_api_made_stays_when_a_file_is_applied_and_the_file_keeps_its_own() {
    let world = world().await;
    world.store.configure(0, &file(&["a"]), nine()).await.unwrap();
    let Edited { rotations, sweep } = world.store.edit(&edit("made", called("made", "One"), 1)).await.unwrap();
    assert_eq!(rotations, ["pd:made".parse().unwrap()].into());
    let due = world.store.due_sweeps(nine()).await.unwrap();
    assert_eq!(
        (&due[0].id, &due[0].among),
        (&sweep, &Among::Profile("made".parse().unwrap())),
        "R9: a sweep is written"
    );
    assert_eq!(in_force(&world).await, (2, vec![said("a", "a", 1), said("made", "One", 1)]));

    assert_eq!(world.store.configure(2, &file(&["b"]), nine()).await, Ok(3));
    assert_eq!(in_force(&world).await, (3, vec![said("b", "b", 1), said("made", "One", 1)]), "the file's own are gone");
    assert_eq!(world.store.configure(3, &file(&["b"]), nine()).await, Ok(3), "what is in force already is no change");

    let refused = world.store.configure(3, &file(&["b", "made"]), nine()).await;
    assert!(matches!(&refused, Err(StoreError::Owned(why)) if why.contains("`made`")), "{refused:?}");
    let bare = installation(&["b"]);
    let refused = world.store.configure(3, &bare, nine()).await;
    assert!(matches!(&refused, Err(StoreError::Owned(why)) if why.contains("source `pd`")), "R23: {refused:?}");
    let refused = world.store.edit(&edit("b", called("b", "Mine"), 3)).await;
    assert!(matches!(&refused, Err(StoreError::Owned(why)) if why.contains("`b`")), "{refused:?}");
    assert_eq!(in_force(&world).await.0, 3, "nothing was changed");

    world.store.edit(&edit("made", None, 3)).await.unwrap();
    assert_eq!(in_force(&world).await, (4, vec![said("b", "b", 1)]));
    assert_eq!(world.store.configure(4, &file(&["b", "made"]), nine()).await, Ok(5), "now the ID is the file's");
    assert_eq!(in_force(&world).await.1[1], said("made", "made", 2), "versions go on");
    assert_eq!(acts(&world, "made").await, ["profile.made", "profile.deleted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_change_a_profile_at_once_one_wins() {
    let world = world().await;
    world.store.configure(0, &file(&[]), nine()).await.unwrap();
    world.store.edit(&edit("made", called("made", "One"), 1)).await.unwrap();
    let mut edits = tokio::task::JoinSet::new();
    for number in 0..4 {
        let store = world.store.clone();
        let edit = edit("made", called("made", &format!("name {number}")), 2);
        edits.spawn(async move { (number, store.edit(&edit).await) });
    }
    let (won, lost): (Vec<_>, Vec<_>) = edits.join_all().await.into_iter().partition(|(_, outcome)| outcome.is_ok());
    assert_eq!(won.len(), 1);
    assert!(lost.into_iter().all(|(_, outcome)| is_changed(outcome)), "each may look again");
    let (version, profiles) = in_force(&world).await;
    assert_eq!((version, profiles[0].1.as_str()), (3, format!("name {}", won[0].0).as_str()));
    assert_eq!(acts(&world, "made").await, ["profile.made", "profile.changed"]);
}

#[tokio::test]
async fn r20_what_is_proposed_changes_nothing_until_it_is_confirmed_on_the_same_configuration() {
    let world = world().await;
    world.store.configure(0, &file(&[]), nine()).await.unwrap();
    let what = EntitlementRef { app: "directory".parse().unwrap(), kind: "group".to_owned(), id: "prod".to_owned() };
    let gain = [Power::Have(what), Power::Override].into();
    let proposal = Proposal::new(called("made", "One").unwrap(), person(7), 1, gain, nine());
    world.store.propose(&proposal).await.unwrap();
    assert_eq!(world.store.proposal(&proposal.wanted.id).await, Ok(Some(proposal.clone())));
    assert_eq!(in_force(&world).await, (1, vec![]));
    let confirmed = Edit { by: person(8), confirmed: Some(proposal.clone()), ..edit("made", called("made", "One"), 1) };
    let other = Proposal { digest: "another".to_owned(), ..proposal.clone() };
    let unread = Edit { confirmed: Some(other), ..confirmed.clone() };
    assert!(is_changed(world.store.edit(&unread).await), "another proposal has come in its place");
    world.store.edit(&confirmed).await.unwrap();
    assert_eq!(in_force(&world).await.1.len(), 1);
    assert_eq!(world.store.proposal(&proposal.wanted.id).await, Ok(None), "nothing waits any more");
    assert!(is_changed(world.store.propose(&proposal).await), "it was judged on an older configuration");
    assert_eq!(acts(&world, "made").await, ["profile.proposed", "profile.made"]);
}
