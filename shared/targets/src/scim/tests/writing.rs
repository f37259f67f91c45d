//! Grants and revocations.

use dutykey_engine::ports::target::{Target, TargetError};
use dutykey_policy::hold::Held;
use dutykey_policy::wants::Shape;
use dutykey_tests::scim::{Dialect, Effect, Fault, Moment, Reply};
use serde_json::Value;

use super::{
    ANN, BOB, DIALECTS, DONE, GROUP, failure, grant, held, place, revoke, scim, server, to_grant, to_revoke, writes,
};

#[tokio::test]
async fn p4_a_grant_and_a_revocation_take_effect_once_however_often_they_are_asked() {
    for dialect in DIALECTS {
        let fake = server(dialect).await;
        let scim = scim(&fake);
        for _ in 0..2 {
            assert_eq!(grant(&scim).await, Ok(DONE), "{dialect:?}");
            assert_eq!(held(&scim, GROUP, ANN).await, Ok(Held::Direct), "{dialect:?}");
        }
        for _ in 0..2 {
            assert_eq!(revoke(&scim).await, Ok(DONE), "{dialect:?}");
            assert_eq!(held(&scim, GROUP, ANN).await, Ok(Held::No), "{dialect:?}");
        }
        assert_eq!(fake.effect(GROUP, ANN), Effect { adds: 1, removes: 1 }, "{dialect:?}");
        assert_eq!(fake.effects().len(), 1, "{dialect:?}: nobody else was touched");
        assert!(fake.state(|world| world.is_member(GROUP, BOB)), "{dialect:?}");
        let media = fake.requests().into_iter().filter(writes).map(|request| request.content_type);
        assert!(media.into_iter().all(|media| media.as_deref() == Some("application/scim+json")));
    }
}

#[tokio::test]
async fn p5_a_server_that_only_says_done_is_found_out_by_the_read() {
    let fake = server(Dialect::Rfc).await;
    let scim = scim(&fake);
    let lie = || Fault::Answer(Reply::status(204));
    fake.fault(1, writes, Moment::BeforeEffect, lie());
    assert_eq!(grant(&scim).await, Ok(DONE));
    assert_eq!(held(&scim, GROUP, ANN).await, Ok(Held::No));
    fake.state(|world| world.join(GROUP, ANN));
    fake.fault(1, writes, Moment::BeforeEffect, lie());
    assert_eq!(revoke(&scim).await, Ok(DONE));
    assert_eq!(held(&scim, GROUP, ANN).await, Ok(Held::Direct));
}

#[tokio::test]
async fn p3_aws_is_asked_to_remove_by_value_only_when_it_has_shown_that_it_is_aws() {
    let fake = server(Dialect::Aws).await;
    fake.state(|world| world.join(GROUP, ANN));
    assert_eq!(revoke(&scim(&fake)).await, Ok(DONE));
    let bodies: Vec<Value> = fake.requests().into_iter().filter(writes).filter_map(|request| request.body).collect();
    let paths: Vec<_> = bodies.iter().map(|body| &body["Operations"][0]["path"]).collect();
    assert_eq!(paths, [r#"members[value eq "u-ann"]"#, "members"]);
    assert_eq!(bodies[1]["Operations"][0]["value"], serde_json::json!([{ "value": ANN }]));
    assert_eq!(fake.requests().len(), 5, "two writes and three reads that prove the dialect");
}

#[tokio::test]
async fn p3_a_server_that_could_take_it_as_everybody_is_not_sent_the_other_removal() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| {
        world.join(GROUP, ANN);
        world.refuse_selections = true;
    });
    let error = revoke(&scim(&fake)).await.expect_err("there is no safe way");
    assert!(matches!(&error, TargetError::Permanent(text) if text.contains("everybody")), "{error}");
    assert!(fake.effects().is_empty(), "{:?}", fake.effects());
    assert_eq!(fake.requests().iter().filter(|request| request.writes()).count(), 1);
}

