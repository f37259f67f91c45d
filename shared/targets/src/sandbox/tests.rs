use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::target::{Accepted, GrantOrder, Resolved, RevokeOrder, Target, TargetError};
use dutykey_policy::hold::{Held, Observation, Owner};
use dutykey_policy::id::{AccountId, EntitlementRef, Place};
use dutykey_policy::identity::Doubt;
use dutykey_policy::time::later;
use dutykey_policy::wants::Shape;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Account, By, Change, Fault, FaultKind, Operation, OthersAct, SandboxTarget, SandboxWorld, group, role};

struct TokioClock(Instant);

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        later(epoch(), self.0.elapsed())
    }

    async fn sleep_until(&self, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        sleep(wait).await;
    }
}

fn epoch() -> Timestamp {
    "2026-03-29T00:59:00Z".parse().unwrap()
}

fn at(seconds: u64) -> Timestamp {
    later(epoch(), Duration::from_secs(seconds))
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock(Instant::now()))
}

/// The company's target, with some keys of its script set.
fn target(keys: Value) -> SandboxTarget {
    let mut script = json!({
        "accounts": [
            {"id": "ann", "address": "Ann@example.com"}, {"id": "bob", "address": "bob@example.com"},
            {"id": "cat", "address": "cat@example.com"}, {"id": "idle", "address": "idle@example.com", "active": false}],
        "groups": [
            {"id": "prod", "name": "prod-oncall", "members": ["cat"], "inherited": ["bob"]},
            {"id": "hr", "unmanageable": "comes from the directory"}],
        "roles": {"order": ["viewer", "responder", "admin"], "values": {"ann": "responder"}}
    });
    for (key, value) in keys.as_object().unwrap() {
        script[key] = value.clone();
    }
    SandboxTarget::new("app".parse().unwrap(), &script, epoch(), clock()).unwrap()
}

fn id(account: &str) -> AccountId {
    account.parse().unwrap()
}

fn nothing() -> Observation {
    Observation { held: Held::No, value: None, owner: Owner::Unknown, native_end: None }
}

fn shape(value: Option<&str>) -> Shape {
    value.map_or(Shape::Member, |value| Shape::Value { rank: 0, value: value.to_owned() })
}

async fn give(
    target: &SandboxTarget,
    account: &str,
    place: Place,
    value: Option<&str>,
) -> Result<Accepted, TargetError> {
    give_until(target, account, place, value, None).await
}

async fn give_until(
    target: &SandboxTarget,
    account: &str,
    place: Place,
    value: Option<&str>,
    native_end: Option<Timestamp>,
) -> Result<Accepted, TargetError> {
    let (account, token) = (id(account), "1".to_owned());
    target.grant(&GrantOrder { account, place, shape: shape(value), native_end, before: nothing(), token }).await
}

fn order(account: &str, place: Place, value: Option<&str>, restore: Option<&str>) -> RevokeOrder {
    let restore = restore.map(ToOwned::to_owned);
    RevokeOrder { account: id(account), place, shape: shape(value), restore, receipt: None, token: "2".to_owned() }
}

async fn take(target: &SandboxTarget, account: &str, place: Place) -> Result<Accepted, TargetError> {
    target.revoke(&order(account, place, None, None)).await
}

async fn held(target: &SandboxTarget, account: &str) -> Held {
    target.observe(&id(account), &group("prod")).await.unwrap().held
}

fn members(target: &SandboxTarget) -> BTreeSet<String> {
    target.truth().members.get("prod").into_iter().flatten().map(ToString::to_string).collect()
}

fn prod() -> Place {
    group("prod")
}

const DONE: Accepted = Accepted::Done { receipt: None, native_end: None };

