//! Doubt about identity denies.

use dutykey_engine::ports::target::{Resolved, Target};
use dutykey_policy::identity::Doubt;
use dutykey_tests::scim::{Dialect, FakeScim, Fault, Moment, Reply, User};
use serde_json::json;

use super::{ANN, BOB, account, at, failure, scim, server};

async fn resolve(fake: &FakeScim, address: &str) -> Resolved {
    scim(fake).resolve(address).await.expect("the server answers")
}

fn is(id: &str) -> Resolved {
    Resolved::Account(account(id))
}

#[tokio::test]
async fn p8_an_address_finds_the_one_active_account_that_has_it() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| {
        let user = |name: &str, email: &str| User {
            user_name: name.to_owned(),
            emails: vec![email.to_owned(), "second@example.com".to_owned()],
            active: true,
        };
        world.users.insert("u-carl".to_owned(), user("carl", "Carl@Example.com"));
    });
    assert_eq!(resolve(&fake, "ann@example.com").await, is(ANN), "by user name");
    assert_eq!(resolve(&fake, "carl@example.com").await, is("u-carl"), "by e-mail, upper and lower case alike");
    assert_eq!(resolve(&fake, "an@example.com").await, Resolved::Doubt(Doubt::Unmatched));
    assert_eq!(resolve(&fake, "ann").await, Resolved::Doubt(Doubt::Unmatched), "a part of an address is none");
}

#[tokio::test]
async fn p8_two_matches_are_doubt_even_where_the_first_search_finds_one() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| world.users.get_mut(BOB).expect("Bob").emails.push("ann@example.com".to_owned()));
    assert_eq!(resolve(&fake, "ann@example.com").await, Resolved::Doubt(Doubt::Ambiguous));
}

#[tokio::test]
async fn p8_a_soft_deleted_account_is_no_match_and_hides_none() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| world.users.get_mut(ANN).expect("Ann").active = false);
    assert_eq!(resolve(&fake, "ann@example.com").await, Resolved::Doubt(Doubt::Inactive));
    fake.state(|world| world.add_user("u-ann-2", "ann@example.com"));
    assert_eq!(resolve(&fake, "ann@example.com").await, is("u-ann-2"), "exactly one active account has the address");
}

#[tokio::test]
async fn p8_a_server_that_ignores_filters_leads_to_no_guess() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| {
        world.ignore_filters = true;
        world.page_limit = 1;
    });
    assert_eq!(resolve(&fake, "nobody@example.com").await, Resolved::Doubt(Doubt::Unmatched));
    assert_eq!(resolve(&fake, "bob@example.com").await, is(BOB), "found on the second page, compared by ourselves");
    fake.state(|world| {
        for n in 0..20 {
            world.add_user(&format!("u-{n}"), &format!("{n}@example.com"));
        }
    });
    let error = scim(&fake).resolve("bob@example.com").await.expect_err("not all can be read");
    assert!(error.to_string().contains("ignore filters"), "{error}");
}

#[tokio::test]
async fn p8_a_search_whose_answer_is_not_whole_finds_nobody() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| world.total_results = Some(2));
    let result = scim(&fake).resolve("ann@example.com").await;
    assert_eq!(failure(result), "transient", "the server says two and gives one: the other may match too");
    let nothing = Fault::Answer(Reply::json(200, &json!({})));
    fake.fault(1, |_| true, Moment::BeforeEffect, nothing);
    let result = scim(&fake).resolve("ann@example.com").await;
    assert_eq!(failure(result), "transient", "a document that is no list is not an empty list");
}

#[tokio::test]
async fn p8_searches_that_the_server_refuses_are_replaced_by_others_or_named() {
    let (name, email, work) = ("username", "emails.value", r#"emails[type eq "work"].value"#);
    for (refused, found) in
        [(vec![email], true), (vec![name], true), (vec![name, email], true), (vec![email, work], true)]
    {
        let fake = server(Dialect::Rfc).await;
        fake.state(|world| world.refused_filters = refused.iter().map(ToString::to_string).collect());
        assert_eq!(resolve(&fake, "ann@example.com").await == is(ANN), found, "without {refused:?}");
    }
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| world.refused_filters = [name, email, work].map(str::to_owned).to_vec());
    let result = scim(&fake).resolve("ann@example.com").await;
    assert_eq!(failure(result), "permanent", "no search at all is not `unmatched`");
    let fake = server(Dialect::Aws).await;
    assert_eq!(resolve(&fake, "ann@example.com").await, is(ANN), "AWS searches by user name");
}

#[tokio::test]
async fn p8_an_address_cannot_change_the_search() {
    let fake = server(Dialect::Rfc).await;
    let hostile = r#"x" or userName eq "ann@example.com"#;
    assert_eq!(resolve(&fake, hostile).await, Resolved::Doubt(Doubt::Unmatched));
    fake.state(|world| world.add_user("u-odd", r#"o"d\d+tag@example.com"#));
    assert_eq!(resolve(&fake, r#"o"d\d+tag@example.com"#).await, is("u-odd"), "quotes, backslashes and plus signs");
}

#[tokio::test]
async fn p8_an_account_is_known_by_its_id() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| {
        world.users.get_mut(BOB).expect("Bob").active = false;
        world.users.get_mut(ANN).expect("Ann").user_name = "ann.married@example.com".to_owned();
    });
    let scim = scim(&fake);
    assert_eq!(scim.is_active(&account(ANN)).await, Ok(Some(true)), "a changed address moves nothing");
    assert_eq!(scim.is_active(&account(BOB)).await, Ok(Some(false)));
    assert_eq!(scim.is_active(&account("u-nobody")).await, Ok(None));
}

#[tokio::test]
async fn p8_whether_an_account_is_in_use_is_read_with_care() {
    for (said, active) in [
        (json!({ "id": ANN }), Some(true)),
        (json!({ "id": ANN, "active": "False" }), Some(false)),
        (json!({ "id": ANN, "active": "True" }), Some(true)),
        (json!({ "id": ANN, "active": 1 }), Some(false)),
    ] {
        let fake = server(Dialect::Rfc).await;
        fake.fault(1, |_| true, Moment::BeforeEffect, Fault::Answer(Reply::json(200, &said)));
        assert_eq!(scim(&fake).is_active(&account(ANN)).await, Ok(active), "{said}");
    }
    let fake = server(Dialect::Rfc).await;
    let other = Fault::Answer(Reply::json(200, &json!({ "id": BOB, "active": true })));
    fake.fault(1, |_| true, Moment::BeforeEffect, other);
    assert_eq!(failure(scim(&fake).is_active(&account(ANN)).await), "transient", "somebody else's answer is none");
}

#[tokio::test]
async fn p8_behind_a_wrong_base_url_nobody_is_gone() {
    let fake = server(Dialect::Rfc).await;
    let wrong = fake.base_url().replace("/scim/v2", "/scim/v1");
    assert_eq!(failure(at(&wrong).is_active(&account(ANN)).await), "permanent");
}
