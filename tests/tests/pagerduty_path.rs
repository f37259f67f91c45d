//! From a PagerDuty account to the groups of a SCIM server: the whole process with its real adapters, over HTTP, while
//! PagerDuty fails, tells half of it, moves its schedules and changes its mind.
//!
//! The verdict is the SCIM server's: every change that reached it, with the time at which it came, and what it did. Times
//! are real, so that only what must not come early is held to the second.

mod story;

use std::collections::BTreeMap;

use dutykey_engine::ports::witness::Event;
use dutykey_policy::evidence::Verifier;
use dutykey_policy::hold::{Outcome, State};
use dutykey_policy::identity::Doubt;
use dutykey_policy::rota::Cause;
use dutykey_tests::pagerduty::{Account, Audit, Fault, Kind, Policy, Schedule, Target, Upgraded};
use dutykey_tests::scim::Effect;
use serde_json::{Value, json};

use self::story::{Change, Story, after, ever, since_long};

/// The rotations that the profiles name: a schedule, and the first level of a policy.
const PRIMARY: &str = "pd:PPRIM";
const LEVEL: &str = "pd:PESC@1";
/// The groups that they give.
const PROD: &str = "g-prod";
const LOGS: &str = "g-logs";

const ANN: &str = "u-ann";
const BOB: &str = "u-bob";
const CAT: &str = "u-cat";
const DAN: &str = "u-dan";
const EVE: &str = "u-eve";
const FAY: &str = "u-fay";
/// In the first group by another's hand, and never on call.
const HAL: &str = "u-hal";

/// Something that goes wrong at PagerDuty for a while, and the words in which each rotation shows it.
struct Trouble {
    name: &'static str,
    begin: fn(&Story),
    shown: [(&'static str, &'static str); 2],
}

/// What PagerDuty may answer at any time, and what nobody may lose access by. None of it is tried again for long.
const TROUBLES: [Trouble; 6] = [
    Trouble {
        name: "too many requests, with and without a word on how long",
        begin: |story| {
            story.pager.fault("/schedules/PPRIM", Fault::throttled(None));
            story.pager.fault("/escalation_policies/PESC", Fault::throttled(Some(3_600)));
        },
        shown: [(PRIMARY, "slow down"), (LEVEL, "slow down for 3600s")],
    },
    Trouble {
        name: "a final schedule that was not rendered, and a level without targets",
        begin: |story| {
            story.pager.fault("/schedules/PPRIM", Fault::altered(|answer| empty(answer, Value::Null)));
            let level = "/escalation_policy/escalation_rules/0/targets";
            story.pager.fault("/escalation_policies/PESC", Fault::altered(|answer| at(answer, level, json!([]))));
        },
        shown: [(PRIMARY, "names nobody and does not state its coverage"), (LEVEL, "has no targets")],
    },
    Trouble {
        name: "a final schedule that is well-formed and empty, and one that is not there",
        begin: |story| {
            story.pager.fault("/schedules/PPRIM", Fault::altered(|answer| empty(answer, json!(0.0))));
            let rendered = "/schedule/final_schedule";
            story.pager.fault("/schedules/PSEC", Fault::altered(|answer| at(answer, rendered, Value::Null)));
        },
        shown: [(PRIMARY, "nobody would be on call"), (LEVEL, "final schedule is missing")],
    },
    Trouble {
        name: "a final schedule that has lost its first entry, and half a document",
        begin: |story| {
            let entries = "/schedule/final_schedule/rendered_schedule_entries";
            story.pager.fault(
                "/schedules/PPRIM",
                Fault::altered(|answer| {
                    drop(answer.pointer_mut(entries).and_then(Value::as_array_mut).map(|entries| entries.remove(0)));
                }),
            );
            story.pager.fault("/escalation_policies/PESC", Fault::garbage());
        },
        shown: [(PRIMARY, "nobody would be on call"), (LEVEL, "cannot be used")],
    },
    Trouble {
        name: "a revoked token",
        begin: |story| story.pager.state(|account| "another-key".clone_into(&mut account.token)),
        shown: [(PRIMARY, "replace the token"), (LEVEL, "replace the token")],
    },
    Trouble {
        name: "schedules that have vanished",
        begin: |story| story.pager.state(|account| account.schedules.clear()),
        shown: [(PRIMARY, "does not know schedule PPRIM"), (LEVEL, "does not know schedule PSEC")],
    },
];

fn at(answer: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = answer.pointer_mut(pointer) {
        *place = value;
    }
}

fn empty(answer: &mut Value, coverage: Value) {
    at(
        answer,
        "/schedule/final_schedule",
        json!({ "rendered_schedule_entries": [], "rendered_coverage_percentage": coverage }),
    );
}

