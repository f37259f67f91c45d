//! The first minutes: help, a first file, and a check that says what to do.

use dutykey_tests::scim::{FakeScim, Group, TOKEN, User};
use serde_json::json;

use super::bench::{Bench, CONFIG, ROTA};

#[test]
fn help_version_schema_and_the_demonstrations_own_file() {
    let bench = Bench::empty("help");
    bench.run("--help").exits(0).says(&["forecast", "audit", "Keeps access in step with the on-call rota"]);
    bench.run("--version").exits(0).says(&["dutykey "]);
    bench.run("brake release --help").exits(0).says(&["DIGEST"]);
    bench.run("frobnicate").exits(2);
    let schema = bench.run("schema").exits(0).json();
    assert_eq!(schema["title"], json!("Dutykey configuration"));
    let shown = bench.run("demo --show-config").exits(0).stdout;
    bench.write("dutykey.yaml", &shown);
    bench.run("check --json").exits(0);
}

#[test]
fn a_first_file_is_sound_and_is_never_overwritten() {
    let bench = Bench::empty("init");
    bench.run("init").exits(0).says(&["dutykey check"]);
    let written = bench.read("dutykey.yaml");
    bench.run("init").exits(2).says(&["never overwritten"]);
    assert_eq!(bench.read("dutykey.yaml"), written);
    // Its rota and its token are not there yet: both are named, and no line of the file is at fault.
    let answer = bench.run("check --json").exits(1).json();
    assert_eq!(answer["config"], json!([]), "{answer:#}");
    assert_eq!((&answer["sources"][0]["ok"], &answer["apps"][0]["ok"]), (&json!(false), &json!(false)), "{answer:#}");
    assert!(answer["apps"][0]["error"].as_str().is_some_and(|error| error.contains("SCIM_TOKEN")), "{answer:#}");
}

#[test]
fn a_sound_company_is_sound() {
    let bench = Bench::company("sound");
    let answer = bench.run("check --json").exits(0).json();
    let expected = json!({
        "ok": true, "config": [],
        "sources": [{"id": "rota", "ok": true, "people": 3, "rotations": 1, "error": null}],
        "apps": [{"id": "directory", "ok": true, "tenant": "directory", "error": null}],
        "people": [],
    });
    assert_eq!(answer, expected);
    bench.run("check").exits(0).says(&["sound", "no `notify` channel"]);
}

#[test]
fn p1_a_channel_that_could_tell_nobody_is_named_with_the_secret_that_is_missing() {
    let bench = Bench::company("notify");
    let notify = "notify: [{ id: ops, url: { env: OPS_HOOK }, secret: { env: OPS_KEY }, on: [overdue] }]\nprofiles:\n";
    bench.write("dutykey.yaml", &CONFIG.replace("profiles:\n", notify));
    let run = |variables: &[(&str, &str)]| bench.run_with("check --json", variables);
    let answer = run(&[("OPS_HOOK", "https://hooks.example.com/s3cr3t")]).exits(1).json();
    let error = answer["notify"][0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("OPS_KEY") && !error.contains("OPS_HOOK"), "the missing one is named: {answer:#}");
    bench.run("check").exits(1).says(&["notify", "OPS_HOOK", "OPS_KEY", "NOT ready"]);
    let answer = run(&[("OPS_HOOK", "hooks.example.com/s3cr3t"), ("OPS_KEY", "whsec_?")]).exits(1);
    let error = answer.json()["notify"][0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("url") && error.contains("base64"), "{error}");
    assert!(!format!("{}{}", answer.stdout, answer.stderr).contains("s3cr3t"), "a secret was shown");
    let sound = run(&[("OPS_HOOK", "https://hooks.example.com/s3cr3t"), ("OPS_KEY", "a-key")]).exits(0).json();
    assert_eq!(sound["notify"], json!([{"id": "ops", "ok": true, "error": null}]), "{sound:#}");
}

#[test]
fn a_fault_of_the_file_is_named_with_its_line_and_key() {
    let bench = Bench::company("faulty");
    bench.write("dutykey.yaml", &CONFIG.replace("lease: 4h", "leese: 4h").replace("'rota:primary'", "'pager:primary'"));
    let answer = bench.run("check --json").exits(2).json();
    let line = CONFIG.lines().position(|line| line.contains("lease")).expect("the file has it") + 1;
    let problems = answer["config"].as_array().expect("problems");
    let at = |part: &str| problems.iter().find(|problem| problem["key"].as_str().is_some_and(|key| key.contains(part)));
    for part in ["leese", "rotations"] {
        assert_eq!(at(part).map(|problem| &problem["line"]), Some(&json!(line)), "{part}: {answer:#}");
    }
    for command in ["check", "forecast", "plan", "apply"] {
        bench.run(command).exits(2).says(&[&format!("line {line}"), "leese"]);
    }
    bench.run("check --config elsewhere.yaml").exits(2).says(&["elsewhere.yaml"]);
    assert!(!bench.has("dutykey.db"), "nothing was made of a faulty file");
}

