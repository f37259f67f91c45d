//! Rotations: generations, days, directories.

use std::time::Duration;

use dutykey_engine::ports::erasures::{ErasePeople as _, Erased};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::{Directory, KnownChange, ReadRota, RotationChange, RotationHead, WriteRota};
use dutykey_engine::ports::rules::ReadDue;
use dutykey_policy::evidence::{Chain, Sealed};
use dutykey_policy::id::RotationId;
use dutykey_policy::identity::Departed;
use dutykey_policy::look::Due;
use dutykey_policy::rota::{Cause, End, KnownShift, PlatformUser, Shift, Team};
use dutykey_policy::time::{Span, later};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::harness::{World, at, draft, is_changed, link, nine, notice, person, world};

fn rotation() -> RotationId {
    "pd:PABC123@1".parse().unwrap()
}

fn known(start: Timestamp, hours: u64, user: &str) -> KnownShift {
    let end = End::At(later(start, Duration::from_secs(hours * 3_600)));
    let user = Some(user.parse().unwrap());
    let shift = Shift { start, end, user, cause: Cause::Base, native_id: None, maker: None };
    KnownShift { shift, seen: nine(), gone: None, reached: None }
}

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(nine().as_second() + number * 86_400).unwrap()
}

fn change(head: &RotationHead, shifts: Option<Vec<KnownShift>>) -> RotationChange {
    let evidence = if shifts.is_some() { vec![draft("view.accepted")] } else { Vec::new() };
    RotationChange {
        expected: head.generation,
        head: head.clone(),
        at: nine(),
        known: shifts.map(|shifts| KnownChange { within: always(), shifts }),
        evidence,
        notices: vec![],
    }
}

fn always() -> Span {
    Span::new(at("0001-01-01T00:00:00Z"), Timestamp::MAX).unwrap()
}

async fn head(world: &World) -> RotationHead {
    world.store.heads(&[rotation()]).await.unwrap().remove(&rotation()).expect("the rotation is there")
}

async fn made(world: &World, shifts: Vec<KnownShift>) -> RotationHead {
    let new = RotationHead::new(rotation(), "Primary".to_owned());
    world.store.change_rotation(&change(&new, Some(shifts))).await.unwrap();
    head(world).await
}

#[tokio::test]
async fn an_unchanged_view_is_one_write() {
    let world = world().await;
    let mut head = made(&world, (0..14).map(|n| known(day(n), 24, "U1")).collect()).await;
    head.fresh_at = Some(at("2026-11-23T09:05:00Z"));
    let unchanged = change(&head, None);
    let (done, requests) = world.requests_of(world.store.change_rotation(&unchanged)).await;
    done.unwrap();
    assert_eq!(requests.into_iter().collect::<Vec<_>>(), vec![("UpdateItem".to_owned(), 1)]);
    head.generation += 1;
    assert_eq!(self::head(&world).await, head);
}

#[tokio::test]
async fn only_days_that_differ_are_written() {
    let world = world().await;
    let mut shifts: Vec<KnownShift> = (0..14).map(|n| known(day(n), 24, "U1")).collect();
    let head = made(&world, shifts.clone()).await;
    let days = |items: Vec<crate::harness::Item>| -> Vec<_> {
        let mut days: Vec<_> =
            items.into_iter().filter(|item| item["sk"].as_s().unwrap().starts_with("DAY#")).collect();
        days.sort_by_key(|item| item["sk"].as_s().unwrap().clone());
        days
    };
    let mut before = days(world.everything().await);
    assert_eq!(before.len(), 14);
    // Whoever writes a day over also writes away this mark.
    for item in &mut before {
        let key = keys_of(item);
        world.set_raw(&key, "ttl", aws_sdk_dynamodb::types::AttributeValue::N("1".to_owned())).await;
    }
    shifts[3] = known(day(3), 24, "U2");
    shifts.remove(7);
    shifts.push(known(day(20), 1, "U3"));
    world.store.change_rotation(&change(&head, Some(shifts.clone()))).await.unwrap();
    let after = days(world.everything().await);
    let written: Vec<&str> =
        after.iter().filter(|i| i["ttl"].as_n().unwrap() != "1").map(|i| i["sk"].as_s().unwrap().as_str()).collect();
    assert_eq!(written, ["DAY#2026-11-26", "DAY#2026-12-13"]);
    assert_eq!(after.len(), 14, "the day without shifts is gone");
    assert_eq!(world.store.known(&rotation(), always()).await.unwrap(), shifts);
}

fn keys_of(item: &crate::harness::Item) -> dutykey_store::keys::Key {
    let part = |name: &str| item[name].as_s().unwrap().clone();
    dutykey_store::keys::Key { pk: part("pk"), sk: part("sk") }
}

