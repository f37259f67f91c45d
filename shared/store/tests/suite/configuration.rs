//! A whole configuration that a person applies over the API, and one that waits for another person.

use dutykey_engine::ports::configuration::{Change, WriteConfiguration};
use dutykey_engine::ports::rules::{ReadRules, WriteRules};
use dutykey_policy::configure::Proposal;
use dutykey_policy::difference::difference;
use dutykey_policy::gain::configures;
use dutykey_policy::installation::Installation;
use dutykey_policy::time::later;

use crate::harness::{Item, World, is_changed, nine, person, world};
use crate::rules::installation;

/// What is proposed, and its author.
fn proposal(brake: u8, author: u32, on: u64) -> Proposal {
    let (before, mut wanted) = (installation(&["a"]), installation(&["a"]));
    wanted.brake.rotation = brake;
    let changes = difference(Some(&before), &wanted).unwrap();
    let gain = configures(&before, &wanted);
    Proposal::new(wanted, &changes, person(author), on, gain, nine())
}

fn change(installation: Installation, confirmed: Option<Proposal>, on: u64) -> Change {
    Change { installation, by: person(9), confirmed, on, at: nine() }
}

/// The parts of what is proposed.
async fn parts(world: &World) -> Vec<Item> {
    let all = world.everything().await.into_iter();
    all.filter(|item| item["sk"].as_s().unwrap().starts_with("DOCUMENT#proposal#")).collect()
}

#[tokio::test]
async fn r19_r20_one_proposal_waits_and_nothing_of_it_stays_once_it_is_settled() {
    let world = world().await;
    world.store.configure(0, &installation(&["a"]), nine()).await.unwrap();
    let (first, second) = (proposal(80, 1, 1), proposal(90, 2, 1));
    for waits in [&first, &second] {
        world.store.propose_configuration(waits).await.unwrap();
        assert_eq!(world.store.proposed_configuration(nine()).await, Ok(Some(waits.clone())));
        let parts = parts(&world).await;
        assert_eq!(parts.len(), 1, "R19: nothing is left of the one before");
        assert!(parts[0].contains_key("ttl"), "R19: the table forgets it");
    }
    let over = later(nine(), std::time::Duration::from_secs(86_400));
    assert_eq!(world.store.proposed_configuration(over).await, Ok(None), "it waits for a day");
    assert!(
        is_changed(world.store.propose_configuration(&proposal(70, 1, 7)).await),
        "it was judged on another version"
    );
    assert_eq!(parts(&world).await.len(), 1, "R19: nothing of what was refused is left");

    let other = change(first.wanted.clone(), Some(first), 1);
    assert!(is_changed(world.store.change_configuration(&other).await), "this is not what waits");
    let confirmed = change(second.wanted.clone(), Some(second), 1);
    let applied = world.store.change_configuration(&confirmed).await.unwrap();
    assert_eq!((applied.version, applied.sweeps.len()), (2, 0), "the brake concerns nobody in particular");
    assert_eq!(world.store.installation().await.unwrap().unwrap().installation.brake.rotation, 90);
    assert_eq!(world.store.proposed_configuration(nine()).await, Ok(None));
    assert_eq!(parts(&world).await.len(), 0, "R19: it is settled");

    world.store.propose_configuration(&proposal(60, 1, 2)).await.unwrap();
    let dropped = world.store.change_configuration(&change(installation(&[]), None, 2)).await.unwrap();
    assert_eq!(dropped.sweeps, ["configuration/3/a"], "R9: whoever commits it sends this");
    assert_eq!(world.store.proposed_configuration(nine()).await, Ok(None), "a newer version has taken its place");
    assert_eq!(parts(&world).await.len(), 0);
}