#[tokio::test]
async fn p3_a_refusal_because_nobody_is_there_does_not_lead_to_another_removal() {
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| world.no_target = true);
    assert_eq!(revoke(&scim(&fake)).await, Ok(DONE), "not a member is success");
    fake.state(|world| world.leave(GROUP, BOB));
    assert_eq!(revoke(&scim(&fake)).await, Ok(DONE), "in an empty group too");
    let written: Vec<_> = fake.requests().into_iter().filter(writes).filter_map(|request| request.body).collect();
    assert!(written.iter().all(|body| body["Operations"][0]["path"] != "members"), "{written:?}");
}

#[tokio::test]
async fn r14_a_deleted_group_ends_a_revocation_and_refuses_a_grant() {
    for dialect in DIALECTS {
        let fake = server(dialect).await;
        fake.state(|world| world.groups.remove(GROUP));
        let scim = scim(&fake);
        assert_eq!(revoke(&scim).await, Ok(DONE), "{dialect:?}");
        let error = grant(&scim).await.expect_err("a grant into nothing");
        assert!(
            matches!(&error, TargetError::Permanent(text) if text.contains("does not exist any more")),
            "{dialect:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_missing_account_is_told_from_a_missing_group() {
    for dialect in DIALECTS {
        let fake = server(dialect).await;
        fake.state(|world| world.users.remove(ANN));
        assert_eq!(failure(grant(&scim(&fake)).await), "account gone", "{dialect:?}");
    }
    let fake = server(Dialect::Rfc).await;
    fake.state(|world| world.users.remove(ANN));
    fake.fault(1, writes, Moment::BeforeEffect, super::answer(404));
    assert_eq!(failure(revoke(&scim(&fake)).await), "account gone");
    fake.state(|world| world.add_user(ANN, "ann@example.com"));
    fake.fault(1, writes, Moment::BeforeEffect, super::answer(404));
    assert_eq!(revoke(&scim(&fake)).await, Ok(DONE), "the member is gone, the account is not");
    fake.fault(1, writes, Moment::BeforeEffect, super::answer(404));
    assert_eq!(failure(grant(&scim(&fake)).await), "permanent", "a refusal that nothing explains stays one");
}

#[tokio::test]
async fn p5_behind_a_wrong_base_url_a_revocation_is_not_an_account_that_is_gone() {
    let fake = server(Dialect::Rfc).await;
    let scim = super::at(&fake.base_url().replace("/scim/v2", "/scim/v1"));
    assert_ne!(failure(revoke(&scim).await), "account gone");
    assert_eq!(failure(held(&scim, GROUP, ANN).await), "permanent", "and the read-back proves nothing");
    assert_eq!(failure(grant(&scim).await), "permanent");
}

#[tokio::test]
async fn a_duplicate_is_a_member() {
    let fake = server(Dialect::Rfc).await;
    let duplicate = || Fault::Answer(Reply::error(409, "uniqueness", "already there"));
    fake.fault(1, writes, Moment::BeforeEffect, duplicate());
    assert_eq!(grant(&scim(&fake)).await, Ok(DONE));
    fake.fault(1, writes, Moment::BeforeEffect, duplicate());
    assert_eq!(failure(revoke(&scim(&fake)).await), "permanent", "a removal makes no duplicate");
}

#[tokio::test]
async fn what_scim_has_not_is_refused_without_a_request() {
    let fake = server(Dialect::Rfc).await;
    let scim = scim(&fake);
    let value = Shape::Value { rank: 1, value: "admin".to_owned() };
    let mut role = place(GROUP);
    role.kind = "role".to_owned();
    let grants = [
        super::GrantOrder { shape: value.clone(), ..to_grant(GROUP, ANN) },
        super::GrantOrder { place: role.clone(), ..to_grant(GROUP, ANN) },
    ];
    for order in &grants {
        assert_eq!(failure(scim.grant(order).await), "permanent", "{order:?}");
    }
    let revokes = [
        super::RevokeOrder { shape: value, ..to_revoke(GROUP, ANN) },
        super::RevokeOrder { place: role, ..to_revoke(GROUP, ANN) },
    ];
    for order in &revokes {
        assert_eq!(failure(scim.revoke(order).await), "permanent", "{order:?}");
    }
    assert_eq!(failure(scim.poll("op").await), "permanent");
    let end = jiff::Timestamp::UNIX_EPOCH;
    assert_eq!(failure(scim.extend(&to_revoke(GROUP, ANN), end).await), "permanent");
    assert_eq!(fake.requests(), []);
}
