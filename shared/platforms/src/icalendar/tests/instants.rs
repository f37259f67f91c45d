//! When shifts begin and end.

use super::*;

/// Four people in turn, a week each, Monday 09:00 to Monday 09:00 local time.
fn weekly(zone: &str, first: &str) -> String {
    let monday: jiff::civil::Date = first.parse().unwrap();
    let turn = |(index, name): (i64, &&str)| {
        let start = monday.checked_add(jiff::Span::new().weeks(index)).unwrap();
        let end = start.checked_add(jiff::Span::new().weeks(1)).unwrap();
        format!(
            "BEGIN:VEVENT\nUID:{name}\nATTENDEE:mailto:{name}@example.com\nDTSTART;TZID={zone}:{}T090000\nDTEND;TZID={zone}:{}T090000\n\
             RRULE:FREQ=WEEKLY;INTERVAL=4\nEND:VEVENT\n",
            start.strftime("%Y%m%d"),
            end.strftime("%Y%m%d"),
        )
    };
    calendar(&(0..).zip(&["ann", "bob", "cyd", "dan"]).map(turn).collect::<String>())
}

#[test]
fn a_weekly_rota_has_neither_gap_nor_overlap_at_a_dst_change_in_berlin() {
    let text = weekly("Europe/Berlin", "2026-01-05");
    assert_eq!(
        rota(&text, days("2026-03-24", "2026-04-07")),
        [
            "dan 2026-03-23T08:00:00Z 2026-03-30T07:00:00Z",
            "ann 2026-03-30T07:00:00Z 2026-04-06T07:00:00Z",
            "bob 2026-04-06T07:00:00Z 2026-04-13T07:00:00Z",
        ],
        "clocks go forward on 29 March"
    );
    assert_eq!(
        rota(&text, days("2026-10-20", "2026-10-27")),
        ["bob 2026-10-19T07:00:00Z 2026-10-26T08:00:00Z", "cyd 2026-10-26T08:00:00Z 2026-11-02T08:00:00Z"],
        "clocks go back on 25 October"
    );
}

#[test]
fn a_weekly_rota_has_neither_gap_nor_overlap_at_a_dst_change_in_new_york() {
    let text = weekly("America/New_York", "2026-01-05");
    assert_eq!(
        rota(&text, days("2026-03-03", "2026-03-10")),
        ["ann 2026-03-02T14:00:00Z 2026-03-09T13:00:00Z", "bob 2026-03-09T13:00:00Z 2026-03-16T13:00:00Z"]
    );
    assert_eq!(
        rota(&text, days("2026-10-27", "2026-11-03")),
        ["cyd 2026-10-26T13:00:00Z 2026-11-02T14:00:00Z", "dan 2026-11-02T14:00:00Z 2026-11-09T14:00:00Z"]
    );
}

#[test]
fn a_whole_year_is_covered_without_gap_or_overlap() {
    for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"] {
        let shifts =
            super::super::shifts(&weekly(zone, "2019-12-30"), &Settings::default(), days("2025-01-01", "2028-01-01"));
        let shifts = shifts.unwrap();
        assert!(shifts.len() > 155, "{zone}: three years have more weeks than {}", shifts.len());
        for pair in shifts.windows(2) {
            assert_eq!(pair[0].end.at(), Some(pair[1].start), "{zone}: {pair:?}");
        }
    }
}

#[test]
fn a_start_in_a_gap_moves_on_by_the_gap_and_in_a_fold_it_is_the_first() {
    let daily =
        "DTSTART;TZID=Europe/Berlin:20260101T023000\nDTEND;TZID=Europe/Berlin:20260101T063000\nRRULE:FREQ=DAILY";
    let text = calendar(&event("d", daily));
    let spring = ["ann 2026-03-28T01:30:00Z 2026-03-28T05:30:00Z", "ann 2026-03-29T01:30:00Z 2026-03-29T04:30:00Z"];
    assert_eq!(rota(&text, days("2026-03-28", "2026-03-30")), spring, "02:30 is 03:30 summer time on the 29th");
    let autumn = ["ann 2026-10-24T00:30:00Z 2026-10-24T04:30:00Z", "ann 2026-10-25T00:30:00Z 2026-10-25T05:30:00Z"];
    assert_eq!(rota(&text, days("2026-10-24", "2026-10-26")), autumn, "the first 02:30 is still summer time");
}

