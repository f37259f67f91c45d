//! People: fencing, claims, links, and what a look reads.

use dutykey_engine::ports::ledger::{
    Claim, Committed, FindPeople as _, MAX_HOLDS, ReadLedger, StoreError, Text, WriteLedger,
};
use dutykey_engine::ports::rota::WriteRota;
use dutykey_engine::ports::rules::ReadDue;
use dutykey_engine::ports::summary::ReadSummary;
use dutykey_policy::evidence::{Chain, Sealed, of_write_off};
use dutykey_policy::hold::write_off::write_off;
use dutykey_policy::hold::{Hold, State};
use dutykey_policy::identity::{Account, Doubt};
use dutykey_policy::look::Due;
use dutykey_store::keys;

use crate::harness::{at, change, draft, enrollment, hold, is_changed, link, nine, notice, over, person, world};

#[tokio::test]
async fn what_is_committed_is_what_the_next_look_reads() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let before = world.live(&ann).await;
    let mut next = change(&ann, &before.head);
    let mut who = before.person.clone();
    who.accounts.insert("directory".parse().unwrap(), Account::Linked("2819c223".parse().unwrap()));
    who.active = Some(true);
    next.identity = Some(who.clone());
    next.enrollments = vec![enrollment(&ann, "on-call"), enrollment(&ann, "db#admin".replace('#', "-").as_str())];
    let mut value = hold(&ann, "prod # 100 %");
    value.receipt = Some(serde_json::json!({ "id": 7, "none": null, "list": [1, "x"] }));
    next.holds = vec![value, hold(&ann, &"long ".repeat(400))];
    next.next_end = Some(Due { at: at("2026-11-23T17:00:00Z"), cause: "end".to_owned() });
    let head = world.committed(&next).await;

    let (after, requests) = world.requests_of(world.live(&ann)).await;
    assert_eq!(requests.values().sum::<u32>(), 1, "a look is one query: {requests:?}");
    assert_eq!(after.head, head);
    assert_eq!(after.person, who);
    let mut holds = next.holds.clone();
    holds.sort_by(|a, b| a.key.cmp(&b.key));
    let mut found = after.holds.clone();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(found, holds);
    assert_eq!(after.enrollments.len(), 2);
    assert_eq!(after.unreadable, Vec::<String>::new());

    let mut last = change(&ann, &head);
    last.enrollments = next.enrollments.clone();
    for gone in &mut last.enrollments {
        gone.periods.clear();
    }
    last.holds = next.holds.iter().cloned().map(over).collect();
    world.committed(&last).await;
    let after = world.live(&ann).await;
    assert_eq!((after.enrollments.len(), after.holds.len()), (0, 0), "what is over lies outside what a look reads");
    assert!(world.raw(&keys::ended_hold(&last.holds[0])).await.is_some(), "an ended hold is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r15_of_twenty_commits_on_one_head_one_wins() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let head = world.live(&ann).await.head;
    let mut commits = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, change) = (world.store.clone(), change(&ann, &head));
        commits.spawn(async move { store.commit(&change).await });
    }
    let outcomes = commits.join_all().await;
    let won = outcomes.into_iter().filter(|outcome| !is_changed(outcome.clone())).count();
    assert_eq!(won, 1, "workers with the same decision in the same millisecond are still several: one may go on");
    assert_eq!(world.live(&ann).await.head.rev, head.rev + 1);
}

#[tokio::test]
async fn r5_an_account_belongs_to_one_person() {
    let world = world().await;
    let (ann, bob) = (world.somebody(1).await, world.somebody(2).await);
    let claim = Claim { app: "directory".parse().unwrap(), account: "2819c223".parse().unwrap(), from: None };
    let mut first = change(&ann, &world.live(&ann).await.head);
    first.claims = vec![claim.clone()];
    first.head = world.committed(&first).await;
    first.head = world.committed(&first).await;

    let before = world.live(&bob).await;
    let mut second = change(&bob, &before.head);
    let free = Claim { app: "okta".parse().unwrap(), account: "00u1".parse().unwrap(), from: None };
    second.claims = vec![claim.clone(), free];
    second.holds = vec![hold(&bob, "prod")];
    second.notices = vec![notice("bob")];
    let outcome = world.store.commit(&second).await;
    assert_eq!(outcome, Ok(Committed::Claimed(vec![claim.app.clone()])));
    assert_eq!(world.live(&bob).await, before, "nothing of it was written");
    assert_eq!(world.raw(&keys::account(&"okta".parse().unwrap(), &"00u1".parse().unwrap())).await, None);
    assert_eq!(world.store.due_notices(nine()).await, Ok(vec![]));
}

