use std::sync::Arc;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::platform::{Platform, PlatformError};
use dutykey_policy::rota::{Cause, End, Shift};
use dutykey_policy::time::{Span, later};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

use super::{DEADLINE, Fault, FaultKind, Operation, Override, SandboxPlatform, SandboxWorld, Shown};

struct TokioClock(Instant);

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        later(epoch(), self.0.elapsed())
    }

    async fn sleep_until(&self, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        tokio::time::sleep(wait).await;
    }
}

fn epoch() -> Timestamp {
    "2026-03-29T00:59:00Z".parse().unwrap()
}

fn at(seconds: u64) -> Timestamp {
    later(epoch(), Duration::from_secs(seconds))
}

fn span(from: u64, to: u64) -> Span {
    Span::new(at(from), at(to)).unwrap()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock(Instant::now()))
}

fn platform(script: &Value) -> SandboxPlatform {
    SandboxPlatform::new("pd".parse().unwrap(), script, epoch(), clock()).unwrap()
}

fn company() -> Value {
    json!({
        "account": "example",
        "users": [{"id": "u-ann", "email": "ann@example.com", "name": "Ann Lee"}, {"id": "u-bob"}, {"id": "u-cat", "active": false}],
        "teams": [{"id": "t-ops", "name": "Operations", "members": ["u-ann", "u-bob"]}],
        "rotations": [
            {"id": "primary", "name": "Primary", "shifts": [
                {"user": "u-ann", "from": "2s", "to": "14s"}, {"user": "u-bob", "from": "14s", "to": "open"}]},
            {"id": "policy@2", "turns": {"users": ["u-ann", "u-bob", null], "every": "6s", "from": "3s", "until": "20s"}}
        ]
    })
}

/// Start, end (`None` is open) and user of each shift, in seconds and names.
fn brief(shifts: &[Shift]) -> Vec<(i64, Option<i64>, &str)> {
    let seconds = |at: Timestamp| at.as_second() - epoch().as_second();
    let user =
        |shift: &Shift| shift.user.clone().map_or("-", |user| if user.as_str() == "u-ann" { "ann" } else { "bob" });
    shifts.iter().map(|shift| (seconds(shift.start), shift.end.at().map(seconds), user(shift))).collect()
}

async fn read(platform: &SandboxPlatform, rotation: &str, window: Span) -> Result<Vec<Shift>, PlatformError> {
    platform.shifts(&rotation.parse().unwrap(), window).await
}

fn bob_over(from: u64, to: u64) -> Override {
    let user = "u-bob".parse().unwrap();
    Override { user, span: span(from, to), by: Some("u-bob".parse().unwrap()), replaces: None, shown: Shown::ALWAYS }
}

