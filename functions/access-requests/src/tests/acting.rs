//! What people, reviewers and administrators do beside requests.

use dutykey_engine::ports::rota::{Directory, HeldChange, RotationChange, RotationHead};
use dutykey_engine::ports::rules::{ReadDue as _, ReadRules as _};
use dutykey_policy::evidence::Chain;
use dutykey_policy::hold::{Retry, Side};
use dutykey_policy::id::RotationId;
use dutykey_policy::installation::{ApiSettings, Installation, Link, Oidc, Topic};
use dutykey_policy::profile::Mode;
use dutykey_policy::rota::{Cause, Difference, PlatformUser, Shift};
use serde_json::json;

use super::*;

fn kind((_, problem): &(u16, Value)) -> &str {
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.strip_prefix("urn:dutykey:problem:").unwrap_or(kind)
}

#[tokio::test(start_paused = true)]
async fn break_glass_is_for_those_whom_a_profile_names_and_stays_open_until_somebody_else_has_looked() {
    let world = world().await;
    world.person(10, "ann", (14, 18), State::Wanted).await;
    let take = |duration: &str, why: &str| json!({ "profile": "on-call", "duration": duration, "justification": why, "incident": "INC-9" });
    let post = async |who: (&str, &str), body: Value| world.call(who, "POST", "/v1/break-glass", body).await;
    assert_eq!(kind(&post(("bob", "everybody"), take("30m", "the site is down")).await), "not-named");
    assert_eq!(kind(&post(("ann", ""), take("2h", "the site is down")).await), "wrong-duration");
    assert_eq!(kind(&post(("ann", ""), take("30m", "  ")).await), "justification-required");
    let (status, taken) = post(("ann", ""), take("30m", "the site is down")).await;
    assert_eq!((status, &taken["access"]["until"]), (201, &"2026-11-23T12:30:00.000Z".into()), "{taken}");
    assert_eq!(post(("bob", "leads"), take("10m", "he leads")).await.0, 201, "his group is named");
    let told = world.store.due_notices(at(13)).await.unwrap();
    assert_eq!(
        told.iter().filter(|notice| notice.topic == Topic::BreakGlass).count(),
        2,
        "everybody is told: {told:?}"
    );

    let path = format!("/v1/break-glass/{}", taken["id"].as_str().unwrap());
    let open = world.get("/v1/break-glass").await;
    assert_eq!(open["emergencies"].as_array().map(Vec::len), Some(2), "{open}");
    assert_eq!(world.get(&path).await["justification"], "the site is down");
    assert_eq!(world.call(("bob", ""), "DELETE", &path, Value::Null).await.0, 404, "it is not his");
    let (_, back) = world.call(("ann", ""), "DELETE", &path, Value::Null).await;
    assert_eq!(back["access"]["until"], "2026-11-23T12:00:00.000Z", "given back at once: {back}");
    assert_eq!(kind(&world.call(("ann", ""), "DELETE", &path, Value::Null).await), "not-approved");

    let review =
        async |who| world.call(who, "POST", &format!("{path}/review"), json!({ "comment": "it was right" })).await;
    assert_eq!(kind(&review(("bob", "leads")).await), "forbidden", "only administrators and auditors review");
    assert_eq!(kind(&review(("ann", "admins")).await), "own-review", "P13: nobody reviews their own");
    let (status, reviewed) = review(("cat", "audit")).await;
    assert_eq!((status, &reviewed["review"]["by"]["email"]), (200, &"cat@example.com".into()), "{reviewed}");
    assert_eq!(kind(&review(("dan", "admins")).await), "reviewed-before");
    assert_eq!(world.get("/v1/break-glass").await["emergencies"].as_array().map(Vec::len), Some(1), "Bob's waits");
    let done = world.get("/v1/break-glass?reviewed=true").await;
    assert_eq!(done["emergencies"][0]["review"]["comment"], "it was right", "{done}");
    let (_, me) = world.call(("ann", ""), "GET", "/v1/me", Value::Null).await;
    assert_eq!(me["emergencies"], json!([{ "profile": "on-call", "name": "On-call", "max_duration": "1h" }]), "{me}");
}