/// Ann is on call in one schedule, and after her Dan. Bob is on call in another, to which the policy's first level points;
/// Eve is on that level by name.
fn company(account: &mut Account, story: &Story) {
    let (long_ago, some_day) = (since_long(story), ever(story));
    let next_week = after(story.begun, 7 * 86_400);
    account.largest_page = 4;
    let primary = Schedule::new("PPRIM", Kind::V2).turn("PANN", long_ago, next_week).turn("PDAN", next_week, some_day);
    let second = Schedule::new("PSEC", Kind::V2).turn("PBOB", long_ago, some_day);
    account.schedules = vec![Schedule { time_zone: "Europe/Berlin".to_owned(), ..primary }, second];
    let first_level = vec![Target::Schedule("PSEC".to_owned()), Target::User("PEVE".to_owned())];
    account.policies = vec![Policy {
        id: "PESC".to_owned(),
        name: "Escalation".to_owned(),
        rules: vec![first_level, vec![Target::User("PDAN".to_owned())]],
    }];
}

#[tokio::test]
async fn p6_whatever_pagerduty_answers_nobody_loses_access_who_should_not() {
    let mut story = Story::begin(company).await;
    let begun = story.begun;
    story.members_become([(PROD, HAL), (PROD, ANN), (LOGS, BOB), (LOGS, EVE)]).await;
    for (group, user) in [(PROD, ANN), (LOGS, BOB), (LOGS, EVE)] {
        story.expect(Change::added(group, user), begun, begun);
    }

    hand_off_in_an_outage(&mut story).await;
    lists_of_users_that_are_not_whole(&story).await;
    for trouble in &TROUBLES {
        pass(&story, trouble).await;
    }
    upgrade(&story, "PPRIM", PRIMARY, Upgraded::NotFound).await;
    upgrade(&story, "PSEC", LEVEL, Upgraded::Bare).await;
    swap_and_end(&mut story).await;

    let story = story.end().await;
    let (in_for_good, in_and_out) = (Effect { adds: 1, removes: 0 }, Effect { adds: 1, removes: 1 });
    let expected = [
        (PROD, ANN, in_and_out),
        (PROD, CAT, in_and_out),
        (PROD, DAN, in_for_good),
        (LOGS, BOB, in_and_out),
        (LOGS, EVE, in_for_good),
        (LOGS, FAY, in_for_good),
    ];
    let expected: BTreeMap<_, _> =
        expected.map(|(group, user, effect)| ((group.to_owned(), user.to_owned()), effect)).into();
    assert_eq!(story.scim.effects(), expected, "each comes and goes once, and nobody else does");
    story.assert_changes();
    evidence_holds(&story).await;
}

/// Bob's shift ends and Fay's begins while PagerDuty does not answer: what was known happens, and nothing else.
async fn hand_off_in_an_outage(story: &mut Story) {
    let hand_off = story.soon(3);
    let turns =
        Schedule::new("PSEC", Kind::V2).turn("PBOB", since_long(story), hand_off).turn("PFAY", hand_off, ever(story));
    story.pager.state(|account| account.schedule("PSEC").map(|schedule| *schedule = turns));
    let known = story.accepted(LEVEL, "PFAY", hand_off).await;
    let mark = story.mark();
    story.pager.fault("*", Fault::outage());
    story.members_become([(PROD, HAL), (PROD, ANN), (LOGS, EVE), (LOGS, FAY)]).await;
    story.shows(mark, PRIMARY, "does not answer").await;
    story.shows(mark, LEVEL, "does not answer").await;
    story.expect(Change::removed(LOGS, BOB), hand_off, known);
    story.expect(Change::added(LOGS, FAY), hand_off, known);
    story.heal().await;
}

/// While the trouble lasts and after it nothing changes, and it is shown.
async fn pass(story: &Story, trouble: &Trouble) {
    let (account, quiet, mark) = (story.pager.state(|account| account.clone()), story.changes(), story.mark());
    (trouble.begin)(story);
    for (rotation, words) in trouble.shown {
        let what = format!("{rotation} shows `{words}`, or access changes");
        story.until(&what, async || story.changes() != quiet || story.has_shown(mark, rotation, words)).await;
    }
    assert_eq!(story.changes(), quiet, "P6: {} changed access", trouble.name);
    story.pager.state(|now| *now = account);
    story.heal().await;
    assert_eq!(story.changes(), quiet, "P6: {} changed access", trouble.name);
}

