//! Each way in which a change may give its author more, and what is no more.

use super::*;
use crate::forecast::Shown;
use crate::installation::{BrakeSettings, NotifyChannel, SecretRef, Source, TargetSettings};
use crate::profile::Automatic;
use crate::testing::{id, installation, minute, person};

fn entitlement(name: &str) -> EntitlementRef {
    EntitlementRef { app: id("directory"), kind: "group".to_owned(), id: name.to_owned() }
}

/// An administrator whom `pd` knows.
fn author() -> Author {
    Author {
        person: person(1),
        addresses: ["ann@example.com".to_owned()].into(),
        groups: ["admins".to_owned()].into(),
        sources: [id("pd")].into(),
        unseen: BTreeSet::new(),
    }
}

fn step(approvers: Approvers) -> Step {
    Step { approvers, any: 1 }
}

fn lead() -> Step {
    step(Approvers::People(["lead@example.com".to_owned()].into()))
}

fn service(rotations: &[&str], steps: &[Step]) -> SelfService {
    SelfService {
        rotations: rotations.iter().map(|text| id(text)).collect(),
        max_duration: Duration::from_secs(3_600),
        justification_required: true,
        expires: Duration::from_secs(600),
        steps: steps.to_vec(),
    }
}

/// Whoever is on call in a rotation where the author is known may ask the lead for `prod`.
fn profile() -> Profile {
    Profile {
        id: id("prod"),
        version: 1,
        name: "Production".to_owned(),
        entitlements: vec![entitlement("prod")],
        mode: Mode::Enforce,
        enrollment: None,
        self_service: Some(service(&["pd:primary"], &[lead()])),
        self_override: SelfOverride::Hold,
        override_lock: Duration::from_secs(600),
        break_glass: None,
    }
}

/// What the change from the profile gives its author.
fn by(change: impl FnOnce(&mut Profile)) -> Vec<Power> {
    let mut after = profile();
    change(&mut after);
    gain(&author(), Some(&profile()), &after, &[]).into_iter().collect()
}

#[test]
fn r20_what_changes_nothing_for_its_author_is_no_gain() {
    assert_eq!(by(|_| {}), []);
    assert_eq!(by(|it| it.name = "Other".to_owned()), []);
    assert_eq!(by(|it| it.entitlements.clear()), [], "less is not more");
    assert_eq!(by(|it| it.self_service = None), []);
    assert_eq!(by(|it| it.self_service = Some(service(&["pd:primary"], &[lead(), lead()]))), [], "one more approval");
    let elsewhere = service(&["other:primary", "pd:primary"], &[lead()]);
    assert_eq!(by(|it| it.self_service = Some(elsewhere)), [], "nobody knows the author there");
    let others = BreakGlass {
        people: ["bob@example.com".to_owned()].into(),
        groups: ["sre".to_owned()].into(),
        max_duration: Duration::from_secs(60),
    };
    assert_eq!(by(|it| it.break_glass = Some(others)), []);
    assert_eq!(by(|it| it.override_lock = Duration::from_secs(1_200)), []);
}

#[test]
fn r20_an_entitlement_that_the_author_may_then_ask_for() {
    let ask = |name: &str| Power::Ask(entitlement(name));
    assert_eq!(by(|it| it.entitlements.push(entitlement("db"))), [ask("db")]);
    assert_eq!(by(|it| it.self_service = Some(service(&["pd:primary", "pd:second"], &[lead()]))), [ask("prod")]);
    assert_eq!(by(|it| it.self_service = Some(service(&["pd:primary"], &[]))), [ask("prod")], "nobody approves");
    let friend = step(Approvers::People(["friend@example.com".to_owned()].into()));
    assert_eq!(by(|it| it.self_service = Some(service(&["pd:primary"], &[friend]))), [ask("prod")], "their own choice");
    let longer = SelfService { max_duration: Duration::from_secs(7_200), ..service(&["pd:primary"], &[lead()]) };
    assert_eq!(by(|it| it.self_service = Some(longer)), [ask("prod")]);
    assert_eq!(gain(&author(), None, &profile(), &[]), [ask("prod")].into(), "a new profile");
    let observed = Profile { mode: Mode::Observe, ..profile() };
    assert_eq!(gain(&author(), Some(&observed), &profile(), &[]), [ask("prod")].into(), "it begins to act");
    assert_eq!(gain(&author(), None, &observed, &[]), BTreeSet::new(), "it gives nothing");
}