#[tokio::test]
async fn a_profile_that_only_observes_is_not_taken_in_an_emergency() {
    let world = world().await;
    world.person(10, "ann", (14, 18), State::Wanted).await;
    let configured = world.store.installation().await.unwrap().unwrap();
    let mut installation = configured.installation;
    installation.profiles[0].mode = Mode::Observe;
    world.store.configure(configured.version, &installation, at(11)).await.unwrap();
    let take = json!({ "profile": "on-call", "duration": "30m", "justification": "the site is down" });
    assert_eq!(kind(&world.call(("ann", ""), "POST", "/v1/break-glass", take).await), "only-observes");
    let (_, me) = world.call(("ann", ""), "GET", "/v1/me", Value::Null).await;
    assert_eq!(me["emergencies"], json!([]), "it is not shown as if she could: {me}");
}

#[tokio::test(start_paused = true)]
async fn a_hold_says_what_is_wrong_with_it_and_is_tried_again_for_whoever_has_it() {
    let world = world().await;
    let ann = world.person(10, "ann", (8, 10), State::Ending).await;
    let live = world.store.load(&ann).await.unwrap().unwrap();
    let retry = Retry { at: at(13), side: Side::Ends, failures: 7, because: "the app refuses".to_owned(), turn: None };
    let failing = Hold { touched: true, retry: Some(retry), ..live.holds[0].clone() };
    world.store.commit(&PersonChange { holds: vec![failing], ..PersonChange::nothing(&live, at(12)) }).await.unwrap();
    let hold = world.get("/v1/holds").await["holds"][0].clone();
    assert_eq!((&hold["overdue_s"], &hold["again"]["failures"]), (&7_200.into(), &7.into()), "P1: OVERDUE: {hold}");
    let path = format!("/v1/holds/{}/retry", hold["hold"].as_str().unwrap());
    assert_eq!(kind(&world.call(("bob", ""), "POST", &path, Value::Null).await), "forbidden");
    assert_eq!(world.call(("ann", ""), "POST", &path, Value::Null).await.0, 202);
    let after = world.store.load(&ann).await.unwrap().unwrap();
    assert_eq!(after.holds[0].retry.as_ref().map(|retry| retry.at), Some(at(12)));
    assert_eq!(after.head.next_end.map(|due| due.at), Some(at(12)), "revocation looks at once");
    assert_eq!(kind(&world.call(("dan", "admins"), "POST", &path, Value::Null).await), "nothing-waits-again");
}

#[tokio::test(start_paused = true)]
async fn r14_r20_what_cannot_be_ended_is_written_off_by_an_administrator_who_does_not_have_it() {
    let world = world().await;
    let ann = world.person(10, "ann", (8, 10), State::Ending).await;
    let shift = shift_of(&world, "ann", (8, 10)).await;
    let live = world.store.load(&ann).await.unwrap().unwrap();
    let because = "the tenant does not exist".to_owned();
    let retry = Retry { at: at(13), side: Side::Ends, failures: 7, because, turn: None };
    let failing = Hold { touched: true, retry: Some(retry), ..live.holds[0].clone() };
    world.store.commit(&PersonChange { holds: vec![failing], ..PersonChange::nothing(&live, at(12)) }).await.unwrap();
    let hold = world.get("/v1/holds").await["holds"][0].clone();
    let path = format!("/v1/holds/{}/write-off", hold["hold"].as_str().unwrap());
    let write_off =
        async |who: (&str, &str), reason: &str| world.call(who, "POST", &path, json!({ "reason": reason })).await;
    assert_eq!(kind(&write_off(("cat", "audit"), "it is gone").await), "forbidden");
    assert_eq!(kind(&write_off(("ann", "admins"), "it is gone").await), "own-gain", "R20");
    assert_eq!(kind(&write_off(("dan", "admins"), "  ").await), "invalid-field");
    assert_eq!(kind(&write_off(("dan", "admins"), &"x".repeat(2_001)).await), "invalid-field");
    let (status, over) = write_off(("dan", "admins"), "closed on Friday").await;
    assert_eq!((status, &over["state"], &over["overdue_s"]), (200, &"ended".into(), &Value::Null), "{over}");
    assert!(over["why"].as_str().is_some_and(|why| why.contains("nothing has shown that it is gone")), "P5: {over}");
    assert_eq!(kind(&write_off(("dan", "admins"), "again").await), "not-found");
    assert_eq!(world.get("/v1/holds").await["holds"], json!([]), "it is OVERDUE no more");

    let (_, dan) = world.call(("dan", "admins"), "GET", "/v1/me", Value::Null).await;
    let dan = dan["person"]["id"].as_str().unwrap().to_owned();
    let told = world.store.due_notices(at(13)).await.unwrap();
    assert!(told.len() == 1 && told[0].topic == Topic::Overdue && told[0].text.contains(&dan), "{told:?}");
    let records = world.get(&format!("/v1/evidence?chain=person/{ann}&act=hold.written_off")).await;
    let record: Value = serde_json::from_str(records["records"][0].as_str().unwrap()).unwrap();
    assert_eq!((&record["actor"], &record["after"]["state"]), (&dan.into(), &json!({ "ended": "written_off" })));
    assert!(!record.to_string().contains("Friday"), "R19: {record}");
    let report = world.get(&format!("/v1/shifts/{shift}/report")).await;
    let reported = &report["holds"][0];
    assert_eq!((&reported["outcome"], &reported["revoked"]), (&"written_off".into(), &Value::Null), "{report}");
    assert_eq!(reported["written_off_because"], "closed on Friday", "{report}");

    world.person(11, "bob", (8, 12), State::Ending).await;
    let hold = world.get("/v1/holds").await["holds"][0].clone();
    let path = format!("/v1/holds/{}/write-off", hold["hold"].as_str().unwrap());
    let young = world.call(("dan", "admins"), "POST", &path, json!({ "reason": "it takes so long" })).await;
    assert_eq!(kind(&young), "still-ending", "it has hardly begun to end: {young:?}");
}