#[test]
fn what_a_gap_swallows_whole_is_no_shift() {
    let half = "DTSTART;TZID=Europe/Berlin:20260328T023000\nDTEND;TZID=Europe/Berlin:20260328T030000\nRRULE:FREQ=DAILY;COUNT=3";
    let expected = ["ann 2026-03-28T01:30:00Z 2026-03-28T02:00:00Z", "ann 2026-03-30T00:30:00Z 2026-03-30T01:00:00Z"];
    assert_eq!(rota(&calendar(&event("h", half)), days("2026-03-01", "2026-04-30")), expected);
}

#[test]
fn hourly_turns_follow_the_wall_clock_without_gap_or_overlap() {
    let hour = "DTSTART;TZID=Europe/Berlin:20100101T000000\nDTEND;TZID=Europe/Berlin:20100101T080000\nRRULE:FREQ=HOURLY;INTERVAL=8";
    let text = calendar(&event("h", hour));
    for window in [days("2026-03-27", "2026-04-01"), days("2026-10-23", "2026-10-28")] {
        let shifts = super::super::shifts(&text, &Settings::default(), window).unwrap();
        assert!(shifts.windows(2).all(|pair| pair[0].end.at() == Some(pair[1].start)), "{:#?}", lines(&shifts));
    }
}

#[test]
fn days_of_a_duration_are_of_the_calendar_and_hours_are_exact() {
    let with = |duration: &str| {
        let lines = format!("DTSTART;TZID=Europe/Berlin:20260328T090000\nDURATION:{duration}");
        rota(&calendar(&event("d", &lines)), days("2026-03-01", "2026-05-01"))
    };
    assert_eq!(with("P1D"), ["ann 2026-03-28T08:00:00Z 2026-03-29T07:00:00Z"]);
    assert_eq!(with("PT24H"), ["ann 2026-03-28T08:00:00Z 2026-03-29T08:00:00Z"]);
    assert_eq!(with("P1W"), ["ann 2026-03-28T08:00:00Z 2026-04-04T07:00:00Z"]);
    assert_eq!(with("+P1DT2H30M"), ["ann 2026-03-28T08:00:00Z 2026-03-29T09:30:00Z"]);
}

#[test]
fn whole_days_are_those_of_the_calendars_zone() {
    let day = event("d", "DTSTART;VALUE=DATE:20260328\nRRULE:FREQ=DAILY;UNTIL=20260330");
    let three = [
        "ann 2026-03-27T23:00:00Z 2026-03-28T23:00:00Z",
        "ann 2026-03-28T23:00:00Z 2026-03-29T22:00:00Z",
        "ann 2026-03-29T22:00:00Z 2026-03-30T22:00:00Z",
    ];
    let named = calendar(&format!("X-WR-TIMEZONE:Europe/Berlin\n{day}"));
    assert_eq!(rota(&named, days("2026-03-01", "2026-05-01")), three);
    let silent = calendar(&day);
    assert_eq!(rota_with(&silent, &zone("Europe/Berlin"), days("2026-03-01", "2026-05-01")), three);
    let tokyo = rota_with(&named, &zone("Asia/Tokyo"), days("2026-03-01", "2026-05-01"));
    assert_eq!(tokyo[0], "ann 2026-03-27T15:00:00Z 2026-03-28T15:00:00Z", "the setting wins over the file");
    let two =
        calendar(&format!("X-WR-TIMEZONE:Asia/Yekaterinburg\n{}", event("e", "DTSTART:20260127\nDTEND:20260129")));
    let expected = ["ann 2026-01-26T19:00:00Z 2026-01-28T19:00:00Z"];
    assert_eq!(rota(&two, days("2026-01-01", "2026-02-01")), expected, "DTEND is the first day after it");
}