#[test]
fn a_name_that_the_app_does_not_have_is_a_fault_of_its_line() {
    let bench = Bench::company("name");
    bench.write("dutykey.yaml", &CONFIG.replace("name: prod-oncall }\n    enroll", "name: prod-onkall }\n    enroll"));
    let line = CONFIG.lines().position(|line| line.contains("app: directory, kind")).expect("the file has it") + 1;
    let answer = bench.run("check --json").exits(2).json();
    assert_eq!(answer["config"][0]["line"], json!(line), "{answer:#}");
    bench.run("apply").exits(2).says(&["prod-onkall", &format!("line {line}")]);
    assert!(!bench.has("dutykey.db"), "nothing was applied");
}

#[test]
fn everything_that_is_wrong_out_there_is_found_in_one_run() {
    let bench = Bench::company("wrong");
    let more = "  - { id: other, target: sandbox, script: { tenant: directory, groups: [] } }
profiles:
  - id: lost
    name: Lost
    entitlements: [{ app: directory, kind: group, id: g-gone }]
    enrollment: { rotations: ['pager:gone'], lead: 0s, grace: 0s, lease: 1h }
";
    let pager = "  - { id: pager, platform: sandbox, script: { users: [], rotations: [] } }\napps:\n";
    let text = CONFIG.replace("profiles:\n", more).replace("apps:\n", pager);
    bench.write("dutykey.yaml", &text.replace("        - { id: acc-cat, address: cat@example.com }\n", ""));
    bench.write("rota.ics", &ROTA.replace("mailto:bob@", "mailto:cat@"));
    let answer = bench.run("check --json").exits(1).json();
    let error = |pointer: &str| answer.pointer(pointer).and_then(|error| error.as_str()).unwrap_or_default().to_owned();
    assert!(error("/sources/1/error").contains("pager:gone"), "a rotation that is not there: {answer:#}");
    assert!(error("/apps/0/error").contains("g-gone"), "an entitlement that is not there: {answer:#}");
    assert!(error("/apps/1/error").contains("same tenant"), "two apps, one tenant (R5): {answer:#}");
    let cat = json!([{"source": "rota", "user": "cat@example.com", "app": "directory", "problem": "unmatched"}]);
    assert_eq!(answer["people"], cat, "Cat has no account: {answer:#}");
}

#[tokio::test]
async fn a_refused_token_is_named_and_never_shown() {
    let scim = FakeScim::start().await;
    scim.state(|world| {
        let user = |name: &str| User { user_name: name.to_owned(), emails: vec![name.to_owned()], active: true };
        for person in ["ann", "bob", "cat"] {
            world.users.insert(format!("u-{person}"), user(&format!("{person}@example.com")));
        }
        world.groups.insert("g-prod".to_owned(), Group { name: "prod-oncall".to_owned(), members: Default::default() });
    });
    let (before, rest) = CONFIG.split_once("  - id: directory\n").expect("an app");
    let (_, after) = rest.split_once("profiles:\n").expect("profiles");
    let app =
        format!("  - {{ id: directory, target: scim, base_url: '{}', token: {{ env: TOKEN }} }}\n", scim.base_url());
    let text = format!("{before}{app}profiles:\n{after}");
    let run = |token: &'static str| {
        let text = text.clone();
        tokio::task::spawn_blocking(move || {
            let bench = Bench::company(&format!("scim-{}", token.len()));
            bench.write("dutykey.yaml", &text);
            bench.run_with("check --json", &[("TOKEN", token), ("NO_PROXY", "127.0.0.1")])
        })
    };
    let refused = run("a-wrong-token").await.expect("a run").exits(1);
    let said = refused.json();
    let error = said["apps"][0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("token") || error.contains("credential"), "it says what to do: {error}");
    assert!(!format!("{}{}", refused.stdout, refused.stderr).contains("a-wrong-token"), "a secret was shown");
    assert_eq!(said["sources"][0]["ok"], json!(true), "the source is checked all the same: {said:#}");
    let sound = run(TOKEN).await.expect("a run").exits(0).json();
    assert_eq!(sound["ok"], json!(true), "{sound:#}");
}
