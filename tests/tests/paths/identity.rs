//! Doubt about who somebody is, and people who are gone.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_engine::ports::ledger::ReadLedger as _;
use dutykey_engine::ports::queue::{Message, Queue};
use dutykey_engine::ports::rota::{ReadRota as _, RotationChange, RotationHead, WriteRota as _};
use dutykey_policy::hold::State;
use dutykey_policy::installation::Topic;
use dutykey_store::keys;
use dutykey_targets::sandbox::{Account, OthersAct};
use serde_json::json;

use super::world::*;

fn account(id: &str, address: &str, active: bool) -> serde_json::Value {
    json!({ "id": id, "address": address, "active": active })
}

#[tokio::test(start_paused = true)]
async fn p8_doubt_about_an_account_denies_and_is_told_a_day_before() {
    // Ann has no account, Bob has two, Cat's is not in use; Dan has one.
    let accounts = json!([
        account("b1", "bob@example.com", true),
        account("b2", "bob@example.com", true),
        account("c1", "cat@example.com", false),
        account("acc-dan", "dan@example.com", true),
    ]);
    let people = ["ann", "bob", "cat", "dan"];
    let shifts = people.map(|who| shift(who, "1443m", "1600m"));
    let world = Company::of(people)
        .shifts("primary", &shifts)
        .profile(profile("on-call", &["prod"], &["primary"]))
        .target("accounts", accounts)
        .start()
        .await;
    world.run_until(m(2)).await;
    assert!(world.notices(Topic::Unmatched).is_empty(), "more than a day ahead nobody is told");
    world.run_until(m(5)).await;
    assert_eq!(world.notices(Topic::Unmatched).len(), 3, "P8: {:?}", world.notices(Topic::Unmatched));
}

