use super::*;
use dutykey_tests::pagerduty::{Custom, Fault, Turn, Upgraded};
use serde_json::json;

const LAYERED: &str = "/schedules/PLAYER";
const SHIFTS: &str = "/v3/schedules/PLAYER";

#[tokio::test]
async fn shifts_keep_their_own_ends_and_instants() {
    let fake = acme().await;
    fake.state(|acme| {
        for schedule in &mut acme.schedules {
            "America/New_York".clone_into(&mut schedule.time_zone);
        }
    });
    let pd = client(&fake);
    let inside = Span::new(day(3, 0), day(6, 0)).unwrap();
    for rotation in ["pd:PLAYER", "pd:PSHIFT"] {
        let found = pd.shifts(&rotation.parse().unwrap(), inside).await.unwrap();
        assert_eq!(found, turns(), "{rotation} was cut at the window's edges, or its offset was ignored");
    }
    let asked = fake.requests().into_iter().find(|request| request.path == LAYERED).unwrap();
    assert_eq!(asked.get("since"), Some("2026-06-03T00:00:00Z"));
    assert_eq!(asked.get("until"), Some("2026-06-06T00:00:00Z"));
}

#[tokio::test]
async fn several_people_at_once_gaps_and_causes_of_a_shift_based_schedule() {
    let fake = acme().await;
    fake.state(|acme| {
        let schedule = acme.schedule("PSHIFT").unwrap();
        schedule.turns.push(Turn { start: day(2, 9), end: day(5, 9), user: Some("PEVE".to_owned()) });
        schedule.turns.push(Turn { start: day(9, 9), end: day(10, 9), user: None });
        *schedule = schedule.clone().replaced("OVER1", "PEVE", "PBOB", day(6, 9), day(7, 9));
        let turn = Turn { start: day(8, 9), end: day(8, 17), user: Some("PANN".to_owned()) };
        schedule.custom.push(Custom { id: "CUSTOM1".to_owned(), turn });
    });
    let named = |shift: Shift, id: &str| Shift { native_id: Some(id.to_owned()), ..shift };
    let gap = Shift { user: None, ..shift("PANN", day(9, 9), day(10, 9), Cause::Base) };
    let expected = [
        shift("PANN", day(2, 9), day(5, 9), Cause::Base),
        shift("PEVE", day(2, 9), day(5, 9), Cause::Base),
        shift("PBOB", day(5, 9), day(6, 9), Cause::Base),
        named(shift("PEVE", day(6, 9), day(7, 9), Cause::Override), "OVER1"),
        shift("PBOB", day(7, 9), day(9, 9), Cause::Base),
        named(shift("PANN", day(8, 9), day(8, 17), Cause::Custom), "CUSTOM1"),
        gap,
    ];
    assert_eq!(shifts(&client(&fake), "pd:PSHIFT").await.unwrap(), expected);
}

#[tokio::test]
async fn the_kind_of_a_schedule_is_found_once() {
    let fake = acme().await;
    let pd = client(&fake);
    assert_eq!(shifts(&pd, "pd:PLAYER").await.unwrap(), turns());
    assert_eq!(shifts(&pd, "pd:PLAYER").await.unwrap(), turns());
    assert_eq!(fake.paths(), [SHIFTS, LAYERED, LAYERED]);
}

#[tokio::test]
async fn r4_a_schedule_that_is_upgraded_loses_nobody() {
    for upgraded in [Upgraded::NotFound, Upgraded::Bare] {
        let fake = acme().await;
        let pd = client(&fake);
        assert_eq!(shifts(&pd, "pd:PLAYER").await.unwrap(), turns());
        fake.state(|acme| {
            acme.upgraded = upgraded;
            acme.schedule("PLAYER").unwrap().kind = Kind::V3;
        });
        fake.forget();
        assert_eq!(shifts(&pd, "pd:PLAYER").await.unwrap(), turns(), "{upgraded:?}");
        assert_eq!(shifts(&pd, "pd:PLAYER").await.unwrap(), turns());
        assert_eq!(fake.paths(), [LAYERED, SHIFTS, SHIFTS], "the new kind is remembered");
        assert_eq!(shifts(&pd, "pd:PPOLICY@1").await.unwrap(), turns());
    }
}