#[test]
fn floating_times_are_those_of_the_calendars_zone() {
    let text = calendar(&event("f", "DTSTART:20260701T090000\nDTEND:20260701T170000"));
    let berlin = ["ann 2026-07-01T07:00:00Z 2026-07-01T15:00:00Z"];
    assert_eq!(rota_with(&text, &zone("Europe/Berlin"), days("2026-07-01", "2026-07-02")), berlin);
}

#[test]
fn the_end_has_the_zone_of_its_own() {
    let sun = "DTSTART;TZID=Europe/London:20260302T090000\nDTEND;TZID=America/New_York:20260302T090000\nRRULE:FREQ=WEEKLY;COUNT=3";
    let expected = [
        "ann 2026-03-02T09:00:00Z 2026-03-02T14:00:00Z",
        "ann 2026-03-09T09:00:00Z 2026-03-09T13:00:00Z",
        "ann 2026-03-16T09:00:00Z 2026-03-16T13:00:00Z",
    ];
    assert_eq!(
        rota(&calendar(&event("s", sun)), days("2026-03-01", "2026-04-01")),
        expected,
        "from London to New York"
    );
    let utc =
        "DTSTART;TZID=Europe/Berlin:20260323T090000\nDTEND:20260330T070000Z\nRRULE:FREQ=WEEKLY;INTERVAL=31;COUNT=2";
    let expected = ["ann 2026-03-23T08:00:00Z 2026-03-30T07:00:00Z", "ann 2026-10-26T08:00:00Z 2026-11-02T08:00:00Z"];
    assert_eq!(
        rota(&calendar(&event("u", utc)), days("2026-03-01", "2026-12-01")),
        expected,
        "UTC is nobody's wall clock"
    );
}

#[test]
fn shifts_are_whole_and_those_that_only_meet_the_window_are_left_out() {
    let daily = event("d", "DTSTART:20260101T090000Z\nDTEND:20260102T090000Z\nRRULE:FREQ=DAILY");
    let window = Span::new(at("2026-02-01T09:00Z"), at("2026-02-02T09:00Z")).unwrap();
    assert_eq!(rota(&calendar(&daily), window), ["ann 2026-02-01T09:00:00Z 2026-02-02T09:00:00Z"]);
    let window = Span::new(at("2026-02-01T10:00Z"), at("2026-02-01T11:00Z")).unwrap();
    assert_eq!(rota(&calendar(&daily), window), ["ann 2026-02-01T09:00:00Z 2026-02-02T09:00:00Z"]);
    let long = event("l", "DTSTART:20200101T000000Z\nDTEND:20300101T000000Z");
    assert_eq!(rota(&calendar(&long), window), ["ann 2020-01-01T00:00:00Z 2030-01-01T00:00:00Z"]);
}

#[test]
fn an_old_series_without_an_end_costs_no_more_than_a_young_one() {
    let each = |index: i32| event(&format!("d{index}"), "DTSTART:19700101T000000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY");
    let text = calendar(&(0..60).map(each).collect::<String>());
    assert_eq!(rota(&text, days("2026-02-01", "2026-02-02")).len(), 60 * 24);
}

#[test]
fn until_counts_the_instant_itself_and_a_day_as_a_whole() {
    let with = |start: &str, until: &str| {
        let text =
            format!("X-WR-TIMEZONE:Europe/Berlin\n{}", event("u", &format!("{start}\nRRULE:FREQ=DAILY;UNTIL={until}")));
        rota(&calendar(&text), days("2026-01-01", "2027-01-01")).len()
    };
    let timed = "DTSTART;TZID=Europe/Berlin:20260327T090000\nDURATION:PT1H";
    assert_eq!(with(timed, "20260331T070000Z"), 5, "09:00 summer time is 07:00 UTC");
    assert_eq!(with(timed, "20260331T065959Z"), 4);
    assert_eq!(with(timed, "20260331T090000"), 5);
    assert_eq!(with("DTSTART;VALUE=DATE:20260327", "20260331"), 5);
    assert_eq!(with("DTSTART;VALUE=DATE:20260327", "20260330T220000Z"), 5, "midnight of the 31st in Berlin");
}
