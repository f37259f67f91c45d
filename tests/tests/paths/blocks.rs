//! Denials: what a block ends, what it keeps from beginning, and what happens when it is over.

use dutykey_engine::block::{BlockError, Denial};
use dutykey_engine::ports::queue::{Message, Queue};
use dutykey_engine::ports::roll::{ReadRoll, RollChange, WriteRoll};
use dutykey_engine::ports::witness::Event;
use dutykey_policy::block::{Denied, Reach};
use dutykey_policy::installation::{App, PlatformSettings, TargetSettings, Topic};
use dutykey_policy::roll::Word;
use dutykey_targets::sandbox::{Account, OthersAct};
use jiff::Timestamp;
use serde_json::json;

use super::world::*;

const REASON: &str = "her laptop was stolen on the train";

fn denial(denied: Denied, reach: Reach, until: Option<Timestamp>) -> Denial {
    Denial { denied, reach, author: "per_admin".to_owned(), reason: REASON.to_owned(), until }
}

fn grace(minutes: u64) -> dutykey_policy::profile::Profile {
    with(profile("on-call", &["prod"], &["primary"]), |rule| rule.grace = m(minutes))
}

/// Four people whose shifts begin one after the other and end together.
async fn company() -> World {
    let people = ["ann", "bob", "cat", "dan"];
    let shifts = [("ann", "1h", "5h"), ("bob", "1h", "5h"), ("cat", "3h", "5h"), ("dan", "4h", "5h")];
    Company::of(people)
        .shifts("primary", &shifts.map(|(who, from, to)| shift(who, from, to)))
        .profile(grace(10))
        .start()
        .await
}