#[tokio::test]
async fn r4_an_old_address_that_answers_with_nobody_is_not_believed() {
    let fake = acme().await;
    let pd = client(&fake);
    assert_eq!(shifts(&pd, "pd:PLAYER").await.unwrap(), turns());
    fake.state(|acme| acme.schedule("PLAYER").unwrap().kind = Kind::V3);
    let nobody = json!({ "rendered_schedule_entries": [], "rendered_coverage_percentage": 0.0 });
    let body = json!({ "schedule": { "id": "PLAYER", "type": "schedule", "final_schedule": nobody } }).to_string();
    fake.fault(LAYERED, Fault::Raw { status: 200, headers: Vec::new(), body });
    assert_eq!(shifts(&pd, "pd:PLAYER").await.unwrap(), turns());
}

#[tokio::test]
async fn r4_an_upgrade_between_two_requests_is_not_a_vanished_schedule() {
    let fake = acme().await;
    fake.state(|acme| acme.schedule("PLAYER").unwrap().kind = Kind::V3);
    fake.fault_times(SHIFTS, 1, Fault::refusal(400, "not a v3 schedule"));
    assert_eq!(shifts(&client(&fake), "pd:PLAYER").await.unwrap(), turns());
    fake.fault(SHIFTS, Fault::refusal(400, "not a v3 schedule"));
    let answer = shifts(&client(&fake), "pd:PLAYER").await;
    assert!(matches!(answer, Err(PlatformError::Faulty(_))), "{answer:?}");
}

#[tokio::test]
async fn a_schedule_that_is_empty_by_all_accounts_is_empty() {
    for kind in [Kind::V2, Kind::V3] {
        let fake = acme().await;
        fake.state(|acme| *acme.schedule("PLAYER").unwrap() = Schedule::new("PLAYER", kind));
        assert_eq!(shifts(&client(&fake), "pd:PLAYER").await, Ok(Vec::new()), "{kind:?}");
        assert!(fake.count(LAYERED) == 1 && fake.count(SHIFTS) == 1, "{:?}", fake.paths());
    }
}

/// A change of a schedule whose final schedule has its entries under this name.
type Alteration = fn(&mut serde_json::Value, &str);

#[tokio::test]
async fn p6_a_final_schedule_that_is_not_whole_is_not_an_empty_rota() {
    let last = "/schedule/final_schedule";
    let alterations: [(&str, Alteration); 10] = [
        ("missing", |schedule, _| drop(schedule.as_object_mut().unwrap().remove("final_schedule"))),
        ("null", |schedule, _| schedule["final_schedule"] = json!(null)),
        ("empty and covered", |schedule, list| schedule["final_schedule"][list] = json!([])),
        ("empty and not rendered", |schedule, list| {
            schedule["final_schedule"] = json!({ list: [], "rendered_coverage_percentage": null });
        }),
        ("without entries", |schedule, list| {
            drop(schedule["final_schedule"].as_object_mut().unwrap().remove(list));
        }),
        ("without a user", |schedule, list| {
            let entry = schedule["final_schedule"][list][0].as_object_mut().unwrap();
            entry.insert("user".to_owned(), json!(null));
            entry.insert("member".to_owned(), json!({ "type": "user_member" }));
        }),
        ("of an unknown member", |schedule, list| {
            schedule["final_schedule"][list][0]["user"] = json!("PANN");
            schedule["final_schedule"][list][0]["member"] = json!({ "type": "team_member", "team_id": "PTEAM" });
        }),
        ("without an offset", |schedule, list| {
            for key in ["start", "start_time"] {
                schedule["final_schedule"][list][0][key] = json!("2026-06-02T09:00:00");
            }
        }),
        ("without a word on its end", |schedule, list| {
            let entry = schedule["final_schedule"][list][0].as_object_mut().unwrap();
            entry.retain(|key, _| !key.starts_with("end"));
        }),
        ("backwards", |schedule, list| {
            for key in ["end", "end_time"] {
                schedule["final_schedule"][list][0][key] = json!("2026-06-01T09:00:00Z");
            }
        }),
    ];
    for (rotation, path, list) in [
        ("pd:PLAYER", LAYERED, "rendered_schedule_entries"),
        ("pd:PSHIFT", "/v3/schedules/PSHIFT", "computed_shift_assignments"),
    ] {
        for (what, alter) in alterations {
            let fake = acme().await;
            fake.fault(
                path,
                Fault::altered(move |answer| {
                    if answer.pointer(last).is_some() {
                        alter(&mut answer["schedule"], list);
                    }
                }),
            );
            let pd = client(&fake);
            let answer = shifts(&pd, rotation).await;
            assert!(matches!(answer, Err(PlatformError::Faulty(_))), "{rotation} with one {what}: {answer:?}");
            fake.heal();
            assert_eq!(shifts(&pd, rotation).await.unwrap(), turns(), "{rotation} after one {what}");
        }
    }
}