#[tokio::test(start_paused = true)]
async fn p8_doubt_is_looked_at_again_each_hour_and_passes_when_the_account_is_there() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "100m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .target("accounts", json!([]))
        .start()
        .await;
    world.run_until(m(20)).await;
    let made = Account { id: "acc-ann".parse().unwrap(), address: "ann@example.com".to_owned(), active: true };
    world.target.others(OthersAct::Account(made));
    world.run_until(m(63)).await;
    assert!(world.has("ann", "prod"), "P8: found within the hour");
    assert_eq!(world.notices(Topic::Unmatched).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn p8_a_user_of_the_platform_whom_nobody_knows_is_told_and_passes_when_the_address_is_right() {
    let stranger = json!([{ "id": "ann", "email": "ann@elsewhere.org" }, { "id": "bob", "email": "bob@example.com" }]);
    let mut world = Company::of(["ann", "bob"])
        .platform("users", stranger)
        .shifts("primary", &[shift("ann", "5m", "40m"), shift("bob", "5m", "40m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(2)).await;
    let told = world.notices(Topic::Unmatched);
    assert_eq!(told.len(), 1, "P8: shown before the shift starts: {told:?}");
    world.run_until(m(6)).await;
    assert_eq!(world.members("prod"), ["bob".to_owned()].into());
    world
        .configure(|installation| {
            installation.links.push(dutykey_policy::installation::Link {
                person: "ann@example.com".to_owned(),
                sources: [("pd".parse().unwrap(), "ann".to_owned())].into(),
                apps: Default::default(),
            });
        })
        .await;
    world.run_until(m(8)).await;
    assert!(world.has("ann", "prod"), "a link by an administrator settles it");
}

#[tokio::test(start_paused = true)]
async fn p8_whoever_may_not_read_teams_still_knows_the_users_and_the_rotations() {
    let world = Company::of(["ann", "bob"])
        .platform("faults", json!([{ "fault": "forbidden", "on": "teams" }]))
        .shifts("primary", &[shift("ann", "5m", "40m")])
        .shifts("secondary", &[shift("bob", "5m", "40m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(6)).await;
    assert!(world.has("ann", "prod"), "P8: the users are known although the teams are not");
    let source = "pd".parse().unwrap();
    let directory = world.store.directory(&source).await.unwrap();
    assert_eq!((directory.users.len(), directory.teams.len()), (2, 0));
    let heads = world.store.rotations(&source).await.unwrap();
    let ids: Vec<String> = heads.iter().map(|head| head.id.to_string()).collect();
    assert_eq!(ids, ["pd:primary", "pd:secondary"], "what no profile names is listed too");
    world.run_until(m(42)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r5_an_account_belongs_to_the_person_who_claimed_it_first() {
    let link = |person: &str| dutykey_policy::installation::Link {
        person: format!("{person}@example.com"),
        sources: Default::default(),
        apps: [("directory".parse().unwrap(), "acc-ann".to_owned())].into(),
    };
    let world = Company::of(["ann", "bob"])
        .shifts("primary", &[shift("ann", "1m", "10m"), shift("bob", "5m", "15m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .installation(|installation| installation.links = vec![link("ann"), link("bob")])
        .start()
        .await;
    world.run_until(m(8)).await;
    assert_eq!(world.holds().await.len(), 1, "R5: one fact, one hold");
    assert_eq!(world.notices(Topic::Unmatched).len(), 1, "R5: the second claim is shown");
    world.run_until(m(17)).await;
    world.is_over().await;
}

/// Leaves of somebody what a table has that was restored to before they were met, and rebuilt: what they hold and their
/// accounts, and not who they are.
async fn forget(world: &World, person: &str) {
    let live = world.live(person).await;
    let (id, user) = (&live.person.id, keys::link(&"pd".parse().unwrap(), &person.parse().unwrap()));
    let mut gone = vec![keys::person_links(id), keys::person_text(id), user];
    gone.push(keys::address(&format!("{person}@example.com")));
    gone.extend(live.enrollments.iter().map(keys::enrollment));
    let client = Client::from_conf(world.embedded.config().build());
    for key in gone {
        let request = client.delete_item().table_name("dutykey").key(keys::PK, AttributeValue::S(key.pk));
        request.key(keys::SK, AttributeValue::S(key.sk)).send().await.unwrap();
    }
    let rotation = rotation_id("primary");
    let head = world.store.heads(std::slice::from_ref(&rotation)).await.unwrap().remove(&rotation).unwrap();
    let (expected, at) = (head.generation, world.clock.now());
    let head = RotationHead { planned: String::new(), ..head };
    let change = RotationChange { expected, head, at, known: None, evidence: vec![], notices: vec![] };
    world.store.change_rotation(&change).await.unwrap();
    world.queues().send(Queue::Revocation, vec![Message::person(id.clone(), "rebuild")]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn r18_whoever_is_met_anew_has_an_account_once_nothing_of_what_they_held_before_is_left_in_it() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1h", "4h")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .target("faults", json!([{ "fault": "fail", "on": "revoke", "group": "prod", "from": "90m", "to": "100m" }]))
        .start()
        .await;
    world.run_until(m(90)).await;
    let before = world.person("ann").await.expect("the rota has shown her");
    forget(&world, "ann").await;
    world.run_until(m(99)).await;
    let (app, account) = ("directory".parse().unwrap(), "acc-ann".parse().unwrap());
    let anew = world.live("ann").await;
    assert_ne!(anew.person.id, before, "she is met anew");
    assert_eq!((anew.holds, world.has("ann", "prod")), (vec![], true), "R1: one place has one hold, and that is open");
    assert_eq!(world.store.owner(&app, &account).await, Ok(Some(before)), "R5: the first claim stays");

    world.run_until(m(110)).await;
    assert_eq!(world.store.owner(&app, &account).await, Ok(Some(anew.person.id)));
    assert_eq!(world.hold("ann").await.state, State::Held, "P3: what was hers before was never standing access");
    let acts: Vec<_> = world.changes("ann", "prod").into_iter().map(|(_, act)| act).collect();
    assert_eq!(acts, ["added", "removed", "added"]);
    world.run_until(h(4) + m(1)).await;
    assert!(!world.has("ann", "prod"), "P1: it ends with the shift");
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r2_somebody_whom_the_directory_shows_inactive_loses_access_within_the_hour() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "5h")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .installation(|installation| {
            installation.directory = Some("directory".to_owned());
            installation.sync.directory_every = m(10);
        })
        .start()
        .await;
    world.run_until(m(12)).await;
    assert!(world.has("ann", "prod"));
    let gone = Account { id: "acc-ann".parse().unwrap(), address: "ann@example.com".to_owned(), active: false };
    world.target.others(OthersAct::Account(gone));
    world.run_until(m(25)).await;
    assert!(!world.has("ann", "prod"), "R2: a leaver is blocked at once, without grace");
    world.run_until(m(40)).await;
    assert_eq!(world.changes("ann", "prod").len(), 2, "R2: and stays so");
    world.is_over().await;
}