/// The list of users is read again in mid-run: once it is empty, then its pages are short. A read that began before fails
/// too, whichever page it has come to.
async fn lists_of_users_that_are_not_whole(story: &Story) {
    fn short(page: &mut Value) {
        drop(page["users"].as_array_mut().and_then(Vec::pop));
        page["more"] = json!(true);
    }
    fn none(page: &mut Value) {
        match page["offset"] == json!(0) {
            true => (page["users"], page["more"]) = (json!([]), json!(false)),
            false => short(page),
        }
    }
    let quiet = story.changes();
    story.pager.forget();
    story.pager.fault_times("/users", 1, Fault::altered(none));
    story.pager.fault("/users", Fault::altered(short));
    let asked =
        async |times| story.until("the users are asked for", async || story.pager.count("/users") >= times).await;
    asked(2).await;
    let before = story.directory().await;
    assert_eq!(before.users.len(), 6, "P6: an empty list of users replaced one that was not");
    asked(4).await;
    assert_eq!(story.directory().await, before, "P6: a list of users that is not whole replaced one that was");
    story.heal().await;
    story.until("the users are read again", async || story.directory().await.read_at > before.read_at).await;
    assert_eq!(story.directory().await.users, before.users);
    assert_eq!(story.changes(), quiet, "P6: a list of users that is not whole changed access");
}

/// A schedule is moved from v2 to v3 under its ID. The first answer at its new address is broken.
async fn upgrade(story: &Story, schedule: &str, rotation: &str, old_address: Upgraded) {
    let (quiet, mark) = (story.changes(), story.mark());
    let new_address = format!("/v3/schedules/{schedule}");
    story.pager.forget();
    story.pager.fault_times(&new_address, 1, Fault::garbage());
    story.pager.state(|account| {
        account.upgraded = old_address;
        account.schedule(schedule).map(|schedule| schedule.kind = Kind::V3)
    });
    story.shows(mark, rotation, "cannot be used").await;
    story.until("the schedule is read at its new address", async || story.pager.count(&new_address) > 1).await;
    story.heal().await;
    assert_eq!(story.changes(), quiet, "R4: moving {schedule} to v3 ({old_address:?}) changed access");
}

/// Dan gives the rest of Ann's shift to Cat, in mid-shift. When it ends, somebody is on call whom no list of users names,
/// and then Dan.
async fn swap_and_end(story: &mut Story) {
    let (swap, end, last) = (story.soon(3), story.soon(5), story.soon(6));
    let mark = story.mark();
    let turns = Schedule::new("PPRIM", Kind::V3)
        .turn("PANN", since_long(story), end)
        .turn("PGHOST", end, last)
        .turn("PDAN", last, ever(story))
        .replaced("POVER", "PCAT", "PANN", swap, end);
    let audit = Audit {
        schedule: "PPRIM".to_owned(),
        resource: "POVER".to_owned(),
        actor: Some("PDAN".to_owned()),
        at: story.begun,
    };
    story.pager.state(|account| {
        account.audit.push(audit);
        account.schedule("PPRIM").map(|schedule| *schedule = turns)
    });
    let known = story.accepted(PRIMARY, "PCAT", swap).await;
    story
        .until("P8: somebody unknown is shown", async || {
            let unmatched = |event: &Event| matches!(event, Event::Unmatched { rotation, doubt: Doubt::Unmatched } if rotation.to_string() == PRIMARY);
            story.since(mark).iter().any(unmatched)
        })
        .await;
    let shown_in_time = !story.since(mark).iter().any(|event| matches!(event, Event::Revoked(_)));
    assert!(shown_in_time || known > swap, "P8: somebody unknown is shown before their shift begins");
    let over = story.known(PRIMARY).await.into_iter().find(|known| known.shift.cause == Cause::Override);
    let over = over.expect("the override is known as one").shift;
    assert_eq!((over.user, over.maker), (Some("PCAT".parse().unwrap()), Some("PDAN".parse().unwrap())));

    story.members_become([(PROD, HAL), (PROD, DAN), (LOGS, EVE), (LOGS, FAY)]).await;
    story.expect(Change::removed(PROD, ANN), swap, known);
    story.expect(Change::added(PROD, CAT), swap, known);
    story.expect(Change::removed(PROD, CAT), end, known);
    story.expect(Change::added(PROD, DAN), last, known);
    let proven = |event: &&Event| matches!(event, Event::Revoked(hold) if hold.state == State::Ended(Outcome::Proven));
    let all = async || story.since(0).iter().filter(proven).count() == 3;
    story.until("P5: all three that ended are proven gone", all).await;
}

/// The export verifies offline, has an attempt for each change, and the token is nowhere in it.
async fn evidence_holds(story: &Story) {
    let export = story.export().await;
    let mut verifier = Verifier::default();
    let read = export.lines().try_for_each(|line| verifier.line(line)).and_then(|()| verifier.finish());
    let verified = read.expect("P9: the evidence verifies offline");
    assert_eq!(verified.records as usize + 1, export.lines().count(), "P9: the export is whole");
    for (act, times) in [("grant.attempt", 6), ("revoke.attempt", 3)] {
        let records = export.lines().filter(|line| line.contains(&format!("\"act\":\"{act}\""))).count();
        assert_eq!(records, times, "P9: `{act}` is recorded once for each change");
    }
    let said = format!("{export}{:?}", story.since(0));
    assert!(!said.contains(&story.pager.token()), "P13: PagerDuty's token is in the evidence or in an event");
}