#[test]
fn r20_what_the_author_may_ask_for_lasts_longer_with_a_longer_grace() {
    let graced = |seconds: u64| {
        let rule = Automatic {
            rotations: [id("other:primary")].into(),
            lead: Duration::ZERO,
            grace: Duration::from_secs(seconds),
            lease: Duration::from_secs(3_600),
        };
        Profile { enrollment: Some(rule), ..profile() }
    };
    let longer: BTreeSet<Power> = [Power::Ask(entitlement("prod"))].into();
    assert_eq!(gain(&author(), Some(&graced(60)), &graced(61), &[]), longer, "a request outlives its duty by it");
    assert_eq!(gain(&author(), Some(&profile()), &graced(1), &[]), longer, "there was none before");
    assert_eq!(gain(&author(), Some(&graced(60)), &graced(60), &[]), BTreeSet::new());
    assert_eq!(gain(&author(), Some(&graced(60)), &profile(), &[]), BTreeSet::new(), "less is not more");
}

#[test]
fn r20_an_entitlement_that_the_author_may_then_take() {
    let rule = |people: &[&str], groups: &[&str], seconds: u64| BreakGlass {
        people: people.iter().map(|one| (*one).to_owned()).collect(),
        groups: groups.iter().map(|one| (*one).to_owned()).collect(),
        max_duration: Duration::from_secs(seconds),
    };
    let take = |rule: BreakGlass| by(|it| it.break_glass = Some(rule));
    assert_eq!(take(rule(&["ann@example.com"], &[], 60)), [Power::Take(entitlement("prod"))], "by their address");
    assert_eq!(take(rule(&[], &["admins"], 60)), [Power::Take(entitlement("prod"))], "by their group");
    let before = Profile { break_glass: Some(rule(&[], &["admins"], 60)), ..profile() };
    let longer = Profile { break_glass: Some(rule(&[], &["admins"], 61)), ..profile() };
    assert_eq!(gain(&author(), Some(&before), &longer, &[]), [Power::Take(entitlement("prod"))].into());
    assert_eq!(gain(&author(), Some(&longer), &before, &[]), BTreeSet::new());
}

#[test]
fn r20_an_author_who_becomes_an_approver() {
    let with =
        |approvers: Approvers| by(|it| it.self_service = Some(service(&["pd:primary"], &[lead(), step(approvers)])));
    let approve = [Power::Approve(entitlement("prod"))];
    assert_eq!(with(Approvers::People(["ann@example.com".to_owned()].into())), approve);
    assert_eq!(with(Approvers::Groups(["admins".to_owned()].into())), approve);
    assert_eq!(with(Approvers::OnCall(id("pd:second"))), approve);
    assert_eq!(with(Approvers::OnCall(id("other:second"))), []);
}

#[test]
fn r20_an_author_who_gains_by_the_rota_that_is_known_and_by_nobody_else_s_gain() {
    let stretch = |n: u128| Stretch {
        person: Shown { id: Some(person(n)), email: None, erased: None },
        app: id("directory"),
        kind: "group".to_owned(),
        id: "prod".to_owned(),
        start: minute(0),
        end: minute(60),
    };
    let automatic = Profile {
        enrollment: Some(Automatic {
            rotations: [id("pd:primary")].into(),
            lead: Duration::ZERO,
            grace: Duration::ZERO,
            lease: Duration::from_secs(3_600),
        }),
        self_service: None,
        ..profile()
    };
    let foreseen = [stretch(1), stretch(2)];
    assert_eq!(gain(&author(), None, &automatic, &foreseen), [Power::Have(entitlement("prod"))].into());
    assert_eq!(gain(&author(), None, &automatic, &foreseen[1..]), BTreeSet::new());
    let unseen = Author { unseen: [id("pd:primary")].into(), ..author() };
    assert_eq!(
        gain(&unseen, None, &automatic, &[]),
        [Power::Have(entitlement("prod"))].into(),
        "nobody knows the rota"
    );
    assert_eq!(gain(&unseen, Some(&automatic), &automatic, &[]), BTreeSet::new(), "nothing new");
    let stranger = Author { sources: BTreeSet::new(), ..unseen };
    assert_eq!(
        gain(&stranger, None, &automatic, &[]),
        BTreeSet::new(),
        "nobody can be on call there whom it does not know"
    );
}