#[tokio::test]
async fn r2_a_profile_that_comes_with_being_on_call_can_be_given_back_until_the_shift_ends() {
    let world = world().await;
    let ann = world.person(10, "ann", (10, 14), State::Held).await;
    let give_back = async |who| world.call((who, ""), "DELETE", "/v1/me/enrollments/on-call", Value::Null).await;
    let (status, block) = give_back("ann").await;
    assert_eq!((status, &block["until"]), (200, &"2026-11-23T14:00:00.000Z".into()), "{block}");
    assert_eq!((&block["denies"], &block["person"]), (&"enrollment".into(), &ann.to_string().into()), "{block}");
    assert_eq!(give_back("ann").await, (200, block.clone()), "it is given back already");
    assert_eq!(world.get("/v1/blocks").await["blocks"].as_array().map(Vec::len), Some(1), "by one block");
    assert_eq!(kind(&give_back("bob").await), "not-enrolled");
    let path = format!("/v1/blocks/{}", block["id"].as_str().unwrap());
    assert_eq!(kind(&world.call(("ann", "admins"), "DELETE", &path, Value::Null).await), "own-gain", "R20");
}

/// The digest of a change of the rota that the brake holds: it puts these users on call.
async fn the_brake_holds(world: &World, users: &[&str]) -> String {
    let shift = |user: &&str| Shift {
        start: at(12),
        end: End::Open,
        user: Some(user.parse().unwrap()),
        cause: Cause::Unknown,
        native_id: None,
        maker: None,
    };
    let change = Difference { removed: Vec::new(), added: users.iter().map(shift).collect() };
    let digest = change.digest();
    let (since, why) = (at(11), "too many at once".to_owned());
    let held = HeldChange { digest: digest.clone(), since, why, change, released: false, discarded: false };
    let id = "rota:primary".parse::<RotationId>().unwrap();
    let head = RotationHead { held: Some(held), ..RotationHead::new(id, "Primary".to_owned()) };
    let first = RotationChange { expected: 0, head, at: at(11), known: None, evidence: vec![], notices: vec![] };
    world.store.change_rotation(&first).await.unwrap();
    digest
}

