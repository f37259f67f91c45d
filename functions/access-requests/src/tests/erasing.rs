//! Administrators erase people (R19).

use dutykey_engine::ports::ledger::{Claim, FindPeople as _, Text};
use dutykey_engine::ports::rota::Directory;
use dutykey_policy::evidence::{Chain, Sealed, Verifier};
use dutykey_policy::identity::Account;
use dutykey_policy::rota::PlatformUser;
use dutykey_store::Range;
use serde_json::json;

use super::*;

const DAN: (&str, &str) = ("dan", "admins");
/// What is said by Zoe or of her.
const TEXTS: [&str; 3] = ["the disk of zoe is full", "a stolen laptop", "zoe says yes"];

fn kind((_, problem): &(u16, Value)) -> &str {
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.strip_prefix("urn:dutykey:problem:").unwrap_or(kind)
}

impl World {
    /// Zoe, whose shift and access are over, with an account, a call to the API, a text of hers, one about her, and one
    /// that she wrote of Ann.
    async fn zoe(&self, ann: &PersonId) -> PersonId {
        let zoe = self.person(20, "zoe", (6, 10), State::Ended(Outcome::Proven)).await;
        let (app, account) = ("toys".parse().unwrap(), "acc-zoe".parse().unwrap());
        let live = self.store.load(&zoe).await.unwrap().unwrap();
        let mut person = live.person.clone();
        person.accounts.insert(app, Account::Linked(account));
        let (app, account) = ("toys".parse().unwrap(), "acc-zoe".parse().unwrap());
        let claims = vec![Claim { app, account, from: None }];
        let change = PersonChange { identity: Some(person), claims, ..PersonChange::nothing(&live, at(3)) };
        self.store.commit(&change).await.unwrap();
        assert_eq!(self.call(("zoe", ""), "GET", "/v1/me", Value::Null).await.0, 200);
        for (of, name, text) in [(&zoe, "request/r/justification/0", TEXTS[0]), (ann, "request/s/comment/0", TEXTS[2])]
        {
            let live = self.store.load(of).await.unwrap().unwrap();
            let texts = vec![Text { name: name.to_owned(), by: zoe.clone(), sealed: Sealed::new(text, [7; 32]) }];
            self.store.commit(&PersonChange { texts, ..PersonChange::nothing(&live, at(3)) }).await.unwrap();
        }
        let id = zoe.as_str();
        let denial = json!({ "denies": "person", "id": id, "reach": "revoke", "reason": TEXTS[1], "confirm": id });
        let (status, block) = self.call(DAN, "POST", "/v1/blocks", denial).await;
        assert_eq!(status, 201, "{block}");
        let path = format!("/v1/blocks/{}", block["id"].as_str().unwrap());
        assert_eq!(kind(&self.erase(DAN, &zoe).await), "blocked-still", "R2: what is denied is not lost with a name");
        assert_eq!(self.call(DAN, "DELETE", &path, Value::Null).await.0, 204);
        zoe
    }

    async fn erase(&self, who: (&str, &str), person: &PersonId) -> (u16, Value) {
        self.call(who, "POST", &format!("/v1/people/{person}/erase"), json!({ "confirm": person })).await
    }

    /// Every answer about somebody, and all evidence.
    async fn shown(&self, person: &PersonId) -> String {
        let mut shown = String::new();
        for path in
            ["/v1/people".to_owned(), format!("/v1/people/{person}"), "/v1/who?at=2026-11-23T08:00:00Z".to_owned()]
        {
            shown += &self.get(&path).await.to_string();
        }
        shown + &self.export().await
    }