#[test]
fn r20_less_in_the_way_of_an_override_is_more_for_whoever_may_be_on_call() {
    assert_eq!(by(|it| it.override_lock = Duration::ZERO), [Power::Override]);
    assert_eq!(by(|it| it.self_override = SelfOverride::Flag), [Power::Override]);
    let stranger = Author { sources: BTreeSet::new(), ..author() };
    let flagged = Profile { self_override: SelfOverride::Flag, ..profile() };
    assert_eq!(gain(&stranger, Some(&profile()), &flagged, &[]), BTreeSet::new());
    let approving = |self_override: SelfOverride| {
        let steps = [step(Approvers::OnCall(id("pd:second")))];
        Profile { self_override, self_service: Some(service(&["other:primary"], &steps)), ..profile() }
    };
    let eased = gain(&author(), Some(&approving(SelfOverride::Hold)), &approving(SelfOverride::Flag), &[]);
    assert_eq!(eased, [Power::Override].into(), "who is on call there approves");
}

/// What the change of the configuration gives whoever has written it.
fn written(change: impl FnOnce(&mut Installation)) -> Vec<Power> {
    let mut after = installation();
    change(&mut after);
    configures(&installation(), &after).into_iter().collect()
}

#[test]
fn r20_what_leaves_the_configuration_or_stays_as_it_was_is_no_gain() {
    assert_eq!(written(|_| {}), []);
    assert_eq!(written(|it| it.sources.clear()), []);
    assert_eq!(written(|it| it.apps.clear()), []);
    assert_eq!(written(|it| it.apps[0].retiring = true), [], "it only ends");
    assert_eq!(written(|it| it.profiles.clear()), [], "profiles are judged one by one");
    let two = |turn: bool| {
        let mut it = installation();
        it.links.push(Link { person: "bob@example.com".to_owned(), ..it.links[0].clone() });
        if turn {
            it.links.reverse();
        }
        it
    };
    assert_eq!(configures(&two(false), &two(true)), BTreeSet::new(), "an order says nothing");
}

#[test]
fn r20_whoever_writes_who_is_who_or_where_to_ask_takes_another_administrator() {
    let setting = |key: &str| [Power::Configure(Section::Setting(key.to_owned()))];
    let links = [Power::Configure(Section::Links)];
    assert_eq!(written(|it| it.links[0].sources = [(id("rota"), "Eve".to_owned())].into()), links, "a link is a grant");
    assert_eq!(written(|it| it.links.clear()), links, "an address decides then");
    let source = |name: &str| [Power::Configure(Section::Source(id(name)))];
    assert_eq!(written(|it| it.sources[0].every *= 2), source("rota"));
    let added = written(|it| {
        let more = it.sources[0].clone();
        it.sources.push(Source { id: id("own"), ..more });
    });
    assert_eq!(added, source("own"), "it may say who is on call");
    let token = SecretRef::Secret("dutykey/scim".to_owned());
    let own = TargetSettings::Scim { base_url: "https://eve.example.com".to_owned(), token, propagation: None };
    assert_eq!(written(|it| it.apps[0].settings = own), [Power::Configure(Section::App(id("directory")))]);
    let retired = {
        let mut it = installation();
        it.apps[0].retiring = true;
        it
    };
    let back = configures(&retired, &installation());
    assert_eq!(back, [Power::Configure(Section::App(id("directory")))].into(), "it gives again");
    assert_eq!(written(|it| it.verified_domains.push("example.org".to_owned())), setting("verified_domains"));
    assert_eq!(written(|it| it.directory = Some("directory".to_owned())), setting("directory"));
    assert_eq!(written(|it| it.api.administrators.push("friends".to_owned())), setting("api"));
    assert_eq!(written(|it| it.api.origins.push("https://eve.example.com".to_owned())), setting("api"));
    assert_eq!(written(|it| it.sync.horizon *= 2), setting("sync"));
    assert_eq!(written(|it| it.brake = BrakeSettings { rotation: 100, source: 100 }), setting("brake"));
    let told = installation();
    let (url, secret) = (SecretRef::Secret("hook".to_owned()), SecretRef::Secret("key".to_owned()));
    let told =
        Installation { notify: vec![NotifyChannel { id: "ops".to_owned(), url, secret, on: Vec::new() }], ..told };
    assert_eq!(configures(&told, &installation()), setting("notify").into(), "nobody would hear of it");
}