#[tokio::test]
async fn an_end_that_is_not_named_is_open() {
    let fake = acme().await;
    let list = "/schedule/final_schedule/rendered_schedule_entries/1";
    fake.fault(LAYERED, Fault::altered(move |answer| answer.pointer_mut(list).unwrap()["end"] = json!(null)));
    assert_eq!(shifts(&client(&fake), "pd:PLAYER").await.unwrap()[1].end, End::Open);
}

#[tokio::test]
async fn a_long_window_is_asked_for_in_pieces_and_joined() {
    let fake = acme().await;
    let days = |n: i64| day(1, 0) + jiff::SignedDuration::from_hours(24 * n);
    let long = Span::new(days(0), days(200)).unwrap();
    fake.state(|acme| {
        for schedule in &mut acme.schedules {
            // Week by week, so that every edge between two pieces lies inside a turn, and one over all of them.
            schedule.turns = (0..28).map(|n| (days(n * 7), days(n * 7 + 7))).map(turn).collect();
            schedule.turns.push(Turn { user: Some("PEVE".to_owned()), ..turn((days(-30), days(300))) });
        }
    });
    let pd = client(&fake);
    for (rotation, path) in [("pd:PLAYER", LAYERED), ("pd:PSHIFT", "/v3/schedules/PSHIFT")] {
        let found = pd.shifts(&rotation.parse().unwrap(), long).await.unwrap();
        assert_eq!(found.len(), 29, "{rotation}: each shift once");
        assert_eq!(found[0], shift("PEVE", days(-30), days(300), Cause::Base));
        let asked: Vec<_> = fake.requests().into_iter().filter(|request| request.path == path).collect();
        let edges = |name| -> Vec<Timestamp> { asked.iter().map(|r| r.get(name).unwrap().parse().unwrap()).collect() };
        let (since, until) = (edges("since"), edges("until"));
        assert_eq!((since.len(), since[0], until[2]), (3, days(0), days(200)), "{rotation}");
        for n in 0..3 {
            assert!(until[n].duration_since(since[n]) <= jiff::SignedDuration::from_hours(90 * 24));
            assert!(n == 0 || since[n] <= until[n - 1], "nothing lies between two pieces");
        }
    }
}

fn turn((start, end): (Timestamp, Timestamp)) -> Turn {
    Turn { start, end, user: Some("PANN".to_owned()) }
}

#[tokio::test]
async fn an_instant_is_asked_for_as_a_whole_second() {
    let fake = acme().await;
    let start = day(3, 0) + jiff::SignedDuration::from_millis(250);
    let short = Span::new(start, start + jiff::SignedDuration::from_millis(1)).unwrap();
    let found = client(&fake).shifts(&"pd:PSHIFT".parse().unwrap(), short).await.unwrap();
    assert_eq!(found, turns()[..1]);
    let asked = fake.requests().remove(0);
    assert_eq!((asked.get("since"), asked.get("until")), (Some("2026-06-03T00:00:00Z"), Some("2026-06-03T00:00:01Z")));
}