#[tokio::test(start_paused = true)]
async fn p4_grants_and_revocations_are_safe_to_repeat() {
    let target = target(json!({}));
    for _ in 0..2 {
        assert_eq!(give(&target, "ann", prod(), None).await, Ok(DONE));
        assert_eq!(held(&target, "ann").await, Held::Direct);
    }
    for _ in 0..2 {
        assert_eq!(take(&target, "ann", prod()).await, Ok(DONE));
        assert_eq!(held(&target, "ann").await, Held::No);
    }
    let effects: Vec<_> = target.effects().into_iter().map(|effect| (effect.by, effect.change)).collect();
    assert_eq!(effects, [(By::Dutykey, Change::Added), (By::Dutykey, Change::Removed)]);
    assert_eq!((target.calls(Operation::Grant), target.calls(Operation::Revoke)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn p3_the_world_without_us_is_known_beside_the_truth() {
    let target = target(json!({"others": [
        {"at": "5s", "add": "bob", "group": "prod"}, {"at": "6s", "remove": "cat", "group": "prod"},
        {"at": "7s", "set": "ann", "value": "admin"}]}));
    assert_eq!(target.truth(), target.without_us());
    give(&target, "ann", prod(), None).await.unwrap();
    assert_eq!(members(&target), ["ann", "cat"].map(String::from).into());
    assert_ne!(target.truth(), target.without_us());
    sleep(seconds(8)).await;
    assert_eq!(members(&target), ["ann", "bob"].map(String::from).into());
    take(&target, "ann", prod()).await.unwrap();
    assert_eq!(target.truth(), target.without_us());
    assert_eq!(target.truth().roles[&id("ann")], "admin");
    let others: Vec<_> = target.effects().into_iter().filter(|e| e.by == By::Others).map(|e| e.at).collect();
    assert_eq!(others, [at(5), at(6), at(7)], "what happened while nobody looked has its own time");
}

#[tokio::test(start_paused = true)]
async fn p3_where_owners_are_told_ours_ends_without_theirs() {
    for (tells, left, owner) in [(true, Held::Direct, Owner::Other), (false, Held::No, Owner::Unknown)] {
        let target = target(json!({"tells_owner": tells}));
        give(&target, "ann", prod(), None).await.unwrap();
        let ours = target.observe(&id("ann"), &prod()).await.unwrap().owner;
        assert_eq!(ours, if tells { Owner::Us } else { Owner::Unknown });
        target.others(OthersAct::Add { account: id("ann"), group: "prod".to_owned() });
        take(&target, "ann", prod()).await.unwrap();
        let seen = target.observe(&id("ann"), &prod()).await.unwrap();
        assert_eq!((seen.held, seen.owner), (left, owner), "tells_owner: {tells}");
        assert_eq!(target.truth() == target.without_us(), tells);
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_is_one_value_with_an_order_and_goes_back() {
    let target = target(json!({"tells_owner": true}));
    let role_of =
        |value: &str| EntitlementRef { app: "app".parse().unwrap(), kind: "role".to_owned(), id: value.to_owned() };
    let (responder, admin) = (target.slot(&role_of("responder")).unwrap(), target.slot(&role_of("admin")).unwrap());
    assert_eq!(responder.place, admin.place);
    assert!(admin.shape > responder.shape && target.rank(&role(), "admin") > target.rank(&role(), "responder"));
    assert_eq!((target.slot(&role_of("king")), target.rank(&role(), "king")), (None, None));
    give(&target, "ann", role(), Some("admin")).await.unwrap();
    let seen = target.observe(&id("ann"), &role()).await.unwrap();
    assert_eq!((seen.value.as_deref(), seen.owner), (Some("admin"), Owner::Us));
    target.revoke(&order("ann", role(), Some("admin"), Some("responder"))).await.unwrap();
    let seen = target.observe(&id("ann"), &role()).await.unwrap();
    assert_eq!((seen.value.as_deref(), seen.owner), (Some("responder"), Owner::Other));
    give(&target, "bob", role(), Some("viewer")).await.unwrap();
    target.revoke(&order("bob", role(), Some("viewer"), None)).await.unwrap();
    assert_eq!(target.truth(), target.without_us());
}

#[tokio::test(start_paused = true)]
async fn inherited_access_is_told_apart_and_stays() {
    let target = target(json!({}));
    assert_eq!(held(&target, "bob").await, Held::Inherited);
    give(&target, "bob", prod(), None).await.unwrap();
    assert_eq!(held(&target, "bob").await, Held::DirectAndInherited);
    take(&target, "bob", prod()).await.unwrap();
    assert_eq!(held(&target, "bob").await, Held::Inherited);
}

#[tokio::test(start_paused = true)]
async fn p8_an_address_finds_exactly_one_active_account() {
    let target = target(json!({}));
    let resolve = async |address: &str| target.resolve(address).await.unwrap();
    assert_eq!(resolve("ANN@example.com").await, Resolved::Account(id("ann")));
    assert_eq!(resolve("ann+x@example.com").await, Resolved::Doubt(Doubt::Unmatched));
    assert_eq!(resolve("idle@example.com").await, Resolved::Doubt(Doubt::Inactive));
    let twin = Account { id: id("twin"), address: "ann@EXAMPLE.com".to_owned(), active: true };
    target.others(OthersAct::Account(twin));
    assert_eq!(resolve("ann@example.com").await, Resolved::Doubt(Doubt::Ambiguous));
    target.others(OthersAct::Delete(id("ann")));
    assert_eq!(resolve("ann@example.com").await, Resolved::Account(id("twin")));
    assert_eq!(target.is_active(&id("ann")).await, Ok(None));
    assert_eq!(target.is_active(&id("idle")).await, Ok(Some(false)));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_refused_for_good() {
    let target = target(json!({}));
    let permanent = |answer: Result<Accepted, TargetError>| matches!(answer, Err(TargetError::Permanent(_)));
    assert!(permanent(give(&target, "ann", group("hr"), None).await), "unmanageable");
    assert!(permanent(give(&target, "ann", group("gone"), None).await), "no such group");
    assert!(permanent(give(&target, "ann", role(), Some("king")).await), "no such role");
    assert!(permanent(give(&target, "ann", role(), None).await), "a role has no members");
    assert!(permanent(give(&target, "ann", prod(), Some("admin")).await), "a group has no value");
    assert!(permanent(give(&target, "idle", prod(), None).await), "not in use");
    assert!(permanent(target.extend(&order("cat", prod(), None, None), at(9)).await), "no end of its own");
    assert_eq!(take(&target, "idle", prod()).await, Ok(DONE), "a revocation is for everybody");
    let gone = TargetError::AccountGone("who".to_owned());
    assert_eq!(give(&target, "who", prod(), None).await, Err(gone.clone()));
    assert_eq!(take(&target, "who", prod()).await, Err(gone.clone()));
    assert_eq!(target.observe(&id("who"), &prod()).await, Err(gone));
    assert_eq!(target.effects(), []);
}

#[tokio::test(start_paused = true)]
async fn the_catalog_is_read_page_by_page() {
    let groups: Vec<Value> = (0..120).map(|n| json!({"id": format!("g-{n:03}")})).collect();
    let target = target(json!({"groups": groups}));
    let (mut pages, mut listed, mut next) = (0, BTreeSet::new(), None);
    loop {
        let page = target.catalog(next.as_deref()).await.unwrap();
        pages += 1;
        listed.extend(page.entitlements.into_iter().map(|entry| entry.entitlement.to_string()));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!((pages, listed.len()), (3, 123), "120 groups and 3 roles");
    assert!(listed.contains("app/group/g-119") && listed.contains("app/role/admin"));
    assert!(target.catalog(Some("x")).await.is_err());
    assert_eq!(target.check().await.unwrap(), "app");
}

#[tokio::test(start_paused = true)]
async fn a_read_shows_a_change_only_once_it_has_propagated() {
    let target = target(json!({"propagation": "5s"}));
    give(&target, "ann", prod(), None).await.unwrap();
    assert_eq!(held(&target, "ann").await, Held::No);
    sleep(seconds(3)).await;
    take(&target, "ann", prod()).await.unwrap();
    assert_eq!(held(&target, "ann").await, Held::No);
    sleep(seconds(2)).await;
    assert_eq!(held(&target, "ann").await, Held::Direct, "the grant has come through, the revocation has not");
    assert_eq!(members(&target), ["cat".to_owned()].into(), "the truth is not delayed");
    sleep(seconds(3)).await;
    assert_eq!(held(&target, "ann").await, Held::No);
}

#[tokio::test(start_paused = true)]
async fn p5_an_asynchronous_operation_is_done_when_its_time_has_come() {
    let target = target(json!({"asynchronous": "3s"}));
    assert_eq!(target.capabilities("group").asynchronous, Some(Duration::from_secs(3)));
    let Ok(Accepted::Pending { operation, after }) = give(&target, "ann", prod(), None).await else {
        panic!("pending")
    };
    for _ in 0..3 {
        assert_eq!(target.poll(&operation).await, Ok(Accepted::Pending { operation: operation.clone(), after }));
        assert_eq!(held(&target, "ann").await, Held::No);
        sleep(after).await;
    }
    for _ in 0..2 {
        assert_eq!(target.poll(&operation).await, Ok(DONE), "also when asked again");
    }
    assert_eq!(held(&target, "ann").await, Held::Direct);
    assert!(matches!(target.poll("x").await, Err(TargetError::Permanent(_))));
}

#[tokio::test(start_paused = true)]
async fn p5_an_operation_may_fail_late() {
    for keys in [json!({"asynchronous": "1s"}), json!({})] {
        let target = target(keys);
        target.inject(Fault { times: Some(1), ..Fault::always(FaultKind::LateFailure) });
        let Ok(Accepted::Pending { operation, after }) = take(&target, "cat", prod()).await else { panic!("pending") };
        assert!(matches!(target.poll(&operation).await, Ok(Accepted::Pending { .. })));
        sleep(after).await;
        assert!(matches!(target.poll(&operation).await, Err(TargetError::Conflict(_))));
        assert_eq!(held(&target, "cat").await, Held::Direct);
    }
}

#[tokio::test(start_paused = true)]
async fn p5_a_lie_is_accepted_and_does_nothing() {
    let target = target(json!({"faults": [{"fault": "lie", "on": "revoke", "group": "prod", "times": 1}]}));
    assert_eq!(take(&target, "cat", prod()).await, Ok(DONE));
    assert_eq!(held(&target, "cat").await, Held::Direct);
    assert_eq!(take(&target, "cat", prod()).await, Ok(DONE));
    assert_eq!(held(&target, "cat").await, Held::No);
}

#[tokio::test(start_paused = true)]
async fn definite_refusals_do_nothing_and_say_how_long_to_wait() {
    let detail = || "the sandbox's script says so".to_owned();
    let after = Some(seconds(7));
    let cases = [
        ("fail", TargetError::Transient { after, detail: detail() }),
        ("throttled", TargetError::Throttled { after, detail: detail() }),
        ("conflict", TargetError::Conflict(detail())),
        ("permanent", TargetError::Permanent(detail())),
    ];
    for (fault, error) in cases {
        let target = target(json!({"faults": [{"fault": fault, "after": "7s", "times": 3, "account": "ann"}]}));
        assert_eq!(give(&target, "bob", prod(), None).await, Ok(DONE), "another account is not struck");
        assert_eq!(give(&target, "ann", prod(), None).await, Err(error.clone()));
        assert_eq!(take(&target, "ann", prod()).await, Err(error.clone()));
        assert_eq!(target.observe(&id("ann"), &prod()).await, Err(error));
        assert_eq!(held(&target, "ann").await, Held::No, "{fault}: nothing happened, and it struck three times");
    }
}

#[tokio::test(start_paused = true)]
async fn p10_a_lost_answer_leaves_open_whether_it_happened() {
    for (fault, there) in [("lost_before", Held::No), ("lost_after", Held::Direct)] {
        let target = target(json!({"faults": [{"fault": fault, "on": "grant"}]}));
        assert!(matches!(give(&target, "ann", prod(), None).await, Err(TargetError::Lost(_))));
        assert_eq!(held(&target, "ann").await, there, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn r1_a_slow_call_acts_after_its_client_has_given_up() {
    let script = json!({"deadline": "10s", "faults": [{"fault": "slow", "on": "grant", "after": "25s"}]});
    let target = target(script);
    let started = Instant::now();
    assert!(matches!(give(&target, "ann", prod(), None).await, Err(TargetError::Lost(_))));
    assert_eq!(started.elapsed(), seconds(10));
    assert_eq!(take(&target, "ann", prod()).await, Ok(DONE), "a revocation that did not wait");
    assert_eq!(held(&target, "ann").await, Held::No);
    sleep(seconds(15)).await;
    assert_eq!(held(&target, "ann").await, Held::Direct, "the grant came in second 25");
}

#[tokio::test(start_paused = true)]
async fn p10_a_call_acts_although_its_caller_is_gone() {
    let target = target(json!({"latency_ms": 150}));
    let call = give(&target, "ann", prod(), None);
    assert!(tokio::time::timeout(Duration::from_millis(10), call).await.is_err(), "the caller is killed");
    assert_eq!(members(&target), ["cat".to_owned()].into());
    sleep(Duration::from_millis(140)).await;
    assert!(members(&target).contains("ann"));
}

#[tokio::test(start_paused = true)]
async fn a_read_is_as_old_as_its_request() {
    let target = target(json!({"latency_ms": 150}));
    let started = Instant::now();
    let (seen, granted) = tokio::join!(held(&target, "ann"), give(&target, "ann", prod(), None));
    assert_eq!((seen, granted, started.elapsed()), (Held::No, Ok(DONE), Duration::from_millis(150)));
    assert_eq!(held(&target, "ann").await, Held::Direct);
    target.inject(Fault::always(FaultKind::Slow));
    assert!(
        matches!(target.check().await, Err(TargetError::Transient { .. })),
        "a read that is too slow changes nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_side_by_side_conflict_where_the_target_minds() {
    for (serialize, conflicts) in [("place", (true, false)), ("account", (false, true)), ("app", (true, true))] {
        let target = target(json!({"serialize": serialize, "latency_ms": 100}));
        let key = |account: &str, place: Place| target.turns(&id(account), &place);
        let (first, same_place, same_account) = tokio::join!(
            give(&target, "ann", prod(), None),
            give(&target, "bob", prod(), None),
            give(&target, "ann", role(), Some("admin"))
        );
        assert_eq!(first, Ok(DONE));
        let conflict = |answer: &Result<Accepted, TargetError>| matches!(answer, Err(TargetError::Conflict(_)));
        assert_eq!((conflict(&same_place), conflict(&same_account)), conflicts, "{serialize}");
        assert_eq!(key("ann", prod()) == key("bob", prod()), conflicts.0, "{serialize}: the key says so");
        assert_eq!(key("ann", prod()) == key("ann", role()), conflicts.1, "{serialize}: the key says so");
        assert_eq!(give(&target, "bob", prod(), None).await, Ok(DONE), "one after the other is fine");
    }
    assert_eq!(target(json!({})).turns(&id("ann"), &prod()), []);
    let target = target(json!({"serialize": {"by": "app", "turns": 2}, "latency_ms": 100}));
    let (first, second, third) = tokio::join!(
        give(&target, "ann", prod(), None),
        give(&target, "bob", prod(), None),
        give(&target, "ann", role(), Some("admin"))
    );
    assert_eq!((first, second), (Ok(DONE), Ok(DONE)), "two turns bear two calls");
    assert!(matches!(third, Err(TargetError::Conflict(_))), "and no third: {third:?}");
    assert_eq!(target.turns(&id("ann"), &prod())[0].turns.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_over_the_limit_are_throttled_until_there_is_room() {
    let target = target(json!({"limit": {"calls": 2, "every": "4s"}}));
    assert_eq!(held(&target, "ann").await, Held::No);
    sleep(seconds(1)).await;
    assert_eq!(held(&target, "ann").await, Held::No);
    let Err(TargetError::Throttled { after: Some(after), .. }) = give(&target, "ann", prod(), None).await else {
        panic!("throttled, with a time to wait")
    };
    assert_eq!(after, seconds(3));
    sleep(after).await;
    assert_eq!(give(&target, "ann", prod(), None).await, Ok(DONE));
}

#[tokio::test(start_paused = true)]
async fn p2_the_target_ends_access_by_itself_at_the_time_it_was_last_given() {
    let target = target(json!({"native_end": true}));
    assert!(target.capabilities("group").native_end && !target.capabilities("role").native_end);
    let until = |end: u64| Accepted::Done { receipt: None, native_end: Some(at(end)) };
    assert_eq!(give_until(&target, "ann", prod(), None, Some(at(5))).await, Ok(until(5)));
    assert_eq!(target.extend(&order("ann", prod(), None, None), at(9)).await, Ok(until(9)));
    give_until(&target, "cat", prod(), None, Some(at(3))).await.unwrap();
    assert_eq!(target.observe(&id("ann"), &prod()).await.unwrap().native_end, Some(at(9)));
    sleep(seconds(8)).await;
    assert_eq!(held(&target, "ann").await, Held::Direct);
    sleep(seconds(1)).await;
    assert_eq!(held(&target, "ann").await, Held::No);
    assert_eq!(held(&target, "cat").await, Held::Direct, "standing access was given no end");
    let last = target.effects().pop().unwrap();
    assert_eq!((last.at, last.by, last.change), (at(9), By::NativeEnd, Change::Removed));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_account_takes_its_access_with_it() {
    let target = target(json!({"others": [{"at": "4s", "delete": "ann"}, {"at": "4s", "account":
        {"id": "bob", "address": "bob@example.com", "active": false}}]}));
    give(&target, "ann", prod(), None).await.unwrap();
    sleep(seconds(4)).await;
    assert_eq!(target.is_active(&id("bob")).await, Ok(Some(false)));
    assert!(matches!(take(&target, "ann", prod()).await, Err(TargetError::AccountGone(_))));
    assert_eq!(target.truth(), target.without_us());
    assert!(!target.truth().roles.contains_key(&id("ann")));
}

#[tokio::test(start_paused = true)]
async fn adapters_of_one_app_share_one_target() {
    let world = SandboxWorld::new(epoch(), clock());
    let (app, script) =
        ("app".parse().unwrap(), json!({"groups": [{"id": "prod"}], "accounts": [{"id": "ann", "address": "a@b"}]}));
    let provisioning = world.target(&app, &script).unwrap();
    let revocation = world.target(&app, &script).unwrap();
    give(&provisioning, "ann", prod(), None).await.unwrap();
    assert_eq!(held(&revocation, "ann").await, Held::Direct);
    let other = world.target(&"other".parse().unwrap(), &script).unwrap();
    assert_eq!(held(&other, "ann").await, Held::No);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_script_is_refused_with_its_key() {
    let wrong = [
        (json!({"account": []}), "", "unknown field `account`"),
        (json!({"accounts": [{"id": "a"}]}), "accounts[0]", "missing field `address`"),
        (json!({"accounts": [{"id": "a", "address": ""}, {"id": "a", "address": ""}]}), "accounts[1].id", "twice"),
        (json!({"groups": [{"id": "g"}, {"id": "g"}]}), "groups[1].id", "twice"),
        (json!({"groups": [{"id": "g", "members": ["a"]}]}), "groups[0].members[0]", "none of the accounts"),
        (json!({"roles": {"order": ["x", "x"]}}), "roles.order[1]", "twice"),
        (
            json!({"accounts": [{"id": "a", "address": ""}], "roles": {"order": ["x"], "values": {"a": "y"}}}),
            "roles.values.a",
            "order",
        ),
        (json!({"propagation": "soon"}), "propagation", "not a duration"),
        (json!({"deadline": "0s"}), "deadline", "1s"),
        (json!({"latency_ms": -1}), "latency_ms", "expected u32"),
        (json!({"serialize": "all"}), "serialize", "unknown variant"),
        (json!({"serialize": {"by": "app", "turns": 0}}), "serialize", "nonzero"),
        (json!({"limit": {"calls": 0, "every": "1s"}}), "limit.calls", "at least 1"),
        (json!({"faults": [{"fault": "lie", "on": "observe"}]}), "faults[0].on", "grant, revoke and extend"),
        (json!({"faults": [{"fault": "fail", "group": "g"}]}), "faults[0].group", "none of the groups"),
        (json!({"faults": [{"fault": "fail", "from": "3s", "to": "3s"}]}), "faults[0].to", "later"),
        (json!({"others": [{"at": "1s", "add": "a", "group": "g"}]}), "others[0].add", "none of the accounts"),
        (json!({"groups": [{"id": "g"}], "others": [{"at": "1s", "group": "g"}]}), "others[0]", "say one of"),
    ];
    for (script, key, problem) in wrong {
        let error = SandboxTarget::new("app".parse().unwrap(), &script, epoch(), clock()).unwrap_err();
        assert!(error.key.starts_with(key) && error.problem.contains(problem), "{script}: {error}");
    }
}
