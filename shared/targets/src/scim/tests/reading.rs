//! What is read of groups, and what is not concluded from it.

use std::collections::BTreeSet;

use dutykey_engine::ports::target::{Target, TargetError};
use dutykey_policy::hold::{Held, Owner};
use dutykey_policy::id::EntitlementRef;
use dutykey_policy::wants::{Shape, Slot};
use dutykey_tests::scim::{Dialect, FakeScim, Fault, Kind, Moment, Reply, World};
use serde_json::json;

use super::{ANN, BOB, DIALECTS, GROUP, account, at, failure, held, place, scim, server};

#[tokio::test]
async fn p3_a_read_shows_who_is_a_direct_member_in_every_dialect() {
    for dialect in DIALECTS {
        let fake = server(dialect).await;
        let scim = scim(&fake);
        assert_eq!(held(&scim, GROUP, BOB).await, Ok(Held::Direct), "{dialect:?}");
        assert_eq!(held(&scim, GROUP, ANN).await, Ok(Held::No), "{dialect:?}");
        let seen = scim.observe(&account(BOB), &place(GROUP)).await.expect("an answer");
        assert_eq!((seen.owner, seen.value, seen.native_end), (Owner::Unknown, None, None));
    }
}

#[tokio::test]
async fn p3_an_empty_group_is_empty_however_the_server_says_it() {
    for omit_empty_members in [true, false] {
        for refused in [vec![], vec!["members".to_owned()]] {
            for (ignore_filters, first_comparison_only) in [(false, false), (true, false), (false, true)] {
                let fake = server(Dialect::Rfc).await;
                fake.state(|world| {
                    world.leave(GROUP, BOB);
                    world.omit_empty_members = omit_empty_members;
                    world.refused_filters.clone_from(&refused);
                    world.ignore_filters = ignore_filters;
                    world.first_comparison_only = first_comparison_only;
                });
                let how = (omit_empty_members, &refused, ignore_filters, first_comparison_only);
                assert_eq!(held(&scim(&fake), GROUP, BOB).await, Ok(Held::No), "{how:?}");
            }
        }
    }
}

#[tokio::test]
async fn r14_a_group_inside_the_group_is_not_this_account() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| {
        world.add_group("g-nested", "nested", &[ANN]);
        let group = world.groups.get_mut(GROUP).expect("the group");
        group.members.insert("g-nested".to_owned(), Kind::Group);
    });
    let scim = scim(&fake);
    assert_eq!(held(&scim, GROUP, "g-nested").await, Ok(Held::No));
    assert_eq!(held(&scim, GROUP, ANN).await, Ok(Held::No), "what comes through another group is not direct");
}

#[tokio::test]
async fn r14_a_deleted_group_holds_nobody() {
    for dialect in DIALECTS {
        let fake = server(dialect).await;
        fake.state(|world| world.groups.remove(GROUP));
        assert_eq!(held(&scim(&fake), GROUP, BOB).await, Ok(Held::No), "{dialect:?}");
    }
}

#[tokio::test]
async fn p5_behind_a_wrong_base_url_nothing_is_proven() {
    let fake = server(Dialect::Rfc).await;
    for wrong in ["/scim/v1", "/scim"] {
        let scim = at(&fake.base_url().replace("/scim/v2", wrong));
        assert_eq!(failure(held(&scim, GROUP, BOB).await), "permanent", "404 for everything says nothing of a group");
    }
    let elsewhere = Fault::Answer(Reply { body: "<html>no such page</html>".to_owned(), ..Reply::status(200) });
    fake.fault(1, |_| true, Moment::BeforeEffect, elsewhere);
    assert_eq!(failure(held(&scim(&fake), GROUP, BOB).await), "transient", "a page for people is no answer");
}

async fn names(fake: &FakeScim) -> Result<Vec<String>, TargetError> {
    let scim = scim(fake);
    let (mut names, mut cursor) = (Vec::new(), None);
    for _ in 0..1_100 {
        let page = scim.catalog(cursor.as_deref()).await?;
        names.extend(page.entitlements.into_iter().map(|entitlement| entitlement.name));
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(names),
        }
    }
    panic!("the catalog has no end: {} entries so far", names.len());
}

