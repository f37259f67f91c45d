//! Overlaps, back-to-back shifts, grace, open ends and daylight saving.

use std::time::Duration;

use dutykey_policy::installation::{CalendarLocation, IdentifyBy, PlatformSettings, Source};
use dutykey_policy::profile::Mode;
use serde_json::json;

use super::world::*;

#[tokio::test(start_paused = true)]
async fn p4_overlapping_reasons_end_one_by_one_in_every_order() {
    // Two shifts of one rotation, one of another, a second profile: the last end counts, whoever has it.
    for ends in [["3m", "4m", "5m"], ["5m", "3m", "4m"], ["4m", "5m", "3m"]] {
        let world = Company::of(["ann"])
            .shifts("primary", &[shift("ann", "60s", ends[0]), shift("ann", "90s", ends[1])])
            .shifts("second", &[shift("ann", "2m", ends[2])])
            .profile(profile("one", &["prod", "logs"], &["primary"]))
            .profile(profile("two", &["prod", "db"], &["second"]))
            .start()
            .await;
        world.run_until(m(6)).await;
        assert_eq!(world.changes("ann", "prod"), [(m(1), "added"), (m(5), "removed")], "P4: {ends:?}");
        world.is_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn p4_back_to_back_shifts_of_one_person_do_not_flap() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "3m"), shift("ann", "3m", "5m")])
        .shifts("second", &[shift("ann", "5m", "7m")])
        .profile(profile("on-call", &["prod"], &["primary", "second"]))
        .start()
        .await;
    world.run_until(m(8)).await;
    assert_eq!(world.changes("ann", "prod"), [(m(1), "added"), (m(7), "removed")]);
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r13_each_reason_has_the_grace_of_its_own_profile() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "10m")])
        .shifts("second", &[shift("ann", "1m", "7m")])
        .profile(with(profile("a", &["prod"], &["primary"]), |rule| rule.grace = m(1)))
        .profile(with(profile("b", &["prod"], &["second"]), |rule| rule.grace = m(8)))
        .start()
        .await;
    world.run_until(m(16)).await;
    assert_eq!(world.changes("ann", "prod"), [(m(1), "added"), (m(15), "removed")]);
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r13_a_shift_without_an_end_is_due_at_the_end_of_a_lease_that_moves_on() {
    let world = Company::of(["ann", "bob"])
        .rotation(
            "primary",
            json!({ "shifts": [
            { "user": "ann", "from": "1m", "to": "open", "withdrawn": "150m" },
            { "user": "ann", "from": "1m", "to": "151m", "announced": "150m" },
            { "user": "bob", "from": "151m", "to": "open", "announced": "150m" },
        ] }),
        )
        .profile(with(profile("on-call", &["prod"], &["primary"]), |rule| rule.lease = h(1)))
        .target("native_end", json!(true))
        .start()
        .await;
    world.run_until(m(5)).await;
    let hold = world.hold("ann").await;
    assert!(hold.due >= world.at(h(1)) && hold.due <= world.at(m(65)), "P2: a deadline of one lease: {}", hold.due);
    world.run_until(m(149)).await;
    let hold = world.hold("ann").await;
    assert!(hold.native_end > Some(world.at(m(150))), "R13: the target's own end moves on: {:?}", hold.native_end);
    assert_eq!(world.changes("ann", "prod"), [(m(1), "added")], "P4: no call but the first");
    world.run_until(m(157)).await;
    assert_eq!(world.members("prod"), ["bob".to_owned()].into(), "an end that is said later is kept like any other");
}

#[tokio::test(start_paused = true)]
async fn r4_other_keys_and_other_splits_of_the_same_duty_change_no_access() {
    let world = Company::of(["ann"])
        .rotation(
            "primary",
            json!({ "shifts": [
            { "user": "ann", "from": "1m", "to": "20m", "withdrawn": "7m" },
            { "user": "ann", "from": "1m", "to": "12m", "announced": "7m" },
            { "user": "ann", "from": "12m", "to": "20m", "announced": "7m" },
        ] }),
        )
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(21)).await;
    assert_eq!(world.changes("ann", "prod"), [(m(1), "added"), (m(20), "removed")]);
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_observes_touches_nothing() {
    let observing =
        dutykey_policy::profile::Profile { mode: Mode::Observe, ..profile("on-call", &["prod"], &["primary"]) };
    let world = Company::of(["ann"]).shifts("primary", &[shift("ann", "1m", "3m")]).profile(observing).start().await;
    world.run_until(m(4)).await;
    assert!(world.target.effects().is_empty() && world.holds().await.is_empty());
    let shown = |event: &dutykey_engine::ports::witness::Event| {
        matches!(event, dutykey_engine::ports::witness::Event::WouldHold { .. })
    };
    assert!(world.events().iter().any(|(at, event)| *at >= m(1) && shown(event)), "it is shown what would happen");
}

#[tokio::test(start_paused = true)]
async fn a_weekly_rota_hands_off_at_nine_on_the_wall_on_both_sides_of_a_clock_change() {
    // In Zurich the clocks go forward on 28 March 2027: nine is at 08:00 UTC before and at 07:00 UTC after it.
    let path = std::env::temp_dir().join(format!("dutykey-dst-{}.ics", std::process::id()));
    let event = |who: &str, from: &str, to: &str| {
        format!(
            "BEGIN:VEVENT\r\nUID:{who}\r\nDTSTAMP:20270101T000000Z\r\nDTSTART;TZID=Europe/Zurich:{from}\r\n\
             DTEND;TZID=Europe/Zurich:{to}\r\nRRULE:FREQ=WEEKLY;INTERVAL=2\r\nSUMMARY:{who}\r\n\
             ATTENDEE:mailto:{who}@example.com\r\nEND:VEVENT\r\n"
        )
    };
    let rota = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//rota//EN\r\n{}{}END:VCALENDAR\r\n",
        event("ann", "20270322T090000", "20270329T090000"),
        event("bob", "20270315T090000", "20270322T090000"),
    );
    std::fs::write(&path, rota).unwrap();
    let settings = PlatformSettings::Icalendar {
        location: CalendarLocation::Plain(path.display().to_string()),
        rotation: "main".to_owned(),
        identify_by: IdentifyBy::Attendee,
        time_zone: None,
    };
    let source =
        Source { id: "pd".parse().unwrap(), settings, rotations: Default::default(), every: h(1), retiring: false };
    // The week is short: it begins an hour before one hand-off, sleeps, and wakes an hour before the next.
    let begin: jiff::Timestamp = "2027-03-22T07:58:00Z".parse().unwrap();
    let mut world = Company::of(["ann", "bob"])
        .beginning(begin)
        .installation(|installation| installation.sources.push(source))
        .profile(profile("on-call", &["prod"], &["main"]))
        .start()
        .await;
    world.run_until(m(5)).await;
    assert_eq!(world.members("prod"), ["ann".to_owned()].into(), "at 08:00 UTC Ann takes over");
    assert_eq!(world.changes("ann", "prod"), [(m(2), "added")]);
    world.stop().await;
    let week = Duration::from_secs(7 * 86_400) - h(1);
    world.run_until(week).await;
    world.begin();
    world.run_until(week + m(5)).await;
    assert_eq!(world.members("prod"), ["bob".to_owned()].into(), "a week later, at 07:00 UTC, Bob does");
    assert_eq!(world.changes("bob", "prod").last(), Some(&(week + m(2), "added")));
    assert_eq!(world.changes("ann", "prod").last(), Some(&(week + m(2), "removed")));
    std::fs::remove_file(path).unwrap();
}