#[tokio::test(start_paused = true)]
async fn what_the_script_says_is_listed() {
    let platform = platform(&company());
    assert_eq!(platform.check().await.unwrap(), "example");
    let users = platform.users().await.unwrap();
    assert_eq!(
        users.iter().map(|user| (user.id.as_str(), user.active)).collect::<Vec<_>>(),
        [("u-ann", None), ("u-bob", None), ("u-cat", Some(false))]
    );
    assert_eq!(platform.teams().await.unwrap()[0].members.len(), 2);
    let rotations = platform.rotations().await.unwrap();
    assert_eq!(rotations.iter().map(|r| r.id.to_string()).collect::<Vec<_>>(), ["pd:primary", "pd:policy@2"]);
    assert_eq!(read(&platform, "pd:gone", span(0, 9)).await, Err(PlatformError::NotFound("pd:gone".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn shifts_keep_their_own_ends_whatever_the_window() {
    let platform = platform(&company());
    let shifts = read(&platform, "pd:primary", span(13, 15)).await.unwrap();
    assert_eq!(brief(&shifts), [(2, Some(14), "ann"), (14, None, "bob")]);
    assert_eq!(shifts[1].end, End::Open);
    assert_eq!(read(&platform, "pd:primary", span(0, 2)).await.unwrap(), [], "a window's end is outside it");
    assert_eq!(brief(&read(&platform, "pd:primary", span(13, 14)).await.unwrap()), [(2, Some(14), "ann")]);
}

#[tokio::test(start_paused = true)]
async fn turns_go_round_with_declared_gaps_and_a_last_one_cut_short() {
    let platform = platform(&company());
    let shifts = read(&platform, "pd:policy@2", span(0, 100)).await.unwrap();
    assert_eq!(brief(&shifts), [(3, Some(9), "ann"), (9, Some(15), "bob"), (15, Some(20), "-")]);
    assert_eq!(shifts[2].user, None);
    assert_eq!(brief(&read(&platform, "pd:policy@2", span(8, 9)).await.unwrap()), [(3, Some(9), "ann")]);
    assert_eq!(brief(&read(&platform, "pd:policy@2", span(9, 10)).await.unwrap()), [(9, Some(15), "bob")]);
}

#[tokio::test(start_paused = true)]
async fn too_many_turns_are_an_error_that_says_what_to_do() {
    let turns = json!({"users": [{"id": "u"}], "rotations": [{"id": "r", "turns": {"users": ["u"], "every": "1s"}}]});
    let platform = platform(&turns);
    let error = read(&platform, "pd:r", span(0, 14 * 86_400)).await.unwrap_err();
    assert!(matches!(&error, PlatformError::Misconfigured(text) if text.contains("until")), "{error}");
    assert_eq!(read(&platform, "pd:r", span(1_000_000, 1_000_010)).await.unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_override_cuts_what_it_replaces_and_says_who_made_it() {
    let platform = platform(&company());
    platform.add_override(&"pd:primary".parse().unwrap(), bob_over(8, 12)).unwrap();
    let shifts = read(&platform, "pd:primary", span(0, 14)).await.unwrap();
    assert_eq!(brief(&shifts), [(2, Some(8), "ann"), (8, Some(12), "bob"), (12, Some(14), "ann")]);
    assert_eq!((shifts[1].cause, shifts[1].maker.as_ref().unwrap().as_str()), (Cause::Override, "u-bob"));
    assert_eq!(shifts[0].cause, Cause::Base);
    let before = read(&platform, "pd:primary", span(3, 5)).await.unwrap();
    assert_eq!(brief(&before), [(2, Some(8), "ann")], "an override outside the window still ends the shift inside it");
}

#[tokio::test(start_paused = true)]
async fn an_override_is_seen_only_while_it_is_announced() {
    let mut script = company();
    script["rotations"][0]["overrides"] = json!([
        {"user": "u-bob", "from": "8s", "to": "12s", "announced": "7s", "withdrawn": "9s", "by": "u-bob", "replaces": "u-ann"}]);
    let platform = platform(&script);
    let mut seen = Vec::new();
    for second in 0..12 {
        let shifts = read(&platform, "pd:primary", span(0, 14)).await.unwrap();
        if shifts.len() == 3 {
            seen.push(second);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(seen, [7, 8]);
}

#[tokio::test(start_paused = true)]
async fn p11_a_platform_may_not_tell_overrides_from_turns() {
    let mut script = company();
    script["tells_overrides"] = json!(false);
    let platform = platform(&script);
    platform.add_override(&"pd:primary".parse().unwrap(), bob_over(8, 12)).unwrap();
    let shifts = read(&platform, "pd:primary", span(0, 14)).await.unwrap();
    assert_eq!(shifts.len(), 3);
    assert!(shifts.iter().all(|shift| shift.cause == Cause::Unknown && shift.maker.is_none()), "{shifts:?}");
}

/// Any two overrides over turns, against the obvious model: second by second, the last override there wins.
#[tokio::test(start_paused = true)]
async fn overrides_agree_with_a_slow_model() {
    let script = json!({"users": [{"id": "u-ann"}, {"id": "u-bob"}], "rotations": [
        {"id": "r", "turns": {"users": ["u-ann"], "every": "4s", "from": "2s", "until": "11s"}}]});
    let spans: Vec<(u64, u64)> = (0..12).step_by(2).flat_map(|a| [1, 4, 9].map(|length| (a, a + length))).collect();
    for first in &spans {
        for second in &spans {
            let platform = platform(&script);
            let rotation = "pd:r".parse().unwrap();
            let ann = Override { user: "u-ann".parse().unwrap(), ..bob_over(second.0, second.1) };
            platform.add_override(&rotation, bob_over(first.0, first.1)).unwrap();
            platform.add_override(&rotation, ann).unwrap();
            let shifts = read(&platform, "pd:r", span(0, 30)).await.unwrap();
            assert!(shifts.is_sorted(), "{shifts:?}");
            for now in 0..30 {
                let inside = |span: &(u64, u64)| span.0 <= now && now < span.1;
                let expected = match (inside(second), inside(first), (2..11).contains(&now)) {
                    (true, ..) | (false, false, true) => vec!["u-ann"],
                    (false, true, _) => vec!["u-bob"],
                    _ => vec![],
                };
                let on_call = shifts.iter().filter(|shift| shift.covers(at(now)));
                let on_call: Vec<&str> = on_call.map(|shift| shift.user.as_ref().unwrap().as_str()).collect();
                assert_eq!(
                    on_call, expected,
                    "bob over {first:?}, then ann over {second:?}: second {now} of {shifts:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p6_an_error_is_never_an_empty_answer() {
    type Matches = fn(&PlatformError) -> bool;
    let errors: [(&str, Matches); 6] = [
        ("outage", |e| matches!(e, PlatformError::Unavailable(_))),
        ("throttled", |e| *e == PlatformError::Throttled { after: Some(Duration::from_secs(3)) }),
        ("unauthorized", |e| matches!(e, PlatformError::Unauthorized(_))),
        ("forbidden", |e| matches!(e, PlatformError::Forbidden { what, .. } if what == "pd:primary")),
        ("not_found", |e| *e == PlatformError::NotFound("pd:primary".to_owned())),
        ("garbage", |e| matches!(e, PlatformError::Faulty(_))),
    ];
    for (fault, matches) in errors {
        let mut script = company();
        script["faults"] = json!([{"fault": fault, "from": "0s", "to": "5s", "after": "3s"}]);
        let platform = platform(&script);
        let error = read(&platform, "pd:primary", span(0, 9)).await.unwrap_err();
        assert!(matches(&error), "{fault}: {error:?}");
        assert!(platform.check().await.is_err() && platform.users().await.is_err(), "{fault} strikes every read");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(read(&platform, "pd:primary", span(0, 9)).await.unwrap().len(), 1, "{fault} is over at its end");
    }
}

#[tokio::test(start_paused = true)]
async fn p6_lies_look_complete() {
    let mut script = company();
    script["faults"] = json!([{"fault": "empty", "on": "shifts", "rotation": "primary", "times": 1}]);
    let platform = platform(&script);
    let everything = span(0, 30);
    assert_eq!(read(&platform, "pd:policy@2", everything).await.unwrap().len(), 3, "another rotation is not struck");
    assert_eq!(platform.users().await.unwrap().len(), 3, "another read is not struck");
    assert_eq!(read(&platform, "pd:primary", everything).await.unwrap(), []);
    assert_eq!(read(&platform, "pd:primary", everything).await.unwrap().len(), 2, "it struck once");
    platform.inject(Fault::always(FaultKind::Half));
    assert_eq!(brief(&read(&platform, "pd:primary", everything).await.unwrap()), [(2, Some(14), "ann")]);
    assert_eq!(platform.users().await.unwrap().len(), 1);
    platform.heal();
    assert_eq!(platform.users().await.unwrap().len(), 3);
    assert_eq!((platform.calls(Operation::Shifts), platform.calls(Operation::Users)), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_as_old_as_the_read_and_does_not_come_after_the_deadline() {
    let mut script = company();
    script["rotations"][0]["overrides"] = json!([{"user": "u-bob", "from": "8s", "to": "12s", "announced": "7s"}]);
    script["faults"] = json!([{"fault": "slow", "after": "10s", "times": 1}, {"fault": "slow", "after": "31s"}]);
    let platform = platform(&script);
    let started = Instant::now();
    assert_eq!(read(&platform, "pd:primary", span(0, 14)).await.unwrap().len(), 1);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    let error = read(&platform, "pd:primary", span(0, 14)).await.unwrap_err();
    assert!(matches!(error, PlatformError::Unavailable(_)), "{error}");
    assert_eq!(started.elapsed(), Duration::from_secs(10) + DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn adapters_of_one_source_share_one_platform() {
    let world = SandboxWorld::new(epoch(), clock());
    let source = "pd".parse().unwrap();
    let one = world.platform(&source, &company()).unwrap();
    let two = world.platform(&source, &company()).unwrap();
    one.inject(Fault::always(FaultKind::Outage));
    assert!(two.check().await.is_err());
    assert!(world.platform(&"other".parse().unwrap(), &company()).unwrap().check().await.is_ok());
    let other = json!({"account": "another script"});
    assert_eq!(world.platform(&source, &other).unwrap().check().await.unwrap(), "another script");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_script_is_refused_with_its_key() {
    let wrong = [
        (json!({"user": []}), "", "unknown field `user`"),
        (json!({"users": [{"id": "u", "mail": "a"}]}), "users[0]", "unknown field `mail`"),
        (json!({"users": [{"id": "u"}, {"id": "u"}]}), "users[1].id", "twice"),
        (json!({"teams": [{"id": "t", "members": ["u"]}]}), "teams[0].members[0]", "none of the users"),
        (json!({"rotations": [{"id": "r@0"}]}), "rotations[0].id", "not a rotation"),
        (json!({"rotations": [{"id": "r"}, {"id": "r"}]}), "rotations[1].id", "twice"),
        (
            json!({"rotations": [{"id": "r", "shifts": [{"from": "2x", "to": "3s"}]}]}),
            "rotations[0].shifts[0].from",
            "duration",
        ),
        (
            json!({"rotations": [{"id": "r", "shifts": [{"from": "3s", "to": "3s"}]}]}),
            "rotations[0].shifts[0].to",
            "later",
        ),
        (
            json!({"rotations": [{"id": "r", "shifts": [{"user": "u", "from": "2s", "to": "3s"}]}]}),
            "rotations[0].shifts[0].user",
            "none",
        ),
        (
            json!({"rotations": [{"id": "r", "turns": {"users": [], "every": "1s"}}]}),
            "rotations[0].turns.users",
            "nobody",
        ),
        (
            json!({"rotations": [{"id": "r", "turns": {"users": [null], "every": "0"}}]}),
            "rotations[0].turns.every",
            "1s",
        ),
        (json!({"faults": [{"fault": "fire"}]}), "faults[0].fault", "unknown variant `fire`"),
        (json!({"faults": [{"fault": "outage", "from": "2s", "to": "1s"}]}), "faults[0].to", "later"),
        (json!({"faults": [{"fault": "outage", "rotation": "r"}]}), "faults[0].rotation", "none of the rotations"),
    ];
    for (script, key, problem) in wrong {
        let error = SandboxPlatform::new("pd".parse().unwrap(), &script, epoch(), clock()).unwrap_err();
        assert!(error.key.starts_with(key) && error.problem.contains(problem), "{script}: {error}");
    }
    let long = json!({"x".repeat(10_000): "\u{1b}[31m"});
    let error = SandboxPlatform::new("pd".parse().unwrap(), &long, epoch(), clock()).unwrap_err().to_string();
    assert!(error.len() < 1_100 && !error.contains('\u{1b}'), "{error}");
}
