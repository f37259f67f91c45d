//! Erasing people.

use std::collections::BTreeSet;

use dutykey_engine::ports::blocks::WriteBlocks as _;
use dutykey_engine::ports::callers::{CallerLink, Callers as _, Subject};
use dutykey_engine::ports::erasures::{ErasePeople as _, Erased};
use dutykey_engine::ports::ledger::{Claim, FindPeople as _, Made, Text, WriteLedger as _};
use dutykey_engine::ports::rota::{ReadRota as _, UserLink, WriteRota as _};
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::block::{Block, Denied, Reach};
use dutykey_policy::evidence::{Chain, Sealed, Verifier};
use dutykey_policy::id::{AccountId, AppId, PersonId};
use dutykey_policy::identity::Account;
use dutykey_store::{Range, keys};

use crate::harness::{World, at, change, is_changed, link, nine, person, world};

/// More of Ann's texts than go in one transaction.
const MANY: usize = 150;

fn text(by: &PersonId, name: &str) -> Text {
    Text { name: name.to_owned(), by: by.clone(), sealed: Sealed::new("ann's own words", [7; 32]) }
}

fn caller() -> Subject {
    Subject { issuer: "https://id.example.com".to_owned(), id: "person1@example.com".to_owned() }
}

fn account() -> (AppId, AccountId) {
    ("directory".parse().unwrap(), "acc-person1".parse().unwrap())
}

impl World {
    async fn texts(&self, of: &PersonId, texts: Vec<Text>) {
        let mut next = change(of, &self.live(of).await.head);
        (next.texts, next.evidence) = (texts, Vec::new());
        self.committed(&next).await;
    }

    /// Ann, whom a source, an app and an issuer know, with many texts of hers, one of hers that lies with Bob, and a block
    /// on everything that she has reasoned.
    async fn ann_and_bob(&self) -> (PersonId, PersonId) {
        let (ann, bob) = (self.somebody(1).await, self.somebody(2).await);
        let link =
            CallerLink { subject: caller(), address: "person1@example.com".to_owned(), fresh: person(9), at: nine() };
        assert_eq!(self.store.link_caller(&link).await.unwrap(), Ok(ann.clone()));
        let live = self.live(&ann).await;
        let mut next = change(&ann, &live.head);
        let (app, account) = account();
        let mut identity = live.person.clone();
        identity.accounts.insert(app.clone(), Account::Linked(account.clone()));
        (next.identity, next.claims) = (Some(identity), vec![Claim { app, account, from: None }]);
        let (name, of) = ("person1".to_owned(), "ann's own words, in a digest".to_owned());
        let request = "req_01JD0000000000000000000001".parse().unwrap();
        next.made = Some(Made { name, of, request, at: nine() });
        self.committed(&next).await;
        for some in (0..MANY).collect::<Vec<_>>().chunks(50) {
            let texts = some.iter().map(|number| text(&ann, &format!("request/{number}/justification/0")));
            self.texts(&ann, texts.collect()).await;
        }
        self.texts(&bob, vec![text(&ann, "request/b/comment/0"), text(&bob, "request/b/justification/0")]).await;
        let block = Block {
            id: "B1".to_owned(),
            denied: Denied::Everything,
            reach: Reach::Freeze,
            author: ann.to_string(),
            from: nine(),
            until: None,
        };
        self.store.place(&block, &text(&ann, "").sealed, nine()).await.unwrap().expect("it concerns everybody");
        (ann, bob)
    }

    /// The next step for somebody as they are now.
    async fn step(&self, id: &PersonId, by: &PersonId) -> Erased {
        self.store.erase(&self.live(id).await, by, at("2026-11-23T12:00:00Z")).await.unwrap()
    }

    /// Everything that names or quotes Ann, by its keys.
    async fn of_ann(&self) -> BTreeSet<String> {
        let says = |item: &crate::harness::Item| {
            let said = format!("{item:?}");
            ["person1", "Person 1\"", "U1\"", "ann's own words"].iter().any(|part| said.contains(part))
        };
        let items = self.everything().await.into_iter().filter(says);
        items.map(|item| format!("{} {}", item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap())).collect()
    }
}

