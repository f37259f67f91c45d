//! Plan, show, apply.

use serde_json::json;

use super::bench::{Bench, CONFIG};

#[test]
fn a_plan_shows_what_apply_then_does_and_afterwards_there_is_nothing_to_do() {
    let bench = Bench::company("plan");
    let plan = bench.run("plan --json").exits(0).json();
    assert_eq!(plan["version"], json!(0));
    assert!(plan["gains"].as_array().is_some_and(|gains| !gains.is_empty()), "somebody is always on call: {plan:#}");
    assert_eq!((&plan["losses"], &plan["ends_now"]), (&json!([]), &json!([])));
    assert!(!bench.has("dutykey.db"), "a plan writes nothing");
    bench.run("apply").exits(0).says(&["+ profile on-call", "version 1 is in force"]);
    bench.run("plan").exits(0).says(&["no changes"]);
    bench.run("apply").exits(0).says(&["no changes"]);
    assert_eq!(
        bench.run("apply --json").exits(0).json()["applied"],
        json!(1),
        "an apply without a change makes no version"
    );
}

#[test]
fn whoever_loses_access_is_counted_and_nothing_is_applied_unasked() {
    let bench = Bench::company("losing");
    bench.run("apply").exits(0);
    bench.write("dutykey.yaml", &CONFIG.replace("    name: On-call\n", "    name: On-call\n    mode: observe\n"));
    let plan = bench.run("plan --json").exits(0).json();
    assert!(plan["losses"].as_array().is_some_and(|losses| !losses.is_empty()), "{plan:#}");
    let modes = plan.pointer("/changes/0/keys/0");
    assert_eq!(modes, Some(&json!({"key": "mode", "before": "enforce", "after": "observe"})), "{plan:#}");
    bench.run("apply").exits(2).says(&["lose", "--yes"]);
    bench.run("plan").exits(0).says(&["~ profile on-call"]);
    bench.run("apply --yes").exits(0).says(&["version 2 is in force"]);
    bench.run("plan").exits(0).says(&["no changes"]);
}

#[test]
fn what_cannot_be_foreseen_is_not_applied_unasked() {
    let bench = Bench::company("unforeseen");
    bench.write("rota.ics", "not a calendar");
    bench.run("plan").exits(1).says(&["not everything can be foreseen", "rota"]);
    bench.run("apply").exits(2).says(&["--yes"]);
    assert!(!bench.has("dutykey.db"), "nothing was applied");
    bench.run("apply --yes").exits(0).says(&["version 1"]);
}

#[test]
fn commands_that_read_say_which_data_file_is_missing() {
    let bench = Bench::company("missing");
    let prolong = "prolong rota:primary --until 2026-11-23T12:00:00Z --reason outage";
    for command in ["brake list", "brake release abc", prolong, "audit export --out e.jsonl", "backup copy.db"] {
        bench.run(&format!("{command} --data gone.db")).exits(2).says(&["gone.db"]);
    }
    assert!(!bench.has("gone.db") && !bench.has("e.jsonl") && !bench.has("copy.db"), "none of them makes a file");
    bench.run("apply").exits(0);
    assert_eq!(bench.run("brake list --json").exits(0).json(), json!({"held": [], "people": []}));
    bench.run("brake release abc").exits(2).says(&["no change whose digest begins with `abc`"]);
    bench.run(prolong).exits(2).says(&["there is no rotation rota:primary"]);
}
