//! The forecast, to the instant.

use serde_json::{Value, json};

use super::bench::{Bench, CONFIG};

fn of<'a>(list: &'a Value, keys: &[&str]) -> Vec<Vec<&'a str>> {
    let row =
        |item: &'a Value| keys.iter().map(|key| item.pointer(key).and_then(Value::as_str).unwrap_or("none")).collect();
    list.as_array().expect("a list").iter().map(row).collect()
}

#[test]
fn a_weekly_rota_hands_over_at_nine_in_berlin_whatever_the_clocks_do() {
    let bench = Bench::company("forecast");
    let answer = bench.run("forecast --from 2026-03-25T00:00:00Z --days 21 --json").exits(0).json();
    // Clocks in Berlin go forward on 29 March 2026: nine o'clock is 8:00 UTC before and 7:00 UTC after.
    assert_eq!(
        of(&answer["shifts"], &["/person/email", "/start", "/end"]),
        [
            ["bob@example.com", "2026-03-23T08:00:00.000Z", "2026-03-30T07:00:00.000Z"],
            ["ann@example.com", "2026-03-30T07:00:00.000Z", "2026-04-06T07:00:00.000Z"],
            ["cat@example.com", "2026-04-07T07:00:00.000Z", "2026-04-13T07:00:00.000Z"],
            ["ann@example.com", "2026-04-13T07:00:00.000Z", "2026-04-20T07:00:00.000Z"],
        ],
        "{answer:#}"
    );
    assert_eq!(
        of(&answer["holds"], &["/person/email", "/id", "/profile", "/start", "/end"]),
        [
            ["bob@example.com", "g-prod", "on-call", "2026-03-23T07:55:00.000Z", "2026-03-30T07:10:00.000Z"],
            ["ann@example.com", "g-prod", "on-call", "2026-03-30T06:55:00.000Z", "2026-04-06T07:10:00.000Z"],
            ["cat@example.com", "g-prod", "on-call", "2026-04-07T06:55:00.000Z", "2026-04-13T07:10:00.000Z"],
            ["ann@example.com", "g-prod", "on-call", "2026-04-13T06:55:00.000Z", "2026-04-20T07:10:00.000Z"],
        ],
        "lead and grace lie around the shifts: {answer:#}"
    );
    let gap =
        json!([{"rotation": "rota:primary", "start": "2026-04-06T07:00:00.000Z", "end": "2026-04-07T07:00:00.000Z"}]);
    assert_eq!(answer["gaps"], gap, "the exception begins a day later");
    assert_eq!(
        (&answer["from"], &answer["to"]),
        (&json!("2026-03-25T00:00:00.000Z"), &json!("2026-04-15T00:00:00.000Z"))
    );
    assert_eq!(answer["holds"][0]["person"], json!({"id": null, "email": "bob@example.com"}), "nobody was stored yet");
    assert_eq!(answer["unmatched"], json!([]));
    assert!(!bench.has("dutykey.db"), "a forecast needs no table and makes none");
}

#[test]
fn access_within_its_grace_is_in_the_forecast() {
    let bench = Bench::company("grace");
    let answer = bench.run("forecast --from 2026-03-30T07:05:00Z --days 1 --json").exits(0).json();
    let holds = of(&answer["holds"], &["/person/email", "/end"]);
    assert_eq!(holds[0], ["bob@example.com", "2026-03-30T07:10:00.000Z"], "{answer:#}");
}

#[test]
fn p8_whoever_cannot_be_matched_is_shown_before_the_shift_starts() {
    let bench = Bench::company("unmatched");
    bench.write("dutykey.yaml", &CONFIG.replace("[example.com]", "[example.org]"));
    let answer = bench.run("forecast --from 2026-03-25T00:00:00Z --days 3 --json").exits(0).json();
    let unmatched = of(&answer["unmatched"], &["/user", "/rotation", "/start", "/problem"]);
    assert_eq!(unmatched, [["bob@example.com", "rota:primary", "2026-03-23T08:00:00.000Z", "unmatched"]]);
    assert_eq!(answer["holds"], json!([]));
    bench.run("forecast --from 2026-03-25T00:00:00Z --days 3").exits(0).says(&["bob@example.com", "unmatched"]);
}

#[test]
fn p6_a_file_that_is_no_calendar_is_not_an_empty_rota() {
    let bench = Bench::company("no-calendar");
    bench.write("rota.ics", "<html><body>Please sign in</body></html>");
    let answer = bench.run("forecast --days 7 --json").exits(1).says(&["source `rota`", "no forecast"]);
    assert_eq!(answer.stdout, "", "half a forecast would be taken for one");
    let checked = bench.run("check --json").exits(1).json();
    assert_eq!((&checked["ok"], &checked["sources"][0]["ok"]), (&json!(false), &json!(false)), "{checked:#}");
    assert_eq!(checked["apps"][0]["ok"], json!(true), "the app is asked all the same: {checked:#}");
}