#[tokio::test]
async fn r15_an_older_view_never_overwrites_a_newer() {
    let world = world().await;
    let old = made(&world, vec![known(day(0), 8, "U1")]).await;
    let newer = vec![known(day(0), 8, "U2")];
    world.store.change_rotation(&change(&old, Some(newer.clone()))).await.unwrap();
    let current = head(&world).await;
    let late = change(&old, Some(vec![known(day(0), 8, "U1"), known(day(1), 8, "U1")]));
    assert!(is_changed(world.store.change_rotation(&late).await));
    let never_read = RotationHead::new(rotation(), "Primary".to_owned());
    assert!(is_changed(world.store.change_rotation(&change(&never_read, None)).await));
    assert_eq!(head(&world).await, current);
    assert_eq!(world.store.known(&rotation(), always()).await.unwrap(), newer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r15_of_twenty_views_of_one_generation_one_wins() {
    let world = world().await;
    let head = made(&world, vec![known(day(0), 8, "U1")]).await;
    let mut views = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (store, change) = (world.store.clone(), change(&head, Some(vec![known(day(number), 8, "U1")])));
        views.spawn(async move { !is_changed(store.change_rotation(&change).await) });
    }
    let won = views.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
    assert_eq!(world.store.known(&rotation(), always()).await.unwrap().len(), 1, "no day of a loser is there");
}

#[tokio::test]
async fn a_view_of_more_days_than_a_transaction_takes_is_accepted_with_evidence_of_each_part() {
    let world = world().await;
    let shifts: Vec<KnownShift> = (-100..250).map(|n| known(day(n), 24, "U1")).collect();
    let head = made(&world, shifts.clone()).await;
    assert_eq!(head.generation, 1);
    assert_eq!(world.store.known(&rotation(), always()).await.unwrap(), shifts);
    let lines = world.store.evidence(&Chain::Rotation(rotation()), 1, 50).await.unwrap();
    assert_eq!(lines.len() as u64, head.chain.seq);
    let dates = lines.iter().map(|line| line.line.matches("\"202").count()).sum::<usize>();
    assert!(lines.len() > 1 && dates > 250, "each part names its days");
    let shorter: Vec<KnownShift> = shifts[..10].to_vec();
    world.store.change_rotation(&change(&head, Some(shorter.clone()))).await.unwrap();
    assert_eq!(world.store.known(&rotation(), always()).await.unwrap(), shorter);
    assert_eq!(self::head(&world).await.generation, 2);
}

#[tokio::test]
async fn known_shifts_touch_the_interval_however_long_ago_they_began() {
    let world = world().await;
    let mut open = known(day(-30), 1, "U1");
    open.shift.end = End::Open;
    let mut gone = known(day(0), 8, "U4");
    gone.gone = Some(nine());
    let shifts =
        vec![open.clone(), known(day(-5), 8 * 24, "U2"), known(day(-2), 8, "U3"), gone.clone(), known(day(9), 8, "U5")];
    made(&world, shifts.clone()).await;
    let span = Span::new(nine(), day(2)).unwrap();
    let found = world.store.known(&rotation(), span).await.unwrap();
    assert_eq!(found, vec![open, shifts[1].clone(), gone], "those that are gone included");
}

#[tokio::test]
async fn r8_r19_why_a_lease_was_prolonged_comes_with_it_and_is_erased_with_its_author() {
    let world = world().await;
    let author = world.somebody(1).await;
    let before = made(&world, vec![known(day(0), 8, "U1")]).await;
    let why = Sealed::new("the platform is down", [7; 32]);
    let until = Some(at("2026-11-23T20:00:00Z"));
    let longer = RotationHead { prolonged_until: until, prolonged_why: Some(why.digest()), ..before.clone() };
    let prolonging = RotationChange { evidence: vec![draft("rotation.prolonged")], ..change(&longer, None) };
    world.store.change_rotation_because(&prolonging, &why, Some(&author)).await.unwrap();
    let again = world.store.change_rotation_because(&prolonging, &why, Some(&author)).await;
    assert!(is_changed(again), "R8: on the head that was read");
    let after = [head(&world).await];
    assert_eq!((after[0].prolonged_until, after[0].chain.seq), (until, before.chain.seq + 1), "R8: with its evidence");
    let text = async || world.store.prolonged_why(&after).await.unwrap().remove(&rotation());
    assert_eq!(text().await.as_deref(), Some("the platform is down"));
    let erased = world.store.erase(&world.live(&author).await, &person(2), nine()).await.unwrap();
    assert_eq!((erased, text().await), (Erased::Whole, None), "R19: the rotation's chain has its digest only");
    let fresh = RotationHead { prolonged_until: None, prolonged_why: None, ..after[0].clone() };
    world.store.change_rotation(&change(&fresh, None)).await.unwrap();
    assert_eq!(head(&world).await.prolonged_until, None, "a fresh view ends it");
}

#[tokio::test]
async fn too_many_shifts_on_one_day_are_refused_by_name() {
    let world = world().await;
    let new = RotationHead::new(rotation(), "Primary".to_owned());
    let many: Vec<KnownShift> = (0..1_001).map(|n| known(nine(), 1, &format!("U{n}"))).collect();
    let outcome = world.store.change_rotation(&change(&new, Some(many))).await;
    assert!(matches!(&outcome, Err(StoreError::Limit(text)) if text.contains("2026-11-23")), "{outcome:?}");
}

#[tokio::test]
async fn rotations_are_listed_by_source_and_found_when_due() {
    let world = world().await;
    for source in ["pd", "og"] {
        for number in 0..3_u32 {
            let id: RotationId = format!("{source}:R#{number}").parse().unwrap();
            let mut head = RotationHead::new(id, format!("{number}"));
            head.due = Some(Due { at: day(i64::from(number)), cause: "lease".to_owned() });
            let mut new = change(&head, None);
            new.notices = vec![notice(&format!("gap/{source}/{number}"))];
            world.store.change_rotation(&new).await.unwrap();
        }
    }
    let of: Vec<String> =
        world.store.rotations(&"og".parse().unwrap()).await.unwrap().iter().map(|h| h.id.to_string()).collect();
    assert_eq!(of, ["og:R#0", "og:R#1", "og:R#2"]);
    let due = world.store.due_rotations(day(1)).await.unwrap();
    assert_eq!(
        due.iter().map(|due| due.what.to_string()).collect::<Vec<_>>(),
        ["og:R#0", "pd:R#0", "og:R#1", "pd:R#1"]
    );
    assert_eq!(world.store.due_notices(nine()).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_directory_of_any_size_is_kept_and_an_unchanged_one_is_one_write() {
    let world = world().await;
    let pd = "pd".parse().unwrap();
    assert_eq!(world.store.directory(&pd).await, Ok(Directory::default()));
    let user = |n: u32| PlatformUser {
        id: format!("U{n}").parse().unwrap(),
        email: Some(format!("person{n}@example.com")),
        name: Some(format!("Pérson {n}")),
        active: None,
    };
    let mut directory = Directory {
        read_at: Some(nine()),
        users: (0..20_000).map(user).collect(),
        teams: vec![Team { id: "T1".to_owned(), name: "Ops".to_owned(), members: vec![("U1".parse().unwrap(), None)] }],
        departed: Vec::new(),
    };
    world.store.keep_directory(&pd, &directory).await.unwrap();
    assert_eq!(world.store.directory(&pd).await.as_ref(), Ok(&directory));
    directory.read_at = Some(day(1));
    let (done, requests) = world.requests_of(world.store.keep_directory(&pd, &directory)).await;
    done.unwrap();
    assert_eq!(requests.into_iter().collect::<Vec<_>>(), [("GetItem".to_owned(), 1), ("UpdateItem".to_owned(), 1)]);
    let gone = directory.users.drain(2..).next_back().unwrap();
    directory.departed = vec![Departed { user: gone, since: day(1) }];
    world.store.keep_directory(&pd, &directory).await.unwrap();
    assert_eq!(world.store.directory(&pd).await.as_ref(), Ok(&directory));
    let parts = world.everything().await.iter().filter(|i| i["sk"].as_s().unwrap().starts_with("DOCUMENT#")).count();
    assert_eq!(parts, 1, "the parts of the old one are gone");
}

#[tokio::test]
async fn linked_users_are_found_by_the_hundred() {
    let world = world().await;
    let pd = "pd".parse().unwrap();
    for number in 0..120 {
        world.store.link_user(&link(number, &format!("U#{number}"))).await.unwrap().unwrap();
    }
    let users: Vec<_> = (0..150).map(|n| format!("U#{n}").parse().unwrap()).collect();
    let people = world.store.people(&pd, &users).await.unwrap();
    assert_eq!(people.len(), 120);
    assert_eq!(people[&users[7]], crate::harness::person(7));
}

fn any_shift() -> impl Strategy<Value = KnownShift> {
    let users =
        prop_oneof![Just(None), "[a-zé#%@ ]{1,6}".prop_filter_map("an ID", |user| Some(Some(user.parse().ok()?)))];
    let ends = prop_oneof![Just(None), (1..400_000_000_i64).prop_map(Some)];
    let start = -2_000_000_000_i64..2_000_000_000;
    (start, ends, users, 0..3_u8, proptest::option::of(0..1_000_i64)).prop_map(|(start, length, user, cause, gone)| {
        let start = Timestamp::from_millisecond(nine().as_millisecond() + start).unwrap();
        let end = length.map_or(End::Open, |length| End::At(later(start, Duration::from_millis(length as u64))));
        let cause = [Cause::Base, Cause::Override, Cause::Unknown][usize::from(cause)];
        let native_id = gone.map(|gone| format!("native {gone}"));
        let shift = Shift { start, end, user, cause, native_id, maker: None };
        KnownShift { shift, seen: nine(), gone: gone.map(day), reached: None }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_known_is_what_is_read_back(views in proptest::collection::vec(proptest::collection::vec(any_shift(), 0..20), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            let mut head = RotationHead::new(rotation(), "Primary".to_owned());
            for view in views {
                world.store.change_rotation(&change(&head, Some(view.clone()))).await.unwrap();
                head = self::head(&world).await;
                let mut expected = view;
                expected.sort_by(|a, b| (&a.shift, a.seen, a.gone).cmp(&(&b.shift, b.seen, b.gone)));
                assert_eq!(world.store.known(&rotation(), always()).await.unwrap(), expected);
            }
        });
    }
}