#[tokio::test]
async fn r20_an_administrator_releases_what_the_brake_holds_unless_it_puts_them_on_call() {
    let world = world().await;
    world.person(10, "ann", (10, 14), State::Held).await;
    let digest = the_brake_holds(&world, &["ann"]).await;
    let brake = world.get("/v1/brakes").await["rotations"][0].clone();
    assert_eq!((&brake["digest"], &brake["added"][0]["user"]), (&digest.clone().into(), &"ann".into()), "{brake}");
    let path = format!("/v1/brakes/{digest}/release");
    assert_eq!(kind(&world.call(("ann", "admins"), "POST", &path, Value::Null).await), "own-gain");
    let (status, said) = world.call(("dan", "admins"), "POST", &path, Value::Null).await;
    assert_eq!((status, &said["rotations"][0]), (200, &"rota:primary".into()), "{said}");
    assert_eq!(world.get("/v1/brakes").await["rotations"][0]["said"], "released");
    let mine = format!("/v1/brakes/{digest}/discard");
    assert_eq!(world.call(("ann", "admins"), "POST", &mine, Value::Null).await.0, 200, "that gives her nothing");
}

#[tokio::test]
async fn r20_an_administrator_does_not_release_what_will_be_known_to_put_them_on_call() {
    let world = world().await;
    let configured = world.store.installation().await.unwrap().unwrap();
    let sources = [("rota".parse().unwrap(), "second".to_owned())].into();
    let link = Link { person: "bob@example.com".to_owned(), sources, apps: Default::default() };
    let installation = Installation { links: vec![link], ..configured.installation };
    world.store.configure(configured.version, &installation, at(11)).await.unwrap();
    let user = |id: &str, email: &str| {
        let (id, email) = (id.parse().unwrap(), Some(email.to_owned()));
        PlatformUser { id, email, name: None, active: None }
    };
    let users = vec![user("first", "Ann@example.com"), user("second", "cat@example.com")];
    let directory = Directory { read_at: Some(at(11)), users, ..Directory::default() };
    world.store.keep_directory(&"rota".parse().unwrap(), &directory).await.unwrap();
    let path = format!("/v1/brakes/{}/release", the_brake_holds(&world, &["first", "second"]).await);
    let release = async |who: &str| world.call((who, "admins"), "POST", &path, Value::Null).await;
    assert_eq!(kind(&release("ann").await), "own-gain", "the platform has her address");
    assert_eq!(kind(&release("bob").await), "own-gain", "the configuration says that it is him");
    assert_eq!(release("cat").await.0, 200, "the platform has her address, but the configuration says that it is Bob");
}

#[tokio::test(start_paused = true)]
async fn r8_r20_an_administrator_prolongs_a_lease_unless_it_gives_them_access_for_longer() {
    let world = world().await;
    world.person(10, "ann", (10, 14), State::Held).await;
    let prolong = async |who: &str, until: &str, reason: &str| {
        let body = json!({ "until": until, "reason": reason });
        world.call((who, "admins"), "POST", "/v1/rotations/rota:primary/prolong", body).await
    };
    let (three, why) = ("2026-11-23T15:00:00Z", "the platform is down");
    assert_eq!(kind(&prolong("dan", three, why).await), "not-found", "nobody has read it");
    let id = "rota:primary".parse::<RotationId>().unwrap();
    let (fresh_at, failed_at) = (Some(at(9)), Some(at(10)));
    let head = RotationHead { fresh_at, failed_at, ..RotationHead::new(id.clone(), "Primary".to_owned()) };
    let first = RotationChange { expected: 0, head, at: at(11), known: None, evidence: vec![], notices: vec![] };
    world.store.change_rotation(&first).await.unwrap();
    for (until, reason, refused) in [
        (three, "  ", "invalid-field"),
        ("tea time", why, "invalid-field"),
        ("2026-11-23T12:00:00Z", why, "wrong-end"),
        ("2026-11-23T13:00:00Z", why, "wrong-end"),
        ("2026-11-24T12:01:00Z", why, "wrong-end"),
    ] {
        assert_eq!(kind(&prolong("dan", until, reason).await), refused, "until {until} because of `{reason}`");
    }
    assert_eq!(kind(&prolong("ann", three, why).await), "own-gain", "R20: she is on call for an hour after its end");
    let (status, said) = prolong("dan", three, why).await;
    assert_eq!((status, &said["prolonged_until"]), (200, &"2026-11-23T15:00:00.000Z".into()), "{said}");
    assert_eq!(kind(&prolong("dan", three, why).await), "wrong-end", "it lasts so long already");
    let shown = world.get("/v1/rotations").await["rotations"][0].clone();
    assert_eq!(shown, said, "the list shows it too, with its reason");
    assert_eq!(shown["prolonged_why"], why);

    let records = world.store.evidence(&Chain::Rotation(id), 1, 10).await.unwrap();
    let record: Value = serde_json::from_str(&records[0].line).unwrap();
    let ends = json!([record["act"], record["before"]["until"], record["after"]["until"]]);
    assert_eq!(ends, json!(["rotation.prolonged", "2026-11-23T13:00:00.000Z", "2026-11-23T15:00:00.000Z"]));
    assert!(!records[0].line.contains(why), "R19: evidence has the digest of the reason only");
    let told = world.store.due_notices(at(12)).await.unwrap();
    assert_eq!(told.iter().map(|notice| notice.topic).collect::<Vec<_>>(), [Topic::Stale], "everybody is told");
    let due = world.store.due_rotations(at(12)).await.unwrap();
    assert_eq!(due.iter().map(|due| due.at).collect::<Vec<_>>(), [at(12)], "R9: the next read has everybody looked at");
}