#[tokio::test(start_paused = true)]
async fn r2_whoever_is_blocked_loses_everything_at_once_and_no_look_grants_it_again() {
    let world = company().await;
    world.run_until(m(130)).await;
    assert!(world.has("ann", "prod"));
    let ann = world.person("ann").await.unwrap();
    let block = world.blocks().place(denial(Denied::Person(ann.clone()), Reach::Revoke, None)).await.unwrap();
    world.run_until(m(130) + s(2)).await;
    assert!(!world.has("ann", "prod"), "R2: at once, without the profile's grace");
    assert!(world.live("ann").await.holds.is_empty(), "P5: and proven");

    // A sync, ticks and duplicate messages say *look again* while her shift runs.
    for _ in 0..3 {
        for queue in [Queue::Provisioning, Queue::Revocation] {
            world.queues().send(queue, vec![Message::person(ann.clone(), "duplicate"); 3]).await.unwrap();
        }
        world.queues().send(Queue::Sync, vec![Message::rota("pd".parse().unwrap(), None, "again")]).await.unwrap();
    }
    world.run_until(h(3)).await;
    assert_eq!(world.changes("ann", "prod").len(), 2, "R2: a denial is a state: {:?}", world.changes("ann", "prod"));
    assert_eq!(world.changes("bob", "prod").len(), 1, "R2: nobody else is concerned");

    world.blocks().lift(&block.id, "per_other").await.unwrap();
    world.run_until(h(3) + s(2)).await;
    assert!(world.has("ann", "prod"), "R2: once it is lifted, her shift gives it again");
    let again = world.blocks().lift(&block.id, "per_other").await;
    assert_eq!(again, Err(BlockError::NoBlock(block.id.clone())), "what was lifted cannot be lifted again");

    let evidence = world.evidence().await;
    let acts = |act: &str| evidence.iter().filter(|record| record["act"] == act).cloned().collect::<Vec<_>>();
    let (placed, lifted) = (acts("block.placed"), acts("block.lifted"));
    assert_eq!((placed.len(), lifted.len()), (1, 1), "R2: each takes a person and evidence");
    assert_eq!(placed[0]["chain"], json!(format!("person/{ann}")));
    assert_eq!((&placed[0]["actor"], &lifted[0]["actor"]), (&json!("per_admin"), &json!("per_other")));
    assert!(placed[0]["why"]["digest"].as_str().is_some_and(|digest| digest.len() == 64), "{}", placed[0]);
    assert!(evidence.iter().all(|record| !record.to_string().contains(REASON)), "R19: free text is not in a chain");
    world.run_until(m(315)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r2_a_block_ends_by_itself_and_what_it_denied_begins_then() {
    let world = company().await;
    world.run_until(h(2)).await;
    let ann = world.person("ann").await.unwrap();
    let until = Some(world.at(m(250)));
    world.blocks().place(denial(Denied::Person(ann), Reach::Revoke, until)).await.unwrap();
    world.run_until(m(249)).await;
    assert!(!world.has("ann", "prod"));
    world.run_until(m(250) + s(2)).await;
    let times: Vec<_> = world.changes("ann", "prod").into_iter().map(|(at, what)| (at.as_secs() / 60, what)).collect();
    assert_eq!(times, [(60, "added"), (120, "removed"), (250, "added")], "R2: its end is looked at to the second");
}

#[tokio::test(start_paused = true)]
async fn r2_a_freeze_keeps_new_grants_waiting_and_lets_ends_happen() {
    let shifts = [shift("ann", "1h", "4h"), shift("bob", "3h", "9h")];
    let world = Company::of(["ann", "bob"]).shifts("primary", &shifts).profile(grace(0)).start().await;
    world.run_until(h(2)).await;
    let profile = Denied::Profile("on-call".parse().unwrap());
    let block = world.blocks().place(denial(profile, Reach::Freeze, None)).await.unwrap();
    world.run_until(m(239)).await;
    assert!(world.has("ann", "prod"), "R2: a freeze ends nothing");
    assert!(!world.has("bob", "prod"), "R2: and begins nothing");
    world.run_until(m(240) + s(2)).await;
    assert!(!world.has("ann", "prod"), "R2, R12: no freeze delays an end");
    world.run_until(h(5)).await;
    world.blocks().lift(&block.id, "per_other").await.unwrap();
    world.run_until(h(5) + s(2)).await;
    assert!(world.has("bob", "prod"), "R9: lifting it has everybody looked at");
    let evidence = world.evidence().await;
    let of_profile = evidence.iter().filter(|record| record["chain"] == "profile/on-call").count();
    assert_eq!(of_profile, 2, "R18: the profile has a chain of its own");
}

#[tokio::test(start_paused = true)]
async fn r2_r9_a_block_on_an_app_or_on_everything_reaches_everybody() {
    for denied in [Denied::App("directory".parse().unwrap()), Denied::Everything] {
        // More than a page of a sweep.
        let people: Vec<String> = (0..60).map(|n| format!("p{n}")).collect();
        let shifts: Vec<_> = people.iter().map(|who| shift(who, "1m", "9h")).collect();
        let world =
            Company::of(people.iter().map(String::as_str)).shifts("primary", &shifts).profile(grace(10)).start().await;
        world.run_until(m(3)).await;
        assert_eq!(world.members("prod").len(), 60);
        let block = world.blocks().place(denial(denied.clone(), Reach::Revoke, None)).await.unwrap();
        world.run_until(m(3) + s(10)).await;
        assert_eq!(world.members("prod").len(), 0, "R9: {denied:?}");
        assert!(world.holds().await.is_empty(), "P5: all of it proven");
        world.run_until(m(10)).await;
        assert!(world.members("prod").is_empty(), "R2: and nothing begins");
        world.blocks().lift(&block.id, "per_other").await.unwrap();
        world.run_until(m(10) + s(10)).await;
        assert_eq!(world.members("prod").len(), 60, "R2: {denied:?} was lifted");
    }
}

#[tokio::test(start_paused = true)]
async fn r9_a_sweep_that_nobody_was_told_of_is_found_by_the_tick() {
    let mut world = company().await;
    world.run_until(h(2)).await;
    let blocks = world.blocks();
    world.kill().await;
    // Its message is lost with the process.
    let block = blocks.place(denial(Denied::Everything, Reach::Revoke, None)).await.unwrap();
    world.begin();
    world.run_until(m(122)).await;
    assert!(world.members("prod").is_empty(), "R9: the table is the work list");
    world.kill().await;
    blocks.lift(&block.id, "per_other").await.unwrap();
    world.begin();
    world.run_until(m(124)).await;
    assert_eq!(world.members("prod"), ["ann".to_owned(), "bob".to_owned()].into());
}

#[tokio::test(start_paused = true)]
async fn r2_a_block_without_author_reason_or_future_is_refused() {
    let world = company().await;
    world.run_until(h(2)).await;
    let good = || denial(Denied::Everything, Reach::Freeze, None);
    let past = world.at(h(2));
    let somebody = "per_01JD0000000000000000000099".parse().unwrap();
    let refused = [
        (Denial { author: " ".to_owned(), ..good() }, BlockError::NoAuthor),
        (Denial { reason: String::new(), ..good() }, BlockError::Reason),
        (Denial { reason: "x".repeat(2_001), ..good() }, BlockError::Reason),
        (Denial { until: Some(past), ..good() }, BlockError::Over(past)),
        (Denial { denied: Denied::Person(somebody), ..good() }, BlockError::Nobody),
    ];
    for (denial, error) in refused {
        assert_eq!(world.blocks().place(denial).await.unwrap_err(), error);
    }
    assert_eq!(world.blocks().lift("B0", "").await, Err(BlockError::NoAuthor));
    world.run_until(m(185)).await;
    assert_eq!(world.members("prod").len(), 3, "nothing is denied");
}

/// A company whose app says who is active, each asked again every ten minutes.
fn known_by_the_directory(people: &[&str], shifts: &[serde_json::Value]) -> Company {
    Company::of(people.iter().copied())
        .shifts("primary", shifts)
        .profile(with(profile("on-call", &["prod"], &["primary"]), |rule| rule.lease = h(2)))
        .installation(|installation| {
            installation.directory = Some("directory".to_owned());
            installation.sync.directory_every = m(10);
        })
}

fn shown(world: &World, who: &str, active: bool) {
    let account = Account { id: format!("acc-{who}").parse().unwrap(), address: format!("{who}@example.com"), active };
    world.target.others(OthersAct::Account(account));
}

const FIVE: [&str; 5] = ["ann", "bob", "cat", "dan", "eve"];

/// Five people on call of whom the directory shows three inactive after a quarter of an hour; now it is 00:40.
async fn three_of_five_inactive() -> World {
    let shifts = FIVE.map(|who| shift(who, "1m", "8h"));
    let world = known_by_the_directory(&FIVE, &shifts).start().await;
    world.run_until(m(15)).await;
    FIVE.iter().take(3).for_each(|who| shown(&world, who, false));
    world.run_until(m(40)).await;
    assert_eq!(world.members("prod").len(), 5, "R2: many at once are held, the first of them too");
    let told = world.notices(Topic::Brake);
    assert_eq!(told.len(), 1, "R2: somebody is told, once: {told:?}");
    let counted = world.events().into_iter().rev().find_map(|(_, event)| match event {
        Event::Counted(summary) => Some(summary.brakes),
        _ => None,
    });
    assert_eq!(counted, Some(1), "a brake waits, and the numbers say so");
    world
}

async fn waiting(world: &World) -> Option<(String, usize)> {
    let roll = world.store.roll("directory").await.unwrap();
    roll.group(Word::Waiting).map(|(digest, people)| (digest, people.len()))
}

#[tokio::test(start_paused = true)]
async fn r2_r7_half_a_company_inactive_at_once_is_held_until_somebody_releases_it() {
    let world = three_of_five_inactive().await;
    let (digest, people) = waiting(&world).await.expect("the brake holds them");
    assert_eq!(people, 3);
    let mut roll = world.store.roll("directory").await.unwrap();
    assert_eq!(roll.say(&digest, Word::Released), Some(3));
    let change = RollChange { directory: "directory".to_owned(), roll, evidence: Vec::new() };
    world.store.say(&change, &[], world.clock.now()).await.unwrap();
    world.run_until(m(43)).await;
    assert_eq!(world.members("prod"), ["dan".to_owned(), "eve".to_owned()].into(), "R2: a release cuts off at once");
    let roll = world.store.roll("directory").await.unwrap();
    assert!(roll.held.is_empty(), "nobody is held any more: {:?}", roll.held);

    shown(&world, "ann", true);
    shown(&world, "dan", false);
    world.run_until(m(65)).await;
    let expected = ["ann".to_owned(), "eve".to_owned()].into();
    assert_eq!(world.members("prod"), expected, "R2: whoever is back is granted again, and one leaver is cut off");
    assert_eq!(world.notices(Topic::Brake).len(), 1, "P7: what was confirmed trips nothing");
    let evidence = world.evidence().await;
    assert!(evidence.iter().any(|record| record["act"] == "brake.held" && record["chain"] == "system"));
    assert_eq!(evidence.iter().filter(|record| record["act"] == "person.held").count(), 6, "held, and let go");
}

#[tokio::test(start_paused = true)]
async fn r2_r7_what_nobody_releases_passes_at_the_end_of_a_lease_and_what_recovers_is_forgotten() {
    let world = three_of_five_inactive().await;
    shown(&world, "cat", true);
    world.run_until(m(60)).await;
    assert_eq!(waiting(&world).await.map(|(_, people)| people), Some(2), "who is active again waits no longer");
    world.run_until(m(130)).await;
    assert_eq!(world.members("prod").len(), 5, "held until a lease has passed");
    world.run_until(m(150)).await;
    let left = ["cat", "dan", "eve"].map(str::to_owned).into();
    assert_eq!(world.members("prod"), left, "R7: held removals pass at the lease's end");
    assert_eq!(waiting(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn r2_a_discarded_finding_stays_for_as_long_as_the_directory_shows_it() {
    let world = three_of_five_inactive().await;
    let mut roll = world.store.roll("directory").await.unwrap();
    let (digest, _) = waiting(&world).await.unwrap();
    roll.say(&digest, Word::Discarded).unwrap();
    let change = RollChange { directory: "directory".to_owned(), roll, evidence: Vec::new() };
    world.store.say(&change, &[], world.clock.now()).await.unwrap();
    world.run_until(m(180)).await;
    assert_eq!(world.members("prod").len(), 5, "R7: what was discarded does not pass with a lease");
}

#[tokio::test(start_paused = true)]
async fn r2_a_leaver_is_cut_off_at_once_and_gets_nothing_at_the_next_shift() {
    let shifts = [shift("ann", "1m", "30m"), shift("ann", "2h", "3h"), shift("bob", "1m", "3h")];
    let world = known_by_the_directory(&["ann", "bob"], &shifts).start().await;
    world.run_until(m(60)).await;
    shown(&world, "ann", false);
    world.run_until(m(130)).await;
    assert_eq!(world.changes("ann", "prod").len(), 2, "R2: nothing is granted, not even for a moment");
    assert!(world.has("bob", "prod") && world.notices(Topic::Brake).is_empty(), "one of two is not many");
    shown(&world, "ann", true);
    world.run_until(m(150)).await;
    assert!(world.has("ann", "prod"), "R2: back at work");
}

#[tokio::test(start_paused = true)]
async fn r2_the_directory_may_be_an_app_that_no_profile_names() {
    let account = |who: &str, active: bool| json!({ "id": format!("okta-{who}"), "address": format!("{who}@example.com"), "active": active });
    let script = json!({ "accounts": [account("ann", false), account("bob", true)] });
    let shifts = [shift("ann", "1m", "1h"), shift("bob", "1m", "1h")];
    let world = known_by_the_directory(&["ann", "bob"], &shifts)
        .installation(|installation| {
            installation.directory = Some("okta".to_owned());
            let settings = TargetSettings::Sandbox { script };
            installation.apps.push(App { id: "okta".parse().unwrap(), settings, retiring: false });
        })
        .start()
        .await;
    world.run_until(m(30)).await;
    assert_eq!(world.members("prod"), ["bob".to_owned()].into(), "R2, P8: whoever is not active there gets nothing");
    assert_eq!(world.live("ann").await.person.active, Some(false));
    assert_eq!(world.live("bob").await.person.active, Some(true));
}

#[tokio::test(start_paused = true)]
async fn r2_the_directory_may_be_a_source() {
    let shifts = ["ann", "bob"].map(|who| shift(who, "1m", "3h"));
    let mut world = known_by_the_directory(&["ann", "bob"], &shifts)
        .installation(|installation| installation.directory = Some("pd".to_owned()))
        .start()
        .await;
    world.run_until(m(12)).await;
    assert_eq!(world.members("prod").len(), 2);
    world
        .configure(|installation| {
            let PlatformSettings::Sandbox { script } = &mut installation.sources[0].settings else { return };
            script["users"][0]["active"] = json!(false);
        })
        .await;
    world.run_until(m(40)).await;
    assert_eq!(world.members("prod"), ["bob".to_owned()].into(), "R2: its users say who is active");
}
