//! Access that nobody can take back any more, because what it is access to is gone: what an administrator's word ends, and
//! what it does not say.

use dutykey_engine::ports::rules::ReadDue as _;
use dutykey_engine::write_off::WriteOffError;
use dutykey_policy::hold::write_off::Refusal;
use dutykey_policy::hold::{Outcome, State};
use dutykey_policy::id::PersonId;
use dutykey_policy::installation::{Installation, Topic};
use dutykey_policy::retire::{Open, keep};
use dutykey_targets::sandbox::{Fault, FaultKind, Operation};
use serde_json::json;

use super::world::*;

const WHY: &str = "the tenant was closed with the contract";

/// Ann is on call from minute 1 to minute 10, and from minute 60 to minute 90.
async fn company() -> World {
    Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "10m"), shift("ann", "60m", "90m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await
}

fn administrator() -> PersonId {
    "per_01JD0000000000000000000099".parse().unwrap()
}

async fn write_off(world: &World, hold: &str, by: &PersonId) -> Result<State, WriteOffError> {
    world.write_offs().write_off(hold, by, WHY.to_owned()).await.map(|hold| hold.state)
}

/// How many holds are OVERDUE, as the last tick has counted.
async fn overdue(world: &World) -> usize {
    world.store.last_summary().await.unwrap().expect("a tick has counted").overdue
}

#[tokio::test(start_paused = true)]
async fn r14_an_app_that_is_gone_is_overdue_until_an_administrator_writes_it_off_and_standing_where_it_comes_back() {
    let world = company().await;
    world.run_until(m(5)).await;
    assert!(world.has("ann", "prod"));
    world.gate.hide_credentials(true);
    world.run_until(m(13)).await;
    let (hold, ann) = (world.hold("ann").await.name(), world.person("ann").await.unwrap());
    assert_eq!((overdue(&world).await, world.notices(Topic::Overdue).len()), (1, 1), "P1: overdue, and told");

    let own = write_off(&world, &hold, &ann).await;
    assert_eq!(own, Err(WriteOffError::Refused(Refusal::OwnGain)), "R20: it would leave her what she has");
    let over = write_off(&world, &hold, &administrator()).await;
    assert_eq!(over, Ok(State::Ended(Outcome::WrittenOff)));
    assert!(matches!(write_off(&world, &hold, &administrator()).await, Err(WriteOffError::NoHold(_))), "it is over");
    world.run_until(m(20)).await;
    assert_eq!((world.holds().await, overdue(&world).await), (vec![], 0), "the next one that is OVERDUE is seen");
    let told = world.notices(Topic::Overdue);
    assert!(told.len() == 2 && told[1].1.contains(administrator().as_str()), "everybody knows by whom: {told:?}");
    assert!(world.has("ann", "prod"), "P5: it is not gone, and nothing says so");

    world.gate.hide_credentials(false);
    world.run_until(m(70)).await;
    assert_eq!(world.hold("ann").await.state, State::Kept, "R6: whose it is by now nobody can tell");
    let told = world.notices(Topic::Stuck);
    assert!(told.len() == 1 && told[0].1.contains("written off at"), "it is not taken for hers in silence: {told:?}");
    let wanted = write_off(&world, &hold, &administrator()).await;
    assert_eq!(wanted, Err(WriteOffError::Refused(Refusal::Wanted)), "R14: only what no reason wants");
    world.run_until(m(100)).await;
    assert!(world.holds().await.is_empty() && world.has("ann", "prod"), "P3: and it is left alone");
    assert_eq!(world.store.due_ends(None, world.at(h(20))).await, Ok(vec![]), "R9: nothing is left to do");

    let evidence = world.evidence().await;
    let said: Vec<_> = evidence.iter().filter(|record| record["act"] == "hold.written_off").collect();
    assert_eq!(said.len(), 1, "P9: {said:?}");
    let (by, after) = (&said[0]["actor"], &said[0]["after"]);
    assert_eq!((by, &said[0]["chain"]), (&json!(administrator()), &json!(format!("person/{ann}"))), "by whom");
    assert_eq!((&after["state"], &after["touched"]), (&json!({ "ended": "written_off" }), &json!(true)), "{after}");
    assert!(after["reason"].as_str().is_some_and(|digest| digest.len() == 64), "{after}");
    assert!(evidence.iter().all(|record| !record.to_string().contains(WHY)), "R19: free text is not in a chain");
}

#[tokio::test(start_paused = true)]
async fn r23_an_app_goes_when_its_last_hold_that_cannot_be_ended_was_written_off() {
    let mut world = company().await;
    world.run_until(m(5)).await;
    world.target.inject(Fault { on: Some(Operation::Revoke), ..Fault::always(FaultKind::Permanent) });
    world.configure(|installation| installation.apps.iter_mut().for_each(|app| app.retiring = true)).await;
    world.run_until(m(7)).await;
    let hold = world.hold("ann").await;
    assert_eq!((hold.state, hold.is_ending()), (State::Stuck, true), "R14: no error ends a revocation");
    world.run_until(m(9)).await;
    assert_eq!(write_off(&world, &hold.name(), &administrator()).await, Ok(State::Ended(Outcome::WrittenOff)));
    world.run_until(m(12)).await;
    let mut next = Installation { apps: Vec::new(), ..world.installation.clone() };
    let unsaid = keep(Some(&world.installation), &mut next, &Open::of(&world.holds().await, false));
    assert_eq!((unsaid, next.apps), (vec![], vec![]), "R23: it is deleted with the next change of the configuration");
    assert_eq!(world.store.due_ends(None, world.at(m(50))).await, Ok(vec![]), "R9: nothing is left to do");
}
