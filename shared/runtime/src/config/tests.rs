//! The file as a whole: what a sound one means, and that every fault of a broken one is named.

use std::path::Path;
use std::time::Duration;

use dutykey_policy::installation::{
    App, CalendarLocation, PlatformSettings, Rotations, SecretRef, TargetSettings, Topic,
};
use dutykey_policy::profile::{Approvers, Mode, SelfOverride};
use serde_json::json;

use super::*;

mod hostile;
mod schema;

const WHOLE: &str = include_str!("tests/whole.yaml");

fn parse_text(text: &str) -> Result<Document, Vec<ConfigProblem>> {
    parse(text.as_bytes(), Path::new("/etc/dutykey"))
}

fn sound(text: &str) -> Document {
    parse_text(text).unwrap_or_else(|problems| panic!("should be sound:\n{}", ConfigError::Faulty(problems)))
}

fn problems(text: &str) -> Vec<String> {
    match parse_text(text) {
        Ok(_) => panic!("should be refused:\n{text}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// The whole example with one text replaced, and the one problem that it then has.
fn broken(from: &str, to: &str) -> String {
    assert_eq!(WHOLE.matches(from).count(), 1, "`{from}` must be in the example exactly once");
    let found = problems(&WHOLE.replacen(from, to, 1));
    assert_eq!(found.len(), 1, "one fault, one problem:\n{}", found.join("\n"));
    found.into_iter().next().unwrap_or_default()
}

#[test]
fn every_key_means_what_it_says() {
    let document = sound(WHOLE);
    let names: Vec<_> = document.named().map(|n| (n.app.as_str(), n.kind.as_str(), n.name.as_str(), n.line)).collect();
    assert_eq!(names, [("directory", "group", "prod-oncall", 47), ("toys", "role", "operator", 49)]);
    let installation = document.pin(|named| Ok(format!("id-of-{}", named.name))).expect("both names are known");

    assert_eq!(installation.verified_domains, ["example.com", "example.org"]);
    assert_eq!(installation.sync.every, Duration::from_secs(120));
    assert_eq!(installation.sync.directory_every, Duration::from_secs(3_600), "the default");
    assert_eq!((installation.brake.rotation, installation.brake.source), (40, 20));
    let oidc = installation.api.oidc.expect("an issuer");
    assert_eq!((oidc.subject_claim.as_str(), oidc.groups_claim.as_str()), ("sub", "roles"));
    assert_eq!(installation.api.origins, ["https://console.example.com", "http://localhost:5173"]);
    assert_eq!(installation.notify[0].on, [Topic::Overdue, Topic::Brake]);

    let [pd, rota, feed, toy] = installation.sources.as_slice() else { panic!("four sources, in order") };
    assert_eq!(pd.every, Duration::from_secs(600), "its own interval");
    assert_eq!(pd.rotations, Rotations::Listed(vec!["PABC123".into(), "PDEF456".into(), "PPOL001@1".into()]));
    assert_eq!(
        pd.settings,
        PlatformSettings::Pagerduty {
            base_url: "https://api.eu.pagerduty.com".into(),
            token: SecretRef::Secret("dutykey/pagerduty".into()),
            webhook_secrets: vec![SecretRef::Secret("dutykey/pd-hook-old".into()), SecretRef::Env("PD_HOOK".into())],
        }
    );
    assert_eq!(rota.every, Duration::from_secs(120), "the installation's interval");
    let PlatformSettings::Icalendar { location, rotation, time_zone, .. } = &rota.settings else {
        panic!("a calendar")
    };
    assert_eq!(location, &CalendarLocation::Plain("/etc/dutykey/rota.ics".into()), "beside the file");
    assert_eq!((rotation.as_str(), time_zone.as_deref()), ("primary", Some("Europe/Berlin")));
    let PlatformSettings::Icalendar { location, rotation, .. } = &feed.settings else { panic!("a calendar") };
    assert_eq!(location, &CalendarLocation::Hidden(SecretRef::Env("FEED_URL".into())));
    assert_eq!(rotation, "main", "the default");
    let script = json!({ "people": 3, "names": ["ann", "bob"], "quiet": null, "strict": true });
    assert_eq!(toy.settings, PlatformSettings::Sandbox { script }, "a script is passed on as it is");
    assert_eq!(installation.apps[1].settings, TargetSettings::Sandbox { script: json!([1, 2.5]) });
    assert_eq!(installation.links[0].person, "ann@example.com", "an address is compared in lower case");

    let [on_call, watch] = installation.profiles.as_slice() else { panic!("two profiles, in order") };
    let ids: Vec<_> = on_call.entitlements.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(ids, ["id-of-prod-oncall", "6c5bb468-14b2-4183-baf2-06d523e03bd3", "id-of-operator"], "in order");
    assert_eq!((on_call.mode, on_call.self_override), (Mode::Enforce, SelfOverride::Flag));
    assert!(on_call.override_lock.is_zero());
    let service = on_call.self_service.as_ref().expect("self-service");
    assert_eq!(service.expires, Duration::from_secs(3_600), "the default");
    assert!(!service.justification_required);
    assert_eq!(service.steps[0].approvers, Approvers::OnCall("pd:PDEF456".parse().expect("a rotation")));
    assert_eq!(service.steps[1].any, 2);
    assert_eq!(watch.mode, Mode::Observe);
    assert!(watch.self_service.as_ref().is_some_and(|s| s.steps.is_empty() && s.justification_required));
}

#[test]
fn defaults_are_those_that_the_contract_names() {
    let document = sound(
        "version: 1\nverified_domains: [example.com]\nsources:\n  - { id: pd, platform: pagerduty, token: { env: T } }\n\
         apps:\n  - { id: a, target: sandbox, script: {} }\nprofiles:\n  - id: p\n    name: P\n    \
         entitlements: [{ app: a, kind: role, id: x }]\n    enrollment: { rotations: [\"pd:P1\"] }\n\
         notify: [{ id: ops, url: { env: U }, secret: { env: S } }]\n",
    );
    let installation = document.pin(|_| Err("there is no name".into())).expect("nothing to pin");
    let PlatformSettings::Pagerduty { base_url, .. } = &installation.sources[0].settings else { panic!("PagerDuty") };
    assert_eq!(base_url, "https://api.pagerduty.com");
    assert_eq!(installation.sources[0].rotations, Rotations::All);
    assert_eq!(installation.sync, Default::default());
    assert_eq!(installation.brake, Default::default());
    assert_eq!(installation.notify[0].on.len(), 8, "a channel is told everything");
    let profile = &installation.profiles[0];
    let enrollment = profile.enrollment.as_ref().expect("enrollment");
    let seconds = [enrollment.lead, enrollment.grace, enrollment.lease, profile.override_lock].map(|d| d.as_secs());
    assert_eq!(seconds, [60, 0, 14_400, 600]);
    assert_eq!((profile.mode, profile.self_override), (Mode::Enforce, SelfOverride::Hold));
}

#[test]
fn a_profile_said_beside_the_file_is_read_by_the_file_s_own_checks() {
    let installation = sound(WHOLE).pin(|named| Ok(format!("id-of-{}", named.name))).expect("both names are known");
    for known in &installation.profiles {
        assert_eq!(profile(words(known), &known.id, &installation), Ok(known.clone()), "its words say it");
    }
    let whole = words(&installation.profiles[0]);
    let id: ProfileId = "new".parse().expect("an ID");
    let faults = |key: &str, value: serde_json::Value, installation: &Installation| -> Vec<String> {
        let mut said = whole.clone();
        said[key] = value;
        let faults = profile(said, &id, installation).expect_err("it should be refused");
        faults.into_iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect()
    };
    let cases = [
        ("surprise", json!(1), "surprise: is not a key here"),
        ("id", json!("other"), "leave `id` out"),
        ("name", json!(""), "name: must not be empty"),
        ("entitlements", json!([]), "entitlements: is empty"),
        ("entitlements", json!([{ "app": "directory", "kind": "group", "name": "prod" }]), "must be an id here"),
        ("entitlements", json!([{ "app": "okta", "kind": "group", "id": "x" }]), "`okta` is not a configured app"),
        ("enrollment", json!({ "rotations": ["pager:main"] }), "`pager` is not a configured source"),
        ("enrollment", json!({ "rotations": ["pd:PABC123"], "lease": "1h" }), "12 reads of `pd`"),
        ("break_glass", json!({ "people": ["eve@elsewhere.org"], "max_duration": "1h" }), "outside verified_domains"),
    ];
    for (key, value, expected) in cases {
        let found = faults(key, value, &installation);
        assert!(found.len() == 1 && found[0].contains(expected), "{key}: {found:?}");
    }
    let mut retiring = installation.clone();
    retiring.apps[0].retiring = true;
    let found = faults("mode", json!("enforce"), &retiring);
    assert!(found.iter().all(|fault| fault.contains("`directory` is not a configured app")), "{found:?}");
    let faulty = profile(json!("text"), &id, &installation).expect_err("it is no mapping");
    assert!(faulty[0].message.contains("must be a mapping"), "{faulty:?}");
}

#[test]
fn an_installation_said_elsewhere_is_read_by_the_file_s_own_checks() {
    let installed = |text: &str| sound(text).pin(|named| Ok(format!("id-of-{}", named.name))).expect("known names");
    for text in [WHOLE, template()] {
        assert_eq!(installation(said(&installed(text))), Ok(installed(text)), "its words say it");
    }
    let whole = said(&installed(WHOLE));
    let faults = |key: &str, value: serde_json::Value| -> Vec<String> {
        let mut said = whole.clone();
        *said.pointer_mut(key).expect("the key is there") = value;
        let faults = installation(said).expect_err("it should be refused");
        faults.into_iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect()
    };
    let named = json!({ "app": "directory", "kind": "group", "name": "prod" });
    let cases = [
        ("/version", json!(2), "version: is 2"),
        ("/profiles/0/entitlements/0", named, "entitlements[0].name: must be an id here"),
        ("/profiles/1/id", json!("on-call"), "profiles[1].id: `on-call` is already"),
        ("/apps/0/token", json!("hunter2"), "must be { secret: NAME }"),
        ("/directory", json!("okta"), "directory: is neither an app nor a source"),
    ];
    for (key, value, expected) in cases {
        let found = faults(key, value);
        assert!(found.len() == 1 && found[0].contains(expected), "{key}: {found:?}");
        assert!(!found[0].contains("hunter2"), "what may be a secret is not repeated: {found:?}");
    }
    let mut retiring = installed(WHOLE);
    let last = retiring.apps[1].clone();
    retiring.apps.push(App { id: "leaving".parse().expect("an ID"), retiring: true, ..last });
    assert_eq!(installation(said(&retiring)), Ok(installed(WHOLE)), "nobody says what retires");
    for odd in [json!(null), json!([]), json!("text"), json!({})] {
        assert!(installation(odd.clone()).is_err(), "{odd}");
    }
}

#[test]
fn the_file_to_begin_with_is_sound_and_touches_nothing() {
    let document = sound(template());
    let installation = document.pin(|_| Ok("id".into())).expect("pinned");
    assert!(installation.profiles.iter().all(|profile| profile.mode == Mode::Observe));
}

#[test]
fn each_fault_is_named_with_its_line_and_key() {
    let cases = [
        // Keys.
        (
            "lead: 5m",
            "leed: 5m",
            "profiles[0].enrollment.leed: is not a key here; there are rotations, lead, grace, lease",
        ),
        ("audience: dutykey, ", "", "api.oidc.audience: is missing"),
        (
            "https://console.example.com, ",
            "https://console.example.com/, ",
            "api.origins[0]: is not an origin like https://console.example.com: `https`, a host, no path",
        ),
        (
            "[https://console.example.com, ",
            "['*', ",
            "api.origins[0]: is not an origin like https://console.example.com: `https`, a host, no path",
        ),
        (
            "  oidc: { issuer: https://id.example.com, audience: dutykey, claims: { groups: roles } }\n",
            "",
            "line 7: api.origins: is of no use without `oidc`: a web page calls with the token of an issuer",
        ),
        ("mode: observe", "mode:", "profiles[1].mode: has no value; give it one or remove the key"),
        ("mode: observe", "mode: dry-run", "profiles[1].mode: must be one of: enforce observe"),
        ("platform: sandbox", "platform: toy", "sources[3].platform: must be one of: pagerduty icalendar sandbox"),
        ("name: Watch", "name: 7", "profiles[1].name: must be a text; put it in quotes"),
        ("brake: { rotation: 40% }", "brake: 40%", "brake: must be a mapping with the keys rotation, source"),
        ("version: 1", "version: 2", "version: is 2; this release of Dutykey reads version 1"),
        // Values.
        ("lead: 5m", "lead: 5", "profiles[0].enrollment.lead: 5 has no unit: write it with s, m, h or d, like 5m"),
        ("horizon: 30d", "horizon: 91d", "sync.horizon: 91d cannot be; it must be from 1m to 90d"),
        ("rotation: 40%", "rotation: 0%", "brake.rotation: must be a share from 1% to 100%"),
        ("override_lock: 0", "override_lock: 2d", "profiles[0].override_lock: 2d cannot be; it must be from 0s to 1d"),
        (
            "self_override: flag",
            "self_override: hold",
            "profiles[0].self_override: cannot be `hold` with an override_lock of 0, which only flags; write `flag`, or a lock",
        ),
        (
            "any: 2",
            "any: 3",
            "profiles[0].self_service.policy[1].approvers.any: 3 approvals cannot be had; it must be from 1 to 2",
        ),
        ("Europe/Berlin", "Europe/Bonn", "sources[1].time_zone: is not an IANA time zone like Europe/Berlin"),
        (
            "https://scim.example.com/v2",
            "http://scim.example.com/v2",
            "apps[0].base_url: must begin with https://; only a service on this machine may go without",
        ),
        // R8: a lease outlasts twelve reads of the slowest source.
        (
            "lease: 2h",
            "lease: 119m",
            "profiles[0].enrollment.lease: 119m is shorter than 12 reads of `pd`, which is read every 10m; it must be at least 2h",
        ),
        // References.
        ("directory: directory\n", "directory: okta\n", "directory: is neither an app nor a source of this file"),
        (
            "app: toys, kind: role, id: viewer",
            "app: toy, kind: role, id: viewer",
            "profiles[1].entitlements[0].app: `toy` is not a configured app",
        ),
        (
            "kind: group, name",
            "kind: role, name",
            "profiles[0].entitlements[0].kind: must be `group`: a SCIM app has no others",
        ),
        (
            "\"pd:PABC123\"",
            "\"pager:PABC123\"",
            "profiles[0].enrollment.rotations[0]: `pager` is not a configured source",
        ),
        (
            "\"pd:PABC123\"",
            "\"pd:PNEW\"",
            "profiles[0].enrollment.rotations[0]: is not among the rotations that `pd` is told to read; add it there",
        ),
        (
            "\"feed:main\"",
            "\"feed:main@1\"",
            "profiles[0].self_service.rotations[1]: has a level, but `feed` is a calendar, which has none",
        ),
        (
            "\"feed:main\"",
            "\"feed:second\"",
            "profiles[0].self_service.rotations[1]: is not a rotation of `feed`; its only one is feed:main",
        ),
        (
            "on_call: \"pd:PDEF456\"",
            "on_call: \"duty:PDEF456\"",
            "profiles[0].self_service.policy[0].approvers.on_call: `duty` is not a configured source",
        ),
        (
            "on_call: \"pd:PDEF456\"",
            "on_call: \"pd:PPOL001@1\"",
            "profiles[0].self_service.policy[0].approvers.on_call: is on call where the request comes from, and nobody approves their own request; name another",
        ),
        (
            "[ann@example.com]",
            "[ann@example.net]",
            "profiles[0].break_glass.people[0]: lies outside verified_domains and is not in people.links, so it never matches anybody",
        ),
        (
            "apps: { toys: c1 }",
            "apps: { tools: c1 }",
            "people.links[1].apps.tools: `tools` is none of the apps of this file",
        ),
        // Twice.
        ("id: watch", "id: on-call", "profiles[1].id: `on-call` is already in line 44; each may be there once"),
        // R5: an account belongs to one person.
        (
            "apps: { toys: c1 }",
            "apps: { directory: 2819c223-7f76-453a-919d-413861904646 }",
            "people.links[1].apps.directory: belongs to the person in line 41 already, and can belong to one only",
        ),
        // Ways in.
        (
            "    self_service: { rotations: [\"toy:any\"], max_duration: 1h, policy: auto_approve }\n",
            "",
            "line 66: profiles[1]: gives access to nobody; it needs enrollment, self_service or break_glass",
        ),
        ("kind: role, id: viewer", "kind: role", "profiles[1].entitlements[0]: needs an id or a name"),
        (
            "policy: auto_approve",
            "policy: []",
            "profiles[1].self_service.policy: has no step; to approve without anybody write `auto_approve`",
        ),
    ];
    for (from, to, message) in cases {
        // The fault is where the example was changed, unless the case says another line.
        let before = WHOLE.split(from).next().unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let message = if message.starts_with("line ") { message.to_owned() } else { format!("line {line}: {message}") };
        assert_eq!(broken(from, to), message, "after `{from}` became `{to}`");
    }
}

#[test]
fn all_faults_are_named_at_once_and_by_line() {
    let text = "version: 1\nverified_domains: [example.com]\nsinc: { every: 1m }\nsources:\n  \
                - { id: pd, platform: pagerduty, token: hunter2 }\n  - { id: Pd, platform: pagerduty }\nprofiles:\n  \
                - id: p\n    name: P\n    entitlements: [{ app: a, kind: role, id: x }, { app: a, kind: role, id: x }]\n    \
                enrollment: { rotations: [\"pd:P1\", \"pd\"], lead: soon, lease: 5m, grace: -1m }\n";
    let found = problems(text);
    let expected = [
        "line 3: sinc: is not a key here",
        "line 5: sources[0].token: must be { secret: NAME } or { env: NAME }",
        "line 6: sources[1].id: `Pd` is not an ID",
        "line 6: sources[1].token: is missing",
        "line 10: profiles[0].entitlements[0].app: `a` is not a configured app",
        "line 10: profiles[0].entitlements[1]: `a/role/id/x` is already in line 10",
        "line 10: profiles[0].entitlements[1].app: `a` is not a configured app",
        "line 11: profiles[0].enrollment.grace: `-1m` is not a duration",
        "line 11: profiles[0].enrollment.lead: `soon` is not a duration",
        "line 11: profiles[0].enrollment.rotations[1]: `pd` is not a rotation",
    ];
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "expected `{expected}`, found `{found}`");
    }
    assert!(!found.join("\n").contains("hunter2"), "what stands where a secret's place should be is never repeated");
}

#[test]
fn an_address_is_private_and_what_may_be_a_secret_is_not_repeated() {
    let scim = "https://scim.example.com/v2";
    for fine in ["http://127.0.0.1:8080/scim/", "http://localhost", "http://[::1]:1", "https://x.test/a"] {
        let document = sound(&WHOLE.replace(scim, fine));
        let TargetSettings::Scim { base_url, .. } = &document.apps()[0].settings else { panic!("SCIM") };
        assert_eq!(base_url, fine.trim_end_matches('/'));
    }
    for fine in ["webcal://feeds.test/x", "https://feeds.test/x", "/var/rota.ics", "../rota.ics"] {
        sound(&WHOLE.replace("./rota.ics", fine));
    }
    for (from, to) in [
        (scim, "https://user:hunter2@scim.example.com"),
        (scim, "https://scim.example.com/?key=hunter2"),
        (scim, "hunter2"),
        (scim, "http://hunter2.example.com"),
        ("./rota.ics", "http://feeds.test/hunter2.ics"),
        ("./rota.ics", "file:///hunter2.ics"),
        ("{ env: SCIM_TOKEN }", "{ env: hunter2-and-more }"),
        ("{ env: SCIM_TOKEN }", "{ token: hunter2 }"),
        ("{ env: SCIM_TOKEN }", "{ secret: \"hunter2 hunter2\" }"),
        ("{ env: SCIM_TOKEN }", "[hunter2]"),
    ] {
        let found = broken(from, to);
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn p3_how_long_reads_of_a_scim_service_may_lag_is_said_within_five_minutes_or_left_to_the_default() {
    let token = "    token: { env: SCIM_TOKEN }\n";
    let lags = |text: &str| WHOLE.replacen(token, &format!("{token}    propagation: {text}\n"), 1);
    let whole = |text: &str| sound(text).pin(|named| Ok(format!("id-of-{}", named.name))).expect("known names");
    for (text, expected) in [
        (WHOLE.to_owned(), None),
        (lags("0"), Some(0)),
        (lags("0s"), Some(0)),
        (lags("30s"), Some(30)),
        (lags("5m"), Some(300)),
    ] {
        let installed = whole(&text);
        let TargetSettings::Scim { propagation, .. } = &installed.apps[0].settings else { panic!("SCIM") };
        assert_eq!(*propagation, expected.map(Duration::from_secs));
        assert_eq!(installation(said(&installed)).as_ref(), Ok(&installed), "its words say it");
        let stored = serde_json::to_value(&installed).expect("JSON");
        assert_eq!(stored["apps"][0]["settings"].get("propagation").is_some(), expected.is_some(), "R24: {stored}");
        assert_eq!(serde_json::from_value(stored).ok(), Some(installed));
    }
    assert_eq!(problems(&lags("301s")), ["line 38: apps[0].propagation: 301s cannot be; it must be from 0s to 5m"]);
    assert!(problems(&lags("10"))[0].contains("10 has no unit"));
}

#[test]
fn a_default_lease_that_is_too_short_for_its_source_is_refused_too() {
    let text = WHOLE.replace("    every: 10m\n", "    every: 30m\n").replace("      lease: 2h\n", "");
    let found = problems(&text);
    let expected =
        "line 50: profiles[0].enrollment.lease: 4h is shorter than 12 reads of `pd`, which is read every 30m";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{}", found.join("\n"));
}

#[test]
fn a_name_that_cannot_be_pinned_is_named_at_its_line() {
    let refused = sound(WHOLE).pin(|named| match named.name.as_str() {
        "prod-oncall" => Ok("6c5bb468-14b2-4183-baf2-06d523e03bd3".into()),
        other => Err(format!("there is no {other}")),
    });
    let found: Vec<_> = refused.expect_err("refused").iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "line 47: profiles[0].entitlements[0].name: is directory/group/6c5bb468-14b2-4183-baf2-06d523e03bd3, which \
             this profile already gives",
            "line 49: profiles[0].entitlements[2].name: there is no operator",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_says_which_one() {
    let error = load(Path::new("/nowhere/dutykey.yaml")).expect_err("there is none");
    assert!(error.to_string().contains("/nowhere/dutykey.yaml"), "{error}");
}