#[tokio::test]
async fn r19_nothing_is_left_of_who_somebody_was_and_every_chain_verifies() {
    let world = world().await;
    let (ann, bob) = world.ann_and_bob().await;
    assert!(world.of_ann().await.len() > MANY, "the test sees what is to be erased");
    let mut steps = vec![world.step(&ann, &bob).await];
    while steps.last() != Some(&Erased::Whole) {
        steps.push(world.step(&ann, &bob).await);
    }
    assert_eq!(steps, [Erased::InPart, Erased::Whole], "P10: in as many steps as it takes");

    let left = world.of_ann().await;
    assert_eq!(
        left,
        BTreeSet::from(["PERSON#".to_owned() + bob.as_str() + " TEXT#request/b/justification/0"]),
        "his own stays"
    );
    assert!(world.raw(&keys::subject(&caller())).await.is_none(), "a hash of an address is found by trying addresses");
    assert!(world.raw(&keys::account(&account().0, &account().1)).await.is_none());
    assert!(world.store.people(&"pd".parse().unwrap(), &["U1".parse().unwrap()]).await.unwrap().is_empty());
    let listed = world.store.list_people(None, 50).await.unwrap().items;
    let erased: Vec<_> = listed.iter().filter(|one| one.person.erased.is_some()).map(|one| &one.person.id).collect();
    assert_eq!(erased, [&ann], "the list says so");
    let block = world.store.blocks().await.unwrap().pop().expect("what she denied is denied");
    assert_eq!(world.store.block_reason(&block).await.unwrap(), None);

    let mut out = Vec::new();
    world.store.export(None, Range::default(), &mut out).await.unwrap();
    let mut verifier = Verifier::default();
    String::from_utf8(out).unwrap().lines().try_for_each(|line| verifier.line(line)).unwrap();
    verifier.finish().expect("P9: nothing of a chain is gone");
    let records = world.store.evidence(&Chain::Person(ann.clone()), 1, 50).await.unwrap();
    let acts = |act: &str| records.iter().filter(|record| record.line.contains(&format!("\"act\":\"{act}\""))).count();
    assert_eq!((acts("person.erasing"), acts("person.erased")), (1, 1), "P9: each step is on record");

    assert_eq!(world.step(&ann, &bob).await, Erased::Whole, "P10: the same again");
    assert_eq!(world.store.evidence(&Chain::Person(ann.clone()), 1, 50).await.unwrap(), records, "changes nothing");
    assert!(is_changed(world.store.link_user(&link(1, "U1")).await), "an ID is never given to somebody else");
    let fresh = UserLink { fresh: person(11), ..link(1, "U1") };
    assert_eq!(world.store.link_user(&fresh).await.unwrap(), Ok(person(11)));
}

#[tokio::test]
async fn p10_who_is_interrupted_goes_on_and_who_decided_before_loses() {
    let world = world().await;
    let (ann, bob) = world.ann_and_bob().await;
    let before = world.live(&ann).await;
    let stale = change(&ann, &before.head);
    assert_eq!(world.step(&ann, &bob).await, Erased::InPart);
    assert_eq!(world.live(&ann).await.person, before.person, "until all texts are gone nobody counts as erased");
    assert!(is_changed(world.store.commit(&stale).await), "what was decided before an erasure is decided again");
    assert!(is_changed(world.store.erase(&before, &bob, nine()).await), "and so is the erasure itself");
    // Somebody writes something between the steps.
    world.texts(&ann, vec![text(&ann, "request/late/justification/0")]).await;
    while world.step(&ann, &bob).await != Erased::Whole {}
    assert!(world.live(&ann).await.person.erased.is_some());
    // What lay on its way meanwhile is gone with the same again.
    world.texts(&bob, vec![text(&ann, "request/b/comment/1")]).await;
    while world.step(&ann, &bob).await != Erased::Whole {}
    assert_eq!(world.of_ann().await.len(), 1, "only what Bob said himself is left");
    let denied = Block {
        id: "B2".to_owned(),
        denied: Denied::Person(ann.clone()),
        reach: Reach::Revoke,
        author: bob.to_string(),
        from: nine(),
        until: None,
    };
    let placed = world.store.place(&denied, &text(&bob, "").sealed, nine()).await.unwrap();
    assert_eq!(placed, None, "nobody is there to be denied anything");
    assert_eq!(world.store.find_person("person1@example.com").await.unwrap(), None);
}