#[tokio::test]
async fn r8_what_is_planned_by_a_stale_view_says_when_its_lease_ends_and_is_not_cut() {
    use dutykey_engine::ports::rota::ReadRota as _;

    let world = world().await;
    world.person(10, "ann", (10, 14), State::Held).await;
    shift_of(&world, "ann", (10, 14)).await;
    let id = "rota:primary".parse::<RotationId>().unwrap();
    let planned = async |fresh_at: Timestamp, failed_at: Option<Timestamp>| {
        let head = world.store.heads(std::slice::from_ref(&id)).await.unwrap().remove(&id).unwrap();
        let expected = head.generation;
        let head = RotationHead { fresh_at: Some(fresh_at), failed_at, ..head };
        let read = RotationChange { expected, head, at: at(11), known: None, evidence: vec![], notices: vec![] };
        world.store.change_rotation(&read).await.unwrap();
        let ahead = world.get("/v1/forecast").await["holds"][0].clone();
        [ahead, world.get("/v1/who?at=2026-11-23T12:30:00Z").await["holds"][0].clone()]
    };
    for (fresh_at, failed_at, lease_end) in
        [(at(11), None, None), (at(9), Some(at(10)), Some("2026-11-23T13:00:00.000Z"))]
    {
        for hold in planned(fresh_at, failed_at).await {
            let (reason, why) = (&hold["reasons"][0], hold["why"].as_str().unwrap());
            assert_eq!(reason["lease_end"].as_str(), lease_end, "{hold}");
            assert_eq!(why.contains("but not beyond 2026-11-23T13:00:00.000Z"), lease_end.is_some(), "{hold}");
            assert!(reason["end"].as_str() >= Some("2026-11-23T14:00:00.000Z"), "nothing is cut: {hold}");
        }
    }
}

#[tokio::test]
async fn the_overview_is_what_was_last_counted_and_says_how_old_it_is() {
    use dutykey_engine::ports::summary::KeepSummary as _;
    use dutykey_engine::summary::{Lag, Summary};

    let world = world().await;
    assert_eq!(world.ask("GET", "/v1/overview").await.0, 404, "nothing was counted");
    let oldest = Duration::from_secs(600);
    let (grants, revocations) = (None, Some(Lag { p50_ms: 40, p99_ms: 900 }));
    let (overdue, stale_sources, brakes, unmatched, gaps) = (2, 1, 3, 4, 5);
    let counted = Summary { at: at(11), overdue, oldest, stale_sources, brakes, unmatched, gaps, grants, revocations };
    world.store.keep_summary(&counted).await.unwrap();
    let overview = world.get("/v1/overview").await;
    let expected = json!({
        "at": "2026-11-23T11:00:00.000Z", "age_s": 3_600, "overdue": 2, "oldest_overdue_s": 600,
        "stale_sources": 1, "brakes": 3, "unmatched": 4, "gaps": 5,
        "grant_lag": null, "revoke_lag": { "p50_ms": 40, "p99_ms": 900 },
    });
    assert_eq!(overview, expected);
}

