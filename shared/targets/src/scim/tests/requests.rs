//! What is sent, whatever the IDs: one member is all that a request can concern.

use dutykey_engine::ports::target::Target;
use dutykey_policy::hold::Held;
use dutykey_tests::scim::{Dialect, Request};
use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use super::super::wire::Change;
use super::{ANN, BOB, DIALECTS, GROUP, account, failure, held, scim, server, to_grant, to_revoke};

/// What a body may be: one operation on one member. Written apart from the adapter, by what RFC 7644 §3.5.2 says.
fn concerns_only(body: &Value, member: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{why}: {body}"));
    let Some([operation]) = body["Operations"].as_array().map(Vec::as_slice) else {
        return wrong("not exactly one operation");
    };
    let one = json!([{ "value": member }]);
    match (operation["op"].as_str(), operation["path"].as_str(), operation.get("value")) {
        (Some("add" | "remove"), Some("members"), Some(value)) if *value == one => Ok(()),
        (Some("remove"), Some(path), None) => {
            let inner = path.strip_prefix("members[value eq ").and_then(|rest| rest.strip_suffix(']'));
            match inner.map(serde_json::from_str::<String>) {
                Some(Ok(selected)) if selected == member => Ok(()),
                _ => wrong("the path selects something else"),
            }
        }
        _ => wrong("an operation that may concern others"),
    }
}

proptest! {
    #[test]
    fn p3_no_body_concerns_more_than_its_one_member(member in any::<String>()) {
        for change in [Change::Add, Change::Remove, Change::RemoveListed] {
            let body: Value = serde_json::from_str(&change.of(&member).to_string()).expect("a JSON document");
            assert_eq!(concerns_only(&body, &member), Ok(()), "{change:?}");
        }
    }
}

/// IDs that mean something where they are put: in filters, in paths, in URLs.
const HOSTILE: [&str; 12] = [
    r#"u"] or members[value eq "u-bob"#,
    r#"x" or value pr or value eq ""#,
    r#"\"#,
    r#"\" or value pr"#,
    "members",
    "*",
    "a/b/../../Groups",
    "?x=1&filter=y",
    "#fragment",
    "%2e%2e%2F",
    "plus+and space",
    "ünïcode 人",
];

#[tokio::test]
async fn p3_an_id_with_a_meaning_changes_nothing_but_its_own_membership() {
    for dialect in DIALECTS {
        let fake = server(dialect).await;
        let scim = scim(&fake);
        for (n, id) in HOSTILE.into_iter().enumerate() {
            let group = format!("{id}{n}");
            fake.state(|world| {
                world.add_user(id, &format!("{n}@example.com"));
                world.add_group(&group, "hostile", &[BOB, ANN]);
            });
            let context = format!("{dialect:?} `{id}`");
            assert_eq!(held(&scim, &group, id).await, Ok(Held::No), "{context}");
            assert_eq!(failure(scim.grant(&to_grant(&group, id)).await), "success", "{context}");
            assert_eq!(held(&scim, &group, id).await, Ok(Held::Direct), "{context}");
            assert_eq!(scim.is_active(&account(id)).await, Ok(Some(true)), "{context}");
            assert_eq!(failure(scim.revoke(&to_revoke(&group, id)).await), "success", "{context}");
            assert_eq!(held(&scim, &group, id).await, Ok(Held::No), "{context}");
            let others = fake.state(|world| world.is_member(&group, ANN) && world.is_member(&group, BOB));
            assert!(others, "{context}: the others are still there");
            let written = fake.requests().into_iter().filter(Request::writes).filter(|r| r.id.as_ref() == Some(&group));
            for body in written.map(|request| request.body.unwrap_or_default()) {
                assert_eq!(concerns_only(&body, id), Ok(()), "{context}");
            }
        }
        assert!(fake.effects().iter().all(|(_, effect)| (effect.adds, effect.removes) == (1, 1)), "{dialect:?}");
    }
}

#[tokio::test]
async fn p3_an_id_that_a_url_would_swallow_is_refused_without_a_request() {
    let fake = server(Dialect::Rfc).await;
    let scim = scim(&fake);
    for group in ["", ".", "..", "g\t1", "g-1\n"] {
        assert_eq!(failure(scim.revoke(&to_revoke(group, ANN)).await), "permanent", "`{group}`");
        assert_eq!(failure(scim.grant(&to_grant(group, ANN)).await), "permanent", "`{group}`");
        assert_eq!(failure(held(&scim, group, ANN).await), "permanent", "`{group}`");
    }
    assert_eq!(fake.requests(), []);
    assert!(fake.state(|world| world.is_member(GROUP, BOB)));
}