#[tokio::test]
async fn p8_an_address_finds_a_first_match_and_a_link_stays() {
    let world = world().await;
    let ann = world.somebody(1).await;
    assert_eq!(world.store.find_person("person1@example.com").await, Ok(Some(ann.clone())));

    let mut other_source = link(1, "ann");
    other_source.source = "og".parse().unwrap();
    other_source.fresh = person(9);
    assert_eq!(world.store.link_user(&other_source).await, Ok(Ok(ann.clone())), "the address is hers already");

    let mut moved = link(2, "U1");
    moved.fresh = person(8);
    assert_eq!(world.store.link_user(&moved).await, Ok(Ok(ann.clone())), "a changed address moves no link");
    assert_eq!(world.store.find_person("person2@example.com").await, Ok(None));

    let second = link(1, "U1-twice");
    assert_eq!(world.store.link_user(&second).await, Ok(Err(Doubt::Ambiguous)), "one user on a source at most");

    let live = world.live(&ann).await;
    assert_eq!(live.person.users.len(), 2);
    assert_eq!(live.head.rev, 2);
    let evidence = world.store.evidence(&dutykey_policy::evidence::Chain::Person(ann), 1, 10).await.unwrap();
    assert_eq!(evidence.len(), 2);
    for line in evidence {
        assert!(!line.line.contains('@') && !line.line.contains("Person 1"), "R19: {}", line.line);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_link_one_user_at_once_make_one_person() {
    let world = world().await;
    let mut links = tokio::task::JoinSet::new();
    for number in 0..8 {
        let mut link = link(1, "U1");
        link.fresh = person(number);
        let store = world.store.clone();
        links.spawn(async move { store.link_user(&link).await.unwrap().unwrap() });
    }
    let people = links.join_all().await;
    assert!(people.iter().all(|person| *person == people[0]), "{people:?}");
    assert_eq!(world.store.list_people(None, 50).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn r9_what_is_due_is_found_and_nothing_after_it_was_applied() {
    let world = world().await;
    let due = |at| Some(Due { at, cause: "start".to_owned() });
    let mut people = Vec::new();
    for number in 0..12_u32 {
        let id = world.somebody(number).await;
        let mut next = change(&id, &world.live(&id).await.head);
        let minute = jiff::Timestamp::from_second(nine().as_second() + 60 * i64::from(number)).unwrap();
        next.next_start = due(minute);
        next.next_end = (number % 2 == 0).then(|| due(minute)).flatten();
        people.push((world.committed(&next).await, id, minute));
    }
    let ids = |found: Vec<dutykey_engine::ports::rules::DueItem<_>>| -> Vec<_> {
        found.into_iter().map(|item| (item.what, item.at)).collect()
    };
    let expected = |from: usize, to: usize, step: usize| -> Vec<_> {
        people[from..=to].iter().step_by(step).map(|(_, id, at)| (id.clone(), *at)).collect()
    };
    let found = world.store.due_starts(None, people[5].2).await.unwrap();
    assert_eq!(ids(found), expected(0, 5, 1), "all until then, the earliest first");
    let found = world.store.due_starts(Some(people[5].2), people[7].2).await.unwrap();
    assert_eq!(ids(found), expected(6, 7, 1), "after what was sent");
    let found = world.store.due_ends(None, people[11].2).await.unwrap();
    assert_eq!(ids(found), expected(0, 10, 2), "ends have an index of their own");

    for (head, id, _) in &people {
        let mut applied = change(id, head);
        applied.next_start = None;
        applied.next_end = None;
        world.committed(&applied).await;
    }
    assert_eq!(world.store.due_starts(None, people[11].2).await, Ok(vec![]));
    assert_eq!(world.store.due_ends(None, people[11].2).await, Ok(vec![]));
}

#[tokio::test]
async fn r10_forty_holds_that_end_are_one_transaction_and_more_are_refused() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    next.holds = (0..MAX_HOLDS).map(|number| hold(&ann, &format!("group-{number}"))).collect();
    next.evidence = (0..MAX_HOLDS).map(|_| draft("hold.wanted")).collect();
    next.notices = (0..5).map(|number| notice(&format!("n{number}"))).collect();
    let head = world.committed(&next).await;
    assert_eq!(head.chain.seq, 1 + MAX_HOLDS as u64);

    let mut last = next.clone();
    last.head = head;
    last.holds = next.holds.iter().cloned().map(over).collect();
    last.notices = (5..10).map(|number| notice(&format!("n{number}"))).collect();
    world.committed(&last).await;
    assert_eq!(world.live(&ann).await.holds, vec![]);

    next.holds.push(hold(&ann, "one more"));
    assert!(matches!(world.store.commit(&next).await, Err(StoreError::Limit(_))), "a limit of the product is named");
}

#[tokio::test]
async fn r14_what_was_written_off_leaves_the_work_list_and_is_remembered_where_something_of_ours_was() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let (late, cause) = (at("2026-11-23T18:00:00Z"), "retry".to_owned());
    let ending = Hold { state: State::Ending, touched: true, ..hold(&ann, "gone") };
    let mut next = change(&ann, &world.live(&ann).await.head);
    next.holds = vec![ending.clone(), hold(&ann, "never granted")];
    next.next_end = Some(Due { at: late, cause });
    let head = world.committed(&next).await;
    let overdue = async || {
        let past = world.store.past_due(late, 10).await.unwrap();
        past.iter().filter(|hold| hold.overdue(late).is_some()).count()
    };
    assert_eq!((overdue().await, world.store.due_ends(None, late).await.unwrap().len()), (1, 1), "OVERDUE, and due");

    let by = person(2);
    let off: Vec<_> = next.holds.iter().map(|hold| write_off(hold, &by, None, late).unwrap()).collect();
    let reason = Sealed::new("the tenant is closed", [7; 32]);
    let mut last = change(&ann, &head);
    last.evidence = vec![of_write_off(&ending, &off[0], &by, &reason)];
    last.texts = vec![Text { name: "why".to_owned(), by: by.clone(), sealed: reason.clone() }];
    (last.holds, last.next_end) = (off.clone(), None);
    let stale = last.clone();
    world.committed(&last).await;
    assert!(is_changed(world.store.commit(&stale).await), "P10: nobody writes it off twice");
    let live = world.live(&ann).await;
    assert_eq!((live.holds, live.written_off), (vec![], vec![off[0].clone()]), "what was never there needs no memory");
    assert_eq!((overdue().await, world.store.due_ends(None, late).await.unwrap().len()), (0, 0));
    assert!(world.raw(&keys::ended_hold(&off[0])).await.is_some(), "it is kept as what is over is kept");
    let memory = world.raw(&keys::written_off(&ann, &off[0].key)).await.expect("it is remembered");
    assert!(memory.contains_key(keys::TTL), "for as long as what is over is kept");
    let lines = world.store.evidence(&Chain::Person(ann.clone()), 1, 10).await.unwrap();
    let line = &lines.last().unwrap().line;
    assert!(line.contains("hold.written_off") && line.contains(by.as_str()), "P9: {line}");
    assert!(line.contains(&reason.digest()) && !line.contains("tenant"), "R19: {line}");
}

#[tokio::test]
async fn the_same_cause_never_makes_two_notices() {
    use dutykey_engine::ports::rules::WritePulse;
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    next.notices = vec![notice("a"), notice("b")];
    next.head = world.committed(&next).await;
    assert_eq!(world.store.due_notices(nine()).await.unwrap().len(), 2);

    let mut late = notice("b");
    late.failures = 1;
    late.due = at("2026-11-23T09:05:00Z");
    world.store.postpone(&late).await.unwrap();
    assert_eq!(world.store.due_notices(nine()).await, Ok(vec![notice("a")]));
    world.store.delivered(&notice("a")).await.unwrap();
    assert_eq!(world.store.due_notices(late.due).await, Ok(vec![late.clone()]));

    next.notices.push(notice("c"));
    next.head = world.committed(&next).await;
    assert_eq!(world.store.due_notices(late.due).await, Ok(vec![notice("c"), late.clone()]), "a was told, b waits");
    assert!(is_changed(world.store.postpone(&notice("a")).await), "what was delivered stays delivered");
}

#[tokio::test]
async fn a_person_with_more_than_a_megabyte_of_live_items_is_read_whole() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut head = world.live(&ann).await.head;
    for round in 0..4 {
        let mut next = change(&ann, &head);
        for number in 0..10 {
            let mut big = hold(&ann, &format!("{round}-{number}"));
            big.state = State::Held;
            big.receipt = Some(serde_json::json!("x".repeat(40_000)));
            next.holds.push(big);
        }
        head = world.committed(&next).await;
    }
    let (live, requests) = world.requests_of(world.live(&ann)).await;
    assert_eq!(live.holds.len(), 40);
    assert!(requests["Query"] > 1, "the test must need more than one page: {requests:?}");
}

#[tokio::test]
async fn somebody_who_does_not_exist_is_nobody() {
    let world = world().await;
    assert_eq!(world.store.load(&person(1)).await, Ok(None));
    assert_eq!(world.store.installation_id().await, Ok(Some("table-1".to_owned())));
    world.store.create_table("table-2").await.unwrap();
    assert_eq!(world.store.installation_id().await, Ok(Some("table-1".to_owned())), "R18: the ID stays with the table");
}