/// The name of this person's shift, which the platform has shown.
async fn shift_of(world: &World, who: &str, (start, end): (u8, u8)) -> String {
    use dutykey_engine::ports::rota::KnownChange;
    use dutykey_policy::rota::KnownShift;
    use dutykey_policy::time::Span;

    let id = "rota:primary".parse::<RotationId>().unwrap();
    let (start, end, user) = (at(start), End::At(at(end)), Some(who.parse().unwrap()));
    let shift = Shift { start, end, user, cause: Cause::Unknown, native_id: None, maker: None };
    let known = KnownShift { shift, seen: at(1), gone: None, reached: None };
    let within = Span::new(at(0), at(23)).unwrap();
    let change = RotationChange {
        expected: 0,
        head: RotationHead::new(id, "Primary".to_owned()),
        at: at(2),
        known: Some(KnownChange { within, shifts: vec![known] }),
        evidence: vec![],
        notices: vec![],
    };
    world.store.change_rotation(&change).await.unwrap();
    let shifts = world.get("/v1/rotations/rota:primary/shifts?from=2026-11-23T00:00:00Z").await;
    shifts["shifts"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_shift_s_report_says_what_was_granted_why_and_what_was_read_back() {
    let world = world().await;
    world.person(11, "bob", (6, 10), State::Ended(Outcome::Proven)).await;
    let name = shift_of(&world, "bob", (6, 10)).await;
    let report = world.get(&format!("/v1/shifts/{name}/report")).await;
    let reported = &report["holds"][0];
    assert_eq!((&report["shift"]["person"]["email"], &report["withdrawn"]), (&"bob@example.com".into(), &false.into()));
    assert_eq!(reported["granted"]["started"], "2026-11-23T06:00:00.000Z", "{report}");
    assert_eq!(reported["revoked"]["read_back"], "2026-11-23T10:00:00.000Z", "P5: {report}");
    assert_eq!((&reported["outcome"], &reported["hold"]["profile"]), (&"proven".into(), &"on-call".into()), "{report}");
    assert_eq!(world.ask("GET", "/v1/shifts/rota:primary.1.00/report").await.0, 404);
}

#[tokio::test]
async fn a_page_of_another_origin_reads_answers_only_where_the_configuration_lets_it() {
    let world = world().await;
    let ask = async |method: &str, origin: &str| {
        let request = HttpRequest::builder().method(method).uri("/v1/me").header("origin", origin);
        let request = request.header("access-control-request-method", "GET").body(Body::empty()).unwrap();
        let (parts, _) = world.router.clone().oneshot(request).await.unwrap().into_parts();
        let said = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_lowercase());
        (parts.status.as_u16(), said("access-control-allow-origin"), said("access-control-allow-headers"))
    };
    let console = "https://console.example.com";
    assert_eq!(ask("OPTIONS", console).await, (405, None, None), "off unless configured");

    let configured = world.store.installation().await.unwrap().unwrap();
    let oidc = Oidc {
        issuer: "https://id.example.com".to_owned(),
        audience: "dutykey".to_owned(),
        subject_claim: "sub".to_owned(),
        email_claim: "email".to_owned(),
        groups_claim: "groups".to_owned(),
    };
    let api = ApiSettings { oidc: Some(oidc), origins: vec![console.to_owned()], ..configured.installation.api };
    let installation = Installation { api, ..configured.installation };
    world.store.configure(configured.version, &installation, at(12)).await.unwrap();
    let (status, origin, headers) = ask("OPTIONS", console).await;
    assert_eq!((status, origin.as_deref()), (200, Some(console)), "a browser asks first");
    let headers = headers.unwrap_or_default();
    assert!(headers.contains("authorization") && headers.contains("idempotency-key"), "{headers}");
    assert!(!headers.contains(DEVELOPER), "R21: no page says who its developer is: {headers}");
    assert_eq!(ask("GET", console).await, (401, Some(console.to_owned()), None), "and reads why it is refused");
    for other in ["https://console.example.com.evil.example", "http://console.example.com", "null"] {
        assert_eq!(ask("OPTIONS", other).await, (405, None, None), "{other}");
        assert_eq!(ask("GET", other).await.1, None, "{other}");
    }
}
