use super::*;
use dutykey_tests::pagerduty::{Audit, Fault};

/// Ann's turn of the 3rd is Eve's by an override, in both schedules.
async fn replaced() -> FakePagerDuty {
    let fake = acme().await;
    fake.state(|acme| {
        for schedule in &mut acme.schedules {
            *schedule = schedule.clone().replaced("OVER1", "PEVE", "PANN", day(3, 9), day(4, 9));
        }
    });
    fake
}

/// Somebody acted on an override just now, by the stand-in's clock, which is the machine's.
fn acted(fake: &FakePagerDuty, resource: &str, actor: Option<&str>) {
    fake.state(|acme| {
        for schedule in ["PLAYER", "PSHIFT"] {
            let at = "9999-01-01T00:00:00Z".parse().unwrap();
            let actor = actor.map(str::to_owned);
            acme.audit.push(Audit { schedule: schedule.to_owned(), resource: resource.to_owned(), actor, at });
        }
    });
}

async fn eves(pd: &PagerDuty, rotation: &str) -> (Cause, Option<String>) {
    let found = shifts(pd, rotation).await.unwrap();
    let shift = found.into_iter().find(|shift| shift.user == Some("PEVE".parse().unwrap())).expect("Eve is on call");
    (shift.cause, shift.maker.map(String::from))
}

fn by(maker: Option<&str>) -> (Cause, Option<String>) {
    (Cause::Override, maker.map(str::to_owned))
}

const BOTH: [&str; 2] = ["pd:PLAYER", "pd:PSHIFT"];

#[tokio::test]
async fn p11_who_made_an_override_is_told_for_both_kinds() {
    let fake = replaced().await;
    acted(&fake, "OVER0", Some("PANN"));
    acted(&fake, "OVER1", Some("PBOB"));
    let pd = client(&fake);
    for rotation in BOTH {
        assert_eq!(eves(&pd, rotation).await, by(Some("PBOB")), "{rotation}");
    }
    let expected =
        ["/schedules/PLAYER/overrides", "/schedules/PLAYER/audit/records", "/v3/schedules/PSHIFT/audit/records"];
    assert!(fake.requests().iter().filter(|r| r.path.contains("audit")).all(|r| r.get("since").is_some()));
    let mut asked = fake.paths();
    asked.retain(|path| path.contains("audit") || path.contains("overrides"));
    assert_eq!(asked, expected);
    let others: Vec<Shift> =
        shifts(&pd, "pd:PLAYER").await.unwrap().into_iter().filter(|s| s.maker.is_none()).collect();
    assert!(others.len() == 3 && others.iter().all(|s| s.cause == Cause::Base), "{others:?}");
}

#[tokio::test]
async fn what_needs_no_explanation_costs_no_request() {
    let fake = acme().await;
    let pd = client(&fake);
    for rotation in BOTH {
        shifts(&pd, rotation).await.unwrap();
    }
    assert_eq!(fake.requests().len(), 3, "no override, no question: {:?}", fake.paths());
    let fake = replaced().await;
    acted(&fake, "OVER1", Some("PBOB"));
    let pd = client(&fake);
    for rotation in BOTH {
        eves(&pd, rotation).await;
        fake.forget();
        assert_eq!(eves(&pd, rotation).await, by(Some("PBOB")));
        assert_eq!(fake.requests().len(), 1, "a maker is asked for once: {:?}", fake.paths());
    }
}

#[tokio::test]
async fn r16_a_maker_that_is_not_told_is_unknown_and_the_shifts_stand() {
    for rotation in BOTH {
        for status in [402, 403, 404, 500] {
            let fake = replaced().await;
            acted(&fake, "OVER1", Some("PBOB"));
            let key = &rotation[3..];
            fake.fault(&format!("/schedules/{key}/audit/records"), Fault::refusal(status, "no"));
            fake.fault(&format!("/v3/schedules/{key}/audit/records"), Fault::refusal(status, "no"));
            let pd = client(&fake);
            for _ in 0..5 {
                assert_eq!(eves(&pd, rotation).await, by(None), "{rotation} {status}");
            }
            let asked = fake.paths().iter().filter(|path| path.contains("audit")).count();
            fake.heal();
            let refused = matches!(status, 402 | 403);
            assert_eq!(refused, asked == 1, "{rotation} {status}: a refusal is final, asked {asked} times");
            assert_eq!(eves(&pd, rotation).await, by((!refused).then_some("PBOB")), "{rotation} after {status}");
        }
    }
    let fake = replaced().await;
    fake.fault("/schedules/PLAYER/overrides", Fault::garbage());
    assert_eq!(eves(&client(&fake), "pd:PLAYER").await, by(None));
}

#[tokio::test]
async fn r16_a_maker_in_doubt_is_unknown() {
    let records: [&[(&str, Option<&str>)]; 4] =
        [&[], &[("OVER1", None)], &[("OVER1", Some("PBOB")), ("OVER1", Some("PEVE"))], &[("OVER2", Some("PBOB"))]];
    for record in records {
        let fake = replaced().await;
        for (resource, actor) in record {
            acted(&fake, resource, *actor);
        }
        let pd = client(&fake);
        for rotation in BOTH {
            for _ in 0..4 {
                assert_eq!(eves(&pd, rotation).await, by(None), "{rotation} with {record:?}");
            }
            let path = if rotation == "pd:PLAYER" { "/schedules/PLAYER" } else { "/v3/schedules/PSHIFT" };
            assert_eq!(fake.count(&format!("{path}/audit/records")), 3, "it is asked three times and not for ever");
        }
    }
}

#[tokio::test]
async fn r16_records_that_cannot_all_be_read_name_nobody() {
    let fake = replaced().await;
    acted(&fake, "OVER1", Some("PBOB"));
    fake.state(|acme| acme.largest_page = 2);
    for n in 0..6 {
        acted(&fake, &format!("OTHER{n}"), Some("PANN"));
    }
    assert_eq!(eves(&client(&fake), "pd:PSHIFT").await, by(Some("PBOB")), "on the first of four pages");
    for n in 0..6 {
        acted(&fake, &format!("MORE{n}"), Some("PANN"));
    }
    assert_eq!(eves(&client(&fake), "pd:PSHIFT").await, by(None), "an older record may name somebody else");
}

#[tokio::test]
async fn p11_an_entry_that_an_override_explains_in_part_has_no_maker() {
    let fake = replaced().await;
    acted(&fake, "OVER1", Some("PBOB"));
    // Eve's turn before the override, shown as one entry with it.
    let list = "/schedule/final_schedule/rendered_schedule_entries";
    fake.fault(
        "/schedules/PLAYER",
        Fault::altered(move |answer| {
            for entry in answer.pointer_mut(list).and_then(|list| list.as_array_mut()).into_iter().flatten() {
                if entry["user"]["id"] == "PEVE" {
                    entry["start"] = serde_json::json!("2026-06-03T08:00:00Z");
                }
            }
        }),
    );
    assert_eq!(eves(&client(&fake), "pd:PLAYER").await, by(None));
}
