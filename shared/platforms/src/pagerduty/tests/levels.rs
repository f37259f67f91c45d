use super::*;
use dutykey_tests::pagerduty::Fault;
use serde_json::json;

fn eve() -> Shift {
    Shift {
        start: Timestamp::UNIX_EPOCH,
        end: End::Open,
        user: Some("PEVE".parse().unwrap()),
        cause: Cause::Direct,
        native_id: None,
        maker: None,
    }
}

#[tokio::test]
async fn a_level_is_its_schedules_and_whom_it_names() {
    let fake = acme().await;
    let pd = client(&fake);
    assert_eq!(shifts(&pd, "pd:PPOLICY@1").await.unwrap(), turns());
    let second: Vec<Shift> = [vec![eve()], turns()].concat();
    assert_eq!(shifts(&pd, "pd:PPOLICY@2").await.unwrap(), second);
    fake.state(|acme| acme.policies[0].rules[1].push(Target::Schedule("PLAYER".to_owned())));
    assert_eq!(shifts(&pd, "pd:PPOLICY@2").await.unwrap(), second, "the same turn by two schedules is one");
}

#[tokio::test]
async fn whom_a_policy_names_is_the_same_shift_at_every_read() {
    let fake = acme().await;
    let pd = client(&fake);
    let later = Span::new(day(7, 0), day(21, 0)).unwrap();
    let again = pd.shifts(&"pd:PPOLICY@2".parse().unwrap(), later).await.unwrap();
    assert!(again.contains(&eve()), "{again:?}");
}

#[tokio::test]
async fn a_reference_says_where_to_look_first() {
    let fake = acme().await;
    let pd = client(&fake);
    shifts(&pd, "pd:PPOLICY@1").await.unwrap();
    shifts(&pd, "pd:PPOLICY@2").await.unwrap();
    let policy = "/escalation_policies/PPOLICY";
    assert_eq!(fake.paths(), [policy, "/schedules/PLAYER", policy, "/v3/schedules/PSHIFT"]);
}

#[tokio::test]
async fn a_rotation_written_the_wrong_way_round_is_explained() {
    let fake = acme().await;
    let pd = client(&fake);
    for (rotation, hint) in
        [("pd:PPOLICY", "pd:PPOLICY@1"), ("pd:PLAYER@1", "write pd:PLAYER"), ("pd:PSHIFT@2", "write pd:PSHIFT")]
    {
        let Err(PlatformError::Misconfigured(text)) = shifts(&pd, rotation).await else {
            panic!("{rotation} is wrong")
        };
        assert!(text.contains(hint), "{text}");
    }
    for rotation in ["pd:PNONE", "pd:PNONE@1", "pd:PPOLICY@3"] {
        let answer = shifts(&pd, rotation).await;
        assert!(matches!(answer, Err(PlatformError::NotFound(_))), "{rotation}: {answer:?}");
    }
    for rotation in ["other:PLAYER", "pd:..", "pd:PLAYER/overrides", "pd:../users@1"] {
        fake.forget();
        let answer = shifts(&pd, rotation).await;
        assert!(matches!(answer, Err(PlatformError::Misconfigured(_))), "{rotation}: {answer:?}");
        assert_eq!(fake.requests(), [], "{rotation} was sent");
    }
}

#[tokio::test]
async fn p6_a_level_that_is_not_understood_is_no_empty_level() {
    let rule = "/escalation_policy/escalation_rules/1";
    let alterations: [Fault; 4] = [
        Fault::altered(move |p| p.pointer_mut(rule).unwrap()["targets"] = json!([])),
        Fault::altered(move |p| p.pointer_mut(rule).unwrap()["targets"][0]["type"] = json!("team_reference")),
        Fault::altered(move |p| p.pointer_mut(rule).unwrap()["targets"][1]["id"] = json!("")),
        Fault::altered(move |p| drop(p.pointer_mut(rule).unwrap().as_object_mut().unwrap().remove("targets"))),
    ];
    for fault in alterations {
        let fake = acme().await;
        fake.fault("/escalation_policies/PPOLICY", fault);
        let answer = shifts(&client(&fake), "pd:PPOLICY@2").await;
        assert!(matches!(answer, Err(PlatformError::Faulty(_))), "{answer:?}");
    }
    let fake = acme().await;
    fake.state(|acme| acme.schedules.retain(|schedule| schedule.id != "PSHIFT"));
    let answer = shifts(&client(&fake), "pd:PPOLICY@2").await;
    assert!(matches!(answer, Err(PlatformError::NotFound(_))), "a vanished schedule is not nobody: {answer:?}");
}

#[tokio::test]
async fn a_gap_in_one_of_several_targets_is_none_in_the_level() {
    let fake = acme().await;
    fake.state(|acme| acme.schedule("PSHIFT").unwrap().turns[0].user = None);
    let pd = client(&fake);
    let level = shifts(&pd, "pd:PPOLICY@2").await.unwrap();
    assert_eq!(level, [eve(), turns().remove(1)]);
    fake.state(|acme| acme.policies[0].rules[1].truncate(1));
    let level = shifts(&pd, "pd:PPOLICY@2").await.unwrap();
    assert_eq!((level.len(), level[0].user.as_ref()), (2, None), "the only target's gap is the level's");
}