#[tokio::test]
async fn the_catalog_lists_every_group_once_with_its_id() {
    let index = |world: &mut World| world.strict_parameters = false;
    let strict = |world: &mut World| world.strict_parameters = true;
    let cursors = |world: &mut World| world.cursors = true;
    let aws = |world: &mut World| world.dialect = Dialect::Aws;
    let kinds: [fn(&mut World); 4] = [index, strict, cursors, aws];
    let sizes = [(0, 100), (1, 100), (100, 100), (101, 100), (250, 100), (250, 7)];
    for (kind, (groups, page_limit)) in kinds.into_iter().flat_map(|kind| sizes.map(|size| (kind, size))) {
        let fake = FakeScim::start().await;
        fake.state(|world| {
            kind(world);
            world.page_limit = page_limit;
            for n in 0..groups {
                world.add_group(&format!("g-{n}"), &format!("group {n}"), &[ANN]);
            }
        });
        let names = names(&fake).await.expect("the catalog");
        assert_eq!(names.len(), groups, "pages of {page_limit}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), groups, "pages of {page_limit}");
        assert!(fake.requests().iter().all(|request| request.query("excludedAttributes") == Some("members")));
    }
    let fake = server(Dialect::Rfc).await;
    let page = scim(&fake).catalog(None).await.expect("the catalog");
    let [only] = page.entitlements.as_slice() else { panic!("one group, not {page:?}") };
    assert_eq!((only.entitlement.to_string(), only.name.as_str()), (format!("directory/group/{GROUP}"), "prod-oncall"));
}

#[tokio::test]
async fn a_catalog_by_cursor_without_an_end_ends_and_one_whose_cursor_is_old_is_read_again() {
    let fake = server(Dialect::Aws).await;
    let page = |cursor: &str| {
        Fault::Answer(Reply::json(200, &json!({ "itemsPerPage": 0, "Resources": [], "nextCursor": cursor })))
    };
    fake.fault(1, |request| request.query("cursor") == Some("a"), Moment::BeforeEffect, page("a"));
    fake.fault(
        usize::MAX,
        |request| request.query("cursor").is_some_and(str::is_empty),
        Moment::BeforeEffect,
        page("a"),
    );
    let error = names(&fake).await.expect_err("a page that leads to itself");
    assert!(error.to_string().contains("same one again"), "{error}");
    assert_eq!(failure(scim(&fake).catalog(Some("100001 a")).await), "permanent", "more than anybody has");
    let old = Fault::Answer(Reply::error(400, "expiredCursor", "too late"));
    fake.fault(1, |request| request.query("cursor") == Some("a"), Moment::BeforeEffect, old);
    assert_eq!(failure(scim(&fake).catalog(Some("2 a")).await), "transient", "from the beginning, another time");
}

#[tokio::test]
async fn a_catalog_without_an_end_ends() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| world.total_results = Some(u64::MAX));
    assert_eq!(names(&fake).await.expect("the catalog").len(), 1, "an empty page is the end, whatever the total");
    fake.state(|world| {
        world.ignore_start_index = true;
        for n in 0..100 {
            world.add_group(&format!("g-{n:03}"), "another", &[]);
        }
    });
    let error = names(&fake).await.expect_err("the first page over and over is not a catalog");
    assert!(error.to_string().contains("earlier one again"), "{error}");
    let endless =
        json!({ "totalResults": u64::MAX, "Resources": (0..100).map(|_| json!({ "id": "g" })).collect::<Vec<_>>() });
    fake.fault(usize::MAX, |_| true, Moment::BeforeEffect, Fault::Answer(Reply::json(200, &endless)));
    let error = names(&fake).await.expect_err("more than anybody has");
    assert!(error.to_string().contains("at most 100000 groups"), "{error}");
    for wrong in ["", "0", "x", "-1", "18446744073709551616"] {
        assert_eq!(failure(scim(&fake).catalog(Some(wrong)).await), "permanent", "`{wrong}` is no cursor");
    }
}

#[tokio::test]
async fn r23_check_proves_the_token_and_names_the_tenant() {
    let fake = server(Dialect::Rfc).await;
    let (host, scim) = (fake.base_url().replace("http://", ""), scim(&fake));
    assert_eq!(scim.check().await, Ok(host.clone()));
    assert_eq!(at(&format!("{}/", fake.base_url())).check().await, Ok(host), "a slash makes no other tenant");
    fake.state(|world| world.patch_supported = false);
    let error = scim.check().await.expect_err("without PATCH");
    assert!(matches!(&error, TargetError::Permanent(text) if text.contains("PATCH")), "{error}");
    fake.fault(1, |request| request.endpoint == "ServiceProviderConfig", Moment::BeforeEffect, super::answer(404));
    assert_eq!(failure(scim.check().await), "success", "not every server has the document");
    let open = Fault::Answer(Reply::json(200, &json!({ "patch": { "supported": true } })));
    fake.fault(1, |request| request.endpoint == "ServiceProviderConfig", Moment::BeforeEffect, open);
    fake.state(|world| world.token = "another".to_owned());
    assert_eq!(failure(scim.check().await), "permanent", "a document that is open to everybody proves no token");
}

#[tokio::test]
async fn a_group_is_its_own_place() {
    let fake = server(Dialect::Rfc).await;
    let scim = scim(&fake);
    let entitlement = |kind: &str| EntitlementRef {
        app: "directory".parse().expect("an app"),
        kind: kind.to_owned(),
        id: GROUP.to_owned(),
    };
    assert_eq!(scim.slot(&entitlement("group")), Some(Slot { place: place(GROUP), shape: Shape::Member }));
    assert_eq!(scim.slot(&entitlement("role")), None);
    assert_eq!(scim.turns(&account(ANN), &place(GROUP)), []);
    let able = scim.capabilities("group");
    assert!(!able.native_end && !able.tells_owner && able.asynchronous.is_none(), "{able:?}");
}