    async fn export(&self) -> String {
        let mut out = Vec::new();
        self.store.export(None, Range::default(), &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn r19_an_export_after_an_erasure_verifies_and_says_that_somebody_was_erased_and_not_who() {
    let world = world().await;
    let ann = world.person(10, "ann", (10, 14), State::Held).await;
    let zoe = world.zoe(&ann).await;
    assert!(world.shown(&zoe).await.contains("zoe@example.com"), "before, she is there");
    let (status, erased) = world.erase(DAN, &zoe).await;
    let expected = json!({ "id": zoe, "email": null, "erased": "2026-11-23T12:00:00.000Z" });
    assert_eq!((status, &erased), (200, &expected), "{erased}");

    let shown = world.shown(&zoe).await.replace("acc-zoe", "");
    for gone in ["zoe"].iter().chain(&TEXTS) {
        assert!(!shown.contains(gone), "R19: `{gone}` is in {shown}");
    }
    let full = world.get(&format!("/v1/people/{zoe}")).await;
    assert_eq!((&full["person"], &full["users"], &full["accounts"]), (&expected, &json!({}), &json!([])), "{full}");
    let names =
        [(zoe.clone(), "request/r/justification/0".to_owned()), (ann.clone(), "request/s/comment/0".to_owned())];
    assert!(world.store.texts(&names).await.unwrap().is_empty(), "R19: her texts are gone, wherever they lay");
    assert_eq!(world.store.find_person("zoe@example.com").await.unwrap(), None);

    let export = world.export().await;
    let mut verifier = Verifier::default();
    export.lines().try_for_each(|line| verifier.line(line)).unwrap();
    verifier.finish().expect("P9: every chain is whole");
    let records = world.store.evidence(&Chain::Person(zoe.clone()), 1, 50).await.unwrap();
    let last: Value = serde_json::from_str(&records.last().unwrap().line).unwrap();
    assert_eq!((&last["act"], &last["at"]), (&"person.erased".into(), &expected["erased"]), "it says when: {last}");

    assert_eq!(world.erase(DAN, &zoe).await, (200, expected), "P10: the same again changes nothing");
    assert_eq!(world.store.evidence(&Chain::Person(zoe.clone()), 1, 50).await.unwrap().len(), records.len());
    let (_, me) = world.call(("zoe", ""), "GET", "/v1/me", Value::Null).await;
    assert_eq!(me["person"]["email"], "zoe@example.com");
    assert_ne!(me["person"]["id"], zoe.as_str(), "R19: whoever is met again is a new person");
}

#[tokio::test(start_paused = true)]
async fn r19_who_erases_is_told_what_comes_first() {
    let world = world().await;
    let ann = world.person(10, "ann", (10, 14), State::Held).await;
    let bob = world.person(11, "bob", (13, 14), State::Wanted).await;
    let cat = world.person(12, "cat", (6, 10), State::Ended(Outcome::Proven)).await;
    assert_eq!(kind(&world.erase(("bob", "audit"), &cat).await), "forbidden");
    assert_eq!(kind(&world.erase(("cat", "admins"), &cat).await), "own-erasure");
    assert_eq!(kind(&world.erase(DAN, &ann).await), "holds-still");
    assert_eq!(kind(&world.erase(DAN, &bob).await), "enrolled-still");
    let path = format!("/v1/people/{cat}/erase");
    assert_eq!(kind(&world.call(DAN, "POST", &path, json!({ "confirm": "cat" })).await), "unconfirmed");
    let nobody: PersonId = "per_01JD0000000000000000000099".parse().unwrap();
    assert_eq!(world.erase(DAN, &nobody).await.0, 404);
    let keep = async |hour: u8, users: Vec<PlatformUser>| {
        let directory = Directory { read_at: Some(at(hour)), users, ..Directory::default() };
        world.store.keep_directory(&"rota".parse().unwrap(), &directory).await.unwrap();
    };
    keep(11, vec![PlatformUser { id: "cat".parse().unwrap(), email: None, name: None, active: None }]).await;
    assert_eq!(kind(&world.erase(DAN, &cat).await), "listed-still");
    keep(12, Vec::new()).await;
    assert_eq!(world.erase(DAN, &cat).await.0, 200);
    let denial = json!({ "denies": "person", "id": cat, "reach": "revoke", "reason": "too late", "confirm": cat });
    assert_eq!(world.call(DAN, "POST", "/v1/blocks", denial).await.0, 422, "nobody is there to be denied anything");
}
